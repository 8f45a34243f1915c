// Kept rows in checkpoints; the format stands in window_contents.h.
#include "operators/window_contents.h"

#include <stdlib.h>
#include <string.h>

enum { ROW_VERSION = 1, ORPHANS_MIN = 64 };

static void put_row(leat_window_store *store, leat_snapshot *snapshot, const leat_stream_window *window,
                    const leat_window_row *row)
{
    leat_keys *keys = store->frame->keys;
    leat_slice key = leat_keys_bytes(keys, window->slot);
    leat_writer *out = &store->bytes;
    leat_writer_reset(out);
    leat_write_u64be(out, row->sequence);
    leat_write_bytes(out, key.data, key.size);
    size_t at = out->size;
    leat_write_u8(out, ROW_VERSION);
    leat_write_varint(out, window->number);
    leat_write_u8(out, row->has_time);
    leat_write_varint_signed(out, row->time_ms);
    leat_write_bytes(out, row->bytes, row->size);
    LEAT_ASSERT(!out->failed);
    const char *bytes = (const char *)out->bytes;
    snapshot->put(snapshot, LEAT_WINDOW_ROWS, leat_keys_group(keys, window->slot), (leat_slice){bytes, at},
                  (leat_slice){bytes + at, out->size - at});
}

void leat_window_rows_snapshot(leat_window_store *store, leat_snapshot *snapshot, leat_stream_window *window)
{
    bool whole = snapshot->whole[leat_keys_group(store->frame->keys, window->slot)];
    for (leat_window_row *row = leat_window_contents_of(window)->first; row; row = row->next) {
        if (row->stored && !whole)
            continue;
        put_row(store, snapshot, window, row);
        row->stored |= !snapshot->keep_marks;
    }
}

static bool room_for_orphan(leat_window_store *store)
{
    if (store->orphan_count < store->orphan_room)
        return true;
    uint32_t room = store->orphan_room ? store->orphan_room * 2 : ORPHANS_MIN;
    leat_window_orphan *orphans =
        leat_budget_grow(store->budget, store->orphans, store->orphan_room * sizeof *orphans, room * sizeof *orphans);
    if (!orphans)
        return false;
    store->orphans = orphans;
    store->orphan_room = room;
    return true;
}

leat_code leat_window_rows_restore(leat_window_store *store, leat_slice key, leat_slice value, leat_error *out_error)
{
    leat_reader name, reader;
    leat_reader_init(&name, key.data, key.size);
    leat_reader_init(&reader, value.data, value.size);
    uint64_t sequence = leat_read_u64be(&name);
    uint8_t version = leat_read_u8(&reader);
    uint64_t number = leat_read_varint(&reader);
    bool has_time = leat_read_u8(&reader);
    int64_t time_ms = leat_read_varint_signed(&reader);
    if (name.failed || reader.failed || version != ROW_VERSION)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "expected a stored row of a window in version %d, found %u",
                              ROW_VERSION, version);
    leat_window_orphan orphan = {.number = number};
    size_t left = leat_reader_left(&name), size = leat_reader_left(&reader);
    leat_code code = leat_keys_slot(store->frame->keys, leat_read_bytes(&name, left), &orphan.slot, out_error);
    if (code != LEAT_OK)
        return code;
    orphan.row = room_for_orphan(store) ? leat_budget_alloc(store->budget, sizeof *orphan.row + size) : NULL;
    if (!orphan.row)
        return leat_window_frame_no_budget(store->frame, out_error);
    *orphan.row = (leat_window_row){
        .sequence = sequence, .time_ms = time_ms, .has_time = has_time, .size = (uint32_t)size, .stored = true};
    if (size)
        memcpy(orphan.row->bytes, leat_read_bytes(&reader, size).data, size);
    store->orphans[store->orphan_count++] = orphan;
    store->next_sequence = store->next_sequence <= sequence ? sequence + 1 : store->next_sequence;
    return LEAT_OK;
}

static int by_sequence(const void *a, const void *b)
{
    uint64_t left = ((const leat_window_orphan *)a)->row->sequence,
             right = ((const leat_window_orphan *)b)->row->sequence;
    return left < right ? -1 : left > right;
}

static leat_stream_window *window_of(const leat_stream_windows *windows, const leat_window_orphan *orphan)
{
    leat_stream_window *window = leat_stream_windows_first(windows, orphan->slot);
    while (window && window->number != orphan->number)
        window = window->next;
    return window;
}

leat_code leat_window_rows_settle(leat_window_store *store, leat_stream_windows *windows, leat_error *out_error)
{
    if (store->orphan_count)
        qsort(store->orphans, store->orphan_count, sizeof *store->orphans, by_sequence);
    for (uint32_t i = 0; i < store->orphan_count; i++)
        if (!window_of(windows, &store->orphans[i]))
            return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row belongs to no window");
    for (uint32_t i = 0; i < store->orphan_count; i++) {
        leat_window_row *row = store->orphans[i].row;
        leat_window_contents *contents = leat_window_contents_of(window_of(windows, &store->orphans[i]));
        store->memory += sizeof *row + row->size;
        if (contents->last)
            contents->last->next = row;
        else
            contents->first = row;
        contents->last = row;
        contents->row_count++;
    }
    store->orphan_count = 0;
    leat_budget_free(store->budget, store->orphans, store->orphan_room * sizeof *store->orphans);
    store->orphans = NULL;
    store->orphan_room = 0;
    return LEAT_OK;
}
