import { type Finding, findingsOf, type Rule } from '../finding.ts';
import { globalUses } from '../global-use.ts';
import { CORE, GUARDED_GLOBALS } from '../house.ts';

/** Timers, dates, the console and process.emitWarning stay in their file. */
export const guardedGlobals: Rule = (file) => {
  if (!/^packages\/[^/]+\/src\//.test(file.path)) return [];
  const finding = findingsOf('globals', file);
  return globalUses(file).flatMap(({ node, name }): Finding[] => {
    const guard = GUARDED_GLOBALS.find(({ names }) => names.some((one) => name === one || name.startsWith(`${one}.`)));
    if (guard === undefined || guard.by.some((place) => file.path === CORE + place)) return [];
    return [finding(file.lineOf(node), `${name} belongs to ${guard.by.join(', ') || 'nobody'}: ${guard.why}`)];
  });
};
