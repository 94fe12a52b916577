import diagnostics from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import type { ProcessState } from './process-state.ts';

type Storage = ProcessState['storage'];

/**
 * A server's `connection` listener runs in the context in which the server was made to listen; what the socket emits
 * runs in none, because Node makes its handle before it enters that context. So the socket is given the server's, for
 * all that it emits from nowhere. Costs nothing where the server has none, as most have.
 * https://nodejs.org/api/diagnostics_channel.html#event-netserversocket
 */
export function adoptAcceptedSockets(storage: Storage): void {
  diagnostics.subscribe('net.server.socket', (message) => {
    if (storage.getStore() !== undefined) adopt((message as { socket: Socket }).socket, storage);
  });
}

function adopt(socket: Socket, storage: Storage): void {
  const store = storage.getStore() as NonNullable<ReturnType<Storage['getStore']>>;
  const emit = socket.emit as (...args: unknown[]) => boolean;
  const emitted = function (this: Socket, ...args: unknown[]): boolean {
    if (storage.getStore() !== undefined) return emit.apply(this, args);
    return storage.run(store, () => emit.apply(this, args));
  };
  Object.defineProperty(socket, 'emit', { value: emitted, configurable: true, writable: true, enumerable: false });
}
