// The emitter: what watermark every row carries, when batches are cut, and what is left out.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "operators/core/emitter.h"
#include "tests/support/harness.h"

typedef struct fixture {
    env_test *test;
    leat_arena arena;
    leat_batch_pool *pool;
    leat_operator_context context;
    const leat_schema *outputs[2];
    bool used[2];
    leat_batch *last; // kept from emit
    int batches;
    uint64_t rows;
    int64_t watermark; // as a reader follows it
} fixture;

static void keep(leat_operator_context *context, unsigned output, leat_batch *batch)
{
    fixture *f = context->runner;
    assert_int_equal(output, 0);
    leat_batch_unref(f->last);
    f->last = leat_batch_ref(batch);
    f->batches++;
    for (uint32_t i = 0; i < batch->count; i++) {
        assert_true(batch->columns[0].i64[i] == (int64_t)f->rows++);
        if (batch->watermark) {
            assert_true(batch->watermark[i] >= f->watermark);
            f->watermark = batch->watermark[i];
        }
        // Scenarios put the watermark that a row should carry into its cause.
        assert_true((int64_t)batch->cause[i] == f->watermark);
    }
    if (batch->watermark_after != LEAT_TIME_NONE) {
        assert_true(batch->watermark_after > f->watermark || batch->watermark);
        f->watermark = batch->watermark_after;
    } else {
        assert_null(batch->watermark);
    }
}

static void begin(fixture *f, size_t pool_budget)
{
    *f = (fixture){.test = env_test_create(), .used = {true, true}, .watermark = LEAT_TIME_NONE};
    leat_arena_init(&f->arena, &f->test->env, 0);
    leat_error error;
    assert_int_equal(leat_batch_pool_create(&f->test->env, pool_budget, &f->pool, &error), LEAT_OK);
    f->outputs[0] = f->outputs[1] = harness_schema(&f->arena, "n:BIGINT,t:STRING");
    f->context = (leat_operator_context){
        .env = &f->test->env,
        .outputs = f->outputs,
        .output_count = 2,
        .pool = f->pool,
        .output_used = f->used,
        .emit = keep,
        .runner = f,
    };
}

static void end(fixture *f)
{
    leat_batch_unref(f->last);
    assert_int_equal(leat_batch_pool_in_use(f->pool), 0);
    leat_batch_pool_destroy(f->pool);
    leat_arena_fini(&f->arena);
    env_test_destroy(f->test);
}

static void row(leat_emitter *emitter, int64_t n)
{
    uint32_t at = leat_emitter_row(emitter, n, LEAT_INSERT, (uint64_t)emitter->watermark);
    emitter->batch->columns[0].i64[at] = n;
    leat_value text = {.text = leat_slice_text("text")};
    leat_emitter_set(emitter, at, 1, &text);
}

static void watermark_column_only_when_it_moves(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 64 << 20);
    leat_emitter e;
    leat_emitter_init(&e, &f.context, 0);
    leat_emitter_flush(&e);
    assert_int_equal(f.batches, 0); // nothing to say

    row(&e, 0);
    row(&e, 1);
    leat_emitter_flush(&e);
    assert_null(f.last->watermark);
    assert_true(f.last->watermark_after == LEAT_TIME_NONE);

    row(&e, 2);
    leat_emitter_watermark(&e, 10); // after the last row: no column
    leat_emitter_flush(&e);
    assert_null(f.last->watermark);
    assert_true(f.last->watermark_after == 10);

    leat_emitter_watermark(&e, 20); // before the first row: the row must not carry 10
    row(&e, 3);
    leat_emitter_flush(&e);
    assert_true(f.last->watermark[0] == 20 && f.last->watermark_after == 20);

    row(&e, 4); // under what was last sent
    leat_emitter_watermark(&e, 30);
    leat_emitter_watermark(&e, 25); // lower: ignored
    row(&e, 5);
    leat_emitter_flush(&e);
    assert_true(f.last->watermark[0] == 20 && f.last->watermark[1] == 30 && f.last->watermark_after == 30);

    leat_emitter_watermark(&e, 30);
    leat_emitter_flush(&e);
    assert_int_equal(f.batches, 4);
    leat_emitter_watermark(&e, LEAT_TIME_MAX);
    leat_emitter_flush(&e);
    assert_int_equal(f.last->count, 0);
    assert_true(f.last->watermark_after == LEAT_TIME_MAX);
    leat_emitter_fini(&e);
    end(&f);
}

// Long output with a watermark now and then: cut at 1024 rows, each row under the right watermark (checked in keep).
static void full_batches_are_cut(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 64 << 20);
    leat_emitter e;
    leat_emitter_init(&e, &f.context, 0);
    for (int64_t n = 0; n < 10000; n++) {
        if (n % 700 == 699 || n == 1024 || n == 2049)
            leat_emitter_watermark(&e, n);
        row(&e, n);
    }
    assert_int_equal(f.batches, 9);
    assert_int_equal(f.last->count, LEAT_BATCH_ROWS);
    leat_emitter_flush(&e);
    assert_int_equal(f.rows, 10000);
    for (uint32_t i = 0; i < f.last->count; i++)
        assert_true(leat_slice_is(f.last->columns[1].text[i], "text"));
    leat_emitter_fini(&e);
    end(&f);
}

static void kinds_and_nulls(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 64 << 20);
    leat_emitter e;
    leat_emitter_init(&e, &f.context, 0);
    for (int64_t n = 0; n < 40; n++) { // past the first lengthening
        leat_row_kind kind = n < 3 ? LEAT_INSERT : (leat_row_kind)(n % 4);
        uint32_t at = leat_emitter_row(&e, n, kind, (uint64_t)LEAT_TIME_NONE);
        e.batch->columns[0].i64[at] = n;
        leat_emitter_set_null(&e, at, 1);
    }
    leat_emitter_flush(&e);
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(leat_batch_kind(f.last, i), i < 3 ? LEAT_INSERT : (leat_row_kind)(i % 4));
        assert_true(leat_column_is_null(&f.last->columns[1], i));
        assert_false(leat_column_is_null(&f.last->columns[0], i));
    }
    leat_emitter_fini(&e);
    end(&f);
}

static void unused_output_sends_nothing(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 64 << 20);
    f.used[1] = false;
    leat_emitter e;
    leat_emitter_init(&e, &f.context, 1);
    row(&e, 0);
    leat_emitter_watermark(&e, 5);
    leat_emitter_flush(&e);
    row(&e, 1); // not flushed: fini gives it back
    leat_emitter_fini(&e);
    leat_emitter_fini(&e);
    assert_int_equal(f.batches, 0);
    end(&f);
}

static void goes_on_beyond_the_pools_budget(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 1000);
    leat_emitter e;
    leat_emitter_init(&e, &f.context, 0);
    for (int64_t n = 0; n < 3000; n++)
        row(&e, n);
    leat_emitter_flush(&e);
    assert_int_equal(f.rows, 3000);
    leat_emitter_fini(&e);
    end(&f);
}

static void steady_state_allocates_nothing(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 64 << 20);
    leat_emitter e;
    leat_emitter_init(&e, &f.context, 0);
    uint64_t before = 0;
    int64_t n = 0;
    for (int call = 0; call < 400; call++) {
        if (call == 200)
            before = f.test->alloc_count;
        for (int i = 0; i < 1 + call % 50 * 37; i++)
            row(&e, n++);
        leat_emitter_watermark(&e, call);
        leat_emitter_flush(&e);
    }
    assert_int_equal(f.test->alloc_count, before);
    leat_emitter_fini(&e);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watermark_column_only_when_it_moves),
        cmocka_unit_test(full_batches_are_cut),
        cmocka_unit_test(kinds_and_nulls),
        cmocka_unit_test(unused_output_sends_nothing),
        cmocka_unit_test(goes_on_beyond_the_pools_budget),
        cmocka_unit_test(steady_state_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
