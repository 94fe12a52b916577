/** Graphile Worker in Lifeguard's transactions: a job is added when what it is about has committed, or never. */
import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'graphile-worker', max: 5 });

// The one line.
const pgPool = pool.asPgPool({ pg });
const settings = { pgPool, schema: 'example_worker', logger: new Logger(() => () => undefined) };
const utils = await makeWorkerUtils(settings);

try {
  await pool.query('create table example_letters (id int primary key)');
  await utils.migrate();

  // A worker starts outside of every transaction and scope: it outlives them. It is told of new jobs, and need not look.
  const posted = Promise.withResolvers<void>();
  const post = async (payload: unknown): Promise<void> => {
    console.log(`posted: ${JSON.stringify(payload)}`);
    posted.resolve();
  };
  const runner = await run({ ...settings, taskList: { post }, pollInterval: 60_000, noHandleSignals: true });

  await pool
    .transaction(async () => {
      await write(1);
      throw new Error('no stamps');
    })
    .catch((error: Error) => console.log(`letter 1 and its job are undone: ${error.message}`));
  await pool.transaction(async () => {
    await write(2);
    console.log('letter 2 is written, and will be posted when this commits');
  });
  await posted.promise;
  // The worker takes a job off the table a moment after it has run.
  for (let left = 1; left > 0; ) left = (await pool.query('select from example_worker.jobs')).rowCount ?? 0;
  await runner.stop();
} finally {
  await utils.release();
  await pool.query('drop table if exists example_letters');
  await pool.query('drop schema if exists example_worker cascade');
  await pool.close();
  await server?.stop();
}

async function write(letter: number): Promise<void> {
  await pool.query('insert into example_letters values ($1)', [letter]);
  await utils.addJob('post', { letter });
}
