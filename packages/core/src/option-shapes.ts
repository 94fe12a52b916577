import { isRecord, millis, nearest, ownProperties, type Rule, whole } from './option-rules.ts';
import type { PoolOptions } from './pool-options.ts';

/** What is wrong with an option that is an object; undefined where nothing is. */
export function checkOverload(value: unknown): string | undefined {
  if (value === false) return undefined;
  return checkShape(value, { targetWaitMillis: millis(100, 1), intervalMillis: millis(500, 1) });
}

export function checkGroups(value: unknown): string | undefined {
  if (!isRecord(value)) return 'must be an object of { maxConcurrent } by name';
  for (const [name, group] of Object.entries(value as NonNullable<PoolOptions['groups']>)) {
    if (name === '') return 'has a group without a name';
    const complaint = checkShape(group, { maxConcurrent: whole(undefined, 1) });
    if (complaint !== undefined) return `has a group "${name}" that ${complaint}`;
    if (!ownProperties(group).has('maxConcurrent')) return `has a group "${name}" without maxConcurrent`;
  }
  return undefined;
}

function checkShape(value: unknown, rules: Readonly<Record<string, Rule>>): string | undefined {
  if (!isRecord(value)) return `must be an object of ${Object.keys(rules).join(', ')}`;
  for (const [key, part] of Object.entries(value)) {
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
    if (rule === undefined) return `has an unknown part "${key}"${nearest(key, Object.keys(rules))}`;
    const complaint = part === undefined ? undefined : rule.check(part);
    if (complaint !== undefined) return `has a part "${key}" that ${complaint}`;
  }
  return undefined;
}
