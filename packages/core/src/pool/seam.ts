import type { CloseReason } from '../events.ts';

export type { CloseReason };

/**
 * The seam between the pool and what it pools. The pool owns it and knows nothing else of a connection: not what
 * protocol it speaks, not what is sent on it. `pg/` implements it for PostgreSQL.
 */
export interface Seam<Connection> {
  /**
   * Opens a connection. The signal says that nobody wants it any more: whoever resolves all the same is closed.
   * `lost` is called at most once, when the connection has ended without being asked to.
   */
  connect(signal: AbortSignal, lost: (error: unknown) => void): Promise<Connection>;
  /** The rest of a login, `onConnect` included. One that rejects is closed. */
  introduce(connection: Connection): Promise<void>;
  /** Rejects when the connection does not answer. The pool sets the time limit. */
  check(connection: Connection): Promise<void>;
  /** Puts a session back as it was. Rejects when that cannot be done. The pool sets the time limit. */
  clean(connection: Connection): Promise<void>;
  /** Stops what still runs. Rejects when it is not sure that nothing is left of it. The pool sets the time limit. */
  interrupt(connection: Connection): Promise<void>;
  /**
   * Takes leave. Resolves when the *server* has closed its side; rejects when that cannot be seen: then the server must
   * be asked (`confirmClosed`).
   */
  close(connection: Connection): Promise<void>;
  /** Cuts the connection off, for one that does not close. `close` may still resolve later. */
  destroy(connection: Connection): void;
  /** Which of the connections that were destroyed are known to be gone at the server's side. Settles when aborted. */
  confirmClosed(connections: readonly Connection[], signal: AbortSignal): Promise<readonly Connection[]>;
  /** Whether a failure to connect will last until somebody changes something: a wrong password, not a restart. */
  isPermanent(error: unknown): boolean;
  /** What an error on this connection says about the others. */
  contagion(connection: Connection, error: unknown): Contagion;
  /** What runs on a lane has not been answered for long: whatever it is, it is to have a connection to itself from now on. */
  stalled(connection: Connection): void;
  /** An idle connection need not keep the process alive. */
  rest(connection: Connection): void;
  wake(connection: Connection): void;
}

/** `suspect`: check the others before use. `stale`: they are healthy and must not be used (a demoted primary). */
export type Contagion = 'none' | 'suspect' | 'stale';

/** What may be done with a connection that comes back. */
export type Verdict =
  | { readonly kind: 'keep' }
  | { readonly kind: 'clean' }
  | { readonly kind: 'interrupt' }
  | { readonly kind: 'discard'; readonly reason: CloseReason };
