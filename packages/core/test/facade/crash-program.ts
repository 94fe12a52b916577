/**
 * A program of its own, because it dies: does one deed with pg's pool or with the façade, and prints what would have ended
 * the process. `node --conditions=@lifeguard/source crash-program.ts pg|facade DEED`, with PG* for the server.
 */
import pg from 'pg';
import { createPool } from '../../src/index.ts';

const [, , whose, deed = ''] = process.argv;
const pool = whose === 'facade' ? createPool({ max: 1 }) : undefined;
const pgPool = pool?.asPgPool({ pg }) ?? new pg.Pool({ max: 1 });

function thrown(): never {
  throw new Error(`thrown in ${deed}`);
}

/** A client that is lent and closed, with a listener that throws. */
async function listened(event: 'connect' | 'acquire' | 'release' | 'remove'): Promise<void> {
  pgPool.on(event, thrown);
  const client = await pgPool.connect();
  client.release(true);
}

const DEEDS: Readonly<Record<string, () => unknown>> = {
  'a callback of the pool': () => pgPool.query('select 1', thrown),
  'a callback of a failing statement': () => pgPool.query('select 1/0', thrown),
  'a callback of a client': async () => {
    const client = await pgPool.connect();
    void client.query('select 1', thrown);
  },
  'a callback of connect': () => pgPool.connect(thrown),
  'a pg.Query': async () => {
    const client = await pgPool.connect();
    client.query(new pg.Query('select 1', thrown));
  },
  'a listener of notices': async () => {
    const client = await pgPool.connect();
    client.on('notice', thrown);
    await client.query("do $$ begin raise notice 'x'; end $$");
  },
  'a listener of connect': () => listened('connect'),
  'a listener of acquire': () => listened('acquire'),
  'a listener of release': () => listened('release'),
  'a listener of remove': () => listened('remove'),
  'a rejection that nobody handles': () => void pgPool.query('select 1/0'),
};

process.on('uncaughtException', (error: Error & { code?: string }, origin) => {
  process.stdout.write(JSON.stringify([origin, error.code ?? error.message]), () => process.exit());
});
await DEEDS[deed]?.();
