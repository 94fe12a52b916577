import { LifeguardError } from '../errors.ts';
import { closedMeanwhile } from '../pool/refusal.ts';
import type { CallOptions } from './call-options.ts';
import type { Ground } from './ground.ts';
import { Hold } from './hold.ts';
import type { Limits } from './patience.ts';

/** Where a transaction has its connection from, and where it goes back to. */
export interface Lender {
  begin(limits: Limits): Promise<Hold>;
  /** It is fit, and in no transaction. */
  end(hold: Hold): void;
  /** It is in a transaction, or something runs on it. */
  abandon(hold: Hold): void;
}

/** The pool: a hold for each transaction. */
export class PoolLender implements Lender {
  readonly #ground: Ground;
  readonly #call: CallOptions;

  constructor(ground: Ground, call: CallOptions) {
    this.#ground = ground;
    this.#call = call;
  }

  async begin({ signal, deadline }: Limits): Promise<Hold> {
    const hold = new Hold(this.#ground.house, { ...this.#call, signal }, { kind: 'transaction', deadline });
    this.#ground.house.leaks.began(hold);
    const waiting = begun(this.#ground, hold);
    if (waiting !== undefined) await waiting;
    return hold;
  }

  end(hold: Hold): void {
    hold.end();
  }

  abandon(hold: Hold): void {
    hold.abandon();
  }
}

/** Begins the hold, at once where that is possible; a unit of work that keeps a connection already may wait for itself. */
export function begun(ground: Ground, hold: Hold): Promise<void> | undefined {
  if (ground.selfDeadlock !== 'allow' && hold.owner !== undefined && hold.owner.holding > 0) lookAround(ground, hold);
  return hold.begin();
}

/** Why a hold is over that its holder has not ended: the server fell silent, or the pool was closed. */
export function takenAway({ house }: Ground, hold: Hold, cause: unknown): unknown {
  return hold.silence ?? closedMeanwhile(house.name, cause);
}

function lookAround(ground: Ground, { name }: Hold): void {
  const { house } = ground;
  const { size, leased, waiting, max } = house.pool.figures();
  if (leased < size || size < max) return;
  const message = `"${name}" holds a connection and asks for another one while all ${leased} are leased and ${waiting} wait: if all holders do that, they wait for each other until their time is up. Use the transaction that is open, or end it first.`;
  if (ground.selfDeadlock === 'throw') {
    throw new LifeguardError('ERR_LIFEGUARD_SELF_DEADLOCK', message, {
      figures: house.pool.figures(),
      consequence: 'nothing-sent',
    });
  }
  ground.warnings.warn('LIFEGUARD_SELF_DEADLOCK', message, { name });
}
