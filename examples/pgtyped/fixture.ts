import type { Library } from '@lifeguard/conformance';
import { sql } from '@pgtyped/runtime';

interface Insert {
  params: { id: number };
  result: undefined;
}

interface Select {
  params: undefined;
  result: { id: number };
}

const insertNote = sql<Insert>`insert into t (id) values ($id)`;
const selectNotes = sql<Select>`select id from t order by id`;

export const fixture: Library = {
  name: 'pgtyped',
  transactions: 'none',
  streams: false,
  async open({ pgPool }) {
    return {
      insert: (id) => insertNote.run({ id }, pgPool),
      ids: async () => (await selectNotes.run(undefined, pgPool)).map(({ id }) => id),
      run: async (text) => (await pgPool.query(text)).rows,
      close: async () => undefined,
    };
  },
};
