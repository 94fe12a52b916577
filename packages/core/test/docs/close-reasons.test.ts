import { readFileSync } from 'node:fs';
import { expect, test } from '@lifeguard/testkit/vitest';
import { Page, pathOf } from './page.ts';

test('the page on how it works explains every reason to close and every state of a slot', () => {
  const { text } = new Page('docs/2-how-it-works.md');
  const events = readFileSync(pathOf('packages/core/src/events.ts'), 'utf8');
  const [, reasons = ''] = /export type CloseReason =(.*?);/s.exec(events) ?? [];
  const names = [...reasons.matchAll(/'([\w-]+)'/g)].map(([, name = '']) => name);
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});
