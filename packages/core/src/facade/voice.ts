import type { FacadeClient } from './client.ts';

/** Tells whoever listens to the façade. */
export type Emit = (event: string, ...args: unknown[]) => void;

/** How a façade speaks to its listeners. */
export interface Voice {
  readonly emit: Emit;
  /** Resolves when all are through who listen to `connect`. */
  readonly greet: (client: FacadeClient) => Promise<void>;
}
