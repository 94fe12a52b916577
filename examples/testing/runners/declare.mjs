import assert from 'node:assert/strict';
import { createPool } from '@lifeguard/core';
import { outsideSandboxes, sandbox } from '@lifeguard/core/testing';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

/** The same tests for every runner: none of them is known to the package. */
export function declare({ describe, test, concurrent, beforeEach, afterEach, afterAll }) {
  const pool = createPool({ connectionString: process.env['DATABASE_URL'], max: 12 });
  afterAll(() => pool.close());

  const add = (name) => pool.query('insert into runner_names values ($1)', [name]);
  const names = async () =>
    (await pool.query('select name from runner_names order by name')).rows.map(({ name }) => name);
  /** Work that gives others the turn again and again. */
  const visit = async (name) => {
    await add(`${name}1`);
    await Promise.all([pool.query('select pg_sleep(0.02)'), pool.transaction((tx) => tx.query('select 1'))]);
    await new Promise((resolve) => setImmediate(resolve));
    await pool.transaction(() => add(`${name}2`));
    assert.deepEqual(await names(), [`${name}1`, `${name}2`]);
  };

  describe('one after the other', () => {
    for (const name of NAMES) {
      test(`has a sandbox of its own: ${name}`, async () => {
        const db = await sandbox(pool, { name });
        try {
          await visit(name);
        } finally {
          await db.end();
        }
      });
    }

    test('has none where it asks for none', async () => {
      assert.deepEqual(await outsideSandboxes(pool, names), []);
    });
  });

  describe('at the same time', () => {
    for (const name of NAMES) {
      concurrent(`has a sandbox of its own: ${name}`, async () => {
        const db = await sandbox(pool, { name });
        try {
          await visit(name);
        } finally {
          await db.end();
        }
      });
      concurrent(`has a sandbox for a function: ${name}`, () => sandbox(pool, () => visit(name)));
    }

    concurrent('never finds the sandbox of another test', async () => {
      for (let round = 0; round < 20; round += 1) {
        // Late work of a test that has ended is refused; anything else is the database itself, where there is nothing.
        const seen = await names().catch((error) => error.code);
        assert.ok(seen === 'ERR_LIFEGUARD_SANDBOX' || seen.length === 0, String(seen));
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
  });

  describe('with hooks', () => {
    let db;
    beforeEach(async () => {
      db = await sandbox(pool, { name: 'hook' });
      await db.run(() => add('by the hook'));
    });
    afterEach(() => db.end());

    test('is inside where it enters', async () => {
      db.enter();
      assert.deepEqual(await names(), ['by the hook']);
    });

    test('is inside where it runs', () => db.run(async () => assert.deepEqual(await names(), ['by the hook'])));
  });

  describe('with hooks that share', () => {
    let db;
    beforeEach(async () => {
      db = await sandbox(pool, { shared: true });
      await add('by the hook');
    });
    afterEach(() => db.end());

    for (const name of NAMES) {
      test(`is inside whatever it does: ${name}`, async () => assert.deepEqual(await names(), ['by the hook']));
    }
  });
}
