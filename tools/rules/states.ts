import { findingsOf, type Rule } from '../finding.ts';
import { isNode, nameOf, type SyntaxNode, visits } from '../syntax-tree.ts';

// `#closed`, `isOpen`, `draining`: a state that hides from the union.
const FLAG = /^(is[A-Z].*|.*(ed|ing))$/;

/** In pool/ and scope/ what a thing is in is a union, not a bunch of booleans. */
export const states: Rule = (file) => {
  if (!/^packages\/core\/src\/(pool|scope)\//.test(file.path)) return [];
  const finding = findingsOf('one-state', file);
  const flags = [...visits(file.tree)].map(({ node }) => node).filter(isFlag);
  return flags.map((node) => finding(file.lineOf(node), `${fieldName(node)} is a flag: make it a variant of #state`));
};

function isFlag(node: SyntaxNode): boolean {
  if (node.type !== 'PropertyDefinition' || node['readonly'] === true || !FLAG.test(fieldName(node))) return false;
  const value = node['value'];
  const annotation = isNode(node['typeAnnotation']) ? node['typeAnnotation']['typeAnnotation'] : undefined;
  const isBoolean = isNode(annotation) && annotation.type === 'TSBooleanKeyword';
  return isBoolean || (isNode(value) && typeof value['value'] === 'boolean');
}

function fieldName(node: SyntaxNode): string {
  const key = node['key'] as SyntaxNode;
  return nameOf(key) ?? (key.type === 'PrivateIdentifier' ? (key['name'] as string) : '');
}
