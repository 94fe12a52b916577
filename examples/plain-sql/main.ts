/** One complete program with plain SQL: a pool, statements, transactions, tenants kept apart, errors, the end. */
import { createPool, isLifeguardError, type LifeguardPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';

interface Account {
  readonly owner: string;
  readonly balance: number;
}

interface Order {
  readonly from: string;
  readonly to: string;
  readonly amount: number;
}

// Your own server, or one from the embedded binaries that lives as long as this program.
const url = process.env['DATABASE_URL'];
const server = url ? undefined : await startPostgres();
const pool = createPool({ connectionString: server?.url() ?? (url as string), name: 'plain-sql', max: 5 });
try {
  await createTables(pool);
  await move(pool, { from: 'ada', to: 'grace', amount: 30 });
  await showAccounts(pool);
  await moveManyAtOnce(pool);
  await showTenants(pool);
  await showErrors(pool);
} finally {
  await pool.query('drop table if exists example_journal, example_accounts');
  await pool.close({ graceMillis: 5_000 });
  await server?.stop();
}

/** Statements that do not need each other's answers: all or nothing, in one round trip. */
async function createTables(db: LifeguardPool): Promise<void> {
  await db.batch([
    'drop table if exists example_journal, example_accounts',
    'create table example_accounts (owner text primary key, balance int not null check (balance >= 0))',
    'create table example_journal (line text primary key)',
    { text: 'insert into example_accounts values ($1, 100), ($2, 0)', values: ['ada', 'grace'] },
  ]);
}

/** Several statements that belong together. It commits when the function returns, and rolls back when it throws. */
async function move(db: LifeguardPool, { from, to, amount }: Order): Promise<void> {
  await db.transaction(
    async (tx) => {
      await tx.query('update example_accounts set balance = balance - $2 where owner = $1', [from, amount]);
      await tx.query('update example_accounts set balance = balance + $2 where owner = $1', [to, amount]);
      await note(db, `${amount} from ${from} to ${to}`);
      tx.afterCommit(() => console.log(`${from} has given ${to} ${amount}, in attempt ${tx.attempt}`));
    },
    { name: 'move', timeoutMillis: 5_000, isolation: 'serializable' },
  );
}

/** It is given the pool, and is part of the transaction of its caller: behind a savepoint, so that it may fail alone. */
async function note(db: LifeguardPool, line: string): Promise<void> {
  try {
    await db.transaction((tx) => tx.query('insert into example_journal values ($1)', [line]), {
      propagation: 'nested',
    });
  } catch (error) {
    if ((error as { code?: string }).code !== '23505') throw error;
    console.log(`the journal has "${line}" already, and the rest goes on`);
  }
}

/** They meet on the same rows. Who loses is tried again, as a whole. */
async function moveManyAtOnce(db: LifeguardPool): Promise<void> {
  await Promise.all([1, 2, 3].map((amount) => move(db, { from: 'ada', to: 'grace', amount })));
  await move(db, { from: 'ada', to: 'grace', amount: 1 });
  const { retries, commits } = db.snapshot();
  console.log(`${commits.committed} committed, with ${retries > 0 ? 'some' : 'no'} retries`);
}

async function showAccounts(db: LifeguardPool): Promise<void> {
  const { rows } = await db.query<Account>('select owner, balance from example_accounts order by owner');
  for (const { owner, balance } of rows) console.log(`${owner} has ${balance}`);
}

/** The setting lasts for each statement of its scope, and not a moment longer. A policy may ask for it. */
async function showTenants(db: LifeguardPool): Promise<void> {
  const read = "select nullif(current_setting('example.tenant', true), '') as tenant";
  const inside = await db.scope({ settings: { 'example.tenant': 7 } }, (scope) =>
    scope.query<{ tenant: string }>(read),
  );
  const outside = await db.query<{ tenant: null }>(read);
  console.log(`tenant inside: ${inside.rows[0]?.tenant}, outside: ${outside.rows[0]?.tenant}`);
}

async function showErrors(db: LifeguardPool): Promise<void> {
  // What PostgreSQL objects to is passed on as it is, with its SQLSTATE, and costs no connection …
  await db
    .query('insert into example_accounts values ($1, 1)', ['ada'])
    .catch((error: { code?: string }) => console.log(`PostgreSQL says ${error.code}: there is one ada already`));
  // … in the middle of a transaction neither: it was rolled back.
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
