import { setTimeout as pause } from 'node:timers/promises';

export interface Answer {
  /** When it was to arrive by the schedule: a generator that is late makes the answer late, and does not hide it. */
  readonly dueAt: number;
  readonly endedAt: number;
  readonly error: unknown;
}

export interface Load {
  readonly perSecond: number;
  readonly seconds: number;
  readonly request: () => Promise<unknown>;
}

/**
 * Requests that come by the clock and not when the one before is answered, as the users of a service do: a closed loop
 * would slow down with the pool, and so never overload it. https://www.usenix.org/conference/nsdi-06/open-versus-closed-cautionary-tale
 */
export async function openLoop({ perSecond, seconds, request }: Load): Promise<Answer[]> {
  const answers: Promise<Answer>[] = [];
  const total = Math.round(perSecond * seconds);
  const startedAt = performance.now();
  const dueAt = (index: number): number => startedAt + (index * 1_000) / perSecond;
  while (answers.length < total) {
    const now = performance.now();
    while (answers.length < total && dueAt(answers.length) <= now) {
      answers.push(answered(dueAt(answers.length), request));
    }
    await pause(1);
  }
  return await Promise.all(answers);
}

async function answered(dueAt: number, request: () => Promise<unknown>): Promise<Answer> {
  const error = await request().then(
    () => undefined,
    (reason: unknown) => reason ?? new Error('rejected with nothing'),
  );
  return { dueAt, endedAt: performance.now(), error };
}
