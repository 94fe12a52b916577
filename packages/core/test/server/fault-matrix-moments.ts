import type { Message, ProxyOptions } from '@lifeguard/testkit';

/** Where a transaction is when the fault comes. */
export interface Moment {
  /** The message that is kept back on the wire, or whose answer is. */
  readonly held?: NonNullable<ProxyOptions['holdAt']>;
  /** The step that runs on the server until something ends it. */
  readonly slow?: string;
  /** Somebody else has the only connection. */
  readonly line?: 'full';
  /** Whether a connection is open beforehand. */
  readonly dialled: 'before' | 'during';
}

function sends(text: RegExp): (message: Message) => boolean {
  return ({ from, type, body }) => from === 'client' && (type === 'Q' || type === 'P') && text.test(`${body}`);
}

const BEGIN = sends(/^\0?BEGIN/);
const SAVEPOINT = sends(/^\0?SAVEPOINT/i);
const COMMIT = sends(/^\0?COMMIT/);

export const MOMENTS = {
  waiting: { dialled: 'before', line: 'full' },
  dialling: { dialled: 'during', held: { kept: 'question', message: ({ type }) => type === 'startup' } },
  'BEGIN on its way': { dialled: 'before', held: { kept: 'question', message: BEGIN } },
  'BEGIN answered in vain': { dialled: 'before', held: { kept: 'answer', message: BEGIN } },
  'first statement': { dialled: 'before', slow: 'first' },
  'between statements': { dialled: 'before' },
  'later statement': { dialled: 'before', slow: 'later' },
  'SAVEPOINT on its way': { dialled: 'before', held: { kept: 'question', message: SAVEPOINT } },
  'SAVEPOINT answered in vain': { dialled: 'before', held: { kept: 'answer', message: SAVEPOINT } },
  'COMMIT on its way': { dialled: 'before', held: { kept: 'question', message: COMMIT } },
  'COMMIT answered in vain': { dialled: 'before', held: { kept: 'answer', message: COMMIT } },
  after: { dialled: 'before' },
} as const satisfies Record<string, Moment>;

export type MomentName = keyof typeof MOMENTS;
