// Queries as values: SELECT a, (SELECT MAX(x) FROM u) AS m, WHERE v > (SELECT AVG(v) FROM t), HAVING.
//
// As Flink plans them: an outer join with the one row that the subquery has, or with a row for each combination of what ties it to
// the query around. A change of the value takes back what was made of the one before, so the result is a changelog.
#include <string.h>

#include "config/sql/planner_correlation.h"

static const char WHAT[] = "a query as a value";

static bool is_among(const char *clause, const char *const *clauses)
{
    for (; *clauses; clauses++)
        if (!strcmp(clause, *clauses))
            return true;
    return false;
}

static bool in_over(const leat_sql_binder *binder)
{
    return binder->own_call == plan_over_bind && ((const plan_overs *)binder->own)->nested;
}

// Which of the lists takes a query of this clause; NULL: none does.
static plan_scalars *list_of(const leat_sql_binder *binder)
{
    static const char *const above[] = {"SELECT", "WHERE", "HAVING", NULL};
    static const char *const below[] = {"GROUP BY", "the argument of another aggregate", "FILTER", NULL};
    plan_scalars *it = binder->queries;
    if (is_among(binder->clause, above))
        return it;
    return is_among(binder->clause, below) && !in_over(binder) ? it->below : NULL;
}

static bool plan_value(plan_scalar *scalar, leat_sql_span span)
{
    plan_subquery *it = &scalar->query;
    if (plan_subquery_splits(it->query) && !plan_subquery_begin(it))
        return false;
    if (it->ties.count && it->query->select->is_grouped) {
        plan_error(it->rule, it->query->select->group_span,
                   "%s that is tied to the query around has no GROUP BY: it may have several rows", WHAT);
        return false;
    }
    if (it->ties.count &&
        (it->query->select->item_count != 1 || it->query->select->items[0].expr->kind == LEAT_SQL_EXPR_STAR)) {
        plan_error(it->rule, span, "%s selects one column by name", WHAT);
        return false;
    }
    if (it->ties.count ? !plan_subquery_rows(it, true) : !plan_subquery_whole(it, true))
        return false;
    if (it->item_count == 1)
        return true;
    plan_error(it->rule, span, "%s has one column, this one has %u", WHAT, it->item_count);
    return false;
}

static leat_expr *column_of(const plan_scalars *it, uint32_t index)
{
    leat_type type = it->items[index].query.rows.schema->fields[0].type;
    return leat_expr_column(&it->rule->expr, it->input, index, type);
}

// tie: an equation beside those of WHERE, NULL: none.
static leat_expr *add(plan_scalars *it, leat_sql_binder *binder, const leat_sql_query *query, leat_sql_span span,
                      const plan_tie *tie)
{
    uint32_t errors = it->rule->diagnostics->count;
    for (uint32_t i = 0; i < it->count && !tie; i++)
        if (!it->items[i].tied && leat_sql_query_equal(it->items[i].query.query, query))
            return column_of(it, i);
    if (it->count == PLAN_SCALARS_MAX) {
        leat_sql_binder_error(binder, span, "a SELECT takes at most %d queries as values", PLAN_SCALARS_MAX);
        return NULL;
    }
    if (!it->items)
        it->items = leat_arena_array(it->rule->arena, plan_scalar, PLAN_SCALARS_MAX);
    plan_scalar *scalar = &it->items[it->count];
    *scalar = (plan_scalar){.span = span,
                            .tied = tie,
                            .query = {.rule = it->rule,
                                      .names = it->names,
                                      .around = it->scope,
                                      .around_rows = it->rows,
                                      .query = query,
                                      .what = WHAT}};
    if (tie)
        scalar->query.ties = (plan_ties){.items = {*tie}, .count = 1};
    const leat_rule_request *before = plan_subquery_meant(&scalar->query);
    bool planned = plan_value(scalar, span);
    it->rule->request = before;
    if (planned && plan_subquery_check_meant(&scalar->query, before, span))
        return column_of(it, it->count++);
    binder->errors++;
    it->rule->failed |= errors < it->rule->diagnostics->count || it->rule->reads_failed;
    return NULL;
}

// ---- EXISTS and IN where they are no condition of WHERE by themselves: what they say of counts

static leat_sql_query *count_of(plan_scalars *it, const leat_sql_query *query, leat_sql_expr *argument)
{
    leat_arena *arena = it->rule->arena;
    leat_sql_expr *call = leat_arena_new(arena, leat_sql_expr),
                  **arguments = leat_arena_array(arena, leat_sql_expr *, 1);
    leat_sql_name *name = leat_arena_new(arena, leat_sql_name);
    leat_sql_select *select = leat_arena_new(arena, leat_sql_select);
    leat_sql_select_item *item = leat_arena_new(arena, leat_sql_select_item);
    leat_sql_query *made = leat_arena_new(arena, leat_sql_query);
    *name = (leat_sql_name){.text = leat_slice_text("COUNT"), .span = query->span};
    *call = (leat_sql_expr){.kind = LEAT_SQL_EXPR_CALL, .span = query->span};
    call->call.name = (leat_sql_path){.parts = name, .count = 1, .span = query->span};
    arguments[0] = argument;
    call->call.args = (leat_sql_exprs){arguments, 1};
    *item = (leat_sql_select_item){.expr = call};
    *select = *query->select;
    select->items = item;
    select->item_count = 1;
    select->distinct = false;
    *made = (leat_sql_query){.kind = LEAT_SQL_QUERY_SELECT, .span = query->span, .select = select};
    return made;
}

static leat_sql_expr *star(plan_scalars *it, leat_sql_span span)
{
    leat_sql_expr *all = leat_arena_new(it->rule->arena, leat_sql_expr);
    *all = (leat_sql_expr){.kind = LEAT_SQL_EXPR_STAR, .span = span};
    return all;
}

static leat_expr *zero(plan_scalars *it)
{
    return leat_expr_literal(&it->rule->expr, leat_type_of(LEAT_KIND_BIGINT), (leat_value){.i64 = 0});
}

static leat_expr *compare(leat_sql_binder *binder, leat_expr *a, const char *comparison, leat_expr *b,
                          leat_sql_span span)
{
    leat_expr *both[] = {a, b};
    return leat_sql_apply(binder, comparison, both, 2, span);
}

// A count, 0 also before its table has had a row.
static leat_expr *counted(plan_scalars *it, leat_sql_binder *binder, const leat_sql_query *query,
                          leat_sql_expr *argument, leat_sql_span span, const plan_tie *tie)
{
    leat_expr *both[] = {add(it, binder, count_of(it, query, argument), span, tie), zero(it)};
    return leat_sql_apply(binder, "COALESCE", both, 2, span);
}

static leat_expr *truth(plan_scalars *it, leat_kind kind, bool value)
{
    return leat_expr_literal(&it->rule->expr, leat_type_of(kind),
                             kind == LEAT_KIND_NULL ? leat_value_null() : (leat_value){.boolean = value});
}

// TRUE where one is equal; FALSE where there is none at all; unknown where x or one of them is NULL.
static leat_expr *bind_in(plan_scalars *it, leat_sql_binder *binder, const leat_sql_expr *expr)
{
    const leat_sql_query *query = expr->in_query.query;
    leat_sql_expr *item = query->select->items[0].expr;
    leat_expr *operand = leat_sql_bind(binder, expr->in_query.operand), *result = NULL;
    plan_tie tie = {operand, item};
    if (!operand)
        return NULL;
    leat_expr *equal = counted(it, binder, query, star(it, expr->span), expr->span, &tie),
              *all = counted(it, binder, query, star(it, expr->span), expr->span, NULL),
              *known = counted(it, binder, query, item, expr->span, NULL);
    leat_expr *unknown[] = {leat_sql_apply(binder, "IS NULL", &operand, 1, expr->span),
                            compare(binder, known, "<", all, expr->span)};
    leat_expr *cases[] = {compare(binder, equal, ">", zero(it), expr->span),
                          truth(it, LEAT_KIND_BOOLEAN, true),
                          compare(binder, all, "=", zero(it), expr->span),
                          truth(it, LEAT_KIND_BOOLEAN, false),
                          leat_sql_apply(binder, "OR", unknown, 2, expr->span),
                          truth(it, LEAT_KIND_NULL, false),
                          truth(it, LEAT_KIND_BOOLEAN, false)};
    leat_error error;
    if (!cases[0] || !cases[2] || !cases[4])
        return NULL;
    if (leat_expr_case(binder->expr, cases, 7, &result, &error) != LEAT_OK) {
        leat_sql_binder_fail(binder, expr->span, &error);
        return NULL;
    }
    return expr->in_query.negated ? leat_sql_apply(binder, "NOT", &result, 1, expr->span) : result;
}

static bool plain(leat_sql_binder *binder, const leat_sql_expr *expr, const leat_sql_query *query)
{
    bool in = expr->kind == LEAT_SQL_EXPR_IN_QUERY;
    bool single =
        !in || (expr->in_query.operand->kind != LEAT_SQL_EXPR_CONSTRUCTOR && query->kind == LEAT_SQL_QUERY_SELECT &&
                query->select->item_count == 1 && query->select->items[0].expr->kind != LEAT_SQL_EXPR_STAR);
    if (single && plan_subquery_is_plain(query))
        return true;
    leat_sql_binder_error(
        binder, expr->span,
        "%s beside OR, in SELECT or in HAVING takes a query of one column without GROUP BY, aggregates "
        "and LIMIT; alone or beside AND in WHERE it takes any",
        in ? "IN" : "EXISTS");
    return false;
}

static leat_expr *bind_in_list(plan_scalars *it, leat_sql_binder *binder, const leat_sql_expr *expr)
{
    if (expr->kind == LEAT_SQL_EXPR_SUBQUERY)
        return add(it, binder, expr->query, expr->span, NULL);
    if (!plain(binder, expr, expr->kind == LEAT_SQL_EXPR_EXISTS ? expr->query : expr->in_query.query))
        return NULL;
    if (expr->kind == LEAT_SQL_EXPR_IN_QUERY)
        return bind_in(it, binder, expr);
    leat_expr *count = counted(it, binder, expr->query, star(it, expr->span), expr->span, NULL);
    return count ? compare(binder, count, ">", zero(it), expr->span) : NULL;
}

// ---- what GROUP BY has is the group's value, wherever it stands again

static void add_grouped(plan_scalars *below, const leat_sql_expr *expr, leat_expr *bound)
{
    if (!bound || below->grouped_count == PLAN_SCALARS_MAX)
        return;
    below->grouped[below->grouped_count] = expr;
    below->grouped_as[below->grouped_count++] = bound;
}

// Only where it is a key by itself, and no part of one; NULL: it is none.
static leat_expr *find_grouped(const plan_scalars *below, const plan_group *group, const leat_sql_expr *expr)
{
    for (uint32_t i = 0; i < below->grouped_count; i++)
        for (uint32_t k = 0; k < group->key_count && leat_sql_expr_equal(below->grouped[i], expr); k++)
            if (leat_expr_equal(group->keys[k], below->grouped_as[i]))
                return below->grouped_as[i];
    return NULL;
}

static leat_expr *bind_query(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    plan_scalars *it = list_of(binder);
    if (!it) {
        leat_sql_binder_error(
            binder, expr->span,
            "a query as a value (scalar subquery) stands in SELECT, WHERE, HAVING, GROUP BY, "
            "arguments of aggregates and the ON of inner joins, not in %s; compute it in a query in FROM",
            in_over(binder) ? "OVER" : binder->clause);
        return NULL;
    }
    leat_expr *found = it->below && it->group && !in_over(binder) ? find_grouped(it->below, it->group, expr) : NULL;
    if (found)
        return found;
    leat_expr *bound = bind_in_list(it, binder, expr);
    if (!strcmp(binder->clause, "GROUP BY"))
        add_grouped(it, expr, bound);
    return bound;
}

void plan_scalars_begin(plan_scalars *it, plan_rule *rule, plan_name *names, const plan_source *source,
                        plan_scalars *below, leat_sql_binder *binder)
{
    *it = (plan_scalars){.rule = rule,
                         .names = names,
                         .scope = &source->scope,
                         .rows = &source->relation,
                         .input = LEAT_SQL_INPUT_QUERY,
                         .below = below};
    if (below) {
        *below = *it;
        below->input = LEAT_SQL_INPUT_BELOW;
        below->below = NULL;
    }
    binder->query_value = bind_query;
    binder->queries = it;
}

bool plan_scalars_grouped(const plan_scalars *it, const leat_sql_binder *binder, const plan_group *group)
{
    bool fits = true;
    for (uint32_t i = 0; i < it->count; i++)
        for (uint32_t k = 0; k < it->items[i].query.ties.count; k++)
            fits &=
                plan_check_grouped(it->rule, binder, group, it->items[i].query.ties.items[k].outer, it->items[i].span);
    return fits;
}

// where: as of plan_subquery_join.
static bool join_one(plan_scalars *it, plan_scalar *scalar, const plan_group *group, const plan_grouped *grouped,
                     leat_expr *where, bool *out_filtered, relation *rows)
{
    plan_subquery *query = &scalar->query;
    relation left = *rows;
    leat_expr *outer[PLAN_TIES_MAX];
    for (uint32_t k = 0; k < query->ties.count; k++)
        outer[k] =
            group ? plan_regroup(it->rule, group, grouped, query->ties.items[k].outer) : query->ties.items[k].outer;
    scalar->value = plan_subquery_item(query, left.schema->count, 0);
    if (where)
        where = plan_scalars_place(it, where);
    return plan_subquery_join(query, LEAT_JOIN_LEFT, &left, outer, scalar->span, where, out_filtered, rows);
}

bool plan_scalars_join(plan_scalars *it, const plan_group *group, const plan_grouped *grouped, relation *rows)
{
    relation made;
    bool filtered;
    if (!it->count)
        return true;
    if (!plan_materialize(it->rule, rows, &made))
        return false;
    *rows = made;
    for (uint32_t i = 0; i < it->count; i++)
        if (!join_one(it, &it->items[i], group, grouped, NULL, &filtered, rows))
            return false;
    return true;
}

bool plan_scalars_filter(plan_scalars *it, leat_expr *where, const char *label, leat_sql_span span, relation *rows)
{
    relation made, joined;
    bool filtered = false;
    if (!plan_materialize(it->rule, rows, &made))
        return false;
    // The condition of one query alone is the join's: it gives what fulfils it, and pads nothing that WHERE would drop.
    if (it->count == 1 ? !join_one(it, &it->items[0], NULL, NULL, where, &filtered, &made)
                       : !plan_scalars_join(it, NULL, NULL, &made))
        return false;
    *rows = joined = made;
    where = leat_expr_fold(&it->rule->expr, plan_scalars_place(it, where));
    return filtered || plan_filter(it->rule, &joined, where, label, span, rows);
}

leat_expr *plan_scalars_place(const plan_scalars *it, leat_expr *expr)
{
    if (expr->kind == LEAT_EXPR_COLUMN && expr->input == it->input)
        return it->items[expr->column].value;
    if (!it->count || !expr->argument_count)
        return expr;
    leat_expr *copy = leat_arena_alloc_aligned(it->rule->arena, sizeof *copy, 16);
    *copy = *expr;
    copy->arguments = leat_arena_array(it->rule->arena, leat_expr *, expr->argument_count);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        copy->arguments[i] = plan_scalars_place(it, expr->arguments[i]);
    return copy;
}
