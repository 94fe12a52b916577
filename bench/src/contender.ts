import { createPool } from '@lifeguard/core';
import type { ConnectionParameters } from '@lifeguard/testkit';
import pg from 'pg';
import PgPool from 'pg-pool';
import postgres from 'postgres';
import { inTransaction } from './hand-written.ts';
import { type Item, type Question, READ, WRITE } from './items.ts';
import { PEER_TIMEOUTS } from './stub-client.ts';

/** Where the server is; with its certificate where it is to be spoken to in TLS. */
export interface Address extends ConnectionParameters {
  readonly ssl?: { readonly ca: string };
}

export type Kind = keyof typeof KINDS;

/** Who asks, and how. It is sent to a process, so it is plain. */
export interface ContenderOptions {
  readonly kind: Kind;
  readonly address: Address;
  readonly max: number;
  /** Nobody is turned away, however long the line: our defaults do from the 1,001st waiter on, or from 100 ms of waiting. */
  readonly endlessLine?: boolean;
}

/** As each driver hands them over. */
export type Rows = readonly Item[] | { readonly rows: readonly Item[] };

/** One way to ask the same of the same server. */
export interface Contender {
  query(question: Question, id: number): Promise<Rows>;
  /** Two statements under a time limit, the second with a value of the first. */
  transaction(id: number): Promise<unknown>;
  close(): Promise<unknown>;
}

const TIMEOUT_MILLIS = 5_000;

export async function openContender(options: ContenderOptions): Promise<Contender> {
  return await KINDS[options.kind](options);
}

const KINDS = {
  ours: (options: ContenderOptions) => lifeguard(options),
  lanesOff: (options: ContenderOptions) => lifeguard(options, { lane: false }),
  pgPool: (options: ContenderOptions) => peerPool(options, (question, values) => ({ text: question.text, values })),
  pgPoolNamed: (options: ContenderOptions) => peerPool(options, (question, values) => ({ ...question, values })),
  postgres: porsager,
  pipelined,
} as const;

function lifeguard({ address, max, endlessLine }: ContenderOptions, lanes: { lane?: false } = {}): Contender {
  const line = endlessLine === true ? ({ maxWaiting: 0, overload: false } as const) : {};
  const pool = createPool({ ...address, ...line, ...lanes, max });
  return {
    query: ({ text }, id) => pool.query(text, [id]),
    transaction: (id) =>
      pool.transaction(
        async (tx) => {
          const { rows } = await tx.query<Item>(READ.text, [id]);
          await tx.query(WRITE.text, [id, after(rows)]);
        },
        { timeoutMillis: TIMEOUT_MILLIS },
      ),
    close: () => pool.close(),
  };
}

type Form = (question: Question, values: unknown[]) => pg.QueryConfig;

function peerPool({ address, max }: ContenderOptions, form: Form): Contender {
  const pool = new PgPool({ ...address, ...PEER_TIMEOUTS, max });
  return {
    query: (question, id) => pool.query(form(question, [id])),
    transaction: (id) =>
      inTransaction(pool, async (client) => {
        await client.query(LIMIT);
        await readAndWrite((question, values) => client.query(form(question, values)), id);
      }),
    close: () => pool.end(),
  };
}

function porsager({ address, max }: ContenderOptions): Contender {
  const { user, ...rest } = address;
  const sql = postgres({ ...rest, username: user, max, onnotice: () => undefined });
  return {
    query: ({ text }, id) => sql.unsafe(text, [id], { prepare: true }),
    transaction: (id) =>
      sql.begin(async (tx) => {
        await tx.unsafe(LIMIT);
        const ask: Ask = async ({ text }, values) => ({
          rows: await tx.unsafe<Item[]>(text, values as number[], { prepare: true }),
        });
        await readAndWrite(ask, id);
      }),
    close: () => sql.end(),
  };
}

/** The floor: the driver alone, with everything sent at once. Nobody is kept from anybody, so its transactions are one caller's. */
async function pipelined({ address, max }: ContenderOptions): Promise<Contender> {
  const clients = Array.from({ length: max }, () => new pg.Client({ ...address, pipeline: true }));
  for (const client of clients) await client.connect();
  let turn = 0;
  const next = (): pg.Client => {
    turn = (turn + 1) % max;
    return clients[turn] as pg.Client;
  };
  return {
    query: (question, id) => next().query({ ...question, values: [id] }),
    async transaction(id) {
      const client = next();
      const asked = [client.query('BEGIN'), client.query(LIMIT)];
      const first = client.query<Item>({ ...READ, values: [id] });
      await Promise.all(asked);
      await client.query({ ...WRITE, values: [id, after((await first).rows)] });
      await client.query('COMMIT');
    },
    close: () => Promise.all(clients.map((client) => client.end())),
  };
}

type Ask = (question: Question, values: number[]) => Promise<{ readonly rows: readonly Item[] }>;

const LIMIT = `SET LOCAL statement_timeout = ${TIMEOUT_MILLIS}`;

async function readAndWrite(ask: Ask, id: number): Promise<void> {
  const { rows } = await ask(READ, [id]);
  await ask(WRITE, [id, after(rows)]);
}

function after(rows: readonly Item[]): number {
  return (rows[0]?.amount ?? 0) + 1;
}
