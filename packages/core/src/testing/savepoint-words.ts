import type { HouseStatement } from '../pg/sync-group.ts';
import { PREFIX } from '../scope/savepoint.ts';

export const STATUS: Readonly<Record<'idle' | 'open' | 'failed', 'I' | 'T' | 'E'>> = {
  idle: 'I',
  open: 'T',
  failed: 'E',
};
/** One is enough: who has it open has the turn. No user's own savepoint has its name. */
const NAME = `${PREFIX}_sandbox`;
export const SAVEPOINT: string = `SAVEPOINT ${NAME}`;
export const RELEASE: string = `RELEASE SAVEPOINT ${NAME}`;
export const BACK: readonly HouseStatement[] = [`ROLLBACK TO SAVEPOINT ${NAME}`, RELEASE];
/** What the pool itself does with a session that was changed, as far as a transaction lets it. */
export const TIDYING: readonly HouseStatement[] = [
  'CLOSE ALL',
  { text: 'SELECT pg_advisory_unlock_all()' },
  'DISCARD SEQUENCES',
  'DISCARD TEMP',
];
/** What would harm somebody else's transaction, and harms a sandbox not at all. */
export const HARMLESS: RegExp = /^(?:UNLISTEN|RESET ALL|DISCARD (?:PLANS|SEQUENCES|TEMP|TEMPORARY))$/;
/** "cannot run inside a transaction block", and a COMMIT in a procedure. https://www.postgresql.org/docs/current/errcodes-appendix.html */
export const NO_BLOCK: ReadonlySet<string> = new Set(['25001', '2D000']);
