import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@lifeguard/testkit/vitest';

const SOURCES: URL = new URL('../src/', import.meta.url);

const sources = readdirSync(SOURCES).map((name) => ({ name, text: readFileSync(new URL(name, SOURCES), 'utf8') }));
const imports = sources.flatMap(({ name, text }) =>
  [...text.matchAll(/^(?:import|export)\b[^;]*?\bfrom '([^']*)';$/gm)].map(([, from = '']) => ({ name, from })),
);

test('the package imports nothing but itself and what Node has', () => {
  const others = imports.filter(({ from }) => !/^(\.\/[\w-]+\.ts|node:[\w_]+)$/.test(from));
  expect(imports.length).toBeGreaterThan(15);
  expect(others).toEqual([]);
});

test('one file sees async_hooks, and takes nothing of it but AsyncLocalStorage', () => {
  expect(imports.filter(({ from }) => from === 'node:async_hooks').map(({ name }) => name)).toEqual([
    'process-state.ts',
  ]);
  const words = sources.flatMap(({ text }) => text.match(/\b(createHook|executionAsyncId|AsyncResource)\b/g) ?? []);
  expect(words).toEqual([]);
});

test('where a context ends by itself it is entered by run and not by enterWith', () => {
  const users = sources.filter(({ text }) => text.includes('enterWith(')).map(({ name }) => name);
  expect(users).toEqual(['entry.ts']);
  const entry = sources.find(({ name }) => name === 'entry.ts')?.text ?? '';
  expect(entry.match(/enterWith\(/g)).toHaveLength(1);
});

test('it has no dependencies of any kind, and the licence of the house', () => {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', SOURCES), 'utf8'));
  expect([manifest.dependencies, manifest.peerDependencies]).toEqual([undefined, undefined]);
  expect(manifest.license).toBe('MIT');
});
