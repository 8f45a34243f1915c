// Names and types put into an expression: from a syntax tree to a typed tree (operators/expr/expr.h).
//
// Usage: a binder per clause, with the scope that the clause sees; leat_sql_bind gives a tree or NULL after reporting. Where
// aggregates are allowed each aggregate call is put into `aggregates` (equal ones once) and stands in the tree as column i of the
// input LEAT_SQL_INPUT_AGGREGATE; the grouping replaces it and checks what is not grouped. TUMBLE_START(..) and the like stand
// there as columns of LEAT_SQL_INPUT_WINDOW.
//
// Ownership: trees in the arena of `expr`. Failure: a diagnostic with the span of the offending node; later siblings are
// bound all the same, so that one run reports all.
#pragma once

#include "config/sql/parser.h"
#include "config/sql/scope.h"
#include "operators/expr/aggregate.h"

enum {
    LEAT_SQL_INPUT_AGGREGATE = 1000,
    LEAT_SQL_INPUT_WINDOW,
    LEAT_SQL_INPUT_GROUPING, // GROUPING(a, b)
    LEAT_SQL_INPUT_OVER,     // f(..) OVER (..)
    LEAT_SQL_INPUT_ITEM,     // QUALIFY: an item of the select list by its alias
    LEAT_SQL_INPUT_QUERY,    // (SELECT ..) as a value
    LEAT_SQL_INPUT_BELOW,    // the same below the grouping: in GROUP BY, in arguments of aggregates
    LEAT_SQL_AGGREGATES_MAX = 128,
    LEAT_SQL_GROUPINGS_MAX = 16
};

// Columns of LEAT_SQL_INPUT_WINDOW.
typedef enum leat_sql_window_property {
    LEAT_SQL_WINDOW_START,
    LEAT_SQL_WINDOW_END,
    LEAT_SQL_WINDOW_TIME,
} leat_sql_window_property;

typedef struct leat_sql_grouping_call {
    leat_expr **arguments;
    uint32_t count;
} leat_sql_grouping_call;

typedef struct leat_sql_aggregates {
    uint32_t count;
    uint32_t capacity;
    leat_aggregate *items;  // 16-aligned
    leat_expr ***arguments; // of each
    leat_expr **filters;
    const char **labels;               // "AVG(reading)"
    bool retract;                      // the input takes rows back
    leat_sql_grouping_call *groupings; // GROUPING(..) calls, LEAT_SQL_GROUPINGS_MAX
    uint32_t grouping_count;
} leat_sql_aggregates;

// Where a column was written, for errors found later in the typed tree.
typedef struct leat_sql_mark leat_sql_mark;
struct leat_sql_mark {
    const leat_expr *expr;
    leat_sql_span span;
    const leat_sql_mark *next;
};

typedef struct leat_sql_binder leat_sql_binder;
struct leat_sql_binder {
    leat_expr_scope *expr;
    leat_sql_diagnostics *diagnostics;
    const leat_sql_scope *scope;       // NULL: no columns here
    const char *clause;                // "WHERE", for messages
    leat_sql_aggregates *aggregates;   // NULL: not allowed here
    const leat_sql_expr *group_window; // GROUP BY TUMBLE(..): the call; NULL: none
    leat_type window_time_type;        // of its time column
    bool window_by_clock;              // which is processing time
    const leat_sql_select *select;     // for "an alias is not visible here"; may be NULL
    const leat_sql_mark *marks;
    uint32_t errors;
    // Calls that mean something of their own here (MATCH_RECOGNIZE): true when it was one, bound or reported. NULL: none.
    bool (*own_call)(leat_sql_binder *binder, const leat_sql_expr *expr, leat_expr **out_expr);
    void *own; // of own_call
    // (SELECT ..), EXISTS and IN as values: a tree, or NULL after reporting. NULL: refused here.
    leat_expr *(*query_value)(leat_sql_binder *binder, const leat_sql_expr *expr);
    void *queries; // of query_value
};

leat_expr *leat_sql_bind(leat_sql_binder *binder, const leat_sql_expr *expr);
// The same, coerced to BOOLEAN.
leat_expr *leat_sql_bind_condition(leat_sql_binder *binder, const leat_sql_expr *expr);
// A constant of a type, folded: arguments of table functions. NULL wanted: any.
leat_expr *leat_sql_bind_constant(leat_sql_binder *binder, const leat_sql_expr *expr, const leat_type *wanted,
                                  const char *what);
bool leat_sql_bind_type(leat_sql_binder *binder, const leat_sql_type *type, leat_type *out_type);

void leat_sql_binder_error(leat_sql_binder *binder, leat_sql_span span, const char *format, ...) LEAT_PRINTF(3, 4);
// The span where a column of the tree was written, else the given one.
leat_sql_span leat_sql_binder_span(const leat_sql_binder *binder, const leat_expr *expr, leat_sql_span otherwise);

leat_sql_aggregates *leat_sql_aggregates_new(leat_arena *arena, bool retract);
leat_expr *leat_sql_text(leat_expr_scope *scope, leat_slice text); // a STRING literal

// ---- between the binder's files

leat_expr *leat_sql_bind_literal(leat_sql_binder *binder, const leat_sql_literal *literal, bool negative,
                                 leat_sql_span span);
leat_expr *leat_sql_bind_call(leat_sql_binder *binder, const leat_sql_expr *expr);
leat_expr *leat_sql_bind_json(leat_sql_binder *binder, const leat_sql_expr *expr);
leat_expr *leat_sql_bind_aggregate(leat_sql_binder *binder, const leat_sql_expr *expr);
typedef struct leat_sql_aggregate_call {
    const leat_sql_expr *expr; // as written
    leat_slice name;
    bool distinct;
    leat_expr **arguments; // with a NULL behind the last one
    uint32_t count;
    leat_expr *filter; // NULL: none
} leat_sql_aggregate_call;
// Reports and gives false where aggregates may not stand.
bool leat_sql_aggregate_allowed(leat_sql_binder *binder, leat_slice name, leat_sql_span span);
leat_expr *leat_sql_add_aggregate(leat_sql_binder *binder, const leat_sql_aggregate_call *call);
// The function by Flink's name; arguments that are NULL (already reported) give NULL.
leat_expr *leat_sql_apply(leat_sql_binder *binder, const char *name, leat_expr **arguments, uint32_t count,
                          leat_sql_span span);
// All arguments, reporting every error; false when one failed.
bool leat_sql_bind_all(leat_sql_binder *binder, const leat_sql_exprs *exprs, leat_expr **out_exprs);
void leat_sql_binder_fail(leat_sql_binder *binder, leat_sql_span span, const leat_error *error);
bool leat_sql_is_group_window(const leat_sql_expr *expr); // a call of TUMBLE, HOP or SESSION
leat_expr *leat_sql_bind_grouping(leat_sql_binder *binder, const leat_sql_expr *expr);
leat_expr *leat_sql_bind_group_id(leat_sql_binder *binder, const leat_sql_expr *expr);
