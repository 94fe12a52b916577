import { QuietText } from './quiet-text.ts';
import type { Prepared, Repertoire } from './repertoire.ts';
import type { Script, Scripts } from './scripts.ts';
import { SimpleQuery } from './simple-query.ts';
import { type Airport, type Receiver, Solo } from './solo.ts';
import { type Statement, withOwnParts } from './statement.ts';
import { Step } from './step.ts';
import type { HouseStatement } from './sync-group.ts';

/** Makes flights of statements: which protocol, which name. */
export class Departures {
  readonly #airport: Airport;
  readonly #scripts: Scripts;
  readonly #repertoire: Repertoire;

  constructor(airport: Airport, scripts: Scripts, repertoire: Repertoire) {
    this.#airport = airport;
    this.#scripts = scripts;
    this.#repertoire = repertoire;
  }

  /** A text that is not prepared and has no values may hold any number of statements. */
  single(statement: Statement, script: Script, receiver: Receiver): Solo | SimpleQuery {
    const prepared = this.#prepared(statement, script);
    const hasValues = statement.text !== '' && (statement.values?.length ?? 0) > 0;
    if (prepared === undefined && !hasValues && statement.queryMode !== 'extended') {
      return new SimpleQuery(statement, { airport: this.#airport, script, receiver });
    }
    return new Solo(statement, { airport: this.#airport, script, prepared, receiver });
  }

  /** For a text of which it is known that it is one statement. */
  solo(statement: Statement, receiver: Receiver): Solo {
    const script = this.#scripts.of(statement.text);
    const prepared = this.#prepared(statement, script);
    return new Solo(statement, { airport: this.#airport, script, prepared, receiver });
  }

  /** Its values are those of the first time: to convert them again could have effects, and fail. */
  anew({ statement, values, receiver }: Solo): Solo {
    return this.solo({ ...statement, values }, receiver);
  }

  /** Takes from the books what a step that failed, or was skipped, has not prepared; `spoilt`: the session is to go with it. */
  failed(step: Step, error: unknown): 'mended' | 'spoilt' {
    const { prepared } = step;
    step.undone((one) => this.#repertoire.forget(one));
    if (prepared === undefined || !step.isRefusedAsPrepared || !this.#repertoire.outdates(prepared, error))
      return 'mended';
    // What pg has prepared for a user is not ours to take away.
    if (prepared.by === 'pg') return 'spoilt';
    step.isOutdated = true;
    return 'mended';
  }

  step(one: HouseStatement): Step | QuietText {
    if (typeof one === 'string') return new QuietText(one);
    const statement = withOwnParts(one);
    const prepared = this.#prepared(statement, this.#scripts.of(statement.text));
    return new Step(statement, this.#airport.types, prepared);
  }

  #prepared(statement: Statement, script: Script): Prepared | undefined {
    const prepared = this.#repertoire.of(statement, script);
    if (script.unsettles) this.#repertoire.clear();
    return prepared;
  }
}
