// Windows with triggers and evictors: the rules of Flink's WindowOperator, one by one, each in all modes of the harness.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/operators/aggregates.h"

extern const leat_operator_ops leat_operator_window_stream_ops;

#define INPUT "k:STRING,v:BIGINT,ts:TIMESTAMP*"
#define OUTPUT                                                                                                         \
    "k:STRING,n:BIGINT,s:BIGINT,a:ARRAY<BIGINT>,window_start:TIMESTAMP,window_end:TIMESTAMP,window_time:TIMESTAMP*"

static const uint32_t key_columns[] = {0};
static const uint32_t row_columns[] = {1};

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_window_stream_spec spec;
    harness_setup setup;
} fixture;

static leat_program *compile(fixture *f, leat_expr *expr)
{
    leat_program *program;
    leat_error error;
    if (leat_program_compile(&f->arena, expr, NULL, &program, &error) != LEAT_OK)
        fail_msg("%s", error.message);
    return program;
}

static leat_expr *minus(fixture *f, leat_expr *a, leat_expr *b)
{
    leat_expr_scope scope = {.arena = &f->arena};
    leat_expr *arguments[] = {a, b}, *made, *cast = NULL;
    leat_error error;
    if (leat_expr_call(&scope, leat_slice_text("-"), arguments, 2, &made, &error) != LEAT_OK ||
        leat_expr_cast(&scope, made, leat_type_of(LEAT_KIND_DOUBLE), false, &cast, &error) != LEAT_OK)
        fail_msg("%s", error.message);
    return cast;
}

static void fixture_begin(fixture *f, const leat_window_stream_spec *spec)
{
    f->env = env_test_create();
    leat_arena_init(&f->arena, env_test_env(f->env), 4096);
    bool counted = spec->assigner == LEAT_ASSIGN_COUNT;
    const leat_schema *input = harness_schema(&f->arena, INPUT);
    aggregates set =
        aggregates_make(&f->arena, input, spec->updates ? "COUNT(*) SUM(v) MAX(v)" : "COUNT(*) SUM(v) ARRAY_AGG(v)",
                        spec->aggregate.input_retracts);
    f->spec = *spec;
    f->spec.aggregate.window.time_column = -1;
    f->spec.aggregate.key_count = 1;
    f->spec.aggregate.key_columns = key_columns;
    f->spec.aggregate.accumulators = set.set;
    f->spec.aggregate.aggregate_count = set.count;
    f->spec.row_column_count = 1;
    f->spec.row_columns = row_columns;
    leat_expr_scope scope = {.arena = &f->arena};
    leat_type bigint = leat_type_of(LEAT_KIND_BIGINT);
    if (spec->evictor == LEAT_EVICTOR_DELTA) // last.v - v
        f->spec.evictor_delta =
            compile(f, minus(f, leat_expr_column(&scope, 1, 1, bigint), leat_expr_column(&scope, 0, 1, bigint)));
    f->spec.trigger_column_count = 1;
    f->spec.trigger_columns = row_columns;
    if (spec->trigger == LEAT_TRIGGER_DELTA) // v - last.v
        f->spec.trigger_delta =
            compile(f, minus(f, leat_expr_column(&scope, 0, 1, bigint), leat_expr_column(&scope, 1, 1, bigint)));
    if (spec->aggregate.window.kind == LEAT_WINDOW_SESSION && !spec->aggregate.window.gap_ms) // the gap is v
        f->spec.gap = compile(f, leat_expr_column(&scope, 0, 1, bigint));
    f->setup = (harness_setup){
        .ops = &leat_operator_window_stream_ops,
        .spec = &f->spec,
        .inputs = {INPUT},
        .outputs =
            {counted ? "k:STRING,n:BIGINT,s:BIGINT,m:BIGINT,window_id:BIGINT,window_end:TIMESTAMP,window_time:TIMESTAMP"
             : spec->updates ? "k:STRING,n:BIGINT,s:BIGINT,m:BIGINT,window_start:TIMESTAMP,window_end:TIMESTAMP,"
                               "window_time:TIMESTAMP*"
                             : OUTPUT,
             spec->aggregate.late_output ? INPUT : NULL},
        .output_changelog = spec->updates ? LEAT_CHANGELOG_RETRACT : LEAT_CHANGELOG_INSERT,
    };
}

static void fixture_end(fixture *f)
{
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
}

static void run(const leat_window_stream_spec *spec, harness_scenario scenario)
{
    fixture f;
    fixture_begin(&f, spec);
    harness_run(&f.setup, scenario, &f);
    fixture_end(&f);
}

#define TUMBLE(size) .aggregate.window = {.kind = LEAT_WINDOW_TUMBLE, .size_ms = (size)}
#define SLIDE(size, slide) .aggregate.window = {.kind = LEAT_WINDOW_HOP, .size_ms = (size), .slide_ms = (slide)}
#define SESSION(gap) .aggregate.window = {.kind = LEAT_WINDOW_SESSION, .gap_ms = (gap)}
#define SPEC(...) (&(leat_window_stream_spec){__VA_ARGS__})

// ---- count trigger

static void counted_and_purged(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | b,1,@@1 | a,2,@@2 | a,3,@@3 | a,4,@@4 | b,5,@@1 | a,9,NULL");
    harness_end_of_time(h); // the last window is not full
    harness_expect(h, "+I[a, 2, 3, [1;2], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 2, 7, [3;4], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[b, 2, 6, [1;5], NULL, NULL, NULL]@9223372036854775807 \n W MAX");
}

static void counted_and_kept(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,2,@@2 | a,3,@@3 | a,4,@@4");
    harness_expect(h, "+I[a, 2, 3, [1;2], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 4, 10, [1;2;3;4], NULL, NULL, NULL]@9223372036854775807");
}

static void counted_last_3(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,2,@@2 | a,3,@@3 | a,4,@@4 | a,5,@@5 | a,6,@@6");
    harness_expect(h, "+I[a, 2, 3, [1;2], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 3, 9, [2;3;4], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 3, 15, [4;5;6], NULL, NULL, NULL]@9223372036854775807");
}

// A window in time with a count trigger does not fire at its end, and its count goes with it.
static void counted_in_time(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,2,@@2 | a,4,@@3");
    harness_watermark(h, 9);
    harness_rows(h, 0, "a,8,@@11");
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 2, 3, [1;2], 0, 10, 9]@9 \n W MAX");
}

static void counted_and_at_end(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,2,@@2 | a,4,@@3");
    harness_watermark(h, 9);
    harness_expect(h, "+I[a, 2, 3, [1;2], 0, 10, 9]@9 \n +I[a, 3, 7, [1;2;4], 0, 10, 9]@9 \n W 9");
}

static void test_count(void **state)
{
    (void)state;
    run(SPEC(.assigner = LEAT_ASSIGN_GLOBAL, .trigger = LEAT_TRIGGER_COUNT, .trigger_count = 2, .purging = true),
        counted_and_purged);
    run(SPEC(.assigner = LEAT_ASSIGN_GLOBAL, .trigger = LEAT_TRIGGER_COUNT, .trigger_count = 2), counted_and_kept);
    run(SPEC(.assigner = LEAT_ASSIGN_GLOBAL, .trigger = LEAT_TRIGGER_COUNT, .trigger_count = 2,
             .evictor = LEAT_EVICTOR_COUNT, .evictor_count = 3),
        counted_last_3);
    run(SPEC(TUMBLE(10), .trigger = LEAT_TRIGGER_COUNT, .trigger_count = 2), counted_in_time);
    run(SPEC(TUMBLE(10), .trigger = LEAT_TRIGGER_COUNT, .trigger_count = 2, .trigger_at_end = true),
        counted_and_at_end);
}

// ---- lateness

// A row that is late for some of its windows counts in the others and is not late; one that is late for all is.
static void partly_late(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@7");
    harness_watermark(h, 9);
    harness_expect(h, "+I[a, 1, 1, [1], 0, 10, 9]@9 \n W 9");
    harness_rows(h, 0, "a,2,@@6 | a,4,@@4 | a,8,@@-1");
    harness_expect(h, "1:+I[a, 4, 4]@4 \n 1:+I[a, 8, -1]@-1");
    harness_watermark(h, 14);
    harness_expect(h, "+I[a, 2, 3, [1;2], 5, 15, 14]@14 \n W 14");
}

static void again_for_late_rows(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1");
    harness_watermark(h, 9);
    harness_rows(h, 0, "a,2,@@2 | a,4,@@3");
    harness_watermark(h, 14);
    harness_rows(h, 0, "a,8,@@3");
    harness_watermark(h, 20);
    harness_expect(h, "+I[a, 1, 1, [1], 0, 10, 9]@9 \n W 9 \n +I[a, 2, 3, [1;2], 0, 10, 9]@9 \n"
                      "+I[a, 3, 7, [1;2;4], 0, 10, 9]@9 \n W 20");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 1);
}

// Purging forgets the rows, not the window.
static void purged_and_late(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1");
    harness_watermark(h, 9);
    harness_rows(h, 0, "a,2,@@2 | a,4,@@3");
    harness_watermark(h, 14);
    harness_expect(h, "+I[a, 1, 1, [1], 0, 10, 9]@9 \n W 9 \n +I[a, 1, 2, [2], 0, 10, 9]@9 \n"
                      "+I[a, 1, 4, [4], 0, 10, 9]@9 \n W 14");
}

// Between windows (a slide longer than the size) a row is in none; late it is only when its own time has passed.
static void between_windows(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@7 | a,2,@@3");
    harness_watermark(h, 8);
    harness_expect(h, "+I[a, 1, 2, [2], 0, 5, 4]@4 \n W 8");
    harness_rows(h, 0, "a,4,@@7 | a,8,@@9");
    harness_expect(h, "1:+I[a, 4, 7]@7");
    harness_end_of_time(h);
    harness_expect(h, "W MAX");
}

static void test_lateness(void **state)
{
    (void)state;
    run(SPEC(SLIDE(10, 5), .aggregate.late_output = true, .trigger = LEAT_TRIGGER_EVENT_TIME), partly_late);
    run(SPEC(TUMBLE(10), .aggregate.allowed_lateness_ms = 5, .trigger = LEAT_TRIGGER_EVENT_TIME), again_for_late_rows);
    run(SPEC(TUMBLE(10), .aggregate.allowed_lateness_ms = 5, .trigger = LEAT_TRIGGER_EVENT_TIME, .purging = true),
        purged_and_late);
    run(SPEC(SLIDE(5, 10), .aggregate.late_output = true, .trigger = LEAT_TRIGGER_EVENT_TIME), between_windows);
}

// ---- continuous trigger

// The grid goes towards 0 for negative times, and the end of the window is a firing of its own.
static void continuous(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@-15 | a,2,@@1");
    harness_watermark(h, -2);
    harness_expect(h, "W -2"); // -15 lies between -10 and 0
    harness_watermark(h, 3);
    harness_expect(h, "+I[a, 1, 1, [1], -20, 0, -1]@-1 \n W 3");
    harness_rows(h, 0, "a,4,@@2");
    harness_watermark(h, 10);
    harness_expect(h, "+I[a, 2, 6, [2;4], 0, 20, 19]@19 \n W 10");
    harness_watermark(h, 20);
    harness_expect(h, "+I[a, 2, 6, [2;4], 0, 20, 19]@19 \n W 20");
}

static void continuous_for_ever(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1");
    harness_watermark(h, 25);
    harness_expect(h, "+I[a, 1, 1, [1], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 1, 1, [1], NULL, NULL, NULL]@9223372036854775807 \n W 25");
    harness_end_of_time(h); // once, not for every interval until the end of time
    harness_expect(h, "+I[a, 1, 1, [1], NULL, NULL, NULL]@9223372036854775807 \n W MAX");
}

// With lateness nothing comes between the window's end and the late row.
static void continuous_and_late(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1");
    harness_watermark(h, 17);
    harness_rows(h, 0, "a,2,@@2");
    harness_watermark(h, 40);
    harness_expect(h, "+I[a, 1, 1, [1], 0, 15, 14]@14 \n +I[a, 1, 1, [1], 0, 15, 14]@14 \n W 17 \n"
                      "+I[a, 2, 3, [1;2], 0, 15, 14]@14 \n W 40");
}

static void test_continuous(void **state)
{
    (void)state;
    run(SPEC(TUMBLE(20), .trigger = LEAT_TRIGGER_CONTINUOUS_EVENT_TIME, .trigger_interval_ms = 10), continuous);
    run(SPEC(.assigner = LEAT_ASSIGN_GLOBAL, .trigger = LEAT_TRIGGER_CONTINUOUS_EVENT_TIME, .trigger_interval_ms = 10),
        continuous_for_ever);
    run(SPEC(TUMBLE(15), .aggregate.allowed_lateness_ms = 20, .trigger = LEAT_TRIGGER_CONTINUOUS_EVENT_TIME,
             .trigger_interval_ms = 10),
        continuous_and_late);
}

// ---- sessions

static void sessions_merge(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@0 | a,2,@@10 | a,4,@@40 | a,8,@@25 | a,16,@@31 | b,1,@@0 | b,2,@@11");
    harness_end_of_time(h);
    harness_expect_any_order(h, "+I[b, 1, 1, [1], 0, 10, 9]@9 \n +I[a, 2, 3, [1;2], 0, 20, 19]@19 \n"
                                "+I[b, 1, 2, [2], 11, 21, 20]@20 \n +I[a, 3, 28, [8;4;16], 25, 50, 49]@49 \n W MAX");
}

// Counts of sessions that become one add up; the row that joins them counts once.
static void session_counts_merge(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@0 | a,2,@@1 | a,4,@@20 | a,8,@@10 | a,16,@@11");
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 4, 15, [1;2;4;8], 0, 30, 29]@29 \n W MAX");
}

// The next firing of the merged session is the earlier one.
static void session_firings_merge(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,2,@@14 | a,4,@@8");
    harness_watermark(h, 10);
    harness_expect(h, "+I[a, 3, 7, [1;2;4], 1, 22, 21]@21 \n W 10");
    harness_watermark(h, 30);
    harness_expect(h, "+I[a, 3, 7, [1;2;4], 1, 22, 21]@21 \n +I[a, 3, 7, [1;2;4], 1, 22, 21]@21 \n W 30");
}

// Rows of sessions that an evictor looks at keep their order through merges: those of the earlier session first.
static void session_rows_merge(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@20 | a,2,@@0 | a,4,@@21 | a,8,@@10 | a,16,@@1");
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 4, 29, [1;4;8;16], 0, 31, 30]@30 \n W MAX");
}

static void own_gaps(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,10,@@0 | a,5,@@3 | a,100,@@9 | a,NULL,@@9 | a,0,@@9 | a,-1,@@9 | b,5,@@0");
    harness_end_of_time(h);
    harness_expect(h, "+I[b, 1, 5, [5], 0, 5, 4]@4 \n +I[a, 3, 115, [10;5;100], 0, 109, 108]@108 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_MISFIT), 3);
}

static void test_sessions(void **state)
{
    (void)state;
    run(SPEC(SESSION(10), .trigger = LEAT_TRIGGER_EVENT_TIME), sessions_merge);
    run(SPEC(SESSION(10), .trigger = LEAT_TRIGGER_COUNT, .trigger_count = 4, .purging = true), session_counts_merge);
    run(SPEC(SESSION(8), .trigger = LEAT_TRIGGER_CONTINUOUS_EVENT_TIME, .trigger_interval_ms = 10),
        session_firings_merge);
    run(SPEC(SESSION(10), .trigger = LEAT_TRIGGER_EVENT_TIME, .evictor = LEAT_EVICTOR_COUNT, .evictor_count = 4),
        session_rows_merge);
    run(SPEC(SESSION(0), .trigger = LEAT_TRIGGER_EVENT_TIME), own_gaps);
}

// ---- evictors

static void evicted_after(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,2,@@2 | a,4,@@3 | a,8,@@4 | a,16,@@5 | a,32,@@6");
    harness_expect(h, "+I[a, 2, 3, [1;2], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 3, 14, [2;4;8], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 3, 56, [8;16;32], NULL, NULL, NULL]@9223372036854775807");
}

// Against the latest row of the pane, not the last one; exactly the size ago goes.
static void evicted_by_time(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@10 | a,2,@@20 | a,4,@@11 | a,8,@@12 | a,16,@@30 | a,32,@@5");
    harness_expect(h, "+I[a, 1, 2, [2], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 3, 14, [2;4;8], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 1, 16, [16], NULL, NULL, NULL]@9223372036854775807");
}

// last.v - v >= 3 goes; NULL stays.
static void evicted_by_delta(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,3,@@2 | a,NULL,@@3 | a,5,@@4 | a,9,@@5 | a,7,@@6");
    harness_expect(h, "+I[a, 2, 4, [1;3], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 3, 8, [3;NULL;5], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 4, 21, [NULL;5;9;7], NULL, NULL, NULL]@9223372036854775807");
}

static void test_evictors(void **state)
{
    (void)state;
    leat_window_stream_spec spec = {
        .assigner = LEAT_ASSIGN_GLOBAL, .trigger = LEAT_TRIGGER_COUNT, .trigger_count = 2, .evictor_threshold = 3};
    spec.evictor = LEAT_EVICTOR_COUNT;
    spec.evictor_count = 1;
    spec.evict_after = true;
    run(&spec, evicted_after);
    spec.evictor = LEAT_EVICTOR_TIME;
    spec.evictor_ms = 10;
    spec.evict_after = false;
    run(&spec, evicted_by_time);
    spec.evictor = LEAT_EVICTOR_DELTA;
    run(&spec, evicted_by_delta);
}

// ---- the trigger by distance: more than 2 above the row that fired last

static void far_rows(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | b,9,@@1 | a,3,@@2 | a,4,NULL | a,NULL,@@4 | a,2,@@4 | a,7,@@5 | b,11,@@9");
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 3, 8, [1;3;4], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 6, 17, [1;3;4;NULL;2;7], NULL, NULL, NULL]@9223372036854775807 \n W MAX");
}

// A purge takes the rows and leaves the mark, also that of a window that holds nothing else.
static void far_rows_purged(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,4,@@2");
    harness_rows(h, 0, "a,6,@@2 | a,7,@@2");
    harness_rows(h, 0, "a,-9,@@2 | a,9,@@2 | a,10,@@2");
    harness_expect(h, "+I[a, 2, 5, [1;4], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 2, 13, [6;7], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 3, 10, [-9;9;10], NULL, NULL, NULL]@9223372036854775807");
}

// Each window has its mark; it goes with the window, and a NULL is nothing to be far from.
static void far_rows_and_end(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,9,@@11 | a,4,@@2 | b,NULL,@@3 | b,7,@@4");
    harness_watermark(h, 9);
    harness_expect(
        h,
        "+I[a, 2, 5, [1;4], 0, 10, 9]@9 \n +I[a, 2, 5, [1;4], 0, 10, 9]@9 \n +I[b, 2, 7, [NULL;7], 0, 10, 9]@9 \n W 9");
    harness_rows(h, 0, "a,5,@@12 | a,12,@@13");
    harness_watermark(h, 19);
    harness_expect(h, "+I[a, 3, 26, [9;5;12], 10, 20, 19]@19 \n +I[a, 3, 26, [9;5;12], 10, 20, 19]@19 \n W 19");
}

static void test_delta(void **state)
{
    (void)state;
    run(SPEC(.assigner = LEAT_ASSIGN_GLOBAL, .trigger = LEAT_TRIGGER_DELTA, .trigger_threshold = 2), far_rows);
    run(SPEC(.assigner = LEAT_ASSIGN_GLOBAL, .trigger = LEAT_TRIGGER_DELTA, .trigger_threshold = 2, .purging = true),
        far_rows_purged);
    run(SPEC(.assigner = LEAT_ASSIGN_GLOBAL, .trigger = LEAT_TRIGGER_DELTA, .trigger_threshold = 2, .purging = true,
             .evictor = LEAT_EVICTOR_COUNT, .evictor_count = 9),
        far_rows_purged);
    run(SPEC(TUMBLE(10), .trigger = LEAT_TRIGGER_DELTA, .trigger_threshold = 2, .trigger_at_end = true),
        far_rows_and_end);
}

// ---- processing time

static void by_the_clock(harness *h, void *argument)
{
    (void)argument;
    harness_time(h, 103);
    harness_rows(h, 0, "a,1,@@1 | b,1,@@900");
    harness_time(h, 108);
    harness_rows(h, 0, "a,2,NULL");
    harness_time(h, 110);
    harness_rows(h, 0, "a,4,@@1");
    harness_time_late(h, 200);
    harness_end_of_time(h); // not of processing time
    harness_rows(h, 0, "a,8,@@1");
    harness_expect(h, "+I[a, 2, 3, [1;2], 100, 110, 109]@109 \n +I[b, 1, 1, [1], 100, 110, 109]@109 \n"
                      "+I[a, 1, 4, [4], 110, 120, 119]@119 \n W MAX");
}

static void sessions_by_the_clock(harness *h, void *argument)
{
    (void)argument;
    harness_time(h, 100);
    harness_rows(h, 0, "a,1,@@1");
    harness_time(h, 108);
    harness_rows(h, 0, "a,2,@@1");
    harness_time(h, 116);
    harness_expect_nothing(h);
    harness_time(h, 117);
    harness_expect(h, "+I[a, 2, 3, [1;2], 100, 118, 117]@117");
}

static void continuous_by_the_clock(harness *h, void *argument)
{
    (void)argument;
    harness_time(h, 101);
    harness_rows(h, 0, "a,1,@@1");
    harness_time(h, 110);
    harness_rows(h, 0, "a,2,@@2");
    harness_time(h, 119);
    harness_watermark(h, 1000);
    harness_time(h, 300);
    harness_expect(h, "+I[a, 1, 1, [1], 0, 1000, 999]@999 \n +I[a, 2, 3, [1;2], 0, 1000, 999]@999 \n W 1000");
}

// Rows of long ago: the clock has left the end of their window behind, so that it fires at once, and never again.
static void clock_is_ahead(harness *h, void *argument)
{
    (void)argument;
    harness_time(h, 5003);
    harness_rows(h, 0, "a,1,@@1");
    harness_time(h, 5009);
    harness_expect(h, "+I[a, 1, 1, [1], 0, 10, 9]@9");
    harness_rows(h, 0, "a,2,@@1");
    harness_time(h, 5020);
    harness_watermark(h, 9);
    harness_time(h, 6000);
    harness_expect(h, "W 9");
}

// The last firing is at the window's last instant, on the grid or not.
static void clock_meets_the_end(harness *h, void *argument)
{
    (void)argument;
    harness_time(h, 3);
    harness_rows(h, 0, "a,1,@@1");
    harness_time(h, 4);
    harness_expect(h, "+I[a, 1, 1, [1], 0, 10, 9]@9");
    harness_time(h, 8);
    harness_expect(h, "+I[a, 1, 1, [1], 0, 10, 9]@9");
    harness_rows(h, 0, "a,2,@@1");
    harness_time(h, 9);
    harness_expect(h, "+I[a, 2, 3, [1;2], 0, 10, 9]@9");
    harness_rows(h, 0, "a,4,@@1");
    harness_time(h, 100);
    harness_expect_nothing(h);
}

// Beside a firing at the end by event time the one by the clock goes on.
static void clock_goes_on(harness *h, void *argument)
{
    (void)argument;
    harness_time(h, 5003);
    harness_rows(h, 0, "a,1,@@1");
    harness_time(h, 5009);
    harness_expect_nothing(h);
    harness_time(h, 5020);
    harness_expect(h, "+I[a, 1, 1, [1], 0, 10, 9]@9 \n +I[a, 1, 1, [1], 0, 10, 9]@9");
    harness_watermark(h, 9);
    harness_time(h, 6000);
    harness_expect(h, "+I[a, 1, 1, [1], 0, 10, 9]@9 \n W 9");
}

static void test_processing_time(void **state)
{
    (void)state;
    run(SPEC(TUMBLE(10), .trigger = LEAT_TRIGGER_CONTINUOUS_PROCESSING_TIME, .trigger_interval_ms = 10),
        clock_is_ahead);
    run(SPEC(TUMBLE(10), .trigger = LEAT_TRIGGER_CONTINUOUS_PROCESSING_TIME, .trigger_interval_ms = 4),
        clock_meets_the_end);
    run(SPEC(TUMBLE(10), .trigger = LEAT_TRIGGER_CONTINUOUS_PROCESSING_TIME, .trigger_interval_ms = 10,
             .trigger_at_end = true),
        clock_goes_on);
    run(SPEC(TUMBLE(10), .processing_time = true, .trigger = LEAT_TRIGGER_PROCESSING_TIME), by_the_clock);
    run(SPEC(SESSION(10), .processing_time = true, .trigger = LEAT_TRIGGER_PROCESSING_TIME), sessions_by_the_clock);
    run(SPEC(TUMBLE(1000), .trigger = LEAT_TRIGGER_CONTINUOUS_PROCESSING_TIME, .trigger_interval_ms = 10,
             .trigger_at_end = true),
        continuous_by_the_clock);
}

// ---- updates

static void updated(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1");
    harness_watermark(h, 9);
    harness_rows(h, 0, "a,2,@@2");
    harness_watermark(h, 14);
    harness_rows(h, 0, "a,4,@@2");
    harness_watermark(h, 15);
    harness_expect(h, "+I[a, 1, 1, 1, 0, 10, 9]@9 \n W 9 \n -U[a, 1, 1, 1, 0, 10, 9]@9 \n +U[a, 2, 3, 2, 0, 10, 9]@9 \n"
                      "W 15");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 1);
}

static void updated_by_retractions(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "+I a,1,@@1 | +I b,1,@@1 | -D b,1,@@1");
    harness_watermark(h, 9);
    harness_rows(h, 0, "+I a,0,@@2 | -D a,0,@@2 | -D a,1,@@1 | +I a,7,@@3");
    harness_expect(h, "+I[a, 1, 1, 1, 0, 10, 9]@9 \n W 9 \n -U[a, 1, 1, 1, 0, 10, 9]@9 \n +U[a, 2, 1, 1, 0, 10, 9]@9 \n"
                      "-U[a, 2, 1, 1, 0, 10, 9]@9 \n +U[a, 1, 1, 1, 0, 10, 9]@9 \n -D[a, 1, 1, 1, 0, 10, 9]@9 \n"
                      "+I[a, 1, 7, 7, 0, 10, 9]@9");
}

// A late row changes those of the cumulating windows that are still there, from the first.
static void cumulated(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1");
    harness_watermark(h, 12);
    harness_rows(h, 0, "a,2,@@3");
    harness_watermark(h, 20);
    harness_expect(h,
                   "+I[a, 1, 1, 1, 0, 5, 4]@4 \n +I[a, 1, 1, 1, 0, 10, 9]@9 \n W 12 \n"
                   "-U[a, 1, 1, 1, 0, 10, 9]@9 \n +U[a, 2, 3, 2, 0, 10, 9]@9 \n +I[a, 2, 3, 2, 0, 15, 14]@14 \n W 20");
}

static void numbered(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,2,@@1 | b,1,@@1 | a,3,@@1 | a,4,@@1 | a,5,@@1 | a,6,@@1 | a,7,@@1");
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 3, 6, 3, 0, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 3, 12, 5, 1, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 3, 18, 7, 2, NULL, NULL]@9223372036854775807 \n W MAX");
}

static void numbered_apart(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,2,@@1 | a,3,@@1 | a,4,@@1 | a,5,@@1 | a,6,@@1");
    harness_expect(h, "+I[a, 2, 3, 2, 0, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 2, 9, 5, 1, NULL, NULL]@9223372036854775807");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 0);
}

static void test_updates(void **state)
{
    (void)state;
    run(SPEC(TUMBLE(10), .aggregate.allowed_lateness_ms = 5, .trigger = LEAT_TRIGGER_EVENT_TIME, .updates = true),
        updated);
    run(SPEC(TUMBLE(10), .aggregate.allowed_lateness_ms = 5, .aggregate.input_retracts = true,
             .trigger = LEAT_TRIGGER_EVENT_TIME, .updates = true),
        updated_by_retractions);
    run(SPEC(.aggregate.window = {.kind = LEAT_WINDOW_CUMULATE, .size_ms = 15, .slide_ms = 5},
             .aggregate.allowed_lateness_ms = 5, .trigger = LEAT_TRIGGER_EVENT_TIME, .updates = true),
        cumulated);
    leat_window_stream_spec spec = {.assigner = LEAT_ASSIGN_COUNT,
                                    .count_size = 3,
                                    .count_slide = 2,
                                    .trigger = LEAT_TRIGGER_COUNT,
                                    .trigger_count = 3,
                                    .updates = true};
    run(&spec, numbered);
    spec.count_size = spec.trigger_count = 2;
    spec.count_slide = 3;
    run(&spec, numbered_apart);
}

// ---- rows that cannot be taken, and what is left behind

static void bad_rows(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "NULL,1,@@1 | a,2,NULL | a,3,@@5000000000000000000 | NULL,4,@@2");
    harness_end_of_time(h);
    harness_expect(h, "+I[NULL, 2, 5, [1;4], 0, 10, 9]@9 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_NULL_TIME), 1);
    assert_int_equal(harness_drops(h, LEAT_DROP_MISFIT), 1);
}

// What was purged and has no timer leaves nothing in a snapshot.
static void nothing_left(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | b,1,@@1 | a,2,@@2");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 1);
    harness_rows(h, 0, "b,2,@@2");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
    harness_expect(h, "+I[a, 2, 3, [1;2], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[b, 2, 3, [1;2], NULL, NULL, NULL]@9223372036854775807");
}

// Each kept row is an entry of its own; what was evicted goes from the image.
static void rows_left(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,2,@@2 | a,3,@@3");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 4);
    harness_rows(h, 0, "a,4,@@4");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 4);
    harness_expect(h, "+I[a, 2, 3, [1;2], NULL, NULL, NULL]@9223372036854775807 \n"
                      "+I[a, 3, 9, [2;3;4], NULL, NULL, NULL]@9223372036854775807");
}

static void test_rows_and_state(void **state)
{
    (void)state;
    run(SPEC(TUMBLE(10), .trigger = LEAT_TRIGGER_EVENT_TIME), bad_rows);
    run(SPEC(.assigner = LEAT_ASSIGN_GLOBAL, .trigger = LEAT_TRIGGER_COUNT, .trigger_count = 2, .purging = true),
        nothing_left);
    run(SPEC(.assigner = LEAT_ASSIGN_GLOBAL, .trigger = LEAT_TRIGGER_COUNT, .trigger_count = 2,
             .evictor = LEAT_EVICTOR_COUNT, .evictor_count = 3),
        rows_left);
}

static void too_much(harness *h, void *argument)
{
    (void)argument;
    harness_fails(h, LEAT_E_LIMIT, "memory budget");
    for (int i = 0; i < 4000; i++) {
        char row[64];
        snprintf(row, sizeof row, "k%d,1,@@1", i);
        harness_rows(h, 0, row);
    }
}

static void test_budget(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, SPEC(TUMBLE(10), .trigger = LEAT_TRIGGER_EVENT_TIME));
    f.setup.budget = 200000;
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    too_much(h, NULL);
    harness_destroy(h);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),    cmocka_unit_test(test_lateness), cmocka_unit_test(test_continuous),
        cmocka_unit_test(test_sessions), cmocka_unit_test(test_evictors), cmocka_unit_test(test_processing_time),
        cmocka_unit_test(test_delta),    cmocka_unit_test(test_updates),  cmocka_unit_test(test_rows_and_state),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
