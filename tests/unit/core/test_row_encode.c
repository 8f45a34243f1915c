// Rows as bytes: the same as value by value, back again, and damaged.
#include "operators/core/row_encode.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators/core/order_encode.h"
#include "tests/support/env_test.h"
#include "tests/support/harness.h"

#define COLUMNS "b:BOOLEAN,i:INT,d:DOUBLE,c:DECIMAL(20, 2),s:STRING,a:ARRAY<BIGINT>,t:TIMESTAMP_LTZ"
enum { COLUMN_COUNT = 7, ROWS = 3 };

typedef struct fixture {
    env_test *test;
    leat_arena arena;
    leat_batch_pool *pool;
    const leat_schema *schema;
    leat_batch *batch;
    leat_writer writer;
} fixture;

static void begin(fixture *f)
{
    leat_error error;
    f->test = env_test_create();
    leat_env *env = env_test_env(f->test);
    leat_arena_init(&f->arena, env, 4096);
    assert_int_equal(leat_batch_pool_create(env, 1 << 20, &f->pool, &error), LEAT_OK);
    f->schema = harness_schema(&f->arena, COLUMNS);
    f->batch = harness_batch(
        f->pool, &f->arena, f->schema,
        "true,-7,1.5,12.34,text,NULL,1000 | NULL,NULL,NULL,NULL,NULL,NULL,NULL | false,0,0,0,,[5;NULL],-1");
    f->batch->columns[2].f64[2] = -0.0;
    leat_writer_init(&f->writer, env, SIZE_MAX / 2);
}

static void end(fixture *f)
{
    leat_writer_fini(&f->writer);
    leat_batch_unref(f->batch);
    leat_batch_pool_destroy(f->pool);
    leat_arena_fini(&f->arena);
    env_test_destroy(f->test);
}

static leat_slice encoded(fixture *f, uint32_t row)
{
    leat_writer_reset(&f->writer);
    leat_row_encode(f->batch->columns, COLUMN_COUNT, row, &f->writer);
    assert_false(f->writer.failed);
    return leat_writer_slice(&f->writer);
}

static void test_as_single_values(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    f.batch->columns[2].f64[0] = NAN;
    for (uint32_t row = 0; row < ROWS; row++) {
        leat_writer single;
        leat_writer_init(&single, env_test_env(f.test), SIZE_MAX / 2);
        for (uint32_t i = 0; i < COLUMN_COUNT; i++) {
            leat_value value = leat_column_value(&f.batch->columns[i], row);
            leat_value_encode(f.schema->fields[i].type, &value, &single);
        }
        assert_true(leat_slice_equal(encoded(&f, row), leat_writer_slice(&single)));
        leat_writer_fini(&single);
    }
    end(&f);
}

static void test_back_again(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    for (uint32_t row = 0; row < ROWS; row++) {
        leat_batch *out = leat_batch_get_rows_always(f.pool, f.schema, 4);
        leat_slice bytes = encoded(&f, row);
        assert_true(leat_row_decode(bytes, out->columns, COLUMN_COUNT, 3, &out->arena));
        memset(f.writer.bytes, 0xee, f.writer.size); // texts were copied
        for (uint32_t i = 0; i < COLUMN_COUNT; i++) {
            leat_value before = leat_column_value(&f.batch->columns[i], row),
                       after = leat_column_value(&out->columns[i], 3);
            assert_true(leat_value_equal(f.schema->fields[i].type, &before, &after));
        }
        if (row == 2)
            assert_false(signbit(out->columns[2].f64[3]));
        leat_batch_unref(out);
    }
    end(&f);
}

static void test_damaged(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    leat_slice bytes = encoded(&f, 0);
    leat_batch *out = leat_batch_get_rows_always(f.pool, f.schema, 1);
    for (size_t size = 0; size < bytes.size; size++) {
        char *copy = malloc(size + 1); // the sanitizer sees a byte too much
        memcpy(copy, bytes.data, size);
        assert_false(leat_row_decode(leat_slice_of(copy, size), out->columns, COLUMN_COUNT, 0, &out->arena));
        free(copy);
    }
    char longer[256] = {0};
    memcpy(longer, bytes.data, bytes.size);
    assert_false(leat_row_decode(leat_slice_of(longer, bytes.size + 1), out->columns, COLUMN_COUNT, 0, &out->arena));
    leat_batch_unref(out);
    end(&f);
}

// Prefixes never fall along the order, and say of bytes what they say of columns.
static void test_prefixes(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    static const uint32_t ordered[] = {1, 2, 3, 6};
    for (uint32_t c = 0; c < 4; c++)
        for (int flags = 0; flags < 4; flags++) {
            leat_order order = {.column = ordered[c], .descending = flags & 1, .nulls_last = flags >> 1};
            uint64_t prefixes[ROWS];
            leat_order_prefixes(f.batch, &order, prefixes);
            leat_slice bytes[ROWS];
            for (uint32_t row = 0; row < ROWS; row++) {
                leat_writer_reset(&f.writer);
                leat_order_encode_row(f.batch, row, &order, 1, &f.writer);
                leat_slice slice = leat_writer_slice(&f.writer);
                assert_true(leat_order_prefix(slice, &order) == prefixes[row]);
                bytes[row] = leat_slice_of(leat_arena_copy(&f.arena, slice.data, slice.size), slice.size);
            }
            for (uint32_t a = 0; a < ROWS; a++)
                for (uint32_t b = 0; b < ROWS; b++)
                    assert_true(leat_slice_compare(bytes[a], bytes[b]) >= 0 || prefixes[a] <= prefixes[b]);
        }
    assert_false(leat_order_has_prefix(f.schema->fields[4].type));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_single_values),
        cmocka_unit_test(test_back_again),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
