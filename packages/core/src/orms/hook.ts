import { LifeguardError } from '../errors.ts';
import type { PgModule, PgPoolOptions } from '../facade/pg-pool-options.ts';
import type { LifeguardPool } from '../lifeguard-pool.ts';
import { ownOptions } from '../scope/call-options.ts';

/** What a hook is told beside the library and the pool. */
export interface HookOptions<Pg extends PgModule = PgModule>
  extends Pick<PgPoolOptions<Pg>, 'pg' | 'late' | 'isolateStatements'> {}

/** Without the type parsers: those are the library's own, and the hook brings them. */
export const NO_HOOK_OPTIONS: HookOptions = Object.freeze({
  pg: undefined as unknown as PgModule,
  late: undefined,
  isolateStatements: undefined,
});

/** A façade of one library's, as the hooks use it. */
export interface Lender<Client> {
  connect(callback?: unknown): Promise<Client>;
  /** Resolves when everything lent is back. A second call awaits the first one. */
  end(): Promise<void>;
}

export function lenderOf<Client>(pool: LifeguardPool, options: PgPoolOptions): Lender<Client> {
  const pgPool = pool.asPgPool(options) as Lender<Client>;
  let ended: Promise<void> | undefined;
  return {
    connect: (callback) => pgPool.connect(callback),
    end: () => (ended ??= pgPool.end()),
  };
}

/** One hook, by its name: what it asks before it touches anything, and how it refuses. */
export class Hook {
  readonly #name: string;
  /** What it did its work on, and for which pool: doing it twice is harmless. */
  readonly #done = new WeakMap<object, LifeguardPool>();

  constructor(name: string) {
    this.#name = name;
  }

  refuse(complaint: string): never {
    throw new LifeguardError('ERR_LIFEGUARD_OPTION', `${this.#name}() changed nothing: ${complaint}.`);
  }

  checkPool(pool: LifeguardPool): void {
    const isOne = typeof pool?.asPgPool === 'function' && typeof pool.whereabouts?.whole === 'function';
    if (!isOne) this.refuse('it takes the pool that createPool() answers with, and makes a pg.Pool of it by itself');
  }

  /** Own parts only, each of them known; what is wrong with their values `asPgPool` says. */
  readOptions<Options extends HookOptions>(given: Options, absent: Options): Options {
    if (typeof given !== 'object' || given === null) this.refuse('it needs the package pg: { pg }');
    const options = ownOptions<Options>(given, absent, (complaint) => this.refuse(complaint));
    if (typeof options.pg?.Pool !== 'function') this.refuse('pg is the package itself: import pg from "pg"; { pg }');
    return options;
  }

  /** What is not public may be another one with the next version. */
  checkVersion(library: string, found: string, tested: string): void {
    if (found.startsWith(`${tested}.`)) return;
    this.refuse(
      `it uses private parts of ${library}, and was tested with ${tested}.x; this is ${found}. Use ${library} ${tested}, or a version of Lifeguard that knows ${found}`,
    );
  }

  /** Whether it was done before, for this pool. */
  isDone(library: object, pool: LifeguardPool): boolean {
    const before = this.#done.get(library);
    if (before !== undefined && before !== pool)
      this.refuse(`this one works with the pool "${before.name}" already; make another one for "${pool.name}"`);
    return before !== undefined;
  }

  note(library: object, pool: LifeguardPool): void {
    this.#done.set(library, pool);
  }

  forget(library: object): void {
    this.#done.delete(library);
  }
}
