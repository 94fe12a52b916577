import databases, { type ConnectionPool, type Queryable, sql } from '@databases/pg';
import type { Handle, Host, Library } from '@lifeguard/conformance';
import { databasesOn } from '@lifeguard/core/orms';

export const fixture: Library = {
  name: '@databases/pg',
  transactions: 'nested',
  streams: true,
  async open(host) {
    const db = await openDatabase(host);
    return {
      ...handleOf(db),
      stream: (text) => db.queryStream(sql.__dangerous__rawValue(text), {}),
      close: () => db.dispose(),
    };
  },
};

export function openDatabase({ pool, pg, connection }: Host): Promise<ConnectionPool> {
  const { host, port, user, database } = connection;
  const options = { host, port, user, database, bigIntMode: 'number', ssl: 'disable' } as const;
  return databasesOn(databases.default(options), pool, { pg });
}

function handleOf(db: Queryable): Handle {
  return {
    insert: (id) => db.query(sql`insert into t (id) values (${id})`),
    ids: async () => (await db.query(sql`select id from t order by id`)).map(({ id }) => id),
    run: (text) => db.query(sql.__dangerous__rawValue(text)),
    transaction: (fn) => db.tx((tx) => fn(handleOf(tx))),
  };
}
