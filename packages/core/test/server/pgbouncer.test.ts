import { type ConnectionParameters, missing, type PgBouncerOptions, startPgBouncer } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { systemClock } from '../../src/clock.ts';
import { Warnings } from '../../src/events.ts';
import type { HookConnection, LifeguardPool, PoolOptions } from '../../src/index.ts';
import { readOptions } from '../../src/options.ts';
import { clientClass } from '../../src/pg/driver.ts';
import type { PgConnection } from '../../src/pg/pg-connection.ts';
import { PostgresSeam } from '../../src/pg/postgres-seam.ts';
import { verdictOn } from '../../src/pg/verdict.ts';
import { answerOf, errorOf, listen, Notes, openPool, outcomesOf, pidOf } from './rig.ts';

type Bouncer = (options?: Partial<PgBouncerOptions>) => Promise<ConnectionParameters>;

const behind = test.extend<{ bouncer: Bouncer }>({
  bouncer: async ({ database }, use) => {
    await use(async (options = {}) => {
      const bouncer = await startPgBouncer({ target: database.connection, ...options });
      if (bouncer === undefined) throw new Error('PgBouncer is not installed');
      onTestFinished(() => bouncer.stop());
      return bouncer.connection();
    });
  },
});

/** What a pool would know: the seam without the pool, so that each connection can be made to do what it shall. */
function seamFor(connection: object, options: PoolOptions = {}): PostgresSeam {
  const settings = readOptions({ logger: new Notes(), ...connection, ...options });
  const warnings = new Warnings(settings.name, settings.logger);
  return new PostgresSeam(settings, clientClass(), { clock: systemClock, warnings });
}

async function openOn(seam: PostgresSeam): Promise<PgConnection> {
  const connection = await seam.connect(new AbortController().signal, () => undefined);
  onTestFinished(() => connection.cutOff());
  await seam.introduce(connection);
  return connection;
}

/** Another client of the same pooler, who knows nothing of poolers and cleans nothing up. */
function stranger(connection: object): LifeguardPool {
  return openPool(connection, { pooler: 'none', resetOnRelease: 'never', max: 1, logger: new Notes() });
}

const SETTING = "nullif(current_setting('app.tenant', true), '')";

/** What needs a session, and a word of the advice for it. */
const SESSION_FEATURES: readonly (readonly [text: string, advice: RegExp])[] = [
  ["set app.tenant = 'a'", /settings or role of a scope/],
  ["set session app.tenant = 'a'", /SET LOCAL/],
  ['set role pg_monitor', /settings or role of a scope/],
  ["select set_config('app.tenant', 'a', false)", /set_config\(…, true\)/],
  ['select pg_advisory_lock(7)', /pg_advisory_xact_lock/],
  ['listen news', /goes to the server directly/],
  ['create temp table mine (x int)', /ON COMMIT DROP/],
  ['prepare mine as select 1', /with values/],
  ['begin; declare mine cursor with hold for select 1; commit', /without HOLD/],
  ['reset all', /needs no RESET/],
  ['discard all', /needs no DISCARD/],
];

describe.skipIf(missing('pgbouncer'))('a pool that was told nothing of its PgBouncer', () => {
  behind('takes two connections that share a session for transaction mode', async ({ bouncer }) => {
    const seam = seamFor(await bouncer());
    await openOn(seam);
    expect(seam.refusalOfText('listen news')).toBeUndefined();
    await openOn(seam);
    expect(seam.refusalOfText('listen news')).toMatchObject({
      code: 'ERR_LIFEGUARD_POOLER',
      consequence: 'nothing-sent',
    });
  });

  behind('refuses on all connections what it has let pass on the first one', async ({ bouncer }) => {
    const pool = openPool(await bouncer(), { max: 2, logger: new Notes() });
    const first = await pool.lease();
    const before = await outcomesOf([first.query('listen news')]);
    const second = await pool.lease();
    const after = await outcomesOf([first.query('listen news'), second.query('listen news')]);
    expect([...before, ...after]).toEqual(['ok', 'ERR_LIFEGUARD_POOLER', 'ERR_LIFEGUARD_POOLER']);
    await Promise.all([first.release(), second.release()]);
  });

  behind('takes a connection whose session changes for transaction mode', async ({ bouncer }) => {
    const parameters = await bouncer();
    const seam = seamFor(parameters);
    const connection = await openOn(seam);
    const other = await stranger(parameters).lease();
    await other.query('begin');
    expect(seam.refusalOfText('listen news')).toBeUndefined();
    await seam.check(connection);
    expect(seam.refusalOfText('listen news')).toBeInstanceOf(Error);
    await other.query('rollback');
  });

  behind('does not take session mode for anything else when sessions are passed on', async ({ bouncer }) => {
    const seam = seamFor(await bouncer({ poolMode: 'session', poolSize: 2 }));
    const staying = await openOn(seam);
    for (let round = 0; round < 20; round += 1) {
      const connection = await openOn(seam);
      await Promise.all([seam.check(connection), seam.check(staying)]);
      await seam.close(connection);
    }
    expect(seam.refusalOfText('listen news')).toBeUndefined();
  });

  behind('learns of statement mode from the first BEGIN, and refuses the next one', async ({ bouncer }) => {
    const pool = openPool(await bouncer({ poolMode: 'statement' }), { logger: new Notes() });
    const first = await pool.lease();
    expect(await errorOf(first.query('begin'))).toMatchObject({
      code: 'ERR_LIFEGUARD_POOLER',
      consequence: 'may-have-run',
      cause: { code: '08P01' },
    });
    await first.release();
    const second = await pool.lease();
    const error = await errorOf(second.query('begin'));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_POOLER', consequence: 'nothing-sent' });
    expect(error.message).toMatch(/no transactions behind PgBouncer in statement mode/);
    expect(await answerOf(second, 'select 1')).toBe(1);
    await second.release();
  });

  behind('gives a changed connection up while it does not know whose the session is', async ({ bouncer }) => {
    const seam = seamFor(await bouncer({ poolMode: 'session' }));
    const connection = await openOn(seam);
    expect(verdictOn(connection, seam.reset)).toEqual({ kind: 'keep' });
    await connection.query({ text: "set app.tenant = 'a'" });
    expect(verdictOn(connection, seam.reset)).toEqual({ kind: 'discard', reason: 'dirty' });
  });

  behind('asks nothing more of a connection that goes to the server itself', async ({ database }) => {
    const seam = seamFor(database.connection, { resetOnRelease: 'dirty' });
    const connection = await openOn(seam);
    await seam.check(connection);
    const [backend] = await database.backends();
    expect(backend?.query).toBe('');
    expect(seam.reset).toBe('dirty');
    expect(seam.refusalOfText('listen news')).toBeUndefined();
  });
});

describe.skipIf(missing('pgbouncer'))('behind PgBouncer in transaction mode', () => {
  behind.for(SESSION_FEATURES)(
    'what needs a session is refused with advice: %s',
    async ([text, advice], { bouncer }) => {
      const parameters = await bouncer({ poolSize: 1 });
      const pool = openPool(parameters, { pooler: 'pgbouncer-transaction', logger: new Notes() });
      const error = await errorOf(pool.query(text));
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_POOLER', consequence: 'nothing-sent', retryable: false });
      expect(error.message).toMatch(advice);
      const lease = await pool.lease();
      expect(await errorOf(lease.query(text))).toMatchObject({ code: 'ERR_LIFEGUARD_POOLER' });
      expect(await answerOf(lease, 'select 1')).toBe(1);
      await lease.release();
      expect(await answerOf(stranger(parameters), `select ${SETTING}`)).toBeNull();
    },
  );

  behind('what ends with its transaction is at home in one', async ({ bouncer }) => {
    const parameters = await bouncer({ poolSize: 1 });
    const pool = openPool(parameters, { pooler: 'pgbouncer-transaction', logger: new Notes() });
    const lease = await pool.lease();
    await lease.query('begin');
    await lease.query("set local app.tenant = 'a'");
    await lease.query('select pg_advisory_xact_lock(7)');
    await lease.query('create temp table mine (x int) on commit drop');
    expect(await answerOf(lease, `select ${SETTING}`)).toBe('a');
    await lease.query('commit');
    await lease.release();
    expect(await answerOf(stranger(parameters), `select ${SETTING}`)).toBeNull();
  });

  for (const pooler of ['pgbouncer-transaction', 'auto'] as const) {
    behind(`no reset goes into a session of strangers (pooler: ${pooler})`, async ({ bouncer }) => {
      const parameters = await bouncer({ poolSize: 1 });
      const other = stranger(parameters);
      await other.query("set app.tenant = 'stranger'");
      const resetOnRelease = pooler === 'auto' ? 'dirty' : 'always';
      const pool = openPool(parameters, { pooler, resetOnRelease, max: 1, logger: new Notes() });
      const lease = await pool.lease();
      const outcome = await outcomesOf([lease.query('listen news')]);
      await lease.release();
      await pool.query('select 1');
      expect(outcome).toEqual([pooler === 'auto' ? 'ok' : 'ERR_LIFEGUARD_POOLER']);
      expect(await answerOf(other, `select ${SETTING}`)).toBe('stranger');
    });
  }

  behind('an onConnect hook that sets up a session is refused', async ({ bouncer }) => {
    const onConnect = async (connection: HookConnection): Promise<void> => {
      await connection.query("set app.tenant = 'a'");
    };
    const seam = seamFor(await bouncer(), { pooler: 'pgbouncer-transaction', onConnect });
    expect(await errorOf(openOn(seam))).toMatchObject({
      code: 'ERR_LIFEGUARD_HOOK_FAILED',
      cause: { code: 'ERR_LIFEGUARD_POOLER' },
    });
  });

  behind('a name that its session does not know is explained', async ({ bouncer }) => {
    const parameters = await bouncer({ poolSize: 2 });
    const pool = openPool(parameters, { pooler: 'pgbouncer-transaction', max: 1, logger: new Notes() });
    const statement = { name: 'one', text: 'select 1 as one' };
    await pool.query(statement);
    const other = await stranger(parameters).lease();
    await other.query('begin');
    const error = await errorOf(pool.query(statement));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_POOLER', cause: { code: '26000' } });
    expect(error.message).toMatch(/max_prepared_statements/);
    await other.query('rollback');
  });
});

describe.skipIf(missing('pgbouncer'))('behind PgBouncer in session mode', () => {
  behind('what needs a session works, and is put back on the same connection', async ({ bouncer }) => {
    const parameters = await bouncer({ poolMode: 'session' });
    const options: PoolOptions = { pooler: 'pgbouncer-session', max: 1, logger: new Notes() };
    const pool = openPool(parameters, options);
    const lease = await pool.lease();
    const pid = await pidOf(lease);
    // The last one takes away what the driver has prepared, so it costs the connection.
    for (const [text] of SESSION_FEATURES.slice(0, 7)) await lease.query(text);
    expect(await answerOf(lease, `select ${SETTING}`)).toBe('a');
    await lease.release();
    expect(await answerOf(pool, `select ${SETTING}`)).toBeNull();
    expect(await pidOf(pool)).toBe(pid);
  });
});

describe.skipIf(missing('pgbouncer'))('behind PgBouncer in statement mode', () => {
  behind('statements run, and transactions are refused before they are begun', async ({ bouncer }) => {
    const seam = seamFor(await bouncer({ poolMode: 'statement' }), { pooler: 'pgbouncer-statement' });
    const connection = await openOn(seam);
    expect((await connection.query({ text: 'select 1 as one' })).rows).toEqual([{ one: 1 }]);
    expect(seam.refusalOfTransaction()).toMatchObject({ code: 'ERR_LIFEGUARD_POOLER', consequence: 'nothing-sent' });
    expect(seam.refusalOfText('begin')).toMatchObject({ code: 'ERR_LIFEGUARD_POOLER' });
    expect(seam.refusalOfText('begin; select 1; commit')).toBeUndefined();
  });
});

describe.skipIf(missing('pgbouncer'))('limits behind a PgBouncer that is named', () => {
  behind('are not sent in vain, and what nobody enforces is said once', async ({ bouncer }) => {
    const logger = new Notes();
    const pool = openPool(await bouncer(), { pooler: 'pgbouncer-transaction', min: 3, logger });
    const refused = listen('lifeguard:pool:pooler', pool);
    await pool.ready();
    expect(refused).toEqual([]);
    expect(logger.lines).toMatchObject([
      {
        fields: {
          code: 'LIFEGUARD_PARAMETER_REFUSED',
          parameters: ['statement_timeout', 'idle_in_transaction_session_timeout'],
        },
      },
    ]);
  });

  for (const pooler of ['pgbouncer-transaction', 'auto'] as const) {
    behind(
      `are known to be in force where the database gives them (pooler: ${pooler})`,
      async ({ bouncer, database }) => {
        await database.query(`alter database ${database.name} set statement_timeout = '7s'`);
        onTestFinished(async () => {
          await database.query(`alter database ${database.name} reset statement_timeout`);
        });
        const logger = new Notes();
        const seam = seamFor(await bouncer(), { pooler, logger, idleInTransactionTimeoutMillis: 0 });
        await openOn(seam);
        expect([...seam.limits]).toEqual([]);
        expect(seam.inForce.get('statement_timeout')).toBe(7_000);
        expect(seam.inForce.has('lock_timeout')).toBe(false);
        expect(logger.codes).toEqual([]);
      },
    );
  }
});

describe.skipIf(missing('pgbouncer'))('a cancel through PgBouncer', () => {
  for (const mode of ['session', 'transaction', 'statement'] as const) {
    behind(`stops the statement in ${mode} mode, and the connection is kept`, async ({ bouncer, database }) => {
      const parameters = await bouncer({ poolMode: mode });
      const pool = openPool(parameters, { pooler: `pgbouncer-${mode}`, max: 1, logger: new Notes() });
      const closing = listen('lifeguard:pool:closing', pool);
      const caller = new AbortController();
      const asked = errorOf(pool.query('select pg_sleep(60)', [], { signal: caller.signal }));
      await database.waitFor('the statement', (all) => all.some(({ state }) => state === 'active'));
      caller.abort();
      expect(await asked).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED' });
      expect(await answerOf(pool, 'select 1')).toBe(1);
      const backends = await database.backends();
      expect(backends.filter(({ query }) => query.includes('pg_sleep'))).toEqual([]);
      expect(closing).toEqual([]);
    });
  }
});
