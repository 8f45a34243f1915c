// SELECT: FROM, WHERE, GROUP BY, HAVING, the select list, DISTINCT. Everything is bound before the first node is made, so that all
// clauses report their errors in one run.
#include "config/sql/planner_state.h"
#include "config/sql/print.h"

typedef struct select_item {
    plan_item item;
    leat_sql_span span;
} select_item;

typedef struct select_plan {
    plan_rule *rule;
    const leat_sql_select *select;
    plan_source source;
    leat_sql_binder binder; // of the select list and HAVING: its marks serve the regrouping
    leat_sql_aggregates *aggregates;
    plan_group group;
    bool grouped;
    leat_expr *where, *having;
    select_item *items;
    uint32_t item_count;
    const char *text; // of WHERE or HAVING, for labels
} select_plan;

// ---- what is refused

static bool refuse_clauses(plan_rule *rule, const leat_sql_select *select)
{
    leat_sql_span span = select->item_count ? select->items[0].expr->span : (leat_sql_span){0};
    if (!select->from)
        plan_error(rule, span, "SELECT without FROM is not in leat: a rule reads a stream");
    else if (select->qualify)
        plan_error(rule, select->qualify->span, "QUALIFY (Top-N and deduplication) is not in leat yet");
    else if (select->window_count)
        plan_error(rule, select->windows[0].name.span, "OVER windows are not in leat yet");
    else if (select->hints.count)
        plan_error(rule, select->hints.items[0].name.span,
                   "hints are not in leat: the settings of the rule say it (`state_ttl`, `uid`)");
    else
        return true;
    return false;
}

// ---- binding

static leat_slice item_name(plan_rule *rule, const leat_sql_select_item *item, uint32_t index)
{
    const leat_sql_expr *expr = item->expr;
    if (leat_sql_name_present(&item->alias))
        return item->alias.text;
    if (expr->kind == LEAT_SQL_EXPR_COLUMN)
        return expr->column.parts[expr->column.count - 1].text;
    if (expr->kind == LEAT_SQL_EXPR_FIELD)
        return expr->field.field.text;
    return leat_slice_text(leat_arena_format(rule->arena, "EXPR$%u", index));
}

static uint32_t items_at_most(const select_plan *it)
{
    uint32_t count = it->select->item_count, columns = 0;
    for (uint32_t t = 0; t < it->source.scope.count; t++)
        columns += it->source.scope.tables[t].schema->count;
    for (uint32_t i = 0; i < it->select->item_count; i++)
        count += it->select->items[i].expr->kind == LEAT_SQL_EXPR_STAR ? columns : 0;
    return count < LEAT_COLUMNS_MAX ? count : LEAT_COLUMNS_MAX;
}

static select_item *item_add(select_plan *it)
{
    if (it->item_count < LEAT_COLUMNS_MAX)
        return &it->items[it->item_count++];
    if (!it->rule->failed)
        plan_error(it->rule, it->select->items[0].expr->span, "a stream has at most %d columns", LEAT_COLUMNS_MAX);
    return &it->items[LEAT_COLUMNS_MAX - 1];
}

static void star_of_table(select_plan *it, const leat_sql_scope_table *table, leat_sql_span span)
{
    for (uint32_t c = 0; c < table->schema->count; c++) {
        leat_expr *column =
            leat_expr_column(&it->rule->expr, table->input, table->first + c, table->schema->fields[c].type);
        *item_add(it) = (select_item){{column, table->schema->fields[c].name, NULL}, span};
    }
}

static void bind_star(select_plan *it, const leat_sql_expr *star)
{
    const leat_sql_scope *scope = &it->source.scope;
    const leat_sql_scope_table *table;
    leat_error error;
    if (!star->star.count)
        for (uint32_t t = 0; t < scope->count; t++)
            star_of_table(it, &scope->tables[t], star->span);
    else if (leat_sql_scope_table_find(scope, &star->star, &table, &error) == LEAT_OK)
        star_of_table(it, table, star->span);
    else
        plan_error(it->rule, star->span, "%s", error.message);
}

static void bind_items(select_plan *it)
{
    it->items = leat_arena_array(it->rule->arena, select_item, items_at_most(it));
    it->binder.clause = "SELECT";
    for (uint32_t i = 0; i < it->select->item_count; i++) {
        const leat_sql_select_item *item = &it->select->items[i];
        if (item->expr->kind == LEAT_SQL_EXPR_STAR) {
            bind_star(it, item->expr);
            continue;
        }
        leat_expr *expr = leat_sql_bind(&it->binder, item->expr);
        if (expr)
            *item_add(it) = (select_item){
                {expr, item_name(it->rule, item, i), leat_sql_expr_print(it->rule->arena, item->expr).data},
                item->expr->span};
    }
}

static leat_expr *bind_where(select_plan *it)
{
    leat_sql_binder binder;
    plan_binder_init(it->rule, &it->source.scope, "WHERE", &binder);
    binder.select = it->select;
    leat_expr *where = leat_sql_bind_condition(&binder, it->select->where);
    it->rule->failed |= !where;
    return where;
}

static bool bind_group(select_plan *it)
{
    it->group =
        (plan_group){.input = &it->source.relation,
                     .scope = &it->source.scope,
                     .aggregates = it->aggregates,
                     .span = it->select->group_span.size ? it->select->group_span : it->select->items[0].expr->span,
                     .what = it->select->is_grouped ? "GROUP BY" : "an aggregate"};
    it->binder.clause = "GROUP BY";
    it->binder.select = it->select;
    it->binder.aggregates = NULL;
    bool bound = plan_group_keys(it->rule, &it->binder, it->select, &it->group);
    it->binder.aggregates = it->aggregates;
    it->binder.select = NULL;
    return bound;
}

// Columns outside of aggregates have to be grouped by.
static bool check_grouped(select_plan *it)
{
    bool fits = true;
    uint32_t failed_at = UINT32_MAX; // of a star's columns the first speaks for all
    for (uint32_t i = 0; i < it->item_count; i++) {
        const select_item *item = &it->items[i];
        if (item->span.offset == failed_at ||
            plan_check_grouped(it->rule, &it->binder, &it->group, item->item.expr, item->span))
            continue;
        failed_at = item->span.offset;
        fits = false;
    }
    if (it->select->having && it->having)
        fits &= plan_check_grouped(it->rule, &it->binder, &it->group, it->having, it->select->having->span);
    return fits;
}

// Binds all clauses; false when one of them has an error.
static bool bind_clauses(select_plan *it)
{
    plan_rule *rule = it->rule;
    plan_binder_init(rule, &it->source.scope, "SELECT", &it->binder);
    it->aggregates =
        leat_sql_aggregates_new(rule->arena, it->source.relation.schema->changelog != LEAT_CHANGELOG_INSERT);
    if (it->select->where)
        it->where = bind_where(it);
    bool bound = bind_group(it);
    bind_items(it);
    if (it->select->having) {
        it->binder.clause = "HAVING";
        it->binder.select = it->select;
        it->having = leat_sql_bind_condition(&it->binder, it->select->having);
    }
    it->grouped =
        it->select->is_grouped || it->select->having || it->aggregates->count || it->aggregates->grouping_count;
    if (bound && it->grouped)
        bound = check_grouped(it);
    return bound && !it->binder.errors && !rule->failed;
}

// ---- nodes

static bool reads_window(const relation *from, const leat_expr *expr)
{
    bool used[LEAT_COLUMNS_MAX + 8] = {0};
    leat_expr_columns(expr, 0, used);
    uint32_t count = from->schema->count;
    return used[count - 1] || used[count - 2] || used[count - 3];
}

// WHERE over a pending window goes below it where that gives the same rows: not for sessions, which it would change.
static bool filter_below(select_plan *it, const char *label)
{
    relation *from = &it->source.relation;
    relation *input = leat_arena_new(it->rule->arena, relation);
    plan_window *window = leat_arena_new(it->rule->arena, plan_window);
    *window = *from->pending;
    window->input = input;
    if (!plan_filter(it->rule, from->pending->input, it->where, label, it->select->where->span, input))
        return false;
    from->node = input->node;
    from->output = input->output;
    from->pending = window;
    return true;
}

static bool apply_where(select_plan *it)
{
    relation *from = &it->source.relation, rows;
    if (!it->where)
        return true;
    const char *label = leat_sql_expr_print(it->rule->arena, it->select->where).data;
    it->where = leat_expr_fold(&it->rule->expr, it->where);
    if (from->pending && from->pending->window.kind != LEAT_WINDOW_SESSION && !reads_window(from, it->where))
        return filter_below(it, label);
    return plan_materialize(it->rule, from, &rows) &&
           plan_filter(it->rule, &rows, it->where, label, it->select->where->span, from);
}

static void name_items(select_plan *it, plan_item *out_items)
{
    leat_field *names = leat_arena_array(it->rule->arena, leat_field, it->item_count + 1);
    for (uint32_t i = 0; i < it->item_count; i++)
        names[i].name = it->items[i].item.name;
    plan_schema_unique(it->rule, names, it->item_count);
    for (uint32_t i = 0; i < it->item_count; i++) {
        out_items[i] = it->items[i].item;
        out_items[i].name = names[i].name;
    }
}

static bool is_all_columns(const select_plan *it, const plan_item *items)
{
    const leat_schema *schema = it->source.relation.schema;
    if (it->item_count != schema->count)
        return false;
    for (uint32_t i = 0; i < it->item_count; i++)
        if (items[i].expr->kind != LEAT_EXPR_COLUMN || items[i].expr->column != i ||
            !leat_slice_equal(items[i].name, schema->fields[i].name))
            return false;
    return true;
}

static leat_sql_span list_span(const select_plan *it)
{
    return leat_sql_span_join(it->select->items[0].expr->span,
                              it->select->items[it->select->item_count - 1].expr->span);
}

static bool project_rows(select_plan *it, plan_item *items, relation *out)
{
    relation rows;
    if (it->source.relation.pending &&
        is_all_columns(it, items)) { // the aggregation above may still become one by window
        *out = it->source.relation;
        return true;
    }
    return plan_materialize(it->rule, &it->source.relation, &rows) &&
           plan_project(it->rule, &rows, items, it->item_count, list_span(it), out);
}

static void regroup_items(select_plan *it, const plan_grouped *grouped)
{
    for (uint32_t i = 0; i < it->item_count; i++) {
        select_item *item = &it->items[i];
        item->item.expr = plan_regroup(it->rule, &it->group, grouped, item->item.expr);
    }
    if (it->having)
        it->having = plan_regroup(it->rule, &it->group, grouped, it->having);
}

static bool project_groups(select_plan *it, plan_item *items, relation *out)
{
    plan_grouped grouped;
    if (!plan_group_by(it->rule, &it->group, &grouped))
        return false;
    regroup_items(it, &grouped);
    if (it->having && !plan_filter(it->rule, &grouped.relation, leat_expr_fold(&it->rule->expr, it->having),
                                   leat_sql_expr_print(it->rule->arena, it->select->having).data,
                                   it->select->having->span, &grouped.relation))
        return false;
    for (uint32_t i = 0; i < it->item_count; i++)
        items[i].expr = it->items[i].item.expr;
    return plan_project(it->rule, &grouped.relation, items, it->item_count, list_span(it), out);
}

// ---- DISTINCT: grouped by every item

bool plan_distinct(plan_rule *rule, const relation *from, const plan_item *items, uint32_t count, leat_sql_span span,
                   const char *what, relation *out)
{
    uint64_t all = count > 63 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
    plan_group group = {.input = from, .span = span, .what = what, .sets = &all, .set_count = 1};
    plan_item *named = leat_arena_array(rule->arena, plan_item, count + 1);
    leat_sql_binder binder;
    plan_grouped grouped;
    plan_binder_init(rule, NULL, what, &binder);
    group.keys = leat_arena_array(rule->arena, leat_expr *, count + 1);
    group.key_labels = leat_arena_array(rule->arena, const char *, count + 1);
    group.aggregates = leat_sql_aggregates_new(rule->arena, from->schema->changelog != LEAT_CHANGELOG_INSERT);
    if (count > 63) {
        plan_error(rule, span, "%s takes at most 63 columns", what);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        group.keys[i] = items[i].expr;
        group.key_labels[i] =
            items[i].label ? items[i].label : leat_arena_copy(rule->arena, items[i].name.data, items[i].name.size);
    }
    group.key_count = count;
    if (!plan_group_by(rule, &group, &grouped))
        return false;
    for (uint32_t i = 0; i < count; i++)
        named[i] = (plan_item){plan_column(rule, &grouped.relation, grouped.key_columns[i]), items[i].name, NULL};
    return plan_project(rule, &grouped.relation, named, count, span, out);
}

static bool distinct_rows(plan_rule *rule, const relation *from, leat_sql_span span, relation *out)
{
    plan_item *items = leat_arena_array(rule->arena, plan_item, from->schema->count + 1);
    for (uint32_t i = 0; i < from->schema->count; i++)
        items[i] = (plan_item){plan_column(rule, from, i), from->schema->fields[i].name, NULL};
    return plan_distinct(rule, from, items, from->schema->count, span, "SELECT DISTINCT", out);
}

// ---- all together

bool plan_select(plan_rule *rule, plan_name *names, const leat_sql_select *select, relation *out)
{
    select_plan it = {.rule = rule, .select = select};
    relation rows;
    if (!refuse_clauses(rule, select) || !plan_from(rule, names, select->from, &it.source))
        return false;
    if (!bind_clauses(&it) || !apply_where(&it))
        return false;
    plan_item *items = leat_arena_array(rule->arena, plan_item, it.item_count + 1);
    name_items(&it, items);
    if (!it.grouped && select->distinct)
        return plan_distinct(rule, &it.source.relation, items, it.item_count, list_span(&it), "SELECT DISTINCT", out);
    if (!it.grouped)
        return project_rows(&it, items, out);
    if (!select->distinct)
        return project_groups(&it, items, out);
    return project_groups(&it, items, &rows) && distinct_rows(rule, &rows, list_span(&it), out);
}
