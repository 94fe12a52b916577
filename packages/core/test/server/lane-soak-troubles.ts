import type { FaultProxy, PostgresServer } from '@lifeguard/testkit';
import type { LifeguardPool } from '../../src/index.ts';

/** What troubles befall. */
export interface Victims {
  readonly server: PostgresServer;
  readonly proxy: FaultProxy;
  readonly pools: readonly LifeguardPool[];
  /** The largest size that a pool is ever given. */
  readonly most: number;
  random(limit: number): number;
}

type Trouble = (victims: Victims) => unknown;

/** One of the sessions that are the pools' own: those that have just begun have no name yet, and may be anybody's. */
async function victimOf({ server, pools, random }: Victims): Promise<number | undefined> {
  const all = await server.backends();
  const sessions = all.filter(({ applicationName }) =>
    pools.some(({ name }) => applicationName.startsWith(`${name}@`)),
  );
  return sessions[random(Math.max(1, sessions.length))]?.pid;
}

export const TROUBLES: Readonly<Record<string, Trouble>> = {
  terminate: async (victims) => victims.server.query('select pg_terminate_backend($1)', [await victimOf(victims)]),
  cancel: async (victims) => victims.server.query('select pg_cancel_backend($1)', [await victimOf(victims)]),
  reset: ({ proxy }) => proxy.resetAll(),
  drop: ({ proxy }) => proxy.forget(),
  invalidate: ({ pools }) => pools.map((pool) => pool.invalidate('as planned')),
  resize: ({ pools, most, random }) => pools.map((pool) => pool.resize({ max: 1 + random(most) })),
  forget: ({ pools }) => pools.map((pool) => pool.query('select forget()', [], { lane: true })),
  widen: ({ server }) => server.query('alter table shifty add column if not exists more int default 7'),
  narrow: ({ server }) => server.query('alter table shifty drop column if exists more'),
  pause: ({ pools }) => {
    for (const pool of pools) pool.pause();
    for (const pool of pools) setImmediate(() => pool.resume());
  },
};

/** What any question may end with while there is trouble: never an answer that is another's. */
export const OF_TROUBLE: ReadonlySet<string> = new Set([
  'ERR_LIFEGUARD_CONNECTION_LOST',
  'ERR_LIFEGUARD_DEADLINE',
  'ERR_LIFEGUARD_COMMIT_UNKNOWN',
  'ERR_LIFEGUARD_UNAVAILABLE',
  '57014',
]);
