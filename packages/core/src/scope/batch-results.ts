import type { QueryResult } from '../pg/statement.ts';

/** One result for each statement, in their order. */
export type BatchResults<Rows extends readonly unknown[]> = {
  -readonly [Index in keyof Rows]: QueryResult<Rows[Index]>;
};
