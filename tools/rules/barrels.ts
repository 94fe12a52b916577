import { findingsOf, type Rule } from '../finding.ts';
import { LIMITS } from '../house.ts';
import type { SyntaxNode } from '../syntax-tree.ts';

/** A barrel is a short list written by hand. */
export const barrels: Rule = (file) => {
  if (!/^(packages\/[^/]+|testkit|conformance)\/src\/([^/]+\/)?index\.ts$/.test(file.path)) return [];
  const finding = findingsOf('barrel', file);
  const statements = file.tree['body'] as SyntaxNode[];
  const stars = statements.filter(({ type }) => type === 'ExportAllDeclaration');
  const exported = statements.flatMap((node) => (node['specifiers'] as SyntaxNode[] | undefined) ?? []);
  const findings = stars.map((node) => finding(file.lineOf(node), 'export * hides what is public: name it'));
  if (exported.length > LIMITS.barrelNames) {
    findings.push(finding(1, `${exported.length} names, at most ${LIMITS.barrelNames}: one obvious entry`));
  }
  return findings;
};
