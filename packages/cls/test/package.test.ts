import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@lifeguard/testkit/vitest';
import { UserProject } from './user-project.ts';

let project: UserProject;

beforeAll(async () => {
  project = await UserProject.create();
  project.copy('another-copy');
});

afterAll(() => project.remove());

const NAMES = ['ERROR_SYMBOL', 'createNamespace', 'destroyNamespace', 'getNamespace', 'reset'];

test('require gives a plain object with the functions, as cls-hooked does', async () => {
  const said = await project.run(`
    const cls = require('cls-hooked');
    const { createNamespace } = require('cls-hooked');
    const namespace = createNamespace('one');
    cls.getNamespace = () => 'stubbed';
    const names = Object.keys(cls).sort();
    console.log(JSON.stringify([names, process.namespaces.one === namespace, cls.getNamespace()]));
  `);
  expect(said).toEqual([NAMES, true, 'stubbed']);
});

test.for([
  ['a default import', "import cls from 'cls-hooked';"],
  [
    'named imports',
    "import { createNamespace, getNamespace } from 'cls-hooked'; const cls = { createNamespace, getNamespace };",
  ],
  ['a namespace import', "import * as cls from 'cls-hooked';"],
  ['an import() of it', "const cls = await import('cls-hooked');"],
])('%s gives the functions', async ([, line]) => {
  const code = `${line}\nconsole.log(cls.getNamespace('one') === undefined && cls.createNamespace('one') === cls.getNamespace('one'));`;
  expect(await project.run(code, { file: 'program.mjs' })).toBe(true);
});

test('import and require, and a second copy of the package, are one instance', async () => {
  const said = await project.run(
    `
    import { createRequire } from 'node:module';
    import { EventEmitter } from 'node:events';
    import esm from 'cls-hooked';
    import * as copy from 'another-copy';
    const required = createRequire(import.meta.url)('cls-hooked');
    const namespace = esm.createNamespace('one');
    const others = [required.getNamespace('one'), copy.getNamespace('one')];
    const [mine, theirs] = [namespace, copy.createNamespace('two')];
    const emitter = new EventEmitter();
    for (const one of [mine, theirs]) one.bindEmitter(emitter);
    const heard = [];
    mine.run(() => theirs.run(() => {
      mine.set('key', 1);
      theirs.set('key', 2);
      emitter.on('event', () => heard.push(mine.get('key'), theirs.get('key')));
    }));
    emitter.emit('event');
    copy.reset();
    console.log(JSON.stringify([others.map((one) => one === namespace), heard, esm.getNamespace('one') ?? 'reset']));
  `,
    { file: 'program.mjs' },
  );
  expect(said).toEqual([[true, true], [1, 2], 'reset']);
});

test('the second copy is another module, and not the first one by another name', async () => {
  expect(await project.run("console.log(require('cls-hooked') === require('another-copy'))")).toBe(false);
});

test('no hook is created, and awaits have no ids, which they get where there is one', async () => {
  const [creators, ids] = await project.run<[string[], boolean[]]>(`
    const hooks = require('node:async_hooks');
    const { createHook } = hooks;
    const creators = [];
    hooks.createHook = (...args) => (creators.push(new Error().stack.split('\\n')[2]), createHook(...args));
    const cls = require('cls-hooked');
    const namespace = cls.createNamespace('one');
    namespace.bindEmitter(new (require('node:events').EventEmitter)());
    const ids = [];
    const look = async () => { await undefined; ids.push(hooks.executionAsyncId() > 0); };
    namespace.runPromise(async () => {
      namespace.set('key', 1);
      await look();
      namespace.enter(namespace.createContext());
      await look();
      createHook({ init() {} }).enable();
      await look();
      console.log(JSON.stringify([creators, ids]));
    });
  `);
  // On Node 22 AsyncLocalStorage itself has one inside.
  const inside = Number(process.versions.node.split('.')[0]) < 24;
  expect(ids).toEqual([inside, inside, true]);
  expect(creators).toEqual(inside ? [expect.stringContaining('node:internal/')] : []);
});

test('namespaces of a cls-hooked that came first are found, and ours outlive one that comes later', async () => {
  const said = await project.run(`
    const theirs = { id: 1 };
    process.namespaces = { theirs };
    const cls = require('cls-hooked');
    const ours = cls.createNamespace('ours');
    const table = process.namespaces;
    process.namespaces = {};
    const found = [cls.getNamespace('theirs') === theirs, table.ours === ours, cls.getNamespace('ours') === ours];
    console.log(JSON.stringify(found));
  `);
  expect(said).toEqual([true, true, true]);
});

describe('the types', () => {
  const esm = ['--module', 'nodenext', '--target', 'es2023'];

  test('accept what is written against @types/cls-hooked', async () => {
    expect(await project.compile(USE, esm)).toBe('');
  });

  test('are found by a bundler and in a CommonJS file too', async () => {
    expect(await project.compile(USE, ['--module', 'esnext', '--moduleResolution', 'bundler'])).toBe('');
    const required = USE.replace('* as cls from', 'cls = require(').replace("'cls-hooked';", "'cls-hooked');");
    expect(await project.compile(required, esm)).toBe('');
  });

  test('refuse a key and a value that a namespace does not have', async () => {
    const wrong = `import { createNamespace } from 'cls-hooked';
      const typed = createNamespace<{ user: string }>('typed');
      typed.set('user', 1);
      typed.get('nobody');`;
    const objections = await project.compile(wrong, esm);
    expect(objections.match(/error TS2345/g)).toHaveLength(2);
  });
});

const USE: string = readFileSync(new URL('programs/typed-use.ts', import.meta.url), 'utf8');
