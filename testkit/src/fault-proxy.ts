import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type HoldPoint, MessageHold } from './fault-hold.ts';
import { FaultLink, type MessageHook } from './fault-link.ts';
import { type Faults, NO_FAULTS } from './faults.ts';
import { type ConnectionParameters, urlOf } from './query-once.ts';
import { Traffic, type TrafficCounts } from './traffic.ts';

export interface ProxyOptions {
  /** Sees each message of the PostgreSQL protocol before it passes (not with TLS). */
  readonly onMessage?: MessageHook;
  /** Where the first connection that comes so far is stopped: see `hold` (not with TLS). */
  readonly holdAt?: HoldPoint;
}

export interface ProxyCounts extends TrafficCounts {
  /** Connections that are open now. */
  readonly open: number;
}

/** A TCP proxy with faults: the broken network that the machine itself does not offer. */
export class FaultProxy {
  readonly host = '127.0.0.1';
  readonly #target: ConnectionParameters;
  /** With `holdAt`: says whether the moment has come, and lets go. */
  readonly hold: MessageHold | undefined;
  readonly #onMessage: MessageHook | undefined;
  readonly #traffic = new Traffic();
  readonly #links = new Set<FaultLink>();
  #faults: Faults = NO_FAULTS;
  #port = 0;
  #listener: Server | undefined;

  /** Use `startProxy`. */
  constructor(target: ConnectionParameters, options: ProxyOptions) {
    this.#target = target;
    this.hold = options.holdAt && new MessageHold(options.holdAt);
    this.#onMessage = this.#hookOf(options);
  }

  get port(): number {
    return this.#port;
  }

  /** The target's parameters, by way of this proxy. */
  connection(): ConnectionParameters {
    return { ...this.#target, host: this.host, port: this.#port };
  }

  url(): string {
    return urlOf(this.connection());
  }

  /** Adds faults; they hold for open connections too. */
  set(faults: Partial<Faults>): void {
    this.#faults = { ...this.#faults, ...faults };
  }

  /** Ends all faults but `refuse`; what a blackhole has kept arrives now. */
  heal(): void {
    this.#faults = NO_FAULTS;
  }

  /** Stops listening: new connections get ECONNREFUSED, existing ones go on. */
  refuse(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  /** Listens (again), on the same port. */
  async accept(): Promise<void> {
    if (this.#listener !== undefined) return;
    const listener = createServer({ noDelay: true, allowHalfOpen: true }, (client) => this.#link(client));
    this.#listener = listener;
    await once(listener.listen(this.#port, this.host), 'listening');
    this.#port = (listener.address() as AddressInfo).port;
  }

  /** Ends all connections with a reset, on both sides. */
  resetAll(): void {
    for (const link of this.#links) link.reset();
  }

  /** Of all connections, keeps one side open whose other side is gone: it will never hear anything again. */
  halfOpen(kept: 'client' | 'server'): void {
    for (const link of this.#links) link.halfOpen(kept);
  }

  /** Of all connections that are open now, nothing passes any more and nobody learns of it, as when a firewall forgets them. */
  forget(): void {
    for (const link of this.#links) link.hold('toServer', 'toClient');
  }

  counts(): ProxyCounts {
    return { ...this.#traffic.counts, open: this.#links.size };
  }

  resetCounts(): void {
    this.#traffic.reset();
  }

  close(): void {
    this.refuse();
    this.resetAll();
  }

  #hookOf({ onMessage }: ProxyOptions): MessageHook | undefined {
    const { hold } = this;
    if (hold === undefined) return onMessage;
    return (message, link) => {
      hold.look(message, link);
      return onMessage?.(message, link);
    };
  }

  #link(client: Socket): void {
    const { host, port } = this.#target;
    const place = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
    const server = connect({ ...place, noDelay: true, allowHalfOpen: true });
    const link = new FaultLink(client, server, {
      faults: () => this.#faults,
      traffic: this.#traffic,
      onMessage: this.#onMessage,
      onClose: (closed) => this.#links.delete(closed),
    });
    this.#links.add(link);
    this.#traffic.opened();
  }
}

/** Starts a proxy in front of a server: `startProxy(database.connection)`. */
export async function startProxy(target: ConnectionParameters, options: ProxyOptions = {}): Promise<FaultProxy> {
  const proxy = new FaultProxy(target, options);
  await proxy.accept();
  return proxy;
}
