import type { Library } from '@lifeguard/conformance';
import { makeSchema } from 'postgraphile';
import { createWithPgClient, makePgService } from 'postgraphile/@dataplan/pg/adaptors/pg';
import { grafast } from 'postgraphile/grafast';
import type { ExecutionResult } from 'postgraphile/graphql';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';

interface Answer {
  readonly allTs: { readonly nodes: readonly { readonly rowId: number }[] };
}

export const fixture: Library = {
  name: 'postgraphile',
  transactions: 'none',
  streams: false,
  async open({ pgPool }) {
    const service = makePgService({ pool: pgPool, pubsub: false });
    const made = await makeSchema({ extends: [PostGraphileAmberPreset], pgServices: [service] });
    const ask = async (source: string): Promise<Answer> => {
      const { data, errors } = (await grafast({ ...made, source, requestContext: {} })) as ExecutionResult<Answer>;
      if (errors?.[0]) throw errors[0];
      return data as Answer;
    };
    const withPgClient = createWithPgClient({ pool: pgPool });
    return {
      insert: (id) => ask(`mutation { createT(input: { t: { rowId: ${id} } }) { clientMutationId } }`),
      ids: async () => (await ask('{ allTs(orderBy: ROW_ID_ASC) { nodes { rowId } } }')).allTs.nodes.map(idOf),
      run: (text) => withPgClient(null, async (client) => (await client.query({ text })).rows),
      close: async () => service.release?.(),
    };
  },
};

function idOf({ rowId }: { readonly rowId: number }): number {
  return rowId;
}
