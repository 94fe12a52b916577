import { describeMemory } from './memory-cases.ts';

describeMemory({ leases: 1_000_000, waiters: 100_000, deaths: 10_000 });
