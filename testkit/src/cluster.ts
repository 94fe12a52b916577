import { execFile } from 'node:child_process';
import { lchownSync, readdirSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Account } from './account.ts';
import { type Binaries, programOf } from './binaries.ts';
import { giveTo, keptFolder } from './scratch.ts';

export type Settings = Readonly<Record<string, string | number>>;

const INITDB = ['-U', 'postgres', '-A', 'trust', '--no-sync', '--no-instructions', '--locale=C', '--encoding=UTF8'];

/** Makes a data folder: initdb runs once per machine (0.7 s), later ones are copies (0.1 s). */
export async function makeDataFolder(binaries: Binaries, account: Account, data: string): Promise<void> {
  const name = `cluster-${binaries.version}-${account.uid ?? 'own'}`;
  const pristine = await keptFolder(name, (folder) => initialise(binaries, account, folder));
  await copyDataFolder(join(pristine, 'data'), data, account);
}

/** Copies the data folder of a server that has been stopped cleanly. */
export async function copyDataFolder(from: string, to: string, account: Account): Promise<void> {
  await cp(from, to, { recursive: true, verbatimSymlinks: true });
  if (account.uid !== undefined) giveTree(to, account);
}

/** Writes the settings a server starts with; `alter system` can still override them. */
export function writeSettings(data: string, settings: Settings): void {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`);
  writeFileSync(join(data, 'postgresql.conf'), `${lines.join('\n')}\n`);
}

/** Who may come in over TCP. The unix socket stays open, so that tests keep control. */
export type Entrance = 'trust' | 'scram-sha-256' | 'reject';

export function writeEntrance(data: string, entrance: Entrance): void {
  const rules = ['local all all trust', 'local replication all trust', `host all all all ${entrance}`];
  writeFileSync(join(data, 'pg_hba.conf'), `${rules.join('\n')}\n`);
}

async function initialise(binaries: Binaries, account: Account, folder: string): Promise<void> {
  giveTo(folder, account);
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  const args = ['-D', join(folder, 'data'), ...INITDB];
  await promisify(execFile)(programOf(binaries, 'initdb'), args, { ...account, cwd: folder, env });
}

function giveTree(root: string, { uid, gid }: Account): void {
  lchownSync(root, uid as number, gid as number);
  for (const entry of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    lchownSync(join(root, entry), uid as number, gid as number);
  }
}
