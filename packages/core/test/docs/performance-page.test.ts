import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { flameBoxes } from '../../../../tools/flame-graph.ts';
import { type CpuProfile, flameTree, ownByOrigin } from '../../../../tools/flame-tree.ts';
import { keptRun, performanceCharts, performancePage } from '../../../../tools/performance-page.ts';
import { PerformanceRun } from '../../../../tools/performance-run.ts';
import { DEPTH } from '../../src/pool/slot.ts';
import { Page, pathOf } from './page.ts';

const PAGE = new Page('docs/10-performance.md');
const FOLDER = pathOf('docs/performance');

/** One function that the engine compiled twice, what it calls, and samples of a thousand busy microseconds. */
const PROFILE: CpuProfile = {
  nodes: [
    node(1, '(root)', '', [2, 3, 6, 7, 8]),
    node(2, 'run', 'file:///a/packages/core/src/pool/pool.ts', [5]),
    node(3, 'run', 'file:///a/packages/core/src/pool/pool.ts', [4]),
    ...[4, 5].map((id) => node(id, 'write', 'node:net')),
    node(6, '<static>', 'file:///a/node_modules/.pnpm/pg-protocol@1/node_modules/pg-protocol/dist/parser.js'),
    ...[node(7, '(garbage collector)', ''), node(8, '(idle)', '')],
  ],
  samples: [2, 3, 4, 5, 6, 7, 8, 1],
  timeDeltas: [0, 300, 200, 100, 200, 198, 2, 900],
};

const MACHINE = { cpu: 'CPU', cores: 2, memoryGigabytes: 4, platform: 'linux x64 6.1', loadBefore: 0.5 };

const REPORT = {
  ...{ name: 'query', question: 'How many reads?', ratio: 3, ratioOf: 'ours ÷ theirs', target: 2, bound: 'at least' },
  ...{
    met: true,
    unit: 'reads per second',
    ours: {},
    peers: {},
    also: [],
    extra: {},
    notes: [],
    runs: 5,
    spread: 0.05,
  },
  ...{ ratios: [3], seconds: 1, machine: MACHINE, node: 'v26.0.0' },
};

const BUSY_RUN = new PerformanceRun(
  [
    { name: 'run', date: '2026-01-02' },
    {
      ...{ ...REPORT, ours: { 'max4.perSecond': 30_000, 'max4.cpuMicros': 17 } },
      peers: { 'pg-pool': { 'named.perSecond': 13_000, 'named.cpuMicros': null } },
    },
    {
      ...{
        ...REPORT,
        name: 'sizes',
        target: null,
        bound: null,
        ours: { 'lanes.2.perSecond': 9, 'lanes.10.perSecond': 30_000 },
      },
      peers: { 'pg-pool': { '2.perSecond': 8, '10.perSecond': 29_000, '10.p99Millis': 4 } },
    },
    profileReport(),
  ]
    .map((line) => JSON.stringify(line))
    .join('\n'),
);

describe('the performance page is what its run gives', () => {
  // If not: node tools/performance-page.ts
  test('in its text, between the marks', () => {
    expect(PAGE.text).toBe(performancePage(PAGE.text, keptRun()));
  });

  test('in its charts, and there are no others', () => {
    const files = readdirSync(FOLDER).filter((name) => name.endsWith('.svg'));
    const drawn = files.map((name) => [name, readFileSync(`${FOLDER}/${name}`, 'utf8')] as const);
    expect(new Map(drawn)).toEqual(performanceCharts(keptRun()));
  });

  test('and every chart of a run has its place in the page', () => {
    const text = performancePage(PAGE.text, BUSY_RUN);
    const files = [...performanceCharts(BUSY_RUN).keys()];
    expect(files).toEqual(['query.svg', 'sizes.svg', 'profile-query.svg']);
    expect(files.filter((file) => !text.includes(`](performance/${file})`))).toEqual([]);
  });
});

test('the page says of a lost lane what the depth of a lane is', () => {
  expect(PAGE.text).toContain(`whose statements were sent and not answered, ${DEPTH} at most`);
});

describe('the generated parts say plainly', () => {
  test('which target was missed, with its figure, before anything else', () => {
    const facts = partOf('facts', runOf({ ratio: 1.996, target: 2, met: false }));
    expect(facts).toContain('Targets met: 0 of 1.');
    expect(facts).toContain('**MISSED** `query`: **1.996** (ours ÷ theirs; target: at least 2)');
  });

  test('that a further figure missed its own target', () => {
    const also = [{ name: 'vsRaw', value: 0.7, target: 0.8, unit: 'of it', bound: 'at least', met: false }];
    expect(partOf('facts', runOf({ also }))).toContain(
      '**MISSED** `query`, `vsRaw`: **0.7** (of it; target: at least 0.8)',
    );
  });

  test('that the rounds lie far apart', () => {
    expect(partOf('query', runOf({ spread: 0.3 }))).toContain('The rounds lie far apart** (30 %)');
    expect(partOf('query', runOf({ spread: 0.1 }))).not.toContain('far apart');
  });

  test('that others were at work on the machine', () => {
    const facts = partOf('facts', runOf({ machine: { ...MACHINE, loadBefore: 3 } }));
    expect(facts).toMatch(/Others were at work .*`query` \(load 3\)/);
  });

  test('what the run does not have', () => {
    expect(partOf('mixed', runOf({}))).toBe('_Not in this run._');
    expect(partOf('facts', new PerformanceRun(''))).toBe('_Not in this run._');
  });

  test('where, when and on what the run was made', () => {
    const facts = partOf('facts', BUSY_RUN);
    expect(facts).toContain('ended on 2026-01-02; 2 cores (CPU), 4 GB, linux x64; Node v26.0.0; PostgreSQL 18.1;');
  });
});

describe('the list of what is not faster', () => {
  test('holds what a peer did more of in a second, against the best form of the best peer', () => {
    const run = runOf({
      ours: { 'lanesOff.perSecond': 90 },
      peers: { a: { 'named.perSecond': 100 }, b: { perSecond: 80 } },
    });
    expect(partOf('slower', run)).toMatch(/`query lanesOff.perSecond` \| 90 +\| 100 \(a\) +\| 0.9 ×/);
  });

  test('holds what cost a peer less', () => {
    const run = runOf({ ours: { cpuMicros: 20 }, peers: { a: { cpuMicros: 10 } } });
    expect(partOf('slower', run)).toMatch(/`query cpuMicros` \| 20 +\| 10 \(a\) +\| 0.5 ×/);
  });

  test('holds nothing that we are better in, and no floor', () => {
    const peers = { a: { perSecond: 80, cpuMicros: 30 }, 'pg pipelined': { perSecond: 999 } };
    const run = runOf({ ours: { perSecond: 90, cpuMicros: 20 }, peers });
    expect(partOf('slower', run)).toBe('In this run there was no such figure.');
  });
});

describe('a chart', () => {
  test.each([...chartsOf()])('is a whole drawing for light and dark, with words for all: %s', (_file, svg) => {
    expect(unbalanced(svg)).toEqual([]);
    expect(svg).toMatch(/<title id="title">[^<]+<\/title>\n<desc id="desc">[^<]{40,}<\/desc>/);
    expect(svg).toContain('@media (prefers-color-scheme:dark)');
    expect(svg).not.toMatch(/NaN|undefined|Infinity|null/);
  });

  test.each([...chartsOf()])('keeps all of its words inside its frame: %s', (_file, svg) => {
    const ends = [...svg.matchAll(/<text x="([\d.]+)" y="[\d.]+"( text-anchor="\w+")?[^>]*>([^<]*)</g)].map(
      ([, x, anchor, say = '']) => Number(x) + say.length * 7 * (anchor === undefined ? 1 : 0.5),
    );
    expect(ends.length).toBeGreaterThan(3);
    expect(Math.max(...ends)).toBeLessThanOrEqual(730);
  });

  test('says what was not measured instead of drawing nothing', () => {
    const svg = performanceCharts(runOf({ ours: { 'max4.perSecond': 10 } })).get('query.svg');
    expect(svg).toContain('>not measured<');
  });
});

describe('a flame graph', () => {
  test('merges a function that the engine split, and counts each microsecond where it was spent', () => {
    const root = flameTree(PROFILE);
    expect(flameBoxes(root).slice(0, 2)).toEqual([
      [0, 'run · pool/pool.ts', 'pool', 0, 80],
      [1, 'write · node:net', 'node', 0, 30],
    ]);
    expect(Object.fromEntries(ownByOrigin(root))).toEqual({ pool: 500, node: 300, driver: 198, gc: 2, idle: 900 });
  });

  test('leaves out waiting, and what is too narrow to be seen', () => {
    const labels = flameBoxes(flameTree(PROFILE)).map(([, label]) => label);
    expect(labels).toEqual(['run · pool/pool.ts', 'write · node:net', '<static> · pg-protocol/parser.js']);
  });
});

function node(id: number, functionName: string, url: string, children: number[] = []): CpuProfile['nodes'][number] {
  return { id, callFrame: { functionName, url, lineNumber: 1 }, children };
}

function profileReport(): object {
  const side = { perSecond: 10, perSecondProfiled: 9, micros: { pool: 3, driver: 4, idle: 1 } };
  const boxes = flameBoxes(flameTree(PROFILE));
  return {
    name: 'profile.query',
    sides: { ours: side, byHand: side },
    boxes,
    machine: MACHINE,
    node: 'v26.0.0',
    postgres: '18.1',
  };
}

function runOf(report: object): PerformanceRun {
  return new PerformanceRun(JSON.stringify({ ...REPORT, ...report }));
}

function partOf(name: string, run: PerformanceRun): string {
  const [, text] = performancePage(PAGE.text, run).split(`<!-- from the run: ${name} -->`);
  return text?.slice(0, text.indexOf('<!--')).trim() ?? '';
}

function chartsOf(): ReadonlyMap<string, string> {
  return performanceCharts(BUSY_RUN);
}

/** Tags that are opened and not closed, or the other way round, and signs that would be read as tags. */
function unbalanced(svg: string): string[] {
  const open: string[] = svg.replace(/<[^<>]*>/g, '').match(/[<>]|&(?!(amp|lt|gt|quot);)/g) ?? [];
  for (const [, closing, name = '', empty] of svg.matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)) {
    if (empty === '/') continue;
    if (closing === '') open.push(name);
    else if (open.pop() !== name) return [`</${name}>`];
  }
  return open;
}
