import type { LifeguardPool } from '@lifeguard/core';
import { asc, eq, sql } from 'drizzle-orm';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import pg from 'pg';

export const items = pgTable('shop_items', { name: text().primaryKey(), stock: integer().notNull() });
export const orders = pgTable('shop_orders', {
  id: integer().primaryKey().generatedAlwaysAsIdentity(),
  item: text().notNull(),
});

export const SCHEMA = `
  create table if not exists shop_items (name text primary key, stock int not null check (stock >= 0));
  create table if not exists shop_orders (id int generated always as identity primary key, item text not null references shop_items);
`;

/** What the application does. It knows nothing of tests: it is given its pool, and uses an ORM over it. */
export class Shop {
  readonly #pool: LifeguardPool;
  readonly #db: NodePgDatabase;
  /** What it would send, once an order is sure. */
  readonly mails: string[] = [];

  constructor(pool: LifeguardPool) {
    this.#pool = pool;
    this.#db = drizzle({ client: pool.asPgPool({ pg }) });
  }

  async stock(name: string, count: number): Promise<void> {
    const change = { target: items.name, set: { stock: sql`${items.stock} + ${count}` } };
    await this.#db.insert(items).values({ name, stock: count }).onConflictDoUpdate(change);
  }

  list(): Promise<{ name: string; stock: number }[]> {
    return this.#db.select().from(items).orderBy(asc(items.name));
  }

  /** All or nothing, with plain SQL and the ORM in one transaction; the mail goes out when it has committed. */
  async order(name: string): Promise<number> {
    return this.#pool.transaction(async (tx) => {
      tx.afterCommit(() => this.mails.push(`ordered: ${name}`));
      const { rowCount } = await tx.query('update shop_items set stock = stock - 1 where name = $1', [name]);
      if (rowCount === 0) throw new NotFound(name);
      const [order] = await this.#db.insert(orders).values({ item: name }).returning();
      return order?.id as number;
    });
  }

  async orders(name: string): Promise<number> {
    return this.#db.$count(orders, eq(orders.item, name));
  }
}

export class NotFound extends Error {
  constructor(name: string) {
    super(`there is no ${name}`);
  }
}
