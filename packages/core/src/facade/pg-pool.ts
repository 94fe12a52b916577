import { LifeguardError } from '../errors.ts';
import { ownOptions } from '../scope/call-options.ts';
import type { FacadeClient } from './client.ts';
import type { Likeness } from './likeness.ts';
import { NOTHING } from './nothing.ts';
import type { PgModule, PgPoolOptions } from './pg-pool-options.ts';
import { type Connected, PoolFace } from './pool-face.ts';
import { type Callback, call } from './request.ts';
import type { Emit } from './voice.ts';
import type { Manner, Whereabouts } from './whereabouts.ts';

const ABSENT: PgPoolOptions = Object.freeze({
  pg: undefined as unknown as PgModule,
  types: undefined,
  late: undefined,
  isolateStatements: undefined,
});

/** A `pg.Pool` of the caller's own class that works with our pool, and in the transaction around whoever calls it. */
export function pgPool<Pg extends PgModule>(
  whereabouts: Whereabouts,
  given: PgPoolOptions<Pg>,
  { options, types }: Likeness,
): InstanceType<Pg['Pool']> {
  const { pg, ...rest } = readOptions<Pg>(given);
  const own = (pg as { readonly types?: object }).types;
  const manner: Manner = { ...rest, types: rest.types ?? (own === types ? undefined : own), driverTypes: types };
  const made = new (subclass(pg.Pool as unknown as PoolClass, whereabouts, manner))(options);
  whereabouts.made(made);
  return made as InstanceType<Pg['Pool']>;
}

/** As emit() would, but what async listeners do is awaited: a connection is to be lent as they want it. */
async function greet(pool: Emitter, client: FacadeClient): Promise<void> {
  const work = pool.rawListeners('connect').map((listener) => {
    let answer: unknown;
    call(() => {
      answer = listener.call(pool, client);
    });
    return answer;
  });
  for (const one of await Promise.allSettled(work)) {
    // In pg nobody awaits a listener.
    if (one.status === 'rejected') void Promise.reject(one.reason);
  }
}

interface Emitter {
  emit(event: string, ...args: unknown[]): boolean;
  listenerCount(event: string): number;
  on(event: string, listener: () => void): unknown;
  // biome-ignore lint/complexity/noBannedTypes: as Node declares it.
  rawListeners(event: string): Function[];
}

type PoolClass = new (options: object) => Emitter;

/** Some libraries look for the word Pool in its name. */
function subclass(Pool: PoolClass, whereabouts: Whereabouts, manner: Manner): PoolClass {
  return class LifeguardPgPool extends Pool {
    readonly #face: PoolFace;
    ending = false;
    ended = false;

    constructor(options: object) {
      super(options);
      const emit: Emit = (event, ...args) => {
        // An error that nobody hears would end the process.
        if (this.listenerCount(event) > 0) call(() => void this.emit(event, ...args));
      };
      this.#face = new PoolFace(whereabouts, manner, { emit, greet: (client) => greet(this, client) });
      // Some libraries warn where nobody listens to these.
      this.on('error', NOTHING);
      this.on('connect', NOTHING);
    }

    connect(callback?: Connected): Promise<FacadeClient> | undefined {
      return this.#face.connect(callback);
    }

    query(given: unknown, values?: unknown, callback?: unknown): unknown {
      return this.#face.query(given, values, callback);
    }

    end(callback?: Callback): Promise<void> | undefined {
      this.ending = true;
      return this.#face.end(callback, () => {
        this.ended = true;
      });
    }

    get totalCount(): number {
      return this.#face.snapshot().size;
    }

    get idleCount(): number {
      return this.#face.snapshot().idle;
    }

    get waitingCount(): number {
      return this.#face.snapshot().waiting;
    }

    /** Those that are past their lifetime go by themselves, as soon as they are idle. */
    get expiredCount(): number {
      return 0;
    }
  };
}

function readOptions<Pg extends PgModule>(given: PgPoolOptions<Pg>): Omit<Manner, 'driverTypes'> & { readonly pg: Pg } {
  const options = ownOptions<PgPoolOptions>(given, ABSENT, refuse);
  const { pg, types, late = 'refuse', isolateStatements = true } = options;
  if (typeof pg?.Pool !== 'function') refuse('pg is the package itself: import pg from "pg"; asPgPool({ pg })');
  if (typeof pg.Pool.prototype?.connect !== 'function') refuse('pg.Pool is no class of connections to PostgreSQL');
  if (types !== undefined && typeof types?.getTypeParser !== 'function')
    refuse('types are an object with getTypeParser(oid, format)');
  if (late !== 'refuse' && late !== 'pool') refuse('late is "refuse" or "pool"');
  if (typeof isolateStatements !== 'boolean') refuse('isolateStatements must be true or false');
  return { pg: pg as Pg, types, late, isolateStatements };
}

function refuse(complaint: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_OPTION', `asPgPool() made nothing: ${complaint}.`);
}
