// Values, lists and maps with and without time-to-live against arrays that keep everything, over snapshots and restarts.
#include "operators/state/items.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators/base/hash.h"
#include "tests/support/env_test.h"

enum { KEYS = 30, STATES = 3, ITEMS = 64, MAP_KEYS = 24, OPERATIONS = 60000, IMAGE_MAX = 8192 };

static leat_cell_state states[STATES] = {
    {LEAT_API_BIGINT, 0, false}, {LEAT_API_STRING, 100, false}, {LEAT_API_DOUBLE, 30, false}};
static bool refresh_on_read; // of all of them, and of items
static const int64_t list_ttl = 80, map_ttl = 60;

typedef struct stored {
    uint8_t table;
    leat_slice key, value;
} stored;

typedef struct model_item {
    int64_t key, value, expires;
} model_item;

typedef struct model_row {
    bool set[STATES];
    int64_t value[STATES], expires[STATES];
    model_item list[ITEMS], map[ITEMS];
    uint32_t list_count, map_count;
} model_row;

typedef struct rig {
    env_test *test;
    leat_budget budget;
    leat_arena arena;
    leat_keys *keys;
    leat_cells cells;
    leat_items list, map;
    leat_writer writer;
    model_row model[KEYS];
    stored image[IMAGE_MAX];
    size_t image_count;
    uint64_t random;
    int64_t now;
} rig;

static rig shared_rig;

static uint32_t below(rig *r, uint32_t end)
{
    r->random += 0x9e3779b97f4a7c15ULL;
    return (uint32_t)(leat_hash_mix(r->random) % end);
}

// ---- one instance

static void rig_open(rig *r)
{
    leat_error error = {0};
    leat_type type = leat_type_of(LEAT_KIND_BIGINT);
    assert_int_equal(leat_keys_create(&r->test->env, &r->budget, &type, 1, &r->keys, &error), LEAT_OK);
    for (uint32_t i = 0; i < STATES; i++)
        states[i].refresh_on_read = refresh_on_read;
    assert_true(leat_cells_init(&r->cells, &r->budget, r->keys, states, STATES));
    assert_true(leat_items_init(&r->list, &r->budget, &r->test->env, r->keys, false, LEAT_API_STRING, list_ttl, 0));
    assert_true(leat_items_init(&r->map, &r->budget, &r->test->env, r->keys, true, LEAT_API_BIGINT, map_ttl, 1));
    r->list.refresh_on_read = r->map.refresh_on_read = refresh_on_read;
}

static void rig_close(rig *r)
{
    leat_cells_fini(&r->cells);
    leat_items_fini(&r->list);
    leat_items_fini(&r->map);
    leat_keys_destroy(r->keys);
    assert_int_equal(r->budget.used, 0);
}

static uint32_t slot_of(rig *r, uint32_t key)
{
    leat_error error = {0};
    uint32_t slot;
    leat_value value = {.i64 = key};
    leat_writer_reset(&r->writer);
    leat_value_encode(leat_type_of(LEAT_KIND_BIGINT), &value, &r->writer);
    assert_int_equal(leat_keys_slot(r->keys, leat_writer_slice(&r->writer), &slot, &error), LEAT_OK);
    return slot;
}

// ---- the image

static leat_slice copy(leat_slice from)
{
    char *memory = malloc(from.size + 1);
    assert_non_null(memory);
    if (from.size)
        memcpy(memory, from.data, from.size);
    return leat_slice_of(memory, from.size);
}

static stored *image_find(rig *r, uint8_t table, leat_slice key)
{
    for (size_t i = 0; i < r->image_count; i++)
        if (r->image[i].table == table && leat_slice_equal(r->image[i].key, key))
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
    stored *entry = image_find(r, table, key);
    (void)group;
    if (!entry) {
        assert_true(r->image_count < IMAGE_MAX);
        entry = &r->image[r->image_count++];
        *entry = (stored){.table = table, .key = copy(key)};
    }
    free((char *)entry->value.data);
    entry->value = copy(value);
}

static void image_remove(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key)
{
    rig *r = ((rig_snapshot *)snapshot)->r;
    stored *entry = image_find(r, table, key);
    (void)group;
    assert_non_null(entry);
    free((char *)entry->key.data);
    free((char *)entry->value.data);
    *entry = r->image[--r->image_count];
}

static void take_snapshot(rig *r)
{
    rig_snapshot snapshot = {.base = {.put = image_put, .remove = image_remove}, .r = r};
    leat_cells_snapshot(&r->cells, &snapshot.base, 0, &r->writer);
    leat_items_snapshot(&r->list, &snapshot.base, 1);
    leat_items_snapshot(&r->map, &snapshot.base, 1);
}

static void restore_entry(rig *r, const stored *entry)
{
    leat_error error = {0};
    leat_slice key = entry->key;
    uint8_t state = 0;
    uint64_t sequence = 0;
    uint32_t slot;
    if (entry->table == 1)
        assert_true(leat_items_key(entry->key, &state, &sequence, &key));
    assert_int_equal(leat_keys_slot(r->keys, key, &slot, &error), LEAT_OK);
    leat_items *items = state ? &r->map : &r->list;
    leat_code code = entry->table == 0 ? leat_cells_restore(&r->cells, slot, entry->value, &r->arena, &error)
                                       : leat_items_restore(items, slot, sequence, entry->value, &r->arena, &error);
    if (code != LEAT_OK)
        fail_msg("%s", error.message);
}

static void restart(rig *r)
{
    take_snapshot(r);
    rig_close(r);
    rig_open(r);
    for (size_t i = r->image_count; i--;) // in no good order
        restore_entry(r, &r->image[i]);
    leat_arena_reset(&r->arena);
}

// ---- values

static leat_cell cell_of(uint8_t type, int64_t value, char text[24])
{
    if (type == LEAT_API_DOUBLE)
        return leat_cell_f64((double)value);
    if (type == LEAT_API_STRING)
        return leat_cell_text(text, (uint32_t)snprintf(text, 24, "text %lld", (long long)value));
    return leat_cell_i64(LEAT_API_BIGINT, value);
}

static void check_cell(const leat_cell *cell, uint8_t type, int64_t value)
{
    char text[24];
    leat_cell expected = cell_of(type, value, text);
    assert_non_null(cell);
    assert_int_equal(cell->type, type);
    assert_true(leat_cell_equal(cell, &expected));
}

static void step_value(rig *r, uint32_t key)
{
    model_row *row = &r->model[key];
    uint32_t state = below(r, STATES), slot = slot_of(r, key);
    int64_t value = below(r, 1000);
    char text[24];
    bool alive = row->set[state] && (!states[state].ttl_ms || row->expires[state] > r->now);
    const leat_cell *cell = leat_cells_read(&r->cells, slot, state, r->now);
    assert_int_equal(cell != NULL, alive);
    if (alive) {
        check_cell(cell, states[state].type, row->value[state]);
        leat_cells_touch(&r->cells, slot, state, r->now);
        if (refresh_on_read)
            row->expires[state] = r->now + states[state].ttl_ms;
    }
    uint32_t what = below(r, 10);
    if (what < 2) {
        leat_cells_clear(&r->cells, slot, state);
        row->set[state] = false;
    } else if (what < 3) {
        leat_cells_clear_all(&r->cells, slot);
        memset(row->set, 0, sizeof row->set);
    } else if (what < 7) {
        if (what < 5 || state == 1) {
            leat_cell put = cell_of(states[state].type, value, text);
            assert_true(leat_cells_put(&r->cells, slot, state, &put, r->now));
        } else {
            leat_cell *written = leat_cells_write(&r->cells, slot, state, r->now);
            assert_int_equal(written->set, alive);
            *written = cell_of(states[state].type, value, text);
        }
        row->set[state] = true;
        row->value[state] = value;
        row->expires[state] = r->now + states[state].ttl_ms;
    }
    leat_cells_settle(&r->cells, slot);
}

// ---- lists

static void expire_items(model_item *items, uint32_t *count, int64_t now)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *count; i++)
        if (items[i].expires > now)
            items[kept++] = items[i];
    *count = kept;
}

static void read_items(rig *r, model_item *items, uint32_t count, int64_t ttl_ms)
{
    for (uint32_t i = 0; refresh_on_read && i < count; i++)
        items[i].expires = r->now + ttl_ms;
}

static void remove_item(model_item *items, uint32_t *count, uint32_t at)
{
    memmove(&items[at], &items[at + 1], (*count - at - 1) * sizeof *items);
    --*count;
}

static void step_list(rig *r, uint32_t key)
{
    model_row *row = &r->model[key];
    uint32_t slot = slot_of(r, key), what = below(r, 10);
    char text[24];
    expire_items(row->list, &row->list_count, r->now);
    read_items(r, row->list, row->list_count, list_ttl);
    assert_int_equal(leat_items_count(&r->list, slot, r->now), row->list_count);
    for (uint32_t i = 0; i < row->list_count; i++)
        check_cell(leat_items_get(&r->list, slot, i, r->now), LEAT_API_STRING, row->list[i].value);
    assert_null(leat_items_get(&r->list, slot, row->list_count, r->now));
    if (what < 6 && row->list_count < ITEMS) {
        int64_t value = below(r, 1000);
        leat_cell cell = cell_of(LEAT_API_STRING, value, text);
        assert_true(leat_items_add(&r->list, slot, &cell, r->now));
        row->list[row->list_count++] = (model_item){.value = value, .expires = r->now + list_ttl};
    } else if (what < 9 && row->list_count) {
        uint32_t at = below(r, row->list_count);
        leat_items_remove(&r->list, slot, at, r->now);
        remove_item(row->list, &row->list_count, at);
    } else if (what == 9 && below(r, 5) == 0) {
        leat_items_clear(&r->list, slot);
        row->list_count = 0;
    }
    leat_items_settle(&r->list, slot);
}

// ---- maps

static void check_map(rig *r, uint32_t slot, const model_row *row)
{
    uint32_t place = 0;
    leat_cell key, value;
    for (uint32_t i = 0; i < row->map_count; i++) {
        assert_true(leat_items_next(&r->map, slot, &place, &key, &value, r->now));
        assert_true(key.i64 == row->map[i].key && value.i64 == row->map[i].value);
    }
    assert_false(leat_items_next(&r->map, slot, &place, &key, &value, r->now));
}

static void step_map(rig *r, uint32_t key)
{
    model_row *row = &r->model[key];
    uint32_t slot = slot_of(r, key), what = below(r, 10), at = 0;
    expire_items(row->map, &row->map_count, r->now);
    leat_cell map_key = leat_cell_i64(LEAT_API_BIGINT, below(r, MAP_KEYS));
    while (at < row->map_count && row->map[at].key != map_key.i64)
        at++;
    const leat_cell *found = leat_items_find(&r->map, slot, &map_key, r->now);
    assert_int_equal(found != NULL, at < row->map_count);
    assert_true(!found || found->i64 == row->map[at].value);
    if (found)
        read_items(r, &row->map[at], 1, map_ttl);
    if (what < 6) {
        leat_cell value = leat_cell_i64(LEAT_API_BIGINT, below(r, 1000));
        assert_true(leat_items_put(&r->map, slot, &map_key, &value, r->now));
        if (at == row->map_count)
            row->map_count++;
        row->map[at] = (model_item){map_key.i64, value.i64, r->now + map_ttl};
    } else if (what < 9) {
        leat_items_unput(&r->map, slot, &map_key, r->now);
        if (at < row->map_count)
            remove_item(row->map, &row->map_count, at);
    }
    if (below(r, 4) == 0) {
        check_map(r, slot, row);
        read_items(r, row->map, row->map_count, map_ttl);
    }
    leat_items_settle(&r->map, slot);
}

static void rig_init(rig *r)
{
    memset(r, 0, sizeof *r);
    r->test = env_test_create();
    leat_budget_init(&r->budget, &r->test->env, 0);
    leat_arena_init(&r->arena, &r->test->env, 0);
    leat_writer_init(&r->writer, &r->test->env, 1 << 20);
    rig_open(r);
}

static void rig_fini(rig *r)
{
    rig_close(r);
    for (size_t i = 0; i < r->image_count; i++) {
        free((char *)r->image[i].key.data);
        free((char *)r->image[i].value.data);
    }
    leat_writer_fini(&r->writer);
    leat_arena_fini(&r->arena);
    env_test_destroy(r->test);
}

static void run_against_model(void)
{
    rig *r = &shared_rig;
    rig_init(r);
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        static void (*const steps[])(rig *, uint32_t) = {step_value, step_list, step_map};
        r->now += below(r, 3) == 0;
        steps[below(r, 3)](r, below(r, KEYS));
        uint32_t count = 2;
        leat_cells_sweep(&r->cells, r->now, &count);
        leat_items_sweep(&r->list, r->now, &count);
        leat_items_sweep(&r->map, r->now, &count);
        if (below(r, 60) == 0)
            take_snapshot(r);
        if (below(r, 600) == 0)
            restart(r);
    }
    rig_fini(r);
}

static void test_against_model(void **state)
{
    (void)state;
    run_against_model();
}

static void test_refresh_on_read(void **state)
{
    (void)state;
    refresh_on_read = true;
    run_against_model();
    refresh_on_read = false;
}

// What has expired is given back without anybody reading it, and the image empties as well.
static void test_sweep(void **state)
{
    (void)state;
    rig *r = &shared_rig;
    rig_init(r);
    for (uint32_t key = 0; key < KEYS; key++) {
        leat_cell text = leat_cell_text("x", 1), number = leat_cell_i64(LEAT_API_BIGINT, key);
        assert_true(leat_cells_put(&r->cells, slot_of(r, key), 1, &text, 0));
        assert_true(leat_items_add(&r->list, slot_of(r, key), &text, 0));
        assert_true(leat_items_put(&r->map, slot_of(r, key), &number, &number, 0));
    }
    take_snapshot(r);
    assert_int_equal(r->image_count, 3 * KEYS);
    r->now = 100;
    for (int i = 0; i < 3 * KEYS; i++) {
        uint32_t steps = 1;
        leat_cells_sweep(&r->cells, r->now, &steps);
        steps = 1;
        leat_items_sweep(&r->list, r->now, &steps);
        steps = 1;
        leat_items_sweep(&r->map, r->now, &steps);
    }
    take_snapshot(r);
    assert_int_equal(r->image_count, 0);
    assert_int_equal(r->cells.pane->used, 0);
    assert_int_equal(r->list.pane->used, 0);
    assert_int_equal(r->map.pane->used, 0);
    assert_int_equal(r->cells.text_memory, 0);
    assert_int_equal(r->list.memory, 0);
    rig_fini(r);
}

static void test_arrays_and_budget(void **state)
{
    (void)state;
    rig *r = &shared_rig;
    rig_init(r);
    leat_cell items[3] = {leat_cell_text("a", 1), leat_cell_null(LEAT_API_STRING), leat_cell_text("bcd", 3)};
    leat_cell array = {.set = 1, .type = LEAT_API_STRING_ARRAY, .count = 3, .items = items}, again, read;
    size_t before = r->budget.used;
    assert_true(leat_cell_copy(&r->budget, &array, &again));
    leat_writer_reset(&r->writer);
    leat_cell_write(&again, &r->writer);
    leat_cell_free(&r->budget, &again);
    assert_int_equal(r->budget.used, before);
    leat_reader reader;
    leat_reader_init(&reader, r->writer.bytes, r->writer.size);
    assert_true(leat_cell_read(&reader, &r->arena, &read));
    assert_int_equal(read.count, 3);
    for (int i = 0; i < 3; i++)
        assert_true(leat_cell_equal(&read.items[i], &items[i]));
    for (size_t size = 0; size < r->writer.size; size++) { // cut off anywhere
        leat_reader_init(&reader, r->writer.bytes, size);
        assert_false(leat_cell_read(&reader, &r->arena, &read));
    }
    uint32_t slot = slot_of(r, 1);
    r->budget.limit = r->budget.used + 20000;
    leat_cell text = leat_cell_text("0123456789", 10);
    uint32_t added = 0;
    while (leat_items_add(&r->list, slot, &text, 0))
        added++;
    assert_true(added > 10);
    assert_int_equal(leat_items_count(&r->list, slot, 0), added);
    rig_fini(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_refresh_on_read),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_arrays_and_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
