import { idleMillis } from '../clock.ts';
import type { Flight } from './flight.ts';
import { Packet } from './packet.ts';
import type { PgClient, PgWire } from './pg-subset.ts';
import type { Field } from './shape.ts';

/** What the pipeline tells the connection. */
export interface PipelineEnds {
  /** What the network alone takes. */
  roundTripMillis(): number;
  /** Nothing is underway any more: called before the last flight hears that it has landed. */
  emptied(): void;
  /** A flight was answered with an error, and ReadyForQuery is still to come. */
  failed(error: unknown): void;
  /** What was to be written could not be: nothing sensible can follow. */
  broken(error: unknown): void;
}

/**
 * Flights on one connection, answered in the order in which they were sent. Each has a Sync of its own, so an error ends
 * with the flight that made it.
 *
 * To pg it is one submittable, handed in again for each flight: so pg hands us the messages, and does not know that the
 * next ones are on their way already. https://node-postgres.com/features/queries#custom-query-classes
 */
export class Pipeline {
  readonly #client: PgClient;
  readonly #ends: PipelineEnds;
  readonly #packet = new Packet();
  /** In their order: those from `#head` on are not answered yet. */
  readonly #flights: (Flight | undefined)[] = [];
  /** How long the process had been idle when each of them was sent. */
  readonly #sentIdle: number[] = [];
  #head = 0;
  /** At the end of the order: their bytes are in the packet still. */
  #unsent = 0;
  #failure: { readonly error: unknown } | undefined;
  /** The same of when the last one landed. */
  #turnIdle = 0;
  /** Own ones, so that pg takes no others from a prototype. */
  readonly callback: undefined = undefined;
  readonly query_timeout = 0;

  constructor(client: PgClient, ends: PipelineEnds) {
    this.#client = client;
    this.#ends = ends;
  }

  /** How many are not answered yet. */
  get length(): number {
    return this.#flights.length - this.#head;
  }

  get name(): string | undefined {
    return this.#flights[this.#head]?.name;
  }

  get text(): string | undefined {
    return this.#flights[this.#head]?.text;
  }

  /** Now, or together with all that is sent until the running code gives way. Throws what `write` throws, with nothing sent. */
  send(flight: Flight, when: 'now' | 'soon'): void {
    const before = this.#packet.length;
    try {
      flight.write(this.#packet);
    } catch (error) {
      this.#packet.rewind(before);
      throw error;
    }
    this.#flights.push(flight);
    this.#sentIdle.push(idleMillis());
    this.#unsent += 1;
    if (this.length === 1) this.#client.query(this);
    if (when === 'now') this.#flush();
    else if (this.#unsent === 1) process.nextTick(flush, this);
  }

  /** @internal */
  flush(): void {
    this.#flush();
  }

  /** All that is underway is lost: what was not sent yet is told so. */
  lose(sent: unknown, unsent: unknown): void {
    const lost = this.#flights.slice(this.#head);
    const firstUnsent = lost.length - this.#unsent;
    this.#clear();
    for (const [index, flight] of lost.entries()) flight?.lost(index < firstUnsent ? sent : unsent);
  }

  /** Nobody waits for what is underway any more. Its answers are read all the same. */
  forsake(error: unknown): void {
    const pending = this.#flights.slice(this.#head);
    this.#flights.fill(NOBODYS, this.#head);
    for (const flight of pending) flight?.lost(error);
  }

  /** Nothing has been answered for long. */
  stalled(): void {
    this.#flights[this.#head]?.late(this.#ownMillis(idleMillis()));
  }

  /** What the flight that is being answered was told, while its ReadyForQuery has not come. */
  get failure(): unknown {
    return this.#failure?.error;
  }

  /** pg calls it when it is our turn to be answered; the bytes are written by `send`. */
  submit(): null {
    return null;
  }

  /** pg's own listeners do not pass these on. */
  parsed(): void {
    this.#flights[this.#head]?.parsed();
  }

  bound(): void {
    this.#flights[this.#head]?.bound();
  }

  noData(): void {
    this.#flights[this.#head]?.described(undefined);
  }

  handleRowDescription({ fields }: { fields: readonly Field[] }): void {
    this.#flights[this.#head]?.described(fields);
  }

  handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    this.#flights[this.#head]?.row(fields);
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.#flights[this.#head]?.completed(text);
  }

  handleEmptyQuery(): void {
    this.#flights[this.#head]?.empty();
  }

  /** pg takes an error for the end of a query, and hands us nothing more of it: `drained` comes with ReadyForQuery. */
  handleError(error: unknown): void {
    const flight = this.#flights[this.#head];
    if (flight === undefined) return;
    this.#ends.failed(error);
    this.#failure = { error };
    flight.failed(error);
  }

  /** After a goodbye the server may still answer what ran: that is nobody's any more. */
  handleReadyForQuery(): void {
    const flight = this.#flights[this.#head];
    if (flight !== undefined) this.#landed(flight);
  }

  /** Everything that pg knows of has been answered. */
  drained(): void {
    const flight = this.#flights[this.#head];
    if (flight !== undefined && this.#failure !== undefined) this.#landed(flight);
  }

  /** Nobody has the rows. The server takes no Sync for the end of a COPY, so the one behind it is spent. */
  handleCopyInResponse(connection: PgWire): void {
    connection.sendCopyFail('No source stream defined');
    if (this.#flights[this.#head]?.protocol === 'extended') connection.sync();
  }

  handleCopyData(): void {
    // COPY … TO STDOUT without a reader: as pg does.
  }

  #landed(flight: Flight): void {
    const now = idleMillis();
    const ownMillis = this.#ownMillis(now);
    this.#turnIdle = now;
    this.#flights[this.#head] = undefined;
    this.#head += 1;
    this.#failure = undefined;
    if (this.length > 0) this.#client.query(this);
    else {
      this.#clear();
      this.#ends.emptied();
    }
    if (this.#head >= COMPACT) {
      this.#flights.splice(0, this.#head);
      this.#sentIdle.splice(0, this.#head);
      this.#head = 0;
    }
    flight.landed(ownMillis);
  }

  /**
   * Since it had come to the server, and that had answered the one before it. Only while we waited for input, the answer was
   * not there for sure: while we were busy, it may have lain in the socket.
   */
  #ownMillis(now: number): number {
    const began = Math.max(this.#turnIdle, (this.#sentIdle[this.#head] ?? now) + this.#ends.roundTripMillis());
    return Math.max(0, now - began);
  }

  #flush(): void {
    if (this.#unsent === 0) return;
    const { stream } = this.#client.connection;
    // Its end is on its way to us: nothing of these was sent.
    if (!stream.writable) return;
    this.#unsent = 0;
    try {
      stream.write(this.#packet.take());
    } catch (error) {
      this.#ends.broken(error);
    }
  }

  #clear(): void {
    this.#flights.length = 0;
    this.#sentIdle.length = 0;
    this.#head = 0;
    this.#unsent = 0;
    this.#failure = undefined;
    this.#packet.rewind(0);
  }
}

function flush(pipeline: Pipeline): void {
  pipeline.flush();
}

/** Of one whose receiver has been told already. */
class Nobodys implements Flight {
  readonly name: undefined = undefined;
  readonly text: undefined = undefined;
  readonly protocol = 'extended';

  write(): void {}
  parsed(): void {}
  bound(): void {}
  described(): void {}
  row(): void {}
  completed(): void {}
  empty(): void {}
  failed(): void {}
  landed(): void {}
  late(): void {}
  lost(): void {}
}

const NOBODYS: Flight = new Nobodys();
const COMPACT = 256;
