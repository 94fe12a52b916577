import { once } from 'node:events';
import type { Handle, Library } from '@lifeguard/conformance';
import { typeormDriver } from '@lifeguard/core/orms';
import { DataSource, type EntityManager, EntitySchema } from 'typeorm';

interface Note {
  id: number;
  note: string | null;
}

export const Notes = new EntitySchema<Note>({
  name: 'Note',
  tableName: 't',
  columns: { id: { type: 'int', primary: true }, note: { type: 'text', nullable: true } },
});

export const fixture: Library = {
  name: 'typeorm',
  transactions: 'nested',
  streams: true,
  async open({ pool, pg }) {
    const source = new DataSource({ type: 'postgres', driver: typeormDriver(pool, { pg }), entities: [Notes] });
    await source.initialize();
    return {
      ...handleOf(source.manager),
      stream: (text) => rowsOf(source, text),
      close: () => source.destroy(),
    };
  },
};

function handleOf(manager: EntityManager): Handle {
  return {
    insert: (id) => manager.insert(Notes, { id }),
    ids: async () => (await manager.find(Notes, { order: { id: 'asc' } })).map(({ id }) => id),
    run: (text) => manager.query(text),
    transaction: (fn) => manager.transaction((tx) => fn(handleOf(tx))),
  };
}

async function* rowsOf(source: DataSource, text: string): AsyncIterable<unknown> {
  const runner = source.createQueryRunner();
  try {
    const stream = await runner.stream(text);
    yield* stream;
    if (!stream.closed) await once(stream, 'close');
  } finally {
    await runner.release();
  }
}
