// Aggregation: GROUP BY with a window, by the columns of a window that an earlier aggregation or table function gave, or without.
//
// Windows that the input's rows already belong to ("attached": window_start and window_end are columns of the input) are grouped by
// as keys; what fires them is a window of 1 ms over window_time = window_end - 1, which closes exactly when theirs does, whatever
// kind they are.
#include "config/sql/planner_state.h"

typedef enum group_mode { MODE_UNBOUNDED, MODE_FUNCTION, MODE_ATTACHED, MODE_GROUP_WINDOW } group_mode;

// One aggregation, for all its grouping sets.
typedef struct aggregation {
    const plan_group *group;
    group_mode mode;
    relation input;                   // with computed keys at the end
    uint32_t plain_columns;           // of the input without these
    uint32_t *key_columns;            // of the input, per key
    int start_key, end_key, time_key; // keys that are columns of the window, -1
    leat_window window;
    const char *window_label;
    bool by_clock; // the window is one of processing time
    const struct leat_accumulators *accumulators;
} aggregation;

// ---- which mode

static int key_of_column(const plan_group *group, int32_t column)
{
    for (uint32_t i = 0; column >= 0 && i < group->key_count; i++)
        if (group->keys[i]->kind == LEAT_EXPR_COLUMN && group->keys[i]->input == 0 &&
            (int32_t)group->keys[i]->column == column)
            return (int)i;
    return -1;
}

static bool reads_window(const relation *input, const leat_expr *expr)
{
    bool used[LEAT_COLUMNS_MAX + 8] = {0};
    leat_expr_columns(expr, 0, used);
    uint32_t count = input->schema->count;
    return used[count - 1] || used[count - 2] || used[count - 3];
}

// Keys and aggregates that compute with window_start and the like need the rows themselves.
static bool computes_with_window(const aggregation *it)
{
    const plan_group *group = it->group;
    for (uint32_t i = 0; i < group->key_count; i++)
        if ((int)i != it->start_key && (int)i != it->end_key && (int)i != it->time_key &&
            reads_window(group->input, group->keys[i]))
            return true;
    for (uint32_t i = 0; i < group->aggregates->count; i++) {
        if (group->aggregates->filters[i] && reads_window(group->input, group->aggregates->filters[i]))
            return true;
        for (uint32_t k = 0; k < group->aggregates->items[i].argument_count; k++)
            if (reads_window(group->input, group->aggregates->arguments[i][k]))
                return true;
    }
    return false;
}

static bool is_session_key(const plan_window *window, const leat_expr *key)
{
    for (uint32_t i = 0; i < window->key_count; i++)
        if (key->kind == LEAT_EXPR_COLUMN && key->input == 0 && key->column == window->key_columns[i])
            return true;
    return false;
}

// Sessions are those of PARTITION BY; only where GROUP BY has the same columns is the aggregation one by session.
static bool session_fits(const aggregation *it)
{
    const plan_group *group = it->group;
    const plan_window *window = group->input->pending;
    uint32_t matched = 0;
    if (window->window.kind != LEAT_WINDOW_SESSION)
        return true;
    for (uint32_t i = 0; i < group->key_count; i++) {
        bool of_window = (int)i == it->start_key || (int)i == it->end_key || (int)i == it->time_key;
        if (!of_window && !is_session_key(window, group->keys[i]))
            return false;
        matched += !of_window;
    }
    return matched == window->key_count && group->set_count == 1;
}

static bool one_bound_missing(plan_rule *rule, const aggregation *it)
{
    const char *has = it->start_key >= 0 ? "window_start" : "window_end",
               *lacks = it->start_key >= 0 ? "window_end" : "window_start";
    if ((it->start_key >= 0) == (it->end_key >= 0) || rule->request->unbounded || rule->request->state_ttl_ms)
        return false;
    plan_error(rule, it->group->span, "%s has %s but not %s: a window aggregation needs both", it->group->what, has,
               lacks);
    return true;
}

// Else they are columns like others: an aggregation without a window, as in Flink. Without a word that this is meant it is no window
// aggregation by mistake.
static bool sets_have_window(const aggregation *it)
{
    uint64_t both = UINT64_C(1) << it->start_key | UINT64_C(1) << it->end_key;
    for (uint32_t s = 0; s < it->group->set_count; s++)
        if ((it->group->sets[s] & both) != both)
            return false;
    return true;
}

static bool set_bound_missing(plan_rule *rule, const aggregation *it)
{
    if (rule->request->unbounded || rule->request->state_ttl_ms)
        return false;
    plan_error(rule, it->group->span, "each grouping set needs window_start and window_end");
    return true;
}

// ---- the input

static int32_t rowtime_of(const relation *from)
{
    for (uint32_t i = 0; i < from->schema->count; i++)
        if (from->times[i])
            return (int32_t)i;
    return -1;
}

static bool use_function_window(plan_rule *rule, aggregation *it)
{
    const plan_window *window = it->group->input->pending;
    if (!window->aligned) {
        plan_error(rule, window->span,
                   "an aggregation by HOP needs a size that is a multiple of the slide, as in Flink");
        return false;
    }
    it->mode = MODE_FUNCTION;
    if (!plan_normalized(rule, window->input, window->span, &it->input))
        return false;
    it->window = window->window;
    it->by_clock = window->by_clock;
    it->window_label = window->label;
    return true;
}

static void use_attached_window(aggregation *it)
{
    it->mode = MODE_ATTACHED;
    it->window = (leat_window){.kind = LEAT_WINDOW_TUMBLE, .size_ms = 1, .time_column = rowtime_of(&it->input)};
    it->window_label = "window of the input";
}

static bool choose_mode(plan_rule *rule, aggregation *it)
{
    const relation *from = it->group->input;
    it->start_key = key_of_column(it->group, from->window_start);
    it->end_key = key_of_column(it->group, from->window_end);
    it->time_key = from->pending ? key_of_column(it->group, (int32_t)from->schema->count - 1) : -1;
    if (one_bound_missing(rule, it))
        return false;
    bool windowed = it->start_key >= 0 && it->end_key >= 0;
    if (!it->group->window && windowed && !sets_have_window(it)) {
        if (set_bound_missing(rule, it))
            return false;
        windowed = false;
        it->start_key = it->end_key = -1;
    }
    if (!it->group->window && windowed && from->pending && !computes_with_window(it) && session_fits(it))
        return use_function_window(rule, it);
    it->time_key = -1;
    relation rows;
    if (windowed && from->pending &&
        plan_refuse_clock(
            rule, from,
            "an aggregation that computes with their bounds is not in leat; compute them in a query around"))
        return false;
    if (!plan_materialize(rule, from, &rows) || !plan_normalized(rule, &rows, it->group->span, &it->input))
        return false;
    if (it->group->window) {
        it->mode = MODE_GROUP_WINDOW;
        it->window = it->group->window->window;
        it->by_clock = it->group->window->by_clock;
        it->window_label = it->group->window->label;
    } else if (windowed) {
        use_attached_window(it);
    }
    return true;
}

static bool is_operator_key(const aggregation *it, uint32_t key)
{
    bool of_window = (int)key == it->start_key || (int)key == it->end_key || (int)key == it->time_key;
    return it->mode != MODE_FUNCTION || !of_window;
}

// Computed keys become columns behind the input's own.
static bool add_computed_keys(plan_rule *rule, aggregation *it)
{
    const plan_group *group = it->group;
    plan_item *items = leat_arena_array(rule->arena, plan_item, group->key_count + 1);
    uint32_t count = 0;
    it->plain_columns = it->input.schema->count;
    it->key_columns = leat_arena_array(rule->arena, uint32_t, group->key_count + 1);
    for (uint32_t i = 0; i < group->key_count; i++) {
        if (!is_operator_key(it, i))
            continue;
        if (group->keys[i]->kind == LEAT_EXPR_COLUMN && group->keys[i]->input == 0) {
            it->key_columns[i] = group->keys[i]->column;
            continue;
        }
        it->key_columns[i] = it->plain_columns + count;
        items[count] = (plan_item){group->keys[i], leat_slice_text(leat_arena_format(rule->arena, "$key%u", count)),
                                   group->key_labels[i]};
        count++;
    }
    relation plain = it->input;
    return !count || plan_extend(rule, &plain, items, count, group->span, &it->input);
}

// ---- bounds

static bool has_distinct(const plan_group *group)
{
    for (uint32_t i = 0; i < group->aggregates->count; i++)
        if (group->aggregates->items[i].distinct)
            return true;
    return false;
}

// The columns with the bounds of windows over processing time are columns like others: no watermark says when they are over.
static bool reads_clock_window(const aggregation *it)
{
    const leat_schema *schema = it->group->input->schema;
    if (!it->group->input->by_clock)
        return false;
    for (uint32_t i = 0; i < it->group->key_count; i++) {
        const leat_expr *key = it->group->keys[i];
        if (key->kind == LEAT_EXPR_COLUMN && key->input == 0 &&
            leat_slice_is_nocase(schema->fields[key->column].name, "window_end"))
            return true;
    }
    return false;
}

static bool unbounded_allowed(plan_rule *rule, const aggregation *it)
{
    bool bounded =
        !it->group->key_count && !has_distinct(it->group) && it->input.schema->changelog == LEAT_CHANGELOG_INSERT;
    if (bounded || rule->request->unbounded || rule->request->state_ttl_ms)
        return true;
    if (reads_clock_window(it)) {
        plan_error(
            rule, it->group->span,
            "%s: the bounds of windows over processing time are columns like others, nothing says when they are over; "
            "make windows over the results again, as in TUMBLE(TABLE t, DESCRIPTOR(window_time), ..)",
            it->group->what);
        return false;
    }
    plan_error(rule, it->group->span,
               "%s without a window keeps every key for ever (unbounded state): group by window_start and window_end "
               "of a window, "
               "or set the rule's `state_ttl`, or `unbounded: true`",
               it->group->what);
    return false;
}

static const char *window_bound(plan_rule *rule, const aggregation *it, uint32_t key_count)
{
    const leat_window *window = &it->window;
    const char *lateness =
        rule->request->allowed_lateness_ms
            ? leat_arena_format(rule->arena, " + %s lateness", plan_duration(rule, rule->request->allowed_lateness_ms))
            : "";
    const char *per = key_count ? " per key" : "";
    if (it->mode == MODE_ATTACHED)
        return leat_arena_format(rule->arena, "windows that the input has open%s%s", lateness, per);
    if (window->kind == LEAT_WINDOW_SESSION)
        return leat_arena_format(rule->arena, "open sessions with a gap of %s%s%s", plan_duration(rule, window->gap_ms),
                                 lateness, per);
    return leat_arena_format(rule->arena, "windows of %s%s%s", plan_duration(rule, window->size_ms), lateness, per);
}

static const char *unbounded_bound(plan_rule *rule, uint32_t key_count)
{
    if (!key_count)
        return "one group";
    if (!rule->request->state_ttl_ms)
        return "every key, for ever";
    return leat_arena_format(rule->arena, "every key, until %s after its last change",
                             plan_duration(rule, rule->request->state_ttl_ms));
}

// ---- one node

typedef struct one_set {
    uint32_t key_count;
    uint32_t *columns; // of the input
    uint32_t *keys;    // their places in the group
} one_set;

static one_set set_keys(plan_rule *rule, const aggregation *it, uint64_t set)
{
    one_set out = {.columns = leat_arena_array(rule->arena, uint32_t, it->group->key_count + 1),
                   .keys = leat_arena_array(rule->arena, uint32_t, it->group->key_count + 1)};
    for (uint32_t i = 0; i < it->group->key_count; i++)
        if ((set >> i & 1) && is_operator_key(it, i)) {
            out.keys[out.key_count] = i;
            out.columns[out.key_count++] = it->key_columns[i];
        }
    return out;
}

static const char *set_label(plan_rule *rule, const aggregation *it, const one_set *keys)
{
    const leat_sql_aggregates *aggregates = it->group->aggregates;
    const char *text = it->mode == MODE_UNBOUNDED ? "" : it->window_label;
    for (uint32_t i = 0; i < keys->key_count; i++)
        text = leat_arena_format(rule->arena, "%s%s%s", text,
                                 i       ? ", "
                                 : *text ? " BY "
                                         : "BY ",
                                 it->group->key_labels[keys->keys[i]]);
    for (uint32_t i = 0; i < aggregates->count; i++)
        text = leat_arena_format(rule->arena, "%s%s%s", text, i ? ", " : *text ? ": " : "", aggregates->labels[i]);
    return text;
}

static leat_schema *set_schema(plan_rule *rule, const aggregation *it, const one_set *keys, const relation *input)
{
    const leat_sql_aggregates *aggregates = it->group->aggregates;
    uint32_t count = keys->key_count, window = it->mode == MODE_UNBOUNDED ? 0 : 3;
    leat_field *fields;
    leat_schema *schema = plan_schema_new(rule, count + aggregates->count + window, &fields);
    for (uint32_t i = 0; i < count; i++)
        fields[i] = input->schema->fields[keys->columns[i]];
    for (uint32_t i = 0; i < aggregates->count; i++)
        fields[count + i] = (leat_field){leat_slice_text(aggregates->labels[i]), aggregates->items[i].type};
    if (window) {
        leat_field *last = fields + count + aggregates->count;
        int32_t time = it->window.time_column;
        last[0] = (leat_field){leat_slice_text("window_start"), plan_timestamp()};
        last[1] = (leat_field){leat_slice_text("window_end"), plan_timestamp()};
        last[2] = (leat_field){leat_slice_text("window_time"),
                               time >= 0 ? input->schema->fields[time].type : plan_timestamp()};
        if (it->by_clock)
            last[2].type = leat_expr_special(&rule->expr, LEAT_EXPR_PROCTIME)->type;
        else
            schema->rowtime = (int32_t)schema->count - 1;
    }
    plan_schema_unique(rule, fields, schema->count);
    return schema;
}

static const void *window_spec(plan_rule *rule, const aggregation *it, const one_set *keys, bool late_output)
{
    leat_window_aggregate_spec *spec = leat_arena_alloc_aligned(rule->arena, sizeof *spec, 16);
    *spec = (leat_window_aggregate_spec){.window = it->window,
                                         .key_count = keys->key_count,
                                         .key_columns = keys->columns,
                                         .accumulators = it->accumulators,
                                         .aggregate_count = it->group->aggregates->count,
                                         .allowed_lateness_ms = rule->request->allowed_lateness_ms,
                                         .late_output = late_output,
                                         .input_retracts = it->input.schema->changelog != LEAT_CHANGELOG_INSERT,
                                         .keep_watermark = true};
    if (it->by_clock)
        return plan_clock_spec(rule, spec);
    if (!rule->request->emit)
        return spec;
    return plan_emit_spec(rule, spec, it->group->aggregates, it->input.schema->count);
}

static const void *group_spec(plan_rule *rule, const aggregation *it, const one_set *keys, leat_schema *schema)
{
    bool retracts = it->input.schema->changelog != LEAT_CHANGELOG_INSERT;
    leat_group_aggregate_spec *spec = leat_arena_alloc_aligned(rule->arena, sizeof *spec, 16);
    *spec = (leat_group_aggregate_spec){.key_count = keys->key_count,
                                        .key_columns = keys->columns,
                                        .accumulators = it->accumulators,
                                        .aggregate_count = it->group->aggregates->count,
                                        .input_retracts = retracts,
                                        .emit_before = true,
                                        .state_ttl_ms = rule->request->state_ttl_ms};
    // The first row of a key says all that DISTINCT will ever say of it.
    bool inserts = !retracts && !it->group->aggregates->count && keys->key_count && !rule->request->state_ttl_ms;
    uint32_t *own = leat_arena_array(rule->arena, uint32_t, keys->key_count + 1);
    for (uint32_t i = 0; i < keys->key_count; i++)
        own[i] = i;
    schema->changelog = inserts ? LEAT_CHANGELOG_INSERT : LEAT_CHANGELOG_RETRACT;
    schema->key_count = keys->key_count;
    schema->key_columns = own;
    return spec;
}

static const char *operator_of(const plan_rule *rule, const aggregation *it)
{
    if (it->mode == MODE_UNBOUNDED)
        return "group_aggregate";
    if (it->by_clock || rule->request->emit)
        return "window_stream";
    return it->window.kind == LEAT_WINDOW_SESSION ? "window_session" : "window_time";
}

// Late rows in the columns that the input had.
static bool keep_late(plan_rule *rule, const aggregation *it, uint32_t node)
{
    plan_item *items = leat_arena_array(rule->arena, plan_item, it->plain_columns + 1);
    relation late = it->input;
    late.node = node;
    late.output = 1;
    rule->has_late = true;
    for (uint32_t i = 0; i < it->plain_columns; i++)
        items[i] = (plan_item){plan_column(rule, &it->input, i), it->input.schema->fields[i].name, NULL};
    return plan_project(rule, &late, items, it->plain_columns, it->group->span, &rule->late);
}

// Counts and maxima only rise, minima only fall: what the ranking of groups makes use of.
static const plan_monotone *group_monotone(plan_rule *rule, const aggregation *it, uint32_t key_count)
{
    const leat_sql_aggregates *aggregates = it->group->aggregates;
    plan_monotone *monotone = leat_arena_array(rule->arena, plan_monotone, key_count + aggregates->count + 1);
    for (uint32_t i = 0; i < key_count; i++)
        monotone[i] = PLAN_CONSTANT;
    for (uint32_t i = 0; i < aggregates->count; i++) {
        leat_slice name = aggregates->items[i].name;
        monotone[key_count + i] = leat_slice_is(name, "COUNT") || leat_slice_is(name, "MAX") ? PLAN_RISES
                                  : leat_slice_is(name, "MIN")                               ? PLAN_FALLS
                                                                                             : PLAN_ANY;
    }
    return monotone;
}

// The time of a window of processing time is the time at which its result is read.
static bool read_clock(plan_rule *rule, const aggregation *it, relation *rows)
{
    uint32_t count = rows->schema->count;
    plan_item *items = leat_arena_array(rule->arena, plan_item, count);
    relation from = *rows;
    for (uint32_t i = 0; i < count; i++)
        items[i] = (plan_item){plan_column(rule, &from, i), from.schema->fields[i].name, NULL};
    items[count - 1].expr = leat_expr_special(&rule->expr, LEAT_EXPR_PROCTIME);
    items[count - 1].label = "PROCTIME()";
    if (!plan_project(rule, &from, items, count, it->group->span, rows))
        return false;
    rows->by_clock = true;
    return true;
}

static bool add_node(plan_rule *rule, const aggregation *it, const one_set *keys, relation *out)
{
    bool windowed = it->mode != MODE_UNBOUNDED, late = windowed && rule->request->late_output && !rule->has_late;
    leat_schema *schema = set_schema(rule, it, keys, &it->input);
    const leat_schema **lists = leat_arena_array(rule->arena, const leat_schema *, 3);
    lists[0] = lists[2] = it->input.schema;
    lists[1] = schema;
    leat_exchange exchange = keys->key_count ? LEAT_EXCHANGE_KEY : LEAT_EXCHANGE_GLOBAL;
    leat_plan_node node = {.operator_name = operator_of(rule, it),
                           .spec = windowed ? window_spec(rule, it, keys, late) : group_spec(rule, it, keys, schema),
                           .label = set_label(rule, it, keys),
                           .port_count = 1,
                           .port_schemas = lists,
                           .input_count = 1,
                           .inputs = plan_input(rule, &it->input, exchange, keys->columns, keys->key_count),
                           .output_count = late ? 2 : 1,
                           .outputs = lists + 1,
                           .stateful = true,
                           .state_bound = windowed ? window_bound(rule, it, keys->key_count)
                                                   : unbounded_bound(rule, keys->key_count)};
    uint32_t index = plan_node_add(rule, &node);
    rule->has_window |= windowed;
    *out = plan_relation_of(rule, index, 0, schema, &it->input);
    if (it->by_clock)
        return read_clock(rule, it, out);
    out->repeats = windowed && (rule->request->allowed_lateness_ms > 0 || rule->request->emit);
    if (!windowed && it->input.schema->changelog == LEAT_CHANGELOG_INSERT)
        out->monotone = group_monotone(rule, it, keys->key_count);
    return !late || keep_late(rule, it, index);
}

// ---- one set, or several united

static uint32_t property_column(const aggregation *it, uint32_t first_property, uint32_t key)
{
    return first_property + ((int)key == it->start_key ? 0u : (int)key == it->end_key ? 1u : 2u);
}

static void find_columns(plan_rule *rule, const aggregation *it, const one_set *keys, plan_grouped *out)
{
    uint32_t *columns = leat_arena_array(rule->arena, uint32_t, it->group->key_count + 1);
    out->first_aggregate = keys->key_count;
    out->first_property = it->mode == MODE_UNBOUNDED ? -1 : (int32_t)(keys->key_count + it->group->aggregates->count);
    out->first_grouping = -1;
    for (uint32_t i = 0, at = 0; i < it->group->key_count; i++)
        columns[i] = is_operator_key(it, i) ? at++ : property_column(it, (uint32_t)out->first_property, i);
    out->key_columns = columns;
}

// Which columns of the result bound its window, and which tell its time.
static void mark_window(plan_rule *rule, const aggregation *it, plan_grouped *out)
{
    bool *times = (bool *)out->relation.times;
    if (it->mode == MODE_UNBOUNDED || it->by_clock)
        return;
    out->relation.window_start = out->first_property;
    out->relation.window_end = out->first_property + 1;
    if (it->mode != MODE_ATTACHED) {
        const plan_window *window = it->group->window ? it->group->window : it->group->input->pending;
        out->relation.windows = plan_windows_of(rule, window, &it->input);
        return;
    }
    out->relation.window_start = (int32_t)out->key_columns[it->start_key];
    out->relation.window_end = (int32_t)out->key_columns[it->end_key];
    for (uint32_t i = 0; i < it->group->key_count; i++)
        if (it->key_columns[i] < it->plain_columns && it->input.times[it->key_columns[i]])
            times[out->key_columns[i]] = true;
}

static int64_t equal_sets_before(const plan_group *group, uint32_t index)
{
    int64_t count = 0;
    for (uint32_t s = 0; s < index; s++)
        count += group->sets[s] == group->sets[index];
    return count;
}

static leat_expr *grouping_value(plan_rule *rule, const aggregation *it, const leat_sql_grouping_call *call,
                                 uint32_t index)
{
    uint64_t set = it->group->sets[index];
    int64_t bits = call->count ? 0 : equal_sets_before(it->group, index);
    for (uint32_t a = 0; a < call->count; a++) {
        uint32_t key = 0;
        while (key < it->group->key_count && !leat_expr_equal(it->group->keys[key], call->arguments[a]))
            key++;
        if (key == it->group->key_count) {
            plan_error(rule, it->group->span, "GROUPING takes columns of GROUP BY");
            return NULL;
        }
        bits = bits << 1 | !(set >> key & 1);
    }
    return leat_expr_literal(&rule->expr, leat_type_of(LEAT_KIND_BIGINT), (leat_value){.i64 = bits});
}

// The common columns of all sets: every key (NULL where the set leaves it out), aggregates, window, GROUPING calls.
static bool canonical(plan_rule *rule, const aggregation *it, const relation *from, const one_set *keys, uint32_t index,
                      relation *out)
{
    const plan_group *group = it->group;
    uint64_t set = group->sets[index];
    uint32_t rest = from->schema->count - keys->key_count, count = 0, taken = 0;
    plan_item *items =
        leat_arena_array(rule->arena, plan_item, group->key_count + rest + group->aggregates->grouping_count + 1);
    for (uint32_t i = 0; i < group->key_count; i++) {
        if (!is_operator_key(it, i))
            continue;
        leat_slice name = leat_slice_text(group->key_labels[i]);
        bool in_set = set >> i & 1;
        leat_expr *expr = in_set ? plan_column(rule, from, taken++)
                                 : leat_expr_literal(&rule->expr, group->keys[i]->type, leat_value_null());
        items[count++] = (plan_item){expr, name, in_set ? NULL : "NULL"};
    }
    for (uint32_t i = 0; i < rest; i++)
        items[count++] = (plan_item){plan_column(rule, from, taken + i), from->schema->fields[taken + i].name, NULL};
    for (uint32_t i = 0; i < group->aggregates->grouping_count; i++) {
        leat_expr *value = grouping_value(rule, it, &group->aggregates->groupings[i], index);
        if (!value)
            return false;
        items[count++] = (plan_item){value, leat_slice_text(leat_arena_format(rule->arena, "$grouping%u", i)), NULL};
    }
    return plan_project(rule, from, items, count, group->span, out);
}

static bool unite_sets(plan_rule *rule, const aggregation *it, plan_grouped *out)
{
    const plan_group *group = it->group;
    relation *parts = leat_arena_array(rule->arena, relation, group->set_count);
    one_set all = set_keys(rule, it, UINT64_MAX);
    for (uint32_t s = 0; s < group->set_count; s++) {
        one_set keys = set_keys(rule, it, group->sets[s]);
        relation one;
        if (!add_node(rule, it, &keys, &one) || !canonical(rule, it, &one, &keys, s, &parts[s]))
            return false;
    }
    find_columns(rule, it, &all, out);
    uint32_t before = all.key_count + group->aggregates->count + (it->mode == MODE_UNBOUNDED ? 0 : 3);
    out->first_grouping = group->aggregates->grouping_count ? (int32_t)before : -1;
    out->relation = parts[0];
    return group->set_count == 1 || plan_union(rule, parts, group->set_count, group->span, &out->relation);
}

static bool one_group(plan_rule *rule, const aggregation *it, plan_grouped *out)
{
    one_set keys = set_keys(rule, it, it->group->sets[0]);
    relation one;
    find_columns(rule, it, &keys, out);
    if (!add_node(rule, it, &keys, &one))
        return false;
    out->relation = one;
    return true;
}

static bool repeats_refused(plan_rule *rule, const aggregation *it)
{
    if (it->input.repeats)
        plan_error(rule, it->group->span,
                   "with `%s` a window repeats its result, which this aggregation would count twice; "
                   "put it into a rule of its own",
                   rule->request->emit ? rule->request->emit->key : "allowed_lateness");
    return it->input.repeats;
}

bool plan_group_by(plan_rule *rule, plan_group *group, plan_grouped *out)
{
    aggregation it = {.group = group};
    leat_accumulators *accumulators;
    leat_error error;
    if (!choose_mode(rule, &it))
        return false;
    // Rows that a window gave when it closed are not taken back: those to come are better final.
    if (it.mode != MODE_UNBOUNDED && plan_inserts(rule, &it.input))
        group->aggregates->retract = false;
    if (repeats_refused(rule, &it) || (it.by_clock && !plan_clock_fits(rule, group->span)) ||
        (it.mode != MODE_UNBOUNDED && !plan_emit_fits(rule, group->span, it.mode == MODE_ATTACHED,
                                                      it.input.schema->changelog != LEAT_CHANGELOG_INSERT)) ||
        (it.mode == MODE_UNBOUNDED && !unbounded_allowed(rule, &it)) || !add_computed_keys(rule, &it))
        return false;
    if (leat_accumulators_create(rule->arena, group->aggregates->items, group->aggregates->count,
                                 group->aggregates->retract, &accumulators, &error) != LEAT_OK) {
        plan_error(rule, group->span, "%s", error.message);
        return false;
    }
    it.accumulators = accumulators;
    bool single = group->set_count == 1 && !group->aggregates->grouping_count;
    if (single ? !one_group(rule, &it, out) : !unite_sets(rule, &it, out))
        return false;
    mark_window(rule, &it, out);
    return true;
}

// ---- over the result

static int key_of_tree(const plan_group *group, const leat_expr *expr)
{
    for (uint32_t i = 0; i < group->key_count; i++)
        if (leat_expr_equal(group->keys[i], expr))
            return (int)i;
    return -1;
}

static bool has_number_key(const plan_group *group)
{
    for (uint32_t i = 0; i < group->key_count; i++)
        if (group->keys[i]->kind == LEAT_EXPR_LITERAL && leat_type_is_numeric(group->keys[i]->type))
            return true;
    return false;
}

bool plan_check_grouped(plan_rule *rule, const leat_sql_binder *binder, const plan_group *group, const leat_expr *expr,
                        leat_sql_span span)
{
    bool fits = true;
    if (key_of_tree(group, expr) >= 0)
        return true;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        fits &= plan_check_grouped(rule, binder, group, expr->arguments[i], span);
    if (expr->kind != LEAT_EXPR_COLUMN || expr->input != 0)
        return fits;
    leat_slice name = group->input->schema->fields[expr->column].name;
    plan_error(rule, leat_sql_binder_span(binder, expr, span),
               "column '%.*s' is neither in GROUP BY nor inside an aggregate%s", (int)name.size, name.data,
               has_number_key(group) ? "; a number in GROUP BY is a constant, not the column of that place" : "");
    return false;
}

static leat_expr *regroup_column(plan_rule *rule, const plan_grouped *grouped, const leat_expr *expr)
{
    bool aggregate = expr->input == LEAT_SQL_INPUT_AGGREGATE, window = expr->input == LEAT_SQL_INPUT_WINDOW;
    if (expr->input == LEAT_SQL_INPUT_OVER ||
        expr->input == LEAT_SQL_INPUT_QUERY) // of planner_over.c, planner_scalar.c
        return (leat_expr *)expr;
    LEAT_ASSERT(aggregate || window || expr->input == LEAT_SQL_INPUT_GROUPING);
    uint32_t first =
        aggregate ? grouped->first_aggregate : (uint32_t)(window ? grouped->first_property : grouped->first_grouping);
    return leat_expr_column(&rule->expr, 0, first + expr->column, expr->type);
}

leat_expr *plan_regroup(plan_rule *rule, const plan_group *group, const plan_grouped *grouped, leat_expr *expr)
{
    int key = key_of_tree(group, expr);
    if (key >= 0)
        return leat_expr_column(&rule->expr, 0, grouped->key_columns[key], expr->type);
    if (expr->kind == LEAT_EXPR_COLUMN)
        return regroup_column(rule, grouped, expr);
    if (!expr->argument_count)
        return expr;
    leat_expr *copy = leat_arena_alloc_aligned(rule->arena, sizeof *copy, 16);
    *copy = *expr;
    copy->arguments = leat_arena_array(rule->arena, leat_expr *, expr->argument_count);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        copy->arguments[i] = plan_regroup(rule, group, grouped, expr->arguments[i]);
    return copy;
}
