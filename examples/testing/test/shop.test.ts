import type { Server } from 'node:http';
import { createPool, type LifeguardPool } from '@lifeguard/core';
import { honourSandboxes, sandbox } from '@lifeguard/core/testing';
import { test as base, expect } from '@lifeguard/testkit/vitest';
import request from 'supertest';
import { appOf } from '../app.ts';
import { SCHEMA, Shop } from '../shop.ts';

interface Application {
  readonly pool: LifeguardPool;
  readonly shop: Shop;
  readonly server: Server;
}

/** One application for all tests of the file, as in production; what they do at the same time, they do in sandboxes. */
const test = base.extend<{ application: Application }>({
  application: [
    async ({ database }, use) => {
      const pool = createPool({ ...database.connection, max: 12 });
      await pool.query(SCHEMA);
      const shop = new Shop(pool);
      const server = honourSandboxes(appOf(shop)).listen(0);
      await use({ pool, shop, server });
      server.close();
      server.closeAllConnections();
      await pool.close();
    },
    { scope: 'file' },
  ],
});

test.concurrent('an item can be ordered while there is one', async ({ application: { pool, shop } }) => {
  await using _ = await sandbox(pool);
  await shop.stock('tea', 1);
  await shop.order('tea');
  await expect(shop.order('tea')).rejects.toMatchObject({ code: '23514' });
  expect(await shop.list()).toEqual([{ name: 'tea', stock: 0 }]);
  expect(await shop.orders('tea')).toBe(1);
});

test.concurrent('a mail goes out for an order that is sure, and for no other', async ({ application }) => {
  await using db = await sandbox(application.pool);
  const shop = new Shop(application.pool);
  await shop.stock('coffee', 1);
  await Promise.allSettled([shop.order('coffee'), shop.order('coffee'), shop.order('milk')]);
  expect(shop.mails).toEqual(['ordered: coffee']);
  expect([db.committed, db.rolledBack]).toEqual([1, 2]);
});

test.for(['tea', 'coffee', 'milk', 'water'])(
  'requests see their own test alone: %s',
  { concurrent: true },
  async (name, { application }) => {
    const { pool, shop, server } = application;
    await using db = await sandbox(pool, { name });
    await shop.stock(name, 1);
    const agent = request.agent(server).set(db.headers);
    await agent.post('/items').send({ name, count: 1 }).expect(201);
    const orders = await Promise.all([1, 2, 3].map(() => agent.post('/orders').send({ name })));
    expect(orders.map(({ status }) => status).sort()).toEqual([201, 201, 409]);
    await agent.post('/orders').send({ name: 'gold' }).expect(404);
    await agent.get('/items').expect(200, [{ name, stock: 0 }]);
  },
);
