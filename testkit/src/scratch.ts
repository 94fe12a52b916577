import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Account } from './account.ts';
import { isAlive, signal } from './process-tree.ts';

const PREFIX = 'lifeguard-';
const PLENTY = 4 * 2 ** 30;
const REMOVE = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 } as const;

const living = new Map<string, () => void>();

/** A folder for one server; its name carries the owner's process, so that a later run can sweep it. */
export function makeHome(kind: string, account: Account): string {
  sweepLeftovers();
  const home = mkdtempSync(join(scratchRoot(), `${PREFIX}${kind}-${process.pid}-`));
  giveTo(home, account);
  return home;
}

/** Sees to it that a home does not outlive this process: `end` is called, then the folder goes. */
export function removeAtExit(home: string, end: () => void): void {
  if (living.size === 0) process.once('exit', endAll);
  living.set(home, end);
}

/** Removes a home whose server has ended. */
export function removeHome(home: string): void {
  living.delete(home);
  if (living.size === 0) process.off('exit', endAll);
  rmSync(home, REMOVE);
}

/** A folder that is made once per machine and user, and kept; `fill` is called on the first use. */
export async function keptFolder(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const user = process.getuid?.() ?? 0;
  const kept = join(tmpdir(), `${PREFIX}kept-${user}`);
  mkdirSync(kept, { recursive: true });
  // The name can be guessed: do not run what another user may have put there.
  if (statSync(kept).uid !== user) throw new Error(`${kept} belongs to another user.`);
  chmodSync(kept, 0o755);
  const folder = join(kept, name);
  if (!existsSync(folder)) await fillOnce(folder, fill);
  return folder;
}

/** Ends the servers, and removes the folders, of processes that were killed before they could. */
export function sweepLeftovers(): void {
  for (const name of readdirSync(scratchRoot())) {
    const owner = /^lifeguard-\w+-(\d+)-/.exec(name)?.[1];
    if (owner !== undefined && !isAlive(Number(owner))) sweep(join(scratchRoot(), name));
  }
}

export function giveTo(path: string, { uid, gid }: Account): void {
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}

async function fillOnce(folder: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const partial = mkdtempSync(`${folder}-`);
  chmodSync(partial, 0o755);
  try {
    await fill(partial);
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, REMOVE);
    if (!existsSync(folder)) throw error; // else another process was first
  }
}

function endAll(): void {
  for (const [home, end] of living) {
    end();
    rmSync(home, REMOVE);
  }
}

function sweep(home: string): void {
  try {
    const pid = Number(readFileSync(join(home, 'server.pid'), 'utf8'));
    // The number may have been given to another program meanwhile.
    if (process.platform !== 'linux' || commandOf(pid).includes(home)) endNow(pid);
  } catch {
    // it has ended, or is another user's
  }
  try {
    rmSync(home, REMOVE);
  } catch {
    // another user's
  }
}

function endNow(pid: number): void {
  signal(pid, 'SIGQUIT');
  signal(pid, 'SIGCONT'); // it may be paused
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
}

// Memory where there is plenty: copying a template database takes 20 ms there, on a disk up to 240.
function scratchRoot(): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    if (bavail * bsize > PLENTY) return '/dev/shm';
  } catch {
    // not Linux
  }
  return tmpdir();
}
