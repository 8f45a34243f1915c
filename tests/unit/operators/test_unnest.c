// Collections taken apart: items, entries, fields of items, places, rows without items, retractions.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/core/spec.h"
#include "operators/expr/program.h"
#include "tests/support/harness.h"

extern const leat_operator_ops leat_operator_unnest_ops;

// The collection is column 1 of the input.
static void run(const char *input, const char *output, bool outer, bool ordinality, harness_scenario scenario)
{
    leat_arena arena;
    leat_error error;
    leat_program *program;
    env_test *env = env_test_create();
    leat_arena_init(&arena, env_test_env(env), 0);
    leat_type type = leat_type_array(&arena, leat_type_of(LEAT_KIND_STRING));
    leat_expr_scope scope = {.arena = &arena};
    leat_expr *column = leat_expr_column(&scope, 0, 1, type);
    assert_int_equal(leat_program_compile(&arena, column, NULL, &program, &error), LEAT_OK);
    leat_unnest_spec spec = {.collection = program, .outer = outer, .ordinality = ordinality};
    harness_setup setup = {.ops = &leat_operator_unnest_ops,
                           .spec = &spec,
                           .inputs = {input},
                           .outputs = {output},
                           .output_changelog = LEAT_CHANGELOG_RETRACT};
    harness_run(&setup, scenario, NULL);
    leat_arena_fini(&arena);
    env_test_destroy(env);
}

#define ITEMS "k:STRING,c:ARRAY<STRING>,ts:TIMESTAMP*"

static void feed(harness *h)
{
    harness_rows(h, 0, "a,[p;NULL;q],@@10 | b,[],@@11 | c,NULL,@@12 | -D a,[p;NULL;q],@@13 | d,[r],@@14");
    harness_watermark(h, 20);
}

static void inner(harness *h, void *argument)
{
    (void)argument;
    feed(h);
    harness_expect(h, "+I[a, [p;NULL;q], 10, p]@10 \n +I[a, [p;NULL;q], 10, NULL]@10 \n +I[a, [p;NULL;q], 10, q]@10 \n"
                      "-D[a, [p;NULL;q], 13, p]@13 \n -D[a, [p;NULL;q], 13, NULL]@13 \n -D[a, [p;NULL;q], 13, q]@13 \n"
                      "+I[d, [r], 14, r]@14 \n W 20");
}

static void outer_with_places(harness *h, void *argument)
{
    (void)argument;
    feed(h);
    harness_expect(
        h, "+I[a, [p;NULL;q], 10, p, 1]@10 \n +I[a, [p;NULL;q], 10, NULL, 2]@10 \n +I[a, [p;NULL;q], 10, q, 3]@10 \n"
           "+I[b, [], 11, NULL, NULL]@11 \n +I[c, NULL, 12, NULL, NULL]@12 \n"
           "-D[a, [p;NULL;q], 13, p, 1]@13 \n -D[a, [p;NULL;q], 13, NULL, 2]@13 \n -D[a, [p;NULL;q], 13, q, 3]@13 \n"
           "+I[d, [r], 14, r, 1]@14 \n W 20");
}

static void watermark_alone(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "b,[],@@11");
    harness_watermark(h, 11);
    harness_end_of_time(h);
    harness_expect(h, "W MAX");
}

static void test_items(void **state)
{
    (void)state;
    run(ITEMS, "k:STRING,c:ARRAY<STRING>,ts:TIMESTAMP*,i:STRING", false, false, inner);
    run(ITEMS, "k:STRING,c:ARRAY<STRING>,ts:TIMESTAMP*,i:STRING", false, false, watermark_alone);
}

static void test_outer_with_places(void **state)
{
    (void)state;
    run(ITEMS, "k:STRING,c:ARRAY<STRING>,ts:TIMESTAMP*,i:STRING,n:INT", true, true, outer_with_places);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_items), cmocka_unit_test(test_outer_with_places)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
