/** A node of the tree that vite's parser makes (ESTree with TypeScript). */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

/** A node with the way to it, the nearest parent first. */
export interface Visit {
  readonly node: SyntaxNode;
  readonly parent: SyntaxNode | undefined;
  /** The field of the parent it hangs on. */
  readonly field: string;
}

/** All nodes, parents first; `into` may keep it out of a part. */
export function* visits(
  node: SyntaxNode,
  into: (node: SyntaxNode) => boolean = () => true,
  from: Omit<Visit, 'node'> = { parent: undefined, field: '' },
): Generator<Visit> {
  if (!into(node)) return;
  yield { node, ...from };
  for (const [field, value] of Object.entries(node)) {
    for (const child of [value].flat().filter(isNode)) yield* visits(child, into, { parent: node, field });
  }
}

export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && typeof (value as SyntaxNode).type === 'string';
}

/** The name of an identifier, or undefined. */
export function nameOf(node: unknown): string | undefined {
  return isNode(node) && node.type === 'Identifier' ? (node['name'] as string) : undefined;
}

// Nodes of TypeScript that hold an expression; all others are types, and are gone when the program runs.
const EXPRESSIONS = new Set([
  ...['TSAsExpression', 'TSSatisfiesExpression', 'TSNonNullExpression', 'TSInstantiationExpression'],
  ...['TSTypeAssertion', 'TSParameterProperty', 'TSExportAssignment', 'TSEnumDeclaration', 'TSEnumBody'],
  ...['TSEnumMember', 'TSModuleDeclaration', 'TSModuleBlock'],
]);

/** Keeps a visit out of types. */
export function isRuntime(node: SyntaxNode): boolean {
  return !node.type.startsWith('TS') || EXPRESSIONS.has(node.type);
}

export function isFunction(node: SyntaxNode): boolean {
  return /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type) && isNode(node['body']);
}

/** Where a chain such as `test.skipIf(x).each(y)` begins. */
export function rootOf(node: SyntaxNode): SyntaxNode {
  if (node.type === 'MemberExpression') return rootOf(node['object'] as SyntaxNode);
  if (node.type === 'CallExpression') return rootOf(node['callee'] as SyntaxNode);
  if (node.type === 'TaggedTemplateExpression') return rootOf(node['tag'] as SyntaxNode);
  return node;
}
