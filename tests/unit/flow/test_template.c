// Topics and payloads of sinks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "firmware-agent/flow/template.h"
#include "tests/support/harness.h"

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_batch_pool *pool;
    const leat_schema *schema;
    leat_writer out;
    leat_error error;
} fixture;

static const leat_template_names names = {.rule = "hot", .output = NULL, .gateway = "gw/7", .sink = "cloud"};

static void open_fixture(fixture *f, const char *schema)
{
    f->env = env_test_create();
    leat_arena_init(&f->arena, &f->env->env, 1024);
    assert_int_equal(leat_batch_pool_create(&f->env->env, 1 << 20, &f->pool, &f->error), LEAT_OK);
    f->schema = harness_schema(&f->arena, schema);
    leat_writer_init(&f->out, &f->env->env, 1 << 16);
}

static void close_fixture(fixture *f)
{
    leat_writer_fini(&f->out);
    leat_batch_pool_destroy(f->pool);
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
}

static void expect(fixture *f, const char *text, bool topic, const char *row, const char *wanted)
{
    leat_template *parsed;
    leat_batch *batch = harness_batch(f->pool, &f->arena, f->schema, row);
    if (leat_template_parse(&f->arena, text, topic, &names, f->schema, &parsed, &f->error) != LEAT_OK)
        fail_msg("%s", f->error.message);
    leat_writer_reset(&f->out);
    leat_template_render(parsed, batch, 0, &f->out);
    leat_slice got = leat_writer_slice(&f->out);
    assert_int_equal(got.size, strlen(wanted));
    assert_memory_equal(got.data, wanted, got.size);
    leat_batch_unref(batch);
}

static void topics(void **state)
{
    fixture f;
    (void)state;
    open_fixture(&f, "line:STRING,n:BIGINT,x:DOUBLE,b:BOOLEAN");
    expect(&f, "alerts/{rule}/{line}", true, "L1,2,0.5,true", "alerts/hot/L1");
    expect(&f, "{line}{n}{x}{b}", true, "a,2,0.5,true", "a20.5true");
    expect(&f, "a/{line}", true, "'x/y+z#',0,0,true", "a/x_y_z_");
    expect(&f, "a/{line}/{n}", true, "NULL,NULL,NULL,NULL", "a/null/null");
    expect(&f, "{gateway}/{sink}/{output}.", true, "a,0,0,true", "gw/7/cloud/."); // of the file's owner: as written
    expect(&f, "plain", true, "a,0,0,true", "plain");
    expect(&f, "", true, "a,0,0,true", "");
    expect(&f, "open{", true, "a,0,0,true", "open{");
    expect(&f, "close}", true, "a,0,0,true", "close}");
    expect(&f, "{n}", true, "a,-9223372036854775808,0,true", "-9223372036854775808");
    close_fixture(&f);
}

static void payloads(void **state)
{
    fixture f;
    (void)state;
    open_fixture(&f, "line:STRING,at:TIMESTAMP,d:DECIMAL(10,2),rule:STRING");
    expect(&f, "{\"line\": \"{line}\", \"d\": {d}}", false, "L/1,0,1.50,r", "{\"line\": \"L/1\", \"d\": 1.50}");
    // Within a JSON string a text stays one.
    expect(&f, "{\"line\": \"{line}\"}", false, "'a\"b\\c\nd\x01/',0,0,r",
           "{\"line\": \"a\\\"b\\\\c\\u000ad\\u0001/\"}");
    expect(&f, " [\"<{line}>\", \"x\\\"{line}\", {d}]", false, "'\"',0,1.50,r", " [\"<\\\">\", \"x\\\"\\\"\", 1.50]");
    expect(&f, "[{line}, \"{line}\"]", false, "'\"',0,0,r", "[\", \"\\\"\"]"); // without quotes it is the owner's JSON
    expect(&f, "{line}: \"{line}\"", false, "'\"',0,0,r", "\": \"\"\"");       // no JSON
    expect(&f, "{line}", false, "'a+b',0,0,r", "a+b"); // only topics have characters to keep out
    expect(&f, "{rule}", false, "a,0,0,own", "own");   // a column goes before a name of ours
    close_fixture(&f);
}

static void unknown_names(void **state)
{
    fixture f;
    leat_template *parsed;
    (void)state;
    open_fixture(&f, "line:STRING,temperature:DOUBLE");
    assert_int_equal(leat_template_parse(&f.arena, "a/{temprature}", true, &names, f.schema, &parsed, &f.error),
                     LEAT_E_INVALID);
    assert_non_null(strstr(f.error.message, "{temprature}"));
    assert_non_null(strstr(f.error.message, "temperature'"));
    assert_int_equal(leat_template_parse(&f.arena, "{}", true, &names, f.schema, &parsed, &f.error), LEAT_E_INVALID);
    close_fixture(&f);
}

// What does not fit the writer's limit is told by its mark, not written past.
static void too_long(void **state)
{
    fixture f;
    leat_template *parsed;
    leat_writer small;
    (void)state;
    open_fixture(&f, "line:STRING");
    leat_writer_init(&small, &f.env->env, 4);
    leat_batch *batch = harness_batch(f.pool, &f.arena, f.schema, "abcdefgh");
    assert_int_equal(leat_template_parse(&f.arena, "{line}", true, &names, f.schema, &parsed, &f.error), LEAT_OK);
    leat_template_render(parsed, batch, 0, &small);
    assert_true(small.failed);
    leat_batch_unref(batch);
    leat_writer_fini(&small);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(topics), cmocka_unit_test(payloads),
                                       cmocka_unit_test(unknown_names), cmocka_unit_test(too_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
