// A program that starts a server and never ends it.
import { startPostgres } from '@lifeguard/testkit';

const server = await startPostgres();
process.send?.({ pid: server.pid, socketDir: server.socketDir });
setInterval(() => undefined, 60_000);
