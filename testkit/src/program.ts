import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

// Debian keeps servers where an ordinary user's PATH does not look.
const FURTHER_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];

const HOW_TO_INSTALL: Readonly<Record<string, string>> = {
  pgbouncer: 'apt-get install pgbouncer, or brew install pgbouncer',
  openssl: 'apt-get install openssl',
};

const announced = new Set<string>();

/** Where a program of the machine lies, or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...FURTHER_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** True where a program is absent, which is said once, with the cure: `test.skipIf(missing('pgbouncer'))`. */
export function missing(name: string): boolean {
  if (findProgram(name) !== undefined) return false;
  if (!announced.has(name)) {
    const cure = HOW_TO_INSTALL[name] ?? `install ${name}`;
    process.stderr.write(`SKIPPED: tests that need ${name}, which is not installed here (${cure})\n`);
  }
  announced.add(name);
  return true;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
