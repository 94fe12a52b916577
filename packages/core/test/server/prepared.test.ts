import { type Message, missing, startPgBouncer } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { overhear, repeat } from './prepared-wire.ts';
import { errorOf } from './rig.ts';

const ALONE = { lane: false } as const;
const TEXT = 'select $1::int as it';
const unspeakable = {
  toPostgres() {
    throw Object.assign(new Error('mine'), { code: 'MINE' });
  },
};

describe('a text that comes again', () => {
  test('is sent whole four times, prepared with the fifth, and from then on only bound', async ({ database }) => {
    const { pool, during } = await overhear(database.connection, { max: 1 });
    await pool.query('select 0');
    const uses: string[] = [];
    await repeat(7, async (use) => uses.push(await during(() => pool.query(TEXT, [use]))));
    expect(uses).toEqual([...Array(4).fill('PBDES'), 'C*P*D*B*ES', 'B*ES', 'B*ES']);
  });

  test('is prepared without values too, where it is a plain query four times', async ({ database }) => {
    const { pool, during } = await overhear(database.connection, { max: 1 });
    const uses: string[] = [];
    await pool.query('select 0');
    await repeat(6, async () => uses.push(await during(() => pool.query('select 1 as it'))));
    expect(uses).toEqual([...Array(4).fill('Q'), 'C*P*D*B*ES', 'B*ES']);
  });

  test('is counted over all connections, and prepared on each of them', async ({ database }) => {
    const { pool, during, names } = await overhear(database.connection, { max: 2 });
    const [one, other] = [await pool.lease(), await pool.lease()];
    await repeat(2, () => one.query(TEXT, [1]));
    await repeat(2, () => other.query(TEXT, [1]));
    expect(await during(() => one.query(TEXT, [1]))).toBe('C*P*D*B*ES');
    expect(await during(() => other.query(TEXT, [1]))).toBe('C*P*D*B*ES');
    expect(await during(() => one.query(TEXT, [1]))).toBe('B*ES');
    expect(await during(() => other.query(TEXT, [1]))).toBe('B*ES');
    expect(names.size).toBe(1);
    await Promise.all([one.release(), other.release()]);
  });

  test('is prepared once where many travel on one lane', async ({ database }) => {
    const { pool, during } = await overhear(database.connection, { max: 2 });
    await repeat(4, (use) => pool.query(TEXT, [use]));
    const many = Array.from({ length: 20 }, (_, at) => at);
    const sent = await during(async () => {
      const answers = await Promise.all(many.map((at) => pool.query(TEXT, [at])));
      expect(answers.map(({ rows }) => rows[0]?.['it'])).toEqual(many);
    });
    expect(sent).toBe(`C*P*D*B*ES${'B*ES'.repeat(19)}`);
  });

  test('is prepared once in a group that has it three times', async ({ database }) => {
    const { pool, during } = await overhear(database.connection, { max: 1 });
    const three = [1, 2, 3].map((value) => ({ text: TEXT, values: [value] }));
    await repeat(4, (use) => pool.query(TEXT, [use]));
    const sent = await during(async () => {
      const answers = await pool.batch(three);
      expect(answers.map(({ rows }) => rows)).toEqual([1, 2, 3].map((it) => [{ it }]));
    });
    expect(sent).toBe('C*P*D*B*EB*EB*ES');
  });

  test('has one name in all pools, and another text has another', async ({ database }) => {
    const [first, second] = [await overhear(database.connection), await overhear(database.connection)];
    for (const { pool } of [first, second]) await repeat(6, (use) => pool.query(TEXT, [use]));
    expect([...second.names]).toEqual([...first.names]);
    await repeat(6, (use) => first.pool.query(`${TEXT} `, [use]));
    expect(first.names.size).toBe(2);
  });

  test('keeps its name when it is read with other parsers or as arrays', async ({ database }) => {
    const { pool, during, names } = await overhear(database.connection, { max: 1 });
    await repeat(5, (use) => pool.query(TEXT, [use]));
    const types = { getTypeParser: () => (text: string) => `<${text}>` };
    const sent = await during(async () => {
      expect((await pool.query({ text: TEXT, values: [7], rowMode: 'array' })).rows).toEqual([[7]]);
      expect((await pool.query({ text: TEXT, values: [7], types })).rows).toEqual([{ it: '<7>' }]);
    });
    expect([sent, names.size]).toEqual(['B*ESB*ES', 1]);
  });
});

describe('a text that is never prepared', () => {
  const UTILITIES = [
    'show work_mem',
    'explain select 1',
    'do $$ begin end $$',
    'create table if not exists made (a int)',
    'truncate made',
    'vacuum made',
    'analyze made',
    'reset work_mem',
    'select 1 as mine into temp into_temp; drop table into_temp',
    'select 1; select 2',
    'copy (select 1) to stdout',
    'lock table made',
    '',
  ];

  test('is one that the server does not plan', async ({ database }) => {
    const { pool, names } = await overhear(database.connection, { max: 1, logger: { warn: () => undefined } });
    await pool.query('create table if not exists made (a int)');
    for (const text of UTILITIES) await repeat(7, () => pool.query(text).catch(() => undefined));
    await repeat(6, () => pool.transaction((tx) => tx.query('set local work_mem = $$8MB$$')));
    expect([...names]).toEqual([]);
  });

  test('is one of more than 16 KB, and one of 16 KB is', async ({ database }) => {
    const { pool, during, names } = await overhear(database.connection, { max: 1 });
    const long = `select 1 as it /*${'x'.repeat(16_384)}*/`;
    await repeat(7, () => pool.query(long));
    expect([...names]).toEqual([]);
    const longest = long.replace(/x+/, 'x'.repeat(16_384 - 'select 1 as it /**/'.length));
    await repeat(6, () => pool.query(longest));
    expect(await during(() => pool.query(longest))).toBe('B*ES');
  });

  test('is any in a pool that prepares nothing', async ({ database }) => {
    const { pool, names } = await overhear(database.connection, { prepare: false, max: 2 });
    await repeat(7, (use) => pool.query(TEXT, [use]));
    await repeat(7, (use) => pool.query(TEXT, [use], ALONE));
    await repeat(7, () => pool.batch([{ text: TEXT, values: [1] }]));
    await repeat(7, () => pool.transaction((tx) => tx.query(TEXT, [1])));
    expect([...names]).toEqual([]);
  });

  for (const [poolMode, pooler] of [
    ['transaction', 'pgbouncer-transaction'],
    ['transaction', 'auto'],
    ['statement', 'pgbouncer-statement'],
    ['session', 'auto'],
  ] as const) {
    test.skipIf(missing('pgbouncer'))(`is any behind PgBouncer: ${poolMode} mode, ${pooler}`, async ({ database }) => {
      const bouncer = await startPgBouncer({ target: database.connection, poolMode, poolSize: 3 });
      onTestFinished(() => bouncer?.stop());
      const { pool, names } = await overhear(bouncer?.connection() as never, { pooler, max: 2 });
      await repeat(12, async (use) => {
        const answers = await Promise.all([pool.query(TEXT, [use]), pool.query(TEXT, [-use], ALONE)]);
        expect(answers.map(({ rows }) => rows)).toEqual([[{ it: use }], [{ it: -use }]]);
      });
      expect([...names]).toEqual([]);
    });
  }
});

test.skipIf(missing('pgbouncer'))('no name is sent while it is not known what lies between', async ({ database }) => {
  const bouncer = await startPgBouncer({ target: database.connection, poolMode: 'transaction', poolSize: 3 });
  onTestFinished(() => bouncer?.stop());
  let questions = 0;
  const isFirstQuestion = ({ type, body }: Message): boolean =>
    type === 'Q' && body.includes('pg_settings') && ++questions === 1;
  const options = { max: 4, connectionTimeoutMillis: 1_000 };
  const { pool, names } = await overhear(bouncer?.connection() as never, options, isFirstQuestion);
  await repeat(12, () => Promise.all([1, 2].map((it) => pool.query(TEXT, [it], ALONE))));
  expect([questions > 0, ...names]).toEqual([true]);
});

describe('a fifth use that fails', () => {
  const FAILURES: Readonly<Record<string, readonly [value: unknown, code: string]>> = {
    'in its values': ['x', '22P02'],
    'while it runs': [0, '22012'],
    'before it is sent': [unspeakable, 'MINE'],
  };

  for (const [where, [value, code]] of Object.entries(FAILURES)) {
    for (const options of [ALONE, { lane: true }, { timeoutMillis: 9_000 }]) {
      test(`${where} leaves the account right: ${JSON.stringify(options)}`, async ({ database }) => {
        const { pool, during } = await overhear(database.connection, { max: 2 });
        const ask = (with_: unknown): Promise<unknown> => pool.query('select 4 / $1::int as it', [with_], options);
        await repeat(4, (use) => ask(use));
        expect(String((await errorOf(ask(value))).code)).toBe(code);
        for (const divisor of [1, 2, 4]) expect(await ask(divisor)).toMatchObject({ rows: [{ it: 4 / divisor }] });
        expect(await during(() => ask(1))).toMatch(/B\*ES$/);
        expect(pool.snapshot().closed).toEqual({});
      });
    }
  }

  test('because its table is not there prepares it when the table is', async ({ database }) => {
    const { pool, during } = await overhear(database.connection, { max: 1 });
    const ask = (): Promise<{ rows: unknown[] }> => pool.query('select a from coming', [], ALONE);
    await pool.query('create table coming (a int)');
    await repeat(4, ask);
    await database.query('drop table coming');
    await repeat(3, async () => expect(await errorOf(ask())).toMatchObject({ code: '42P01' }));
    await database.query('create table coming (a text); insert into coming values ($$b$$)');
    await repeat(2, async () => expect((await ask()).rows).toEqual([{ a: 'b' }]));
    expect(await during(ask)).toBe('B*ES');
  });

  test('in a group before it was its turn prepares it the next time', async ({ database }) => {
    const { pool, during } = await overhear(database.connection, { max: 1 });
    await repeat(4, (use) => pool.query(TEXT, [use]));
    const group = [
      { text: 'select 1 / $1::int', values: [0] },
      { text: TEXT, values: [5] },
    ];
    expect(await errorOf(pool.batch(group))).toMatchObject({ cause: { code: '22012' } });
    expect(await during(() => pool.query(TEXT, [6]))).toBe('C*P*D*B*ES');
    expect(await during(() => pool.query(TEXT, [7]))).toBe('B*ES');
  });

  test('in a group behind it has prepared it all the same', async ({ database }) => {
    const { pool, during } = await overhear(database.connection, { max: 1 });
    await repeat(4, (use) => pool.query(TEXT, [use]));
    const group = [
      { text: TEXT, values: [5] },
      { text: 'select 1 / $1::int', values: [0] },
    ];
    expect(await errorOf(pool.batch(group))).toMatchObject({ cause: { code: '22012' } });
    expect(await during(() => pool.query(TEXT, [7]))).toBe('B*ES');
  });

  test('in a transaction that is rolled back is still prepared', async ({ database }) => {
    const { pool, during } = await overhear(database.connection, { max: 1 });
    await repeat(4, (use) => pool.query(TEXT, [use]));
    const undone = pool.transaction(async (tx) => {
      await tx
        .transaction(async (nested) => {
          await nested.query(TEXT, [5]);
          throw new Error('back to the savepoint');
        })
        .catch(() => undefined);
      expect((await tx.query(TEXT, [6])).rows).toEqual([{ it: 6 }]);
      throw new Error('back to the beginning');
    });
    await errorOf(undone);
    expect(await during(() => pool.query(TEXT, [7]))).toBe('B*ES');
  });
});
