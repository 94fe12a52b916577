import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { accidents, errorOf, openPool, outcomesOf } from '../server/rig.ts';
import { Grace, Moment } from './inside-grace.ts';
import { promised } from './inside-library.ts';
import { leavesNothing, prepared, put } from './inside-rig.ts';
import { happened } from './peers.ts';

const NOTICE = "do $$ begin raise notice 'for somebody else'; end $$";

describe('a client that is never given back', () => {
  test('hears nothing any more when its transaction is over, and leaves no listener', async ({ database }) => {
    const { pool, orm } = await prepared(database, { pool: { max: 1 } });
    const heard: unknown[] = [];
    const counts = new Set<number>();
    for (let requests = 0; requests < 12; requests += 1) {
      await pool.transaction(async () => {
        const client = await orm.connect();
        client.on('notice', (notice) => heard.push(notice));
        await client.query('select 1');
        await client.query(NOTICE);
      });
      const lease = await pool.lease();
      counts.add((lease as unknown as { client: pg.Client }).client.listenerCount('notice'));
      await lease.release();
    }
    await pool.query(NOTICE);
    expect([heard.length, counts.size]).toEqual([12, 1]);
  });

  test('is not waited for by end() when its transaction is over', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(async () => {
      await put(await orm.connect(), 1);
    });
    await orm.end();
    expect(orm.ended).toBe(true);
  });
});

describe('a listener that throws', () => {
  test.for(['in a transaction', 'outside'])('at a notice does not keep the answer %s', async (where, { database }) => {
    const { pool, orm } = await prepared(database);
    const seen = accidents();
    const work = async (): Promise<void> => {
      const client = await orm.connect();
      client.on('notice', () => {
        throw new Error('of the listener');
      });
      await client.query('select 1');
      expect(await client.query(NOTICE)).toMatchObject({ command: 'DO' });
      await client.query('select 1');
      client.release();
    };
    await (where === 'outside' ? work() : pool.transaction(work));
    await leavesNothing(database, pool);
    expect(seen).toMatchObject([{ message: 'of the listener' }]);
  });

  test('at the end of a query is no second answer to it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const seen = accidents();
    const told: unknown[] = [];
    await pool.transaction(async () => {
      const client = await orm.connect();
      const query = new pg.Query('insert into item values (1)');
      query.on('error', (error) => told.push(error));
      query.on('end', () => {
        throw new Error('of the listener');
      });
      client.query(query);
      await client.query('select 1');
      client.release();
    });
    expect([told, await stored()]).toEqual([[], [1]]);
    expect(seen).toMatchObject([{ message: 'of the listener' }]);
  });
});

describe('a listener of "connect"', () => {
  test('that leaves a transaction open costs that connection, and nothing is lost in it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database, { pool: { max: 1 } });
    const met: unknown[] = [];
    orm.on('connect', (client) => {
      if (met.push(client) === 1) void client.query('BEGIN');
    });
    await pool.query('insert into item values (1)');
    expect([met.length, await stored()]).toEqual([2, [1]]);
  });

  test('is in the context of nobody, whoever has the connection made or reset', async ({ database }) => {
    const { pool, orm } = await prepared(database, { pool: { max: 1 } });
    const seen: unknown[] = [];
    orm.on('connect', () => void seen.push(pool.current()));
    await pool.scope({ name: 'request' }, async () => {
      const lease = await pool.lease();
      await lease.query("set application_name = 'x'");
      await lease.release();
      await pool.query('select 1');
    });
    expect(seen).toEqual([undefined, undefined]);
  });
});

describe('two façades of one pool', () => {
  test('are both told of a connection that is gone', async ({ database }) => {
    const { pool, orm } = await prepared(database, { pool: { max: 1 } });
    const other = pool.asPgPool({ pg });
    await orm.query('select 1');
    const gone = Promise.all([happened(orm, 'remove'), happened(other, 'remove')]);
    pool.invalidate('test');
    await gone;
  });
});

describe('end() of a façade', () => {
  test('refuses who still waits for a connection, and waits for what runs', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database, { pool: { max: 1 } });
    const lease = await pool.lease();
    const [client, query] = [errorOf(orm.connect()), orm.query('insert into item values (1)')];
    const storedAtTheEnd = orm.end().then(() => stored());
    await lease.release();
    expect(await client).toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED' });
    expect(await storedAtTheEnd).toEqual([1]);
    await query;
  });
});

describe('a client that is given back with cursors open', () => {
  test('gives the connection to the next, also where a second one had not come to its turn', async ({ database }) => {
    const { pool, orm } = await prepared(database, { pool: { max: 1 } });
    const client = await orm.connect();
    const first = client.query(new Cursor('select generate_series(1, 1000)'));
    await first.read(1);
    const second = client.query(new Cursor('select 2'));
    const reading = outcomesOf([second.read(1)]);
    client.release();
    await pool.query('select 1');
    expect((await reading)[0]).toMatch(/^ERR_LIFEGUARD_|^ok$|^undefined$/);
  });
});

describe('a façade that is made inside an open transaction', () => {
  test('has its forgotten transactions rolled back as any other', async ({ database }) => {
    const grace = Grace.held();
    await database.query('create table if not exists item (id int primary key)');
    const pool = openPool(database.connection, { max: 2 });
    const whole = pool.transaction(async (tx) => {
      await tx.query('select 1');
      const client = await pool.asPgPool({ pg }).connect();
      await client.query('BEGIN');
      await put(client, 1);
    });
    await grace.passesFor(outcomesOf([whole]));
    await leavesNothing(database, pool);
    expect(await database.query('select id from item where id = 1')).toEqual([]);
  });
});

describe('a transaction of a library that was left open', () => {
  test('is told of once, however long its guest keeps it', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, notes } = await prepared(database);
    const goOn = new Moment();
    const inside = new Moment();
    let guest: Promise<unknown> | undefined;
    const whole = pool.transaction(async (tx) => {
      const client = await orm.connect();
      await client.query('BEGIN');
      guest = tx.transaction(async (nested) => {
        await nested.query('select 1');
        inside.come();
        await goOn.comes();
      });
      await grace.passesFor(inside.comes());
    });
    const outcome = outcomesOf([whole, guest as Promise<unknown>]);
    await grace.passes();
    const late = outcomesOf([put(orm, 2)]);
    goOn.come();
    await grace.passesFor(Promise.all([outcome, late]));
    expect(notes.codes.filter((code) => code === 'LIFEGUARD_LEFT_OPEN')).toHaveLength(1);
  });
});

describe('statements that were asked for in one breath', () => {
  test('all hear of it when their turn never comes', async ({ database }) => {
    Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const left = new AbortController();
    let both: Promise<string[]> | undefined;
    const whole = pool.transaction(
      (tx) =>
        promised(orm, async (client) => {
          await put(client, 1);
          both = outcomesOf([put(tx, 2), put(tx, 3), put(tx, 4)]);
          left.abort();
          await new Promise(() => undefined);
        }),
      { signal: left.signal },
    );
    expect(await errorOf(whole)).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED' });
    expect(await both).toHaveLength(3);
    expect(await stored()).toEqual([]);
  });
});
