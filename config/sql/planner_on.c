// Subqueries in the ON of inner joins: conditions of WHERE, where they are joined with the rows. What inner joins and the rows that an outer
// join keeps have to fulfil may be asked of the whole.
#include "config/sql/planner_correlation.h"

static bool find_query(void *context, const leat_sql_expr *expr)
{
    bool query = expr->kind == LEAT_SQL_EXPR_SUBQUERY || expr->kind == LEAT_SQL_EXPR_EXISTS ||
                 expr->kind == LEAT_SQL_EXPR_IN_QUERY || expr->kind == LEAT_SQL_EXPR_QUANTIFIED;
    *(bool *)context |= query;
    return !query;
}

// What is left of a condition; the rest goes into *moved.
static const leat_sql_expr *split(plan_rule *rule, const leat_sql_expr *on, const leat_sql_expr **moved)
{
    bool asks = false;
    leat_sql_expr_walk(on, find_query, &asks);
    if (!asks)
        return on;
    if (on->kind != LEAT_SQL_EXPR_BINARY || on->binary.op != LEAT_SQL_AND) {
        *moved = plan_both_conditions(rule, *moved, on);
        return NULL;
    }
    const leat_sql_expr *left = split(rule, on->binary.left, moved), *right = split(rule, on->binary.right, moved);
    return plan_both_conditions(rule, left, right);
}

static leat_sql_table_ref *without(plan_rule *rule, leat_sql_table_ref *table, const leat_sql_expr **moved)
{
    if (table->kind != LEAT_SQL_TABLE_JOIN)
        return table;
    leat_sql_join_kind kind = table->join.kind;
    bool inner = kind == LEAT_SQL_JOIN_INNER || kind == LEAT_SQL_JOIN_CROSS || kind == LEAT_SQL_JOIN_COMMA;
    leat_sql_table_ref joined = *table, *copy;
    if (inner || kind == LEAT_SQL_JOIN_LEFT)
        joined.join.left = without(rule, table->join.left, moved);
    if (inner || kind == LEAT_SQL_JOIN_RIGHT)
        joined.join.right = without(rule, table->join.right, moved);
    if (inner && table->join.on)
        joined.join.on = (leat_sql_expr *)split(rule, table->join.on, moved); // trees are read-only
    copy = leat_arena_new(rule->arena, leat_sql_table_ref);
    *copy = joined;
    return copy;
}

const leat_sql_select *plan_on_to_where(plan_rule *rule, const leat_sql_select *select)
{
    const leat_sql_expr *moved = NULL;
    leat_sql_table_ref *from = select->from ? without(rule, select->from, &moved) : NULL;
    if (!moved)
        return select;
    leat_sql_select *copy = leat_arena_new(rule->arena, leat_sql_select);
    *copy = *select;
    copy->from = from;
    copy->where = (leat_sql_expr *)plan_both_conditions(rule, select->where, moved);
    return copy;
}
