// Joins as nodes: which operator, its keys, and what the result is.
#include <string.h>

#include "config/sql/planner_join.h"
#include "operators/expr/function.h"

static const int64_t REACH_MAX = INT64_MAX / 8;

static const char *kind_text(leat_join_kind kind)
{
    static const char *const names[] = {"INNER", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI"};
    return names[kind];
}

static bool left_only(const plan_join *join) { return join->kind >= LEAT_JOIN_SEMI; }

// ---- keys

// The key's column of a side; an expression becomes a column of its own behind the others.
static bool key_columns(plan_join *join, unsigned side, uint32_t *columns)
{
    relation *rows = &join->sides[side];
    plan_item *items = leat_arena_array(join->rule->arena, plan_item, join->key_count + 1);
    uint32_t count = 0, first = rows->schema->count;
    for (uint32_t k = 0; k < join->key_count; k++) {
        leat_expr *key = join->keys[side][k];
        columns[k] = key->kind == LEAT_EXPR_COLUMN ? key->column : first + count;
        if (key->kind != LEAT_EXPR_COLUMN)
            items[count++] =
                (plan_item){key, leat_slice_text(leat_arena_format(join->rule->arena, "join key %u", k + 1)),
                            plan_join_text(join->rule, rows->schema, &key, 1)};
    }
    if (!count)
        return true;
    relation before = *rows;
    if (!plan_extend(join->rule, &before, items, count, join->span, rows))
        return false;
    rows->window_start = before.window_start; // columns keep their places
    rows->window_end = before.window_end;
    return true;
}

static bool fill_sides(plan_join *join, leat_join_sides *sides)
{
    uint32_t *columns[2];
    bool *nulls_meet = leat_arena_array(join->rule->arena, bool, join->key_count + 1);
    memcpy(nulls_meet, join->nulls_meet, join->key_count * sizeof *nulls_meet);
    *sides = (leat_join_sides){.kind = join->kind, .key_count = join->key_count, .nulls_meet = nulls_meet};
    for (unsigned side = 0; side < 2; side++) {
        columns[side] = leat_arena_array(join->rule->arena, uint32_t, join->key_count + 1);
        sides->column_counts[side] = join->sides[side].schema->count;
        if (!key_columns(join, side, columns[side]))
            return false;
        sides->key_columns[side] = columns[side];
    }
    const leat_program *condition = NULL;
    if (join->rest && !plan_compile(join->rule, leat_expr_fold(&join->rule->expr, join->rest), join->span, &condition))
        return false;
    sides->condition = condition;
    return true;
}

// ---- the result

static leat_schema *result_schema(const plan_join *join, const leat_join_sides *sides)
{
    leat_field *fields;
    uint32_t left = sides->column_counts[0], right = left_only(join) ? 0 : sides->column_counts[1];
    leat_schema *schema = plan_schema_new(join->rule, left + right, &fields);
    for (uint32_t c = 0; c < left + right; c++)
        fields[c] = join->schema->fields[c];
    return schema;
}

// Time attributes that the result keeps: bit 0 the left side's, bit 1 the right one's.
static void keep_times(const plan_join *join, unsigned which, leat_schema *schema, bool *times)
{
    uint32_t split = join->split;
    for (uint32_t c = 0; c < schema->count; c++) {
        unsigned side = c >= split;
        times[c] = (which >> side & 1) && join->sides[side].times[side ? c - split : c];
        if (times[c] && schema->rowtime < 0)
            schema->rowtime = (int32_t)c;
    }
    for (unsigned side = 0; side < 2; side++) {
        int32_t column = join->sides[side].schema->proctime;
        if (column < 0 || !(which >> side & 1) || schema->proctime >= 0 || (side && left_only(join)))
            continue;
        schema->proctime = side ? column + (int32_t)split : column;
    }
}

typedef struct join_node {
    const char *operator_name;
    const void *spec;
    const leat_join_sides *sides;
    leat_schema *schema;
    const char *what; // "interval [-5s, 6s]"
    const char *state_bound;
    unsigned times; // kept: bits of sides
    uint32_t late_outputs;
} join_node;

static leat_plan_input *inputs_of(plan_join *join, const leat_join_sides *sides)
{
    leat_plan_input *inputs = leat_arena_array(join->rule->arena, leat_plan_input, 2);
    leat_exchange exchange = sides->key_count ? LEAT_EXCHANGE_KEY : LEAT_EXCHANGE_GLOBAL;
    for (uint32_t side = 0; side < 2; side++) {
        inputs[side] =
            *plan_input(join->rule, &join->sides[side], exchange, sides->key_columns[side], sides->key_count);
        inputs[side].port = side;
    }
    return inputs;
}

static void make_node(plan_join *join, const join_node *made, relation *out)
{
    plan_rule *rule = join->rule;
    const leat_schema **ports = leat_arena_array(rule->arena, const leat_schema *, 2);
    const leat_schema **outputs = leat_arena_array(rule->arena, const leat_schema *, 3);
    bool *times = leat_arena_array(rule->arena, bool, made->schema->count + 1);
    keep_times(join, made->times, made->schema, times);
    ports[0] = join->sides[0].schema;
    ports[1] = join->sides[1].schema;
    outputs[0] = made->schema;
    outputs[1] = ports[0];
    outputs[2] = ports[1];
    leat_plan_node node = {.operator_name = made->operator_name,
                           .spec = made->spec,
                           .label = leat_arena_format(rule->arena, "%s JOIN ON %s%s%s", kind_text(join->kind),
                                                      join->text[0] ? join->text : "TRUE", made->what[0] ? ": " : "",
                                                      made->what),
                           .port_count = 2,
                           .port_schemas = ports,
                           .input_count = 2,
                           .inputs = inputs_of(join, made->sides),
                           .output_count = 1 + made->late_outputs,
                           .outputs = outputs,
                           .stateful = true,
                           .state_bound = made->state_bound};
    *out = plan_relation_of(rule, plan_node_add(rule, &node), 0, made->schema, &join->sides[0]);
    out->times = times;
    out->bounded = join->sides[0].bounded && join->sides[1].bounded;
    out->has_watermark = join->sides[0].has_watermark && join->sides[1].has_watermark;
    out->repeats = join->sides[0].repeats || join->sides[1].repeats;
}

// ---- what inputs may be

static bool inserts_only(plan_join *join, const char *what)
{
    for (unsigned side = 0; side < 2; side++)
        if (!plan_inserts(join->rule, &join->sides[side])) {
            plan_error(join->rule, join->span, "%s takes rows that are only inserted; the %s side is updating", what,
                       side ? "right" : "left");
            return false;
        }
    return true;
}

static bool has_watermarks(const plan_join *join, const char *what)
{
    for (unsigned side = 0; side < 2; side++) {
        const relation *rows = &join->sides[side];
        if (rows->has_watermark || rows->bounded)
            continue;
        plan_error(join->rule, join->span, "%s needs a watermark: declare one for '%s'", what,
                   rows->stream ? rows->stream : "its input");
        return false;
    }
    return true;
}

// Updates by key become changes that tell what they replace.
static bool normalize_side(plan_join *join, unsigned side)
{
    relation before = join->sides[side];
    return plan_normalized(join->rule, &before, join->span, &join->sides[side]);
}

static bool normalize(plan_join *join) { return normalize_side(join, 0) && normalize_side(join, 1); }

// ---- window join

static void set_windows(const plan_join *join, relation *out)
{
    unsigned side = join->kind == LEAT_JOIN_RIGHT;
    int32_t first = side ? (int32_t)join->split : 0;
    out->window_start = join->sides[side].window_start + first;
    out->window_end = join->sides[side].window_end + first;
}

bool plan_join_make_window(plan_join *join, relation *out)
{
    leat_join_window_spec *spec = leat_arena_new(join->rule->arena, leat_join_window_spec);
    *spec = (leat_join_window_spec){0};
    if (!inserts_only(join, "a window join") || !has_watermarks(join, "a window join") || !plan_join_sort(join) ||
        !fill_sides(join, &spec->sides))
        return false;
    join_node made = {.operator_name = "join_window",
                      .spec = spec,
                      .sides = &spec->sides,
                      .schema = result_schema(join, &spec->sides),
                      .what = "windows",
                      .state_bound = "rows of open windows",
                      .times = 3};
    make_node(join, &made, out);
    set_windows(join, out);
    return true;
}

// ---- interval join

static const char *interval_text(plan_rule *rule, const plan_bounds *bounds)
{
    return leat_arena_format(rule->arena, "%s [%s, %s]", bounds->processing_time ? "processing time" : "interval",
                             plan_duration(rule, bounds->lower_ms), plan_duration(rule, bounds->upper_ms));
}

static bool reach_fits(const plan_join *join)
{
    const plan_bounds *bounds = &join->bounds;
    bool fits = bounds->lower_ms > -REACH_MAX && bounds->lower_ms < REACH_MAX && bounds->upper_ms > -REACH_MAX &&
                bounds->upper_ms < REACH_MAX;
    if (!fits)
        plan_error(join->rule, join->span, "the interval of the join is too long");
    return fits;
}

bool plan_join_make_interval(plan_join *join, relation *out)
{
    const plan_bounds *bounds = &join->bounds;
    leat_join_interval_spec *spec = leat_arena_new(join->rule->arena, leat_join_interval_spec);
    *spec = (leat_join_interval_spec){0};
    if (!inserts_only(join, "an interval join") || !reach_fits(join) ||
        (!bounds->processing_time && !has_watermarks(join, "an interval join")) || !plan_join_sort(join) ||
        !fill_sides(join, &spec->sides))
        return false;
    spec->lower_ms = bounds->lower_ms;
    spec->upper_ms = bounds->upper_ms;
    spec->time_columns[0] = (int32_t)bounds->columns[0];
    spec->time_columns[1] = (int32_t)bounds->columns[1];
    spec->processing_time = bounds->processing_time;
    const char *text = interval_text(join->rule, bounds);
    join_node made = {.operator_name = "join_interval",
                      .spec = spec,
                      .sides = &spec->sides,
                      .schema = result_schema(join, &spec->sides),
                      .what = text,
                      .state_bound = leat_arena_format(join->rule->arena, "rows within the %s", text),
                      .times = 3};
    make_node(join, &made, out);
    return true;
}

bool plan_join_make_streams(plan_join *join, relation *out)
{
    const plan_bounds *bounds = &join->bounds;
    leat_join_interval_spec *spec = leat_arena_new(join->rule->arena, leat_join_interval_spec);
    *spec = (leat_join_interval_spec){0};
    if (!inserts_only(join, "`join`") || !reach_fits(join) || !has_watermarks(join, "`join`") ||
        !plan_join_sort(join) || !fill_sides(join, &spec->sides))
        return false;
    spec->lower_ms = bounds->lower_ms;
    spec->upper_ms = bounds->upper_ms;
    spec->time_columns[0] = spec->time_columns[1] = -1;
    spec->streams = true;
    const char *text =
        leat_arena_format(join->rule->arena, "right within [%s, %s] of left",
                          plan_duration(join->rule, -bounds->upper_ms), plan_duration(join->rule, -bounds->lower_ms));
    join_node made = {.operator_name = "join_interval",
                      .spec = spec,
                      .sides = &spec->sides,
                      .schema = result_schema(join, &spec->sides),
                      .what = text,
                      .state_bound = "rows within the interval",
                      .late_outputs = 2};
    make_node(join, &made, out);
    return true;
}

// ---- temporal join

static bool key_is_equated(const plan_join *join, uint32_t column)
{
    for (uint32_t k = 0; k < join->key_count; k++)
        if (join->keys[1][k]->kind == LEAT_EXPR_COLUMN && join->keys[1][k]->column == column)
            return true;
    return false;
}

static bool column_is_equated(const plan_join *join, uint32_t column)
{
    for (uint32_t i = 0; i < join->condition_count; i++) {
        const leat_expr *expr = join->conditions[i];
        if (expr->kind != LEAT_EXPR_CALL || expr->argument_count != 2 || strcmp(expr->function->name, "="))
            continue;
        for (unsigned side = 0; side < 2; side++)
            if (expr->arguments[side]->kind == LEAT_EXPR_COLUMN &&
                expr->arguments[side]->column == join->split + column)
                return true;
    }
    return false;
}

static bool key_missing(const plan_join *join, uint32_t column)
{
    leat_slice name = join->sides[1].schema->fields[column].name;
    plan_error(join->rule, join->span, "a temporal join needs an equation with the primary key, also with '%.*s'",
               (int)name.size, name.data);
    return false;
}

// Before the last row of every key is kept for versions that come as updates by key.
static bool key_is_meant(const plan_join *join)
{
    const leat_schema *schema = join->sides[1].schema;
    for (uint32_t k = 0; k < schema->key_count; k++)
        if (!column_is_equated(join, schema->key_columns[k]))
            return key_missing(join, schema->key_columns[k]);
    return true;
}

static bool versions_fit(const plan_join *join, bool processing_time)
{
    const relation *versions = &join->sides[1];
    const leat_schema *schema = versions->schema;
    if (!schema->key_count) {
        plan_error(join->rule, join->span,
                   "a temporal join needs a primary key of '%s', by which its versions follow each other",
                   versions->stream ? versions->stream : "the right side");
        return false;
    }
    for (uint32_t k = 0; k < schema->key_count; k++)
        if (!key_is_equated(join, schema->key_columns[k]))
            return key_missing(join, schema->key_columns[k]);
    if (processing_time || schema->rowtime >= 0)
        return true;
    plan_error(join->rule, join->span,
               "a temporal join needs an event time attribute of '%s': the time of its versions",
               versions->stream ? versions->stream : "the right side");
    return false;
}

// The left row's time, which FOR SYSTEM_TIME AS OF names.
bool plan_join_make_temporal(plan_join *join, const leat_sql_expr *system_time, int32_t time_column, relation *out)
{
    leat_join_temporal_spec *spec = leat_arena_new(join->rule->arena, leat_join_temporal_spec);
    *spec = (leat_join_temporal_spec){0};
    const relation *left = &join->sides[0];
    bool processing_time = left->schema->proctime == time_column, waits = processing_time && join->sides[1].waits;
    // The version of now is replaced by key, whatever it was; a table tells the time at which its rows go.
    bool as_they_are = processing_time || join->sides[1].waits;
    if (!key_is_meant(join) || !normalize_side(join, 0) || (!as_they_are && !normalize_side(join, 1)))
        return false;
    if (!processing_time && !left->times[time_column]) {
        plan_error(join->rule, system_time->span,
                   "FOR SYSTEM_TIME AS OF takes the event time attribute of the left side, or a PROCTIME() column");
        return false;
    }
    if (join->kind > LEAT_JOIN_LEFT) {
        plan_error(join->rule, join->span, "a temporal join is INNER or LEFT, found %s", kind_text(join->kind));
        return false;
    }
    join->temporal = true;
    if (!plan_join_sort(join) || !versions_fit(join, processing_time) ||
        ((!processing_time || waits) && !has_watermarks(join, "a temporal join")) || !fill_sides(join, &spec->sides))
        return false;
    spec->time_columns[0] = time_column;
    spec->time_columns[1] = join->sides[1].schema->rowtime;
    spec->processing_time = processing_time;
    spec->waits = waits;
    spec->state_ttl_ms = join->sides[1].waits ? 0 : join->rule->request->state_ttl_ms; // a table keeps what it holds
    join_node made = {.operator_name = "join_temporal",
                      .spec = spec,
                      .sides = &spec->sides,
                      .schema = result_schema(join, &spec->sides),
                      .what = processing_time ? "the version of now" : "the version of its time",
                      .state_bound = processing_time ? "one version a key"
                                                     : "one version a key, and rows that the watermark has not passed",
                      .times = 1};
    made.schema->changelog = left->schema->changelog;
    made.schema->key_count = left->schema->key_count;
    made.schema->key_columns = left->schema->key_columns;
    make_node(join, &made, out);
    return true;
}

// ---- regular join

static bool bound_is_meant(plan_join *join)
{
    const leat_rule_request *request = join->rule->request;
    const char *missing;
    if (request->unbounded || (join->ttl_ms[0] && join->ttl_ms[1]))
        return true;
    missing = plan_join_missing(join);
    plan_error(join->rule, join->span, "a regular join keeps every row of both sides for ever (unbounded state): %s",
               missing ? missing
                       : "bound the time attributes of both sides (an interval join), join windows, or set the rule's "
                         "`state_ttl`, or `unbounded: true`");
    return false;
}

static leat_changelog changelog_of(const plan_join *join)
{
    bool inserts = join->sides[0].schema->changelog == LEAT_CHANGELOG_INSERT &&
                   join->sides[1].schema->changelog == LEAT_CHANGELOG_INSERT;
    bool stays = join->kind == LEAT_JOIN_INNER || join->kind == LEAT_JOIN_SEMI;
    return inserts && stays ? LEAT_CHANGELOG_INSERT : LEAT_CHANGELOG_RETRACT;
}

// Rows of a pair of keys are told apart by both.
static void join_keys(const plan_join *join, leat_schema *schema)
{
    const leat_schema *left = join->sides[0].schema, *right = join->sides[1].schema;
    if (!left->key_count || (!left_only(join) && !right->key_count) || join->kind == LEAT_JOIN_FULL)
        return;
    uint32_t *columns = leat_arena_array(join->rule->arena, uint32_t, left->key_count + right->key_count);
    for (uint32_t k = 0; k < left->key_count; k++)
        columns[schema->key_count++] = left->key_columns[k];
    for (uint32_t k = 0; k < right->key_count && !left_only(join); k++)
        columns[schema->key_count++] = join->split + right->key_columns[k];
    schema->key_columns = columns;
}

static const char *regular_bound(const plan_join *join)
{
    if (!join->ttl_ms[0] || !join->ttl_ms[1])
        return "every row of both sides, for ever";
    return leat_arena_format(join->rule->arena, "rows written within %s and %s",
                             plan_duration(join->rule, join->ttl_ms[0]), plan_duration(join->rule, join->ttl_ms[1]));
}

bool plan_join_make_regular(plan_join *join, relation *out)
{
    leat_join_regular_spec *spec = leat_arena_new(join->rule->arena, leat_join_regular_spec);
    *spec = (leat_join_regular_spec){0};
    if (!bound_is_meant(join) || !normalize(join) || !plan_join_sort(join) || !fill_sides(join, &spec->sides))
        return false;
    for (unsigned side = 0; side < 2; side++) {
        const leat_schema *schema = join->sides[side].schema;
        spec->unique_counts[side] = schema->key_count;
        spec->unique_columns[side] = schema->key_columns;
        spec->state_ttl_ms[side] = join->ttl_ms[side];
    }
    join_node made = {.operator_name = "join_regular",
                      .spec = spec,
                      .sides = &spec->sides,
                      .schema = result_schema(join, &spec->sides),
                      .what = "",
                      .state_bound = regular_bound(join)};
    made.schema->changelog = changelog_of(join);
    join_keys(join, made.schema);
    make_node(join, &made, out);
    return true;
}

bool plan_join_choose(plan_join *join, relation *out)
{
    if (plan_join_of_windows(join))
        return plan_join_make_window(join, out);
    if (!left_only(join))
        plan_join_find_bounds(join);
    return join->bounds.found ? plan_join_make_interval(join, out) : plan_join_make_regular(join, out);
}
