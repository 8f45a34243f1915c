// Subqueries that are tied to the query around by more than equations: WHERE u.time < t.time, MAX(u.x - t.x).
//
// The subquery is computed for each combination of values that it takes from around (the domain): its FROM is joined with these, by all of
// WHERE that speaks of them, and their columns stand in its scope under the names that they have around. What ties it to the query around are
// then equations with them, and all else is as for equations.
#include "config/sql/planner_correlation.h"

#include <stdlib.h>

typedef struct domain {
    plan_subquery *it;
    const leat_sql_scope *inner; // of the subquery's FROM
    bool taken[LEAT_COLUMNS_MAX];
    uint32_t columns[PLAN_TIES_MAX], count; // of the rows around
    bool elsewhere;                         // not only in conditions of WHERE
    bool in_where, too_many;
} domain;

static bool is_query(const leat_sql_expr *expr)
{
    return expr->kind == LEAT_SQL_EXPR_SUBQUERY || expr->kind == LEAT_SQL_EXPR_EXISTS ||
           expr->kind == LEAT_SQL_EXPR_IN_QUERY || expr->kind == LEAT_SQL_EXPR_QUANTIFIED;
}

// ---- what it takes from around

static bool find(const leat_sql_scope *scope, const leat_sql_path *path, leat_sql_found *out)
{
    leat_error ignored;
    return leat_sql_scope_find(scope, path, out, &ignored) == LEAT_OK;
}

static void take(domain *d, uint32_t column)
{
    if (d->taken[column])
        return;
    d->too_many |= d->count == PLAN_TIES_MAX;
    if (!d->too_many)
        d->columns[d->count++] = column;
    d->taken[column] = true;
}

static bool take_column(void *context, const leat_sql_expr *expr)
{
    domain *d = context;
    leat_sql_found found;
    if (expr->kind != LEAT_SQL_EXPR_COLUMN || find(d->inner, &expr->column, &found))
        return !is_query(expr);
    if (!find(d->it->around, &expr->column, &found) || found.input != 0)
        return true;
    take(d, found.column);
    d->elsewhere |= !d->in_where;
    return true;
}

static void take_groups(domain *d, leat_sql_group *const *groups, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (groups[i]->expr)
            leat_sql_expr_walk(groups[i]->expr, take_column, d);
        take_groups(d, groups[i]->items, groups[i]->item_count);
    }
}

static void take_all(domain *d, const leat_sql_select *select)
{
    d->in_where = true;
    if (select->where)
        leat_sql_expr_walk(select->where, take_column, d);
    d->in_where = false;
    for (uint32_t i = 0; i < select->item_count; i++)
        leat_sql_expr_walk(select->items[i].expr, take_column, d);
    take_groups(d, select->group_by, select->group_count);
    if (select->having)
        leat_sql_expr_walk(select->having, take_column, d);
}

bool plan_subquery_reads_around(plan_subquery *it)
{
    domain d = {.it = it, .inner = &it->source.scope};
    take_all(&d, it->query->select);
    return d.elsewhere;
}

// ---- its values, each combination once

static bool plan_values(domain *d, relation *out)
{
    plan_subquery *it = d->it;
    relation rows;
    plan_item *items = leat_arena_array(it->rule->arena, plan_item, d->count + 1);
    if (!plan_materialize(it->rule, it->around_rows, &rows))
        return false;
    for (uint32_t i = 0; i < d->count; i++)
        items[i] =
            (plan_item){plan_column(it->rule, &rows, d->columns[i]), rows.schema->fields[d->columns[i]].name, NULL};
    return plan_distinct(it->rule, &rows, items, d->count, it->query->span, it->what, out);
}

// Of the tables around what is taken: the columns are in their order, so those of a table lie side by side.
static uint32_t part_of(domain *d, const leat_sql_scope_table *table, uint32_t from, leat_sql_scope_table *out)
{
    plan_rule *rule = d->it->rule;
    uint32_t count = 0, end = table->first + table->schema->count;
    leat_field *fields;
    while (from + count < d->count && d->columns[from + count] < end)
        count++;
    bool *hidden = leat_arena_array(rule->arena, bool, count + 1);
    leat_schema *schema = plan_schema_new(rule, count, &fields);
    for (uint32_t i = 0; i < count; i++) {
        fields[i] = table->schema->fields[d->columns[from + i] - table->first];
        hidden[i] = true;
    }
    *out = (leat_sql_scope_table){.alias = table->alias.size ? table->alias : leat_slice_text("$around"),
                                  .path = table->path,
                                  .schema = schema,
                                  .outer = true,
                                  .hidden = hidden};
    return count;
}

static leat_sql_scope scope_with(domain *d, uint32_t first)
{
    const leat_sql_scope *inner = d->inner, *around = d->it->around;
    leat_sql_scope_table *tables =
        leat_arena_array(d->it->rule->arena, leat_sql_scope_table, inner->count + around->count + 1);
    uint32_t count = inner->count, taken = 0;
    memcpy(tables, inner->tables, count * sizeof *tables);
    for (uint32_t t = 0; t < around->count; t++) {
        uint32_t part = part_of(d, &around->tables[t], taken, &tables[count]);
        tables[count].first = first + taken;
        taken += part;
        count += part > 0;
    }
    return (leat_sql_scope){tables, count};
}

// ---- joined with the subquery's FROM

static bool add_condition(domain *d, plan_join *join, const leat_sql_scope *scope, const leat_sql_expr *condition)
{
    plan_subquery *it = d->it;
    leat_sql_binder binder;
    domain reads = {.it = it, .inner = d->inner, .in_where = true};
    if (condition->kind == LEAT_SQL_EXPR_BINARY && condition->binary.op == LEAT_SQL_AND)
        return add_condition(d, join, scope, condition->binary.left) &&
               add_condition(d, join, scope, condition->binary.right);
    leat_sql_expr_walk(condition, take_column, &reads);
    if (!reads.count) {
        it->ties.where = plan_both_conditions(it->rule, it->ties.where, condition);
        return true;
    }
    plan_binder_init(it->rule, scope, "WHERE", &binder);
    leat_expr *bound = leat_sql_bind_condition(&binder, condition);
    it->rule->failed |= !bound;
    return bound && plan_join_add(join, leat_expr_fold(&it->rule->expr, bound));
}

static bool join_values(domain *d, const relation *values)
{
    plan_subquery *it = d->it;
    relation inner, joined;
    plan_join *join = leat_arena_new(it->rule->arena, plan_join);
    const leat_sql_expr *where = it->query->select->where;
    if (!plan_materialize(it->rule, &it->source.relation, &inner))
        return false;
    if (inner.schema->count + values->schema->count > LEAT_COLUMNS_MAX) {
        plan_error(it->rule, it->query->span, "a query and its subquery may have %d columns together",
                   LEAT_COLUMNS_MAX);
        return false;
    }
    leat_sql_scope scope = scope_with(d, inner.schema->count);
    plan_join_begin(join, it->rule, LEAT_JOIN_INNER, &inner, values, it->query->span);
    it->ties.where = NULL;
    if ((where && !add_condition(d, join, &scope, where)) || !plan_join_make_regular(join, &joined))
        return false;
    it->source = (plan_source){joined, scope};
    return true;
}

static leat_sql_expr *column_text(domain *d, const leat_sql_scope_table *table, uint32_t column)
{
    leat_arena *arena = d->it->rule->arena;
    leat_sql_span span = d->it->query->span;
    leat_sql_name *parts = leat_arena_array(arena, leat_sql_name, 2);
    leat_sql_expr *text = leat_arena_new(arena, leat_sql_expr);
    parts[0] = (leat_sql_name){.text = table->alias, .span = span};
    parts[1] = (leat_sql_name){.text = table->schema->fields[column].name, .span = span};
    *text = (leat_sql_expr){.kind = LEAT_SQL_EXPR_COLUMN, .span = span};
    text->column = (leat_sql_path){.parts = parts, .count = 2, .span = span};
    return text;
}

static void tie(domain *d)
{
    plan_subquery *it = d->it;
    const leat_sql_scope *scope = &it->source.scope;
    uint32_t taken = 0;
    for (uint32_t t = d->inner->count; t < scope->count; t++)
        for (uint32_t c = 0; c < scope->tables[t].schema->count; c++, taken++) {
            leat_type type = scope->tables[t].schema->fields[c].type;
            it->ties.items[it->ties.count++] = (plan_tie){leat_expr_column(&it->rule->expr, 0, d->columns[taken], type),
                                                          column_text(d, &scope->tables[t], c)};
        }
}

static int by_place(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

bool plan_subquery_domain(plan_subquery *it)
{
    domain *d = leat_arena_new(it->rule->arena, domain);
    leat_sql_scope inner = it->source.scope;
    relation values;
    d->it = it;
    d->inner = &inner;
    take_all(d, it->query->select);
    if (d->too_many || it->ties.count + d->count > PLAN_TIES_MAX) {
        plan_error(it->rule, it->query->span, "%s takes at most %d columns of the query around", it->what,
                   PLAN_TIES_MAX);
        return false;
    }
    qsort(d->columns, d->count, sizeof *d->columns, by_place);
    if (!plan_values(d, &values) || !join_values(d, &values))
        return false;
    tie(d);
    return true;
}
