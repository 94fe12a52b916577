import type { Handle, Library } from '@lifeguard/conformance';
import { prismaOn } from '@lifeguard/core/orms';
import { PrismaPg } from '@prisma/adapter-pg';
import { type Prisma, PrismaClient } from './generated/client.ts';

export const fixture: Library = {
  name: 'prisma',
  transactions: 'nested',
  streams: false,
  async open({ pool, pgPool }) {
    // Prisma's own limits of its transactions: a test with a thousand of them is not about those.
    const transactionOptions = { maxWait: 60_000, timeout: 60_000 };
    const prisma = prismaOn(new PrismaClient({ adapter: new PrismaPg(pgPool), transactionOptions }), pool);
    return { ...handleOf(prisma), close: () => prisma.$disconnect() };
  },
};

/** A client, or the one of an interactive transaction: that can open another one within itself. */
type Client = Prisma.TransactionClient & Pick<PrismaClient, '$transaction'>;

function handleOf(client: Client): Handle {
  return {
    insert: (id) => client.note.create({ data: { id } }),
    ids: async () => (await client.note.findMany({ orderBy: { id: 'asc' } })).map(({ id }) => id),
    run: (text) => client.$queryRawUnsafe(text),
    transaction: (fn) => client.$transaction((tx) => fn(handleOf(tx as Client))),
  };
}
