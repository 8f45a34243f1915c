// A reference table that is read again whenever it changes: readings of the whole in, differences by key out.
//
// Input: the rows of one reading, new rows each, and behind them a row without values: -D, it was read whole, or -U, it is not to be
// used. The reading becomes the table at once, behind its last row: -D of keys that are gone, +U of rows with other values, +I of new
// keys; rows that are as they were give nothing. Of rows with one key the last counts. A reading that is not to be used changes nothing.
// Until the first one is whole no watermark passes, so that who reads the table knows by the watermark that it is there.
//
// A reading that was begun is not stored: its source begins it anew after a restart. Causes derive from those of the rows read, of
// deletions from the last row's and the row that goes.
// Stored: table 0: rows (state/sorted.h). Table 1, not keyed, key "r": u8 version 1; there once a reading was whole.
#include <string.h>

#include "operators/base/hash.h"
#include "operators/row_frame.h"

enum { TABLE_ROWS = 0, TABLE_READY = 1, READY_VERSION = 1 };

typedef struct table {
    leat_operator base;
    const leat_table_spec *spec;
    leat_row_frame frame; // the table as it is
    leat_sorted reading;  // the next one; a row's word: size of what is compared
    leat_writer compared;
    bool ready, ready_stored;
    int64_t held_ms; // watermark that waits for the first reading
} table;

// ---- a reading

static leat_slice encode_compared(table *self, const leat_batch *batch, uint32_t row)
{
    const leat_schema *input = self->frame.input;
    leat_writer_reset(&self->compared);
    for (uint32_t c = 0; c < self->spec->compared; c++) {
        leat_value value = leat_column_value(&batch->columns[c], row);
        leat_value_encode(input->fields[c].type, &value, &self->compared);
    }
    return leat_writer_slice(&self->compared);
}

static leat_code take_row(table *self, const leat_batch *batch, uint32_t row, uint32_t slot, leat_error *out_error)
{
    uint32_t index;
    size_t compared = encode_compared(self, batch, row).size;
    leat_slice bytes = leat_row_frame_encode(&self->frame, batch, row);
    leat_sorted_clear(&self->reading, slot);
    bool whole = !self->frame.encoded.failed && !self->compared.failed;
    leat_sorted_row *kept = whole ? leat_sorted_insert(&self->reading, slot, (leat_slice){0}, bytes, &index) : NULL;
    if (!kept)
        return leat_row_frame_no_budget(&self->frame, out_error);
    kept->time_ms = leat_row_frame_time(batch, row);
    kept->cause = leat_row_frame_cause(batch, row);
    kept->word = compared;
    return LEAT_OK;
}

static leat_sorted_row *first_of(const leat_sorted *rows, uint32_t slot)
{
    return leat_sorted_count(rows, slot) ? leat_sorted_get(rows, slot, 0) : NULL;
}

static bool is_same(const leat_sorted_row *old, const leat_sorted_row *read)
{
    leat_slice before = leat_sorted_bytes(old), now = leat_sorted_bytes(read);
    return before.size >= read->word && memcmp(before.data, now.data, read->word) == 0;
}

static void forget_reading(table *self)
{
    for (uint32_t slot = 0; leat_pane_next(&self->reading.panes, self->reading.pane, 0, &slot); slot++) {
        leat_sorted_clear(&self->reading, slot);
        leat_row_frame_idle(&self->frame, slot);
    }
}

// ---- the difference

// A row that goes does so when the reading ends, where the time of its version is that of reading.
static void send_gone(table *self, const leat_sorted_row *old, int64_t event_ms, uint64_t cause)
{
    const leat_schema *schema = self->frame.input;
    leat_slice bytes = leat_sorted_bytes(old);
    uint64_t own = leat_cause_derive(cause, leat_hash(bytes.data, bytes.size));
    uint32_t row = leat_row_frame_send(&self->frame, old, LEAT_DELETE, own);
    if (schema->rowtime < (int32_t)self->spec->compared || event_ms == LEAT_TIME_NONE)
        return;
    leat_value time = leat_value_null();
    time.is_null = false;
    time.i64 = event_ms;
    leat_emitter_set(&self->frame.results, row, (uint32_t)schema->rowtime, &time);
}

static void remove_gone(table *self, int64_t event_ms, uint64_t cause)
{
    leat_sorted *rows = &self->frame.rows;
    for (uint32_t slot = 0; leat_pane_next(&rows->panes, rows->pane, 0, &slot); slot++) {
        const leat_sorted_row *old = first_of(rows, slot);
        if (!old || leat_sorted_count(&self->reading, slot))
            continue;
        send_gone(self, old, event_ms, cause);
        leat_row_frame_drop(&self->frame, slot, 0);
        leat_row_frame_idle(&self->frame, slot);
    }
}

static leat_code put_row(table *self, uint32_t slot, const leat_sorted_row *read, leat_error *out_error)
{
    uint32_t index;
    const leat_sorted_row *old = first_of(&self->frame.rows, slot);
    if (old && is_same(old, read))
        return LEAT_OK;
    leat_row_kind kind = old ? LEAT_UPDATE_AFTER : LEAT_INSERT;
    if (old)
        leat_row_frame_drop(&self->frame, slot, 0);
    leat_sorted_row *kept =
        leat_sorted_insert(&self->frame.rows, slot, (leat_slice){0}, leat_sorted_bytes(read), &index);
    if (!kept)
        return leat_row_frame_no_budget(&self->frame, out_error);
    kept->time_ms = read->time_ms;
    kept->cause = read->cause;
    leat_row_frame_send(&self->frame, kept, kind, leat_cause_derive(read->cause, kind));
    return LEAT_OK;
}

static leat_code end_reading(table *self, const leat_batch *batch, uint32_t row, leat_error *out_error)
{
    leat_sorted *reading = &self->reading;
    leat_code code = LEAT_OK;
    remove_gone(self, leat_row_frame_time(batch, row), leat_row_frame_cause(batch, row));
    for (uint32_t slot = 0; code == LEAT_OK && leat_pane_next(&reading->panes, reading->pane, 0, &slot); slot++)
        if (leat_sorted_count(reading, slot))
            code = put_row(self, slot, leat_sorted_get(reading, slot, 0), out_error);
    forget_reading(self);
    self->ready = true;
    return code;
}

// ---- elements

static int64_t passing(table *self, int64_t watermark_ms)
{
    if (watermark_ms > self->held_ms)
        self->held_ms = watermark_ms;
    // At the end of input nobody may wait any longer, read or not.
    return self->ready || self->held_ms == LEAT_TIME_MAX ? self->held_ms : LEAT_TIME_NONE;
}

static leat_code on_row(table *self, const leat_batch *batch, uint32_t i, leat_error *out_error)
{
    uint32_t row = leat_batch_row(batch, i), slot;
    leat_row_kind kind = leat_batch_kind(batch, row);
    if (!leat_row_frame_slot(&self->frame, i, &slot))
        return LEAT_OK;
    if (kind == LEAT_INSERT)
        return take_row(self, batch, row, slot, out_error);
    leat_row_frame_idle(&self->frame, slot); // of no values
    if (kind == LEAT_DELETE)
        return end_reading(self, batch, row, out_error);
    forget_reading(self);
    return LEAT_OK;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    table *self = (table *)base;
    leat_code code = leat_row_frame_resolve(&self->frame, batch, self->spec->key_columns, out_error);
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        if (batch->watermark)
            leat_emitter_watermark(&self->frame.results, passing(self, batch->watermark[leat_batch_row(batch, i)]));
        code = on_row(self, batch, i, out_error);
    }
    return leat_row_frame_finish(&self->frame, passing(self, batch->watermark_after), code, out_error);
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    table *self = (table *)base;
    return leat_row_frame_finish(&self->frame, passing(self, watermark), LEAT_OK, out_error);
}

// ---- state and life

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    table *self = (table *)base;
    uint8_t version = READY_VERSION;
    if (self->ready && (!self->ready_stored || snapshot->whole[LEAT_GROUP_OPERATOR]))
        snapshot->put(snapshot, TABLE_READY, LEAT_GROUP_OPERATOR, leat_slice_of("r", 1),
                      leat_slice_of((const char *)&version, 1));
    if (!snapshot->keep_marks)
        self->ready_stored = self->ready;
    leat_row_frame_snapshot(&self->frame, snapshot, TABLE_ROWS);
}

static leat_code restore(leat_operator *base, uint8_t number, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    table *self = (table *)base;
    if (number == TABLE_ROWS)
        return leat_row_frame_restore(&self->frame, key, value, out_error);
    if (number != TABLE_READY || value.size != 1 || value.data[0] != READY_VERSION)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored reference table is damaged (table %u)", number);
    self->ready = self->ready_stored = true;
    return LEAT_OK;
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)out_error;
    table *self = (table *)base;
    if (!restored || !self->ready)
        return LEAT_OK;
    self->held_ms = base->context->watermark_ms;
    self->frame.results.watermark = self->frame.results.watermark_sent = self->held_ms;
    return LEAT_OK;
}

static leat_row_frame_rest rest(void *owner, uint32_t slot)
{
    const table *self = owner;
    return leat_sorted_count(&self->reading, slot) ? LEAT_ROW_FRAME_BUSY : LEAT_ROW_FRAME_FREE;
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    table *self = (table *)base;
    leat_operator_context *context = base->context;
    const leat_table_spec *spec = self->spec = context->spec;
    LEAT_ASSERT(context->outputs[0]->count == context->inputs[0]->count);
    leat_code code = leat_row_frame_open(&self->frame, context, spec->key_count, spec->key_columns, 0, out_error);
    if (code != LEAT_OK)
        return code;
    self->frame.rest = rest;
    self->frame.owner = self;
    self->held_ms = LEAT_TIME_NONE;
    leat_writer_init(&self->compared, context->env, SIZE_MAX / 2);
    if (leat_sorted_init(&self->reading, context->budget, context->env, self->frame.keys))
        return LEAT_OK;
    code = leat_row_frame_no_budget(&self->frame, out_error);
    leat_sorted_fini(&self->reading);
    leat_writer_fini(&self->compared);
    leat_row_frame_close(&self->frame);
    return code;
}

static void close_operator(leat_operator *base)
{
    table *self = (table *)base;
    leat_sorted_fini(&self->reading);
    leat_writer_fini(&self->compared);
    leat_row_frame_close(&self->frame);
}

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    const table *self = (const table *)base;
    leat_row_frame_measure(&self->frame, out_state_bytes, out_keys);
    *out_state_bytes += leat_sorted_memory(&self->reading);
}

const leat_operator_ops leat_operator_table_ops = {
    .name = "table",
    .instance_size = sizeof(table),
    .open = open_operator,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .snapshot = snapshot_state,
    .restore = restore,
    .ready = ready,
    .close = close_operator,
    .measure = measure,
};
