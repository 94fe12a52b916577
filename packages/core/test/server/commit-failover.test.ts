import { type PostgresServer, type Standby, startStandby, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, testWithServer, vi } from '@lifeguard/testkit/vitest';
import type { Evidence } from '../../src/pg/commit-outcome.ts';
import {
  type Asked,
  beginWork,
  isWritten,
  loseCommit,
  MODES,
  openSide,
  outcomeOf,
  prepare,
  resolving,
  statusOf,
} from './commit-rig.ts';

const test = testWithServer();

/** Ends the server, or all of its sessions at once, with nothing written that was not yet. */
const CRASHES: Readonly<Record<string, (server: PostgresServer, evidence: Evidence) => Promise<void>>> = {
  'the server was killed': async (server) => {
    await server.kill();
    await server.start();
  },
  'the server was stopped without tidying up': (server) => server.restart('immediate'),
  'one backend was killed': async (server, { pid }) => {
    const before = await server.query('select stats_reset::text from pg_stat_wal');
    server.killBackend(pid);
    const look = server.query.bind(server, 'select stats_reset::text from pg_stat_wal', undefined, undefined);
    const now = async (): Promise<unknown> => look().catch(() => before);
    await waitUntil(async () => JSON.stringify(await now()) !== JSON.stringify(before), { what: 'the recovery' });
  },
};

/** Transactions of strangers, until one of them has been given the number; it commits. */
async function giveAway({ xid }: Evidence, asked: Asked): Promise<void> {
  for (let given = 0n; given < BigInt(xid); ) {
    const [row] = await asked.query('select pg_current_xact_id()::text as xid');
    given = BigInt(row?.['xid'] as string);
  }
}

describe.each(Object.entries(CRASHES))('a transaction that was open when %s', (_name, crash) => {
  test('is unknown by its status, and not-committed by its token, although its number has committed', async ({
    server,
  }) => {
    await prepare(server);
    await server.query('checkpoint');
    const token = (await beginWork(server.connection(), 'token')).evidence;
    const { token: _, ...numbers } = token;
    await crash(server, token);
    await giveAway(token, server);
    expect(await statusOf(server, token)).toBe('committed');
    expect(await outcomeOf(server.connection(), { ...numbers, token: undefined })).toBe('unknown');
    expect(await outcomeOf(server.connection(), token)).toBe('not-committed');
    expect(await isWritten(server)).toBe(false);
  });

  test('and had committed in vain is unknown by its status, and committed by its token', async ({ server }) => {
    await prepare(server);
    const [plain, token] = [
      await loseCommit(server.connection(), 'resolve', 'answered in vain'),
      await loseCommit(server.connection(), 'token', 'answered in vain'),
    ];
    await crash(server, (await beginWork(server.connection(), 'resolve')).evidence);
    expect(await outcomeOf(server.connection(), plain)).toBe('unknown');
    expect(await outcomeOf(server.connection(), token)).toBe('committed');
  });
});

describe('a stranger who was given the same number and the same process after a crash', () => {
  test.for(MODES)('is not ended, looked at by %s', async (mode, { server }) => {
    await prepare(server);
    const { client, evidence } = await beginWork(server.connection(), mode);
    const [system, timeline] = evidence.fingerprint.split(' ');
    const other = { ...evidence, fingerprint: `${system} ${timeline} 1.0 1.0` };
    const { outcome, asked, giveUp } = resolving(await openSide(server.connection()), other);
    await asked(mode === 'token' ? 3 : 0);
    giveUp();
    expect(await outcome).toBe('unknown');
    expect(await client.query('commit')).toMatchObject({ command: 'COMMIT' });
  });
});

describe('a transaction that had committed on a primary that was lost', () => {
  async function standbyOf(server: PostgresServer): Promise<Standby> {
    await prepare(server);
    const standby = await startStandby(server);
    onTestFinished(() => standby.stop());
    return standby;
  }

  async function loseThePrimary(server: PostgresServer): Promise<void> {
    await server.kill();
    onTestFinished(() => server.start());
  }

  test('is not-committed by its token where it was never received, although its number has committed', async ({
    server,
  }) => {
    const standby = await standbyOf(server);
    await standby.stopReceiving();
    const token = await loseCommit(server.connection(), 'token', 'answered in vain');
    await loseThePrimary(server);
    await standby.promote();
    await giveAway(token, standby);
    expect(await statusOf(standby, token)).toBe('committed');
    expect(await outcomeOf(standby.connection(), token)).toBe('not-committed');
    expect(await outcomeOf(standby.connection(), { ...token, token: undefined })).toBe('unknown');
    expect(await isWritten(standby)).toBe(false);
  });

  test('is committed by its token, and unknown by its status, where it was received', async ({ server }) => {
    const standby = await standbyOf(server);
    const token = await loseCommit(server.connection(), 'token', 'answered in vain');
    await standby.replayed();
    await loseThePrimary(server);
    await standby.promote();
    expect(await outcomeOf(standby.connection(), token)).toBe('committed');
    expect(await outcomeOf(standby.connection(), { ...token, token: undefined })).toBe('unknown');
  });

  test('has no outcome by its token before the standby is promoted', async ({ server }) => {
    const standby = await standbyOf(server);
    await standby.query('select pg_wal_replay_pause()');
    const token = await loseCommit(server.connection(), 'token', 'answered in vain');
    await loseThePrimary(server);
    const { outcome, asked } = resolving(await openSide(standby.connection()), token);
    await asked(4);
    await standby.promote();
    expect(await outcome).toBe('committed');
  });

  test('is unknown while there is only a standby to ask', async ({ server }) => {
    const standby = await standbyOf(server);
    const token = await loseCommit(server.connection(), 'token', 'answered in vain');
    expect(await outcomeOf(standby.connection(), { ...token, token: undefined })).toBe('unknown');
    const { outcome, asked, giveUp } = resolving(await openSide(standby.connection()), token);
    await asked(4);
    giveUp();
    expect(await outcome).toBe('unknown');
  });

  test('is unknown where a pooler lets now the primary answer and now a standby that lags', async ({ server }) => {
    const standby = await standbyOf(server);
    await standby.stopReceiving();
    const token = await loseCommit(server.connection(), 'token', 'answered in vain');
    const [side, other] = [await openSide(server.connection()), await openSide(standby.connection())];
    const answers = [side.query.bind(side), other.query.bind(other)] as const;
    let statements = 0;
    vi.spyOn(side, 'query').mockImplementation((statement) => {
      statements += 1;
      return answers[statements % 2 === 1 ? 0 : 1](statement) as ReturnType<typeof side.query<never>>;
    });
    const { outcome, asked, giveUp } = resolving(side, token);
    await asked(4);
    giveUp();
    expect(await outcome).toBe('unknown');
  });

  test('is unknown to a former primary that is still alive, and to another cluster', async ({ server }) => {
    const standby = await standbyOf(server);
    await standby.promote();
    const token = await loseCommit(standby.connection(), 'token', 'answered in vain');
    expect(await outcomeOf(standby.connection(), token)).toBe('committed');
    expect(await outcomeOf(server.connection(), token)).toBe('unknown');
    const elsewhere = { ...token, fingerprint: token.fingerprint.replace(/^\d+/, '7') };
    expect(await outcomeOf(standby.connection(), elsewhere)).toBe('unknown');
  });
});
