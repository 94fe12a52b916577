import {
  type Backend,
  type Database,
  type FaultProxy,
  freePort,
  type MessageHook,
  missing,
  type PgBouncer,
  type PgBouncerOptions,
  type PostgresServer,
  type Standby,
  startPgBouncer,
  startPostgres,
  startProxy,
  startStandby,
  waitUntil,
} from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test, testWithServer } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import type { Lease, PoolOptions } from '../../src/index.ts';
import { type Failure, failureOf, type Phase } from '../../src/pg/failure.ts';
import { errorOf, openPool, pidOf } from './rig.ts';

type Place = Pick<PostgresServer, 'query'> & {
  readonly connection: PostgresServer['connection'] | Database['connection'];
  backends(): Promise<readonly Backend[]>;
};

/** Two sessions, and a table `k` with two rows and a foreign key that is looked at when COMMIT comes. */
interface World {
  readonly a: Lease;
  readonly b: Lease;
  /** Somebody else, who looks and acts from outside. */
  readonly place: Place;
  /** Whether somebody has ended the session of that process. */
  readonly hasEnded: (pid: number) => Promise<boolean>;
}

type Provocation = readonly [
  what: string,
  phase: Phase,
  provoke: (world: World) => Promise<unknown>,
  means: Partial<Failure>,
];

const CONFLICT: Failure = { connection: 'fit', effect: 'rolled-back', retry: 'conflict', kind: 'conflict' };
const FIT = { connection: 'fit', effect: 'rolled-back', retry: 'never' } as const;
const ASKED = { ...FIT, retry: 'asked' } as const;
const LOST_BEFORE = { connection: 'dead', effect: 'rolled-back', retry: 'connection' } as const;
const UNKNOWN: Failure = { connection: 'dead', effect: 'unknown', retry: 'never', kind: 'unknown-commit' };

/** Without limits of our own, so that those of others come through. */
const UNLIMITED: PoolOptions = {
  ...{ statementTimeoutMillis: 0, idleInTransactionTimeoutMillis: 0, lockTimeoutMillis: 0, clientCheckMillis: 0 },
};

const IDLE_LIMIT = 'set idle_in_transaction_session_timeout = 10';

const ANSWERS: readonly Provocation[] = [
  ['40001 of a row that has changed', 'in-transaction', rowHasChanged, CONFLICT],
  ['40001 at COMMIT', 'commit', writeSkew, CONFLICT],
  ['40P01', 'in-transaction', deadlock, CONFLICT],
  ['23503 at COMMIT', 'commit', brokenReference, { ...FIT, kind: 'constraint' }],
  ['23505', 'statement', last('insert into k values (1)'), { ...ASKED, kind: 'constraint' }],
  ['23514', 'statement', last('insert into k values (-1)'), { ...FIT, kind: 'constraint' }],
  ['22P02', 'statement', last("select 'x'::int"), { ...FIT, kind: 'data' }],
  ['22021', 'statement', ({ a }) => errorOf(a.query('select $1::text', ['\0'])), { ...FIT, kind: 'data' }],
  ['42601', 'statement', last('selec 1'), { ...FIT, kind: 'syntax' }],
  ['42501', 'statement', last('set role pg_monitor', 'delete from k'), { ...FIT, kind: 'privilege' }],
  ['54011', 'statement', last(`select ${'1,'.repeat(1_664)}1`), { ...FIT, kind: 'capacity' }],
  ['P0001', 'statement', last("do $$ begin raise 'no'; end $$"), { ...ASKED, kind: 'raised' }],
  ['MY001', 'statement', last("do $$ begin raise 'no' using errcode = 'MY001'; end $$"), { ...ASKED, kind: 'raised' }],
  ['25001', 'in-transaction', last('begin', 'vacuum'), { ...FIT, kind: 'state' }],
  ['25P02', 'in-transaction', afterAFailure, { ...FIT, kind: 'aborted' }],
  ['25006', 'in-transaction', last('begin read only', 'delete from k'), { ...ASKED, kind: 'read-only' }],
  ['26000', 'statement', namedAndForgotten, { connection: 'fit', effect: 'none', retry: 'stale-plan' }],
  ['0A000 of a plan', 'in-transaction', namedAndOutdated, { ...FIT, effect: 'rolled-back', retry: 'stale-plan' }],
  ['0A000', 'in-transaction', last('begin', 'select count(*) from k for update'), { ...FIT, kind: 'unsupported' }],
  ['55P03', 'in-transaction', lockedByAnother, { ...ASKED, kind: 'lock' }],
  [
    '55006',
    'in-transaction',
    last('begin; declare c cursor for select from k', 'drop table l, k'),
    { ...ASKED, kind: 'lock' },
  ],
  ['57014 of a statement_timeout', 'statement', tooSlow, { ...ASKED, kind: 'cancelled' }],
  ['57014 of somebody else', 'in-transaction', cancelled, { ...ASKED, kind: 'cancelled' }],
  ['57014 of a COPY that broke off', 'statement', last('copy k from stdin'), { ...FIT, kind: 'data' }],
];

describe('what a server answers', () => {
  for (const [what, phase, provoke, means] of ANSWERS) {
    test(`with ${what} in phase ${phase} is understood`, async ({ database }) => {
      const world = await worldOf(database);
      const error = (await provoke(world)) as { code: string };
      expect(error.code).toBe(what.slice(0, 5));
      expect(failureOf(error, { phase })).toMatchObject(means);
      expect(await errorOf(world.a.query('nonsense'))).toMatchObject({ severity: 'ERROR' }); // The connection is fit.
    });
  }
});

/** How a session ends, and what it means while a statement runs in an open transaction. */
const ENDS: readonly Provocation[] = [
  ['57P01', 'in-transaction', terminated, { ...LOST_BEFORE, kind: 'shutdown' }],
  ['57P01', 'statement', terminated, { connection: 'dead', effect: 'unknown', retry: 'never', kind: 'shutdown' }],
  ['57P01', 'commit', terminated, UNKNOWN],
  [
    '57P05',
    'statement',
    idle('set idle_session_timeout = 10'),
    { effect: 'none', retry: 'connection', kind: 'deadline' },
  ],
  ['25P03', 'in-transaction', idle(IDLE_LIMIT, 'begin'), { ...LOST_BEFORE, retry: 'never', kind: 'deadline' }],
  ['25P04', 'in-transaction', idle('set transaction_timeout = 10', 'begin'), { ...LOST_BEFORE, retry: 'never' }],
];

describe('a session that the server ends', () => {
  for (const [code, phase, provoke, means] of ENDS) {
    test(`with ${code} in phase ${phase} is understood`, async ({ database }) => {
      const error = (await provoke(await worldOf(database))) as { cause?: unknown };
      expect(error.cause).toMatchObject({ code });
      expect(failureOf(error, { phase })).toMatchObject({ connection: 'dead', ...means });
    });
  }

  test('with 57P02 because of another one that crashed is understood', async ({ server }) => {
    const { a, b } = await worldOf(server);
    const victim = await pidOf(b);
    const running = errorOf(a.query('select pg_sleep(30)'));
    await busy(server);
    server.killBackend(victim);
    const error = await running;
    expect(error.cause).toMatchObject({ code: '57P02' });
    expect(failureOf(error, { phase: 'in-transaction' })).toEqual({ ...LOST_BEFORE, kind: 'shutdown' });
    await waitUntil(() => server.query('select 1').catch(() => undefined), { what: 'the server to be back' });
  });
});

describe('a connection that is cut', () => {
  test('before COMMIT was sent has rolled back', async ({ database }) => {
    const { lease, proxy, rows } = await cutting(database, () => undefined);
    proxy.resetAll();
    const during = await errorOf(lease.query('select 1'));
    expect(failureOf(during, { phase: 'in-transaction' })).toEqual({ ...LOST_BEFORE, kind: 'lost' });
    const error = await errorOf(lease.query('commit'));
    expect(failureOf(error, { phase: 'commit' })).toEqual({ ...LOST_BEFORE, kind: 'lost' });
    expect(await rows()).toBe(0);
  });

  test('while COMMIT is on its way to the server says unknown, and was rolled back', async ({ database }) => {
    const { lease, rows } = await cutting(database, ({ from, type, body }, link) => {
      if (from !== 'client' || !/[QP]/.test(type) || !body.includes('commit')) return undefined;
      link.reset();
      return 'drop';
    });
    expect(failureOf(await errorOf(lease.query('commit')), { phase: 'commit' })).toEqual(UNKNOWN);
    expect(await rows()).toBe(0);
  });

  test('while the answer to COMMIT is on its way says unknown, and was committed', async ({ database }) => {
    const { lease, rows } = await cutting(database, ({ from, type, body }, link) => {
      if (from !== 'server' || type !== 'C' || !body.includes('COMMIT')) return undefined;
      link.reset();
      return 'drop';
    });
    expect(failureOf(await errorOf(lease.query('commit')), { phase: 'commit' })).toEqual(UNKNOWN);
    expect(await rows()).toBe(1);
  });
});

const scramTest = testWithServer({ auth: 'scram', password: 'right' });
const REFUSED: Failure = { connection: 'dead', effect: 'none', retry: 'never', kind: 'refused' };
const NOT_NOW = { connection: 'dead', effect: 'none', retry: 'connection' } as const;

describe('a dial that fails', () => {
  test('because nobody listens may be tried again', async () => {
    const error = await dial({ host: '127.0.0.1', port: await freePort() });
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    expect(failureOf(error, { phase: 'dial' })).toEqual({ ...NOT_NOW, kind: 'unreachable' });
  });

  test('because there is no such host may be tried again', async () => {
    const error = await dial({ host: 'nowhere.invalid' });
    expect(failureOf(error, { phase: 'dial' })).toEqual({ ...NOT_NOW, kind: 'unreachable' });
  });

  scramTest('because of a wrong password, database or setting is not tried again', async ({ server }) => {
    const right = server.connection();
    const wrongs = { '28P01': { password: 'wrong' }, '3D000': { database: 'nowhere' }, '42704': { options: '-c a=1' } };
    for (const [code, wrong] of Object.entries(wrongs)) {
      const error = await dial({ ...right, ...wrong });
      expect(error).toMatchObject({ code });
      expect(failureOf(error, { phase: 'dial' })).toEqual(REFUSED);
    }
  });

  test('because a server without TLS is asked for it is not tried again', async ({ database }) => {
    const error = await dial({ ...database.connection, ssl: true });
    expect(failureOf(error, { phase: 'dial' })).toEqual(REFUSED);
  });

  test('because a role has all its connections may be tried again', async ({ server }) => {
    await server.query('create role crowded login connection limit 0');
    const error = await dial({ ...server.connection(), user: 'crowded' });
    expect(error).toMatchObject({ code: '53300' });
    expect(failureOf(error, { phase: 'dial' })).toEqual({ ...NOT_NOW, kind: 'capacity' });
  });

  test('because the server shuts down may be tried again', async () => {
    const server = await startPostgres();
    onTestFinished(() => server.stop());
    const { a, b } = await worldOf(server);
    const halted = server.halt('smart');
    const refusal = async (): Promise<unknown> => dial(server.connection()).catch(() => undefined);
    const error = await waitUntil(refusal, { what: 'the server to refuse newcomers' });
    expect(error).toMatchObject({ code: '57P03' });
    expect(failureOf(error, { phase: 'dial' })).toEqual({ ...NOT_NOW, kind: 'unreachable' });
    for (const one of [a, b]) await one.discard('the server waits for it');
    await halted;
  });
});

describe('a hot standby', () => {
  test('that cannot do what is asked, or gives way to its primary, is understood', async () => {
    const { primary, standby } = await impatientStandby();
    const answers: readonly Provocation[] = [
      ['0A000', 'in-transaction', last('begin isolation level serializable'), { ...FIT, kind: 'unsupported' }],
      ['25006', 'statement', last('insert into k values (3)'), { ...ASKED, kind: 'read-only' }],
      ['40001', 'in-transaction', givingWay(primary, standby, 'select pg_sleep(30) from k'), CONFLICT],
      [
        'ERR_LIFEGUARD_CONNECTION_LOST',
        'in-transaction',
        givingWay(primary, standby),
        { ...LOST_BEFORE, kind: 'conflict' },
      ],
    ];
    for (const [code, phase, provoke, means] of answers) {
      const error = await provoke(await sessionsOf(standby.connection(), standby));
      expect(error).toMatchObject({ code });
      expect(failureOf(error, { phase })).toMatchObject(means);
    }
  });
});

/** Limits of PgBouncer's are in whole seconds. */
const BOUNCED: readonly (readonly [text: RegExp, settings: object, Phase, Provocation[2], Partial<Failure>])[] = [
  [/query_wait_timeout/, { query_wait_timeout: 1 }, 'commit', waitsForA, { ...NOT_NOW, kind: 'capacity' }],
  [
    /idle transaction timeout/,
    { idle_transaction_timeout: 1 },
    'in-transaction',
    idle('begin'),
    { ...LOST_BEFORE, retry: 'never' },
  ],
  [
    /client_idle_timeout/,
    { client_idle_timeout: 1 },
    'statement',
    idle('select 1'),
    { effect: 'none', retry: 'connection' },
  ],
  [
    /query timeout/,
    { query_timeout: 1 },
    'statement',
    last('select pg_sleep(30)'),
    { effect: 'unknown', retry: 'never' },
  ],
  [
    /statement pooling mode/,
    { pool_mode: 'statement' },
    'in-transaction',
    last('begin'),
    { ...LOST_BEFORE, retry: 'never' },
  ],
];

describe.skipIf(missing('pgbouncer'))('a session behind PgBouncer', () => {
  for (const [text, settings, phase, provoke, means] of BOUNCED) {
    test(`that ends with ${text} is understood`, async ({ database }) => {
      const bouncer = await bouncerFor(database.connection, settings);
      const world = await sessionsOf(bouncer.connection(), database);
      const hasEnded = async (): Promise<boolean> => text.test(bouncer.log());
      const error = (await provoke({ ...world, hasEnded })) as Error;
      expect(error.cause).toMatchObject({ code: '08P01', severity: 'FATAL', message: expect.stringMatching(text) });
      expect(failureOf(error, { phase })).toMatchObject({ connection: 'dead', ...means });
    });
  }

  test('whose server connection is cut is lost, before COMMIT and after it', async ({ database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    const bouncer = await bouncerFor(proxy.connection());
    const { a } = await sessionsOf(bouncer.connection(), database);
    const running = errorOf(a.query('select pg_sleep(30)'));
    await busy(database);
    proxy.resetAll();
    const error = await running;
    expect(error.cause).toMatchObject({ message: 'server conn crashed?', code: '08P01' });
    expect(failureOf(error, { phase: 'in-transaction' })).toEqual({ ...LOST_BEFORE, kind: 'pooler' });
    expect(failureOf(error, { phase: 'commit' })).toEqual(UNKNOWN);
  });

  test('that cannot begin because the server is down may be tried again', async ({ database }) => {
    const target = { ...database.connection, port: await freePort() };
    const bouncer = await bouncerFor(target, { client_login_timeout: 1 });
    const error = await dial(bouncer.connection());
    expect(error).toMatchObject({ message: 'client_login_timeout (server down)', code: '08P01' });
    expect(failureOf(error, { phase: 'dial' })).toEqual({ ...NOT_NOW, kind: 'unreachable' });
  });

  test('that cannot begin because there is no such database is not tried again', async ({ database }) => {
    const bouncer = await bouncerFor(database.connection);
    const error = await dial({ ...bouncer.connection(), database: 'nowhere' });
    expect(error).toMatchObject({ message: 'database "nowhere" does not exist', code: '08P01' });
    expect(failureOf(error, { phase: 'dial' })).toEqual(REFUSED);
  });

  test('is refused where there is no such user, and may come again where all places are taken', async ({
    database,
  }) => {
    const bouncer = await bouncerFor(database.connection, { max_client_conn: 1 });
    const unknown = await dial({ ...bouncer.connection(), user: 'nobody_here' });
    expect(failureOf(unknown, { phase: 'dial' })).toEqual(REFUSED);
    await pidOf(openPool(bouncer.connection(), { ...UNLIMITED, max: 1 }));
    const crowded = await dial(bouncer.connection());
    expect(crowded).toMatchObject({ message: 'no more connections allowed (max_client_conn)' });
    expect(failureOf(crowded, { phase: 'dial' })).toEqual({ ...NOT_NOW, kind: 'capacity' });
  });
});

async function makeTables(place: Pick<Place, 'query'>): Promise<void> {
  for (const sql of ['drop table if exists l, k', TABLE_K, 'insert into k values (1), (2)', TABLE_L])
    await place.query(sql);
}

async function worldOf(place: Place): Promise<World> {
  await makeTables(place);
  const { connection } = place;
  return sessionsOf(typeof connection === 'function' ? connection.call(place) : connection, place);
}

const TABLE_K = 'create table k (id int primary key check (id > 0), x int not null default 0)';
const TABLE_L = 'create table l (id int references k deferrable initially deferred)';

async function sessionsOf(connection: object, place: Place): Promise<World> {
  const pool = openPool(connection, UNLIMITED);
  const hasEnded = async (pid: number): Promise<boolean> => (await place.backends()).every((one) => one.pid !== pid);
  const [a, b] = [await pool.lease(), await pool.lease()];
  onTestFinished(async () => void (await Promise.all([a.release(), b.release()])));
  return { a, b, place, hasEnded };
}

async function busy(place: Place): Promise<void> {
  await waitUntil(async () => (await place.backends()).some(({ state }) => state === 'active'), { what: 'it to run' });
}

/** The failure of the last text; those before it do not fail. */
function last(...texts: readonly string[]): Provocation[2] {
  return async ({ a }) => {
    for (const text of texts.slice(0, -1)) await a.query(text);
    return errorOf(a.query(texts.at(-1) as string));
  };
}

async function rowHasChanged({ a, b }: World): Promise<unknown> {
  await a.query('begin isolation level repeatable read');
  await a.query('select from k');
  await b.query('update k set x = 1');
  return errorOf(a.query('update k set x = 2'));
}

async function writeSkew({ a, b }: World): Promise<unknown> {
  for (const one of [a, b]) await one.query('begin isolation level serializable; select sum(x) from k');
  for (const [id, one] of [a, b].entries()) await one.query(`update k set x = x + 1 where id = ${id + 1}`);
  await b.query('commit');
  return errorOf(a.query('commit'));
}

async function deadlock({ a, b }: World): Promise<unknown> {
  for (const one of [a, b]) await one.query("set deadlock_timeout = '10ms'; begin");
  for (const [id, one] of [a, b].entries()) await one.query(`update k set x = 1 where id = ${id + 1}`);
  const both = [b, a].map((one, id) => one.query(`update k set x = 2 where id = ${id + 1}`));
  const lost = (await Promise.allSettled(both)).find(({ status }) => status === 'rejected');
  return (lost as PromiseRejectedResult).reason;
}

async function brokenReference({ a }: World): Promise<unknown> {
  await a.query('begin');
  await a.query('insert into l values (99)');
  return errorOf(a.query('commit'));
}

async function afterAFailure({ a }: World): Promise<unknown> {
  await a.query('begin');
  await errorOf(a.query('select 1/0'));
  return errorOf(a.query('select 1'));
}

async function namedAndForgotten({ a }: World): Promise<unknown> {
  await a.query({ name: 'n', text: 'select 1' });
  await a.query('deallocate all');
  return errorOf(a.query({ name: 'n', text: 'select 1' }));
}

async function namedAndOutdated({ a, place }: World): Promise<unknown> {
  await a.query({ name: 'n', text: 'select * from k' });
  await place.query('alter table k add column y int');
  // Outside of a transaction it is prepared anew, and nobody hears of it.
  await a.query('begin');
  return errorOf(a.query({ name: 'n', text: 'select * from k' }));
}

async function lockedByAnother({ a, b }: World): Promise<unknown> {
  await b.query('begin; lock table k');
  await a.query("begin; set local lock_timeout = '10ms'");
  return errorOf(a.query('select from k'));
}

async function tooSlow({ a }: World): Promise<unknown> {
  await a.query('set statement_timeout = 10');
  const error = await errorOf(a.query('select pg_sleep(30)'));
  await a.query('reset statement_timeout');
  return error;
}

async function cancelled({ a, place }: World): Promise<unknown> {
  await a.query('begin');
  return whileItRuns(a, place, (pid) => place.query('select pg_cancel_backend($1)', [pid]));
}

function terminated({ a, place }: World): Promise<unknown> {
  return whileItRuns(a, place, (pid) => place.query('select pg_terminate_backend($1)', [pid]));
}

async function whileItRuns(lease: Lease, place: Place, act: (pid: number) => Promise<unknown>): Promise<unknown> {
  const pid = await pidOf(lease);
  const running = errorOf(lease.query('select pg_sleep(30)'));
  await busy(place);
  await act(pid);
  return running;
}

/** The failure of a statement that comes after the session was ended for its idleness. */
function idle(...texts: readonly string[]): Provocation[2] {
  return async ({ a, b, hasEnded }) => {
    await b.discard('this one is not idle');
    const pid = await pidOf(a);
    for (const text of texts) await a.query(text);
    await waitUntil(() => hasEnded(pid), { what: 'the session to end' });
    await errorOf(a.query('select 1')); // Whether it was still sent depends on whose news travels faster.
    return errorOf(a.query('select 1'));
  };
}

async function waitsForA({ a, b }: World): Promise<unknown> {
  await a.query('begin; select 1');
  return errorOf(b.query('commit'));
}

/** A standby of a server with the tables, which gives way to it at once. */
async function impatientStandby(): Promise<{ primary: PostgresServer; standby: Standby }> {
  const primary = await startPostgres({ settings: { max_standby_streaming_delay: 0 } });
  onTestFinished(() => primary.stop());
  const standby = await startStandby(primary);
  onTestFinished(() => standby.stop());
  await makeTables(primary);
  await standby.replayed();
  return { primary, standby };
}

/** The primary takes a table away that is read, while a statement runs or between two of them. */
function givingWay(primary: PostgresServer, standby: Standby, running?: string): Provocation[2] {
  return async ({ a }) => {
    await makeTables(primary);
    await standby.replayed();
    await a.query('begin isolation level repeatable read');
    await a.query('select from k');
    const error = running === undefined ? undefined : errorOf(a.query(running));
    if (error !== undefined) await busy(standby);
    await primary.query('truncate k cascade');
    if (error !== undefined) return error;
    await standby.replayed();
    return errorOf(a.query('select 1'));
  };
}

/** In an open transaction with one row written, behind a proxy that acts on what passes. */
async function cutting(database: Database, onMessage: MessageHook): Promise<Cutting> {
  await makeTables(database);
  const proxy = await startProxy(database.connection, { onMessage });
  onTestFinished(() => proxy.close());
  const lease = await openPool(proxy.connection(), UNLIMITED).lease();
  await lease.query('begin');
  await lease.query('insert into k values (3)');
  const rows = async (): Promise<number> => {
    await database.waitFor('its session to end', (all) => all.length === 0);
    return (await database.query('select from k where id = 3')).length;
  };
  return { lease, proxy, rows };
}

interface Cutting {
  readonly lease: Lease;
  readonly proxy: FaultProxy;
  readonly rows: () => Promise<number>;
}

async function bouncerFor(target: object, settings: object = {}): Promise<PgBouncer> {
  const options = { target, poolSize: 1, settings } as PgBouncerOptions;
  const bouncer = (await startPgBouncer(options)) as PgBouncer;
  onTestFinished(() => bouncer.stop());
  return bouncer;
}

/** What a login is told. */
async function dial(config: object): Promise<Error> {
  const client = new pg.Client(config);
  client.on('error', () => undefined);
  return errorOf(client.connect().then(() => client.end()));
}
