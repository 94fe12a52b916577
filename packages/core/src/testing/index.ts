/**
 * Tests on a real database that leave nothing behind.
 *
 * @packageDocumentation
 */
export { type HonouringApp, honourSandboxes } from './honouring.ts';
export { outsideSandboxes, sandbox } from './opening.ts';
export type { Sandbox } from './sandbox.ts';
export type { SandboxOptions } from './sandbox-options.ts';
