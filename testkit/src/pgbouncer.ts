import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { type Account, serverAccount } from './account.ts';
import type { Settings } from './cluster.ts';
import { freePort } from './free-port.ts';
import { findProgram } from './program.ts';
import { type ConnectionParameters, queryOnce, urlOf } from './query-once.ts';
import { giveTo, makeHome, removeAtExit, removeHome } from './scratch.ts';
import { ServerLog } from './server-log.ts';
import { ServerProcess } from './server-process.ts';

export interface PgBouncerOptions {
  /** The database behind it; its name is kept. */
  readonly target: ConnectionParameters;
  readonly poolMode?: 'session' | 'transaction' | 'statement';
  /** Server connections per database and user; 2 by default. */
  readonly poolSize?: number;
  /** Settings of the [pgbouncer] section, over the defaults. */
  readonly settings?: Settings;
}

interface Place {
  readonly home: string;
  readonly port: number;
  readonly target: ConnectionParameters;
}

/** A PgBouncer of the test's own. */
export class PgBouncer {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly #target: ConnectionParameters;
  readonly #home: string;
  readonly #log: ServerLog;
  readonly #process: ServerProcess;

  /** Use `startPgBouncer`. */
  constructor(place: Place, process: ServerProcess, log: ServerLog) {
    this.port = place.port;
    this.#home = place.home;
    this.#target = place.target;
    this.#process = process;
    this.#log = log;
    removeAtExit(place.home, () => process.signal('SIGTERM'));
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The target's parameters, by way of this pooler. */
  connection(): ConnectionParameters {
    return { ...this.#target, host: this.host, port: this.port };
  }

  url(): string {
    return urlOf(this.connection());
  }

  log(): string {
    return this.#log.toString();
  }

  /** A command of its admin console: `show pools`, `pause`, `resume`, `reconnect`. */
  command<Row extends pg.QueryResultRow = Record<string, unknown>>(sql: string): Promise<Row[]> {
    return queryOnce<Row>({ ...this.connection(), database: 'pgbouncer' }, sql);
  }

  pause(): void {
    this.#process.pause();
  }

  resume(): void {
    this.#process.resume();
  }

  async stop(): Promise<void> {
    await this.#process.end('SIGTERM');
    removeHome(this.#home);
  }
}

/** Starts a PgBouncer, or answers undefined where it is not installed: guard tests by `missing('pgbouncer')`. */
export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncer | undefined> {
  const program = findProgram('pgbouncer');
  if (program === undefined) return undefined;
  // Not `postgres`: Debian's package may run a pooler of its own as that.
  const account = serverAccount(['nobody']);
  const place = { home: makeHome('bouncer', account), port: await freePort(), target: options.target };
  const files = configuration(place, options);
  for (const [name, lines] of Object.entries(files)) writeFor(account, join(place.home, name), lines);
  const args = [join(place.home, 'bouncer.ini')];
  const log = new ServerLog();
  const command = { program, args, account, folder: place.home, ready: /process up/ };
  return new PgBouncer(place, await ServerProcess.start(command, log), log);
}

function configuration(place: Place, options: PgBouncerOptions): Record<string, string[]> {
  const { host, port, user, password } = options.target;
  const secret = password === undefined ? '' : ` password=${password}`;
  const settings = Object.entries({ ...defaults(place, options), ...options.settings });
  return {
    'users.txt': [`"${user}" "${password ?? ''}"`],
    'bouncer.ini': [
      ...['[databases]', `* = host=${host} port=${port}${secret}`],
      ...['[pgbouncer]', ...settings.map((pair) => pair.join(' = '))],
    ],
  };
}

function writeFor(account: Account, path: string, lines: readonly string[]): void {
  writeFileSync(path, `${lines.join('\n')}\n`);
  giveTo(path, account);
}

function defaults({ home, port }: Place, { target, poolMode, poolSize }: PgBouncerOptions): Settings {
  return {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: join(home, 'users.txt'),
    admin_users: target.user,
    pool_mode: poolMode ?? 'transaction',
    default_pool_size: poolSize ?? 2,
    max_client_conn: 500,
    // pg sends this one only when asked to; drivers of other languages always do.
    ignore_startup_parameters: 'extra_float_digits',
    pidfile: join(home, 'server.pid'),
  };
}
