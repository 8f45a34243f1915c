// Joins over an interval of time.
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

static void test_streams(void **state)
{
    (void)state;
    leat_join_interval_spec spec = spec_of(LEAT_JOIN_INNER, -1, 2);
    spec.streams = true;
    spec.time_columns[0] = spec.time_columns[1] = -1;
    run_spec(&spec, streams);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inner),           cmocka_unit_test(test_outer),   cmocka_unit_test(test_condition),
        cmocka_unit_test(test_processing_time), cmocka_unit_test(test_streams), cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
