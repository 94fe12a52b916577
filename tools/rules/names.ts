import { findingsOf, type Rule } from '../finding.ts';
import { EMPTY_NAMES } from '../house.ts';

/** No file or folder whose name says nothing of what is in it. */
export const names: Rule = (file) => {
  const words = file.path.split('/').flatMap((part) => part.split('.'));
  const empty = file.isTypeScript ? words.find((word) => EMPTY_NAMES.includes(word.toLowerCase())) : undefined;
  if (empty === undefined) return [];
  return [findingsOf('names', file)(1, `"${empty}" names no noun: a helper lives beside its one user, or is a noun`)];
};
