import type { PgModule } from '../facade/pg-pool-options.ts';
import type { LifeguardPool } from '../lifeguard-pool.ts';
import { Hook, type HookOptions, NO_HOOK_OPTIONS } from './hook.ts';

/** For TypeORM's option `driver`: the package `pg`, with another pool in it. https://typeorm.io/docs/drivers/postgres */
export interface TypeOrmDriver {
  readonly Pool: new () => object;
  /** TypeORM would take this one, where pg-native is installed. */
  readonly native: undefined;
}

const HOOK: Hook = new Hook('typeormDriver');

/**
 * What TypeORM takes as `driver`, to work with our pool, and in the transaction around whoever calls it. Its options of
 * connections and pool have no effect then; `dataSource.destroy()` leaves our pool alone.
 */
export function typeormDriver<Pg extends PgModule>(pool: LifeguardPool, options: HookOptions<Pg>): TypeOrmDriver {
  HOOK.checkPool(pool);
  const hookOptions = HOOK.readOptions<HookOptions>(options, NO_HOOK_OPTIONS);
  class Pool {
    constructor() {
      // One for each data source, which may end it.
      // biome-ignore lint/correctness/noConstructorReturn: TypeORM says `new`, and what it is to get exists already
      return pool.asPgPool(hookOptions);
    }
  }
  return { ...hookOptions.pg, Pool, native: undefined };
}
