import type pg from 'pg';
import { Umzug, type UmzugStorage } from 'umzug';

const MIGRATIONS: readonly (readonly [name: string, up: string])[] = [
  ['1-notes', 'create table notes (id int primary key)'],
  ['2-first-note', 'insert into notes values (1)'],
];

/** Umzug asks nothing of a pool itself: its migrations and its storage do, by the context that it hands them. */
export function openUmzug(pgPool: pg.Pool): Umzug<pg.Pool> {
  return new Umzug({
    context: pgPool,
    migrations: MIGRATIONS.map(([name, up]) => ({ name, up: ({ context }) => context.query(up) })),
    storage,
    logger: undefined,
  });
}

const storage: UmzugStorage<pg.Pool> = {
  async logMigration({ name, context }) {
    await context.query('insert into migrations values ($1)', [name]);
  },
  async unlogMigration({ name, context }) {
    await context.query('delete from migrations where name = $1', [name]);
  },
  async executed({ context }) {
    await context.query('create table if not exists migrations (name text primary key)');
    const { rows } = await context.query<{ name: string }>('select name from migrations order by name');
    return rows.map(({ name }) => name);
  },
};
