import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PACKAGE: string = fileURLToPath(new URL('..', import.meta.url));
const ROOT: string = join(PACKAGE, '../..');
/** Here the tests find what they are installed with. */
const INSTALLED: string = join(PACKAGE, 'node_modules');

/**
 * A folder such as a user has who says `"overrides": { "cls-hooked": "npm:@lifeguard/cls" }`: the package as it is
 * published, under that name.
 */
export class UserProject {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'lifeguard-cls-user-'));

  static async create(): Promise<UserProject> {
    const project = new UserProject();
    await buildInto(project.installed('cls-hooked'));
    return project;
  }

  installed(name: string): string {
    return join(this.folder, 'node_modules', name);
  }

  /** A copy of the package under another name, as two versions in one tree are. */
  copy(name: string): void {
    cpSync(this.installed('cls-hooked'), this.installed(name), { recursive: true });
  }

  /** A copy of a library, because a link would lead to where it finds the real cls-hooked. */
  async install(name: string): Promise<void> {
    const from = realpathSync(join(INSTALLED, name));
    cpSync(from, this.installed(name), { recursive: true, dereference: true });
    const { dependencies } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as { dependencies: object };
    const others = Object.keys(dependencies).filter((dependency) => !dependency.endsWith('cls-hooked'));
    for (const other of others) this.#link(other, join(dirname(from), other));
  }

  link(...names: readonly string[]): void {
    for (const name of names) this.#link(name, join(INSTALLED, name));
  }

  #link(name: string, target: string): void {
    mkdirSync(dirname(this.installed(name)), { recursive: true });
    symlinkSync(realpathSync(target), this.installed(name), 'junction');
  }

  /** What a program says. */
  async output(code: string, { file = 'program.cjs', env = {} } = {}): Promise<string> {
    const path = join(this.folder, file);
    writeFileSync(path, code);
    const { stdout } = await run(process.execPath, [path], { env: { ...process.env, NODE_OPTIONS: '', ...env } });
    return stdout;
  }

  /** What a program says that says it as JSON. */
  async run<T = unknown>(code: string, options: { file?: string; env?: object } = {}): Promise<T> {
    return JSON.parse(await this.output(code, options)) as T;
  }

  /** What the compiler objects to in a file. */
  async compile(code: string, options: readonly string[]): Promise<string> {
    const path = join(this.folder, 'typed.ts');
    writeFileSync(path, code);
    const args = [
      ...options,
      '--noEmit',
      '--strict',
      '--types',
      'node',
      '--typeRoots',
      join(ROOT, 'node_modules/@types'),
      path,
    ];
    const compiled = await compiler(args, this.folder).catch((error: { stdout: string }) => error);
    return compiled.stdout;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

/** What `pnpm pack` makes: it takes `exports` from `publishConfig`. */
async function buildInto(folder: string): Promise<void> {
  const options = ['--composite', 'false', '--incremental', 'false', '--tsBuildInfoFile', 'null'];
  await compiler(['-p', PACKAGE, '--outDir', join(folder, 'dist'), ...options]);
  const { publishConfig, ...manifest } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, ...publishConfig }));
}

function compiler(args: readonly string[], cwd: string = ROOT): Promise<{ stdout: string }> {
  return run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), ...args], { cwd });
}
