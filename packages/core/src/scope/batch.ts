import { isLifeguardError, LifeguardError } from '../errors.ts';
import type { Statement } from '../pg/statement.ts';
import type { GroupAnswer } from '../pg/sync-group.ts';
import type { BatchResults } from './batch-results.ts';
import type { Server } from './ground.ts';
import { toStatement } from './statement.ts';
import { batchFailed, batchUnread } from './transaction-errors.ts';

/** Statements that can travel in one packet: one per text, and none that would end it or that needs an answer of ours. */
export function readBatch(given: unknown, server: Server): readonly Statement[] {
  if (!Array.isArray(given)) refuse(`batch() takes an array of statements, not ${typeof given}`);
  return (given as readonly (string | Statement)[]).map((one, index) => {
    const statement = toStatement(one, undefined);
    const { statements, words, transaction, needsNoBlock } = server.read(statement.text);
    if (statements > 1) refuse(`statement ${index} of the batch holds ${statements}: give each a place of its own`);
    if (transaction.length > 0)
      refuse(
        `statement ${index} of the batch is a ${transaction[0]?.toUpperCase()}: a batch is one transaction by itself`,
      );
    if (words[0] === 'COPY') refuse(`statement ${index} of the batch is a COPY, which needs a connection to itself`);
    if (needsNoBlock)
      refuse(
        `statement ${index} of the batch (${words[0]}) cannot run, or may not be able to run, together with others`,
      );
    return statement;
  });
}

export function toBatchResults<Rows extends readonly unknown[]>(
  answer: GroupAnswer,
  count: number,
): BatchResults<Rows> {
  if (answer.failure === undefined) return answer.results as unknown as BatchResults<Rows>;
  const { index, error } = answer.failure;
  // An error of ours says all by itself, and has its own HTTP answer.
  if (index < 0 || isLifeguardError(error)) throw error;
  throw answer.results.length > index ? batchUnread(index, count, error) : batchFailed(index, count, error);
}

function refuse(complaint: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `Nothing was sent: ${complaint}.`, {
    consequence: 'nothing-sent',
  });
}
