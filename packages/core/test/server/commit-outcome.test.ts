import { randomUUID } from 'node:crypto';
import { type ConnectionParameters, missing, type PgBouncer, startPgBouncer, startProxy } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test, testWithServer } from '@lifeguard/testkit/vitest';
import {
  CREATE_TOKENS,
  evidenceStatement,
  forgetTokens,
  toEvidence,
  tokenStatement,
} from '../../src/pg/commit-outcome.ts';
import {
  beginWork,
  commitSlowly,
  isWritten,
  loseCommit,
  MODES,
  openSide,
  outcomeOf,
  plainRole,
  prepare,
  resolving,
  statusOf,
  vanish,
} from './commit-rig.ts';

describe.each(MODES)('the outcome of a COMMIT by %s', (mode) => {
  test('is not-committed when the COMMIT never arrived', async ({ database }) => {
    await prepare(database);
    const evidence = await loseCommit(database.connection, mode, 'lost on its way');
    expect(await outcomeOf(database.connection, evidence)).toBe('not-committed');
    expect(await isWritten(database)).toBe(false);
  });

  test('is committed when only the answer was lost', async ({ database }) => {
    await prepare(database);
    const evidence = await loseCommit(database.connection, mode, 'answered in vain');
    expect(await outcomeOf(database.connection, evidence)).toBe('committed');
    expect(await isWritten(database)).toBe(true);
  });

  test('waits for a COMMIT that takes its time, and does not disturb it', async ({ database }) => {
    await prepare(database);
    const work = await beginWork(database.connection, mode);
    const finish = await commitSlowly(database.connection, work);
    const { outcome, asked } = resolving(await openSide(database.connection), work.evidence);
    await asked(6);
    await finish();
    expect(await outcome).toBe('committed');
    expect(await isWritten(database)).toBe(true);
  });

  test('is not-committed for good when the COMMIT is still on its way', async ({ database }) => {
    await prepare(database);
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    const { client, evidence } = await beginWork(proxy.connection(), mode);
    proxy.set({ blackhole: 'toServer' });
    const late = client.query('commit').catch(() => 'refused');
    expect(await outcomeOf(database.connection, evidence)).toBe('not-committed');
    proxy.heal();
    expect(await late).toBe('refused');
    expect(await isWritten(database)).toBe(false);
  });

  test('is not-committed when the server still keeps the transaction of a peer that has vanished', async ({
    database,
  }) => {
    await prepare(database);
    const evidence = await vanish(database.connection, mode);
    expect(await statusOf(database, evidence)).toBe('in progress');
    expect(await outcomeOf(database.connection, evidence)).toBe('not-committed');
  });

  test('is unknown when the time is up before the COMMIT is over', async ({ database }) => {
    await prepare(database);
    const work = await beginWork(database.connection, mode);
    const finish = await commitSlowly(database.connection, work);
    const { outcome, asked, giveUp } = resolving(await openSide(database.connection), work.evidence);
    await asked(2);
    giveUp();
    expect(await outcome).toBe('unknown');
    await finish();
  });

  test('is unknown when the side connection dies meanwhile', async ({ database }) => {
    await prepare(database);
    const work = await beginWork(database.connection, mode);
    const finish = await commitSlowly(database.connection, work);
    const side = await openSide(database.connection);
    const { outcome, asked } = resolving(side, work.evidence);
    await asked(2);
    await database.query('select pg_terminate_backend($1)', [side.client.processID]);
    expect(await outcome).toBe('unknown');
    await finish();
  });

  test('is unknown over a side connection that is inside a transaction', async ({ database }) => {
    await prepare(database);
    const evidence = await loseCommit(database.connection, mode, 'answered in vain');
    const side = await openSide(database.connection);
    await side.query({ text: 'begin isolation level repeatable read' });
    expect(await resolving(side, evidence).outcome).toBe('unknown');
  });

  test('is waited for even where another role looks, which may not see what the session does', async ({ database }) => {
    await prepare(database);
    const work = await beginWork(database.connection, mode);
    const finish = await commitSlowly(database.connection, work);
    const stranger = { ...database.connection, user: await plainRole(database) };
    const { outcome, asked } = resolving(await openSide(stranger), work.evidence);
    await asked(4);
    await finish();
    expect(await outcome).toBe('committed');
  });

  test('is found by a role without any privileges, also where it has to end the session', async ({ database }) => {
    await prepare(database);
    const connection = { ...database.connection, user: await plainRole(database) };
    const committed = await loseCommit(connection, mode, 'answered in vain');
    expect(await outcomeOf(connection, committed)).toBe('committed');
    const evidence = await vanish(connection, mode);
    expect(await outcomeOf(connection, evidence)).toBe('not-committed');
  });
});

describe.each(MODES)('the evidence for a COMMIT by %s', (mode) => {
  test('comes with the group of BEGIN, and is not touched by the parsers of the user', async ({ database }) => {
    await prepare(database);
    const types = { getTypeParser: () => () => 'parsed' };
    const connection = await openSide(database.connection, { types });
    const token = mode === 'token' ? randomUUID() : undefined;
    const statement = token === undefined ? evidenceStatement() : tokenStatement(token);
    const { results } = await connection.group({
      before: [],
      after: [],
      statements: [{ text: 'begin' }, statement, { text: 'commit' }],
    });
    const evidence = toEvidence(results[1]?.rows[0] ?? {}, token);
    expect(evidence).toMatchObject({ pid: connection.client.processID, token });
    expect(await resolving(connection, evidence).outcome).toBe('committed');
  });
});

describe.skipIf(missing('pgbouncer')).each(MODES)(
  'the outcome of a COMMIT through a transaction pooler by %s',
  (mode) => {
    async function pooled(target: ConnectionParameters): Promise<ConnectionParameters> {
      const bouncer = (await startPgBouncer({ target })) as PgBouncer;
      onTestFinished(() => bouncer.stop());
      return bouncer.connection();
    }

    test('is committed when only the answer was lost', async ({ database }) => {
      await prepare(database);
      const connection = await pooled(database.connection);
      const evidence = await loseCommit(connection, mode, 'answered in vain');
      expect(await outcomeOf(connection, evidence)).toBe('committed');
    });

    test('is not-committed when the COMMIT never arrived', async ({ database }) => {
      await prepare(database);
      const connection = await pooled(database.connection);
      const evidence = await loseCommit(connection, mode, 'lost on its way');
      expect(await outcomeOf(connection, evidence)).toBe('not-committed');
    });

    test('is not-committed when the pooler itself was cut off from the server', async ({ database }) => {
      await prepare(database);
      const proxy = await startProxy(database.connection);
      onTestFinished(() => proxy.close());
      const { client, evidence } = await beginWork(await pooled(proxy.connection()), mode);
      proxy.set({ blackhole: 'toServer' });
      const late = client.query('commit').catch(() => 'refused');
      expect(await outcomeOf(await pooled(database.connection), evidence)).toBe('not-committed');
      proxy.heal();
      expect(await late).toBe('refused');
      expect(await isWritten(database)).toBe(false);
    });
  },
);

const own = testWithServer({ settings: { max_prepared_transactions: 1 } });

describe.each(MODES)('a transaction that is not over, looked at by %s,', (mode) => {
  own('is left alone while it waits for a synchronous standby', async ({ server }) => {
    await prepare(server);
    await server.query("alter system set synchronous_standby_names = 'nobody'");
    await server.query('select pg_reload_conf()');
    const { client, evidence } = await beginWork(server.connection(), mode);
    const answer = client.query('commit');
    const { outcome, asked } = resolving(await openSide(server.connection()), evidence);
    await asked(6);
    await server.query('alter system reset synchronous_standby_names');
    await server.query('select pg_reload_conf()');
    expect(await outcome).toBe('committed');
    expect(await answer).toMatchObject({ command: 'COMMIT' });
  });

  own('is unknown when it was prepared and nobody has decided about it', async ({ server }) => {
    await prepare(server);
    const { client, evidence } = await beginWork(server.connection(), mode);
    await client.query("prepare transaction 'later'");
    const { outcome, asked, giveUp } = resolving(await openSide(server.connection()), evidence);
    await asked(4);
    giveUp();
    expect(await outcome).toBe('unknown');
    await server.query("rollback prepared 'later'");
  });
});

describe('the table of tokens', () => {
  test('may be created by several at once, and again', async ({ database }) => {
    await database.query('drop table if exists public.lifeguard_commit_tokens');
    const create = (): Promise<unknown> => database.query(CREATE_TOKENS.text);
    await Promise.all([create(), create(), create()]);
    await create();
    expect(await database.query('select from public.lifeguard_commit_tokens')).toEqual([]);
  });

  test('loses the tokens that are forgotten, and those that are older than a day', async ({ database }) => {
    await database.query(CREATE_TOKENS.text);
    const [forgotten, old, kept] = [randomUUID(), randomUUID(), randomUUID()];
    const insert = 'insert into public.lifeguard_commit_tokens values ($1, now() - $2::interval)';
    for (const [token, age] of [...[forgotten, kept].map((one) => [one, '23 hours']), [old, '25 hours']]) {
      await database.query(insert, [token, age]);
    }
    const { text, values } = forgetTokens([forgotten]);
    await database.query(text, values);
    await database.query(CREATE_TOKENS.text);
    expect(await database.query('select token from public.lifeguard_commit_tokens')).toEqual([{ token: kept }]);
  });

  test('needs no right to create anything where it is there already', async ({ database }) => {
    await prepare(database);
    const side = await openSide({ ...database.connection, user: await plainRole(database) });
    await side.query(CREATE_TOKENS);
  });
});
