// Joins with the version that is valid at a row's time.
#include "tests/unit/operators/joins.h"

extern const leat_operator_ops leat_operator_join_temporal_ops;

#define LEFT "k:STRING,v:BIGINT,ts:TIMESTAMP*"
#define RIGHT "k:STRING,w:BIGINT,us:TIMESTAMP*"
#define OUTPUT "k:STRING,v:BIGINT,ts:TIMESTAMP*,k2:STRING,w:BIGINT,us:TIMESTAMP"

static void run_waiting(leat_join_kind kind, bool processing_time, bool waits, harness_scenario scenario)
{
    leat_join_temporal_spec spec = {
        .sides = joins_sides(kind, 3, 3), .time_columns = {2, 2}, .processing_time = processing_time, .waits = waits};
    harness_setup setup = {.ops = &leat_operator_join_temporal_ops,
                           .spec = &spec,
                           .inputs = {LEFT, RIGHT},
                           .outputs = {OUTPUT},
                           .output_changelog = LEAT_CHANGELOG_RETRACT};
    harness_run(&setup, scenario, NULL);
}

static void run(leat_join_kind kind, bool processing_time, harness_scenario scenario)
{
    run_waiting(kind, processing_time, false, scenario);
}

static void versions(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 1, "a,1,@@100 | -U a,1,@@200 | +U a,2,@@200 | -D a,2,@@300 | a,4,@@400");
    harness_rows(h, 0,
                 "a,1,@@99 | a,2,@@250 | a,3,@@100 | a,4,@@300 | b,5,@@100 | NULL,6,@@100 | a,7,@@199 | a,8,@@500");
    harness_expect_nothing(h);
    harness_watermark(h, 100);
    harness_expect_any_order(h,
                             "+I[a, 1, 99, NULL, NULL, NULL]@99 \n +I[a, 3, 100, a, 1, 100]@100 \n"
                             "+I[b, 5, 100, NULL, NULL, NULL]@100 \n +I[NULL, 6, 100, NULL, NULL, NULL]@100 \n W 100");
    harness_watermark(h, 400);
    harness_expect(h, "+I[a, 2, 250, a, 2, 200]@250 \n +I[a, 4, 300, NULL, NULL, NULL]@300 \n"
                      "+I[a, 7, 199, a, 1, 100]@199 \n W 400");
    harness_rows(h, 0, "a,9,@@150"); // what was valid then is forgotten; it waits for the next watermark
    harness_expect_nothing(h);
    harness_watermark(h, 500);
    harness_expect(h, "+I[a, 8, 500, a, 4, 400]@500 \n +I[a, 9, 150, NULL, NULL, NULL]@150 \n W 500");
}

static void changelog(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 1, "a,1,@@100 | +U a,2,@@100"); // the later of two at one time
    harness_rows(h, 0, "a,1,@@110 | -U a,1,@@120 | +U a,2,@@120 | b,3,@@100 | -D b,3,@@130");
    harness_watermark(h, 200);
    harness_expect(
        h, "+I[a, 1, 110, a, 2, 100]@110 \n -U[a, 1, 120, a, 2, 100]@120 \n +U[a, 2, 120, a, 2, 100]@120 \n W 200");
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), 1); // the newest version
}

static void by_clock(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@500");
    harness_rows(h, 1, "a,1,@@900 | b,2,@@900");
    harness_rows(h, 0, "a,2,@@100 | b,3,@@100");
    harness_rows(h, 1, "-U a,1,@@900 | +U a,5,@@1 | -D b,2,@@900");
    harness_rows(h, 0, "-D a,2,@@100 | b,4,@@100");
    harness_expect(h,
                   "+I[a, 1, 500, NULL, NULL, NULL]@500 \n +I[a, 2, 100, a, 1, 900]@100 \n"
                   "+I[b, 3, 100, b, 2, 900]@100 \n -D[a, 2, 100, a, 5, 1]@100 \n +I[b, 4, 100, NULL, NULL, NULL]@100");
}

// Until the first watermark the table is not there; a version's own time is not asked.
static void by_clock_once_read(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@500 | b,2,@@100 | a,3,@@100 | NULL,4,@@100");
    harness_expect_nothing(h);
    harness_rows(h, 1, "a,1,@@900 | +U a,2,@@900 | -D b,2,@@900");
    harness_expect_nothing(h);
    harness_watermark(h, 50);
    harness_expect_any_order(h,
                             "+I[a, 1, 500, a, 2, 900]@500 \n +I[a, 3, 100, a, 2, 900]@100 \n"
                             "+I[b, 2, 100, NULL, NULL, NULL]@100 \n +I[NULL, 4, 100, NULL, NULL, NULL]@100 \n W 50");
    harness_rows(h, 0, "a,5,@@600");
    harness_rows(h, 1, "+U a,3,@@1");
    harness_rows(h, 0, "a,6,@@600");
    harness_expect(h, "+I[a, 5, 600, a, 2, 900]@600 \n +I[a, 6, 600, a, 3, 1]@600");
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), 1);
}

// ---- time to live, of 100 where none is said

static void run_ending(bool processing_time, int64_t state_ttl_ms, harness_scenario scenario)
{
    leat_join_temporal_spec spec = {.sides = joins_sides(LEAT_JOIN_LEFT, 3, 3),
                                    .time_columns = {2, 2},
                                    .processing_time = processing_time,
                                    .state_ttl_ms = state_ttl_ms};
    harness_setup setup = {.ops = &leat_operator_join_temporal_ops,
                           .spec = &spec,
                           .inputs = {LEFT, RIGHT},
                           .outputs = {OUTPUT},
                           .start_ms = 1000};
    harness_run(&setup, scenario, NULL);
}

static void run_idle(bool processing_time, harness_scenario scenario) { run_ending(processing_time, 100, scenario); }

// The end lies 150 ahead, and moves when it is less than 100 away.
static void idle_by_clock(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 1, "a,1,@@1 | b,1,@@1 | c,1,@@1");
    harness_time(h, 1050);
    harness_rows(h, 0, "a,2,@@2"); // 1150 is far enough
    harness_time(h, 1051);
    harness_rows(h, 0, "b,2,@@2");              // to 1201
    harness_rows(h, 1, "-D c,1,@@1 | d,1,@@1"); // c has no end any more
    harness_time(h, 1100);
    harness_rows(h, 1, "+U c,2,@@1");
    harness_expect(h, "+I[a, 2, 2, a, 1, 1]@2 \n +I[b, 2, 2, b, 1, 1]@2");
    harness_time(h, 1150);
    harness_rows(h, 0, "a,3,@@3 | c,3,@@3");
    harness_expect(h, "+I[a, 3, 3, NULL, NULL, NULL]@3 \n +I[c, 3, 3, c, 2, 1]@3");
    harness_time(h, 1200);
    harness_rows(h, 0, "b,4,@@4"); // to 1350
    harness_time(h, 1349);
    harness_rows(h, 0, "b,5,@@5 | d,5,@@5");
    harness_expect(h, "+I[b, 4, 4, b, 1, 1]@4 \n +I[b, 5, 5, b, 1, 1]@5 \n +I[d, 5, 5, NULL, NULL, NULL]@5");
    harness_time(h, 1500);
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void idle_rows_that_wait(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 1, "a,1,@@1 | b,1,@@1");
    harness_rows(h, 0, "a,2,@@10 | b,2,@@10");
    harness_time(h, 1100);
    harness_rows(h, 0, "b,3,@@20"); // to 1250
    harness_time(h, 1150);          // a is forgotten, with the row that waits
    harness_watermark(h, 10);
    harness_expect(h, "+I[b, 2, 10, b, 1, 1]@10 \n W 10");
    harness_time(h, 1240);
    harness_watermark(h, 20); // the version that is left over moves the end to 1390
    harness_rows(h, 0, "a,4,@@30");
    harness_time(h, 1260);
    harness_rows(h, 0, "b,4,@@30");
    harness_watermark(h, 30);
    harness_expect_any_order(h, "+I[b, 3, 20, b, 1, 1]@20 \n W 20 \n +I[a, 4, 30, NULL, NULL, NULL]@30 \n"
                                "+I[b, 4, 30, b, 1, 1]@30 \n W 30");
    harness_time(h, 1410);
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), 0);
}

// A time to live that has no end is none.
static void never_idle(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 1, "a,1,@@1");
    harness_time(h, 1000000);
    harness_rows(h, 0, "a,2,@@2");
    harness_time(h, INT64_MAX - 1);
    harness_rows(h, 0, "a,3,@@3");
    harness_expect(h, "+I[a, 2, 2, a, 1, 1]@2 \n +I[a, 3, 3, a, 1, 1]@3");
}

static void test_time_to_live(void **state)
{
    (void)state;
    run_ending(true, INT64_MAX, never_idle);
    run_idle(true, idle_by_clock);
    run_idle(false, idle_rows_that_wait);
}

static void test_event_time(void **state)
{
    (void)state;
    run(LEAT_JOIN_LEFT, false, versions);
    run(LEAT_JOIN_INNER, false, changelog);
}

static void test_processing_time(void **state)
{
    (void)state;
    run(LEAT_JOIN_LEFT, true, by_clock);
    run_waiting(LEAT_JOIN_LEFT, true, true, by_clock_once_read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_event_time), cmocka_unit_test(test_processing_time),
                                       cmocka_unit_test(test_time_to_live)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
