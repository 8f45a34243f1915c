// Top-N and deduplication within windows: rows `from` to `to` of each key and window in an order, when the window closes.
//
// The keys hold window_start and window_end. A row whose window has closed is late. No more than `to` rows of a window are kept; ties stay
// in order of arrival, or with last_wins the last one to come leads. The watermark is part of the state, as with window aggregations.
//
// Stored: table 0: rows (state/sorted.h). Table 1: timers, one a window. Table 2: per key group: key empty, value = version 1, watermark i64.
#include "operators/row_timers.h"
#include "operators/window_assign.h"

enum { TABLE_WATERMARKS = LEAT_ROW_TIMERS_TABLES, VERSION = 1 };

typedef struct window_rank {
    leat_operator base;
    const leat_window_rank_spec *spec;
    leat_row_timers rows;
    leat_assigner assigner;
    int64_t watermark, stored_watermark;
    bool watermark_unkept; // see leat_snapshot_mark_due
} window_rank;

// ---- windows close

static void send_window(window_rank *self, uint32_t slot)
{
    const leat_window_rank_spec *spec = self->spec;
    uint32_t count = leat_sorted_count(&self->rows.frame.rows, slot);
    for (int64_t rank = spec->from; rank <= spec->to && rank <= count; rank++) {
        const leat_sorted_row *row = leat_sorted_get(&self->rows.frame.rows, slot, (uint32_t)rank - 1);
        uint32_t out = leat_row_frame_send(&self->rows.frame, row, LEAT_INSERT, row->cause);
        leat_value value = {.i64 = rank};
        if (spec->rank_output)
            leat_emitter_set(&self->rows.frame.results, out, self->rows.frame.input->count, &value);
    }
    leat_sorted_clear(&self->rows.frame.rows, slot);
}

static void advance(void *owner, int64_t watermark)
{
    window_rank *self = owner;
    leat_timer_due due;
    if (watermark > self->watermark) {
        while (leat_timers_take(&self->rows.timers, watermark, &due)) {
            send_window(self, due.slot);
            leat_row_frame_idle(&self->rows.frame, due.slot);
        }
        self->watermark = watermark;
    }
    leat_emitter_watermark(&self->rows.frame.results, self->watermark);
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
    uint32_t count = leat_sorted_count(&self->rows.frame.rows, slot);
    uint32_t index = self->spec->last_wins ? leat_sorted_lower(&self->rows.frame.rows, slot, order)
                                           : leat_sorted_upper(&self->rows.frame.rows, slot, order);
    if (index >= self->spec->to)
        return false;
    if (count >= self->spec->to)
        leat_row_frame_drop(&self->rows.frame, slot, count - 1);
    return true;
}

static leat_code take(void *owner, const leat_batch *batch, uint32_t row, uint32_t slot, leat_error *out_error)
{
    window_rank *self = owner;
    int64_t due;
    uint32_t index;
    leat_slice order = leat_row_frame_order(&self->rows.frame, batch, row, self->spec->orders, self->spec->order_count);
    if (!window_due(self, batch, row, &due) || !enters(self, slot, order))
        return LEAT_OK;
    if (!leat_row_frame_keep(&self->rows.frame, batch, row, slot, order, &index) ||
        !leat_timers_set(&self->rows.timers, slot, due, NULL))
        return leat_row_frame_no_budget(&self->rows.frame, out_error);
    return LEAT_OK;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    window_rank *self = (window_rank *)base;
    const leat_row_timers_work work = {advance, take};
    leat_code code = leat_row_timers_each(&self->rows, batch, self->spec->key_columns, work, self, out_error);
    return leat_row_frame_finish(&self->rows.frame, self->watermark, code, out_error);
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    window_rank *self = (window_rank *)base;
    advance(self, watermark);
    return leat_row_frame_finish(&self->rows.frame, self->watermark, LEAT_OK, out_error);
}

// ---- state and life

static void store_watermark(window_rank *self, leat_snapshot *snapshot)
{
    if (self->watermark == LEAT_TIME_NONE)
        return;
    leat_writer_reset(&self->rows.stored);
    leat_write_u8(&self->rows.stored, VERSION);
    leat_write_u64(&self->rows.stored, (uint64_t)self->watermark);
    bool due = leat_snapshot_mark_due(snapshot, self->watermark != self->stored_watermark, &self->watermark_unkept);
    for (uint32_t group = 0; group < LEAT_KEY_GROUPS; group++)
        if (leat_operator_owns(self->base.context, group) && (snapshot->whole[group] || due))
            leat_snapshot_put_mark(snapshot, TABLE_WATERMARKS, group, leat_slice_of("", 0),
                                   leat_writer_slice(&self->rows.stored));
    if (!snapshot->keep_marks)
        self->stored_watermark = self->watermark;
}

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    window_rank *self = (window_rank *)base;
    store_watermark(self, snapshot);
    leat_row_timers_snapshot(&self->rows, snapshot);
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
    if (table == TABLE_WATERMARKS)
        return restore_watermark(self, value, out_error);
    if (table > TABLE_WATERMARKS)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "Top-N of windows has no table %u", table);
    return leat_row_timers_restore(&self->rows, table, key, value, out_error);
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)out_error;
    window_rank *self = (window_rank *)base;
    if (!restored)
        return LEAT_OK;
    self->rows.frame.results.watermark = self->rows.frame.results.watermark_sent = base->context->watermark_ms;
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
    self->assigner = (leat_assigner){.kind = LEAT_WINDOW_TUMBLE, .zone = spec->zone};
    self->watermark = self->stored_watermark = LEAT_TIME_NONE;
    return leat_row_timers_open(&self->rows, base->context, spec->key_count, spec->key_columns, 0, out_error);
}

static void close_operator(leat_operator *base) { leat_row_timers_close(&((window_rank *)base)->rows); }

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    leat_row_timers_measure(&((window_rank *)base)->rows, out_state_bytes, out_keys);
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
