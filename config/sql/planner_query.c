// Queries: WITH, UNION, and what stands behind a query.
#include "config/sql/planner_over.h"

enum { UNION_MAX = 256 };

static bool refuse(plan_rule *rule, leat_sql_span span, const char *message)
{
    plan_error(rule, span, "%s", message);
    return false;
}

// ---- WITH

// What was read for the first time in nodes that are taken back is unread again.
static void forget_after(plan_name *names, uint32_t node_count)
{
    for (plan_name *name = names; name; name = name->before)
        if (name->state == PLAN_READ && name->relation.node >= node_count)
            name->state = PLAN_UNREAD;
}

void plan_trial_begin(plan_trial *trial, plan_rule *rule)
{
    *trial = (plan_trial){.rule = rule, .before = *rule, .node_count = rule->planner->node_count};
    rule->tried = true;
}

void plan_trial_end(plan_trial *trial, plan_name *names)
{
    plan_rule *rule = trial->rule;
    bool failed = rule->failed, reads_failed = rule->reads_failed;
    *rule = trial->before;
    rule->failed = failed;
    rule->reads_failed = reads_failed;
    rule->planner->node_count = trial->node_count;
    forget_after(names, trial->node_count);
}

// A view or CTE that nobody reads still has to be right: planned, then taken back.
static void check_unread(plan_rule *rule, plan_name *name)
{
    plan_trial trial;
    relation ignored;
    if (name->state != PLAN_UNREAD)
        return;
    name->state = PLAN_READING;
    plan_trial_begin(&trial, rule);
    rule->sorts = name->is_view;
    bool planned = plan_query(rule, name->before, name->query, &ignored);
    rule->failed |= !planned;
    plan_trial_end(&trial, name->before);
    name->state = planned ? PLAN_UNREAD : PLAN_FAILED;
}

void plan_check_unread(plan_rule *rule, plan_name *from, const plan_name *until)
{
    for (plan_name *name = from; name && name != until; name = name->before)
        check_unread(rule, name);
}

plan_name *plan_name_add(plan_rule *rule, plan_name *before, const leat_sql_name *name, const leat_sql_query *query,
                         const leat_sql_names *columns)
{
    plan_name *made = leat_arena_new(rule->arena, plan_name);
    *made = (plan_name){.name = name->text, .query = query, .columns = columns, .before = before};
    return made;
}

static plan_name *add_ctes(plan_rule *rule, plan_name *names, const leat_sql_query *query)
{
    for (uint32_t i = 0; i < query->cte_count; i++)
        names = plan_name_add(rule, names, &query->ctes[i].name, query->ctes[i].query, &query->ctes[i].columns);
    return names;
}

// ---- UNION

static bool is_plain_union(const leat_sql_query *query)
{
    return query->kind == LEAT_SQL_QUERY_SET && query->set.op == LEAT_SQL_UNION && query->set.all &&
           !query->order_by.count && !query->limit && !query->offset && !query->fetch && !query->cte_count;
}

static bool collect_parts(plan_rule *rule, plan_name *names, const leat_sql_query *query, relation *parts,
                          uint32_t *count);

static bool collect_sides(plan_rule *rule, plan_name *names, const leat_sql_query *query, relation *parts,
                          uint32_t *count)
{
    bool left = collect_parts(rule, names, query->set.left, parts, count);
    return collect_parts(rule, names, query->set.right, parts, count) && left;
}

static bool collect_parts(plan_rule *rule, plan_name *names, const leat_sql_query *query, relation *parts,
                          uint32_t *count)
{
    relation rows;
    if (is_plain_union(query))
        return collect_sides(rule, names, query, parts, count);
    if (*count == UNION_MAX)
        return refuse(rule, query->span, "UNION ALL of more than 256 queries");
    return plan_query(rule, names, query, &rows) && plan_materialize(rule, &rows, &parts[(*count)++]);
}

static bool widths_fit(plan_rule *rule, const relation *parts, uint32_t count, leat_sql_span span)
{
    for (uint32_t i = 1; i < count; i++)
        if (parts[i].schema->count != parts[0].schema->count) {
            plan_error(rule, span, "UNION: the first query has %u column%s, query %u has %u", parts[0].schema->count,
                       parts[0].schema->count == 1 ? "" : "s", i + 1, parts[i].schema->count);
            return false;
        }
    return true;
}

static bool distinct_union(plan_rule *rule, const relation *from, leat_sql_span span, relation *out)
{
    plan_item *items = leat_arena_array(rule->arena, plan_item, from->schema->count + 1);
    for (uint32_t i = 0; i < from->schema->count; i++)
        items[i] = (plan_item){plan_column(rule, from, i), from->schema->fields[i].name, NULL};
    return plan_distinct(rule, from, items, from->schema->count, span, "UNION (without ALL)", out);
}

static uint32_t count_parts(const leat_sql_query *query)
{
    return is_plain_union(query) ? count_parts(query->set.left) + count_parts(query->set.right) : 1;
}

static bool plan_set(plan_rule *rule, plan_name *names, const leat_sql_query *query, relation *out)
{
    relation *parts =
                 leat_arena_array(rule->arena, relation, count_parts(query->set.left) + count_parts(query->set.right)),
             both;
    uint32_t count = 0;
    if (query->set.op != LEAT_SQL_UNION)
        return plan_set_operation(rule, names, query, out);
    if (!collect_sides(rule, names, query, parts, &count) || !widths_fit(rule, parts, count, query->span))
        return false;
    if (query->set.all)
        return plan_union(rule, parts, count, query->span, out);
    return plan_union(rule, parts, count, query->span, &both) && distinct_union(rule, &both, query->span, out);
}

// ----

static bool plan_body(plan_rule *rule, plan_name *names, const leat_sql_query *query, plan_source *source,
                      plan_ordering *order, relation *out)
{
    switch (query->kind) {
    case LEAT_SQL_QUERY_SELECT:
        return plan_select(rule, names, query->select, source, order, out);
    case LEAT_SQL_QUERY_TABLE:
        return plan_table(rule, names, &query->table, out);
    case LEAT_SQL_QUERY_SET:
        return plan_set(rule, names, query, out);
    case LEAT_SQL_QUERY_VALUES:
        return refuse(rule, query->span, "VALUES is not in leat: a rule reads a stream");
    }
    return false;
}

static bool without_hidden(plan_rule *rule, const relation *from, uint32_t hidden, leat_sql_span span, relation *out)
{
    uint32_t count = from->schema->count - hidden;
    plan_item *items = leat_arena_array(rule->arena, plan_item, count + 1);
    for (uint32_t i = 0; i < count; i++)
        items[i] = (plan_item){plan_column(rule, from, i), from->schema->fields[i].name, NULL};
    return plan_project(rule, from, items, count, span, out);
}

static bool is_zero(const leat_sql_expr *count)
{
    return count && count->kind == LEAT_SQL_EXPR_LITERAL && leat_slice_is(count->literal.text, "0");
}

// LIMIT 0: the columns and no rows.
static bool nothing_of(plan_rule *rule, const relation *from, const leat_sql_query *query, relation *out)
{
    relation rows;
    leat_expr *never = leat_expr_literal(&rule->expr, leat_type_of(LEAT_KIND_BOOLEAN), (leat_value){.boolean = false});
    return plan_materialize(rule, from, &rows) &&
           plan_filter(rule, &rows, never, query->limit ? "LIMIT 0" : "FETCH FIRST 0",
                       query->limit ? query->limit_span : query->fetch_span, out);
}

// ORDER BY and LIMIT, of the rows with what they are ordered by.
static bool sort(plan_rule *rule, const relation *from, const leat_sql_query *query, const plan_ordering *order,
                 relation *out)
{
    leat_sql_query own = *query;
    relation rows, sorted;
    if (!order->hidden)
        return is_zero(query->limit) || is_zero(query->fetch) ? nothing_of(rule, from, query, out)
                                                              : plan_sorted(rule, from, query, out);
    own.order_by = order->own;
    if (is_zero(query->limit) || is_zero(query->fetch))
        return nothing_of(rule, from, query, &sorted) &&
               without_hidden(rule, &sorted, order->hidden, query->order_span, out);
    return plan_sorted(rule, from, &own, &sorted) && plan_materialize(rule, &sorted, &rows) &&
           without_hidden(rule, &rows, order->hidden, query->order_span, out);
}

// A subquery's rows have no order, as in SQL and in Flink: ORDER BY means something at the end of a rule, of a view, or with LIMIT.
static const leat_sql_query *unsorted(plan_rule *rule, const leat_sql_query *query)
{
    leat_sql_query *plain;
    bool sorts = rule->sorts;
    rule->sorts = false;
    if (sorts || !query->order_by.count || query->limit || query->fetch || query->offset)
        return query;
    plain = leat_arena_new(rule->arena, leat_sql_query);
    *plain = *query;
    plain->order_by = (leat_sql_order){0};
    return plain;
}

bool plan_query_over(plan_rule *rule, plan_name *names, const leat_sql_query *given, plan_source *source, relation *out)
{
    const leat_sql_query *query = unsorted(rule, given);
    if (rule->failed && rule->planner->node_count == LEAT_PLANNER_NODES)
        return false; // told; a query that is planned several times grows with each one in it
    if (query->recursive)
        return refuse(rule, query->span, "WITH RECURSIVE is not in leat, nor in Flink");
    plan_name *inner = add_ctes(rule, names, query);
    plan_ordering order = {.written = &query->order_by};
    relation rows;
    bool planned = plan_body(rule, inner, query, source, &order, &rows);
    plan_check_unread(rule, inner, names);
    return planned && sort(rule, &rows, query, &order, out) && !rule->failed;
}

bool plan_query(plan_rule *rule, plan_name *names, const leat_sql_query *query, relation *out)
{
    return plan_query_over(rule, names, query, NULL, out);
}
