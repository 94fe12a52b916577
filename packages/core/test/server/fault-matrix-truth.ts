import { waitUntil } from '@lifeguard/testkit';
import { CEILING, type Play, type Stage } from './fault-matrix-play.ts';
import { SHAPES } from './fault-matrix-shapes.ts';
import { UNKNOWN } from './fault-matrix-tidings.ts';

interface Written {
  readonly attempt: number;
  readonly step: string;
}

/** What must be true after whatever befell it; throws what is not. */
export async function examine(play: Play, stage: Stage): Promise<void> {
  await letItSettle(play);
  await serveTheNext(play, stage);
  await seeNothingOpen(play);
  await compareWithRows(play, stage);
  compareWithAccounts(play);
  await play.end();
  await waitUntil(async () => (await play.sessions())?.length === 0, { what: 'the last session to go' });
  if (stage.watch.peakOf(play.application) > CEILING)
    throw new Error('there were more sessions than the ceiling allows');
}

async function letItSettle({ pool }: Play): Promise<void> {
  const isSettled = (): boolean => {
    const { leased, tending, waiting } = pool.snapshot();
    return leased + tending + waiting === 0;
  };
  await waitUntil(isSettled, { what: 'the pool to settle' });
}

/** In a transaction of its own, on a session that is as a new one. */
async function serveTheNext({ pool, cell }: Play, stage: Stage): Promise<void> {
  const limit = await pool.transaction(
    async (tx) => {
      await tx.query('insert into work values ($1, 0, $2)', [cell, 'next']);
      return (await tx.query<{ statement_timeout: string }>('show statement_timeout')).rows[0]?.statement_timeout;
    },
    { timeoutMillis: 10_000 },
  );
  if (limit !== '3s') throw new Error(`the next one found a statement_timeout of ${limit}`);
  const text = "delete from work where cell = $1 and step = 'next' returning step";
  if ((await stage.watch.query(text, [cell])).length !== 1) throw new Error('the row of the next one is not there');
}

async function seeNothingOpen(play: Play): Promise<void> {
  const isQuiet = async (): Promise<boolean> => {
    const sessions = await play.sessions();
    return sessions?.every(({ state }) => state === 'idle') ?? false;
  };
  await waitUntil(isQuiet, { what: 'no transaction to be open on the server' });
}

/** All of its rows, of one attempt, when it was told so; none when it was told so. */
async function compareWithRows(play: Play, stage: Stage): Promise<void> {
  const text = 'select attempt, step from work where cell = $1';
  const rows = await stage.watch.query<Written & Record<string, unknown>>(text, [play.cell]);
  const steps = rows
    .map(({ step }) => step)
    .sort()
    .join();
  const whole = SHAPES[play.part.shape].steps.toSorted().join();
  if (new Set(rows.map(({ attempt }) => attempt)).size > 1 || (rows.length > 0 && steps !== whole)) {
    throw new Error(`there is a part of it, or more than it: ${JSON.stringify(rows)}`);
  }
  const isThere = rows.length > 0;
  play.truth = isThere ? 'committed' : 'not committed';
  if (play.told === UNKNOWN || isThere === (play.told === 'ok')) return;
  throw new Error(`it was told ${play.told} and is ${play.truth}`);
}

/** Its hooks, and the pool's own counts, to which the next one has added its own. */
function compareWithAccounts({ told, hooks, pool }: Play): void {
  const { committed, unknown } = pool.snapshot().commits;
  const seen = { afterCommit: hooks.commit, undone: hooks.rollback > 0, committed: committed - 1, unknown };
  const one = (code: string): number => (told === code ? 1 : 0);
  // One that was tried again was undone before it was committed or lost.
  const undone = told === 'ok' || told === UNKNOWN ? seen.undone : true;
  const wanted = { afterCommit: one('ok'), undone, committed: one('ok'), unknown: one(UNKNOWN) };
  const isEqual = JSON.stringify(seen) === JSON.stringify(wanted);
  if (!isEqual) throw new Error(`it was told ${told}, and its accounts are ${JSON.stringify(seen)}`);
}
