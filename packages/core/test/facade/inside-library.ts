import type pg from 'pg';

/** What a library runs in its transaction. */
export type Body<T = unknown> = (client: pg.PoolClient) => Promise<T> | T;

/** A library's `transaction()`, in one of the ways in which libraries are written. */
export type Style = <T>(orm: pg.Pool, body: Body<T>, begin?: string) => Promise<T>;

/** Awaits each step, as most do. */
export async function promised<T>(orm: pg.Pool, body: Body<T>, begin = 'BEGIN'): Promise<T> {
  const client = await orm.connect();
  try {
    await client.query(begin);
    try {
      const value = await body(client);
      await client.query('COMMIT');
      return value;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    }
  } finally {
    client.release();
  }
}

/** By callbacks from one step to the next, as Knex and TypeORM do. */
export function calledBack<T>(orm: pg.Pool, body: Body<T>, begin = 'start transaction;'): Promise<T> {
  return new Promise((resolve, reject) => {
    orm.connect((connecting, client, release) => {
      if (connecting || client === undefined) return reject(connecting);
      const fail = (error: unknown): void => {
        void client.query('rollback;', () => {
          release();
          reject(error);
        });
      };
      void client.query(begin, async (beginning) => {
        if (beginning) return fail(beginning);
        try {
          const value = await body(client);
          void client.query('commit;', (committing) => {
            if (committing) return fail(committing);
            release();
            resolve(value);
          });
        } catch (error) {
          fail(error);
        }
      });
    });
  });
}

/** Awaits nothing but its last word: what was said before keeps its order. */
export async function eager<T>(orm: pg.Pool, body: Body<T>, begin = 'BEGIN;'): Promise<T> {
  const client = await orm.connect();
  const beginning = client.query(begin);
  const work = (async () => body(client))();
  const last = work.then(
    () => client.query('COMMIT;'),
    () => client.query('ROLLBACK;'),
  );
  const [, value] = await Promise.all([beginning, work, last]).finally(() => last.finally(() => client.release()));
  return value;
}

export const STYLES: readonly (readonly [name: string, style: Style])[] = [
  ['that awaits each step', promised],
  ['that works by callbacks', calledBack],
  ['that awaits only its last word', eager],
];
