import { createPool } from '@lifeguard/core';
import { honourSandboxes, sandbox } from '@lifeguard/core/testing';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import fastify from 'fastify';
import request from 'supertest';
import { SCHEMA, Shop } from '../shop.ts';

test('a Fastify app is honoured by its server, and needs no header where it is injected', async ({ database }) => {
  const pool = createPool({ ...database.connection });
  await pool.query(SCHEMA);
  const shop = new Shop(pool);
  const app = fastify();
  app.post<{ Body: { name: string } }>('/items', async ({ body }) => {
    await shop.stock(body.name, 1);
    return shop.list();
  });
  await app.ready();
  onTestFinished(async () => {
    await app.close();
    await pool.close();
  });
  const seen = ['tea', 'coffee'].map((name) =>
    sandbox(pool, async (db) => {
      await app.inject({ method: 'POST', url: '/items', payload: { name } });
      const { body } = await request(honourSandboxes(app.server)).post('/items').set(db.headers).send({ name });
      return body;
    }),
  );
  expect(await Promise.all(seen)).toEqual([[{ name: 'tea', stock: 2 }], [{ name: 'coffee', stock: 2 }]]);
  expect(await database.query('select from shop_items')).toEqual([]);
});
