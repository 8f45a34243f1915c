// The key dictionary against a simple reference, over a million random keys of each shape.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "operators/base/hash.h"
#include "operators/core/key.h"
#include "tests/support/harness.h"

enum { ROWS = LEAT_BATCH_ROWS };

typedef struct fixture {
    env_test *test;
    leat_arena arena;
    leat_batch_pool *pool;
    leat_budget *budget;
    leat_keys *keys;
    const leat_schema *schema;
    uint32_t columns[4];
    uint64_t seed;
} fixture;

// Key columns are all columns of the schema.
static fixture begin(const char *schema, size_t budget)
{
    fixture f = {.test = env_test_create(), .columns = {0, 1, 2, 3}, .seed = 42};
    leat_arena_init(&f.arena, &f.test->env, 0);
    f.schema = harness_schema(&f.arena, schema);
    leat_error error;
    assert_int_equal(leat_batch_pool_create(&f.test->env, 64 << 20, &f.pool, &error), LEAT_OK);
    leat_type types[4];
    for (uint32_t i = 0; i < f.schema->count; i++)
        types[i] = f.schema->fields[i].type;
    f.budget = leat_arena_new(&f.arena, leat_budget);
    leat_budget_init(f.budget, &f.test->env, budget);
    assert_int_equal(leat_keys_create(&f.test->env, f.budget, types, f.schema->count, &f.keys, &error), LEAT_OK);
    return f;
}

static void end(fixture *f)
{
    leat_keys_destroy(f->keys);
    assert_int_equal(f->budget->used, 0);
    leat_batch_pool_destroy(f->pool);
    leat_arena_fini(&f->arena);
    env_test_destroy(f->test);
}

static uint64_t random_u64(fixture *f)
{
    f->seed += 0x9e3779b97f4a7c15ULL;
    return leat_hash_mix(f->seed);
}

// The value that identity `id` has in a column; every 97th is NULL in the first one.
static void set_identity(leat_batch *batch, uint32_t row, uint32_t column, uint64_t id)
{
    leat_value value = {.is_null = column == 0 && id == 97};
    char text[128];
    int size = snprintf(text, sizeof text, "%llu-%.*s", (unsigned long long)id, (int)(id % 60),
                        "a key that is now and then too long to lie inline in a record");
    uint64_t mixed = leat_hash_mix(id) ^ (id % 3 ? 0 : ~0ULL);
    if (!value.is_null)
        switch (leat_type_physical(batch->columns[column].type)) {
        case LEAT_PHYSICAL_BOOL:
            value.boolean = id & 1;
            break;
        case LEAT_PHYSICAL_I64:
            value.i64 = id % 2 ? (int64_t)mixed : (int64_t)id;
            break;
        case LEAT_PHYSICAL_F64:
            value.f64 = (double)id;
            break;
        case LEAT_PHYSICAL_I128:
            value.i128 = (leat_i128)mixed * 7;
            break;
        case LEAT_PHYSICAL_TEXT:
            value.text = leat_slice_of(text, (size_t)size);
            break;
        default:
            fail();
        }
    leat_column_set(&batch->columns[column], row, &value, &batch->arena);
}

static leat_slice reference_bytes(const fixture *f, const leat_batch *batch, uint32_t row, leat_writer *writer)
{
    leat_writer_reset(writer);
    for (uint32_t c = 0; c < f->schema->count; c++) {
        leat_value value = leat_column_value(&batch->columns[c], row);
        leat_value_encode(batch->columns[c].type, &value, writer);
    }
    return leat_writer_slice(writer);
}

static void check_slot(const fixture *f, const leat_batch *batch, uint32_t row, uint32_t slot, leat_writer *writer)
{
    leat_slice bytes = reference_bytes(f, batch, row, writer);
    assert_true(leat_slice_equal(bytes, leat_keys_bytes(f->keys, slot)));
    uint64_t hash = leat_hash(bytes.data, bytes.size);
    assert_true(leat_keys_hash(f->keys, slot) == hash);
    assert_int_equal(leat_keys_group(f->keys, slot), hash % LEAT_KEY_GROUPS);
    assert_int_equal(leat_keys_find(f->keys, bytes), slot);
    leat_value values[4];
    leat_keys_values(f->keys, slot, values);
    for (uint32_t c = 0; c < f->schema->count; c++) {
        leat_value value = leat_column_value(&batch->columns[c], row);
        assert_true(leat_value_equal(batch->columns[c].type, &value, &values[c]));
    }
}

// The reference is an array identity -> slot; slots are dealt in the order of first appearance.
static void resolve_million(const char *schema, uint32_t identities, uint32_t rows)
{
    fixture f = begin(schema, 0);
    uint32_t *slot_of = malloc(identities * sizeof *slot_of);
    memset(slot_of, 0xff, identities * sizeof *slot_of);
    leat_writer writer;
    leat_writer_init(&writer, &f.test->env, 1 << 20);
    uint32_t known = 0, slots[ROWS], ids[ROWS];
    uint64_t hashes[ROWS];
    leat_error error;
    for (uint32_t done = 0; done < rows; done += ROWS) {
        leat_batch *batch = leat_batch_get_rows(f.pool, f.schema, ROWS);
        uint16_t *selection = done % 3 ? NULL : leat_arena_alloc(&batch->arena, ROWS * sizeof *selection);
        batch->count = ROWS;
        batch->selected = 0;
        for (uint32_t row = 0; row < ROWS; row++) {
            ids[row] = (uint32_t)(random_u64(&f) % identities);
            for (uint32_t c = 0; c < f.schema->count; c++)
                set_identity(batch, row, c, ids[row]);
            if (!selection || random_u64(&f) % 3)
                selection ? (void)(selection[batch->selected++] = (uint16_t)row) : (void)batch->selected++;
        }
        batch->selection = selection;
        assert_int_equal(leat_keys_resolve(f.keys, batch, f.columns, slots, &error), LEAT_OK);
        leat_keys_hash_rows(batch, f.columns, f.schema->count, hashes);
        for (uint32_t i = 0; i < batch->selected; i++) {
            uint32_t row = leat_batch_row(batch, i), id = ids[row];
            if (slot_of[id] == UINT32_MAX)
                slot_of[id] = known++;
            if (slots[i] != slot_of[id])
                fail_msg("identity %u: slot %u instead of %u", id, slots[i], slot_of[id]);
            assert_true(leat_keys_hash(f.keys, slots[i]) == hashes[i]);
            if (i % 64 == 0)
                check_slot(&f, batch, row, slots[i], &writer);
        }
        leat_batch_unref(batch);
    }
    assert_int_equal(leat_keys_count(f.keys), known);
    assert_true(leat_keys_capacity(f.keys) >= known);
    assert_true(leat_keys_memory(f.keys) == f.budget->used);
    leat_writer_fini(&writer);
    free(slot_of);
    end(&f);
}

static void integer_keys(void **state)
{
    (void)state;
    resolve_million("a:BIGINT", 700000, 1 << 20);
    resolve_million("a:TIMESTAMP_LTZ", 100, 1 << 15);
}

static void string_keys(void **state)
{
    (void)state;
    resolve_million("a:STRING", 700000, 1 << 20);
    resolve_million("a:BYTES", 100, 1 << 15);
}

static void composite_keys(void **state)
{
    (void)state;
    resolve_million("a:STRING,b:BIGINT", 500000, 1 << 20);
    resolve_million("a:DOUBLE,b:DECIMAL(38,0),c:BOOLEAN,d:STRING", 5000, 1 << 17);
    resolve_million("a:DOUBLE", 5000, 1 << 16);
}

static void resolve_text(fixture *f, const char *rows, uint32_t *out_slots)
{
    leat_batch *batch = harness_batch(f->pool, &f->arena, f->schema, rows);
    leat_error error;
    assert_int_equal(leat_keys_resolve(f->keys, batch, f->columns, out_slots, &error), LEAT_OK);
    leat_batch_unref(batch);
}

static void nulls_are_a_key(void **state)
{
    (void)state;
    static const char *const schemas[] = {"a:INT", "a:STRING", "a:DOUBLE"};
    for (int i = 0; i < 3; i++) {
        fixture f = begin(schemas[i], 0);
        uint32_t slots[8];
        resolve_text(&f, "NULL | 0 | NULL | 0", slots);
        assert_int_equal(slots[0], slots[2]);
        assert_int_equal(slots[1], slots[3]);
        assert_int_not_equal(slots[0], slots[1]);
        assert_int_equal(leat_keys_find(f.keys, leat_slice_of("\1", 1)), slots[0]);
        leat_keys_release(f.keys, slots[0]);
        assert_int_equal(leat_keys_find(f.keys, leat_slice_of("\1", 1)), LEAT_SLOT_NONE);
        resolve_text(&f, "7 | NULL", slots);
        assert_int_equal(slots[0], 0); // the slot that NULL had
        assert_int_equal(slots[1], 2);
        end(&f);
    }
}

static void zeros_and_nans_are_one(void **state)
{
    (void)state;
    fixture f = begin("a:DOUBLE", 0);
    leat_batch *batch = leat_batch_get_rows(f.pool, f.schema, 4);
    batch->columns[0].f64[0] = 0.0;
    batch->columns[0].f64[1] = -0.0;
    batch->columns[0].f64[2] = NAN;
    batch->columns[0].f64[3] = -NAN;
    batch->count = batch->selected = 4;
    uint32_t slots[4];
    leat_error error;
    assert_int_equal(leat_keys_resolve(f.keys, batch, f.columns, slots, &error), LEAT_OK);
    leat_batch_unref(batch);
    assert_int_equal(slots[0], slots[1]);
    assert_int_equal(slots[2], slots[3]);
    assert_int_equal(leat_keys_count(f.keys), 2);
    end(&f);
}

static void nested_and_empty_keys(void **state)
{
    (void)state;
    fixture f = begin("a:ARRAY<STRING>,b:INT", 0);
    uint32_t slots[4];
    resolve_text(&f, "[x;y],1 | [x],1 | [x;y],1 | NULL,1", slots);
    assert_int_equal(slots[0], slots[2]);
    assert_int_equal(leat_keys_count(f.keys), 3);
    leat_value values[2];
    leat_keys_values(f.keys, slots[0], values);
    assert_int_equal(values[0].nested.count, 2);
    assert_true(leat_slice_is(values[0].nested.items[1].text, "y"));
    end(&f);

    fixture none = begin("", 0); // GROUP BY nothing: one key
    leat_batch *batch = leat_batch_get_rows(none.pool, none.schema, 3);
    batch->count = batch->selected = 3;
    leat_error error;
    assert_int_equal(leat_keys_resolve(none.keys, batch, none.columns, slots, &error), LEAT_OK);
    assert_int_equal(slots[0] + slots[1] + slots[2], 0);
    assert_int_equal(leat_keys_find(none.keys, leat_slice_of(NULL, 0)), 0);
    leat_batch_unref(batch);
    end(&none);
}

// Random inserts and releases; the reference knows the smallest free slot by looking.
static void churn(const char *schema)
{
    enum { IDENTITIES = 3000 };
    fixture f = begin(schema, 0);
    uint32_t slot_of[IDENTITIES];
    bool used[IDENTITIES] = {false};
    memset(slot_of, 0xff, sizeof slot_of);
    leat_error error;
    uint32_t count = 0;
    for (int step = 0; step < 100000; step++) {
        uint32_t id = (uint32_t)(random_u64(&f) % IDENTITIES);
        if (step / 20000 % 2 && slot_of[id] != UINT32_MAX) { // every other phase shrinks
            leat_keys_release(f.keys, slot_of[id]);
            used[slot_of[id]] = false;
            assert_false(leat_keys_live(f.keys, slot_of[id]));
            slot_of[id] = UINT32_MAX;
            count--;
            continue;
        }
        leat_batch *batch = leat_batch_get_rows(f.pool, f.schema, 1);
        for (uint32_t c = 0; c < f.schema->count; c++)
            set_identity(batch, 0, c, id);
        batch->count = batch->selected = 1;
        uint32_t slot, expected = slot_of[id];
        assert_int_equal(leat_keys_resolve(f.keys, batch, f.columns, &slot, &error), LEAT_OK);
        leat_batch_unref(batch);
        if (expected == UINT32_MAX) {
            for (expected = 0; used[expected];)
                expected++;
            used[expected] = true;
            count++;
        }
        assert_int_equal(slot, expected);
        slot_of[id] = slot;
        assert_int_equal(leat_keys_count(f.keys), count);
    }
    for (uint32_t id = 0; id < IDENTITIES; id++)
        if (slot_of[id] != UINT32_MAX)
            leat_keys_release(f.keys, slot_of[id]);
    assert_int_equal(leat_keys_count(f.keys), 0);
    end(&f);
}

static void release_and_reuse(void **state)
{
    (void)state;
    churn("a:BIGINT");
    churn("a:STRING");
    churn("a:STRING,b:INT");
}

// Keys that come and go must not grow the dictionary.
static void released_memory_is_reused(void **state)
{
    (void)state;
    fixture f = begin("a:STRING", 0);
    size_t settled = 0;
    leat_error error;
    for (uint32_t round = 0; round < 200; round++) {
        leat_batch *batch = leat_batch_get_rows(f.pool, f.schema, ROWS);
        uint32_t slots[ROWS];
        for (uint32_t row = 0; row < ROWS; row++)
            set_identity(batch, row, 0, round * ROWS + row);
        batch->count = batch->selected = ROWS;
        assert_int_equal(leat_keys_resolve(f.keys, batch, f.columns, slots, &error), LEAT_OK);
        leat_batch_unref(batch);
        for (uint32_t row = 0; row < ROWS; row++)
            leat_keys_release(f.keys, slots[row]);
        if (round == 20)
            settled = leat_keys_memory(f.keys);
    }
    assert_true(leat_keys_memory(f.keys) < settled + settled / 4);
    end(&f);
}

static void refuse_by_budget(const char *schema)
{
    fixture f = begin(schema, 100000);
    leat_error error;
    leat_code code = LEAT_OK;
    uint32_t slots[ROWS], last = 0;
    for (uint32_t round = 0; code == LEAT_OK && round < 100; round++) {
        last = leat_keys_count(f.keys);
        leat_batch *batch = leat_batch_get_rows(f.pool, f.schema, ROWS);
        for (uint32_t row = 0; row < ROWS; row++)
            for (uint32_t c = 0; c < f.schema->count; c++)
                set_identity(batch, row, c, round * ROWS + row);
        batch->count = batch->selected = ROWS;
        code = leat_keys_resolve(f.keys, batch, f.columns, slots, &error);
        leat_batch_unref(batch);
    }
    assert_int_equal(code, LEAT_E_LIMIT);
    assert_non_null(strstr(error.message, "100000 bytes"));
    assert_true(f.budget->used <= 100000);
    assert_true(leat_keys_count(f.keys) >= last && leat_keys_count(f.keys) > 200);
    // What is there stays usable.
    for (uint32_t slot = 0; slot < last; slot++)
        assert_int_equal(leat_keys_find(f.keys, leat_keys_bytes(f.keys, slot)), slot);
    leat_keys_release(f.keys, 0);
    end(&f);
}

static void budget_is_respected(void **state)
{
    (void)state;
    refuse_by_budget("a:BIGINT");
    refuse_by_budget("a:STRING");
    refuse_by_budget("a:STRING,b:BIGINT");
}

static void no_memory_anywhere(void **state)
{
    (void)state;
    fixture f = begin("a:STRING,b:BIGINT", 0);
    leat_batch *batch = leat_batch_get_rows(f.pool, f.schema, ROWS);
    for (uint32_t row = 0; row < ROWS; row++)
        for (uint32_t c = 0; c < 2; c++)
            set_identity(batch, row, c, row);
    batch->count = batch->selected = ROWS;
    leat_type types[2] = {f.schema->fields[0].type, f.schema->fields[1].type};
    bool refused = true;
    for (uint64_t n = 1; refused; n++) {
        leat_keys *keys = NULL;
        leat_error error;
        uint32_t slots[ROWS];
        env_test_reset(f.test);
        f.test->fail_alloc_at = n;
        leat_code code = leat_keys_create(&f.test->env, f.budget, types, 2, &keys, &error);
        if (code == LEAT_OK)
            code = leat_keys_resolve(keys, batch, f.columns, slots, &error);
        refused = code != LEAT_OK;
        if (refused)
            assert_int_equal(code, LEAT_E_MEMORY);
        env_test_reset(f.test);
        if (refused && keys) // the same call again goes through
            assert_int_equal(leat_keys_resolve(keys, batch, f.columns, slots, &error), LEAT_OK);
        leat_keys_destroy(keys);
    }
    leat_batch_unref(batch);
    end(&f);
}

static void limits_of_a_key(void **state)
{
    (void)state;
    fixture f = begin("a:STRING", 0);
    leat_batch *batch = leat_batch_get_rows(f.pool, f.schema, 1);
    char *text = leat_arena_calloc(&batch->arena, LEAT_KEY_BYTES_MAX + 1);
    batch->count = batch->selected = 1;
    batch->columns[0].text[0] = leat_slice_of(text, LEAT_KEY_BYTES_MAX - 3); // null byte and two of size
    uint32_t slot, stored;
    leat_error error;
    assert_int_equal(leat_keys_resolve(f.keys, batch, f.columns, &slot, &error), LEAT_OK);
    assert_int_equal(leat_keys_bytes(f.keys, slot).size, LEAT_KEY_BYTES_MAX);
    assert_int_equal(leat_keys_refused(f.keys), 0);
    batch->columns[0].text[0].size++;
    assert_int_equal(leat_keys_resolve(f.keys, batch, f.columns, &slot, &error), LEAT_OK);
    assert_int_equal(slot, LEAT_SLOT_NONE);
    assert_int_equal(leat_keys_refused(f.keys), 1);
    assert_int_equal(leat_keys_count(f.keys), 1);
    assert_int_equal(leat_keys_slot(f.keys, leat_slice_of(text, LEAT_KEY_BYTES_MAX + 1), &stored, &error),
                     LEAT_E_LIMIT);
    leat_batch_unref(batch);
    end(&f);
}

// Rows with keys that are too long among others, of one column and of two.
static void too_long_among_others(void **state)
{
    (void)state;
    for (int columns = 1; columns <= 2; columns++) {
        fixture f = begin(columns == 1 ? "a:STRING" : "a:STRING,b:STRING", 0);
        leat_batch *batch = leat_batch_get_rows(f.pool, f.schema, ROWS);
        char *text = leat_arena_calloc(&batch->arena, 3 * LEAT_KEY_BYTES_MAX);
        uint32_t slots[ROWS], refused = 0;
        for (uint32_t row = 0; row < ROWS; row++)
            for (int c = 0; c < columns; c++)
                batch->columns[c].text[row] = leat_slice_of(text, row % 3 ? row % 40 : LEAT_KEY_BYTES_MAX + row);
        batch->count = batch->selected = ROWS;
        leat_error error;
        for (int again = 0; again < 2; again++) {
            refused = 0;
            assert_int_equal(leat_keys_resolve(f.keys, batch, f.columns, slots, &error), LEAT_OK);
            for (uint32_t row = 0; row < ROWS; row++) {
                assert_int_equal(slots[row] == LEAT_SLOT_NONE, row % 3 == 0);
                refused += row % 3 == 0;
                if (row % 3)
                    assert_int_equal(leat_keys_bytes(f.keys, slots[row]).size, (size_t)columns * (2 + row % 40));
            }
            assert_int_equal(leat_keys_refused(f.keys), refused);
            assert_int_equal(leat_keys_count(f.keys), 40);
        }
        leat_batch_unref(batch);
        end(&f);
    }
}

// Keys at equal distances, and keys that differ in few bits, must not crowd together.
static void regular_integers(void **state)
{
    (void)state;
    static const uint64_t steps[] = {1,          2,          1000,       1597,       102334155,
                                     1ULL << 16, 1ULL << 32, 1ULL << 40, 1ULL << 48, 86400000};
    for (unsigned s = 0; s < sizeof steps / sizeof *steps; s++) {
        fixture f = begin("a:BIGINT", 0);
        uint32_t slots[ROWS];
        leat_error error;
        leat_batch *batch = leat_batch_get_rows(f.pool, f.schema, ROWS);
        batch->count = batch->selected = ROWS;
        for (uint32_t i = 0; i < 60 * ROWS; i++) {
            batch->columns[0].i64[i % ROWS] = (int64_t)(i * steps[s]);
            if (i % ROWS < ROWS - 1)
                continue;
            assert_int_equal(leat_keys_resolve(f.keys, batch, f.columns, slots, &error), LEAT_OK);
            for (uint32_t row = 0; row < ROWS; row++)
                assert_int_equal(slots[row], i - (ROWS - 1) + row);
        }
        leat_batch_unref(batch);
        end(&f);
    }
}

static void stored_keys(void **state)
{
    (void)state;
    static const char *const schemas[] = {"a:BIGINT", "a:STRING", "a:STRING,b:BOOLEAN"};
    static const leat_slice good[] = {{"\0\7\0\0\0\0\0\0\0", 9}, {"\0\3abc", 5}, {"\0\1x\0\1", 5}};
    for (int i = 0; i < 3; i++) {
        fixture f = begin(schemas[i], 0);
        uint32_t slot = 77, again = 78;
        leat_error error;
        assert_int_equal(leat_keys_slot(f.keys, good[i], &slot, &error), LEAT_OK);
        assert_int_equal(leat_keys_slot(f.keys, good[i], &again, &error), LEAT_OK);
        assert_int_equal(slot, again);
        assert_true(leat_slice_equal(leat_keys_bytes(f.keys, slot), good[i]));
        for (size_t cut = 0; cut < good[i].size; cut++)
            assert_int_equal(leat_keys_slot(f.keys, leat_slice_of(good[i].data, cut), &slot, &error), LEAT_E_CORRUPT);
        assert_int_equal(leat_keys_slot(f.keys, leat_slice_of("\2", 1), &slot, &error), LEAT_E_CORRUPT);
        assert_int_equal(leat_keys_count(f.keys), 1);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integer_keys),           cmocka_unit_test(string_keys),
        cmocka_unit_test(composite_keys),         cmocka_unit_test(nulls_are_a_key),
        cmocka_unit_test(zeros_and_nans_are_one), cmocka_unit_test(nested_and_empty_keys),
        cmocka_unit_test(release_and_reuse),      cmocka_unit_test(released_memory_is_reused),
        cmocka_unit_test(budget_is_respected),    cmocka_unit_test(no_memory_anywhere),
        cmocka_unit_test(limits_of_a_key),        cmocka_unit_test(too_long_among_others),
        cmocka_unit_test(regular_integers),       cmocka_unit_test(stored_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
