import os from 'node:os';

/** Where a figure comes from: absolute ones hold only there, ratios hold better. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGigabytes: number;
  readonly platform: string;
  /** Processes that wanted a core in the minute before: above `cores`, the run was disturbed. */
  readonly loadBefore: number;
}

export function thisMachine(): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() || 'unknown',
    cores: os.availableParallelism(),
    memoryGigabytes: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.platform()} ${os.arch()} ${os.release()}`,
    loadBefore: Math.round((os.loadavg()[0] ?? 0) * 100) / 100,
  };
}
