import type { LifeguardError } from '../errors.ts';
import { publish } from '../events.ts';
import type { Boarding } from './lanes.ts';
import type { Ledger } from './ledger.ts';
import type { Line } from './line.ts';
import type { Fittings } from './pool-settings.ts';
import { aborted, pastDeadline, unavailable, unknownGroup } from './refusal.ts';
import type { Stock } from './stock.ts';
import type { AcquireRequest } from './waiters.ts';

/** What those work with who receive callers. */
export interface Premises<Connection> {
  readonly line: Line<Connection>;
  readonly stock: Stock<Connection>;
  readonly ledger: Ledger;
}

/** Who is turned away before the line, and how that is told. */
export class Admission<Connection> {
  readonly #fittings: Fittings<Connection>;
  readonly #premises: Premises<Connection>;

  constructor(fittings: Fittings<Connection>, premises: Premises<Connection>) {
    this.#fittings = fittings;
    this.#premises = premises;
  }

  refusal(request: AcquireRequest, now: number): LifeguardError | undefined {
    const { name, groups } = this.#fittings.settings;
    if (request.signal?.aborted === true) return aborted(name, request.signal.reason);
    if (isGone(request, now)) return pastDeadline(name);
    if (request.group !== undefined && !groups.has(request.group))
      return unknownGroup(name, request.group, [...groups.keys()]);
    return this.#isBroken() ? this.#unavailable() : undefined;
  }

  /** Counts and tells a refusal, whoever makes it. */
  refused(error: LifeguardError, waitedMillis: number): LifeguardError {
    const { settings, clock } = this.#fittings;
    const { ledger, line } = this.#premises;
    ledger.refused(error.code, waitedMillis, clock.now());
    const { length: waiting } = line;
    publish('lifeguard:pool:refused', () => ({ pool: settings.name, code: error.code, waitedMillis, waiting }));
    return error;
  }

  #isBroken(): boolean {
    return this.#premises.stock.health.kind === 'broken' && this.#premises.stock.isBare();
  }

  #unavailable(): LifeguardError {
    const { stock, line } = this.#premises;
    const { failure } = stock;
    return unavailable(stock.figures(line.length), failure, this.#fittings.seam.isPermanent(failure));
  }
}

/** Whether a caller had better not be served at all. */
export function isGone(request: Boarding, now: number): boolean {
  return request.signal?.aborted === true || (request.deadline !== undefined && request.deadline <= now);
}
