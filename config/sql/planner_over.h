// What OVER, Top-N, deduplication and sorting share in the planner.
//
// Usage: plan_overs_init for a SELECT, plan_over_bind as the binder's own_call, which makes each call column i of LEAT_SQL_INPUT_OVER;
// then plan_over makes the node (or planner_rank.c one for a ranking that is filtered) and plan_over_replace leads trees to its output.
#pragma once

#include "config/sql/planner_state.h"

enum { PLAN_OVERS_MAX = 64 };

typedef struct plan_over_window plan_over_window;
typedef struct leat_order leat_order;

typedef struct plan_over_order {
    leat_expr *expr;
    const char *label;
    leat_sql_span span;
    bool descending, nulls_last;
} plan_over_order;

typedef struct plan_over_call {
    leat_over_kind kind;
    leat_type type;
    leat_sql_span span;
    const char *label;
    uint32_t aggregate;              // AGGREGATE: index into plan_overs.aggregates
    leat_expr *argument, *otherwise; // LAG
    uint32_t offset;
} plan_over_call;

typedef struct plan_overs {
    plan_rule *rule;
    const leat_sql_select *select;
    plan_over_window *window; // NULL: no call yet
    leat_sql_aggregates *aggregates;
    plan_over_call *calls; // PLAN_OVERS_MAX; NULL before the first one
    uint32_t count;
    bool nested;
} plan_overs;

void plan_overs_init(plan_overs *it, plan_rule *rule, const leat_sql_select *select);
bool plan_over_bind(leat_sql_binder *binder, const leat_sql_expr *expr, leat_expr **out_expr);
// Columns of LEAT_SQL_INPUT_OVER become columns first + i of input 0.
leat_expr *plan_over_replace(plan_rule *rule, leat_expr *expr, uint32_t first);
// grouped NULL: only checks that the trees may stand over the group.
bool plan_over_regroup(plan_overs *it, const leat_sql_binder *binder, const plan_group *group,
                       const plan_grouped *grouped);
// The input's columns (and computed ones), then one per call from *out_first on.
bool plan_over(plan_overs *it, const relation *from, uint32_t *out_first, relation *out);

// ---- orders and computed columns

bool plan_bind_orders(plan_rule *rule, leat_sql_binder *binder, const leat_sql_order *order, plan_over_order **out);

// Columns of a relation, and further ones behind them for what has to be computed.
typedef struct plan_columns {
    plan_rule *rule;
    const relation *from;
    plan_item *items;
    uint32_t count;
} plan_columns;

void plan_columns_init(plan_columns *it, plan_rule *rule, const relation *from, uint32_t most);
uint32_t plan_columns_of(plan_columns *it, leat_expr *expr, const char *label);
bool plan_columns_add(plan_columns *it, leat_sql_span span, relation *out);
leat_order *plan_orders(plan_columns *columns, const plan_over_order *orders, uint32_t count);
const char *plan_orders_label(plan_rule *rule, const char *text, const plan_over_order *orders, uint32_t count);

typedef enum plan_time_kind { PLAN_TIME_NONE, PLAN_TIME_EVENT, PLAN_TIME_PROCESSING } plan_time_kind;
plan_time_kind plan_time_of(const relation *from, const leat_expr *expr);
bool plan_has_watermark(plan_rule *rule, const relation *from, leat_sql_span span, const char *what);
// State that nothing bounds has to be meant.
bool plan_state_allowed(plan_rule *rule, leat_sql_span span, const char *what, const char *instead);
// A stateful node by key, whose output begins with the input's columns.
relation plan_keyed(plan_rule *rule, const relation *from, leat_plan_node *node, const uint32_t *keys,
                    uint32_t key_count, const leat_schema *schema);

// ---- rankings (planner_rank.c)

typedef struct plan_ranking {
    leat_over_kind kind;
    leat_sql_span span;
    leat_expr **keys;
    uint32_t key_count;
    const plan_over_order *orders;
    uint32_t order_count;
} plan_ranking;

// A SELECT with a ROW_NUMBER that the query around it may filter.
struct plan_rank {
    plan_overs overs;
    relation input;
    plan_item *items; // over the input; the rank is LEAT_SQL_INPUT_OVER
    uint32_t count;
    leat_sql_span span;
    const leat_rule_request *request; // the rule's, with what hints of that SELECT say
};

// Where the rank is: a column, or a constant that is its only value.
typedef struct plan_rank_place {
    uint32_t column; // UINT32_MAX: none
    int64_t constant;
} plan_rank_place;

// planner_rank_bounds.c: which ranks a condition takes.
typedef struct plan_rank_bounds {
    uint32_t input, column; // the rank in the condition
    int64_t from, to;
    bool bounded, variable;
} plan_rank_bounds;

bool plan_reads_rank(const plan_rank_bounds *bounds, const leat_expr *expr);
// Narrows the bounds by the condition; what it says beside them is left in *out_rest, NULL: nothing.
bool plan_rank_take(plan_rule *rule, plan_rank_bounds *bounds, leat_expr *expr, leat_expr **out_rest);
bool plan_rank_check(plan_rule *rule, plan_rank_bounds *bounds, leat_sql_span span); // Top-N can keep these

bool plan_overs_rank(const plan_overs *it); // one call, which is a ranking
plan_ranking plan_overs_ranking(const plan_overs *it);
relation plan_rank_pending(plan_rule *rule, const plan_overs *overs, const relation *input, const plan_item *items,
                           uint32_t count, leat_sql_span span);
// Rows of the ranking within the bounds that the condition gives the rank; the rest of it is left in *out_rest (NULL: nothing).
// rank_read: somebody reads the rank. *out_ranked false: the condition does not bound it.
bool plan_rank_filter(plan_rule *rule, const relation *from, leat_expr *condition, bool rank_read, leat_sql_span span,
                      leat_expr **out_rest, bool *out_ranked, relation *out);
int32_t plan_rank_column(const relation *from); // of a pending ranking; -1: it is not a column by itself
bool plan_rank_materialize(plan_rule *rule, const relation *from, relation *out);
// QUALIFY over the ranking in the same SELECT.
bool plan_rank_qualify(plan_rule *rule, const plan_overs *overs, const relation *input, leat_expr *condition,
                       bool rank_read, leat_sql_span span, leat_expr **out_rest, bool *out_ranked,
                       plan_rank_place *out_place, relation *out);
leat_expr *plan_rank_replace(plan_rule *rule, leat_expr *expr, const plan_rank_place *place);
// ORDER BY and LIMIT behind a query.
bool plan_sorted(plan_rule *rule, const relation *from, const leat_sql_query *query, relation *out);
