#include "operators/state/rows.h"

#include <string.h>

#include "operators/base/hash.h"

enum { VERSION = 1, INDEX_ABOVE = 16, SPARE_MAX = 256, AHEAD = 12 };

// An entry's word: how many rows there are, how many of them have changed, and whether they are indexed.
static const uint64_t ONE_ROW = 1, ONE_CHANGED = UINT64_C(1) << 32, INDEXED = UINT64_C(1) << 63;
static uint32_t count_in(const leat_pane_entry *entry) { return (uint32_t)entry->word; }
static uint32_t changed_in(const leat_pane_entry *entry) { return (uint32_t)(entry->word >> 32) & INT32_MAX; }

static size_t size_of(const leat_kept_row *row) { return sizeof *row + row->size; }

static leat_rows_list *list_of(leat_pane_entry *entry) { return leat_pane_payload(entry); }

static leat_pane_entry *entry_of(const leat_rows *rows, uint32_t slot)
{
    return leat_pane_find(&rows->panes, rows->pane, slot);
}

bool leat_rows_init(leat_rows *rows, leat_budget *budget, leat_env *env, const leat_keys *keys, bool by_time,
                    bool finds)
{
    *rows = (leat_rows){.budget = budget, .keys = keys, .by_time = by_time, .finds = finds};
    leat_panes_init(&rows->panes, budget, sizeof(leat_rows_list));
    leat_removals_init(&rows->removals, env);
    leat_writer_init(&rows->scratch, env, SIZE_MAX);
    rows->pane = leat_panes_open(&rows->panes, 0);
    return rows->pane != NULL;
}

static void free_list(leat_rows *rows, leat_kept_row *row)
{
    for (leat_kept_row *next; row; row = next) {
        next = row->next;
        leat_budget_free(rows->budget, row, size_of(row));
    }
}

void leat_rows_fini(leat_rows *rows)
{
    leat_pane_entry *entry;
    if (!rows->budget)
        return;
    for (uint32_t slot = 0; rows->pane && (entry = leat_pane_next(&rows->panes, rows->pane, 0, &slot)); slot++)
        free_list(rows, list_of(entry)->first);
    free_list(rows, rows->spare);
    leat_row_index_fini(&rows->index, rows->budget);
    leat_panes_fini(&rows->panes);
    leat_removals_fini(&rows->removals);
    leat_writer_fini(&rows->scratch);
    *rows = (leat_rows){0};
}

// Inlined by force: gcc takes a function that only fetches for one without effect, and leaves out the call.
static inline __attribute__((always_inline)) void prefetch_first(const leat_rows *rows, uint32_t slot)
{
    const char *row = (const char *)leat_rows_first(rows, slot);
    if (!row)
        return;
    __builtin_prefetch(row, 1);
    __builtin_prefetch(row + offsetof(leat_kept_row, bytes), 1);
}

void leat_rows_prefetch(const leat_rows *rows, const uint32_t *slots, uint32_t i, uint32_t count)
{
    if (i + 2 * AHEAD < count)
        __builtin_prefetch(leat_pane_place(&rows->panes, rows->pane, slots[i + 2 * AHEAD]), 1);
    if (i + AHEAD < count)
        prefetch_first(rows, slots[i + AHEAD]);
}

// ---- lists

static bool is_before(const leat_rows *rows, const leat_kept_row *a, const leat_kept_row *b)
{
    if (rows->by_time && a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms;
    return a->number < b->number;
}

// Most rows come last; the others find their place from there.
static void link_row(const leat_rows *rows, leat_rows_list *list, leat_kept_row *row)
{
    leat_kept_row *before = list->last;
    while (before && is_before(rows, row, before))
        before = before->previous;
    row->previous = before;
    row->next = before ? before->next : list->first;
    *(row->previous ? &row->previous->next : &list->first) = row;
    *(row->next ? &row->next->previous : &list->last) = row;
}

// ---- memory of rows

static void give_row(leat_rows *rows, leat_kept_row *row)
{
    if (rows->spare_count < SPARE_MAX && (!rows->spare || rows->spare->size == row->size)) {
        row->next = rows->spare;
        rows->spare = row;
        rows->spare_count++;
        return;
    }
    rows->memory -= size_of(row);
    leat_budget_free(rows->budget, row, size_of(row));
}

static leat_kept_row *take_spare(leat_rows *rows)
{
    leat_kept_row *row = rows->spare;
    rows->spare = row->next;
    rows->spare_count--;
    return row;
}

static leat_kept_row *take_row(leat_rows *rows, size_t size)
{
    if (rows->spare && rows->spare->size == size) {
        leat_kept_row *row = take_spare(rows);
        memset(row, 0, offsetof(leat_kept_row, bytes));
        return row;
    }
    while (rows->spare) { // of another size, or what the budget needs now
        leat_kept_row *other = take_spare(rows);
        rows->memory -= size_of(other);
        leat_budget_free(rows->budget, other, size_of(other));
    }
    leat_kept_row *row = leat_budget_alloc(rows->budget, sizeof *row + size);
    if (row)
        rows->memory += sizeof *row + size;
    return row;
}

static leat_kept_row *new_row(leat_rows *rows, uint32_t slot, leat_slice bytes, leat_pane_entry **out_entry)
{
    bool is_new;
    leat_kept_row *row = take_row(rows, bytes.size);
    if (!row)
        return NULL;
    row->size = (uint32_t)bytes.size;
    memcpy(row->bytes, bytes.data, bytes.size);
    *out_entry = leat_pane_make(&rows->panes, rows->pane, slot, &is_new);
    if (*out_entry)
        return row;
    give_row(rows, row);
    return NULL;
}

// ---- rows

static void index_list(leat_rows *rows, uint32_t slot, leat_pane_entry *entry)
{
    entry->word |= INDEXED;
    for (leat_kept_row *row = list_of(entry)->first; row; row = row->next)
        leat_row_index_add(&rows->index, rows->budget, slot, row);
}

static void enter(leat_rows *rows, uint32_t slot, leat_pane_entry *entry, leat_kept_row *row)
{
    link_row(rows, list_of(entry), row);
    entry->word += ONE_ROW + (row->changed ? ONE_CHANGED : 0);
    if (entry->word & INDEXED)
        leat_row_index_add(&rows->index, rows->budget, slot, row);
    else if (rows->finds && count_in(entry) > INDEX_ABOVE)
        index_list(rows, slot, entry);
}

leat_kept_row *leat_rows_add(leat_rows *rows, uint32_t slot, int64_t time_ms, leat_slice bytes, size_t identity)
{
    leat_pane_entry *entry;
    leat_kept_row *row = new_row(rows, slot, bytes, &entry);
    if (!row)
        return NULL;
    row->time_ms = time_ms;
    row->expiry_ms = LEAT_TIME_MAX;
    row->number = rows->next_number++;
    row->identity = (uint32_t)identity;
    row->hash = leat_hash(row->bytes, identity);
    row->copies = 1;
    row->changed = true;
    enter(rows, slot, entry, row);
    return row;
}

leat_kept_row *leat_rows_find(const leat_rows *rows, uint32_t slot, leat_slice identity)
{
    uint64_t hash = leat_hash(identity.data, identity.size);
    leat_pane_entry *entry = entry_of(rows, slot);
    if (entry && entry->word & INDEXED && !rows->index.lost)
        return leat_row_index_find(&rows->index, slot, hash, identity);
    for (leat_kept_row *row = entry ? list_of(entry)->first : NULL; row; row = row->next)
        if (row->hash == hash && leat_slice_equal(leat_kept_row_identity(row), identity))
            return row;
    return NULL;
}

void leat_rows_change(leat_rows *rows, uint32_t slot, leat_kept_row *row)
{
    leat_pane_entry *entry = entry_of(rows, slot);
    entry->word += row->changed ? 0 : ONE_CHANGED;
    row->changed = true;
    leat_pane_mark(&rows->panes, rows->pane, slot, entry);
}

static leat_slice stored_key(leat_rows *rows, uint32_t slot, const leat_kept_row *row)
{
    leat_slice key = leat_keys_bytes(rows->keys, slot);
    leat_writer_reset(&rows->scratch);
    leat_write_u64be(&rows->scratch, row->number);
    leat_write_bytes(&rows->scratch, key.data, key.size);
    return leat_writer_slice(&rows->scratch);
}

void leat_rows_remove(leat_rows *rows, uint32_t slot, leat_kept_row *row)
{
    leat_pane_entry *entry = entry_of(rows, slot);
    leat_rows_list *list = list_of(entry);
    *(row->previous ? &row->previous->next : &list->first) = row->next;
    *(row->next ? &row->next->previous : &list->last) = row->previous;
    if (row->stored)
        (void)leat_removals_add(&rows->removals, leat_keys_group(rows->keys, slot), stored_key(rows, slot, row));
    if (entry->word & INDEXED)
        leat_row_index_remove(&rows->index, slot, row);
    entry->word -= ONE_ROW + (row->changed ? ONE_CHANGED : 0);
    give_row(rows, row);
    if (!list->first)
        leat_pane_erase(&rows->panes, rows->pane, slot);
}

// ---- time to live

static bool expire(leat_rows *rows, uint32_t slot, leat_kept_row *row, int64_t now_ms)
{
    bool any = row != NULL;
    for (leat_kept_row *next; row; row = next) {
        next = row->next;
        if (row->expiry_ms <= now_ms)
            leat_rows_remove(rows, slot, row);
    }
    return any && !leat_rows_any(rows, slot);
}

uint32_t leat_rows_sweep(leat_rows *rows, int64_t now_ms, uint32_t *inout_steps)
{
    while (*inout_steps) {
        uint32_t slot = rows->sweep_slot;
        leat_pane_entry *entry = leat_pane_next(&rows->panes, rows->pane, 0, &slot);
        --*inout_steps;
        rows->sweep_slot = entry ? slot + 1 : 0;
        if (!entry)
            return LEAT_SLOT_NONE;
        if (expire(rows, slot, list_of(entry)->first, now_ms))
            return slot;
    }
    return LEAT_SLOT_NONE;
}

// ---- stored

static void put_row(leat_rows *rows, leat_snapshot *snapshot, uint8_t table, uint32_t slot, const leat_kept_row *row)
{
    leat_writer *out = &rows->scratch;
    size_t key_size = stored_key(rows, slot, row).size;
    leat_write_u8(out, VERSION);
    leat_write_varint_signed(out, row->time_ms);
    leat_write_varint_signed(out, row->expiry_ms);
    leat_write_u64(out, row->cause);
    leat_write_u8(out, row->kind);
    leat_write_varint(out, row->copies);
    leat_write_varint_signed(out, row->matches);
    leat_write_varint(out, row->identity);
    leat_write_bytes(out, row->bytes, row->size);
    LEAT_ASSERT(!out->failed);
    const char *bytes = (const char *)out->bytes;
    snapshot->put(snapshot, table, leat_keys_group(rows->keys, slot), leat_slice_of(bytes, key_size),
                  leat_slice_of(bytes + key_size, out->size - key_size));
}

// The first row that has changed. They are mostly the newest: of a long list the others need not be looked at.
static leat_kept_row *first_changed(leat_pane_entry *entry)
{
    leat_kept_row *row = list_of(entry)->last;
    for (uint32_t left = changed_in(entry) - row->changed; left; left -= row->changed)
        row = row->previous;
    return row;
}

static void put_slot(leat_rows *rows, leat_snapshot *snapshot, uint8_t table, uint32_t slot, leat_pane_entry *entry)
{
    bool whole = snapshot->whole[leat_keys_group(rows->keys, slot)];
    if (!whole && !changed_in(entry))
        return;
    for (leat_kept_row *row = whole ? list_of(entry)->first : first_changed(entry); row; row = row->next) {
        if (!whole && !row->changed)
            continue;
        put_row(rows, snapshot, table, slot, row);
        if (snapshot->keep_marks)
            continue;
        entry->word -= row->changed ? ONE_CHANGED : 0;
        row->stored = true;
        row->changed = false;
    }
}

void leat_rows_snapshot(leat_rows *rows, leat_snapshot *snapshot, uint8_t table)
{
    leat_pane_entry *entry;
    uint32_t since = snapshot->any_whole || snapshot->all_whole ? 0 : rows->panes.epoch;
    leat_removals_emit(&rows->removals, snapshot, table);
    for (uint32_t slot = 0; (entry = leat_pane_next(&rows->panes, rows->pane, since, &slot)); slot++)
        put_slot(rows, snapshot, table, slot, entry);
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(&rows->panes);
}

bool leat_rows_key(leat_slice stored, uint64_t *out_number, leat_slice *out_key)
{
    leat_reader reader;
    leat_reader_init(&reader, stored.data, stored.size);
    *out_number = leat_read_u64be(&reader);
    *out_key = leat_read_bytes(&reader, leat_reader_left(&reader));
    return !reader.failed;
}

static bool read_stored(leat_slice value, leat_kept_row *head, leat_slice *out_bytes)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    bool known = leat_read_u8(&reader) == VERSION;
    head->time_ms = leat_read_varint_signed(&reader);
    head->expiry_ms = leat_read_varint_signed(&reader);
    head->cause = leat_read_u64(&reader);
    head->kind = leat_read_u8(&reader);
    head->copies = (uint32_t)leat_read_varint(&reader);
    head->matches = (int32_t)leat_read_varint_signed(&reader);
    head->identity = (uint32_t)leat_read_varint(&reader);
    *out_bytes = leat_read_bytes(&reader, leat_reader_left(&reader));
    return known && !reader.failed && head->identity <= out_bytes->size && head->kind <= LEAT_DELETE;
}

bool leat_rows_stored_bytes(leat_slice value, leat_slice *out_bytes, uint32_t *out_identity)
{
    leat_kept_row head;
    bool whole = read_stored(value, &head, out_bytes);
    *out_identity = head.identity;
    return whole;
}

leat_code leat_rows_restore(leat_rows *rows, uint32_t slot, uint64_t number, leat_slice value, leat_error *out_error)
{
    leat_pane_entry *entry;
    leat_slice bytes;
    leat_kept_row head = {.number = number, .stored = true};
    if (!read_stored(value, &head, &bytes))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row of a join, %zu bytes, is damaged", value.size);
    leat_kept_row *row = new_row(rows, slot, bytes, &entry);
    if (!row)
        return leat_error_set(out_error, LEAT_E_LIMIT, "the memory budget of %zu bytes is used up by stored rows",
                              rows->budget->limit);
    head.size = row->size;
    head.hash = leat_hash(row->bytes, head.identity);
    memcpy(row, &head, offsetof(leat_kept_row, bytes));
    enter(rows, slot, entry, row);
    if (number >= rows->next_number)
        rows->next_number = number + 1;
    return LEAT_OK;
}

void leat_rows_ready(leat_rows *rows) { leat_panes_next_epoch(&rows->panes); }

size_t leat_rows_memory(const leat_rows *rows)
{
    return rows->memory + leat_panes_memory(&rows->panes) + leat_row_index_memory(&rows->index);
}
