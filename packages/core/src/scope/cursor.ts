import type { Submittable } from '../pg/submittable.ts';

/** A cursor, a stream or a COPY: what pg calls a submittable. */
export function isSubmittable(given: unknown): given is Submittable {
  return typeof given === 'object' && given !== null && typeof (given as { submit?: unknown }).submit === 'function';
}

/**
 * Whether it waits for whoever has it: a cursor that nobody reads, a stream that is full, a COPY without data.
 * https://nodejs.org/api/stream.html#readablereadablehighwatermark
 */
export function isIdle(submittable: Submittable): boolean {
  const { cursor = submittable } = submittable as Closable;
  const { state, readableLength, readableHighWaterMark, writableLength, writableEnded } = cursor as Stream;
  if (typeof state === 'string') return state !== 'busy';
  if (writableLength !== undefined) return writableLength === 0 && writableEnded === false;
  return (readableLength ?? 0) >= (readableHighWaterMark ?? Number.POSITIVE_INFINITY);
}

interface Stream {
  readonly state?: unknown;
  readonly readableLength?: number;
  readonly readableHighWaterMark?: number;
  readonly writableLength?: number;
  readonly writableEnded?: boolean;
}

/** What is known of one, whichever package it is from. */
interface Closable {
  readonly cursor?: unknown;
  close?(done: () => void): unknown;
  destroy?(): unknown;
  resume?(): unknown;
  on?(event: 'error', listener: () => void): unknown;
}

/**
 * A COPY … TO reads the socket itself: once destroyed, it would leave unread there what others wait for. It can only be
 * read to its end, or to the end that a cancel makes.
 */
export function isDrained(submittable: Submittable): boolean {
  const { cursor, resume } = submittable as Closable;
  return cursor === undefined && typeof resume === 'function';
}

/**
 * Ends one that was left open, so that the connection can go on: a stream is destroyed, a cursor is closed.
 * https://nodejs.org/api/stream.html#readabledestroyerror, https://node-postgres.com/apis/cursor#close
 */
export function putAway(submittable: Submittable): void {
  const closable = submittable as Closable;
  try {
    // Whoever left it open does not listen to it either, and an error that nobody hears ends the process.
    if (typeof closable.destroy === 'function') closable.on?.('error', () => undefined);
    if (isDrained(submittable)) closable.resume?.();
    else if (typeof closable.destroy === 'function') closable.destroy();
    else closable.close?.(() => undefined);
  } catch {
    // It is somebody else's code. If the connection stays busy, it is interrupted.
  }
}
