#include "operators/state/held.h"

#include <string.h>

enum { VERSION = 1, HEAP_MIN = 16 };

bool leat_held_init(leat_held *held, leat_budget *budget, leat_env *env, const leat_keys *keys)
{
    *held = (leat_held){.budget = budget, .keys = keys, .epoch = 1};
    leat_panes_init(&held->panes, budget, 0);
    leat_removals_init(&held->removals, env);
    leat_writer_init(&held->scratch, env, SIZE_MAX / 2);
    held->pane = leat_panes_open(&held->panes, 0);
    return held->pane != NULL;
}

static size_t row_size(const leat_held_row *row) { return sizeof *row + row->size; }

void leat_held_free(leat_held *held, leat_held_row *row)
{
    held->memory -= row_size(row);
    leat_budget_free(held->budget, row, row_size(row));
}

void leat_held_fini(leat_held *held)
{
    for (uint32_t i = 0; i < held->count; i++)
        leat_held_free(held, held->heap[i]);
    if (held->budget) {
        leat_budget_free(held->budget, held->heap, held->capacity * sizeof *held->heap);
        leat_panes_fini(&held->panes);
        leat_removals_fini(&held->removals);
        leat_writer_fini(&held->scratch);
    }
    *held = (leat_held){0};
}

static bool before(const leat_held_row *a, const leat_held_row *b)
{
    return a->time_ms != b->time_ms ? a->time_ms < b->time_ms : a->sequence < b->sequence;
}

static void sift_up(leat_held *held, uint32_t place)
{
    leat_held_row *row = held->heap[place];
    for (; place && before(row, held->heap[(place - 1) / 2]); place = (place - 1) / 2)
        held->heap[place] = held->heap[(place - 1) / 2];
    held->heap[place] = row;
}

static void sift_down(leat_held *held)
{
    leat_held_row *row = held->heap[0];
    uint32_t place = 0, child;
    while ((child = place * 2 + 1) < held->count) {
        if (child + 1 < held->count && before(held->heap[child + 1], held->heap[child]))
            child++;
        if (!before(held->heap[child], row))
            break;
        held->heap[place] = held->heap[child];
        place = child;
    }
    held->heap[place] = row;
}

static bool room(leat_held *held)
{
    if (held->count < held->capacity)
        return true;
    uint32_t capacity = held->capacity ? held->capacity * 2 : HEAP_MIN;
    void *heap =
        leat_budget_grow(held->budget, held->heap, held->capacity * sizeof *held->heap, capacity * sizeof *held->heap);
    if (!heap)
        return false;
    held->heap = heap;
    held->capacity = capacity;
    return true;
}

static leat_held_row *add(leat_held *held, uint32_t slot, leat_slice bytes)
{
    bool is_new;
    leat_held_row *row = room(held) ? leat_budget_alloc(held->budget, sizeof *row + bytes.size) : NULL;
    leat_pane_entry *entry = row ? leat_pane_make(&held->panes, held->pane, slot, &is_new) : NULL;
    if (!entry) {
        leat_budget_free(held->budget, row, sizeof *row + bytes.size);
        return NULL;
    }
    entry->word++;
    row->slot = slot;
    row->size = (uint32_t)bytes.size;
    memcpy(row->bytes, bytes.data, bytes.size);
    held->memory += row_size(row);
    return row;
}

static void push(leat_held *held, leat_held_row *row)
{
    held->heap[held->count] = row;
    sift_up(held, held->count++);
}

bool leat_held_add(leat_held *held, uint32_t input, uint32_t slot, int64_t time_ms, leat_row_kind kind, uint64_t cause,
                   leat_slice bytes)
{
    leat_held_row *row = add(held, slot, bytes);
    if (!row)
        return false;
    row->time_ms = time_ms;
    row->input = input;
    row->kind = (uint8_t)kind;
    row->cause = cause;
    row->sequence = held->next_sequence++;
    row->epoch = held->epoch;
    push(held, row);
    return true;
}

static leat_slice stored_key(leat_held *held, const leat_held_row *row)
{
    leat_slice key = leat_keys_bytes(held->keys, row->slot);
    leat_writer_reset(&held->scratch);
    leat_write_u64be(&held->scratch, row->sequence);
    leat_write_bytes(&held->scratch, key.data, key.size);
    return leat_writer_slice(&held->scratch);
}

leat_held_row *leat_held_take(leat_held *held, int64_t until_ms)
{
    if (!leat_held_due(held, until_ms))
        return NULL;
    leat_held_row *row = held->heap[0];
    held->heap[0] = held->heap[--held->count];
    if (held->count)
        sift_down(held);
    leat_pane_entry *entry = leat_pane_place(&held->panes, held->pane, row->slot);
    if (--entry->word == 0)
        leat_pane_erase(&held->panes, held->pane, row->slot);
    if (row->stored)
        (void)leat_removals_add(&held->removals, leat_keys_group(held->keys, row->slot), stored_key(held, row));
    return row;
}

bool leat_held_any(const leat_held *held, uint32_t slot)
{
    return leat_pane_find(&held->panes, held->pane, slot) != NULL;
}

static void put_row(leat_held *held, leat_snapshot *snapshot, uint8_t table, uint32_t group, const leat_held_row *row)
{
    leat_writer *writer = &held->scratch;
    size_t key_size = stored_key(held, row).size;
    leat_write_u8(writer, VERSION);
    leat_write_varint(writer, row->input);
    leat_write_varint_signed(writer, row->time_ms);
    leat_write_u8(writer, row->kind);
    leat_write_u64(writer, row->cause);
    leat_write_bytes(writer, row->bytes, row->size);
    LEAT_ASSERT(!writer->failed);
    const char *bytes = (const char *)writer->bytes;
    snapshot->put(snapshot, table, group, leat_slice_of(bytes, key_size),
                  leat_slice_of(bytes + key_size, writer->size - key_size));
}

void leat_held_snapshot(leat_held *held, leat_snapshot *snapshot, uint8_t table)
{
    leat_removals_emit(&held->removals, snapshot, table);
    for (uint32_t i = 0; i < held->count; i++) {
        leat_held_row *row = held->heap[i];
        uint32_t group = leat_keys_group(held->keys, row->slot);
        if (!snapshot->whole[group] && row->epoch < held->epoch)
            continue;
        put_row(held, snapshot, table, group, row);
        if (!snapshot->keep_marks)
            row->stored = true;
    }
    if (!snapshot->keep_marks)
        held->epoch++;
}

bool leat_held_key(leat_slice stored, uint64_t *out_sequence, leat_slice *out_key)
{
    leat_reader reader;
    leat_reader_init(&reader, stored.data, stored.size);
    *out_sequence = leat_read_u64be(&reader);
    *out_key = leat_read_bytes(&reader, leat_reader_left(&reader));
    return !reader.failed;
}

static bool read_stored(leat_slice value, leat_held_row *out_head, leat_slice *out_bytes)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    bool known = leat_read_u8(&reader) == VERSION;
    *out_head = (leat_held_row){.input = (uint32_t)leat_read_varint(&reader)};
    out_head->time_ms = leat_read_varint_signed(&reader);
    out_head->kind = leat_read_u8(&reader);
    out_head->cause = leat_read_u64(&reader);
    *out_bytes = leat_read_bytes(&reader, leat_reader_left(&reader));
    return known && !reader.failed && out_head->kind <= LEAT_DELETE;
}

bool leat_held_stored_bytes(leat_slice value, leat_slice *out_bytes)
{
    leat_held_row head;
    return read_stored(value, &head, out_bytes);
}

leat_code leat_held_restore(leat_held *held, uint32_t slot, uint64_t sequence, leat_slice value, leat_error *out_error)
{
    leat_held_row head;
    leat_slice bytes;
    if (!read_stored(value, &head, &bytes))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row of %zu bytes is damaged", value.size);
    leat_held_row *row = add(held, slot, bytes);
    if (!row)
        return leat_error_set(out_error, LEAT_E_LIMIT, "the memory budget of %zu bytes is used up by stored rows",
                              held->budget->limit);
    row->time_ms = head.time_ms;
    row->input = head.input;
    row->kind = head.kind;
    row->cause = head.cause;
    row->sequence = sequence;
    row->stored = true;
    if (sequence >= held->next_sequence)
        held->next_sequence = sequence + 1;
    push(held, row);
    return LEAT_OK;
}
