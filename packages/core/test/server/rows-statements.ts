/** What the statements below work on. Whatever is deleted comes back, so that each of them can be repeated. */
export const GROUND = `
  create type mood as enum ('sad', 'ok');
  create domain positive as int check (value > 0);
  create type pair as (a int, b text);
  create table things (id int primary key, name text not null unique, at timestamptz, data jsonb, tags text[]);
  insert into things values (1, 'one', '2024-02-29 12:00:00.123456+00', '{"a": [1, null]}', '{a,"b c",NULL}'),
    (2, 'two', null, null, '{}'), (3, 'three', '-infinity', '"x"', null);
  create table nothing ();
  insert into nothing default values;
  create table sink (a int, b text);
  create table late (id int, constraint late_check unique (id) deferrable initially deferred);
  insert into late values (1);
  create function nop() returns void language sql as 'select';
  create function speak() returns int language plpgsql as $$ begin raise notice 'hello'; return 7; end $$;
  create function fail() returns int language plpgsql as
    $$ begin raise exception 'no' using errcode = 'LG001', detail = 'a detail', hint = 'a hint'; end $$;
  create procedure act() language sql as 'select 1';
  create function again() returns trigger language plpgsql as $$ begin insert into things select old.*; return null; end $$;
  create trigger phoenix after delete on things for each row execute function again();
`;

const ofType = (type: string, ...literals: readonly string[]): string[] => [
  `select ${[...literals, null].map((literal, at) => `${literal === null ? 'null' : `'${literal}'`}::${type} as v${at}`).join(', ')}`,
  `select ${literals.length === 0 ? 'array[]' : `array['${literals.join("','")}', null]`}::${type}[] as list`,
];

/** Each answers the same whenever it is asked. */
export const TYPES: readonly string[] = [
  ...ofType('bool', 't', 'f'),
  ...ofType('int2', '-32768', '32767'),
  ...ofType('int4', '-2147483648', '0'),
  ...ofType('int8', '9223372036854775807', '1'),
  ...ofType('numeric', '1.10', 'NaN', '-Infinity', '123456789012345678901234567890.5'),
  ...ofType('numeric(6,2)', '1.1'),
  ...ofType('float4', '1.5', 'NaN', '-0', 'Infinity'),
  ...ofType('float8', '0.1', '1e300', '-Infinity', '-0'),
  ...ofType('money', '12.30'),
  ...ofType('text', '', 'a', 'ä€😀', 'NULL', '{"', '\\\\'),
  ...ofType('varchar(3)', 'abc'),
  ...ofType('char(5)', 'ab'),
  ...ofType('"char"', 'a'),
  ...ofType('name', 'n'),
  ...ofType('bytea', '\\x00ff', ''),
  ...ofType('date', '2024-02-29', '0044-03-15 BC', 'infinity'),
  ...ofType('time', '12:00:00.5'),
  ...ofType('timetz', '12:00:00+02'),
  ...ofType('timestamp', '2024-02-29 12:00:00.123456', 'infinity'),
  ...ofType('timestamptz', '2024-02-29 12:00:00+05:30', '0044-03-15 00:00:00+00 BC', '-infinity'),
  ...ofType('interval', '1 year 2 mons -3 days 04:05:06.7', '0'),
  ...ofType('uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
  ...ofType('json', '{"a":[1,null,"x"]}', 'null'),
  ...ofType('jsonb', '{"a": {"b": [true]}}', '1'),
  ...ofType('jsonpath', '$.a'),
  ...ofType('xid', '7'),
  ...ofType('oid', '4294967295'),
  ...ofType('point', '(1,2.5)'),
  ...ofType('circle', '<(1,2),3>'),
  ...ofType('inet', '10.0.0.1/8', '::1'),
  ...ofType('macaddr', '08:00:2b:01:02:03'),
  ...ofType('bit(3)', '101'),
  ...ofType('tsvector', 'a:1 b'),
  ...ofType('int4range', '[1,5)', 'empty'),
  ...ofType('mood', 'sad'),
  ...ofType('positive', '3'),
  ...ofType('pair', '(1,"a b")'),
  "select '{{1,2},{3,null}}'::int[] as nested, '[0:1]={1,2}'::int[] as shifted",
];

export const STATEMENTS: readonly string[] = [
  'select',
  'select from things',
  'select * from nothing',
  'select * from things where false',
  'select * from things order by id',
  'select 1 as a, 2 as a, null as a',
  'select null as a, 1 as a',
  'select 1 as "__proto__", 2 as "constructor", 3 as "toString", 4 as "hasOwnProperty"',
  'select null as "__proto__"',
  'select 1 as "1", 2 as "0", 3 as b, 4 as "ä€😀", 5 as " "',
  'select null as n from generate_series(1, 3)',
  'select things from things order by id',
  'values (1, $$a$$), (2, null)',
  'table things limit 2',
  'with x as (select 1 as a) select * from x',
  `select ${Array.from({ length: 1_600 }, (_, at) => `${at} as c${at}`).join(', ')}`,
  'select nop()',
  'select speak()',
  'select fail()',
  'select 1 / (id - 2) as x from things order by id',
  'select nowhere from things',
  'select * from nowhere',
  'selct 1',
  'select (',
  "select 'x'::int",
  "insert into sink values (1, 'x')",
  "insert into sink values (1, 'x'), (2, null) returning *, a + 1 as next",
  'insert into sink select 1 where false',
  "insert into things values (1, 'other')",
  "insert into things values (9, 'one')",
  'insert into things values (9, null)',
  "insert into things values (1, 'one') on conflict do nothing",
  'insert into late values (1)',
  'update things set name = name where id < 3',
  'update things set name = name where false',
  'update things set name = name where id < 3 returning id, tags',
  'delete from things where id > 1',
  'delete from things where false returning *',
  "merge into things t using (values (1)) as s (id) on t.id = s.id when matched then update set name = 'one'",
  'with gone as (delete from sink where false returning *) select count(*) from gone',
  'create table if not exists things (id int)',
  'do $$ begin raise notice $n$hello$n$; end $$',
  'show server_version_num',
  'explain (costs off) select 1',
  'set local work_mem = $$8MB$$',
  'refresh materialized view nowhere',
];

/** What can be neither in a batch nor together with others. */
export const LONERS: readonly string[] = [
  'call act()',
  '',
  ' ',
  ';',
  ';;',
  '-- nothing',
  '/* nothing */',
  'select 1 as a; select 2 as b, 3 as c',
  'select 1 as a;',
  'select 1 as a;; select 2 as a',
  "insert into sink values (1, 'x'); select 1 as a where false; update things set name = name",
  'select 1 as a; select 1 / 0; select 2 as a',
  'copy (select 1, null, $$a$$) to stdout',
  'copy sink from stdin',
  'copy things from stdin; select 1',
  'copy (select 1 / 0) to stdout',
];
