import { EventEmitter } from 'node:events';
import type pg from 'pg';
import PgPool from 'pg-pool';

/** What pg-pool asks of a client, and nothing behind it. */
class StubClient extends EventEmitter {
  readonly _queryable = true;
  readonly _ending = false;
  readonly dialMillis: number = 0;

  connect(done: (error?: Error) => void): void {
    if (this.dialMillis === 0) process.nextTick(done);
    else setTimeout(done, this.dialMillis);
  }

  isConnected(): boolean {
    return true;
  }

  end(done: () => void): void {
    process.nextTick(done);
  }

  ref(): void {}

  unref(): void {}
}

/** Ours, where the names are the same. What a peer does without time-outs is no set-up for a service. */
export const PEER_TIMEOUTS = { connectionTimeoutMillis: 5_000, idleTimeoutMillis: 30_000 } as const;

export type PeerPool = PgPool<pg.Client>;

/** pg-pool over connections that do nothing. */
export function stubPgPool(options: { max: number; min?: number }, dialMillis = 0): PeerPool {
  class Client extends StubClient {
    override readonly dialMillis = dialMillis;
  }
  return new PgPool({ ...options, ...PEER_TIMEOUTS, Client: Client as never });
}
