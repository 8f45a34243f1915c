// Windows: TUMBLE, HOP, CUMULATE and SESSION in FROM and in GROUP BY.
#include "config/sql/planner_state.h"

enum { WINDOW_ARGUMENTS = 5 };

typedef struct window_function {
    const char *name;
    leat_window_kind kind;
    uint32_t required, count;
    const char *arguments[WINDOW_ARGUMENTS];
} window_function;

static const window_function functions[] = {
    {"TUMBLE", LEAT_WINDOW_TUMBLE, 3, 4, {"DATA", "TIMECOL", "SIZE", "OFFSET"}},
    {"HOP", LEAT_WINDOW_HOP, 4, 5, {"DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"}},
    {"CUMULATE", LEAT_WINDOW_CUMULATE, 4, 5, {"DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"}},
    {"SESSION", LEAT_WINDOW_SESSION, 3, 3, {"DATA", "TIMECOL", "GAP"}},
};

static const window_function *function_find(const leat_sql_expr *call)
{
    if (call->kind != LEAT_SQL_EXPR_CALL || call->call.name.count != 1)
        return NULL;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (leat_slice_is_nocase(call->call.name.parts[0].text, functions[i].name))
            return &functions[i];
    return NULL;
}

bool plan_is_window_function(const leat_sql_expr *call) { return function_find(call); }

// ---- sizes

static bool duration(plan_rule *rule, const leat_sql_expr *expr, const char *function, const char *argument,
                     bool positive, int64_t *out_ms)
{
    leat_sql_binder binder;
    plan_binder_init(rule, NULL, function, &binder);
    const char *what = leat_arena_format(rule->arena, "%s: %s", function, argument);
    leat_expr *bound = leat_sql_bind_constant(&binder, expr, NULL, what);
    char type[LEAT_TYPE_TEXT];
    if (!bound)
        return false;
    if (bound->type.kind == LEAT_KIND_INTERVAL_MONTH)
        plan_error(rule, expr->span, "%s: months and years have no fixed length; write days", what);
    else if (bound->type.kind != LEAT_KIND_INTERVAL || bound->literal.is_null)
        plan_error(rule, expr->span, "%s takes an interval, as in INTERVAL '1' MINUTE, found %s", what,
                   leat_type_print(bound->type, type));
    else if (positive && bound->literal.i64 <= 0)
        plan_error(rule, expr->span, "%s has to be positive", what);
    else {
        *out_ms = bound->literal.i64;
        return true;
    }
    return false;
}

// Where a window keeps the duration given as argument i of the function.
static int64_t *duration_place(const window_function *function, leat_window *window, uint32_t i)
{
    const char *name = function->arguments[i];
    if (!strcmp(name, "SIZE"))
        return &window->size_ms;
    if (!strcmp(name, "OFFSET"))
        return &window->offset_ms;
    return strcmp(name, "GAP") ? &window->slide_ms : &window->gap_ms;
}

static bool window_check(plan_rule *rule, const window_function *function, plan_window *out)
{
    const leat_window *window = &out->window;
    bool slides = window->kind == LEAT_WINDOW_HOP || window->kind == LEAT_WINDOW_CUMULATE;
    int64_t step = slides ? window->slide_ms : window->size_ms;
    int64_t offset = window->offset_ms < 0 ? -window->offset_ms : window->offset_ms;
    if (window->size_ms >= LEAT_WINDOW_MS_MAX || window->gap_ms >= LEAT_WINDOW_MS_MAX || step >= LEAT_WINDOW_MS_MAX) {
        plan_error(rule, out->span, "%s: a window of %s is too long", function->name,
                   plan_duration(rule, window->kind == LEAT_WINDOW_SESSION ? window->gap_ms : window->size_ms));
        return false;
    }
    if (slides && window->size_ms / window->slide_ms > LEAT_WINDOWS_OF_ROW) {
        plan_error(rule, out->span, "%s: windows of %s every %s put each row into %lld windows; %d are the most",
                   function->name, plan_duration(rule, window->size_ms), plan_duration(rule, window->slide_ms),
                   (long long)(window->size_ms / window->slide_ms), LEAT_WINDOWS_OF_ROW);
        return false;
    }
    out->aligned = !slides || window->size_ms % window->slide_ms == 0;
    if (window->kind == LEAT_WINDOW_CUMULATE && !out->aligned)
        plan_error(rule, out->span, "CUMULATE: the maximum size (%s) has to be a multiple of the step (%s)",
                   plan_duration(rule, window->size_ms), plan_duration(rule, window->slide_ms));
    else if (window->kind == LEAT_WINDOW_TUMBLE && offset >= step)
        plan_error(rule, out->span, "TUMBLE: the offset (%s) has to be shorter than the size (%s)",
                   plan_duration(rule, window->offset_ms), plan_duration(rule, step));
    else
        return true;
    return false;
}

static const char *window_label(plan_rule *rule, const window_function *function, const plan_window *window,
                                leat_slice time)
{
    const char *text = leat_arena_format(rule->arena, "%s(%.*s", function->name, (int)time.size, time.data);
    if (window->window.kind == LEAT_WINDOW_SESSION)
        return leat_arena_format(rule->arena, "%s, %s)", text, plan_duration(rule, window->window.gap_ms));
    if (window->window.slide_ms)
        text = leat_arena_format(rule->arena, "%s, %s", text, plan_duration(rule, window->window.slide_ms));
    text = leat_arena_format(rule->arena, "%s, %s", text, plan_duration(rule, window->window.size_ms));
    if (window->window.offset_ms)
        text = leat_arena_format(rule->arena, "%s, offset %s", text, plan_duration(rule, window->window.offset_ms));
    return leat_arena_format(rule->arena, "%s)", text);
}

// Windows that slide or grow may be moved by more than their length: what counts is the rest.
static void wrap_offset(leat_window *window)
{
    if (window->kind == LEAT_WINDOW_HOP)
        window->offset_ms %= window->slide_ms;
    if (window->kind == LEAT_WINDOW_CUMULATE)
        window->offset_ms %= window->size_ms;
}

// arguments[2..] are the durations. time_column -1: PROCTIME() itself.
static bool window_fill(plan_rule *rule, const window_function *function, const leat_sql_expr *const *arguments,
                        const relation *input, int32_t time_column, leat_sql_span span, plan_window *out)
{
    bool fits = true, by_clock = time_column < 0 || time_column == input->schema->proctime;
    const leat_field *time = time_column < 0 ? NULL : &input->schema->fields[time_column];
    *out = (plan_window){.window = {.kind = function->kind, .time_column = by_clock ? -1 : time_column},
                         .by_clock = by_clock,
                         .span = span};
    for (uint32_t i = 2; i < function->count; i++)
        if (arguments[i])
            fits &= duration(rule, arguments[i], function->name, function->arguments[i],
                             strcmp(function->arguments[i], "OFFSET"), duration_place(function, &out->window, i));
    if (by_clock || time->type.kind == LEAT_KIND_TIMESTAMP_LTZ)
        out->window.zone = rule->expr.zone;
    if (!fits || !window_check(rule, function, out))
        return false;
    wrap_offset(&out->window);
    out->label = window_label(rule, function, out, time ? time->name : leat_slice_text("PROCTIME()"));
    return true;
}

// ---- FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))

static leat_slice window_column(uint32_t i)
{
    static const char *const names[] = {"window_start", "window_end", "window_time"};
    return leat_slice_text(names[i]);
}

const plan_windows *plan_windows_of(plan_rule *rule, const plan_window *window, const relation *input)
{
    plan_windows *windows = leat_arena_new(rule->arena, plan_windows);
    leat_kind time = window->by_clock || window->window.time_column < 0
                         ? LEAT_KIND_NULL
                         : input->schema->fields[window->window.time_column].type.kind;
    *windows = (plan_windows){window->window, time, window->label};
    return windows;
}

static relation pending_relation(plan_rule *rule, const plan_window *window)
{
    const relation *input = window->input;
    uint32_t count = input->schema->count;
    leat_field *fields;
    leat_schema *schema = plan_schema_new(rule, count + 3, &fields);
    for (uint32_t i = 0; i < count; i++)
        fields[i] = input->schema->fields[i];
    for (uint32_t i = 0; i < 3; i++)
        fields[count + i] = (leat_field){window_column(i), plan_timestamp()};
    if (window->by_clock) {
        fields[count + 2].type = leat_expr_special(&rule->expr, LEAT_EXPR_PROCTIME)->type;
        schema->proctime = (int32_t)count + 2;
    } else {
        fields[count + 2].type = input->schema->fields[window->window.time_column].type;
        schema->rowtime = (int32_t)count + 2;
    }
    schema->changelog = input->schema->changelog;
    relation rows = plan_relation_of(rule, input->node, input->output, schema, input);
    rows.window_start = (int32_t)count;
    rows.window_end = (int32_t)count + 1;
    rows.windows = plan_windows_of(rule, window, input);
    rows.pending = window;
    return rows;
}

static bool arguments_complete(plan_rule *rule, const window_function *function, const leat_sql_expr **arguments,
                               leat_sql_span span)
{
    for (uint32_t i = 0; i < function->required; i++)
        if (!arguments[i]) {
            plan_error(rule, span, "%s lacks its argument %s", function->name, function->arguments[i]);
            return false;
        }
    return true;
}

static bool partition(plan_rule *rule, const window_function *function, const leat_sql_expr *table,
                      const plan_source *source, plan_window *window)
{
    if (table->table.order_by.count) {
        plan_error(rule, table->table.order_by.items[0].expr->span, "%s takes no ORDER BY", function->name);
        return false;
    }
    if (!table->table.is_partitioned)
        return true;
    if (function->kind != LEAT_WINDOW_SESSION) {
        plan_error(rule, table->span, "%s takes no PARTITION BY, only SESSION does; group by the column instead",
                   function->name);
        return false;
    }
    window->key_count = table->table.partition_by.count;
    return plan_key_columns(rule, &table->table.partition_by, source, "PARTITION BY", &window->key_columns);
}

static bool is_window_time(plan_rule *rule, const relation *from, int32_t column, leat_sql_span span, const char *what)
{
    return column == from->schema->proctime || plan_window_time(rule, from, column, span, what);
}

static bool function_time(plan_rule *rule, const relation *from, const leat_sql_expr *descriptor, const char *what,
                          int32_t *out_column)
{
    return plan_descriptor_column(rule, from, descriptor, what, out_column) &&
           is_window_time(rule, from, *out_column, descriptor->descriptor.items[0].span, what);
}

bool plan_window_function(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, relation *out)
{
    const leat_sql_expr *call = table->function.call, *arguments[WINDOW_ARGUMENTS];
    const window_function *function = function_find(call);
    plan_source source;
    int32_t time_column = -1;
    if (!plan_match_arguments(rule, call, function->arguments, function->count, arguments) ||
        !arguments_complete(rule, function, arguments, call->span) ||
        !plan_table_argument(rule, names, arguments[0], &source) ||
        !function_time(rule, &source.relation, arguments[1], function->name, &time_column))
        return false;
    plan_window *window = leat_arena_new(rule->arena, plan_window);
    relation *input = leat_arena_new(rule->arena, relation);
    *input = source.relation;
    if (!window_fill(rule, function, arguments, input, time_column, call->span, window) ||
        !partition(rule, function, arguments[0], &source, window))
        return false;
    window->input = input;
    *out = pending_relation(rule, window);
    return true;
}

// ---- GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE): the form before table functions; HOP(ts, slide, size)

bool plan_group_window(plan_rule *rule, const relation *from, const leat_sql_scope *scope, const leat_sql_expr *call,
                       plan_window *out)
{
    const window_function *function = function_find(call);
    const leat_sql_expr *arguments[WINDOW_ARGUMENTS] = {0};
    uint32_t given = call->call.args.count;
    if (given + 1 < function->required || given + 1 > function->required || call->call.arg_names) {
        plan_error(rule, call->span, "%s in GROUP BY takes the time column and %s, found %u arguments", function->name,
                   function->required == 3 ? "an interval" : "two intervals", given);
        return false;
    }
    LEAT_ASSERT(given >= 2); // no function takes less than its table, a time column and a size
    for (uint32_t i = 0; i < given; i++)
        arguments[i + 1] = call->call.args.items[i];
    leat_sql_binder binder;
    plan_binder_init(rule, scope, "GROUP BY", &binder);
    leat_expr *time = leat_sql_bind(&binder, arguments[1]);
    if (time && time->kind == LEAT_EXPR_PROCTIME)
        return window_fill(rule, function, arguments, from, -1, call->span, out);
    if (time && time->kind == LEAT_EXPR_COLUMN)
        return is_window_time(rule, from, (int32_t)time->column, arguments[1]->span, function->name) &&
               window_fill(rule, function, arguments, from, (int32_t)time->column, call->span, out);
    if (time)
        plan_error(rule, arguments[1]->span, "%s: the time column is expected here", function->name);
    return false;
}
