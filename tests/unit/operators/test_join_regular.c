// Joins without a bound in time: changelogs on both sides.
#include <stdio.h>
#include <string.h>

#include "tests/unit/operators/joins.h"

extern const leat_operator_ops leat_operator_join_regular_ops;

#define LEFT "k:STRING,v:BIGINT"
#define RIGHT "k:STRING,w:BIGINT"

static void run_spec(leat_join_regular_spec *spec, harness_scenario scenario)
{
    bool left_only = spec->sides.kind >= LEAT_JOIN_SEMI;
    harness_setup setup = {.ops = &leat_operator_join_regular_ops,
                           .spec = spec,
                           .inputs = {LEFT, RIGHT},
                           .outputs = {left_only ? LEFT : "k:STRING,v:BIGINT,k2:STRING,w:BIGINT"},
                           .output_changelog = LEAT_CHANGELOG_RETRACT,
                           .start_ms = 1000};
    harness_run(&setup, scenario, NULL);
}

static void run(leat_join_kind kind, harness_scenario scenario)
{
    leat_join_regular_spec spec = {.sides = joins_sides(kind, 2, 2)};
    run_spec(&spec, scenario);
}

// Kinds of the row that made a change are kept.
static void inner(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1 | a,2 | NULL,3");
    harness_rows(h, 1, "a,10 | b,11 | NULL,12");
    harness_expect(h, "+I[a, 1, a, 10] \n +I[a, 2, a, 10]");
    harness_rows(h, 1, "-U a,10 | +U a,20 | -D b,11 | -D x,1");
    harness_expect(h, "-U[a, 1, a, 10] \n -U[a, 2, a, 10] \n +U[a, 1, a, 20] \n +U[a, 2, a, 20]");
    harness_rows(h, 0, "-D a,1 | -D a,1 | b,4");
    harness_expect(h, "-D[a, 1, a, 20] \n -D[a, 1, a, 20]"); // as Flink: a retraction of what is not there passes
}

static void left(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1 | b,2 | NULL,3");
    harness_expect(h, "+I[a, 1, NULL, NULL] \n +I[b, 2, NULL, NULL] \n +I[NULL, 3, NULL, NULL]");
    harness_rows(h, 1, "a,10 | a,11 | NULL,12");
    harness_expect(h, "-D[a, 1, NULL, NULL] \n +I[a, 1, a, 10] \n +I[a, 1, a, 11]");
    harness_rows(h, 1, "-D a,10 | -U a,11 | +U a,12");
    harness_expect(
        h, "-D[a, 1, a, 10] \n -U[a, 1, a, 11] \n +I[a, 1, NULL, NULL] \n -D[a, 1, NULL, NULL] \n +I[a, 1, a, 12]");
    harness_rows(h, 0, "-U a,1 | +U a,5 | -D b,2 | -D NULL,3");
    harness_expect(h, "-D[a, 1, a, 12] \n +I[a, 5, a, 12] \n -D[b, 2, NULL, NULL] \n -D[NULL, 3, NULL, NULL]");
}

static void full(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1 | a,2");
    harness_rows(h, 1, "b,10");
    harness_expect(h, "+I[a, 1, NULL, NULL] \n +I[a, 2, NULL, NULL] \n +I[NULL, NULL, b, 10]");
    harness_rows(h, 1, "a,11"); // paddings first, then pairs
    harness_expect(h, "-D[a, 1, NULL, NULL] \n -D[a, 2, NULL, NULL] \n +I[a, 1, a, 11] \n +I[a, 2, a, 11]");
    harness_rows(h, 0, "-D a,1");
    harness_expect(h, "-D[a, 1, a, 11]");
    harness_rows(h, 0, "-D a,2"); // the last partner of the right row
    harness_expect(h, "-D[a, 2, a, 11] \n +I[NULL, NULL, a, 11]");
}

// The same row several times is kept with a count.
static void copies(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1 | a,1");
    harness_expect(h, "+I[a, 1, NULL, NULL] \n +I[a, 1, NULL, NULL]");
    harness_rows(h, 1, "a,10");
    harness_expect(h, "-D[a, 1, NULL, NULL] \n -D[a, 1, NULL, NULL] \n +I[a, 1, a, 10] \n +I[a, 1, a, 10]");
    harness_rows(h, 0, "-D a,1");
    harness_expect(h, "-D[a, 1, a, 10]");
    harness_rows(h, 1, "-D a,10");
    harness_expect(h, "-D[a, 1, a, 10] \n +I[a, 1, NULL, NULL]");
}

static void semi(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1 | NULL,2");
    harness_expect_nothing(h);
    harness_rows(h, 1, "a,10 | a,11 | NULL,12");
    harness_expect(h, "+I[a, 1]");
    harness_rows(h, 1, "-D a,10");
    harness_expect_nothing(h);
    harness_rows(h, 1, "-U a,11 | +U a,12");
    harness_expect(h, "-U[a, 1] \n +U[a, 1]");
    harness_rows(h, 0, "a,3 | -D a,1 | -D NULL,2");
    harness_expect(h, "+I[a, 3] \n -D[a, 1]");
}

static void anti(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1 | NULL,2");
    harness_expect(h, "+I[a, 1] \n +I[NULL, 2]");
    harness_rows(h, 1, "a,10 | a,11 | NULL,3");
    harness_expect(h, "-D[a, 1]");
    harness_rows(h, 1, "-U a,10 | -U a,11");
    harness_expect(h, "+I[a, 1]");
    harness_rows(h, 0, "-D a,1 | -D NULL,2");
    harness_expect(h, "-D[a, 1] \n -D[NULL, 2]");
}

static void unique(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 1, "a,10");
    harness_rows(h, 0, "a,1 | -U a,1 | +U a,2 | -D a,9"); // told by its key, whatever else it says
    harness_expect(h, "+I[a, 1, a, 10] \n -U[a, 1, a, 10] \n +U[a, 2, a, 10] \n -D[a, 9, a, 10]");
    harness_rows(h, 1, "a,11");
    harness_expect_nothing(h);
}

static void forgotten(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1");
    harness_time(h, 1050);
    harness_rows(h, 1, "a,10");
    harness_expect(h, "+I[a, 1, a, 10]");
    harness_time(h, 1100); // the left row is over
    harness_rows(h, 1, "a,11");
    harness_expect_nothing(h);
    harness_rows(h, 0, "a,2"); // the right ones live twice as long
    harness_expect(h, "+I[a, 2, a, 10] \n +I[a, 2, a, 11]");
    harness_time(h, 1251);
    harness_rows(h, 0, "a,3");
    harness_expect(h, "+I[a, 3, a, 11]");
    harness_time(h, 2000);
    harness_rows(h, 0, "z,3");
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), 1);
}

static void keys_come_and_go(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1 | b,1 | -D a,1 | c,1 | -D b,1 | -D c,1");
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), 0);
    harness_rows(h, 0, "a,2");
    harness_rows(h, 1, "a,3");
    harness_expect(h, "+I[a, 2, a, 3]");
}

static void test_kinds(void **state)
{
    (void)state;
    run(LEAT_JOIN_INNER, inner);
    run(LEAT_JOIN_INNER, keys_come_and_go);
    run(LEAT_JOIN_LEFT, left);
    run(LEAT_JOIN_FULL, full);
    run(LEAT_JOIN_LEFT, copies);
    run(LEAT_JOIN_SEMI, semi);
    run(LEAT_JOIN_ANTI, anti);
}

static void test_unique(void **state)
{
    (void)state;
    leat_join_regular_spec spec = {
        .sides = joins_sides(LEAT_JOIN_INNER, 2, 2), .unique_counts = {1, 0}, .unique_columns = {joins_first, NULL}};
    run_spec(&spec, unique);
}

static void test_time_to_live(void **state)
{
    (void)state;
    leat_join_regular_spec spec = {.sides = joins_sides(LEAT_JOIN_INNER, 2, 2), .state_ttl_ms = {100, 200}};
    run_spec(&spec, forgotten);
}

enum { LONG_ROWS = 40, TWICE = 7 };

static char *print_pairs(char *at, const char *kind, int first, int step)
{
    for (int i = first; i < LONG_ROWS; i += step)
        for (int copy = i == TWICE ? 2 : 1; copy > 0; copy--)
            at += sprintf(at, "%s%s[a, %d, a, 1]", at[-1] ? " \n " : "", kind, i);
    return at;
}

// So many rows of a key that they are indexed; of one there are two.
static void long_lists(harness *h, void *argument)
{
    (void)argument;
    char row[40], lines[LONG_ROWS * 40] = {0};
    for (int i = 0; i < LONG_ROWS; i++) {
        snprintf(row, sizeof row, i == TWICE ? "a,%d | a,7" : "a,%d", i);
        harness_rows(h, 0, row);
    }
    harness_rows(h, 1, "a,1");
    print_pairs(lines + 1, "+I", 0, 1);
    harness_expect(h, lines + 1);
    for (int i = 0; i < LONG_ROWS; i += 2) {
        snprintf(row, sizeof row, "-D a,%d | -D a,%d", i, i + LONG_ROWS); // the second is of no row
        harness_rows(h, 0, row);
        snprintf(row, sizeof row, "-D[a, %d, a, 1] \n -D[a, %d, a, 1]", i, i + LONG_ROWS);
        harness_expect(h, row);
    }
    harness_rows(h, 1, "-D a,1");
    memset(lines, 0, sizeof lines);
    print_pairs(lines + 1, "-D", 1, 2);
    harness_expect(h, lines + 1);
}

static void test_long_lists(void **state)
{
    (void)state;
    run(LEAT_JOIN_INNER, long_lists);
}

static char *print_lines(char *at, const char *kind, int count)
{
    for (int i = 0; i < count; i++)
        at += sprintf(at, "%s[a, %d, a, 99]\n", kind, i);
    return at;
}

// A list becomes so long that it would be indexed, and the budget does not hold the index, but the row, which has the memory of one that went.
static void test_index_refused(void **state)
{
    (void)state;
    char row[32], lines[4096];
    leat_join_regular_spec spec = {.sides = joins_sides(LEAT_JOIN_INNER, 2, 2)};
    harness_setup setup = {.ops = &leat_operator_join_regular_ops,
                           .spec = &spec,
                           .inputs = {LEFT, RIGHT},
                           .outputs = {"k:STRING,v:BIGINT,k2:STRING,w:BIGINT"},
                           .output_changelog = LEAT_CHANGELOG_RETRACT,
                           .start_ms = 1000};
    harness *h = harness_create(&setup, HARNESS_SINGLE);
    harness_rows(h, 1, "a,99");
    for (int i = 0; i < 16; i++) {
        snprintf(row, sizeof row, "a,%d | b,%d", i, i);
        harness_rows(h, 0, row);
    }
    harness_rows(h, 0, "-D b,1 | -D b,2 | -D b,3");
    harness_context(h)->budget->limit = harness_context(h)->budget->used;
    for (int i = 16; i < 19; i++) {
        snprintf(row, sizeof row, "a,%d", i);
        harness_rows(h, 0, row);
    }
    for (int i = 0; i < 19; i++) {
        snprintf(row, sizeof row, "-D a,%d | -D a,%d", i, i);
        harness_rows(h, 0, row);
    }
    char *at = print_lines(lines, "+I", 19);
    for (int i = 0; i < 19; i++)
        at += sprintf(at, "-D[a, %d, a, 99]\n-D[a, %d, a, 99]\n", i, i); // the second is not there: as Flink
    harness_expect(h, lines);
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 13 + 1);
    harness_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds), cmocka_unit_test(test_unique),
                                       cmocka_unit_test(test_long_lists), cmocka_unit_test(test_index_refused),
                                       cmocka_unit_test(test_time_to_live)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
