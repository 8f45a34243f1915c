// Top-N and deduplication within windows: rows `from` to `to` of each key and window in an order, when the window closes.
//
// The keys hold window_start and window_end. A row whose window has closed is late. No more than `to` rows of a window are kept; ties stay
// in order of arrival, or with last_wins the last one to come leads. The watermark is part of the state, as with window aggregations.
//
// Stored: table 0: rows (state/sorted.h). Table 1: timers, one a window. Table 2: per key group: key empty, value = version 1, watermark i64.
#include "operators/row_frame.h"
#include "operators/state/timer.h"
#include "operators/window_assign.h"

enum { TABLE_ROWS = 0, TABLE_TIMERS, TABLE_WATERMARKS, VERSION = 1 };

typedef struct window_rank {
    leat_operator base;
    const leat_window_rank_spec *spec;
    leat_row_frame frame;
    leat_timers timers;
    leat_assigner assigner;
    int64_t watermark, stored_watermark;
    bool watermark_unkept; // see leat_snapshot_mark_due
    leat_writer stored;
} window_rank;

// ---- windows close

static void send_window(window_rank *self, uint32_t slot)
{
    const leat_window_rank_spec *spec = self->spec;
    uint32_t count = leat_sorted_count(&self->frame.rows, slot);
    for (int64_t rank = spec->from; rank <= spec->to && rank <= count; rank++) {
        const leat_sorted_row *row = leat_sorted_get(&self->frame.rows, slot, (uint32_t)rank - 1);
        uint32_t out = leat_row_frame_send(&self->frame, row, LEAT_INSERT, row->cause);
        leat_value value = {.i64 = rank};
        if (spec->rank_output)
            leat_emitter_set(&self->frame.results, out, self->frame.input->count, &value);
    }
    leat_sorted_clear(&self->frame.rows, slot);
}

static void advance(window_rank *self, int64_t watermark)
{
    leat_timer_due due;
    if (watermark > self->watermark) {
        while (leat_timers_take(&self->timers, watermark, &due)) {
            send_window(self, due.slot);
            leat_row_frame_idle(&self->frame, due.slot);
        }
        self->watermark = watermark;
    }
    leat_emitter_watermark(&self->frame.results, self->watermark);
}

// ---- rows

static bool window_due(const window_rank *self, const leat_batch *batch, uint32_t row, int64_t *out_due)
{
    const leat_column *end = &batch->columns[self->spec->end_column];
    if (leat_column_is_null(end, row) || !leat_assigner_fits(end->i64[row])) {
        leat_drops_add(self->base.context->drops, LEAT_DROP_NULL_TIME, 1);
        return false;
    }
    *out_due = leat_assigner_due(&self->assigner, end->i64[row]);
    if (*out_due > self->watermark)
        return true;
    leat_drops_add(self->base.context->drops, LEAT_DROP_LATE, 1);
    return false;
}

// Whether the row is among the first `to` now; makes room for it.
static bool enters(window_rank *self, uint32_t slot, leat_slice order)
{
    uint32_t count = leat_sorted_count(&self->frame.rows, slot);
    uint32_t index = self->spec->last_wins ? leat_sorted_lower(&self->frame.rows, slot, order)
                                           : leat_sorted_upper(&self->frame.rows, slot, order);
    if (index >= self->spec->to)
        return false;
    if (count >= self->spec->to)
        leat_row_frame_drop(&self->frame, slot, count - 1);
    return true;
}

static leat_code add_row(window_rank *self, const leat_batch *batch, uint32_t row, uint32_t slot, leat_error *out_error)
{
    int64_t due;
    uint32_t index;
    leat_slice order = leat_row_frame_order(&self->frame, batch, row, self->spec->orders, self->spec->order_count);
    if (!window_due(self, batch, row, &due) || !enters(self, slot, order))
        return LEAT_OK;
    if (!leat_row_frame_keep(&self->frame, batch, row, slot, order, &index) ||
        !leat_timers_set(&self->timers, slot, due, NULL))
        return leat_row_frame_no_budget(&self->frame, out_error);
    return LEAT_OK;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    window_rank *self = (window_rank *)base;
    leat_code code = leat_row_frame_resolve(&self->frame, batch, self->spec->key_columns, out_error);
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        uint32_t row = leat_batch_row(batch, i), slot;
        if (batch->watermark)
            advance(self, batch->watermark[row]);
        if (!leat_row_frame_slot(&self->frame, i, &slot))
            continue;
        code = add_row(self, batch, row, slot, out_error);
        if (!leat_sorted_count(&self->frame.rows, slot))
            leat_row_frame_idle(&self->frame, slot);
    }
    advance(self, batch->watermark_after);
    return leat_row_frame_finish(&self->frame, self->watermark, code, out_error);
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    window_rank *self = (window_rank *)base;
    advance(self, watermark);
    return leat_row_frame_finish(&self->frame, self->watermark, LEAT_OK, out_error);
}

static leat_row_frame_rest rest_of(void *owner, uint32_t slot)
{
    window_rank *self = owner;
    if (leat_timers_any(&self->timers, slot))
        return LEAT_ROW_FRAME_BUSY;
    return leat_timers_release(&self->timers, slot) ? LEAT_ROW_FRAME_FREE : LEAT_ROW_FRAME_WAITS;
}

// ---- state and life

static void store_watermark(window_rank *self, leat_snapshot *snapshot)
{
    if (self->watermark == LEAT_TIME_NONE)
        return;
    leat_writer_reset(&self->stored);
    leat_write_u8(&self->stored, VERSION);
    leat_write_u64(&self->stored, (uint64_t)self->watermark);
    bool due = leat_snapshot_mark_due(snapshot, self->watermark != self->stored_watermark, &self->watermark_unkept);
    for (uint32_t group = 0; group < LEAT_KEY_GROUPS; group++)
        if (leat_operator_owns(self->base.context, group) && (snapshot->whole[group] || due))
            leat_snapshot_put_mark(snapshot, TABLE_WATERMARKS, group, leat_slice_of("", 0),
                                   leat_writer_slice(&self->stored));
    if (!snapshot->keep_marks)
        self->stored_watermark = self->watermark;
}

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    window_rank *self = (window_rank *)base;
    store_watermark(self, snapshot);
    leat_timers_snapshot(&self->timers, snapshot, TABLE_TIMERS, &self->stored);
    leat_row_frame_snapshot(&self->frame, snapshot, TABLE_ROWS);
}

// Groups may come from several instances: the least of their watermarks holds.
static leat_code restore_watermark(window_rank *self, leat_slice value, leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    bool known = leat_read_u8(&reader) == VERSION;
    int64_t watermark = (int64_t)leat_read_u64(&reader);
    if (!known || reader.failed)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored watermark of %zu bytes is damaged", value.size);
    if (self->watermark == LEAT_TIME_NONE || watermark < self->watermark)
        self->watermark = self->stored_watermark = watermark;
    return LEAT_OK;
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    window_rank *self = (window_rank *)base;
    uint32_t slot;
    if (table == TABLE_ROWS)
        return leat_row_frame_restore(&self->frame, key, value, out_error);
    if (table == TABLE_WATERMARKS)
        return restore_watermark(self, value, out_error);
    if (table != TABLE_TIMERS)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "Top-N of windows has no table %u", table);
    leat_code code = leat_keys_slot(self->frame.keys, key, &slot, out_error);
    return code == LEAT_OK ? leat_timers_restore(&self->timers, slot, value, out_error) : code;
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)out_error;
    window_rank *self = (window_rank *)base;
    if (!restored)
        return LEAT_OK;
    self->frame.results.watermark = self->frame.results.watermark_sent = base->context->watermark_ms;
    if (base->context->watermark_ms > self->watermark)
        self->watermark = base->context->watermark_ms;
    return LEAT_OK;
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    window_rank *self = (window_rank *)base;
    const leat_window_rank_spec *spec = self->spec = base->context->spec;
    LEAT_ASSERT(spec->from >= 1 && spec->to >= spec->from && (!spec->last_wins || spec->to == 1));
    LEAT_ASSERT(base->context->outputs[0]->count == base->context->inputs[0]->count + spec->rank_output);
    leat_code code = leat_row_frame_open(&self->frame, base->context, spec->key_count, spec->key_columns, 0, out_error);
    if (code != LEAT_OK)
        return code;
    self->frame.rest = rest_of;
    self->frame.owner = self;
    self->assigner = (leat_assigner){.kind = LEAT_WINDOW_TUMBLE, .zone = spec->zone};
    self->watermark = self->stored_watermark = LEAT_TIME_NONE;
    leat_writer_init(&self->stored, base->context->env, SIZE_MAX / 2);
    if (leat_timers_init(&self->timers, base->context->budget, self->frame.keys))
        return LEAT_OK;
    code = leat_row_frame_no_budget(&self->frame, out_error);
    base->ops->close(base);
    return code;
}

static void close_operator(leat_operator *base)
{
    window_rank *self = (window_rank *)base;
    leat_timers_fini(&self->timers);
    leat_writer_fini(&self->stored);
    leat_row_frame_close(&self->frame);
}

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    window_rank *self = (window_rank *)base;
    leat_row_frame_measure(&self->frame, out_state_bytes, out_keys);
    *out_state_bytes += leat_timers_memory(&self->timers);
}

const leat_operator_ops leat_operator_window_rank_ops = {
    .name = "window_rank",
    .instance_size = sizeof(window_rank),
    .open = open_operator,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .snapshot = snapshot_state,
    .restore = restore,
    .ready = ready,
    .close = close_operator,
    .measure = measure,
};
