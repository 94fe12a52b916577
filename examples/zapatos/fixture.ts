import type { Handle, Library } from '@lifeguard/conformance';
import * as db from 'zapatos/db';

export const fixture: Library = {
  name: 'zapatos',
  transactions: 'flat',
  streams: false,
  async open({ pgPool }) {
    return {
      ...handleOf(pgPool),
      transaction: (fn) => db.readCommitted(pgPool, (tx) => fn(handleOf(tx))),
      close: async () => undefined,
    };
  },
};

function handleOf(queryable: db.Queryable): Handle {
  return {
    insert: (id) => db.insert('t', { id }).run(queryable),
    ids: async () =>
      (await db.select('t', db.all, { order: { by: 'id', direction: 'ASC' } }).run(queryable)).map(({ id }) => id),
    run: (text) => db.sql`${db.raw(text)}`.run(queryable),
  };
}
