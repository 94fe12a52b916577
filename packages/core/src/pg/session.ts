import type * as net from 'node:net';
import type { Dirt } from './sql-dirt.ts';
import { worse } from './sql-dirt.ts';
import type { SqlReading } from './sql-words.ts';

/** What is known of a session by what ran in it and by what the server reports. */
export class Session {
  #dirt: Dirt = 'none';
  #openedAt: number | undefined;
  #address: net.NetConnectOpts | undefined;
  /** Transactions were read-only by default when the session began: by role, database or server, and so by wish. */
  #readOnlyFromStart = false;
  /**
   * Whether the last text may have run in a transaction that its user had opened: before it, or in the text itself. Of
   * one that we have opened it is known that it may write.
   */
  #block: 'none' | 'possible' | 'writable' = 'none';
  /** Settings that the server reports by itself. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC */
  readonly #reported = new Map<string, string>();

  /** The login is done. */
  opened(now: number, address: net.NetConnectOpts): void {
    this.#openedAt = now;
    this.#address = address;
  }

  /** An instant on the pool's clock: the server's process is at least as old. */
  get openedAt(): number | undefined {
    return this.#openedAt;
  }

  /** Where the server is, as the socket knows it: a name may mean another server by the time that it is asked again. */
  get address(): net.NetConnectOpts {
    if (this.#address === undefined) throw new Error('bug: a connection that was never opened has no address');
    return this.#address;
  }

  /** What the texts that ran here have left behind. */
  get dirt(): Dirt {
    return this.#dirt;
  }

  reports(name: string, value: string): void {
    this.#reported.set(name, value);
  }

  /** https://www.postgresql.org/docs/current/runtime-config-compatible.html#GUC-STANDARD-CONFORMING-STRINGS */
  get readsBackslashes(): boolean {
    return this.#reported.get('standard_conforming_strings') === 'off';
  }

  /** It is now as it is meant to be: what was set so far is no dirt. */
  settleIn(): void {
    this.#dirt = 'none';
    this.#readOnlyFromStart = this.#reported.get('default_transaction_read_only') === 'on';
  }

  runs({ dirt }: SqlReading): void {
    if (dirt !== 'none') this.#dirt = worse(this.#dirt, dirt);
  }

  /** Of a statement that is not part of a transaction of ours. */
  runsAlone({ statements }: SqlReading, isOutside: boolean): void {
    if (isOutside || this.#block === 'none') this.#block = isOutside && statements <= 1 ? 'none' : 'possible';
  }

  /** A group of ours begins here: where it may write, a refusal as read-only is a failover, and else it is by wish. */
  writes(block: 'none' | 'writable' | 'possible'): void {
    this.#block = block;
  }

  /** It holds something that makes a new one better. */
  spoil(): void {
    this.#dirt = 'sticky';
  }

  /** Whether a refused write can be explained by what the user asked for, and not by a failover (DESIGN.md §5.12). */
  get isReadOnlyByWish(): boolean {
    if (this.#reported.get('in_hot_standby') === 'on') return false;
    return this.#readOnlyFromStart || this.#block === 'possible' || this.#dirt !== 'none';
  }
}
