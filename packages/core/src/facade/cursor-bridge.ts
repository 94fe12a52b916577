import { EventEmitter } from 'node:events';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { Server } from '../scope/ground.ts';
import { AS_THEY_CAME } from './query-reading.ts';

/** What pg-cursor is told of its rows. pg-query-stream is one of these inside a stream. https://node-postgres.com/apis/cursor */
interface Cursor extends Submittable {
  readonly text: string;
  readonly values: readonly unknown[] | null;
  _result?: { _types?: unknown };
  submit(connection: object): unknown;
  read(...args: never[]): unknown;
  handleRowDescription(message: object): void;
  handleDataRow(message: object): void;
  handlePortalSuspended(): void;
  handleCommandComplete(message: object): void;
  handleReadyForQuery(): void;
  handleError(error: unknown): void;
}

type Ask = (statement: Statement) => Promise<QueryResult | QueryResult[]>;

/**
 * What a cursor takes for its connection. A portal keeps the connection to itself from one read to the next, and whoever
 * asks for anything else in between waits for ever. DECLARE and FETCH leave it free between two reads.
 * https://www.postgresql.org/docs/current/sql-declare.html
 */
export class CursorBridge extends EventEmitter {
  readonly #cursor: Cursor;
  readonly #ask: Ask;
  readonly #name: string;
  /** What it asked for, one after the other. */
  #last: Promise<void>;
  #state: 'declared' | 'asked' | 'described' | 'failed' | 'closed' = 'declared';

  private constructor(cursor: Cursor, ask: Ask) {
    super();
    this.#cursor = cursor;
    this.#ask = ask;
    this.#name = `lifeguard_c${++count}`;
    this.#last = Promise.resolve();
  }

  /** Undefined where it is no cursor, nor a stream around one, or the server declares none for such a text. */
  static over(submittable: Submittable, server: Server, ask: Ask): CursorBridge | undefined {
    const cursor = cursorOf(submittable);
    if (cursor === undefined || !server.declares(cursor.text)) return undefined;
    return new CursorBridge(cursor, ask);
  }

  /** Hands itself to the cursor as a connection. */
  open(): void {
    const { text, values } = this.#cursor;
    this.#then(async () => {
      await this.#ask({ text: `DECLARE ${this.#name} NO SCROLL CURSOR FOR ${text}`, values: values ?? undefined });
    });
    this.#cursor.submit(this);
    queueMicrotask(() => this.#describe());
  }

  // What follows is called by the cursor, by the names of pg's connection.

  parse(): void {}

  bind(): void {}

  describe(): void {}

  flush(): void {}

  execute({ rows }: { readonly rows?: number }): void {
    if (this.#state === 'declared') this.#state = 'asked';
    this.#then(async () => {
      if (this.#state === 'closed' || this.#state === 'failed') return;
      const fetch = {
        text: `FETCH ${rows || 'ALL'} FROM ${this.#name}`,
        rowMode: 'array',
        types: AS_THEY_CAME,
      } as const;
      this.#tell((await this.#ask(fetch)) as QueryResult, rows ?? 0);
    });
  }

  close(): void {
    this.#then(async () => {
      // What it waits for was told with the error, when it did not wait for it yet.
      if (this.#state === 'failed') return void this.emit('readyForQuery');
      if (this.#state === 'closed') return;
      this.#state = 'closed';
      await this.#ask({ text: `CLOSE ${this.#name}` });
    });
  }

  sync(): void {
    this.#last = this.#last.then(() => {
      if (this.#state !== 'failed') this.#cursor.handleReadyForQuery();
      this.emit('readyForQuery');
    });
  }

  #tell({ rows, fields }: QueryResult, wanted: number): void {
    this.#told(fields);
    for (const row of rows) this.#cursor.handleDataRow({ fields: row, fieldCount: fields.length });
    if (wanted > 0 && rows.length === wanted) this.#cursor.handlePortalSuspended();
    else this.#cursor.handleCommandComplete({ text: `SELECT ${rows.length}` });
  }

  /** Reads that it was asked for before it was submitted wait for its columns. */
  #describe(): void {
    if (this.#state !== 'declared') return;
    this.#then(async () => {
      if (this.#state !== 'declared') return;
      const { fields } = (await this.#ask({ text: `FETCH 0 FROM ${this.#name}`, rowMode: 'array' })) as QueryResult;
      this.#told(fields);
    });
  }

  #told(fields: QueryResult['fields']): void {
    if (this.#state !== 'declared' && this.#state !== 'asked') return;
    this.#state = 'described';
    this.#cursor.handleRowDescription({ fields, fieldCount: fields.length });
  }

  #then(step: () => Promise<void>): void {
    this.#last = this.#last.then(step).catch((error: unknown) => {
      if (this.#state === 'failed') return;
      this.#state = 'failed';
      this.#cursor.handleError(error);
    });
  }
}

/** In one session several may be open, each in its own bridge. */
let count = 0;

function cursorOf(submittable: Submittable): Cursor | undefined {
  const { cursor = submittable } = submittable as { readonly cursor?: unknown };
  const { text, read, handlePortalSuspended } = cursor as Partial<Cursor>;
  const isOne = typeof text === 'string' && typeof read === 'function' && typeof handlePortalSuspended === 'function';
  return isOne ? (cursor as Cursor) : undefined;
}
