// OVER windows: frames, peers, late rows of each frame, order, processing time, and what is forgotten.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/core/order_encode.h"
#include "tests/unit/operators/aggregates.h"

extern const leat_operator_ops leat_operator_over_ops;

#define INPUT "k:INT,v:BIGINT"
static const uint32_t key_columns[] = {0};
enum { FRAME_ROWS = 150 };

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_over_function functions[8];
    leat_over_spec spec;
    harness_setup setup;
} fixture;

static void fixture_begin(fixture *f, const char *calls, bool range, bool bounded, int64_t preceding,
                          const char *output)
{
    f->env = env_test_create();
    leat_arena_init(&f->arena, env_test_env(f->env), 4096);
    f->spec = (leat_over_spec){.range = range,
                               .bounded = bounded,
                               .preceding = preceding,
                               .time_column = -1,
                               .key_count = 1,
                               .key_columns = key_columns,
                               .functions = f->functions};
    if (*calls) {
        aggregates set = aggregates_make(&f->arena, harness_schema(&f->arena, INPUT), calls, bounded);
        f->spec.accumulators = set.set;
        f->spec.aggregate_count = f->spec.function_count = set.count;
        for (uint32_t i = 0; i < set.count; i++)
            f->functions[i] = (leat_over_function){.kind = LEAT_OVER_AGGREGATE, .aggregate = i};
    }
    f->setup =
        (harness_setup){.ops = &leat_operator_over_ops, .spec = &f->spec, .inputs = {INPUT}, .outputs = {output}};
}

static void fixture_end(fixture *f)
{
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
}

static void peers(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@20 | 1,2@10 | 1,4@20 | 2,NULL@20 | 1,8@30");
    harness_watermark(h, 20);
    harness_rows(h, 0, "1,100@20 | 1,100@5 | 1,16@21"); // the first two are late
    harness_watermark(h, 40);
    harness_expect_any_order(h, "+I[1, 2, 2]@10 \n +I[1, 1, 7]@20 \n +I[1, 4, 7]@20 \n "
                                "+I[2, NULL, NULL]@20 \n W 20 \n +I[1, 16, 23]@21 \n +I[1, 8, 31]@30 \n W 40");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 2);
}

static void test_range_unbounded(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v)", true, false, 0, INPUT ",s:BIGINT");
    harness_run(&f.setup, peers, &f);
    fixture_end(&f);
}

static void row_by_row(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@20 | 1,2@10 | 1,4@20 | 1,8@30");
    harness_end_of_time(h);
    harness_expect(h, "+I[1, 2, 2, 2]@10 \n +I[1, 1, 3, 2]@20 \n +I[1, 4, 7, 4]@20 \n +I[1, 8, 15, 8]@30 \n "
                      "W MAX");
}

static void test_rows_unbounded(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v) MAX(v)", false, false, 0, INPUT ",s:BIGINT,m:BIGINT");
    harness_run(&f.setup, row_by_row, &f);
    fixture_end(&f);
}

// Nothing of an unbounded frame goes out under a negative watermark.
static void negative(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@-30 | 1,2@-20");
    harness_watermark(h, -10);
    harness_expect(h, "W -10");
    harness_rows(h, 0, "1,4@-10 | 1,8@-9");
    harness_watermark(h, 0);
    harness_expect(h, "+I[1, 1, 1]@-30 \n +I[1, 2, 3]@-20 \n +I[1, 8, 11]@-9 \n W 0");
}

static void test_negative_watermark(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v)", true, false, 0, INPUT ",s:BIGINT");
    harness_run(&f.setup, negative, &f);
    fixture_end(&f);
}

static void two_rows(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,5@10 | 1,1@10 | 1,3@11 | 2,9@11 | 1,NULL@12 | 1,4@12 | 1,7@0 | 1,7@-3");
    harness_watermark(h, 11); // times up to 0 are late from the beginning
    harness_rows(h, 0, "1,6@11 | 2,2@12");
    harness_watermark(h, 12);
    harness_expect_any_order(h, "+I[1, 5, 5, 5]@10 \n +I[1, 1, 6, 1]@10 \n +I[1, 3, 4, 1]@11 \n "
                                "+I[2, 9, 9, 9]@11 \n W 11 \n +I[1, NULL, 3, 3]@12 \n +I[1, 4, 4, 4]@12 \n "
                                "+I[2, 2, 11, 2]@12 \n W 12");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 3);
}

static void test_rows_bounded(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v) MIN(v)", false, true, 1, INPUT ",s:BIGINT,m:BIGINT");
    harness_run(&f.setup, two_rows, &f);
    fixture_end(&f);
}

// Both ends are in; a row behind the watermark is taken while nothing of its key fired after its time.
static void reach(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@10 | 1,2@20 | 1,4@21");
    harness_watermark(h, 21);
    harness_expect(h, "+I[1, 1, 1]@10 \n +I[1, 2, 3]@20 \n +I[1, 4, 6]@21 \n W 21");
    harness_rows(h, 0, "2,8@15 | 1,8@21");
    harness_watermark(h, 22);
    harness_expect(h, "+I[2, 8, 8]@15 \n W 22");
    // 21 + 15 + 1: the key is forgotten, and so is that it has fired.
    harness_watermark(h, 40);
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
    harness_rows(h, 0, "1,16@5");
    harness_watermark(h, 41);
    harness_expect(h, "W 40 \n +I[1, 16, 16]@5 \n W 41");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 1);
}

static void test_range_bounded(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v)", true, true, 10, INPUT ",s:BIGINT");
    harness_run(&f.setup, reach, &f);
    fixture_end(&f);
}

enum { PEERS = 2 * LEAT_BATCH_ROWS + 150 };
static void many_peers(harness *h, void *argument)
{
    (void)argument;
    for (int i = 0; i < PEERS; i++)
        harness_rows(h, 0, "1,1@20");
    harness_rows(h, 0, "1,5@10");
    harness_watermark(h, 20);
    static char lines[PEERS * 40 + 80];
    char *at = lines + sprintf(lines, "+I[1, 5, 5]@10");
    for (int i = 0; i < PEERS; i++)
        at += sprintf(at, "\n+I[1, 1, %d]@20", PEERS + 5);
    sprintf(at, "\nW 20");
    harness_expect(h, lines);
}

static void test_more_peers_than_a_block(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v)", true, true, 100, INPUT ",s:BIGINT");
    f.setup.without_restart = true; // thousands of restores of thousands of rows say nothing more
    harness_run(&f.setup, many_peers, &f);
    fixture_end(&f);
}

static void lags(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@10 | 1,2@20 | 1,NULL@30 | 2,5@30 | 1,4@40");
    harness_end_of_time(h);
    harness_expect_any_order(h, "+I[1, 1, NULL, 1, 1, 1, 1]@10 \n +I[1, 2, 1, 2, 2, 2, 2]@20 \n "
                                "+I[1, NULL, 2, 1, 3, 3, 3]@30 \n +I[2, 5, NULL, 5, 1, 1, 1]@30 \n "
                                "+I[1, 4, NULL, 2, 4, 4, 4]@40 \n W MAX");
}

static void test_lag_and_ranks(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "", false, false, 0, INPUT ",a:BIGINT,b:BIGINT,n:BIGINT,r:BIGINT,d:BIGINT");
    f.functions[0] = (leat_over_function){.kind = LEAT_OVER_LAG, .column = 1, .offset = 1, .otherwise = -1};
    f.functions[1] = (leat_over_function){.kind = LEAT_OVER_LAG, .column = 1, .offset = 2, .otherwise = 1};
    f.functions[2] = (leat_over_function){.kind = LEAT_OVER_ROW_NUMBER};
    f.functions[3] = (leat_over_function){.kind = LEAT_OVER_RANK};
    f.functions[4] = (leat_over_function){.kind = LEAT_OVER_DENSE_RANK};
    f.spec.function_count = 5;
    harness_run(&f.setup, lags, &f);
    fixture_end(&f);
}

static void ranks(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@10 | 1,2@10 | 1,3@20 | 1,4@20 | 1,5@30");
    harness_end_of_time(h);
    harness_expect(h, "+I[1, 1, 1, 1]@10 \n +I[1, 2, 1, 1]@10 \n +I[1, 3, 3, 2]@20 \n +I[1, 4, 3, 2]@20 \n "
                      "+I[1, 5, 5, 3]@30 \n W MAX");
}

static void test_ranks_of_peers(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "", true, false, 0, INPUT ",r:BIGINT,d:BIGINT");
    f.functions[0] = (leat_over_function){.kind = LEAT_OVER_RANK};
    f.functions[1] = (leat_over_function){.kind = LEAT_OVER_DENSE_RANK};
    f.spec.function_count = 2;
    harness_run(&f.setup, ranks, &f);
    fixture_end(&f);
}

static void sorted(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@20 | 1,NULL@10 | 2,9@20 | 3,5@20 | 4,5@-20");
    harness_watermark(h, 20);
    harness_rows(h, 0, "5,1@20 | 6,1@21");
    harness_watermark(h, 30);
    harness_expect(h, "+I[4, 5]@-20 \n +I[1, NULL]@10 \n +I[2, 9]@20 \n +I[3, 5]@20 \n "
                      "+I[1, 1]@20 \n W 20 \n +I[6, 1]@21 \n W 30");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 1);
}

static void test_sort(void **state)
{
    (void)state;
    fixture f;
    leat_order order = {.column = 1, .descending = true, .nulls_last = true};
    fixture_begin(&f, "", false, false, 0, INPUT);
    f.spec.sort = true;
    f.spec.key_count = 0;
    f.spec.orders = &order;
    f.spec.order_count = 1;
    harness_run(&f.setup, sorted, &f);
    fixture_end(&f);
}

static void at_once(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@20 | 1,2@10 | 2,4@5");
    harness_expect(h, "+I[1, 1, 1]@20 \n +I[1, 2, 3]@10 \n +I[2, 4, 4]@5");
    harness_rows(h, 0, "1,8@5");
    harness_expect(h, "+I[1, 8, 10]@5");
}

static void test_processing_rows(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v)", false, true, 1, INPUT ",s:BIGINT");
    f.spec.processing_time = true;
    harness_run(&f.setup, at_once, &f);
    fixture_end(&f);
}

static void a_millisecond_later(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@1 | 1,2@2");
    harness_expect_nothing(h);
    harness_time(h, 1001);
    harness_expect(h, "+I[1, 1, 3]@1 \n +I[1, 2, 3]@2");
    harness_time(h, 1010);
    harness_rows(h, 0, "1,4@3");
    harness_time(h, 1012);
    harness_rows(h, 0, "1,8@4");
    harness_time(h, 1020);
    harness_expect(h, "+I[1, 4, 7]@3 \n +I[1, 8, 12]@4");
    harness_time(h, 2000);
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void test_processing_range(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v)", true, true, 10, INPUT ",s:BIGINT");
    f.spec.processing_time = true;
    f.setup.start_ms = 1000;
    harness_run(&f.setup, a_millisecond_later, &f);
    fixture_end(&f);
}

// A key lives for one to one and a half times its time to live after its last row.
static void idle_keys(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@10 | 2,1@10");
    harness_watermark(h, 10);
    harness_time(h, 1040);
    harness_rows(h, 0, "1,2@20"); // within the 150 that the first row gave
    harness_watermark(h, 20);
    harness_time(h, 1151);
    harness_rows(h, 0, "1,4@30 | 2,4@30");
    harness_watermark(h, 30);
    harness_expect_any_order(h, "+I[1, 1, 1]@10 \n +I[2, 1, 1]@10 \n W 10 \n +I[1, 2, 3]@20 \n W 20 \n "
                                "+I[1, 4, 4]@30 \n +I[2, 4, 4]@30 \n W 30");
    harness_time(h, 2000);
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void test_time_to_live(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v)", false, false, 0, INPUT ",s:BIGINT");
    f.spec.state_ttl_ms = 100;
    f.setup.start_ms = 1000;
    harness_run(&f.setup, idle_keys, &f);
    fixture_end(&f);
}

static void fills(harness *h, void *argument)
{
    (void)argument;
    harness_fails(h, LEAT_E_LIMIT, "memory budget");
    for (int i = 0; i < 3000; i++)
        harness_rows(h, 0, "1,1@20");
}

static void test_budget(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v)", true, true, 10, INPUT ",s:BIGINT");
    f.setup.budget = 40000;
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    fills(h, NULL);
    harness_destroy(h);
    fixture_end(&f);
}

// A frame of many rows is stored in stretches, of which the first ones go while it moves on.
static void long_frame(harness *h, void *argument)
{
    const fixture *f = argument;
    char row[64], *lines = malloc(FRAME_ROWS * 48), *at = lines;
    for (int i = 1; i <= FRAME_ROWS; i++) {
        snprintf(row, sizeof row, "1,%d@%d", i % 7 ? i : 0, i);
        harness_rows(h, 0, row);
        harness_watermark(h, i);
        if (harness_mode_of(h) == HARNESS_SINGLE && i % 5 == 0)
            i % 35 ? harness_snapshot(h) : harness_snapshot_whole(h);
        int sum = 0, from = i - (int)f->spec.preceding > 1 ? i - (int)f->spec.preceding : 1;
        for (int n = from; n <= i; n++)
            sum += n % 7 ? n : 0;
        at += sprintf(at, "%s+I[1, %d, %d]@%d \n W %d", i > 1 ? "\n" : "", i % 7 ? i : 0, sum, i, i);
    }
    harness_expect(h, lines);
    free(lines);
    harness_snapshot(h);
    // The key, and the stretches of 32 that lie wholly in a frame of at least two.
    uint64_t end = FRAME_ROWS, first = end - (uint64_t)f->spec.preceding - 1;
    assert_int_equal(harness_state_entries(h), 1 + (end - first < 64 ? 0 : end / 32 - (first + 31) / 32));
}

static void test_long_frames(void **state)
{
    (void)state;
    static const int64_t lengths[] = {3, 31, 32, 62, 63, 70, 100};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int range = 0; range < 2; range++) {
            fixture f;
            fixture_begin(&f, "SUM(v)", range, true, lengths[i], INPUT ",s:BIGINT");
            harness_run(&f.setup, long_frame, &f);
            fixture_end(&f);
        }
}

static void disorder(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@50 | 2,2@10 | 1,3@40 | 1,4@10 | 2,5@50 | 1,6@30 | 2,7@10 | 1,8@60 | 1,9@50");
    harness_watermark(h, 10);
    harness_rows(h, 0, "1,10@50 | 2,11@20 | 1,12@55 | 1,13@10");
    harness_watermark(h, 50);
    harness_rows(h, 0, "1,14@45");
    harness_end_of_time(h);
    harness_expect(h, "+I[2, 2, 2]@10 \n +I[1, 4, 4]@10 \n +I[2, 7, 9]@10 \n W 10 \n +I[2, 11, 20]@20 \n "
                      "+I[1, 6, 10]@30 \n +I[1, 3, 13]@40 \n +I[1, 1, 14]@50 \n +I[2, 5, 25]@50 \n "
                      "+I[1, 9, 23]@50 \n +I[1, 10, 33]@50 \n W 50 \n +I[1, 12, 45]@55 \n +I[1, 8, 53]@60 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 2);
}

static void test_disorder(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v)", false, false, 0, INPUT ",s:BIGINT");
    harness_run(&f.setup, disorder, &f);
    fixture_end(&f);
}

// Forgetting that was put off counts as firing: 1 + 15 + 1 = 17 was set by the row of 1, 24 by that of 8.
static void put_off(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@1 | 1,2@8 | 2,1@8");
    harness_watermark(h, 16);
    harness_rows(h, 0, "1,4@9");
    harness_watermark(h, 17);
    harness_rows(h, 0, "1,8@17 | 1,16@16 | 2,2@17");
    harness_watermark(h, 18);
    harness_expect(h, "+I[1, 1, 1]@1 \n +I[1, 2, 3]@8 \n +I[2, 1, 1]@8 \n W 16 \n +I[1, 4, 7]@9 \n W 17 \n "
                      "+I[2, 2, 3]@17 \n W 18");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 2);
    // Behind the watermark it happens with its next rise only.
    harness_watermark(h, 1000);
    harness_rows(h, 0, "3,1@100 | 3,2@109 | 3,4@112 | 3,8@111");
    harness_watermark(h, 1001);
    harness_rows(h, 0, "3,16@110");
    harness_watermark(h, 1002);
    harness_expect(h, "W 1000 \n +I[3, 1, 1]@100 \n +I[3, 2, 3]@109 \n +I[3, 8, 10]@111 \n +I[3, 4, 14]@112 \n "
                      "W 1001 \n +I[3, 16, 16]@110 \n W 1002");
}

// Many times, while rows that are due have not been computed: what counts as fired last is the time of 24, not the row of 22.
static void put_off_often(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1@1 | 1,2@8 | 1,4@15 | 1,8@22");
    harness_watermark(h, 25);
    harness_rows(h, 0, "1,16@29 | 1,32@23 | 1,64@24 | 1,128@25");
    harness_watermark(h, 30);
    harness_expect(h, "+I[1, 1, 1]@1 \n +I[1, 2, 3]@8 \n +I[1, 4, 6]@15 \n +I[1, 8, 12]@22 \n W 25 \n "
                      "+I[1, 128, 140]@25 \n +I[1, 16, 152]@29 \n W 30");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 2);
}

static void test_put_off_often(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v)", true, true, 10, INPUT ",s:BIGINT");
    harness_run(&f.setup, put_off_often, &f);
    fixture_end(&f);
}

static void test_put_off(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v)", true, true, 10, INPUT ",s:BIGINT");
    harness_run(&f.setup, put_off, &f);
    fixture_end(&f);
}

// Texts have memory of their own, in rows that wait and in frames.
#define TEXTS "k:INT,v:STRING,a:ARRAY<BIGINT>"
static void texts(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,b,[1;2]@20 | 1,a,[3;NULL]@10 | 2,NULL,NULL@15 | 1,NULL,NULL@30 | 1,c,NULL@25 | 1,,NULL@40");
    harness_end_of_time(h);
    harness_expect(h, "+I[1, a, [3;NULL], a, 1, a]@10 \n +I[2, NULL, NULL, NULL, 0, NULL]@15 \n "
                      "+I[1, b, [1;2], b, 2, a,b]@20 \n +I[1, c, NULL, c, 2, b,c]@25 \n "
                      "+I[1, NULL, NULL, c, 1, c]@30 \n +I[1, , NULL, , 1, ]@40 \n W MAX");
}

static void test_texts(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "", false, true, 1, TEXTS ",m:STRING,n:BIGINT,l:STRING");
    aggregates set = aggregates_make(&f.arena, harness_schema(&f.arena, TEXTS), "MAX(v) COUNT(v) LISTAGG(v)", true);
    f.spec.accumulators = set.set;
    f.spec.aggregate_count = f.spec.function_count = set.count;
    for (uint32_t i = 0; i < set.count; i++)
        f.functions[i] = (leat_over_function){.kind = LEAT_OVER_AGGREGATE, .aggregate = i};
    f.setup.inputs[0] = TEXTS;
    harness_run(&f.setup, texts, &f);
    fixture_end(&f);
}

// The watermark passes a time put off (86) between two checkpoints, with no row of the key: a savepoint made of the second, which
// forgets the watermark, knows it as fired all the same.
static void test_savepoint_of_changes(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(v)", true, true, 50, INPUT ",s:BIGINT");
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    harness_rows(h, 0, "1,1@10 | 1,2@40");
    harness_watermark(h, 50);
    harness_expect(h, "+I[1, 1, 1]@10 \n +I[1, 2, 3]@40 \n W 50");
    harness_snapshot(h);
    harness_watermark(h, 90);
    harness_snapshot(h);
    harness_expect(h, "W 90");
    harness_restore_savepoint(h, 0, 1);
    harness_rows(h, 0, "1,4@86 | 1,8@87");
    harness_end_of_time(h);
    harness_expect(h, "+I[1, 8, 10]@87 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 1);
    harness_destroy(h);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range_unbounded),
        cmocka_unit_test(test_rows_unbounded),
        cmocka_unit_test(test_negative_watermark),
        cmocka_unit_test(test_rows_bounded),
        cmocka_unit_test(test_range_bounded),
        cmocka_unit_test(test_more_peers_than_a_block),
        cmocka_unit_test(test_lag_and_ranks),
        cmocka_unit_test(test_ranks_of_peers),
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_processing_rows),
        cmocka_unit_test(test_processing_range),
        cmocka_unit_test(test_time_to_live),
        cmocka_unit_test(test_long_frames),
        cmocka_unit_test(test_disorder),
        cmocka_unit_test(test_put_off),
        cmocka_unit_test(test_put_off_often),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_savepoint_of_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
