// Window table functions without aggregation.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/operators/aggregates.h"

extern const leat_operator_ops leat_operator_window_rows_ops;

#define INPUT "k:STRING,v:BIGINT,ts:TIMESTAMP*"
#define OUTPUT "k:STRING,v:BIGINT,ts:TIMESTAMP,window_start:TIMESTAMP,window_end:TIMESTAMP,window_time:TIMESTAMP*"

static const uint32_t key_columns[] = {0};

static void run(leat_window window, harness_scenario scenario)
{
    window.time_column = 2;
    leat_window_rows_spec spec = {.window = window, .key_count = 1, .key_columns = key_columns};
    harness_setup setup = {.ops = &leat_operator_window_rows_ops,
                           .spec = &spec,
                           .inputs = {INPUT},
                           .outputs = {OUTPUT},
                           .output_changelog = LEAT_CHANGELOG_RETRACT};
    harness_run(&setup, scenario, NULL);
}

static void tumble(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | b,2,@@9 | b,0,NULL | -D a,1,@@-1 | a,NULL,@@10");
    harness_watermark(h, 50);
    harness_rows(h, 0, "a,4,@@3"); // late rows pass
    harness_expect(h, "+I[a, 1, 1, 0, 10, 9]@9 \n +I[b, 2, 9, 0, 10, 9]@9 \n -D[a, 1, -1, -10, 0, -1]@-1 \n"
                      "+I[a, NULL, 10, 10, 20, 19]@19 \n W 50 \n +I[a, 4, 3, 0, 10, 9]@9");
    assert_int_equal(harness_drops(h, LEAT_DROP_NULL_TIME), 1);
}

static void hop(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | b,2,@@7");
    harness_watermark(h, 50);
    harness_rows(h, 0, "a,4,@@3");
    harness_expect(
        h,
        "+I[a, 1, 1, 0, 10, 9]@9 \n +I[a, 1, 1, -5, 5, 4]@4 \n +I[b, 2, 7, 5, 15, 14]@14 \n +I[b, 2, 7, 0, 10, 9]@9 \n"
        "W 50 \n +I[a, 4, 3, 0, 10, 9]@9 \n +I[a, 4, 3, -5, 5, 4]@4");
}

static void cumulate(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | b,2,@@7");
    harness_watermark(h, 50);
    harness_expect(h, "+I[a, 1, 1, 0, 5, 4]@4 \n +I[a, 1, 1, 0, 10, 9]@9 \n +I[a, 1, 1, 0, 15, 14]@14 \n"
                      "+I[b, 2, 7, 0, 10, 9]@9 \n +I[b, 2, 7, 0, 15, 14]@14 \n W 50");
}

static void test_stateless(void **state)
{
    (void)state;
    run((leat_window){.kind = LEAT_WINDOW_TUMBLE, .size_ms = 10}, tumble);
    run((leat_window){.kind = LEAT_WINDOW_HOP, .size_ms = 10, .slide_ms = 5}, hop);
    run((leat_window){.kind = LEAT_WINDOW_CUMULATE, .size_ms = 15, .slide_ms = 5}, cumulate);
}

// The rows of tvf-session-partitioned, and a late one.
static void session(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,2,@@2 | b,7,@@7 | b,6,@@6 | a,8,@@8 | a,4,@@4 | b,16,@@16 | NULL,32,@@32");
    harness_watermark(h, 31);
    harness_rows(h, 0, "b,5,@@5 | b,NULL,@@34");
    harness_end_of_time(h);
    harness_expect(h,
                   "+I[b, 7, 7, 6, 12, 11]@11 \n +I[b, 6, 6, 6, 12, 11]@11 \n +I[a, 1, 1, 1, 13, 12]@12 \n +I[a, 2, 2, "
                   "1, 13, 12]@12 \n"
                   "+I[a, 8, 8, 1, 13, 12]@12 \n +I[a, 4, 4, 1, 13, 12]@12 \n +I[b, 16, 16, 16, 21, 20]@20 \n W 31 \n"
                   "+I[NULL, 32, 32, 32, 37, 36]@36 \n +I[b, NULL, 34, 34, 39, 38]@38 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 1);
}

static void test_session(void **state)
{
    (void)state;
    run((leat_window){.kind = LEAT_WINDOW_SESSION, .gap_ms = 5}, session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stateless), cmocka_unit_test(test_session)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
