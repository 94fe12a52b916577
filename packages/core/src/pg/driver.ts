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
