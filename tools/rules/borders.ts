import { posix } from 'node:path';
import { type Finding, findingsOf, type Rule } from '../finding.ts';
import { type Border, COMPOSITION_ROOT, CORE, DOOR, GUARDED_MODULES, LEAVES, RINGS } from '../house.ts';
import { type ModuleLink, moduleLinks } from '../module-link.ts';

/** Who may import whom inside core, and which modules of others belong to one room. */
export const borders: Rule = (file) => {
  if (!file.path.startsWith(CORE)) return [];
  const place = file.path.slice(CORE.length);
  const border = borderOf(place);
  const finding = findingsOf('borders', file);
  if (border === undefined) return [finding(1, `${place} is not on the plan: enter it in tools/house.ts`)];
  const objections = moduleLinks(file).map((link) => [link, objectionTo(link, place, border)] as const);
  return objections.flatMap(([{ node }, why]): Finding[] => (why ? [finding(file.lineOf(node), why)] : []));
};

function borderOf(place: string): Border | 'everything' | undefined {
  if (place === COMPOSITION_ROOT) return 'everything';
  if (place === DOOR) return { values: [...Object.keys(LEAVES), COMPOSITION_ROOT], types: Object.keys(RINGS) };
  return LEAVES[place] ?? RINGS[ringOf(place)];
}

function objectionTo(link: ModuleLink, place: string, border: Border | 'everything'): string | undefined {
  if (!link.from.startsWith('.')) return objectionToModule(link.from, place);
  const target = posix.normalize(posix.join(posix.dirname(place), link.from));
  if (border === 'everything' || holds(border.values, target)) return undefined;
  if (!holds(border.types, target)) return `${ringOf(place)} may not import ${target}`;
  return link.typesOnly ? undefined : `${ringOf(place)} may import only types of ${target}`;
}

function objectionToModule(from: string, place: string): string | undefined {
  const guard = GUARDED_MODULES.find(({ module }) => module.test(from));
  if (guard === undefined || holds(guard.by, place)) return undefined;
  return `${from} belongs to ${guard.by.join(', ')}: ${guard.why}`;
}

function holds(names: readonly string[], place: string): boolean {
  return names.some((name) => name === place || (name.endsWith('/') && place.startsWith(name)));
}

/** The folder of a file, or the file itself at the root. */
function ringOf(place: string): string {
  return place.includes('/') ? place.slice(0, place.indexOf('/') + 1) : place;
}
