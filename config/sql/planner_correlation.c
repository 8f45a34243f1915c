// Taking a subquery apart, planning it by what ties it to the query around, and joining both.
#include "config/sql/planner_correlation.h"

#include "config/sql/print.h"

// ---- what can be taken apart

static bool is_query(const leat_sql_expr *expr)
{
    return expr->kind == LEAT_SQL_EXPR_SUBQUERY || expr->kind == LEAT_SQL_EXPR_EXISTS ||
           expr->kind == LEAT_SQL_EXPR_IN_QUERY || expr->kind == LEAT_SQL_EXPR_QUANTIFIED;
}

static bool find_aggregate(void *context, const leat_sql_expr *expr)
{
    bool json = expr->kind == LEAT_SQL_EXPR_JSON && !expr->json.over &&
                (expr->json.function == LEAT_SQL_JSON_OBJECTAGG || expr->json.function == LEAT_SQL_JSON_ARRAYAGG);
    bool call = expr->kind == LEAT_SQL_EXPR_CALL && !expr->call.over && expr->call.name.count == 1 &&
                leat_aggregate_known(expr->call.name.parts[0].text);
    *(bool *)context |= json || call;
    return !is_query(expr);
}

static bool aggregates(const leat_sql_select *select)
{
    bool found = select->having != NULL;
    for (uint32_t i = 0; i < select->item_count; i++)
        leat_sql_expr_walk(select->items[i].expr, find_aggregate, &found);
    return found;
}

bool plan_subquery_splits(const leat_sql_query *query)
{
    return query->kind == LEAT_SQL_QUERY_SELECT && !query->cte_count && query->select->from;
}

bool plan_subquery_is_plain(const leat_sql_query *query)
{
    const leat_sql_select *select = query->select;
    return plan_subquery_splits(query) && !query->limit && !query->fetch && !query->offset && !select->is_grouped &&
           !select->qualify && !aggregates(select);
}

// ---- ties

static leat_expr *try_bind(const plan_subquery *it, const leat_sql_scope *scope, const leat_sql_expr *expr)
{
    leat_sql_diagnostics *ignored = plan_ignored(it->rule);
    leat_sql_binder binder;
    plan_binder_init(it->rule, scope, "WHERE", &binder);
    binder.diagnostics = ignored;
    leat_expr *bound = leat_sql_bind(&binder, expr);
    return binder.errors ? NULL : bound;
}

static leat_sql_scope both_scopes(const plan_subquery *it)
{
    const leat_sql_scope *inner = &it->source.scope;
    uint32_t count = inner->count + it->around->count;
    leat_sql_scope_table *tables = leat_arena_array(it->rule->arena, leat_sql_scope_table, count + 1);
    for (uint32_t t = 0; t < count; t++) {
        tables[t] = t < inner->count ? inner->tables[t] : it->around->tables[t - inner->count];
        tables[t].outer = t >= inner->count;
    }
    return (leat_sql_scope){tables, count};
}

static bool is_and(const leat_sql_expr *expr)
{
    return expr->kind == LEAT_SQL_EXPR_BINARY && expr->binary.op == LEAT_SQL_AND;
}

static bool tie_add(plan_subquery *it, leat_expr *outer, const leat_sql_expr *inner)
{
    if (it->ties.count == PLAN_TIES_MAX) {
        plan_error(it->rule, inner->span, "%s takes at most %d equations with the query around", it->what,
                   PLAN_TIES_MAX);
        return false;
    }
    it->ties.items[it->ties.count++] = (plan_tie){outer, inner};
    return true;
}

static bool tie_of(plan_subquery *it, const leat_sql_expr *condition)
{
    bool equation = condition->kind == LEAT_SQL_EXPR_BINARY && condition->binary.op == LEAT_SQL_EQUAL;
    const leat_sql_expr *sides[] = {equation ? condition->binary.left : NULL,
                                    equation ? condition->binary.right : NULL};
    for (unsigned side = 0; equation && side < 2; side++) {
        if (!try_bind(it, &it->source.scope, sides[side]) || try_bind(it, &it->source.scope, sides[!side]))
            continue;
        leat_expr *outer = try_bind(it, it->around, sides[!side]);
        if (outer)
            return tie_add(it, outer, sides[side]);
    }
    it->loose = true;
    return true;
}

const leat_sql_expr *plan_both_conditions(plan_rule *rule, const leat_sql_expr *left, const leat_sql_expr *right)
{
    leat_sql_expr *and;
    if (!left || !right)
        return left ? left : right;
    and = leat_arena_new(rule->arena, leat_sql_expr);
    *and = (leat_sql_expr){.kind = LEAT_SQL_EXPR_BINARY, .span = leat_sql_span_join(left->span, right->span)};
    and->binary.op = LEAT_SQL_AND;
    and->binary.left = (leat_sql_expr *)left; // trees are read-only
    and->binary.right = (leat_sql_expr *)right;
    return and;
}

static bool take_ties(plan_subquery *it, const leat_sql_scope *scopes, const leat_sql_expr *condition)
{
    if (is_and(condition))
        return take_ties(it, scopes, condition->binary.left) && take_ties(it, scopes, condition->binary.right);
    // What binds in neither is told when the rest of WHERE is bound.
    if (try_bind(it, &it->source.scope, condition) || !try_bind(it, scopes, condition)) {
        it->ties.where = plan_both_conditions(it->rule, it->ties.where, condition);
        return true;
    }
    return tie_of(it, condition);
}

bool plan_subquery_begin(plan_subquery *it)
{
    const leat_sql_select *select = it->query->select;
    if (!plan_from_where(it->rule, it->names, select->from, plan_where_hints(it->rule, select->where), &it->source))
        return false;
    it->aggregates = !select->is_grouped && aggregates(select);
    leat_sql_scope scopes = both_scopes(it);
    uint32_t given = it->ties.count;
    if (select->where && !take_ties(it, &scopes, select->where))
        return false;
    if (!it->loose && !plan_subquery_reads_around(it))
        return true;
    it->ties.count = given;
    return plan_subquery_domain(it);
}

// ---- text for what was not written

static leat_sql_expr *call_of(plan_subquery *it, const char *name, leat_sql_expr *argument, leat_sql_span span)
{
    leat_arena *arena = it->rule->arena;
    leat_sql_expr *call = leat_arena_new(arena, leat_sql_expr);
    leat_sql_name *part = leat_arena_new(arena, leat_sql_name);
    leat_sql_expr **arguments = leat_arena_array(arena, leat_sql_expr *, 1);
    *part = (leat_sql_name){.text = leat_slice_text(name), .span = span};
    *call = (leat_sql_expr){.kind = LEAT_SQL_EXPR_CALL, .span = span};
    call->call.name = (leat_sql_path){.parts = part, .count = 1, .span = span};
    arguments[0] = argument;
    call->call.args = (leat_sql_exprs){arguments, argument ? 1u : 0u};
    return call;
}

// As Flink's SINGLE_VALUE: the second row is an error, here of this row.
static leat_sql_expr *single_value(plan_subquery *it, const leat_sql_expr *item, bool distinct)
{
    leat_sql_expr *all = call_of(it, "ARRAY_AGG", (leat_sql_expr *)item, item->span);
    all->call.distinct = distinct;
    return call_of(it, "ELEMENT", all, item->span);
}

static leat_sql_expr *integer(plan_subquery *it, const char *digits, leat_sql_span span)
{
    leat_sql_expr *literal = leat_arena_new(it->rule->arena, leat_sql_expr);
    *literal = (leat_sql_expr){.kind = LEAT_SQL_EXPR_LITERAL, .span = span};
    literal->literal = (leat_sql_literal){.kind = LEAT_SQL_LITERAL_INTEGER, .text = leat_slice_text(digits)};
    return literal;
}

// ---- the select with the ties' inner sides in it

static void add_keys(plan_subquery *it, leat_sql_select *select)
{
    leat_arena *arena = it->rule->arena;
    uint32_t count = select->item_count, keys = it->ties.count;
    leat_sql_select_item *items = leat_arena_array(arena, leat_sql_select_item, count + keys + 1);
    memcpy(items, select->items, count * sizeof *items);
    for (uint32_t k = 0; k < keys; k++) {
        const leat_sql_expr *inner = it->ties.items[k].inner;
        items[count + k] = (leat_sql_select_item){
            .expr = (leat_sql_expr *)inner,
            .alias = {.text = leat_slice_text(leat_arena_format(arena, "$tie%u", k)), .span = inner->span}};
    }
    select->items = items;
    select->item_count = count + keys;
    select->where = (leat_sql_expr *)it->ties.where;
}

static void group_by_keys(plan_subquery *it, leat_sql_select *select)
{
    leat_arena *arena = it->rule->arena;
    uint32_t before = select->group_count, keys = it->ties.count;
    leat_sql_group **groups = leat_arena_array(arena, leat_sql_group *, before + keys + 1);
    if (before)
        memcpy(groups, select->group_by, before * sizeof(leat_sql_group *));
    for (uint32_t k = 0; k < keys; k++) {
        leat_sql_group *group = leat_arena_new(arena, leat_sql_group);
        const leat_sql_expr *inner = it->ties.items[k].inner;
        *group = (leat_sql_group){.kind = LEAT_SQL_GROUP_EXPR, .span = inner->span, .expr = (leat_sql_expr *)inner};
        groups[before + k] = group;
    }
    select->group_by = groups;
    select->group_count = before + keys;
    select->is_grouped = select->group_count > 0;
    if (!before && keys)
        select->group_span = it->ties.items[0].inner->span;
}

// ORDER BY .. LIMIT n is a Top-N for each combination of the ties: QUALIFY ROW_NUMBER() OVER (PARTITION BY ties ORDER BY ..) <= n.
static void rank_by_keys(plan_subquery *it, leat_sql_select *select)
{
    leat_arena *arena = it->rule->arena;
    const leat_sql_query *query = it->query;
    leat_sql_span span = query->order_span;
    leat_sql_window *window = leat_arena_new(arena, leat_sql_window);
    leat_sql_expr **keys = leat_arena_array(arena, leat_sql_expr *, it->ties.count + 1);
    leat_sql_expr *rank = call_of(it, "ROW_NUMBER", NULL, span), *bound = leat_arena_new(arena, leat_sql_expr);
    for (uint32_t k = 0; k < it->ties.count; k++)
        keys[k] = (leat_sql_expr *)it->ties.items[k].inner;
    *window = (leat_sql_window){.span = span, .partition_by = {keys, it->ties.count}, .order_by = query->order_by};
    rank->call.over = window;
    *bound = (leat_sql_expr){.kind = LEAT_SQL_EXPR_BINARY, .span = span};
    bound->binary.op = LEAT_SQL_LESS_EQUAL;
    bound->binary.left = rank;
    bound->binary.right = query->limit ? query->limit : query->fetch ? query->fetch : integer(it, "1", span);
    select->qualify = bound;
}

// ---- what a subquery gives where nothing is tied to it: COUNT is 0

static leat_expr *without_rows(plan_subquery *it, const leat_sql_aggregates *set, leat_expr *expr, bool *constant)
{
    if (expr->kind == LEAT_EXPR_COLUMN && expr->input == LEAT_SQL_INPUT_AGGREGATE) {
        leat_slice name = set->items[expr->column].name;
        bool counts = leat_slice_is(name, "COUNT") || leat_slice_is(name, "APPROX_COUNT_DISTINCT");
        return leat_expr_literal(&it->rule->expr, expr->type, counts ? (leat_value){.i64 = 0} : leat_value_null());
    }
    *constant &= expr->kind != LEAT_EXPR_COLUMN;
    if (!expr->argument_count)
        return expr;
    leat_expr *copy = leat_arena_alloc_aligned(it->rule->arena, sizeof *copy, 16);
    *copy = *expr;
    copy->arguments = leat_arena_array(it->rule->arena, leat_expr *, expr->argument_count);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        copy->arguments[i] = without_rows(it, set, expr->arguments[i], constant);
    return copy;
}

static leat_expr *value_of_empty(plan_subquery *it, const leat_sql_expr *item)
{
    leat_sql_diagnostics *ignored = plan_ignored(it->rule);
    leat_sql_binder binder;
    bool constant = true;
    plan_binder_init(it->rule, &it->source.scope, "SELECT", &binder);
    binder.diagnostics = ignored;
    binder.aggregates = leat_sql_aggregates_new(it->rule->arena, false);
    leat_expr *bound = leat_sql_bind(&binder, item);
    if (!bound || binder.errors)
        return NULL;
    bound = leat_expr_fold(&it->rule->expr, without_rows(it, binder.aggregates, bound, &constant));
    return constant && bound->kind == LEAT_EXPR_LITERAL && !bound->literal.is_null ? bound : NULL;
}

static void find_empty(plan_subquery *it, const leat_sql_select *select)
{
    it->of_empty = leat_arena_array(it->rule->arena, leat_expr *, select->item_count + 1);
    for (uint32_t i = 0; i < select->item_count; i++)
        it->of_empty[i] = it->aggregates && !select->having ? value_of_empty(it, select->items[i].expr) : NULL;
}

// ---- planning it

static bool refuse(const plan_subquery *it, leat_sql_span span, const char *what)
{
    plan_error(it->rule, span, "%s that is tied to the query around has no %s in leat", it->what, what);
    return false;
}

static bool ties_fit(const plan_subquery *it, bool ordered)
{
    const leat_sql_query *query = it->query;
    const leat_sql_select *select = query->select;
    leat_sql_span span = select->item_count ? select->items[0].expr->span : query->span;
    if (select->qualify)
        return refuse(it, select->qualify->span, "QUALIFY");
    if (query->offset)
        return refuse(it, query->offset_span, "OFFSET");
    if (ordered && (it->aggregates || select->is_grouped || select->distinct))
        return refuse(it, query->order_by.count ? query->order_span : span, "LIMIT beside an aggregate");
    if (ordered && !query->order_by.count)
        return refuse(it, query->limit ? query->limit_span : query->fetch_span, "LIMIT without ORDER BY");
    if (!ordered && query->order_by.count)
        return refuse(it, query->order_span, "ORDER BY without LIMIT");
    return true;
}

static bool is_one(const leat_sql_query *query)
{
    const leat_sql_expr *count = query->limit ? query->limit : query->fetch;
    return count && count->kind == LEAT_SQL_EXPR_LITERAL && leat_slice_is(count->literal.text, "1");
}

bool plan_subquery_rows(plan_subquery *it, bool one_value)
{
    leat_sql_select select = *it->query->select;
    bool ordered = it->query->limit || it->query->fetch;
    relation rows;
    if (!ties_fit(it, ordered))
        return false;
    if (one_value && ordered && !is_one(it->query))
        return refuse(it, it->query->span, "LIMIT but 1");
    find_empty(it, &select);
    if (one_value && !it->aggregates && !ordered) {
        leat_sql_select_item *item = leat_arena_new(it->rule->arena, leat_sql_select_item);
        *item = select.items[0];
        item->expr = single_value(it, item->expr, select.distinct);
        select.items = item;
        select.distinct = false;
    }
    add_keys(it, &select);
    if (it->aggregates || select.is_grouped || (one_value && !ordered))
        group_by_keys(it, &select);
    if (ordered)
        rank_by_keys(it, &select);
    leat_sql_query query = {.kind = LEAT_SQL_QUERY_SELECT, .span = it->query->span, .select = &select};
    if (!plan_query_over(it->rule, it->names, &query, &it->source, &rows) ||
        !plan_materialize(it->rule, &rows, &it->rows))
        return false;
    it->item_count = it->rows.schema->count - it->ties.count;
    return true;
}

// ---- one row of any query

bool plan_subquery_has_one_row(const leat_sql_query *query)
{
    const leat_sql_select *select = query->select;
    return query->kind == LEAT_SQL_QUERY_SELECT && !select->is_grouped && !select->having && !select->qualify &&
           aggregates(select);
}

static bool gives_one_row(const plan_subquery *it)
{
    const leat_sql_query *query = it->query;
    return is_one(query) ||
           (query->kind == LEAT_SQL_QUERY_SELECT && !query->select->is_grouped && aggregates(query->select));
}

static bool one_row(plan_subquery *it)
{
    plan_rule *rule = it->rule;
    const relation *from = &it->rows;
    leat_sql_scope_table table = {.schema = from->schema};
    leat_sql_scope scope = {&table, 1};
    leat_sql_binder binder;
    leat_sql_name part = {.text = from->schema->fields[0].name, .span = it->query->span};
    leat_sql_expr *column = leat_arena_new(rule->arena, leat_sql_expr);
    uint64_t none = 0;
    plan_grouped grouped;
    *column = (leat_sql_expr){.kind = LEAT_SQL_EXPR_COLUMN, .span = it->query->span};
    column->column = (leat_sql_path){.parts = &part, .count = 1, .span = it->query->span};
    plan_binder_init(rule, &scope, "SELECT", &binder);
    binder.aggregates = leat_sql_aggregates_new(rule->arena, from->schema->changelog != LEAT_CHANGELOG_INSERT);
    leat_expr *value = leat_sql_bind(&binder, single_value(it, column, false));
    if (!value)
        return false;
    plan_group group = {.input = from,
                        .scope = &scope,
                        .aggregates = binder.aggregates,
                        .span = it->query->span,
                        .what = it->what,
                        .sets = &none,
                        .set_count = 1};
    if (!plan_group_by(rule, &group, &grouped))
        return false;
    plan_item item = {plan_regroup(rule, &group, &grouped, value), from->schema->fields[0].name, "SINGLE_VALUE"};
    return plan_project(rule, &grouped.relation, &item, 1, it->query->span, &it->rows);
}

bool plan_subquery_whole(plan_subquery *it, bool one_value)
{
    plan_source *source = plan_subquery_splits(it->query) ? &it->source : NULL;
    relation rows;
    if (!plan_query_over(it->rule, it->names, it->query, source, &rows) ||
        !plan_materialize(it->rule, &rows, &it->rows))
        return false;
    it->item_count = it->rows.schema->count;
    it->of_empty = leat_arena_array(it->rule->arena, leat_expr *, it->item_count + 1);
    return !one_value || it->item_count != 1 || gives_one_row(it) || one_row(it);
}

// ---- state

const leat_rule_request *plan_subquery_meant(plan_subquery *it)
{
    leat_rule_request *request = leat_arena_alloc_aligned(it->rule->arena, sizeof *request, 16);
    const leat_rule_request *before = it->rule->request;
    *request = *before;
    request->unbounded |= !before->state_ttl_ms;
    it->rule->request = request;
    return before;
}

bool plan_subquery_check_meant(plan_subquery *it, const leat_rule_request *before, leat_sql_span span)
{
    it->rule->request = before;
    if (before->unbounded || before->state_ttl_ms)
        return true;
    plan_error(it->rule, span,
               "%s keeps every row that it stands beside for ever (unbounded state): set the rule's `state_ttl`, or "
               "`unbounded: true`",
               it->what);
    return false;
}

// ---- joining

static bool add_equations(plan_subquery *it, plan_join *join, leat_expr *const *outer, leat_sql_span span)
{
    for (uint32_t k = 0; k < it->ties.count; k++) {
        uint32_t column = it->item_count + k;
        leat_expr *sides[2] = {
            outer[k], leat_expr_column(&it->rule->expr, 0, join->split + column, it->rows.schema->fields[column].type)};
        leat_expr *equal;
        leat_error error;
        if (leat_expr_call(&it->rule->expr, leat_slice_text("="), sides, 2, &equal, &error) != LEAT_OK) {
            plan_error(it->rule, span, "%s", error.message);
            return false;
        }
        if (!plan_join_add(join, equal))
            return false;
    }
    return true;
}

bool plan_subquery_join(plan_subquery *it, leat_join_kind kind, const relation *left, leat_expr *const *outer,
                        leat_sql_span span, leat_expr *where, bool *out_filtered, relation *out)
{
    plan_join *join = leat_arena_new(it->rule->arena, plan_join);
    if (left->schema->count + it->rows.schema->count > LEAT_COLUMNS_MAX) {
        plan_error(it->rule, span, "a query and its subquery may have %d columns together", LEAT_COLUMNS_MAX);
        return false;
    }
    plan_join_begin(join, it->rule, kind, left, &it->rows, span);
    *out_filtered = where && plan_join_rejects_padding(join, where, 1) && leat_expr_is_deterministic(where);
    if (*out_filtered)
        join->kind = LEAT_JOIN_INNER;
    return add_equations(it, join, outer, span) && (!*out_filtered || plan_join_add(join, where)) &&
           plan_join_make_regular(join, out);
}

static leat_expr *column_of(const plan_subquery *it, uint32_t first, uint32_t column)
{
    return leat_expr_column(&it->rule->expr, 0, first + column, it->rows.schema->fields[column].type);
}

leat_expr *plan_subquery_item(const plan_subquery *it, uint32_t first, uint32_t i)
{
    plan_rule *rule = it->rule;
    leat_expr *value = column_of(it, first, i), *result = value;
    leat_error error;
    if (!it->ties.count || !it->of_empty[i])
        return value;
    // Equal sides are not NULL: where the inner one is, no row is tied.
    leat_expr *key = column_of(it, first, it->item_count), *cases[3] = {NULL, it->of_empty[i], value};
    if (leat_expr_call(&rule->expr, leat_slice_text("IS NULL"), &key, 1, &cases[0], &error) != LEAT_OK ||
        leat_expr_case(&rule->expr, cases, 3, &result, &error) != LEAT_OK)
        return value;
    return result;
}
