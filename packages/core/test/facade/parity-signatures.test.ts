import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { type Asker, alike, withClient } from './peers.ts';
import { type Callback, type Told, told } from './told.ts';

interface Asked {
  readonly text: string;
  readonly values?: readonly unknown[];
  /** What else is in a config. */
  readonly rest?: object;
}

type Form = (asker: Asker, asked: Asked, callback: Callback) => unknown;

/** Every place that pg has a text, values and a callback in. */
const FORMS: Readonly<Record<string, Form>> = {
  'query(text, values)': (asker, { text, values }) => asker.query(text, values),
  'query(text, values, callback)': (asker, { text, values }, callback) => asker.query(text, values, callback),
  'query(text, null)': (asker, { text }) => asker.query(text, null),
  'query(text, callback)': (asker, { text }, callback) => asker.query(text, callback),
  'query(config)': (asker, { text, values, rest }) => asker.query({ text, values, ...rest }),
  'query(config, callback)': (asker, { text, values, rest }, callback) =>
    asker.query({ text, values, ...rest }, callback),
  'query(config, undefined, callback)': (asker, { text, values, rest }, callback) =>
    asker.query({ text, values, ...rest }, undefined, callback),
  'query(config, null, callback)': (asker, { text, values, rest }, callback) =>
    asker.query({ text, values, ...rest }, null, callback),
  'query(config, values)': (asker, { text, values, rest }) => asker.query({ text, ...rest }, values),
  'query(config, values, callback)': (asker, { text, values, rest }, callback) =>
    asker.query({ text, ...rest }, values, callback),
  'query(config with others values, values)': (asker, { text, values, rest }) =>
    asker.query({ text, values: ['another'], ...rest }, values),
};

/** A pool looks for a callback beside the config only. */
const IN_THE_CONFIG: Form = (asker, { text, values }, callback) => asker.query({ text, values, callback });

const WITHOUT_VALUES = ['query(text, null)', 'query(text, callback)'];

const UPPER = { getTypeParser: () => (value: string) => `<${value}>` };

const STATEMENTS: Readonly<Record<string, Asked>> = {
  'a statement with values': { text: "select $1::int + 1 as n, 'x' as t", values: [41] },
  'a statement without values': { text: 'select 1 as one' },
  'a statement with no values in its list': { text: 'select 1 as one', values: [] },
  'an empty text': { text: '' },
  'nothing but a comment': { text: '-- nothing' },
  'several statements': { text: "select 1 as a; select 2 as b, 'c' as c; set app.x = '1'" },
  'several, one of which fails': { text: 'select 1 as a; select 1/0; select 2' },
  'a failing statement': { text: 'select 1/$1::int as n', values: [0] },
  'what the server cannot read': { text: 'selekt 1' },
  'rows as arrays': { text: 'select 1 as a, 2 as a', rest: { rowMode: 'array' } },
  'a word for rows that pg does not know': { text: 'select 1 as a', rest: { rowMode: 'object' } },
  'type parsers of its own': { text: 'select $1::int as n, now() is null as b', values: [7], rest: { types: UPPER } },
  'a named statement': { text: 'select $1::int as n', values: [7], rest: { name: 'seven' } },
  'a named statement without values': { text: 'select 7 as n', rest: { name: 'no values' } },
  'an empty name': { text: 'select 7 as n', rest: { name: '' } },
  'the extended protocol': { text: 'select 7 as n', rest: { queryMode: 'extended' } },
  'parts that pg does not know': { text: 'select 7 as n', rest: { owner: 'somebody', portal: '' } },
};

describe('query() says the same as in pg', () => {
  for (const [what, asked] of Object.entries(STATEMENTS)) {
    test(`of a client, in every form, for ${what}`, async ({ database }) => {
      const seen = await alike(database, (pgPool) => withClient(pgPool, (client) => inAllForms(client, asked)));
      expect(Object.keys(seen).length).toBeGreaterThan(8);
    });

    test(`of a pool, in every form, for ${what}`, async ({ database }) => {
      const seen = await alike(database, (pgPool) => inAllForms(pgPool, asked));
      expect(Object.keys(seen).length).toBeGreaterThan(8);
    });
  }
});

describe('how query() answers', () => {
  test('a promise or a callback tell it, and never both', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, (client) => inAllForms(client, { text: 'select 1 as one' })),
    );
    for (const [form, { returned, calledBack }] of Object.entries(seen)) {
      const byCallback = form.includes('callback');
      expect([form, returned, calledBack]).toEqual([form, ...(byCallback ? ['nothing', 1] : ['a promise', 0])]);
    }
  });

  test('a callback in the config is called by a client, and not by a pool', async ({ database }) => {
    const asked = { text: 'select $1::int as n', values: [7] };
    const [client, pool] = await alike(database, async (pgPool) => [
      await withClient(pgPool, (one) => told((callback) => IN_THE_CONFIG(one as Asker, asked, callback))),
      await told((callback) => IN_THE_CONFIG(pgPool as Asker, asked, callback)),
    ]);
    expect(client).toMatchObject({ returned: 'nothing', calledBack: 1 });
    expect(pool).toMatchObject({ returned: 'a promise', calledBack: 0 });
  });

  test('the same config can be asked again and again', async ({ database }) => {
    const answers = await alike(database, async (pgPool) => {
      const config = { text: 'select $1::int as n', values: [3] };
      const first = await pgPool.query(config);
      const second = await withClient(pgPool, (client) => client.query(config));
      return [first.rows, second.rows, { ...config }];
    });
    expect(answers).toEqual([[{ n: 3 }], [{ n: 3 }], { text: 'select $1::int as n', values: [3] }]);
  });

  test('a config may come from a class and be frozen', async ({ database }) => {
    class Sql {
      get text(): string {
        return 'select $1::text as t';
      }
      get values(): string[] {
        return ['a'];
      }
    }
    const rows = await alike(database, async (pgPool) => {
      const { rows } = await withClient(pgPool, (client) => client.query(new Sql()));
      return [
        rows,
        (await pgPool.query(new Sql())).rows,
        (await pgPool.query(Object.freeze({ text: 'select 1 as n' }))).rows,
      ];
    });
    expect(rows).toEqual([[{ t: 'a' }], [{ t: 'a' }], [{ n: 1 }]]);
  });
});

/** Values that a text does not ask for are another mistake than none where it asks for some: that is not the point here. */
function formsFor({ values }: Asked): [string, Form][] {
  const forms = Object.entries(FORMS);
  const hasValues = values !== undefined && values.length > 0;
  return forms.filter(([name]) => (hasValues ? !WITHOUT_VALUES.includes(name) : !name.includes('others')));
}

async function inAllForms(asker: object, asked: Asked): Promise<Record<string, Told>> {
  const seen: Record<string, Told> = {};
  for (const [name, form] of formsFor(asked))
    seen[name] = await told((callback) => form(asker as Asker, asked, callback));
  return seen;
}
