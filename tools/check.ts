/** Checks the house rules that no linter knows. `pnpm lint` runs it after Biome. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describeFinding, type Rule } from './finding.ts';
import { barrels } from './rules/barrels.ts';
import { borders } from './rules/borders.ts';
import { documents } from './rules/documents.ts';
import { guardedGlobals } from './rules/guarded-globals.ts';
import { manifests } from './rules/manifests.ts';
import { names } from './rules/names.ts';
import { judgePhysique, physiqueOf } from './rules/physique.ts';
import { sizes } from './rules/sizes.ts';
import { states } from './rules/states.ts';
import { tests } from './rules/tests.ts';
import { SourceFile } from './source-file.ts';

const RULES: readonly Rule[] = [
  ...[borders, guardedGlobals, states, sizes, names],
  ...[barrels, tests, documents, manifests],
];

const files = projectFiles();
const physique = physiqueOf(files);
const findings = [...files.flatMap((file) => RULES.flatMap((rule) => rule(file))), ...judgePhysique(physique)];

for (const finding of findings) process.stdout.write(`${describeFinding(finding)}\n`);
const { functions, median, ninthDecile } = physique;
process.stdout.write(
  `House rules: ${files.length} files, ${findings.length} findings; ` +
    `${functions} functions in packages, median ${median} lines, ninth decile ${ninthDecile}.\n`,
);
process.exitCode = findings.length > 0 ? 1 : 0;

/** What git tracks, or would if asked to. */
function projectFiles(): SourceFile[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard'];
  const paths = execFileSync('git', args, { encoding: 'utf8' }).trim().split('\n');
  return paths
    .filter((path) => /\.(ts|mts|md|json)$/.test(path) && existsSync(path))
    .map((path) => new SourceFile(path, readFileSync(path, 'utf8')));
}
