// A table that is read again and again: differences by key, readings that are not to be used, and the watermark that waits.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/core/spec.h"
#include "tests/support/harness.h"

extern const leat_operator_ops leat_operator_table_ops;

#define ROWS "k:STRING,v:BIGINT,ts:TIMESTAMP_LTZ*"

static const uint32_t keys[] = {0};

// A reading that was begun is read again from its beginning after a restart, which the harness cannot do.
static void run(harness_scenario scenario, bool restarts)
{
    leat_table_spec spec = {.key_count = 1, .key_columns = keys, .compared = 2};
    harness_setup setup = {.ops = &leat_operator_table_ops,
                           .spec = &spec,
                           .inputs = {ROWS},
                           .outputs = {ROWS},
                           .output_changelog = LEAT_CHANGELOG_UPSERT,
                           .without_restart = !restarts};
    harness_run(&setup, scenario, NULL);
}

static void differences(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@10 | b,2,@@10 | a,3,@@10 | NULL,4,@@10");
    harness_expect_nothing(h);
    harness_rows(h, 0, "-D NULL,NULL,NULL@10");
    harness_expect_any_order(h, "+I[a, 3, 10]@10 \n +I[b, 2, 10]@10 \n +I[NULL, 4, 10]@10");
    harness_rows(h, 0, "b,2,@@20 | a,NULL,@@20 | c,5,@@20 | -D NULL,NULL,NULL@25");
    harness_expect_any_order(h, "-D[NULL, 4, 25]@10 \n +U[a, NULL, 20]@20 \n +I[c, 5, 20]@20");
    harness_rows(h, 0, "a,NULL,@@30 | b,2,@@30 | c,5,@@30 | -D NULL,NULL,NULL@30");
    harness_expect_nothing(h); // read again, nothing has changed
    harness_rows(h, 0, "a,1,@@40 | d,9,@@40 | -U NULL,NULL,NULL@40");
    harness_expect_nothing(h); // not to be used
    harness_rows(h, 0, "-D NULL,NULL,NULL@50");
    harness_expect_any_order(h, "-D[a, NULL, 50]@20 \n -D[b, 2, 50]@10 \n -D[c, 5, 50]@20");
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), 1); // that it was read
}

static void watermark_waits(harness *h, void *argument)
{
    (void)argument;
    harness_watermark(h, 5);
    harness_rows(h, 0, "-U NULL,NULL,NULL@10");
    harness_watermark(h, 10);
    harness_expect_nothing(h);
    harness_rows(h, 0, "-D NULL,NULL,NULL@11");
    harness_watermark(h, 12);
    harness_expect(h, "W 12");
    harness_rows(h, 0, "-U NULL,NULL,NULL@13");
    harness_watermark(h, 13);
    harness_expect(h, "W 13");
    harness_end_of_time(h);
    harness_expect(h, "W MAX");
}

static void never_read(harness *h, void *argument)
{
    (void)argument;
    harness_watermark(h, 5);
    harness_expect_nothing(h);
    harness_end_of_time(h);
    harness_expect(h, "W MAX");
}

static void test_differences(void **state)
{
    (void)state;
    run(differences, false);
}

static void test_watermark(void **state)
{
    (void)state;
    run(watermark_waits, true);
    run(never_read, true);
}

static void test_restart_between_readings(void **state)
{
    (void)state;
    leat_table_spec spec = {.key_count = 1, .key_columns = keys, .compared = 2};
    harness_setup setup = {.ops = &leat_operator_table_ops,
                           .spec = &spec,
                           .inputs = {ROWS},
                           .outputs = {ROWS},
                           .output_changelog = LEAT_CHANGELOG_UPSERT};
    harness *h = harness_create(&setup, HARNESS_SINGLE);
    harness_rows(h, 0, "a,1,@@10 | b,2,@@10 | -D NULL,NULL,NULL@10");
    harness_expect_any_order(h, "+I[a, 1, 10]@10 \n +I[b, 2, 10]@10");
    harness_rows(h, 0, "a,7,@@20"); // begun, and lost
    harness_snapshot(h);
    harness_restore(h);
    harness_rows(h, 0, "b,3,@@30 | -D NULL,NULL,NULL@30");
    harness_expect_any_order(h, "-D[a, 1, 30]@10 \n +U[b, 3, 30]@30");
    harness_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_watermark),
        cmocka_unit_test(test_restart_between_readings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
