import { type ConnectionParameters, type Database, missing, startPgBouncer } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { QueryResult } from '../../src/index.ts';
import { answerOf, errorOf, Notes, openPool } from './rig.ts';
import { type Note, STORIES, tenantsRole } from './tenants.ts';

const TENANTS = Array.from({ length: 10 }, (_, index) => `tenant ${index}`);

/** How many units of work there are; the long run has more of them. */
const UNITS = process.env['LIFEGUARD_LONG'] === '1' ? 6_000 : 312;

interface Findings {
  /** Rows that a unit of work saw and that were not its own. */
  readonly leaks: readonly string[];
  /** Units of work that saw nothing of their own. */
  readonly blind: readonly string[];
  /** Units of work that ended otherwise than their story says. */
  readonly surprises: readonly string[];
  readonly looks: number;
}

/** Units of work of all tenants and of nobody, all at once, on few connections. */
async function storm(connection: ConnectionParameters, database: Database): Promise<Findings> {
  const role = await tenantsRole(database, TENANTS);
  const pool = openPool(connection, { max: 3, maxWaiting: 0, acquireTimeoutMillis: 0, logger: new Notes() });
  const findings = { leaks: [] as string[], blind: [] as string[], surprises: [] as string[], looks: 0 };
  const unit = async (index: number): Promise<void> => {
    const [story, ends, run] = STORIES[index % STORIES.length] as (typeof STORIES)[number];
    const tenant = TENANTS[(index * 7) % TENANTS.length] as string;
    const saw = ({ rows }: QueryResult<Note>): void => {
      findings.looks += 1;
      for (const row of rows) if (row.tenant !== tenant) findings.leaks.push(`${story}: ${tenant} saw ${row.tenant}`);
      if (rows.length === 0) findings.blind.push(story);
    };
    const kill = async (pid: number): Promise<void> =>
      void (await database.query('select pg_terminate_backend($1)', [pid]));
    const outcome = await run({ pool, tenant, role, kill, saw }).then(
      () => 'well',
      (error: unknown) => error,
    );
    if (ends !== 'somehow' && (ends === 'well') !== (outcome === 'well'))
      findings.surprises.push(`${story}: ${String(outcome)}`);
  };
  const nobody = async (): Promise<void> => {
    const rows = await pool.scope({ role }, async (db) => (await db.query<Note>('select tenant from note')).rows);
    for (const row of rows) findings.leaks.push(`nobody saw ${row.tenant}`);
  };
  await Promise.all(Array.from({ length: UNITS }, (_, index) => Promise.all([unit(index), nobody()])));
  return findings;
}

describe('row-level security, with units of work of ten tenants and many accidents', () => {
  test('shows no row of another tenant on direct connections', async ({ database }) => {
    const { looks, ...wrong } = await storm(database.connection, database);
    expect(wrong).toEqual({ leaks: [], blind: [], surprises: [] });
    expect(looks).toBeGreaterThan(UNITS / 2);
  }, 120_000);

  test.skipIf(missing('pgbouncer'))(
    'shows none through a pooler that swaps connections',
    async ({ database }) => {
      const bouncer = await startPgBouncer({ target: database.connection, poolMode: 'transaction', poolSize: 2 });
      onTestFinished(() => bouncer?.stop());
      const { looks, ...wrong } = await storm(bouncer?.connection() as ConnectionParameters, database);
      expect(wrong).toEqual({ leaks: [], blind: [], surprises: [] });
      expect(looks).toBeGreaterThan(UNITS / 2);
    },
    120_000,
  );
});

describe('a policy that reads the tenant from a setting', () => {
  test('refuses to write a row of somebody else', async ({ database }) => {
    const role = await tenantsRole(database, ['a', 'b']);
    const pool = openPool(database.connection, { max: 1 });
    const error = await pool.scope({ settings: { 'app.tenant': 'a' }, role }, (db) =>
      errorOf(db.query("insert into note values ('b', 'forged')")),
    );
    expect(error).toMatchObject({ code: '42501' });
    expect(await database.query("select from note where body = 'forged'")).toEqual([]);
  });

  test('shows nothing where no tenant was given, on a connection that had one before', async ({ database }) => {
    const role = await tenantsRole(database, ['a', 'b']);
    const pool = openPool(database.connection, { max: 1 });
    const count = 'select count(*)::int from note';
    const as = (options: object): Promise<number> => pool.scope(options, (db) => answerOf<number>(db, count));
    expect(await as({ role, settings: { 'app.tenant': 'a' } })).toBe(1);
    expect(await as({ role })).toBe(0);
    expect(await as({ role, settings: { 'app.tenant': '' } })).toBe(0);
    expect(await answerOf(pool, count)).toBe(2);
  });

  test('takes a tenant for what it is, whatever stands in its name', async ({ database }) => {
    const odd = ["'; drop table note; --", '$1', 'ü "quoted"\nline', '%s'];
    const role = await tenantsRole(database, odd);
    const pool = openPool(database.connection);
    for (const tenant of odd) {
      const options = { role, settings: { 'app.tenant': tenant } };
      const seen = await pool.scope(options, async (db) => (await db.query<Note>('select tenant from note')).rows);
      expect(seen).toEqual([{ tenant }]);
    }
  });
});
