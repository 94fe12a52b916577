import { type PostgresServer, type Standby, startStandby } from '@lifeguard/testkit';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';

test('a standby shows what its primary has written and refuses writes', async ({ server }) => {
  const standby = await standbyOf(server);
  await server.query('create table item as select 1 as id');
  await standby.replayed();
  expect(await standby.query('select id from item')).toEqual([{ id: 1 }]);
  await expect(standby.query('insert into item values (2)')).rejects.toMatchObject({ code: '25006' });
});

test('a promoted standby takes writes after its primary was killed', async ({ server }) => {
  const standby = await standbyOf(server);
  await server.kill();
  await standby.promote();
  await standby.query('create table written as select 1 as id');
  await server.start();
  await expect(server.query('select * from written')).rejects.toMatchObject({ code: '42P01' });
});

async function standbyOf(server: PostgresServer): Promise<Standby> {
  const standby = await startStandby(server);
  onTestFinished(() => standby.stop());
  return standby;
}
