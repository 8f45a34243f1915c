// Rows as often as one of their columns says: none, one, more than a batch; NULL and less than nothing; kinds, causes, watermarks.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators/core/spec.h"
#include "tests/support/harness.h"

extern const leat_operator_ops leat_operator_repeat_ops;

static const leat_repeat_spec spec = {.count_column = 1};

static harness_setup setup_of(const char *columns)
{
    return (harness_setup){.ops = &leat_operator_repeat_ops,
                           .spec = &spec,
                           .inputs = {columns},
                           .outputs = {columns},
                           .output_changelog = LEAT_CHANGELOG_RETRACT};
}

#define COLUMNS "k:STRING,n:BIGINT,ts:TIMESTAMP*"

static void counts(harness *h, void *argument)
{
    (void)argument;
    harness_rows(
        h, 0, "a,0,@@10 | b,1,@@11 | c,3,@@12 | d,NULL,@@13 | e,-1,@@14 | NULL,2,@@15 | f,-9223372036854775808,@@16");
    harness_watermark(h, 20);
    harness_expect(h, "+I[b, 1, 11]@11 \n +I[c, 3, 12]@12 \n +I[c, 3, 12]@12 \n +I[c, 3, 12]@12 \n"
                      "+I[NULL, 2, 15]@15 \n +I[NULL, 2, 15]@15 \n W 20");
}

static void kinds(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,2,@@1 | -U a,2,@@2 | +U a,1,@@3 | -D a,1,@@4 | -D b,0,@@5");
    harness_expect(
        h, "+I[a, 2, 1]@1 \n +I[a, 2, 1]@1 \n -U[a, 2, 2]@2 \n -U[a, 2, 2]@2 \n +U[a, 1, 3]@3 \n -D[a, 1, 4]@4");
}

// A watermark between two rows stays between their copies, and one behind rows that come not at all is passed on.
static void watermarks(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,2,@@10");
    harness_watermark(h, 10);
    harness_rows(h, 0, "b,0,@@12");
    harness_watermark(h, 12);
    harness_rows(h, 0, "c,1,@@13");
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 2, 10]@10 \n +I[a, 2, 10]@10 \n W 12 \n +I[c, 1, 13]@13 \n W MAX");
}

static void without_event_time(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,2");
    harness_expect(h, "+I[a, 2] \n +I[a, 2]");
}

// Copies of one row beyond a batch: none is lost where it is cut, each has an id of its own.
static void many(harness *h, void *argument)
{
    (void)argument;
    enum { COPIES = 2 * LEAT_BATCH_ROWS + 3 };
    char row[32], *lines = calloc(COPIES, 32);
    snprintf(row, sizeof row, "a,%d,@@7", COPIES);
    for (int i = 0; i < COPIES; i++)
        sprintf(lines + strlen(lines), "%s+I[a, %d, 7]@7", i ? "\n" : "", COPIES);
    harness_rows(h, 0, row);
    harness_expect(h, lines);
    free(lines);
}

static void test_counts(void **state)
{
    (void)state;
    harness_setup setup = setup_of(COLUMNS);
    harness_run(&setup, counts, NULL);
    harness_run(&setup, kinds, NULL);
    harness_run(&setup, watermarks, NULL);
    harness_run(&setup, many, NULL);
    setup = setup_of("k:STRING,n:BIGINT");
    harness_run(&setup, without_event_time, NULL);
}

// ---- ids: distinct, and those of a row are the same wherever batches are cut

static uint64_t causes[16];
static uint32_t cause_count;

static void keep_causes(leat_operator_context *context, unsigned output, leat_batch *batch)
{
    (void)context, (void)output;
    for (uint32_t i = 0; i < batch->selected && cause_count < 16; i++)
        causes[cause_count++] = batch->cause[leat_batch_row(batch, i)];
}

static void test_ids(void **state)
{
    (void)state;
    harness_setup setup = setup_of(COLUMNS);
    harness *h = harness_create(&setup, HARNESS_SINGLE);
    leat_operator_context *context = harness_context(h);
    leat_arena arena;
    leat_arena_init(&arena, context->env, 0);
    leat_batch *batch = harness_batch(context->pool, &arena, context->inputs[0], "a,3,@@1 | b,2,@@1");
    batch->cause[0] = 17, batch->cause[1] = 18;
    void (*emit)(leat_operator_context *, unsigned, leat_batch *) = context->emit;
    context->emit = keep_causes;
    leat_error error;
    for (int round = 0; round < 2; round++)
        assert_int_equal(leat_operator_repeat_ops.on_batch(harness_operator(h), 0, batch, &error), LEAT_OK);
    context->emit = emit;
    assert_int_equal(cause_count, 10);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(causes[i], causes[5 + i]);
        for (uint32_t k = 0; k < i; k++)
            assert_int_not_equal(causes[i], causes[k]);
    }
    leat_batch_unref(batch);
    leat_arena_fini(&arena);
    harness_destroy(h);
}

static void test_count_is_a_bigint(void **state)
{
    (void)state;
    env_test *env = env_test_create();
    leat_arena arena;
    leat_error error;
    leat_arena_init(&arena, env_test_env(env), 0);
    const leat_schema *schema = harness_schema(&arena, "k:STRING,n:DOUBLE");
    leat_operator_context context = {.env = env_test_env(env),
                                     .spec = &spec,
                                     .inputs = &schema,
                                     .outputs = &schema,
                                     .input_count = 1,
                                     .output_count = 1};
    leat_operator *instance = leat_arena_calloc(&arena, leat_operator_repeat_ops.instance_size);
    instance->context = &context;
    assert_int_equal(leat_operator_repeat_ops.open(instance, &error), LEAT_E_INVALID);
    leat_arena_fini(&arena);
    env_test_destroy(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_count_is_a_bigint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
