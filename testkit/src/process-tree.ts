import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { waitUntil } from './wait-until.ts';

/** Whether a process still runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return process.platform !== 'linux' || !isZombie(pid);
}

/** The processes a process has started and that still run. */
export function childrenOf(parent: number): number[] {
  const table = process.platform === 'linux' ? procTable() : psTable();
  return table.filter((row) => row.parent === parent && isAlive(row.pid)).map((row) => row.pid);
}

/** Signals a process that may be gone already. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Resolves when none of the processes runs any more. */
export async function untilGone(pids: readonly number[]): Promise<void> {
  await waitUntil(() => !pids.some(isAlive), { what: `the end of the processes ${pids.join(', ')}`, everyMillis: 3 });
}

interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
}

function procTable(): ProcessRow[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), parent: Number(statusField(Number(name), 'PPid')) }));
}

function psTable(): ProcessRow[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  return lines
    .map((line) => line.trim().split(/\s+/))
    .map(([pid, parent]) => ({ pid: Number(pid), parent: Number(parent) }));
}

// An ended process that its parent has not collected yet still answers signal 0.
function isZombie(pid: number): boolean {
  const state = statusField(pid, 'State');
  return state === undefined || state.startsWith('Z');
}

function statusField(pid: number, name: string): string | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1];
  } catch {
    return undefined;
  }
}
