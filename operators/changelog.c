// Brings a changelog into the form that a reader wants.
//
// DROP_BEFORE leaves -U out: for readers that know rows by key. It keeps nothing. DELETE_BEFORE makes -D of a -U whose +U did not come
// through: no +U of the same key stands behind it.
// NORMALIZE makes a full changelog out of one by key: the row kept under the key is taken back before its successor; a row
// that repeats it changes nothing, unless state has a time to live; -D of an unknown key is ignored, and shows the row as it was kept.
// MATERIALIZE is for a reader whose key is not that of the changes, so that rows of different origin meet under one key: the one that
// came last shows; taking back another one changes nothing that shows; when the last one goes the one before it shows again.
//
// Causes derive from that of the row that came. Stored: table 0: rows (state/sorted.h).
#include <string.h>

#include "operators/row_frame.h"

enum { TABLE_ROWS = 0 };

typedef struct changelog {
    leat_operator base;
    const leat_changelog_spec *spec;
    leat_row_frame frame; // of those that keep something
} changelog;

static bool keeps(const changelog *self) { return self->spec->mode > LEAT_CHANGELOG_DELETE_BEFORE; }

// ---- without state

static bool same_key(const changelog *self, const leat_batch *batch, uint32_t a, uint32_t b)
{
    for (uint32_t k = 0; k < self->spec->key_count; k++) {
        const leat_column *column = &batch->columns[self->spec->key_columns[k]];
        leat_value x = leat_column_value(column, a), y = leat_column_value(column, b);
        if (!leat_value_equal(column->type, &x, &y))
            return false;
    }
    return true;
}

// Whether the row at place i of the selection has its +U behind it: in the very next row of the batch. A later +U of the same key, which
// stands next where a filter has left out what was between, belongs to another change.
static bool is_replaced(const changelog *self, const leat_batch *batch, uint32_t i)
{
    if (!self->spec->in_pairs || i + 1 >= batch->selected)
        return false;
    uint32_t row = leat_batch_row(batch, i), next = leat_batch_row(batch, i + 1);
    return next == row + 1 && batch->row_kind[next] == LEAT_UPDATE_AFTER && same_key(self, batch, row, next);
}

static void drop_before(changelog *self, leat_batch *batch)
{
    leat_operator_context *context = self->base.context;
    bool deletes = self->spec->mode == LEAT_CHANGELOG_DELETE_BEFORE;
    leat_batch *out = leat_batch_derive(context->pool, batch);
    out->schema = context->outputs[0];
    if (batch->row_kind && batch->selected) {
        uint16_t *selection = leat_arena_alloc(&out->arena, batch->selected * sizeof *selection);
        uint32_t count = 0;
        if (deletes) {
            out->row_kind = leat_arena_alloc(&out->arena, batch->count);
            memcpy(out->row_kind, batch->row_kind, batch->count);
        }
        for (uint32_t i = 0; i < batch->selected; i++) {
            uint32_t row = leat_batch_row(batch, i);
            if (batch->row_kind[row] == LEAT_UPDATE_BEFORE) {
                if (!deletes || is_replaced(self, batch, i))
                    continue;
                out->row_kind[row] = LEAT_DELETE;
            }
            selection[count++] = (uint16_t)row;
        }
        out->selection = selection;
        out->selected = count;
    }
    context->emit(context, 0, out);
    leat_batch_unref(out);
}

// ---- by key

static void send(changelog *self, const leat_sorted_row *row, leat_row_kind kind, uint64_t cause)
{
    leat_row_frame_send(&self->frame, row, kind, leat_cause_derive(cause, kind));
}

static leat_sorted_row *take(changelog *self, uint32_t slot)
{
    return leat_sorted_count(&self->frame.rows, slot) ? leat_sorted_remove(&self->frame.rows, slot, 0) : NULL;
}

static leat_code normalize(changelog *self, const leat_batch *batch, uint32_t row, uint32_t slot, leat_error *out_error)
{
    leat_row_kind kind = leat_batch_kind(batch, row);
    uint64_t cause = leat_row_frame_cause(batch, row);
    bool goes = kind == LEAT_DELETE || kind == LEAT_UPDATE_BEFORE;
    leat_slice bytes = leat_row_frame_encode(&self->frame, batch, row);
    uint32_t index;
    if (!goes && !self->spec->state_ttl_ms && leat_sorted_count(&self->frame.rows, slot) &&
        leat_slice_equal(leat_sorted_bytes(leat_sorted_get(&self->frame.rows, slot, 0)), bytes))
        return LEAT_OK;
    leat_sorted_row *old = take(self, slot);
    if (old && (goes || self->spec->emit_before))
        send(self, old, goes ? LEAT_DELETE : LEAT_UPDATE_BEFORE, cause);
    bool is_first = !old;
    if (old)
        leat_sorted_free(&self->frame.rows, old);
    if (goes)
        return LEAT_OK;
    leat_sorted_row *kept = leat_row_frame_keep(&self->frame, batch, row, slot, (leat_slice){0}, &index);
    if (!kept)
        return leat_row_frame_no_budget(&self->frame, out_error);
    send(self, kept, is_first ? LEAT_INSERT : LEAT_UPDATE_AFTER, cause);
    return LEAT_OK;
}

static void take_back(changelog *self, const leat_batch *batch, uint32_t row, uint32_t slot)
{
    leat_slice bytes = leat_row_frame_encode(&self->frame, batch, row);
    uint32_t count = leat_sorted_count(&self->frame.rows, slot), index = 0;
    uint64_t cause = leat_row_frame_cause(batch, row);
    while (index < count &&
           !leat_slice_equal(leat_sorted_bytes(leat_sorted_get(&self->frame.rows, slot, index)), bytes))
        index++;
    if (index == count)
        return;
    leat_sorted_row *gone = leat_sorted_remove(&self->frame.rows, slot, index);
    if (count == 1)
        send(self, gone, LEAT_DELETE, cause);
    else if (index == count - 1)
        send(self, leat_sorted_get(&self->frame.rows, slot, count - 2), LEAT_UPDATE_AFTER, cause);
    leat_sorted_free(&self->frame.rows, gone);
}

static leat_code materialize(changelog *self, const leat_batch *batch, uint32_t row, uint32_t slot,
                             leat_error *out_error)
{
    leat_row_kind kind = leat_batch_kind(batch, row);
    bool is_first = !leat_sorted_count(&self->frame.rows, slot);
    uint32_t index;
    if (kind == LEAT_DELETE || kind == LEAT_UPDATE_BEFORE) {
        take_back(self, batch, row, slot);
        return LEAT_OK;
    }
    leat_sorted_row *kept = leat_row_frame_keep(&self->frame, batch, row, slot, (leat_slice){0}, &index);
    if (!kept)
        return leat_row_frame_no_budget(&self->frame, out_error);
    send(self, kept, is_first ? LEAT_INSERT : LEAT_UPDATE_AFTER, leat_row_frame_cause(batch, row));
    return LEAT_OK;
}

// ---- elements

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    changelog *self = (changelog *)base;
    if (!keeps(self)) {
        drop_before(self, batch);
        return LEAT_OK;
    }
    leat_code code = leat_row_frame_resolve(&self->frame, batch, self->spec->key_columns, out_error);
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        uint32_t row = leat_batch_row(batch, i), slot;
        if (batch->watermark)
            leat_emitter_watermark(&self->frame.results, batch->watermark[row]);
        if (!leat_row_frame_slot(&self->frame, i, &slot))
            continue;
        leat_row_frame_expire(&self->frame, slot);
        code = self->spec->mode == LEAT_CHANGELOG_NORMALIZE ? normalize(self, batch, row, slot, out_error)
                                                            : materialize(self, batch, row, slot, out_error);
        if (!leat_sorted_count(&self->frame.rows, slot))
            leat_row_frame_idle(&self->frame, slot);
    }
    return leat_row_frame_finish(&self->frame, batch->watermark_after, code, out_error);
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    changelog *self = (changelog *)base;
    if (keeps(self))
        return leat_row_frame_finish(&self->frame, watermark, LEAT_OK, out_error);
    leat_batch *bare = leat_batch_get_mark(base->context->pool, LEAT_ELEMENT_ROWS);
    bare->watermark_after = watermark;
    base->context->emit(base->context, 0, bare);
    leat_batch_unref(bare);
    return LEAT_OK;
}

static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    changelog *self = (changelog *)base;
    if (!keeps(self))
        return LEAT_OK;
    leat_row_frame_sweep(&self->frame);
    return leat_row_frame_finish(&self->frame, LEAT_TIME_NONE, LEAT_OK, out_error);
}

// ---- state and life

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    changelog *self = (changelog *)base;
    if (keeps(self))
        leat_row_frame_snapshot(&self->frame, snapshot, TABLE_ROWS);
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    changelog *self = (changelog *)base;
    if (table != TABLE_ROWS || !keeps(self))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a changelog has no table %u", table);
    return leat_row_frame_restore(&self->frame, key, value, out_error);
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)restored, (void)out_error;
    changelog *self = (changelog *)base;
    if (keeps(self) && self->frame.rows.count)
        leat_row_frame_wake(&self->frame);
    return LEAT_OK;
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    changelog *self = (changelog *)base;
    const leat_changelog_spec *spec = self->spec = base->context->spec;
    LEAT_ASSERT(base->context->outputs[0]->count == base->context->inputs[0]->count);
    return keeps(self) ? leat_row_frame_open(&self->frame, base->context, spec->key_count, spec->key_columns,
                                             spec->state_ttl_ms, out_error)
                       : LEAT_OK;
}

static void close_operator(leat_operator *base)
{
    changelog *self = (changelog *)base;
    if (keeps(self))
        leat_row_frame_close(&self->frame);
}

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    changelog *self = (changelog *)base;
    *out_state_bytes = *out_keys = 0;
    if (keeps(self))
        leat_row_frame_measure(&self->frame, out_state_bytes, out_keys);
}

const leat_operator_ops leat_operator_changelog_ops = {
    .name = "changelog",
    .instance_size = sizeof(changelog),
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
