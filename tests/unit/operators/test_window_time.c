// TUMBLE, HOP and CUMULATE with aggregates, rule by rule, and a comparison with a slow plain model.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/base/hash.h"
#include "operators/core/key.h"
#include "tests/unit/operators/aggregates.h"

extern const leat_operator_ops leat_operator_window_time_ops;

#define INPUT "k:STRING,v:BIGINT,ts:TIMESTAMP*"
#define OUTPUT "k:STRING,n:BIGINT,s:BIGINT,window_start:TIMESTAMP,window_end:TIMESTAMP,window_time:TIMESTAMP*"

static const uint32_t key_columns[] = {0};

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_window_aggregate_spec spec;
    harness_setup setup;
} fixture;

static void fixture_begin(fixture *f, leat_window window, const char *calls, bool retract)
{
    f->env = env_test_create();
    leat_arena_init(&f->arena, env_test_env(f->env), 4096);
    aggregates set = aggregates_make(&f->arena, harness_schema(&f->arena, INPUT), calls, retract);
    f->spec = (leat_window_aggregate_spec){
        .window = window,
        .key_count = 1,
        .key_columns = key_columns,
        .accumulators = set.set,
        .aggregate_count = set.count,
        .input_retracts = retract,
        .keep_watermark = true,
    };
    f->setup = (harness_setup){
        .ops = &leat_operator_window_time_ops,
        .spec = &f->spec,
        .inputs = {INPUT},
        .outputs = {OUTPUT},
        .whole_may_differ = true, // panes that are over are left to the next whole image; table 15 tells that they are
    };
}

static void fixture_end(fixture *f)
{
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
}

static leat_window tumble(int64_t size)
{
    return (leat_window){.kind = LEAT_WINDOW_TUMBLE, .size_ms = size, .time_column = 2};
}
static leat_window hop(int64_t size, int64_t slide)
{
    return (leat_window){.kind = LEAT_WINDOW_HOP, .size_ms = size, .slide_ms = slide, .time_column = 2};
}
static leat_window cumulate(int64_t size, int64_t step)
{
    return (leat_window){.kind = LEAT_WINDOW_CUMULATE, .size_ms = size, .slide_ms = step, .time_column = 2};
}

static void run(leat_window window, harness_scenario scenario)
{
    fixture f;
    fixture_begin(&f, window, "COUNT(*) SUM(v)", false);
    harness_run(&f.setup, scenario, &f);
    fixture_end(&f);
}

// ---- TUMBLE

static void fires_at_end_minus_one(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@0 | b,5,@@3 | a,2,@@9 | a,4,@@10");
    harness_watermark(h, 8);
    harness_expect(h, "W 8");
    harness_watermark(h, 9);
    harness_expect_any_order(h, "+I[a, 2, 3, 0, 10, 9]@9 \n +I[b, 1, 5, 0, 10, 9]@9 \n W 9");
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 1, 4, 10, 20, 19]@19 \n W MAX");
}

static void late_is_judged_by_the_window(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1000");
    harness_watermark(h, 1985);
    harness_rows(h, 0, "a,1,@@1980");
    harness_watermark(h, 1999);
    harness_rows(h, 0, "a,1,@@1998 | c,1,@@7 | a,1,@@2001");
    harness_watermark(h, 3999);
    harness_expect(
        h, "W 1985 \n +I[a, 2, 2, 0, 2000, 1999]@1999 \n W 1999 \n +I[a, 1, 1, 2000, 4000, 3999]@3999 \n W 3999");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 2);
}

static void negative_times(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@-1 | a,2,@@-10 | a,4,@@-11 | a,8,@@0");
    harness_end_of_time(h);
    harness_expect(h,
                   "+I[a, 1, 4, -20, -10, -11]@-11 \n +I[a, 2, 3, -10, 0, -1]@-1 \n +I[a, 1, 8, 0, 10, 9]@9 \n W MAX");
}

static void offset_minus_eight(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@15 | a,2,@@16 | a,4,@@39 | a,8,@@40");
    harness_end_of_time(h);
    harness_expect(h,
                   "+I[a, 1, 1, -8, 16, 15]@15 \n +I[a, 2, 6, 16, 40, 39]@39 \n +I[a, 1, 8, 40, 64, 63]@63 \n W MAX");
}

static void null_time_and_null_key(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,NULL | NULL,1,@@1 | NULL,2,@@2 | a,NULL,@@3");
    harness_end_of_time(h);
    harness_expect_any_order(h, "+I[NULL, 2, 3, 0, 10, 9]@9 \n +I[a, 1, NULL, 0, 10, 9]@9 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_NULL_TIME), 1);
}

static void test_tumble(void **state)
{
    (void)state;
    run(tumble(10), fires_at_end_minus_one);
    run(tumble(2000), late_is_judged_by_the_window);
    run(tumble(10), negative_times);
    leat_window shifted = tumble(24);
    shifted.offset_ms = -8;
    run(shifted, offset_minus_eight);
    run(tumble(10), null_time_and_null_key);
}

// ---- lateness and the late output

static void lateness(harness *h, void *argument)
{
    (void)argument;
    // Watermark as max - 3000 - 1 after each row.
    static const int64_t times[] = {1000,  2000, 4999,  5000, 7000, 7999,  8000, 3000,
                                    12000, 4000, 13000, 4500, 9999, 20000, 14000};
    int64_t most = 0;
    for (unsigned i = 0; i < sizeof times / sizeof times[0]; i++) {
        char row[64];
        snprintf(row, sizeof row, "a,1,@@%lld", (long long)times[i]);
        harness_rows(h, 0, row);
        most = times[i] > most ? times[i] : most;
        if (i < sizeof times / sizeof times[0] - 1)
            harness_watermark(h, most - 3001);
    }
    harness_end_of_time(h);
    harness_expect_any_order(
        h, "W 4998 \n"
           "+I[a, 3, 3, 0, 5000, 4999]@4999 \n W 4999 \n"
           "+I[a, 4, 4, 0, 5000, 4999]@4999 \n W 8999 \n"
           "+I[a, 5, 5, 0, 5000, 4999]@4999 \n +I[a, 4, 4, 5000, 10000, 9999]@9999 \n W 9999 \n"
           "1:+I[a, 1, 4500]@4500 \n"
           "+I[a, 5, 5, 5000, 10000, 9999]@9999 \n +I[a, 2, 2, 10000, 15000, 14999]@14999 \n W 16999 \n"
           "+I[a, 3, 3, 10000, 15000, 14999]@14999 \n +I[a, 1, 1, 20000, 25000, 24999]@24999 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 0);
}

static void test_lateness(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, tumble(5000), "COUNT(*) SUM(v)", false);
    f.spec.allowed_lateness_ms = 5000;
    f.spec.late_output = true;
    f.spec.keep_watermark = false;
    f.setup.outputs[1] = INPUT;
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    lateness(h, &f);
    harness_destroy(h);
    h = harness_create(&f.setup, HARNESS_RESTART);
    lateness(h, &f);
    harness_destroy(h);
    fixture_end(&f);
}

static void late_for_some(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,1,@@6");
    harness_watermark(h, 4);
    harness_rows(h, 0, "a,1,@@2"); // [-5,5) has fired, [0,10) has not
    harness_watermark(h, 9);
    harness_rows(h, 0, "a,1,@@3 | b,1,@@3"); // both windows take it: lateness 20
    harness_end_of_time(h);
    harness_expect_any_order(
        h, "+I[a, 1, 1, -5, 5, 4]@4 \n W 4 \n"
           "+I[a, 2, 2, -5, 5, 4]@4 \n +I[a, 3, 3, 0, 10, 9]@9 \n W 9 \n"
           "+I[a, 3, 3, -5, 5, 4]@4 \n +I[a, 4, 4, 0, 10, 9]@9 \n"
           "+I[b, 1, 1, -5, 5, 4]@4 \n +I[b, 1, 1, 0, 10, 9]@9 \n +I[a, 1, 1, 5, 15, 14]@14 \n W MAX");
}

static void test_hop_lateness(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, hop(10, 5), "COUNT(*) SUM(v)", false);
    f.spec.allowed_lateness_ms = 20;
    harness_run(&f.setup, late_for_some, &f);
    fixture_end(&f);
}

// ---- HOP and CUMULATE: the rows of wagg-hop and wagg-cumulate in seconds; watermark = time - 1

static void feed_seconds(harness *h)
{
    static const struct {
        const char *key;
        int second;
    } rows[] = {{"a", 1}, {"a", 2}, {"a", 3},  {"a", 4},     {"b", 7}, {"b", 6},
                {"a", 8}, {"a", 4}, {"b", 16}, {"NULL", 32}, {"b", 34}};
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char row[64];
        snprintf(row, sizeof row, "%s,1,@@%d", rows[i].key, rows[i].second);
        harness_rows(h, 0, row);
        if (i < sizeof rows / sizeof rows[0] - 1) // two in a row would be one
            harness_watermark(h, rows[i].second - 1);
    }
    harness_end_of_time(h);
}

static void hop_scenario(harness *h, void *argument)
{
    (void)argument;
    feed_seconds(h);
    harness_expect_any_order(
        h, "W 3 \n +I[a, 4, 4, -5, 5, 4]@4 \n W 7 \n"
           "+I[a, 6, 6, 0, 10, 9]@9 \n +I[b, 2, 2, 0, 10, 9]@9 \n +I[a, 1, 1, 5, 15, 14]@14 \n"
           "+I[b, 2, 2, 5, 15, 14]@14 \n W 15 \n +I[b, 1, 1, 10, 20, 19]@19 \n +I[b, 1, 1, 15, 25, 24]@24 \n W 31 \n"
           "+I[b, 1, 1, 25, 35, 34]@34 \n +I[NULL, 1, 1, 25, 35, 34]@34 \n"
           "+I[b, 1, 1, 30, 40, 39]@39 \n +I[NULL, 1, 1, 30, 40, 39]@39 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 0);
}

static void cumulate_scenario(harness *h, void *argument)
{
    (void)argument;
    feed_seconds(h);
    harness_expect_any_order(
        h, "W 3 \n +I[a, 4, 4, 0, 5, 4]@4 \n W 7 \n"
           "+I[a, 6, 6, 0, 10, 9]@9 \n +I[b, 2, 2, 0, 10, 9]@9 \n +I[a, 6, 6, 0, 15, 14]@14 \n +I[b, 2, 2, 0, 15, "
           "14]@14 \n"
           "W 15 \n +I[b, 1, 1, 15, 20, 19]@19 \n +I[b, 1, 1, 15, 25, 24]@24 \n +I[b, 1, 1, 15, 30, 29]@29 \n W 31 \n"
           "+I[b, 1, 1, 30, 35, 34]@34 \n +I[NULL, 1, 1, 30, 35, 34]@34 \n +I[b, 1, 1, 30, 40, 39]@39 \n"
           "+I[NULL, 1, 1, 30, 40, 39]@39 \n +I[b, 1, 1, 30, 45, 44]@44 \n +I[NULL, 1, 1, 30, 45, 44]@44 \n W MAX");
}

static void test_hop_and_cumulate(void **state)
{
    (void)state;
    run(hop(10, 5), hop_scenario);
    run(cumulate(15, 5), cumulate_scenario);
}

static void gaps(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,2,@@3 | a,4,@@6 | a,8,@@5");
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 1, 1, 0, 2, 1]@1 \n +I[a, 2, 12, 5, 7, 6]@6 \n W MAX");
}

static void test_hop_with_gaps(void **state)
{
    (void)state;
    run(hop(2, 5), gaps);
}

// ---- retracting input

static void retracts(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "+I a,5,@@1 | +I b,7,@@1 | -D a,5,@@2 | -U b,7,@@3 | +U b,9,@@3");
    harness_end_of_time(h);
    harness_expect(h, "+I[b, 1, 9, 0, 10, 9]@9 \n W MAX");
}

static void test_retracting(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, tumble(10), "COUNT(*) SUM(v)", true);
    harness_run(&f.setup, retracts, &f);
    fixture_end(&f);
}

// ---- state

static void test_kept_watermark(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, hop(10, 5), "COUNT(*) SUM(v)", false);
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    harness_rows(h, 0, "a,1,@@1 | a,2,@@6 | b,4,@@7");
    harness_watermark(h, 9);
    harness_expect_any_order(h, "+I[a, 1, 1, -5, 5, 4]@4 \n +I[a, 2, 3, 0, 10, 9]@9 \n +I[b, 1, 4, 0, 10, 9]@9 \n W 9");
    harness_snapshot(h);
    harness_restore_savepoint(h, 0, 1);
    harness_rows(h, 0, "a,8,@@1 | a,16,@@8"); // the first is late as it was before
    harness_end_of_time(h);
    harness_expect_any_order(h, "+I[a, 2, 18, 5, 15, 14]@14 \n +I[b, 1, 4, 5, 15, 14]@14 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 1);
    harness_destroy(h);
    fixture_end(&f);
}

static void test_only_changes_are_stored(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, tumble(10), "COUNT(*) SUM(v)", false);
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    harness_rows(h, 0, "a,1,@@1 | b,1,@@1 | c,1,@@1");
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), 3);
    harness_rows(h, 0, "b,1,@@2 | d,1,@@2");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 4);
    harness_restore(h);
    harness_end_of_time(h);
    harness_expect_any_order(h, "+I[a, 1, 1, 0, 10, 9]@9 \n +I[b, 2, 2, 0, 10, 9]@9 \n +I[c, 1, 1, 0, 10, 9]@9 \n "
                                "+I[d, 1, 1, 0, 10, 9]@9 \n W MAX");
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), LEAT_KEY_GROUPS);
    harness_destroy(h);
    fixture_end(&f);
}

// ---- days of a zone

static void test_days_of_a_zone(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, tumble(86400000), "COUNT(*) SUM(v)", false);
    leat_zone *zone;
    leat_error error;
    // ./dev installs tzdata: without it this is a failure, not a case to leave out.
    assert_int_equal(leat_zone_open(env_test_env(f.env), &f.arena, "America/New_York", &zone, &error), LEAT_OK);
    f.spec.window.zone = zone;
    f.spec.window.time_column = -1;
    f.setup.outputs[0] =
        "k:STRING,n:BIGINT,s:BIGINT,window_start:TIMESTAMP,window_end:TIMESTAMP,window_time:TIMESTAMP_LTZ*";
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    // 2024-03-10 has 23 hours: 05:00Z to 04:00Z.
    harness_rows(h, 0, "a,1,0@1710046799999 | a,2,0@1710046800000 | a,4,0@1710129599999 | a,8,0@1710129600000");
    harness_watermark(h, 1710046799998);
    harness_expect(h, "W 1710046799998");
    harness_watermark(h, 1710129599998);
    harness_expect(h, "+I[a, 1, 1, 1709942400000, 1710028800000, 1710046799999]@1710046799999 \n W 1710129599998");
    harness_watermark(h, 1710129599999);
    harness_expect(h, "+I[a, 2, 6, 1710028800000, 1710115200000, 1710129599999]@1710129599999 \n W 1710129599999");
    harness_destroy(h);
    fixture_end(&f);
}

// Hours where the clock goes forward, and where it goes back: the hour that comes twice is one window, due at its second end.
static void test_hours_of_a_zone(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, tumble(3600000), "COUNT(*) SUM(v)", false);
    leat_zone *zone;
    leat_error error;
    // ./dev installs tzdata: without it this is a failure, not a case to leave out.
    assert_int_equal(leat_zone_open(env_test_env(f.env), &f.arena, "America/New_York", &zone, &error), LEAT_OK);
    f.spec.window.zone = zone;
    f.spec.window.time_column = -1;
    f.setup.outputs[0] =
        "k:STRING,n:BIGINT,s:BIGINT,window_start:TIMESTAMP,window_end:TIMESTAMP,window_time:TIMESTAMP_LTZ*";
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    // 2024-03-10: 01:59:59.999 is followed by 03:00.
    harness_rows(h, 0, "a,1,0@1710053999999 | a,2,0@1710054000000 | a,4,0@1710057599999");
    harness_watermark(h, 1710053999998);
    harness_expect(h, "W 1710053999998");
    harness_watermark(h, 1710053999999);
    harness_expect(h, "+I[a, 1, 1, 1710032400000, 1710036000000, 1710053999999]@1710053999999 \n W 1710053999999");
    harness_watermark(h, 1710057599999);
    harness_expect(h, "+I[a, 2, 6, 1710039600000, 1710043200000, 1710057599999]@1710057599999 \n W 1710057599999");
    // 2024-11-03: 01:00 to 02:00 comes twice.
    harness_rows(h, 0, "a,1,0@1730609999999 | a,2,0@1730610000000 | a,4,0@1730613599999");
    harness_watermark(h, 1730613599999);
    harness_expect(h, "+I[a, 1, 1, 1730592000000, 1730595600000, 1730609999999]@1730609999999 \n W 1730613599999");
    harness_rows(h, 0, "a,8,0@1730613600000 | a,16,0@1730617199999 | a,32,0@1730617200000");
    harness_watermark(h, 1730617199998);
    harness_expect(h, "W 1730617199998");
    harness_watermark(h, 1730617199999);
    harness_expect(h, "+I[a, 4, 30, 1730595600000, 1730599200000, 1730617199999]@1730617199999 \n W 1730617199999");
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 1, 32, 1730599200000, 1730602800000, 1730620799999]@1730620799999 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 0);
    harness_destroy(h);
    fixture_end(&f);
}

// ---- refusals

// The budget ends somewhere in between, at every place once: a clean refusal, and nothing is left behind.
static void test_budget(void **state)
{
    (void)state;
    for (size_t room = 0; room < 30000; room += 331) {
        fixture f;
        fixture_begin(&f, tumble(10), "COUNT(*) SUM(v)", false);
        harness *h = harness_create(&f.setup, room % 2 ? HARNESS_SINGLE : HARNESS_WHOLE);
        harness_context(h)->budget->limit = harness_context(h)->budget->used + room;
        harness_fails(h, LEAT_E_LIMIT, "budget");
        for (int i = 0; i < 300; i++) {
            char row[64];
            snprintf(row, sizeof row, "key-that-is-not-inlined-%d,%d,@@%d", i % 150, i, i / 3 * 2);
            harness_rows(h, 0, row);
            if (i % 50 == 49)
                harness_watermark(h, i / 2);
        }
        harness_end_of_time(h);
        if (room == 0)
            harness_expect(h, "");
        harness_destroy(h);
        fixture_end(&f);
    }
}

// A key that is too long is dropped and counted; the rows around it go on.
static void too_large(harness *h, void *argument)
{
    (void)argument;
    char *rows = test_calloc(1, LEAT_KEY_BYTES_MAX + 200);
    strcpy(rows, "a,1,@@1 | ");
    memset(rows + strlen(rows), 'x', LEAT_KEY_BYTES_MAX);
    strcat(rows, ",2,@@2 | a,4,@@3 | b,8,@@4");
    harness_rows(h, 0, rows);
    test_free(rows);
    harness_end_of_time(h);
    harness_expect_any_order(h, "+I[a, 2, 5, 0, 10, 9]@9 \n +I[b, 1, 8, 0, 10, 9]@9 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_TOO_LARGE), 1);
}

static void test_too_large(void **state)
{
    (void)state;
    run(tumble(10), too_large);
}

// SUM(v / v), which fails where v is 0.
static void divide(fixture *f)
{
    leat_expr_scope scope = {.arena = &f->arena};
    const leat_schema *schema = harness_schema(&f->arena, INPUT);
    leat_error error;
    leat_expr *v[2], *quotient;
    leat_aggregate items[2];
    for (int i = 0; i < 2; i++)
        v[i] = leat_expr_column(&scope, 0, 1, schema->fields[1].type);
    assert_int_equal(leat_expr_call(&scope, leat_slice_text("/"), v, 2, &quotient, &error), LEAT_OK);
    assert_int_equal(
        leat_aggregate_resolve(&scope, leat_slice_text("COUNT"), false, &quotient, 1, NULL, false, &items[0], &error),
        LEAT_OK);
    assert_int_equal(
        leat_aggregate_resolve(&scope, leat_slice_text("SUM"), false, &quotient, 1, NULL, false, &items[1], &error),
        LEAT_OK);
    leat_accumulators *set;
    assert_int_equal(leat_accumulators_create(&f->arena, items, 2, false, &set, &error), LEAT_OK);
    f->spec.accumulators = set;
}

static void bad_rows(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,0,@@1 | b,0,@@2");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0); // nothing was opened
    harness_rows(h, 0, "a,0,@@3 | a,5,@@4 | c,0,@@4 | b,3,@@5 | b,0,@@6");
    harness_end_of_time(h);
    harness_expect_any_order(h, "+I[a, 1, 1, 0, 10, 9]@9 \n +I[b, 1, 1, 0, 10, 9]@9 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_EXPRESSION), 5);
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 0);
}

static void test_bad_rows(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, tumble(10), "COUNT(*) SUM(v)", false);
    divide(&f);
    harness_run(&f.setup, bad_rows, &f);
    fixture_end(&f);
}

// ---- another parallelism

static uint32_t owner_of(int key, uint32_t parallelism)
{
    char bytes[16];
    bytes[0] = 0;
    bytes[1] = (char)snprintf(bytes + 2, sizeof bytes - 2, "k%d", key);
    return leat_key_group(leat_hash(bytes, 2 + (size_t)bytes[1])) % parallelism;
}

// One image, restored by two and by three: every key goes on exactly once, and a late row is late in each.
static void test_parallelism(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, tumble(10), "COUNT(*) SUM(v)", false);
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    for (int i = 0; i < 40; i++) {
        char row[64];
        snprintf(row, sizeof row, "k%d,%d,@@%d", i % 20, i, 21 + i / 20);
        harness_rows(h, 0, row);
    }
    harness_watermark(h, 19);
    harness_expect(h, "W 19");
    harness_snapshot(h);
    uint64_t late = 0;
    for (uint32_t parallelism = 2; parallelism <= 3; parallelism++)
        for (uint32_t instance = 0; instance < parallelism; instance++) {
            harness_restore_savepoint(h, instance, parallelism);
            char expected[4096] = "", own[32] = "";
            for (int key = 0; key < 20; key++)
                if (owner_of(key, parallelism) == instance) {
                    size_t size = strlen(expected);
                    snprintf(expected + size, sizeof expected - size, "+I[k%d, 2, %d, 20, 30, 29]@29 \n ", key,
                             20 + 2 * key);
                    snprintf(own, sizeof own, "k%d,1,@@3", key);
                }
            harness_rows(h, 0, own);
            harness_end_of_time(h);
            strcat(expected, "W MAX");
            harness_expect_any_order(h, expected);
            assert_int_equal(harness_drops(h, LEAT_DROP_LATE), ++late);
        }
    harness_destroy(h);
    fixture_end(&f);
}

// ---- against a plain model: every row is kept, every window is added up when it fires

enum { MODEL_ROWS = 400 };
typedef struct model_row {
    int key;
    int64_t value, time;
} model_row;
typedef struct model {
    leat_window window;
    int64_t lateness;
    model_row rows[MODEL_ROWS];
    unsigned count;
    int64_t watermark;
    char *out;
    size_t out_size;
    uint64_t late;
} model;

static int64_t floor_to(int64_t time, int64_t size, int64_t offset)
{
    int64_t rest = (time - offset) % size;
    return time - (rest < 0 ? rest + size : rest);
}

static unsigned model_windows(const model *m, int64_t time, int64_t starts[64], int64_t ends[64])
{
    unsigned count = 0;
    const leat_window *w = &m->window;
    if (w->kind == LEAT_WINDOW_CUMULATE) {
        int64_t start = floor_to(time, w->size_ms, w->offset_ms);
        for (int64_t end = start + w->slide_ms; end <= start + w->size_ms; end += w->slide_ms)
            if (end > time)
                starts[count] = start, ends[count++] = end;
        return count;
    }
    int64_t slide = w->kind == LEAT_WINDOW_TUMBLE ? w->size_ms : w->slide_ms;
    for (int64_t start = floor_to(time, slide, w->offset_ms); start > time - w->size_ms; start -= slide)
        starts[count] = start, ends[count++] = start + w->size_ms;
    return count;
}

LEAT_PRINTF(2, 3)
static void model_print(model *m, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    m->out_size += (size_t)vsnprintf(m->out + m->out_size, 1 << 20, format, list);
    va_end(list);
}

static void model_fire(model *m, int key, int64_t start, int64_t end)
{
    int64_t n = 0, sum = 0;
    for (unsigned i = 0; i < m->count; i++)
        if (m->rows[i].key == key && m->rows[i].time >= start && m->rows[i].time < end)
            n++, sum += m->rows[i].value;
    if (n)
        model_print(m, "+I[k%d, %lld, %lld, %lld, %lld, %lld]@%lld\n", key, (long long)n, (long long)sum,
                    (long long)start, (long long)end, (long long)end - 1, (long long)end - 1);
}

// Rows that windows no longer take still lie in m->rows when another window took them: such windows never fire again.
static void model_watermark(model *m, int64_t watermark)
{
    if (watermark <= m->watermark)
        return;
    for (int64_t end = -300; end < 1000; end++) {
        if (end - 1 <= m->watermark || end - 1 > watermark)
            continue;
        for (int64_t start = end - m->window.size_ms; start < end; start++) {
            int64_t starts[64], ends[64];
            unsigned count = model_windows(m, end - 1, starts, ends);
            for (unsigned i = 0; i < count; i++)
                if (starts[i] == start && ends[i] == end)
                    for (int key = 0; key < 5; key++)
                        model_fire(m, key, start, end);
        }
    }
    m->watermark = watermark;
    model_print(m, watermark == INT64_MAX ? "W MAX\n" : "W %lld\n", (long long)watermark);
}

static void model_add(model *m, model_row row)
{
    int64_t starts[64], ends[64];
    unsigned count = model_windows(m, row.time, starts, ends), live = 0;
    for (unsigned i = 0; i < count; i++)
        live += m->watermark == INT64_MIN || ends[i] - 1 + m->lateness > m->watermark;
    if (!live) {
        m->late++;
        return;
    }
    m->rows[m->count++] = row;
    for (unsigned i = count; i-- > 0;)
        if (m->watermark != INT64_MIN && ends[i] - 1 <= m->watermark && ends[i] - 1 + m->lateness > m->watermark)
            model_fire(m, row.key, starts[i], ends[i]);
}

static uint64_t seed;
static int64_t below(int64_t end)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (int64_t)((seed >> 33) % (uint64_t)end);
}

static void random_round(leat_window window, int64_t late_by, harness_mode mode, uint64_t round)
{
    fixture f;
    fixture_begin(&f, window, "COUNT(*) SUM(v)", false);
    f.spec.allowed_lateness_ms = late_by;
    model *m = test_calloc(1, sizeof *m);
    *m = (model){.window = window, .lateness = late_by, .watermark = INT64_MIN, .out = test_calloc(1, 1 << 20)};
    harness *h = harness_create(&f.setup, mode);
    seed = round * 977 + 13;
    int64_t now = 0;
    for (unsigned i = 0; i < 150; i++) {
        char text[64];
        now += below(4);
        if (below(3) == 0) {
            harness_watermark(h, now - 5);
            model_watermark(m, now - 5);
        }
        model_row row = {.key = (int)below(5), .value = below(100), .time = now - (below(4) ? below(6) : below(40))};
        snprintf(text, sizeof text, "k%d,%lld,@@%lld", row.key, (long long)row.value, (long long)row.time);
        harness_rows(h, 0, text);
        model_add(m, row);
        if (mode == HARNESS_SINGLE && below(10) == 0) {
            below(4) ? harness_snapshot(h) : harness_snapshot_whole(h);
            if (below(2))
                harness_restore(h);
        }
    }
    harness_end_of_time(h);
    model_watermark(m, INT64_MAX);
    // Several rises in a row are told by the last one.
    char *to = m->out;
    for (char *line = m->out; *line;) {
        char *end = strchr(line, '\n') + 1;
        size_t size = (size_t)(end - line);
        if (!(*line == 'W' && *end == 'W')) {
            memmove(to, line, size);
            to += size;
        }
        line = end;
    }
    *to = 0;
    harness_expect_any_order(h, m->out);
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), m->late);
    harness_destroy(h);
    test_free(m->out);
    test_free(m);
    fixture_end(&f);
}

static void test_random(void **state)
{
    (void)state;
    leat_window shifted = hop(12, 4);
    shifted.offset_ms = 3;
    const leat_window windows[] = {tumble(7), hop(12, 4), hop(10, 4), cumulate(20, 5), shifted, hop(6, 6)};
    for (unsigned i = 0; i < sizeof windows / sizeof windows[0]; i++)
        for (int late_by = 0; late_by <= 15; late_by += 15)
            for (int mode = 0; mode < HARNESS_MODES; mode++)
                for (uint64_t round = 0; round < 6; round++)
                    random_round(windows[i], late_by, (harness_mode)mode, round + 100 * i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tumble),         cmocka_unit_test(test_lateness),
        cmocka_unit_test(test_hop_lateness),   cmocka_unit_test(test_hop_and_cumulate),
        cmocka_unit_test(test_hop_with_gaps),  cmocka_unit_test(test_retracting),
        cmocka_unit_test(test_kept_watermark), cmocka_unit_test(test_only_changes_are_stored),
        cmocka_unit_test(test_days_of_a_zone), cmocka_unit_test(test_hours_of_a_zone),
        cmocka_unit_test(test_budget),         cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_bad_rows),       cmocka_unit_test(test_parallelism),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
