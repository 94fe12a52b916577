import type { Handle, Library } from '@lifeguard/conformance';
import { slonikOptions } from '@lifeguard/core/orms';
import QueryStream from 'pg-query-stream';
import * as slonik from 'slonik';
import { z } from 'zod';

const { createPool, sql } = slonik;
const row = z.object({ id: z.number() });

export const fixture: Library = {
  name: 'slonik',
  transactions: 'nested',
  streams: false,
  async open({ pool, pg }) {
    const db = await createPool('postgres://', slonikOptions(pool, { pg, slonik, QueryStream }));
    return { ...handleOf(db), close: () => db.end() };
  },
};

function handleOf(db: slonik.CommonQueryMethods): Handle {
  return {
    insert: (id) => db.query(sql.unsafe`insert into t (id) values (${id})`),
    ids: async () => [...(await db.anyFirst(sql.type(row)`select id from t order by id`))],
    run: async (text) => (await db.query({ ...sql.unsafe``, sql: text })).rows,
    transaction: (fn) => db.transaction((tx) => fn(handleOf(tx))),
  };
}
