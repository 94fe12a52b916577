import { waitUntil } from '@lifeguard/testkit';
import { expect, test } from '@lifeguard/testkit/vitest';

test('returns what the condition has answered', async () => {
  let looks = 0;
  const look = (): string => (++looks < 3 ? '' : 'here');
  expect(await waitUntil(look, { what: 'three looks', everyMillis: 1 })).toBe('here');
});

test('says what was awaited in vain', async () => {
  const waiting = waitUntil(() => false, { what: 'a miracle', timeoutMillis: 20 });
  await expect(waiting).rejects.toThrow('Waited 20 ms in vain for a miracle.');
});
