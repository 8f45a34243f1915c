// SELECT: FROM, WHERE, GROUP BY, HAVING, the select list, DISTINCT. Everything is bound before the first node is made, so that all
// clauses report their errors in one run.
#include "config/sql/planner_correlation.h"
#include "config/sql/print.h"

typedef struct select_item {
    plan_item item;
    leat_sql_span span;
} select_item;

typedef struct select_plan {
    plan_rule *rule;
    const leat_sql_select *select;
    plan_source source;
    plan_name *names;
    const leat_sql_expr *where_text; // WHERE without what asks subqueries; NULL: nothing is left of it
    bool joins_subqueries;
    leat_sql_binder binder; // of the select list and HAVING: its marks serve the regrouping
    leat_sql_aggregates *aggregates;
    plan_group group;
    bool grouped;
    plan_overs overs;
    leat_expr *where, *having, *qualify;
    select_item *items;
    uint32_t item_count;
    plan_ordering *order; // ORDER BY behind the SELECT, NULL: none
    uint32_t hidden;      // items at the end that only ORDER BY reads
    plan_scalars where_queries, queries, below;
    const plan_wanted *wanted; // what is read of the result
    const char *text;          // of WHERE or HAVING, for labels
} select_plan;

// ---- what is refused

static bool refuse_clauses(plan_rule *rule, const leat_sql_select *select)
{
    leat_sql_span span = select->item_count ? select->items[0].expr->span : (leat_sql_span){0};
    if (!select->from)
        plan_error(rule, span, "SELECT without FROM is not in leat: a rule reads a stream");
    else
        return plan_hints_known(rule, &select->hints);
    return false;
}

// ---- binding

leat_slice plan_item_name(plan_rule *rule, const leat_sql_select_item *item, uint32_t index)
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
    count += it->order ? it->order->written->count : 0;
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

// FROM (SELECT a AS x, b AS x ..): nobody can say which x is meant.
static bool has_twice(select_plan *it, const leat_sql_scope_table *table, leat_sql_span span)
{
    const leat_field *fields = table->schema->fields;
    for (uint32_t c = 1; c < table->schema->count; c++)
        for (uint32_t b = 0; b < c; b++) {
            if (!leat_slice_equal(fields[b].name, fields[c].name))
                continue;
            plan_error(it->rule, span, "column '%.*s' is ambiguous: the query in FROM gives it twice",
                       (int)fields[c].name.size, fields[c].name.data);
            return true;
        }
    return false;
}

static void star_of_table(select_plan *it, const leat_sql_scope_table *table, leat_sql_span span)
{
    if (table->given && has_twice(it, table, span))
        return;
    for (uint32_t c = 0; c < table->schema->count; c++) {
        if (table->hidden && table->hidden[c])
            continue;
        leat_expr *column =
            leat_expr_column(&it->rule->expr, table->input, table->first + c, table->schema->fields[c].type);
        *item_add(it) = (select_item){{column, table->schema->fields[c].name, NULL}, span};
    }
}

// r.*, the fields of a ROW.
static bool star_of_row(select_plan *it, const leat_sql_expr *star)
{
    leat_sql_diagnostics *ignored = plan_ignored(it->rule);
    leat_sql_expr column = {.kind = LEAT_SQL_EXPR_COLUMN, .span = star->span};
    leat_sql_binder binder;
    column.column = star->star;
    plan_binder_init(it->rule, &it->source.scope, "SELECT", &binder);
    binder.diagnostics = ignored;
    leat_expr *row = leat_sql_bind(&binder, &column), *field;
    if (!row || row->type.kind != LEAT_KIND_ROW)
        return false;
    for (uint32_t i = 0; i < row->type.field_count; i++) {
        leat_slice name = row->type.fields[i].name;
        leat_expr *arguments[] = {row, leat_sql_text(&it->rule->expr, name)};
        field = leat_sql_apply(&it->binder, "FIELD", arguments, 2, star->span);
        if (field)
            *item_add(it) = (select_item){{field, name, NULL}, star->span};
    }
    return true;
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
    else if (!star_of_row(it, star))
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
                {expr, plan_item_name(it->rule, item, i), leat_sql_expr_print(it->rule->arena, item->expr).data},
                item->expr->span};
    }
}

static leat_expr *bind_where(select_plan *it)
{
    leat_sql_binder binder;
    plan_binder_init(it->rule, &it->source.scope, "WHERE", &binder);
    binder.select = it->select;
    plan_scalars_begin(&it->where_queries, it->rule, it->names, &it->source, NULL, &binder);
    leat_expr *where = leat_sql_bind_condition(&binder, it->where_text);
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
    return plan_scalars_grouped(&it->queries, &it->binder, &it->group) && fits;
}

// ---- QUALIFY: over the input, and over items of the select list by their aliases

static leat_sql_scope qualify_scope(const select_plan *it, leat_sql_scope_table *tables, uint32_t *indexes)
{
    leat_field *fields;
    uint32_t count = it->source.scope.count;
    leat_schema *schema = plan_schema_new(it->rule, it->item_count, &fields);
    schema->count = 0;
    memcpy(tables, it->source.scope.tables, count * sizeof *tables);
    for (uint32_t i = 0; i < it->item_count; i++) {
        const plan_item *item = &it->items[i].item;
        bool plain = item->expr->kind == LEAT_EXPR_COLUMN && item->expr->input == 0;
        if (plain)
            continue;
        indexes[schema->count] = i;
        fields[schema->count++] = (leat_field){item->name, item->expr->type};
    }
    tables[count] = (leat_sql_scope_table){.schema = schema, .input = LEAT_SQL_INPUT_ITEM};
    return (leat_sql_scope){tables, count + 1};
}

static leat_expr *place_items(const select_plan *it, leat_expr *expr, const uint32_t *indexes)
{
    if (expr->kind == LEAT_EXPR_COLUMN && expr->input == LEAT_SQL_INPUT_ITEM)
        return it->items[indexes[expr->column]].item.expr;
    if (!expr->argument_count)
        return expr;
    leat_expr *copy = leat_arena_alloc_aligned(it->rule->arena, sizeof *copy, 16);
    *copy = *expr;
    copy->arguments = leat_arena_array(it->rule->arena, leat_expr *, expr->argument_count);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        copy->arguments[i] = place_items(it, expr->arguments[i], indexes);
    return copy;
}

static void bind_qualify(select_plan *it)
{
    const leat_sql_scope *before = it->binder.scope;
    leat_sql_scope_table *tables = leat_arena_array(it->rule->arena, leat_sql_scope_table, it->source.scope.count + 1);
    uint32_t *indexes = leat_arena_array(it->rule->arena, uint32_t, it->item_count + 1);
    leat_sql_scope scope = qualify_scope(it, tables, indexes);
    it->binder.clause = "QUALIFY";
    it->binder.scope = &scope;
    it->qualify = leat_sql_bind_condition(&it->binder, it->select->qualify);
    it->binder.scope = before;
    if (it->qualify)
        it->qualify = leat_expr_fold(&it->rule->expr, place_items(it, it->qualify, indexes));
    if (it->qualify && !it->overs.count)
        plan_error(it->rule, it->select->qualify->span,
                   "QUALIFY filters by a function over an OVER window, and there is none; WHERE filters rows");
}

// ---- ORDER BY: over the items of the select list, else over what the SELECT reads

static bool names_item(select_plan *it, const leat_sql_expr *expr)
{
    leat_field *fields;
    leat_schema *schema = plan_schema_new(it->rule, it->item_count, &fields);
    leat_sql_scope_table table = {.schema = schema};
    leat_sql_scope scope = {&table, 1};
    leat_sql_diagnostics *ignored = plan_ignored(it->rule);
    leat_sql_binder binder;
    for (uint32_t i = 0; i < it->item_count; i++)
        fields[i] = (leat_field){it->items[i].item.name, it->items[i].item.expr->type};
    plan_schema_unique(it->rule, fields, it->item_count);
    plan_binder_init(it->rule, &scope, "ORDER BY", &binder);
    binder.diagnostics = ignored;
    leat_sql_bind(&binder, expr);
    return !binder.errors;
}

// What binds in neither is told when the rows are sorted.
static leat_expr *bind_hidden(select_plan *it, const leat_sql_expr *expr)
{
    leat_sql_diagnostics *ignored = plan_ignored(it->rule);
    leat_sql_binder *binder = &it->binder;
    uint32_t errors = binder->errors;
    binder->diagnostics = ignored;
    binder->clause = "ORDER BY";
    leat_expr *bound = leat_sql_bind(binder, expr);
    binder->diagnostics = it->rule->diagnostics;
    bool good = bound && binder->errors == errors;
    binder->errors = errors;
    return good ? bound : NULL;
}

static void order_item(select_plan *it, leat_sql_order_item *item)
{
    leat_slice name = leat_slice_text(leat_sql_expr_print(it->rule->arena, item->expr).data);
    leat_expr *bound = names_item(it, item->expr) ? NULL : bind_hidden(it, item->expr);
    if (!bound)
        return;
    leat_sql_name *part = leat_arena_new(it->rule->arena, leat_sql_name);
    leat_sql_expr *column = leat_arena_new(it->rule->arena, leat_sql_expr);
    *item_add(it) = (select_item){{bound, name, name.data}, item->expr->span};
    *part = (leat_sql_name){.text = name, .span = item->expr->span};
    *column = (leat_sql_expr){.kind = LEAT_SQL_EXPR_COLUMN, .span = item->expr->span};
    column->column = (leat_sql_path){.parts = part, .count = 1, .span = item->expr->span};
    item->expr = column;
    it->hidden++;
}

// DISTINCT rows are ordered by what they have.
static void bind_order(select_plan *it)
{
    if (!it->order || !it->order->written->count || it->select->distinct || it->binder.errors)
        return;
    uint32_t count = it->order->written->count;
    leat_sql_order_item *items = leat_arena_array(it->rule->arena, leat_sql_order_item, count);
    memcpy(items, it->order->written->items, count * sizeof *items);
    for (uint32_t i = 0; i < count; i++)
        order_item(it, &items[i]);
    it->order->own = (leat_sql_order){items, count};
    it->order->hidden = it->hidden;
}

// Binds all clauses; false when one of them has an error.
static bool bind_clauses(select_plan *it)
{
    plan_rule *rule = it->rule;
    plan_binder_init(rule, &it->source.scope, "SELECT", &it->binder);
    it->aggregates =
        leat_sql_aggregates_new(rule->arena, it->source.relation.schema->changelog != LEAT_CHANGELOG_INSERT);
    if (it->where_text && !it->joins_subqueries)
        it->where = bind_where(it);
    plan_scalars_begin(&it->queries, rule, it->names, &it->source, &it->below, &it->binder);
    bool bound = bind_group(it);
    it->queries.group = &it->group;
    plan_overs_init(&it->overs, rule, it->select);
    it->binder.own_call = plan_over_bind;
    it->binder.own = &it->overs;
    bind_items(it);
    if (it->select->qualify)
        bind_qualify(it);
    it->binder.own_call = NULL;
    bind_order(it);
    if (it->select->having) {
        it->binder.clause = "HAVING";
        it->binder.select = it->select;
        it->having = leat_sql_bind_condition(&it->binder, it->select->having);
    }
    it->grouped =
        it->select->is_grouped || it->select->having || it->aggregates->count || it->aggregates->grouping_count;
    if (bound && it->grouped)
        bound = check_grouped(it) && plan_over_regroup(&it->overs, &it->binder, &it->group, NULL);
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
    if (!plan_filter(it->rule, from->pending->input, it->where, label, it->where_text->span, input))
        return false;
    from->node = input->node;
    from->output = input->output;
    from->pending = window;
    return true;
}

static bool reads_column(const leat_expr *expr, uint32_t input, uint32_t column)
{
    bool reads = expr->kind == LEAT_EXPR_COLUMN && expr->input == input && expr->column == column;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        reads |= reads_column(expr->arguments[i], input, column);
    return reads;
}

static bool aggregates_read(const leat_sql_aggregates *set, uint32_t column)
{
    bool reads = false;
    for (uint32_t i = 0; i < set->count; i++) {
        reads |= set->filters[i] && reads_column(set->filters[i], 0, column);
        for (uint32_t k = 0; k < set->items[i].argument_count; k++)
            reads |= reads_column(set->arguments[i][k], 0, column);
    }
    return reads;
}

// Whether anything but WHERE reads a column of the input.
static bool selects_column(const select_plan *it, uint32_t column)
{
    bool reads = it->overs.count || it->qualify || (it->having && reads_column(it->having, 0, column));
    for (uint32_t i = 0; i < it->item_count; i++)
        reads |= (it->select->distinct || i >= it->item_count - it->hidden ||
                  plan_wants(it->wanted, it->items[i].item.name)) &&
                 reads_column(it->items[i].item.expr, 0, column);
    for (uint32_t i = 0; i < it->group.key_count; i++)
        reads |= reads_column(it->group.keys[i], 0, column);
    return reads || aggregates_read(it->aggregates, column);
}

// WHERE over a ranking: its bounds make Top-N, the rest filters what comes out.
static bool filter_rank(select_plan *it, const char *label)
{
    relation *from = &it->source.relation, rows;
    leat_expr *rest;
    bool ranked, reads = plan_rank_column(from) >= 0 && selects_column(it, (uint32_t)plan_rank_column(from));
    if (!plan_rank_filter(it->rule, from, it->where, reads, it->where_text->span, &rest, &ranked, &rows))
        return false;
    if (!ranked && !plan_materialize(it->rule, from, &rows))
        return false;
    *from = rows;
    it->aggregates->retract = from->schema->changelog != LEAT_CHANGELOG_INSERT;
    return !rest || plan_filter(it->rule, &rows, rest, label, it->where_text->span, from);
}

static bool apply_where(select_plan *it)
{
    relation *from = &it->source.relation, rows;
    if (!it->where)
        return true;
    const char *label = leat_sql_expr_print(it->rule->arena, it->where_text).data;
    if (it->where_queries.count)
        return plan_scalars_filter(&it->where_queries, it->where, label, it->where_text->span, from);
    it->where = leat_expr_fold(&it->rule->expr, it->where);
    if (from->rank)
        return filter_rank(it, label);
    if (from->pending && from->pending->window.kind != LEAT_WINDOW_SESSION && !reads_window(from, it->where))
        return filter_below(it, label);
    return plan_materialize(it->rule, from, &rows) &&
           plan_filter(it->rule, &rows, it->where, label, it->where_text->span, from);
}

// ---- subqueries in WHERE

static bool is_and(const leat_sql_expr *expr)
{
    return expr->kind == LEAT_SQL_EXPR_BINARY && expr->binary.op == LEAT_SQL_AND;
}

static bool find_value(void *context, const leat_sql_expr *expr)
{
    bool query = expr->kind == LEAT_SQL_EXPR_SUBQUERY || expr->kind == LEAT_SQL_EXPR_EXISTS ||
                 expr->kind == LEAT_SQL_EXPR_IN_QUERY;
    *(bool *)context |= query;
    return !query;
}

static bool has_subquery(const leat_sql_expr *expr)
{
    bool value = false;
    if (is_and(expr))
        return has_subquery(expr->binary.left) || has_subquery(expr->binary.right);
    leat_sql_expr_walk(expr, find_value, &value);
    return value || plan_is_subquery(expr);
}

// What is left of a condition without the subqueries among its parts; NULL: nothing.
static const leat_sql_expr *without_subqueries(select_plan *it, const leat_sql_expr *expr)
{
    if (!is_and(expr))
        return plan_is_subquery(expr) ? NULL : expr;
    const leat_sql_expr *left = without_subqueries(it, expr->binary.left),
                        *right = without_subqueries(it, expr->binary.right);
    if (!left || !right || (left == expr->binary.left && right == expr->binary.right))
        return !left ? right : !right ? left : expr;
    leat_sql_expr *both = leat_arena_new(it->rule->arena, leat_sql_expr);
    *both = *expr;
    both->binary.left = (leat_sql_expr *)left; // trees are read-only
    both->binary.right = (leat_sql_expr *)right;
    return both;
}

static bool join_subqueries(select_plan *it, const leat_sql_expr *expr)
{
    if (is_and(expr))
        return join_subqueries(it, expr->binary.left) && join_subqueries(it, expr->binary.right);
    return !plan_is_subquery(expr) || plan_semi_join(it->rule, it->names, &it->source, expr);
}

// Rows are filtered, then joined with subqueries, before anything else looks at their time attributes.
static bool apply_subqueries(select_plan *it)
{
    it->where_text = it->select->where;
    it->joins_subqueries = it->where_text && has_subquery(it->where_text);
    if (!it->joins_subqueries)
        return true;
    it->where_text = without_subqueries(it, it->select->where);
    it->where = it->where_text ? bind_where(it) : NULL;
    bool applied = !it->rule->failed && apply_where(it) && join_subqueries(it, it->select->where);
    it->where = NULL;
    return applied;
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

// ---- functions over OVER windows

static bool reads_over(const select_plan *it)
{
    bool reads = false;
    for (uint32_t i = 0; i < it->item_count; i++)
        reads |= reads_column(it->items[i].item.expr, LEAT_SQL_INPUT_OVER, 0);
    return reads;
}

// The rows that the items stand over, QUALIFY done.
static bool over_rows(select_plan *it, const relation *from, plan_rank_place *out_place, relation *out)
{
    plan_rule *rule = it->rule;
    leat_expr *rest = it->qualify;
    relation rows, input;
    bool ranked = false;
    if (it->qualify && plan_overs_rank(&it->overs) &&
        !plan_rank_qualify(rule, &it->overs, from, it->qualify, reads_over(it), it->select->qualify->span, &rest,
                           &ranked, out_place, &rows))
        return false;
    if (!ranked && (!plan_materialize(rule, from, &input) || !plan_over(&it->overs, &input, &out_place->column, &rows)))
        return false;
    *out = rows;
    return !rest ||
           plan_filter(rule, &rows, leat_expr_fold(&rule->expr, plan_rank_replace(rule, rest, out_place)),
                       leat_sql_expr_print(rule->arena, it->select->qualify).data, it->select->qualify->span, out);
}

static bool project_over(select_plan *it, const relation *from, plan_item *items, relation *out)
{
    plan_rank_place place = {0};
    relation rows;
    if (!it->qualify && plan_overs_rank(&it->overs)) { // the query around may filter it
        *out = plan_rank_pending(it->rule, &it->overs, from, items, it->item_count, list_span(it));
        return true;
    }
    if (!over_rows(it, from, &place, &rows))
        return false;
    for (uint32_t i = 0; i < it->item_count; i++)
        items[i].expr = plan_rank_replace(it->rule, items[i].expr, &place);
    return plan_project(it->rule, &rows, items, it->item_count, list_span(it), out);
}

static bool project_rows(select_plan *it, plan_item *items, relation *out)
{
    relation rows;
    if (it->overs.count)
        return project_over(it, &it->source.relation, items, out);
    if ((it->source.relation.pending || it->source.relation.rank) &&
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
    if (it->qualify)
        it->qualify = plan_regroup(it->rule, &it->group, grouped, it->qualify);
}

static void place_queries(select_plan *it, const plan_scalars *queries)
{
    for (uint32_t i = 0; i < it->item_count; i++)
        it->items[i].item.expr = plan_scalars_place(queries, it->items[i].item.expr);
    if (it->having)
        it->having = plan_scalars_place(queries, it->having);
    if (it->qualify)
        it->qualify = plan_scalars_place(queries, it->qualify);
}

static bool project_groups(select_plan *it, plan_item *items, relation *out)
{
    plan_grouped grouped;
    if (!plan_group_by(it->rule, &it->group, &grouped))
        return false;
    if (!plan_scalars_join(&it->queries, &it->group, &grouped, &grouped.relation))
        return false;
    regroup_items(it, &grouped);
    place_queries(it, &it->queries);
    if (it->having && !plan_filter(it->rule, &grouped.relation, leat_expr_fold(&it->rule->expr, it->having),
                                   leat_sql_expr_print(it->rule->arena, it->select->having).data,
                                   it->select->having->span, &grouped.relation))
        return false;
    for (uint32_t i = 0; i < it->item_count; i++)
        items[i].expr = it->items[i].item.expr;
    if (it->overs.count)
        return plan_over_regroup(&it->overs, &it->binder, &it->group, &grouped) &&
               project_over(it, &grouped.relation, items, out);
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

static bool read_from(select_plan *it)
{
    const leat_sql_hints *before = it->rule->hints;
    const leat_sql_table_ref *from = it->select->from;
    bool one_query = from->kind == LEAT_SQL_TABLE_QUERY && from->query->kind == LEAT_SQL_QUERY_SELECT &&
                     !from->columns.count && !from->query->order_by.count;
    it->rule->wanted = one_query ? plan_wanted_below(it->rule, it->select, it->wanted) : NULL;
    it->rule->hints = &it->select->hints;
    bool read = plan_from_where(it->rule, it->names, it->select->from, plan_where_hints(it->rule, it->select->where),
                                &it->source);
    it->rule->hints = before;
    it->rule->wanted = NULL;
    return read;
}

// What STATE_TTL says of a join it says of its sides; of one table, of what is kept of its rows here.
static bool apply_hints(select_plan *it)
{
    plan_rule *rule = it->rule;
    const leat_sql_hints *hints = &it->select->hints;
    int64_t ttl_ms = 0;
    bool given;
    if (!plan_read_ttl(rule, hints, &it->source.scope, &given, &ttl_ms))
        return false;
    if (!given || it->select->from->kind == LEAT_SQL_TABLE_JOIN)
        return true;
    if (!it->grouped && !it->select->distinct && !it->overs.count) {
        plan_error(rule, hints->items[0].name.span,
                   "STATE_TTL: this SELECT keeps nothing, it neither joins, groups, nor ranks");
        return false;
    }
    rule->request = plan_request_with_ttl(rule, ttl_ms);
    return true;
}

// An aggregate over what its arguments have become.
static bool place_below(select_plan *it, uint32_t index)
{
    leat_sql_aggregates *set = it->aggregates;
    leat_aggregate *aggregate = &set->items[index];
    leat_error error;
    if (set->filters[index])
        set->filters[index] = leat_expr_fold(&it->rule->expr, plan_scalars_place(&it->below, set->filters[index]));
    for (uint32_t k = 0; k < aggregate->argument_count; k++)
        set->arguments[index][k] =
            leat_expr_fold(&it->rule->expr, plan_scalars_place(&it->below, set->arguments[index][k]));
    if (leat_aggregate_resolve(&it->rule->expr, aggregate->name, aggregate->distinct, set->arguments[index],
                               aggregate->argument_count, set->filters[index], set->retract, aggregate,
                               &error) == LEAT_OK)
        return true;
    plan_error(it->rule, list_span(it), "%s", error.message);
    return false;
}

// Queries in GROUP BY and in arguments of aggregates stand beside the rows that are grouped.
static bool join_below(select_plan *it)
{
    bool placed = true;
    if (!it->below.count)
        return true;
    if (!plan_scalars_join(&it->below, NULL, NULL, &it->source.relation))
        return false;
    it->aggregates->retract = it->source.relation.schema->changelog != LEAT_CHANGELOG_INSERT;
    for (uint32_t i = 0; i < it->group.key_count; i++)
        it->group.keys[i] = plan_scalars_place(&it->below, it->group.keys[i]);
    for (uint32_t i = 0; i < it->aggregates->count; i++)
        placed &= place_below(it, i);
    place_queries(it, &it->below);
    return placed;
}

static bool make_rows(select_plan *it, relation *out)
{
    const leat_sql_select *select = it->select;
    plan_rule *rule = it->rule;
    relation rows, made;
    plan_item *items = leat_arena_array(rule->arena, plan_item, it->item_count + 1);
    if (!join_below(it))
        return false;
    if (!it->grouped) {
        if (!plan_scalars_join(&it->queries, NULL, NULL, &it->source.relation))
            return false;
        place_queries(it, &it->queries);
    }
    name_items(it, items);
    if (!it->grouped && select->distinct && !it->overs.count)
        return plan_distinct(rule, &it->source.relation, items, it->item_count, list_span(it), "SELECT DISTINCT", out);
    if (!select->distinct)
        return it->grouped ? project_groups(it, items, out) : project_rows(it, items, out);
    bool planned = it->grouped ? project_groups(it, items, &made) : project_rows(it, items, &made);
    return planned && plan_materialize(rule, &made, &rows) && distinct_rows(rule, &rows, list_span(it), out);
}

bool plan_select(plan_rule *rule, plan_name *names, const leat_sql_select *select, plan_source *source,
                 plan_ordering *order, relation *out)
{
    select = source ? select : plan_on_to_where(rule, select);
    select_plan it = {.rule = rule, .select = select, .names = names, .order = order, .wanted = rule->wanted};
    rule->wanted = NULL;
    if (source)
        it.source = *source;
    if (!refuse_clauses(rule, select) || (!source && !read_from(&it)) || !apply_subqueries(&it))
        return false;
    if (!bind_clauses(&it) || !apply_where(&it))
        return false;
    const leat_rule_request *before = rule->request;
    bool made = apply_hints(&it) && make_rows(&it, out);
    rule->request = before;
    return made;
}
