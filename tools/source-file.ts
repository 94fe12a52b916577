import { basename } from 'node:path';
import { parseAst } from 'vitest/node';
import type { SyntaxNode } from './syntax-tree.ts';

/** A text file of the project, with its syntax tree if it is TypeScript. */
export class SourceFile {
  /** From the root of the project, with slashes. */
  readonly path: string;
  readonly text: string;
  #tree: SyntaxNode | undefined;
  #lineStarts: number[] | undefined;

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
  }

  get name(): string {
    return basename(this.path);
  }

  get isTypeScript(): boolean {
    return /\.[cm]?ts$/.test(this.path);
  }

  get isTest(): boolean {
    return /(^|\/)test\//.test(this.path);
  }

  get lines(): readonly string[] {
    return this.text.replace(/\n$/, '').split('\n');
  }

  get tree(): SyntaxNode {
    this.#tree ??= parseAst(this.text, { lang: 'ts' }) as unknown as SyntaxNode;
    return this.#tree;
  }

  /** The line, from 1, on which a node starts. */
  lineOf(node: SyntaxNode): number {
    return this.#lineAt(node.start);
  }

  /** How many lines a node covers. */
  lengthOf(node: SyntaxNode): number {
    return this.#lineAt(node.end) - this.#lineAt(node.start) + 1;
  }

  #lineAt(offset: number): number {
    this.#lineStarts ??= [0, ...[...this.text.matchAll(/\n/g)].map((match) => match.index + 1)];
    return this.#lineStarts.findLastIndex((start) => start <= offset) + 1;
  }
}
