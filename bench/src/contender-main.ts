/** The program of `contender-process.ts`. */
import { closedLoop, type Throughput } from './closed-loop.ts';
import { type Contender, openContender, type Rows } from './contender.ts';
import type { Answer, ClosedLoad, MixedLoad, Order } from './contender-process.ts';
import { type Dice, diceOf } from './dice.ts';
import { AT_TIMES, anyId, type Item, READ, SLOW, SLOW_ID } from './items.ts';
import { type Latencies, pacedLoop } from './paced-loop.ts';

let contender: Contender | undefined;

process.on('message', (order: Order) => void answer(order));
process.on('disconnect', () => process.exit());

async function answer(order: Order): Promise<void> {
  const said: Answer = await obey(order).then(
    (reading) => ({ reading }),
    (error: Error) => ({ failure: String(error.stack ?? error) }),
  );
  process.send?.(said);
}

async function obey(order: Order): Promise<Throughput | Latencies | null> {
  switch (order.kind) {
    case 'open':
      await contender?.close();
      contender = await openContender(order.options);
      return null;
    case 'closed':
      return await closed(opened(), order.load);
    case 'mixed':
      return await mixed(opened(), order.load);
    case 'close':
      await contender?.close();
      contender = undefined;
      return null;
    default:
      return order satisfies never;
  }
}

function opened(): Contender {
  if (contender === undefined) throw new Error('bug: no contender is open');
  return contender;
}

function closed(who: Contender, { deed, callers, seconds }: ClosedLoad): Promise<Throughput> {
  const deeds = {
    read: () => readOne(who),
    transaction: () => who.transaction(anyId(Math.random)),
  };
  return closedLoop({ callers, seconds, request: deeds[deed] });
}

/** All sides pay for the look at the answer: a fast one that is wrong is worth nothing. */
async function readOne(who: Contender): Promise<void> {
  const id = anyId(Math.random);
  const rows = rowsOf(await who.query(READ, id));
  if (rows.length !== 1 || rows[0]?.id !== id) throw new Error(`Asked for item ${id}, got ${JSON.stringify(rows)}.`);
}

function rowsOf(answer: Rows): readonly Item[] {
  return 'rows' in answer ? answer.rows : answer;
}

function mixed(who: Contender, { texts, perSecond, seconds, slowShare, seed }: MixedLoad): Promise<Latencies> {
  const dice = diceOf(seed);
  const ask = texts === 'different' ? ownText : sameText;
  const request = (slow: boolean): Promise<unknown> => ask(who, slow, dice);
  return pacedLoop({ perSecond, seconds, slowShare, dice, request });
}

function ownText(who: Contender, slow: boolean, dice: Dice): Promise<unknown> {
  return who.query(slow ? SLOW : READ, anyId(dice));
}

function sameText(who: Contender, slow: boolean, dice: Dice): Promise<unknown> {
  return who.query(AT_TIMES, slow ? SLOW_ID : anyId(dice));
}
