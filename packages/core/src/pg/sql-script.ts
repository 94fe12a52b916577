import { type Control, controlOf } from './sql-control.ts';
import { scanStatements } from './sql-statement.ts';

export type { Modes } from './sql-control.ts';

/** Of a text that is to run inside somebody else's transaction, and is cut where it wants to control one itself. */
export type Part = Statements | Exclude<Control, Refused> | (Refused & { readonly text: string });

type Refused = Extract<Control, { kind: 'refused' }>;

/** Statements to be run as they are: a slice of the text, and all of it where nothing is to be controlled. */
interface Statements {
  readonly kind: 'statements';
  readonly text: string;
}

/** Only worth while where `SqlReading.hasControl`; without, it is one part. */
export function readScript(text: string): readonly Part[] {
  const draft = new Draft(text);
  for (const statement of scanStatements(text)) {
    statement.finish();
    draft.add(controlOf(statement), statement.end);
  }
  return draft.finish();
}

/** Statements are added in the order of the text. */
class Draft {
  readonly #text: string;
  readonly #parts: Part[] = [];
  /** Where the statements that are not yet a part begin, where they end, and whether there are any. */
  #from = 0;
  #end = 0;
  #pending: 'none' | 'some' = 'none';

  constructor(text: string) {
    this.#text = text;
  }

  add(control: Control | undefined, end: number): void {
    if (control === undefined) this.#pending = 'some';
    else this.#addControl(control, end);
    this.#end = end;
  }

  finish(): readonly Part[] {
    if (this.#parts.length === 0) return [{ kind: 'statements', text: this.#text }];
    this.#flush();
    return this.#parts;
  }

  #addControl(control: Control, end: number): void {
    this.#flush();
    this.#parts.push(control.kind === 'refused' ? { ...control, text: this.#slice(this.#from, end) } : control);
    this.#from = end + 1;
  }

  #flush(): void {
    if (this.#pending === 'none') return;
    this.#parts.push({ kind: 'statements', text: this.#slice(this.#from, this.#end) });
    this.#from = this.#end + 1;
    this.#pending = 'none';
  }

  #slice(from: number, end: number): string {
    return this.#text.slice(from, end).replace(/^[\t-\r ;]+/, '');
  }
}
