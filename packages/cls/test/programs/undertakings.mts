/** What a user's program does with typeorm-transactional. It runs in a folder of its own, and says what it saw as JSON. */
import 'reflect-metadata';
import { getNamespace } from 'cls-hooked';
import { DataSource, EntitySchema } from 'typeorm';
import {
  addTransactionalDataSource,
  initializeTransactionalContext,
  Propagation,
  runInTransaction,
  runOnTransactionCommit,
  runOnTransactionRollback,
  StorageDriver,
} from 'typeorm-transactional';

initializeTransactionalContext({ storageDriver: StorageDriver.CLS_HOOKED });

const Item = new EntitySchema<{ id: number; name: string }>({
  name: 'item',
  columns: { id: { type: 'int', primary: true, generated: true }, name: { type: 'text' } },
});
const url = process.env['DATABASE_URL'] as string;
const source = addTransactionalDataSource(
  new DataSource({ type: 'postgres', url, entities: [Item], synchronize: true }),
);
await source.initialize();
const items = source.getRepository(Item);
const events: string[] = [];

const add = (name: string): Promise<unknown> => items.save({ name });
const fail = async (name: string): Promise<never> => {
  await add(name);
  throw new Error(name);
};
const within = (propagation: Propagation, fn: () => Promise<unknown>): Promise<unknown> =>
  runInTransaction(fn, { propagation });
const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: Error) => error.message,
  );

/** After it the library's hooks have run. */
const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Each writes again when the next one has failed and ended, and then fails too. */
function failingChildren(): Promise<unknown>[] {
  const ends = ['a', 'b', 'c', 'nobody'].map((name) => ({ name, end: Promise.withResolvers<void>() }));
  ends.at(-1)?.end.resolve();
  return ends.slice(0, -1).map(async ({ name, end }, index) => {
    const child = within(Propagation.REQUIRES_NEW, async () => {
      await add(`${name} first`);
      await ends[index + 1]?.end.promise;
      await fail(`${name} second`);
    });
    await outcome(child);
    end.resolve();
  });
}

/** The names that remain of what was done, which then are forgotten. */
async function remaining(deed: Promise<unknown>): Promise<[string, string[]]> {
  const result = await outcome(deed);
  const names = (await items.find({ order: { name: 'asc' } })).map(({ name }) => name);
  await items.clear();
  return [result, names];
}

const said = {
  isOurs: Symbol.for('lifeguard.cls') in globalThis && getNamespace('@transactional/namespace') !== undefined,
  committed: await remaining(within(Propagation.REQUIRED, () => Promise.all([add('a'), add('b')]))),
  rolledBack: await remaining(within(Propagation.REQUIRED, () => fail('a'))),
  joined: await remaining(
    within(Propagation.REQUIRED, async () => {
      await within(Propagation.REQUIRED, () => add('inner'));
      await fail('outer');
    }),
  ),
  requiresNew: await remaining(
    within(Propagation.REQUIRED, async () => {
      await within(Propagation.REQUIRES_NEW, () => add('inner'));
      await fail('outer');
    }),
  ),
  parallel: await remaining(
    Promise.all(
      ['a', 'b', 'c', 'd'].map((name, index) =>
        outcome(
          within(Propagation.REQUIRED, async () => {
            await add(`${name} first`);
            await (index % 2 === 0 ? add(`${name} second`) : fail(`${name} second`));
          }),
        ),
      ),
    ),
  ),
  failingChildren: await remaining(within(Propagation.REQUIRED, () => Promise.all(failingChildren()))),
  refused: await remaining(within(Propagation.MANDATORY, () => add('a'))),
  hooks: events,
};

await within(Propagation.REQUIRED, async () => {
  runOnTransactionCommit(() => events.push('committed'));
  runOnTransactionRollback(() => events.push('never'));
  await add('a');
});
await turnOfTheLoop();
await outcome(
  within(Propagation.REQUIRED, async () => {
    runOnTransactionRollback(() => events.push('rolled back'));
    await fail('a');
  }),
);
await turnOfTheLoop();
await source.destroy();
process.stdout.write(JSON.stringify(said));
