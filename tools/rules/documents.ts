import { findingsOf, type Rule } from '../finding.ts';
import { LIMITS } from '../house.ts';

/** What must be read first must be short. */
export const documents: Rule = (file) => {
  const limit = LIMITS.documents[file.name];
  const { length } = file.lines;
  if (limit === undefined || length <= limit) return [];
  return [findingsOf('documents', file)(limit + 1, `${length} lines, at most ${limit}: depth lives in docs/`)];
};
