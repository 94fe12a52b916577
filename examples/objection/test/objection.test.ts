import { describeLibrary, openHost } from '@lifeguard/conformance';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import knex from 'knex';
import { Model, UniqueViolationError } from 'objection';
import { fixture } from '../fixture.ts';

describeLibrary(fixture);

class Letter extends Model {
  static override tableName = 'letters';
  static override relationMappings = {
    answers: { relation: Model.HasManyRelation, modelClass: Letter, join: { from: 'letters.id', to: 'letters.to' } },
  };
  declare id: number;
  declare answers: Letter[];
}

test('a graph of rows is inserted in the transaction and undone with it', async ({ database }) => {
  const { pool, pgPool } = await openHost(database);
  await database.query('create table letters (id int primary key, "to" int references letters)');
  const db = knex({ client: 'pg', connectionPool: pgPool });
  onTestFinished(() => pool.close({ graceMillis: 0 }));
  const whole = pool.transaction(async () => {
    await Letter.query(db).insertGraph({ id: 1, answers: [{ id: 2 }, { id: 3 }] });
    expect(await Letter.query(db).withGraphFetched('answers').findById(1)).toMatchObject({ answers: [{}, {}] });
    await expect(Letter.query(db).insert({ id: 1 })).rejects.toThrow(UniqueViolationError);
    throw new Error('changed my mind');
  });
  await expect(whole).rejects.toThrow('changed my mind');
  expect(await database.query('select id from letters')).toEqual([]);
});
