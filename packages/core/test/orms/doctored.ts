import { onTestFinished } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import type { Whereabouts } from '../../src/facade/whereabouts.ts';
import { createPool, type LifeguardPool } from '../../src/index.ts';
import { databasesOn, prismaOn, sequelizeOn } from '../../src/orms/index.ts';

/** A pool that never dials. */
export function silentPool(name = 'shop'): LifeguardPool {
  const pool = createPool({ name, host: '127.0.0.1', port: 1 });
  onTestFinished(() => pool.close({ graceMillis: 0 }));
  return pool;
}

/** Whether the running code is inside a call that was made nestable. What says so is not for users. */
export function isMarked(pool: LifeguardPool): boolean {
  return (pool as unknown as { readonly whereabouts: Whereabouts }).whereabouts.marks.current() !== undefined;
}

/** Parts of a library as it is inside, each of which a test may put another one in the place of. */
type Parts = Record<string, unknown>;

/** As Sequelize is inside. */
export function sequelizeLike({ version = '6.37.8', ...parts }: Parts = {}): { getDialect(): string } {
  class Sequelize {
    static readonly version: unknown = version;
    readonly config: unknown = {};
    readonly connectionManager: unknown = new SequelizeManager();

    getDialect(): string {
      return 'postgres';
    }
  }
  return Object.assign(new Sequelize(), parts);
}

export class SequelizeManager {
  readonly log: string[] = [];
  nameOidMap: object = {};
  pool = {
    acquire: async () => this.log.push('own acquire'),
    drain: async () => this.log.push('own drain'),
    destroyAllNow: async () => this.log.push('own destroy'),
  };
  connect = async (): Promise<unknown> => this.log.push('own connect');
  disconnect = async (): Promise<unknown> => this.log.push('own disconnect');

  getTypeParser(oid: number): (text: string) => string {
    return (text) => `${oid in this.nameOidMap ? 'known' : 'unknown'} ${text}`;
  }

  async _refreshDynamicOIDs(client: { query(text: string): Promise<{ rows: object[] }> }): Promise<void> {
    this.log.push('looks for types');
    await client.query('select 1');
    this.nameOidMap = { 23: true };
  }
}

/** Answers whatever is asked for in one tick together, as Prisma's does. */
export class Loader {
  readonly batches: unknown[][] = [];
  readonly options: { readonly batchBy: unknown; readonly answered: unknown[][] };
  #batch: unknown[] | undefined;

  constructor(options: Loader['options']) {
    this.options = options;
  }

  async request(request: unknown): Promise<unknown> {
    if (this.#batch === undefined) {
      this.#batch = [];
      this.options.answered.push(this.#batch);
      queueMicrotask(() => {
        this.#batch = undefined;
      });
    }
    this.#batch.push(request);
    return request;
  }
}

/** As Prisma is inside. */
export function prismaLike(parts: Parts = {}): { $disconnect(): Promise<void>; answered: unknown[][]; loader: Loader } {
  const answered: unknown[][] = [];
  const loader = new Loader({ batchBy: () => undefined, answered });
  return {
    ...{ _clientVersion: '7.10.1', _requestHandler: { dataloader: loader }, answered, loader },
    ...{ $disconnect: async () => undefined },
    ...parts,
  };
}

/** As @databases/pg is inside, on a pool of pg. */
export function databasesLike(own: pg.Pool, parts: Parts = {}): { tx(): Promise<unknown>; dispose(): Promise<void> } {
  const types = { getTypeParser: () => (text: string) => `its ${text}` };
  const getConnection = async (): Promise<object> => {
    const client = await own.connect();
    const connection = new DatabasesDriver(client, {}, 60_000);
    const release = (): void => client.release();
    return { connection, release, dispose: release };
  };
  const inside = { _pool: { getConnection, drain: () => own.end() }, _types: types };
  return { tx: async () => undefined, dispose: async () => undefined, ...inside, ...parts };
}

export class DatabasesDriver {
  readonly client: pg.PoolClient;
  readonly _handlers: unknown;
  readonly acquireLockTimeoutMilliseconds: number;
  readonly _onIdleError = (): void => undefined;

  constructor(client: pg.PoolClient, handlers: unknown, acquireLockTimeoutMilliseconds: number) {
    this.client = client;
    this._handlers = handlers;
    this.acquireLockTimeoutMilliseconds = acquireLockTimeoutMilliseconds;
    client.on('error', this._onIdleError);
  }
}

/** The hooks that take a library's object, each by its name. */
export const ON: Readonly<Record<string, (library: never, pool: LifeguardPool) => unknown>> = {
  sequelizeOn: (library, pool) => sequelizeOn(library, pool, { pg }),
  databasesOn: (library, pool) => databasesOn(library, pool, { pg }),
  prismaOn: (library, pool) => prismaOn(library, pool),
};
