import { createPool, type LifeguardPool } from '@lifeguard/core';
import { type PostgresServer, startPostgres } from '@lifeguard/testkit';
import { Load } from './load.ts';
import { Logbook } from './logbook.ts';
import { Mischief } from './mischief.ts';
import { WebServer } from './server.ts';

const RATE = 200;

/** Everything that plays a part: the database, the pool, the service, its users, and who provokes them. */
export class Stage {
  readonly pool: LifeguardPool;
  readonly load: Load;
  readonly log: Logbook;
  readonly mischief: Mischief;
  readonly #postgres: PostgresServer;
  readonly #web: WebServer;
  readonly #startedAt = performance.now();

  private constructor(postgres: PostgresServer, pool: LifeguardPool, open: { web: WebServer; log: Logbook }) {
    this.#postgres = postgres;
    this.#web = open.web;
    this.pool = pool;
    this.log = open.log;
    this.load = new Load(open.web.port, RATE);
    this.mischief = new Mischief({ postgres, pool, load: this.load, log: this.log });
  }

  /** `say` tells how far it is: the first time on a machine it takes a second or two. */
  static async open(say: (what: string) => void): Promise<Stage> {
    say('Starting a PostgreSQL from the embedded binaries ...');
    const startedAt = performance.now();
    const postgres = await startPostgres();
    try {
      await postgres.query(SCHEMA);
      say(`PostgreSQL is up after ${Math.round(performance.now() - startedAt)} ms, on port ${postgres.port}.`);
      return await Stage.#on(postgres);
    } catch (error) {
      await postgres.stop();
      throw error;
    }
  }

  static async #on(postgres: PostgresServer): Promise<Stage> {
    const beganAt = performance.now();
    const log = new Logbook(() => (performance.now() - beganAt) / 1_000);
    const pool = createDemoPool(postgres.url());
    const web = new WebServer(pool, (route, error) => log.noteError(route, error));
    await web.listen();
    return new Stage(postgres, pool, { web, log });
  }

  /** Seconds since it opened. */
  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1_000;
  }

  /** The order of a good shutdown: users, pool, service, database. */
  async close(): Promise<void> {
    await this.mischief.settled();
    this.pool.resume();
    await this.load.stop(LOAD_GRACE_MILLIS);
    await this.pool.close({ graceMillis: POOL_GRACE_MILLIS });
    await this.#web.close();
    await this.#postgres.stop();
    this.log.close();
  }
}

const LOAD_GRACE_MILLIS = 2_000;
const POOL_GRACE_MILLIS = 1_000;

const SCHEMA = `
  create table users (id int primary key, name text not null);
  insert into users select n, 'user ' || n from generate_series(1, 100) n;
  create table orders (placed_at timestamptz not null);`;

/** Small and impatient, so that within a minute everything can be seen. */
function createDemoPool(connectionString: string): LifeguardPool {
  return createPool({
    connectionString,
    name: 'shop',
    max: 8,
    min: 2,
    acquireTimeoutMillis: 5_000,
    idleTimeoutMillis: 5_000,
    leakAfterMillis: 1_000,
    reclaimAfterMillis: 4_000,
  });
}
