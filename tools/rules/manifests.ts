import { type Finding, findingsOf, type Rule } from '../finding.ts';
import { LIMITS } from '../house.ts';

interface Manifest {
  readonly name?: string;
  readonly scripts?: object;
  readonly dependencies?: object;
  readonly peerDependencies?: object;
}

/** Few scripts, and a core that depends on nothing but its one peer. */
export const manifests: Rule = (file) => {
  if (file.name !== 'package.json') return [];
  const manifest = JSON.parse(file.text) as Manifest;
  const finding = findingsOf('manifest', file);
  return objectionsTo(manifest).map((why): Finding => finding(1, why));
};

function objectionsTo(manifest: Manifest): string[] {
  const objections: string[] = [];
  const scripts = namesOf(manifest.scripts).length;
  if (scripts > LIMITS.scripts) objections.push(`${scripts} scripts, at most ${LIMITS.scripts}`);
  if (manifest.name !== '@lifeguard/core') return objections;
  if (namesOf(manifest.dependencies).length > 0) objections.push('core has no dependencies');
  if (namesOf(manifest.peerDependencies).join() !== 'pg') objections.push('core has one peer, pg');
  return objections;
}

function namesOf(table: object | undefined): string[] {
  return Object.keys(table ?? {});
}
