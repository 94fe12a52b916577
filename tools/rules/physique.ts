import type { Finding } from '../finding.ts';
import { LIMITS } from '../house.ts';
import type { SourceFile } from '../source-file.ts';
import { functionLengths } from './sizes.ts';

export interface Physique {
  readonly functions: number;
  readonly median: number;
  readonly ninthDecile: number;
}

/** How long the functions of the packages are, taken together. */
export function physiqueOf(files: readonly SourceFile[]): Physique {
  const sources = files.filter(({ path, isTypeScript }) => isTypeScript && /^packages\/[^/]+\/src\//.test(path));
  const lengths = sources.flatMap(functionLengths).sort((a, b) => a - b);
  const at = (share: number): number => lengths[Math.floor((lengths.length - 1) * share)] ?? 0;
  return { functions: lengths.length, median: at(0.5), ninthDecile: at(0.9) };
}

export function judgePhysique({ median, ninthDecile }: Physique): Finding[] {
  const finding = (why: string): Finding => ({ path: 'packages', line: 1, rule: 'physique', why });
  const findings: Finding[] = [];
  const { medianFunctionLines, ninthDecileFunctionLines } = LIMITS;
  if (median > medianFunctionLines) {
    findings.push(finding(`the median function has ${median} lines, at most ${medianFunctionLines}`));
  }
  if (ninthDecile > ninthDecileFunctionLines) {
    findings.push(finding(`one function in ten has ${ninthDecile} lines, at most ${ninthDecileFunctionLines}`));
  }
  return findings;
}
