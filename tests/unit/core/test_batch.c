// The batch pool on one thread: budget, reuse without allocation, derived batches, columns.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/harness.h"

typedef struct fixture {
    env_test *test;
    leat_arena arena;
    leat_batch_pool *pool;
    const leat_schema *schema;
} fixture;

static fixture begin(size_t budget)
{
    fixture f = {.test = env_test_create()};
    leat_arena_init(&f.arena, &f.test->env, 0);
    leat_error error;
    assert_int_equal(leat_batch_pool_create(&f.test->env, budget, &f.pool, &error), LEAT_OK);
    f.schema = harness_schema(&f.arena, "k:STRING,a:BIGINT,b:DOUBLE,c:DECIMAL(10,2),d:BOOLEAN,e:ARRAY<INT>");
    return f;
}

static void end(fixture *f)
{
    assert_int_equal(leat_batch_pool_in_use(f->pool), 0);
    leat_batch_pool_destroy(f->pool);
    leat_arena_fini(&f->arena);
    env_test_destroy(f->test);
}

static void one_round(fixture *f, uint32_t rows)
{
    leat_batch *batch = leat_batch_get_rows(f->pool, f->schema, rows);
    leat_value text = {.text = leat_slice_text("some text that is not short")};
    for (uint32_t i = 0; i < rows; i++)
        leat_column_set(&batch->columns[0], i, &text, &batch->arena);
    batch->count = batch->selected = rows;
    leat_batch *filtered = leat_batch_derive(f->pool, batch);
    filtered->selection = leat_arena_alloc(&filtered->arena, sizeof(uint16_t) * rows);
    leat_column_allocate(filtered, &filtered->columns[1], f->schema->fields[1].type, rows, true);
    leat_batch *mark = leat_batch_get_mark(f->pool, LEAT_ELEMENT_BARRIER);
    leat_batch_unref(batch);
    leat_batch_unref(mark);
    leat_batch_unref(filtered);
}

static void steady_state_allocates_nothing(void **state)
{
    (void)state;
    fixture f = begin(64 << 20);
    for (int i = 0; i < 10; i++) {
        one_round(&f, LEAT_BATCH_ROWS);
        one_round(&f, 1);
    }
    uint64_t before = f.test->alloc_count;
    for (int i = 0; i < 1000; i++) {
        one_round(&f, LEAT_BATCH_ROWS);
        one_round(&f, 1);
    }
    assert_int_equal(f.test->alloc_count, before);
    end(&f);
}

static void budget_holds_back(void **state)
{
    (void)state;
    fixture f = begin(1 << 20);
    leat_batch *batches[64];
    int got = 0;
    while (got < 64 && (batches[got] = leat_batch_get_rows(f.pool, f.schema, LEAT_BATCH_ROWS)))
        got++;
    assert_in_range(got, 4, 30);
    assert_true(f.test->memory < (1 << 20) + 65536);
    leat_batch *mark = leat_batch_get_mark(f.pool, LEAT_ELEMENT_END); // never refused
    leat_batch *derived = leat_batch_derive(f.pool, batches[0]);
    leat_batch_unref(derived);
    leat_batch_unref(mark);
    leat_batch_unref(batches[--got]);
    leat_batch *again = leat_batch_get_rows(f.pool, f.schema, LEAT_BATCH_ROWS);
    assert_non_null(again);
    leat_batch_unref(again);
    while (got)
        leat_batch_unref(batches[--got]);
    end(&f);
}

static void fresh_batch_is_clean(void **state)
{
    (void)state;
    fixture f = begin(64 << 20);
    for (int round = 0; round < 3; round++) {
        leat_batch *batch = leat_batch_get_rows(f.pool, f.schema, 100);
        assert_int_equal(batch->kind, LEAT_ELEMENT_ROWS);
        assert_int_equal(batch->count, 0);
        assert_null(batch->row_kind);
        assert_null(batch->watermark);
        assert_null(batch->selection);
        assert_true(batch->watermark_after == LEAT_TIME_NONE);
        for (uint32_t c = 0; c < f.schema->count; c++) {
            assert_true((uintptr_t)batch->columns[c].values % 16 == 0);
            for (uint32_t r = 0; r < 100; r++)
                assert_false(leat_column_is_null(&batch->columns[c], r));
            memset(batch->columns[c].nulls, 1, 100);
        }
        batch->row_kind = leat_arena_calloc(&batch->arena, 100);
        batch->watermark_after = 5;
        batch->barrier = 7;
        leat_batch_unref(batch);
    }
    end(&f);
}

static void derived_holds_its_parent(void **state)
{
    (void)state;
    fixture f = begin(64 << 20);
    leat_batch *parent =
        harness_batch(f.pool, &f.arena, f.schema, "x,1,1.5,2.25,true,[1;2] | -D NULL,NULL,NULL,NULL,NULL,NULL@7");
    leat_batch *child = leat_batch_derive(f.pool, parent);
    leat_batch *grandchild = leat_batch_derive(f.pool, child);
    leat_column_allocate(child, &child->columns[1], f.schema->fields[1].type, 2, true);
    child->columns[1].i64[0] = 99;
    child->columns[1].i64[1] = 98;
    leat_batch_unref(parent);
    leat_batch_unref(child);
    assert_int_equal(leat_batch_pool_in_use(f.pool), 3);
    assert_string_equal(harness_batch_text(&f.arena, grandchild),
                        "+I[x, 1, 1.5, 2.25, true, [1;2]] | -D[NULL, NULL, NULL, NULL, NULL, NULL]@7");
    leat_batch_unref(grandchild);
    leat_batch_unref(NULL);
    end(&f);
}

static void values_survive_their_source(void **state)
{
    (void)state;
    fixture f = begin(64 << 20);
    leat_batch *from =
        harness_batch(f.pool, &f.arena, f.schema, "x,1,1.5,2.25,true,[1;NULL]@5 | NULL,NULL,NULL,NULL,NULL,NULL@6");
    leat_batch *to = leat_batch_get_rows(f.pool, f.schema, 2);
    for (uint32_t row = 0; row < 2; row++) {
        for (uint32_t c = 0; c < f.schema->count; c++) {
            leat_value value = leat_column_value(&from->columns[c], row);
            leat_column_set(&to->columns[c], row, &value, &to->arena);
        }
        to->event_ms[row] = from->event_ms[row];
    }
    to->count = to->selected = 2;
    const char *expected = harness_batch_text(&f.arena, from);
    leat_batch_unref(from);
    assert_string_equal(harness_batch_text(&f.arena, to), expected);
    leat_batch_unref(to);
    end(&f);
}

static void pool_without_memory(void **state)
{
    (void)state;
    env_test *test = env_test_create();
    leat_batch_pool *pool;
    leat_error error;
    test->fail_alloc_at = 1;
    assert_int_equal(leat_batch_pool_create(&test->env, 1 << 20, &pool, &error), LEAT_E_MEMORY);
    env_test_reset(test);
    assert_int_equal(leat_batch_pool_create(&test->env, 1 << 20, &pool, &error), LEAT_OK);
    test->fail_alloc_at = 2;
    assert_null(leat_batch_get(pool));
    env_test_reset(test);
    leat_batch *batch = leat_batch_get(pool);
    assert_non_null(batch);
    leat_batch_unref(batch);
    leat_batch_pool_destroy(pool);
    leat_batch_pool_destroy(NULL);
    env_test_destroy(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steady_state_allocates_nothing), cmocka_unit_test(budget_holds_back),
        cmocka_unit_test(fresh_batch_is_clean),           cmocka_unit_test(derived_holds_its_parent),
        cmocka_unit_test(values_survive_their_source),    cmocka_unit_test(pool_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
