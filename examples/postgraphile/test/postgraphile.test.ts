import { describeLibrary, playedOn } from '@lifeguard/conformance';
import { waitUntil } from '@lifeguard/testkit';
import { expect, test } from '@lifeguard/testkit/vitest';
import { createWithPgClient, PgSubscriber } from 'postgraphile/@dataplan/pg/adaptors/pg';
import { fixture } from '../fixture.ts';

describeLibrary(fixture);

const WHO = "select current_user::text as role, current_setting('example.tenant', true) as tenant";

test(
  'the role and the settings of a request end with its transaction',
  playedOn(fixture, async ({ pool, pgPool, database }) => {
    await database.query('create role app_anon');
    const withPgClient = createWithPgClient({ pool: pgPool });
    const settings = { role: 'app_anon', 'example.tenant': 'seven' };
    await pool.transaction(async () => {
      const inside = await withPgClient(settings, (client) => client.query({ text: WHO }));
      expect(inside.rows).toEqual([{ role: 'app_anon', tenant: 'seven' }]);
      const after = await pgPool.query(WHO);
      expect(after.rows).toEqual([{ role: database.connection.user, tenant: '' }]);
    });
    await database.query('drop role app_anon');
  }),
);

test(
  'a subscriber hears of what a transaction has notified',
  playedOn(fixture, async ({ pool, pgPool }) => {
    const subscriber = new PgSubscriber(pgPool);
    const topic = subscriber.subscribe('notes');
    let heard: unknown;
    void topic.next().then(({ value }) => {
      heard = value;
    });
    // It does not say when it has begun to listen.
    const notify = () => pool.transaction(() => pgPool.query("notify notes, 'written'"));
    await waitUntil(async () => (await notify()) && heard, { what: 'a notification' });
    expect(heard).toBe('written');
    await topic.return?.();
    subscriber.release();
    await waitUntil(() => pool.snapshot().leased === 0, { what: 'the end of listening' });
  }),
);
