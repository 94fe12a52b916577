import pg from 'pg';

/** What one call told, and how: plain values, so that those of two pools can be compared. */
export interface Told {
  /** What the call returned at once. */
  readonly returned: string;
  readonly calledBack: number;
  readonly answer: unknown;
}

export type Callback = (error?: unknown, result?: unknown) => void;

/** Makes a call, which may use the callback or not, and waits for whatever it answers with. */
export async function told(ask: (callback: Callback) => unknown): Promise<Told> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  let calledBack = 0;
  const callback: Callback = (error, result) => {
    calledBack += 1;
    resolve(error ? plainError(error) : plain(result));
  };
  let returned: unknown;
  try {
    returned = ask(callback);
  } catch (thrown) {
    return { returned: 'an exception', calledBack, answer: plainError(thrown) };
  }
  if (returned instanceof Promise)
    returned.then(
      (result) => resolve(plain(result)),
      (error) => resolve(plainError(error)),
    );
  const answer = await promise;
  return { returned: kindOf(returned), calledBack, answer };
}

function kindOf(returned: unknown): string {
  if (returned === undefined || returned === null) return 'nothing';
  if (returned instanceof Promise) return 'a promise';
  return (returned as object).constructor.name;
}

/** A result, or several, or none. */
export function plain(result: unknown): unknown {
  if (Array.isArray(result)) return result.map(plain);
  if (typeof result !== 'object' || result === null) return result;
  const { command, rowCount, oid, rows, fields } = result as pg.QueryResult;
  const own = ['command', 'rowCount', 'oid', 'rows', 'fields'].filter((key) => Object.hasOwn(result, key));
  return { command, rowCount, oid, rows, own, fields: fields.map((field) => ({ ...field })) };
}

/** All that it has. Statements that we prepare have names, which the server tells; and so its answers are longer. */
export function plainError(error: unknown): unknown {
  const { message, name } = error as Error;
  if (!(error instanceof pg.DatabaseError)) return { name, message };
  return { ...error, length: undefined, message: message.replace(/"lg_[\w-]+"/, '""'), class: 'DatabaseError' };
}
