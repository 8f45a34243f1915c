// The syntax tree of a SQL text: what was written, where it was written, and nothing about what it means.
//
// The parser (parser.h) builds it, parameter.h puts a detection's parameters into it, the binder reads it. Nodes are tagged
// structs; lists are arrays with a count (NULL when the count is 0); an absent part is a NULL pointer or an empty name.
// Everything that the parser accepts and leat does not run has a node too, so that the binder refuses it by name and place.
//
// Ownership: nodes, arrays and unescaped texts lie in the arena of the parse, other slices point into the SQL text, which has
// to live as long. A bound parameter's tree may hang at several places: treat a tree as read-only. Threads: none shared.
// Limits: a tree is at most LEAT_SQL_HEIGHT high, so that a recursive reader needs no guard of its own.
#pragma once

#include "operators/base/bytes.h"
#include "operators/base/limits.h"

enum { LEAT_SQL_HEIGHT = LEAT_SQL_DEPTH * 5 }; // a chain `a + b + c ..` is high without being nested

typedef struct leat_sql_expr leat_sql_expr;
typedef struct leat_sql_query leat_sql_query;
typedef struct leat_sql_table_ref leat_sql_table_ref;
typedef struct leat_sql_type leat_sql_type;

// Bytes of a text. origin 0: the SQL text itself; n > 0: the text of parameter n (the number that the lookup of
// leat_sql_bind_parameters gave), where offsets count within the parameter's value.
typedef struct leat_sql_span {
    uint32_t offset, size;
    uint32_t origin;
} leat_sql_span;

// One identifier, without backticks and escapes. Absent: text.data is NULL.
typedef struct leat_sql_name {
    leat_slice text;
    leat_sql_span span;
    bool quoted;       // was written in backticks
    bool is_parameter; // ${text}: gone after binding
} leat_sql_name;

// `a`, `a.b`, `catalog.database.table`
typedef struct leat_sql_path {
    leat_sql_name *parts;
    uint32_t count;
    leat_sql_span span;
} leat_sql_path;

typedef struct leat_sql_names {
    leat_sql_name *items;
    uint32_t count;
} leat_sql_names;

typedef struct leat_sql_exprs {
    leat_sql_expr **items;
    uint32_t count;
} leat_sql_exprs;

// ---- types

typedef enum leat_sql_type_kind {
    LEAT_SQL_TYPE_BOOLEAN,
    LEAT_SQL_TYPE_TINYINT,
    LEAT_SQL_TYPE_SMALLINT,
    LEAT_SQL_TYPE_INT,
    LEAT_SQL_TYPE_BIGINT,
    LEAT_SQL_TYPE_FLOAT, // also REAL
    LEAT_SQL_TYPE_DOUBLE,
    LEAT_SQL_TYPE_DECIMAL, // also DEC, NUMERIC
    LEAT_SQL_TYPE_CHAR,
    LEAT_SQL_TYPE_VARCHAR,
    LEAT_SQL_TYPE_STRING,
    LEAT_SQL_TYPE_BINARY,
    LEAT_SQL_TYPE_VARBINARY,
    LEAT_SQL_TYPE_BYTES,
    LEAT_SQL_TYPE_DATE,
    LEAT_SQL_TYPE_TIME,
    LEAT_SQL_TYPE_TIMESTAMP,
    LEAT_SQL_TYPE_TIMESTAMP_TZ,  // TIMESTAMP WITH TIME ZONE
    LEAT_SQL_TYPE_TIMESTAMP_LTZ, // also TIMESTAMP WITH LOCAL TIME ZONE
    LEAT_SQL_TYPE_INTERVAL,
    LEAT_SQL_TYPE_ARRAY,
    LEAT_SQL_TYPE_MULTISET,
    LEAT_SQL_TYPE_MAP,
    LEAT_SQL_TYPE_ROW,
    LEAT_SQL_TYPE_NULL,
    LEAT_SQL_TYPE_NAMED, // anything else: a name for the binder to refuse
    LEAT_SQL_TYPE_KIND_COUNT
} leat_sql_type_kind;

typedef enum leat_sql_unit {
    LEAT_SQL_UNIT_NONE,
    LEAT_SQL_UNIT_YEAR,
    LEAT_SQL_UNIT_QUARTER,
    LEAT_SQL_UNIT_MONTH,
    LEAT_SQL_UNIT_WEEK,
    LEAT_SQL_UNIT_DAY,
    LEAT_SQL_UNIT_HOUR,
    LEAT_SQL_UNIT_MINUTE,
    LEAT_SQL_UNIT_SECOND,
    LEAT_SQL_UNIT_MILLISECOND,
    LEAT_SQL_UNIT_MICROSECOND,
    LEAT_SQL_UNIT_NANOSECOND,
    LEAT_SQL_UNIT_DECADE,
    LEAT_SQL_UNIT_CENTURY,
    LEAT_SQL_UNIT_MILLENNIUM,
    LEAT_SQL_UNIT_EPOCH,
    LEAT_SQL_UNIT_DOW,
    LEAT_SQL_UNIT_DOY,
    LEAT_SQL_UNIT_ISODOW,
    LEAT_SQL_UNIT_ISOYEAR,
    LEAT_SQL_UNIT_COUNT
} leat_sql_unit;

const char *leat_sql_unit_name(leat_sql_unit unit); // "SECOND"

// SECOND(3), DAY(2) TO SECOND(3)
typedef struct leat_sql_interval_qualifier {
    leat_sql_unit from, to;          // to is LEAT_SQL_UNIT_NONE for a single unit
    int32_t precision, precision_to; // -1: not given. SECOND(p, s) keeps s in precision_to
} leat_sql_interval_qualifier;

typedef struct leat_sql_type_field {
    leat_sql_name name;
    leat_sql_type *type;
} leat_sql_type_field;

struct leat_sql_type {
    leat_sql_span span;
    leat_sql_type_kind kind;
    bool not_null;
    int32_t precision, scale;             // -1: not given; length of CHAR, VARCHAR, BINARY, VARBINARY is the precision
    leat_sql_interval_qualifier interval; // INTERVAL
    leat_sql_type *key;                   // MAP
    leat_sql_type *element;               // ARRAY, MULTISET, and the value of MAP
    leat_sql_type_field *fields;          // ROW
    uint32_t field_count;
    leat_sql_path name; // NAMED
};

// ---- expressions

typedef enum leat_sql_expr_kind {
    LEAT_SQL_EXPR_LITERAL,
    LEAT_SQL_EXPR_COLUMN,    // a, t.a, t.r.f, A.price: the binder finds out which part is what
    LEAT_SQL_EXPR_STAR,      // * and t.*: select item, COUNT(*), and nothing else
    LEAT_SQL_EXPR_PARAMETER, // ${name}
    LEAT_SQL_EXPR_UNARY,     // NOT x, -x, +x, x IS NULL ..
    LEAT_SQL_EXPR_BINARY,
    LEAT_SQL_EXPR_BETWEEN,
    LEAT_SQL_EXPR_LIKE, // LIKE, SIMILAR TO
    LEAT_SQL_EXPR_IN_LIST,
    LEAT_SQL_EXPR_IN_QUERY,
    LEAT_SQL_EXPR_QUANTIFIED, // x = ANY (query), x > ALL (query)
    LEAT_SQL_EXPR_EXISTS,
    LEAT_SQL_EXPR_SUBQUERY, // scalar
    LEAT_SQL_EXPR_CASE,
    LEAT_SQL_EXPR_CAST,
    LEAT_SQL_EXPR_CALL,        // functions, aggregates, EXTRACT, TRIM .. (see leat_sql_call)
    LEAT_SQL_EXPR_JSON,        // the JSON functions that have a grammar of their own
    LEAT_SQL_EXPR_CONSTRUCTOR, // ROW(..), (a, b), ARRAY[..], MAP[..]
    LEAT_SQL_EXPR_INDEX,       // a[1], m['k']
    LEAT_SQL_EXPR_FIELD,       // f(x).y, a[1].y, (r).y: where a COLUMN path cannot say it
    LEAT_SQL_EXPR_TABLE,       // TABLE t PARTITION BY .. ORDER BY ..: argument of a table function
    LEAT_SQL_EXPR_DESCRIPTOR,  // DESCRIPTOR(ts): argument of a table function
    LEAT_SQL_EXPR_DEFAULT,     // DEFAULT: argument of a table function
    LEAT_SQL_EXPR_LIST,        // only as a parameter's value: takes the place of one item of a list (keys: [a, b])
    LEAT_SQL_EXPR_KIND_COUNT
} leat_sql_expr_kind;

typedef enum leat_sql_literal_kind {
    LEAT_SQL_LITERAL_NULL,
    LEAT_SQL_LITERAL_TRUE,
    LEAT_SQL_LITERAL_FALSE,
    LEAT_SQL_LITERAL_UNKNOWN,
    LEAT_SQL_LITERAL_INTEGER,     // 123: text is the digits; a sign is a UNARY
    LEAT_SQL_LITERAL_DECIMAL,     // 1.50
    LEAT_SQL_LITERAL_APPROXIMATE, // 1e3, a DOUBLE
    LEAT_SQL_LITERAL_STRING,      // text unescaped
    LEAT_SQL_LITERAL_BINARY,      // X'0aff': text is the hexadecimal digits, an even number of them
    LEAT_SQL_LITERAL_DATE,        // DATE '2024-01-01': text between the quotes, its form is checked
    LEAT_SQL_LITERAL_TIME,
    LEAT_SQL_LITERAL_TIMESTAMP,
    LEAT_SQL_LITERAL_TIMESTAMP_LTZ, // also TIMESTAMP WITH LOCAL TIME ZONE '..'
    LEAT_SQL_LITERAL_INTERVAL,      // text between the quotes, interval, value
    LEAT_SQL_LITERAL_KIND_COUNT
} leat_sql_literal_kind;

typedef struct leat_sql_literal {
    leat_sql_literal_kind kind;
    leat_slice text;
    leat_sql_interval_qualifier interval;
    bool interval_negative; // INTERVAL -'1' DAY
    int64_t interval_value; // sign included: months for YEAR and MONTH, else milliseconds (a fraction below is cut)
} leat_sql_literal;

typedef enum leat_sql_unary_op {
    LEAT_SQL_NOT,
    LEAT_SQL_NEGATE,
    LEAT_SQL_PLUS_SIGN,
    LEAT_SQL_IS_NULL,
    LEAT_SQL_IS_NOT_NULL,
    LEAT_SQL_IS_TRUE,
    LEAT_SQL_IS_NOT_TRUE,
    LEAT_SQL_IS_FALSE,
    LEAT_SQL_IS_NOT_FALSE,
    LEAT_SQL_IS_UNKNOWN,
    LEAT_SQL_IS_NOT_UNKNOWN,
    LEAT_SQL_IS_JSON, // also IS JSON VALUE
    LEAT_SQL_IS_NOT_JSON,
    LEAT_SQL_IS_JSON_OBJECT,
    LEAT_SQL_IS_NOT_JSON_OBJECT,
    LEAT_SQL_IS_JSON_ARRAY,
    LEAT_SQL_IS_NOT_JSON_ARRAY,
    LEAT_SQL_IS_JSON_SCALAR,
    LEAT_SQL_IS_NOT_JSON_SCALAR,
    LEAT_SQL_UNARY_OP_COUNT
} leat_sql_unary_op;

typedef enum leat_sql_binary_op {
    LEAT_SQL_OR,
    LEAT_SQL_AND,
    LEAT_SQL_EQUAL,
    LEAT_SQL_NOT_EQUAL, // <> and !=
    LEAT_SQL_LESS,
    LEAT_SQL_LESS_EQUAL,
    LEAT_SQL_GREATER,
    LEAT_SQL_GREATER_EQUAL,
    LEAT_SQL_IS_DISTINCT_FROM,
    LEAT_SQL_IS_NOT_DISTINCT_FROM,
    LEAT_SQL_OVERLAPS, // and the others of SQL's periods are not in Flink
    LEAT_SQL_ADD,
    LEAT_SQL_SUBTRACT,
    LEAT_SQL_CONCAT,
    LEAT_SQL_MULTIPLY,
    LEAT_SQL_DIVIDE,
    LEAT_SQL_MODULO,
    LEAT_SQL_BINARY_OP_COUNT
} leat_sql_binary_op;

const char *leat_sql_unary_op_text(leat_sql_unary_op op);   // "NOT", "IS NOT NULL"
const char *leat_sql_binary_op_text(leat_sql_binary_op op); // "<>", "IS DISTINCT FROM"

typedef struct leat_sql_when {
    leat_sql_expr *condition; // of CASE x WHEN condition: the value compared with
    leat_sql_expr *result;
} leat_sql_when;

typedef enum leat_sql_null_order {
    LEAT_SQL_NULLS_DEFAULT,
    LEAT_SQL_NULLS_FIRST,
    LEAT_SQL_NULLS_LAST
} leat_sql_null_order;

typedef struct leat_sql_order_item {
    leat_sql_expr *expr;
    bool descending;
    leat_sql_null_order nulls;
} leat_sql_order_item;

typedef struct leat_sql_order {
    leat_sql_order_item *items;
    uint32_t count;
} leat_sql_order;

typedef enum leat_sql_bound_kind {
    LEAT_SQL_UNBOUNDED_PRECEDING,
    LEAT_SQL_PRECEDING, // expr PRECEDING
    LEAT_SQL_CURRENT_ROW,
    LEAT_SQL_FOLLOWING,
    LEAT_SQL_UNBOUNDED_FOLLOWING
} leat_sql_bound_kind;

typedef struct leat_sql_bound {
    leat_sql_bound_kind kind;
    leat_sql_expr *expr; // PRECEDING and FOLLOWING
    leat_sql_span span;
} leat_sql_bound;

typedef enum leat_sql_frame_unit { LEAT_SQL_FRAME_NONE, LEAT_SQL_FRAME_ROWS, LEAT_SQL_FRAME_RANGE } leat_sql_frame_unit;

// OVER w: base only. OVER (..) and WINDOW w AS (..): the rest, base where the text starts with a window's name.
typedef struct leat_sql_window {
    leat_sql_span span;
    bool is_reference; // OVER w
    leat_sql_name base;
    leat_sql_exprs partition_by;
    leat_sql_order order_by;
    leat_sql_frame_unit frame;
    leat_sql_bound start, end; // `ROWS 2 PRECEDING` has end CURRENT ROW
} leat_sql_window;

typedef enum leat_sql_null_treatment {
    LEAT_SQL_NULLS_UNSAID,
    LEAT_SQL_RESPECT_NULLS,
    LEAT_SQL_IGNORE_NULLS
} leat_sql_null_treatment;

typedef enum leat_sql_trim_side {
    LEAT_SQL_TRIM_UNSAID,
    LEAT_SQL_TRIM_BOTH,
    LEAT_SQL_TRIM_LEADING,
    LEAT_SQL_TRIM_TRAILING
} leat_sql_trim_side;

// f(..), COUNT(*) (one STAR argument), CURRENT_TIMESTAMP (no_parentheses), and the functions with words inside, whose arguments
// come in the order of the plain call:
//   EXTRACT(unit FROM x)                x            unit set
//   FLOOR(x TO unit), CEIL              x            unit set
//   TIMESTAMPADD(unit, n, t), ..DIFF    n, t         unit set
//   SUBSTRING(x FROM a FOR b)           x, a[, b]
//   TRIM([side] [chars] FROM x)         x[, chars]   trim set when a side was said
//   POSITION(a IN b [FROM n])           a, b[, n]
//   OVERLAY(x PLACING y FROM a FOR b)   x, y, a[, b]
//   LISTAGG(x, ',') WITHIN GROUP (..)   x, ','       within_group
typedef struct leat_sql_call {
    leat_sql_path name;
    leat_sql_exprs args;
    leat_sql_name *arg_names; // NULL: all positional; else one per argument, absent name where positional
    bool no_parentheses;
    bool distinct; // f(DISTINCT x)
    leat_sql_unit unit;
    leat_sql_span unit_span;
    leat_sql_trim_side trim;
    leat_sql_null_treatment nulls;
    leat_sql_order order_by; // f(x ORDER BY y)
    leat_sql_order within_group;
    leat_sql_expr *filter; // FILTER (WHERE ..)
    leat_sql_window *over;
} leat_sql_call;

typedef enum leat_sql_json_function {
    LEAT_SQL_JSON_EXISTS,
    LEAT_SQL_JSON_VALUE,
    LEAT_SQL_JSON_QUERY,
    LEAT_SQL_JSON_OBJECT, // args: key, value, key, value ..
    LEAT_SQL_JSON_ARRAY,
    LEAT_SQL_JSON_OBJECTAGG, // args: key, value
    LEAT_SQL_JSON_ARRAYAGG,
    LEAT_SQL_JSON_FUNCTION_COUNT
} leat_sql_json_function;

const char *leat_sql_json_function_name(leat_sql_json_function function);

typedef enum leat_sql_json_behavior {
    LEAT_SQL_JSON_UNSAID,
    LEAT_SQL_JSON_NULL,
    LEAT_SQL_JSON_ERROR,
    LEAT_SQL_JSON_DEFAULT, // DEFAULT expr
    LEAT_SQL_JSON_EMPTY_ARRAY,
    LEAT_SQL_JSON_EMPTY_OBJECT,
    LEAT_SQL_JSON_TRUE, // these three only for JSON_EXISTS .. ON ERROR
    LEAT_SQL_JSON_FALSE,
    LEAT_SQL_JSON_UNKNOWN
} leat_sql_json_behavior;

typedef enum leat_sql_json_wrapper {
    LEAT_SQL_JSON_WRAPPER_UNSAID,
    LEAT_SQL_JSON_WITHOUT_WRAPPER,
    LEAT_SQL_JSON_WITH_CONDITIONAL_WRAPPER,
    LEAT_SQL_JSON_WITH_UNCONDITIONAL_WRAPPER // also WITH WRAPPER
} leat_sql_json_wrapper;

typedef enum leat_sql_json_nulls {
    LEAT_SQL_JSON_NULLS_UNSAID,
    LEAT_SQL_JSON_NULL_ON_NULL,
    LEAT_SQL_JSON_ABSENT_ON_NULL
} leat_sql_json_nulls;

typedef struct leat_sql_json {
    leat_sql_json_function function;
    leat_sql_exprs args; // EXISTS, VALUE, QUERY: input, path
    leat_sql_type *returning;
    leat_sql_json_behavior on_empty, on_error;
    leat_sql_expr *empty_default, *error_default;
    leat_sql_json_wrapper wrapper;
    leat_sql_json_nulls nulls;
    leat_sql_expr *filter; // of the aggregates
    leat_sql_window *over;
} leat_sql_json;

typedef enum leat_sql_constructor_kind {
    LEAT_SQL_CONSTRUCT_ROW,   // ROW(a, b)
    LEAT_SQL_CONSTRUCT_TUPLE, // (a, b)
    LEAT_SQL_CONSTRUCT_ARRAY,
    LEAT_SQL_CONSTRUCT_MAP // items: key, value, key, value ..
} leat_sql_constructor_kind;

typedef enum leat_sql_quantifier { LEAT_SQL_ANY, LEAT_SQL_SOME, LEAT_SQL_ALL } leat_sql_quantifier;

struct leat_sql_expr {
    leat_sql_expr_kind kind;
    leat_sql_span span; // of the whole expression, without parentheses around it
    union {
        leat_sql_literal literal;
        leat_sql_path column;
        leat_sql_path star; // the qualifier; count 0 for a bare *
        leat_sql_name parameter;
        struct {
            leat_sql_unary_op op;
            leat_sql_expr *operand;
        } unary;
        struct {
            leat_sql_binary_op op;
            leat_sql_expr *left, *right;
            leat_sql_span op_span;
        } binary;
        struct {
            leat_sql_expr *operand, *low, *high;
            bool negated, symmetric;
        } between;
        struct {
            leat_sql_expr *operand, *pattern, *escape; // escape may be NULL
            bool negated, similar;                     // similar: SIMILAR TO
        } like;
        struct {
            leat_sql_expr *operand;
            leat_sql_exprs items;
            bool negated;
        } in_list;
        struct {
            leat_sql_expr *operand;
            leat_sql_query *query;
            bool negated;
        } in_query;
        struct {
            leat_sql_expr *operand;
            leat_sql_binary_op op; // a comparison
            leat_sql_quantifier quantifier;
            leat_sql_query *query;
        } quantified;
        leat_sql_query *query; // EXISTS, SUBQUERY
        struct {
            leat_sql_expr *operand; // NULL: CASE WHEN condition ..
            leat_sql_when *whens;
            uint32_t when_count;
            leat_sql_expr *otherwise; // NULL: no ELSE
        } case_when;
        struct {
            leat_sql_expr *operand;
            leat_sql_type *type;
            bool is_try; // TRY_CAST
        } cast;
        leat_sql_call call;
        leat_sql_json json;
        struct {
            leat_sql_constructor_kind kind;
            leat_sql_exprs items;
        } constructor;
        struct {
            leat_sql_expr *operand, *index;
        } index;
        struct {
            leat_sql_expr *operand;
            leat_sql_name field;
        } field;
        struct {
            leat_sql_path path;    // TABLE t; count 0 when query
            leat_sql_query *query; // TABLE (SELECT ..)
            leat_sql_exprs partition_by;
            leat_sql_order order_by;
            bool is_partitioned; // PARTITION BY was written
        } table;
        leat_sql_names descriptor;
        leat_sql_exprs list;
    };
};

// ---- queries

// OPTIONS('k'='v'), STATE_TTL('a'='1d'), BROADCAST(a)
typedef struct leat_sql_hint_entry {
    leat_sql_name key; // a string or an identifier
    leat_slice value;  // data NULL: the entry is a name alone
    leat_sql_span value_span;
} leat_sql_hint_entry;

typedef struct leat_sql_hint {
    leat_sql_name name;
    leat_sql_hint_entry *entries;
    uint32_t entry_count;
} leat_sql_hint;

typedef struct leat_sql_hints {
    leat_sql_hint *items;
    uint32_t count;
} leat_sql_hints;

// ---- MATCH_RECOGNIZE

typedef enum leat_sql_pattern_kind {
    LEAT_SQL_PATTERN_VARIABLE,
    LEAT_SQL_PATTERN_SEQUENCE,    // items in order
    LEAT_SQL_PATTERN_ALTERNATION, // items with | between
    LEAT_SQL_PATTERN_PERMUTE,
    LEAT_SQL_PATTERN_EXCLUSION, // {- item -}
    LEAT_SQL_PATTERN_REPEAT,    // one item
    LEAT_SQL_PATTERN_START,     // ^
    LEAT_SQL_PATTERN_END,       // $
    LEAT_SQL_PATTERN_EMPTY      // ()
} leat_sql_pattern_kind;

typedef struct leat_sql_pattern leat_sql_pattern;
struct leat_sql_pattern {
    leat_sql_pattern_kind kind;
    leat_sql_span span;
    leat_sql_name variable;
    leat_sql_pattern **items;
    uint32_t item_count;
    bool grouped;                               // was written in parentheses
    uint32_t min, max;                          // REPEAT; LEAT_SQL_PATTERN_UNBOUNDED
    leat_sql_name min_parameter, max_parameter; // A{${n},}: set into min and max by binding
    bool reluctant;                             // *? +? ?? {..}?
    leat_sql_span quantifier;                   // REPEAT
};
#define LEAT_SQL_PATTERN_UNBOUNDED UINT32_MAX

typedef enum leat_sql_rows_per_match {
    LEAT_SQL_ROWS_UNSAID,
    LEAT_SQL_ONE_ROW,
    LEAT_SQL_ALL_ROWS,
    LEAT_SQL_ALL_ROWS_SHOW_EMPTY,
    LEAT_SQL_ALL_ROWS_OMIT_EMPTY,
    LEAT_SQL_ALL_ROWS_WITH_UNMATCHED
} leat_sql_rows_per_match;

typedef enum leat_sql_skip {
    LEAT_SQL_SKIP_UNSAID,
    LEAT_SQL_SKIP_TO_NEXT_ROW,
    LEAT_SQL_SKIP_PAST_LAST_ROW,
    LEAT_SQL_SKIP_TO_FIRST, // skip_to
    LEAT_SQL_SKIP_TO_LAST   // skip_to; also SKIP TO v
} leat_sql_skip;

typedef enum leat_sql_semantics { LEAT_SQL_SEMANTICS_UNSAID, LEAT_SQL_RUNNING, LEAT_SQL_FINAL } leat_sql_semantics;

typedef struct leat_sql_measure {
    leat_sql_semantics semantics; // FINAL LAST(a.x) AS y
    leat_sql_expr *expr;
    leat_sql_name name;
} leat_sql_measure;

typedef struct leat_sql_subset {
    leat_sql_name name;
    leat_sql_names members;
} leat_sql_subset;

typedef struct leat_sql_define {
    leat_sql_name variable;
    leat_sql_expr *condition;
} leat_sql_define;

typedef struct leat_sql_match_recognize {
    leat_sql_span span;
    leat_sql_exprs partition_by;
    leat_sql_order order_by;
    leat_sql_measure *measures;
    uint32_t measure_count;
    leat_sql_rows_per_match rows;
    leat_sql_span rows_span;
    leat_sql_skip skip;
    leat_sql_name skip_to;
    leat_sql_span skip_span;
    leat_sql_pattern *pattern;
    leat_sql_expr *within; // NULL: not given
    leat_sql_subset *subsets;
    uint32_t subset_count;
    leat_sql_define *defines;
    uint32_t define_count;
} leat_sql_match_recognize;

// ---- FROM

typedef enum leat_sql_table_kind {
    LEAT_SQL_TABLE_NAME,     // path, hints, system_time
    LEAT_SQL_TABLE_QUERY,    // (SELECT ..), (VALUES ..)
    LEAT_SQL_TABLE_FUNCTION, // f(..) and TABLE(f(..))
    LEAT_SQL_TABLE_UNNEST,
    LEAT_SQL_TABLE_JOIN,
    LEAT_SQL_TABLE_MATCH // input MATCH_RECOGNIZE (..)
} leat_sql_table_kind;

typedef enum leat_sql_join_kind {
    LEAT_SQL_JOIN_INNER,
    LEAT_SQL_JOIN_LEFT,
    LEAT_SQL_JOIN_RIGHT,
    LEAT_SQL_JOIN_FULL,
    LEAT_SQL_JOIN_CROSS,
    LEAT_SQL_JOIN_COMMA
} leat_sql_join_kind;

struct leat_sql_table_ref {
    leat_sql_table_kind kind;
    leat_sql_span span;
    leat_sql_name alias;    // absent: none
    leat_sql_names columns; // AS t (a, b)
    bool lateral;
    leat_sql_hints hints; // of NAME and FUNCTION
    union {
        struct {
            leat_sql_path path;
            leat_sql_expr *system_time; // FOR SYSTEM_TIME AS OF expr, or NULL
        } table;
        leat_sql_query *query;
        struct {
            leat_sql_expr *call; // CALL; its arguments may be TABLE, DESCRIPTOR, DEFAULT
            bool in_table;       // was written TABLE(f(..))
        } function;
        struct {
            leat_sql_exprs items;
            bool ordinality;
        } unnest;
        struct {
            leat_sql_join_kind kind;
            bool natural;
            leat_sql_table_ref *left, *right;
            leat_sql_expr *on;    // NULL: none
            leat_sql_names using; // count 0: none
        } join;
        struct {
            leat_sql_table_ref *input;
            leat_sql_match_recognize *recognize;
        } match;
    };
};

typedef enum leat_sql_group_kind {
    LEAT_SQL_GROUP_EXPR,
    LEAT_SQL_GROUP_LIST, // (a, b), and () with no items
    LEAT_SQL_GROUPING_SETS,
    LEAT_SQL_CUBE,
    LEAT_SQL_ROLLUP
} leat_sql_group_kind;

typedef struct leat_sql_group leat_sql_group;
struct leat_sql_group {
    leat_sql_group_kind kind;
    leat_sql_span span;
    leat_sql_expr *expr;    // EXPR
    leat_sql_group **items; // of the others
    uint32_t item_count;
};

typedef struct leat_sql_select_item {
    leat_sql_expr *expr; // may be a STAR
    leat_sql_name alias; // absent: none
} leat_sql_select_item;

typedef struct leat_sql_named_window {
    leat_sql_name name;
    leat_sql_window *window;
} leat_sql_named_window;

typedef struct leat_sql_select {
    leat_sql_hints hints;
    bool distinct;
    leat_sql_select_item *items;
    uint32_t item_count;
    leat_sql_table_ref *from; // NULL: SELECT without FROM; comma lists are JOINs
    leat_sql_expr *where;
    bool is_grouped;           // GROUP BY was written
    bool group_distinct;       // GROUP BY DISTINCT
    leat_sql_group **group_by; // GROUP BY a, ROLLUP (b): two items
    uint32_t group_count;
    leat_sql_expr *having;
    leat_sql_named_window *windows;
    uint32_t window_count;
    leat_sql_expr *qualify;
    leat_sql_span where_span, group_span, having_span; // from the keyword on
} leat_sql_select;

typedef enum leat_sql_query_kind {
    LEAT_SQL_QUERY_SELECT,
    LEAT_SQL_QUERY_VALUES, // rows: each a constructor or a single expression
    LEAT_SQL_QUERY_TABLE,  // TABLE t
    LEAT_SQL_QUERY_SET
} leat_sql_query_kind;

typedef enum leat_sql_set_op { LEAT_SQL_UNION, LEAT_SQL_INTERSECT, LEAT_SQL_EXCEPT } leat_sql_set_op;

typedef struct leat_sql_cte {
    leat_sql_name name;
    leat_sql_names columns;
    leat_sql_query *query;
} leat_sql_cte;

struct leat_sql_query {
    leat_sql_query_kind kind;
    leat_sql_span span;
    bool recursive; // WITH RECURSIVE
    leat_sql_cte *ctes;
    uint32_t cte_count;
    union {
        leat_sql_select *select;
        leat_sql_exprs values;
        leat_sql_path table;
        struct {
            leat_sql_set_op op;
            bool all;
            leat_sql_query *left, *right;
        } set;
    };
    leat_sql_order order_by;
    leat_sql_expr *limit;                                          // LIMIT n; NULL: none (LIMIT ALL)
    leat_sql_expr *offset;                                         // OFFSET n [ROWS]
    leat_sql_expr *fetch;                                          // FETCH FIRST n ROWS ONLY
    leat_sql_span order_span, limit_span, offset_span, fetch_span; // from the keyword on
};

// ---- statements

typedef enum leat_sql_statement_kind {
    LEAT_SQL_STATEMENT_QUERY,
    LEAT_SQL_STATEMENT_CREATE_VIEW,
    LEAT_SQL_STATEMENT_INSERT // parsed, so that it is refused by name: a rule's `to` names its sinks
} leat_sql_statement_kind;

typedef struct leat_sql_statement {
    leat_sql_statement_kind kind;
    leat_sql_span span;
    leat_sql_query *query;
    leat_sql_path target;                      // the view, the table inserted into
    leat_sql_names columns;                    // (a, b) after the target
    bool temporary, if_not_exists, or_replace; // CREATE VIEW
    bool overwrite;                            // INSERT OVERWRITE
} leat_sql_statement;

typedef struct leat_sql_script {
    leat_slice text;
    leat_sql_statement *statements;
    uint32_t count;
} leat_sql_script;

// ---- reading trees

// Called before the children of a node; false leaves them out.
typedef bool leat_sql_expr_visit(void *context, const leat_sql_expr *expr);
// The node and all expressions below, subqueries included (their select lists, conditions, table arguments).
void leat_sql_expr_walk(const leat_sql_expr *expr, leat_sql_expr_visit *visit, void *context);
void leat_sql_query_walk(const leat_sql_query *query, leat_sql_expr_visit *visit, void *context);
void leat_sql_table_ref_walk(const leat_sql_table_ref *table, leat_sql_expr_visit *visit, void *context);

// Same structure and same names, spans and quotes aside. Names of columns compare by bytes, names of functions without case.
bool leat_sql_expr_equal(const leat_sql_expr *a, const leat_sql_expr *b);
bool leat_sql_type_equal(const leat_sql_type *a, const leat_sql_type *b);
bool leat_sql_query_equal(const leat_sql_query *a, const leat_sql_query *b);
bool leat_sql_script_equal(const leat_sql_script *a, const leat_sql_script *b);

// From the start of a to the end of b, which come from one text; a's span where they do not.
leat_sql_span leat_sql_span_join(leat_sql_span a, leat_sql_span b);
static inline bool leat_sql_name_present(const leat_sql_name *name) { return name->text.data; }
