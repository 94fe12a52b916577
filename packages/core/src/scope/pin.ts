import { LifeguardError } from '../errors.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { CallOptions } from './call-options.ts';
import { earlier } from './deadline.ts';
import type { Ground } from './ground.ts';
import { Hold } from './hold.ts';
import { begun, type Lender } from './lender.ts';
import type { Limits } from './patience.ts';
import { runOn } from './single.ts';
import type { SinglePlan } from './single-plan.ts';
import { Turns } from './turns.ts';

type State = { readonly kind: 'free' } | { readonly kind: 'held'; readonly hold: Hold } | { readonly kind: 'gone' };

/** The one connection of a pinned scope, from its first statement to its end. Statements and transactions take turns on it. */
export class Pin implements Lender {
  readonly #ground: Ground;
  readonly #call: CallOptions;
  readonly #turns = new Turns();
  #state: State = { kind: 'free' };

  constructor(ground: Ground, call: CallOptions) {
    this.#ground = ground;
    this.#call = call;
  }

  async query<Row>(statement: Statement, plan: SinglePlan): Promise<QueryResult<Row>> {
    const leave = await this.enter(plan.limits);
    try {
      const hold = await this.begin(plan.limits);
      return await this.#run<Row>(hold, statement, plan);
    } finally {
      leave();
    }
  }

  /** The turn, also for the life of a transaction. It is waited for as a connection would be. */
  enter({ signal, deadline }: Limits): Promise<() => void> {
    const { clock, patience, acquireTimeoutMillis } = this.#ground;
    const last = acquireTimeoutMillis === 0 ? undefined : clock.now() + acquireTimeoutMillis;
    const limits = { signal, deadline: earlier(deadline, last) };
    return this.#turns.enter((turn) => patience({ begin: () => turn, wasSent: () => false }, limits));
  }

  async begin({ signal, deadline }: Limits): Promise<Hold> {
    if (this.#state.kind === 'held' && !this.#state.hold.isOver) return this.#state.hold;
    if (this.#state.kind !== 'free') throw gone(this.#call.name ?? '');
    const hold = new Hold(this.#ground.house, { ...this.#call, signal }, { kind: 'transaction', deadline });
    this.#ground.house.leaks.began(hold);
    const waiting = begun(this.#ground, hold);
    if (waiting !== undefined) await waiting;
    // The scope may have ended while the connection was waited for.
    if (this.#kindNow() === 'gone') {
      hold.end();
      throw gone(this.#call.name ?? '');
    }
    this.#state = { kind: 'held', hold };
    return hold;
  }

  #kindNow(): State['kind'] {
    return this.#state.kind;
  }

  async #run<Row>(hold: Hold, statement: Statement, plan: SinglePlan): Promise<QueryResult<Row>> {
    try {
      return await runOn<Row>(hold, statement, { ground: this.#ground, plan });
    } finally {
      // Given up while it runs: what is left of it must not meet the next one.
      if (hold.runningSince !== undefined || hold.transactionStatus === null) this.abandon(hold);
    }
  }

  /** A transaction has ended; the connection stays. */
  end(hold: Hold): void {
    if (hold.transactionStatus !== 'I') this.abandon(hold);
  }

  abandon(hold: Hold): void {
    this.#state = { kind: 'gone' };
    hold.abandon();
  }

  /** The scope has ended. */
  finish(): void {
    const state = this.#state;
    this.#state = { kind: 'gone' };
    if (state.kind === 'held') state.hold.abandon();
  }
}

function gone(name: string): LifeguardError {
  const message = `The connection of the pinned scope "${name}" was lost or given up, and its session with it. Nothing was sent. Open another scope.`;
  return new LifeguardError('ERR_LIFEGUARD_LEASE_ENDED', message, { consequence: 'nothing-sent' });
}
