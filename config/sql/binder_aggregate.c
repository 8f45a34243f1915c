// Aggregate calls: collected once each, and standing in the tree as columns of their own input.
#include "config/sql/binder.h"
#include "config/sql/print.h"

#include <string.h>

enum { ARGUMENTS_MAX = 3 };

static leat_slice call_name(const leat_sql_expr *expr) { return expr->call.name.parts[0].text; }

leat_sql_aggregates *leat_sql_aggregates_new(leat_arena *arena, bool retract)
{
    leat_sql_aggregates *aggregates = leat_arena_new(arena, leat_sql_aggregates);
    aggregates->groupings = leat_arena_array(arena, leat_sql_grouping_call, LEAT_SQL_GROUPINGS_MAX);
    aggregates->retract = retract;
    return aggregates;
}

static void *grown(leat_arena *arena, const void *old, size_t size, uint32_t count, uint32_t capacity)
{
    void *array = leat_arena_alloc_aligned(arena, size * capacity, 16);
    if (count)
        memcpy(array, old, size * count);
    return array;
}

static void make_room(leat_arena *arena, leat_sql_aggregates *set)
{
    if (set->count < set->capacity)
        return;
    set->capacity = set->capacity ? set->capacity * 2 : 4;
    set->items = grown(arena, set->items, sizeof *set->items, set->count, set->capacity);
    set->arguments = grown(arena, set->arguments, sizeof *set->arguments, set->count, set->capacity);
    set->filters = grown(arena, set->filters, sizeof *set->filters, set->count, set->capacity);
    set->labels = grown(arena, set->labels, sizeof *set->labels, set->count, set->capacity);
}

// Of two calls; both lists end with a NULL.
static bool same_trees(leat_expr *const *a, leat_expr *const *b)
{
    for (; *a && *b; a++, b++)
        if (!leat_expr_equal(*a, *b))
            return false;
    return *a == *b;
}

static bool same_filter(const leat_expr *a, const leat_expr *b) { return a && b ? leat_expr_equal(a, b) : a == b; }

static bool same_aggregate(const leat_sql_aggregates *set, uint32_t i, const leat_aggregate *aggregate,
                           leat_expr **arguments, const leat_expr *filter)
{
    const leat_aggregate *other = &set->items[i];
    return other->function == aggregate->function && other->distinct == aggregate->distinct &&
           other->argument_count == aggregate->argument_count && same_filter(set->filters[i], filter) &&
           same_trees(set->arguments[i], arguments);
}

static int aggregate_find(const leat_sql_aggregates *set, const leat_aggregate *aggregate, leat_expr **arguments,
                          const leat_expr *filter)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (same_aggregate(set, i, aggregate, arguments, filter))
            return (int)i;
    return -1;
}

static leat_expr *aggregate_column(leat_sql_binder *binder, uint32_t index)
{
    return leat_expr_column(binder->expr, LEAT_SQL_INPUT_AGGREGATE, index, binder->aggregates->items[index].type);
}

static bool takes_numbers(leat_slice name)
{
    static const char *const names[] = {"SUM",    "SUM0",    "AVG",      "STDDEV_POP", "STDDEV_SAMP",
                                        "STDDEV", "VAR_POP", "VAR_SAMP", "VARIANCE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (leat_slice_is_nocase(name, names[i]))
            return true;
    return false;
}

static leat_expr *aggregate_refused(leat_sql_binder *binder, const leat_sql_aggregate_call *call,
                                    const leat_error *error)
{
    leat_slice name = call->name;
    const leat_sql_expr *expr = call->expr;
    char type[LEAT_TYPE_TEXT];
    if (call->count == 1 && takes_numbers(name) && !leat_type_is_numeric(call->arguments[0]->type))
        leat_sql_binder_error(binder, expr->call.args.items[0]->span, "%.*s takes a number, found %s", (int)name.size,
                              name.data, leat_type_print(call->arguments[0]->type, type));
    else
        leat_sql_binder_fail(binder, expr->span, error);
    return NULL;
}

leat_expr *leat_sql_add_aggregate(leat_sql_binder *binder, const leat_sql_aggregate_call *call)
{
    const leat_sql_expr *expr = call->expr;
    leat_expr **arguments = call->arguments, *filter = call->filter;
    leat_sql_aggregates *set = binder->aggregates;
    leat_aggregate aggregate = {0};
    leat_error error;
    leat_code code = leat_aggregate_resolve(binder->expr, call->name, call->distinct, arguments, call->count, filter,
                                            set->retract, &aggregate, &error);
    if (code != LEAT_OK)
        return aggregate_refused(binder, call, &error);
    int same = aggregate_find(set, &aggregate, arguments, filter);
    if (same >= 0)
        return aggregate_column(binder, (uint32_t)same);
    if (set->count == LEAT_SQL_AGGREGATES_MAX) {
        leat_sql_binder_error(binder, expr->span, "a query takes at most %d aggregates", LEAT_SQL_AGGREGATES_MAX);
        return NULL;
    }
    make_room(binder->expr->arena, set);
    set->items[set->count] = aggregate;
    set->arguments[set->count] = arguments;
    set->filters[set->count] = filter;
    set->labels[set->count] = leat_sql_expr_print(binder->expr->arena, expr).data;
    return aggregate_column(binder, set->count++);
}

bool leat_sql_aggregate_allowed(leat_sql_binder *binder, leat_slice name, leat_sql_span span)
{
    if (binder->aggregates)
        return true;
    leat_sql_binder_error(binder, span, "%.*s is an aggregate: it may not stand in %s", (int)name.size, name.data,
                          binder->clause);
    return false;
}

// COUNT(*): no arguments. False when something was reported.
static bool bind_arguments(leat_sql_binder *binder, const leat_sql_expr *expr, leat_expr ***out_arguments,
                           uint32_t *out_count)
{
    const leat_sql_exprs *args = &expr->call.args;
    leat_slice name = call_name(expr);
    bool star = args->count == 1 && args->items[0]->kind == LEAT_SQL_EXPR_STAR;
    bool is_count = leat_slice_is_nocase(name, "COUNT");
    *out_count = star && is_count ? 0 : args->count;
    *out_arguments = leat_arena_array(binder->expr->arena, leat_expr *, args->count + 1);
    if (star && !is_count)
        leat_sql_binder_error(binder, args->items[0]->span, "only COUNT takes *; write %.*s(column)", (int)name.size,
                              name.data);
    else if (*out_count > ARGUMENTS_MAX || (!star && !args->count))
        leat_sql_binder_error(binder, expr->span, "%.*s takes 1 to %d arguments, found %u", (int)name.size, name.data,
                              ARGUMENTS_MAX, args->count);
    else
        return star || leat_sql_bind_all(binder, args, *out_arguments);
    return false;
}

leat_expr *leat_sql_bind_aggregate(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    if (!leat_sql_aggregate_allowed(binder, call_name(expr), expr->span))
        return NULL;
    leat_sql_aggregates *set = binder->aggregates;
    const char *clause = binder->clause;
    leat_expr **arguments, *filter = NULL;
    uint32_t count;
    binder->aggregates = NULL;
    binder->clause = "the argument of another aggregate";
    bool bound = bind_arguments(binder, expr, &arguments, &count);
    if (expr->call.filter) {
        binder->clause = "FILTER";
        filter = leat_sql_bind_condition(binder, expr->call.filter);
        bound &= filter != NULL;
    }
    binder->aggregates = set;
    binder->clause = clause;
    leat_sql_aggregate_call call = {expr, call_name(expr), expr->call.distinct, arguments, count, filter};
    return bound ? leat_sql_add_aggregate(binder, &call) : NULL;
}

// GROUP_ID(): how many grouping sets before the row's are equal to it. A GROUPING of nothing.
leat_expr *leat_sql_bind_group_id(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    if (!leat_sql_aggregate_allowed(binder, call_name(expr), expr->span))
        return NULL;
    leat_sql_aggregates *set = binder->aggregates;
    if (expr->call.args.count || set->grouping_count == LEAT_SQL_GROUPINGS_MAX) {
        leat_sql_binder_error(binder, expr->span, "GROUP_ID takes no arguments");
        return NULL;
    }
    set->groupings[set->grouping_count] = (leat_sql_grouping_call){NULL, 0};
    return leat_expr_column(binder->expr, LEAT_SQL_INPUT_GROUPING, set->grouping_count++,
                            leat_type_of(LEAT_KIND_BIGINT));
}

// GROUPING(a, b): which of them the row's grouping set leaves out, a bit each.
leat_expr *leat_sql_bind_grouping(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    if (!leat_sql_aggregate_allowed(binder, call_name(expr), expr->span))
        return NULL;
    leat_sql_aggregates *set = binder->aggregates;
    uint32_t count = expr->call.args.count;
    leat_expr **arguments = leat_arena_array(binder->expr->arena, leat_expr *, count + 1);
    if (!count || count > 63 || set->grouping_count == LEAT_SQL_GROUPINGS_MAX) {
        leat_sql_binder_error(binder, expr->span, "GROUPING takes columns of GROUP BY");
        return NULL;
    }
    if (!leat_sql_bind_all(binder, &expr->call.args, arguments))
        return NULL;
    set->groupings[set->grouping_count] = (leat_sql_grouping_call){arguments, count};
    return leat_expr_column(binder->expr, LEAT_SQL_INPUT_GROUPING, set->grouping_count++,
                            leat_type_of(LEAT_KIND_BIGINT));
}
