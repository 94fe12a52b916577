import type { Clock } from '../clock.ts';
import type { Settings } from '../options.ts';
import type { Seam } from './seam.ts';

/** What the pool needs of the settings. */
export type PoolSettings = Pick<
  Settings,
  | 'name'
  | 'max'
  | 'min'
  | 'overflow'
  | 'reserve'
  | 'reserveAfterMillis'
  | 'maxWaiting'
  | 'groups'
  | 'overload'
  | 'startup'
  | 'acquireTimeoutMillis'
  | 'connectionTimeoutMillis'
  | 'idleTimeoutMillis'
  | 'maxLifetimeSeconds'
  | 'maxUses'
  | 'validateAfterIdleMillis'
  | 'keepaliveMillis'
  | 'checkTimeoutMillis'
  | 'cleanTimeoutMillis'
  | 'closeTimeoutMillis'
  | 'leakAfterMillis'
  | 'reclaimAfterMillis'
> & {
  /** Whether connections are shared by those who are content with that. */
  readonly lanes: boolean;
};

/** What every part of the pool works with. */
export interface Fittings<Connection> {
  readonly settings: PoolSettings;
  readonly seam: Seam<Connection>;
  readonly clock: Clock;
}
