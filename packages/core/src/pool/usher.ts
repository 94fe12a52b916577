import type { Premises } from './admission.ts';
import type { Ledger } from './ledger.ts';
import type { Line } from './line.ts';
import type { Slot } from './slot.ts';
import type { Stock } from './stock.ts';
import { SHARING, type Waiter } from './waiters.ts';

/** Shows those in the line to what there is for them: a connection of their own, or a place on a lane. */
export class Usher<Connection> {
  readonly #line: Line<Connection>;
  readonly #stock: Stock<Connection>;
  readonly #ledger: Ledger;

  constructor({ line, stock, ledger }: Premises<Connection>) {
    this.#line = line;
    this.#stock = stock;
    this.#ledger = ledger;
  }

  /** Serves the line from what is there. */
  serve(now: number): void {
    while (this.#line.length > 0 && (this.#seatNext(now) || this.#serveNext(now)));
  }

  /** Those who share go ahead where that is at nobody's expense: a lane in use is no connection for others. */
  #seatNext(now: number): boolean {
    const { length, sharing } = this.#line;
    if (sharing === 0) return false;
    const lane = this.#stock.lanes.choose(now, sharing === length ? 'all' : 'those in use');
    const waiter = lane === undefined ? undefined : this.#line.next(now, 'the sharing');
    if (lane === undefined || waiter === undefined) return false;
    this.#seatWaiter(lane, waiter, now);
    return true;
  }

  #serveNext(now: number): boolean {
    const slot = this.#stock.fit(now);
    const waiter = slot === undefined ? undefined : this.#line.next(now);
    if (slot === undefined || waiter === undefined) return false;
    const lane = waiter.section === SHARING ? this.#stock.lanes.chooseWith(slot, now) : undefined;
    if (lane === undefined) this.#lendToWaiter(slot, waiter, now);
    else this.#seatWaiter(lane, waiter, now);
    return true;
  }

  #lendToWaiter(slot: Slot<Connection>, waiter: Waiter<Connection>, now: number): void {
    this.#stock.lend(slot, waiter.request, now);
    this.#ledger.lent(now - waiter.since, now);
    settle(waiter, slot);
  }

  #seatWaiter(lane: Slot<Connection>, waiter: Waiter<Connection>, now: number): void {
    this.#stock.lanes.take(lane, now);
    this.#ledger.tookPlace(now - waiter.since, now);
    settle(waiter, lane);
  }
}

function settle<Connection>(waiter: Waiter<Connection>, slot: Slot<Connection>): void {
  waiter.request.owner?.admit();
  waiter.settle({ kind: 'served', slot });
}
