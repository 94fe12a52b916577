import type { ProfileReport } from '../bench/profile.ts';
import type { Report } from '../bench/src/report.ts';

/** Where and when a run was made: the first line of the file that is kept. */
export interface Occasion {
  readonly name: 'run';
  /** The day on which it ended. */
  readonly date: string;
}

/** All that one run has found, by benchmark; whatever was not run is missing. */
export class PerformanceRun {
  readonly reports: ReadonlyMap<string, Report>;
  readonly profiles: ReadonlyMap<string, ProfileReport>;
  readonly date: string | undefined;

  /** Takes lines of JSON, as `pnpm --silent bench --json` and bench/profile.ts print them. */
  constructor(text: string) {
    const lines = text.split('\n').filter((line) => line.startsWith('{'));
    const found = lines.map((line) => JSON.parse(line, withoutGaps) as Report | ProfileReport | Occasion);
    this.reports = byName(found.filter(isReport));
    this.profiles = byName(found.filter(isProfile));
    this.date = found.find(isOccasion)?.date;
  }

  get isEmpty(): boolean {
    return this.reports.size === 0 && this.profiles.size === 0;
  }
}

/** What could not be measured is null in JSON; absent is easier to meet. A target may be null on purpose. */
function withoutGaps(key: string, value: unknown): unknown {
  return value === null && key !== 'target' && key !== 'bound' ? undefined : value;
}

function byName<Line extends { readonly name: string }>(lines: readonly Line[]): Map<string, Line> {
  return new Map(lines.map((line) => [line.name, line]));
}

function isReport(line: object): line is Report {
  return 'ratio' in line;
}

function isProfile(line: object): line is ProfileReport {
  return 'boxes' in line;
}

function isOccasion(line: { readonly name: string }): line is Occasion {
  return line.name === 'run';
}
