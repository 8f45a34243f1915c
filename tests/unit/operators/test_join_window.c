// Joins of rows that lie in the same window.
#include "tests/unit/operators/joins.h"

extern const leat_operator_ops leat_operator_join_window_ops;

#define SIDE "k:STRING,v:BIGINT,e:TIMESTAMP,t:TIMESTAMP*"
#define BOTH "k:STRING,v:BIGINT,e:TIMESTAMP,t:TIMESTAMP*,k2:STRING,w:BIGINT,e2:TIMESTAMP,t2:TIMESTAMP"

static const uint32_t key_columns[] = {0, 2};

static void run(leat_join_kind kind, harness_scenario scenario)
{
    leat_join_window_spec spec = {.sides = joins_sides(kind, 4, 4)};
    spec.sides.key_count = 2;
    spec.sides.key_columns[0] = spec.sides.key_columns[1] = key_columns;
    harness_setup setup = {.ops = &leat_operator_join_window_ops,
                           .spec = &spec,
                           .inputs = {SIDE, SIDE},
                           .outputs = {kind >= LEAT_JOIN_SEMI ? SIDE : BOTH}};
    harness_run(&setup, scenario, NULL);
}

static void feed(harness *h)
{
    harness_rows(h, 0, "a,1,10,@@9 | a,2,10,@@9 | b,3,10,@@9 | NULL,4,10,@@9 | a,5,20,@@19");
    harness_rows(h, 1, "a,6,10,@@9 | a,7,10,@@9 | c,8,10,@@9 | NULL,9,10,@@9 | a,10,20,@@19");
    harness_watermark(h, 8);
    harness_expect(h, "W 8");
    harness_watermark(h, 9);
}

static void inner(harness *h, void *argument)
{
    (void)argument;
    feed(h);
    harness_expect(h, "+I[a, 1, 10, 9, a, 6, 10, 9]@9 \n +I[a, 1, 10, 9, a, 7, 10, 9]@9 \n"
                      "+I[a, 2, 10, 9, a, 6, 10, 9]@9 \n +I[a, 2, 10, 9, a, 7, 10, 9]@9 \n W 9");
    harness_rows(h, 0, "a,11,10,@@9"); // late
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 5, 20, 19, a, 10, 20, 19]@19 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 1);
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void full(harness *h, void *argument)
{
    (void)argument;
    feed(h);
    harness_expect( // keys by their first left row, then those of the right side alone
        h, "+I[a, 1, 10, 9, a, 6, 10, 9]@9 \n +I[a, 1, 10, 9, a, 7, 10, 9]@9 \n +I[a, 2, 10, 9, a, 6, 10, 9]@9 \n"
           "+I[a, 2, 10, 9, a, 7, 10, 9]@9 \n +I[b, 3, 10, 9, NULL, NULL, NULL, NULL]@9 \n"
           "+I[NULL, 4, 10, 9, NULL, NULL, NULL, NULL]@9 \n +I[NULL, NULL, NULL, NULL, NULL, 9, 10, 9]@9 \n"
           "+I[NULL, NULL, NULL, NULL, c, 8, 10, 9]@9 \n W 9");
}

static void semi(harness *h, void *argument)
{
    (void)argument;
    feed(h);
    harness_expect(h, "+I[a, 1, 10, 9]@9 \n +I[a, 2, 10, 9]@9 \n W 9");
}

static void anti(harness *h, void *argument)
{
    (void)argument;
    feed(h);
    harness_expect_any_order(h, "+I[b, 3, 10, 9]@9 \n +I[NULL, 4, 10, 9]@9 \n W 9");
}

static void savepoint(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,10,@@9");
    harness_watermark(h, 5);
    harness_expect(h, "W 5");
    harness_snapshot_whole(h);
    harness_restore_savepoint(h, 0, 1);
    harness_rows(h, 1, "a,2,10,@@9");
    harness_watermark(h, 9);
    harness_expect(h, "+I[a, 1, 10, 9, a, 2, 10, 9]@9 \n W 9");
}

static void test_kinds(void **state)
{
    (void)state;
    run(LEAT_JOIN_INNER, inner);
    run(LEAT_JOIN_FULL, full);
    run(LEAT_JOIN_SEMI, semi);
    run(LEAT_JOIN_ANTI, anti);
    run(LEAT_JOIN_LEFT, savepoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
