import type { Session } from './library.ts';

/** What one request does: inserts, own transactions of libraries within and beside each other, and how it ends. */
export interface RequestPlan {
  readonly request: number;
  readonly steps: readonly Step[];
  readonly end: 'return' | 'throw' | 'abort';
}

export type Step =
  | { readonly kind: 'insert'; readonly id: number; readonly library: number }
  /** A row that is there already: the error is caught. */
  | { readonly kind: 'duplicate'; readonly id: number; readonly library: number }
  /** Reads what is there: its own rows as they should be, and of others only what has committed. */
  | { readonly kind: 'look'; readonly library: number }
  | { readonly kind: 'own'; readonly own: OwnTransaction }
  | { readonly kind: 'besides'; readonly all: readonly OwnTransaction[] };

export interface OwnTransaction {
  readonly library: number;
  readonly ids: readonly number[];
  /** One within it, of the same library. */
  readonly nested: { readonly ids: readonly number[]; readonly keeps: boolean } | undefined;
  /** One that is begun while it is open by a function that does not know of it, with any library. */
  readonly guest: OwnTransaction | undefined;
  readonly keeps: boolean;
}

/** Where a request plays. */
export interface Stage {
  readonly sessions: readonly Session[];
  /** The rows of others that any request has seen. */
  readonly seen: Set<number>;
  abort(): void;
}

/** Plays a request, and answers with the rows that were acknowledged to it. */
export async function play(plan: RequestPlan, stage: Stage): Promise<number[]> {
  const acknowledged: number[] = [];
  for (const step of plan.steps) {
    if (step.kind === 'look') {
      const ids = await sessionOf(stage.sessions, step.library).ids();
      for (const id of ids) if (!isOf(plan, id)) stage.seen.add(id);
      const own = ids.filter((id) => isOf(plan, id));
      if (own.join() !== acknowledged.toSorted((a, b) => a - b).join())
        throw new Error(`Sees ${own}, not ${acknowledged}.`);
    } else acknowledged.push(...(await playStep(step, stage.sessions)));
  }
  if (plan.end === 'throw') throw new Error('the request failed');
  if (plan.end === 'abort') {
    stage.abort();
    await sessionOf(stage.sessions, 0).run('select 1 as late');
  }
  return acknowledged;
}

function isOf({ request }: RequestPlan, id: number): boolean {
  return Math.floor(id / ROWS) === request;
}

async function playStep(
  step: Exclude<Step, { kind: 'look' }>,
  sessions: readonly Session[],
): Promise<readonly number[]> {
  switch (step.kind) {
    case 'insert':
      await sessionOf(sessions, step.library).insert(step.id);
      return [step.id];
    case 'duplicate':
      await sessionOf(sessions, step.library)
        .insert(step.id)
        .then(wronglyInserted, () => undefined);
      return [];
    case 'own':
      return playOwn(step.own, sessions);
    case 'besides':
      return (await Promise.all(step.all.map((own) => playOwn(own, sessions)))).flat();
    default:
      return step satisfies never;
  }
}

class ChangedMind extends Error {}

async function playOwn(own: OwnTransaction, sessions: readonly Session[]): Promise<readonly number[]> {
  const { nested } = own;
  const kept = [...own.ids];
  const whole = sessionOf(sessions, own.library).transaction?.(async (tx) => {
    for (const id of own.ids) await tx.insert(id);
    if (nested && tx.transaction) {
      const within = tx.transaction(async (inner) => {
        for (const id of nested.ids) await inner.insert(id);
        if (!nested.keeps) throw new ChangedMind();
      });
      await unlessChanged(within);
      if (nested.keeps) kept.push(...nested.ids);
    }
    if (own.guest) kept.push(...(await playOwn(own.guest, sessions)));
    if (!own.keeps) throw new ChangedMind();
  });
  await unlessChanged(whole);
  return own.keeps ? kept : [];
}

async function unlessChanged(promise: Promise<unknown> | undefined): Promise<void> {
  await promise?.catch((error: unknown) => {
    if (!(error instanceof ChangedMind)) throw error;
  });
}

function wronglyInserted(): never {
  throw new Error('A row was inserted twice.');
}

function sessionOf(sessions: readonly Session[], index: number): Session {
  const session = sessions[index % sessions.length];
  if (session === undefined) throw new Error('There is no library to play with.');
  return session;
}

/** Numbers from 0 to 1 that come again with the same seed. https://github.com/bryc/code/blob/master/jshash/PRNGs.md */
export function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** No request has more. */
const ROWS = 100;

/** A request whose rows are its own: `request * 100` and on. Half of them keep what they do. */
export function planRequest(request: number, random: () => number): RequestPlan {
  let next = request * ROWS;
  const id = (): number => next++;
  const chance = (share: number): boolean => random() < share;
  const library = (): number => Math.floor(random() * 1_000);
  const own = (isGuest = false): OwnTransaction => ({
    library: library(),
    ids: [id(), id()],
    nested: chance(0.4) ? { ids: [id()], keeps: chance(0.5) } : undefined,
    guest: !isGuest && chance(0.4) ? own(true) : undefined,
    keeps: chance(0.7),
  });
  const step = (): Step => {
    if (chance(0.4)) return { kind: 'insert', id: id(), library: library() };
    if (chance(0.1)) return { kind: 'look', library: library() };
    if (chance(0.2)) return { kind: 'duplicate', id: -1, library: library() };
    if (chance(0.5)) return { kind: 'own', own: own() };
    return { kind: 'besides', all: [own(), own(), own()] };
  };
  const steps = Array.from({ length: 2 + Math.floor(random() * 3) }, step);
  return { request, steps, end: chance(0.5) ? 'return' : chance(0.5) ? 'throw' : 'abort' };
}
