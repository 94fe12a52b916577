import type { SourceFile } from './source-file.ts';
import { isNode, type SyntaxNode, visits } from './syntax-tree.ts';

/** One import, or one export from elsewhere. */
export interface ModuleLink {
  readonly node: SyntaxNode;
  readonly from: string;
  /** Gone when the program runs. */
  readonly typesOnly: boolean;
}

const LINKS = new Set(['ImportDeclaration', 'ExportNamedDeclaration', 'ExportAllDeclaration', 'ImportExpression']);

/** What a file imports or passes on, dynamic imports and `import('…')` types included. */
export function moduleLinks(file: SourceFile): ModuleLink[] {
  const links: ModuleLink[] = [];
  for (const { node } of visits(file.tree)) {
    const from = isNode(node['source']) ? node['source']['value'] : undefined;
    if (typeof from !== 'string') continue;
    if (LINKS.has(node.type)) links.push({ node, from, typesOnly: isTypesOnly(node) });
    if (node.type === 'TSImportType') links.push({ node, from, typesOnly: true });
  }
  return links;
}

function isTypesOnly(node: SyntaxNode): boolean {
  if (node['importKind'] === 'type' || node['exportKind'] === 'type') return true;
  const names = (node['specifiers'] ?? []) as SyntaxNode[];
  return names.length > 0 && names.every((name) => name['importKind'] === 'type' || name['exportKind'] === 'type');
}
