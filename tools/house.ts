/**
 * The plan of the house: what each room may import, and who may touch what. DESIGN §3 in tables.
 * A new root-level file of core, or a new ring, is entered here, or the check refuses it.
 */

/** What a ring or a leaf may import: values, or only types. */
export interface Border {
  readonly values: readonly string[];
  readonly types: readonly string[];
}

export const CORE = 'packages/core/src/';

/** Root-level files of core that everyone may import; what they import themselves. */
export const LEAVES: Readonly<Record<string, Border>> = {
  'errors.ts': { values: [], types: [] },
  'root-context.ts': { values: [], types: [] },
  'clock.ts': { values: ['root-context.ts'], types: [] },
  'deadline-wheel.ts': { values: [], types: ['clock.ts'] },
  'events.ts': { values: ['errors.ts'], types: ['clock.ts'] },
  'option-rules.ts': { values: ['errors.ts'], types: [] },
  'pool-options.ts': { values: [], types: ['events.ts'] },
  'option-shapes.ts': { values: ['option-rules.ts'], types: ['pool-options.ts'] },
  'options.ts': {
    values: ['errors.ts', 'option-rules.ts', 'option-shapes.ts'],
    types: ['events.ts', 'pool-options.ts'],
  },
};

const LEAF_NAMES = Object.keys(LEAVES);

/** Folders of core. A name that ends in a slash stands for a whole ring. */
export const RINGS: Readonly<Record<string, Border>> = {
  'pool/': { values: [...LEAF_NAMES, 'pool/'], types: [] },
  'pg/': { values: [...LEAF_NAMES, 'pg/'], types: ['pool/seam.ts'] },
  'scope/': { values: [...LEAF_NAMES, 'pool/', 'scope/'], types: ['pg/'] },
  'testing/': {
    values: [...LEAF_NAMES, 'pool/', 'scope/', 'testing/'],
    types: ['pg/', 'lifeguard-pool.ts'],
  },
  'facade/': { values: [...LEAF_NAMES, 'scope/', 'facade/'], types: ['pg/', 'pool/snapshot.ts'] },
  // A door of its own: the pool that it works on, its users hold.
  'orms/': { values: [...LEAF_NAMES, 'scope/', 'orms/'], types: ['pg/', 'facade/', 'lifeguard-pool.ts'] },
};

/** The only file that knows all rings. */
export const COMPOSITION_ROOT = 'lifeguard-pool.ts';

/** The door: it hands out what lies at the root, and the types of everyone. */
export const DOOR = 'index.ts';

/** Who may import a module of Node or of others; a name that ends in a slash is a ring. */
export const GUARDED_MODULES: readonly {
  readonly module: RegExp;
  readonly by: readonly string[];
  readonly why: string;
}[] = [
  { module: /^pg($|[-/])/, by: ['pg/'], why: 'only pg/ knows the driver, so that another one can stand beside it' },
  {
    module: /^(node:)?async_hooks$/,
    by: ['scope/ambient.ts', 'root-context.ts'], // two at most
    why: 'ambient context is a convenience that lives in two files',
  },
  { module: /^@lifeguard\/cls($|\/)/, by: [], why: 'core and cls do not know each other' },
  { module: /^(node:)?diagnostics_channel$/, by: ['events.ts'], why: 'events are published from one file' },
  { module: /^(node:)?timers(\/|$)/, by: ['clock.ts'], why: 'time comes from the clock, which tests drive' },
  { module: /^(node:)?perf_hooks$/, by: ['clock.ts'], why: 'time comes from the clock, which tests drive' },
];

/** Who may use a global; `process.emitWarning` stands for the member. */
export const GUARDED_GLOBALS: readonly {
  readonly names: readonly string[];
  readonly by: readonly string[];
  readonly why: string;
}[] = [
  {
    names: ['setTimeout', 'setInterval', 'setImmediate', 'Date', 'performance', 'process.hrtime'],
    by: ['clock.ts'],
    why: 'time comes from the clock, which tests drive',
  },
  { names: ['console'], by: [], why: 'a library never writes to the console' },
  { names: ['process.emitWarning'], by: ['events.ts'], why: 'warnings are given once, from one file' },
];

export const LIMITS = {
  fileLines: 300,
  functionLines: 60,
  medianFunctionLines: 8,
  ninthDecileFunctionLines: 30,
  parameters: 3,
  testLines: 30,
  testWords: 4,
  barrelNames: 25,
  scripts: 10,
  documents: { 'README.md': 150, 'ARCHITECTURE.md': 120 } as Readonly<Record<string, number>>,
} as const;

/** Names that say nothing, for files and folders. */
export const EMPTY_NAMES: readonly string[] = [
  ...['util', 'utils', 'utilities', 'helper', 'helpers', 'common', 'misc', 'shared'],
  ...['types', 'constants', 'interfaces', 'functions'],
];
