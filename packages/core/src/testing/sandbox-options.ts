import { ownOptions, refuseBadCall } from '../scope/call-options.ts';
import { ISOLATIONS, type Isolation } from '../scope/transaction-options.ts';
import { wrongCall } from './refusals.ts';

/** How a sandbox is to be. Every part may be absent. */
export interface SandboxOptions {
  /** In errors, events and `snapshot().held`: mostly the name of the test. @default 'sandbox' */
  readonly name?: string | undefined;
  /** What its inner transactions may ask for at most: it is one transaction of the server. @default the server's default */
  readonly isolation?: Isolation | undefined;
  /** Wait for its connection at most, in milliseconds above 0. @default the pool's `acquireTimeoutMillis` */
  readonly timeoutMillis?: number | undefined;
  /** Ends it: the signal of the test, which aborts at its time limit. @default none */
  readonly signal?: AbortSignal | undefined;
  /** Code that is in no sandbox is in this one too, such as a worker that was started long before. For tests that run one at a time. @default false */
  readonly shared?: boolean | undefined;
}

const ABSENT: { readonly [Part in keyof Required<SandboxOptions>]: undefined } = Object.freeze({
  name: undefined,
  isolation: undefined,
  timeoutMillis: undefined,
  signal: undefined,
  shared: undefined,
});

export function readSandboxOptions(given: SandboxOptions): SandboxOptions {
  const options = ownOptions<SandboxOptions>(given, ABSENT, refuse);
  const { name, timeoutMillis, signal, isolation, shared } = options;
  refuseBadCall({ ...NOTHING, name, timeoutMillis, signal });
  if (isolation !== undefined && !ISOLATIONS.includes(isolation))
    refuse(`isolation is one of ${ISOLATIONS.join(', ')}`);
  if (shared !== undefined && typeof shared !== 'boolean') refuse('shared must be true or false');
  return options;
}

const NOTHING = { group: undefined, priority: undefined, owner: undefined, lane: undefined };

function refuse(complaint: string): never {
  throw wrongCall(complaint);
}
