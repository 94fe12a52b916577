import { describeMemory } from './memory-cases.ts';

describeMemory({ leases: 50_000, waiters: 10_000, deaths: 1_000 });
