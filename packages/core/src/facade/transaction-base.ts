import type { PgClient } from '../pg/pg-subset.ts';
import type { Modes } from '../pg/sql-script.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import { within } from '../scope/deadline.ts';
import type { Ground } from '../scope/ground.ts';
import { narrowed } from '../scope/nesting.ts';
import type { OpenTransaction } from '../scope/open-transaction.ts';
import { Opened } from '../scope/opened.ts';
import type { Limits } from '../scope/patience.ts';
import { ISOLATIONS } from '../scope/transaction-options.ts';
import { undertake } from '../scope/undertaking.ts';
import type { Base } from './base.ts';
import type { Mark } from './mark.ts';

/** A transaction of ours: what libraries begin in it are savepoints. */
export class TransactionBase implements Base {
  readonly #ground: Ground;
  readonly #tx: OpenTransaction;
  readonly #isolates: boolean;
  readonly #mark: Mark | undefined;

  constructor(ground: Ground, tx: OpenTransaction, { isolateStatements, mark }: Circumstances) {
    this.#ground = ground;
    this.#tx = tx;
    this.#isolates = isolateStatements;
    this.#mark = mark;
  }

  async run(statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult> {
    const { level } = this.#tx;
    const limits = limitsOf(this.#ground, this.#tx, timeoutMillis);
    // A savepoint of a library's own is to last longer than the statement that makes it.
    const { transaction } = this.#ground.server.read(statement.text);
    const lasts = transaction.some((word) => word === 'savepoint' || word === 'release' || word === 'rollback to');
    return this.#isolates && !lasts ? level.isolate(statement, limits) : level.query(statement, limits);
  }

  submit(submittable: Submittable): Promise<void> {
    return this.#tx.level.submit(submittable, this.#tx.limits);
  }

  async begin(modes: Modes): Promise<Opened> {
    const tx = this.#tx;
    refuseBroader(tx, modes);
    const around = { options: {}, transaction: tx, scope: tx.scope, usual: 'nested' } as const;
    const opened = await Opened.begin((fn) => undertake(this.#ground, fn, around), leftOpen(this.#ground));
    this.#mark?.claim(opened);
    await readOnly(modes, opened);
    return opened;
  }

  async agree(modes: Modes, opened: Opened): Promise<Opened> {
    refuseBroader(this.#tx, modes);
    await readOnly(modes, opened);
    return opened;
  }

  get client(): PgClient | undefined {
    return this.#tx.level.bracket.hold?.client;
  }
}

/** What is true of the transaction a library works in, and of where it was asked for. */
interface Circumstances {
  readonly isolateStatements: boolean;
  readonly mark: Mark | undefined;
}

/** Says that one was rolled back which nobody ended. */
export function leftOpen({ warnings }: Ground): (name: string) => void {
  return (name) => {
    const message = `a transaction of a library inside "${name}" was still open when that ended, and was rolled back. Await it, commit it, and give its client back`;
    warnings.warn('LIFEGUARD_LEFT_OPEN', message, { name });
  };
}

export function limitsOf({ clock }: Ground, { limits }: OpenTransaction, timeoutMillis: number | undefined): Limits {
  return timeoutMillis === undefined ? limits : within(limits, { timeoutMillis }, clock);
}

/** The server knows no read uncommitted. https://www.postgresql.org/docs/current/transaction-iso.html */
export function isolationOf({ isolation }: Modes): Exclude<Modes['isolation'], 'read uncommitted'> {
  return isolation === 'read uncommitted' ? 'read committed' : isolation;
}

/** A savepoint has the isolation of the transaction around it, and may write if that may. */
function refuseBroader({ level }: OpenTransaction, modes: Modes): void {
  const { isolation, access } = level.bracket.plan;
  const wanted = isolationOf(modes);
  if (rankOf(wanted) > rankOf(isolation)) {
    throw narrowed(
      `a library asks for isolation "${wanted}", and the transaction around it has "${isolation ?? ISOLATIONS[0]}"`,
    );
  }
  if (modes.readOnly === false && access === 'read-only')
    throw narrowed('a library asks to write, and the transaction around it is read-only');
  if (modes.deferrable === true)
    throw narrowed('a library asks to wait for a snapshot, and the transaction around it has one already');
}

function rankOf(isolation: ReturnType<typeof isolationOf>): number {
  return isolation === undefined ? 0 : ISOLATIONS.indexOf(isolation);
}

/** Of a savepoint it can be said at any time, and ends with it. */
async function readOnly(modes: Modes, { tx }: Opened): Promise<void> {
  if (modes.readOnly === true) await tx.level.query(READ_ONLY, tx.limits);
}

const READ_ONLY: Statement = Object.freeze({ text: 'SET TRANSACTION READ ONLY' });
