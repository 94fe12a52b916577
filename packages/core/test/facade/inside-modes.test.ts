import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { TransactionOptions } from '../../src/index.ts';
import { answerOf, errorOf } from '../server/rig.ts';
import { promised } from './inside-library.ts';
import { type Asker, prepared, put } from './inside-rig.ts';

type Isolation = NonNullable<TransactionOptions['isolation']>;

const LEVELS = ['READ UNCOMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'];
const AROUND: readonly Isolation[] = ['read committed', 'repeatable read', 'serializable'];
const rankOf = (level: string): number => Math.max(1, LEVELS.indexOf(level.toUpperCase()));

const PAIRS = AROUND.flatMap((around) => LEVELS.map((wanted) => ({ around, wanted })));
const HONOURED = PAIRS.filter(({ around, wanted }) => rankOf(wanted) <= rankOf(around));
const REFUSED = PAIRS.filter(({ around, wanted }) => rankOf(wanted) > rankOf(around));

const levelOf = (asker: Asker): Promise<string> => answerOf(asker, "select current_setting('transaction_isolation')");

/** A library that says what it wants with its BEGIN, and one that says it behind. */
const SPELLINGS = [
  { how: 'with its BEGIN', begin: (modes: string) => `BEGIN ${modes}`, behind: () => undefined },
  { how: 'behind its BEGIN', begin: () => 'BEGIN', behind: (modes: string) => `SET TRANSACTION ${modes}` },
  {
    how: 'behind, for the session',
    begin: () => 'BEGIN',
    behind: (modes: string) => `set local transaction ${modes};`,
  },
];

describe.for(SPELLINGS)('a library that asks $how', ({ begin, behind }) => {
  const ask = (orm: Parameters<typeof promised>[0], modes: string, work: (asker: Asker) => Promise<unknown>) =>
    promised(
      orm,
      async (client) => {
        const text = behind(modes);
        if (text !== undefined) expect(await client.query(text)).toMatchObject({ command: 'SET' });
        return work(client);
      },
      begin(modes),
    );

  test.for(HONOURED)('for $wanted in $around has that', async ({ around, wanted }, { database }) => {
    const { pool, orm, stored } = await prepared(database);
    const work = async (asker: Asker): Promise<string> => put(asker, 1).then(() => levelOf(asker));
    const isolation = `ISOLATION LEVEL ${wanted}`;
    const seen = await pool.transaction(() => ask(orm, isolation, work), { isolation: around });
    expect(seen).toBe(around);
    expect(await stored()).toEqual([1]);
  });

  test.for(REFUSED)(
    'for $wanted in $around is refused, and the rest goes on',
    async ({ around, wanted }, { database }) => {
      const { pool, orm, stored } = await prepared(database);
      const error = await pool.transaction(
        async () => {
          await put(orm, 1);
          const refused = await errorOf(ask(orm, `ISOLATION LEVEL ${wanted}`, (asker) => put(asker, 2)));
          await put(orm, 3);
          return refused;
        },
        { isolation: around },
      );
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION', consequence: 'nothing-sent' });
      expect(error.message).toContain(wanted.toLowerCase());
      expect(await stored()).toEqual([1, 3]);
    },
  );

  test('for READ ONLY may not write, and those after it may', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      expect(await errorOf(ask(orm, 'READ ONLY', (asker) => put(asker, 1)))).toMatchObject({ code: '25006' });
      expect(await ask(orm, 'READ ONLY', levelOf)).toBe('read committed');
      await put(orm, 2);
      await promised(orm, (client) => put(client, 3));
    });
    expect(await stored()).toEqual([2, 3]);
  });

  test('to write in what only reads is refused', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(
      async () => {
        const refused = ask(orm, 'READ WRITE', (asker) => put(asker, 1));
        expect(await errorOf(refused)).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION' });
        expect(await ask(orm, 'READ ONLY', levelOf)).toBe('read committed');
      },
      { readOnly: true },
    );
  });

  test('to be deferrable is refused, and not to be is taken', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(async () => {
      const refused = ask(orm, 'READ ONLY, DEFERRABLE', levelOf);
      expect(await errorOf(refused)).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION' });
      expect(await ask(orm, 'NOT DEFERRABLE', levelOf)).toBe('read committed');
    });
  });

  test('in a savepoint of ours has the isolation of the whole', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const seen = await pool.transaction(
      (tx) => tx.transaction(() => ask(orm, 'ISOLATION LEVEL REPEATABLE READ', levelOf)),
      { isolation: 'serializable' },
    );
    expect(seen).toBe('serializable');
  });
});

describe('SET TRANSACTION', () => {
  test('without a BEGIN changes nothing, as on a connection without a transaction', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      await put(orm, 1);
      expect(await orm.query('SET TRANSACTION READ ONLY')).toMatchObject({ command: 'SET' });
      expect(await orm.query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE')).toMatchObject({ command: 'SET' });
      await put(orm, 2);
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('behind the first statement of a library is refused where it asks for more', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const late = promised(orm, async (client) => {
        await put(client, 1);
        await client.query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
      });
      expect(await errorOf(late)).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION' });
    });
    expect(await stored()).toEqual([]);
  });

  test('read only in a nested transaction ends with that', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      await tx.transaction(() => promised(orm, levelOf, 'BEGIN READ ONLY'));
      await put(orm, 1);
    });
    expect(await stored()).toEqual([1]);
  });
});
