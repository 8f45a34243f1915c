// Rows of joins that are found by what they are, in lists long enough to be indexed, against a plain array; also when the budget refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators/base/hash.h"
#include "operators/state/rows.h"
#include "tests/support/env_test.h"

enum { SLOTS = 3, IDENTITIES = 300, OPERATIONS = 20000, SNAPSHOT_EVERY = 700 };

typedef struct rig {
    env_test *test;
    leat_budget budget;
    leat_keys *keys;
    leat_rows rows;
    leat_kept_row *model[SLOTS][IDENTITIES];
    bool changed[SLOTS][IDENTITIES];
    uint32_t put;
} rig;

static rig *rig_self;

static void rig_open(rig *r, size_t limit)
{
    leat_error error;
    leat_type type = leat_type_of(LEAT_KIND_BIGINT);
    *r = (rig){.test = env_test_create()};
    rig_self = r;
    leat_budget_init(&r->budget, env_test_env(r->test), limit);
    assert_int_equal(leat_keys_create(env_test_env(r->test), &r->budget, &type, 1, &r->keys, &error), LEAT_OK);
    assert_true(leat_rows_init(&r->rows, &r->budget, env_test_env(r->test), r->keys, false, true));
    for (int64_t i = 0; i < SLOTS; i++) {
        uint32_t slot;
        uint8_t key[9] = {0, (uint8_t)(i + 1)};
        assert_int_equal(leat_keys_slot(r->keys, leat_slice_of((char *)key, sizeof key), &slot, &error), LEAT_OK);
        assert_int_equal(slot, i);
    }
}

static void rig_close(rig *r)
{
    leat_rows_fini(&r->rows);
    leat_keys_destroy(r->keys);
    assert_int_equal(r->budget.used, 0);
    env_test_destroy(r->test);
}

// Behind the identity a byte that does not belong to it. Identities are the same in every slot.
static leat_slice bytes_of(uint32_t *identity) { return leat_slice_of((char *)identity, sizeof *identity); }

static bool add(rig *r, uint32_t slot, uint32_t identity)
{
    struct {
        uint32_t identity;
        char rest;
    } bytes = {.identity = identity};
    leat_kept_row *row =
        leat_rows_add(&r->rows, slot, 0, leat_slice_of((char *)&bytes, sizeof identity + 1), sizeof identity);
    r->model[slot][identity] = row;
    r->changed[slot][identity] = row != NULL;
    return row != NULL;
}

static void operate(rig *r, uint64_t roll)
{
    uint32_t slot = (uint32_t)(roll >> 8) % SLOTS, identity = (uint32_t)(roll >> 20) % IDENTITIES;
    leat_kept_row *row = leat_rows_find(&r->rows, slot, bytes_of(&identity));
    assert_ptr_equal(row, r->model[slot][identity]);
    if (!row) {
        assert_true(add(r, slot, identity));
    } else if (roll % 3) {
        leat_rows_remove(&r->rows, slot, row);
        r->model[slot][identity] = NULL;
        r->changed[slot][identity] = false;
    } else {
        leat_rows_change(&r->rows, slot, row);
        r->changed[slot][identity] = true;
    }
}

static void put(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    (void)snapshot, (void)table, (void)group, (void)key, (void)value;
    rig_self->put++;
}

static void no_remove(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key)
{
    (void)snapshot, (void)table, (void)group, (void)key;
}

// Tells as many rows as have changed; of all of them when it is whole.
static void snapshot(rig *r, bool whole, bool keep_marks)
{
    leat_snapshot snapshot = {
        .any_whole = whole, .all_whole = whole, .keep_marks = keep_marks, .put = put, .remove = no_remove};
    uint32_t expected = 0;
    memset(snapshot.whole, whole, sizeof snapshot.whole);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        for (uint32_t i = 0; i < IDENTITIES; i++) {
            expected += whole ? r->model[slot][i] != NULL : r->changed[slot][i];
            r->changed[slot][i] &= keep_marks;
        }
    r->put = 0;
    leat_rows_snapshot(&r->rows, &snapshot, 0);
    assert_int_equal(r->put, expected);
}

static void test_against_array(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 0);
    for (uint64_t i = 0; i < OPERATIONS; i++) {
        operate(&r, leat_hash_mix(i + 1));
        if (i % SNAPSHOT_EVERY == 0)
            snapshot(&r, i % 5 == 0, i % 3 == 0);
    }
    assert_false(r.rows.index.lost);
    rig_close(&r);
}

// Without memory for the index rows are found all the same.
static void test_refusing_budget(void **state)
{
    (void)state;
    bool lost = false;
    for (size_t limit = 30000; limit < 90000; limit += 1500) {
        rig r;
        rig_open(&r, limit);
        for (uint32_t i = 0; i < SLOTS * IDENTITIES; i++)
            if (!add(&r, i % SLOTS, i / SLOTS))
                break;
        for (uint32_t i = 0; i < SLOTS * IDENTITIES; i++) {
            uint32_t identity = i / SLOTS;
            assert_ptr_equal(leat_rows_find(&r.rows, i % SLOTS, bytes_of(&identity)), r.model[i % SLOTS][identity]);
        }
        lost |= r.rows.index.lost;
        rig_close(&r);
    }
    assert_true(lost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_array), cmocka_unit_test(test_refusing_budget)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
