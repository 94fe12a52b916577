import type { ConnectionParameters } from '@lifeguard/testkit';
import pg from 'pg';
import type { LifeguardPool, Statement } from '../../src/index.ts';

export type Given = string | Statement;
type Way = (pool: LifeguardPool, given: Given) => Promise<unknown>;

/** All ways in which a statement comes to a connection. */
const WAYS = {
  alone: (pool, given) => pool.query(given as string, undefined, { lane: false }),
  'in a group': (pool, given) => pool.query(given as string, undefined, { timeoutMillis: 9_000 }),
  'on a lane': (pool, given) => pool.query(given as string, undefined, { lane: true }),
  'on a lease': async (pool, given) => {
    const lease = await pool.lease();
    return lease.query(given as string).finally(() => lease.release());
  },
  'in a transaction': (pool, given) => pool.transaction((tx) => tx.query(given as string)),
  'with another in a transaction': (pool, given) =>
    pool.transaction(async (tx) => (await Promise.all([tx.query('select 1'), tx.query(given as string)]))[1]),
  'in a batch': async (pool, given) => (await pool.batch([given, 'select 1']))[0],
  'twice in a batch': async (pool, given) => (await pool.batch([given, given]))[1],
} satisfies Record<string, Way>;

export type WayName = keyof typeof WAYS;

export const EVERYWHERE = Object.keys(WAYS) as readonly WayName[];
/** For what a batch refuses: COPY, and texts of several statements. */
export const BATCHLESS: readonly WayName[] = EVERYWHERE.filter((way) => !way.endsWith('batch'));

/** From its fifth use on a text is prepared; the sixth one meets what the fifth has prepared. */
const USES = 6;

/** Two pools on one database: one prepares nothing, the other all that it can. */
export interface Pools {
  readonly connection: ConnectionParameters;
  readonly cold: LifeguardPool;
  readonly warm: LifeguardPool;
}

/** What a client of pg answers. */
export async function answerOfPg(connection: ConnectionParameters, given: Given): Promise<unknown> {
  const client = new pg.Client({ ...connection });
  await client.connect();
  try {
    return await outcomeOf(client.query(given as string));
  } finally {
    await client.end();
  }
}

/** What the pools answer in all ways, one of which is the first so often that the statement is prepared in it. */
export async function answersOf(
  { cold, warm }: Pools,
  given: Given,
  ways: readonly WayName[],
): Promise<Readonly<Record<string, unknown>>> {
  const answers: Record<string, unknown> = {};
  const first = (typeof given === 'string' ? given : given.text).length % ways.length;
  const warming = Array.from({ length: USES }, () => ways[first] as WayName);
  for (const way of ways) answers[`${way}, not prepared`] = await outcomeOf(WAYS[way](cold, given));
  for (const [use, way] of [...warming, ...ways].entries()) {
    answers[`${way}, use ${use + 1}`] = await outcomeOf(WAYS[way](warm, given));
  }
  return answers;
}

/** What was answered, as far as it is promised, in a form that shows the order of columns and odd names. */
export async function outcomeOf(answer: Promise<unknown>): Promise<unknown> {
  try {
    const result = await answer;
    return Array.isArray(result) ? result.map(partsOf) : partsOf(result as pg.QueryResult);
  } catch (error) {
    return wordsOf(error as Error & Record<string, unknown>);
  }
}

function partsOf({ command, rowCount, oid, fields, rows }: pg.QueryResult): object {
  const entries = rows.map((row) => (Array.isArray(row) ? row : Object.entries(row as object)));
  return { command, rowCount, oid, fields: fields.map((field) => ({ ...field })), rows: entries };
}

/** A batch says which statement failed, and the cause is the server's own error. What we prepare has a name. */
function wordsOf(error: Error & Record<string, unknown>): object {
  const { name, message, code, detail, hint, position, severity, table, constraint, where } = (
    error['code'] === 'ERR_LIFEGUARD_BATCH' ? error.cause : error
  ) as typeof error;
  return {
    name,
    message: message.replace(/"lg_[^"]+"/, '""'),
    code,
    detail,
    hint,
    position,
    severity,
    table,
    constraint,
    where,
  };
}
