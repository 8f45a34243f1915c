// Registry, filter, project and union.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/operators/aggregates.h"

#define INPUT "k:STRING,v:BIGINT,d:BIGINT"

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_expr_scope scope;
    const leat_schema *input;
} fixture;

static void fixture_begin(fixture *f)
{
    f->env = env_test_create();
    leat_arena_init(&f->arena, env_test_env(f->env), 4096);
    f->scope = (leat_expr_scope){.arena = &f->arena};
    f->input = harness_schema(&f->arena, INPUT);
}

static void fixture_end(fixture *f)
{
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
}

static leat_expr *column(fixture *f, const char *name)
{
    return aggregates_column(&f->scope, f->input, name, strlen(name));
}

static leat_expr *number(fixture *f, int64_t i64)
{
    return leat_expr_literal(&f->scope, leat_type_of(LEAT_KIND_BIGINT), (leat_value){.i64 = i64});
}

static leat_expr *call(fixture *f, const char *name, leat_expr *a, leat_expr *b)
{
    leat_expr *arguments[] = {a, b}, *made;
    leat_error error;
    if (leat_expr_call(&f->scope, leat_slice_text(name), arguments, 2, &made, &error) != LEAT_OK)
        fail_msg("%s: %s", name, error.message);
    return made;
}

static leat_program *compile(fixture *f, leat_expr *expr)
{
    leat_program *program;
    leat_error error;
    if (leat_program_compile(&f->arena, expr, NULL, &program, &error) != LEAT_OK)
        fail_msg("%s", error.message);
    return program;
}

static void test_registry(void **state)
{
    (void)state;
    static const char *const names[] = {"filter",         "project",     "union",          "window_time",
                                        "window_session", "window_rows", "group_aggregate"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_string_equal(leat_operator_find(names[i])->name, names[i]);
    assert_null(leat_operator_find("sort"));
}

static void filtered(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,1@1 | b,10,0@2 | c,7,2@3"); // 10 / 0 is a bad row
    harness_watermark(h, 5);
    harness_rows(h, 0, "d,NULL,1@6 | e,1,9@7"); // none passes, the watermark does
    harness_watermark(h, 9);
    harness_expect(h, "+I[a, 1, 1]@1 \n +I[c, 7, 2]@3 \n W 9");
    assert_int_equal(harness_drops(h, LEAT_DROP_EXPRESSION), 1);
}

static void test_filter(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f);
    leat_filter_spec spec = {
        compile(&f, call(&f, ">", call(&f, "/", column(&f, "v"), column(&f, "d")), number(&f, 0)))};
    harness_setup setup = {.ops = leat_operator_find("filter"), .spec = &spec, .inputs = {INPUT}, .outputs = {INPUT}};
    harness_run(&setup, filtered, &f);
    fixture_end(&f);
}

static void projected(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,7,2@1 | b,10,0@2 | c,NULL,3@3");
    harness_watermark(h, 5);
    harness_expect(h, "+I[3, a, 8]@1 \n +I[NULL, c, NULL]@3 \n W 5");
    assert_int_equal(harness_drops(h, LEAT_DROP_EXPRESSION), 1);
}

static void test_project(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f);
    const leat_program *programs[] = {compile(&f, call(&f, "/", column(&f, "v"), column(&f, "d"))),
                                      compile(&f, column(&f, "k")),
                                      compile(&f, call(&f, "+", column(&f, "v"), number(&f, 1)))};
    leat_project_spec spec = {3, programs};
    harness_setup setup = {.ops = leat_operator_find("project"),
                           .spec = &spec,
                           .inputs = {INPUT},
                           .outputs = {"q:BIGINT,k:STRING,w:BIGINT"}};
    harness_run(&setup, projected, &f);
    fixture_end(&f);
}

static void united(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1@1");
    harness_rows(h, 1, "-D b,2@2");
    harness_watermark(h, 1);
    harness_rows(h, 0, "c,3@3");
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 1]@1 \n -D[b, 2]@2 \n W 1 \n +I[c, 3]@3 \n W MAX");
}

static void test_union(void **state)
{
    (void)state;
    leat_union_spec spec = {2};
    harness_setup setup = {.ops = leat_operator_find("union"),
                           .spec = &spec,
                           .inputs = {"k:STRING,v:INT", "name:STRING,w:INT"},
                           .outputs = {"k:STRING,v:INT"},
                           .output_changelog = LEAT_CHANGELOG_RETRACT};
    harness_run(&setup, united, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_registry), cmocka_unit_test(test_filter),
                                       cmocka_unit_test(test_project), cmocka_unit_test(test_union)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
