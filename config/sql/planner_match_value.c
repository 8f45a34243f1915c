// Expressions over the rows of a match: v.column, FIRST and LAST, aggregates, the time of the match.
//
// The binder gives columns of PLAN_MATCH_ROWS_INPUT and up; here each becomes a value that the operator fetches from the match (column of input
// 1), or a column of the row that is tried (CURRENT_INPUT until it is known whether the condition reads nothing else).
#include "config/sql/planner_match.h"
#include "config/sql/print.h"

enum { VALUE_INPUT = 1, CURRENT_INPUT = 4000 };

// ---- stages

void plan_match_begin(plan_rule *rule, const relation *input, bool sql, plan_match *out_match)
{
    *out_match = (plan_match){.rule = rule, .input = input, .sql = sql};
    out_match->spec = leat_arena_new(rule->arena, leat_match_spec);
    out_match->values = leat_arena_alloc_aligned(rule->arena, PLAN_MATCH_VALUES * sizeof *out_match->values, 16);
    for (uint32_t i = 0; i < LEAT_COLUMNS_MAX; i++)
        out_match->kept_of[i] = -1;
    out_match->tables[0] = (leat_sql_scope_table){.schema = input->schema, .input = PLAN_MATCH_ROWS_INPUT};
    out_match->scope = (leat_sql_scope){out_match->tables, 1};
}

uint32_t plan_match_stage(plan_match *match, leat_slice name)
{
    uint32_t stage = match->stage_count++;
    match->stages[stage] = (leat_match_stage){.name = name, .from = 1, .to = 1, .where = -1, .until = -1};
    match->tables[stage + 1] = (leat_sql_scope_table){.alias = name,
                                                      .schema = match->input->schema,
                                                      .input = PLAN_MATCH_ROWS_INPUT + 1 + stage,
                                                      .qualified_only = true};
    match->scope.count = match->stage_count + 1;
    return stage;
}

int plan_match_find_stage(const plan_match *match, leat_slice name)
{
    for (uint32_t i = 0; i < match->stage_count; i++)
        if (leat_slice_equal(match->stages[i].name, name))
            return (int)i;
    return -1;
}

uint32_t plan_match_keep(plan_match *match, uint32_t column)
{
    if (match->kept_of[column] < 0) {
        match->kept_of[column] = (int32_t)match->kept_count;
        match->kept[match->kept_count++] = column;
    }
    return (uint32_t)match->kept_of[column];
}

// ---- values

static bool same_value(const leat_match_value *a, const leat_match_value *b)
{
    return a->kind == b->kind && a->stage == b->stage && a->first == b->first && a->offset == b->offset &&
           a->column == b->column && a->accumulators == b->accumulators;
}

static leat_expr *value_column(plan_match *match, leat_match_value value)
{
    uint32_t i = 0;
    while (i < match->value_count && !same_value(&match->values[i], &value))
        i++;
    if (i == PLAN_MATCH_VALUES)
        return NULL;
    if (i == match->value_count)
        match->values[match->value_count++] = value;
    return leat_expr_column(&match->rule->expr, VALUE_INPUT, i, value.type);
}

static leat_expr *too_many_values(leat_sql_binder *binder, leat_sql_span span)
{
    leat_sql_binder_error(binder, span, "a pattern reads at most %d values of its rows", PLAN_MATCH_VALUES);
    return NULL;
}

static bool is_row_column(const leat_expr *expr)
{
    return expr->kind == LEAT_EXPR_COLUMN && expr->input >= PLAN_MATCH_ROWS_INPUT &&
           expr->input <= PLAN_MATCH_ROWS_INPUT + LEAT_MATCH_STAGES;
}

static int32_t stage_of(const leat_expr *column) { return (int32_t)(column->input - PLAN_MATCH_ROWS_INPUT) - 1; }

// A plain column of a condition, and in SQL that of its own variable, is the row that is tried.
static bool is_current(const plan_match *match, int32_t stage)
{
    if (!match->condition || match->navigating)
        return false;
    return stage < 0 || (match->sql && stage == match->own_stage);
}

static leat_expr *resolve_column(plan_match *match, leat_sql_binder *binder, const leat_expr *column,
                                 leat_sql_span span)
{
    int32_t stage = stage_of(column);
    if (is_current(match, stage))
        return leat_expr_column(&match->rule->expr, CURRENT_INPUT, column->column, column->type);
    leat_match_value value = {.kind = LEAT_MATCH_VALUE_ROW,
                              .type = column->type,
                              .stage = stage,
                              .first = match->navigating && match->first,
                              .offset = match->navigating ? match->offset : 0,
                              .column = plan_match_keep(match, column->column)};
    leat_expr *made = value_column(match, value);
    return made ? made : too_many_values(binder, span);
}

static uint32_t children(const leat_expr *expr)
{
    bool has = expr->kind == LEAT_EXPR_CALL || expr->kind == LEAT_EXPR_CAST || expr->kind == LEAT_EXPR_CASE;
    return has ? expr->argument_count : 0;
}

// Puts values in the place of columns; a tree that hangs at two places is done once.
static leat_expr *resolve(plan_match *match, leat_sql_binder *binder, leat_expr *expr, leat_sql_span span)
{
    if (is_row_column(expr))
        return resolve_column(match, binder, expr, leat_sql_binder_span(binder, expr, span));
    for (uint32_t i = 0; i < children(expr); i++) {
        leat_expr *argument = resolve(match, binder, expr->arguments[i], span);
        if (!argument)
            return NULL;
        expr->arguments[i] = argument;
    }
    return expr;
}

// The one variable that all columns of a tree belong to. False: there are several.
static bool one_stage(const leat_expr *expr, int32_t *inout_stage)
{
    enum { UNSEEN = -2 };
    if (is_row_column(expr)) {
        bool same = *inout_stage == UNSEEN || *inout_stage == stage_of(expr);
        *inout_stage = stage_of(expr);
        return same;
    }
    for (uint32_t i = 0; i < children(expr); i++)
        if (!one_stage(expr->arguments[i], inout_stage))
            return false;
    return true;
}

static leat_slice call_name(const leat_sql_expr *expr) { return expr->call.name.parts[expr->call.name.count - 1].text; }

// ---- FIRST, LAST

static bool navigation_offset(leat_sql_binder *binder, const leat_sql_expr *expr, uint32_t *out_offset)
{
    leat_type bigint = leat_type_of(LEAT_KIND_BIGINT);
    const leat_sql_expr *given = expr->call.args.count > 1 ? expr->call.args.items[1] : NULL;
    *out_offset = 0;
    if (!given)
        return true;
    leat_expr *bound = leat_sql_bind_constant(binder, given, &bigint, "the offset of FIRST and LAST");
    if (bound && (bound->literal.is_null || bound->literal.i64 < 0 || bound->literal.i64 > INT32_MAX)) {
        leat_sql_binder_error(binder, given->span, "the offset of FIRST and LAST is 0 or more");
        return false;
    }
    *out_offset = bound ? (uint32_t)bound->literal.i64 : 0;
    return bound != NULL;
}

static leat_expr *bind_navigation(plan_match *match, leat_sql_binder *binder, const leat_sql_expr *expr)
{
    leat_slice name = call_name(expr);
    int32_t stage = -2;
    if (expr->call.args.count < 1 || expr->call.args.count > 2) {
        leat_sql_binder_error(binder, expr->span,
                              "%.*s takes an expression and how many rows to leave out, found %u arguments",
                              (int)name.size, name.data, expr->call.args.count);
        return NULL;
    }
    if (match->navigating || match->aggregating) {
        leat_sql_binder_error(binder, expr->span, "%.*s may not stand inside %s", (int)name.size, name.data,
                              match->navigating ? "FIRST or LAST" : "an aggregate");
        return NULL;
    }
    uint32_t offset;
    if (!navigation_offset(binder, expr, &offset))
        return NULL;
    match->first = leat_slice_is_nocase(name, "FIRST");
    match->offset = offset;
    match->navigating = true;
    leat_expr *bound = leat_sql_bind(binder, expr->call.args.items[0]);
    bool one = !bound || one_stage(bound, &stage);
    if (!one)
        leat_sql_binder_error(binder, expr->call.args.items[0]->span,
                              "%.*s reads the rows of one variable, found several", (int)name.size, name.data);
    else if (stage == -2 && bound)
        leat_sql_binder_error(binder, expr->call.args.items[0]->span, "%.*s reads a column of the match, found none",
                              (int)name.size, name.data);
    else
        bound = bound ? resolve(match, binder, bound, expr->span) : NULL;
    match->navigating = false;
    return one && stage != -2 ? bound : NULL;
}

// ---- aggregates

static void keep_columns(plan_match *match, leat_expr *expr)
{
    if (is_row_column(expr)) {
        expr->column = plan_match_keep(match, expr->column);
        expr->input = 0;
        return;
    }
    for (uint32_t i = 0; i < children(expr); i++)
        keep_columns(match, expr->arguments[i]);
}

// COUNT(*), COUNT(v.*): no arguments. False after reporting.
static bool star_argument(plan_match *match, leat_sql_binder *binder, const leat_sql_expr *expr, bool *out_star,
                          int32_t *out_stage)
{
    const leat_sql_exprs *args = &expr->call.args;
    *out_star = args->count == 1 && args->items[0]->kind == LEAT_SQL_EXPR_STAR;
    if (!*out_star)
        return true;
    const leat_sql_path *path = &args->items[0]->star;
    *out_stage = path->count ? plan_match_find_stage(match, path->parts[0].text) : -1;
    if (!leat_slice_is_nocase(call_name(expr), "COUNT"))
        leat_sql_binder_error(binder, args->items[0]->span, "only COUNT takes *");
    else if (path->count && *out_stage < 0)
        leat_sql_binder_error(binder, args->items[0]->span, "'%.*s' is no variable of the pattern",
                              (int)path->parts[0].text.size, path->parts[0].text.data);
    else
        return true;
    return false;
}

static leat_expr *add_aggregate(plan_match *match, leat_sql_binder *binder, const leat_sql_expr *expr,
                                leat_expr **arguments, uint32_t count, int32_t stage)
{
    leat_error error;
    leat_accumulators *set;
    leat_aggregate *aggregate = leat_arena_alloc_aligned(match->rule->arena, sizeof *aggregate, 16);
    memset(aggregate, 0, sizeof *aggregate);
    if (leat_aggregate_resolve(&match->rule->expr, call_name(expr), false, arguments, count, NULL, false, aggregate,
                               &error) != LEAT_OK ||
        leat_accumulators_create(match->rule->arena, aggregate, 1, false, &set, &error) != LEAT_OK) {
        leat_sql_binder_fail(binder, expr->span, &error);
        return NULL;
    }
    leat_expr *made = value_column(
        match, (leat_match_value){
                   .kind = LEAT_MATCH_VALUE_AGGREGATE, .type = aggregate->type, .stage = stage, .accumulators = set});
    return made ? made : too_many_values(binder, expr->span);
}

static const char *aggregate_refusal(const plan_match *match, const leat_sql_expr *expr)
{
    if (match->navigating || match->aggregating)
        return match->navigating ? "an aggregate may not stand inside FIRST or LAST"
                                 : "an aggregate may not stand inside another one";
    if (expr->call.distinct)
        return "DISTINCT aggregates of a pattern are not in leat, nor in Flink; collect with ARRAY_AGG and look at the "
               "result";
    if (expr->call.filter)
        return "FILTER is not in leat for aggregates of a pattern, nor in Flink; use CASE in the argument";
    return expr->call.over ? "OVER has no place in a pattern" : NULL;
}

static leat_expr *bind_aggregate(plan_match *match, leat_sql_binder *binder, const leat_sql_expr *expr)
{
    const leat_sql_exprs *args = &expr->call.args;
    const char *refused = aggregate_refusal(match, expr);
    bool star, bound;
    int32_t stage = -2;
    if (refused)
        leat_sql_binder_error(binder, expr->span, "%s", refused);
    if (refused || !star_argument(match, binder, expr, &star, &stage))
        return NULL;
    uint32_t count = star ? 0 : args->count;
    leat_expr **arguments = leat_arena_array(match->rule->arena, leat_expr *, args->count + 1);
    match->aggregating = true;
    bound = star || leat_sql_bind_all(binder, args, arguments);
    match->aggregating = false;
    for (uint32_t i = 0; i < count && bound; i++)
        if (!one_stage(arguments[i], &stage)) {
            leat_sql_binder_error(binder, args->items[i]->span,
                                  "an aggregate reads the rows of one variable, found several");
            bound = false;
        }
    for (uint32_t i = 0; i < count && bound; i++)
        keep_columns(match, arguments[i]);
    return bound ? add_aggregate(match, binder, expr, arguments, count, stage == -2 ? -1 : stage) : NULL;
}

// ---- the match itself

static leat_expr *bind_rowtime(plan_match *match, leat_sql_binder *binder, const leat_sql_expr *expr)
{
    leat_slice name = call_name(expr);
    int32_t time = match->spec->time_column;
    if (match->condition || time < 0 || expr->call.args.count > 1) {
        leat_sql_binder_error(binder, expr->span, "%.*s%s", (int)name.size, name.data,
                              match->condition ? " is known when there is a match: it may stand in the measures only"
                              : time < 0       ? " needs ORDER BY an event time column"
                                               : " takes the time column or nothing");
        return NULL;
    }
    leat_match_value value = {
        .kind = LEAT_MATCH_VALUE_TIME, .type = match->input->schema->fields[time].type, .stage = -1};
    leat_expr *made = value_column(match, value);
    return made ? made : too_many_values(binder, expr->span);
}

static leat_expr *refuse(leat_sql_binder *binder, const leat_sql_expr *expr, const char *instead)
{
    leat_slice name = call_name(expr);
    leat_sql_binder_error(binder, expr->span, "%.*s is not in leat, nor in Flink: %s", (int)name.size, name.data,
                          instead);
    return NULL;
}

static bool named(const leat_sql_expr *expr, const char *name) { return leat_slice_is_nocase(call_name(expr), name); }

static bool own_call(leat_sql_binder *binder, const leat_sql_expr *expr, leat_expr **out_expr)
{
    plan_match *match = binder->own;
    if (named(expr, "FIRST") || named(expr, "LAST"))
        *out_expr = bind_navigation(match, binder, expr);
    else if (named(expr, "PREV") || named(expr, "NEXT"))
        *out_expr =
            refuse(binder, expr, "LAST(column, 1) is the row of the match before; name the row after in the pattern");
    else if (named(expr, "CLASSIFIER"))
        *out_expr = refuse(binder, expr, "read v.column of each variable, or COUNT(v.column) for how many rows it has");
    else if (named(expr, "MATCH_NUMBER"))
        *out_expr = refuse(binder, expr, "count the results in a query over this one");
    else if (!match->timeout && named(expr, "TIMEOUT_ROWTIME"))
        leat_sql_binder_error(binder, expr->span,
                              "TIMEOUT_ROWTIME() belongs to 'timeout' of a pattern; "
                              "MATCH_ROWTIME() is the time of a match");
    else if (named(expr, "MATCH_ROWTIME") || (match->timeout && named(expr, "TIMEOUT_ROWTIME")))
        *out_expr = bind_rowtime(match, binder, expr);
    else if (named(expr, "MATCH_PROCTIME"))
        *out_expr = leat_expr_special(&match->rule->expr, LEAT_EXPR_PROCTIME);
    else if (leat_aggregate_known(call_name(expr)))
        *out_expr = bind_aggregate(match, binder, expr);
    else
        return false;
    return true;
}

// ---- whole expressions

static leat_expr *bind_tree(plan_match *match, const leat_sql_expr *expr, bool condition)
{
    leat_sql_binder binder;
    plan_binder_init(match->rule, &match->scope, match->clause, &binder);
    binder.own_call = own_call;
    binder.own = match;
    match->condition = condition;
    leat_expr *bound = condition ? leat_sql_bind_condition(&binder, expr) : leat_sql_bind(&binder, expr);
    bound = bound ? resolve(match, &binder, bound, expr->span) : NULL;
    match->rule->failed |= !bound;
    return bound;
}

static void find_values(const leat_expr *expr, bool *used)
{
    if (expr->kind == LEAT_EXPR_COLUMN && expr->input == VALUE_INPUT)
        used[expr->column] = true;
    for (uint32_t i = 0; i < children(expr); i++)
        find_values(expr->arguments[i], used);
}

static const uint32_t *used_values(plan_match *match, const leat_expr *expr, uint32_t *out_count)
{
    bool used[PLAN_MATCH_VALUES] = {0};
    uint32_t *list = leat_arena_array(match->rule->arena, uint32_t, match->value_count + 1);
    *out_count = 0;
    find_values(expr, used);
    for (uint32_t i = 0; i < match->value_count; i++)
        if (used[i])
            list[(*out_count)++] = i;
    return list;
}

// The row that is tried as input 0: as it came, or what is kept of it.
static void place_current(plan_match *match, leat_expr *expr, bool as_it_came)
{
    if (expr->kind == LEAT_EXPR_COLUMN && expr->input == CURRENT_INPUT) {
        expr->input = 0;
        expr->column = as_it_came ? expr->column : plan_match_keep(match, expr->column);
    }
    for (uint32_t i = 0; i < children(expr); i++)
        place_current(match, expr->arguments[i], as_it_came);
}

int32_t plan_match_condition(plan_match *match, int32_t stage, const char *clause, const leat_sql_expr *expr)
{
    match->own_stage = stage;
    match->clause = clause;
    leat_expr *bound = bind_tree(match, expr, true);
    if (!bound)
        return -1;
    uint32_t index = match->condition_count++;
    leat_match_condition *condition = &match->conditions[index];
    *condition = (leat_match_condition){.own_stage = match->sql ? stage : -1};
    condition->values = used_values(match, bound, &condition->value_count);
    condition->simple = !condition->value_count && index < PLAN_MATCH_SIMPLE && leat_expr_is_deterministic(bound);
    place_current(match, bound, condition->simple);
    return plan_compile(match->rule, leat_expr_fold(&match->rule->expr, bound), expr->span, &condition->program)
               ? (int32_t)index
               : -1;
}

void plan_match_output_init(plan_match *match, uint32_t capacity, plan_match_output *out_output)
{
    *out_output = (plan_match_output){.capacity = capacity, .rowtime = -1, .proctime = -1};
    out_output->measures = leat_arena_array(match->rule->arena, leat_match_measure, capacity + 1);
    out_output->fields = leat_arena_array(match->rule->arena, leat_field, capacity + 1);
}

bool plan_match_measure(plan_match *match, plan_match_output *output, const char *clause, leat_slice name,
                        const leat_sql_expr *expr)
{
    match->own_stage = -1;
    match->clause = clause;
    leat_expr *bound = bind_tree(match, expr, false);
    if (!bound)
        return false;
    leat_match_measure measure = {.key = -1};
    measure.values = used_values(match, bound, &measure.value_count);
    measure.is_value = bound->kind == LEAT_EXPR_COLUMN && bound->input == VALUE_INPUT;
    bool time = bound->kind == LEAT_EXPR_COLUMN && match->values[bound->column].kind == LEAT_MATCH_VALUE_TIME;
    if (time && output->rowtime < 0)
        output->rowtime = (int32_t)output->count;
    if (bound->kind == LEAT_EXPR_PROCTIME && output->proctime < 0)
        output->proctime = (int32_t)output->count;
    output->fields[output->count] = (leat_field){name, bound->type};
    if (!plan_compile(match->rule, leat_expr_fold(&match->rule->expr, bound), expr->span, &measure.program))
        return false;
    output->measures[output->count++] = measure;
    return true;
}

void plan_match_key(plan_match *match, plan_match_output *output, uint32_t key, uint32_t column)
{
    output->fields[output->count] = match->input->schema->fields[column];
    output->measures[output->count++] = (leat_match_measure){.key = (int32_t)key};
}

// ---- the node

const leat_schema *plan_match_schema(plan_match *match, const plan_match_output *output)
{
    leat_field *fields;
    leat_schema *schema = plan_schema_new(match->rule, output->count, &fields);
    for (uint32_t i = 0; i < output->count; i++)
        fields[i] = output->fields[i];
    plan_schema_unique(match->rule, fields, output->count);
    schema->rowtime = output->rowtime;
    schema->proctime = output->proctime;
    return schema;
}

static void fill_spec(plan_match *match, const plan_match_output *matches, const plan_match_output *timeouts)
{
    leat_arena *arena = match->rule->arena;
    leat_match_spec *spec = match->spec;
    leat_match_stage *stages = leat_arena_array(arena, leat_match_stage, match->stage_count + 1);
    leat_match_condition *conditions = leat_arena_array(arena, leat_match_condition, match->condition_count + 1);
    memcpy(stages, match->stages, match->stage_count * sizeof *stages);
    if (match->condition_count)
        memcpy(conditions, match->conditions, match->condition_count * sizeof *conditions);
    spec->kept = plan_columns_copy(match->rule, match->kept, match->kept_count);
    spec->kept_count = match->kept_count;
    spec->stages = stages;
    spec->stage_count = match->stage_count;
    spec->conditions = conditions;
    spec->condition_count = match->condition_count;
    spec->values = match->values;
    spec->value_count = match->value_count;
    spec->measures = matches->measures;
    spec->measure_count = matches->count;
    spec->timeout_output = timeouts != NULL;
    spec->timeout_measures = timeouts ? timeouts->measures : NULL;
    spec->timeout_measure_count = timeouts ? timeouts->count : 0;
    spec->late_output = match->rule->request->late_output && spec->time_column >= 0 && !match->rule->has_late;
}

static void keep_late(plan_match *match, uint32_t node, uint32_t output)
{
    match->rule->late = *match->input;
    match->rule->late.node = node;
    match->rule->late.output = output;
    match->rule->has_late = true;
}

relation plan_match_node(plan_match *match, const plan_match_output *matches, const plan_match_output *timeouts,
                         const char *label)
{
    plan_rule *rule = match->rule;
    fill_spec(match, matches, timeouts);
    const leat_match_spec *spec = match->spec;
    const leat_schema **outputs = leat_arena_array(rule->arena, const leat_schema *, 3);
    const leat_schema **ports = leat_arena_array(rule->arena, const leat_schema *, 1);
    uint32_t count = 0;
    ports[0] = match->input->schema;
    outputs[count++] = plan_match_schema(match, matches);
    if (timeouts)
        outputs[count++] = plan_match_schema(match, timeouts);
    if (spec->late_output)
        outputs[count++] = match->input->schema;
    const char *per = spec->key_count ? " per key" : "";
    leat_plan_node node = {
        .operator_name = "match",
        .spec = spec,
        .label = label,
        .port_count = 1,
        .port_schemas = ports,
        .input_count = 1,
        .inputs = plan_input(rule, match->input, spec->key_count ? LEAT_EXCHANGE_KEY : LEAT_EXCHANGE_GLOBAL,
                             spec->key_columns, spec->key_count),
        .output_count = count,
        .outputs = outputs,
        .stateful = true,
        .state_bound = spec->within_ms ? leat_arena_format(rule->arena, "partial matches of %s%s",
                                                           plan_duration(rule, spec->within_ms), per)
                                       : leat_arena_format(rule->arena, "partial matches%s, for ever", per)};
    uint32_t index = plan_node_add(rule, &node);
    rule->has_window = true; // late rows and the time of a pattern are known of
    if (timeouts)
        rule->outputs[rule->output_count++] = (leat_rule_output){"timeout", index, 1, outputs[1]};
    if (spec->late_output)
        keep_late(match, index, count - 1);
    return plan_relation_of(rule, index, 0, outputs[0], match->input);
}
