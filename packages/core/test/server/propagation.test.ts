import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Transaction, TransactionOptions } from '../../src/index.ts';
import { answerOf, errorOf, openPool, pidOf } from './rig.ts';

type Caller = 'pool' | 'scope' | 'transaction';
type Deed = 'joins' | 'savepoint' | 'begins' | 'without' | 'refused';
type Propagation = NonNullable<TransactionOptions['propagation']>;

/** What each does where a transaction is open, and where none is. */
const TABLE: readonly (readonly [propagation: Propagation | undefined, inside: Deed, outside: Deed])[] = [
  ['required', 'joins', 'begins'],
  ['requires-new', 'begins', 'begins'],
  ['nested', 'savepoint', 'begins'],
  ['supports', 'joins', 'without'],
  ['not-supported', 'without', 'without'],
  ['mandatory', 'joins', 'refused'],
  ['never', 'refused', 'without'],
];

const XID = 'select pg_current_xact_id()::text';

/** What a part has become, as the server sees it. */
async function deedOf(part: Transaction, outer: string): Promise<Deed> {
  const [first, second] = [await answerOf<string>(part, XID), await answerOf<string>(part, XID)];
  if (first !== second) return 'without';
  if (first !== outer) return 'begins';
  return part.depth === 0 ? 'joins' : 'savepoint';
}

async function deed(
  caller: Pick<LifeguardPool, 'transaction'>,
  propagation: Propagation | undefined,
  outer = '',
): Promise<Deed> {
  try {
    return await caller.transaction((part) => deedOf(part, outer), { propagation });
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION', consequence: 'nothing-sent', retryable: false });
    return 'refused';
  }
}

/** The same asked of each who can be asked, inside a transaction. */
async function inside(pool: LifeguardPool, caller: Caller, propagation: Propagation | undefined): Promise<Deed> {
  return await pool.scope((db) =>
    db.transaction(async (tx) => {
      const callers: Record<Caller, Pick<LifeguardPool, 'transaction'>> = { pool, scope: db, transaction: tx };
      return deed(callers[caller], propagation, await answerOf<string>(tx, XID));
    }),
  );
}

describe('a transaction with propagation', () => {
  test.for(TABLE)('"%s" %s inside a transaction', async ([propagation, expected], { database }) => {
    const pool = openPool(database.connection);
    const deeds = ['pool', 'scope', 'transaction'].map((caller) => inside(pool, caller as Caller, propagation));
    expect(await Promise.all(deeds)).toEqual([expected, expected, expected]);
    expect(pool.snapshot()).toMatchObject({ leased: 0 });
  });

  test.for(TABLE)('"%s" leaves out "%s" and "%s" outside of one', async ([propagation, , expected], { database }) => {
    const pool = openPool(database.connection);
    const deeds = [deed(pool, propagation), pool.scope((db) => deed(db, propagation))];
    expect(await Promise.all(deeds)).toEqual([expected, expected]);
  });

  test('that is not named is "required" on pool and scope, and "nested" on a transaction', async ({ database }) => {
    const pool = openPool(database.connection);
    expect(await inside(pool, 'pool', undefined)).toBe('joins');
    expect(await inside(pool, 'scope', undefined)).toBe('joins');
    expect(await inside(pool, 'transaction', undefined)).toBe('savepoint');
    expect(await deed(pool, undefined)).toBe('begins');
  });

  test('finds none around it in explicit mode, and by its handle only', async ({ database }) => {
    const pool = openPool(database.connection, { mode: 'explicit' });
    expect(await inside(pool, 'pool', 'required')).toBe('begins');
    expect(await inside(pool, 'transaction', 'required')).toBe('joins');
    expect(pool.current()).toBeUndefined();
  });

  test('"not-supported" and "never" give a handle that begins and ends nothing', async ({ database }) => {
    const pool = openPool(database.connection);
    const log: string[] = [];
    for (const propagation of ['not-supported', 'never', 'supports'] as const) {
      await pool.transaction(
        async (part) => {
          expect(part.depth).toBe(-1);
          part.afterCommit(() => log.push(propagation));
          expect((await part.last('select 1 as one')).rows).toEqual([{ one: 1 }]);
          expect(await part.batch(['select 1', 'select 2'])).toHaveLength(2);
          expect(await errorOf(part.rollback())).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION' });
          expect(await part.transaction((own) => deedOf(own, ''))).toBe('begins');
        },
        { propagation },
      );
    }
    expect(log).toEqual(['not-supported', 'never', 'supports']);
  });

  test('"requires-new" stands for itself, whatever becomes of the one around it', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.query('create table audit (what text)');
    const error = await errorOf(
      pool.transaction(async (tx) => {
        await tx.query("insert into audit values ('work')");
        await tx.transaction((own) => own.query("insert into audit values ('tried')"), { propagation: 'requires-new' });
        const lost = tx.transaction(() => Promise.reject(new Error('own')), { propagation: 'requires-new' });
        expect((await errorOf(lost)).message).toBe('own');
        await tx.query('select 1');
        throw new Error('outer');
      }),
    );
    expect(error.message).toBe('outer');
    expect((await pool.query('select what from audit')).rows).toEqual([{ what: 'tried' }]);
  });
});

describe('a part that joins', () => {
  const failingPart = (tx: Transaction, error: Error): Promise<unknown> =>
    tx.transaction(() => Promise.reject(error), { propagation: 'required' });

  test('and fails keeps the whole from committing, though its error was caught', async ({ database }) => {
    const pool = openPool(database.connection);
    const mine = new Error('of the part');
    const log: string[] = [];
    const error = await errorOf(
      pool.transaction(async (tx) => {
        await tx.query('create table doomed (x int)');
        expect(await errorOf(failingPart(tx, mine))).toBe(mine);
        tx.afterCommit(() => log.push('committed'));
        tx.afterRollback(() => log.push('rolled back'));
      }),
    );
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: mine });
    expect(await answerOf(pool, "select to_regclass('doomed')")).toBeNull();
    expect(log).toEqual(['rolled back']);
  });

  test('and fails spares the rest where it joined a nested one', async ({ database }) => {
    const pool = openPool(database.connection);
    const mine = new Error('of the part');
    await pool.query('create table spared (x int)');
    await pool.transaction(async (tx) => {
      await tx.query('insert into spared values (1)');
      const nested = tx.transaction(async (inner) => {
        await inner.query('insert into spared values (2)');
        await failingPart(inner, mine).catch(() => undefined);
      });
      expect(await errorOf(nested)).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: mine });
      await tx.query('insert into spared values (3)');
    });
    expect((await pool.query('select x from spared')).rows).toEqual([{ x: 1 }, { x: 3 }]);
  });

  test('ends nothing with last(), and the whole with rollback() only at its end', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.transaction(async (tx) => {
      await tx.transaction((part) => part.last('create table kept (x int)'), { propagation: 'mandatory' });
      await tx.query('insert into kept values (1)');
    });
    expect(await answerOf(pool, 'select count(*)::int from kept')).toBe(1);
    const work = pool.transaction(async (tx) => {
      await pool.transaction((part) => part.rollback());
      await tx.query('insert into kept values (2)');
    });
    expect(await errorOf(work)).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK' });
    expect(await answerOf(pool, 'select count(*)::int from kept')).toBe(1);
  });

  test('has the name, the connection and the handle of the one around it', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.transaction(
      async (tx) => {
        const outer = await pidOf(tx);
        await pool.transaction(async (part) => {
          expect(part).toMatchObject({ name: 'whole', depth: 0, attempt: 1 });
          expect(pool.current()).toBe(part);
          expect(await pidOf(part)).toBe(outer);
        });
        expect(pool.current()).toBe(tx);
      },
      { name: 'whole' },
    );
  });
});

describe('a part that asks for what the transaction around it was not begun with', () => {
  const OTHERS: readonly (readonly [what: string, outer: TransactionOptions, inner: TransactionOptions])[] = [
    ['a stricter isolation', {}, { isolation: 'serializable' }],
    ['a stricter one than was named', { isolation: 'repeatable read' }, { isolation: 'serializable' }],
    ['to write', { readOnly: true }, { readOnly: false }],
    ['to be read-only', {}, { readOnly: true }],
  ];
  const refused = { code: 'ERR_LIFEGUARD_PROPAGATION', consequence: 'nothing-sent', retryable: false };
  const WAYS = ['required', 'supports', 'mandatory', 'nested'] as const;

  test.for(OTHERS)('is refused when it asks for %s', async ([, outer, inner], { database }) => {
    const pool = openPool(database.connection);
    await pool.transaction(async (tx) => {
      for (const propagation of WAYS) {
        const work = tx.transaction(() => expect.unreachable(), { ...inner, propagation });
        expect(await errorOf(work)).toMatchObject(refused);
      }
      await tx.query('select 1');
    }, outer);
  });

  test('is refused when it would join with other settings, or another role', async ({ database }) => {
    const pool = openPool(database.connection);
    const outer = { settings: { 'app.tenant': 'a' } };
    const others: TransactionOptions[] = [{ settings: { 'app.tenant': 'b' } }, { role: 'pg_monitor' }];
    await pool.transaction(async (tx) => {
      for (const inner of [...others, { settings: { 'app.other': 'a' } }, { lockTimeoutMillis: 5 }]) {
        expect(await errorOf(pool.transaction(() => expect.unreachable(), inner))).toMatchObject(refused);
      }
      expect(await pool.transaction((part) => part.depth, outer)).toBe(0);
      await tx.query('select 1');
    }, outer);
  });

  test('is let in when it asks for as much or less', async ({ database }) => {
    const pool = openPool(database.connection);
    const isolations = ['read committed', 'repeatable read', 'serializable'] as const;
    await pool.transaction(
      async (tx) => {
        for (const isolation of isolations) expect(await tx.transaction((part) => part.depth, { isolation })).toBe(1);
      },
      { isolation: 'serializable', readOnly: true },
    );
  });
});
