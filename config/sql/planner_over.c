// OVER: the calls of one SELECT, which share one window, and the node that computes them behind the input's columns.
#include "config/sql/planner_over.h"
#include "config/sql/print.h"

#include "operators/core/order_encode.h"

enum { LAG_MAX = 10000 };

struct plan_over_window {
    leat_sql_span span;
    plan_over_order *orders;
    uint32_t order_count;
    leat_expr **keys;
    uint32_t key_count;
    bool range, bounded, framed;
    int64_t preceding;
};

void plan_overs_init(plan_overs *it, plan_rule *rule, const leat_sql_select *select)
{
    *it = (plan_overs){.rule = rule, .select = select};
    it->aggregates = leat_sql_aggregates_new(rule->arena, true);
}

// ---- the window

static const leat_sql_window *named_window(plan_overs *it, leat_sql_binder *binder, const leat_sql_name *name)
{
    for (uint32_t i = 0; i < it->select->window_count; i++)
        if (leat_slice_equal(it->select->windows[i].name.text, name->text))
            return it->select->windows[i].window;
    leat_sql_binder_error(binder, name->span, "there is no window '%.*s'; name it with WINDOW %.*s AS (..)",
                          (int)name->text.size, name->text.data, (int)name->text.size, name->text.data);
    return NULL;
}

// The parts of a window and of those that it starts from.
static bool flatten(plan_overs *it, leat_sql_binder *binder, const leat_sql_window *window, leat_sql_window *out,
                    unsigned depth)
{
    *out = *window;
    if (!leat_sql_name_present(&window->base))
        return true;
    leat_sql_window base;
    const leat_sql_window *named = depth < 16 ? named_window(it, binder, &window->base) : NULL;
    if (!named || !flatten(it, binder, named, &base, depth + 1))
        return false;
    if (!window->partition_by.count)
        out->partition_by = base.partition_by;
    if (!window->order_by.count)
        out->order_by = base.order_by;
    if (window->frame == LEAT_SQL_FRAME_NONE) {
        out->frame = base.frame;
        out->start = base.start;
        out->end = base.end;
    }
    return true;
}

static bool bind_keys(plan_overs *it, leat_sql_binder *binder, const leat_sql_exprs *exprs, plan_over_window *out)
{
    bool bound = true;
    out->keys = leat_arena_array(it->rule->arena, leat_expr *, exprs->count + 1);
    for (uint32_t i = 0; i < exprs->count; i++) {
        leat_expr *key = leat_sql_bind(binder, exprs->items[i]);
        bound &= key != NULL;
        if (key)
            out->keys[out->key_count++] = leat_expr_fold(&it->rule->expr, key);
    }
    return bound;
}

static bool sortable(leat_sql_binder *binder, const leat_expr *expr, leat_sql_span span)
{
    char type[LEAT_TYPE_TEXT];
    if (leat_type_physical(expr->type) != LEAT_PHYSICAL_NESTED)
        return true;
    leat_sql_binder_error(binder, span, "ORDER BY takes values that have an order, found %s",
                          leat_type_print(expr->type, type));
    return false;
}

bool plan_bind_orders(plan_rule *rule, leat_sql_binder *binder, const leat_sql_order *order, plan_over_order **out)
{
    bool bound = true;
    plan_over_order *orders = *out = leat_arena_array(rule->arena, plan_over_order, order->count + 1);
    for (uint32_t i = 0; i < order->count; i++) {
        const leat_sql_order_item *item = &order->items[i];
        leat_expr *expr = leat_sql_bind(binder, item->expr);
        bound &= expr && sortable(binder, expr, item->expr->span);
        orders[i] =
            (plan_over_order){.expr = expr,
                              .label = leat_sql_expr_print(rule->arena, item->expr).data,
                              .span = item->expr->span,
                              .descending = item->descending,
                              .nulls_last = item->nulls == LEAT_SQL_NULLS_DEFAULT ? item->descending
                                                                                  : item->nulls == LEAT_SQL_NULLS_LAST};
    }
    return bound;
}

static bool frame_length(plan_overs *it, leat_sql_binder *binder, const leat_sql_bound *bound, bool range,
                         int64_t *out_length)
{
    leat_type type = leat_type_of(range ? LEAT_KIND_INTERVAL : LEAT_KIND_BIGINT);
    leat_expr *value =
        leat_sql_bind_constant(binder, bound->expr, &type, range ? "RANGE .. PRECEDING" : "ROWS .. PRECEDING");
    (void)it;
    if (!value)
        return false;
    if (value->literal.is_null || value->literal.i64 < 0) {
        leat_sql_binder_error(binder, bound->span,
                              "a frame reaches back by a number of rows or an interval, not below 0");
        return false;
    }
    *out_length = value->literal.i64;
    return true;
}

static bool bind_frame(plan_overs *it, leat_sql_binder *binder, const leat_sql_window *window, plan_over_window *out)
{
    out->framed = window->frame != LEAT_SQL_FRAME_NONE;
    out->range = window->frame != LEAT_SQL_FRAME_ROWS;
    if (!out->framed)
        return true;
    if (window->end.kind != LEAT_SQL_CURRENT_ROW) {
        leat_sql_binder_error(binder, window->end.span,
                              "an OVER window ends with CURRENT ROW: a stream does not know the rows that follow");
        return false;
    }
    if (window->start.kind == LEAT_SQL_UNBOUNDED_PRECEDING)
        return true;
    out->bounded = true;
    if (window->start.kind == LEAT_SQL_CURRENT_ROW)
        return true;
    if (window->start.kind == LEAT_SQL_PRECEDING)
        return frame_length(it, binder, &window->start, out->range, &out->preceding);
    leat_sql_binder_error(binder, window->start.span, "an OVER window starts at rows that precede");
    return false;
}

static bool bind_window(plan_overs *it, leat_sql_binder *binder, const leat_sql_window *written, plan_over_window *out)
{
    leat_sql_window window;
    const char *clause = binder->clause;
    if (!flatten(it, binder, written, &window, 0))
        return false;
    *out = (plan_over_window){.span = written->span};
    binder->clause = "OVER";
    bool bound = bind_keys(it, binder, &window.partition_by, out);
    bound &= plan_bind_orders(it->rule, binder, &window.order_by, &out->orders);
    out->order_count = window.order_by.count;
    bound &= bind_frame(it, binder, &window, out);
    binder->clause = clause;
    return bound;
}

static bool same_windows(const plan_over_window *a, const plan_over_window *b)
{
    bool same = a->key_count == b->key_count && a->order_count == b->order_count && a->range == b->range &&
                a->bounded == b->bounded && a->preceding == b->preceding;
    for (uint32_t i = 0; same && i < a->key_count; i++)
        same = leat_expr_equal(a->keys[i], b->keys[i]);
    for (uint32_t i = 0; same && i < a->order_count; i++)
        same = leat_expr_equal(a->orders[i].expr, b->orders[i].expr) &&
               a->orders[i].descending == b->orders[i].descending && a->orders[i].nulls_last == b->orders[i].nulls_last;
    return same;
}

// ---- calls

static const struct {
    const char *name;
    leat_over_kind kind;
} ranks[] = {{"ROW_NUMBER", LEAT_OVER_ROW_NUMBER}, {"RANK", LEAT_OVER_RANK}, {"DENSE_RANK", LEAT_OVER_DENSE_RANK}};

static bool rank_kind(leat_slice name, leat_over_kind *out_kind)
{
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
        if (leat_slice_is_nocase(name, ranks[i].name)) {
            *out_kind = ranks[i].kind;
            return true;
        }
    return false;
}

static bool bind_rank(leat_sql_binder *binder, const leat_sql_expr *expr, plan_over_window *window,
                      plan_over_call *call)
{
    leat_slice name = expr->call.name.parts[0].text;
    if (expr->call.args.count)
        leat_sql_binder_error(binder, expr->span, "%.*s takes no arguments", (int)name.size, name.data);
    else if (window->framed)
        leat_sql_binder_error(binder, window->span, "%.*s takes no frame: leave ROWS or RANGE out", (int)name.size,
                              name.data);
    else if (!window->order_count)
        leat_sql_binder_error(binder, window->span, "%.*s needs ORDER BY in its OVER window", (int)name.size,
                              name.data);
    else {
        window->range = call->kind != LEAT_OVER_ROW_NUMBER;
        call->type = leat_type_of(LEAT_KIND_BIGINT);
        return true;
    }
    return false;
}

static bool lag_offset(leat_sql_binder *binder, const leat_sql_exprs *args, plan_over_call *call)
{
    leat_type type = leat_type_of(LEAT_KIND_BIGINT);
    call->offset = 1;
    if (args->count < 2)
        return true;
    leat_expr *offset = leat_sql_bind_constant(binder, args->items[1], &type, "the offset of LAG");
    if (!offset)
        return false;
    if (offset->literal.is_null || offset->literal.i64 < 0 || offset->literal.i64 > LAG_MAX) {
        leat_sql_binder_error(binder, args->items[1]->span, "the offset of LAG is from 0 to %d", LAG_MAX);
        return false;
    }
    call->offset = (uint32_t)offset->literal.i64;
    return true;
}

static bool lag_default(leat_sql_binder *binder, const leat_sql_exprs *args, plan_over_call *call)
{
    leat_error error;
    if (args->count < 3)
        return true;
    leat_expr *value = leat_sql_bind(binder, args->items[2]);
    if (!value)
        return false;
    if (leat_expr_coerce(binder->expr, value, call->type, &call->otherwise, &error) == LEAT_OK)
        return true;
    leat_sql_binder_fail(binder, args->items[2]->span, &error);
    return false;
}

static bool bind_lag(leat_sql_binder *binder, const leat_sql_expr *expr, const plan_over_window *window,
                     plan_over_call *call)
{
    const leat_sql_exprs *args = &expr->call.args;
    if (window->framed) {
        leat_sql_binder_error(binder, window->span, "LAG takes no frame: leave ROWS or RANGE out");
        return false;
    }
    if (args->count < 1 || args->count > 3) {
        leat_sql_binder_error(binder, expr->span, "LAG takes a value, an offset and a default: LAG(x, 1, 0)");
        return false;
    }
    call->argument = leat_sql_bind(binder, args->items[0]);
    if (!call->argument)
        return false;
    call->type = call->argument->type;
    return lag_offset(binder, args, call) && lag_default(binder, args, call);
}

static bool bind_over_aggregate(plan_overs *it, leat_sql_binder *binder, const leat_sql_expr *expr,
                                plan_over_call *call)
{
    leat_sql_expr *plain = leat_arena_new(it->rule->arena, leat_sql_expr);
    leat_sql_aggregates *outer = binder->aggregates;
    *plain = *expr;
    plain->call.over = NULL;
    binder->aggregates = it->aggregates;
    leat_expr *column = leat_sql_bind(binder, plain);
    binder->aggregates = outer;
    if (!column)
        return false;
    call->type = column->type;
    call->aggregate = column->column;
    return true;
}

static bool bind_function(plan_overs *it, leat_sql_binder *binder, const leat_sql_expr *expr, plan_over_window *window,
                          plan_over_call *call)
{
    leat_slice name = expr->call.name.parts[expr->call.name.count - 1].text;
    if (rank_kind(name, &call->kind))
        return bind_rank(binder, expr, window, call);
    if (leat_slice_is_nocase(name, "LAG")) {
        call->kind = LEAT_OVER_LAG;
        return bind_lag(binder, expr, window, call);
    }
    if (leat_aggregate_known(name))
        return bind_over_aggregate(it, binder, expr, call);
    leat_sql_binder_error(binder, expr->span,
                          leat_slice_is_nocase(name, "LEAD")
                              ? "%.*s looks at rows that follow, which a stream does not know; LAG looks back"
                              : "%.*s is no function over an OVER window: aggregates, LAG, ROW_NUMBER, RANK and "
                                "DENSE_RANK are",
                          (int)name.size, name.data);
    return false;
}

static leat_expr *bind_over(plan_overs *it, leat_sql_binder *binder, const leat_sql_expr *expr)
{
    plan_over_window *window = leat_arena_new(it->rule->arena, plan_over_window);
    if (it->nested) {
        leat_sql_binder_error(binder, expr->span, "a function over an OVER window does not stand in another one");
        return NULL;
    }
    if (it->count == PLAN_OVERS_MAX) {
        leat_sql_binder_error(binder, expr->span, "a query takes at most %d functions over OVER windows",
                              PLAN_OVERS_MAX);
        return NULL;
    }
    if (!it->calls)
        it->calls = leat_arena_array(it->rule->arena, plan_over_call, PLAN_OVERS_MAX);
    plan_over_call *call = &it->calls[it->count];
    *call = (plan_over_call){.span = expr->span, .label = leat_sql_expr_print(it->rule->arena, expr).data};
    it->nested = true;
    bool bound = bind_window(it, binder, expr->call.over, window) && bind_function(it, binder, expr, window, call);
    it->nested = false;
    if (!bound)
        return NULL;
    if (it->window && !same_windows(it->window, window)) {
        leat_sql_binder_error(binder, expr->call.over->span,
                              "all OVER windows of a SELECT have to be the same (PARTITION BY, ORDER BY and frame; "
                              "ROW_NUMBER counts ROWS); compute the others in a subquery");
        return NULL;
    }
    it->window = it->window ? it->window : window;
    return leat_expr_column(binder->expr, LEAT_SQL_INPUT_OVER, it->count++, call->type);
}

bool plan_over_bind(leat_sql_binder *binder, const leat_sql_expr *expr, leat_expr **out_expr)
{
    if (!expr->call.over)
        return false;
    *out_expr = bind_over(binder->own, binder, expr);
    return true;
}

leat_expr *plan_over_replace(plan_rule *rule, leat_expr *expr, uint32_t first)
{
    if (expr->kind == LEAT_EXPR_COLUMN)
        return expr->input == LEAT_SQL_INPUT_OVER ? leat_expr_column(&rule->expr, 0, first + expr->column, expr->type)
                                                  : expr;
    if (!expr->argument_count)
        return expr;
    leat_expr *copy = leat_arena_alloc_aligned(rule->arena, sizeof *copy, 16);
    *copy = *expr;
    copy->arguments = leat_arena_array(rule->arena, leat_expr *, expr->argument_count);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        copy->arguments[i] = plan_over_replace(rule, expr->arguments[i], first);
    return copy;
}

// ---- over groups: trees brought over the grouping's output

static bool regroup(const plan_group *group, const plan_grouped *grouped, plan_rule *rule,
                    const leat_sql_binder *binder, leat_sql_span span, leat_expr **expr)
{
    if (!*expr)
        return true;
    if (!plan_check_grouped(rule, binder, group, *expr, span))
        return false;
    if (grouped)
        *expr = plan_regroup(rule, group, grouped, *expr);
    return true;
}

static bool regroup_aggregates(plan_overs *it, const leat_sql_binder *binder, const plan_group *group,
                               const plan_grouped *grouped)
{
    bool fits = true;
    leat_error error;
    for (uint32_t i = 0; i < it->aggregates->count; i++) {
        leat_aggregate *aggregate = &it->aggregates->items[i];
        leat_expr **arguments = it->aggregates->arguments[i];
        for (uint32_t k = 0; k < aggregate->argument_count; k++)
            fits &= regroup(group, grouped, it->rule, binder, it->window->span, &arguments[k]);
        fits &= regroup(group, grouped, it->rule, binder, it->window->span, &it->aggregates->filters[i]);
        if (!fits || !grouped)
            continue;
        if (leat_aggregate_resolve(&it->rule->expr, aggregate->name, aggregate->distinct, arguments,
                                   aggregate->argument_count, it->aggregates->filters[i], true, aggregate,
                                   &error) == LEAT_OK)
            continue;
        plan_error(it->rule, it->window->span, "%s", error.message);
        fits = false;
    }
    return fits;
}

bool plan_over_regroup(plan_overs *it, const leat_sql_binder *binder, const plan_group *group,
                       const plan_grouped *grouped)
{
    bool fits = true;
    if (!it->window)
        return true;
    for (uint32_t i = 0; i < it->window->key_count; i++)
        fits &= regroup(group, grouped, it->rule, binder, it->window->span, &it->window->keys[i]);
    for (uint32_t i = 0; i < it->window->order_count; i++)
        fits &= regroup(group, grouped, it->rule, binder, it->window->orders[i].span, &it->window->orders[i].expr);
    for (uint32_t i = 0; i < it->count; i++) {
        fits &= regroup(group, grouped, it->rule, binder, it->calls[i].span, &it->calls[i].argument);
        fits &= regroup(group, grouped, it->rule, binder, it->calls[i].span, &it->calls[i].otherwise);
    }
    return regroup_aggregates(it, binder, group, grouped) && fits;
}

// ---- columns for what is computed

void plan_columns_init(plan_columns *it, plan_rule *rule, const relation *from, uint32_t most)
{
    *it = (plan_columns){.rule = rule, .from = from, .items = leat_arena_array(rule->arena, plan_item, most + 1)};
}

uint32_t plan_columns_of(plan_columns *it, leat_expr *expr, const char *label)
{
    expr = leat_expr_fold(&it->rule->expr, expr);
    if (expr->kind == LEAT_EXPR_COLUMN && expr->input == 0)
        return expr->column;
    for (uint32_t i = 0; i < it->count; i++)
        if (leat_expr_equal(it->items[i].expr, expr))
            return it->from->schema->count + i;
    it->items[it->count] =
        (plan_item){expr, leat_slice_text(leat_arena_format(it->rule->arena, "$%s%u", "value", it->count)), label};
    return it->from->schema->count + it->count++;
}

bool plan_columns_add(plan_columns *it, leat_sql_span span, relation *out)
{
    *out = *it->from;
    return !it->count || plan_extend(it->rule, it->from, it->items, it->count, span, out);
}

leat_order *plan_orders(plan_columns *columns, const plan_over_order *orders, uint32_t count)
{
    leat_order *out = leat_arena_array(columns->rule->arena, leat_order, count + 1);
    for (uint32_t i = 0; i < count; i++)
        out[i] = (leat_order){.column = plan_columns_of(columns, orders[i].expr, orders[i].label),
                              .descending = orders[i].descending,
                              .nulls_last = orders[i].nulls_last};
    return out;
}

const char *plan_orders_label(plan_rule *rule, const char *text, const plan_over_order *orders, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        text = leat_arena_format(rule->arena, "%s%s%s%s", text, i ? ", " : " ORDER BY ", orders[i].label,
                                 orders[i].descending ? " DESC" : "");
    return text;
}

bool plan_state_allowed(plan_rule *rule, leat_sql_span span, const char *what, const char *instead)
{
    if (rule->request->unbounded || rule->request->state_ttl_ms)
        return true;
    plan_error(rule, span, "%s (unbounded state): %s, or set the rule's `state_ttl`, or `unbounded: true`", what,
               instead);
    return false;
}

// ---- the time of an order

plan_time_kind plan_time_of(const relation *from, const leat_expr *expr)
{
    if (expr->kind == LEAT_EXPR_PROCTIME)
        return PLAN_TIME_PROCESSING;
    if (expr->kind == LEAT_EXPR_ROWTIME)
        return PLAN_TIME_EVENT;
    if (expr->kind != LEAT_EXPR_COLUMN || expr->input != 0)
        return PLAN_TIME_NONE;
    if ((int32_t)expr->column == from->schema->proctime)
        return PLAN_TIME_PROCESSING;
    return from->times[expr->column] ? PLAN_TIME_EVENT : PLAN_TIME_NONE;
}

bool plan_has_watermark(plan_rule *rule, const relation *from, leat_sql_span span, const char *what)
{
    if (from->has_watermark || from->bounded)
        return true;
    plan_error(rule, span, "%s: '%s' has no watermark, so that nothing would ever come out; set its `watermark`", what,
               from->stream);
    return false;
}

static bool find_order(plan_overs *it, const relation *from, plan_time_kind *out_time)
{
    if (!it->window->order_count) {
        plan_error(it->rule, it->window->span, "an OVER window needs ORDER BY, such as ORDER BY ts");
        return false;
    }
    *out_time = plan_time_of(from, it->window->orders[0].expr);
    return true;
}

static bool order_by_time(plan_overs *it, const relation *from, const plan_time_kind *out_time)
{
    plan_over_window *window = it->window;
    if (window->orders[0].descending)
        plan_error(it->rule, window->orders[0].span,
                   "an OVER window is ordered by ascending time; descending is for Top-N and deduplication, with the "
                   "ROW_NUMBER filtered in an outer query");
    else if (window->order_count > 1)
        plan_error(it->rule, window->orders[1].span,
                   "an OVER window is ordered by one time attribute and nothing else");
    else
        return *out_time == PLAN_TIME_PROCESSING ||
               plan_has_watermark(it->rule, from, window->orders[0].span, "an OVER window");
    return false;
}

// ---- the node

static bool insert_only(plan_rule *rule, relation *from, leat_sql_span span)
{
    if (plan_inserts(rule, from))
        return true;
    plan_error(rule, span,
               "an OVER window takes new rows only, and its input updates and takes rows back; aggregate "
               "over a window before it");
    return false;
}

static bool bounded_state(plan_overs *it)
{
    const plan_over_window *window = it->window;
    bool by_time = window->range && window->bounded;
    return by_time || !window->key_count ||
           plan_state_allowed(it->rule, window->span, "this OVER window keeps every key for ever",
                              "give it RANGE BETWEEN INTERVAL '..' PRECEDING AND CURRENT ROW");
}

static leat_over_function *functions_of(plan_overs *it, plan_columns *columns)
{
    leat_over_function *functions = leat_arena_array(it->rule->arena, leat_over_function, it->count + 1);
    for (uint32_t i = 0; i < it->count; i++) {
        const plan_over_call *call = &it->calls[i];
        functions[i] = (leat_over_function){.kind = call->kind, .aggregate = call->aggregate, .otherwise = -1};
        if (call->kind != LEAT_OVER_LAG)
            continue;
        functions[i].column = plan_columns_of(columns, call->argument, call->label);
        functions[i].offset = call->offset;
        if (call->otherwise)
            functions[i].otherwise = (int32_t)plan_columns_of(columns, call->otherwise, call->label);
    }
    return functions;
}

// By the clock no row is a peer of another: each is handled by itself, as in Flink.
static void rank_by_clock(leat_over_function *functions, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (functions[i].kind == LEAT_OVER_RANK || functions[i].kind == LEAT_OVER_DENSE_RANK)
            functions[i].kind = LEAT_OVER_ROW_NUMBER;
}

static uint32_t *key_columns(plan_overs *it, plan_columns *columns)
{
    uint32_t *keys = leat_arena_array(it->rule->arena, uint32_t, it->window->key_count + 1);
    for (uint32_t i = 0; i < it->window->key_count; i++)
        keys[i] = plan_columns_of(columns, it->window->keys[i], NULL);
    return keys;
}

static const char *over_label(plan_overs *it, const relation *input, const uint32_t *keys)
{
    const plan_over_window *window = it->window;
    const char *text = "OVER";
    for (uint32_t i = 0; i < window->key_count; i++) {
        leat_slice name = input->schema->fields[keys[i]].name;
        text = leat_arena_format(it->rule->arena, "%s%s%.*s", text, i ? ", " : " BY ", (int)name.size, name.data);
    }
    text = plan_orders_label(it->rule, text, window->orders, window->order_count);
    if (window->bounded)
        text = leat_arena_format(it->rule->arena, "%s %s", text, window->range ? "RANGE" : "ROWS");
    if (window->bounded && window->range)
        text = leat_arena_format(it->rule->arena, "%s %s", text, plan_duration(it->rule, window->preceding));
    else if (window->bounded)
        text = leat_arena_format(it->rule->arena, "%s %lld", text, (long long)window->preceding);
    for (uint32_t i = 0; i < it->count; i++)
        text = leat_arena_format(it->rule->arena, "%s%s%s", text, i ? ", " : ": ", it->calls[i].label);
    return text;
}

static const char *over_bound(plan_overs *it)
{
    const plan_over_window *window = it->window;
    plan_rule *rule = it->rule;
    if (window->bounded && window->range)
        return leat_arena_format(rule->arena, "rows of %s%s", plan_duration(rule, window->preceding),
                                 window->key_count ? " per key" : "");
    const char *rows = window->bounded ? leat_arena_format(rule->arena, "%lld rows", (long long)window->preceding + 1)
                                       : "one accumulator";
    if (!window->key_count)
        return rows;
    return rule->request->state_ttl_ms
               ? leat_arena_format(rule->arena, "%s per key, until %s to half as much more after its last row", rows,
                                   plan_duration(rule, rule->request->state_ttl_ms))
               : leat_arena_format(rule->arena, "%s per key, for ever", rows);
}

static leat_schema *over_schema(plan_overs *it, const relation *input)
{
    leat_field *fields;
    uint32_t count = input->schema->count;
    leat_schema *schema = plan_schema_new(it->rule, count + it->count, &fields);
    memcpy(fields, input->schema->fields, count * sizeof *fields);
    for (uint32_t i = 0; i < it->count; i++)
        fields[count + i] =
            (leat_field){leat_slice_text(leat_arena_format(it->rule->arena, "$over%u", i)), it->calls[i].type};
    schema->rowtime = input->schema->rowtime;
    schema->proctime = input->schema->proctime;
    return schema;
}

static bool over_accumulators(plan_overs *it, const struct leat_accumulators **out_set)
{
    leat_accumulators *set;
    leat_error error;
    *out_set = NULL;
    if (!it->aggregates->count)
        return true;
    if (leat_accumulators_create(it->rule->arena, it->aggregates->items, it->aggregates->count, it->window->bounded,
                                 &set, &error) != LEAT_OK) {
        plan_error(it->rule, it->window->span, "%s", error.message);
        return false;
    }
    *out_set = set;
    return true;
}

relation plan_keyed(plan_rule *rule, const relation *from, leat_plan_node *node, const uint32_t *keys,
                    uint32_t key_count, const leat_schema *schema)
{
    const leat_schema **lists = leat_arena_array(rule->arena, const leat_schema *, 2);
    lists[0] = from->schema;
    lists[1] = schema;
    node->port_count = node->input_count = node->output_count = 1;
    node->port_schemas = lists;
    node->inputs = plan_input(rule, from, key_count ? LEAT_EXCHANGE_KEY : LEAT_EXCHANGE_GLOBAL, keys, key_count);
    node->outputs = lists + 1;
    node->stateful = true;
    relation made = plan_relation_of(rule, plan_node_add(rule, node), 0, schema, from);
    bool *times = (bool *)made.times;
    for (uint32_t i = 0; i < from->schema->count && i < schema->count; i++)
        times[i] = from->times[i];
    made.window_start = from->window_start;
    made.window_end = from->window_end;
    return made;
}

// ---- in an order that is no time

static bool sorted_fits(plan_overs *it)
{
    const plan_over_window *window = it->window;
    plan_rule *rule = it->rule;
    for (uint32_t i = 0; i < it->count; i++)
        if (it->calls[i].kind == LEAT_OVER_LAG) {
            plan_error(rule, it->calls[i].span, "LAG looks back in the order of a time attribute, such as ORDER BY ts");
            return false;
        }
    if (window->orders[0].descending)
        plan_error(rule, window->orders[0].span,
                   "an OVER window is in ascending order, as in Flink; descending is for Top-N: filter by the "
                   "ROW_NUMBER in an outer query, WHERE rownum <= 5");
    else if (window->order_count > 1)
        plan_error(rule, window->orders[1].span, "an OVER window is ordered by one expression, as in Flink");
    else if (window->bounded)
        plan_error(rule, window->span,
                   "an OVER window that reaches back so far is ordered by a time attribute; in another order it begins "
                   "with UNBOUNDED PRECEDING");
    else
        return plan_state_allowed(rule, window->span, "an OVER window in an order that is no time keeps every row",
                                  "order it by a time attribute, or, for Top-N, filter by the ROW_NUMBER in an outer "
                                  "query, WHERE rownum <= 5");
    return false;
}

static const char *sorted_bound(plan_overs *it)
{
    plan_rule *rule = it->rule;
    return rule->request->state_ttl_ms ? leat_arena_format(rule->arena, "all rows%s, until %s after the last one",
                                                           it->window->key_count ? " of each key" : "",
                                                           plan_duration(rule, rule->request->state_ttl_ms))
                                       : "all rows, for ever";
}

static leat_schema *sorted_schema(plan_overs *it, const relation *input)
{
    leat_schema *schema = over_schema(it, input);
    schema->rowtime = -1;
    schema->changelog = LEAT_CHANGELOG_RETRACT;
    schema->key_count = input->schema->key_count;
    schema->key_columns = input->schema->key_columns;
    return schema;
}

static bool plan_over_sorted(plan_overs *it, const relation *given, uint32_t *out_first, relation *out)
{
    plan_rule *rule = it->rule;
    plan_columns columns;
    relation input, rows;
    leat_over_sorted_spec *spec = leat_arena_alloc_aligned(rule->arena, sizeof *spec, 16);
    if (!sorted_fits(it) || !plan_normalized(rule, given, it->window->span, &rows))
        return false;
    plan_columns_init(&columns, rule, &rows, it->window->key_count + 2);
    *spec = (leat_over_sorted_spec){.range = it->window->range,
                                    .key_count = it->window->key_count,
                                    .key_columns = key_columns(it, &columns),
                                    .order = plan_orders(&columns, it->window->orders, 1),
                                    .function_count = it->count,
                                    .functions = functions_of(it, &columns),
                                    .state_ttl_ms = rule->request->state_ttl_ms};
    if (!over_accumulators(it, &spec->accumulators) || !plan_columns_add(&columns, it->window->span, &input))
        return false;
    leat_plan_node node = {.operator_name = "over_sorted",
                           .spec = spec,
                           .label = over_label(it, &input, spec->key_columns),
                           .state_bound = sorted_bound(it)};
    *out = plan_keyed(rule, &input, &node, spec->key_columns, spec->key_count, sorted_schema(it, &input));
    memset((bool *)out->times, 0,
           out->schema->count * sizeof *out->times); // rows are told again and again, long after their time
    out->window_start = out->window_end = -1;
    *out_first = input.schema->count;
    return true;
}

bool plan_over(plan_overs *it, const relation *given, uint32_t *out_first, relation *out)
{
    plan_rule *rule = it->rule;
    plan_columns columns;
    plan_time_kind time;
    relation input, rows = *given, *from = &rows;
    if (!find_order(it, from, &time))
        return false;
    if (time == PLAN_TIME_NONE)
        return plan_over_sorted(it, from, out_first, out);
    if (!insert_only(rule, from, it->window->span) || !order_by_time(it, from, &time) || !bounded_state(it))
        return false;
    plan_columns_init(&columns, rule, from, it->window->key_count + 2 * it->count + 2);
    leat_over_spec *spec = leat_arena_alloc_aligned(rule->arena, sizeof *spec, 16);
    const leat_expr *order = it->window->orders[0].expr;
    *spec = (leat_over_spec){.processing_time = time == PLAN_TIME_PROCESSING,
                             .range = it->window->range,
                             .bounded = it->window->bounded,
                             .preceding = it->window->preceding,
                             .time_column = order->kind == LEAT_EXPR_COLUMN ? (int32_t)order->column : -1,
                             .key_count = it->window->key_count,
                             .key_columns = key_columns(it, &columns),
                             .function_count = it->count,
                             .functions = functions_of(it, &columns),
                             .state_ttl_ms = rule->request->state_ttl_ms};
    spec->aggregate_count = it->aggregates->count;
    if (spec->processing_time)
        rank_by_clock((leat_over_function *)spec->functions, spec->function_count);
    if (!over_accumulators(it, &spec->accumulators) || !plan_columns_add(&columns, it->window->span, &input))
        return false;
    leat_plan_node node = {.operator_name = "over",
                           .spec = spec,
                           .label = over_label(it, &input, spec->key_columns),
                           .state_bound = over_bound(it)};
    *out = plan_keyed(rule, &input, &node, spec->key_columns, spec->key_count, over_schema(it, &input));
    *out_first = input.schema->count;
    return true;
}

// ---- what the ranking takes out of it

bool plan_overs_rank(const plan_overs *it)
{
    return it->count == 1 && (it->calls[0].kind == LEAT_OVER_ROW_NUMBER || it->calls[0].kind == LEAT_OVER_RANK ||
                              it->calls[0].kind == LEAT_OVER_DENSE_RANK);
}

plan_ranking plan_overs_ranking(const plan_overs *it)
{
    const plan_over_window *window = it->window;
    return (plan_ranking){.kind = it->calls[0].kind,
                          .span = it->calls[0].span,
                          .keys = window->keys,
                          .key_count = window->key_count,
                          .orders = window->orders,
                          .order_count = window->order_count};
}
