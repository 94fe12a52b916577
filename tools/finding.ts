import type { SourceFile } from './source-file.ts';

/** One place where the house is not as it should be. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly why: string;
}

/** Looks at one file. */
export type Rule = (file: SourceFile) => Finding[];

/** Starts the findings of a rule in a file. */
export function findingsOf(rule: string, file: SourceFile): (line: number, why: string) => Finding {
  return (line, why) => ({ path: file.path, line, rule, why });
}

export function describeFinding({ path, line, rule, why }: Finding): string {
  return `${path}:${line}  ${rule}: ${why}`;
}
