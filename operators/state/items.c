#include "operators/state/items.h"

#include <string.h>

#include "operators/base/hash.h"

enum { VERSION = 1, CAPACITY_MIN = 4, LINEAR_MAX = 8 };

struct leat_item {
    uint64_t sequence;
    int64_t expires_ms;
    uint32_t epoch; // of its last change
    bool stored;
    bool gone; // a hole in a map
    leat_cell key, value;
};

// In the entry of a slot: items [first, end) of the array; a list has no holes.
struct leat_item_row {
    leat_item *items;
    uint32_t *index; // maps: place + 1 by hash of the key, 0: free; NULL: search them all
    uint32_t first, end, capacity, live, index_size;
    uint64_t next_sequence;
};

bool leat_items_init(leat_items *items, leat_budget *budget, leat_env *env, const leat_keys *keys, bool map,
                     uint8_t type, int64_t ttl_ms, uint8_t state)
{
    *items = (leat_items){.budget = budget, .keys = keys, .map = map, .type = type, .state = state, .ttl_ms = ttl_ms};
    leat_panes_init(&items->panes, budget, sizeof(leat_item_row));
    leat_removals_init(&items->removals, env);
    leat_writer_init(&items->scratch, env, SIZE_MAX / 2);
    items->pane = leat_panes_open(&items->panes, 0);
    return items->pane != NULL;
}

static leat_item_row *row_at(const leat_items *items, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_find(&items->panes, items->pane, slot);
    return entry ? leat_pane_payload(entry) : NULL;
}

static leat_item_row *make_row(leat_items *items, uint32_t slot)
{
    bool is_new;
    leat_pane_entry *entry = leat_pane_make(&items->panes, items->pane, slot, &is_new);
    return entry ? leat_pane_payload(entry) : NULL;
}

static void mark(leat_items *items, uint32_t slot, leat_item_row *row, leat_item *item)
{
    leat_pane_mark(&items->panes, items->pane, slot, leat_pane_of_payload(row));
    if (item)
        item->epoch = items->panes.epoch;
}

// ---- memory

static void *take(leat_items *items, size_t size)
{
    void *memory = leat_budget_alloc(items->budget, size);
    if (memory)
        items->memory += size;
    return memory;
}

static void give(leat_items *items, void *memory, size_t size)
{
    if (memory)
        items->memory -= size;
    leat_budget_free(items->budget, memory, size);
}

static bool copy_cell(leat_items *items, const leat_cell *from, leat_cell *out_copy)
{
    if (!leat_cell_copy(items->budget, from, out_copy))
        return false;
    items->memory += leat_cell_memory(out_copy);
    return true;
}

static void free_cell(leat_items *items, leat_cell *cell)
{
    items->memory -= leat_cell_memory(cell);
    leat_cell_free(items->budget, cell);
}

static void free_item(leat_items *items, leat_item *item)
{
    free_cell(items, &item->key);
    free_cell(items, &item->value);
}

static void drop_index(leat_items *items, leat_item_row *row)
{
    give(items, row->index, row->index_size * sizeof *row->index);
    row->index = NULL;
    row->index_size = 0;
}

static void free_row(leat_items *items, leat_item_row *row)
{
    for (uint32_t i = row->first; i < row->end; i++)
        if (!row->items[i].gone)
            free_item(items, &row->items[i]);
    drop_index(items, row);
    give(items, row->items, row->capacity * sizeof *row->items);
    *row = (leat_item_row){0};
}

void leat_items_fini(leat_items *items)
{
    leat_pane_entry *entry;
    for (uint32_t slot = 0; items->pane && (entry = leat_pane_next(&items->panes, items->pane, 0, &slot)); slot++)
        if (entry->state == LEAT_PANE_LIVE)
            free_row(items, leat_pane_payload(entry));
    if (items->budget) {
        leat_panes_fini(&items->panes);
        leat_removals_fini(&items->removals);
        leat_writer_fini(&items->scratch);
    }
    *items = (leat_items){0};
}

// Closes holes and the room in front.
static void compact(leat_items *items, leat_item_row *row)
{
    uint32_t end = 0;
    for (uint32_t i = row->first; i < row->end; i++)
        if (!row->items[i].gone)
            row->items[end++] = row->items[i];
    row->first = 0;
    row->end = end;
    drop_index(items, row);
}

// Room for one more item at the end.
static bool room(leat_items *items, leat_item_row *row)
{
    if (row->end < row->capacity)
        return true;
    if (row->capacity && row->live <= row->capacity / 2) {
        compact(items, row);
        return true;
    }
    uint32_t capacity = row->capacity ? row->capacity * 2 : CAPACITY_MIN;
    leat_item *longer = take(items, capacity * sizeof *longer);
    if (!longer)
        return false;
    if (row->end)
        memcpy(longer, row->items, row->end * sizeof *longer);
    give(items, row->items, row->capacity * sizeof *longer);
    row->items = longer;
    row->capacity = capacity;
    compact(items, row);
    return true;
}

// ---- removing

static leat_slice stored_key(leat_items *items, uint32_t slot, uint64_t sequence)
{
    leat_writer *writer = &items->scratch;
    leat_slice key = items->keys ? leat_keys_bytes(items->keys, slot) : leat_slice_of("", 0);
    leat_writer_reset(writer);
    leat_write_u8(writer, items->state);
    leat_write_u64be(writer, sequence);
    leat_write_bytes(writer, key.data, key.size);
    return leat_writer_slice(writer);
}

bool leat_items_key(leat_slice stored, uint8_t *out_state, uint64_t *out_sequence, leat_slice *out_key)
{
    leat_reader reader;
    leat_reader_init(&reader, stored.data, stored.size);
    *out_state = leat_read_u8(&reader);
    *out_sequence = leat_read_u64be(&reader);
    *out_key = leat_read_bytes(&reader, leat_reader_left(&reader));
    return !reader.failed;
}

static uint32_t group_of(const leat_items *items, uint32_t slot)
{
    return items->keys ? leat_keys_group(items->keys, slot) : (uint32_t)LEAT_GROUP_OPERATOR;
}

static void note_removal(leat_items *items, uint32_t slot, const leat_item *item)
{
    // Without memory the log remembers that it failed, and the operator stops.
    if (item->stored)
        (void)leat_removals_add(&items->removals, group_of(items, slot), stored_key(items, slot, item->sequence));
}

static void remove_at(leat_items *items, uint32_t slot, leat_item_row *row, uint32_t place)
{
    leat_item *item = &row->items[place];
    note_removal(items, slot, item);
    free_item(items, item);
    row->live--;
    if (items->map) {
        item->gone = true;
        return;
    }
    if (place == row->first) {
        row->first++;
        return;
    }
    memmove(item, item + 1, (row->end - place - 1) * sizeof *item);
    row->end--;
}

static bool expired(const leat_items *items, const leat_item *item, int64_t now_ms)
{
    return items->ttl_ms && item->expires_ms <= now_ms;
}

// Items of a list expire in order; a map has to be searched.
static bool expire(leat_items *items, uint32_t slot, leat_item_row *row, int64_t now_ms)
{
    uint32_t before = row->live;
    if (!items->ttl_ms)
        return false;
    if (items->map) {
        for (uint32_t i = row->first; i < row->end; i++)
            if (!row->items[i].gone && expired(items, &row->items[i], now_ms))
                remove_at(items, slot, row, i);
    } else {
        while (row->live && expired(items, &row->items[row->first], now_ms))
            remove_at(items, slot, row, row->first);
    }
    return row->live != before;
}

static int64_t expiry_at(const leat_items *items, int64_t now_ms)
{
    int64_t at;
    return items->ttl_ms == 0 || __builtin_add_overflow(now_ms, items->ttl_ms, &at) ? INT64_MAX : at;
}

static leat_item_row *fresh_row(leat_items *items, uint32_t slot, int64_t now_ms)
{
    leat_item_row *row = row_at(items, slot);
    if (row)
        expire(items, slot, row, now_ms);
    return row;
}

static void touch(leat_items *items, uint32_t slot, leat_item_row *row, leat_item *item, int64_t now_ms)
{
    int64_t anew = expiry_at(items, now_ms);
    if (!items->refresh_on_read || item->expires_ms == anew)
        return;
    item->expires_ms = anew;
    mark(items, slot, row, item);
}

// All items of the list or, when the oldest one was read at this time already, none.
static leat_item_row *read_list(leat_items *items, uint32_t slot, int64_t now_ms)
{
    leat_item_row *row = fresh_row(items, slot, now_ms);
    bool stale = items->refresh_on_read && items->ttl_ms && row && row->live &&
                 row->items[row->first].expires_ms != expiry_at(items, now_ms);
    for (uint32_t i = 0; stale && i < row->live; i++)
        touch(items, slot, row, &row->items[row->first + i], now_ms);
    return row;
}

uint32_t leat_items_count(leat_items *items, uint32_t slot, int64_t now_ms)
{
    leat_item_row *row = items->map ? fresh_row(items, slot, now_ms) : read_list(items, slot, now_ms);
    return row ? row->live : 0;
}

static leat_item *append(leat_items *items, uint32_t slot, const leat_cell *key, const leat_cell *value, int64_t now_ms)
{
    leat_cell key_copy = {0}, value_copy;
    if ((key && !copy_cell(items, key, &key_copy)))
        return NULL;
    leat_item_row *row = NULL;
    if (copy_cell(items, value, &value_copy)) {
        row = make_row(items, slot);
        if (row && room(items, row)) {
            leat_item *item = &row->items[row->end++];
            *item = (leat_item){.sequence = row->next_sequence++,
                                .expires_ms = expiry_at(items, now_ms),
                                .key = key_copy,
                                .value = value_copy};
            item->value.type = items->type;
            row->live++;
            mark(items, slot, row, item);
            return item;
        }
        free_cell(items, &value_copy);
    }
    free_cell(items, &key_copy);
    return NULL;
}

// ---- lists

const leat_cell *leat_items_get(leat_items *items, uint32_t slot, uint32_t index, int64_t now_ms)
{
    leat_item_row *row = read_list(items, slot, now_ms);
    return row && index < row->live ? &row->items[row->first + index].value : NULL;
}

bool leat_items_add(leat_items *items, uint32_t slot, const leat_cell *value, int64_t now_ms)
{
    return append(items, slot, NULL, value, now_ms) != NULL;
}

void leat_items_remove(leat_items *items, uint32_t slot, uint32_t index, int64_t now_ms)
{
    leat_item_row *row = fresh_row(items, slot, now_ms);
    if (row && index < row->live)
        remove_at(items, slot, row, row->first + index);
}

// ---- maps

static uint64_t key_hash(const leat_cell *key)
{
    if (!key->set)
        return 1;
    return leat_cell_is_text(key->type) ? leat_hash(key->text.bytes, key->text.size)
                                        : leat_hash_mix((uint64_t)key->i64 + 2);
}

static void index_put(leat_item_row *row, uint32_t place)
{
    uint32_t mask = row->index_size - 1, at = (uint32_t)key_hash(&row->items[place].key) & mask;
    while (row->index[at])
        at = (at + 1) & mask;
    row->index[at] = place + 1;
}

// Holes stay in the index and are passed over: it has twice the room of the array. Without memory all items are searched.
static void build_index(leat_items *items, leat_item_row *row)
{
    row->index = take(items, row->capacity * 2 * sizeof *row->index);
    if (!row->index)
        return;
    row->index_size = row->capacity * 2;
    for (uint32_t i = row->first; i < row->end; i++)
        if (!row->items[i].gone)
            index_put(row, i);
}

static leat_item *find_linear(leat_item_row *row, const leat_cell *key)
{
    for (uint32_t i = row->first; i < row->end; i++)
        if (!row->items[i].gone && leat_cell_equal(&row->items[i].key, key))
            return &row->items[i];
    return NULL;
}

static leat_item *find(leat_items *items, leat_item_row *row, const leat_cell *key)
{
    if (!row->index && row->end - row->first > LINEAR_MAX)
        build_index(items, row);
    if (!row->index)
        return find_linear(row, key);
    uint32_t mask = row->index_size - 1;
    for (uint32_t at = (uint32_t)key_hash(key) & mask; row->index[at]; at = (at + 1) & mask) {
        leat_item *item = &row->items[row->index[at] - 1];
        if (!item->gone && leat_cell_equal(&item->key, key))
            return item;
    }
    return NULL;
}

const leat_cell *leat_items_find(leat_items *items, uint32_t slot, const leat_cell *key, int64_t now_ms)
{
    leat_item_row *row = row_at(items, slot);
    leat_item *item = row ? find(items, row, key) : NULL;
    if (!item || expired(items, item, now_ms))
        return NULL;
    touch(items, slot, row, item, now_ms);
    return &item->value;
}

bool leat_items_put(leat_items *items, uint32_t slot, const leat_cell *key, const leat_cell *value, int64_t now_ms)
{
    leat_item_row *row = row_at(items, slot);
    leat_item *item = row ? find(items, row, key) : NULL;
    if (item && expired(items, item, now_ms)) {
        remove_at(items, slot, row, (uint32_t)(item - row->items));
        item = NULL;
    }
    if (!item) {
        item = append(items, slot, key, value, now_ms);
        row = row_at(items, slot);
        if (item && row->index)
            index_put(row, (uint32_t)(item - row->items));
        return item != NULL;
    }
    leat_cell copy;
    if (!copy_cell(items, value, &copy))
        return false;
    free_cell(items, &item->value);
    item->value = copy;
    item->value.type = items->type;
    item->expires_ms = expiry_at(items, now_ms);
    mark(items, slot, row, item);
    return true;
}

void leat_items_unput(leat_items *items, uint32_t slot, const leat_cell *key, int64_t now_ms)
{
    leat_item_row *row = fresh_row(items, slot, now_ms);
    leat_item *item = row ? find(items, row, key) : NULL;
    if (item)
        remove_at(items, slot, row, (uint32_t)(item - row->items));
}

bool leat_items_next(leat_items *items, uint32_t slot, uint32_t *inout_place, leat_cell *out_key, leat_cell *out_value,
                     int64_t now_ms)
{
    leat_item_row *row = row_at(items, slot);
    for (; row && *inout_place < row->end; ++*inout_place) {
        leat_item *item = &row->items[*inout_place];
        if (*inout_place < row->first || item->gone || expired(items, item, now_ms))
            continue;
        touch(items, slot, row, item, now_ms);
        *out_key = item->key;
        *out_value = item->value;
        ++*inout_place;
        return true;
    }
    return false;
}

// ---- clearing, expiry

void leat_items_clear(leat_items *items, uint32_t slot)
{
    leat_item_row *row = row_at(items, slot);
    if (!row)
        return;
    for (uint32_t i = row->first; i < row->end; i++)
        if (!row->items[i].gone)
            note_removal(items, slot, &row->items[i]);
    free_row(items, row);
    leat_pane_erase(&items->panes, items->pane, slot);
}

bool leat_items_settle(leat_items *items, uint32_t slot)
{
    leat_item_row *row = row_at(items, slot);
    if (row && row->live == 0)
        leat_items_clear(items, slot);
    return !row || row_at(items, slot) == NULL;
}

uint32_t leat_items_sweep(leat_items *items, int64_t now_ms, uint32_t *inout_steps)
{
    while (items->ttl_ms && *inout_steps) {
        --*inout_steps;
        uint32_t slot = items->sweep_slot;
        leat_pane_entry *entry = leat_pane_next(&items->panes, items->pane, 0, &slot);
        items->sweep_slot = entry ? slot + 1 : 0;
        if (!entry)
            return LEAT_SLOT_NONE;
        leat_item_row *row = leat_pane_payload(entry);
        if (expire(items, slot, row, now_ms) && row->live == 0 && leat_items_settle(items, slot))
            return slot;
    }
    return LEAT_SLOT_NONE;
}

size_t leat_items_memory(const leat_items *items) { return leat_panes_memory(&items->panes) + items->memory; }

// ---- snapshots

static void write_item(const leat_item *item, bool map, leat_writer *writer)
{
    leat_write_u8(writer, VERSION);
    leat_write_u8(writer, map);
    if (map)
        leat_cell_write(&item->key, writer);
    leat_cell_write(&item->value, writer);
    leat_write_varint_signed(writer, item->expires_ms);
}

static void put_item(leat_items *items, leat_snapshot *snapshot, uint8_t table, uint32_t slot, uint32_t group,
                     const leat_item *item)
{
    size_t key_size = stored_key(items, slot, item->sequence).size;
    write_item(item, items->map, &items->scratch);
    LEAT_ASSERT(!items->scratch.failed);
    const char *bytes = (const char *)items->scratch.bytes;
    snapshot->put(snapshot, table, group, leat_slice_of(bytes, key_size),
                  leat_slice_of(bytes + key_size, items->scratch.size - key_size));
}

static void snapshot_row(leat_items *items, leat_snapshot *snapshot, uint8_t table, uint32_t slot, leat_item_row *row)
{
    uint32_t group = group_of(items, slot);
    bool whole = snapshot->whole[group];
    for (uint32_t i = row->first; i < row->end; i++) {
        leat_item *item = &row->items[i];
        if (item->gone || (!whole && item->epoch < items->panes.epoch))
            continue;
        put_item(items, snapshot, table, slot, group, item);
        if (!snapshot->keep_marks)
            item->stored = true;
    }
}

void leat_items_snapshot(leat_items *items, leat_snapshot *snapshot, uint8_t table)
{
    uint32_t since = snapshot->any_whole ? 0 : items->panes.epoch;
    leat_removals_emit(&items->removals, snapshot, table);
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&items->panes, items->pane, since, &slot)); slot++)
        snapshot_row(items, snapshot, table, slot, leat_pane_payload(entry));
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(&items->panes);
}

// Entries come in any order: an item goes behind those with lower sequences.
static void sort_in(leat_item_row *row)
{
    uint32_t place = row->end - 1;
    leat_item item = row->items[place];
    for (; place > row->first && row->items[place - 1].sequence > item.sequence; place--)
        row->items[place] = row->items[place - 1];
    row->items[place] = item;
}

leat_code leat_items_restore(leat_items *items, uint32_t slot, uint64_t sequence, leat_slice value, leat_arena *scratch,
                             leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    leat_cell key = {0}, cell;
    bool fits = leat_read_u8(&reader) == VERSION;
    bool map = leat_read_u8(&reader) == 1;
    fits = fits && map == items->map && (!map || leat_cell_read(&reader, scratch, &key)) &&
           leat_cell_read(&reader, scratch, &cell);
    int64_t expires_ms = fits ? leat_read_varint_signed(&reader) : 0;
    if (!fits || reader.failed || leat_reader_left(&reader) || cell.type != items->type)
        return leat_error_set(out_error, LEAT_E_CORRUPT,
                              "a stored item of state %u, %zu bytes, does not fit the function", items->state,
                              value.size);
    leat_item *item = append(items, slot, map ? &key : NULL, &cell, 0);
    if (!item)
        return leat_error_set(out_error, LEAT_E_LIMIT, "the memory budget of %zu bytes is used up by stored items",
                              items->budget->limit);
    leat_item_row *row = row_at(items, slot);
    item->sequence = sequence;
    item->expires_ms = items->ttl_ms ? expires_ms : INT64_MAX;
    item->stored = true;
    item->epoch = 0;
    leat_pane_of_payload(row)->epoch = 0;
    row->next_sequence = sequence >= row->next_sequence - 1 ? sequence + 1 : row->next_sequence - 1;
    drop_index(items, row);
    sort_in(row);
    return LEAT_OK;
}
