import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { Page, pathOf } from '../docs/page.ts';

const NAMES = readdirSync(pathOf('docs/recipes')).map((file) => file.replace(/\.md$/, ''));
const OVERVIEW = new Page('docs/12-orms.md');

test('the overview has a line for each recipe, and leads to its program', () => {
  expect(NAMES).toHaveLength(18);
  const missing = NAMES.filter(
    (name) => !OVERVIEW.links.includes(`recipes/${name}.md`) || !OVERVIEW.links.includes(`../examples/${name}/main.ts`),
  );
  expect(missing).toEqual([]);
});

describe.for(NAMES)('the recipe for %s', (name) => {
  const page = new Page(`docs/recipes/${name}.md`);

  test('shows nothing but lines of its program', () => {
    const program = linesOf(readFileSync(pathOf(`examples/${name}/main.ts`), 'utf8'));
    const shown = page.blocks('ts').flatMap(({ code }) => [...linesOf(code)]);
    expect(shown.length).toBeGreaterThan(2);
    expect(shown.filter((line) => !program.has(line))).toEqual([]);
  });

  test('names the versions that its program is run with', () => {
    const { dependencies } = JSON.parse(readFileSync(pathOf(`examples/${name}/package.json`), 'utf8'));
    const [, tested = ''] = /^Tested with ([^:]*):/m.exec(page.text) ?? [];
    const named = tested.split(/,\s+/).map((one) => one.split(/\s+/));
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter(([library = '', version]) => dependencies[library] !== version)).toEqual([]);
  });

  test('has no link that leads nowhere', () => {
    const broken = page.links.filter((link) => {
      const [file = '', anchor] = link.split('#');
      const path = join(dirname(page.path), file);
      return !existsSync(pathOf(path)) || (anchor !== undefined && !new Page(path).anchors.includes(anchor));
    });
    expect(broken).toEqual([]);
  });
});

/** Without what only stands for more of them. */
function linesOf(code: string): ReadonlySet<string> {
  const lines = code.split('\n').map((line) => line.trim());
  return new Set(lines.filter((line) => line !== '' && line !== '// …'));
}
