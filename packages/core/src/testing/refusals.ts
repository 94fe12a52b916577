import { LifeguardError, nameOf, type PoolFigures } from '../errors.ts';

/** What a sandbox refuses. Each says which sandbox it was, why, and what to do instead. */

const UNSENT = { consequence: 'nothing-sent' } as const;

export function sandboxEnded(name: string): LifeguardError {
  const message = `Nothing was sent: the sandbox "${name}" has ended, and this was asked for inside it. Await all work before the test ends; what is meant for the database itself goes through outsideSandboxes().`;
  return new LifeguardError('ERR_LIFEGUARD_SANDBOX', message, UNSENT);
}

/** A statement that was cut off by the end of its sandbox. */
export function endedMeanwhile(name: string, cause: unknown): LifeguardError {
  const message = `The sandbox "${name}" ended while the statement ran. It was cancelled, and nothing of it remains. Await all work before the test ends.`;
  return new LifeguardError('ERR_LIFEGUARD_SANDBOX', message, { consequence: 'may-have-run', cause });
}

export function notOpenYet(name: string): LifeguardError {
  const message = `Nothing was sent: the sandbox "${name}" is not open yet; await sandbox() first.`;
  return new LifeguardError('ERR_LIFEGUARD_ARGUMENT', message, UNSENT);
}

export function sandboxLost(name: string, cause: unknown): LifeguardError {
  const message = `Nothing was sent: the sandbox "${name}" is lost (${nameOf(cause)}: see the cause), and with it all that its test had written.`;
  return new LifeguardError('ERR_LIFEGUARD_SANDBOX', message, { ...UNSENT, cause });
}

/** A sandbox is lost by it. */
export function endedBehindOurBack(): Error {
  return new Error(
    'The server says that no transaction is open: a COMMIT or ROLLBACK of a statement has ended it unseen.',
  );
}

export function noConnection(name: string, cause: LifeguardError): LifeguardError {
  const message = `The sandbox "${name}" got no connection. Each sandbox has one for itself until it ends: the pool's "max" must be at least the number of tests that run at the same time, or fewer tests may. ${cause.message}`;
  const figures = cause.figures === undefined ? {} : { figures: cause.figures as PoolFigures };
  return new LifeguardError(cause.code, message, { ...UNSENT, ...figures, cause });
}

/** The sandbox has one connection, and who asks is inside the transaction that has it. */
export function waitsForItself(name: string): LifeguardError {
  const message = `Nothing was sent: a transaction that is open in the sandbox "${name}" has its only connection, and what was asked for inside that transaction wants another one (propagation "requires-new", "not-supported" or "never", outside(), lease()). It would wait for itself. Test this piece of code against the database itself, with outsideSandboxes().`;
  return new LifeguardError('ERR_LIFEGUARD_SANDBOX', message, UNSENT);
}

export function noTurn(name: string, millis: number): LifeguardError {
  const message = `Nothing was sent: for ${millis} ms a transaction that is open in the sandbox "${name}" had its only connection. What a test does at the same time takes turns there: a transaction that waits for another one never ends.`;
  return new LifeguardError('ERR_LIFEGUARD_ACQUIRE_TIMEOUT', message, UNSENT);
}

export function tooWeak(name: string, wanted: string, given: string): LifeguardError {
  const message = `Nothing was sent: isolation "${wanted}" was asked for, and the sandbox "${name}" has "${given}" for all that is in it. Open it with sandbox(pool, { isolation: '${wanted}' }).`;
  return new LifeguardError('ERR_LIFEGUARD_SANDBOX', message, UNSENT);
}

export function cannotWork(name: string, what: string, cause?: unknown): LifeguardError {
  const message = `${what} cannot run in the sandbox "${name}": it is one transaction of the server, which never commits. Test this piece of code against the database itself, with outsideSandboxes().`;
  return new LifeguardError('ERR_LIFEGUARD_SANDBOX', message, { ...UNSENT, cause });
}

export function wrongCall(complaint: string): LifeguardError {
  return new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `The sandbox was not opened: ${complaint}.`, UNSENT);
}
