import type { ProfileReport } from '../bench/profile.ts';
import type { Report } from '../bench/src/report.ts';
import type { Chart } from './performance-chart.ts';
import { chartsOf } from './performance-charts.ts';
import { slowerFigures } from './performance-comparison.ts';
import type { PerformanceRun } from './performance-run.ts';
import { figure } from './performance-scale.ts';
import {
  figuresTable,
  profileTable,
  tableOf,
  VERDICT_DIGITS,
  type Verdict,
  verdictsOf,
  verdictTable,
  WIDE,
} from './performance-tables.ts';

/** What the generated parts of the page say of a run, by their names in the page. */
export class PerformanceParts {
  readonly charts: readonly Chart[];
  readonly #run: PerformanceRun;

  constructor(run: PerformanceRun) {
    this.#run = run;
    this.charts = chartsOf(run);
  }

  /** `own` are the names of all parts: what has none of its own is told under `others`. */
  text(part: string, own: readonly string[]): string {
    const { reports, profiles } = this.#run;
    if (part === 'facts') return facts(this.#run);
    if (part === 'verdicts') return reports.size === 0 ? MISSING : verdictTable([...reports.values()]);
    if (part === 'slower') return slower([...reports.values()]);
    if (part === 'others') {
      const others = [...reports.values()].filter(({ name }) => !own.includes(name));
      return others.length === 0
        ? MISSING
        : others.map((report) => `### ${report.name}\n\n${this.#report(report)}`).join('\n\n');
    }
    const [report, profile] = [reports.get(part), profiles.get(part)];
    if (report !== undefined) return this.#report(report);
    return profile === undefined ? MISSING : this.#profile(profile);
  }

  #report(report: Report): string {
    return [
      `_${report.question}_`,
      verdictsOf(report).map(verdictLine).join('\n'),
      ...(report.spread > WIDE
        ? [`**The rounds lie far apart** (${percent(report.spread)}): read these figures with care.`]
        : []),
      ...this.#pictures(report.name),
      `<details><summary>All figures</summary>\n\n${figuresTable(report)}\n\n${notes(report)}</details>`,
    ].join('\n\n');
  }

  #profile(profile: ProfileReport): string {
    return [profileTable(profile), ...this.#pictures(profile.name)].join('\n\n');
  }

  #pictures(part: string): string[] {
    const own = this.charts.filter((chart) => chart.part === part);
    return own.map(({ alt, file }) => `![${alt}](performance/${file})`);
  }
}

const MISSING = '_Not in this run._';

function facts(run: PerformanceRun): string {
  const [first] = [...run.reports.values(), ...run.profiles.values()];
  if (first === undefined) return MISSING;
  const { cpu, cores, memoryGigabytes, platform } = first.machine;
  const [profile] = run.profiles.values();
  const place = `${cores} cores (${cpu}), ${memoryGigabytes} GB, ${platform.split(' ', 2).join(' ')}`;
  const versions = [`Node ${first.node}`, ...(profile === undefined ? [] : [`PostgreSQL ${profile.postgres}`])];
  const when = run.date === undefined ? [] : [`run that ended on ${run.date}`];
  return [
    `_${[...when, place, ...versions, 'server and client on the same machine'].join('; ')}._`,
    summary([...run.reports.values()]),
  ].join('\n\n');
}

/** The bad news first. */
function summary(reports: readonly Report[]): string {
  const judged = reports.flatMap(verdictsOf).filter(({ met }) => met !== undefined);
  const missed = judged.filter(({ met }) => met === false);
  const wide = reports.filter(({ spread }) => spread > WIDE);
  const busy = reports.filter(({ machine }) => machine.loadBefore > machine.cores);
  const lines = [
    `- Targets met: ${judged.length - missed.length} of ${judged.length}.`,
    ...missed.map((verdict) => `- **MISSED** ${verdictWords(verdict)}`),
    ...listed('Wide spread, to be read with care', wide, ({ spread }) => percent(spread)),
    ...listed(
      'Others were at work on the machine when these began',
      busy,
      ({ machine }) => `load ${machine.loadBefore}`,
    ),
  ];
  return lines.join('\n');
}

function listed(say: string, reports: readonly Report[], why: (report: Report) => string): string[] {
  if (reports.length === 0) return [];
  return [`- ${say}: ${reports.map((report) => `\`${report.name}\` (${why(report)})`).join(', ')}.`];
}

function verdictLine(verdict: Verdict): string {
  if (verdict.met === undefined) return `- ${verdictWords(verdict)}`;
  return `- ${verdict.met ? 'met' : '**MISSED**'} ${verdictWords(verdict)}`;
}

function verdictWords({ name, of, value, target }: Verdict): string {
  return `\`${name.replace(', ', '`, `')}\`: **${figure(value, VERDICT_DIGITS)}** (${of}${target === '' ? '' : `; target: ${target}`})`;
}

function slower(reports: readonly Report[]): string {
  if (reports.length === 0) return MISSING;
  const rows = reports.flatMap(slowerFigures).sort((one, other) => one.advantage - other.advantage);
  if (rows.length === 0) return 'In this run there was no such figure.';
  const cells = rows.map(({ name, ours, peer, theirs, advantage }) => [
    ...[`\`${name}\``, figure(ours), `${figure(theirs)} (${peer})`, `${figure(advantage)} ×`],
  ]);
  return tableOf([['figure', 'ours', 'the best peer', 'ours is as good as'], ...cells]);
}

function notes(report: Report): string {
  // A note that is indented goes on with the one before it.
  const said = report.notes.map((note) => (note.startsWith(' ') ? ` ${note.trimStart()}` : `\n- ${note}`)).join('');
  return said === '' ? '' : `${said.trim()}\n\n`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
