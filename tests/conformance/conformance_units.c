// Conformance cases that call one module directly: the valve, the window assigner, a watermark generator that is called by the clock.
//
// usage: conformance_units valve|assigner|watermark_generator < {"program": {..}, "rows": [..]}
//
// Prints the result rows as the cases' expected.jsonl has them (conformance README, section 4).
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "firmware-agent/flow/valve.h"
#include "firmware-agent/flow/watermark.h"
#include "firmware-agent/platform/env_posix.h"
#include "operators/window_assign.h"

static int64_t number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "";
}

static void print(json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

// ---- valve

static void print_watermark(const json_t *row, int64_t watermark_ms)
{
    print(json_pack("{s:O, s:I}", "step", json_object_get(row, "step"), "__watermark__", (json_int_t)watermark_ms));
}

static void valve_step(leat_valve *valve, const json_t *row)
{
    uint32_t channel = (uint32_t)number(row, "__channel__");
    if (json_object_get(row, "__watermark__")) {
        if (leat_valve_watermark(valve, channel, number(row, "__watermark__")))
            print_watermark(row, valve->last_ms);
        return;
    }
    bool watermark, status;
    leat_valve_status(valve, channel, strcmp(text(row, "__status__"), "IDLE") == 0, &watermark, &status);
    if (watermark)
        print_watermark(row, valve->last_ms);
    if (status)
        print(json_pack("{s:O, s:s}", "step", json_object_get(row, "step"), "__status__",
                        valve->idle ? "IDLE" : "ACTIVE"));
}

static int run_valve(const json_t *program, const json_t *rows)
{
    leat_arena arena;
    leat_valve valve;
    size_t index;
    json_t *row;
    leat_arena_init(&arena, leat_env_posix(0), 1024);
    leat_valve_init(&valve, &arena, (uint32_t)number(program, "channels"));
    json_array_foreach(rows, index, row) valve_step(&valve, row);
    leat_arena_fini(&arena);
    return 0;
}

// ---- assigner

// As operators/state/session.c merges: touching windows are one.
static bool intersects(const json_t *a, const json_t *b)
{
    return json_integer_value(json_array_get(a, 0)) <= json_integer_value(json_array_get(b, 1)) &&
           json_integer_value(json_array_get(a, 1)) >= json_integer_value(json_array_get(b, 0));
}

static int run_assigner(const json_t *program, const json_t *rows)
{
    bool starts = strcmp(text(program, "function"), "window_start") == 0;
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        if (starts)
            print(json_pack(
                "{s:I}", "start",
                (json_int_t)leat_assigner_floor(number(row, "ts"), number(row, "size"), number(row, "offset"))));
        else
            print(json_pack("{s:b}", "intersects", intersects(json_object_get(row, "a"), json_object_get(row, "b"))));
    }
    return 0;
}

// ---- generators

static leat_plan_watermark spec_of(const json_t *declared)
{
    const char *strategy = text(declared, "strategy");
    leat_plan_watermark spec = {.mode = LEAT_WATERMARK_BOUNDED, .delay_ms = number(declared, "delay_ms")};
    if (strcmp(strategy, "expression") == 0)
        spec.mode = LEAT_WATERMARK_EXPRESSION;
    else if (strcmp(strategy, "none") == 0)
        spec.mode = LEAT_WATERMARK_NONE;
    else if (strcmp(strategy, "explicit") == 0)
        spec.mode = LEAT_WATERMARK_EXPLICIT;
    return spec;
}

// The expressions of the cases equal event time less delay_ms (conformance README, section 2).
static int64_t value_of(const leat_plan_watermark *spec, int64_t event_ms)
{
    return spec->mode == LEAT_WATERMARK_EXPRESSION ? event_ms - spec->delay_ms : event_ms;
}

static int run_periodic(const json_t *program, const json_t *rows)
{
    json_t *streams = json_object_get(program, "streams");
    const json_t *stream = json_object_iter_value(json_object_iter(streams));
    leat_plan_watermark spec = spec_of(json_object_get(stream, "watermark"));
    leat_generator generator;
    size_t index;
    json_t *row;
    leat_generator_init(&generator, &spec);
    json_array_foreach(rows, index, row)
    {
        if (json_object_get(row, "__emit__"))
            print(json_pack("{s:I}", "__watermark__", (json_int_t)generator.watermark_ms));
        else
            leat_generator_row(&generator, value_of(&spec, number(row, text(stream, "event_time"))), 0);
    }
    return 0;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *kind;
        int (*run)(const json_t *program, const json_t *rows);
    } kinds[] = {{"valve", run_valve}, {"assigner", run_assigner}, {"watermark_generator", run_periodic}};
    json_error_t error;
    json_t *asked = json_loadf(stdin, 0, &error);
    int result = 2;
    if (!asked) {
        fprintf(stderr, "conformance_units: %s\n", error.text);
        return 2;
    }
    for (size_t i = 0; count == 2 && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(arguments[1], kinds[i].kind) == 0)
            result = kinds[i].run(json_object_get(asked, "program"), json_object_get(asked, "rows"));
    if (result == 2)
        fprintf(stderr, "usage: conformance_units valve|assigner|watermark_generator\n");
    json_decref(asked);
    return result;
}
