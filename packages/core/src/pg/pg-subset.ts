import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Submittable } from './submittable.ts';
import type { TypeParsers } from './type-parsers.ts';

/**
 * Everything that we rely on in `pg`, a reason each. What is not documented by pg is marked so, and is covered by the
 * tests of `pg-connection`, so that a release that changes it is noticed by us first.
 * The links are to pg's documentation (https://node-postgres.com) or to the protocol it implements.
 */
export interface PgClient {
  /** https://node-postgres.com/apis/client#clientconnect */
  connect(): Promise<unknown>;
  /** A cursor, a stream, a COPY: https://node-postgres.com/apis/cursor. It answers to itself. */
  query(submittable: Submittable): unknown;
  /** https://node-postgres.com/apis/client#events: `error`, `notice`, `end`; `drain` is not documented (see below). */
  on(event: 'error' | 'notice', listener: (error: ServerMessage) => void): unknown;
  /** Emitted when the queue is empty *and* ReadyForQuery has been read, also after an error. Not documented. */
  on(event: 'drain', listener: () => void): unknown;
  once(event: 'end', listener: () => void): unknown;
  /** Since 8.21: the status byte of the last ReadyForQuery. Stale until that has come: see `drain`. */
  getTransactionStatus(): 'I' | 'T' | 'E' | null;
  /** https://node-postgres.com/apis/client#clientref: whether the socket keeps the process alive. */
  ref(): void;
  unref(): void;
  /** BackendKeyData, for CancelRequest. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS */
  readonly processID: number | null;
  readonly secretKey: number | null;
  readonly host: string;
  readonly port: number;
  /** What TLS was asked for, so that a cancel travels the same way. */
  readonly ssl: boolean | object;
  readonly sslNegotiation?: string;
  /** Asked at every login when it is a function. Writable, so that it can go with a connection string. Not documented. */
  password: unknown;
  /** What it will send at login, from configuration, connection string and environment. Not documented. */
  readonly connectionParameters: { options?: string | undefined; query_timeout?: unknown };
  readonly connection: PgWire;
  /** The type parsers of this client. Not documented. */
  readonly _types: TypeParsers;
}

/** pg's own protocol layer. Not documented. */
export interface PgWire {
  readonly stream: Socket | TLSSocket;
  /** Names of the prepared statements that it believes the server has. */
  readonly parsedStatements: Record<string, string>;
  sync(): void;
  sendCopyFail(message: string): void;
  /** Terminate, and the end of our side. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-TERMINATION */
  end(): void;
  on(event: 'parameterStatus', listener: (message: { parameterName: string; parameterValue: string }) => void): unknown;
  /** ParseComplete, BindComplete and NoData, which pg takes in without handing them on. */
  on(event: 'parseComplete' | 'bindComplete' | 'noData', listener: () => void): unknown;
  /** Every ErrorResponse, also of what answers to itself. */
  on(event: 'errorMessage', listener: (error: ServerMessage) => void): unknown;
}

/** ErrorResponse and NoticeResponse. https://www.postgresql.org/docs/current/protocol-error-fields.html */
export interface ServerMessage extends Error {
  readonly code?: string;
  readonly severity?: string | undefined;
  readonly routine?: string;
}

export type PgClientClass = new (config: object) => PgClient;
