/** PostGraphile in Lifeguard's transactions: a whole GraphQL request is part of the one around it. */
import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import pg from 'pg';
import { makeSchema } from 'postgraphile';
import { makePgService } from 'postgraphile/adaptors/pg';
import { grafast } from 'postgraphile/grafast';
import type { ExecutionResult } from 'postgraphile/graphql';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'postgraphile', max: 5 });

try {
  await pool.batch([
    'create schema example_graphql',
    'create table example_graphql.books (id int primary key, title text not null)',
  ]);
  // The one line. `pubsub` would keep a connection to listen on.
  const service = makePgService({ pool: pool.asPgPool({ pg }), schemas: ['example_graphql'], pubsub: false });
  const made = await makeSchema({ extends: [PostGraphileAmberPreset], pgServices: [service] });
  const ask = async (source: string): Promise<unknown> => {
    const { data, errors } = (await grafast({ ...made, source, requestContext: {} })) as ExecutionResult;
    if (errors?.[0]) throw errors[0];
    return data;
  };
  const add = (id: number, title: string): Promise<unknown> =>
    ask(`mutation { createBook(input: { book: { rowId: ${id}, title: "${title}" } }) { book { title } } }`);
  const show = async (what: string): Promise<void> =>
    console.log(`${what}: ${JSON.stringify(await ask('{ allBooks { nodes { rowId title } } }'))}`);

  await pool.transaction(async () => {
    await add(1, 'Sketches of the Analytical Engine');
    await pool.query("insert into example_graphql.books values (2, 'Compilers and Their Uses')");
  });
  await show('GraphQL and SQL, committed together');

  await pool
    .transaction(async () => {
      await add(3, 'A Book that Nobody Wrote');
      throw new Error('changed my mind');
    })
    .catch(() => show('rolled back'));
  await service.release?.();
} finally {
  await pool.query('drop schema if exists example_graphql cascade');
  await pool.close();
  await server?.stop();
}
