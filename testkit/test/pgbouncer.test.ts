import { type Database, missing, type PgBouncer, type PgBouncerOptions, startPgBouncer } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { connectClient } from './client.ts';

describe.skipIf(missing('pgbouncer'))('PgBouncer', () => {
  test('shares one connection among clients in transaction mode', async ({ database }) => {
    const bouncer = await bouncerFor(database, { poolSize: 1 });
    const pids = await Promise.all([pidSeenThrough(bouncer), pidSeenThrough(bouncer), pidSeenThrough(bouncer)]);
    expect(new Set(pids).size).toBe(1);
  });

  test('gives each client its own connection in session mode', async ({ database }) => {
    const bouncer = await bouncerFor(database, { poolMode: 'session' });
    const pids = await Promise.all([pidSeenThrough(bouncer), pidSeenThrough(bouncer)]);
    expect(new Set(pids).size).toBe(2);
  });

  test('answers on its admin console', async ({ database }) => {
    const bouncer = await bouncerFor(database);
    await pidSeenThrough(bouncer);
    const pools = await bouncer.command<{ database: string; pool_mode: string }>('show pools');
    expect(pools.find((pool) => pool.database === database.name)?.pool_mode).toBe('transaction');
  });

  test('refuses a startup parameter it does not know', async ({ database }) => {
    const bouncer = await bouncerFor(database);
    const connecting = connectClient(bouncer.connection(), { statement_timeout: 1_000 });
    await expect(connecting).rejects.toThrow(/unsupported startup parameter: statement_timeout/);
  });
});

async function bouncerFor(database: Database, options: Partial<PgBouncerOptions> = {}): Promise<PgBouncer> {
  const bouncer = (await startPgBouncer({ target: database.connection, ...options })) as PgBouncer;
  onTestFinished(() => bouncer.stop());
  return bouncer;
}

async function pidSeenThrough(bouncer: PgBouncer): Promise<number> {
  const client = await connectClient(bouncer.connection());
  return (await client.query('select pg_backend_pid() as pid')).rows[0].pid;
}
