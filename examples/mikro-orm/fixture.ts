import type { Handle, Library } from '@lifeguard/conformance';
import { mikroOrmOptions } from '@lifeguard/core/orms';
import { type EntityManager, EntitySchema, MikroORM } from '@mikro-orm/postgresql';

interface Note {
  id: number;
  note?: string;
}

export const Notes = new EntitySchema<Note>({
  name: 'Note',
  tableName: 't',
  properties: { id: { type: 'number', primary: true }, note: { type: 'string', nullable: true } },
});

export const fixture: Library = {
  name: 'mikro-orm',
  transactions: 'nested',
  streams: true,
  async open({ pool, pg, connection }) {
    const orm = await MikroORM.init({
      entities: [Notes],
      dbName: connection.database,
      driverOptions: mikroOrmOptions(pool, { pg }),
    });
    return {
      ...handleOf(() => orm.em.fork()),
      stream: (text) => orm.em.fork().getConnection().stream(text),
      close: () => orm.close(),
    };
  },
};

/** A new entity manager for each unit of work, as in a request. */
function handleOf(em: () => EntityManager): Handle {
  return {
    insert: (id) => em().insert(Notes, { id }),
    ids: async () => (await em().find(Notes, {}, { orderBy: { id: 'asc' } })).map(({ id }) => id),
    run: (text) => em().execute(text),
    transaction: (fn) => em().transactional((tx) => fn(handleOf(() => tx))),
  };
}
