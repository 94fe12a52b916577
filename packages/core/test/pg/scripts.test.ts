import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { Scripts } from '../../src/pg/scripts.ts';

function namesOf(scripts: Scripts, text: string, uses: number): (string | undefined)[] {
  return Array.from({ length: uses }, () => scripts.nameOf(scripts.of(text)));
}

describe('a text that a pool was given', () => {
  test('has a name from its fifth use on, and always the same one', () => {
    const names = namesOf(new Scripts(() => true), 'select 1', 7);
    expect(names.slice(0, 4)).toEqual([undefined, undefined, undefined, undefined]);
    expect(new Set(names.slice(4)).size).toBe(1);
    expect(names[4]).toMatch(/^lg_[\w-]{20}$/);
    expect(namesOf(new Scripts(() => true), 'select 1', 5)[4]).toBe(names[4]);
  });

  test('shares its name with no other text, however like it', () => {
    const scripts = new Scripts(() => true);
    const texts = ['select 1', 'select 1 ', 'SELECT 1', 'select\n1', 'select 1 -- x', 'select 2', 'select $1'];
    const names = texts.map((text) => namesOf(scripts, text, 5)[4]);
    expect(new Set(names).size).toBe(texts.length);
  });

  test('has none while nothing may be prepared, and is not counted meanwhile', () => {
    let mayPrepare = false;
    const scripts = new Scripts(() => mayPrepare);
    expect(namesOf(scripts, 'select 1', 9)).toEqual(Array(9).fill(undefined));
    mayPrepare = true;
    expect(namesOf(scripts, 'select 1', 5).map((name) => name !== undefined)).toEqual([
      ...[false, false, false, false],
      true,
    ]);
  });

  test('has none where it is not one statement that the server plans', () => {
    const scripts = new Scripts(() => true);
    for (const text of ['', ';', 'show all', 'select 1; select 2', 'begin', 'copy t to stdout', 'explain select 1']) {
      expect(namesOf(scripts, text, 6), text).toEqual(Array(6).fill(undefined));
    }
  });

  test('is looked at as a whole, and has a name even where it begins with a comment', () => {
    const scripts = new Scripts(() => true);
    for (const text of [
      '/* route */ select 1',
      '-- x\nwith a as (select 1) select * from a',
      'values (1)',
      'table t',
    ]) {
      expect(namesOf(scripts, text, 5)[4], text).toBeDefined();
    }
  });
});

describe('what is known of texts', () => {
  test('is kept of those that come again, and forgotten of those that do not', () => {
    const scripts = new Scripts(() => true);
    const kept = scripts.of('select 1');
    for (let at = 0; at < 5_000; at += 1) {
      scripts.of(`select ${at}, 2`);
      if (at % 300 === 0) scripts.of('select 1');
    }
    expect(scripts.of('select 1')).toBe(kept);
    expect(namesOf(scripts, 'select 0, 2', 4)).toEqual(Array(4).fill(undefined));
  });

  test('does not grow with 20,000 texts of which no two are alike', async () => {
    const scripts = new Scripts(() => true);
    const seen = Array.from({ length: 20_000 }, (_, at) => new WeakRef(scripts.of(`select ${at}`)));
    // A WeakRef holds what it was asked for until the running code gives way.
    await new Promise(setImmediate);
    globalThis.gc?.();
    const living = seen.filter((script) => script.deref() !== undefined);
    expect(living.length).toBeLessThanOrEqual(1_024);
    expect(living.length).toBeGreaterThan(0);
  });

  test('is nothing of a text that is long', () => {
    const scripts = new Scripts(() => true);
    const long = `select 1 /*${'x'.repeat(16_384)}*/`;
    expect(scripts.of(long)).not.toBe(scripts.of(long));
    expect(namesOf(scripts, long, 6)).toEqual(Array(6).fill(undefined));
  });
});

describe('the time that a text takes', () => {
  test('lets it ride with others when it was short twice, and not after one that was long', () => {
    const script = new Scripts(() => true).of('select 1');
    const quick = [script.isQuick];
    for (let use = 0; use < 100; use += 1) {
      script.took(1);
      if (use < 3) quick.push(script.isQuick);
    }
    expect(quick).toEqual([false, false, true, true]);
    script.took(50);
    expect(script.isQuick).toBe(false);
  });

  test('is not waited for where it lasts', () => {
    const script = new Scripts(() => true).of('select 1');
    for (let use = 0; use < 100; use += 1) script.took(1);
    script.lasts(5);
    expect(script.isQuick).toBe(true);
    script.lasts(15);
    expect(script.isQuick).toBe(false);
  });

  test('that was long at once lets it ride later than that of one that nobody knew', () => {
    const script = new Scripts(() => true).of('select 1');
    script.took(1);
    script.took(200);
    for (let use = 0; use < 3; use += 1) script.took(1);
    expect(script.isQuick).toBe(false);
  });

  test('must be short for longer each time that it was slow again', () => {
    const script = new Scripts(() => true).of('select 1');
    for (let use = 0; use < 2; use += 1) script.took(0.1);
    const proofs = Array.from({ length: 4 }, () => {
      script.took(200);
      let uses = 0;
      for (; !script.isQuick; uses += 1) script.took(0.1);
      return uses;
    });
    expect(proofs).toEqual(proofs.toSorted((one, other) => one - other));
    expect(new Set(proofs).size).toBe(4);
  });
});
