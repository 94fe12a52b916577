/** One complete program with plain SQL: a pool, a statement, a lease, errors, the end. */
import { createPool, isLifeguardError, type LifeguardPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';

interface Account {
  readonly owner: string;
  readonly balance: number;
}

// Your own server, or one from the embedded binaries that lives as long as this program.
const url = process.env['DATABASE_URL'];
const server = url ? undefined : await startPostgres();
const pool = createPool({ connectionString: server?.url() ?? (url as string), name: 'plain-sql', max: 5 });
try {
  await createAccounts(pool);
  await move(pool, { from: 'ada', to: 'grace', amount: 30 });
  await showAccounts(pool);
  await showErrors(pool);
} finally {
  await pool.query('drop table if exists example_accounts');
  await pool.close({ graceMillis: 5_000 });
  await server?.stop();
}

async function createAccounts(db: LifeguardPool): Promise<void> {
  await db.query('drop table if exists example_accounts');
  await db.query('create table example_accounts (owner text primary key, balance int not null check (balance >= 0))');
  await db.query('insert into example_accounts values ($1, 100), ($2, 0)', ['ada', 'grace']);
}

/** Several statements that belong together need one connection: a lease, given back whatever happens. */
async function move(db: LifeguardPool, order: { from: string; to: string; amount: number }): Promise<void> {
  const lease = await db.lease({ name: 'move', timeoutMillis: 1_000 });
  try {
    await lease.query('begin');
    await lease.query('update example_accounts set balance = balance - $2 where owner = $1', [
      order.from,
      order.amount,
    ]);
    await lease.query('update example_accounts set balance = balance + $2 where owner = $1', [order.to, order.amount]);
    await lease.query('commit');
  } finally {
    // After an error the transaction is still open. Lifeguard sees that, and closes such a connection.
    await lease.release();
  }
}

async function showAccounts(db: LifeguardPool): Promise<void> {
  const { rows } = await db.query<Account>('select owner, balance from example_accounts order by owner');
  for (const { owner, balance } of rows) console.log(`${owner} has ${balance}`);
}

async function showErrors(db: LifeguardPool): Promise<void> {
  // What PostgreSQL objects to is passed on as it is, with its SQLSTATE, and costs no connection …
  await db
    .query('insert into example_accounts values ($1, 1)', ['ada'])
    .catch((error: { code?: string }) => console.log(`PostgreSQL says ${error.code}: there is one ada already`));
  // … and an overdraft in the middle of a transaction costs one, because nobody rolled it back.
  await move(db, { from: 'ada', to: 'grace', amount: 1_000 }).catch((error: { code?: string }) =>
    console.log(`PostgreSQL says ${error.code}: no overdraft; closed so far: ${JSON.stringify(db.snapshot().closed)}`),
  );
  // Lifeguard's own errors are told apart by their code; many know what to answer over HTTP.
  try {
    await db.query('select pg_sleep(60)', [], { timeoutMillis: 200 });
  } catch (error) {
    if (!isLifeguardError(error, 'ERR_LIFEGUARD_DEADLINE')) throw error;
    console.log(`${error.code} (HTTP ${error.statusCode}): ${error.message}`);
  }
}
