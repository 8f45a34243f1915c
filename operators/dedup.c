// Deduplication: one row per key, the first or the last by time; output: the input's columns.
//
// Event time: the first by time is not the first to come: an earlier row that comes later replaces it by -U, +U. The last:
// a row of the same time replaces. Late rows count. insert_only: the first row waits until the watermark reaches it, goes out and is
// final: what comes later for its key is passed over, what is below the watermark is late. Its time to live begins when it is sent.
// Processing time: the first row to come is final; a last row that equals the one before changes nothing, unless state has a
// time to live. The processing-time column itself is not compared.
//
// Stored: table 0: the row kept per key (state/sorted.h), without its columns once it is final: nobody asks for them again. Table 1:
// timers of rows that wait (insert_only); a row without one has been sent, also where the other form left it.
#include "operators/row_timers.h"

#define NO_TIME_TO_LIVE ((uint64_t)INT64_MAX) // of a row that waits: it does not run out

typedef struct dedup {
    leat_operator base;
    const leat_dedup_spec *spec;
    leat_row_timers rows;
    int64_t watermark;
} dedup;

static bool time_of(const dedup *self, const leat_batch *batch, uint32_t row, int64_t *out_time)
{
    int32_t column = self->spec->time_column;
    const int64_t *times = column < 0 ? batch->event_ms : batch->columns[column].i64;
    *out_time = self->base.context->now_ms;
    if (self->spec->processing_time)
        return true;
    bool is_null =
        !times || (column >= 0 && leat_column_is_null(&batch->columns[column], row)) || times[row] == LEAT_TIME_NONE;
    if (is_null)
        leat_drops_add(self->base.context->drops, LEAT_DROP_NULL_TIME, 1);
    else
        *out_time = times[row];
    return !is_null;
}

static int64_t kept_time(const leat_sorted_row *row)
{
    leat_reader reader;
    leat_reader_init(&reader, row->bytes, row->order_size);
    return (int64_t)leat_read_u64be(&reader);
}

static leat_slice order_of(dedup *self, int64_t time)
{
    leat_writer_reset(&self->rows.frame.order);
    leat_write_u64be(&self->rows.frame.order, (uint64_t)time);
    return leat_writer_slice(&self->rows.frame.order);
}

static leat_sorted_row *keep(dedup *self, const leat_batch *batch, uint32_t row, uint32_t slot, int64_t time)
{
    uint32_t index;
    return leat_row_frame_keep(&self->rows.frame, batch, row, slot, order_of(self, time), &index);
}

// That a key had its row, and since when.
static leat_sorted_row *keep_bare(dedup *self, uint32_t slot, leat_slice order)
{
    uint32_t index;
    leat_sorted_row *bare =
        leat_sorted_insert(&self->rows.frame.rows, slot, order, leat_slice_of(order.data, 0), &index);
    if (bare)
        bare->word = (uint64_t)self->base.context->now_ms;
    leat_row_frame_wake(&self->rows.frame);
    return bare;
}

// ---- changes

static bool equal_rows(dedup *self, const leat_sorted_row *kept, const leat_batch *batch, uint32_t row)
{
    const leat_value *values = leat_row_frame_decode(&self->rows.frame, leat_sorted_bytes(kept));
    for (uint32_t i = 0; i < self->rows.frame.input->count; i++) {
        leat_value value = leat_column_value(&batch->columns[i], row);
        if ((int32_t)i != self->rows.frame.input->proctime &&
            !leat_value_equal(self->rows.frame.input->fields[i].type, &value, &values[i]))
            return false;
    }
    return true;
}

static bool replaces(dedup *self, const leat_sorted_row *kept, const leat_batch *batch, uint32_t row, int64_t time)
{
    if (!kept->size) // final
        return false;
    if (self->spec->processing_time)
        return (self->spec->state_ttl_ms || !equal_rows(self, kept, batch, row));
    return self->spec->keep_last ? kept_time(kept) <= time : time < kept_time(kept);
}

static void send(dedup *self, const leat_sorted_row *row, leat_row_kind kind, uint64_t cause)
{
    if (kind != LEAT_UPDATE_BEFORE || self->spec->emit_before)
        leat_row_frame_send(&self->rows.frame, row, kind, leat_cause_derive(cause, kind));
}

static leat_code change(dedup *self, const leat_batch *batch, uint32_t row, uint32_t slot, int64_t time,
                        leat_error *out_error)
{
    bool is_first = !leat_sorted_count(&self->rows.frame.rows, slot);
    uint64_t cause = leat_row_frame_cause(batch, row);
    leat_sorted_row *old = is_first ? NULL : leat_sorted_get(&self->rows.frame.rows, slot, 0);
    if (old && !replaces(self, old, batch, row, time))
        return LEAT_OK;
    if (old) {
        old = leat_sorted_remove(&self->rows.frame.rows, slot, 0);
        send(self, old, LEAT_UPDATE_BEFORE, cause);
        leat_sorted_free(&self->rows.frame.rows, old);
    }
    leat_sorted_row *kept = keep(self, batch, row, slot, time);
    if (!kept)
        return leat_row_frame_no_budget(&self->rows.frame, out_error);
    send(self, kept, is_first ? LEAT_INSERT : LEAT_UPDATE_AFTER, cause);
    return LEAT_OK;
}

// ---- the first row, which is final

static leat_code first_to_come(dedup *self, const leat_batch *batch, uint32_t row, uint32_t slot, int64_t time,
                               leat_error *out_error)
{
    uint64_t cause = leat_row_frame_cause(batch, row);
    if (leat_sorted_count(&self->rows.frame.rows, slot))
        return LEAT_OK;
    if (!keep_bare(self, slot, order_of(self, time)))
        return leat_row_frame_no_budget(&self->rows.frame, out_error);
    leat_row_frame_pass(&self->rows.frame, batch, row, LEAT_INSERT, leat_cause_derive(cause, LEAT_INSERT));
    return LEAT_OK;
}

static leat_code wait(dedup *self, const leat_batch *batch, uint32_t row, uint32_t slot, int64_t time,
                      leat_error *out_error)
{
    bool waits = leat_timers_any(&self->rows.timers, slot), any = leat_sorted_count(&self->rows.frame.rows, slot) > 0;
    if (time < self->watermark) {
        leat_drops_add(self->base.context->drops, LEAT_DROP_LATE, 1);
        return LEAT_OK;
    }
    if (any && (!waits || kept_time(leat_sorted_get(&self->rows.frame.rows, slot, 0)) <= time))
        return LEAT_OK;
    if (any) {
        leat_timers_clear_all(&self->rows.timers, slot);
        leat_row_frame_drop(&self->rows.frame, slot, 0);
    }
    leat_sorted_row *kept = keep(self, batch, row, slot, time);
    if (!kept || !leat_timers_set(&self->rows.timers, slot, time, NULL))
        return leat_row_frame_no_budget(&self->rows.frame, out_error);
    kept->word = NO_TIME_TO_LIVE;
    return LEAT_OK;
}

static void send_final(dedup *self, uint32_t slot)
{
    leat_row_frame *frame = &self->rows.frame;
    leat_sorted_row *row = leat_sorted_get(&frame->rows, slot, 0);
    if (!row->size) // sent already, in a damaged store
        return;
    leat_row_frame_send(frame, row, LEAT_INSERT, row->cause);
    if (keep_bare(self, slot, leat_sorted_order(row))) {
        leat_row_frame_drop(frame, slot, 0);
        return;
    }
    row->word = (uint64_t)self->base.context->now_ms; // no room for less: the whole row says the same
    leat_sorted_touch(&frame->rows, row);
}

static void advance(void *owner, int64_t watermark)
{
    dedup *self = owner;
    leat_timer_due due;
    if (watermark <= self->watermark)
        return;
    while (leat_timers_take(&self->rows.timers, watermark, &due))
        if (leat_sorted_count(&self->rows.frame.rows, due.slot))
            send_final(self, due.slot);
        else
            leat_row_frame_idle(&self->rows.frame, due.slot); // a damaged store
    self->watermark = watermark;
    leat_emitter_watermark(&self->rows.frame.results, watermark);
}

// ---- elements

static leat_code take(void *owner, const leat_batch *batch, uint32_t row, uint32_t slot, leat_error *out_error)
{
    dedup *self = owner;
    int64_t time;
    if (leat_batch_kind(batch, row) == LEAT_UPDATE_BEFORE || leat_batch_kind(batch, row) == LEAT_DELETE)
        return LEAT_OK; // the planner gives inserts only
    leat_row_frame_expire(&self->rows.frame, slot);
    if (!time_of(self, batch, row, &time))
        return LEAT_OK;
    if (self->spec->processing_time && !self->spec->keep_last)
        return first_to_come(self, batch, row, slot, time, out_error);
    bool left = leat_timers_due(&self->rows.timers, INT64_MAX) && leat_timers_any(&self->rows.timers, slot);
    bool waits = self->spec->insert_only || left; // by the form that waits, before the plan was changed
    return waits ? wait(self, batch, row, slot, time, out_error) : change(self, batch, row, slot, time, out_error);
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    dedup *self = (dedup *)base;
    const leat_row_timers_work work = {advance, take};
    leat_code code = leat_row_timers_each(&self->rows, batch, self->spec->key_columns, work, self, out_error);
    return leat_row_frame_finish(&self->rows.frame, batch->watermark_after, code, out_error);
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    dedup *self = (dedup *)base;
    advance(self, watermark);
    return leat_row_frame_finish(&self->rows.frame, watermark, LEAT_OK, out_error);
}

static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    dedup *self = (dedup *)base;
    leat_row_frame_sweep(&self->rows.frame);
    return leat_row_frame_finish(&self->rows.frame, LEAT_TIME_NONE, LEAT_OK, out_error);
}

// ---- state and life

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    leat_row_timers_snapshot(&((dedup *)base)->rows, snapshot);
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    if (table >= LEAT_ROW_TIMERS_TABLES)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "deduplication has no table %u", table);
    return leat_row_timers_restore(&((dedup *)base)->rows, table, key, value, out_error);
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)out_error;
    dedup *self = (dedup *)base;
    if (restored)
        self->watermark = self->rows.frame.results.watermark = self->rows.frame.results.watermark_sent =
            base->context->watermark_ms;
    if (self->rows.frame.rows.count)
        leat_row_frame_wake(&self->rows.frame);
    return LEAT_OK;
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    dedup *self = (dedup *)base;
    const leat_dedup_spec *spec = self->spec = base->context->spec;
    LEAT_ASSERT(base->context->outputs[0]->count == base->context->inputs[0]->count);
    self->watermark = LEAT_TIME_NONE;
    leat_code code = leat_row_timers_open(&self->rows, base->context, spec->key_count, spec->key_columns,
                                          spec->state_ttl_ms, out_error);
    self->rows.frame.bare_rows = true;
    return code;
}

static void close_operator(leat_operator *base) { leat_row_timers_close(&((dedup *)base)->rows); }

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    leat_row_timers_measure(&((dedup *)base)->rows, out_state_bytes, out_keys);
}

const leat_operator_ops leat_operator_dedup_ops = {
    .name = "dedup",
    .instance_size = sizeof(dedup),
    .open = open_operator,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .on_time = on_time,
    .snapshot = snapshot_state,
    .restore = restore,
    .ready = ready,
    .close = close_operator,
    .measure = measure,
};
