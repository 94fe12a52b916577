import { LifeguardError } from '../errors.ts';
import type { HookConnection } from '../pool-options.ts';
import type { PgConnection } from './pg-connection.ts';
import type { QueryResult, Statement } from './statement.ts';

/** A new connection in the hands of `onConnect`, until that returns. Its statements wait for each other, awaited or not. */
export class Hooked implements HookConnection {
  #connection: PgConnection | undefined;
  readonly #refusalOf: (text: string) => LifeguardError | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(connection: PgConnection, refusalOf: (text: string) => LifeguardError | undefined) {
    this.#connection = connection;
    this.#refusalOf = refusalOf;
  }

  query(text: string, values: readonly unknown[] = []): Promise<QueryResult> {
    const run = (): Promise<QueryResult> => this.#run({ text, values });
    const answer = this.#last.then(run, run);
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async #run(statement: Statement): Promise<QueryResult> {
    if (this.#connection === undefined) throw returned();
    const refusal = this.#refusalOf(statement.text);
    if (refusal !== undefined) throw refusal;
    return this.#connection.query(statement);
  }

  /** The hook may have kept it, and the connection is somebody else's from now on. */
  end(): void {
    this.#connection = undefined;
  }
}

function returned(): LifeguardError {
  const message =
    'The connection of an onConnect hook is lent to others once the hook has returned. Nothing was sent. Await every statement in the hook.';
  return new LifeguardError('ERR_LIFEGUARD_LEASE_ENDED', message, { consequence: 'nothing-sent' });
}
