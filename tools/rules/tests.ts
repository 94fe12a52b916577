import { type Finding, findingsOf, type Rule } from '../finding.ts';
import { globalUses } from '../global-use.ts';
import { LIMITS } from '../house.ts';
import { moduleLinks } from '../module-link.ts';
import type { SourceFile } from '../source-file.ts';
import { nameOf, rootOf, type SyntaxNode, visits } from '../syntax-tree.ts';
import { testCalls, testDeclarers } from '../test-call.ts';

/** Tests are short sentences, all of them run, and none of them sleeps. */
export const tests: Rule = (file) => {
  if (!file.isTypeScript || !file.isTest) return [];
  return [...sentences(file), ...lengths(file), ...omissions(file), ...sleeps(file)];
};

function sentences(file: SourceFile): Finding[] {
  const finding = findingsOf('test-name', file);
  return testCalls(file).flatMap(({ node, name }): Finding[] => {
    if (name === undefined || name.trim().split(/\s+/).length >= LIMITS.testWords) return [];
    return [finding(file.lineOf(node), `"${name}" is no sentence of behaviour: ${LIMITS.testWords} words at least`)];
  });
}

function lengths(file: SourceFile): Finding[] {
  const finding = findingsOf('test-lines', file);
  const long = testCalls(file).filter(({ body }) => file.lengthOf(body) > LIMITS.testLines);
  return long.map(({ body }) => {
    const why = `${file.lengthOf(body)} lines, at most ${LIMITS.testLines}: its set-up is one named function`;
    return finding(file.lineOf(body), why);
  });
}

function omissions(file: SourceFile): Finding[] {
  const finding = findingsOf('omitted-test', file);
  const declarers = testDeclarers(file).add('describe').add('suite');
  return [...visits(file.tree)].flatMap(({ node, parent }): Finding[] => {
    if (node.type !== 'MemberExpression' || !declarers.has(nameOf(rootOf(node)) ?? '')) return [];
    const why = objectionTo(nameOf(node['property']) ?? '', file, parent);
    return why === undefined ? [] : [finding(file.lineOf(node), why)];
  });
}

function objectionTo(modifier: string, file: SourceFile, call: SyntaxNode | undefined): string | undefined {
  if (modifier === 'only') return '.only leaves the others out';
  if (/^(skip|todo|fails)$/.test(modifier)) return `.${modifier} says nothing when it runs: use skipIf(missing(…))`;
  if (!/^(skipIf|runIf)$/.test(modifier) || call === undefined) return undefined;
  const announced = /\bmissing\(/.test(file.text.slice(call.start, call.end));
  const reasoned = /\/\/ skipped: \S/.test(file.lines[file.lineOf(call) - 2] ?? '');
  return announced || reasoned ? undefined : 'no announced reason: skipIf(missing(…)), or "// skipped: why" above it';
}

function sleeps(file: SourceFile): Finding[] {
  if (file.path.startsWith('testkit/')) return [];
  const finding = findingsOf('sleep', file);
  const why =
    'no test sleeps, nor waits for a clock: drive it, or wait for what must happen (waitUntil, database.waitFor); passes(millis, why) is for real time that must pass';
  const timers = globalUses(file).filter(({ name }) => SLEEPERS.test(name));
  const imports = moduleLinks(file).filter(({ from }) => /^(node:)?timers(\/|$)/.test(from));
  return [...timers, ...imports].map(({ node }) => finding(file.lineOf(node), why));
}

/** A clock in a condition is a sleep in disguise. */
const SLEEPERS = /^(globalThis\.)?(set(Timeout|Interval)|performance\.now)$/;
