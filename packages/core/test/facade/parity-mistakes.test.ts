import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { type Asker, alike, onBoth, openFacade, withClient } from './peers.ts';
import { type Callback, type Told, told } from './told.ts';

type Mistake = (asker: Asker, callback: Callback) => unknown;

/** What pg itself finds fault with, before anything is sent. */
const MISTAKES: Readonly<Record<string, Mistake>> = {
  'a null query': (asker) => asker.query(null),
  'a null query with a callback': (asker, callback) => asker.query(null, callback),
  'no query at all': (asker) => asker.query(),
  'a config without a text': (asker) => asker.query({}),
  'a config without a text, with a callback': (asker, callback) => asker.query({}, callback),
  'a number for a text': (asker) => asker.query(5),
  'values that are no list': (asker) => asker.query('select $1::text', 'a'),
  'values that are no list, with a callback': (asker, callback) => asker.query('select $1::text', 'a', callback),
  'values that are no list in a config': (asker) => asker.query({ text: 'select $1::text', values: { 0: 'a' } }),
};

/** What they say is not compared: ours know more. */
const how = ({ returned, calledBack }: Told): object => ({ returned, calledBack });

describe('a mistake in a call is told as pg tells it', () => {
  for (const [what, make] of Object.entries(MISTAKES)) {
    test(`by a client and by a pool: ${what}`, async ({ database }) => {
      await alike(database, async (pgPool) => [
        how(await withClient(pgPool, (client) => told((callback) => make(client as Asker, callback)))),
        how(await told((callback) => make(pgPool as Asker, callback))),
        (await pgPool.query('select 1 as n')).rows,
      ]);
    });
  }

  test('a client throws at once for a null query and for a callback that is none', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => [
        await told(() => (client as Asker).query(null)),
        await told(() => (client as Asker).query('select 1', [], 'no function')),
        await told(() => (client as Asker).query({ text: 'select 1', callback: 'no function' })),
      ]),
    );
    expect(seen.map(({ answer }) => (answer as Error).name)).toEqual(['TypeError', 'TypeError', 'TypeError']);
    expect(seen.every(({ returned }) => returned === 'an exception')).toBe(true);
  });

  test('a callback that is none is refused by a pool before anything is sent', async ({ database }) => {
    const { pgPool } = openFacade(database.connection);
    const seen = await told(() => (pgPool as Asker).query('select 1', [], 'no function'));
    expect(seen).toMatchObject({ returned: 'a promise', answer: { name: 'TypeError' } });
    expect(pgPool.totalCount).toBe(0);
  });

  test('a function in the place of the text is told that it is in the wrong place', async ({ database }) => {
    const seen = await alike(database, (pgPool) => told((callback) => (pgPool as Asker).query(callback)));
    expect(seen).toMatchObject({ returned: 'nothing', calledBack: 1, answer: { name: 'Error' } });
  });

  test('a value that cannot be sent fails its own statement only', async ({ database }) => {
    const circle: { itself?: object } = {};
    circle.itself = circle;
    const stubborn = {
      toPostgres: (): never => {
        throw new Error('not me');
      },
    };
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => [
        await told(() => client.query('select $1::text', [stubborn])),
        (await told(() => client.query('select $1::json', [circle]))).returned,
        await told(() => client.query('select 1 as n')),
      ]),
    );
    expect(seen[0]).toMatchObject({ answer: { message: 'not me' } });
  });

  test('the parts of a statement that are not taken are refused with a reason', async ({ database }) => {
    const { pgPool } = openFacade(database.connection);
    for (const part of [{ rows: 10 }, { binary: true }]) {
      const { answer } = await told(() => (pgPool as Asker).query({ text: 'select 1', ...part }));
      expect(answer).toMatchObject({
        name: 'LifeguardError',
        message: expect.stringContaining(Object.keys(part)[0] as string),
      });
    }
    expect(pgPool.totalCount).toBe(0);
  });
});

describe('named statements', () => {
  test('are prepared once in a session, and answer each time', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const values = [];
        for (const value of ['a', 'b', 'c'])
          values.push((await client.query({ name: 'one', text: 'select $1::text as t', values: [value] })).rows[0].t);
        const { rows } = await client.query("select name, statement from pg_prepared_statements where name = 'one'");
        return [values, rows];
      }),
    );
    expect(seen).toEqual([['a', 'b', 'c'], [{ name: 'one', statement: 'select $1::text as t' }]]);
  });

  test('one name for two texts is refused', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        await client.query({ name: 'two', text: 'select 1 as n' });
        const { returned, answer } = await told(() => client.query({ name: 'two', text: 'select 2 as n' }));
        return [returned, (answer as Error).message.split(/[-:]/)[0]?.trim()];
      }),
    );
    expect(seen).toEqual(['a promise', 'Prepared statements must be unique']);
  });

  test('a name without its text is refused, where pg runs what is known by that name', async ({ database }) => {
    const { theirs, ours } = await onBoth(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        await client.query({ name: 'known', text: 'select $1::int as n', values: [1] });
        return told(() => (client as Asker).query({ name: 'known', values: [2] }));
      }),
    );
    expect(theirs).toMatchObject({ answer: { rows: [{ n: 2 }] } });
    expect(ours).toMatchObject({ returned: 'a promise', answer: { name: 'LifeguardError' } });
  });

  test('one that failed to be prepared can be sent again', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        await client.query('drop table if exists late_comer');
        const config = { name: 'late', text: 'select id from late_comer' };
        const first = await told(() => client.query(config));
        await client.query('create table late_comer as select 1 as id');
        return [first, (await client.query(config)).rows];
      }),
    );
    expect(seen[1]).toEqual([{ id: 1 }]);
  });
});
