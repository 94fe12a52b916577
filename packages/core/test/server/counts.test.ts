import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ConnectionParameters } from '@lifeguard/testkit';
import { test as base, describe, expect } from '@lifeguard/testkit/vitest';
import { EXPECTED } from './counts-expected.ts';
import { differences, FIGURES, type Row, readTable, writeTable } from './counts-table.ts';

interface Counted {
  /** What each deed costs now. */
  readonly rows: readonly Row[];
}

const test = base.extend<Counted>({
  rows: [async ({ database }, use) => use(await count('ours', database.connection)), { scope: 'file' }],
});

/** These hold whatever the table says: a paste cannot take them away. */
const TRIPS: Readonly<Record<string, number>> = {
  'a new text': 1,
  'a known text': 1,
  'a text without values': 1,
  'a statement with a time limit': 1,
  'a statement in a scope with settings': 1,
  'a transaction of 1': 2,
  'a transaction of 2': 3,
  'a transaction of 5': 6,
  'a transaction of 2, limit, settings': 3,
  'a transaction of 2, the last marked': 2,
  'a transaction, one of 2 nested': 3,
  'a batch of 5': 1,
  'a lease with 2 statements': 2,
  'a known text, lane: false': 1,
  'a known text, prepare: false': 1,
};
const WITHOUT_TIMERS = ['a new text', 'a known text', 'a text without values', 'a batch of 5'];

/** The program has other things beside it, and is not in a hurry. */
describe('what one deed costs', { timeout: 120_000 }, () => {
  test('no deed costs more than the table says, and none less', async ({ rows, database }) => {
    const table = writeTable(rows);
    if (process.env['LIFEGUARD_COUNTS'] === 'print') {
      const byHand = writeTable(await count('byHand', database.connection));
      process.stdout.write(`For counts-expected.ts:\n${table}\nBy hand on pg-pool:\n${byHand}`);
    }
    const advice = `Fewer is to be celebrated; more needs a reason in the commit. For counts-expected.ts:\n${table}`;
    expect(differences(readTable(EXPECTED), rows), advice).toEqual([]);
  });

  test('every deed costs the same each time', ({ rows }) => {
    const figures = rows.flatMap((row) => FIGURES.map((figure) => row[figure]));
    expect(figures.filter((figure) => !Number.isInteger(figure))).toEqual([]);
  });

  test('every round trip is one packet, and there are no more of them than needed', ({ rows }) => {
    const serial = rows.filter(({ name }) => name in TRIPS);
    const counted = serial.map(({ name, trips, packets }) => [name, trips, packets]);
    expect(counted).toEqual(Object.entries(TRIPS).map(([name, trips]) => [name, trips, trips]));
  });

  test('what has no time limit of its own makes no timer', ({ rows }) => {
    const timers = rows.filter(({ name }) => WITHOUT_TIMERS.includes(name)).map(({ name, timers }) => [name, timers]);
    expect(timers).toEqual(WITHOUT_TIMERS.map((name) => [name, 0]));
  });

  test('a table says which figure of which deed has changed', () => {
    const [one] = readTable(EXPECTED) as [Row];
    const other = { ...one, timers: one.timers + 1, sent: one.sent - 5, messages: '1Q' };
    expect(differences([one], readTable(writeTable([other])))).toEqual([
      `${one.name}: fewer sent: ${one.sent} → ${other.sent}`,
      `${one.name}: MORE timers: ${one.timers} → ${other.timers}`,
      `${one.name}: other messages: ${one.messages} → 1Q`,
    ]);
    expect(differences([one], [])).toEqual([`${one.name}: is gone`]);
  });
});

async function count(whose: 'ours' | 'byHand', connection: ConnectionParameters): Promise<Row[]> {
  const { host: PGHOST, port, user: PGUSER, database: PGDATABASE, password: PGPASSWORD } = connection;
  const env = { ...process.env, PGHOST, PGPORT: String(port), PGUSER, PGDATABASE, PGPASSWORD };
  const args = ['--conditions=@lifeguard/source', fileURLToPath(new URL('counts-program.ts', import.meta.url)), whose];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, timeout: 110_000 });
  return JSON.parse(stdout) as Row[];
}
