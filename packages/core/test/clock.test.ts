import { afterEach, expect, test, vi } from 'vitest';
import { systemClock } from '../src/clock.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Node's timers, fired by hand, beside a clock that says what the test wants. */
function handmadeTime(): { setNow(millis: number): void; fire(millis: number): void } {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const now = vi.spyOn(performance, 'now').mockReturnValue(0);
  return { setNow: (millis) => now.mockReturnValue(millis), fire: (millis) => vi.advanceTimersByTime(millis) };
}

test('a timer that Node fires too early waits for the rest of its time', () => {
  const time = handmadeTime();
  const fired = vi.fn();
  systemClock.after(5, fired);
  time.setNow(4.7);
  time.fire(5);
  expect(fired).not.toHaveBeenCalled();
  time.setNow(5);
  time.fire(1);
  expect(fired).toHaveBeenCalledOnce();
});

test('a timer that was cancelled while it waited for the rest never fires', () => {
  const time = handmadeTime();
  const fired = vi.fn();
  const timer = systemClock.after(5, fired);
  time.setNow(4.7);
  time.fire(5);
  timer.cancel();
  time.setNow(6);
  time.fire(10);
  expect(fired).not.toHaveBeenCalled();
});
