// What the files of the planner's joins share: one join on its way from its condition to a node.
//
// Usage: begin with both sides, add conditions (ON, and what WHERE says of both), choose. Columns of conditions are those of the left side and
// behind them those of the right one, all of input 0. Functions return false after reporting.
#pragma once

#include "config/sql/planner_state.h"

enum { PLAN_JOIN_CONDITIONS = 256 };

// Conditions that hold for the rows of a FROM clause anyway: WHERE's, and ON's of joins above.
struct plan_hints {
    const leat_sql_expr *condition;
    const plan_hints *next;
};

typedef struct plan_bounds { // left time in [right time + lower, right time + upper]
    bool found, processing_time;
    int64_t lower_ms, upper_ms;
    uint32_t columns[2]; // of each side
} plan_bounds;

typedef struct plan_join {
    plan_rule *rule;
    leat_join_kind kind;
    bool temporal; // a condition on the right side alone is asked of the version that is valid, not of all
    leat_sql_span span;
    relation sides[2];
    uint32_t split;            // left columns
    const leat_schema *schema; // of both, names made different
    leat_expr *conditions[PLAN_JOIN_CONDITIONS];
    uint32_t condition_count;
    // -- by plan_join_sort
    leat_expr *keys[2][PLAN_JOIN_CONDITIONS]; // of each side, over that side
    bool nulls_meet[PLAN_JOIN_CONDITIONS];
    uint32_t key_count;
    plan_bounds bounds;
    leat_expr *rest; // over inputs 0 and 1; NULL: none
    int64_t ttl_ms[2];
    const char *text; // the conditions, for labels
} plan_join;

// planner_join_condition.c
void plan_join_begin(plan_join *join, plan_rule *rule, leat_join_kind kind, const relation *left, const relation *right,
                     leat_sql_span span);
bool plan_join_add(plan_join *join, leat_expr *condition); // split at AND
// Whether the condition cannot be TRUE when that side is padded with NULL.
bool plan_join_rejects_padding(const plan_join *join, const leat_expr *condition, unsigned side);
void plan_join_reads(const plan_join *join, const leat_expr *expr, bool out_sides[2]);
const char *plan_join_text(plan_rule *rule, const leat_schema *schema, leat_expr *const *conditions, uint32_t count);
// Takes what bounds the times of both sides out of the conditions, where they do.
void plan_join_find_bounds(plan_join *join);
// Whether both bounds of the sides' windows are equal.
bool plan_join_of_windows(const plan_join *join);
// What a join lacks that was to be one of windows or of an interval; NULL: it was not.
const char *plan_join_missing(plan_join *join);
// Conditions to keys, filters of one side, and the rest.
bool plan_join_sort(plan_join *join);

// STATE_TTL hints that name a table of a side.
bool plan_join_read_ttl(plan_join *join, const leat_sql_scope *left, const leat_sql_scope *right);

// planner_join_node.c
bool plan_join_make_window(plan_join *join, relation *out);
bool plan_join_make_interval(plan_join *join, relation *out);
bool plan_join_make_streams(plan_join *join,
                            relation *out); // the join of DataStream, with outputs 1 and 2 for late rows
bool plan_join_make_temporal(plan_join *join, const leat_sql_expr *system_time, int32_t time_column, relation *out);
bool plan_join_make_regular(plan_join *join, relation *out);
bool plan_join_choose(plan_join *join, relation *out); // window, interval, or regular

// planner_subquery.c: EXISTS and IN among WHERE's conditions.
bool plan_is_subquery(const leat_sql_expr *condition);
bool plan_semi_join(plan_rule *rule, plan_name *names, plan_source *source, const leat_sql_expr *condition);

// planner_values.c: constants on the right side of a join
bool plan_is_values(const leat_sql_table_ref *table);
const leat_sql_table_ref *plan_values_join(plan_rule *rule, const leat_sql_table_ref *join);

// planner_unnest.c
bool plan_unnest(plan_rule *rule, plan_source *left, const leat_sql_table_ref *join, plan_source *out);
