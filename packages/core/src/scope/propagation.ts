import { LifeguardError } from '../errors.ts';

/** What a transaction does where there is one already, and where there is none. */
export type Propagation =
  /** Joins it; else begins one. */
  | 'required'
  /** Begins one of its own, on a connection of its own. */
  | 'requires-new'
  /** A savepoint in it; else begins one. */
  | 'nested'
  /** Joins it; else goes without. */
  | 'supports'
  /** Goes without, beside it. */
  | 'not-supported'
  /** Joins it; else is refused. */
  | 'mandatory'
  /** Goes without; refused where there is one. */
  | 'never';

export type Route = 'join' | 'begin' | 'savepoint' | 'without' | 'refused';

/** The whole of it: first where a transaction is open, then where none is. */
export const ROUTES: Readonly<Record<Propagation, readonly [inside: Route, outside: Route]>> = {
  required: ['join', 'begin'],
  'requires-new': ['begin', 'begin'],
  nested: ['savepoint', 'begin'],
  supports: ['join', 'without'],
  'not-supported': ['without', 'without'],
  mandatory: ['join', 'refused'],
  never: ['refused', 'without'],
};

export function routeOf(propagation: Propagation, around: 'inside' | 'outside'): Exclude<Route, 'refused'> {
  const route = ROUTES[propagation][around === 'inside' ? 0 : 1];
  if (route !== 'refused') return route;
  const why =
    around === 'inside'
      ? 'there is an open transaction, and propagation "never" wants none'
      : 'there is no open transaction, and propagation "mandatory" wants to join one';
  throw new LifeguardError('ERR_LIFEGUARD_PROPAGATION', `Nothing was sent: ${why}.`, { consequence: 'nothing-sent' });
}
