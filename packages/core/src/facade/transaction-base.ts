import { LifeguardError } from '../errors.ts';
import type { PgClient } from '../pg/pg-subset.ts';
import type { Modes } from '../pg/sql-script.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { Bracket } from '../scope/bracket.ts';
import { within } from '../scope/deadline.ts';
import type { Ground } from '../scope/ground.ts';
import { narrowed, refuseBroader } from '../scope/nesting.ts';
import type { OpenTransaction } from '../scope/open-transaction.ts';
import { Opened } from '../scope/opened.ts';
import type { Limits } from '../scope/patience.ts';
import { undertake } from '../scope/undertaking.ts';
import type { Base } from './base.ts';
import type { Mark } from './mark.ts';

/** A transaction of ours: what libraries begin in it are savepoints. */
export class TransactionBase implements Base {
  readonly #ground: Ground;
  readonly #tx: OpenTransaction;
  readonly #isolates: boolean;
  readonly #mark: Mark | undefined;
  readonly keepsCursors = true;

  constructor(ground: Ground, tx: OpenTransaction, { isolateStatements, mark }: Terms) {
    this.#ground = ground;
    this.#tx = tx;
    this.#isolates = isolateStatements;
    this.#mark = mark;
  }

  async run(statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult> {
    const { level } = this.#tx;
    this.#tx.refuseFromInside();
    const limits = limitsFor(this.#ground, this.#tx, timeoutMillis);
    const word = this.#ground.server.read(statement.text).transaction.find((one) => OF_BLOCKS.has(one));
    if (word !== undefined) throw outOfBlock(word);
    const answer: Promise<QueryResult> = this.#isolates
      ? level.isolate(statement, limits)
      : level.query(statement, limits);
    return answer.catch(blaming(level.bracket));
  }

  async submit(submittable: Submittable): Promise<void> {
    this.#tx.refuseFromInside();
    return this.#tx.level.submit(submittable, this.#tx.limits);
  }

  async begin(modes: Modes): Promise<Opened> {
    const tx = this.#tx;
    tx.refuseFromInside();
    refuseModes(tx, modes);
    const around = { options: {}, transaction: tx, scope: tx.scope, usual: 'nested' } as const;
    const opened = await Opened.begin((fn) => undertake(this.#ground, fn, around), warnLeftOpen(this.#ground));
    this.#mark?.claim(opened);
    await readOnly(modes, opened);
    return opened;
  }

  async agree(modes: Modes, opened: Opened): Promise<Opened> {
    refuseModes(this.#tx, modes);
    await readOnly(modes, opened);
    return opened;
  }

  get client(): PgClient | undefined {
    return this.#tx.level.bracket.hold?.client;
  }
}

/** What is true of the transaction a library works in, and of where it was asked for. */
interface Terms {
  readonly isolateStatements: boolean;
  readonly mark: Mark | undefined;
}

/** Says that one was rolled back which nobody ended. */
export function warnLeftOpen({ warnings }: Ground): (name: string) => void {
  return (name) => {
    const message = `a transaction of a library inside "${name}" was still open when that ended, and was rolled back. Await it, commit it, and give its client back`;
    warnings.warn('LIFEGUARD_LEFT_OPEN', message, { name });
  };
}

/** A statement of a library has failed: what the library makes of it may not show where it comes from. */
export function blaming(bracket: Bracket): (error: unknown) => never {
  return (error) => {
    bracket.blamed = error;
    throw error;
  };
}

export function limitsFor({ clock }: Ground, { limits }: OpenTransaction, timeoutMillis: number | undefined): Limits {
  return timeoutMillis === undefined ? limits : within(limits, { timeoutMillis }, clock);
}

/** The server knows no read uncommitted. https://www.postgresql.org/docs/current/transaction-iso.html */
export function isolationOf({ isolation }: Modes): Exclude<Modes['isolation'], 'read uncommitted'> {
  return isolation === 'read uncommitted' ? 'read committed' : isolation;
}

/** A savepoint has the isolation of the transaction around it, and may write if that may. */
function refuseModes({ level }: OpenTransaction, modes: Modes): void {
  refuseBroader({ isolation: isolationOf(modes), readOnly: modes.readOnly }, level.bracket.plan, 'a library');
  if (modes.deferrable === true)
    throw narrowed('a library asks to wait for a snapshot, and the transaction around it has one already');
}

/** Of a savepoint it can be said at any time, and ends with it. */
async function readOnly(modes: Modes, { tx }: Opened): Promise<void> {
  if (modes.readOnly !== true) return;
  tx.level.visits.close('who writes');
  await tx.level.query(READ_ONLY, tx.limits);
}

/** As on a pool, where the server says 25P01. Here a return to one would undo what others were told is done. */
function outOfBlock(word: string): LifeguardError {
  const message = `Nothing was sent: ${word.toUpperCase()} needs a BEGIN of the library before it, as on any connection of a pool.`;
  return new LifeguardError('ERR_LIFEGUARD_TRANSACTION_CONTROL', message, { consequence: 'nothing-sent' });
}

const OF_BLOCKS: ReadonlySet<string> = new Set(['savepoint', 'release', 'rollback to']);
const READ_ONLY: Statement = Object.freeze({ text: 'SET TRANSACTION READ ONLY' });
