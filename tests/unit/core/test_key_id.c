// Slots by numbers against slots by values: the same batches through two dictionaries, one of which never sees a number.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators/base/hash.h"
#include "operators/core/key.h"
#include "tests/support/harness.h"

enum { ROWS = 300, VALUES = 700 };

static uint64_t seed = 1;
static uint32_t roll(uint32_t limit)
{
    seed += 0x9e3779b97f4a7c15ULL;
    return (uint32_t)(leat_hash_mix(seed) % limit);
}

typedef struct pair {
    env_test *test;
    leat_arena arena;
    leat_batch_pool *pool;
    leat_budget budget;
    leat_keys *numbered, *plain;
    const leat_schema *schema;
} pair;

static pair begin(const char *schema)
{
    pair p = {.test = env_test_create()};
    leat_error error;
    leat_arena_init(&p.arena, &p.test->env, 0);
    p.schema = harness_schema(&p.arena, schema);
    assert_int_equal(leat_batch_pool_create(&p.test->env, 64 << 20, &p.pool, &error), LEAT_OK);
    return p;
}

static void open_keys(pair *p)
{
    leat_error error;
    leat_budget_init(&p->budget, &p->test->env, 0);
    leat_keys **both[] = {&p->numbered, &p->plain};
    for (int i = 0; i < 2; i++)
        assert_int_equal(leat_keys_create(&p->test->env, &p->budget, &p->schema->fields[0].type, 1, both[i], &error),
                         LEAT_OK);
}

static void end(pair *p)
{
    leat_keys_destroy(p->numbered);
    leat_keys_destroy(p->plain);
    assert_int_equal(p->budget.used, 0);
    leat_batch_pool_destroy(p->pool);
    leat_arena_fini(&p->arena);
    env_test_destroy(p->test);
}

static void set(leat_batch *batch, uint32_t row, uint32_t value)
{
    static char texts[VALUES][LEAT_KEY_BYTES_MAX + 64];
    leat_column *column = &batch->columns[0];
    leat_value v = {.is_null = value == 5};
    if (column->type.kind == LEAT_KIND_BIGINT) {
        v.i64 = (int64_t)value * 1000 - 3;
    } else {
        size_t size = value == 6 ? LEAT_KEY_BYTES_MAX + 32 : 3 + value % 40; // one is too long for a key
        memset(texts[value], 'x', size);
        snprintf(texts[value], sizeof texts[value], "%03u", value);
        texts[value][3] = 'x';
        v.text = leat_slice_of(texts[value], size);
    }
    leat_column_set(column, row, &v, NULL);
}

// A number for a value: by chance none, and another one in each dictionary.
static uint32_t number_of(uint32_t value, uint32_t dictionary) { return (value * 9 + dictionary) % VALUES; }

static leat_batch *make_batch(pair *p, uint32_t dictionary)
{
    static uint32_t ids[ROWS];
    leat_batch *batch = leat_batch_get_rows(p->pool, p->schema, ROWS);
    uint16_t *selection = leat_arena_array(&batch->arena, uint16_t, ROWS);
    uint32_t range = 1 + roll(VALUES);
    batch->count = ROWS;
    for (uint32_t i = 0; i < ROWS; i++) {
        uint32_t value = roll(range);
        set(batch, i, value);
        ids[i] = value % 11 ? number_of(value, dictionary) : LEAT_VALUE_ID_NONE;
        if (roll(4))
            selection[batch->selected++] = (uint16_t)i;
    }
    batch->selection = selection;
    batch->ids = (leat_value_ids){.ids = ids,
                                  .values = batch->columns[0].values,
                                  .nulls = batch->columns[0].nulls,
                                  .dictionary = dictionary + 1,
                                  .limit = VALUES};
    return batch;
}

static void resolve_both(pair *p, leat_batch *batch)
{
    uint32_t column = 0, by_number[ROWS], by_value[ROWS];
    leat_error error;
    assert_int_equal(leat_keys_resolve(p->numbered, batch, &column, by_number, &error), LEAT_OK);
    uint32_t refused = leat_keys_refused(p->numbered);
    batch->ids.ids = NULL;
    assert_int_equal(leat_keys_resolve(p->plain, batch, &column, by_value, &error), LEAT_OK);
    assert_int_equal(refused, leat_keys_refused(p->plain));
    for (uint32_t i = 0; i < batch->selected; i++)
        assert_int_equal(by_number[i], by_value[i]);
    for (uint32_t n = roll(20); n > 0; n--) { // slots go and come to other keys
        uint32_t slot = by_value[roll(batch->selected)];
        if (slot == LEAT_SLOT_NONE || !leat_keys_live(p->plain, slot))
            continue;
        leat_keys_release(p->numbered, slot);
        leat_keys_release(p->plain, slot);
    }
}

static void compare(const char *schema, uint32_t dictionaries)
{
    pair p = begin(schema);
    open_keys(&p);
    for (uint32_t round = 0; round < 400; round++) {
        leat_batch *batch = make_batch(&p, roll(dictionaries));
        if (batch->selected)
            resolve_both(&p, batch);
        leat_batch_unref(batch);
    }
    end(&p);
}

static void test_one_dictionary(void **state)
{
    (void)state;
    compare("k:BIGINT,v:INT", 1);
    compare("k:STRING,v:INT", 1);
}

static void test_dictionaries_change(void **state)
{
    (void)state;
    compare("k:BIGINT,v:INT", 3);
    compare("k:STRING,v:INT", 2);
}

// Numbers of a column are not those of another one, nor of a changed one.
static void test_other_columns(void **state)
{
    (void)state;
    pair p = begin("k:BIGINT,v:INT");
    open_keys(&p);
    uint32_t slots[ROWS], column = 0;
    leat_error error;
    for (uint32_t round = 0; round < 2; round++) {
        leat_batch *batch = make_batch(&p, 0);
        static uint32_t wrong[ROWS]; // all the same number
        batch->ids.ids = wrong;
        batch->ids.values = batch->columns[1].values;
        assert_int_equal(leat_keys_resolve(p.numbered, batch, &column, slots, &error), LEAT_OK);
        resolve_both(&p, batch);
        leat_batch_unref(batch);
    }
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_dictionary),
                                       cmocka_unit_test(test_dictionaries_change),
                                       cmocka_unit_test(test_other_columns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
