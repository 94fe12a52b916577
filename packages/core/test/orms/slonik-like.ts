import { EventEmitter } from 'node:events';
import { SLONIK_ERRORS } from '../../src/orms/slonik-errors.ts';

/** What a hook gives slonik for a connection. */
export interface PoolClient {
  connect(): Promise<void>;
  end(): Promise<void>;
  query(sql: string, values?: unknown[], options?: { name?: string }): Promise<{ rows: Record<string, unknown>[] }>;
  stream(sql: string, values?: unknown[]): AsyncIterable<{ row: unknown; fields: unknown[] }> & NodeJS.ReadableStream;
}

type Setup = (asked: { driverConfiguration: object }) => Promise<{
  createPoolClient(asked: { clientEventEmitter: EventEmitter }): Promise<PoolClient>;
}>;

/** As slonik is from outside: its factory of drivers, and its errors, each of which says what it was made of. */
export function slonikLike(): { createDriverFactory: (setup: Setup) => Setup } {
  const classes = SLONIK_ERRORS.map((name) => [
    name,
    class extends Error {
      override readonly name = name;
      readonly made: readonly unknown[];

      constructor(...made: unknown[]) {
        super(name);
        this.made = made;
      }
    },
  ]);
  return { createDriverFactory: (setup) => setup, ...Object.fromEntries(classes) };
}

/** One of slonik's connections, as a hook makes it. */
export async function openSlonikClient(
  options: { driverFactory: Setup },
  typeParsers: object[] = [],
): Promise<{ client: PoolClient; events: EventEmitter }> {
  const events = new EventEmitter();
  const { createPoolClient } = await options.driverFactory({ driverConfiguration: { typeParsers } });
  return { client: await createPoolClient({ clientEventEmitter: events }), events };
}
