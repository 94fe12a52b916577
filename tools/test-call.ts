import type { SourceFile } from './source-file.ts';
import { isFunction, isNode, nameOf, rootOf, type SyntaxNode, visits } from './syntax-tree.ts';

/** One test as it is declared: `test('…', () => …)`, in all its variations. */
export interface TestCall {
  readonly node: SyntaxNode;
  /** Undefined where it is computed. */
  readonly name: string | undefined;
  readonly body: SyntaxNode;
}

export function testCalls(file: SourceFile): TestCall[] {
  const declarers = testDeclarers(file);
  return [...visits(file.tree)].flatMap(({ node }) => {
    if (node.type !== 'CallExpression' || !declarers.has(nameOf(rootOf(node)) ?? '')) return [];
    const [name, ...rest] = node['arguments'] as SyntaxNode[];
    const body = rest.find(isFunction);
    return name === undefined || body === undefined ? [] : [{ node, name: textOf(name), body }];
  });
}

/** `test`, `it`, and what the file has made of them. */
export function testDeclarers(file: SourceFile): Set<string> {
  const own = [...visits(file.tree)].flatMap(({ node }) => {
    const init = node.type === 'VariableDeclarator' ? node['init'] : undefined;
    const isTest = isNode(init) && /^(test|it|testWithServer)$/.test(nameOf(rootOf(init)) ?? '');
    return isTest ? [nameOf(node['id']) ?? ''] : [];
  });
  return new Set(['test', 'it', ...own]);
}

/** A literal's text; each value set into a template counts as one word. */
function textOf(node: SyntaxNode): string | undefined {
  if (node.type === 'Literal') return String(node['value']);
  if (node.type !== 'TemplateLiteral') return undefined;
  const parts = node['quasis'] as { value: { cooked: string } }[];
  return parts.map(({ value }) => value.cooked).join('x');
}
