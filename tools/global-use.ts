import type { SourceFile } from './source-file.ts';
import { isRuntime, nameOf, type SyntaxNode, type Visit, visits } from './syntax-tree.ts';

/** A name that is read at run time, with its members: `setTimeout`, `process.emitWarning`. */
export interface GlobalUse {
  readonly node: SyntaxNode;
  readonly name: string;
}

/** Every name that is read where it is not a property's; whether it is a global is not looked up. */
export function globalUses(file: SourceFile): GlobalUse[] {
  return [...visits(file.tree, isRuntime)].filter(isRead).map(({ node, parent }) => {
    return { node, name: withMember(node['name'] as string, node, parent) };
  });
}

function isRead({ node, parent, field }: Visit): boolean {
  if (node.type !== 'Identifier' || parent === undefined) return false;
  if (/^(Import|Export)/.test(parent.type)) return false;
  const isProperty = field === 'property' || field === 'key';
  // `globalThis.setTimeout` is the timer all the same.
  return !isProperty || parent['computed'] === true || nameOf(parent['object']) === 'globalThis';
}

function withMember(name: string, node: SyntaxNode, parent: SyntaxNode | undefined): string {
  const member =
    parent?.type === 'MemberExpression' && parent['object'] === node ? nameOf(parent['property']) : undefined;
  return member === undefined ? name : `${name}.${member}`;
}
