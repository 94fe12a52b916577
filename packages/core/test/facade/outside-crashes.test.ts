import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ConnectionParameters } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';

const PROGRAM = fileURLToPath(new URL('crash-program.ts', import.meta.url));

/** What would have ended the program, by its own account. */
async function accidentOf(whose: 'pg' | 'facade', deed: string, target: ConnectionParameters): Promise<unknown> {
  const { host, port, user, database, password } = target;
  const PG = { PGHOST: host, PGPORT: String(port), PGUSER: user, PGDATABASE: database, PGPASSWORD: password ?? '' };
  const options = { env: { ...process.env, ...PG }, timeout: 20_000 };
  const args = ['--conditions=@lifeguard/source', PROGRAM, whose, deed];
  const { stdout } = await promisify(execFile)(process.execPath, args, options);
  return JSON.parse(stdout);
}

const THROWN = [
  ...['a callback of the pool', 'a callback of a failing statement', 'a callback of a client', 'a pg.Query'],
  ...['a listener of notices', 'a listener of connect', 'a listener of acquire', 'a listener of remove'],
];

/** Two programs each, which are not in a hurry. */
describe('what a callback throws is the process to end for, as in pg', { timeout: 60_000 }, () => {
  for (const deed of THROWN) {
    test(`an error thrown in ${deed}`, async ({ database }) => {
      const [theirs, ours] = await Promise.all([
        accidentOf('pg', deed, database.connection),
        accidentOf('facade', deed, database.connection),
      ]);
      expect(theirs).toEqual(['uncaughtException', `thrown in ${deed}`]);
      expect(ours).toEqual(theirs);
    });
  }

  test('an error thrown in a callback of connect', async ({ database }) => {
    const deed = 'a callback of connect';
    expect(await accidentOf('facade', deed, database.connection)).toEqual(['uncaughtException', `thrown in ${deed}`]);
  });

  test('an error thrown in a listener of release, which in pg release() throws', async ({ database }) => {
    const deed = 'a listener of release';
    expect(await accidentOf('facade', deed, database.connection)).toEqual(['uncaughtException', `thrown in ${deed}`]);
  });

  test('a rejection that nobody handles is one, and no exception', async ({ database }) => {
    const deed = 'a rejection that nobody handles';
    const theirs = await accidentOf('pg', deed, database.connection);
    expect(theirs).toEqual(['unhandledRejection', '22012']);
    expect(await accidentOf('facade', deed, database.connection)).toEqual(theirs);
  });
});
