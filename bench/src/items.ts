import type { PostgresServer } from '@lifeguard/testkit';
import type { Dice } from './dice.ts';

/** What every contender asks for, under the same name where a peer prepares its statements by name. */
export interface Question {
  readonly name: string;
  readonly text: string;
}

const ROWS = 100_000;
const SLOW_MILLIS = 50;
/** The row that takes its time in the view `item_at_times`. */
export const SLOW_ID = -1;

export const READ: Question = { name: 'read', text: 'select id, name, amount, made_at from item where id = $1' };
export const WRITE: Question = { name: 'write', text: 'update item set amount = $2 where id = $1' };
/** Always slow. It waits and does not compute, because the server has no core to itself. */
export const SLOW: Question = { name: 'slow', text: 'select id, name, amount, made_at from item_slow where id = $1' };
/** As quick as `READ`, or slow for `SLOW_ID`. */
export const AT_TIMES: Question = {
  name: 'at_times',
  text: 'select id, name, amount, made_at from item_at_times where id = $1',
};

export interface Item {
  readonly id: number;
  readonly amount: number;
}

/** Views hide the sleep, so that these are plain reads by their words: a function would give them away. */
const SCHEMA = [
  // Room on each page, so that an update stays on it and the table as it is.
  `create table item (id int primary key, name text not null, amount int not null, made_at timestamptz not null)
     with (fillfactor = 50)`,
  `insert into item select id, 'item ' || id, id % 1000, timestamptz '2026-01-01' + id * interval '1 minute'
     from generate_series(1, ${ROWS}) id`,
  `create table sleeper as select ${SLOW_ID} as id, 'item'::text as name, 0 as amount, now() as made_at`,
  `create view item_slow as select item.* from item, lateral (select pg_sleep(${SLOW_MILLIS / 1_000}) where item.id > 0) nap`,
  `create view item_at_times as select * from item union all
     select sleeper.* from sleeper, lateral (select pg_sleep(${SLOW_MILLIS / 1_000}) where sleeper.id < 0) nap`,
  'analyze',
];

export async function fillItems(server: PostgresServer): Promise<void> {
  for (const statement of SCHEMA) await server.query(statement);
  await server.query('vacuum item');
}

export function anyId(dice: Dice): number {
  return 1 + Math.floor(dice() * ROWS);
}
