// Checkpoints of window_stream.
//
// Stored: table 0: key = key bytes; value = version 1, rows seen varint, count varint, then per window, ascending by start, end:
//   start i64, end i64, last instant i64, origin u64, firings varint, number varint, rows since the last firing varint,
//   u8 bits (1: the next firing is known, 2: it holds something, 4: a result was sent, 8: there is a mark), the next firing i64,
//   three timers (end, firing, cleanup), each u8 (0: none, 1: event time, 2: processing time) and, when set, its time i64;
//   the last result sent, sized, when there is one; the mark (window_delta.c), sized, when there is one; without an evictor the accumulator.
// A key without windows and rows seen is removed. Table 1: rows that windows hold (window_contents.h).
// Table 15: the watermark, where it is kept (window_frame.h).
#include "operators/window_stream.h"

#include <string.h>

enum { TABLE_WINDOWS = 0, VERSION = 1, BIT_FIRE = 1, BIT_FILLED = 2, BIT_RESULT = 4, BIT_MARK = 8 };

static bool has_accumulator(const window_stream *self)
{
    return window_stream_spec(self)->evictor == LEAT_EVICTOR_NONE;
}

// ---- out

static void write_timer(leat_writer *out, const leat_window_timer *timer)
{
    leat_write_u8(out, timer->set ? (uint8_t)(timer->clock + 1) : 0);
    if (timer->set)
        leat_write_u64(out, (uint64_t)timer->due_ms);
}

static void write_window(window_stream *self, leat_stream_window *window, leat_writer *out)
{
    const leat_window_contents *contents = leat_window_contents_of(window);
    leat_write_u64(out, (uint64_t)window->start);
    leat_write_u64(out, (uint64_t)window->end);
    leat_write_u64(out, (uint64_t)window->max_ms);
    leat_write_u64(out, window->origin);
    leat_write_varint(out, window->firings);
    leat_write_varint(out, window->number);
    leat_write_varint(out, window->count);
    leat_write_u8(out, (uint8_t)((window->has_fire ? BIT_FIRE : 0) | (window->filled ? BIT_FILLED : 0) |
                                 (contents->result ? BIT_RESULT : 0) | (contents->mark ? BIT_MARK : 0)));
    leat_write_u64(out, (uint64_t)window->fire_ms);
    write_timer(out, &window->at_end);
    write_timer(out, &window->at_fire);
    write_timer(out, &window->at_cleanup);
    if (contents->result)
        leat_write_sized(out, contents->result, contents->result_size);
    if (contents->mark)
        leat_write_sized(out, contents->mark, contents->mark_size);
    if (has_accumulator(self))
        leat_accumulators_encode(self->frame.set, leat_window_accumulator(window), out);
}

static void store_windows(window_stream *self, leat_snapshot *snapshot, uint32_t slot, const leat_stream_slot *state)
{
    leat_keys *keys = self->frame.keys;
    leat_writer *out = &self->frame.stored;
    uint64_t count = 0;
    for (const leat_stream_window *window = state->first; window; window = window->next)
        count++;
    leat_writer_reset(out);
    leat_write_u8(out, VERSION);
    leat_write_varint(out, state->rows);
    leat_write_varint(out, count);
    for (leat_stream_window *window = state->first; window; window = window->next)
        write_window(self, window, out);
    LEAT_ASSERT(!out->failed);
    snapshot->put(snapshot, TABLE_WINDOWS, leat_keys_group(keys, slot), leat_keys_bytes(keys, slot),
                  leat_writer_slice(out));
    if (!has_accumulator(self))
        for (leat_stream_window *window = state->first; window; window = window->next)
            leat_window_rows_snapshot(&self->store, snapshot, window);
}

static void store_slot(window_stream *self, leat_snapshot *snapshot, uint32_t slot, leat_pane_entry *entry)
{
    leat_keys *keys = self->frame.keys;
    uint32_t group = leat_keys_group(keys, slot);
    bool whole = snapshot->whole[group];
    if (entry->state == LEAT_PANE_LIVE) {
        if (!whole && entry->epoch != self->windows.tables.epoch)
            return;
        store_windows(self, snapshot, slot, leat_pane_payload(entry));
        entry->stored |= !snapshot->keep_marks;
        return;
    }
    if (!whole)
        snapshot->remove(snapshot, TABLE_WINDOWS, group, leat_keys_bytes(keys, slot));
    if (snapshot->keep_marks)
        return;
    leat_pane_erase(&self->windows.tables, self->windows.table, slot);
    leat_keys_release(keys, slot);
}

void window_stream_snapshot(leat_operator *base, leat_snapshot *snapshot)
{
    window_stream *self = (window_stream *)base;
    leat_stream_windows *windows = &self->windows;
    uint32_t since = snapshot->any_whole || snapshot->all_whole ? 0 : windows->tables.epoch;
    leat_pane_entry *entry;
    leat_removals_emit(&self->store.removals, snapshot, LEAT_WINDOW_ROWS);
    for (uint32_t slot = 0; (entry = leat_pane_next(&windows->tables, windows->table, since, &slot)); slot++)
        store_slot(self, snapshot, slot, entry);
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(&windows->tables);
    if (self->frame.spec->keep_watermark)
        leat_window_frame_snapshot(&self->frame, snapshot);
}

// ---- in

static leat_window_timer read_timer(leat_reader *value)
{
    uint8_t kind = leat_read_u8(value);
    if (kind > LEAT_WINDOW_CLOCKS)
        value->failed = true;
    if (!kind || value->failed)
        return (leat_window_timer){0};
    return (leat_window_timer){.due_ms = (int64_t)leat_read_u64(value), .set = true, .clock = (uint8_t)(kind - 1)};
}

static bool read_result(window_stream *self, leat_stream_window *window, leat_reader *value)
{
    leat_window_contents *contents = leat_window_contents_of(window);
    leat_slice result = leat_read_sized(value);
    if (value->failed || !result.size)
        return false;
    contents->result = leat_budget_alloc(self->base.context->budget, result.size);
    if (!contents->result)
        return false;
    memcpy(contents->result, result.data, result.size);
    contents->result_size = (uint32_t)result.size;
    return true;
}

static bool read_mark(window_stream *self, leat_stream_window *window, leat_reader *value)
{
    leat_slice mark = leat_read_sized(value);
    return !value->failed && mark.size && leat_window_mark_set(&self->store, window, mark);
}

static leat_code damaged(leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored window is damaged");
}

static leat_code read_window(window_stream *self, uint32_t slot, leat_reader *value, leat_error *out_error)
{
    int64_t start = (int64_t)leat_read_u64(value), end = (int64_t)leat_read_u64(value);
    if (value->failed)
        return damaged(out_error);
    leat_stream_window *window = leat_stream_windows_make(&self->windows, slot, start, end);
    if (!window)
        return window_stream_no_budget(self, out_error);
    leat_window_contents_begin(&self->store, window);
    window->max_ms = (int64_t)leat_read_u64(value);
    window->origin = leat_read_u64(value);
    window->firings = leat_read_varint(value);
    window->number = leat_read_varint(value);
    window->count = leat_read_varint(value);
    uint8_t bits = leat_read_u8(value);
    window->has_fire = bits & BIT_FIRE;
    window->filled = bits & BIT_FILLED;
    window->fire_ms = (int64_t)leat_read_u64(value);
    window->at_end = read_timer(value);
    window->at_fire = read_timer(value);
    window->at_cleanup = read_timer(value);
    if (value->failed || ((bits & BIT_RESULT) && !read_result(self, window, value)) ||
        ((bits & BIT_MARK) && !read_mark(self, window, value)))
        return damaged(out_error);
    if (self->windows.next_number <= window->number)
        self->windows.next_number = window->number + 1;
    leat_stream_windows_timed(&self->windows, window);
    if (!has_accumulator(self))
        return LEAT_OK;
    return leat_accumulators_decode(self->frame.set, leat_window_accumulator(window), value, self->base.context->budget,
                                    out_error);
}

static leat_code restore_windows(window_stream *self, leat_slice key, leat_slice value, leat_error *out_error)
{
    leat_reader reader;
    uint32_t slot;
    leat_reader_init(&reader, value.data, value.size);
    uint8_t version = leat_read_u8(&reader);
    uint64_t rows = leat_read_varint(&reader), count = leat_read_varint(&reader);
    if (reader.failed || version != VERSION)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "expected stored windows in version %d, found version %u",
                              VERSION, version);
    leat_code code = leat_keys_slot(self->frame.keys, key, &slot, out_error);
    leat_stream_slot *state = code == LEAT_OK ? leat_stream_windows_slot(&self->windows, slot) : NULL;
    if (code == LEAT_OK && !state)
        return window_stream_no_budget(self, out_error);
    for (uint64_t i = 0; i < count && code == LEAT_OK; i++)
        code = read_window(self, slot, &reader, out_error);
    if (code != LEAT_OK)
        return code;
    leat_pane_entry *entry = leat_pane_find(&self->windows.tables, self->windows.table, slot);
    ((leat_stream_slot *)leat_pane_payload(entry))->rows = rows;
    entry->stored = true;
    return reader.failed ? damaged(out_error) : LEAT_OK;
}

leat_code window_stream_restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                                leat_error *out_error)
{
    window_stream *self = (window_stream *)base;
    if (table == LEAT_WINDOW_MARKS)
        return leat_window_frame_restore(&self->frame, group, value, out_error);
    if (table == TABLE_WINDOWS)
        return restore_windows(self, key, value, out_error);
    if (table == LEAT_WINDOW_ROWS && !has_accumulator(self))
        return leat_window_rows_restore(&self->store, key, value, out_error);
    return leat_error_set(out_error, LEAT_E_CORRUPT, "windows have no stored table %u", table);
}

leat_code window_stream_ready(leat_operator *base, bool restored, leat_error *out_error)
{
    window_stream *self = (window_stream *)base;
    leat_code code = leat_window_rows_settle(&self->store, &self->windows, out_error);
    leat_panes_next_epoch(&self->windows.tables); // what was restored has not changed
    leat_window_frame_ready(&self->frame, restored);
    int64_t due_ms = leat_stream_windows_due(&self->windows, LEAT_WINDOW_PROCESSING);
    if (due_ms != LEAT_TIME_MAX)
        base->context->wake_at(base->context, self->wake_ms = due_ms);
    return code;
}
