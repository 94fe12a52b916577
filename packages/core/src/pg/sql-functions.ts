/**
 * The built-in functions that a plain read may call: they have no side effects and read nothing of the session but what
 * all sessions of a pool have alike (time zone, language, search path). All but RANDOM are immutable or stable.
 * https://www.postgresql.org/docs/current/functions.html
 *
 * A name that is not here costs speed only. None takes SQL text (`query_to_xml`, `ts_stat`, `ts_rewrite`), a lock, a
 * sequence, a file, a large object, a setting or a transaction id; none sleeps.
 */

const AGGREGATE = `
  count sum avg min max array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg bool_and bool_or every
  json_agg_strict jsonb_agg_strict json_object_agg_strict jsonb_object_agg_strict bit_and bit_or bit_xor any_value
  range_agg range_intersect_agg stddev stddev_pop stddev_samp variance var_pop var_samp corr covar_pop covar_samp
  regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy
  mode percentile_cont percentile_disc`;

const WINDOW = `
  row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value`;

const STRING = `
  lower upper initcap length char_length character_length octet_length bit_length btrim ltrim rtrim lpad rpad left right
  reverse repeat replace translate concat concat_ws format strpos substr substring overlay position starts_with
  split_part ascii chr to_hex md5 sha224 sha256 sha384 sha512 encode decode convert_from convert_to normalize
  quote_ident quote_literal quote_nullable string_to_array string_to_table regexp_count regexp_instr regexp_like
  regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr
  like overlaps get_bit get_byte bit_count`;

const NUMBER = `
  abs ceil ceiling floor round trunc sign sqrt cbrt exp ln log log10 power pow mod div gcd lcm degrees radians pi
  sin cos tan cot asin acos atan atan2 width_bucket scale min_scale trim_scale`;

const DATE = `
  now transaction_timestamp statement_timestamp date_part date_trunc date_bin date_add date_subtract extract age
  isfinite justify_days justify_hours justify_interval make_date make_time make_timestamp make_timestamptz make_interval
  to_char to_date to_number to_timestamp timezone`;

const JSON_VALUE = `
  to_json to_jsonb row_to_json array_to_json json_build_object json_build_array jsonb_build_object jsonb_build_array
  json_object jsonb_object json_array_length jsonb_array_length json_array_elements jsonb_array_elements
  json_array_elements_text jsonb_array_elements_text json_each jsonb_each json_each_text jsonb_each_text
  json_object_keys jsonb_object_keys json_extract_path jsonb_extract_path json_extract_path_text jsonb_extract_path_text
  json_populate_record jsonb_populate_record json_populate_recordset jsonb_populate_recordset
  json_to_record jsonb_to_record json_to_recordset jsonb_to_recordset json_typeof jsonb_typeof
  json_strip_nulls jsonb_strip_nulls jsonb_set jsonb_set_lax jsonb_insert jsonb_pretty
  jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array jsonb_path_query_first
  jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_tz jsonb_path_query_array_tz jsonb_path_query_first_tz`;

const ARRAY_AND_RANGE = `
  array_append array_prepend array_cat array_dims array_fill array_length array_lower array_ndims array_position
  array_positions array_remove array_replace array_reverse array_sort array_to_string array_upper cardinality trim_array
  unnest generate_series generate_subscripts isempty lower_inc lower_inf upper_inc upper_inf range_merge multirange
  int4range int8range numrange daterange tsrange tstzrange int4multirange int8multirange nummultirange datemultirange
  tsmultirange tstzmultirange`;

const SEARCH = `
  to_tsvector to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery tsquery_phrase json_to_tsvector
  jsonb_to_tsvector ts_rank ts_rank_cd ts_headline ts_delete ts_filter setweight strip numnode querytree
  tsvector_to_array array_to_tsvector`;

/** Types are functions too: `date(created_at)`, `numeric(10, 2)`. */
const TYPE = `
  bool int2 int4 int8 float4 float8 text varchar bpchar numeric date time timetz timestamp timestamptz interval`;

const OTHER = `
  enum_first enum_last enum_range num_nulls num_nonnulls host family masklen set_masklen network netmask hostmask
  broadcast abbrev inet_same_family inet_merge uuid_extract_timestamp uuid_extract_version
  pg_typeof pg_column_size pg_size_pretty version current_database current_schema`;

/** Volatile, since two calls differ, and harmless: nobody notices that another one has drawn a number or read the clock. */
const RANDOM = `
  random random_normal gen_random_uuid uuidv4 uuidv7 array_sample array_shuffle clock_timestamp`;

const VALUES = [AGGREGATE, WINDOW, STRING, NUMBER, DATE, JSON_VALUE, ARRAY_AND_RANGE, SEARCH, TYPE, OTHER];

/** Volatile ones that are allowed all the same. */
export const RANDOM_FUNCTIONS: readonly string[] = namesIn(RANDOM);

/** All, in lower case. */
export const PLAIN_FUNCTIONS: readonly string[] = [...VALUES.flatMap(namesIn), ...RANDOM_FUNCTIONS];

function namesIn(list: string): readonly string[] {
  return list.trim().split(/\s+/);
}
