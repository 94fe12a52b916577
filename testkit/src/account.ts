import { readFileSync } from 'node:fs';

/** Who a server runs as; empty for the user who runs the tests. */
export interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * PostgreSQL and PgBouncer refuse to run as root, and no account is made for them: root lends
 * them `postgres`, or else `nobody`.
 */
export function serverAccount(names: readonly string[] = ['postgres', 'nobody']): Account {
  if (process.getuid?.() !== 0) return {};
  const rows = accountRows();
  const row = names.map((name) => rows.find((fields) => fields[0] === name)).find((found) => found !== undefined);
  if (row === undefined) throw new Error(`Root needs one of the accounts ${names.join(', ')} to run a server as.`);
  return { uid: Number(row[2]), gid: Number(row[3]) };
}

function accountRows(): string[][] {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
}
