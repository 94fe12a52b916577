import { describeLibrary, openHost, storedIn } from '@lifeguard/conformance';
import type { LifeguardPool } from '@lifeguard/core';
import { sequelizeOn } from '@lifeguard/core/orms';
import type { Database } from '@lifeguard/testkit';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { DataTypes, type Model, type ModelStatic, Sequelize, UniqueConstraintError } from 'sequelize';
import { fixture } from '../fixture.ts';

describeLibrary(fixture);

test('its own type parsers are in force inside a transaction and outside', async ({ database }) => {
  const { pool, sequelize } = await open(database);
  await database.query("create type mood as enum ('calm', 'wild')");
  const read = async (): Promise<unknown> => {
    const text = "select date '2020-01-02' as day, '{calm,wild}'::mood[] as moods, '[1,5)'::int4range as span";
    return (await sequelize.query(text, { plain: true })) as unknown;
  };
  const range = [
    { value: 1, inclusive: true },
    { value: 5, inclusive: false },
  ];
  const expected = { day: '2020-01-02', moods: ['calm', 'wild'], span: range };
  expect(await pool.transaction(read)).toEqual(expected);
  expect(await read()).toEqual(expected);
});

test('what it does by a transaction of its own is undone with the one around it', async ({ database }) => {
  const { pool, notes } = await open(database);
  const whole = pool.transaction(async () => {
    await notes.findOrCreate({ where: { id: 1 } });
    await notes.bulkCreate([{ id: 2 }, { id: 3 }]);
    expect(await notes.count()).toBe(3);
    throw new Error('changed my mind');
  });
  await expect(whole).rejects.toThrow('changed my mind');
  expect(await storedIn(database)).toEqual([]);
});

test('its errors stay its own inside a transaction', async ({ database }) => {
  const { pool, notes } = await open(database);
  await pool.transaction(async () => {
    await notes.create({ id: 1 });
    await expect(notes.create({ id: 1 })).rejects.toThrow(UniqueConstraintError);
  });
  expect(await storedIn(database)).toEqual([1]);
});

test('it opens no connection of its own', async ({ database }) => {
  const { pool, notes } = await open(database);
  await pool.transaction(() => notes.create({ id: 1 }));
  await notes.create({ id: 2 });
  const names = (await database.backends()).map(({ applicationName }) => applicationName);
  expect(names.filter((name) => !name.startsWith(pool.name))).toEqual([]);
});

test('after its close it is refused and the pool goes on', async ({ database }) => {
  const { pool, sequelize } = await open(database);
  await sequelize.close();
  await expect(sequelize.query('select 1')).rejects.toThrow('closed');
  await expect(pool.query('select 1 as one')).resolves.toMatchObject({ rows: [{ one: 1 }] });
});

interface Opened {
  readonly pool: LifeguardPool;
  readonly sequelize: Sequelize;
  readonly notes: ModelStatic<Model<{ id: number; note?: string }>>;
}

async function open(database: Database): Promise<Opened> {
  await database.query('drop type if exists mood');
  const { pool } = await openHost(database);
  onTestFinished(() => pool.close({ graceMillis: 0 }));
  const options = { dialect: 'postgres', dialectModule: pg, logging: false } as const;
  const sequelize = sequelizeOn(new Sequelize(options), pool, { pg });
  const columns = { id: { type: DataTypes.INTEGER, primaryKey: true }, note: DataTypes.STRING };
  return { pool, sequelize, notes: sequelize.define('Note', columns, { tableName: 't', timestamps: false }) };
}
