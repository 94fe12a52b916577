/** What we need of the package `pg`, whichever copy of it a library has. */
export interface PgModule {
  readonly Pool: new (options?: never) => object;
}

/** How the façade is to be. */
export interface PgPoolOptions<Pg extends PgModule = PgModule> {
  /** The package `pg` as the library loads it: some ask whether a pool is an instance of exactly its `Pool`. */
  readonly pg: Pg;
  /** The type parsers of statements that bring none. @default those of `pg` */
  readonly types?: { getTypeParser(oid: number, format?: string): unknown } | undefined;
  /** What becomes of a statement that comes when its transaction has ended: refused with a code, or run by the pool. @default 'refuse' */
  readonly late?: 'refuse' | 'pool' | undefined;
  /** Whether a statement in a transaction fails for itself, as on a pool, behind a savepoint of its own. @default true */
  readonly isolateStatements?: boolean | undefined;
}
