import { inspect } from 'node:util';
import { expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { documentedOptions, optionsPage } from '../../../../tools/options-page.ts';
import { readOptions } from '../../src/options.ts';
import { Page } from './page.ts';

const OPTIONS = documentedOptions();

test('the options page is what its generator makes of the comments now', () => {
  // If not: node tools/options-page.ts
  expect(new Page('docs/3-options.md').text).toBe(optionsPage());
});

test('the options page knows every option that createPool knows', () => {
  const { forPg, ...own } = readOptions({});
  const known = [...Object.keys(own), ...Object.getOwnPropertyNames(forPg)];
  expect(OPTIONS.map(({ name }) => name).sort()).toEqual(known.sort());
});

test.each(OPTIONS)('the documented default of $name is the one that createPool takes', ({ name, tags }) => {
  const { forPg, ...own } = readOptions({});
  const taken = ({ ...own, ...forPg } as Record<string, unknown>)[name];
  const isFilledLater = taken === undefined || (taken instanceof Map && taken.size === 0);
  if (isFilledLater) expect(tags.default).toMatch(/^(from|none|a plain)\b/);
  else expect(tags.default).toBe(inspect(taken));
});

test('every numeric option says its unit or that it is a port, and its limits', () => {
  const numeric = OPTIONS.filter(({ tags }) => /^\d+$/.test(tags.default ?? ''));
  expect(numeric.filter(({ tags }) => tags.unit === undefined || tags.limits === undefined)).toEqual([]);
});

test("the defaults of pg's own pool are documented as they are", () => {
  const { options } = new pg.Pool() as unknown as { options: Record<string, unknown> };
  const documented = new Map(OPTIONS.map(({ name, tags }) => [name, tags.pg]));
  for (const name of ['max', 'idleTimeoutMillis', 'maxUses', 'maxLifetimeSeconds', 'allowExitOnIdle']) {
    expect(`${name}: ${documented.get(name)}`).toBe(`${name}: ${options[name]}`);
  }
});
