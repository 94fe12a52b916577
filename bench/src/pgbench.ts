import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ConnectionParameters, findProgram } from '@lifeguard/testkit';
import { READ } from './items.ts';

export interface PgbenchLoad {
  readonly connections: number;
  /** Statements that travel together. */
  readonly depth: number;
  readonly seconds: number;
}

/** PostgreSQL's own program, on libpq in pipeline mode: a client in C that does nothing with what it is answered. */
export class Pgbench {
  readonly #program: string;
  readonly #folder: string;

  private constructor(program: string, folder: string) {
    this.#program = program;
    this.#folder = folder;
  }

  /** Undefined where it is not installed. Debian has it in the package of the server: `apt-get install postgresql`. */
  static async find(): Promise<Pgbench | undefined> {
    const program = findProgram('pgbench');
    if (program === undefined) return undefined;
    return new Pgbench(program, await mkdtemp(join(tmpdir(), 'lifeguard-pgbench-')));
  }

  /** Reads per second. */
  async read(target: ConnectionParameters, { connections, depth, seconds }: PgbenchLoad): Promise<number> {
    const script = join(this.#folder, `read-${depth}.sql`);
    writeFileSync(script, scriptOf(depth));
    const { host, port, user, database } = target;
    const where = ['-h', host, '-p', `${port}`, '-U', user];
    const how = ['-n', '-M', 'prepared', '-c', `${connections}`, '-j', '1', '-T', `${seconds}`, '-f', script];
    const { stdout } = await promisify(execFile)(this.#program, [...where, ...how, database]);
    const found = /^tps = ([\d.]+)/m.exec(stdout)?.[1];
    if (found === undefined) throw new Error(`pgbench said no tps:\n${stdout}`);
    return Number(found) * depth;
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function scriptOf(depth: number): string {
  const places = Array.from({ length: depth }, (_, place) => place);
  return [
    ...places.map((place) => `\\set id${place} random(1, 100000)`),
    '\\startpipeline',
    ...places.map((place) => `${READ.text.replace('$1', `:id${place}`)};`),
    '\\endpipeline',
    '',
  ].join('\n');
}
