import { LifeguardError } from './errors.ts';
import type { Logger } from './events.ts';
import {
  choice,
  flag,
  fn,
  isRecord,
  millis,
  nearest,
  ownProperties,
  POOLERS,
  type Rule,
  text,
  whole,
} from './option-rules.ts';
import { checkGroups, checkOverload } from './option-shapes.ts';
import type { PoolOptions } from './pool-options.ts';

type ForPg =
  | 'connectionString'
  | 'host'
  | 'port'
  | 'user'
  | 'database'
  | 'password'
  | 'ssl'
  | 'sslnegotiation'
  | 'enableChannelBinding'
  | 'options'
  | 'application_name'
  | 'types'
  | 'keepAlive'
  | 'keepAliveInitialDelayMillis'
  | 'stream';
type PgSpelling = 'statement_timeout' | 'lock_timeout' | 'idle_in_transaction_session_timeout';
type Shaped = 'groups' | 'overload' | 'onConnect' | 'logger';

export interface OverloadSettings {
  readonly targetWaitMillis: number;
  readonly intervalMillis: number;
}

/** Options that are one value each: given or by default, always there. */
type Plain = {
  readonly [Name in Exclude<keyof PoolOptions, ForPg | PgSpelling | Shaped>]-?: Exclude<PoolOptions[Name], undefined>;
};

/** All options, checked, with their defaults, frozen. What is absent in `forPg` is for pg and its environment to fill. */
export interface Settings extends Plain {
  readonly forPg: Readonly<Pick<PoolOptions, ForPg>>;
  readonly groups: ReadonlyMap<string, { readonly maxConcurrent: number }>;
  readonly overload: OverloadSettings | undefined;
  readonly onConnect: PoolOptions['onConnect'];
  readonly logger: Logger | undefined;
}

const FOR_PG: Readonly<Record<ForPg, Rule>> = {
  connectionString: { check: (value) => text().check(value) ?? connectionScheme(value as string) },
  host: text(),
  port: whole(undefined, 1, 65_535),
  user: text(),
  database: text(),
  password: { check: (value) => (typeof value === 'function' ? undefined : text().check(value)) },
  ssl: { check: (value) => (isTls(value) ? undefined : 'must be true, false or an object of TLS options') },
  sslnegotiation: choice(undefined, 'postgres', 'direct'),
  enableChannelBinding: flag(false),
  options: text(),
  application_name: text(),
  types: { check: (value) => (hasMethod(value, 'getTypeParser') ? undefined : 'must have a method getTypeParser()') },
  keepAlive: flag(true),
  keepAliveInitialDelayMillis: millis(10_000),
  stream: fn(),
};

const PLAIN: Readonly<Record<keyof Plain, Rule>> = {
  name: { fallback: 'main', check: (value) => text().check(value) ?? printable(value as string) },
  max: whole(10, 1),
  min: whole(0),
  overflow: whole(0),
  reserve: whole(0),
  reserveAfterMillis: millis(1_000),
  maxWaiting: whole(1_000),
  lane: flag(true),
  prepare: {
    fallback: 'auto',
    check: (value) => (value === 'auto' || value === false ? undefined : 'must be "auto" or false'),
  },
  startup: choice('lazy', 'lazy', 'wait', 'fail'),
  allowExitOnIdle: flag(false),
  acquireTimeoutMillis: millis(5_000),
  connectionTimeoutMillis: millis(5_000),
  idleTimeoutMillis: millis(30_000),
  maxLifetimeSeconds: millis(1_800),
  maxUses: whole(0),
  validateAfterIdleMillis: millis(1_000),
  keepaliveMillis: millis(60_000),
  checkTimeoutMillis: millis(1_000, 1),
  cleanTimeoutMillis: millis(2_000, 1),
  closeTimeoutMillis: millis(5_000, 1),
  statementTimeoutMillis: millis(30_000),
  lockTimeoutMillis: millis(0),
  idleInTransactionTimeoutMillis: millis(60_000),
  transactionTimeoutMillis: millis(0),
  clientCheckMillis: millis(5_000),
  leakAfterMillis: millis(30_000),
  reclaimAfterMillis: millis(0),
  resetOnRelease: choice('dirty', 'dirty', 'always', 'never'),
  pooler: choice('auto', ...POOLERS),
  mode: choice('ambient', 'ambient', 'explicit'),
  selfDeadlock: choice('warn', 'allow', 'warn', 'throw'),
};

const SHAPED: Readonly<Record<Shaped, Rule>> = {
  groups: { check: checkGroups },
  overload: { check: checkOverload },
  onConnect: fn(),
  logger: {
    check: (value) =>
      hasMethod(value, 'warn') ? undefined : 'must have a method warn(), as pino and the console have',
  },
};

/** pg's spelling → ours. One of them, not both. */
const SPELLINGS: Readonly<Record<PgSpelling, keyof typeof PLAIN>> = {
  statement_timeout: 'statementTimeoutMillis',
  lock_timeout: 'lockTimeoutMillis',
  idle_in_transaction_session_timeout: 'idleInTransactionTimeoutMillis',
};

/** Options of pg and pg-pool that would mean something else here. */
const REFUSED: Readonly<Record<string, string>> = {
  query_timeout: 'it abandons a statement that goes on running; use statementTimeoutMillis, which the server enforces',
  Client: 'the client is always that of the pg package; pg-native cannot be cancelled, checked or pipelined',
  native: 'pg-native cannot be cancelled, checked or pipelined',
  Promise: "promises are the platform's own",
  verify: 'a new connection is verified by onConnect',
  log: 'use logger, or subscribe to the diagnostics channels',
  maxLifetimeMillis: 'the unit of the lifetime is seconds: maxLifetimeSeconds',
  idle_timeout: 'use idleTimeoutMillis',
  maxSize: 'use max',
  minSize: 'use min',
  pipeline: 'the pool decides what is pipelined',
  binary: 'results are read in text format',
};

/** Checks what the caller gave and fills in the rest. Reads own properties only: a polluted prototype changes nothing. */
export function readOptions(given: PoolOptions = {}): Settings {
  if (!isRecord(given)) refuse('createPool takes an object of options');
  const own = ownProperties(given);
  for (const [key, value] of own) checkOption(key, value);
  translateSpellings(own);
  fillAcquireTimeout(own);
  const plain = Object.fromEntries(
    Object.entries(PLAIN).map(([key, rule]) => [key, own.get(key) ?? rule.fallback]),
  ) as unknown as Plain;
  refuseContradictions(plain, own);
  return Object.freeze({
    ...plain,
    forPg: forPg(own),
    groups: groupSettings(own.get('groups') as PoolOptions['groups']),
    overload: overloadSettings(own.get('overload') as PoolOptions['overload']),
    onConnect: own.get('onConnect') as PoolOptions['onConnect'],
    logger: own.get('logger') as Logger | undefined,
  });
}

function checkOption(key: string, value: unknown): void {
  const refused = Object.hasOwn(REFUSED, key) ? REFUSED[key] : undefined;
  if (refused !== undefined) refuse(`option "${key}" is not taken: ${refused}`);
  const rule = ruleOf(key);
  if (rule === undefined) refuse(`unknown option "${key}"${nearest(key, ALL_NAMES)}`);
  const complaint = rule.check(value);
  if (complaint !== undefined) refuse(`option "${key}" ${complaint}`);
}

function ruleOf(key: string): Rule | undefined {
  if (Object.hasOwn(SPELLINGS, key)) return PLAIN[SPELLINGS[key as PgSpelling]];
  for (const rules of [PLAIN, FOR_PG, SHAPED]) {
    if (Object.hasOwn(rules, key)) return (rules as Readonly<Record<string, Rule>>)[key];
  }
  return undefined;
}

const ALL_NAMES: readonly string[] = [PLAIN, FOR_PG, SHAPED].flatMap((rules) => Object.keys(rules));

function translateSpellings(own: Map<string, unknown>): void {
  for (const [theirs, ours] of Object.entries(SPELLINGS)) {
    if (!own.has(theirs)) continue;
    if (own.has(ours)) refuse(`options "${theirs}" and "${ours}" are two spellings of one limit: give one of them`);
    own.set(ours, own.get(theirs));
    own.delete(theirs);
  }
}

/** In pg one limit bounds line and dial together: who gives only that one means both. */
function fillAcquireTimeout(own: Map<string, unknown>): void {
  if (!own.has('acquireTimeoutMillis') && own.has('connectionTimeoutMillis')) {
    own.set('acquireTimeoutMillis', own.get('connectionTimeoutMillis'));
  }
}

function refuseContradictions(
  plain: Pick<Settings, 'min' | 'max' | 'leakAfterMillis' | 'reclaimAfterMillis'>,
  own: ReadonlyMap<string, unknown>,
): void {
  const { min, max, leakAfterMillis, reclaimAfterMillis } = plain;
  if (min > max) refuse(`option "min" (${min}) is greater than "max" (${max})`);
  if (reclaimAfterMillis > 0 && reclaimAfterMillis < leakAfterMillis) {
    refuse(
      `a lease would be reclaimed (${reclaimAfterMillis} ms) before it is reported as leaked (${leakAfterMillis} ms)`,
    );
  }
  if (own.get('sslnegotiation') === 'direct' && !mayUseTls(own)) {
    refuse('option "sslnegotiation" is "direct", and nothing asks for TLS: set "ssl"');
  }
  if (own.has('connectionString')) refuseBesideString(own);
}

/** A connection string may ask for TLS itself, and PGSSLMODE does where `ssl` is absent: both are read by pg. */
function mayUseTls(own: ReadonlyMap<string, unknown>): boolean {
  if (own.has('connectionString')) return true;
  const fromEnvironment = /^(prefer|require|verify-ca|verify-full|no-verify)$/.test(process.env['PGSSLMODE'] ?? '');
  return own.has('ssl') ? own.get('ssl') !== false : fromEnvironment;
}

function refuseBesideString(own: ReadonlyMap<string, unknown>): void {
  for (const key of ['host', 'port', 'user', 'database']) {
    if (own.has(key)) refuse(`options "connectionString" and "${key}" both say where to connect: give one of them`);
  }
  for (const [theirs, ours] of Object.entries(SPELLINGS)) {
    const isInString = new RegExp(`[?&]${theirs}=`).test(own.get('connectionString') as string);
    if (isInString && own.has(ours))
      refuse(`"connectionString" and option "${ours}" both give a limit: give one of them`);
  }
}

function forPg(own: ReadonlyMap<string, unknown>): Settings['forPg'] {
  const entries = Object.entries(FOR_PG).map(([key, rule]) => [key, own.get(key) ?? rule.fallback]);
  const settings = Object.fromEntries(entries) as { -readonly [Key in ForPg]?: unknown };
  // Whoever prints the settings prints no secret: https://nodejs.org/api/util.html#utilinspectobject-options
  for (const key of ['password', 'connectionString', 'ssl'] as const) {
    Object.defineProperty(settings, key, { enumerable: false });
  }
  return Object.freeze(settings) as Settings['forPg'];
}

function overloadSettings(given: PoolOptions['overload']): OverloadSettings | undefined {
  if (given === false) return undefined;
  return Object.freeze({
    targetWaitMillis: 100,
    intervalMillis: 500,
    ...Object.fromEntries(ownProperties(given ?? {})),
  });
}

/** A copy: what the caller does to the object later changes nothing here. */
function groupSettings(given: PoolOptions['groups'] = {}): Settings['groups'] {
  const entries = Object.entries(given).map(([name, group]) => [name, Object.freeze({ ...group })] as const);
  return new Map(entries);
}

function isTls(value: unknown): boolean {
  return typeof value === 'boolean' || (typeof value === 'object' && value !== null);
}

function hasMethod(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && typeof (value as Record<string, unknown>)[name] === 'function';
}

/** The name goes into `application_name`, where PostgreSQL takes 63 bytes and a NUL would end the startup packet. */
function printable(name: string): string | undefined {
  return /^[\x20-\x7e]{1,63}$/.test(name) ? undefined : 'must be 1 to 63 printable ASCII characters';
}

function refuse(message: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_OPTION', message);
}

/** pg would take the rest for a path on a host called "base". The string is not shown: it holds a password. */
function connectionScheme(value: string): string | undefined {
  const isKnown = /^(postgres(ql)?:\/\/|socket:|\/)/.test(value);
  return isKnown ? undefined : 'must begin with postgres:// or postgresql://, or be the folder of a unix socket';
}
