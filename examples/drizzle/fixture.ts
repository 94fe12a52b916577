import type { Handle, Library } from '@lifeguard/conformance';
import { asc, sql } from 'drizzle-orm';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';

const notes = pgTable('t', { id: integer().primaryKey(), note: text() });

export const fixture: Library = {
  name: 'drizzle-orm',
  transactions: 'nested',
  streams: false,
  async open({ pgPool }) {
    return { ...handleOf(drizzle({ client: pgPool })), close: async () => undefined };
  },
};

type Tx = Pick<NodePgDatabase, 'insert' | 'select' | 'execute' | 'transaction'>;

function handleOf(db: Tx): Handle {
  return {
    insert: (id) => db.insert(notes).values({ id }),
    ids: async () => (await db.select().from(notes).orderBy(asc(notes.id))).map(({ id }) => id),
    run: async (statement) => (await db.execute(sql.raw(statement))).rows,
    transaction: (fn) => db.transaction((tx) => fn(handleOf(tx))),
  };
}
