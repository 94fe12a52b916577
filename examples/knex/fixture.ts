import type { Handle, Library } from '@lifeguard/conformance';
import knex, { type Knex } from 'knex';

export const fixture: Library = {
  name: 'knex',
  transactions: 'nested',
  streams: true,
  async open({ pgPool }) {
    const db = knex({ client: 'pg', connectionPool: pgPool });
    return {
      ...handleOf(db),
      stream: (text) => db.raw(text).stream(),
      close: () => db.destroy(),
    };
  },
};

function handleOf(db: Knex): Handle {
  return {
    insert: async (id) => await db('t').insert({ id }),
    ids: async () => await db<{ id: number }>('t').orderBy('id').pluck('id'),
    run: async (text) => (await db.raw(text)).rows,
    transaction: (fn) => db.transaction((tx) => fn(handleOf(tx))),
  };
}
