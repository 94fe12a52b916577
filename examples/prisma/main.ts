/** Prisma in Lifeguard's transactions. */
import { createPool } from '@lifeguard/core';
import { prismaOn } from '@lifeguard/core/orms';
import { startPostgres } from '@lifeguard/testkit';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { PrismaClient } from './generated/client.ts';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'prisma', max: 5 });

// The one line. What `prismaOn` sees to: reads of several requests are never put into one statement.
const prisma = prismaOn(new PrismaClient({ adapter: new PrismaPg(pool.asPgPool({ pg })) }), pool);

try {
  await pool.query('create table example_prisma (owner text primary key, balance int not null check (balance >= 0))');
  await open('ada', 100);

  await pool.transaction(async () => {
    await open('grace', 0);
    await move('ada', 'grace', 30);
  });
  await show('committed together');

  await pool
    .transaction(async () => {
      await open('linus', 0);
      await move('ada', 'linus', 1_000);
    })
    .catch(() => show('rolled back together, the new account and all'));

  await pool.transaction(async () => {
    await move('ada', 'grace', 1_000).catch(() => console.log('no overdraft, and the transaction goes on'));
    await move('ada', 'grace', 10);
  });
  await show('of the last two only the first was undone');
} finally {
  await pool.query('drop table if exists example_prisma');
  await prisma.$disconnect();
  await pool.close();
  await server?.stop();
}

/** Knows nothing of the transaction that it is part of. */
async function open(owner: string, balance: number): Promise<void> {
  await prisma.account.create({ data: { owner, balance } });
}

/** A transaction of Prisma's own: a real one where it stands alone, a savepoint inside another. */
async function move(from: string, to: string, amount: number): Promise<void> {
  await prisma.$transaction(async (tx) => {
    await tx.account.update({ where: { owner: to }, data: { balance: { increment: amount } } });
    await tx.account.update({ where: { owner: from }, data: { balance: { decrement: amount } } });
  });
}

async function show(what: string): Promise<void> {
  const rows = await prisma.account.findMany({ orderBy: { owner: 'asc' } });
  console.log(`${what}: ${rows.map(({ owner, balance }) => `${owner} ${balance}`).join(', ')}`);
}
