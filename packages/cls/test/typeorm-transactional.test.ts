import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@lifeguard/testkit/vitest';
import { UserProject } from './user-project.ts';

let project: UserProject;

beforeAll(async () => {
  project = await UserProject.create();
  await project.install('typeorm-transactional');
  project.link('typeorm', 'reflect-metadata', 'pg');
});

afterAll(() => project.remove());

test('typeorm-transactional works on it by the override alone, with its own cls-hooked driver', async ({
  database,
}) => {
  const code = readFileSync(new URL('programs/undertakings.mts', import.meta.url), 'utf8');
  const said = await project.run(code, { file: 'program.mts', env: { DATABASE_URL: database.url } });
  expect(said).toEqual({
    isOurs: true,
    committed: ['ok', ['a', 'b']],
    rolledBack: ['a', []],
    joined: ['outer', []],
    requiresNew: ['outer', ['inner']],
    parallel: ['ok', ['a first', 'a second', 'c first', 'c second']],
    // With the library's AsyncLocalStorage driver what a and b write after c has failed is stored.
    failingChildren: ['ok', []],
    refused: [expect.stringContaining('MANDATORY'), []],
    hooks: ['committed', 'rolled back'],
  });
});
