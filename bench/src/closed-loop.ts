export interface Callers {
  readonly callers: number;
  readonly seconds: number;
  readonly request: () => Promise<unknown>;
}

export interface Throughput {
  readonly perSecond: number;
  /** CPU of this process, its other threads included, in microseconds for each request. */
  readonly cpuMicros: number;
}

/** Callers who ask again as soon as they are answered: what a service can do at its best. */
export async function closedLoop({ callers, seconds, request }: Callers): Promise<Throughput> {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1_000;
  let done = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < endsAt) {
      await request();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (done * 1_000) / (performance.now() - startedAt), cpuMicros: (user + system) / done };
}
