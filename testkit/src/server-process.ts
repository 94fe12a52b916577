import { type ChildProcess, spawn } from 'node:child_process';
import type { Account } from './account.ts';
import { childrenOf, signal, untilGone } from './process-tree.ts';
import type { ServerLog } from './server-log.ts';

export interface ServerCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly account: Account;
  readonly folder: string;
  /** The words in its log that say it is up. */
  readonly ready: RegExp;
}

/** A running server program, with the processes it has started. */
export class ServerProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #paused: number[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid as number;
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()));
  }

  /** Resolves when the log says that the server is up; rejects with the log when it ends before. */
  static async start(command: ServerCommand, log: ServerLog): Promise<ServerProcess> {
    const child = spawn(command.program, command.args, {
      ...command.account,
      cwd: command.folder,
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.setEncoding('utf8').on('data', log.append);
    await untilReady(child, command, log);
    return new ServerProcess(child);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Signals the server's first process. */
  signal(name: NodeJS.Signals): void {
    if (this.running) signal(this.pid, name);
  }

  /** Asks with the first signal and, while it does not end, with the others, each after its milliseconds. */
  async end(first: NodeJS.Signals, later: readonly (readonly [number, NodeJS.Signals])[] = []): Promise<void> {
    this.resume();
    this.signal(first);
    const timers = later.map(([millis, name]) => setTimeout(() => this.signal(name), millis));
    await this.#ended;
    for (const timer of timers) clearTimeout(timer);
  }

  /** Kills the first process; its children notice and end by themselves. */
  async kill(): Promise<void> {
    const children = childrenOf(this.pid);
    this.signal('SIGKILL');
    this.resume();
    await this.#ended;
    await untilGone(children);
  }

  /** Stops all its processes where they are: sockets stay open and nothing answers. */
  pause(): void {
    this.signal('SIGSTOP'); // first, so that it starts no more children
    this.#paused = [this.pid, ...childrenOf(this.pid)];
    for (const pid of this.#paused) signal(pid, 'SIGSTOP');
  }

  resume(): void {
    for (const pid of this.#paused.splice(0).reverse()) signal(pid, 'SIGCONT');
  }
}

function untilReady(child: ChildProcess, command: ServerCommand, log: ServerLog): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    let said = '';
    const stopListening = log.listen((text) => {
      said += text;
      if (command.ready.test(said)) settle(resolve);
    });
    const settle = (finish: () => void): void => {
      stopListening();
      child.off('exit', failed).off('error', reject);
      finish();
    };
    const failed = (): void => settle(() => reject(new Error(`${command.program} did not start:\n${log}`)));
    child.once('exit', failed).once('error', reject);
  });
}
