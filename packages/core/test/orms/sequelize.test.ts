import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { sequelizeOn } from '../../src/orms/index.ts';
import { errorOf, openPool } from '../server/rig.ts';
import { type SequelizeManager, sequelizeLike, silentPool } from './doctored.ts';

type Client = pg.PoolClient;
type Inside = { readonly connectionManager: SequelizeManager };
type Hooked = Omit<SequelizeManager, 'pool' | 'connect' | 'disconnect'> & {
  readonly pool: {
    acquire(): Promise<Client>;
    release(client: Client): void;
    destroy(client: Client): Promise<void>;
  } & {
    drain(): Promise<void>;
    destroyAllNow(): Promise<void>;
  };
  connect(): Promise<Client>;
  disconnect(client: Client): Promise<void>;
};

const managerOf = (sequelize: object): Hooked => (sequelize as Inside).connectionManager as unknown as Hooked;

describe('a Sequelize on our pool', () => {
  test('is the same object, also the second time', () => {
    const pool = silentPool();
    const sequelize = sequelizeLike();
    expect(sequelizeOn(sequelize, pool, { pg })).toBe(sequelize);
    const { pool: first } = managerOf(sequelize);
    expect(sequelizeOn(sequelize, pool, { pg })).toBe(sequelize);
    expect(managerOf(sequelize).pool).toBe(first);
  });

  test('puts its own pool away', async () => {
    const sequelize = sequelizeLike();
    sequelizeOn(sequelize, silentPool(), { pg });
    await waitUntil(() => managerOf(sequelize).log.includes('own destroy'), { what: 'its own pool to be gone' });
    expect(managerOf(sequelize).log).toEqual(['own drain', 'own destroy']);
  });

  test('hangs up what it has dialled itself', async () => {
    const sequelize = sequelizeLike();
    const manager = managerOf(sequelizeOn(sequelize, silentPool(), { pg }));
    await manager.disconnect({} as Client);
    expect(manager.log).toContain('own disconnect');
  });

  test('has its connections in the transaction around whoever asks', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const { pool: hooked, connect, disconnect } = managerOf(sequelizeOn(sequelizeLike(), pool, { pg }));
    const asked = 'select pg_backend_pid() as pid';
    await pool.transaction(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>(asked);
      const ours = [{ pid: `known ${rows[0]?.pid}` }];
      const client = await hooked.acquire();
      expect((await client.query(asked)).rows).toEqual(ours);
      hooked.release(client);
      const probe = await connect();
      expect((await probe.query(asked)).rows).toEqual(ours);
      await disconnect(probe);
      await hooked.destroy(await hooked.acquire());
      expect((await tx.query(asked)).rows).toEqual(rows);
    });
    expect(pool.snapshot()).toMatchObject({ leased: 0, size: 1 });
  });

  test('looks for its types with its first connection, and reads by what it found', async ({ database }) => {
    const pool = openPool(database.connection);
    const manager = managerOf(sequelizeOn(sequelizeLike(), pool, { pg }));
    const client = await manager.pool.acquire();
    expect((await client.query('select 1 as n')).rows).toEqual([{ n: 'known 1' }]);
    manager.pool.release(client);
    manager.pool.release(await manager.pool.acquire());
    expect(manager.log.filter((line) => line.includes('types'))).toHaveLength(1);
  });

  test('gives its connection back where the types cannot be found', async ({ database }) => {
    const pool = openPool(database.connection);
    const manager = managerOf(sequelizeOn(sequelizeLike(), pool, { pg }));
    Object.assign(manager, { _refreshDynamicOIDs: (client: Client) => client.query('select 1/0') });
    expect(await errorOf(manager.pool.acquire())).toMatchObject({ code: '22012' });
    expect(pool.snapshot().leased).toBe(0);
  });

  test('leaves the pool alone when it is closed, once or twice', async ({ database }) => {
    const pool = openPool(database.connection);
    const { pool: hooked } = managerOf(sequelizeOn(sequelizeLike(), pool, { pg }));
    await Promise.all([hooked.drain(), hooked.drain(), hooked.destroyAllNow()]);
    expect(await errorOf(hooked.acquire())).toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED' });
    expect((await pool.query('select 7 as n')).rows).toEqual([{ n: 7 }]);
  });
});
