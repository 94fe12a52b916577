/** A written question, and how a run answers it. */
export interface Benchmark {
  readonly name: string;
  readonly question: string;
  /** What the ratio is made of. */
  readonly ratioOf: string;
  /** Undefined where DESIGN.md §6 names none: then the figure is for comparison only. */
  readonly target: Target | undefined;
  run(say: Say): Promise<Findings>;
}

export interface Target {
  readonly bound: 'at most' | 'at least';
  readonly value: number;
}

/** Progress, for whoever waits. It goes to stderr. */
export type Say = (text: string) => void;

export type Figures = Readonly<Record<string, number>>;

/** What one run has found. Nothing in it outlives the run. */
export interface Findings {
  /** The ratio of every pair of measurements: the figure is their median unless `ratio` says otherwise. */
  readonly ratios: readonly number[];
  readonly ratio?: number;
  readonly unit: string;
  readonly ours: Figures;
  readonly peers: Readonly<Record<string, Figures>>;
  /** Further figures that have a target of their own. */
  readonly also?: readonly FurtherFigure[];
  /** Further figures that have none. */
  readonly extra?: Figures;
  /** What a reader must know to read the figures right. */
  readonly notes?: readonly string[];
}

export interface FurtherFigure {
  readonly name: string;
  readonly value: number;
  readonly target: Target;
  readonly unit: string;
}

export function meets(value: number, { bound, value: limit }: Target): boolean {
  return bound === 'at most' ? value <= limit : value >= limit;
}
