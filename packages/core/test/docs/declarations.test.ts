import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from '@lifeguard/testkit/vitest';
import { pathOf } from './page.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'lifeguard-package-'));
const installed = join(folder, 'node_modules/@lifeguard/core');

afterAll(() => rmSync(folder, { recursive: true }));

const PROGRAM = `import { createPool, type Consequence, type Events, type Lease } from '@lifeguard/core';
const pool = createPool({ max: 3, overload: { targetWaitMillis: undefined } });
const lease: Lease = await pool.lease({ name: 'x' });
const { rows } = await lease.query<{ a: number }>('select 1 as a');
export const a: number | undefined = rows[0]?.a;
export const reason: Events['lifeguard:pool:closing']['reason'] = 'lost';
export const consequence: Consequence = 'nothing-sent';
`;

test('the declarations that are published compile without any others, and hold nothing internal', async () => {
  await install();
  const compilerOptions = {
    ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true, types: [] },
    // The web's names (AbortSignal) come from the DOM here, and from @types/node where that is installed.
    ...{ target: 'es2023', module: 'nodenext', lib: ['es2024', 'esnext.disposable', 'dom'] },
  };
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'program.ts'), PROGRAM);
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }));
  expect(await tsc('-p', folder)).toBe('');
  expect(readFileSync(join(installed, 'dist/scope/lease.d.ts'), 'utf8')).not.toMatch(/constructor/);
  expect(readFileSync(join(installed, 'dist/events.d.ts'), 'utf8')).not.toMatch(/Channel/);
});

/** What the package has for those who compile against it: its manifest, and what tsc makes of its sources. */
async function install(): Promise<void> {
  mkdirSync(installed, { recursive: true });
  copyFileSync(pathOf('packages/core/package.json'), join(installed, 'package.json'));
  const outDir = join(installed, 'dist');
  const buildInfo = join(folder, 'buildinfo');
  expect(await tsc('-p', pathOf('packages/core'), '--outDir', outDir, '--tsBuildInfoFile', buildInfo)).toBe('');
}

async function tsc(...args: string[]): Promise<string> {
  const done = await run(process.execPath, [pathOf('node_modules/typescript/bin/tsc'), ...args]).catch(
    (error: { stdout: string }) => error,
  );
  return done.stdout;
}
