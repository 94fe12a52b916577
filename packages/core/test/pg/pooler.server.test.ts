import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { systemClock } from '../../src/clock.ts';
import { Warnings } from '../../src/events.ts';
import { createPool, type PoolOptions } from '../../src/index.ts';
import { POOLERS } from '../../src/option-rules.ts';
import { readOptions } from '../../src/options.ts';
import { clientClass } from '../../src/pg/driver.ts';
import { Pooler } from '../../src/pg/pooler.ts';
import { PROFILES } from '../../src/pg/pooler-profiles.ts';
import { PostgresSeam } from '../../src/pg/postgres-seam.ts';
import { Sightings } from '../../src/pg/sightings.ts';
import { errorOf, listen, Notes, openPool, pidOf } from '../server/rig.ts';

const QUIET: PoolOptions = { logger: new Notes() };
const SILENT = new Warnings('p', new Notes());

describe('the option pooler', () => {
  test('takes every name that has a profile, and no other', () => {
    const named = POOLERS.filter((name) => name !== 'auto' && name !== 'none');
    expect(named.toSorted()).toEqual(Object.keys(PROFILES).toSorted());
    for (const pooler of POOLERS) expect(readOptions({ pooler: pooler as 'auto' }).pooler).toBe(pooler);
    expect(() => createPool({ pooler: 'pgbouncer' as 'auto' })).toThrow(/option "pooler" must be "auto" or "none"/);
  });

  test.for([
    ['auto', ['statement_timeout', 'idle_in_transaction_session_timeout', 'client_connection_check_interval']],
    ['odyssey-transaction', ['statement_timeout', 'idle_in_transaction_session_timeout']],
    ['supavisor-session', []],
    ['rds-proxy', []],
  ] as const)('decides which limits are sent at login: %s', ([pooler, sent]) => {
    const settings = readOptions({ pooler });
    const seam = new PostgresSeam(settings, clientClass(), {
      clock: systemClock,
      warnings: SILENT,
    });
    expect([...seam.limits.keys()]).toEqual(sent);
  });
});

describe('the limits in force', () => {
  test('are those of the login where nothing is between', async ({ database }) => {
    const settings = readOptions({ ...database.connection, statementTimeoutMillis: 1_234 });
    const seam = new PostgresSeam(settings, clientClass(), { clock: systemClock, warnings: SILENT });
    expect(seam.inForce.get('statement_timeout')).toBe(1_234);
    const connection = await seam.connect(new AbortController().signal, () => undefined);
    await seam.introduce(connection);
    expect(seam.inForce.get('statement_timeout')).toBe(1_234);
    await seam.close(connection);
  });
});

describe('two connections that were answered by one session', () => {
  test('prove nothing when the first one has ended', async ({ database }) => {
    const settings = readOptions(database.connection);
    const seam = new PostgresSeam(settings, clientClass(), { clock: systemClock, warnings: SILENT });
    const open = () => seam.connect(new AbortController().signal, () => undefined);
    const [first, second] = await Promise.all([open(), open()]);
    const sightings = new Sightings();
    expect(sightings.see(first, '1@1')).toBe('nothing');
    expect(sightings.see(second, '1@1')).toBe('twin');
    await seam.close(first);
    expect(sightings.see(second, '1@1')).toBe('nothing');
    expect(sightings.see(second, '2@1')).toBe('moved');
    await seam.close(second);
  });
});

/** From its documentation: no RDS Proxy stands behind these tests. */
describe('behind what is said to be RDS Proxy', () => {
  const OPTIONS: PoolOptions = { ...QUIET, pooler: 'rds-proxy', max: 1 };

  test('a session may be changed, and its connection is given up instead of reset', async ({ database }) => {
    const pool = openPool(database.connection, OPTIONS);
    const closing = listen('lifeguard:pool:closing', pool);
    const lease = await pool.lease();
    const pid = await pidOf(lease);
    await lease.query("set app.tenant = 'a'");
    await lease.release();
    expect(closing).toMatchObject([{ reason: 'dirty' }]);
    expect(await pidOf(pool)).not.toBe(pid);
  });

  test('no reset is sent, whatever the pool was told', async ({ database }) => {
    const pool = openPool(database.connection, { ...OPTIONS, resetOnRelease: 'always' });
    const pid = await pidOf(pool);
    expect(await pidOf(pool)).toBe(pid);
    const [backend] = await database.backends();
    expect(backend?.query).toContain('pg_backend_pid');
  });

  test('no cancel is sent, and what is given up costs its connection', async ({ database }) => {
    const pool = openPool(database.connection, { ...OPTIONS, closeTimeoutMillis: 50 });
    const closing = listen('lifeguard:pool:closing', pool);
    const pid = await pidOf(pool);
    const caller = new AbortController();
    const asked = errorOf(pool.query('select pg_sleep(1)', [], { signal: caller.signal }));
    await database.waitFor('the statement', (all) => all.some(({ state }) => state === 'active'));
    caller.abort();
    expect(await asked).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED' });
    expect(await pidOf(pool)).not.toBe(pid);
    expect(closing).toMatchObject([{ reason: 'interrupt-failed' }]);
  });

  test('it is known by what it says of the command line', () => {
    const pooler = new Pooler(readOptions({}), SILENT);
    const words = "Feature not supported: RDS Proxy currently doesn't support command-line options";
    pooler.refused('options', Object.assign(new Error(words), { code: '0A000' }));
    expect(pooler.profile).toBe(PROFILES['rds-proxy']);
  });
});
