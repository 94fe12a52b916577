import { readFileSync } from 'node:fs';
import { expect, test } from '@lifeguard/testkit/vitest';
import { createPool } from '../../src/index.ts';
import { codesIn, Page, pathOf } from './page.ts';

const PAGE = new Page('docs/5-events-and-snapshot.md');
const SOURCE = readFileSync(pathOf('packages/core/src/events.ts'), 'utf8').replace(/\/\*\*.*?\*\//gs, '');

/** Channel and fields, as the interface `Events` declares them. */
function declaredEvents(): [channel: string, fields: string[]][] {
  const events = SOURCE.slice(SOURCE.indexOf('interface Events'), SOURCE.indexOf('export type EventName'));
  const leak = fieldsOf(events.slice(events.indexOf('interface Leak')));
  const entries = [...events.matchAll(/'(lifeguard:[\w:-]+)': (?:\{(.*?)\}|Leak);/gs)];
  return entries.map(([, channel = '', body]) => [channel, body === undefined ? leak : fieldsOf(body)]);
}

function fieldsOf(body: string): string[] {
  return [...body.matchAll(/(?:^|[\s{;])(?:readonly )?(\w+\??): /g)].map(([, field = '']) => field);
}

test('the source of the events is read as the tests below think', () => {
  expect(declaredEvents().length).toBeGreaterThan(15);
  expect(declaredEvents()).toContainEqual(['lifeguard:pool:opened', ['pool', 'slot', 'dialMillis']]);
});

test.each(declaredEvents())('the events page documents %s with all its fields', (channel, fields) => {
  const [payload = ''] = PAGE.rows.get(channel)?.split(' | ', 1) ?? [];
  expect(codesIn(payload)).toEqual(fields);
});

test('the events page names no channel that does not exist', () => {
  const documented = [...PAGE.rows.keys()].filter((name) => name.startsWith('lifeguard:'));
  expect(documented).toEqual(declaredEvents().map(([channel]) => channel));
});

test('the page documents every field of a snapshot, and no other', async () => {
  const pool = createPool({});
  const documented = [...new Page(PAGE.path).rows.keys()].filter((name) => /^[a-z]/.test(name));
  const fields = documented.filter((name) => !name.startsWith('lifeguard:'));
  expect(fields.sort()).toEqual(Object.keys(pool.snapshot()).sort());
  await pool.close();
});

test('the page documents every code of a warning', () => {
  const codes = [...SOURCE.matchAll(/'(LIFEGUARD_\w+)'/g)];
  expect(codes.length).toBeGreaterThan(4);
  const documented = [...PAGE.rows.keys()].filter((name) => name.startsWith('LIFEGUARD_'));
  expect(documented.sort()).toEqual(codes.map(([, code = '']) => code).sort());
});
