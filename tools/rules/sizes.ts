import { type Finding, findingsOf, type Rule } from '../finding.ts';
import { LIMITS } from '../house.ts';
import type { SourceFile } from '../source-file.ts';
import { isFunction, type SyntaxNode, visits } from '../syntax-tree.ts';

/** Files, functions and parameter lists that a reader can hold in the head; tests may be long. */
export const sizes: Rule = (file) => {
  if (!file.isTypeScript || file.isTest) return [];
  return [...fileFindings(file), ...functionsOf(file).flatMap((node) => functionFindings(file, node))];
};

/** The lines of each function, without arrows that are mere expressions. */
export function functionLengths(file: SourceFile): number[] {
  return functionsOf(file)
    .filter((node) => node['expression'] !== true)
    .map((node) => file.lengthOf(node));
}

function fileFindings(file: SourceFile): Finding[] {
  const { length } = file.lines;
  const why = `${length} lines, at most ${LIMITS.fileLines}: one file is one noun`;
  return length > LIMITS.fileLines ? [findingsOf('file-lines', file)(LIMITS.fileLines + 1, why)] : [];
}

function functionFindings(file: SourceFile, node: SyntaxNode): Finding[] {
  const findings: Finding[] = [];
  const [line, length, parameters] = [file.lineOf(node), file.lengthOf(node), (node['params'] as SyntaxNode[]).length];
  if (length > LIMITS.functionLines) {
    findings.push(findingsOf('function-lines', file)(line, `${length} lines, at most ${LIMITS.functionLines}`));
  }
  if (parameters > LIMITS.parameters) {
    const why = `${parameters} positional parameters, at most ${LIMITS.parameters}: take an object`;
    findings.push(findingsOf('parameters', file)(line, why));
  }
  return findings;
}

function functionsOf(file: SourceFile): SyntaxNode[] {
  return [...visits(file.tree)].map(({ node }) => node).filter(isFunction);
}
