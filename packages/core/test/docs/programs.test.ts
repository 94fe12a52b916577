import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from '@lifeguard/testkit/vitest';
import { allPages, Page, pathOf } from './page.ts';

const run = promisify(execFile);
const folder = userProject();

afterAll(() => rmSync(folder, { recursive: true }));

test('every TypeScript block of the pages compiles in a strict project', async () => {
  const blocks = allPages().flatMap((page) => page.blocks('ts').map((block) => ({ page, ...block })));
  for (const { page, line, code } of blocks) {
    writeFileSync(join(folder, `${page.path.replace(/\W+/g, '-')}-line-${line}.ts`), programOf(code));
  }
  const checked = await run(process.execPath, [pathOf('node_modules/typescript/bin/tsc'), '-p', folder]).catch(
    (error: { stdout: string }) => error,
  );
  expect(blocks.length).toBeGreaterThan(8);
  expect(checked.stdout).toBe('');
});

test('the program of the README runs and says what it promises', async ({ database }) => {
  const [program] = new Page('README.md').blocks('ts');
  const path = join(folder, 'readme.mts');
  writeFileSync(path, program?.code ?? '');
  const env = { ...process.env, DATABASE_URL: database.url };
  const { stdout } = await run(process.execPath, ['--conditions=@lifeguard/source', path], { env });
  expect(stdout).toMatch(/^ada has 70\ngrace has 30\n504 The deadline passed/);
});

test('every link between the pages leads to a file and to a heading', () => {
  const broken = allPages().flatMap((page) => page.links.filter((link) => !leadsSomewhere(page, link)));
  expect(broken).toEqual([]);
});

function leadsSomewhere(page: Page, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const path = file === '' ? page.path : join(dirname(page.path), file);
  if (!existsSync(pathOf(path))) return false;
  return anchor === undefined || new Page(path).anchors.includes(anchor);
}

/** A block that imports is a program; any other is a piece of one, in which these names are known. */
function programOf(code: string): string {
  if (/^import /m.test(code)) return code;
  const known = "import type { LifeguardPool, Lease } from '@lifeguard/core';\ndeclare const pool: LifeguardPool;\n";
  return `${known}declare const id: number; declare const request: Request;\nasync () => {\n${code}\n};\n`;
}

/** A folder that sees the package as users do, by its name, and has the settings that most of them have. */
function userProject(): string {
  const path = mkdtempSync(join(tmpdir(), 'lifeguard-docs-'));
  mkdirSync(join(path, 'node_modules/@lifeguard'), { recursive: true });
  symlinkSync(pathOf('packages/core'), join(path, 'node_modules/@lifeguard/core'), 'junction');
  const compilerOptions = {
    ...{ strict: true, noEmit: true, skipLibCheck: true, allowImportingTsExtensions: true },
    ...{ target: 'es2023', lib: ['es2024', 'esnext.disposable'], module: 'nodenext' },
    ...{ customConditions: ['@lifeguard/source'], types: ['node'], typeRoots: [pathOf('node_modules/@types')] },
  };
  writeFileSync(join(path, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(path, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  return path;
}
