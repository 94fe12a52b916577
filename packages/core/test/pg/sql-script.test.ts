import { describe, expect, test } from '@lifeguard/testkit/vitest';
import fc from 'fast-check';
import { readScript } from '../../src/pg/sql-script.ts';
import { readSql } from '../../src/pg/sql-words.ts';

function kindsOf(text: string): readonly string[] {
  return readScript(text).map(({ kind }) => kind);
}

describe('a transaction', () => {
  test.for(['begin', 'BEGIN;', ' Begin Work ;', '/* ; */ begin -- x\n transaction;;', 'start\ntransaction'])(
    'is begun without modes: %j',
    (text) => {
      expect(readScript(text)).toEqual([{ kind: 'begin', modes: {} }]);
    },
  );

  test.for([
    ['BEGIN ISOLATION LEVEL SERIALIZABLE', { isolation: 'serializable' }],
    ['begin transaction isolation level read committed read only;', { isolation: 'read committed', readOnly: true }],
    [
      'start transaction read write, isolation level repeatable/**/read',
      { isolation: 'repeatable read', readOnly: false },
    ],
    [
      'begin work not deferrable isolation level READ uncommitted',
      { isolation: 'read uncommitted', deferrable: false },
    ],
    ['begin deferrable, deferrable', { deferrable: true }],
    ['begin read only, read write', { readOnly: false }],
  ] as const)('is begun with modes: %j', ([text, modes]) => {
    expect(readScript(text)).toEqual([{ kind: 'begin', modes }]);
  });

  test.for([
    ['SET TRANSACTION ISOLATION LEVEL READ COMMITTED;', { isolation: 'read committed' }],
    ['set local transaction read only', { readOnly: true }],
    ['set session transaction read only deferrable', { readOnly: true, deferrable: true }],
  ] as const)('is told its modes: %j', ([text, modes]) => {
    expect(readScript(text)).toEqual([{ kind: 'modes', modes }]);
  });

  test.for(['commit', 'COMMIT WORK', 'commit transaction;', 'end', 'end work and no chain'])(
    'is committed without a chain: %j',
    (text) => {
      expect(readScript(text)).toEqual([{ kind: 'commit' }]);
    },
  );

  test.for(['rollback', 'ROLLBACK;', 'rollback work', 'abort', 'abort transaction and no chain'])(
    'is rolled back without a chain: %j',
    (text) => {
      expect(readScript(text)).toEqual([{ kind: 'rollback' }]);
    },
  );
});

describe('what is no control', () => {
  test.for([
    'savepoint a; rollback to a; rollback work to savepoint a; release a',
    'do $$ begin perform 1; end $$',
    'create function f() returns int begin atomic select 1; end; select 2',
    "create function f() returns void language plpgsql as 'begin; commit; end'",
    "select 'x; commit', $a$; rollback; $a$, E'\\'; begin' as \"; begin\" -- ; commit",
    'select commit from "begin"; "begin"; (begin); (commit',
    'set local transaction_read_only = on',
    "set transaction.x = '1'",
    "set local session authorization 'x'",
    'reset role; set role x; set constraints all deferred',
    'prepare transaction as select 1',
    'call p(); reindex table t; cluster t on i; create subscription s',
    'analyze; notify a',
    '',
    ' ; -- nothing',
  ])('stays one part as it is: %j', (text) => {
    expect(readScript(text)).toEqual([{ kind: 'statements', text }]);
  });

  test.for([
    ...['begin now', 'begin work work', 'begin,', 'begin read only,', 'begin, read only', 'begin read only,,read only'],
    ...['start', 'start read only', 'start work', 'begin isolation level', 'begin isolation serializable'],
    ...["begin isolation level 'serializable'", 'begin isolation level "serializable"', 'begin snapshot', 'begin 1'],
    ...['commit now', 'commit and', 'commit and no', 'commit work transaction', 'end and no chain chain', 'rollback a'],
    ...['set transaction', 'set transaction read', 'set local session transaction read only', 'ſtart transaction'],
    `begin ${'deferrable '.repeat(300)} read`,
  ])('is left to the server to complain about: %s', (text) => {
    expect(kindsOf(text)).toEqual(['statements']);
  });
});

describe('what cannot be had in a transaction of others', () => {
  test.for([
    ['commit and chain', 'COMMIT AND CHAIN'],
    ['END WORK AND CHAIN', 'COMMIT AND CHAIN'],
    ['abort and chain', 'ROLLBACK AND CHAIN'],
    ["prepare transaction 'x'", 'PREPARE TRANSACTION'],
    ["commit prepared 'x'", 'COMMIT PREPARED'],
    ["rollback prepared 'x'", 'ROLLBACK PREPARED'],
    ['listen a', 'LISTEN'],
    ['unlisten *', 'UNLISTEN'],
    ['discard all', 'DISCARD ALL'],
    ['discard plans', 'DISCARD PLANS'],
    ['set session characteristics as transaction read only', 'SET SESSION CHARACTERISTICS'],
    ["set transaction snapshot '1-1'", 'SET TRANSACTION SNAPSHOT'],
    ['set session authorization x', 'SET SESSION AUTHORIZATION'],
    ['set session session authorization default', 'SET SESSION AUTHORIZATION'],
    ['reset session authorization', 'RESET SESSION AUTHORIZATION'],
    ['reset all', 'RESET ALL'],
    ['vacuum (analyze) t', 'VACUUM'],
    ['create database d', 'CREATE DATABASE'],
    ['drop tablespace t', 'DROP TABLESPACE'],
    ['create unique index concurrently i on t (a)', 'CREATE INDEX CONCURRENTLY'],
    ['drop index concurrently i', 'DROP INDEX CONCURRENTLY'],
    ['alter table p detach partition q concurrently', 'ALTER TABLE CONCURRENTLY'],
    ['alter database d set tablespace t', 'ALTER DATABASE SET TABLESPACE'],
    ['alter system reset all', 'ALTER SYSTEM'],
  ] as const)('is named, with its text: %j', ([text, what]) => {
    expect(readScript(`${text};`)).toEqual([{ kind: 'refused', what, text }]);
    expect(readScript(`select 1;\n${text}`).at(-1)).toEqual({ kind: 'refused', what, text });
  });
});

describe('a script', () => {
  test('is cut where it controls the transaction, and nowhere else', () => {
    const text = `BEGIN; insert into a values (';'); ; /* x */ update b set c = 1 -- y
      ;; COMMIT AND NO CHAIN; select 1; rollback;; listen a ; select 2;`;
    expect(readScript(text)).toEqual([
      { kind: 'begin', modes: {} },
      { kind: 'statements', text: "insert into a values (';'); ; /* x */ update b set c = 1 -- y\n      " },
      { kind: 'commit' },
      { kind: 'statements', text: 'select 1' },
      { kind: 'rollback' },
      { kind: 'refused', what: 'LISTEN', text: 'listen a ' },
      { kind: 'statements', text: 'select 2' },
    ]);
  });

  test('keeps statements that are long, and control behind them', () => {
    const bulk = `insert into t values ${"(1, 'a; commit')".repeat(1_000)}`;
    expect(readScript(`begin;${bulk};commit`)).toEqual([
      { kind: 'begin', modes: {} },
      { kind: 'statements', text: bulk },
      { kind: 'commit' },
    ]);
  });

  const PIECES = [
    'begin',
    'commit',
    ';',
    ';',
    ' ',
    '--',
    '\n',
    "'",
    '$$',
    '(',
    ')',
    'select 1',
    'read only',
    'listen a',
  ];

  test('is worth cutting exactly where the reading of its text says so', () => {
    const script = fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }).map((pieces) => pieces.join(' '));
    const check = (text: string): void => {
      const parts = readScript(text);
      const isWhole = parts.length === 1 && parts[0]?.kind === 'statements' && parts[0].text === text;
      expect(readSql(text).hasControl).toBe(!isWhole);
    };
    fc.assert(fc.property(script, check), { numRuns: 3_000 });
  });
});
