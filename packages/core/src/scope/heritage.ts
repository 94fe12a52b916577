import { Owner } from '../pool/waiters.ts';
import { NO_LIMITS } from './deadline.ts';
import type { Level } from './level.ts';
import type { Limits } from './patience.ts';
import type { Setting } from './settings.ts';

/** What a unit of work has from the one around it: one deadline, one tenant, one place in the line. */
export interface Heritage {
  readonly limits: Limits;
  readonly settings: readonly Setting[];
  readonly access: 'any' | 'read-only';
  readonly owner: Owner;
}

/** Of whoever stands alone. */
export function noHeritage(): Heritage {
  return { limits: NO_LIMITS, settings: [], access: 'any', owner: new Owner() };
}

/** Of what is begun inside a transaction, and on another connection. Whether that may write is for itself to say. */
export function heritageOf({ level, limits }: { readonly level: Level; readonly limits: Limits }): Heritage {
  const { owner } = level.bracket.plan;
  const settings = settingsOf(level).filter(({ name }) => name !== 'lock_timeout');
  return { limits, settings, access: 'any', owner };
}

/** All that are in force there, the inner ones first. */
export function settingsOf(level: Level): readonly Setting[] {
  const all: Setting[] = [];
  for (let one: Level | undefined = level; one !== undefined; one = one.parent) all.push(...one.plan.settings);
  return all.filter(({ name }, index) => all.findIndex((other) => other.name === name) === index);
}

/** The unit's own win over those that it has from outside. The role comes last: under it the others might not be allowed. */
export function merged(outer: readonly Setting[], own: readonly Setting[]): readonly Setting[] {
  const names = new Set(own.map(({ name }) => name));
  const all = [...outer.filter(({ name }) => !names.has(name)), ...own];
  return [...all.filter(({ name }) => name !== 'role'), ...all.filter(({ name }) => name === 'role')];
}
