import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { onTestFinished } from '@lifeguard/testkit/vitest';
import type { EventName } from '../../src/events.ts';

/** What is told on a channel while the test runs. */
export function listen(name: EventName, heard: (event: never) => void = () => undefined): unknown[] {
  const events: unknown[] = [];
  const listener = (event: unknown): void => {
    events.push(event);
    heard(event as never);
  };
  subscribe(name, listener);
  onTestFinished(() => void unsubscribe(name, listener));
  return events;
}
