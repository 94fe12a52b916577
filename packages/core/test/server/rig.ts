import diagnostics from 'node:diagnostics_channel';
import type { ConnectionParameters } from '@lifeguard/testkit';
import { onTestFinished } from '@lifeguard/testkit/vitest';
import { createPool, type Events, type LifeguardPool, type PoolOptions } from '../../src/index.ts';

let pools = 0;

/** A pool that ends with its test, under a name that no other pool of this process has. */
export function openPool(connection: ConnectionParameters | object, options: PoolOptions = {}): LifeguardPool {
  pools += 1;
  const pool = createPool({ name: `p${pools}`, ...connection, ...options });
  onTestFinished(() => pool.close({ graceMillis: 0 }));
  return pool;
}

type Asker = Pick<LifeguardPool, 'query'>;

/** The backend that answers. */
export async function pidOf(asker: Asker | { query(text: string): Promise<unknown> }): Promise<number> {
  const { rows } = (await asker.query('select pg_backend_pid() as pid')) as { rows: { pid: number }[] };
  return rows[0]?.pid as number;
}

/** The one value that a statement answers with. */
export async function answerOf<T>(asker: { query(text: string): Promise<unknown> }, text: string): Promise<T> {
  const { rows } = (await asker.query(text)) as { rows: Record<string, T>[] };
  return Object.values(rows[0] ?? {})[0] as T;
}

/** What a promise rejects with; it is an error when it does not. */
export async function errorOf(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in outcome) return outcome.error as Error & Record<string, unknown>;
  throw new Error(`It was expected to fail and answered ${JSON.stringify(outcome.value)}`);
}

/** What a pool publishes on a channel while the test runs. */
export function listen<Name extends keyof Events>(channel: Name, pool: { readonly name: string }): Events[Name][] {
  const heard: Events[Name][] = [];
  const listener = (message: unknown): void => {
    if ((message as { pool: string }).pool === pool.name) heard.push(message as Events[Name]);
  };
  diagnostics.subscribe(channel, listener);
  onTestFinished(() => void diagnostics.unsubscribe(channel, listener));
  return heard;
}

/** What would have crashed the process. vitest fails a run for them too; this says in which test. */
export function accidents(): readonly unknown[] {
  const seen: unknown[] = [];
  const listener = (error: unknown): void => void seen.push(error);
  for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, listener);
  onTestFinished(() => {
    for (const event of ['uncaughtException', 'unhandledRejection']) process.off(event, listener);
  });
  return seen;
}

/** A logger that keeps what it is told. */
export class Notes {
  readonly lines: { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[] = [];

  warn(message: string, fields: Record<string, unknown>): void {
    this.lines.push({ message, fields });
  }

  get codes(): unknown[] {
    return this.lines.map(({ fields }) => fields['code']);
  }
}

/** Every promise's outcome in one word: `ok`, or the code of its error. */
export async function outcomesOf(promises: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((one) => (one.status === 'fulfilled' ? 'ok' : String((one.reason as { code?: string }).code)));
}
