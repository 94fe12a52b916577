import { afterAll, beforeAll, expect, test as withServer } from '@lifeguard/testkit/vitest';
import { DataTypes, type ModelStatic, Sequelize, type Transaction } from 'sequelize';
import { createNamespace, destroyNamespace } from '../src/index.ts';

const namespace = createNamespace('sequelize');

beforeAll(() => {
  (Sequelize as unknown as { useCLS(namespace: object): void }).useCLS(namespace);
});

afterAll(() => destroyNamespace('sequelize'));

interface Shop {
  readonly sequelize: Sequelize;
  readonly Item: ModelStatic<never>;
  add(name: string): Promise<unknown>;
  names(): Promise<string[]>;
}

/** A table with nothing in it, and what Sequelize makes of it. */
const test = withServer.extend<{ shop: Shop }>({
  shop: async ({ database }, use) => {
    const sequelize = new Sequelize(database.url, { logging: false, pool: { max: 5 } });
    const Item = sequelize.define('item', { name: { type: DataTypes.STRING, unique: true } }) as ModelStatic<never>;
    await Item.sync({ force: true });
    await use({
      ...{ sequelize, Item },
      add: (name) => Item.create({ name } as never),
      names: async () =>
        (await database.query<{ name: string }>('select name from items order by name')).map((row) => row.name),
    });
    await sequelize.close();
  },
});

const current = (): Transaction | undefined => namespace.get('transaction');

test('a query without a transaction option joins the managed transaction around it', async ({ shop }) => {
  const failed = shop.sequelize.transaction(async () => {
    await shop.add('rolled back');
    await Promise.all([shop.add('also'), shop.add('as well')]);
    throw new Error('on purpose');
  });
  await expect(failed).rejects.toThrow('on purpose');
  expect(await shop.names()).toEqual([]);
  await shop.sequelize.transaction(() => shop.add('kept'));
  expect(await shop.names()).toEqual(['kept']);
});

test('the managed transaction is in the namespace as long as its function runs', async ({ shop }) => {
  expect(current()).toBeUndefined();
  await shop.sequelize.transaction(async (transaction) => {
    expect(current()).toBe(transaction);
    await shop.add('one');
    expect(current()).toBe(transaction);
  });
  expect(current()).toBeUndefined();
});

test('parallel managed transactions each have their own', async ({ shop }) => {
  const deeds = ['a', 'b', 'c', 'd'].map((name, index) =>
    shop.sequelize.transaction(async (transaction) => {
      await shop.add(`${name} first`);
      await shop.add(`${name} second`);
      expect(current()).toBe(transaction);
      if (index % 2 === 1) throw new Error(`no ${name}`);
    }),
  );
  const outcomes = await Promise.allSettled(deeds);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected']);
  expect(await shop.names()).toEqual(['a first', 'a second', 'c first', 'c second']);
});

test('a nested transaction is current inside of it, and the outer one again after it', async ({ shop }) => {
  await shop.sequelize.transaction(async (outer) => {
    await shop.add('outer');
    const nested = shop.sequelize.transaction({ transaction: outer }, async (inner) => {
      expect(current()).toBe(inner);
      await shop.add('inner');
      throw new Error('back to the savepoint');
    });
    await expect(nested).rejects.toThrow('back to the savepoint');
    expect(current()).toBe(outer);
    await shop.add('outer again');
  });
  expect(await shop.names()).toEqual(['outer', 'outer again']);
});

test('a transaction begun by hand is not ambient, and touches none', async ({ shop }) => {
  const byHand = await shop.sequelize.transaction();
  expect(current()).toBeUndefined();
  await shop.add('outside');
  await byHand.rollback();
  expect(await shop.names()).toEqual(['outside']);
});

test('hooks and eager queries of a transaction run in it', async ({ shop }) => {
  const seen: unknown[] = [];
  shop.Item.addHook('beforeCreate', () => void seen.push(current()?.constructor.name));
  await shop.sequelize.transaction(async () => {
    await shop.Item.findOrCreate({ where: { name: 'found' } } as never);
    expect(await shop.Item.count()).toBe(1);
  });
  expect(seen).toEqual(['Transaction']);
});
