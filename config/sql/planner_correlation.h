// Subqueries that speak of the query around them: as values (planner_scalar.c) and in FROM (planner_lateral.c).
//
// What ties a subquery to the query around is an equation in its WHERE, one side of each. Taken out of WHERE, its inner side becomes a
// column of the subquery, by which it is grouped where it aggregates, and a join brings both together. Where more than equations ties it, it
// is computed for each combination of what it takes from around (planner_domain.c).
#pragma once

#include "config/sql/planner_join.h"
#include "config/sql/planner_over.h"

enum { PLAN_TIES_MAX = 16, PLAN_SCALARS_MAX = 32 };

typedef struct plan_tie {
    leat_expr *outer;           // over the query around
    const leat_sql_expr *inner; // over the subquery's FROM
} plan_tie;

typedef struct plan_ties {
    plan_tie items[PLAN_TIES_MAX];
    uint32_t count;
    const leat_sql_expr *where; // what is left of WHERE; NULL: nothing
} plan_ties;

// A query in parts: FROM is planned, the rest is still text.
typedef struct plan_subquery {
    plan_rule *rule;
    plan_name *names;
    const leat_sql_scope *around;
    const relation *around_rows; // of that scope
    const leat_sql_query *query;
    const char *what; // for messages: "a query as a value"
    plan_source source;
    plan_ties ties;  // may hold one before WHERE is looked at
    bool aggregates; // its select list does, without GROUP BY
    bool loose;      // tied by what is no equation
    // -- by plan_subquery_rows
    relation rows;
    uint32_t item_count;  // leading columns of the rows; the inner sides of the ties follow
    leat_expr **of_empty; // of each item: its value where no row is tied, NULL: NULL
} plan_subquery;

// Whether the query can be taken apart; else it is planned as a whole and sees nothing of the query around.
bool plan_subquery_splits(const leat_sql_query *query);
bool plan_subquery_is_plain(const leat_sql_query *query);    // rows as FROM and WHERE give them
bool plan_subquery_has_one_row(const leat_sql_query *query); // an aggregate without groups
// Plans FROM and finds the ties.
bool plan_subquery_begin(plan_subquery *it);
// planner_domain.c: whether its select list and groups read columns of around; and ties it by more than equations.
bool plan_subquery_reads_around(plan_subquery *it);
bool plan_subquery_domain(plan_subquery *it);
const leat_sql_expr *plan_both_conditions(plan_rule *rule, const leat_sql_expr *left, const leat_sql_expr *right);
// Plans the rest; one_value: of several rows with the same ties there may be one only (SINGLE_VALUE).
bool plan_subquery_rows(plan_subquery *it, bool one_value);
// The same rows where nothing ties them, of any query; one column of at most one row when one_value.
bool plan_subquery_whole(plan_subquery *it, bool one_value);
// Around the planning of the rows: that state without a bound has to be meant is told of the whole, not of its parts.
const leat_rule_request *plan_subquery_meant(plan_subquery *it);
bool plan_subquery_check_meant(plan_subquery *it, const leat_rule_request *before, leat_sql_span span);
// LEFT or INNER JOIN with the rows; outer[i]: the outer side of tie i over `left`. The item i is column left's count + i of *out.
// where: what the joined rows have to fulfil, NULL: nothing; *out_filtered: they do, else they are still to be filtered.
bool plan_subquery_join(plan_subquery *it, leat_join_kind kind, const relation *left, leat_expr *const *outer,
                        leat_sql_span span, leat_expr *where, bool *out_filtered, relation *out);
// Item i of the joined rows, `first` is left's count.
leat_expr *plan_subquery_item(const plan_subquery *it, uint32_t first, uint32_t i);

// planner_on.c: a SELECT whose inner joins ask subqueries in ON asks them in WHERE.
const leat_sql_select *plan_on_to_where(plan_rule *rule, const leat_sql_select *select);

// ---- queries as values

typedef struct plan_scalar {
    leat_sql_span span;
    bool tied; // by more than its text says
    plan_subquery query;
    leat_expr *value; // once joined
} plan_scalar;

typedef struct plan_scalars {
    plan_rule *rule;
    plan_name *names;
    const leat_sql_scope *scope;
    const relation *rows; // of the scope
    plan_scalar *items;
    uint32_t count;
    uint32_t input;                                 // LEAT_SQL_INPUT_QUERY or _BELOW
    struct plan_scalars *below;                     // of GROUP BY and arguments of aggregates; NULL: they take none
    const plan_group *group;                        // of which a key may be asked for again; NULL: not yet bound
    const leat_sql_expr *grouped[PLAN_SCALARS_MAX]; // of those below: what stands in GROUP BY
    leat_expr *grouped_as[PLAN_SCALARS_MAX];
    uint32_t grouped_count;
} plan_scalars;

// Lets the binder take queries as values, which then stand in trees as columns of LEAT_SQL_INPUT_QUERY. below (may be NULL) is for those
// that are joined before the rows are grouped.
void plan_scalars_begin(plan_scalars *it, plan_rule *rule, plan_name *names, const plan_source *source,
                        plan_scalars *below, leat_sql_binder *binder);
bool plan_scalars_grouped(const plan_scalars *it, const leat_sql_binder *binder, const plan_group *group);
// Joins them to the rows, whose columns keep their places. group NULL: `rows` are those of the scope.
bool plan_scalars_join(plan_scalars *it, const plan_group *group, const plan_grouped *grouped, relation *rows);
// Joins them and keeps the rows for which the condition, which reads them, is TRUE.
bool plan_scalars_filter(plan_scalars *it, leat_expr *where, const char *label, leat_sql_span span, relation *rows);
leat_expr *plan_scalars_place(const plan_scalars *it, leat_expr *expr);

// ---- LATERAL

bool plan_lateral(plan_rule *rule, plan_name *names, plan_source *left, const leat_sql_table_ref *join,
                  plan_source *out);
