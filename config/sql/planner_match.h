// What MATCH_RECOGNIZE and `pattern:` share on the way to a match operator: stages, and expressions over the rows of a match.
//
// Usage: plan_match_begin over the input; stages by plan_match_stage, all of them; then conditions and measures by plan_match_condition and
// plan_match_measure, in any order; plan_match_node makes the node. Failure: NULL, -1 or false after a diagnostic.
#pragma once

#include "config/sql/planner_state.h"

enum {
    PLAN_MATCH_VALUES = 512,      // that all conditions and measures of a pattern read
    PLAN_MATCH_SIMPLE = 64,       // conditions that are evaluated for whole batches
    PLAN_MATCH_ROWS_INPUT = 2000, // columns of any row of the match; + 1 + stage: of that stage
};

typedef struct plan_match {
    plan_rule *rule;
    const relation *input;
    bool sql; // the row that is tried counts among those of its variable, and of the match
    leat_match_spec *spec;
    leat_match_stage stages[LEAT_MATCH_STAGES];
    uint32_t stage_count;
    leat_sql_scope scope;
    leat_sql_scope_table tables[LEAT_MATCH_STAGES + 1];
    leat_match_condition conditions[2 * LEAT_MATCH_STAGES];
    uint32_t condition_count;
    leat_match_value *values; // 16-aligned
    leat_expr *value_arguments[PLAN_MATCH_VALUES];
    uint32_t value_count;
    int32_t kept_of[LEAT_COLUMNS_MAX]; // by input column, -1: not kept
    uint32_t kept[LEAT_COLUMNS_MAX], kept_count;
    // -- the expression being bound
    const char *clause;
    bool condition;    // of a row that is tried
    bool timeout;      // a measure of a partial match that timed out
    int32_t own_stage; // whose condition it is
    bool navigating, aggregating;
    bool first; // of FIRST and LAST
    uint32_t offset;
} plan_match;

// A measure, bound; plan_match_measure_node compiles it.
typedef struct plan_match_output {
    uint32_t count, capacity;
    leat_match_measure *measures;
    leat_field *fields;
    int32_t rowtime, proctime; // fields that are time attributes, -1: none
} plan_match_output;

void plan_match_begin(plan_rule *rule, const relation *input, bool sql, plan_match *out_match);
// Index of a new stage; its name is known to expressions once all are there.
uint32_t plan_match_stage(plan_match *match, leat_slice name);
int plan_match_find_stage(const plan_match *match, leat_slice name); // -1: none
uint32_t plan_match_keep(plan_match *match, uint32_t column);        // its index among the kept ones
// Index of the condition.
int32_t plan_match_condition(plan_match *match, int32_t stage, const char *clause, const leat_sql_expr *expr);
void plan_match_output_init(plan_match *match, uint32_t capacity, plan_match_output *out_output);
bool plan_match_measure(plan_match *match, plan_match_output *output, const char *clause, leat_slice name,
                        const leat_sql_expr *expr);
void plan_match_key(plan_match *match, plan_match_output *output, uint32_t key, uint32_t column);
const leat_schema *plan_match_schema(plan_match *match, const plan_match_output *output);
// The spec's key_columns, time_column, order, skip and within are set by the caller.
relation plan_match_node(plan_match *match, const plan_match_output *matches, const plan_match_output *timeouts,
                         const char *label);
