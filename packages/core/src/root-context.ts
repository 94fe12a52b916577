import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Runs `fn` in no request's async context. A socket or a timer that is made inside a request would otherwise carry
 * that request's store for its whole life, and a pool's sockets outlive every request.
 * https://nodejs.org/api/async_context.html#static-method-asynclocalstoragesnapshot
 */
export const inRootContext: <R>(fn: () => R) => R = AsyncLocalStorage.snapshot();
