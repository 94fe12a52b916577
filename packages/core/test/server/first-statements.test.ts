import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { Transaction, TransactionOptions } from '../../src/index.ts';
import { answerOf, openPool } from './rig.ts';

/** What makes us send something of ours between BEGIN and the first statement. */
const WISHES: readonly (readonly [what: string, options: TransactionOptions])[] = [
  ['with nothing to set', {}],
  ['with a time limit', { timeoutMillis: 9_000 }],
  ['with a lock time limit', { lockTimeoutMillis: 9_000 }],
];

describe('a first statement that must come before any snapshot', () => {
  test.for(WISHES)('reads what was committed before its LOCK, %s', async ([, options], { database }) => {
    const pool = openPool(database.connection, { max: 2 });
    await pool.query('drop table if exists item; create table item (id int)');
    const other = await pool.lease();
    await other.query('begin; lock table item in exclusive mode; insert into item values (1)');
    const counted = pool.transaction(
      async (tx) => {
        await tx.query('lock table item in exclusive mode');
        return answerOf<number>(tx, 'select count(*)::int from item');
      },
      { ...options, isolation: 'repeatable read' },
    );
    await database.waitFor('the one that waits', (all) => all.some(({ waitEvent }) => waitEvent === 'relation'));
    await other.query('commit');
    await other.release();
    expect(await counted).toBe(1);
  });

  test.for(WISHES)('may change how the transaction is, %s', async ([, options], { database }) => {
    const pool = openPool(database.connection);
    const work = async (tx: Transaction): Promise<string> => {
      await tx.query('set transaction isolation level serializable, read only');
      return answerOf<string>(tx, "select current_setting('transaction_isolation')");
    };
    expect(await pool.transaction(work, options)).toBe('serializable');
  });
});
