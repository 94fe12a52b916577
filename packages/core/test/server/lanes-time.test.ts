import { passes, startProxy, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool } from '../../src/index.ts';
import {
  HELD,
  heldBackend,
  hold,
  known,
  lanePool,
  NAME,
  namesOf,
  namesUpTo,
  placeOf,
  readMany,
  routesOf,
  tally,
} from './lanes-rig.ts';
import { accidents, errorOf, outcomesOf } from './rig.ts';

/** Its cost is that of its value: the text is the same. */
const COUNT = 'select count(*) from generate_series(1, $1::int) as steps';
const MANY = 1_000_000;

const WORN = 'a lane is avoided by the age of its oldest statement';

/** Asks again and again until it shares a connection; how often it had one to itself before. */
async function ownRunsOf(pool: LifeguardPool, ask: () => Promise<unknown>): Promise<number> {
  for (let runs = 0; runs < 3_000; runs += 1) {
    if ((await routesOf(pool, ask)).lane === 1) return runs;
  }
  throw new Error('It never came back.');
}

describe('a lane with a statement that takes long', () => {
  test('gets no new ones, and those are answered meanwhile', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { max: 4 });
    const letGo = await hold(database.connection);
    const held = pool.query(HELD);
    const behind = readMany(pool, 3);
    await heldBackend(database);
    await passes(30, WORN);
    expect(await routesOf(pool, () => namesOf(readMany(pool, 20)))).toMatchObject({ lane: 0, own: 20 });
    expect(pool.snapshot()).toMatchObject({ lanes: 1, onLanes: 4 });
    await letGo();
    expect([await outcomesOf([held]), await namesOf(behind)]).toEqual([['ok'], namesUpTo(3)]);
    expect(await placeOf(pool, () => namesOf(readMany(pool, 20)))).toBe('lanes');
  });

  test('is passed over for another lane where there is one', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { max: 8 });
    const letGo = await hold(database.connection);
    const held = pool.query(HELD);
    await heldBackend(database);
    await passes(30, WORN);
    await namesOf(readMany(pool, 1));
    expect(await placeOf(pool, () => namesOf(readMany(pool, 30)))).toBe('lanes');
    expect(pool.snapshot()).toMatchObject({ lanes: 2, onLanes: 1 });
    await letGo();
    await held;
  });

  test('does not keep a transaction from its turn', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const letGo = await hold(database.connection);
    const held = pool.query(HELD);
    await heldBackend(database);
    await passes(30, WORN);
    const readers = readMany(pool, 300);
    const turns = Array.from({ length: 5 }, (_, id) =>
      pool.transaction((tx) => tx.query('insert into notes values ($1) on conflict do nothing', [100 + id])),
    );
    expect(await outcomesOf(turns)).toEqual(Array(5).fill('ok'));
    expect(await namesOf(readers)).toEqual(namesUpTo(300));
    await letGo();
    await held;
  });
});

describe('a text that turns out slow', () => {
  test('has a connection to itself from its next execution on', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    await known(pool, COUNT, [1]);
    expect(await routesOf(pool, () => pool.query(COUNT, [MANY]))).toEqual({ lane: 1, own: 0 });
    const again = (): Promise<unknown> => Promise.all([1, 2, 3].map(() => pool.query(COUNT, [MANY])));
    expect(await routesOf(pool, again)).toEqual({ lane: 0, own: 3 });
    expect(await routesOf(pool, () => pool.query(COUNT, [MANY], { lane: true }))).toEqual({ lane: 1, own: 0 });
    expect(await routesOf(pool, () => pool.query(NAME, [1]))).toEqual({ lane: 1, own: 0 });
  });

  test('shares again when it has been quick for a while', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    await known(pool, COUNT, [1]);
    await pool.query(COUNT, [MANY]);
    const runs = await ownRunsOf(pool, () => pool.query(COUNT, [1]));
    expect(runs).toBeGreaterThanOrEqual(25);
    expect((await pool.query(COUNT, [3])).rows).toEqual([{ count: '3' }]);
  });

  test.for(['auto', false] as const)(
    'shares again without values too, where prepare is %s',
    async (prepare, { database }) => {
      const pool = await lanePool(database, database.connection, { prepare });
      await database.query('create table if not exists knob (n int); truncate knob; insert into knob values (1)');
      const text = 'select count(*) from generate_series(1, (select n from knob)) as steps';
      await known(pool, text);
      expect(await routesOf(pool, () => pool.query(text))).toEqual({ lane: 1, own: 0 });
      await database.query(`update knob set n = ${MANY}`);
      await pool.query(text);
      expect(await routesOf(pool, () => pool.query(text))).toEqual({ lane: 0, own: 1 });
      await database.query('update knob set n = 1');
      expect(await ownRunsOf(pool, () => pool.query(text))).toBeGreaterThanOrEqual(25);
    },
  );

  test('is not taken for quick because its callers left before it had ended', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    await known(pool, COUNT, [1]);
    await pool.query(COUNT, [MANY]);
    const left = Array.from({ length: 40 }, async () => {
      const caller = new AbortController();
      const asked = errorOf(pool.query(COUNT, [MANY], { signal: caller.signal }));
      await waitUntil(() => pool.snapshot().leased > 0, { what: 'one of them to run' });
      caller.abort();
      return (await asked)['code'];
    });
    expect(new Set(await Promise.all(left))).toEqual(new Set(['ERR_LIFEGUARD_ABORTED']));
    const slow = async (): Promise<void> => {
      for (let time = 0; time < 70; time += 1) await pool.query(COUNT, [MANY / 10]);
    };
    expect((await routesOf(pool, slow)).lane).toBe(0);
  });
});

describe('a time limit', () => {
  test('of the server on a lane ends the one statement that has passed it', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { statementTimeoutMillis: 150 });
    const letGo = await hold(database.connection);
    const before = readMany(pool, 10);
    const held = errorOf(pool.query(HELD));
    const behind = readMany(pool, 10);
    expect(await held).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', cause: { code: '57014' } });
    expect(await namesOf([...before, ...behind])).toEqual([...namesUpTo(10), ...namesUpTo(10)]);
    expect(pool.snapshot()).toMatchObject({ onLanes: 0, closed: {}, cancels: 0 });
    await letGo();
  });

  test('of the server counts for each statement anew, however long those before it take', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { statementTimeoutMillis: 400 });
    const naps = Array.from({ length: 4 }, () => pool.query('select pg_sleep(0.2)', [], { lane: true }));
    expect(await outcomesOf(naps)).toEqual(Array(4).fill('ok'));
  });

  test('of the caller frees him, and the lane goes on', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { statementTimeoutMillis: 200 });
    const letGo = await hold(database.connection);
    // The server ends one after the other: together they take longer than he waits.
    const held = tally([pool.query(HELD), pool.query(HELD)]);
    const patient = readMany(pool, 5);
    const hurried = errorOf(pool.query(NAME, [1], { timeoutMillis: 250 }));
    expect(await hurried).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', consequence: 'may-have-run' });
    expect(await held).toEqual({ ERR_LIFEGUARD_DEADLINE: 2 });
    await letGo();
    expect(await namesOf(patient)).toEqual(namesUpTo(5));
    await waitUntil(() => pool.snapshot().onLanes === 0, { what: 'the place to be left' });
  });

  test('ends a lane whose server has fallen silent, and its callers are told', async ({ server }) => {
    const proxy = await startProxy(server.connection());
    onTestFinished(() => proxy.close());
    const pool = await lanePool(server, proxy.connection(), { statementTimeoutMillis: 100, closeTimeoutMillis: 100 });
    proxy.set({ blackhole: 'both' });
    expect(await tally(readMany(pool, 20))).toEqual({ ERR_LIFEGUARD_DEADLINE: 20 });
    proxy.heal();
    expect(await namesOf(readMany(pool, 20))).toEqual(namesUpTo(20));
    expect(pool.snapshot()).toMatchObject({ onLanes: 0, waiting: 0, closed: { lost: 1 } });
  });
});

describe('a caller who leaves', () => {
  test('a lane is free at once, and the others get their own answers', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const letGo = await hold(database.connection);
    const caller = new AbortController();
    const held = pool.query(HELD);
    const before = readMany(pool, 10);
    const leaving = errorOf(pool.query(NAME, [500], { signal: caller.signal }));
    const behind = readMany(pool, 10);
    await heldBackend(database);
    caller.abort(new Error('gone'));
    const error = await leaving;
    expect(error).toMatchObject({
      code: 'ERR_LIFEGUARD_ABORTED',
      consequence: 'may-have-run',
      cause: { message: 'gone' },
    });
    expect(error.message).toMatch(/shares its connection with others, and runs to its end/);
    await letGo();
    expect(await namesOf([...before, ...behind])).toEqual([...namesUpTo(10), ...namesUpTo(10)]);
    expect([await outcomesOf([held]), pool.snapshot().onLanes, pool.snapshot().cancels]).toEqual([['ok'], 0, 0]);
  });

  test('the line before there is a place has sent nothing', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { min: 2 });
    await pool.ready();
    const letGo = await hold(database.connection);
    const lease = await pool.lease();
    const full = [pool.query(HELD), ...readMany(pool, 63)];
    const caller = new AbortController();
    const leaving = errorOf(pool.query(NAME, [1], { signal: caller.signal }));
    const staying = readMany(pool, 3);
    expect(pool.snapshot().waiting).toBe(4);
    caller.abort();
    expect(await leaving).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED', consequence: 'nothing-sent' });
    expect(pool.snapshot().waiting).toBe(3);
    await letGo();
    expect([await tally(full), await namesOf(staying)]).toEqual([{ ok: 64 }, namesUpTo(3)]);
    await lease.release();
  });

  test('in the moment in which his turn comes leaves no place behind', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const lease = await pool.lease();
    await namesOf(readMany(pool, 1));
    const all = new AbortController();
    const first = pool.query('select 1').then(() => all.abort());
    const others = readMany(pool, 500, { signal: all.signal });
    const outcomes = await tally([first, ...others]);
    expect(Object.keys(outcomes).sort()).toEqual(['ERR_LIFEGUARD_ABORTED', 'ok']);
    await waitUntil(() => pool.snapshot().onLanes === 0, { what: 'all places to be left' });
    await lease.release();
  });

  test('before he has asked has sent nothing', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const seen = accidents();
    const asked = errorOf(pool.query(NAME, [1], { signal: AbortSignal.abort() }));
    expect(await asked).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED', consequence: 'nothing-sent' });
    expect([pool.snapshot().boarded, seen]).toEqual([0, []]);
  });

  test('before his statement has failed is not told of it again', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const seen = accidents();
    await known(pool, 'select 1 / 0');
    const letGo = await hold(database.connection);
    const caller = new AbortController();
    const held = pool.query(HELD);
    const failing = errorOf(pool.query('select 1 / 0', [], { signal: caller.signal }));
    caller.abort();
    expect(await failing).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED' });
    await letGo();
    await held;
    expect(await namesOf(readMany(pool, 3))).toEqual(namesUpTo(3));
    expect(seen).toEqual([]);
  });
});
