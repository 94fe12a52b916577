import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { type ConnectionParameters, type Message, startProxy, waitUntil } from '@lifeguard/testkit';
import { onTestFinished, vi } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { systemClock } from '../../src/clock.ts';
import {
  type CommitOutcome,
  CREATE_TOKENS,
  type Evidence,
  evidenceStatement,
  resolveCommit,
  toEvidence,
  tokenStatement,
} from '../../src/pg/commit-outcome.ts';
import { PgConnection } from '../../src/pg/pg-connection.ts';
import type { PgClientClass } from '../../src/pg/pg-subset.ts';
import { Scripts } from '../../src/pg/scripts.ts';

export type Mode = 'resolve' | 'token';
export const MODES: readonly Mode[] = ['resolve', 'token'];

/** Somebody who can be asked as an administrator: a server, or a database of one. */
export interface Asked {
  query(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
}

/** The table of tokens, and one to write to, whose writers wait at their COMMIT while somebody holds the lock. */
export async function prepare(asked: Asked): Promise<void> {
  await asked.query(CREATE_TOKENS.text);
  await asked.query(`drop table if exists item; create table item (id int);
    create or replace function wait() returns trigger language plpgsql as
      'begin perform pg_advisory_xact_lock_shared(7); return null; end';
    create constraint trigger wait after insert on item deferrable initially deferred
      for each row execute function wait()`);
}

/** The side connection. */
export async function openSide(connection: ConnectionParameters, options: object = {}): Promise<PgConnection> {
  const client = new (pg.Client as unknown as PgClientClass)({ ...connection, ...options });
  const side = new PgConnection(client, new Scripts(() => false), () => undefined);
  onTestFinished(() => side.cutOff());
  await client.connect();
  side.opened(systemClock.now());
  return side;
}

type Client = pg.Client & { readonly connection: { readonly stream: Socket } };

/** A transaction that has written one row, and what its BEGIN learned. */
export interface Work {
  readonly client: Client;
  readonly evidence: Evidence;
}

/** A transaction up to its COMMIT, which never hears anything but success or that its connection is gone. */
export async function beginWork(connection: ConnectionParameters, mode: Mode): Promise<Work> {
  const client = await connectClient(connection);
  await client.query('begin');
  const token = mode === 'token' ? randomUUID() : undefined;
  const statement = token === undefined ? evidenceStatement() : tokenStatement(token);
  const { rows } = await client.query({ text: statement.text, values: [...(statement.values ?? [])] });
  await client.query('insert into item values (1)');
  return { client, evidence: toEvidence(rows[0], token) };
}

async function connectClient(connection: ConnectionParameters): Promise<Client> {
  const client = new pg.Client(connection) as Client;
  client.on('error', () => undefined);
  onTestFinished(() => void client.connection.stream.destroy());
  await client.connect();
  return client;
}

/** What befalls the COMMIT of a transaction on its way. */
export type Fate = 'lost on its way' | 'answered in vain';

const IS_FATE: Readonly<Record<Fate, (message: Message) => boolean>> = {
  'lost on its way': ({ from, type, body }) =>
    from === 'client' && type === 'Q' && `${body}`.toLowerCase().startsWith('commit'),
  'answered in vain': ({ from, type, body }) => from === 'server' && type === 'C' && `${body}`.startsWith('COMMIT'),
};

/** A proxy that cuts a connection as its COMMIT, or the answer to it, passes. */
export async function cuttingProxy(target: ConnectionParameters, fate: Fate): Promise<ConnectionParameters> {
  const proxy = await startProxy(target, {
    onMessage(message, link) {
      if (!IS_FATE[fate](message)) return undefined;
      link.reset();
      return 'drop';
    },
  });
  onTestFinished(() => proxy.close());
  return proxy.connection();
}

/** A transaction whose client never heard what became of its COMMIT. */
export async function loseCommit(target: ConnectionParameters, mode: Mode, fate: Fate): Promise<Evidence> {
  const { client, evidence } = await beginWork(await cuttingProxy(target, fate), mode);
  const error = await client.query('commit').then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error === undefined) throw new Error('The COMMIT was answered.');
  return evidence;
}

/** A COMMIT that takes until it is released, and whose client is gone meanwhile. */
export async function commitSlowly(
  target: ConnectionParameters,
  { client, evidence }: Work,
): Promise<() => Promise<void>> {
  const holder = await connectClient(target);
  await holder.query('select pg_advisory_lock(7)');
  client.query('commit').catch(() => undefined);
  const look = 'select from pg_stat_activity where pid = $1 and wait_event_type = $2';
  await waitUntil(async () => (await holder.query(look, [evidence.pid, 'Lock'])).rowCount === 1, {
    what: 'the COMMIT to run',
  });
  client.connection.stream.destroy();
  return async () => void (await holder.query('select pg_advisory_unlock(7)'));
}

/** A transaction whose client the server believes to be there still. */
export async function vanish(target: ConnectionParameters, mode: Mode): Promise<Evidence> {
  const proxy = await startProxy(target);
  onTestFinished(() => proxy.close());
  const { evidence } = await beginWork(proxy.connection(), mode);
  proxy.halfOpen('server');
  return evidence;
}

/** What a naive look would say. */
export async function statusOf(asked: Asked, { xid }: Evidence): Promise<unknown> {
  const [row] = await asked.query('select pg_xact_status($1::xid8) as status', [xid]);
  return row?.['status'];
}

/** A resolution that goes on, and what can be done to it. */
export interface Resolution {
  readonly outcome: Promise<CommitOutcome>;
  /** Waits until it has asked so many times in vain. */
  asked(times: number): Promise<void>;
  giveUp(): void;
}

export function resolving(side: PgConnection, evidence: Evidence): Resolution {
  const query = vi.spyOn(side, 'query');
  const time = new AbortController();
  const outcome = resolveCommit(side, evidence, { clock: systemClock, signal: time.signal });
  return {
    outcome,
    asked: async (times) => {
      await waitUntil(() => query.mock.calls.length > times, { what: `${times} statements of the resolution` });
    },
    giveUp: () => time.abort(),
  };
}

export async function outcomeOf(connection: ConnectionParameters, evidence: Evidence): Promise<CommitOutcome> {
  return await resolving(await openSide(connection), evidence).outcome;
}

export async function isWritten(asked: Asked): Promise<boolean> {
  return (await asked.query('select from item')).length > 0;
}

/** A role that may use the two tables, and nothing else. */
export async function plainRole(asked: Asked): Promise<string> {
  const role = `plain_${randomUUID().replaceAll('-', '')}`;
  await asked.query(`create role ${role} login nosuperuser;
    grant select, insert, delete on item, public.lifeguard_commit_tokens to ${role}`);
  onTestFinished(async () => void (await asked.query(`drop owned by ${role}; drop role ${role}`)));
  return role;
}
