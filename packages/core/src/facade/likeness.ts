import type { Settings } from '../options.ts';

/** What a façade says of the pool behind it. */
export interface Likeness {
  /** As they would be given to a `pg.Pool` that connects to the same database. */
  readonly options: object;
  /** The type parsers of the driver that we use. */
  readonly types: object;
}

export function likenessOf({ forPg, max, min }: Settings, types: object): Likeness {
  const { password, connectionString } = forPg;
  // These three are not enumerable there; and pg hides the key in the object that it is given.
  const ssl = typeof forPg.ssl === 'object' ? { ...forPg.ssl } : forPg.ssl;
  const given = Object.entries({ ...forPg, password, connectionString, ssl }).filter(
    ([, value]) => value !== undefined,
  );
  return { options: { ...Object.fromEntries(given), max, min }, types };
}
