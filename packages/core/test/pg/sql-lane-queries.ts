import fc from 'fast-check';

type Sql = fc.Arbitrary<string>;

/** The text with its parts in it, which are made anew each time. */
function filled(parts: readonly (string | Sql)[]): Sql {
  const made = parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part));
  return fc.tuple(...made).map((pieces) => pieces.join(''));
}

/** Expressions of type integer; `leaf` makes the innermost ones. */
function expressionSql(leaf: Sql, query: Sql): Sql {
  const { one } = fc.letrec<{ one: string; call: string; phrase: string }>((tie) => {
    const part = tie('one');
    return {
      one: fc.oneof({ maxDepth: 3 }, leaf, tie('call'), tie('phrase')),
      call: fc.oneof(
        filled(['coalesce(', part, ', ', part, ')']),
        filled(['greatest(', part, ', 2)']),
        filled(['"abs" (', part, ')']),
        filled(['pg_catalog.abs(', part, ')']),
        filled(['mod(', part, ', 7)::int']),
        filled(['length((', part, ')::varchar(20))']),
        filled(['cast(', part, ' as numeric(10, 2))::int']),
        filled(['extract(day from make_interval(days => ', part, '))::int']),
      ),
      phrase: fc.oneof(
        filled(['(', part, ') + (', part, ')']),
        filled(['case when (', part, ') in (', part, ', 3) then (', part, ') else ', part, ' end']),
        filled(['(case when not (', part, ' between (1) and ', part, ') then 1 end)']),
        filled(['(array[', part, ', ', part, '])[1]']),
        filled(['(', query, ' limit (1))']),
        filled(['(select count(*) filter (where ', part, ' > 1) from t where a = any (array[', part, ']))::int']),
        filled(['(select max(', part, ') from unnest(array[', part, ']) as u(x))']),
      ),
    };
  });
  return one;
}

/**
 * Queries of one integer column over `t (a int)`, with parts of all kinds. With a spot, it stands once in each where an
 * integer might.
 */
export function querySql(leaf: Sql, spot?: string): Sql {
  const simple = filled(['select ', leaf]);
  const part = expressionSql(leaf, simple);
  const query = shapesSql(part, simple);
  return spot === undefined ? query : shapesSql(part, simple, spot);
}

function shapesSql(part: Sql, simple: Sql, spot?: string): Sql {
  const place = spot === undefined ? part : wrappedSql(spot, part);
  return fc.oneof(
    filled(['select ', place, ' as x']),
    filled(['select distinct on (', part, ') ', place, ' from t']),
    filled(['select distinct on (', place, ') (a) from t']),
    filled(['values (', place, '), (', part, ')']),
    filled(['select a from t where (', part, ') > ', place]),
    filled(['select a from t x join (', simple, ') y(b) on (y.b = ', place, ')']),
    filled(['select a from t where exists (select from t as u (b) where u.b > ', place, ')']),
    filled(['with c(d) as (select ', place, '), e (f) as (', simple, ') select d from c join e on (f = ', part, ')']),
    filled(['with c(d) as (', simple, ') select d from c order by 1, ', place]),
    filled(['with c(d) as (', simple, ') (select ', place, ' from c) limit (2)']),
    filled(['with recursive c(d) as (values (1) union all select d + 1 from c where d < 3) select ', place, ' from c']),
    filled(['select a from t group by rollup (a), ', place, ' having count(*) > ', part]),
    filled(['select sum(a) over (partition by (', part, ') order by ', place, ') from t']),
    filled(['select x from t, lateral (select ', place, ') as s (x) union all (', simple, ')']),
    filled(['select x from unnest(array[', place, ']) with ordinality as s (x, n)']),
    filled(['select g from generate_series(1, 2) g order by (', part, '), ', place, ' offset (0)']),
  );
}

/** The spot itself, or within something. */
function wrappedSql(spot: string, part: Sql): Sql {
  return fc.oneof(
    fc.constant(spot),
    filled(['(', spot, ')']),
    filled(['coalesce(', part, ', ', spot, ')']),
    filled(['(', part, ') + ', spot]),
    filled(['(select ', spot, ')']),
    filled(['(with c(d) as (select ', spot, ') select d from c)']),
    filled(['cast(', spot, ' as int)']),
    filled(['case when ', part, ' > 1 then ', part, ' else ', spot, ' end']),
  );
}
