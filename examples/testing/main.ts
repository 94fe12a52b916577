/** A test without a test runner: what the application does in a sandbox, and that nothing of it remains. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createPool } from '@lifeguard/core';
import { honourSandboxes, sandbox } from '@lifeguard/core/testing';
import { startPostgres } from '@lifeguard/testkit';
import { appOf } from './app.ts';
import { SCHEMA, Shop } from './shop.ts';

const url = process.env['DATABASE_URL'];
const server = url ? undefined : await startPostgres();
const pool = createPool({ connectionString: server?.url() ?? (url as string), name: 'testing' });
await pool.query(SCHEMA);
const shop = new Shop(pool);
const app = honourSandboxes(appOf(shop)).listen(0, '127.0.0.1');
await once(app, 'listening');
const base = `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
try {
  const both = ['tea', 'coffee'].map((name) => sandbox(pool, { name }, (db) => ordering(name, db.headers)));
  for (const line of await Promise.all(both)) console.log(line);
  console.log(`in the database: ${(await shop.list()).length} items; mails: ${shop.mails.join(', ')}`);
} finally {
  app.close();
  await pool.query('drop table shop_orders, shop_items');
  await pool.close();
  await server?.stop();
}

/** Three requests over HTTP, and a look at what they did; two of these run at the same time. */
async function ordering(name: string, sandboxHeaders: Readonly<Record<string, string>>): Promise<string> {
  const headers = { ...sandboxHeaders, 'content-type': 'application/json' };
  const post = async (path: string, body: object): Promise<number> =>
    (await fetch(`${base}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })).status;
  const statuses = [
    await post('/items', { name, count: 1 }),
    await post('/orders', { name }),
    await post('/orders', { name }),
  ];
  return `${name}: ${statuses.join(', ')}; sees ${(await shop.list()).map((item) => item.name).join(', ')}`;
}
