import type { Packet } from './packet.ts';
import type { Field } from './shape.ts';

/** What travels under one Sync, and is over with one ReadyForQuery. The pipeline calls, in the order of the protocol. */
export interface Flight {
  /** Of the statement that is being answered, for pg's account of the names that users give. */
  readonly name: string | undefined;
  readonly text: string | undefined;
  /** Where the server asks for the rows of a COPY, which nobody has, this ends what it waits for. */
  readonly protocol: 'simple' | 'extended';
  /** All of it, or nothing where it throws. */
  write(packet: Packet): void;
  parsed(): void;
  /** From now on it may have run. */
  bound(): void;
  described(fields: readonly Field[] | undefined): void;
  row(texts: readonly (string | null)[]): void;
  completed(tag: string): void;
  /** An empty text is answered by this alone. */
  empty(): void;
  /** ErrorResponse: the server skips the rest of it. */
  failed(error: unknown): void;
  /** ReadyForQuery has been read. The server took at least so long for it, as far as can be told. */
  landed(ownMillis: number): void;
  /** It is late: the server has been at it for at least so long. */
  late(ownMillis: number): void;
  /** The connection is lost. `error` says whether the server may have it. */
  lost(error: unknown): void;
}
