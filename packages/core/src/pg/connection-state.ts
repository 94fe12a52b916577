/**
 * Exactly one of these. A statement makes it running, its answer ready again; `leave()` and the end of the socket are
 * final. Only `#move` changes it.
 */
export type ConnectionState =
  | { readonly kind: 'ready' }
  | Running
  /** Terminate is sent: we wait for the server to close its side. */
  | { readonly kind: 'leaving' }
  | { readonly kind: 'ended'; readonly error: unknown };

export interface Running {
  readonly kind: 'running';
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
  /** Who says that it is over: pg's callback, or for what answers to itself, ReadyForQuery. */
  readonly until: 'callback' | 'ready';
  /** Of a prepared statement. */
  readonly name: string | undefined;
  /** The statement has failed, and ReadyForQuery has not come yet: until then the status byte is that of before. */
  failure: unknown;
  /** Not bound: a value could not be converted, and pg has closed again what it had prepared. */
  step: 'binding' | 'sent' | 'not-bound';
  /** Somebody waits for this to be over. */
  over: PromiseWithResolvers<void> | undefined;
}
