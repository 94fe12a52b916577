/** What has become of a promise, told without waiting for it. */
export class Watched {
  state: 'pending' | 'kept' | 'broken' = 'pending';
  error: unknown = undefined;
}

export function watch(promise: Promise<unknown>): Watched {
  const watched = new Watched();
  promise.then(
    () => {
      watched.state = 'kept';
    },
    (error: unknown) => {
      watched.state = 'broken';
      watched.error = error;
    },
  );
  return watched;
}
