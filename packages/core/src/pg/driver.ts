import pg from 'pg';
import { LifeguardError } from '../errors.ts';
import type { PgClientClass } from './pg-subset.ts';

/** The only place where `pg` is loaded. */
export function clientClass(): PgClientClass {
  if (process.env['NODE_PG_FORCE_NATIVE'] !== undefined) {
    const message =
      'NODE_PG_FORCE_NATIVE is set, and pg-native is refused: its connections cannot be cancelled, checked or pipelined. Unset it.';
    throw new LifeguardError('ERR_LIFEGUARD_OPTION', message);
  }
  return pg.Client as unknown as PgClientClass;
}

/** Its type parsers, which everybody in the process shares. https://node-postgres.com/features/types */
export function driverTypes(): object {
  return pg.types;
}

/** A value as it travels. Throws what the value's own `toPostgres` throws. */
export function prepareValue(value: unknown): unknown {
  return (pg as unknown as { utils: { prepareValue(value: unknown): unknown } }).utils.prepareValue(value);
}
