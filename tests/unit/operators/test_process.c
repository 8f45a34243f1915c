// The process operator under the functions of the conformance cases: what those cases pin down, in every cut and over restarts.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/operators/process_support.h"

// The functions come as the runner gets them, from the shared object.
static const leat_library *conformance;

static int load(void **state)
{
    char path[512];
    const char *build = getenv("LEAT_BUILD");
    (void)state;
    snprintf(path, sizeof path, "%s/tests/functions/conformance_functions.so", build ? build : ".");
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail_msg("%s", dlerror());
    conformance = dlsym(library, "leat_library_entry");
    return !conformance;
}

static const leat_process_function *function_of(const char *name)
{
    for (uint32_t i = 0; conformance->processes[i]; i++)
        if (strcmp(conformance->processes[i]->name, name) == 0)
            return conformance->processes[i];
    fail_msg("the library has no function %s", name);
    return NULL;
}

#define PTF_COLUMNS                                                                                                    \
    "name:STRING,event:STRING,score:INT,timer:STRING,for:BIGINT,time:BIGINT,watermark:BIGINT,rowtime:TIMESTAMP_LTZ"

// ---- process functions

static void set_up_rising(process_case *c, const char *time)
{
    process_case_init(c, function_of("rising_value"));
    process_table(c, "sensor:STRING,temp:DOUBLE,ts:TIMESTAMP_LTZ*", 0);
    process_descriptor(c, 1, 2);
    process_expression(c, 2, 1);
    process_i64(c, 3, 1000);
    process_text(c, 4, time);
    process_case_finish(c, "sensor:STRING,alert_at:TIMESTAMP_LTZ");
}

static void rising_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "s1,20,@@0 | s2,1,@@0");
    harness_watermark(h, -1);
    harness_rows(h, 0, "s2,2,@@100");
    harness_watermark(h, 99);
    harness_rows(h, 0, "s1,21,@@200");
    harness_watermark(h, 199);
    harness_rows(h, 0, "s1,22,@@600");
    harness_watermark(h, 599);
    harness_rows(h, 0, "s2,0.5,@@1150");
    harness_watermark(h, 1149);
    harness_rows(h, 0, "s1,23,@@1300");
    harness_watermark(h, 1299);
    harness_rows(h, 0, "s1,22.5,@@1900");
    harness_watermark(h, 1899);
    harness_rows(h, 0, "s1,22.5,@@2400 | s1,24,@@2500");
    harness_watermark(h, 2499);
    harness_rows(h, 0, "s1,23,@@3000 | s1,25,@@3400");
    harness_watermark(h, 3399);
    harness_rows(h, 0, "s1,25.5,@@4401");
    harness_watermark(h, 4400);
    harness_expect(h, "W 1149\n +I[s1, 1200]@1200 \n W 3399\n +I[s1, 4400]@4400 \n W 4400");
}

static void test_rising(void **state)
{
    (void)state;
    process_case c;
    set_up_rising(&c, "event_time");
    harness_run(&c.setup, rising_scenario, NULL);
    process_case_fini(&c);
}

// The same by the clock.
static void rising_clock_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_time(h, 1000);
    harness_rows(h, 0, "a,1,@@5 | a,2,@@6 | b,1,@@7");
    harness_time(h, 1500);
    harness_rows(h, 0, "b,2,@@8 | a,2,@@9");
    harness_time(h, 1999);
    harness_expect_nothing(h);
    harness_time(h, 2300);
    harness_expect(h, "+I[a, 2000]@2000");
    harness_rows(h, 0, "b,1,@@10");
    harness_time(h, 9000);
    harness_expect_nothing(h);
}

static void test_rising_by_the_clock(void **state)
{
    (void)state;
    process_case c;
    set_up_rising(&c, "processing_time");
    harness_run(&c.setup, rising_clock_scenario, NULL);
    process_case_fini(&c);
}

static void set_up_small_then_large(process_case *c, bool within)
{
    process_case_init(c, function_of("small_then_large"));
    process_table(c, "account:INT,n:INT,small:BOOLEAN,large:BOOLEAN", 0);
    process_expression(c, 2, 2);
    process_expression(c, 3, 3);
    process_descriptor(c, 4, 1);
    if (within)
        process_i64(c, 5, 60000);
    process_case_finish(c, "account:INT,n:INT");
}

static void fraud_minute_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1,true,false");
    harness_time(h, 59999);
    harness_rows(h, 0, "1,2,false,true");
    harness_time(h, 100000);
    harness_rows(h, 0, "1,3,true,false");
    harness_time(h, 160000);
    harness_rows(h, 0, "1,4,false,true");
    harness_time(h, 200000);
    harness_rows(h, 0, "1,5,true,false | 1,6,false,false | 1,7,true,false | 1,8,false,true");
    harness_expect(h, "+I[1, 2]\n +I[1, 8]");
}

static void fraud_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(
        h, 0, "1,1,false,false | 1,2,false,false | 1,3,true,false | 2,3,false,true | 1,4,false,true | 1,5,false,false");
    harness_rows(h, 0, "1,7,true,false | 1,8,false,false | 1,9,false,true | 2,9,false,true");
    harness_expect(h, "+I[1, 4]");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0); // every flag is used up: no key is left
}

static void test_small_then_large(void **state)
{
    (void)state;
    process_case c;
    set_up_small_then_large(&c, true);
    harness_run(&c.setup, fraud_minute_scenario, NULL);
    process_case_fini(&c);
    set_up_small_then_large(&c, false);
    harness_run(&c.setup, fraud_scenario, NULL);
    process_case_fini(&c);
}

static void long_ride_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,true,@@1577880000000 | 2,true,@@1577880000000");
    harness_rows(h, 0, "2,false,@@1577880060000 | 3,false,@@1577880060000 | 3,true,@@1577880000000");
    harness_rows(h, 0, "4,false,@@1577890000000 | 4,true,@@1577880000000");
    harness_watermark(h, 1577887200000);
    harness_expect(h, "+I[4]@1577880000000\n +I[1]@1577887200000\n W 1577887200000");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void test_long_ride(void **state)
{
    (void)state;
    process_case c;
    process_case_init(&c, function_of("long_ride"));
    process_table(&c, "ride_id:BIGINT,is_start:BOOLEAN,ts:TIMESTAMP_LTZ*", 0);
    process_expression(&c, 2, 1);
    process_i64(&c, 3, 7200000);
    process_case_finish(&c, "ride_id:BIGINT");
    harness_run(&c.setup, long_ride_scenario, NULL);
    process_case_fini(&c);
}

static void rides_and_fares_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1@0");
    harness_rows(h, 1, "1@0 | 2@0");
    harness_rows(h, 0, "2@0 | 3@0");
    harness_expect(h, "+I[1, 1]@0\n +I[2, 2]@0");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 1);
}

static void test_connected(void **state)
{
    (void)state;
    process_case c;
    process_case_init(&c, function_of("rides_and_fares"));
    process_table(&c, "ride_id:BIGINT", 0);
    process_table(&c, "ride_id:BIGINT", 0);
    process_case_finish(&c, "ride_id:BIGINT,fare_ride_id:BIGINT");
    harness_run(&c.setup, rides_and_fares_scenario, NULL);
    process_case_fini(&c);
}

static void timer_at_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_watermark(h, 0);
    harness_rows(h, 0, "17,@@42");
    harness_watermark(h, 5);
    harness_expect(h, "W 0\n +I[17]@42\n +I[1777]@5\n W 5");
}

static void test_timer_equal_watermark(void **state)
{
    (void)state;
    process_case c;
    process_case_init(&c, function_of("timer_at"));
    process_table(&c, "key:INT,ts:TIMESTAMP_LTZ*", 0);
    process_i64(&c, 2, 5);
    process_i64(&c, 3, 1777);
    c.spec.emit_keys = false;
    process_case_finish(&c, "out:INT");
    harness_run(&c.setup, timer_at_scenario, NULL);
    process_case_fini(&c);
}

static void register_then_delete_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_watermark(h, 1);
    harness_rows(h, 0, "k,@@1");
    harness_watermark(h, 2);
    harness_rows(h, 0, "k,@@2 | l,@@2");
    harness_watermark(h, 10);
    harness_expect(h, "W 1\n +I[INPUT:k]@1\n W 2\n +I[INPUT:l]@2\n +I[STATE:l]@5\n W 10");
}

static void test_register_then_delete(void **state)
{
    (void)state;
    process_case c;
    process_case_init(&c, function_of("register_then_delete"));
    process_table(&c, "key:STRING,ts:TIMESTAMP_LTZ*", 0);
    process_i64(&c, 2, 3);
    process_i64(&c, 3, 2);
    c.spec.emit_keys = false;
    process_case_finish(&c, "out:STRING");
    harness_run(&c.setup, register_then_delete_scenario, NULL);
    process_case_fini(&c);
}

static void order_timeout_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,true,false,@@100 | 2,true,false,@@150 | 1,false,true,@@200");
    harness_watermark(h, 1149);
    harness_expect(h, "+I[1, paid]@200\n W 1149");
    harness_watermark(h, 1150);
    harness_expect(h, "W 1150\n 1:+I[2]@1150");
}

static void test_side_output(void **state)
{
    (void)state;
    process_case c;
    process_case_init(&c, function_of("order_timeout"));
    process_table(&c, "id:INT,open:BOOLEAN,close:BOOLEAN,ts:TIMESTAMP_LTZ*", 0);
    process_expression(&c, 2, 1);
    process_expression(&c, 3, 2);
    process_i64(&c, 4, 1000);
    c.setup.outputs[1] = "id:INT";
    process_case_finish(&c, "id:INT,result:STRING");
    harness_run(&c.setup, order_timeout_scenario, NULL);
    process_case_fini(&c);
}

// ---- process table functions

static void set_up_ptf(process_case *c, const leat_process_function *function, const char *output)
{
    process_case_init(c, function);
    process_table(c, "name:STRING,score:INT,ts:TIMESTAMP_LTZ*", 0);
    process_descriptor(c, 1, 2);
    c->spec.emit_rowtime = true;
    process_case_finish(c, output);
}

static void late_timers_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "Bob,1,@@0");
    harness_watermark(h, -1);
    harness_rows(h, 0, "Alice,1,@@1");
    harness_watermark(h, 0);
    harness_rows(h, 0, "Bob,2,@@99999");
    harness_expect(h, "+I[Bob, row, 1, NULL, NULL, 0, NULL, 0]@0\n"
                      "+I[Bob, register, NULL, bob, 0, 0, NULL, 0]@0\n"
                      "+I[Bob, register, NULL, NULL, 0, 0, NULL, 0]@0\n W -1\n"
                      "+I[Alice, row, 1, NULL, NULL, 1, -1, 1]@1\n"
                      "+I[Alice, register, NULL, alice, 1, 1, -1, 1]@1\n"
                      "+I[Bob, fire, NULL, NULL, NULL, 0, 0, 0]@0\n"
                      "+I[Bob, fire, NULL, bob, NULL, 0, 0, 0]@0\n W 0\n"
                      "+I[Bob, row, 2, NULL, NULL, 99999, 0, 99999]@99999\n"
                      "+I[Bob, register, NULL, bob, 0, 99999, 0, 99999]@99999\n"
                      "+I[Bob, register, NULL, NULL, 0, 99999, 0, 99999]@99999");
    harness_watermark(h, 99998);
    harness_expect(h, "+I[Bob, fire, NULL, NULL, NULL, 0, 99998, 0]@0\n"
                      "+I[Bob, fire, NULL, bob, NULL, 0, 99998, 0]@0\n"
                      "+I[Alice, fire, NULL, alice, NULL, 1, 99998, 1]@1\n"
                      "+I[Alice, register, NULL, alice-again, 0, 1, 99998, 1]@1\n"
                      "+I[Alice, fire, NULL, alice-again, NULL, 0, 99998, 0]@0\n W 99998");
    harness_rows(h, 0, "Bob,3,@@3");
    harness_expect(h, "+I[Bob, row, 3, NULL, NULL, 3, 99998, 3]@3\n"
                      "+I[Bob, register, NULL, bob, 0, 3, 99998, 3]@3\n"
                      "+I[Bob, register, NULL, NULL, 0, 3, 99998, 3]@3");
    harness_end_of_time(h);
    harness_expect(h, "+I[Bob, fire, NULL, NULL, NULL, 0, 9223372036854775807, 0]@0\n"
                      "+I[Bob, fire, NULL, bob, NULL, 0, 9223372036854775807, 0]@0\n W MAX");
}

static void test_late_timers(void **state)
{
    (void)state;
    process_case c;
    set_up_ptf(&c, function_of("late_timers"), PTF_COLUMNS);
    harness_run(&c.setup, late_timers_scenario, NULL);
    process_case_fini(&c);
}

// Timers are in a savepoint, the watermark is not.
static void test_savepoint(void **state)
{
    (void)state;
    process_case c;
    set_up_ptf(&c, function_of("late_timers"), PTF_COLUMNS);
    harness *h = harness_create(&c.setup, HARNESS_SINGLE);
    harness_rows(h, 0, "Alice,1,@@1");
    harness_watermark(h, 0);
    harness_snapshot_whole(h);
    harness_restore_savepoint(h, 0, 1);
    harness_expect(
        h, "+I[Alice, row, 1, NULL, NULL, 1, NULL, 1]@1\n +I[Alice, register, NULL, alice, 1, 1, NULL, 1]@1\n W 0");
    harness_rows(h, 0, "Carol,2,@@7");
    harness_watermark(h, 6);
    harness_expect(h, "+I[Carol, row, 2, NULL, NULL, 7, NULL, 7]@7\n"
                      "+I[Alice, fire, NULL, alice, NULL, 1, 6, 1]@1\n"
                      "+I[Alice, register, NULL, alice-again, 0, 1, 6, 1]@1\n"
                      "+I[Alice, fire, NULL, alice-again, NULL, 0, 6, 0]@0\n W 6");
    harness_destroy(h);
    process_case_fini(&c);
}

// What follows is a batch or watermark of its own in all modes.
static void cut(harness *h) { (void)harness_drops(h, LEAT_DROP_LATE); }

static void feed_scores(harness *h, const char *const *rows, size_t count, int64_t delay)
{
    for (size_t i = 0; i < count; i++) {
        harness_rows(h, 0, rows[i]);
        harness_watermark(h, strtoll(strrchr(rows[i], '@') + 1, NULL, 10) - delay);
    }
}

static const char *const seven[] = {"Bob,1,@@0", "Alice,1,@@1", "Bob,2,@@2", "Bob,3,@@3",
                                    "Bob,4,@@4", "Bob,5,@@5",   "Bob,6,@@6"};

static void named_timers_scenario(harness *h, void *argument)
{
    (void)argument;
    feed_scores(h, seven, 7, 1);
    cut(h);
    harness_end_of_time(h);
    harness_expect(h, "+I[Bob, row, 1, NULL, NULL, 0, NULL, 0]@0\n"
                      "+I[Bob, register, NULL, timeout1, 1, 0, NULL, 0]@0\n"
                      "+I[Bob, register, NULL, timeout2, 2, 0, NULL, 0]@0\n"
                      "+I[Bob, register, NULL, timeout3, 3, 0, NULL, 0]@0\n"
                      "+I[Bob, register, NULL, timeout4, 9223372036854775807, 0, NULL, 0]@0\n"
                      "+I[Bob, register, NULL, timeout5, 9223372036854775807, 0, NULL, 0]@0\n W -1\n"
                      "+I[Alice, row, 1, NULL, NULL, 1, -1, 1]@1\n W 0\n"
                      "+I[Bob, row, 2, NULL, NULL, 2, 0, 2]@2\n"
                      "+I[Bob, fire, NULL, timeout1, NULL, 1, 1, 1]@1\n"
                      "+I[Bob, register, NULL, timeout2, 5, 1, 1, 1]@1\n"
                      "+I[Bob, clear, NULL, timeout3, NULL, 1, 1, 1]@1\n W 1\n"
                      "+I[Bob, row, 3, NULL, NULL, 3, 1, 3]@3\n W 2\n"
                      "+I[Bob, row, 4, NULL, NULL, 4, 2, 4]@4\n W 3\n"
                      "+I[Bob, row, 5, NULL, NULL, 5, 3, 5]@5\n W 4\n"
                      "+I[Bob, row, 6, NULL, NULL, 6, 4, 6]@6\n"
                      "+I[Bob, fire, NULL, timeout2, NULL, 5, 5, 5]@5\n"
                      "+I[Bob, clear, NULL, *, NULL, 5, 5, 5]@5\n W MAX");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void unnamed_timers_scenario(harness *h, void *argument)
{
    (void)argument;
    feed_scores(h, seven, 1, 1);
    cut(h);
    harness_watermark(h, 7);
    cut(h);
    harness_end_of_time(h);
    harness_expect(h, "+I[Bob, row, 1, NULL, NULL, 0, NULL, 0]@0\n"
                      "+I[Bob, register, NULL, NULL, 1, 0, NULL, 0]@0\n"
                      "+I[Bob, register, NULL, NULL, 2, 0, NULL, 0]@0\n"
                      "+I[Bob, register, NULL, NULL, 9223372036854775807, 0, NULL, 0]@0\n W -1\n"
                      "+I[Bob, fire, NULL, NULL, NULL, 1, 7, 1]@1\n"
                      "+I[Bob, register, NULL, NULL, 5, 1, 7, 1]@1\n"
                      "+I[Bob, clear, NULL, NULL, 2, 1, 7, 1]@1\n"
                      "+I[Bob, fire, NULL, NULL, NULL, 5, 7, 5]@5\n"
                      "+I[Bob, clear, NULL, *, NULL, 5, 7, 5]@5\n W MAX");
}

static void counting_scenario(harness *h, void *argument)
{
    (void)argument;
    feed_scores(h, seven, 7, 1);
    harness_expect(h, "+I[Bob, NULL, NULL, 1, NULL, NULL, NULL, NULL, 0]@0\n"
                      "+I[Bob, register, NULL, NULL, t, 2, 0, NULL, 0]@0\n W -1\n"
                      "+I[Alice, NULL, NULL, 1, NULL, NULL, NULL, NULL, 1]@1\n"
                      "+I[Alice, register, NULL, NULL, t, 3, 1, -1, 1]@1\n W 0\n"
                      "+I[Bob, NULL, 1, 2, NULL, NULL, NULL, NULL, 2]@2\n W 1\n"
                      "+I[Bob, NULL, 2, 3, NULL, NULL, NULL, NULL, 3]@3\n"
                      "+I[Bob, fire, NULL, NULL, t, NULL, 2, 2, 2]@2\n W 2\n"
                      "+I[Bob, NULL, 30, 4, NULL, NULL, NULL, NULL, 4]@4\n"
                      "+I[Alice, fire, NULL, NULL, t, NULL, 3, 3, 3]@3\n W 3\n"
                      "+I[Bob, NULL, 31, 5, NULL, NULL, NULL, NULL, 5]@5\n W 4\n"
                      "+I[Bob, NULL, 32, 6, NULL, NULL, NULL, NULL, 6]@6\n W 5");
}

static void test_timers_and_state(void **state)
{
    (void)state;
    process_case c;
    set_up_ptf(&c, function_of("named_timers"), PTF_COLUMNS);
    harness_run(&c.setup, named_timers_scenario, NULL);
    process_case_fini(&c);
    set_up_ptf(&c, function_of("unnamed_timers"), PTF_COLUMNS);
    harness_run(&c.setup, unnamed_timers_scenario, NULL);
    process_case_fini(&c);
    set_up_ptf(&c, function_of("counting_state"),
               "name:STRING,event:STRING,state:INT,score:INT,timer:STRING,for:BIGINT,time:BIGINT,watermark:BIGINT,"
               "rowtime:TIMESTAMP_LTZ");
    harness_run(&c.setup, counting_scenario, NULL);
    process_case_fini(&c);
}

static void order_by_scenario(harness *h, void *argument)
{
    (void)argument;
    static const char *const rows[] = {"Bob,1,@@0",    "Alice,1,@@1", "Bob,2,@@3",  "Bob,3,@@3",  "Bob,4,@@5",
                                       "Alice,2,@@19", "Alice,3,@@1", "Bob,5,@@10", "Bob,6,@@12", "Bob,7,@@22"};
    feed_scores(h, rows, 10, 10);
    cut(h);
    harness_end_of_time(h);
    harness_expect(h, "W -5\n"
                      "+I[Bob, 1, 0, -5, [1], 0]@0\n"
                      "+I[Alice, 1, 1, -5, [1], 1]@1\n"
                      "+I[Bob, 3, 3, -5, [1;3], 3]@3\n"
                      "+I[Bob, 2, 3, -5, [1;3;2], 3]@3\n"
                      "+I[Bob, 4, 5, -5, [1;3;2;4], 5]@5\n W 9\n"
                      "+I[Bob, 5, 10, 9, [1;3;2;4;5], 10]@10\n"
                      "+I[Bob, 6, 12, 9, [1;3;2;4;5;6], 12]@12\n W 12\n"
                      "+I[Alice, 2, 19, 12, [1;2], 19]@19\n"
                      "+I[Bob, 7, 22, 12, [1;3;2;4;5;6;7], 22]@22\n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 1);
}

static void test_order_by(void **state)
{
    (void)state;
    static const uint32_t columns[] = {2, 1};
    static const bool descending[] = {false, true};
    process_case c;
    process_case_init(&c, function_of("append_score"));
    leat_process_table *table = process_table(&c, "name:STRING,score:INT,ts:TIMESTAMP_LTZ*", 0);
    table->order_count = 2;
    table->order_columns = columns;
    table->order_descending = descending;
    process_descriptor(&c, 1, 2);
    c.spec.emit_rowtime = true;
    process_case_finish(&c, "name:STRING,score:INT,time:BIGINT,watermark:BIGINT,seen:ARRAY<INT>,rowtime:TIMESTAMP_LTZ");
    harness_run(&c.setup, order_by_scenario, NULL);
    process_case_fini(&c);
}

// ---- failures

static int fail_process(leat_context *context, const leat_row *row)
{
    if (row->columns[1].nulls && row->columns[1].nulls[row->index])
        (context->api->fail)(context, "the score is missing"); // cmocka has a macro of that name
    else
        context->api->list_add(context, 0, leat_cell_i64(LEAT_API_INT, 1));
    return 0;
}

static int fail_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "seen", LEAT_STATE_LIST, LEAT_API_INT, 0);
    return 0;
}

static const leat_parameter fail_parameters[] = {
    {.size = sizeof(leat_parameter), .name = "r", .kind = LEAT_ARGUMENT_TABLE}};
static const leat_process_function fails = {.size = sizeof(leat_process_function),
                                            .api = LEAT_API,
                                            .name = "fails",
                                            .parameters = fail_parameters,
                                            .parameter_count = 1,
                                            .declare = fail_declare,
                                            .process = fail_process};

static void test_failure_stops_the_rule(void **state)
{
    (void)state;
    process_case c;
    process_case_init(&c, &fails);
    leat_process_table *table = process_table(&c, "name:STRING,score:INT,ts:TIMESTAMP_LTZ*", 0);
    process_case_finish(&c, "name:STRING");
    harness *h = harness_create(&c.setup, HARNESS_SINGLE);
    harness_rows(h, 0, "a,1,@@0");
    harness_fails(h, LEAT_E_INVALID, "function fails: the score is missing");
    harness_rows(h, 0, "a,NULL,@@0");
    harness_destroy(h);
    table->row_semantics = true;
    h = harness_create(&c.setup, HARNESS_SINGLE);
    harness_fails(h, LEAT_E_INVALID, "its state seen needs a key");
    harness_rows(h, 0, "a,1,@@0");
    harness_destroy(h);
    table->row_semantics = false;
    c.setup.budget = 40000;
    h = harness_create(&c.setup, HARNESS_SINGLE);
    harness_fails(h, LEAT_E_LIMIT, "function fails: the memory budget of 40000 bytes is used up");
    for (int i = 0; i < 1000; i++)
        harness_rows(h, 0, "a,1,@@0");
    harness_destroy(h);
    process_case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rising),
        cmocka_unit_test(test_rising_by_the_clock),
        cmocka_unit_test(test_small_then_large),
        cmocka_unit_test(test_long_ride),
        cmocka_unit_test(test_connected),
        cmocka_unit_test(test_timer_equal_watermark),
        cmocka_unit_test(test_register_then_delete),
        cmocka_unit_test(test_side_output),
        cmocka_unit_test(test_late_timers),
        cmocka_unit_test(test_savepoint),
        cmocka_unit_test(test_timers_and_state),
        cmocka_unit_test(test_order_by),
        cmocka_unit_test(test_failure_stops_the_rule),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
