// Gateway texts to plans, over a small catalog: settings, fields, wiring, fingerprints.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/plan.h"
#include "tests/support/env_test.h"

// ---- a catalog

typedef struct pump_settings {
    const char *text, *secret, *path;
    int64_t integer, duration_ms, size;
    double number;
    bool boolean;
    int32_t choice;
    leat_text_list texts;
    leat_integer_list integers;
} pump_settings;

#define MEMBER(name) offsetof(pump_settings, name)
static const char *const choices[] = {"one", "two", NULL};
static const leat_setting pump_table[] = {
    {"text", LEAT_SETTING_TEXT, MEMBER(text), false, "a", 0, 0, NULL, ""},
    {"secret", LEAT_SETTING_SECRET, MEMBER(secret), false, NULL, 0, 0, NULL, ""},
    {"path", LEAT_SETTING_PATH, MEMBER(path), false, NULL, 0, 0, NULL, ""},
    {"integer", LEAT_SETTING_INTEGER, MEMBER(integer), false, "7", -10, 10, NULL, ""},
    {"duration", LEAT_SETTING_DURATION, MEMBER(duration_ms), false, "2s", 0, 0, NULL, ""},
    {"size", LEAT_SETTING_SIZE, MEMBER(size), false, "1KiB", 0, 0, NULL, ""},
    {"number", LEAT_SETTING_NUMBER, MEMBER(number), false, "0.5", 0, 0, NULL, ""},
    {"boolean", LEAT_SETTING_BOOLEAN, MEMBER(boolean), false, "true", 0, 0, NULL, ""},
    {"choice", LEAT_SETTING_CHOICE, MEMBER(choice), false, "two", 0, 0, choices, ""},
    {"texts", LEAT_SETTING_TEXT_LIST, MEMBER(texts), false, "x", 0, 0, NULL, ""},
    {"integers", LEAT_SETTING_INTEGER_LIST, MEMBER(integers), false, "[]", 0, 0, NULL, ""},
};
typedef struct wire_settings {
    int64_t address;
    int32_t type;
    double scale;
} wire_settings;
static const char *const wires[] = {"int16", "uint32", "float32", "bool", "string", NULL};
static const leat_setting wire_table[] = {
    {"address", LEAT_SETTING_INTEGER, offsetof(wire_settings, address), true, NULL, 0, 0, NULL, ""},
    {"type", LEAT_SETTING_CHOICE, offsetof(wire_settings, type), false, "int16", 0, 0, wires, ""},
    {"scale", LEAT_SETTING_NUMBER, offsetof(wire_settings, scale), false, "1", 0, 0, NULL, ""},
};
static bool pump_bounded(const void *settings) { return ((const pump_settings *)settings)->integer > 0; }
static const leat_source_description pump = {
    .name = "pump",
    .settings = {pump_table, sizeof pump_table / sizeof *pump_table, sizeof(pump_settings)},
    .replayable = true,
    .fields_required = true,
    .implicit = LEAT_IMPLICIT_SOURCE | LEAT_IMPLICIT_TS | LEAT_IMPLICIT_TOPIC,
    .bounded = pump_bounded};
static const leat_source_description bus = {.name = "bus",
                                            .field_settings = {wire_table, 3, sizeof(wire_settings)},
                                            .decodes = true,
                                            .needs_fields_path = true,
                                            .implicit = LEAT_IMPLICIT_TS | LEAT_IMPLICIT_UNIT};
static const leat_sink_description drain = {
    .name = "drain", .guarantee = 'E', .takes_upsert = true, .takes_retract = true};
static const leat_sink_description narrow = {.name = "narrow", .guarantee = 'I', .needs_topic = true};
static const leat_format_description json = {.name = "json", .decodes = true, .encodes = true};
static const leat_source_description *const sources[] = {&pump, &bus, NULL};
static const leat_sink_description *const sinks[] = {&drain, &narrow, NULL};
static const leat_format_description *const formats[] = {&json, NULL};
static const leat_driver_catalog catalog = {sources, sinks, formats};

// ---- compiling

typedef struct fixture {
    env_test *env;
    leat_diagnostics diagnostics;
    leat_plan *plan;
    const char *overrides[4];
} fixture;

static int setup(void **state)
{
    static fixture f;
    f = (fixture){.env = env_test_create()};
    leat_diagnostics_init(&f.diagnostics, env_test_env(f.env));
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    leat_plan_destroy(f->plan);
    leat_diagnostics_fini(&f->diagnostics);
    env_test_destroy(f->env);
    return 0;
}

static const char *variable(const char *name) { return strcmp(name, "SECRET") ? NULL : "swordfish"; }

static const leat_plan *compile(fixture *f, const char *text)
{
    leat_compile_options options = {
        .env = env_test_env(f->env), .drivers = &catalog, .overrides = f->overrides, .variable = variable};
    leat_error error;
    leat_plan_destroy(f->plan);
    f->plan = NULL;
    f->diagnostics.count = f->diagnostics.error_count = 0;
    leat_code code =
        leat_compile_text(&options, "dir/gateway.yaml", leat_slice_text(text), &f->plan, &f->diagnostics, &error);
    assert_int_equal(code == LEAT_OK, f->diagnostics.error_count == 0);
    return f->plan;
}

static const leat_plan *compile_well(fixture *f, const char *text)
{
    if (!compile(f, text))
        fail_msg("%u:%u %s", f->diagnostics.items[0].line, f->diagnostics.items[0].column,
                 f->diagnostics.items[0].message);
    return f->plan;
}

#define RULE "rules: { r: { sql: SELECT * FROM s, to: o } }\nsinks: { o: { driver: drain } }\n"

static void test_settings(void **state)
{
    fixture *f = *state;
    const pump_settings *s =
        compile_well(f, "sources: { s: { driver: pump, fields: { x: int } } }\n" RULE)->sources[0].settings;
    assert_string_equal(s->text, "a");
    assert_null(s->secret);
    assert_int_equal(s->integer, 7);
    assert_int_equal(s->duration_ms, 2000);
    assert_int_equal(s->size, 1024);
    assert_true(s->number > 0.49 && s->number < 0.51);
    assert_true(s->boolean);
    assert_int_equal(s->choice, 1);
    assert_int_equal(s->texts.count, 1);
    assert_int_equal(s->integers.count, 0);
    s = compile_well(
            f,
            "sources: { s: { driver: pump, fields: { x: int }, text: b, secret: '${SECRET}', path: p/q, integer: -3,\n"
            "  duration: 1h30m, size: 2MiB, number: 1e3, boolean: false, choice: one, texts: [c, d], integers: 5 } "
            "}\n" RULE)
            ->sources[0]
            .settings;
    assert_string_equal(s->secret, "swordfish");
    assert_string_equal(s->path, "dir/p/q");
    assert_int_equal(s->integer, -3);
    assert_int_equal(s->duration_ms, 5400000);
    assert_int_equal(s->size, 2 << 20);
    assert_false(s->boolean);
    assert_int_equal(s->choice, 0);
    assert_string_equal(s->texts.items[1], "d");
    assert_int_equal(s->integers.items[0], 5);
}

// Everything is reported, in order, and a secret never.
static void test_all_errors(void **state)
{
    fixture *f = *state;
    assert_null(compile(
        f,
        "sources: { s: { driver: pump, fields: { x: int }, secret: 'hunter2 ${', integer: 11, duration: 5, size: x,\n"
        " number: y, boolean: on, choice: three, texts: { a: b }, integers: [1, b], txt: c } }\n" RULE));
    assert_int_equal(f->diagnostics.error_count, 10);
    for (uint32_t i = 0; i < f->diagnostics.count; i++) {
        assert_null(strstr(f->diagnostics.items[i].message, "hunter"));
        assert_null(strstr(f->diagnostics.items[i].source_line, "hunter"));
    }
}

static void test_agent(void **state)
{
    fixture *f = *state;
    f->overrides[0] = "agent.workers=3";
    f->overrides[1] = "sources.s.integer=9";
    f->overrides[2] = "sources.s.texts=[a, b, c]";
    const leat_plan *plan = compile_well(f, "agent: { workers: 2, checkpoint: { interval: 5s } }\n"
                                            "sources: { s: { driver: pump, fields: { x: int } } }\n" RULE);
    assert_int_equal(plan->agent->workers, 3);
    assert_int_equal(plan->agent->checkpoint_interval_ms, 5000);
    assert_int_equal(plan->agent->checkpoint_retained, 5);
    assert_int_equal(plan->agent->commit_gap_ms, 20);
    assert_int_equal(plan->agent->stop_timeout_ms, 10000);
    assert_int_equal(plan->agent->rule_memory_bytes, 16 << 20);
    assert_string_equal(plan->agent->state, "dir/.leat");
    assert_string_equal(plan->agent->socket, "dir/.leat/leat.sock");
    assert_int_equal(((const pump_settings *)plan->sources[0].settings)->integer, 9);
    assert_int_equal(((const pump_settings *)plan->sources[0].settings)->texts.count, 3);
    assert_true(plan->bounded);
}

static void test_fields(void **state)
{
    fixture *f = *state;
    char text[LEAT_TYPE_TEXT];
    const leat_plan_source *s =
        compile_well(
            f,
            "sources: { s: { driver: pump, fields: { a: BIGINT, b: { double: p.q[0] }, c: { type: 'decimal(10, 2)', "
            "path: z,\n"
            " unit: degC }, d: timestamp_ms, e: timestamp, f: array<int>, source: string }, event_time: e } }\n" RULE)
            ->sources;
    static const char *const types[] = {"BIGINT",           "DOUBLE",           "DECIMAL(10, 2)",
                                        "TIMESTAMP_LTZ(3)", "TIMESTAMP(3)",     "ARRAY<INT>",
                                        "STRING",           "TIMESTAMP_LTZ(3)", "STRING"};
    assert_int_equal(s->schema->count, 9);
    for (uint32_t i = 0; i < 9; i++)
        assert_string_equal(leat_type_print(s->schema->fields[i].type, text), types[i]);
    assert_string_equal(s->fields[1].path, "p.q[0]");
    assert_string_equal(s->fields[2].unit_text, "degC");
    assert_int_equal(s->fields[3].time_unit, LEAT_TIME_UNIT_MS);
    assert_int_equal(s->fields[4].time_unit, LEAT_TIME_UNIT_ISO);
    assert_int_equal(s->event_time, 4);
    assert_int_equal(s->schema->rowtime, 4);
    assert_int_equal(s->watermark.mode, LEAT_WATERMARK_BOUNDED);
    assert_int_equal(s->implicit, LEAT_IMPLICIT_TS | LEAT_IMPLICIT_TOPIC);
    assert_string_equal(s->format->name, "json");
}

static void test_wire_types(void **state)
{
    fixture *f = *state;
    static const leat_kind kinds[] = {LEAT_KIND_INT, LEAT_KIND_DOUBLE, LEAT_KIND_BIGINT, LEAT_KIND_DOUBLE,
                                      LEAT_KIND_BOOLEAN};
    const leat_plan_source *s =
        compile_well(f, "sources: { s: { driver: bus, fields: { a: { address: 1 }, b: { address: 2, scale: 0.1 }, c: { "
                        "address: 3,\n"
                        " type: uint32 }, d: { address: 4, type: float32 }, e: { address: 5, type: bool } } } }\n" RULE)
            ->sources;
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(s->schema->fields[i].type.kind, kinds[i]);
    assert_int_equal(((const wire_settings *)s->fields[2].settings)->address, 3);
    assert_int_equal(s->watermark.mode, LEAT_WATERMARK_CLOCK);
    assert_int_equal(s->schema->rowtime, 5);
    assert_null(s->format);
    assert_null(compile(f, "sources: { s: { driver: bus, fields: { a: double } } }\n" RULE));
}

static void test_wiring(void **state)
{
    fixture *f = *state;
    const leat_plan *plan = compile_well(
        f,
        "agent: { workers: 4 }\nsources: { s: { driver: pump, fields: { k: string, t: timestamp_ms }, event_time: t, "
        "to: raw } }\n"
        "rules:\n  second: { sql: SELECT k FROM first, to: n }\n  first:\n    sql: SELECT k, COUNT(*) AS n FROM "
        "TABLE(TUMBLE(TABLE s, "
        "DESCRIPTOR(t), INTERVAL '1' MINUTE)) GROUP BY k, window_start, window_end\n    late_to: late\n    to: [n, d]\n"
        "sinks:\n  unused: { driver: drain }\n  n: { driver: narrow, topic: 'a/{rule}/{k}', commit: now }\n  d: { "
        "driver: drain }\n"
        "  late: { driver: drain }\n  raw: { driver: drain }\n");
    assert_int_equal(plan->sink_count, 4);
    assert_int_equal(f->diagnostics.count, 1); // 'unused' gets nothing
    for (uint32_t i = 0; i < plan->node_count; i++) {
        const leat_plan_node *node = &plan->nodes[i];
        for (uint32_t k = 0; k < node->input_count; k++)
            assert_true(node->inputs[k].node < i);
        if (node->kind != LEAT_NODE_SINK)
            continue;
        const leat_plan_sink *sink = &plan->sinks[node->index];
        assert_int_equal(node->input_count, sink->input_count);
        for (uint32_t k = 0; k < node->input_count; k++) {
            assert_int_equal(node->inputs[k].node, sink->inputs[k].node);
            assert_int_equal(node->inputs[k].output, sink->inputs[k].output);
            bool parallel = plan->nodes[node->inputs[k].node].parallel;
            assert_int_equal(node->inputs[k].exchange, parallel ? LEAT_EXCHANGE_GLOBAL : LEAT_EXCHANGE_FORWARD);
        }
    }
    assert_int_equal(plan->sinks[0].input_count, 2);
    assert_int_equal(plan->sinks[0].commit, LEAT_COMMIT_NOW);
    assert_true(plan->sinks[0].envelope);
    assert_false(plan->sinks[1].envelope);
    assert_string_equal(plan->sinks[2].inputs[0].output_name, "late");
    assert_int_equal(plan->sinks[3].inputs[0].rule, UINT32_MAX);
    assert_string_equal(plan->rules[0].guarantee, "s to n: exactly once, repeats are told by their id");
    leat_writer out;
    leat_writer_init(&out, env_test_env(f->env), 1 << 20);
    leat_plan_print(plan, true, &out);
    leat_plan_print_dot(plan, &out);
    leat_manual_print(&catalog, &out);
    assert_false(out.failed);
    leat_writer_fini(&out);
}

static void test_fingerprint(void **state)
{
    fixture *f = *state;
    const char *text = "sources: { s: { driver: pump, fields: { x: int } } }\n" RULE;
    uint64_t first = compile_well(f, text)->fingerprint;
    assert_true(compile_well(f, text)->fingerprint == first);
    assert_true(compile_well(f, "sources: { s: { driver: pump, fields: { x: bigint } } }\n" RULE)->fingerprint !=
                first);
    assert_true(compile_well(f, "sources: { s: { driver: pump, fields: { y: int } } }\n" RULE)->fingerprint != first);
}

// An own short form: values are bound as trees, whatever stands in them.
static void test_detection(void **state)
{
    fixture *f = *state;
    const char *text = "detections:\n  over:\n    parameters: { from: { type: stream, required: true }, key: { type: "
                       "columns, default: [] },\n"
                       "      what: { type: expression, required: true }, limit: { type: number, default: 5 }, note: { "
                       "type: text, default: n } }\n"
                       "    sql: SELECT ${time}, ${note} AS note FROM ${from} WHERE ${what} > ${limit}\n"
                       "sources: { s: { driver: pump, fields: { x: int, t: timestamp_ms }, event_time: t } }\n"
                       "rules: { r: { detect: over, from: s, what: x OR 1, note: \"it's; DROP\", to: o } }\nsinks: { "
                       "o: { driver: drain } }\n";
    assert_null(compile(f, text));
    char good[2000];
    size_t at = (size_t)(strstr(text, "x OR 1") - text);
    snprintf(good, sizeof good, "%.*sx + 1%s", (int)at, text, text + at + strlen("x OR 1"));
    const leat_plan *plan = compile_well(f, good);
    assert_string_equal(plan->rules[0].text, "SELECT t, 'it''s; DROP' AS note\nFROM s\nWHERE x + 1 > 5");
    assert_string_equal(plan->rules[0].kind, "over");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_agent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wire_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wiring, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fingerprint, setup, teardown),
        cmocka_unit_test_setup_teardown(test_detection, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
