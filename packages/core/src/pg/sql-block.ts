import { isString } from './sql-scanner.ts';

type Tokens = readonly string[];

/** Whether a statement may run inside a transaction block; `doubtful` where its words do not tell. */
type InBlock = 'allowed' | 'doubtful' | 'refused';

/**
 * What the server refuses inside a block, by the manual page of each command. REINDEX and CLUSTER may name a
 * partitioned table, a procedure may commit, and a subscription may have a slot: none of that can be seen. The words
 * that decide stand in the head of any statement that the server accepts.
 */
export function inBlock(head: Tokens): InBlock {
  switch (head[0]) {
    case 'VACUUM':
      return 'refused';
    case 'REINDEX':
    case 'CLUSTER':
    case 'CALL':
      return 'doubtful';
    case 'CREATE':
    case 'DROP':
      return isConcurrentIndex(head) ? 'refused' : objectInBlock(head[1]);
    case 'ALTER':
      return alterationInBlock(head);
    case 'DISCARD':
      return refusedIf(head[1] === 'ALL');
    case 'COMMIT':
    case 'ROLLBACK':
      return refusedIf(head[1] === 'PREPARED');
    case 'DO':
      // Only a block that ends transactions itself; most do not, and should have their time-outs.
      return head.some((token) => isString(token) && /\b(?:commit|rollback)\b/i.test(token)) ? 'doubtful' : 'allowed';
    default:
      return 'allowed';
  }
}

function refusedIf(isRefused: boolean): InBlock {
  return isRefused ? 'refused' : 'allowed';
}

function objectInBlock(object: string | undefined): InBlock {
  if (object === 'SUBSCRIPTION') return 'doubtful';
  return refusedIf(object === 'DATABASE' || object === 'TABLESPACE');
}

/** `CREATE [UNIQUE] INDEX CONCURRENTLY`, `DROP INDEX CONCURRENTLY`: the word comes right behind INDEX. */
function isConcurrentIndex(head: Tokens): boolean {
  const index = head[1] === 'UNIQUE' ? 2 : 1;
  return head[index] === 'INDEX' && head[index + 1] === 'CONCURRENTLY';
}

/** `ALTER DATABASE … SET TABLESPACE` and `ALTER TABLE … DETACH PARTITION … CONCURRENTLY`. */
function alterationInBlock(head: Tokens): InBlock {
  const object = head[1];
  if (object === 'DATABASE') return refusedIf(head.includes('TABLESPACE'));
  if (object === 'TABLE') return refusedIf(head.includes('CONCURRENTLY'));
  return object === 'SUBSCRIPTION' ? 'doubtful' : refusedIf(object === 'SYSTEM');
}
