import type pg from 'pg';
import { LifeguardError, type LifeguardPool, type Transaction } from '../../src/index.ts';
import { STYLES, type Style } from './inside-library.ts';
import { Mine, put, wholly } from './inside-rig.ts';

/** Where the play takes place. */
export interface Stage {
  readonly pool: LifeguardPool;
  readonly libraries: readonly pg.Pool[];
  /** Whether transactions of libraries are marked as one whole each. */
  readonly marks: boolean;
}

/** What a caller of a whole transaction knows in the end. */
export interface Told {
  /** `ok`, or why it was refused. */
  readonly code: unknown;
  /** What was acknowledged, and the whole with it. */
  readonly kept: readonly number[];
  /** What was acknowledged to guests of something that was refused, while the whole was acknowledged: it must be there, too. */
  readonly guests: readonly number[];
}

/** A write, or a part with writes, as whoever asked for it was answered. */
interface Deed {
  readonly id: number | undefined;
  readonly inner: Deed[];
  /** Whether it is a part of the one around it, as its caller knows; a guest did not ask to be that. */
  readonly as: 'part' | 'guest';
  /** What is asked for inside a nested transaction of ours is always a part of that. */
  readonly kind: 'ours' | 'theirs';
  outcome: 'asked' | 'done' | 'refused';
}

/** Plays so many transactions, some at the same time, and says what was told of each. */
export async function play(stage: Stage, { seed, rounds }: { seed: number; rounds: number }): Promise<Told[]> {
  const player = new Player(stage, randomFrom(seed));
  const told: Told[] = [];
  for (let round = 0; round < rounds; round += 1) {
    told.push(...(await Promise.all([player.whole(), player.whole()])));
  }
  return told;
}

/** Numbers from 0 to 1 that are the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

class Player {
  readonly #stage: Stage;
  readonly #random: () => number;
  #ids = 0;

  constructor(stage: Stage, random: () => number) {
    this.#stage = stage;
    this.#random = random;
  }

  async whole(): Promise<Told> {
    const root = deed('part');
    const parts = 2 + this.#roll(5);
    const fails = this.#roll(8) === 0;
    const work = this.#stage.pool.transaction(async (tx) => {
      await Promise.allSettled(
        Array.from({ length: parts }, () => this.#anything({ tx, around: root, depth: 0, ...PARTS })),
      );
      if (fails) throw new Mine();
    });
    const code = await work.then(() => 'ok', codeOf);
    const [kept, guests]: [number[], number[]] = [[], []];
    if (code === 'ok') for (const inner of root.inner) sort(inner, { kept, guests, around: 'done' });
    return { code, kept, guests };
  }

  async #anything(place: Place): Promise<void> {
    const kind = place.depth > 2 ? 0 : this.#roll(10);
    if (kind < 3) return this.#write(this.#library(), place, place.theirs);
    if (kind === 3) return this.#write(place.tx, place, place.ours);
    return kind === 4 ? this.#ours(place) : this.#theirs(place);
  }

  async #write(asker: Writer, { around }: Place, as: Deed['as']): Promise<void> {
    this.#ids += 1;
    const id = this.#ids;
    await noted(deed(as, { id }), around, () => put(asker, id));
  }

  #ours({ tx, around, depth, ours }: Place): Promise<void> {
    const fails = this.#roll(4) === 0;
    return noted(deed(ours, { kind: 'ours' }), around, (own) =>
      tx.transaction(async (nested) => {
        const place: Place = { tx: nested, around: own, depth: depth + 1, ...PARTS };
        for (let at = this.#roll(3); at >= 0; at -= 1) await this.#anything(place);
        if (fails) throw new Mine();
      }),
    );
  }

  #theirs({ tx, around, depth, theirs }: Place): Promise<void> {
    const [style, library, fails] = [this.#style(), this.#library(), this.#roll(4)];
    const { marks, pool } = this.#stage;
    const call = (own: Deed): Promise<unknown> =>
      style(library, async (client) => {
        const place: Place = { tx, around: own, depth: depth + 1, ...(marks ? MARKED : GUESTS) };
        await this.#write(client, place, 'part');
        for (let at = this.#roll(3); at > 0; at -= 1) await this.#inside(place);
        await this.#write(client, place, 'part');
        if (fails === 0) throw new Mine();
        if (fails === 1) await client.query('select 1/0');
      });
    return noted(deed(theirs), around, (own) => (marks ? wholly(pool, () => call(own)) : call(own)));
  }

  /** What a function does between two statements of its client: other work, or calls of others, whose errors it catches. */
  async #inside(place: Place): Promise<void> {
    if (this.#roll(4) === 0) return void (await this.#elsewhere());
    await this.#anything(place).catch(() => undefined);
  }

  /** Work that is no part of the transaction, and takes longer than others wait, or not as long. */
  #elsewhere(): Promise<unknown> {
    const { pool } = this.#stage;
    return pool.outside(() => pool.query('select pg_sleep($1)', [this.#roll(30) / 1_000]));
  }

  #style(): Style {
    return STYLES[this.#roll(STYLES.length)]?.[1] as Style;
  }

  #library(): pg.Pool {
    const { libraries } = this.#stage;
    return libraries[this.#roll(libraries.length)] as pg.Pool;
  }

  /** A whole number below `sides`. */
  #roll(sides: number): number {
    return Math.floor(this.#random() * sides);
  }
}

type Writer = Parameters<typeof put>[0];

/** Where something is done. */
interface Place {
  readonly tx: Transaction;
  readonly around: Deed;
  readonly depth: number;
  /** What libraries are there, and what our own handles are. */
  readonly theirs: Deed['as'];
  readonly ours: Deed['as'];
}

const PARTS = { theirs: 'part', ours: 'part' } as const;
/** Inside a transaction of a library that is not known to be around them. */
const GUESTS = { theirs: 'guest', ours: 'guest' } as const;
/** The handle is that of the transaction around the library's. */
const MARKED = { theirs: 'part', ours: 'guest' } as const;

function deed(as: Deed['as'], { id, kind = 'theirs' }: Partial<Pick<Deed, 'id' | 'kind'>> = {}): Deed {
  return { id, inner: [], as, kind, outcome: 'asked' };
}

async function noted(own: Deed, around: Deed, run: (own: Deed) => Promise<unknown>): Promise<void> {
  around.inner.push(own);
  try {
    await run(own);
    own.outcome = 'done';
  } catch (error) {
    own.outcome = 'refused';
    throw error;
  }
}

interface Sorting {
  readonly kept: number[];
  readonly guests: number[];
  readonly around: Fate;
}

type Fate = 'done' | 'a guest of what was refused' | 'refused' | 'gone';

function sort(deed: Deed, sorting: Sorting): void {
  const fate = fateOf(deed, sorting.around);
  if (deed.id !== undefined && fate === 'done') sorting.kept.push(deed.id);
  if (deed.id !== undefined && fate === 'a guest of what was refused') sorting.guests.push(deed.id);
  for (const inner of deed.inner) sort(inner, { ...sorting, around: fate });
}

/** What is a part of something goes with it; a guest was told for good. */
function fateOf({ as, kind, outcome }: Deed, around: Fate): Fate {
  if (around === 'gone') return 'gone';
  if (outcome !== 'done') return kind === 'ours' ? 'gone' : 'refused';
  return around === 'refused' && as === 'guest' ? 'a guest of what was refused' : around;
}

function codeOf(error: unknown): unknown {
  if (error instanceof Mine) return 'mine';
  const { cause, code } = error as Error & { readonly code?: unknown };
  return cause instanceof LifeguardError ? cause.code : (code ?? String(error));
}
