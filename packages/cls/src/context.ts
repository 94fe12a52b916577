// biome-ignore lint/suspicious/noExplicitAny: as @types/cls-hooked has it, so that code typed by it still compiles
export type Anything = any;

/** The values of one run. Those of the runs around it are seen through it: they are its prototypes. */
export interface Context {
  readonly _ns_name: string;
  readonly id: number;
  [key: PropertyKey]: Anything;
}

/** Under this key an error carries the context that it came out of. */
export const ERROR_SYMBOL = 'error@context' as const;

/**
 * Not enumerable: whoever logs the error would log the values of the request with it. What cannot carry a context (a
 * string, null, a frozen error) is thrown as it is.
 */
export function annotate(error: unknown, context: Context): void {
  if ((typeof error !== 'object' || error === null) && typeof error !== 'function') return;
  Reflect.defineProperty(error, ERROR_SYMBOL, { value: context, configurable: true, writable: true });
}
