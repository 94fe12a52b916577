import type { LifeguardPool } from '../lifeguard-pool.ts';
import { Hook, type HookOptions, type Lender, lenderOf, NO_HOOK_OPTIONS } from './hook.ts';

/** What we are given. https://sequelize.org/api/v6/class/src/sequelize.js~sequelize */
export interface SequelizeLike {
  getDialect(): string;
}

/** A client of the façade; one that Sequelize has dialled itself has no release. */
interface Client {
  release(error?: unknown): void;
}

/** What its managers of connections have in common, and what is PostgreSQL's. It is not public: hence the version check. */
interface Manager {
  pool: {
    acquire(): Promise<Client>;
    release(client: Client): void;
    destroy(client: Client): Promise<void>;
    drain(): Promise<void>;
    destroyAllNow(): Promise<void>;
  };
  connect(): Promise<Client>;
  disconnect(client: Client): Promise<void>;
  getTypeParser(oid: number, format?: string): unknown;
  /** Filled from the database, for types of no fixed number: enums, ranges, arrays. */
  readonly nameOidMap: object;
  _refreshDynamicOIDs(client: Client): Promise<void>;
}

interface Inside {
  readonly constructor: { readonly version?: unknown };
  readonly config?: { readonly replication?: unknown; readonly native?: unknown };
  readonly connectionManager?: Manager;
}

const HOOK: Hook = new Hook('sequelizeOn');
const TESTED = '6.37';
/** Of the servers that we support. It decides on spellings that older ones do not have. */
const OLDEST = '14.0.0';

/**
 * Makes a Sequelize work with our pool, and in the transaction around whoever calls it. Call it right after
 * `new Sequelize(...)`; the answer is the same object. Its own options of connections and pool have no effect then.
 */
export function sequelizeOn<Sequelize extends SequelizeLike>(
  sequelize: Sequelize,
  pool: LifeguardPool,
  options: HookOptions,
): Sequelize {
  HOOK.checkPool(pool);
  const hookOptions = HOOK.readOptions(options, NO_HOOK_OPTIONS);
  const manager = managerOf(sequelize);
  if (HOOK.isDone(sequelize, pool)) return sequelize;
  attach(manager, pool, hookOptions);
  // Or its first caller asks, and all others wait for that answer: also those who have the connections that it waits for.
  const { options: its } = sequelize as { readonly options?: { databaseVersion?: unknown } };
  if (its !== undefined) its.databaseVersion ||= OLDEST;
  HOOK.note(sequelize, pool);
  return sequelize;
}

function managerOf(sequelize: SequelizeLike): Manager {
  const inside = (sequelize ?? {}) as Inside;
  const { config, connectionManager } = inside;
  const version = inside.constructor?.version;
  if (typeof version !== 'string' || typeof sequelize.getDialect !== 'function')
    HOOK.refuse('it takes a Sequelize: sequelizeOn(new Sequelize({ dialect: "postgres" }), pool, { pg })');
  HOOK.checkVersion('Sequelize', version as string, TESTED);
  if (sequelize.getDialect() !== 'postgres') HOOK.refuse(`its dialect is "${sequelize.getDialect()}", not "postgres"`);
  if (config?.native) HOOK.refuse('it is set to "native", which is another driver than pg');
  if (config?.replication)
    HOOK.refuse('it is set to "replication", and all of one pool is one server: make one Sequelize for each pool');
  if (typeof connectionManager?.pool?.acquire !== 'function' || typeof connectionManager.getTypeParser !== 'function')
    HOOK.refuse('its connectionManager is not that of Sequelize: something else replaced it');
  return connectionManager as Manager;
}

/** In place of the pool under it: its hooks, its `close()` and its question for the server's version stay as they are. */
function attach(manager: Manager, pool: LifeguardPool, options: HookOptions): void {
  // Asked each time: its table of types is another one when it has found the enums.
  const types: Pick<Manager, 'getTypeParser'> = {
    getTypeParser: (oid, format) => manager.getTypeParser(oid, format),
  };
  const lender = lenderOf<Client>(pool, { ...options, types });
  const own = manager.pool;
  manager.connect = () => lender.connect();
  const disconnect = manager.disconnect.bind(manager);
  // It may have dialled before, and has to hang up then.
  manager.disconnect = async (client) => (typeof client.release === 'function' ? client.release() : disconnect(client));
  manager.pool = {
    acquire: () => acquire(manager, lender),
    release: (client) => client.release(),
    destroy: async (client) => client.release(true),
    drain: () => lender.end(),
    destroyAllNow: async () => undefined,
  };
  putAway(own).catch(() => undefined); // what cannot be put away ends by its own idle timeout
}

/** It dials at once where its `pool.min` says so. */
async function putAway(own: Manager['pool']): Promise<void> {
  await own.drain();
  await own.destroyAllNow();
}

async function acquire(manager: Manager, lender: Lender<Client>): Promise<Client> {
  const client = await lender.connect();
  if (Object.keys(manager.nameOidMap).length > 0) return client;
  try {
    await manager._refreshDynamicOIDs(client);
  } catch (error) {
    client.release();
    throw error;
  }
  return client;
}
