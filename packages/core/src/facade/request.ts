import { LifeguardError } from '../errors.ts';
import type { Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import { isSubmittable } from '../scope/cursor.ts';
import { toStatement } from '../scope/statement.ts';

/** As pg calls back: the error first, and in the async context of whoever asked. */
export type Callback = (error: unknown, result?: unknown) => void;

/** What was asked of `query()`, in any of pg's spellings. https://node-postgres.com/apis/client#clientquery */
export type Request = (
  | { readonly kind: 'statement'; readonly statement: Statement; readonly timeoutMillis: number | undefined }
  /** It answers to itself. */
  | { readonly kind: 'submittable'; readonly submittable: Submittable }
  /** Told like any other failure: who calls back does not catch. */
  | { readonly kind: 'mistake'; readonly error: unknown }
) & { readonly callback: Callback | undefined };

interface Spelling {
  readonly given: unknown;
  readonly values: unknown;
  readonly callback: unknown;
}

/** What pg takes beside a text and its values; the rest of an object is some library's own, and pg does not look at it. */
interface Config {
  readonly text?: unknown;
  readonly values?: unknown;
  readonly name?: unknown;
  readonly rowMode?: unknown;
  readonly types?: unknown;
  readonly queryMode?: unknown;
  readonly query_timeout?: unknown;
  readonly rows?: unknown;
  readonly binary?: unknown;
}

export function readRequest({ given, values, callback }: Spelling, types: object | undefined): Request {
  const called = typeof values === 'function' ? values : callback;
  const bound = typeof values === 'function' ? undefined : values;
  if (isSubmittable(given))
    return { kind: 'submittable', submittable: withCallback(given, called), callback: undefined };
  const config: Config = typeof given === 'object' && given !== null ? given : { text: given };
  if (called !== undefined && called !== null && typeof called !== 'function') return noFunction();
  const back = (called ?? undefined) as Callback | undefined;
  try {
    if (config.rows || config.binary) throw unsupported(config.rows ? 'rows' : 'binary');
    const statement = toStatement(statementOf(config, bound, types), undefined);
    const { query_timeout: limit } = config;
    return {
      kind: 'statement',
      statement,
      timeoutMillis: typeof limit === 'number' && limit > 0 ? limit : undefined,
      callback: back,
    };
  } catch (error) {
    return { kind: 'mistake', error, callback: back };
  }
}

function noFunction(): Request {
  return { kind: 'mistake', error: new TypeError('callback is not a function'), callback: undefined };
}

/** Answers as pg does: a promise, or the callback, in the async context of whoever asked. */
export function deliver<T>(answer: Promise<T>, callback: Callback | undefined): Promise<T> | undefined {
  if (callback === undefined) return answer.catch(fromHere);
  answer.then(
    (result) => call(callback, null, result),
    (error: unknown) => call(callback, error),
  );
  return undefined;
}

/** An error of the server was made where the socket was read: as in pg, its stack is to lead to whoever asked. */
function fromHere(error: unknown): never {
  if (error instanceof Error && 'severity' in error) Error.captureStackTrace(error);
  throw error;
}

/** What a callback throws ends the process in pg, and does so here. */
export function call<Args extends unknown[]>(callback: (...args: Args) => void, ...args: Args): void {
  try {
    callback(...args);
  } catch (thrown) {
    process.nextTick(() => {
      throw thrown;
    });
  }
}

/** Empty parts are as good as absent, as in pg. */
function statementOf(config: Config, values: unknown, types: object | undefined): Statement {
  const { text, name, rowMode, queryMode } = config;
  const bound = values ?? config.values ?? undefined;
  return {
    text: text as string,
    values: bound as readonly unknown[] | undefined,
    name: (name || undefined) as string | undefined,
    // Of rowMode pg knows one word, and takes any other for none.
    rowMode: rowMode === 'array' ? 'array' : undefined,
    types: (config.types ?? types) as object | undefined,
    queryMode: queryMode === 'extended' ? 'extended' : undefined,
  };
}

function withCallback(submittable: Submittable, callback: unknown): Submittable {
  const answering = submittable as Submittable & { callback?: unknown };
  if (typeof callback === 'function' && !answering.callback) answering.callback = callback;
  return submittable;
}

function unsupported(part: 'rows' | 'binary'): LifeguardError {
  const instead = part === 'rows' ? 'use pg-cursor or pg-query-stream' : 'results are read in text format';
  const message = `Nothing was sent: a statement with "${part}" is not taken; ${instead}.`;
  return new LifeguardError('ERR_LIFEGUARD_ARGUMENT', message, { consequence: 'nothing-sent' });
}
