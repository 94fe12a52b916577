/** Where libraries keep the error that they were given. */
const INSIDE = [
  'cause',
  'driverError',
  'original',
  'parent',
  'previous',
  'nativeError',
  'originalError',
  'meta',
  'driverAdapterError',
];

/** Every code that an error carries, its own and those of the errors inside it, whatever the library made of them. */
export function codesOf(error: unknown): string[] {
  const seen = new Set<object>();
  const codes = new Set<string>();
  const visit = (part: unknown): void => {
    if (typeof part !== 'object' || part === null || seen.has(part)) return;
    seen.add(part);
    const { code, originalCode, ...rest } = withHidden(part);
    for (const one of [code, originalCode]) if (typeof one === 'string') codes.add(one);
    for (const name of INSIDE) visit(rest[name]);
  };
  visit(error);
  return [...codes];
}

/** With the parts that are not enumerable: `cause` is one. */
function withHidden(part: object): Record<string, unknown> {
  const names = ['code', 'originalCode', ...INSIDE];
  return Object.fromEntries(names.map((name) => [name, (part as Record<string, unknown>)[name]]));
}

/** What a promise rejects with; it is an error when it does not. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in outcome) return outcome.error;
  throw new Error(`It was expected to fail and answered ${String(outcome.value)}`);
}
