// OVER in the order of a value: peers, rows that come between and go, more rows than a batch holds, what is forgotten.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators/core/order_encode.h"
#include "tests/unit/operators/aggregates.h"

extern const leat_operator_ops leat_operator_over_sorted_ops;

#define INPUT "k:INT,v:BIGINT,n:BIGINT"
static const uint32_t key_columns[] = {0};
static const leat_order by_value[] = {{.column = 1}};
enum { MANY = LEAT_BATCH_ROWS + 3 };

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_over_function functions[8];
    leat_over_sorted_spec spec;
    harness_setup setup;
} fixture;

static void fixture_begin(fixture *f, const char *calls, bool range, const char *output)
{
    f->env = env_test_create();
    leat_arena_init(&f->arena, env_test_env(f->env), 4096);
    f->spec = (leat_over_sorted_spec){
        .range = range, .key_count = 1, .key_columns = key_columns, .order = by_value, .functions = f->functions};
    if (*calls) {
        aggregates set = aggregates_make(&f->arena, harness_schema(&f->arena, INPUT), calls, false);
        f->spec.accumulators = set.set;
        f->spec.function_count = set.count;
        for (uint32_t i = 0; i < set.count; i++)
            f->functions[i] = (leat_over_function){.kind = LEAT_OVER_AGGREGATE, .aggregate = i};
    }
    f->setup = (harness_setup){.ops = &leat_operator_over_sorted_ops,
                               .spec = &f->spec,
                               .inputs = {INPUT},
                               .outputs = {output},
                               .output_changelog = LEAT_CHANGELOG_RETRACT,
                               .start_ms = 1000};
}

static void fixture_end(fixture *f)
{
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
}

static void peers(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,5,1 | 1,5,2 | 1,3,4 | 2,9,8 | 1,NULL,NULL | 1,5,NULL");
    harness_expect(h, "+I[1, 5, 1, 1] \n -U[1, 5, 1, 1] \n +U[1, 5, 1, 3] \n +I[1, 5, 2, 3] \n "
                      "+I[1, 3, 4, 4] \n -U[1, 5, 1, 3] \n +U[1, 5, 1, 7] \n -U[1, 5, 2, 3] \n +U[1, 5, 2, 7] \n "
                      "+I[2, 9, 8, 8] \n +I[1, NULL, NULL, NULL] \n +I[1, 5, NULL, 7]");
    harness_rows(h, 0, "-D 1,3,4 | -D 1,3,4 | -U 1,5,1 | +U 1,6,1");
    harness_expect(h, "-D[1, 3, 4, 4] \n -U[1, 5, 1, 7] \n +U[1, 5, 1, 3] \n -U[1, 5, 2, 7] \n +U[1, 5, 2, 3] \n "
                      "-U[1, 5, NULL, 7] \n +U[1, 5, NULL, 3] \n -D[1, 5, 1, 3] \n -U[1, 5, 2, 3] \n "
                      "+U[1, 5, 2, 2] \n -U[1, 5, NULL, 3] \n +U[1, 5, NULL, 2] \n +U[1, 6, 1, 3]");
}

static void test_peers(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(n)", true, INPUT ",s:BIGINT");
    harness_run(&f.setup, peers, &f);
    fixture_end(&f);
}

static void row_by_row(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,5,1 | 1,5,1 | 1,5,7 | 1,4,2");
    harness_expect(h, "+I[1, 5, 1, 1, 1] \n +I[1, 5, 1, 2, 1] \n +I[1, 5, 7, 3, 7] \n +I[1, 4, 2, 1, 2] \n "
                      "-U[1, 5, 1, 1, 1] \n +U[1, 5, 1, 2, 2] \n -U[1, 5, 1, 2, 1] \n +U[1, 5, 1, 3, 2] \n "
                      "-U[1, 5, 7, 3, 7] \n +U[1, 5, 7, 4, 7]");
    harness_rows(h, 0, "-D 1,5,1"); // the first of two
    harness_expect(h, "-D[1, 5, 1, 2, 2] \n -U[1, 5, 1, 3, 2] \n +U[1, 5, 1, 2, 2] \n -U[1, 5, 7, 4, 7] \n "
                      "+U[1, 5, 7, 3, 7]");
    harness_rows(h, 0, "-D 1,5,1 | -D 1,5,7 | -D 1,4,2 | 1,9,9");
    harness_expect(h, "-D[1, 5, 1, 2, 2] \n -U[1, 5, 7, 3, 7] \n +U[1, 5, 7, 2, 7] \n -D[1, 5, 7, 2, 7] \n "
                      "-D[1, 4, 2, 1, 2] \n +I[1, 9, 9, 1, 9]");
}

static void test_rows(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "COUNT(*) MAX(n)", false, INPUT ",c:BIGINT,m:BIGINT");
    harness_run(&f.setup, row_by_row, &f);
    fixture_end(&f);
}

static void ranks(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,5,0 | 1,5,1 | 1,7,2 | 1,1,3 | -D 1,5,0");
    harness_expect(h, "+I[1, 5, 0, 1, 1] \n +I[1, 5, 1, 1, 1] \n +I[1, 7, 2, 3, 2] \n +I[1, 1, 3, 1, 1] \n "
                      "-U[1, 5, 0, 1, 1] \n +U[1, 5, 0, 2, 2] \n -U[1, 5, 1, 1, 1] \n +U[1, 5, 1, 2, 2] \n "
                      "-U[1, 7, 2, 3, 2] \n +U[1, 7, 2, 4, 3] \n -D[1, 5, 0, 2, 2] \n -U[1, 7, 2, 4, 3] \n "
                      "+U[1, 7, 2, 3, 3]");
}

static void test_ranks(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "", true, INPUT ",r:BIGINT,d:BIGINT");
    f.functions[0].kind = LEAT_OVER_RANK;
    f.functions[1].kind = LEAT_OVER_DENSE_RANK;
    f.spec.function_count = 2;
    harness_run(&f.setup, ranks, &f);
    fixture_end(&f);
}

// Lists do not fit into the accumulator's struct.
static void lists(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,2,20 | 1,1,10 | -D 1,2,20 | 1,0,5");
    harness_expect(h, "+I[1, 2, 20, [20]] \n +I[1, 1, 10, [10]] \n -U[1, 2, 20, [20]] \n +U[1, 2, 20, [10;20]] \n "
                      "-D[1, 2, 20, [10;20]] \n +I[1, 0, 5, [5]] \n -U[1, 1, 10, [10]] \n +U[1, 1, 10, [5;10]]");
}

static void test_released(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "ARRAY_AGG(n)", true, INPUT ",a:ARRAY<BIGINT>");
    harness_run(&f.setup, lists, &f);
    fixture_end(&f);
}

// More rows of a key than a batch holds, those of the last value peers.
static void many(harness *h, void *argument)
{
    (void)argument;
    char row[64], text[64 * 4];
    int expected = MANY;
    for (int i = 0; i < MANY; i++) {
        snprintf(row, sizeof row, "1,%d,1", i < MANY - 2 ? i : MANY - 2);
        harness_rows(h, 0, row);
        if (i < MANY - 1) {
            snprintf(text, sizeof text, "+I[1, %d, 1, %d]", i < MANY - 2 ? i : MANY - 2, i + 1);
            harness_expect(h, text);
        }
    }
    snprintf(text, sizeof text, "-U[1, %d, 1, %d] \n +U[1, %d, 1, %d] \n +I[1, %d, 1, %d]", MANY - 2, expected - 1,
             MANY - 2, expected, MANY - 2, expected);
    harness_expect(h, text);
    snprintf(row, sizeof row, "-D 1,%d,1", MANY - 3);
    harness_rows(h, 0, row);
    snprintf(text, sizeof text,
             "-D[1, %d, 1, %d] \n -U[1, %d, 1, %d] \n +U[1, %d, 1, %d] \n -U[1, %d, 1, %d] \n +U[1, %d, 1, %d]",
             MANY - 3, expected - 2, MANY - 2, expected, MANY - 2, expected - 1, MANY - 2, expected, MANY - 2,
             expected - 1);
    harness_expect(h, text);
}

static void test_many(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(n)", true, INPUT ",s:BIGINT");
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    many(h, &f);
    harness_destroy(h);
    fixture_end(&f);
}

// A key's rows go together, when none has come for long enough; one that is taken back counts as well.
static void forgets(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,5,1 | 2,5,1");
    harness_time(h, 1600);
    harness_rows(h, 0, "1,7,2 | -D 2,9,9");
    harness_time(h, 2100);
    harness_rows(h, 0, "1,6,4 | 2,6,4");
    harness_expect(h, "+I[1, 5, 1, 1] \n +I[2, 5, 1, 1] \n +I[1, 7, 2, 3] \n +I[1, 6, 4, 5] \n -U[1, 7, 2, 3] \n "
                      "+U[1, 7, 2, 7] \n +I[2, 6, 4, 5]");
    harness_time(h, 3100);
    harness_rows(h, 0, "1,6,8");
    harness_expect(h, "+I[1, 6, 8, 8]");
    harness_time(h, 9000);
    harness_time(h, 18000);
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void test_time_to_live(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "SUM(n)", true, INPUT ",s:BIGINT");
    f.spec.state_ttl_ms = 1000;
    harness_run(&f.setup, forgets, &f);
    fixture_end(&f);
}

static void test_budget(void **state)
{
    (void)state;
    for (size_t budget = 30000; budget < 90000; budget += 10007) {
        fixture f;
        char *rows = malloc(40 * 4000), *at = rows;
        fixture_begin(&f, "SUM(n)", false, INPUT ",s:BIGINT");
        f.setup.budget = budget;
        for (int i = 0; i < 3000; i++)
            at += sprintf(at, "%s%d,%d,1", i ? " | " : "", i, i);
        harness *h = harness_create(&f.setup, HARNESS_SINGLE);
        harness_fails(h, LEAT_E_LIMIT, "the memory budget of ");
        harness_rows(h, 0, rows);
        harness_destroy(h);
        free(rows);
        fixture_end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peers),    cmocka_unit_test(test_rows), cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_released), cmocka_unit_test(test_many), cmocka_unit_test(test_time_to_live),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
