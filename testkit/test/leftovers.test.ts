import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { startPostgres } from '@lifeguard/testkit';
import { expect, test } from '@lifeguard/testkit/vitest';
import { untilGone } from '../src/process-tree.ts';

interface Started {
  readonly pid: number;
  readonly socketDir: string;
}

test('sweeps the server of a process that was killed', async () => {
  const { pid, socketDir } = await startAndBeKilled();
  await (await startPostgres()).stop();
  await untilGone([pid]);
  expect(existsSync(socketDir)).toBe(false);
});

test('leaves neither process nor folder behind', async () => {
  const server = await startPostgres();
  const { pid, socketDir } = server;
  await server.stop();
  expect(existsSync(socketDir)).toBe(false);
  expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
});

async function startAndBeKilled(): Promise<Started> {
  const child = fork(new URL('./leftover-owner.ts', import.meta.url), {
    execArgv: ['--conditions=@lifeguard/source'],
  });
  const [started] = (await once(child, 'message')) as [Started];
  child.kill('SIGKILL');
  await once(child, 'exit');
  return started;
}
