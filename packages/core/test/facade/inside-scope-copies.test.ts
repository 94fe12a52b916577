import { finished } from 'node:stream/promises';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { from as copyFrom } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import { errorOf } from '../server/rig.ts';
import { type House, leavesNothing, prepared } from './inside-rig.ts';

/** A COPY of a library in a scope with settings, without a BEGIN: it has a transaction for itself. */
async function copied({ pool, orm }: House, text: string, rows: string): Promise<void> {
  await pool.scope({ settings: { 'app.name': 'ada' } }, async () => {
    const client = await orm.connect();
    const copy = client.query(copyFrom(text));
    copy.end(rows);
    await finished(copy);
    client.release();
  });
}

describe('a COPY in a scope with settings', () => {
  test('is told that it is done when it has committed, also where the scope ends at once', async ({ database }) => {
    const house = await prepared(database);
    await copied(house, 'copy item from stdin', '1\n2\n');
    expect(await house.stored()).toEqual([1, 2]);
    await leavesNothing(database, house.pool);
  });

  test('is told the error where its COMMIT fails, and not that it is done', async ({ database }) => {
    const house = await prepared(database);
    await database.query('create table if not exists part (id int unique deferrable initially deferred)');
    expect(await errorOf(copied(house, 'copy part from stdin', '9\n9\n'))).toMatchObject({ code: '23505' });
    expect(await database.query('select * from part')).toEqual([]);
  });

  test('is told its own error once', async ({ database }) => {
    const house = await prepared(database);
    expect(await errorOf(copied(house, 'copy item from stdin', 'no number\n'))).toMatchObject({ code: '22P02' });
    expect(await house.stored()).toEqual([]);
  });
});

test('a cursor in a scope with settings that is left open costs nothing but its scope', async ({ database }) => {
  const { pool, orm } = await prepared(database);
  await pool.scope({ settings: { 'app.name': 'ada' } }, async () => {
    const client = await orm.connect();
    expect(await client.query(new Cursor('select g from generate_series(1, 9) g')).read(1)).toEqual([{ g: 1 }]);
    client.release();
  });
  await leavesNothing(database, pool);
});
