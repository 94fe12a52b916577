import type { LifeguardPool } from '../lifeguard-pool.ts';
import { Hook } from './hook.ts';

/** What we are given. https://www.prisma.io/docs/orm/reference/prisma-client-reference */
export interface PrismaLike {
  $disconnect(): Promise<void>;
}

/** Gathers what is asked for in one tick, and sends it as one statement, in the async context of whoever asked first. */
interface Loader {
  request(request: unknown): Promise<unknown>;
  readonly options: { readonly batchBy?: unknown };
  readonly constructor: new (options: unknown) => Loader;
}

/** It is not public: hence the version check. */
interface Inside {
  readonly _clientVersion?: unknown;
  readonly _requestHandler?: { readonly dataloader?: Loader };
  readonly _engineConfig?: { readonly adapter?: { readonly externalPool?: unknown } };
}

const HOOK: Hook = new Hook('prismaOn');
const TESTED = '7.10';

/**
 * Keeps a PrismaClient from answering two units of work with one statement: without it a `findUnique` may run in the
 * transaction of another request, and see what that has not committed. The client itself is made with
 * `new PrismaPg(pool.asPgPool({ pg }))`. The answer is the same object; those of its `$extends()` are hooked as well.
 */
export function prismaOn<Prisma extends PrismaLike>(prisma: Prisma, pool: LifeguardPool): Prisma {
  HOOK.checkPool(pool);
  const loader = loaderOf(prisma, pool);
  if (HOOK.isDone(loader, pool)) return prisma;
  const outside = loader.request;
  const loaders = new Loaders(loader);
  loader.request = (request) => {
    const unit = pool.current();
    if (unit === undefined) return outside.call(loader, request);
    // A library's own transaction may be a part of the unit, and another one beside it.
    return loaders.of(unit, pool.whereabouts.marks.current()).request(request);
  };
  HOOK.note(loader, pool);
  return prisma;
}

function loaderOf(prisma: PrismaLike, pool: LifeguardPool): Loader {
  const { _clientVersion: version, _requestHandler, _engineConfig } = (prisma ?? {}) as Inside;
  if (typeof version !== 'string' || typeof prisma.$disconnect !== 'function')
    HOOK.refuse('it takes a PrismaClient: prismaOn(new PrismaClient({ adapter }), pool)');
  HOOK.checkVersion('Prisma', version as string, TESTED);
  const loader = _requestHandler?.dataloader;
  if (typeof loader?.request !== 'function' || typeof loader.options?.batchBy !== 'function')
    HOOK.refuse('its _requestHandler is not that of Prisma: something else replaced it');
  // What is no instance of exactly its pg.Pool, Prisma takes for options, and dials by itself.
  const { externalPool } = _engineConfig?.adapter ?? {};
  if (externalPool === null)
    HOOK.refuse(
      'its adapter makes a pool of its own, which no transaction of ours reaches. Give it this one: new PrismaPg(pool.asPgPool({ pg })), with the same copy of pg as the adapter has',
    );
  if (typeof externalPool === 'object' && !pool.whereabouts.isOwn(externalPool))
    HOOK.refuse(
      `its adapter has another pool than "${pool.name}", so no transaction of ours reaches it: new PrismaPg(pool.asPgPool({ pg }))`,
    );
  return loader as Loader;
}

/** One for each unit of work, and for each marked call in it. */
class Loaders {
  readonly #pattern: Loader;
  readonly #loaders = new WeakMap<object, WeakMap<object, Loader>>();

  constructor(pattern: Loader) {
    this.#pattern = pattern;
  }

  of(unit: object, mark: object = unit): Loader {
    const ofUnit = this.#loaders.get(unit) ?? new WeakMap<object, Loader>();
    this.#loaders.set(unit, ofUnit);
    const loader = ofUnit.get(mark) ?? new this.#pattern.constructor(this.#pattern.options);
    ofUnit.set(mark, loader);
    return loader;
  }
}
