import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool } from '../../src/index.ts';
import { honourSandboxes, type Sandbox, sandbox } from '../../src/testing/index.ts';
import { add, names, shop, stored } from './rig.ts';

/** Adds who is named in the body, and answers with all; the body is read without any help. */
function app(pool: LifeguardPool): (incoming: IncomingMessage, answer: ServerResponse) => void {
  return (incoming, answer) => {
    let body = '';
    incoming.on('data', (chunk) => (body += String(chunk)));
    incoming.on('end', () => {
      const work = pool.transaction(async (tx) => {
        if (body !== '') await add(tx, body);
        return names(tx);
      });
      work.then(
        (all) => answer.end(JSON.stringify(all)),
        (error: { code: string }) => answer.writeHead(500).end(JSON.stringify(error.code)),
      );
    });
  };
}

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function post(url: string, name: string, headers: Readonly<Record<string, string>>): Promise<unknown> {
  const answer = await fetch(url, { method: 'POST', body: name, headers });
  return answer.json();
}

describe('a server that honours sandboxes', () => {
  test('handles each request in the sandbox whose headers it carries', async ({ database }) => {
    const pool = await shop(database);
    const url = await listening(honourSandboxes(app(pool)));
    const tests = ['a', 'b', 'c', 'd', 'e'].map((name) =>
      sandbox(pool, { name }, async (db) => {
        await add(pool, `${name} direct`);
        await Promise.all([post(url, `${name}1`, db.headers), post(url, `${name}2`, db.headers)]);
        return post(url, `${name}3`, db.headers);
      }),
    );
    const seen = await Promise.all(tests);
    expect(seen).toEqual(
      ['a', 'b', 'c', 'd', 'e'].map((name) => [`${name} direct`, `${name}1`, `${name}2`, `${name}3`]),
    );
    expect(await stored(database)).toBe(0);
  });

  test('tells requests apart that come over one connection', async ({ database }) => {
    const pool = await shop(database);
    const server = honourSandboxes(createServer(app(pool)));
    const url = await listening(server);
    let connections = 0;
    server.on('connection', () => (connections += 1));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    await sandbox(pool, async (one) => {
      await sandbox(pool, async (other) => {
        for (const [db, name] of [
          [one, 'a'],
          [other, 'b'],
          [one, 'c'],
          [undefined, 'd'],
        ] as const)
          await posted(url, { name, db, agent });
        // The last one carried nothing, so it was real, and everybody sees what has committed.
        expect([await names(one), await names(other)]).toEqual([
          ['a', 'c', 'd'],
          ['b', 'd'],
        ]);
      });
    });
    expect([connections, await stored(database)]).toEqual([1, 1]);
  });

  test('answers 410 to a request of a sandbox that has ended, and asks nobody', async ({ database }) => {
    const pool = await shop(database);
    const url = await listening(honourSandboxes(app(pool)));
    const db: Sandbox = await sandbox(pool, async (inside) => inside);
    const answer = await fetch(url, { method: 'POST', body: 'late', headers: db.headers });
    expect([answer.status, await answer.json()]).toEqual([
      410,
      { code: 'ERR_LIFEGUARD_SANDBOX', message: expect.stringMatching(/has ended/) },
    ]);
    expect(await stored(database)).toBe(0);
  });

  test('is the same server where it is asked twice, and no other is', async ({ database }) => {
    const pool = await shop(database);
    const server = createServer(app(pool));
    expect(honourSandboxes(honourSandboxes(server))).toBe(server);
    const plain = await listening(createServer(app(pool)));
    await sandbox(pool, async (db) => {
      const answer = await db.fetch(plain, { method: 'POST', body: 'real' });
      expect(await answer.json()).toEqual(['real']);
    });
    expect(await stored(database)).toBe(1);
  });

  test('takes a request into the sandboxes of several pools', async ({ database }) => {
    const pool = await shop(database);
    const url = await listening(honourSandboxes(app(pool)));
    const [header] = Object.keys((await sandbox(pool, async (db) => db)).headers) as [string];
    await sandbox(pool, async (db) => {
      const two = `${db.headers[header]}, ${db.headers[header]}`;
      expect(await post(url, 'ada', { [header]: two })).toEqual(['ada']);
    });
    expect(await stored(database)).toBe(0);
  });
});

interface Visit {
  readonly name: string;
  readonly db: Sandbox | undefined;
  readonly agent: Agent;
}

async function posted(url: string, { name, db, agent }: Visit): Promise<void> {
  const sent = request(url, { method: 'POST', agent, headers: { ...db?.headers } });
  sent.end(name);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
}
