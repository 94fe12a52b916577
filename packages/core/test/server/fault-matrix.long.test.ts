import { describe, testWithServer } from '@lifeguard/testkit/vitest';
import { runMatrix } from './fault-matrix-run.ts';

const test = testWithServer({ settings: { max_connections: 300 } });

describe('a transaction that something befalls', () => {
  runMatrix(test, 'never tried again', { options: { retry: false }, wire: {} });
  runMatrix(test, 'resolved', { options: { commitOutcome: 'resolve' }, wire: {} });
  runMatrix(test, 'resolved by token', { options: { commitOutcome: 'token' }, wire: {} });
  runMatrix(test, 'resolved by token and never tried again', {
    options: { commitOutcome: 'token', retry: false },
    wire: {},
  });
  runMatrix(test, 'over a slow network', {
    options: { commitOutcome: 'token' },
    wire: { latencyMillis: 2, jitterMillis: 4 },
  });
});
