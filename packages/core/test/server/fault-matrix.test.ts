import { describe, testWithServer } from '@lifeguard/testkit/vitest';
import { runMatrix } from './fault-matrix-run.ts';

const test = testWithServer({ settings: { max_connections: 300 } });

describe('a transaction that something befalls', () => {
  runMatrix(test, 'as it is', { options: {}, wire: {} });
  runMatrix(test, 'resolved and never tried again', { options: { commitOutcome: 'resolve', retry: false }, wire: {} });
});
