import * as net from 'node:net';
import { inspect } from 'node:util';
import { freePort } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test as plain, testWithServer } from '@lifeguard/testkit/vitest';
import { createPool, type Events, LifeguardError, type LifeguardPool, type PoolOptions } from '../../src/index.ts';
import { accidents, answerOf, errorOf, listen, Notes, openPool } from './rig.ts';

const SECRET = 'Tr0ub4dor';
const test = testWithServer({ auth: 'scram', password: SECRET });

const CHANNELS: readonly (keyof Events)[] = [
  'lifeguard:pool:opened',
  'lifeguard:pool:dial-failed',
  'lifeguard:pool:closing',
  'lifeguard:pool:closed',
  'lifeguard:pool:breaker',
  'lifeguard:pool:refused',
  'lifeguard:pool:invalidated',
  'lifeguard:pool:pooler',
  'lifeguard:pool:warning',
  'lifeguard:lease:started',
  'lifeguard:lease:ended',
  'lifeguard:lease:leaked',
  'lifeguard:statement:started',
  'lifeguard:statement:ended',
];

/** All that could be printed or logged of a thing. */
function everythingOf(thing: unknown): string {
  return [inspect(thing, { depth: 12, showHidden: false }), JSON.stringify(thing), String(thing)].join('\n');
}

/** Everything that a pool shows of itself while it is used and misused. */
async function lifeOf(pool: LifeguardPool, logger: Notes): Promise<string> {
  const events = CHANNELS.map((name) => listen(name, pool));
  const errors = [
    await errorOf(pool.query('select 1/0')),
    await errorOf(pool.query('select pg_sleep(30)', [], { timeoutMillis: 20 })),
    await errorOf(pool.query('select pg_terminate_backend(pg_backend_pid())')),
    await errorOf(pool.query('select 1', [], { signal: AbortSignal.abort() })),
  ];
  const lease = await pool.lease();
  const held = everythingOf([lease, pool.snapshot(), pool]);
  pool.invalidate('the test wants it so');
  await pool.close({ graceMillis: 10 });
  errors.push(await errorOf(pool.query('select 1')));
  return [held, everythingOf(errors), everythingOf(events), everythingOf(logger.lines), everythingOf(pool)].join('\n');
}

describe('a secret', () => {
  const MEANS: Readonly<Record<string, (server: { url(): string; connection(): object }) => PoolOptions>> = {
    'of the connection string': (server) => ({ connectionString: server.url() }),
    'of the password option': (server) => server.connection(),
    'of a password function': (server) => ({ ...server.connection(), password: () => SECRET }),
  };

  for (const [means, optionsFor] of Object.entries(MEANS)) {
    test(`${means} is in nothing that a pool shows`, async ({ server }) => {
      const logger = new Notes();
      const pool = openPool({}, { ...optionsFor(server), logger });
      expect(await lifeOf(pool, logger)).not.toMatch(new RegExp(SECRET, 'i'));
    });
  }

  test('is in no error of a login that fails', async ({ server }) => {
    const url = server.url().replace('//postgres:', '//nobody:').replace(SECRET, `${SECRET}x`);
    for (const options of [{ connectionString: url }, { ...server.connection(), password: `${SECRET}x` }]) {
      const pool = openPool({}, options);
      const errors = [await errorOf(pool.query('select 1')), await errorOf(pool.ready()), pool];
      expect(everythingOf(errors)).not.toMatch(new RegExp(SECRET, 'i'));
    }
  });

  plain('is in no error of an address that does not answer', async () => {
    const connectionString = `postgres://u:${SECRET}@127.0.0.1:${await freePort()}/d`;
    const pool = openPool({}, { connectionString, startup: 'fail' });
    expect(everythingOf([await errorOf(pool.query('select 1')), pool])).not.toMatch(new RegExp(SECRET, 'i'));
  });

  plain('is in no refusal of an option', () => {
    for (const given of [{ password: [SECRET] }, { connectionString: { url: SECRET } }, { ssl: SECRET }] as object[]) {
      const caught: unknown[] = [];
      try {
        createPool(given);
      } catch (error) {
        caught.push(error);
      }
      expect(caught).toHaveLength(1);
      expect(everythingOf(caught)).not.toMatch(new RegExp(SECRET, 'i'));
    }
  });

  test('of a cancel key or a row is in nothing that a pool shows', async ({ server }) => {
    const pool = openPool(server.connection());
    const failed = listen('lifeguard:statement:ended', pool);
    await pool.query('create table cards (number text primary key)');
    await pool.query('insert into cards values ($1)', ['4111-1111']);
    const error = await errorOf(pool.query('insert into cards values ($1)', ['4111-1111']));
    expect(error).toMatchObject({ code: '23505', detail: expect.stringContaining('4111-1111') });
    const shown = everythingOf([failed, pool.snapshot(), pool]);
    expect(failed.at(-1)).toMatchObject({ error: '23505' });
    expect(shown).not.toMatch(/4111|secretKey/);
  });
});

test('printing one of our errors shows no row that its cause tells of', async ({ server }) => {
  const pool = openPool(server.connection());
  await pool.query('create table if not exists accounts (id text primary key)');
  await pool.query('insert into accounts values ($1) on conflict do nothing', ['card 4111']);
  const cause = await errorOf(pool.query('insert into accounts values ($1)', ['card 4111']));
  const printed = inspect(new LifeguardError('ERR_LIFEGUARD_CONNECTION_LOST', 'lost', { cause }), { depth: 9 });
  expect(printed).toMatch(/ERR_LIFEGUARD_CONNECTION_LOST[\s\S]*duplicate key value/);
  expect(printed).not.toContain('4111');
});

describe('a polluted prototype', () => {
  const POLLUTION: Readonly<Record<string, unknown>> = {
    host: 'evil.invalid',
    port: 1,
    user: 'evil',
    database: 'evil',
    password: 'evil',
    connectionString: 'postgres://evil.invalid/evil',
    ssl: { rejectUnauthorized: false },
    max: 9_999,
    options: '-c work_mem=64',
    application_name: 'evil',
    statement_timeout: 1,
    connectionTimeoutMillis: 1,
    timeoutMillis: 1,
    pipeline: true,
    binary: true,
    client_encoding: 'latin1',
    onConnect: () => Promise.reject(new Error('evil')),
    resetOnRelease: 'never',
    startup: 'fail',
    rowMode: 'array',
    query_timeout: 1,
    name: 'evil',
    values: ['evil'],
    scramMaxIterations: 1,
  };

  for (const [key, value] of Object.entries(POLLUTION)) {
    test(`by "${key}" changes nothing`, async ({ server }) => {
      pollute(key, value);
      const given = { connectionString: undefined, ...server.connection(), database: 'postgres' };
      const pool = openPool(given);
      const { rows } = await pool.query('select 1 as one, current_user::text as who, $1::text as what', ['it']);
      expect(rows).toEqual([{ one: 1, who: 'postgres', what: 'it' }]);
      expect(await answerOf(pool, 'show statement_timeout')).toBe('30s');
      expect(await answerOf(pool, 'show application_name')).toMatch(/^p\d+@/);
      expect(pool.snapshot()).toMatchObject({ max: 10, opened: 1 });
    });
  }

  test('by a password function is not asked for one', async ({ server }) => {
    let asked = 0;
    pollute('password', () => {
      asked += 1;
      return SECRET;
    });
    const { host, port, user, database } = server.connection();
    const pool = openPool({ host, port, user, database });
    expect(await errorOf(pool.query('select 1'))).toMatchObject({ code: 'ERR_LIFEGUARD_REJECTED' });
    expect(asked).toBe(0);
  });
});

describe('a hostile name', () => {
  const NAMES: readonly string[] = [
    '__proto__',
    'constructor',
    'toString',
    "'; drop table x; --",
    '*/ select 1 /*',
    'line\nbreak',
    'x'.repeat(10_000),
    '\u202e',
  ];

  test('of a call is an account like any other', async ({ server }) => {
    const pool = openPool(server.connection());
    for (const name of NAMES) await pool.query('select 1', [], { name, lane: false });
    const { held } = pool.snapshot();
    expect(Object.keys(held)).toEqual(NAMES);
    expect(Object.getPrototypeOf(held)).toBeNull();
    expect(({} as Record<string, unknown>)['leases']).toBeUndefined();
  });

  test('of a pool stays a name on the server', async ({ server }) => {
    const name = 'a\'b"c*/;\\ drop --';
    const pool = openPool(server.connection(), { name });
    expect(await answerOf<string>(pool, 'show application_name')).toContain(name);
  });

  test('of a group or of thousands of calls does not fill the memory', async ({ server }) => {
    const pool = openPool(server.connection());
    for (let round = 0; round < 250; round += 1) await pool.query('select 1', [], { name: `/users/${round}` });
    expect(Object.keys(pool.snapshot().held).length).toBeLessThanOrEqual(201);
    const groups = JSON.parse('{"__proto__": {"maxConcurrent": 1}}') as PoolOptions['groups'];
    const guarded = openPool(server.connection(), { groups: groups as NonNullable<typeof groups> });
    expect((await guarded.query('select 1 as x', [], { group: '__proto__' })).rows).toEqual([{ x: 1 }]);
  });
});

describe('a server that speaks something else', () => {
  const WORDS: Readonly<Record<string, Buffer>> = {
    'speaks HTTP': Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    'sends garbage': Buffer.from('ff00ff00ff00ff00ff00', 'hex'),
    'sends a length that is negative': Buffer.from('R\xff\xff\xff\xff\x00\x00\x00\x00', 'latin1'),
    'sends a message that is out of turn': Buffer.from('Z\x00\x00\x00\x05I', 'latin1'),
    'hangs up at once': Buffer.alloc(0),
  };

  for (const [what, words] of Object.entries(WORDS)) {
    plain(`and ${what} fails the caller and crashes nothing`, async () => {
      const seen = accidents();
      const port = await impostor(words);
      const pool = openPool({ host: '127.0.0.1', port, user: 'u' }, { connectionTimeoutMillis: 100 });
      const error = await errorOf(pool.query('select 1', [], { timeoutMillis: 300 }));
      expect(error.code).toMatch(/^ERR_LIFEGUARD_(DEADLINE|ACQUIRE_TIMEOUT|UNAVAILABLE|CONNECTION_LOST)$/);
      await pool.close({ graceMillis: 0 });
      expect(seen).toEqual([]);
    });
  }
});

async function impostor(words: Buffer): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    socket.once('data', () => (words.length > 0 ? socket.write(words) : socket.end()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

function pollute(key: string, value: unknown): void {
  Object.defineProperty(Object.prototype, key, { value, configurable: true, writable: true, enumerable: true });
  onTestFinished(() => void delete (Object.prototype as Record<string, unknown>)[key]);
}
