import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT: URL = new URL('../../../../', import.meta.url);

/** A Markdown page of the project, by its path from the root. */
export class Page {
  readonly path: string;
  readonly text: string;

  constructor(path: string) {
    this.path = path;
    this.text = readFileSync(new URL(path, ROOT), 'utf8');
  }

  /** The texts below headings of the second level, by heading. */
  get sections(): ReadonlyMap<string, string> {
    const parts = this.text.split(/^## /m).slice(1);
    return new Map(parts.map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n'))]));
  }

  /** The code blocks of a language, with the line each begins on. */
  blocks(language: string): { readonly line: number; readonly code: string }[] {
    const fences = this.text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'));
    return [...fences].map(({ index, 1: code = '' }) => ({ line: lineAt(this.text, index) + 1, code }));
  }

  /** The cells of table rows whose first cell is code: its content, then the rest. */
  get rows(): ReadonlyMap<string, string> {
    const rows = [...this.text.matchAll(/^\| (`[^|]*`) *\| (.*?) *\|$/gm)];
    return new Map(rows.flatMap(([, names = '', rest = '']) => codesIn(names).map((name) => [name, rest] as const)));
  }

  /** The targets of relative links. */
  get links(): string[] {
    const targets = [...this.text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    return targets.filter((target) => !/^\w+:/.test(target));
  }

  /** What a link to a heading of this page ends in, by GitHub's rule. */
  get anchors(): string[] {
    const headings = [...this.text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title.toLowerCase());
    return headings.map((title) => title.replace(/[^\w\- ]/g, '').replaceAll(' ', '-'));
  }
}

export function codesIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}

/** Every page that users read. */
export function allPages(): Page[] {
  const docs = readdirSync(new URL('docs/', ROOT)).filter((name) => name.endsWith('.md'));
  const outside = ['README.md', 'ARCHITECTURE.md', 'packages/core/README.md', 'packages/cls/README.md'];
  return [...outside, ...docs.map((name) => `docs/${name}`)].map((path) => new Page(path));
}

export function pathOf(path: string): string {
  return fileURLToPath(new URL(path, ROOT));
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
