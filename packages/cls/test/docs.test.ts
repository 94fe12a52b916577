import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@lifeguard/testkit/vitest';
import { UserProject } from './user-project.ts';

const PAGES = { 'docs/11-cls.md': ['ada', 'grace'], 'packages/cls/README.md': ['ada'] } as const;
let project: UserProject;

beforeAll(async () => {
  project = await UserProject.create();
});

afterAll(() => project.remove());

test.for(Object.entries(PAGES))('the programs of %s run and say what they promise', async ([path, expected]) => {
  const [program] = blocksOf(path, 'js');
  expect(await project.output(program as string)).toBe(expected.map((line) => `${line}\n`).join(''));
});

test.for(Object.keys(PAGES))('what %s puts into a package.json is JSON and names the package', (path) => {
  const blocks = blocksOf(path, 'json').map((block) => JSON.parse(block));
  expect(blocks.length).toBeGreaterThan(0);
  expect(JSON.stringify(blocks[0])).toContain('"cls-hooked":"npm:@lifeguard/cls@^0.1.0"');
  expect(Object.keys(blocks[0].overrides)).toEqual(['cls-hooked']);
});

function blocksOf(path: string, language: string): string[] {
  const text = readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, code = '']) => code);
}
