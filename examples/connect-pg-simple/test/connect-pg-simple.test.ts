import { promisify } from 'node:util';
import { expectNothingLeft, openHost } from '@lifeguard/conformance';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { SessionData } from 'express-session';
import { openStore } from '../fixture.ts';

test('a session that is saved in a transaction survives its rollback', async ({ database }) => {
  const { pool, sessions } = await start(database);
  const failed = pool.transaction(async () => {
    await pool.query('insert into t (id) values (1)');
    await sessions.set('a', SESSION);
    throw new Error('the request failed');
  });
  await expect(failed).rejects.toThrow('the request failed');
  expect(await sessions.get('a')).toEqual(SESSION);
  expect(await database.query('select id from t')).toEqual([]);
  await expectNothingLeft(pool, database);
});

test('a session is saved after the end of the transaction as well', async ({ database }) => {
  const { pool, sessions } = await start(database);
  const save = await pool.transaction(async () => {
    await pool.query('insert into t (id) values (1)');
    return pool.bind(() => sessions.set('b', SESSION));
  });
  await save();
  expect(await sessions.get('b')).toEqual(SESSION);
});

test('sessions of many transactions at once need no place in them', async ({ database }) => {
  const { pool, sessions } = await start(database);
  const ids = Array.from({ length: 20 }, (_, index) => `s${index}`);
  await Promise.all(ids.map((id) => pool.scope(() => sessions.set(id, SESSION))));
  expect(await Promise.all(ids.map((id) => sessions.get(id)))).toEqual(ids.map(() => SESSION));
});

const SESSION = { cookie: { originalMaxAge: 60_000 } } as SessionData;

interface Sessions {
  set(id: string, session: SessionData): Promise<void>;
  get(id: string): Promise<SessionData | null | undefined>;
}

async function start(database: Parameters<typeof openHost>[0]) {
  const { pool, pgPool } = await openHost(database);
  const store = openStore(pool, pgPool);
  onTestFinished(async () => {
    await store.close();
    await pool.close({ graceMillis: 0 });
  });
  const sessions: Sessions = { set: promisify(store.set.bind(store)), get: promisify(store.get.bind(store)) };
  return { pool, sessions };
}
