import { LifeguardError } from '../errors.ts';
import type { LifeguardPool } from '../lifeguard-pool.ts';
import { Hook } from './hook.ts';

/** The names of the methods of an object that answer with a promise. */
export type AsyncMethod<Library> = {
  [Name in keyof Library]-?: NonNullable<Library[Name]> extends (...args: never[]) => PromiseLike<unknown>
    ? Name
    : never;
}[keyof Library];

type Method = (this: unknown, ...args: unknown[]) => unknown;

const HOOK: Hook = new Hook('nestable');
/** What a method was before, by what it is now: another pool may have wrapped it as well. */
const WRAPPED = new WeakMap<Method, { readonly method: Method; readonly pool: LifeguardPool }>();

/**
 * Makes each call of these methods one whole: a transaction that the library begins in it is the one that all else
 * inside belongs to, be it asked of the library's pool, or of another library. Without it a transaction within
 * another one looks like one beside it, and waits until that is quiet.
 *
 * The methods are replaced on the object, which may be a prototype, and answer with a promise. The answer is the same object.
 */
export function nestable<Library extends object>(
  pool: LifeguardPool,
  library: Library,
  ...methods: readonly [AsyncMethod<Library>, ...AsyncMethod<Library>[]]
): Library {
  HOOK.checkPool(pool);
  const isObject = (typeof library === 'object' || typeof library === 'function') && library !== null;
  if (!isObject) HOOK.refuse(`it takes an object and the names of its methods, not ${typeof library}`);
  if (methods.length === 0) HOOK.refuse('it was given no names of methods: nestable(pool, db, "transaction")');
  // All of them or none.
  const found = methods.map((name) => [name, methodOf(library, name)] as const);
  for (const [name, method] of found) {
    if (!isWrapped(method, pool)) replace(library, name, wrapped(method, pool));
  }
  return library;
}

/** Own or inherited, or handed out by a proxy. */
function methodOf(library: object, name: PropertyKey): Method {
  const method = (library as Readonly<Record<PropertyKey, unknown>>)[name];
  if (typeof method !== 'function') HOOK.refuse(`there is no method "${String(name)}"`);
  const own = Object.getOwnPropertyDescriptor(library, name);
  const isFixed = own === undefined ? !Object.isExtensible(library) : own.configurable === false;
  if (isFixed) HOOK.refuse(`"${String(name)}" cannot be replaced; give it an object that can change: { ...library }`);
  return method as Method;
}

/** As unseen as it was. */
function replace(library: object, name: PropertyKey, value: Method): void {
  let before: PropertyDescriptor | undefined;
  for (let at: object | null = library; at !== null && before === undefined; at = Object.getPrototypeOf(at)) {
    before = Object.getOwnPropertyDescriptor(at, name);
  }
  const enumerable = before?.enumerable === true;
  Object.defineProperty(library, name, { value, enumerable, writable: true, configurable: true });
}

function isWrapped(method: Method, pool: LifeguardPool): boolean {
  for (let at = WRAPPED.get(method); at !== undefined; at = WRAPPED.get(at.method)) if (at.pool === pool) return true;
  return false;
}

function wrapped(method: Method, pool: LifeguardPool): Method {
  const whole: Method = function whole(...args) {
    return pool.whereabouts.whole(() => promised(method.apply(this, args), method.name));
  };
  Object.defineProperties(whole, {
    name: { value: method.name, configurable: true },
    length: { value: method.length, configurable: true },
  });
  WRAPPED.set(whole, { method, pool });
  return whole;
}

/** What goes on behind a method that has answered already is not inside its call. */
function promised(answer: unknown, name: string): unknown {
  const { then } = Object(answer) as { readonly then?: unknown };
  if (typeof then === 'function') return answer;
  const message = `"${name}" was given to nestable(), and answers with no promise. Give it the method that does the work, perhaps that of the builder it answers with.`;
  throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', message);
}
