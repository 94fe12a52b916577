import type { LifeguardPool } from '../lifeguard-pool.ts';
import { Enclosure } from './enclosure.ts';
import { wrongCall } from './refusals.ts';
import { Sandbox } from './sandbox.ts';
import { readSandboxOptions, type SandboxOptions } from './sandbox-options.ts';

/**
 * Opens a sandbox for the rest of the running function: `await using db = await sandbox(pool)`. With a function, it is
 * for that alone, and ends with it.
 */
export function sandbox(pool: LifeguardPool, options?: SandboxOptions): Promise<Sandbox>;
export function sandbox<T>(pool: LifeguardPool, fn: (db: Sandbox) => T | Promise<T>): Promise<T>;
export function sandbox<T>(
  pool: LifeguardPool,
  options: SandboxOptions,
  fn: (db: Sandbox) => T | Promise<T>,
): Promise<T>;
/** Not async: up to the first await it runs in the context of its caller, which it is to change. */
export function sandbox<T>(
  pool: LifeguardPool,
  options: SandboxOptions | ((db: Sandbox) => T | Promise<T>) = {},
  fn?: (db: Sandbox) => T | Promise<T>,
): Promise<Sandbox | T> {
  try {
    if (typeof options === 'function' && fn !== undefined)
      throw wrongCall('it is sandbox(pool, options, fn), options first');
    const work = typeof options === 'function' ? options : fn;
    const given = typeof options === 'function' ? {} : readSandboxOptions(options);
    if (work === undefined) return Sandbox.open(pool, given, 'entered');
    return Sandbox.open(pool, given, 'for a function').then(async (db) => {
      try {
        return await db.run(async () => work(db));
      } finally {
        await db.end();
      }
    });
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Runs `fn` outside of the sandboxes of the pool, on the database itself: what is done there stays. */
export function outsideSandboxes<R>(pool: LifeguardPool, fn: () => R): R {
  return Enclosure.of(pool).run(undefined, fn);
}
