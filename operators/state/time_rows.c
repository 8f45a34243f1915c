#include "operators/state/time_rows.h"

#include <string.h>

enum { VERSION = 1, ROOM_MIN = 2, TRIM_ABOVE = 8, STORED_MAX = 1 << 30 };

typedef struct block_head {
    uint32_t room; // rows
    uint32_t unused;
} block_head;

void leat_time_rows_init(leat_time_rows *rows, leat_budget *budget, leat_env *env, const leat_keys *keys,
                         leat_arena *arena, const leat_schema *schema, const uint32_t *columns, uint32_t count)
{
    *rows = (leat_time_rows){.budget = budget, .keys = keys};
    leat_row_layout_init(&rows->layout, budget, env, arena, schema, columns, count);
    rows->stride = sizeof(leat_time_row) + rows->layout.size;
    leat_removals_init(&rows->removals, env);
    leat_writer_init(&rows->stored, env, STORED_MAX);
    leat_arena_init(&rows->scratch, env, 0);
}

void leat_time_rows_fini(leat_time_rows *rows)
{
    if (!rows->budget)
        return;
    leat_row_layout_fini(&rows->layout);
    leat_removals_fini(&rows->removals);
    leat_writer_fini(&rows->stored);
    leat_arena_fini(&rows->scratch);
    *rows = (leat_time_rows){0};
}

// ---- blocks

static block_head *head_of(const leat_time_run *run) { return (block_head *)run->rows - 1; }
static uint32_t room_of(const leat_time_run *run) { return run->rows ? head_of(run)->room : 0; }
static size_t block_size(const leat_time_rows *rows, uint32_t room) { return sizeof(block_head) + room * rows->stride; }

static void free_block(leat_time_rows *rows, leat_time_run *run)
{
    if (!run->rows)
        return;
    size_t size = block_size(rows, room_of(run));
    rows->memory -= size;
    leat_budget_free(rows->budget, head_of(run), size);
}

static bool move_to(leat_time_rows *rows, leat_time_run *run, uint32_t room)
{
    block_head *head = leat_budget_alloc(rows->budget, block_size(rows, room));
    if (!head)
        return false;
    head->room = room;
    if (run->count)
        memcpy(head + 1, leat_time_rows_at(rows, run, 0), run->count * rows->stride);
    free_block(rows, run);
    rows->memory += block_size(rows, room);
    run->rows = (char *)(head + 1);
    run->first = 0;
    return true;
}

// Room for one row behind the last one.
static bool make_room(leat_time_rows *rows, leat_time_run *run)
{
    uint32_t room = room_of(run);
    if (run->first + run->count < room)
        return true;
    if (!run->first || run->first < room / 2)
        return room < UINT32_MAX / 2 && move_to(rows, run, room ? room * 2 : ROOM_MIN);
    memmove(run->rows, leat_time_rows_at(rows, run, 0), run->count * rows->stride);
    run->first = 0;
    return true;
}

// ---- rows

uint32_t leat_time_rows_lower(const leat_time_rows *rows, const leat_time_run *run, int64_t time_ms)
{
    uint32_t low = 0, high = run->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (leat_time_rows_at(rows, run, middle)->time_ms < time_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t leat_time_rows_upper(const leat_time_rows *rows, const leat_time_run *run, int64_t time_ms)
{
    return time_ms == INT64_MAX ? run->count : leat_time_rows_lower(rows, run, time_ms + 1);
}

static leat_time_row *insert(leat_time_rows *rows, leat_time_run *run, uint32_t index)
{
    leat_time_row *row = leat_time_rows_at(rows, run, index);
    memmove((char *)row + rows->stride, row, (run->count - index) * rows->stride);
    run->count++;
    return row;
}

static void take_back(leat_time_rows *rows, leat_time_run *run, leat_time_row *row)
{
    char *end = (char *)leat_time_rows_at(rows, run, run->count);
    memmove(row, (char *)row + rows->stride, (size_t)(end - (char *)row) - rows->stride);
    run->count--;
}

leat_time_row *leat_time_rows_add(leat_time_rows *rows, leat_time_run *run, int64_t time_ms, const leat_batch *batch,
                                  uint32_t row)
{
    if (!make_room(rows, run))
        return NULL;
    bool last = !run->count || leat_time_rows_at(rows, run, run->count - 1)->time_ms <= time_ms;
    leat_time_row *made =
        last ? leat_time_rows_at(rows, run, run->count++) : insert(rows, run, leat_time_rows_upper(rows, run, time_ms));
    made->time_ms = time_ms;
    made->cause = batch->cause ? batch->cause[row] : 0;
    made->number = rows->next_number << LEAT_ROW_MARK_BITS | LEAT_ROW_CHANGED;
    if (leat_row_layout_store(&rows->layout, batch, row, made->cells)) {
        rows->next_number++;
        return made;
    }
    take_back(rows, run, made);
    return NULL;
}

static leat_slice stored_key(leat_time_rows *rows, uint32_t slot, const leat_time_row *row)
{
    leat_slice key = leat_keys_bytes(rows->keys, slot);
    leat_writer_reset(&rows->stored);
    leat_write_u64be(&rows->stored, row->number >> LEAT_ROW_MARK_BITS);
    leat_write_bytes(&rows->stored, key.data, key.size);
    return leat_writer_slice(&rows->stored);
}

static void drop_row(leat_time_rows *rows, leat_time_row *row, uint32_t slot)
{
    if (row->number & LEAT_ROW_STORED)
        (void)leat_removals_add(&rows->removals, leat_keys_group(rows->keys, slot), stored_key(rows, slot, row));
    if (rows->layout.owns)
        leat_row_layout_free(&rows->layout, row->cells);
}

void leat_time_rows_drop(leat_time_rows *rows, leat_time_run *run, uint32_t slot, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        drop_row(rows, leat_time_rows_at(rows, run, i), slot);
    run->count -= count;
    run->first = run->count ? run->first + count : 0;
}

void leat_time_rows_trim(leat_time_rows *rows, leat_time_run *run)
{
    if (!run->count) {
        free_block(rows, run);
        *run = (leat_time_run){0};
    } else if (room_of(run) > TRIM_ABOVE && run->count < room_of(run) / 4) {
        (void)move_to(rows, run, room_of(run) / 2); // without memory it stays as it is
    }
}

void leat_time_rows_free(leat_time_rows *rows, leat_time_run *run)
{
    for (uint32_t i = 0; i < run->count; i++)
        leat_row_layout_free(&rows->layout, leat_time_rows_at(rows, run, i)->cells);
    free_block(rows, run);
    *run = (leat_time_run){0};
}

// ---- stored

void leat_time_rows_removals(leat_time_rows *rows, leat_snapshot *snapshot, uint8_t table)
{
    leat_removals_emit(&rows->removals, snapshot, table);
}

static void put_row(leat_time_rows *rows, const leat_time_row *row, uint32_t slot, leat_snapshot *snapshot,
                    uint8_t table)
{
    leat_writer *out = &rows->stored;
    size_t key_size = stored_key(rows, slot, row).size;
    leat_write_u8(out, VERSION);
    leat_write_u8(out, row->number & LEAT_ROW_MARKS);
    leat_write_varint_signed(out, row->time_ms);
    leat_write_u64(out, row->cause);
    leat_row_layout_encode(&rows->layout, row->cells, &rows->scratch, out);
    leat_arena_reset(&rows->scratch);
    LEAT_ASSERT(!out->failed);
    const char *bytes = (const char *)out->bytes;
    snapshot->put(snapshot, table, leat_keys_group(rows->keys, slot), leat_slice_of(bytes, key_size),
                  leat_slice_of(bytes + key_size, out->size - key_size));
}

void leat_time_rows_put(leat_time_rows *rows, leat_time_run *run, uint32_t slot, leat_snapshot *snapshot, uint8_t table)
{
    bool whole = run->count && snapshot->whole[leat_keys_group(rows->keys, slot)];
    for (uint32_t i = 0; i < run->count; i++) {
        leat_time_row *row = leat_time_rows_at(rows, run, i);
        if (!whole && !(row->number & LEAT_ROW_CHANGED))
            continue;
        put_row(rows, row, slot, snapshot, table);
        if (!snapshot->keep_marks)
            row->number = (row->number | LEAT_ROW_STORED) & ~(uint64_t)LEAT_ROW_CHANGED;
    }
}

bool leat_time_rows_key(leat_slice stored, uint64_t *out_number, leat_slice *out_key)
{
    leat_reader reader;
    leat_reader_init(&reader, stored.data, stored.size);
    *out_number = leat_read_u64be(&reader);
    *out_key = leat_read_bytes(&reader, leat_reader_left(&reader));
    return !reader.failed && *out_number < UINT64_MAX >> LEAT_ROW_MARK_BITS;
}

static uint32_t place_of(const leat_time_rows *rows, const leat_time_run *run, int64_t time_ms, uint64_t number)
{
    uint32_t index = leat_time_rows_upper(rows, run, time_ms);
    while (index && leat_time_rows_at(rows, run, index - 1)->time_ms == time_ms &&
           leat_time_rows_at(rows, run, index - 1)->number >> LEAT_ROW_MARK_BITS > number)
        index--;
    return index;
}

static leat_code damaged(leat_slice value, leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row of %zu bytes is damaged", value.size);
}

leat_code leat_time_rows_restore(leat_time_rows *rows, leat_time_run *run, uint64_t number, leat_slice value,
                                 leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    bool known = leat_read_u8(&reader) == VERSION;
    uint8_t marks = leat_read_u8(&reader);
    int64_t time_ms = leat_read_varint_signed(&reader);
    uint64_t cause = leat_read_u64(&reader);
    if (!known || reader.failed || marks & ~LEAT_ROW_MARKS)
        return damaged(value, out_error);
    if (!make_room(rows, run))
        return leat_error_set(out_error, LEAT_E_LIMIT, "the memory budget of %zu bytes is used up by stored rows",
                              rows->budget->limit);
    leat_time_row *row = insert(rows, run, place_of(rows, run, time_ms, number));
    row->time_ms = time_ms;
    row->cause = cause;
    row->number = number << LEAT_ROW_MARK_BITS | marks | LEAT_ROW_STORED;
    leat_code code = leat_row_layout_decode(&rows->layout, &reader, &rows->scratch, row->cells, out_error);
    leat_arena_reset(&rows->scratch);
    if (code == LEAT_OK && leat_reader_left(&reader)) {
        leat_row_layout_free(&rows->layout, row->cells);
        code = damaged(value, out_error);
    }
    if (code != LEAT_OK)
        take_back(rows, run, row);
    if (number >= rows->next_number)
        rows->next_number = number + 1;
    return code;
}
