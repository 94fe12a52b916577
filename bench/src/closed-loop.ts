import { quantile } from './statistics.ts';

export interface Callers {
  readonly callers: number;
  readonly seconds: number;
  readonly request: () => Promise<unknown>;
}

export interface Throughput {
  readonly perSecond: number;
  /** CPU of this process, its other threads included, in microseconds for each request. */
  readonly cpuMicros: number;
  readonly p50Millis: number;
  readonly p99Millis: number;
}

/** Callers who ask again as soon as they are answered: what a service can do at its best. */
export async function closedLoop({ callers, seconds, request }: Callers): Promise<Throughput> {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1_000;
  const latencies: number[] = [];
  const caller = async (): Promise<void> => {
    for (let now = performance.now(); now < endsAt; ) {
      const since = now;
      await request();
      now = performance.now();
      latencies.push(now - since);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const wallMillis = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: (latencies.length * 1_000) / wallMillis,
    cpuMicros: (user + system) / latencies.length,
    p50Millis: quantile(latencies, 0.5),
    p99Millis: quantile(latencies, 0.99),
  };
}
