import { Logger, makeWorkerUtils, type Runner, run, type TaskList, type WorkerUtils } from 'graphile-worker';
import type pg from 'pg';

const logger = new Logger(() => () => undefined);

export async function openQueue(pgPool: pg.Pool): Promise<WorkerUtils> {
  const utils = await makeWorkerUtils({ pgPool, logger });
  await utils.migrate();
  return utils;
}

/** A worker that looks by itself only once a minute: what comes sooner, it was notified of. */
export function openWorker(pgPool: pg.Pool, taskList: TaskList): Promise<Runner> {
  return run({ pgPool, taskList, logger, pollInterval: 60_000, noHandleSignals: true });
}
