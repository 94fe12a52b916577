/** How one option is checked. A complaint completes the sentence `option "x" …`. */
export interface Rule {
  readonly fallback?: unknown;
  check(value: unknown): string | undefined;
}

export function whole(fallback: number | undefined, min = 0, max: number = Number.MAX_SAFE_INTEGER): Rule {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `between ${min} and ${max}`;
  return {
    fallback,
    check: (value) =>
      Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
        ? undefined
        : `must be a whole number ${range}, not ${show(value)}`,
  };
}

/** Also a number of seconds: what counts is that it is a plain finite number and no "30s". */
export function millis(fallback: number, min = 0): Rule {
  return {
    fallback,
    check: (value) =>
      typeof value === 'number' && Number.isFinite(value) && value >= min
        ? undefined
        : `must be a number of at least ${min}${min === 0 ? ' (0 switches the limit off)' : ''}, not ${show(value)}`,
  };
}

export function flag(fallback: boolean): Rule {
  return {
    fallback,
    check: (value) => (typeof value === 'boolean' ? undefined : `must be true or false, not ${show(value)}`),
  };
}

export function choice(fallback: string | undefined, ...allowed: readonly string[]): Rule {
  const words = allowed.map((word) => `"${word}"`).join(' or ');
  return {
    fallback,
    check: (value) => (allowed.includes(value as string) ? undefined : `must be ${words}, not ${show(value)}`),
  };
}

/** What may stand before a server; pg/pooler-profiles.ts says what is different there. */
export const POOLERS: readonly string[] = [
  ...['auto', 'none', 'pgbouncer-session', 'pgbouncer-transaction', 'pgbouncer-statement'],
  ...['odyssey-session', 'odyssey-transaction', 'pgcat-session', 'pgcat-transaction'],
  ...['supavisor-session', 'supavisor-transaction', 'rds-proxy'],
];

/** The value is not shown: it may be a secret. */
export function text(): Rule {
  return {
    check: (value) => {
      if (typeof value !== 'string') return `must be a string, not ${typeof value}`;
      return value.includes('\0') ? 'must not contain a NUL character' : undefined;
    },
  };
}

export function fn(): Rule {
  return { check: (value) => (typeof value === 'function' ? undefined : `must be a function, not ${typeof value}`) };
}

/** `; did you mean "…"?`, where one of the names is near enough. */
export function nearest(given: string, names: readonly string[]): string {
  const longer =
    given.length < 4 ? undefined : names.find((name) => name.toLowerCase().startsWith(given.toLowerCase()));
  if (longer !== undefined) return `; did you mean "${longer}"?`;
  const ranked = names.map((name) => ({ name, distance: distance(given.toLowerCase(), name.toLowerCase()) }));
  const best = ranked.reduce((a, b) => (b.distance < a.distance ? b : a));
  return best.distance <= Math.max(2, given.length / 3) ? `; did you mean "${best.name}"?` : '';
}

/** Edit distance of Levenshtein, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a.slice(0, 40)].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j += 1) {
      const substitute = (row[j - 1] as number) + (letter === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

function show(value: unknown): string {
  if (typeof value === 'string') return `"${value.slice(0, 30)}"`;
  return typeof value === 'number' || typeof value === 'boolean' || value === null ? String(value) : typeof value;
}

/** An object whose parts are all its own: a literal, of whichever realm, and nothing with parts elsewhere. */
export function isPlain(given: unknown): given is object {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return false;
  const prototype: unknown = Object.getPrototypeOf(given);
  return (
    prototype === null ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'hasOwnProperty'))
  );
}

export function ownProperties(given: object): Map<string, unknown> {
  return new Map(Object.entries(given).filter(([, value]) => value !== undefined));
}

export function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
