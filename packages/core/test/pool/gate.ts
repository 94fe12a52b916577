/** How a step of a scripted connection goes. */
export type Gate =
  | { readonly kind: 'ok' }
  | { readonly kind: 'fails'; readonly error: ScriptedError }
  | { readonly kind: 'slow'; readonly millis: number }
  | { readonly kind: 'never' };

/** A failure, and what the seam is to say of it. */
export class ScriptedError extends Error {
  readonly permanent: boolean;
  readonly contagion: 'none' | 'suspect' | 'stale';

  constructor(message: string, { permanent = false, contagion = 'none' as ScriptedError['contagion'] } = {}) {
    super(message);
    this.permanent = permanent;
    this.contagion = contagion;
  }
}

export const ok: Gate = { kind: 'ok' };
export const never: Gate = { kind: 'never' };
export const fails: Gate = failing('scripted failure');

export function failing(message: string, says: ConstructorParameters<typeof ScriptedError>[1] = {}): Gate {
  return { kind: 'fails', error: new ScriptedError(message, says) };
}

export function slow(millis: number): Gate {
  return { kind: 'slow', millis };
}

/** The gates of one step: those that were lined up, then the one that stays. */
export class Script {
  #always: Gate = ok;
  readonly #next: Gate[] = [];

  /** For the next calls, one each. */
  next(...gates: Gate[]): this {
    this.#next.push(...gates);
    return this;
  }

  always(gate: Gate): this {
    this.#next.length = 0;
    this.#always = gate;
    return this;
  }

  draw(): Gate {
    return this.#next.shift() ?? this.#always;
  }
}
