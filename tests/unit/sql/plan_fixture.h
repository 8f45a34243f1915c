// A planner over a few streams, and plans as text: one line per node, errors as "offset+size message".
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/sql/planner.h"
#include "tests/support/env_test.h"

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_planner *planner;
    uint32_t first_node; // after the sources
    leat_rule_request request;
    leat_rule_result result;
    leat_sql_diagnostics diagnostics;
    leat_writer out;
} fixture;

// ---- process functions

static int rising_declare(leat_declare *declare, const leat_declare_api *api)
{
    if (api->scalar(declare, 2).i64 <= 0) {
        (api->fail)(declare, 2, "duration has to be positive");
        return 1;
    }
    api->state(declare, "since", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0);
    api->state(declare, "last", LEAT_STATE_VALUE, LEAT_API_DOUBLE, 3600000);
    api->output_column(declare, 0, "first_reading",
                       api->column_type(declare, 0, (uint32_t)api->descriptor(declare, 1, 0)));
    api->output_column(declare, 0, "alert_at", LEAT_API_INSTANT);
    return 0;
}

static int split_declare(leat_declare *declare, const leat_declare_api *api)
{
    uint32_t rest = api->output(declare, "rest");
    api->output_column(declare, 0, "v", api->expression_type(declare, 1));
    api->output_column(declare, rest, "reason", LEAT_API_STRING);
    if (api->given(declare, 2))
        api->output_column(declare, 0, "note", LEAT_API_STRING);
    return 0;
}

static int pass_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->output_column(declare, 0, "place", LEAT_API_INT);
    return 0;
}

static int timed_declare(leat_declare *declare, const leat_declare_api *api)
{
    if (api->descriptor(declare, 1, 0) < 0 || api->scalar(declare, 3).type != LEAT_API_DOUBLE)
        return 1;
    api->state(declare, "last", (leat_state_kind)(LEAT_STATE_VALUE | LEAT_STATE_SHARED), LEAT_API_DOUBLE, 0);
    api->output_column(declare, 0, "day", api->column_type(declare, 0, 0));
    return 0;
}

static int combine_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "seen", LEAT_STATE_MAP, LEAT_API_BIGINT, 0);
    api->output_column(declare, 0, "total", LEAT_API_DOUBLE);
    return 0;
}

static int no_process(leat_context *context, const leat_row *row)
{
    (void)context, (void)row;
    return 0;
}

static const leat_parameter rising_parameters[] = {
    {sizeof(leat_parameter), "r", LEAT_ARGUMENT_TABLE, 0, 0, NULL, ""},
    {sizeof(leat_parameter), "col", LEAT_ARGUMENT_DESCRIPTOR, 0, 0, NULL, ""},
    {sizeof(leat_parameter), "duration", LEAT_ARGUMENT_SCALAR, 0, LEAT_API_INTERVAL, "INTERVAL '1' SECOND", ""},
    {sizeof(leat_parameter), "times", LEAT_ARGUMENT_SCALAR, LEAT_PARAMETER_OPTIONAL, LEAT_API_BIGINT, NULL, ""},
};
static const leat_parameter split_parameters[] = {
    {sizeof(leat_parameter), "r", LEAT_ARGUMENT_TABLE, LEAT_PARAMETER_ROW_SEMANTICS, 0, NULL, ""},
    {sizeof(leat_parameter), "x", LEAT_ARGUMENT_EXPRESSION, 0, 0, NULL, ""},
    {sizeof(leat_parameter), "note", LEAT_ARGUMENT_SCALAR, LEAT_PARAMETER_OPTIONAL, LEAT_API_STRING, NULL, ""},
};
static const leat_parameter timed_parameters[] = {
    {sizeof(leat_parameter), "r", LEAT_ARGUMENT_TABLE, LEAT_PARAMETER_OPTIONAL_PARTITION, 0, NULL, ""},
    {sizeof(leat_parameter), "on_time", LEAT_ARGUMENT_DESCRIPTOR, 0, 0, NULL, ""},
    {sizeof(leat_parameter), "x", LEAT_ARGUMENT_EXPRESSION, 0, 0, NULL, ""},
    {sizeof(leat_parameter), "limit_of", LEAT_ARGUMENT_SCALAR, LEAT_PARAMETER_OPTIONAL, 0, "7.5", ""},
};
static const leat_parameter pass_parameters[] = {
    {sizeof(leat_parameter), "r", LEAT_ARGUMENT_TABLE, LEAT_PARAMETER_PASS_COLUMNS | LEAT_PARAMETER_OPTIONAL_PARTITION,
     0, NULL, ""},
};
static const leat_parameter combine_parameters[] = {
    {sizeof(leat_parameter), "a", LEAT_ARGUMENT_TABLE, 0, 0, NULL, ""},
    {sizeof(leat_parameter), "b", LEAT_ARGUMENT_TABLE, 0, 0, NULL, ""},
    {sizeof(leat_parameter), "limits", LEAT_ARGUMENT_TABLE, LEAT_PARAMETER_BROADCAST | LEAT_PARAMETER_OPTIONAL, 0, NULL,
     ""},
};

#define FUNCTION(function, count)                                                                                      \
    {                                                                                                                  \
        .size = sizeof(leat_process_function), .api = LEAT_API, .name = #function, .text = "",                         \
        .parameters = function##_parameters, .parameter_count = count, .declare = function##_declare,                  \
        .process = no_process                                                                                          \
    }
static const leat_process_function functions[] = {FUNCTION(rising, 4), FUNCTION(split, 3), FUNCTION(pass, 1),
                                                  FUNCTION(combine, 3), FUNCTION(timed, 4)};

static const leat_process_function *find_function(void *context, leat_slice name)
{
    (void)context;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (leat_slice_is(name, functions[i].name))
            return &functions[i];
    return NULL;
}

static const char *function_name(void *context, uint32_t index)
{
    (void)context;
    return index < sizeof functions / sizeof *functions ? functions[index].name : NULL;
}

static const leat_function_catalog function_catalog = {NULL, find_function, function_name, NULL};

// ---- streams

static leat_type timestamp_type(leat_kind kind)
{
    leat_type type = leat_type_of(kind);
    type.precision = 3;
    return type;
}

static leat_type row_of_int_and_text(leat_arena *arena)
{
    leat_type_field *fields = leat_arena_array(arena, leat_type_field, 2);
    leat_type *types = leat_arena_array(arena, leat_type, 2);
    types[0] = leat_type_of(LEAT_KIND_INT);
    types[1] = leat_type_of(LEAT_KIND_STRING);
    fields[0] = (leat_type_field){leat_slice_text("a"), &types[0]};
    fields[1] = (leat_type_field){leat_slice_text("b"), &types[1]};
    leat_type row = leat_type_of(LEAT_KIND_ROW);
    row.field_count = 2;
    row.fields = fields;
    return row;
}

static void add_stream(fixture *f, const char *name, const char *const *names, const leat_type *types, uint32_t count,
                       int32_t rowtime, bool bounded, bool has_watermark)
{
    leat_schema *schema = leat_arena_new(&f->arena, leat_schema);
    leat_field *fields = leat_arena_array(&f->arena, leat_field, count);
    const leat_schema **outputs = leat_arena_array(&f->arena, const leat_schema *, 1);
    for (uint32_t i = 0; i < count; i++)
        fields[i] = (leat_field){leat_slice_text(names[i]), types[i]};
    *schema = (leat_schema){.count = count, .fields = fields, .rowtime = rowtime, .proctime = -1};
    outputs[0] = schema;
    leat_plan_node node = {
        .kind = LEAT_NODE_SOURCE, .rule = UINT32_MAX, .label = name, .output_count = 1, .outputs = outputs};
    leat_planner_stream stream = {.name = name, .schema = schema, .bounded = bounded, .has_watermark = has_watermark};
    stream.node = leat_planner_add_node(f->planner, &node);
    leat_planner_add_stream(f->planner, &stream);
}

static void add_streams(fixture *f)
{
    leat_type text = leat_type_of(LEAT_KIND_STRING), number = leat_type_of(LEAT_KIND_DOUBLE),
              integer = leat_type_of(LEAT_KIND_INT);
    leat_type instant = timestamp_type(LEAT_KIND_TIMESTAMP_LTZ), timestamp = timestamp_type(LEAT_KIND_TIMESTAMP);
    const char *lines[] = {"line", "reading", "n", "big", "price", "ok", "info", "tags", "ts"};
    leat_type line_types[] = {text,
                              number,
                              integer,
                              leat_type_of(LEAT_KIND_BIGINT),
                              leat_type_decimal(10, 2),
                              leat_type_of(LEAT_KIND_BOOLEAN),
                              row_of_int_and_text(&f->arena),
                              leat_type_array(&f->arena, text),
                              timestamp};
    const char *boiler[] = {"unit", "temperature", "pressure", "source", "ts"};
    leat_type boiler_types[] = {integer, number, integer, text, instant};
    const char *rejected[] = {"payload", "reason", "ts"};
    leat_type rejected_types[] = {text, text, instant};
    const char *still[] = {"k", "at"};
    leat_type still_types[] = {text, timestamp};
    add_stream(f, "lines", lines, line_types, 9, 8, false, true);
    add_stream(f, "boiler", boiler, boiler_types, 5, 4, false, true);
    add_stream(f, "boiler.rejected", rejected, rejected_types, 3, 2, false, true);
    add_stream(f, "still", still, still_types, 2, 1, false, false);
    leat_planner_add_failed(f->planner, "broken");
}

static void fixture_init(fixture *f)
{
    memset(f, 0, sizeof *f);
    f->env = env_test_create();
    leat_env *env = env_test_env(f->env);
    leat_arena_init(&f->arena, env, 65536);
    leat_writer_init(&f->out, env, 1 << 20);
    leat_planner_options options = {.env = env, .arena = &f->arena, .functions = &function_catalog};
    f->planner = leat_planner_create(&options);
    add_streams(f);
    leat_planner_nodes(f->planner, &f->first_node);
    f->request = (leat_rule_request){.name = "r", .uid = "r"};
}

static void fixture_fini(fixture *f)
{
    leat_writer_fini(&f->out);
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
}

// Plans a rule; parse errors are reported as the planner's are.
static leat_code plan(fixture *f, const char *sql)
{
    leat_sql_script *script;
    f->diagnostics.count = 0;
    leat_code code = leat_sql_parse_statements(&f->arena, leat_slice_text(sql), &script, &f->diagnostics);
    if (code)
        return code;
    f->request.script = script;
    return leat_planner_rule(f->planner, &f->request, &f->result, &f->diagnostics);
}

// ---- as text

static void print_schema(leat_writer *out, const leat_schema *schema)
{
    static const char *const changelogs[] = {"", " upsert", " retract"};
    char type[LEAT_TYPE_TEXT];
    leat_write_text(out, "(");
    for (uint32_t i = 0; i < schema->count; i++)
        leat_write_format(out, "%s%.*s %s%s", i ? ", " : "", (int)schema->fields[i].name.size,
                          schema->fields[i].name.data, leat_type_print(schema->fields[i].type, type),
                          schema->rowtime == (int32_t)i ? " ROWTIME" : "");
    leat_write_format(out, ")%s", changelogs[schema->changelog]);
}

static void print_inputs(leat_writer *out, const leat_plan_node *node, const leat_plan_node *nodes)
{
    static const char *const exchanges[] = {"forward", "key", "global", "rebalance", "broadcast"};
    for (uint32_t i = 0; i < node->input_count; i++) {
        const leat_plan_input *input = &node->inputs[i];
        leat_write_format(out, "%s%s", i ? " + " : " <- ",
                          nodes[input->node].kind == LEAT_NODE_SOURCE ? nodes[input->node].label : "");
        if (nodes[input->node].kind != LEAT_NODE_SOURCE)
            leat_write_format(out, "%s", nodes[input->node].uid);
        if (input->output)
            leat_write_format(out, ":%u", input->output);
        leat_write_format(out, " %s", exchanges[input->exchange]);
        for (uint32_t k = 0; k < input->key_count; k++)
            leat_write_format(out, "%s%.*s", k ? "," : "(",
                              (int)node->port_schemas[input->port]->fields[input->key_columns[k]].name.size,
                              node->port_schemas[input->port]->fields[input->key_columns[k]].name.data);
        leat_write_text(out, input->key_count ? ")" : "");
    }
}

static const char *print_errors(fixture *f)
{
    leat_writer_reset(&f->out);
    for (uint32_t i = 0; i < f->diagnostics.count; i++) {
        const leat_sql_diagnostic *item = &f->diagnostics.items[i];
        leat_write_format(&f->out, "%s%u+%u %s", i ? "\n" : "", item->span.offset, item->span.size, item->message);
    }
    leat_write_u8(&f->out, 0);
    return (const char *)f->out.bytes;
}

static inline const char *print_plan(fixture *f)
{
    uint32_t count;
    const leat_plan_node *nodes = leat_planner_nodes(f->planner, &count);
    leat_writer_reset(&f->out);
    for (uint32_t i = f->first_node; i < count; i++) {
        leat_write_format(&f->out, "%s [%s]%s", nodes[i].uid, nodes[i].label, nodes[i].parallel ? " parallel" : "");
        print_inputs(&f->out, &nodes[i], nodes);
        if (nodes[i].state_bound)
            leat_write_format(&f->out, " {%s}", nodes[i].state_bound);
        leat_write_text(&f->out, "\n");
    }
    leat_write_format(&f->out, "= %s ", nodes[f->result.node].uid);
    print_schema(&f->out, f->result.schema);
    leat_write_u8(&f->out, 0);
    return (const char *)f->out.bytes;
}
