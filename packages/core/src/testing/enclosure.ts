import { Ambient } from '../scope/ambient.ts';
import { Desk } from '../scope/desk.ts';
import type { Ground } from '../scope/ground.ts';
import { wrongCall } from './refusals.ts';

/** What the running code is inside of: a sandbox, open or ended. */
interface Enclosed {
  readonly name: string;
  readonly isOver: boolean;
  /** On which its work stands. */
  readonly ground: Ground;
}

/** The sandboxes of one pool: which of them the running code belongs to. */
export class Enclosure {
  readonly ground: Ground;
  readonly #ambient: Ambient<Enclosed>;
  #common: Enclosed | undefined = undefined;

  private constructor(desk: Desk) {
    this.ground = desk.ground;
    this.#ambient = new Ambient(this, 'ambient');
    desk.divert(() => this.#here()?.ground);
  }

  /** The one of this pool, which asks for its sandboxes from now on. */
  static of(pool: object): Enclosure {
    const known = ENCLOSURES.get(pool);
    if (known !== undefined) return known;
    const desk = Desk.of(pool);
    if (desk === undefined)
      throw wrongCall('sandbox() takes a pool made by createPool() of the same copy of the package');
    const enclosure = new Enclosure(desk);
    ENCLOSURES.set(pool, enclosure);
    return enclosure;
  }

  /** Runs `fn`, and all that it starts, inside; with `undefined`, outside of all sandboxes of the pool. */
  run<R>(inside: Enclosed | undefined, fn: () => R): R {
    if (inside !== undefined && this.#ambient.current() === inside) return fn();
    // What is around it belongs to another transaction, or to none.
    const there = (): R => this.ground.ambient.run(undefined, fn);
    return this.#ambient.run(inside ?? OUTSIDE, there);
  }

  /** The rest of the running function, and of whoever called it, is inside from here on. */
  enter(inside: Enclosed): void {
    this.#ambient.enter(inside);
  }

  /** Whoever is in no sandbox is in this one, until it ends. */
  share(inside: Enclosed): void {
    if (this.#common !== undefined && !this.#common.isOver)
      throw wrongCall(`the sandbox "${this.#common.name}" of this pool is open, and shared already`);
    this.#common = inside;
  }

  /** What has ended is the context of a test before this one, or of its late work: a shared one takes both in. */
  #here(): Enclosed | undefined {
    const current = this.#ambient.current();
    if (current === OUTSIDE) return undefined;
    if (current?.isOver === false) return current;
    return this.#common?.isOver === false ? this.#common : current;
  }
}

const ENCLOSURES = new WeakMap<object, Enclosure>();
/** Asked for, and so not to be mistaken for somebody who was never in a sandbox. */
const OUTSIDE: Enclosed = Object.freeze({ name: '', isOver: false }) as Enclosed;
