// split: which rows go where, that every output gets all watermarks, and that a row no condition can judge is counted once.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/operators/aggregates.h"

extern const leat_operator_ops leat_operator_split_ops;

#define INPUT "k:STRING,v:BIGINT,d:BIGINT"

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_expr_scope scope;
    const leat_schema *input;
    const leat_program *conditions[2];
    leat_split_spec spec;
} fixture;

static leat_expr *call(fixture *f, const char *name, leat_expr *a, leat_expr *b)
{
    leat_expr *arguments[] = {a, b}, *made;
    leat_error error;
    if (leat_expr_call(&f->scope, leat_slice_text(name), arguments, 2, &made, &error) != LEAT_OK)
        fail_msg("%s: %s", name, error.message);
    return made;
}

static const leat_program *compile(fixture *f, leat_expr *expr)
{
    leat_program *program;
    leat_error error;
    if (leat_program_compile(&f->arena, expr, NULL, &program, &error) != LEAT_OK)
        fail_msg("%s", error.message);
    return program;
}

static leat_expr *column(fixture *f, const char *name)
{
    return aggregates_column(&f->scope, f->input, name, strlen(name));
}

static leat_expr *number(fixture *f, int64_t i64)
{
    return leat_expr_literal(&f->scope, leat_type_of(LEAT_KIND_BIGINT), (leat_value){.i64 = i64});
}

// v > 5; 10 / d > 1
static void run(bool first_match, harness_scenario scenario)
{
    fixture f = {.env = env_test_create()};
    leat_arena_init(&f.arena, env_test_env(f.env), 4096);
    f.scope = (leat_expr_scope){.arena = &f.arena};
    f.input = harness_schema(&f.arena, INPUT);
    f.conditions[0] = compile(&f, call(&f, ">", column(&f, "v"), number(&f, 5)));
    f.conditions[1] = compile(&f, call(&f, ">", call(&f, "/", number(&f, 10), column(&f, "d")), number(&f, 1)));
    f.spec = (leat_split_spec){
        .count = 2, .conditions = (const struct leat_program *const *)f.conditions, .first_match = first_match};
    harness_setup setup = {
        .ops = &leat_operator_split_ops, .spec = &f.spec, .inputs = {INPUT}, .outputs = {INPUT, INPUT, INPUT}};
    harness_run(&setup, scenario, NULL);
    leat_arena_fini(&f.arena);
    env_test_destroy(f.env);
}

static void first(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "both,9,1@1");
    harness_expect(h, "1:+I[both, 9, 1]@1");
    harness_rows(h, 0, "second,1,1@2");
    harness_expect(h, "2:+I[second, 1, 1]@2");
    harness_rows(h, 0, "none,1,10@3");
    harness_rows(h, 0, "null,NULL,NULL@4");
    harness_rows(h, 0, "bad,1,0@5"); // only where the second condition is asked
    harness_expect(h, "+I[none, 1, 10]@3 \n +I[null, NULL, NULL]@4");
    harness_rows(h, 0, "taken,6,0@6");
    harness_expect(h, "1:+I[taken, 6, 0]@6");
    assert_int_equal(harness_drops(h, LEAT_DROP_EXPRESSION), 1);
    harness_watermark(h, 7);
    harness_expect(h, "W 7");
}

static void all(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "both,9,1@1");
    harness_expect(h, "1:+I[both, 9, 1]@1 \n 2:+I[both, 9, 1]@1");
    harness_rows(h, 0, "bad,6,0@6");
    harness_rows(h, 0, "none,1,10@3");
    harness_expect(h, "+I[none, 1, 10]@3");
    assert_int_equal(harness_drops(h, LEAT_DROP_EXPRESSION), 1);
}

static void test_first_match(void **state)
{
    (void)state;
    run(true, first);
}

static void test_all(void **state)
{
    (void)state;
    run(false, all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_first_match), cmocka_unit_test(test_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
