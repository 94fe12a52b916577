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
  /**
   * What becomes of a statement, or of a `connect()`, that comes when the transaction or the scope around it has ended: refused
   * with a code, or run by the pool. Where settings or a role were meant to hold, it is refused either way. @default 'refuse'
   */
  readonly late?: 'refuse' | 'pool' | undefined;
  /**
   * Whether a statement in a transaction fails for itself, as on a pool, behind a savepoint of its own. Then those that are asked
   * for at once go one after the other, and not together. Up to 64 that write in one transaction; from there on they fail with it,
   * and a warning says so (`LIFEGUARD_MANY_SAVEPOINTS`). Not inside a BEGIN of the library, as on any connection. @default true
   */
  readonly isolateStatements?: boolean | undefined;
}
