import type { Handle, Library } from '@lifeguard/conformance';
import knex, { type Knex } from 'knex';
import { Model } from 'objection';

class Note extends Model {
  static override tableName = 't';
  declare id: number;
}

export const fixture: Library = {
  name: 'objection',
  transactions: 'nested',
  streams: false,
  async open({ pgPool }) {
    const db = knex({ client: 'pg', connectionPool: pgPool });
    return { ...handleOf(db), close: () => db.destroy() };
  },
};

function handleOf(db: Knex): Handle {
  return {
    insert: async (id) => await Note.query(db).insert({ id }),
    ids: async () => (await Note.query(db).orderBy('id')).map(({ id }) => id),
    run: async (text) => (await db.raw(text)).rows,
    transaction: (fn) => Note.transaction(db, (tx) => fn(handleOf(tx))),
  };
}
