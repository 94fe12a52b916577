import type { LifeguardPool } from '../lifeguard-pool.ts';
import { Hook, type HookOptions, lenderOf, NO_HOOK_OPTIONS } from './hook.ts';

/** What we are given. https://www.atdatabases.org/docs/pg-guide-connections */
export interface DatabasesLike {
  tx(...args: never[]): Promise<unknown>;
  dispose(): Promise<void>;
}

/** A client of the façade, or of pg. */
interface Client {
  query(text: string): Promise<{ readonly rows: readonly Record<string, unknown>[] }>;
  release(): void;
  removeListener(event: string, listener: unknown): unknown;
}

/** What it wraps a client in. */
interface Driver {
  readonly constructor: new (client: Client, handlers: unknown, acquireLockTimeoutMilliseconds: unknown) => Driver;
  readonly client: Client;
  readonly _handlers: unknown;
  readonly acquireLockTimeoutMilliseconds: unknown;
  readonly _onIdleError: unknown;
}

/** A connection that is lent, and the two ways to give it back. */
interface Lent {
  readonly connection: Driver;
  release(): void;
  dispose(): void;
}

/** It is not public, and the package does not say its version: its shape is looked at instead. */
interface Inside {
  _pool?: { getConnection(): Promise<Lent>; drain(): Promise<void> };
  readonly _types?: { getTypeParser(oid: number, format?: string): unknown };
}

const HOOK: Hook = new Hook('databasesOn');
/** Those that are being hooked, or are. */
const COMING = new WeakMap<object, Promise<void>>();

/**
 * Makes a connection pool of `@databases/pg` work with our pool, and in the transaction around whoever calls it. It
 * dials once with its own options, to learn the types that it knows by name; await the answer, which is the same object,
 * before it is used.
 */
export async function databasesOn<Db extends DatabasesLike>(
  db: Db,
  pool: LifeguardPool,
  options: HookOptions,
): Promise<Db> {
  HOOK.checkPool(pool);
  const hookOptions = HOOK.readOptions(options, NO_HOOK_OPTIONS);
  const isDone = HOOK.isDone(Object(db), pool);
  if (!isDone) {
    const coming = attach(insideOf(db), pool, hookOptions);
    HOOK.note(db, pool);
    COMING.set(db, coming);
    // After a failure, a server that is down perhaps, it may be tried again.
    coming.catch(() => HOOK.forget(db));
  }
  await COMING.get(db);
  return db;
}

function insideOf(db: DatabasesLike): Required<Inside> {
  const { _pool, _types } = (db ?? {}) as Inside;
  if (typeof db?.tx !== 'function' || typeof db.dispose !== 'function')
    HOOK.refuse('it takes what createConnectionPool() of @databases/pg answers with');
  if (typeof _pool?.getConnection !== 'function' || typeof _pool.drain !== 'function') refuseShape('_pool');
  if (typeof _types?.getTypeParser !== 'function') refuseShape('_types');
  return db as unknown as Required<Inside>;
}

async function attach(inside: Required<Inside>, pool: LifeguardPool, options: HookOptions): Promise<void> {
  // Asked each time: more are registered while it runs.
  const getTypeParser = (oid: number, format?: string): unknown => inside._types.getTypeParser(oid, format);
  const lender = lenderOf<Client>(pool, { ...options, types: { getTypeParser } });
  const driver = await pattern(inside._pool, pool).catch((error: unknown) => {
    void lender.end();
    throw error;
  });
  inside._pool = {
    getConnection: async () => lent(await lender.connect(), driver),
    drain: () => lender.end(),
  };
}

/** One connection of its own, once, and never another: it has what others are made like. */
async function pattern(own: Required<Inside>['_pool'], pool: LifeguardPool): Promise<Driver> {
  const one = await own.getConnection();
  try {
    if (!isDriver(one.connection)) refuseShape('driver');
    await compare(one.connection.client, pool);
  } finally {
    one.release();
  }
  await own.drain();
  return one.connection;
}

function isDriver(driver: Partial<Driver> | undefined): boolean {
  const { client, _handlers, _onIdleError } = driver ?? {};
  const isOne = typeof client?.query === 'function' && typeof _onIdleError === 'function';
  return isOne && typeof _handlers === 'object' && _handlers !== null;
}

/** Types that were learnt in another database have other numbers there, and a `schema` option is not ours to keep. */
async function compare(client: Client, pool: LifeguardPool): Promise<void> {
  const [theirs, ours] = await Promise.all([client.query(WHERE), pool.outside(() => pool.query(WHERE))]);
  const [its, pools] = [theirs.rows[0]?.['place'], ours.rows[0]?.['place']];
  if (its === pools) return;
  HOOK.refuse(
    `it works in another place than the pool: ${String(its)}, and not ${String(pools)}. Give both the same address; in place of its option "schema", createPool({ options: "-c search_path=…" })`,
  );
}

const WHERE = `select format('database %I, search_path %s', current_database(), current_setting('search_path')) as place`;

function lent(client: Client, pattern: Driver): Lent {
  const connection = new pattern.constructor(client, pattern._handlers, pattern.acquireLockTimeoutMilliseconds);
  // Not its own dispose(), which destroys the socket.
  const release = (): void => {
    client.removeListener('error', connection._onIdleError);
    client.release();
  };
  return { connection, release, dispose: release };
}

function refuseShape(part: string): never {
  HOOK.refuse(
    `its ${part} is not what it was in @databases/pg 6.1, with which this was tested: use that, or a version of Lifeguard that knows this one`,
  );
}
