import { afterEach, beforeEach, describe, expect, test, vi } from '@lifeguard/testkit/vitest';
import type { Flight } from '../../src/pg/flight.ts';
import { Pipeline } from '../../src/pg/pipeline.ts';

const waited = { millis: 0 };

beforeEach(() => {
  waited.millis = 0;
  vi.spyOn(performance, 'nodeTiming', 'get').mockImplementation(() => ({ idleTime: waited.millis }) as never);
});

afterEach(() => void vi.restoreAllMocks());

/** What is sent and answered over a network of 20 ms, and what each is told that the server took for it. */
class Journey {
  readonly own: number[] = [];
  readonly #pipeline = new Pipeline(
    { query: () => undefined, connection: { stream: { writable: true, write: () => true } } } as never,
    { roundTripMillis: () => 20, emptied: () => undefined, failed: () => undefined, broken: () => undefined },
  );

  sent(at: number): void {
    waited.millis = at;
    const landed = (ownMillis: number): void => void this.own.push(ownMillis);
    const flight: Partial<Flight> = { write: () => undefined, lost: () => undefined, landed };
    this.#pipeline.send(flight as Flight, 'now');
  }

  answered(at: number): void {
    waited.millis = at;
    this.#pipeline.handleReadyForQuery();
  }

  /** The connection is lost, or left. */
  over(): void {
    this.#pipeline.lose(new Error('lost'), new Error('not sent'));
  }
}

describe('the time that the server took for a statement', () => {
  test('is without the network for one that is sent while another is on its way', () => {
    const journey = new Journey();
    for (const at of [0, 8, 19]) journey.sent(at);
    for (const at of [20, 28, 39]) journey.answered(at);
    expect(journey.own).toEqual([0, 0, 0]);
  });

  test('is without that of the one before it', () => {
    const journey = new Journey();
    for (const at of [0, 1, 2]) journey.sent(at);
    for (const at of [120, 125, 125]) journey.answered(at);
    expect(journey.own).toEqual([100, 5, 0]);
  });

  test('is without the wait for the next one, when all were answered', () => {
    const journey = new Journey();
    journey.sent(0);
    journey.answered(23);
    journey.sent(1_000);
    journey.answered(1_027);
    expect(journey.own).toEqual([3, 7]);
  });

  test('is told of each of many hundreds that are underway together', () => {
    const journey = new Journey();
    for (let at = 0; at < 700; at += 1) journey.sent(at);
    for (let at = 0; at < 700; at += 1) journey.answered(at < 690 ? at + 20 : 710 + 4 * (at - 689));
    expect(journey.own).toEqual([...Array(690).fill(0), ...Array(10).fill(4)]);
  });
});

describe('an answer that nobody waits for any more', () => {
  test('changes nothing, and the next statement is told its own time', () => {
    const journey = new Journey();
    journey.sent(0);
    journey.over();
    journey.answered(500);
    journey.sent(1_000);
    journey.answered(1_021);
    expect(journey.own).toEqual([1]);
  });
});
