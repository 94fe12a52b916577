import { randomUUID } from 'node:crypto';
import type { Database } from '@lifeguard/testkit';
import { onTestFinished } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, QueryResult, Scope, ScopeOptions } from '../../src/index.ts';

export interface Note {
  readonly tenant: string;
  readonly body: string;
}

/** A table with a policy for each tenant, and the only role that is held to it: the test's user sees all. */
export async function tenantsRole(database: Database, tenants: readonly string[]): Promise<string> {
  const role = `tenants_${randomUUID().replaceAll('-', '')}`;
  await database.query(`create role ${role} nologin`);
  onTestFinished(async () => {
    await database.query('drop table note');
    await database.query(`drop owned by ${role}`);
    await database.query(`drop role ${role}`);
  });
  await database.query(`create table note (tenant text not null, body text not null);
    alter table note enable row level security;
    alter table note force row level security;
    create policy own on note using (tenant = nullif(current_setting('app.tenant', true), ''));
    grant select, insert, update, delete on note to ${role}`);
  for (const tenant of tenants) await database.query("insert into note values ($1, 'first')", [tenant]);
  return role;
}

const READ = 'select tenant, body from note';
const WRITE = "insert into note values (current_setting('app.tenant', true), 'more')";

/** What units of work may meet: the pool they use, their tenant, the role, and what they have seen. */
export interface World {
  readonly pool: LifeguardPool;
  readonly tenant: string;
  readonly role: string;
  readonly kill: (pid: number) => Promise<void>;
  readonly saw: (result: QueryResult<Note>) => void;
}

/** How a unit of work goes; those that go wrong do so on purpose. After a kill it depends on how many there were before. */
type Story = readonly [name: string, ends: 'well' | 'badly' | 'somehow', run: (world: World) => Promise<unknown>];

/** Where a unit of work says whose it is: once for all that it does. */
function own<T>({ pool, tenant, role }: World, fn: (db: Scope) => Promise<T>, options: ScopeOptions = {}): Promise<T> {
  return pool.scope({ settings: { 'app.tenant': tenant }, role, ...options }, fn);
}

export const STORIES: readonly Story[] = [
  [
    'single statements',
    'well',
    (world) =>
      own(world, async (db) => {
        world.saw(await db.query<Note>(READ));
        await Promise.all([1, 2].map(async () => world.saw(await world.pool.query<Note>(READ))));
      }),
  ],
  [
    'a batch',
    'well',
    (world) =>
      own(world, async (db) => {
        for (const result of await db.batch<Note[]>([READ, READ])) world.saw(result as QueryResult<Note>);
      }),
  ],
  [
    'a transaction that writes',
    'well',
    (world) =>
      own(world, (db) =>
        db.transaction(async (tx) => {
          await tx.query(WRITE);
          world.saw(await tx.query<Note>(READ));
        }),
      ),
  ],
  [
    'a transaction with settings of its own',
    'well',
    ({ pool, tenant, role, saw }) =>
      pool.transaction(async (tx) => saw(await tx.query<Note>(READ)), { settings: { 'app.tenant': tenant }, role }),
  ],
  [
    'several statements in one text',
    'well',
    (world) =>
      own(world, async (db) => {
        const [first, second] = (await db.query(`${READ}; ${READ}`)) as unknown as QueryResult<Note>[];
        for (const result of [first, second]) world.saw(result as QueryResult<Note>);
      }),
  ],
  [
    'a part without a transaction',
    'well',
    (world) =>
      own(world, (db) =>
        db.transaction(async (none) => world.saw(await none.query<Note>(READ)), { propagation: 'not-supported' }),
      ),
  ],
  [
    'a visit to another tenant and back',
    'well',
    (world) =>
      own(world, (db) =>
        db.transaction(async (tx) => {
          await tx.transaction((inner) => inner.query(READ), { settings: { 'app.tenant': 'elsewhere' } });
          world.saw(await tx.query<Note>(READ));
        }),
      ),
  ],
  [
    'a kill in the middle, and another attempt',
    'somehow',
    (world) =>
      own(world, (db) =>
        db.transaction(async (tx) => {
          const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
          if (tx.attempt === 1) await world.kill(rows[0]?.pid as number);
          world.saw(await tx.query<Note>(READ));
        }),
      ),
  ],
  [
    'a function that throws',
    'badly',
    (world) =>
      own(world, (db) =>
        db.transaction(async (tx) => {
          world.saw(await tx.query<Note>(READ));
          throw new Error('mine');
        }),
      ),
  ],
  ['a statement that fails', 'badly', (world) => own(world, (db) => db.query('select 1/0'))],
  [
    'a statement that takes too long',
    'badly',
    (world) => own(world, (db) => db.query('select pg_sleep(30)', [], { timeoutMillis: 5 })),
  ],
  [
    'a caller who leaves',
    'badly',
    (world) => own(world, (db) => db.query('select pg_sleep(30)'), { signal: AbortSignal.timeout(5) }),
  ],
  [
    'a caller who leaves a transaction',
    'badly',
    (world) =>
      own(
        world,
        (db) =>
          db.transaction(async (tx) => {
            world.saw(await tx.query<Note>(READ));
            await tx.query('select pg_sleep(30)');
          }),
        { timeoutMillis: 30 },
      ),
  ],
];
