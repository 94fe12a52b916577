/**
 * Exactly one of these. What is sent makes it running, the last answer ready again; `leave()` and the end of the socket
 * are final. Only `#move` changes it.
 */
export type ConnectionState =
  | { readonly kind: 'ready' }
  | Running
  /** Terminate is sent: we wait for the server to close its side. */
  | { readonly kind: 'leaving' }
  | { readonly kind: 'ended'; readonly error: unknown };

export interface Running {
  readonly kind: 'running';
  /** Flights of one holder, or of many who share the connection; or something that answers to itself. */
  readonly what: 'flights' | 'riders' | Lent;
  /** Somebody waits for this to be over. */
  over: PromiseWithResolvers<void> | undefined;
}

/** Lent to a cursor, a stream or a COPY, until pg says that nothing runs any more. */
export interface Lent {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export const READY: ConnectionState = Object.freeze({ kind: 'ready' });
