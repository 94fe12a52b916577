import { Limit } from './limit.ts';
import type { Fittings } from './pool-settings.ts';
import type { CloseReason } from './seam.ts';
import type { Slot, SlotState, Task } from './slot.ts';

export interface TendingEnds<Connection> {
  done(slot: Slot<Connection>): void;
  failed(slot: Slot<Connection>, reason: CloseReason, error: unknown): void;
}

/** What the house itself does with a connection that nobody holds: check, clean or interrupt it, within a time limit. */
export class Tending<Connection> {
  readonly #fittings: Fittings<Connection>;
  readonly #ends: TendingEnds<Connection>;

  constructor(fittings: Fittings<Connection>, ends: TendingEnds<Connection>) {
    this.#fittings = fittings;
    this.#ends = ends;
  }

  tend(slot: Slot<Connection>, task: Task): void {
    const { clock } = this.#fittings;
    const { connection } = slot;
    const state: SlotState<Connection> = { kind: 'tending', since: clock.now(), connection, task };
    slot.move(state);
    const fail = (error: unknown): void => {
      if (slot.state === state) this.#ends.failed(slot, REASONS[task], error);
    };
    const millis = this.#limitOf(task);
    const limit = new Limit(clock, millis, () => fail(noAnswer(millis)));
    this.#run(connection, task)
      .finally(() => limit.cancel())
      .then(() => {
        if (slot.state === state) this.#ends.done(slot);
      }, fail);
  }

  #limitOf(task: Task): number {
    const { checkTimeoutMillis, cleanTimeoutMillis } = this.#fittings.settings;
    return task === 'check' ? checkTimeoutMillis : cleanTimeoutMillis;
  }

  async #run(connection: Connection, task: Task): Promise<void> {
    const { seam } = this.#fittings;
    switch (task) {
      case 'check':
        return seam.check(connection);
      case 'clean':
        return seam.clean(connection);
      case 'interrupt':
        return seam.interrupt(connection);
      default:
        task satisfies never;
    }
  }
}

/** Named as the system names it: its event shows no more than the name. */
function noAnswer(millis: number): Error {
  return Object.assign(new Error(`no answer within ${millis} ms`), { code: 'ETIMEDOUT' });
}

const REASONS = { check: 'check-failed', clean: 'clean-failed', interrupt: 'interrupt-failed' } as const;
