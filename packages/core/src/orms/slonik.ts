import type { PgModule } from '../facade/pg-pool-options.ts';
import type { LifeguardPool } from '../lifeguard-pool.ts';
import { Hook, type HookOptions, lenderOf, NO_HOOK_OPTIONS } from './hook.ts';
import { type Client, type ClientEvents, type QueryStreamClass, SlonikClient } from './slonik-client.ts';
import { type ErrorClasses, SLONIK_ERRORS } from './slonik-errors.ts';
import { slonikTypes, type TypeParser } from './slonik-types.ts';

/** The package itself. What we need of it is public. https://github.com/gajus/slonik */
export interface SlonikModule {
  // biome-ignore lint/suspicious/noExplicitAny: its parameters are its own
  readonly createDriverFactory: (setup: any) => unknown;
}

export interface SlonikHookOptions<Slonik extends SlonikModule = SlonikModule, Pg extends PgModule = PgModule>
  extends HookOptions<Pg> {
  /** The package itself: import * as slonik from "slonik". */
  readonly slonik: Slonik;
  /** The package pg-query-stream. Without it slonik's `stream()` is refused. */
  readonly QueryStream?: QueryStreamClass | undefined;
}

/** For slonik's `createPool`: to be passed on, or to be spread into other options. */
export interface SlonikOptions<Slonik extends SlonikModule = SlonikModule> {
  readonly driverFactory: ReturnType<Slonik['createDriverFactory']>;
  /** It holds clients while it waits for ours: of a limit of its own, those who have ours might wait in turn. */
  readonly maxPoolSize: number;
  /** What is to be tried again is the transaction around it. */
  readonly queryRetryLimit: 0;
  readonly transactionRetryLimit: 0;
}

interface DriverConfiguration {
  readonly typeParsers: readonly TypeParser[];
}

const HOOK: Hook = new Hook('slonikOptions');
const ABSENT: SlonikHookOptions = Object.freeze({
  ...NO_HOOK_OPTIONS,
  slonik: undefined as unknown as SlonikModule,
  QueryStream: undefined,
});

/**
 * What slonik's `createPool(address, options)` takes, to work with our pool, and in the transaction around whoever calls it.
 * The address, and slonik's own limits of time and size, have no effect then.
 */
export function slonikOptions<Slonik extends SlonikModule>(
  pool: LifeguardPool,
  options: SlonikHookOptions<Slonik>,
): SlonikOptions<Slonik> {
  HOOK.checkPool(pool);
  const { slonik, QueryStream, ...hookOptions } = HOOK.readOptions<SlonikHookOptions>(options, ABSENT);
  const classes = classesOf(slonik);
  if (QueryStream !== undefined && typeof QueryStream !== 'function')
    HOOK.refuse('QueryStream is the class itself: import QueryStream from "pg-query-stream"');
  const factory = slonik.createDriverFactory(async ({ driverConfiguration }: Asked) => {
    const types = await slonikTypes(pool, hookOptions.pg, driverConfiguration.typeParsers);
    const lender = lenderOf<Client>(pool, { ...hookOptions, types });
    const createPoolClient = async ({ clientEventEmitter }: { readonly clientEventEmitter: ClientEvents }) =>
      new SlonikClient(lender, clientEventEmitter, { classes, QueryStream }).asPoolClient();
    return { createPoolClient };
  }) as (asked: Asked) => unknown;
  // Our pool cleans what comes back: not each time, and not by DISCARD ALL.
  const driverFactory = ({ driverConfiguration }: Asked): unknown =>
    factory({
      driverConfiguration: { ...driverConfiguration, resetConnection: undefined, idleTimeout: 'DISABLE_TIMEOUT' },
    });
  return {
    driverFactory: driverFactory as ReturnType<Slonik['createDriverFactory']>,
    maxPoolSize: Number.MAX_SAFE_INTEGER,
    queryRetryLimit: 0,
    transactionRetryLimit: 0,
  };
}

interface Asked {
  readonly driverConfiguration: DriverConfiguration & Record<string, unknown>;
}

function classesOf(slonik: SlonikModule): ErrorClasses {
  if (typeof slonik?.createDriverFactory !== 'function')
    HOOK.refuse('slonik is the package itself: import * as slonik from "slonik"; { pg, slonik }');
  const absent = SLONIK_ERRORS.filter((name) => typeof (slonik as unknown as ErrorClasses)[name] !== 'function');
  if (absent.length > 0)
    HOOK.refuse(
      `slonik has no ${absent.join(', ')}, as 49 has, with which this was tested: use that, or a version of Lifeguard that knows this one`,
    );
  return slonik as unknown as ErrorClasses;
}
