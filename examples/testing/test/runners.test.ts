import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from '@lifeguard/testkit/vitest';

const run = promisify(execFile);
const here = fileURLToPath(new URL('../', import.meta.url));
const bin = (name: string): string => `${here}node_modules/${name}`;

describe('the same suite', () => {
  test.for([
    [
      'Vitest',
      [bin('vitest/vitest.mjs'), 'run', '--root', `${here}runners`, '--config', 'vitest.config.mjs'],
      / 28 passed/,
    ],
    [
      'Jest',
      ['--experimental-vm-modules', bin('jest/bin/jest.js'), '--config', `${here}runners/jest.config.mjs`],
      / 28 passed/,
    ],
    ['node:test', ['--conditions=@lifeguard/source', '--test', `${here}runners/node-test.spec.mjs`], /pass 28\b/],
  ] as const)(
    'passes in %s, and leaves nothing behind',
    { timeout: 60_000 },
    async ([, args, passed], { database }) => {
      await database.query('drop table if exists runner_names');
      await database.query('create table runner_names (name text primary key)');
      const { VITEST: _, NODE_OPTIONS: __, ...env } = process.env;
      const child = run(process.execPath, ['--no-warnings', ...args], {
        cwd: here,
        env: { ...env, DATABASE_URL: database.url, NO_COLOR: '1', CI: 'true' },
      });
      const { stdout, stderr } = await child.catch((failure: { stdout: string; stderr: string }) => failure);
      expect(stdout + stderr).toMatch(passed);
      expect(await database.query('select name from runner_names')).toEqual([]);
    },
  );
});
