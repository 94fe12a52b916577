import type { Clock } from '../clock.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import type { PgClient } from '../pg/pg-subset.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import { FacadeClient } from './client.ts';
import { NOTHING } from './nothing.ts';
import type { Seat } from './seat.ts';
import type { TypeChoice } from './type-overrides.ts';
import type { Voice } from './voice.ts';

/** For whom it is. */
interface Occasion {
  readonly types: TypeChoice;
  readonly voice: Voice;
  readonly clock: Clock;
  /** Those that it was told of: each once, however often it was reset. */
  readonly watched: WeakSet<PgConnection>;
}

/**
 * A new connection in the hands of those who listen to `connect`, before it is lent to anybody: what they set is how the
 * session is meant to be. Also one that was reset, for what they had set is gone then.
 */
export class Greeting implements Seat {
  readonly #connection: PgConnection;
  readonly #voice: Voice;
  readonly #types: TypeChoice;
  readonly #clock: Clock;
  readonly #watched: WeakSet<PgConnection>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(connection: PgConnection, { types, voice, clock, watched }: Occasion) {
    this.#clock = clock;
    this.#watched = watched;
    this.#connection = connection;
    this.#types = types;
    this.#voice = voice;
  }

  /** Resolves when all is done that was asked for meanwhile. */
  async run(): Promise<void> {
    const client = new FacadeClient(this, this.#types, NOTHING);
    this.#watch(client);
    await this.#voice.greet(client);
    for (let last: unknown; last !== this.#last; ) {
      last = this.#last;
      await this.#last;
      // Whoever awaited that may ask for more.
      await new Promise<void>((resolve) => this.#clock.afterInput(resolve));
    }
    client.release();
  }

  say(statement: Statement): Promise<QueryResult> {
    return this.#next(() => this.#connection.query(statement));
  }

  submit(submittable: Submittable): Promise<void> {
    return this.#next(() => this.#connection.submit(submittable));
  }

  get client(): PgClient {
    return this.#connection.client;
  }

  end(): void {
    // It is nobody's yet.
  }

  #next<T>(run: () => Promise<T>): Promise<T> {
    const answer = this.#last.then(run);
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  #watch(client: FacadeClient): void {
    if (this.#watched.has(this.#connection)) return;
    this.#watched.add(this.#connection);
    this.#connection.client.once('end', () => {
      // When it is counted no more.
      this.#clock.afterInput(() => this.#voice.emit('remove', client));
    });
  }
}
