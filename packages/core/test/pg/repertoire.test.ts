import { describe, expect, test } from '@lifeguard/testkit/vitest';
import fc from 'fast-check';
import { Packet } from '../../src/pg/packet.ts';
import { Repertoire } from '../../src/pg/repertoire.ts';
import { Scripts } from '../../src/pg/scripts.ts';
import { Step } from '../../src/pg/step.ts';

const TYPES = { getTypeParser: () => String };
/** So many texts come often, more than are kept. */
const TEXTS = 500;
const MOST = 380;
/** As many as a lane takes. */
const DEPTH = 64;

type Outcome = 'runs' | 'fails to parse' | 'fails to bind' | 'is skipped';

/** What is under way, with what the server made of it. */
interface Sent {
  readonly step: Step;
  readonly name: string;
  readonly answers: readonly ('parsed' | 'bound')[];
  readonly error: Error | undefined;
}

const coded = (code: string): Error => Object.assign(new Error('from the server'), { code, severity: 'ERROR' });

/** A connection whose server knows nothing but names; it does at once what is sent, and is heard of later. */
class World {
  readonly names = new Set<string>();
  readonly #scripts = new Scripts(() => true);
  readonly #repertoire = new Repertoire({ parsedStatements: {} } as never, this.#scripts);
  readonly #underway: Sent[] = [];

  constructor() {
    for (let at = 0; at < TEXTS; at += 1)
      for (let use = 1; use <= 4; use += 1) this.#scripts.nameOf(this.#scriptOf(at));
  }

  send(at: number, outcome: Outcome): void {
    if (this.#underway.length === DEPTH) this.hear(1);
    const step = this.#step(at);
    const packet = new Packet();
    step.write(packet);
    this.#underway.push(this.#serve(step, packet.take(), outcome));
    expect(this.names.size).toBeLessThanOrEqual(MOST);
  }

  /** The answers that have come by now. */
  hear(count: number): void {
    for (const { step, answers, error } of this.#underway.splice(0, count)) {
      if (answers.includes('parsed')) step.parsed();
      if (answers.includes('bound')) step.bound();
      if (error === undefined) continue;
      step.undone((one) => this.#repertoire.forget(one));
      if (step.isRefusedAsPrepared && step.prepared) this.#repertoire.outdates(step.prepared, error);
    }
  }

  /** The user's text takes everything away, or changes what names mean; he has the connection to himself. */
  unsettle(how: 'deallocate' | 'create'): void {
    this.hear(this.#underway.length);
    if (how === 'deallocate') this.names.clear();
    this.#repertoire.clear();
  }

  /** A statement whose values cannot be converted. */
  drop(at: number): void {
    this.#step(at);
    this.#repertoire.dropUnsent();
  }

  #scriptOf(at: number): ReturnType<Scripts['of']> {
    return this.#scripts.of(`select ${at}`);
  }

  #step(at: number): Step {
    const statement = { text: `select ${at}` };
    const prepared = this.#repertoire.of(statement, this.#scriptOf(at));
    expect(prepared?.name).toMatch(/^lg_/);
    return new Step(statement, TYPES, prepared);
  }

  #serve(step: Step, bytes: Buffer, outcome: Outcome): Sent {
    const answers: Sent['answers'][number][] = [];
    const sent = (name: string, error?: Error): Sent => ({ step, name, answers, error });
    if (outcome === 'is skipped') return sent(step.prepared?.name ?? '', coded('22012'));
    for (const [type, name] of messagesIn(bytes)) {
      if (type === 'C') this.names.delete(name);
      if (type === 'P' && outcome === 'fails to parse') return sent(name, coded('42P01'));
      if (type === 'P' && this.names.has(name)) throw new Error(`${name} exists already`);
      if (type === 'P') {
        this.names.add(name);
        answers.push('parsed');
      }
      if (type === 'B' && !this.names.has(name)) return this.#nameless(sent(name, coded('26000')));
      if (type === 'B' && outcome === 'fails to bind') return sent(name, coded('22P02'));
      if (type === 'B') answers.push('bound');
    }
    return sent('');
  }

  /** Only what relies on a Parse that has failed, and that was not heard of yet, may meet with that. */
  #nameless(sent: Sent): Sent {
    expect(this.#underway.some(({ name, error }) => name === sent.name && error !== undefined)).toBe(true);
    return sent;
  }
}

/** Type and name of those that have one. */
function* messagesIn(bytes: Buffer): Generator<readonly [string, string]> {
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) {
    const type = String.fromCharCode(bytes[at] as number);
    const [first = '', second = ''] = bytes
      .subarray(at + 5)
      .toString('latin1')
      .split('\0');
    if (type === 'C') yield [type, first.slice(1)];
    if (type === 'P') yield [type, first];
    if (type === 'B') yield [type, second];
  }
}

const outcome = fc.oneof(
  { weight: 12, arbitrary: fc.constant<Outcome>('runs') },
  fc.constantFrom<Outcome>('fails to parse', 'fails to bind', 'is skipped'),
);
const times = (from: number, count: number, send: (at: number) => void): void => {
  for (let at = from; at < from + count; at += 1) send(at % TEXTS);
};
const event: fc.Arbitrary<(world: World) => void> = fc.oneof(
  {
    weight: 60,
    arbitrary: fc.tuple(fc.nat(TEXTS - 1), outcome).map(
      ([at, how]) =>
        (world: World) =>
          world.send(at, how),
    ),
  },
  {
    weight: 10,
    arbitrary: fc.tuple(fc.nat(TEXTS - 1), fc.nat(90)).map(
      ([from, count]) =>
        (world: World) =>
          times(from, count, (at) => world.send(at, 'runs')),
    ),
  },
  { weight: 12, arbitrary: fc.nat(120).map((count) => (world: World) => world.hear(count)) },
  { weight: 2, arbitrary: fc.nat(TEXTS - 1).map((at) => (world: World) => world.drop(at)) },
  { weight: 1, arbitrary: fc.constantFrom('deallocate', 'create').map((how) => (world: World) => world.unsettle(how)) },
);

describe('the repertoire of a connection', () => {
  test('relies on nothing that the server has not, and keeps it small, whatever happens', () => {
    const property = fc.property(fc.array(event, { minLength: 300, maxLength: 600, size: 'max' }), (events) => {
      const world = new World();
      for (const happen of events) happen(world);
      world.hear(Number.POSITIVE_INFINITY);
      expect(world.names.size).toBeLessThanOrEqual(MOST);
    });
    fc.assert(property, { numRuns: process.env['LIFEGUARD_LONG'] === '1' ? 1_000 : 12 });
  });

  test('takes nothing away that has come back meanwhile', () => {
    const world = new World();
    for (let at = 0; at < 300; at += 1) world.send(at, 'runs');
    world.hear(1_000);
    world.send(300, 'fails to parse');
    for (let at = 0; at < 50; at += 1) world.send(at, 'runs');
    world.hear(1_000);
    world.send(350, 'runs');
    world.hear(1_000);
    for (let at = 0; at < 50; at += 1) world.send(at, 'runs');
    expect(world.names.size).toBeGreaterThanOrEqual(50);
  });

  test('gives up those that were not used for the longest time', () => {
    const world = new World();
    for (let round = 0; round < 20; round += 1) {
      for (const at of [0, 1, 2, 100 + round, 200 + round, 300 + round]) world.send(at, 'runs');
      for (let at = 20; at < 100; at += 1) world.send(at, 'runs');
      world.hear(1_000);
    }
    const before = world.names.size;
    for (const at of [0, 1, 2]) world.send(at, 'runs');
    expect(world.names.size).toBe(before);
  });
});

describe('a name of a user', () => {
  test('means one text, whether we have sent it or pg itself', () => {
    const scripts = new Scripts(() => true);
    const repertoire = new Repertoire({ parsedStatements: { theirs: 'select 1' } } as never, scripts);
    const of = (name: string, text: string): unknown => repertoire.of({ name, text }, scripts.of(text));
    expect(of('theirs', 'select 1')).toMatchObject({ state: 'parsed' });
    expect(() => of('theirs', 'select 2')).toThrow('must be unique: "theirs"');
    expect(of('ours', 'select 1')).toMatchObject({ state: 'unsent', name: 'ours' });
    expect(() => of('ours', 'select 2')).toThrow('must be unique: "ours"');
    repertoire.dropUnsent();
    expect(of('ours', 'select 2')).toMatchObject({ state: 'unsent', text: 'select 2' });
  });
});
