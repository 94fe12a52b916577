import type { Submittable } from '../pg/submittable.ts';
import { bindToHere } from '../scope/ambient.ts';

/** What pg's client tells a cursor, a stream or a COPY. https://node-postgres.com/apis/client */
const TOLD = [
  'handleRowDescription',
  'handleDataRow',
  'handlePortalSuspended',
  'handleCommandComplete',
  'handleEmptyQuery',
  'handleReadyForQuery',
  'handleError',
  'handleCopyInResponse',
  'handleCopyData',
] as const;

type Answering = { [Name in (typeof TOLD)[number]]?: (...args: unknown[]) => unknown } & {
  /** Where it reads its rows with. */
  readonly _result?: { _types?: object | undefined } | null;
};

interface Delivery {
  readonly types: object | undefined;
  readonly connection: object;
  submit(): Promise<unknown>;
}

/**
 * Submits it so that it is told of its answer in the async context of whoever asked, and not in that of the socket; and
 * so that an error on the way there reaches it as one of the server would.
 */
export async function submitHere(submittable: Submittable, delivery: Delivery): Promise<void> {
  const answering = submittable as unknown as Answering;
  const { types, connection, submit } = delivery;
  const { _result: result } = answering;
  if (result !== undefined && result !== null) result._types ??= types;
  for (const name of TOLD) {
    const tell = answering[name];
    if (tell !== undefined) answering[name] = bindToHere(tell.bind(answering));
  }
  try {
    await submit();
  } catch (error) {
    answering.handleError?.(error, connection);
  }
}
