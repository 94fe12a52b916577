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
  expect(stdout).toMatch(/^ada has 70\ngrace has 30\n504 The server ended the statement at its deadline/);
});

test.for([
  ['docs/7-transactions.md', /^\[ 1, 2 \]$/m],
  ['docs/8-row-level-security.md', /^0 0 0 42501$/m],
] as const)('every piece of %s runs on the tables that its SQL makes', async ([path, output], { database }) => {
  const page = new Page(path);
  await database.query('drop table if exists accounts cascade'); // An earlier page's.
  for (const { code } of page.blocks('sql')) await database.query(code);
  const pieces = page.blocks('ts').map(({ code }) => code);
  const programs = [sequenceOf(pieces.filter((code) => !isProgram(code))), ...pieces.filter(isProgram)];
  let printed = '';
  for (const [index, program] of programs.entries()) {
    const file = join(folder, `${page.path.replace(/\W+/g, '-')}-run-${index}.mts`);
    writeFileSync(file, program);
    const env = { ...process.env, DATABASE_URL: database.url };
    printed += (await run(process.execPath, ['--conditions=@lifeguard/source', file], { env })).stdout;
  }
  expect(printed).toMatch(output);
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
  if (isProgram(code)) return code;
  const known = "import type { LifeguardPool, Lease } from '@lifeguard/core';\ndeclare const pool: LifeguardPool;\n";
  return `${known}declare const id: number; declare const request: Request;\nasync () => {\n${code}\n};\n`;
}

function isProgram(code: string): boolean {
  return /^import /m.test(code);
}

/** Pieces one after the other, with the names that they take as known. */
function sequenceOf(pieces: readonly string[]): string {
  const blocks = pieces.map((code) => `await (async () => {\n${code}\n})();`);
  return `import { createPool } from '@lifeguard/core';
const pool = createPool({ connectionString: process.env.DATABASE_URL });
const id = 1;
const request = new Request('http://localhost/');
${blocks.join('\n')}
await pool.close();
`;
}

/** A folder that sees the package as users do, by its name, and has the settings that most of them have. */
function userProject(): string {
  const path = mkdtempSync(join(tmpdir(), 'lifeguard-docs-'));
  mkdirSync(join(path, 'node_modules/@lifeguard'), { recursive: true });
  symlinkSync(pathOf('packages/core'), join(path, 'node_modules/@lifeguard/core'), 'junction');
  for (const name of ['@types', 'pg', 'pg-cursor']) {
    symlinkSync(pathOf(`packages/core/node_modules/${name}`), join(path, 'node_modules', name), 'junction');
  }
  const compilerOptions = {
    ...{ strict: true, noEmit: true, skipLibCheck: true, allowImportingTsExtensions: true },
    ...{ target: 'es2023', lib: ['es2024', 'esnext.disposable'], module: 'nodenext' },
    ...{ customConditions: ['@lifeguard/source'], types: ['node'], typeRoots: [pathOf('node_modules/@types')] },
  };
  writeFileSync(join(path, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(path, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  return path;
}
