import { readFileSync } from 'node:fs';
import { expect, test } from '@lifeguard/testkit/vitest';
import * as orms from '../../src/orms/index.ts';
import { pathOf } from '../docs/page.ts';

/** What users may import. A name more or less is a decision, and a line in CHANGELOG.md. */
const VALUES = [
  ...['databasesOn', 'mikroOrmOptions', 'nestable', 'prismaOn', 'sequelizeOn', 'slonikOptions', 'typeormDriver'],
];
const TYPES = [
  ...['AsyncMethod', 'DatabasesLike', 'HookOptions', 'MikroOrmOptions', 'PrismaLike', 'SequelizeLike'],
  ...['SlonikHookOptions', 'SlonikOptions', 'TypeOrmDriver'],
];

test('the door of the hooks hands out these values and no others', () => {
  expect(Object.keys(orms).sort()).toEqual(VALUES);
});

test('the door of the hooks hands out these names and no others', () => {
  const door = readFileSync(pathOf('packages/core/src/orms/index.ts'), 'utf8');
  const lists = [...door.matchAll(/export (?:type )?\{(.*?)\}/gs)].map(([, list = '']) => list);
  const names = lists.flatMap((list) => list.split(',').map((name) => name.trim().replace(/^type /, '')));
  expect(names.filter((name) => name !== '').sort()).toEqual([...VALUES, ...TYPES].sort());
});

test('the door of the hooks is the same for those who build on sources and those who install', () => {
  const manifest = JSON.parse(readFileSync(pathOf('packages/core/package.json'), 'utf8'));
  const { '@lifeguard/source': source, ...published } = manifest.exports['./orms'];
  expect(source).toBe('./src/orms/index.ts');
  expect(manifest.publishConfig.exports['./orms']).toEqual(published);
});
