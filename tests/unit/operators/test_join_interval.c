// Joins over an interval of time.
#include <stdio.h>

#include "tests/unit/operators/joins.h"

extern const leat_operator_ops leat_operator_join_interval_ops;

#define LEFT "k:STRING,v:BIGINT,ts:TIMESTAMP*"
#define RIGHT "k:STRING,w:BIGINT,us:TIMESTAMP*"
#define OUTPUT "k:STRING,v:BIGINT,ts:TIMESTAMP*,k2:STRING,w:BIGINT,us:TIMESTAMP"

static leat_join_interval_spec spec_of(leat_join_kind kind, int64_t lower, int64_t upper)
{
    return (leat_join_interval_spec){
        .sides = joins_sides(kind, 3, 3), .lower_ms = lower, .upper_ms = upper, .time_columns = {2, 2}};
}

static void run_spec(leat_join_interval_spec *spec, harness_scenario scenario)
{
    harness_setup setup = {.ops = &leat_operator_join_interval_ops,
                           .spec = spec,
                           .inputs = {LEFT, RIGHT},
                           .outputs = {OUTPUT, LEFT, RIGHT}};
    harness_run(&setup, scenario, NULL);
}

static void run(leat_join_kind kind, int64_t lower, int64_t upper, harness_scenario scenario)
{
    leat_join_interval_spec spec = spec_of(kind, lower, upper);
    run_spec(&spec, scenario);
}

// left - right in [-5, 6]
static void bounds(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@999 | a,2,@@1000 | a,3,@@1011 | a,4,@@1012 | b,5,@@1005 | NULL,6,@@1005");
    harness_rows(h, 1, "a,1,@@1005 | NULL,2,@@1005");
    harness_expect(h, "+I[a, 2, 1000, a, 1, 1005]@1000 \n +I[a, 3, 1011, a, 1, 1005]@1011");
    harness_rows(h, 0, "a,7,@@1005");
    harness_expect(h, "+I[a, 7, 1005, a, 1, 1005]@1005");
}

// Left rows can meet right ones until 5 later, right rows left ones until 6 later.
static void padded_once(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@100 | a,2,@@101 | c,3,@@100");
    harness_rows(h, 1, "b,1,@@100 | c,2,@@104");
    harness_watermark(h, 105);
    harness_expect(h, "+I[c, 3, 100, c, 2, 104]@100 \n W 99");
    harness_watermark(h, 106);
    harness_expect(h, "+I[a, 1, 100, NULL, NULL, NULL]@100 \n W 100");
    harness_watermark(h, 107);
    harness_expect(h, "+I[NULL, NULL, NULL, b, 1, 100]@100 \n +I[a, 2, 101, NULL, NULL, NULL]@101 \n W 101");
    harness_end_of_time(h);
    harness_expect(h, "W 9223372036854775801");
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), LEAT_KEY_GROUPS); // marks only
}

static void left_outer(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "NULL,1,@@100");
    harness_watermark(h, 105);
    harness_expect(h, "W 99");
    harness_rows(h, 0, "a,2,@@50"); // behind the watermark: nobody can come any more
    harness_expect(h, "+I[a, 2, 50, NULL, NULL, NULL]@50");
    harness_watermark(h, 106);
    harness_expect(h, "+I[NULL, 1, 100, NULL, NULL, NULL]@100 \n W 100");
}

// A late row still meets what is kept.
static void late_meets(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 1, "a,1,@@100");
    harness_watermark(h, 103);
    harness_rows(h, 0, "a,2,@@96 | a,3,@@95 | a,4,@@94");
    harness_expect(h, "W 97 \n +I[a, 2, 96, a, 1, 100]@96 \n +I[a, 3, 95, a, 1, 100]@95");
}

static void empty_interval(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@100");
    harness_rows(h, 1, "a,2,@@100");
    harness_watermark(h, 200);
    harness_rows(h, 0, "a,3,@@90");
    harness_expect(h, "+I[a, 1, 100, NULL, NULL, NULL]@100 \n W 200 \n +I[a, 3, 90, NULL, NULL, NULL]@90");
}

static void condition(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@100 | a,9,@@100 | a,NULL,@@100");
    harness_rows(h, 1, "a,5,@@100");
    harness_expect(h, "+I[a, 1, 100, a, 5, 100]@100");
    harness_watermark(h, 106);
    harness_expect(h, "+I[a, 9, 100, NULL, NULL, NULL]@100 \n +I[a, NULL, 100, NULL, NULL, NULL]@100 \n W 100");
}

// An alarm is set for the first row of a key; an older one waits for it.
static void one_alarm_a_key(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@200 | a,2,@@150");
    harness_watermark(h, 180);
    harness_expect(h, "W 174");
    harness_rows(h, 1, "a,9,@@190"); // comes by
    harness_expect(h, "+I[a, 2, 150, NULL, NULL, NULL]@150");
    harness_watermark(h, 206);
    harness_expect(h, "+I[a, 1, 200, NULL, NULL, NULL]@200 \n W 200");
}

static void restored(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@100 | b,2,@@100");
    harness_rows(h, 1, "a,5,@@101");
    harness_watermark(h, 102);
    harness_expect(h, "+I[a, 1, 100, a, 5, 101]@100 \n W 96");
    harness_snapshot_whole(h);
    harness_restore_savepoint(h, 0, 1);
    harness_rows(h, 1, "b,6,@@103 | a,7,@@102");
    harness_expect(h, "+I[b, 2, 100, b, 6, 103]@100 \n +I[a, 1, 100, a, 7, 102]@100");
    harness_watermark(h, 110);
    harness_expect(h, "W 104"); // both sides' rows have met somebody, and pad nobody
}

static void null_times(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,NULL | a,2,@@9223372036854775806");
    harness_rows(h, 1, "a,2,NULL");
    harness_expect_nothing(h);
    assert_int_equal(harness_drops(h, LEAT_DROP_NULL_TIME), 2);
    assert_int_equal(harness_drops(h, LEAT_DROP_MISFIT), 1);
}

static void test_inner(void **state)
{
    (void)state;
    run(LEAT_JOIN_INNER, -5, 6, bounds);
    run(LEAT_JOIN_INNER, -5, 6, late_meets);
    run(LEAT_JOIN_INNER, -5, 6, null_times);
}

static void test_outer(void **state)
{
    (void)state;
    run(LEAT_JOIN_FULL, -5, 6, padded_once);
    run(LEAT_JOIN_LEFT, -5, 6, left_outer);
    run(LEAT_JOIN_LEFT, -5, 6, one_alarm_a_key);
    run(LEAT_JOIN_LEFT, 3, 1, empty_interval);
    run(LEAT_JOIN_LEFT, -5, 6, restored);
}

static void test_condition(void **state)
{
    (void)state;
    env_test *env = env_test_create();
    leat_arena arena;
    leat_arena_init(&arena, env_test_env(env), 0);
    leat_join_interval_spec spec = spec_of(LEAT_JOIN_LEFT, -5, 6);
    spec.sides.condition = joins_less(&arena, 1, 1);
    run_spec(&spec, condition);
    leat_arena_fini(&arena);
    env_test_destroy(env);
}

// ---- processing time

static void by_clock(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1");
    harness_time(h, 1005);
    harness_rows(h, 1, "a,5,@@9");
    harness_expect(h, "+I[a, 1, 1, a, 5, 9]@1");
    harness_rows(h, 0, "b,2,@@1");
    harness_time(h, 1010);
    harness_expect_nothing(h);
    harness_rows(h, 1, "a,6,@@9"); // 10 after the left row
    harness_time(h, 1020);
    harness_expect(h, "+I[b, 2, 1, NULL, NULL, NULL]@1");
}

static void test_processing_time(void **state)
{
    (void)state;
    leat_join_interval_spec spec = spec_of(LEAT_JOIN_LEFT, -5, 6);
    spec.processing_time = true;
    harness_setup setup = {.ops = &leat_operator_join_interval_ops,
                           .spec = &spec,
                           .inputs = {LEFT, RIGHT},
                           .outputs = {OUTPUT},
                           .start_ms = 1000};
    harness_run(&setup, by_clock, NULL);
}

// ---- DataStream: right - left in [-2, 1]

static void streams(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@100 | NULL,9,@@100");
    harness_watermark(h, 100);
    harness_rows(h, 1, "a,1,@@100 | a,2,@@101 | a,3,@@102 | a,4,@@99 | NULL,9,@@100");
    harness_expect(h, "W 100 \n +I[a, 1, 100, a, 1, 100]@100 \n +I[a, 1, 100, a, 2, 101]@101 \n 2:+I[a, 4, 99]@99");
    harness_watermark(h, 101); // the left row is gone, the right ones stay until their time + 2
    harness_rows(h, 1, "a,5,@@101");
    harness_rows(h, 0, "a,2,@@102 | a,3,@@100");
    harness_expect(h, "W 101 \n +I[a, 2, 102, a, 1, 100]@102 \n +I[a, 2, 102, a, 2, 101]@102 \n"
                      "+I[a, 2, 102, a, 5, 101]@102 \n +I[a, 2, 102, a, 3, 102]@102 \n 1:+I[a, 3, 100]@100");
    harness_end_of_time(h);
    harness_expect(h, "W MAX");
}

// A row that is over when it comes stays until the watermark rises.
static void streams_at_end(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 1, "a,1,@@100");
    harness_watermark(h, 100);
    harness_rows(h, 0, "a,1,@@100"); // the right row went with the watermark
    harness_rows(h, 1, "a,2,@@100 | a,3,@@100");
    harness_rows(h, 0, "a,3,@@100");
    harness_expect(h, "W 100 \n +I[a, 1, 100, a, 2, 100]@100 \n +I[a, 1, 100, a, 3, 100]@100 \n"
                      "+I[a, 3, 100, a, 2, 100]@100 \n +I[a, 3, 100, a, 3, 100]@100");
    harness_watermark(h, 101);
    harness_rows(h, 0, "a,4,@@101");
    harness_expect(h, "W 101");
}

static void test_streams(void **state)
{
    (void)state;
    leat_join_interval_spec spec = spec_of(LEAT_JOIN_INNER, -1, 2);
    spec.streams = true;
    spec.time_columns[0] = spec.time_columns[1] = -1;
    run_spec(&spec, streams);
    spec.lower_ms = -2;
    spec.upper_ms = 0;
    run_spec(&spec, streams_at_end);
}

// ---- what is kept of a row

#define WIDE "k:STRING,name:STRING,price:DECIMAL(10,2),tags:ARRAY<STRING>,on:BOOLEAN,d:DOUBLE,ts:TIMESTAMP*"
#define WIDE_OUTPUT                                                                                                    \
    "k:STRING,name:STRING,price:DECIMAL(10,2),tags:ARRAY<STRING>,on:BOOLEAN,d:DOUBLE,ts:TIMESTAMP*,"                   \
    "k2:STRING,w:BIGINT,us:TIMESTAMP"

static void wide_rows(harness *h, void *argument)
{
    (void)argument;
    harness_rows(
        h, 0,
        "a,a name of many letters,1.25,[x;a tag of many letters],true,0.5,@@100 | a,short,NULL,NULL,false,NULL,@@99");
    harness_rows(h, 0, "b,NULL,NULL,[],NULL,2.5,@@100 | NULL,another name of many letters,NULL,NULL,NULL,NULL,@@100");
    harness_rows(h, 1, "a,1,@@101 | b,NULL,@@101");
    harness_expect(h, "+I[a, short, NULL, NULL, false, NULL, 99, a, 1, 101]@99 \n"
                      "+I[a, a name of many letters, 1.25, [x;a tag of many letters], true, 0.5, 100, a, 1, 101]@100 \n"
                      "+I[b, NULL, NULL, [], NULL, 2.5, 100, b, NULL, 101]@100");
    harness_watermark(h, 106);
    harness_expect(
        h, "+I[NULL, another name of many letters, NULL, NULL, NULL, NULL, 100, NULL, NULL, NULL]@100 \n W 100");
    harness_end_of_time(h);
    harness_expect(h, "W 9223372036854775801");
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), LEAT_KEY_GROUPS);
}

static void test_wide_rows(void **state)
{
    (void)state;
    leat_join_interval_spec spec = {
        .sides = joins_sides(LEAT_JOIN_LEFT, 7, 3), .lower_ms = -5, .upper_ms = 6, .time_columns = {6, 2}};
    harness_setup setup = {
        .ops = &leat_operator_join_interval_ops, .spec = &spec, .inputs = {WIDE, RIGHT}, .outputs = {WIDE_OUTPUT}};
    harness_run(&setup, wide_rows, NULL);
}

static void unread_columns(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@100");
    harness_rows(h, 1, "a,5,@@101");
    harness_rows(h, 0, "a,2,@@102");
    harness_expect(h, "+I[NULL, NULL, 100, a, 5, 101]@100 \n +I[NULL, NULL, 102, a, 5, 101]@102");
}

static void test_unread_columns(void **state)
{
    (void)state;
    static const bool unread[] = {true, true, false};
    leat_join_interval_spec spec = spec_of(LEAT_JOIN_INNER, -5, 6);
    spec.unread[0] = unread;
    run_spec(&spec, unread_columns);
}

// ---- when rows go

// More rows of a key than are looked at one by one, none in order.
static void disorder(harness *h, void *argument)
{
    char text[4096];
    size_t size = 0;
    (void)argument;
    for (int i = 0; i < 100; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%sa,%d,@@%d", i ? " | " : "", i, 100 + i * 37 % 100);
    harness_rows(h, 0, text);
    harness_rows(h, 1, "a,1,@@150");
    harness_expect(h,
                   "+I[a, 85, 145, a, 1, 150]@145 \n +I[a, 58, 146, a, 1, 150]@146 \n +I[a, 31, 147, a, 1, 150]@147 \n"
                   "+I[a, 4, 148, a, 1, 150]@148 \n +I[a, 77, 149, a, 1, 150]@149 \n +I[a, 50, 150, a, 1, 150]@150 \n"
                   "+I[a, 23, 151, a, 1, 150]@151 \n +I[a, 96, 152, a, 1, 150]@152 \n +I[a, 69, 153, a, 1, 150]@153 \n"
                   "+I[a, 42, 154, a, 1, 150]@154 \n +I[a, 15, 155, a, 1, 150]@155 \n +I[a, 88, 156, a, 1, 150]@156");
}

// An alarm of any key tells how far rows have expired, and what is older than that meets nobody.
static void alarms_of_others(harness *h, void *argument)
{
    harness_watermark(h, 88);
    harness_rows(h, 0, "a,1,@@100 | a,2,@@89");
    if (*(bool *)argument)
        harness_rows(h, 0, "b,1,@@90");
    harness_watermark(h, 96);
    harness_rows(h, 1, "a,9,@@84");
    harness_expect(h, *(bool *)argument ? "W 82 \n W 90" : "W 82 \n W 90 \n +I[a, 2, 89, a, 9, 84]@89");
    harness_rows(h, 1, "a,10,@@85"); // this one may; and so it tells the same to the next
    harness_rows(h, 1, "a,11,@@84");
    harness_expect(h, *(bool *)argument ? "+I[a, 2, 89, a, 10, 85]@89" : "");
}

// Flink takes the time 0 of the row that is to have the next alarm for none, and forgets what it has.
static void times_up_to_zero(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@-3 | a,2,@@0 | a,3,@@2 | b,4,@@-3 | b,5,@@-2 | b,6,@@2 | c,7,@@2");
    harness_watermark(h, 3);
    harness_expect_any_order(h, "+I[a, 1, -3, NULL, NULL, NULL]@-3 \n +I[b, 4, -3, NULL, NULL, NULL]@-3 \n W -3");
    harness_rows(h, 1, "a,8,@@2 | b,8,@@-2 | c,8,@@2");
    harness_expect(h, "+I[b, 5, -2, b, 8, -2]@-2 \n +I[b, 6, 2, b, 8, -2]@2 \n +I[c, 7, 2, c, 8, 2]@2");
    harness_end_of_time(h);
    harness_expect(h, "W 9223372036854775801");
}

static void times_up_to_zero_inner(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@-3 | a,2,@@0 | a,3,@@2 | b,4,@@-3 | b,5,@@-2 | b,6,@@2 | c,7,@@2");
    harness_watermark(h, 3);
    harness_rows(h, 1, "a,8,@@2 | b,8,@@-2 | c,8,@@2");
    harness_expect(h, "W -3 \n +I[b, 5, -2, b, 8, -2]@-2 \n +I[b, 6, 2, b, 8, -2]@2 \n +I[c, 7, 2, c, 8, 2]@2");
}

static void test_disorder(void **state)
{
    (void)state;
    bool others[] = {false, true};
    run(LEAT_JOIN_INNER, -5, 6, disorder);
    for (unsigned i = 0; i < 2; i++) {
        leat_join_interval_spec spec = spec_of(LEAT_JOIN_INNER, -5, 6);
        harness_setup setup = {
            .ops = &leat_operator_join_interval_ops, .spec = &spec, .inputs = {LEFT, RIGHT}, .outputs = {OUTPUT}};
        harness_run(&setup, alarms_of_others, &others[i]);
    }
    run(LEAT_JOIN_LEFT, -5, 6, times_up_to_zero);
    run(LEAT_JOIN_INNER, -5, 6, times_up_to_zero_inner);
}

// Keys that do not come again are given back with their memory.
static void test_sweeps(void **state)
{
    (void)state;
    leat_join_interval_spec spec = spec_of(LEAT_JOIN_INNER, -5, 6);
    harness_setup setup = {.ops = &leat_operator_join_interval_ops,
                           .spec = &spec,
                           .inputs = {LEFT, RIGHT},
                           .outputs = {OUTPUT},
                           .budget = 400000};
    harness *h = harness_create(&setup, HARNESS_SINGLE);
    for (int i = 0; i < 20000; i++) {
        char text[64];
        snprintf(text, sizeof text, "key %d,%d,@@%d", i, i, 1000 + i);
        harness_rows(h, i % 2, text);
        harness_watermark(h, 1000 + i);
    }
    harness_destroy(h);
}

static void test_budget(void **state)
{
    (void)state;
    leat_join_interval_spec spec = spec_of(LEAT_JOIN_INNER, -5, 6);
    harness_setup setup = {.ops = &leat_operator_join_interval_ops,
                           .spec = &spec,
                           .inputs = {LEFT, RIGHT},
                           .outputs = {OUTPUT},
                           .budget = 100000};
    harness *h = harness_create(&setup, HARNESS_SINGLE);
    for (int i = 0; i < 100; i++)
        harness_rows(h, 0, "a,1,@@100");
    harness_fails(h, LEAT_E_LIMIT, "does not hold the rows of a join");
    for (int i = 0; i < 2000; i++)
        harness_rows(h, 0, "a,1,@@100");
    harness_destroy(h);
}

// At the ends of time, where a time and a bound have no sum; rows further out than the operator computes with are counted and left out.
static void far_times(harness *h, void *argument)
{
    (void)argument;
    static const int64_t watermarks[] = {INT64_MIN + 2, -1, 0, INT64_MAX / 4, INT64_MAX - 1};
    const char *rows = "a,1,@@-9223372036854775807 | a,2,@@-2305843009213693950 | a,3,@@-1 | a,4,@@0 | "
                       "a,5,@@2305843009213693950 | a,6,@@9223372036854775806";
    for (size_t i = 0; i < sizeof watermarks / sizeof *watermarks; i++) {
        harness_rows(h, 0, rows);
        harness_rows(h, 1, rows);
        harness_watermark(h, watermarks[i]);
    }
    harness_end_of_time(h);
    assert_int_equal(harness_drops(h, LEAT_DROP_MISFIT), 20);
}

static void test_far_times(void **state)
{
    (void)state;
    static const int64_t bounds_of[][2] = {{-5, 6}, {5, 10}, {-10, -5}, {1 - INT64_MAX / 4, INT64_MAX / 4 - 1}};
    static const leat_join_kind kinds[] = {LEAT_JOIN_INNER, LEAT_JOIN_LEFT, LEAT_JOIN_RIGHT, LEAT_JOIN_FULL};
    for (size_t i = 0; i < sizeof bounds_of / sizeof *bounds_of; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            run(kinds[k], bounds_of[i][0], bounds_of[i][1], far_times);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inner),           cmocka_unit_test(test_outer),     cmocka_unit_test(test_condition),
        cmocka_unit_test(test_processing_time), cmocka_unit_test(test_streams),   cmocka_unit_test(test_wide_rows),
        cmocka_unit_test(test_unread_columns),  cmocka_unit_test(test_disorder),  cmocka_unit_test(test_sweeps),
        cmocka_unit_test(test_budget),          cmocka_unit_test(test_far_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
