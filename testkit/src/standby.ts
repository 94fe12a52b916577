import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyDataFolder, writeEntrance, writeSettings } from './cluster.ts';
import { freePort } from './free-port.ts';
import { type Installation, PostgresServer, placeSettings } from './postgres-server.ts';
import { giveTo, makeHome } from './scratch.ts';
import { waitUntil } from './wait-until.ts';

/** A hot standby that streams from its primary and answers reads. Stop it before its primary. */
export class Standby extends PostgresServer {
  readonly #primary: PostgresServer;

  /** Use `startStandby`. */
  constructor(installation: Installation, primary: PostgresServer) {
    super(installation);
    this.#primary = primary;
  }

  /** Resolves when it shows everything that the primary had written when this was called. */
  async replayed(): Promise<void> {
    const [written] = await this.#primary.query('select pg_current_wal_lsn()::text as lsn');
    const sql = 'select pg_last_wal_replay_lsn() >= $1::pg_lsn as reached';
    await waitUntil(async () => (await this.query(sql, [written?.['lsn']]))[0]?.['reached'], {
      what: `the standby to replay up to ${written?.['lsn']}`,
    });
  }

  /** From here on it receives nothing: what the primary writes now is lost with the primary. */
  async stopReceiving(): Promise<void> {
    await this.query("alter system set primary_conninfo = ''");
    await this.query('select pg_reload_conf()');
    await waitUntil(async () => (await this.query('select from pg_stat_wal_receiver')).length === 0, {
      what: 'the standby to stop receiving',
    });
  }

  /** Makes it a primary of its own; it takes no notice of whether the old one is still there. */
  async promote(): Promise<void> {
    await this.query('select pg_promote()');
    await waitUntil(async () => (await this.query('select not pg_is_in_recovery() as done'))[0]?.['done'], {
      what: 'the promotion of the standby',
    });
  }
}

/**
 * Starts a standby of a server. The binaries have no pg_basebackup, so the data folder is copied
 * while the primary is stopped: its connections end.
 */
export async function startStandby(primary: PostgresServer): Promise<Standby> {
  const installation = await copyOf(primary.installation);
  await primary.halt('fast');
  await copyDataFolder(primary.installation.data, installation.data, installation.account);
  await primary.start();
  followPrimary(installation, primary);
  const standby = new Standby(installation, primary);
  await standby.start();
  await standby.replayed();
  return standby;
}

async function copyOf(original: Installation): Promise<Installation> {
  const home = makeHome('pg', original.account);
  const port = await freePort();
  const settings = { ...original.settings, ...placeSettings(home, port) };
  return { ...original, home, data: join(home, 'data'), port, settings };
}

function followPrimary({ data, settings, entrance, account }: Installation, primary: PostgresServer): void {
  // Through the unix socket: it streams on while the primary refuses TCP.
  const host = process.platform === 'win32' ? primary.host : primary.socketDir;
  const source = `host=${host} port=${primary.port} user=${primary.user} application_name=standby`;
  writeSettings(data, { ...settings, primary_conninfo: source, wal_retrieve_retry_interval: '50ms' });
  writeEntrance(data, entrance);
  writeFileSync(join(data, 'standby.signal'), '');
  giveTo(join(data, 'standby.signal'), account);
}
