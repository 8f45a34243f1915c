// Timers against a list that is searched, 100,000 random operations with snapshots and restores between them.
#include "operators/state/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators/base/hash.h"
#include "tests/support/env_test.h"

enum { KEYS = 40, MODEL_MAX = 8192, OPERATIONS = 100000, IMAGE_MAX = 256 };

typedef struct model_timer {
    uint32_t key;
    int64_t time;
    char name[24]; // empty: unnamed
    uint64_t setter;
} model_timer;

typedef struct stored {
    char key[16];
    size_t key_size;
    char *value;
    size_t value_size;
} stored;

typedef struct rig {
    env_test *test;
    leat_budget budget;
    leat_keys *keys;
    leat_timers timers;
    leat_writer writer;
    model_timer model[MODEL_MAX];
    size_t count;
    stored image[IMAGE_MAX];
    size_t image_count;
    uint64_t random;
} rig;

static uint32_t below(rig *r, uint32_t end)
{
    r->random += 0x9e3779b97f4a7c15ULL;
    return (uint32_t)(leat_hash_mix(r->random) % end);
}

// ---- one instance

static void rig_open(rig *r)
{
    leat_error error = {0};
    leat_type type = leat_type_of(LEAT_KIND_STRING);
    assert_int_equal(leat_keys_create(&r->test->env, &r->budget, &type, 1, &r->keys, &error), LEAT_OK);
    assert_true(leat_timers_init(&r->timers, &r->budget, r->keys));
}

static void rig_close(rig *r)
{
    leat_timers_fini(&r->timers);
    leat_keys_destroy(r->keys);
    assert_int_equal(r->budget.used, 0);
}

static uint32_t slot_of(rig *r, uint32_t key)
{
    char text[16];
    leat_error error = {0};
    uint32_t slot;
    leat_value value = {.text = leat_slice_of(text, (size_t)snprintf(text, sizeof text, "k%u", key))};
    leat_writer_reset(&r->writer);
    leat_value_encode(leat_type_of(LEAT_KIND_STRING), &value, &r->writer);
    assert_int_equal(leat_keys_slot(r->keys, leat_writer_slice(&r->writer), &slot, &error), LEAT_OK);
    return slot;
}

static uint32_t key_of(const rig *r, uint32_t slot)
{
    leat_value value;
    leat_keys_values(r->keys, slot, &value);
    return (uint32_t)strtoul(value.text.data + 1, NULL, 10);
}

// ---- the image

static stored *image_find(rig *r, leat_slice key)
{
    for (size_t i = 0; i < r->image_count; i++)
        if (r->image[i].key_size == key.size && memcmp(r->image[i].key, key.data, key.size) == 0)
            return &r->image[i];
    return NULL;
}

typedef struct rig_snapshot {
    leat_snapshot base;
    rig *r;
} rig_snapshot;

static void image_put(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    rig *r = ((rig_snapshot *)snapshot)->r;
    stored *entry = image_find(r, key);
    (void)table, (void)group;
    if (!entry) {
        assert_true(r->image_count < IMAGE_MAX);
        entry = &r->image[r->image_count++];
        *entry = (stored){.key_size = key.size};
        memcpy(entry->key, key.data, key.size);
    }
    free(entry->value);
    entry->value = malloc(value.size);
    assert_non_null(entry->value);
    memcpy(entry->value, value.data, value.size);
    entry->value_size = value.size;
}

static void image_remove(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key)
{
    rig *r = ((rig_snapshot *)snapshot)->r;
    stored *entry = image_find(r, key);
    (void)table, (void)group;
    assert_non_null(entry);
    free(entry->value);
    *entry = r->image[--r->image_count];
}

static void take_snapshot(rig *r)
{
    rig_snapshot snapshot = {.base = {.put = image_put, .remove = image_remove}, .r = r};
    leat_timers_snapshot(&r->timers, &snapshot.base, 0, &r->writer);
}

static void restart(rig *r)
{
    take_snapshot(r);
    rig_close(r);
    rig_open(r);
    leat_error error = {0};
    for (size_t i = 0; i < r->image_count; i++) {
        uint32_t slot;
        leat_slice key = leat_slice_of(r->image[i].key, r->image[i].key_size);
        assert_int_equal(leat_keys_slot(r->keys, key, &slot, &error), LEAT_OK);
        leat_slice value = leat_slice_of(r->image[i].value, r->image[i].value_size);
        assert_int_equal(leat_timers_restore(&r->timers, slot, value, &error), LEAT_OK);
    }
}

// ---- the model

static model_timer *model_find(rig *r, uint32_t key, int64_t time, const char *name)
{
    for (size_t i = 0; i < r->count; i++) {
        model_timer *t = &r->model[i];
        if (t->key == key && (name ? strcmp(t->name, name) == 0 : !t->name[0] && t->time == time))
            return t;
    }
    return NULL;
}

static void model_set(rig *r, uint32_t key, int64_t time, const char *name, uint64_t setter)
{
    model_timer *t = model_find(r, key, time, name);
    if (t && t->time == time)
        return; // it stays as it is
    if (!t) {
        assert_true(r->count < MODEL_MAX);
        t = &r->model[r->count++];
    }
    *t = (model_timer){.key = key, .time = time, .setter = setter};
    if (name)
        snprintf(t->name, sizeof t->name, "%s", name);
}

static int model_order(rig *r, const model_timer *a, const model_timer *b)
{
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    uint64_t ha = leat_keys_hash(r->keys, slot_of(r, a->key)) >> 32,
             hb = leat_keys_hash(r->keys, slot_of(r, b->key)) >> 32;
    if (ha != hb)
        return ha < hb ? -1 : 1;
    return strcmp(a->name, b->name); // the unnamed one first
}

static model_timer *model_first(rig *r, int64_t until)
{
    model_timer *first = NULL;
    for (size_t i = 0; i < r->count; i++)
        if (r->model[i].time <= until && (!first || model_order(r, &r->model[i], first) < 0))
            first = &r->model[i];
    return first;
}

// ---- operations

static void set_one(rig *r, uint32_t key, int64_t time, const char *name, int64_t now)
{
    uint64_t setter = time <= now && below(r, 2) ? 1 + below(r, 1000) : 0;
    assert_true(setter ? leat_timers_set_late(&r->timers, slot_of(r, key), time, name, setter)
                       : leat_timers_set(&r->timers, slot_of(r, key), time, name));
    model_set(r, key, time, name, setter);
}

// A few names, sometimes one of very many, so that not all of them are known by number.
static const char *random_name(rig *r, char text[24])
{
    uint32_t kind = below(r, 10);
    if (kind < 5)
        return NULL;
    snprintf(text, 24, kind < 9 ? "n%u" : "rare%u", below(r, kind < 9 ? 4 : 300));
    return text;
}

static void take_all(rig *r, int64_t until)
{
    leat_timer_due due;
    char text[24];
    for (uint32_t taken = 0; leat_timers_take(&r->timers, until, &due); taken++) {
        model_timer *first = model_first(r, until);
        assert_non_null(first);
        assert_int_equal(key_of(r, due.slot), first->key);
        assert_true(due.time_ms == first->time);
        assert_string_equal(due.name ? due.name : "", first->name);
        assert_true(due.setter == first->setter);
        uint32_t key = first->key;
        *first = r->model[--r->count];
        if (taken < 100 && below(r, 4) == 0) { // as a callback does, within the same pass
            int64_t time = until - below(r, 20) + below(r, 15);
            const char *name = random_name(r, text);
            set_one(r, key, time, name, until);
        }
    }
    assert_null(model_first(r, until));
}

static void clear_one(rig *r, uint32_t key, int64_t time, const char *name)
{
    model_timer *t = model_find(r, key, time, name);
    if (t)
        *t = r->model[--r->count];
    leat_timers_clear(&r->timers, slot_of(r, key), time, name);
}

static void clear_key(rig *r, uint32_t key)
{
    for (size_t i = 0; i < r->count;)
        if (r->model[i].key == key)
            r->model[i] = r->model[--r->count];
        else
            i++;
    leat_timers_clear_all(&r->timers, slot_of(r, key));
}

static void step(rig *r, int64_t *now)
{
    char text[24];
    uint32_t key = below(r, KEYS), what = below(r, 100);
    int64_t time = *now + below(r, 200) - 20;
    const char *name = random_name(r, text);
    if (what < 45) {
        set_one(r, key, time, name, *now);
    } else if (what < 75) {
        if (r->count && below(r, 2)) { // one that is there
            model_timer t = r->model[below(r, (uint32_t)r->count)];
            clear_one(r, t.key, t.time, t.name[0] ? t.name : NULL);
        } else {
            clear_one(r, key, time, name);
        }
    } else if (what < 77) {
        clear_key(r, key);
        leat_timers_release(&r->timers, slot_of(r, key));
    } else if (what < 90) {
        *now += below(r, 40);
        take_all(r, *now);
    } else {
        int64_t next;
        model_timer *first = model_first(r, INT64_MAX);
        assert_int_equal(leat_timers_next(&r->timers, &next), first != NULL);
        assert_true(!first || next == first->time);
        assert_int_equal(leat_timers_any(&r->timers, slot_of(r, key)), ({
                             bool any = false;
                             for (size_t i = 0; i < r->count; i++)
                                 any |= r->model[i].key == key;
                             any;
                         }));
    }
}

static void rig_init(rig *r)
{
    memset(r, 0, sizeof *r);
    r->test = env_test_create();
    leat_budget_init(&r->budget, &r->test->env, 0);
    leat_writer_init(&r->writer, &r->test->env, 1 << 20);
    rig_open(r);
}

static void rig_fini(rig *r)
{
    rig_close(r);
    for (size_t i = 0; i < r->image_count; i++)
        free(r->image[i].value);
    leat_writer_fini(&r->writer);
    env_test_destroy(r->test);
}

static rig shared_rig;

static void test_against_model(void **state)
{
    (void)state;
    rig *r = &shared_rig;
    rig_init(r);
    int64_t now = 0;
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        step(r, &now);
        if (below(r, 50) == 0)
            take_snapshot(r);
        if (below(r, 500) == 0)
            restart(r);
    }
    take_all(r, now + 1000);
    rig_fini(r);
}

static void test_memory_stays(void **state)
{
    (void)state;
    rig *r = &shared_rig;
    rig_init(r);
    uint32_t slot = slot_of(r, 1);
    size_t before = 0;
    for (int64_t i = 0; i < 100000; i++) { // rising, falling, rising
        assert_true(leat_timers_set(&r->timers, slot, 1000 + i, NULL));
        leat_timers_clear(&r->timers, slot, 1000 + i, NULL);
        if (i == 10)
            before = r->budget.used;
    }
    assert_int_equal(r->budget.used, before);
    assert_int_equal(r->timers.heap_count, 1);
    assert_true(leat_timers_release(&r->timers, slot));
    for (int64_t i = 0; i < 20000; i++) { // many at once, and names without end
        char name[24];
        snprintf(name, sizeof name, "x%lld", (long long)i);
        assert_true(leat_timers_set(&r->timers, slot, i, name));
        if (i == 5000)
            before = r->budget.used;
        if (i >= 100)
            snprintf(name, sizeof name, "x%lld", (long long)i - 100), leat_timers_clear(&r->timers, slot, 0, name);
    }
    assert_true(r->budget.used <= before + 4096);
    rig_fini(r);
}

static void test_budget_and_limits(void **state)
{
    (void)state;
    rig *r = &shared_rig;
    rig_init(r);
    char name[300];
    memset(name, 'x', sizeof name);
    name[299] = 0;
    uint32_t slot = slot_of(r, 1);
    assert_false(leat_timers_set(&r->timers, slot, 1, name));
    r->budget.limit = r->budget.used + 10000;
    int64_t set = 0;
    while (leat_timers_set(&r->timers, slot, set, NULL))
        set++;
    assert_true(set > 10);
    leat_timer_due due;
    for (int64_t i = 0; i < set; i++)
        assert_true(leat_timers_take(&r->timers, INT64_MAX, &due) && due.time_ms == i);
    assert_false(leat_timers_take(&r->timers, INT64_MAX, &due));
    rig_fini(r);
}

static void test_shift(void **state)
{
    (void)state;
    rig *r = &shared_rig;
    rig_init(r);
    leat_timer_due due;
    uint32_t slot = slot_of(r, 1);
    assert_true(leat_timers_set(&r->timers, slot, 10, NULL) && leat_timers_set(&r->timers, slot, 20, NULL) &&
                leat_timers_set(&r->timers, slot, 15, "n"));
    leat_timers_shift(&r->timers, 100);
    leat_timers_clear(&r->timers, slot, 120, NULL);
    assert_false(leat_timers_take(&r->timers, 109, &due));
    assert_true(leat_timers_take(&r->timers, 200, &due) && due.time_ms == 110 && !due.name);
    assert_true(leat_timers_take(&r->timers, 200, &due) && due.time_ms == 115 && strcmp(due.name, "n") == 0);
    assert_false(leat_timers_take(&r->timers, INT64_MAX, &due));
    rig_fini(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_memory_stays),
        cmocka_unit_test(test_budget_and_limits),
        cmocka_unit_test(test_shift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
