#include "config/sql/planner_state.h"

leat_planner *leat_planner_create(const leat_planner_options *options)
{
    leat_planner *planner = leat_arena_new(options->arena, leat_planner);
    planner->options = *options;
    return planner;
}

void leat_planner_miss_functions(leat_planner *planner) { planner->options.functions_missing = true; }

// ---- streams

static plan_stream *stream_new(leat_planner *planner)
{
    if (planner->stream_count == planner->stream_capacity) {
        uint32_t capacity = planner->stream_capacity ? planner->stream_capacity * 2 : 32;
        plan_stream *streams = leat_arena_array(planner->options.arena, plan_stream, capacity);
        if (planner->stream_count)
            memcpy(streams, planner->streams, sizeof *streams * planner->stream_count);
        planner->streams = streams;
        planner->stream_capacity = capacity;
    }
    return &planner->streams[planner->stream_count++];
}

void leat_planner_add_stream(leat_planner *planner, const leat_planner_stream *stream)
{
    plan_stream *added = stream_new(planner);
    const leat_schema *schema = stream->schema;
    bool *times = leat_arena_array(planner->options.arena, bool, schema->count + 1);
    if (schema->rowtime >= 0)
        times[schema->rowtime] = true;
    *added = (plan_stream){.stream = *stream,
                           .relation = {.node = stream->node,
                                        .output = stream->output,
                                        .schema = schema,
                                        .times = times,
                                        .window_start = -1,
                                        .window_end = -1,
                                        .bounded = stream->bounded,
                                        .has_watermark = stream->has_watermark,
                                        .waits = stream->waits,
                                        .stream = stream->name}};
}

void leat_planner_add_failed(leat_planner *planner, const char *name)
{
    plan_stream *added = stream_new(planner);
    *added = (plan_stream){.stream = {.name = name}, .failed = true};
}

const leat_planner_stream *leat_planner_find_stream(const leat_planner *planner, leat_slice name)
{
    for (uint32_t i = 0; i < planner->stream_count; i++)
        if (!planner->streams[i].failed && leat_slice_is(name, planner->streams[i].stream.name))
            return &planner->streams[i].stream;
    return NULL;
}

leat_sql_diagnostics *plan_ignored(plan_rule *rule)
{
    if (!rule->ignored)
        rule->ignored = leat_arena_new(rule->arena, leat_sql_diagnostics);
    rule->ignored->count = 0;
    return rule->ignored;
}

// ---- one rule's script

static void rule_init(plan_rule *rule, leat_planner *planner, const leat_rule_request *request,
                      leat_sql_diagnostics *diagnostics)
{
    *rule = (plan_rule){.planner = planner,
                        .arena = planner->options.arena,
                        .request = request,
                        .diagnostics = diagnostics,
                        .expr = {.arena = planner->options.arena, .zone = planner->options.zone},
                        .first_node = planner->node_count};
}

static plan_name *add_view(plan_rule *rule, plan_name *views, const leat_sql_statement *statement)
{
    const leat_sql_name *name = &statement->target.parts[statement->target.count - 1];
    for (plan_name *view = views; view; view = view->before)
        if (leat_slice_equal(view->name, name->text)) {
            plan_error(rule, name->span, "there are two views named '%.*s'", (int)name->text.size, name->text.data);
            return views;
        }
    plan_name *made = plan_name_add(rule, views, name, statement->query, &statement->columns);
    made->is_view = true;
    return made;
}

// The views in order, and the one query.
static const leat_sql_query *read_statements(plan_rule *rule, plan_name **out_views)
{
    const leat_sql_script *script = rule->request->script;
    const leat_sql_query *query = NULL;
    for (uint32_t i = 0; i < script->count; i++) {
        const leat_sql_statement *statement = &script->statements[i];
        if (statement->kind == LEAT_SQL_STATEMENT_INSERT)
            plan_error(rule, statement->span,
                       "INSERT INTO is not needed: write the query alone, the rule's `to` names its sinks");
        else if (statement->kind == LEAT_SQL_STATEMENT_CREATE_VIEW && !query)
            *out_views = add_view(rule, *out_views, statement);
        else if (query)
            plan_error(rule, statement->span,
                       "a rule ends with its one query; put what follows into a rule of its own");
        else
            query = statement->query;
    }
    if (!query && !rule->failed)
        plan_error(rule, script->count ? script->statements[script->count - 1].span : (leat_sql_span){0},
                   "a rule needs a query: SELECT .. FROM ..");
    return query;
}

static bool check_lateness(plan_rule *rule, const leat_sql_query *query)
{
    const leat_rule_request *request = rule->request;
    if (!rule->has_window && request->emit)
        plan_error(rule, query->span, "`%s` is set, but this rule has no window aggregation", request->emit->key);
    if (rule->has_window || (!request->allowed_lateness_ms && !request->late_output))
        return rule->has_window || !request->emit;
    plan_error(rule, query->span, "%s is set, but nothing in this rule drops late rows: it has no window aggregation",
               request->allowed_lateness_ms ? "`allowed_lateness`" : "`late_to`");
    return false;
}

// Every rule has a node of its own at its end, so that its stream is told from its source's.
static bool own_node(plan_rule *rule, relation *rows, leat_sql_span span)
{
    if (rows->node >= rule->first_node && plan_node_schema(rule, rows) == rows->schema)
        return true;
    leat_project_spec *spec = leat_arena_new(rule->arena, leat_project_spec);
    const leat_program **programs = leat_arena_array(rule->arena, const leat_program *, rows->schema->count + 1);
    for (uint32_t i = 0; i < rows->schema->count; i++)
        if (!plan_compile(rule, plan_column(rule, rows, i), span, &programs[i]))
            return false;
    *spec = (leat_project_spec){.count = rows->schema->count, .programs = (const struct leat_program *const *)programs};
    relation own = plan_chain(rule, rows, "project", spec, rows->schema, "*");
    rows->node = own.node;
    rows->output = 0;
    return true;
}

static bool plan_script(plan_rule *rule, relation *out)
{
    plan_name *views = NULL;
    relation rows;
    const leat_sql_query *query = read_statements(rule, &views);
    if (!query)
        return false;
    rule->sorts = true;
    bool planned = plan_query(rule, views, query, &rows) && plan_materialize(rule, &rows, out);
    plan_check_unread(rule, views, NULL);
    return planned && !rule->failed && check_lateness(rule, query) && own_node(rule, out, query->span);
}

static bool plan_form(plan_rule *rule, relation *out)
{
    const leat_rule_form *form = rule->request->form;
    return form->plan(rule, form, out) && !rule->failed && own_node(rule, out, (leat_sql_span){0});
}

static void fill_result(const plan_rule *rule, const relation *rows, leat_rule_result *out_result)
{
    bool outputs_used = rule->output_count > 0;
    *out_result = (leat_rule_result){.node = rows->node,
                                     .output = rows->output,
                                     .schema = rows->schema,
                                     .bounded = rows->bounded,
                                     .has_watermark = rows->has_watermark,
                                     .late_node = rule->has_late ? rule->late.node : UINT32_MAX,
                                     .late_output = rule->has_late ? rule->late.output : 0,
                                     .late_schema = rule->has_late ? rule->late.schema : NULL,
                                     .output_count = rule->output_count,
                                     .has_ttl_states = rule->has_ttl_states};
    if (!outputs_used)
        return;
    leat_rule_output *outputs = leat_arena_array(rule->arena, leat_rule_output, rule->output_count);
    memcpy(outputs, rule->outputs, sizeof *outputs * rule->output_count);
    out_result->outputs = outputs;
}

static void add_side_stream(const plan_rule *rule, const relation *like, const char *name, uint32_t node,
                            uint32_t output, const leat_schema *schema)
{
    const char *full = leat_arena_format(rule->arena, "%s.%s", rule->request->name, name);
    leat_planner_add_stream(rule->planner, &(leat_planner_stream){.name = full,
                                                                  .node = node,
                                                                  .output = output,
                                                                  .schema = schema,
                                                                  .bounded = like->bounded,
                                                                  .has_watermark = like->has_watermark});
}

static void add_streams(plan_rule *rule, const relation *rows, const leat_rule_result *result)
{
    leat_planner *planner = rule->planner;
    leat_planner_add_stream(planner, &(leat_planner_stream){.name = rule->request->name,
                                                            .node = rows->node,
                                                            .output = rows->output,
                                                            .schema = rows->schema,
                                                            .bounded = rows->bounded,
                                                            .has_watermark = rows->has_watermark});
    // Its windows and time columns are known to rules that read it, as those of a view are.
    relation *seen = &planner->streams[planner->stream_count - 1].relation;
    seen->times = rows->times;
    seen->by_clock = rows->by_clock;
    seen->window_start = rows->window_start;
    seen->window_end = rows->window_end;
    seen->windows = rows->windows;
    if (rule->has_late)
        add_side_stream(rule, rows, "late", result->late_node, result->late_output, result->late_schema);
    for (uint32_t i = 0; i < result->output_count; i++)
        add_side_stream(rule, rows, result->outputs[i].name, result->outputs[i].node, result->outputs[i].output,
                        result->outputs[i].schema);
}

// Errors of this rule in the order of the text; those of a parameter's value after it.
static void sort_errors(leat_sql_diagnostics *diagnostics, uint32_t first)
{
    for (uint32_t i = first + 1; i < diagnostics->count; i++)
        for (uint32_t k = i; k > first; k--) {
            leat_sql_diagnostic *a = &diagnostics->items[k - 1], *b = &diagnostics->items[k], moved;
            if (a->span.origin < b->span.origin ||
                (a->span.origin == b->span.origin && a->span.offset <= b->span.offset))
                break;
            moved = *a;
            *a = *b;
            *b = moved;
        }
}

leat_code leat_planner_rule(leat_planner *planner, const leat_rule_request *request, leat_rule_result *out_result,
                            leat_sql_diagnostics *diagnostics)
{
    plan_rule rule;
    relation rows;
    uint32_t first_error = diagnostics->count;
    rule_init(&rule, planner, request, diagnostics);
    if (!(request->form ? plan_form(&rule, &rows) : plan_script(&rule, &rows))) {
        planner->node_count = rule.first_node;
        sort_errors(diagnostics, first_error);
        *out_result = (leat_rule_result){.late_node = UINT32_MAX, .reads_failed = rule.reads_failed};
        leat_planner_add_failed(planner, request->name);
        return LEAT_E_INVALID;
    }
    fill_result(&rule, &rows, out_result);
    add_streams(&rule, &rows, out_result);
    return LEAT_OK;
}

// ---- one expression

static leat_expr *coerced(leat_sql_binder *binder, leat_expr *expr, const leat_type *wanted, leat_sql_span span)
{
    leat_expr *result = expr;
    leat_error error;
    bool both_timestamps = wanted && expr && leat_type_is_timestamp(*wanted) && leat_type_is_timestamp(expr->type);
    if (!expr || !wanted || both_timestamps ||
        leat_expr_coerce(binder->expr, expr, *wanted, &result, &error) == LEAT_OK)
        return result;
    leat_sql_binder_fail(binder, span, &error);
    return NULL;
}

leat_code leat_planner_expression(leat_planner *planner, const leat_sql_expr *expr, const char *table,
                                  const leat_schema *schema, const leat_type *wanted, const leat_program **out_program,
                                  leat_sql_diagnostics *diagnostics)
{
    leat_expr_scope scope = {.arena = planner->options.arena, .zone = planner->options.zone};
    leat_sql_scope_table columns = {.alias = leat_slice_text(table), .schema = schema};
    leat_sql_scope names = {&columns, 1};
    leat_sql_binder binder = {.expr = &scope, .diagnostics = diagnostics, .scope = &names, .clause = "this expression"};
    leat_program *program;
    leat_error error;
    leat_expr *bound = coerced(&binder, leat_sql_bind(&binder, expr), wanted, expr->span);
    if (!bound)
        return LEAT_E_INVALID;
    if (leat_program_compile(scope.arena, leat_expr_fold(&scope, bound), scope.zone, &program, &error) != LEAT_OK) {
        leat_sql_diagnose(diagnostics, expr->span, "%s", error.message);
        return LEAT_E_INVALID;
    }
    *out_program = program;
    return LEAT_OK;
}
