/** Writes docs/3-options.md from the comments of pool-options.ts: `node tools/options-page.ts`. A test compares. */
import { readFileSync, writeFileSync } from 'node:fs';

const SOURCE: URL = new URL('../packages/core/src/pool-options.ts', import.meta.url);
const PAGE: URL = new URL('../docs/3-options.md', import.meta.url);

/** What the comment of one option says. */
export interface DocumentedOption {
  readonly section: string;
  readonly name: string;
  readonly prose: string;
  readonly tags: Readonly<Partial<Record<'unit' | 'limits' | 'default' | 'pg', string>>>;
}

/** The options in the order of the source; other spellings of an option, which have no default, are left out. */
export function documentedOptions(source: string = readFileSync(SOURCE, 'utf8')): DocumentedOption[] {
  const body = source.slice(source.indexOf('interface PoolOptions'), source.indexOf('interface HookConnection'));
  let section = '';
  const options: DocumentedOption[] = [];
  for (const match of body.matchAll(/\/\/ --- ([^\n]*) ---|(?:\/\*\*(.*?)\*\/\s*)readonly (\w+)\?: /gs)) {
    const [, title, comment = '', name = ''] = match;
    if (title === undefined) options.push({ section, name, ...readComment(comment) });
    else section = title;
  }
  return options.filter(({ tags }) => tags.default !== undefined);
}

function readComment(comment: string): Pick<DocumentedOption, 'prose' | 'tags'> {
  const text = comment.replace(/\s*\n\s*\*? ?/g, ' ').trim();
  const [prose = '', ...tags] = text.split(/\s*@(?=(?:unit|limits|default|pg) )/);
  return { prose, tags: Object.fromEntries(tags.map((tag) => [tag.slice(0, tag.indexOf(' ')), contentOf(tag)])) };
}

function contentOf(tag: string): string {
  return tag.slice(tag.indexOf(' ') + 1).trim();
}

export function optionsPage(options: readonly DocumentedOption[] = documentedOptions()): string {
  const sections = [...Map.groupBy(options, ({ section }) => section)];
  return [HEAD, ...sections.map(([title, own]) => sectionOf(title, own)), FOOT].join('\n');
}

function sectionOf(title: string, options: readonly DocumentedOption[]): string {
  const rows = options.map(({ name, tags }) => {
    return [`[\`${name}\`](#${name.toLowerCase()})`, tags.unit ?? '', code(tags.default), code(tags.pg)];
  });
  return [
    `## ${title}\n`,
    tableOf([['option', 'unit', 'default', 'in pg'], ...rows]),
    ...options.map(paragraphOf),
  ].join('\n');
}

/** Aligned as the formatter would align it. */
function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>((most, row) => row.map((cell, at) => Math.max(most[at] ?? 0, cell.length)), []);
  const [head = '', ...body] = rows.map((row) => line(row.map((cell, at) => cell.padEnd(widths[at] ?? 0))));
  return [head, line(widths.map((width) => '-'.repeat(width))), ...body, ''].join('\n');
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function paragraphOf({ name, prose, tags }: DocumentedOption): string {
  const facts = [tags.unit, tags.limits, `default ${code(tags.default)}`, `in pg ${code(tags.pg)}`];
  return `### ${name}\n\n${prose === '' ? '' : `${prose}\n\n`}_${facts.filter(Boolean).join(' · ')}_\n`;
}

/** Values as code, words as words. */
function code(value = 'none'): string {
  return /^(-?\d+|true|false|Infinity|'.*'|\{.*\})$/.test(value) ? `\`${value}\`` : value;
}

const HEAD = `# 3. Options

<!-- Made from packages/core/src/pool-options.ts by tools/options-page.ts. Do not edit. -->

\`createPool\` takes pg's names where pg has the option, so a \`pg.Pool\` configuration mostly carries over. Durations end in
\`Millis\` or \`Seconds\` and are plain numbers. Sizes are whole numbers. An option that is unknown, of the wrong kind or
contradicts another one is refused by \`createPool\` with \`ERR_LIFEGUARD_OPTION\`. \`undefined\` counts as absent. The column
"in pg" tells the default of pg 8 and its pg-pool.
`;

const FOOT = `## Refused on purpose

These options of pg and of other pools are refused, each with its reason in the message: \`query_timeout\` (it abandons a
statement that goes on running), \`Client\` and \`native\` (pg-native connections cannot be cancelled or checked), \`Promise\`,
\`verify\` (use \`onConnect\`), \`log\` (use \`logger\`), \`maxLifetimeMillis\` (the unit is seconds), \`idle_timeout\`, \`maxSize\`,
\`minSize\`, \`pipeline\`, \`binary\`.

Next: [errors](4-errors.md)
`;

if (import.meta.main) writeFileSync(PAGE, optionsPage());
