import { type PostgresServer, waitUntil } from '@lifeguard/testkit';
import { afterAll, expect, onTestFinished, type testWithServer } from '@lifeguard/testkit/vitest';
import { FAULTS, type Fault, type FaultName } from './fault-matrix-faults.ts';
import { MOMENTS, type MomentName } from './fault-matrix-moments.ts';
import { type Part, Play, type Stage } from './fault-matrix-play.ts';
import { SHAPES, type ShapeName } from './fault-matrix-shapes.ts';
import { tidings, truthOf, UNKNOWN } from './fault-matrix-tidings.ts';
import { examine } from './fault-matrix-truth.ts';
import { Watch } from './fault-matrix-watch.ts';
import { accidents, openPool } from './rig.ts';

type Variant = Pick<Part, 'options' | 'wire'>;

interface Counts {
  readonly executed: number;
  readonly impossible: number;
}

const SHORT_MILLIS = 300;
const LONGEST_MILLIS = 2_700;

type ServerTest = ReturnType<typeof testWithServer>;

/** Declares a test for each fault, and one line of counts behind them. */
export function runMatrix(test: ServerTest, how: string, variant: Variant): void {
  const counts: Counts[] = [];
  for (const name of Object.keys(FAULTS) as FaultName[]) {
    test(`${how}, is all there or not at all, at every moment and in every shape: ${name}`, async ({ server }) => {
      const seen = accidents();
      counts.push(await runAll(FAULTS[name], variant, await openStage(server)));
      expect(seen).toEqual([]);
    }, 60_000);
  }
  afterAll(() => void process.stdout.write(`fault matrix, ${how}: ${sumOf(counts)}\n`));
}

async function openStage(server: PostgresServer): Promise<Stage> {
  await server.query('create table if not exists work (cell int, attempt int, step text)');
  await openPool(server.connection()).createCommitTokens();
  const watch = new Watch(server.connection());
  onTestFinished(() => watch.close());
  return { server, watch };
}

function sumOf(counts: readonly Counts[]): string {
  const sum = (key: keyof Counts): number => counts.reduce((total, one) => total + one[key], 0);
  return `${sum('executed')} cells executed, ${sum('impossible')} impossible`;
}

/** One fault at every moment in every shape. All plays come to their moment, then it strikes. */
async function runAll(fault: Fault, variant: Variant, stage: Stage): Promise<Counts> {
  const all = cells();
  const possible = all.filter(({ moment }) => fault.impossible?.[moment] === undefined);
  const plays = await allOf(possible.map((part) => arrive({ ...part, ...variant }, fault, stage)));
  await fault.strike(plays, stage);
  const troubles = (await Promise.all(plays.map((play) => finish(play, fault, stage)))).flat();
  expect(troubles, `${troubles.length} of ${plays.length} cells`).toEqual([]);
  return { executed: plays.length, impossible: all.length - plays.length };
}

/** Where one does not arrive the others go home: their sessions would be in the way of the next test. */
async function allOf(arrivals: readonly Promise<Play>[]): Promise<Play[]> {
  const settled = await Promise.allSettled(arrivals);
  const plays = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const lost = settled.find((one) => one.status === 'rejected');
  if (lost === undefined) return plays;
  await Promise.all(plays.map((play) => play.end()));
  throw lost.reason;
}

function cells(): { moment: MomentName; shape: ShapeName }[] {
  const shapes = Object.keys(SHAPES) as ShapeName[];
  const moments = Object.keys(MOMENTS) as MomentName[];
  return shapes.flatMap((shape) => moments.map((moment) => ({ moment, shape })));
}

/** A short deadline may pass before the moment has come, on a machine that is busy: then it was too short. */
async function arrive(part: Part, { deadline }: Fault, stage: Stage): Promise<Play> {
  for (let timeoutMillis = SHORT_MILLIS; timeoutMillis <= LONGEST_MILLIS; timeoutMillis *= 3) {
    const options = deadline === 'none' ? part.options : { ...part.options, timeoutMillis };
    const play = await Play.until({ ...part, options }, stage);
    if (play !== undefined) return play;
  }
  throw new Error(`It never came to its moment: ${part.shape}, ${part.moment}`);
}

async function finish(play: Play, fault: Fault, stage: Stage): Promise<string[]> {
  const { moment, shape } = play.part;
  try {
    const release = fault.releasedAtOnce?.(play.part) === undefined ? fault.release : 'at once';
    if (release !== 'when told') await play.release(release === 'at once' ? 'wire too' : 'all but the wire');
    await waitUntil(() => play.told !== undefined, { what: 'the caller to be told', timeoutMillis: 10_000 });
    if (release === 'when told') await play.release('wire too');
    await examine(play, stage);
    compareWithTable(play, fault);
    return [];
  } catch (error) {
    await play.end();
    return [`  ${shape}, ${moment}, told ${play.told}: ${(error as Error).message}`];
  }
}

function compareWithTable({ part, told = '', truth }: Play, fault: Fault): void {
  const allowed = tidings(fault, part);
  if (!allowed.includes(told)) throw new Error(`its caller should have been told ${allowed.join(' or ')}`);
  const real = truthOf(fault, part) ?? truth;
  if (told === UNKNOWN && truth !== real) throw new Error(`it should be ${real}, and is ${truth}`);
}
