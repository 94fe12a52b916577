import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import { errorOf } from '../server/rig.ts';
import { prepared, put } from './inside-rig.ts';

describe('many savepoints in one transaction', () => {
  const writes = async (orm: pg.Pool, count: number): Promise<void> => {
    for (let id = 0; id < count; id += 1) await put(orm, id);
  };

  test('are told of once, past 64 writes, and then there are no more', async ({ database }) => {
    const { pool, orm, notes, stored } = await prepared(database);
    const whole = pool.transaction(async () => {
      await writes(orm, 64);
      expect(await errorOf(put(orm, 1))).toMatchObject({ code: '23505' });
      expect(notes.codes).toEqual(['LIFEGUARD_MANY_SAVEPOINTS']);
      expect(await errorOf(put(orm, 65))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_FAILED' });
    });
    expect(await errorOf(whole)).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { code: '23505' } });
    expect(await stored()).toEqual([]);
    await pool.transaction(() => writes(orm, 70));
    expect(notes.codes.filter((code) => code === 'LIFEGUARD_MANY_SAVEPOINTS').length).toBeLessThan(3);
    expect((await stored()).length).toBe(70);
  });

  test('of reads are not counted', async ({ database }) => {
    const { pool, orm, notes, stored } = await prepared(database);
    await pool.transaction(async () => {
      for (let at = 0; at < 100; at += 1) await orm.query('select id from item where id = $1', [at]);
      await put(orm, 1);
      expect(await errorOf(put(orm, 1))).toMatchObject({ code: '23505' });
    });
    expect(notes.codes).toEqual([]);
    expect(await stored()).toEqual([1]);
  });

  test('are counted for the whole, in whichever nested transaction they are', async ({ database }) => {
    const { pool, orm, notes } = await prepared(database);
    await pool.transaction(async (tx) => {
      await writes(orm, 60);
      await tx.transaction(() => Promise.all([61, 62, 63, 64, 65, 66].map((id) => put(orm, id))));
    });
    expect(notes.codes).toEqual(['LIFEGUARD_MANY_SAVEPOINTS']);
  });

  test('begin anew in the next transaction', async ({ database }) => {
    const { pool, orm, notes, stored } = await prepared(database);
    for (const at of [0, 1]) {
      await pool.transaction(async () => {
        for (let id = 0; id < 60; id += 1) await put(orm, at * 60 + id);
      });
    }
    expect(notes.codes).toEqual([]);
    expect((await stored()).length).toBe(120);
  });
});
