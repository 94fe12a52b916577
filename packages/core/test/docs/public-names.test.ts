import { readFileSync } from 'node:fs';
import { expect, test } from '@lifeguard/testkit/vitest';
import * as core from '../../src/index.ts';
import { pathOf } from './page.ts';

/** What users may import. A name more or less is a decision, and a line in CHANGELOG.md. */
const VALUES = ['LifeguardError', 'LifeguardPool', 'Owner', 'createPool', 'isLifeguardError'];
const TYPES = [
  ...['CallOptions', 'CloseReason', 'Consequence', 'Events', 'HookConnection', 'Leak', 'Lease'],
  ...[
    'LifeguardErrorCode',
    'Logger',
    'PoolFigures',
    'PoolOptions',
    'PoolSnapshot',
    'Priority',
    'QueryResult',
    'Queryable',
  ],
  ...['Scope', 'ScopeOptions', 'Statement', 'Transaction', 'TransactionOptions'],
];

test('the package hands out these values and no others', () => {
  expect(Object.keys(core).sort()).toEqual(VALUES);
});

test('the package hands out these names and no others, at most 25', () => {
  const door = readFileSync(pathOf('packages/core/src/index.ts'), 'utf8');
  const lists = [...door.matchAll(/export (?:type )?\{(.*?)\}/gs)].map(([, list = '']) => list);
  const names = lists.flatMap((list) => list.split(',').map((name) => name.trim().replace(/^type /, '')));
  expect(names.filter((name) => name !== '').sort()).toEqual([...VALUES, ...TYPES].sort());
  expect(VALUES.length + TYPES.length).toBeLessThanOrEqual(25);
});
