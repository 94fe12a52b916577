import { expect, test } from 'vitest';
import type { Rule } from '../finding.ts';
import { barrels } from '../rules/barrels.ts';
import { borders } from '../rules/borders.ts';
import { documents } from '../rules/documents.ts';
import { guardedGlobals } from '../rules/guarded-globals.ts';
import { manifests } from '../rules/manifests.ts';
import { names } from '../rules/names.ts';
import { judgePhysique, physiqueOf } from '../rules/physique.ts';
import { sizes } from '../rules/sizes.ts';
import { states } from '../rules/states.ts';
import { tests } from '../rules/tests.ts';
import { SourceFile } from '../source-file.ts';

const CORE = 'packages/core/src';
const TEST = 'packages/core/test/a.test.ts';

/** Each text breaks its rule in the line given. */
const BROKEN: readonly (readonly [what: string, rule: Rule, path: string, line: number, text: string])[] = [
  ['pool/ imports pg/', borders, `${CORE}/pool/a.ts`, 1, "import { a } from '../pg/a.ts';"],
  ['pool/ imports a type of scope/', borders, `${CORE}/pool/a.ts`, 2, "\nimport type { A } from '../scope/a.ts';"],
  ['pool/ imports a type inline', borders, `${CORE}/pool/a.ts`, 1, "type A = import('../pg/a.ts').A;"],
  ['pool/ imports dynamically', borders, `${CORE}/pool/a.ts`, 1, "const a = () => import('../pg/a.ts');"],
  ['pg/ imports a value of the seam', borders, `${CORE}/pg/a.ts`, 1, "import { seam } from '../pool/seam.ts';"],
  ['pg/ imports a type beside the seam', borders, `${CORE}/pg/a.ts`, 1, "import type { Slot } from '../pool/slot.ts';"],
  ['scope/ imports a value of pg/', borders, `${CORE}/scope/a.ts`, 1, "import { type A, b } from '../pg/a.ts';"],
  ['facade/ imports pool/', borders, `${CORE}/facade/a.ts`, 1, "import type { Pool } from '../pool/pool.ts';"],
  ['a leaf imports a ring', borders, `${CORE}/errors.ts`, 1, "import type { A } from './pool/a.ts';"],
  ['a leaf imports another not listed', borders, `${CORE}/clock.ts`, 1, "import { a } from './errors.ts';"],
  ['the door hands out a value of a ring', borders, `${CORE}/index.ts`, 1, "export { Pool } from './pool/pool.ts';"],
  ['a file that is not on the plan', borders, `${CORE}/news.ts`, 1, 'export const a = 1;'],
  ['scope/ imports the driver', borders, `${CORE}/scope/a.ts`, 1, "import type pg from 'pg';"],
  ['scope/ imports a part of the driver', borders, `${CORE}/scope/a.ts`, 1, "import a from 'pg-protocol';"],
  ['a further file imports async_hooks', borders, `${CORE}/pool/a.ts`, 1, "import 'node:async_hooks';"],
  ['a further file imports diagnostics_channel', borders, `${CORE}/errors.ts`, 1, "import 'node:diagnostics_channel';"],
  ['a timer outside the clock', guardedGlobals, `${CORE}/pool/a.ts`, 2, '\nsetTimeout(f, 1);'],
  ['a timer by way of globalThis', guardedGlobals, `${CORE}/pool/a.ts`, 1, 'globalThis.setTimeout(f, 1);'],
  ['a timer passed on', guardedGlobals, `${CORE}/pool/a.ts`, 1, 'const t = { setInterval };'],
  ['a date outside the clock', guardedGlobals, `${CORE}/pg/a.ts`, 1, 'const now = new Date();'],
  ['the time by performance', guardedGlobals, `${CORE}/pg/a.ts`, 1, 'const now = performance.now();'],
  ['the console anywhere', guardedGlobals, `${CORE}/events.ts`, 1, 'console.log(1);'],
  ['a warning outside the events', guardedGlobals, `${CORE}/pool/a.ts`, 1, "process.emitWarning('x');"],
  ['a flag beside the state', states, `${CORE}/pool/a.ts`, 1, 'class A { #closed = false; }'],
  ['a flag by its type', states, `${CORE}/scope/a.ts`, 2, 'class A {\n  private isOpen: boolean; }'],
  ['a file of 301 lines', sizes, `${CORE}/pool/a.ts`, 301, 'a();\n'.repeat(301)],
  ['a function of 61 lines', sizes, `${CORE}/pool/a.ts`, 1, `const f = () => {${'\n'.repeat(60)}};`],
  ['four positional parameters', sizes, `${CORE}/pool/a.ts`, 1, 'function f(a, b, c, d) {}'],
  ['a file named utils', names, `${CORE}/pool/utils.ts`, 1, ''],
  ['a file named by its grammar', names, `${CORE}/pool/pool.constants.ts`, 1, ''],
  ['a folder named shared', names, `${CORE}/shared/pool.ts`, 1, ''],
  ['a barrel with a star', barrels, `${CORE}/index.ts`, 2, "\nexport * from './a.ts';"],
  ['a barrel of 26 names', barrels, `${CORE}/index.ts`, 1, `export { ${listOf(26)} } from './a.ts';`],
  ['a test of two words', tests, TEST, 1, "test('it works', () => {});"],
  ['a short name in a table', tests, TEST, 1, "test.each([1])('does $a', () => {});"],
  ['a short name of its own test', tests, TEST, 2, "const own = testWithServer();\nown('it works', () => {});"],
  ['a test of 31 lines', tests, TEST, 1, `test('has far too many lines', () => {${'\n'.repeat(30)}});`],
  ['a test that is alone', tests, TEST, 1, "test.only('leaves the others out', () => {});"],
  ['a skipped test', tests, TEST, 1, "describe.skip('some', () => {});"],
  ['a test skipped for no reason', tests, TEST, 1, "test.skipIf(true)('is never run here', () => {});"],
  ['a test that sleeps', tests, TEST, 1, 'await new Promise((resolve) => setTimeout(resolve, 5));'],
  ['a test that sleeps in disguise', tests, TEST, 1, 'await waitUntil(() => performance.now() > end);'],
  ['a test that sleeps by import', tests, TEST, 1, "import { setTimeout as sleep } from 'node:timers/promises';"],
  ['a long README', documents, 'README.md', 151, 'line\n'.repeat(151)],
  ['a long ARCHITECTURE', documents, 'ARCHITECTURE.md', 121, 'line\n'.repeat(121)],
  ['eleven scripts', manifests, 'package.json', 1, manifest({ scripts: tableOf(11) })],
  ['a core with a dependency', manifests, 'p/package.json', 1, core({ dependencies: tableOf(1) })],
  ['a core with a second peer', manifests, 'p/package.json', 1, core({ peerDependencies: { pg: '', mysql: '' } })],
];

test.each(BROKEN)('the check finds %s', (_what, rule, path, line, text) => {
  expect(rule(new SourceFile(path, text))).toMatchObject([{ path, line, why: expect.any(String) }]);
});

/** Texts that come close. */
const SOUND: readonly (readonly [what: string, rule: Rule, path: string, text: string])[] = [
  ['leaves in a ring', borders, `${CORE}/pool/a.ts`, "import { a } from '../errors.ts'; import './b.ts';"],
  ['types of the seam in pg/', borders, `${CORE}/pg/a.ts`, "import { type Seam } from '../pool/seam.ts';"],
  ['the driver in pg/', borders, `${CORE}/pg/a.ts`, "import pg from 'pg';"],
  [
    'all rings in the composition root',
    borders,
    `${CORE}/lifeguard-pool.ts`,
    "import './pool/a.ts'; import './pg/b.ts';",
  ],
  ['types of a ring at the door', borders, `${CORE}/index.ts`, "export type { A } from './pool/a.ts';"],
  ['timers in the clock', guardedGlobals, `${CORE}/clock.ts`, 'setTimeout(f, Date.now());'],
  ['a member called like a timer', guardedGlobals, `${CORE}/pool/a.ts`, 'clock.setTimeout(f); const a = { Date: 1 };'],
  ['a date as a type', guardedGlobals, `${CORE}/pool/a.ts`, 'let a: Date;'],
  ['a fact that never changes', states, `${CORE}/pool/a.ts`, 'class A { readonly admitted: boolean; #size = 0; }'],
  ['a name that contains a forbidden one', names, `${CORE}/pool/shared-lane.ts`, ''],
  ['an announced skip', tests, TEST, "test.skipIf(missing('pgbouncer'))('runs where it can', () => {});"],
  ['a skip with its reason', tests, TEST, "// skipped: too old\ntest.skipIf(old)('runs on new ones', () => {});"],
  ['real time with its reason', tests, TEST, "await passes(5, 'the server must have ticked');"],
  ['a sleeping test kit', tests, 'testkit/test/a.test.ts', 'setTimeout(f, 1);'],
];

test.each(SOUND)('the check lets pass %s', (_what, rule, path, text) => {
  expect(rule(new SourceFile(path, text))).toEqual([]);
});

test('the check measures median and ninth decile over the packages', () => {
  const text = [2, 9, 31].map((lines) => `const f${lines} = () => {${'\n'.repeat(lines - 1)}};`).join('\n');
  const physique = physiqueOf([new SourceFile(`${CORE}/a.ts`, text), new SourceFile('bench/main.ts', text)]);
  expect(physique).toEqual({ functions: 3, median: 9, ninthDecile: 9 });
  expect(judgePhysique(physique)).toHaveLength(1);
  expect(judgePhysique({ functions: 3, median: 8, ninthDecile: 31 })).toHaveLength(1);
});

function listOf(count: number): string {
  return Object.keys(tableOf(count)).join(', ');
}

function tableOf(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`n${index}`, 'x']));
}

function manifest(fields: object): string {
  return JSON.stringify(fields);
}

function core(fields: object): string {
  return manifest({ name: '@lifeguard/core', peerDependencies: { pg: '' }, ...fields });
}
