import { describe, expect, test, vi } from '@lifeguard/testkit/vitest';
import fc from 'fast-check';
import { SqlScanner } from '../../src/pg/sql-scanner.ts';
import { HEAD_TOKENS, scanStatements } from '../../src/pg/sql-statement.ts';
import { readSql } from '../../src/pg/sql-words.ts';

describe('tokens', () => {
  const cases: readonly (readonly [text: string, tokens: readonly string[]])[] = [
    ['select A.b, "C""d"', ['SELECT', 'A', '.', 'B', ',', '"C""d"']],
    ["'it''s; --' x", ["'it''s; --'", 'X']],
    ["E'\\'; ' x", ["'\\'; '", 'X']],
    ["e'a' -- c\n\t'\\'b' x", ["'a' -- c\n\t'\\'b'", 'X']],
    ["e'a'--c\n'\\'b' x", ["'a'--c\n'\\'b'", 'X']],
    ["e'a'\n'\\'b' x", ["'a'\n'\\'b'", 'X']],
    ["e'a' -\n'\\' x", ["'a'", '-', "'\\'", 'X']],
    ["e'a' '\\' x", ["'a'", "'\\'", 'X']],
    ["e'a' /* \n */ '\\' x", ["'a'", "'\\'", 'X']],
    ["date'\\' x", ['DATE', "'\\'", 'X']],
    ["U&'\\' x", ["'\\'", 'X']],
    ['u&"d\\0061t" & u & x', ['U&""', '&', 'U', '&', 'X']],
    [`a&'b' u&c 'd' a&"e"`, ['A', '&', "'b'", 'U', '&', 'C', "'d'", 'A', '&', '"e"']],
    ["b'0' N'\\' x", ['B', "'0'", 'N', "'\\'", 'X']],
    ['$$;$$ $a$ $b$ $$ $a$ $1 $22x', ['$$;$$', '$a$ $b$ $$ $a$', '$1', '$22', 'X']],
    ['$$$$; $a$$a$;', ['$$$$', ';', '$a$$a$', ';']],
    ['a$b$ ; $b$', ['A$B$', ';', '$b$']],
    ['$1$$;$$', ['$1', '$$;$$']],
    ['0 $0', ['0', '$0']],
    ['$a $ $1a$;', ['$', 'A', '$', '$1', 'A$', ';']],
    ['$é1$;$é1$', ['$é1$;$é1$']],
    ['a->>b::c @>-1--d\n+/*e*/*', ['A', '-', '>', '>', 'B', ':', ':', 'C', '@', '>', '-', '1', '+', '*']],
    ['/* /* ; */ */ a /**/ b /*/ ; */ c', ['A', 'B', 'C']],
    ['/* /* */ a; b', []],
    ['a / b %* c - d', ['A', '/', 'B', '%', '*', 'C', '-', 'D']],
    ['-- a\r b -- c', ['B']],
    ['ſet \uFEFFset \u00A0', ['ſet', '\uFEFFset', '\u00A0']],
    ['\t\n\v\f\r a\0b', ['A', '\0', 'B']],
    ['1e5 0x1F 1.5', ['1', 'E5', '0', 'X1F', '1', '.', '5']],
    ["'open; a", ["'open; a"]],
    ['"open; a', ['"open; a']],
    ['$x$open; a$x', ['$x$open; a$x']],
    ["e'open\\", ["'open\\"]],
  ];

  test.for(cases)('are cut as the server cuts them: %j', ([text, expected]) => {
    const scanner = new SqlScanner(text);
    const tokens: string[] = [];
    for (let token = scanner.next(); token !== ''; token = scanner.next()) tokens.push(token);
    expect(tokens).toEqual(expected);
  });
});

describe('statements', () => {
  test.for([
    ['', 0],
    [' ;; /* ; */ ; -- ;', 0],
    ['select 1', 1],
    [';select 1;;select 2;', 2],
    ["select ';' || $$;$$ || $a$;$$;$a$ || E'\\';' || U&';' as \";\"; b", 2],
    ['create rule r as on insert to t do also (select 1; select 2); b', 2],
    ['create function f() returns int begin atomic select 1; select 2; end; b', 2],
    ['create or replace procedure p() begin atomic end; b', 2],
    ['create function f() returns int begin atomic select case when a then b end; select 1; end; b', 2],
    ['create function f(a int default (1)) returns int begin atomic select 1 as end; end; b', 2],
    ['create function f() returns int return 1; begin; b', 3],
    ['begin atomic; b', 2],
    ['alter function begin atomic; b', 2],
    ['create table begin atomic; b', 2],
    ['create function f() atomic; b', 2],
    ['select 1); b', 2],
    ['select 1)); (b; c)', 2],
  ] as const)('are counted where the server ends them: %j', ([text, count]) => {
    const reading = readSql(text);
    expect(reading.statements).toBe(count);
    expect(reading.words).toHaveLength(count);
  });

  test.for([
    ['select 1', 'SELECT'],
    ['(select 1)', 'SELECT'],
    ['((select 1))', 'SELECT'],
    ['with a as (select 1) insert into b select * from a', 'WITH'],
    ['/* hint */ -- x\n insert into a values (1)', 'INSERT'],
    ["set a = 'b'", 'SET'],
    ['set local a = 1', 'SET LOCAL'],
    ["set local.a = '1'", 'SET'],
    ['set session a = 1', 'SET SESSION'],
    ['set transaction read only', 'SET TRANSACTION'],
    ['create or replace local temporary view v as select 1', 'CREATE TEMP'],
    ['create table t ()', 'CREATE TABLE'],
    ['drop index concurrently i', 'DROP INDEX'],
    ['start transaction read only', 'START TRANSACTION'],
    ["prepare transaction 'x'", 'PREPARE TRANSACTION'],
    ['prepare transaction as select 1', 'PREPARE'],
    ['discard all', 'DISCARD ALL'],
    ['create', 'CREATE'],
    ['"select" 1', ''],
    ['\uFEFFset a = 1', ''],
  ] as const)('say what they are in upper case: %j', ([text, words]) => {
    expect(readSql(text).words).toEqual([words]);
  });

  test('say in order what they do to the transaction', () => {
    const text = `begin; start transaction; savepoint a; rollback to a; rollback work to savepoint a; release a;
      select 'commit'; commit; end; commit and chain; commit and no chain; abort; rollback; rollback and chain;
      prepare transaction 'a'; commit prepared 'a'; rollback prepared 'a'; prepare transaction as select 1`;
    const steps = ['begin', 'begin', 'savepoint', 'rollback to', 'rollback to', 'release', 'commit', 'commit'];
    const ends = ['commit and chain', 'commit', 'rollback', 'rollback', 'rollback and chain'];
    const twoPhase = ['prepare', 'commit prepared', 'rollback prepared'];
    expect(readSql(text).transaction).toEqual([...steps, ...ends, ...twoPhase]);
  });
});

describe('dirt', () => {
  test.for([
    "select set_config('a.b', $1, true), set_config('a.c', 'x', TRUE)",
    "select set_config('a.b', coalesce($1, ''), true)",
    'select set_config from t',
    'select pg_advisory_lock from t',
    'select pg_advisory_xact_lock(1), pg_advisory_unlock(1)',
    'select "PG_ADVISORY_LOCK"(1)',
    "set local a.b = 'x'",
    'set transaction read only',
    'set constraints all deferred',
    'insert into temp (a) values (1)',
    'select 1 as a into t',
    'merge into temp using t on a = b when matched then do nothing',
    'select * from pg_settings',
    'update t set a = 1',
    'alter role r set work_mem = 1',
    'grant execute on function f to r',
    "prepare transaction 'a'",
    'create temp table t on commit drop as select 1',
    'create table temp (a int)',
    'create table pg_temp (a int)',
    'create function f() returns int set search_path = a, pg_temp return 1',
    'declare hold cursor without hold for select 1',
    'explain (analyze, verbose) select 1',
    'discard plans',
    'do $$ begin set a.b = 1; end $$',
    'listenx; listen$1',
    'LİSTEN a; lısten a; ſet a = 1',
  ])('is none where words only look dirty: %s', (text) => {
    expect(readSql(text).dirt).toBe('none');
  });

  test.for([
    'listen a',
    'set session a.b = 1',
    "set transaction.b = 'x'",
    'declare c cursor with hold for select 1',
    'create or replace temp view v as select 1',
    'create temp table t (a int) on commit delete rows',
    'create table "pg_temp_3".t (a int)',
    'select 1 as a into "pg_temp".t',
    'explain analyze verbose create temp table t as select 1',
    'explain analyse create temp table t as select 1',
    'select pg_try_advisory_lock(1)',
    'select pg_advisory_lock_shared(1)',
    'select pg_try_advisory_lock_shared(1)',
    'select set_limit(0.5)',
    "select set_config('a.b', $1, $2)",
    "select set_config('a.b', 'x', true and false)",
    "select set_config('a.b', set_config('a.c', 'x', true), true)",
    "select set_config('search_path', 'pg_temp', true)",
    "select set_config('a.b', 'x'",
    'set local search_path = "$user", pg_temp',
    'select * into local temp t from a',
    'select 1 as a into U&"pg\\005ftemp".t',
    'import foreign schema a from server b into pg_temp',
    'create table t as execute other',
    'execute other',
    'with a as (update only (pg_catalog."pg_settings") set setting = 1 returning 1) select * from a',
    'select U&"pg\\005fadvisory_lock"(1)',
    'explain (analyze) create temp table t as select 1',
    'copy (select pg_advisory_lock(1)) to stdout',
    'reset all',
    'discard temp',
    "select 'a\\'; set a.b = 1; --'",
  ])('is resettable in doubt and in disguise: %s', (text) => {
    expect(readSql(text).dirt).toBe('resettable');
  });

  test.for([
    "select 1; set a.b = 1; load 'x'; listen a",
    'prepare a as select 1',
    'prepare transaction(int) as select $1',
    'deallocate prepare all',
    'discard',
    'set seed = 0.5',
    'set local seed to 0.5',
    'select setseed(0.5)',
    "select dblink_connect('a', 'b')",
    "select dblink_connect_u('a', 'b')",
    "select pg_backup_start('a')",
    "select pg_start_backup('a', false, false)",
    "select pg_replication_origin_session_setup('a')",
    'select pg_replication_origin_session_reset()',
    "select pg_create_logical_replication_slot('a', 'b', true)",
    "select pg_create_physical_replication_slot('a', true, true)",
    "select pg_copy_logical_replication_slot('a', 'b', true)",
    "select pg_copy_physical_replication_slot('a', 'b', true)",
  ])('is sticky when only a new connection is clean: %s', (text) => {
    expect(readSql(text).dirt).toBe('sticky');
  });
});

describe('a block', () => {
  test.for([
    'call p()',
    'do $$ begin COMMIT; end $$',
    "do language plpgsql e'begin rollback; end'",
    'create unique index concurrently on t (a)',
    'reindex (concurrently) table t',
    'drop subscription s',
    'select 1; vacuum',
  ])('is refused by what may be unable to run in it: %s', (text) => {
    expect(readSql(text).needsNoBlock).toBe(true);
  });

  test.for([
    'do $$ begin perform committed(); end $$',
    "create table vacuum (a text default 'commit')",
    'create index i on t (a)',
    'refresh materialized view concurrently v',
    'alter table t set tablespace x',
    'alter type t add value $$a$$',
    'discard temp',
    'analyze',
    'commit',
  ])('is no trouble for the rest: %s', (text) => {
    expect(readSql(text).needsNoBlock).toBe(false);
  });
});

const DIRTY = [
  'set a.b = 1',
  'listen a',
  'prepare a as select 1',
  'select pg_advisory_lock(1)',
  "select set_config('a.b', 'c', false)",
  'create temp table t ()',
  'select 1 into temp t',
  'vacuum',
  'commit',
  '$1 $ $$ "a" \\ ; (( ))',
];

const WRAPPINGS: readonly ((inner: string) => string)[] = [
  (inner) => `'${inner.replaceAll("'", "''")}'`,
  (inner) => `E'${inner.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`,
  (inner) => `U&'${inner.replaceAll("'", "''")}'`,
  (inner) => `"${inner.replaceAll('"', '""')}"`,
  (inner) => `$q$${inner}$q$`,
  (inner) => `/* ${inner} /* ; */ */ ''`,
  (inner) => `-- ${inner}\n ''`,
];

const NASTY = [
  "'",
  '"',
  '$',
  '$$',
  '$a$',
  '/*',
  '*/',
  '--',
  '\n',
  '\\',
  "E'",
  'U&"',
  ';',
  '(',
  ')',
  'a',
  '1',
  '\0',
  'é',
];

const CLOSED = [
  '',
  'select 1',
  "set a = ';'",
  'commit',
  'prepare a as select $$;$$',
  '/* ; */',
  'create rule r do (a; b)',
];

describe('any text', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.constantFrom(...NASTY, ...DIRTY, ' begin atomic '), { maxLength: 30 }).map((parts) => parts.join('')),
  );

  test('is read without a throw', () => {
    const check = (sql: string): void => {
      const reading = readSql(sql);
      expect(reading.words).toHaveLength(reading.statements);
      expect(reading.transaction.length).toBeLessThanOrEqual(reading.statements);
      expect(['none', 'resettable', 'sticky']).toContain(reading.dirt);
    };
    fc.assert(fc.property(text, check), { numRuns: 3_000 });
  });

  test('means nothing inside quotes and comments', () => {
    const plain = readSql("select '' as x");
    const check = (inner: readonly string[], wrap: (inner: string) => string): void => {
      expect(readSql(`select ${wrap(inner.join(' ; '))} as x`)).toEqual(plain);
    };
    const inner = fc.array(fc.constantFrom(...DIRTY), { minLength: 1, maxLength: 4 });
    fc.assert(fc.property(inner, fc.constantFrom(...WRAPPINGS), check), { numRuns: 1_000 });
  });

  test('adds up when it is put together with semicolons', () => {
    const check = (parts: readonly string[]): void => {
      const readings = parts.map(readSql);
      const whole = readSql(parts.join(';'));
      expect(whole.statements).toBe(readings.reduce((sum, reading) => sum + reading.statements, 0));
      expect(whole.words).toEqual(readings.flatMap((reading) => reading.words));
      expect(whole.transaction).toEqual(readings.flatMap((reading) => reading.transaction));
    };
    fc.assert(fc.property(fc.array(fc.constantFrom(...CLOSED, ...DIRTY.slice(0, -1))), check));
  });
});

const ROW = '(1, \'abc\', -2.5, now(), null::text, "a".b, $1),';
/** Longer than the head of a statement, and with every kind of token in it. */
const BULK = `select ${ROW.repeat(30)}`;

describe('bulk', () => {
  test.for([
    ['1', 'none'],
    ['pg_advisory_lock from t', 'none'],
    ["pg_advisory_lock, ('a')", 'none'],
    ["'pg_advisory_lock' (1)", 'none'],
    ['1 into t', 'none'],
    ['1 union update t set a = (1) from pg_settings', 'none'],
    ['pg_advisory_lock(1)', 'resettable'],
    ['"pg_try_advisory_lock" /* , */ (1)', 'resettable'],
    ['a.set_limit(1)', 'resettable'],
    ["set_config('a.b', 'c', false)", 'resettable'],
    // Clean, but nobody looks at values any more.
    ["set_config('a.b', 'c', true)", 'resettable'],
    ['U&"pg\\005fadvisory_lock"(1)', 'resettable'],
    ['1 into temp t', 'resettable'],
    ['1 into "pg_temp".t', 'resettable'],
    ['a from (update only (pg_catalog."pg_settings") set a = 1)', 'resettable'],
    ['setseed(0.5)', 'sticky'],
    ["pg_advisory_lock(1), dblink_connect('a')", 'sticky'],
    ['1; set a = 1', 'resettable'],
    ['1; deallocate all', 'sticky'],
  ] as const)('does not hide what leaves dirt: %s', ([tail, dirt]) => {
    expect(readSql(BULK + tail).dirt).toBe(dirt);
  });

  test.for([
    ['declare c cursor with hold for values', '1', 'resettable'],
    ['create table pg_temp.t as values', '1', 'resettable'],
    ['create view v as values', '1 from pg_temp.t', 'resettable'],
    ['create temp table t as values', '1', 'resettable'],
    ['create temp table t (a int default', '1) on commit drop', 'none'],
    ['set a =', '1', 'resettable'],
    ['set local a =', '1', 'resettable'],
    ['insert into temp values', '1', 'none'],
    ['explain analyze create temp table t as values', '1', 'resettable'],
  ] as const)('does not hide what its verb means: %s … %s', ([verb, tail, dirt]) => {
    expect(readSql(`${verb} ${ROW.repeat(30)} ${tail}`).dirt).toBe(dirt);
  });

  test('may lie before what is explained', () => {
    const explain = (options: number): string => `explain (${'analyze, '.repeat(options)}verbose)`;
    for (let options = 0; options < 2 * HEAD_TOKENS; options++) {
      expect(readSql(`${explain(options)} create temp table t as select 1`).dirt).toBe('resettable');
    }
    expect(readSql(`${explain(20)} select 1`).dirt).toBe('none');
  });

  test('ends where the server ends it', () => {
    const body = `create function f() returns int begin atomic ${BULK} 1; ${BULK} 1; end`;
    const reading = readSql(`begin; ${BULK} ';' || $$;$$ || e'\\';' /* ; */ as ";"; ${body}; (${BULK} 1); commit`);
    expect(reading.words).toEqual(['BEGIN', 'SELECT', 'CREATE FUNCTION', 'SELECT', 'COMMIT']);
    expect(reading.transaction).toEqual(['begin', 'commit']);
  });

  /** Without what is asked of the whole text, which only a short one answers. */
  function fieldsOf(text: string): object {
    const { isPlainRead: _plain, isPlannable: _plannable, ...rest } = readSql(text);
    return rest;
  }

  test('is read as if it were short', () => {
    const pieces = [...NASTY, ...DIRTY.filter((text) => !text.includes('set_config')), ' ', ',', '1', '.5', ')(', 'e'];
    const signs = [
      ' into temp t',
      ' pg_temp.t',
      ' as execute ',
      ' setseed',
      ' on commit drop',
      ' begin atomic ',
      ';end;',
    ];
    const verbs = ['select 1,', 'create temp view v as select 1,', 'create function f() as select 1,'];
    const check = (verb: string, parts: readonly string[]): void => {
      expect(fieldsOf(verb + '1,'.repeat(200) + parts.join(''))).toEqual(fieldsOf(verb + parts.join('')));
    };
    const parts = fc.array(fc.constantFrom(...pieces, ...signs), { maxLength: 12 });
    fc.assert(fc.property(fc.constantFrom(...verbs), parts, check), { numRuns: 3_000 });
  });

  test('leaves no more behind than its head', () => {
    for (const piece of [
      ROW,
      "('a'),",
      '(',
      ' a',
      ' set_config(',
      ' into temp',
      ' begin atomic;',
      '"a"',
      '$$a$$',
      '\0',
    ]) {
      const [statement] = scanStatements(`create function ${piece.repeat(10_000)}`);
      while (statement?.advance());
      expect(statement?.head.length).toBeLessThanOrEqual(HEAD_TOKENS);
    }
  });

  /** How many pieces, and characters in them, are cut out while a text is read. */
  function cutFrom(text: string): { pieces: number; characters: number } {
    const cut = { pieces: 0, characters: 0 };
    const { slice, charAt } = String.prototype;
    const counted = (piece: string): string => {
      cut.pieces++;
      cut.characters += piece.length;
      return piece;
    };
    vi.spyOn(String.prototype, 'slice').mockImplementation(function (this: string, from, to) {
      return counted(slice.call(this, from, to));
    });
    vi.spyOn(String.prototype, 'charAt').mockImplementation(function (this: string, at) {
      return counted(charAt.call(this, at));
    });
    try {
      readSql(text);
      return cut;
    } finally {
      vi.restoreAllMocks();
    }
  }

  test('is not cut into pieces', () => {
    const rows = (count: number): string => `insert into t values ${"(1, 'abc', 2.5, null),".repeat(count)}`;
    const cut = cutFrom(rows(1_000));
    expect(cut.pieces).toBeLessThan(HEAD_TOKENS);
    expect(cut.characters).toBeLessThan(1_000);
    expect(cutFrom(rows(10_000))).toEqual(cut);
  });
});

/** What reading a text costs, counted: characters looked at, skipped by a search, or matched by a pattern. */
function stepsOf(text: string): number {
  let steps = 0;
  const { charCodeAt, indexOf } = String.prototype;
  const { test: matches } = RegExp.prototype;
  vi.spyOn(String.prototype, 'charCodeAt').mockImplementation(function (this: string, at) {
    steps++;
    return charCodeAt.call(this, at);
  });
  vi.spyOn(String.prototype, 'indexOf').mockImplementation(function (this: string, needle, from = 0) {
    const found = indexOf.call(this, needle, from);
    steps += (found < 0 ? this.length : found) - from + 1;
    return found;
  });
  vi.spyOn(RegExp.prototype, 'test').mockImplementation(function (this: RegExp, token) {
    steps += token.length;
    return matches.call(this, token);
  });
  try {
    readSql(text);
    return steps;
  } finally {
    vi.restoreAllMocks();
  }
}

describe('the cost of reading', () => {
  test.for([
    ...NASTY,
    "''",
    "e'' ",
    "e'a' \n ",
    "e'a' --\n ",
    '$a',
    '$a$ $b',
    '$a $$ $$ ',
    '/**/',
    '/*/',
    'a ',
    'a;',
    "set_config('a',",
    "set_config('a',$1,true),",
    'update pg_settings ',
    'explain ',
    'into temp ',
    'create function begin atomic ',
    'create temp table pg_temp.',
    'set local ',
    'do $$commit',
  ])('doubles when a text of many %j doubles', (piece) => {
    const end = `a${piece.length}`; // no two texts alike, or the cache would answer
    // Both are longer than the head of a statement, behind which a token costs more or less than in it.
    const once = stepsOf(piece.repeat(2_000) + end);
    const twice = stepsOf(piece.repeat(4_000) + end);
    expect(once).toBeGreaterThan(0);
    expect(twice / once).toBeLessThan(2.1);
  });
});

describe('the cache', () => {
  const readMany = (count: number, tag: string, padding = ''): void => {
    for (let at = 0; at < count; at++) readSql(`select '${tag} ${at}' ${padding}`);
  };

  test('gives one frozen reading for one text', () => {
    const reading = readSql('set a.b = 1; commit');
    expect(readSql(['set a.b = 1', 'commit'].join('; '))).toBe(reading);
    for (const part of [reading, reading.words, reading.transaction]) expect(Object.isFrozen(part)).toBe(true);
  });

  test('forgets what nobody asks for any more', () => {
    const reading = readSql('select 1 as forgotten');
    readMany(1_100, 'forgetting');
    expect(readSql('select 1 as forgotten')).not.toBe(reading);
  });

  test('keeps what is asked for while others pass by', () => {
    const reading = readSql('select 1 as kept');
    for (let round = 0; round < 20; round++) {
      readMany(300, `keeping ${round}`);
      expect(readSql('select 1 as kept')).toBe(reading);
    }
  });

  test('holds few long texts and no very long one', () => {
    const long = `select '${'x'.repeat(20_000)}'`;
    expect(readSql(long)).not.toBe(readSql(long));
    const reading = readSql('select 1 as crowded');
    readMany(200, 'crowding', `, '${'x'.repeat(15_000)}'`);
    expect(readSql('select 1 as crowded')).not.toBe(reading);
  });
});
