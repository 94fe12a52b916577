import type { Handle, Library } from '@lifeguard/conformance';
import { Kysely, PostgresDialect, sql } from 'kysely';
import Cursor from 'pg-cursor';

export interface Tables {
  t: { id: number; note: string | null };
}

export const fixture: Library = {
  name: 'kysely',
  transactions: 'flat',
  streams: true,
  async open({ pgPool }) {
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: pgPool, cursor: Cursor }) });
    return {
      ...handleOf(db),
      transaction: (fn) => db.transaction().execute((tx) => fn(handleOf(tx))),
      stream: (text) =>
        db
          .selectFrom(sql`(${sql.raw(text)})`.as('rows'))
          .selectAll()
          .stream(10),
      close: () => db.destroy(),
    };
  },
};

function handleOf(db: Kysely<Tables>): Handle {
  return {
    insert: (id) => db.insertInto('t').values({ id, note: null }).execute(),
    ids: async () => (await db.selectFrom('t').select('id').orderBy('id').execute()).map(({ id }) => id),
    run: async (text) => (await sql.raw(text).execute(db)).rows,
  };
}
