import type { LifeguardPool } from '../lifeguard-pool.ts';
import { Hook, type HookOptions, lenderOf, NO_HOOK_OPTIONS } from './hook.ts';

/** The pool that MikroORM makes for itself, of its own copy of pg, and with its type parsers. */
export interface MikroOrmPool {
  connect: unknown;
  end: unknown;
}

interface Inside {
  connect(callback?: unknown): unknown;
  end(callback?: unknown): unknown;
  readonly options?: { readonly types?: { getTypeParser(oid: number, format?: string): unknown } };
}

/** For MikroORM's `driverOptions`. https://mikro-orm.io/docs/configuration */
export interface MikroOrmOptions {
  onPoolCreated(own: MikroOrmPool): void;
}

const HOOK: Hook = new Hook('mikroOrmOptions');

/**
 * What MikroORM takes as `driverOptions`, to work with our pool, and in the transaction around whoever calls it. Its own
 * pool never connects; `orm.close()` ends that one only.
 */
export function mikroOrmOptions(pool: LifeguardPool, options: HookOptions): MikroOrmOptions {
  HOOK.checkPool(pool);
  const hookOptions = HOOK.readOptions(options, NO_HOOK_OPTIONS);
  return {
    onPoolCreated(given) {
      const own = given as Inside;
      if (typeof own?.connect !== 'function' || typeof own.end !== 'function')
        HOOK.refuse('MikroORM has another kind of pool than pg.Pool: it was tested with 7.2');
      const lender = lenderOf(pool, { ...hookOptions, types: own.options?.types });
      const end = own.end.bind(own);
      own.connect = (callback) => lender.connect(callback);
      own.end = (callback) => {
        void lender.end();
        return end(callback);
      };
    },
  };
}
