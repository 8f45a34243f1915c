// OVER in an order that is no time: beside each row what the rows up to it add up to, a changelog that changes with every row.
//
// A row that comes stands behind its equals. It changes what stands beside the rows behind it (and, with RANGE, beside its peers): -U
// and +U of each whose values are others now. The row itself is told as it came, +I or +U. A row that is taken back is -D, and the rows
// behind it change likewise; of equal ones the first goes, with RANGE the last. One that is not there is ignored.
//
// The rows of a key are gone through from the first one on with two accumulators, one of the rows as they were and one as they are: both
// results of a row are at hand where it is told, and nothing but the rows is kept.
//
// Causes derive from that of the row that came, and count what it made. Time to live: of a whole key, since its last row.
//
// Stored: table 0: rows (state/sorted.h).
#include <string.h>

#include "operators/core/row_encode.h"
#include "operators/expr/aggregate.h"
#include "operators/row_frame.h"

enum { TABLE_ROWS = 0 };

// One side of a change: the key's rows as they were, or as they are.
typedef struct side {
    void *accumulator;
    leat_value *values;        // of a row, by function
    int64_t rows, rank, dense; // so far: of the rows gone through
} side;

typedef struct over_sorted {
    leat_operator base; // first
    const leat_over_sorted_spec *spec;
    leat_row_frame frame;
    leat_eval arrivals, eval; // of the batch; of kept rows
    leat_arena texts;         // of results
    side before, after;
    bool releases; // accumulators hold more than their struct
    // -- kept rows that have been made a batch
    leat_batch *some;
    uint32_t some_first;
    const leat_accumulators_input *some_input;
    // -- of the row being handled
    leat_batch *batch;
    uint32_t row, slot, at, count; // at: its place among the key's rows
    bool comes;                    // else it goes
    uint64_t made;
} over_sorted;

// ---- accumulators

static void clear_side(over_sorted *self, side *it)
{
    it->rows = it->rank = it->dense = 0;
    if (!self->spec->accumulators)
        return;
    memset(it->accumulator, 0, leat_accumulators_size(self->spec->accumulators));
    leat_accumulators_init(self->spec->accumulators, it->accumulator);
}

static void release_side(over_sorted *self, side *it)
{
    if (self->releases)
        leat_accumulators_release(self->spec->accumulators, it->accumulator, self->base.context->budget);
}

static void forget_some(over_sorted *self)
{
    leat_batch_unref(self->some);
    self->some = NULL;
}

// Makes rows from `first` on a batch, whose arguments are evaluated.
static void read_some(over_sorted *self, uint32_t first)
{
    leat_operator_context *context = self->base.context;
    uint32_t left = self->count - first, count = left < LEAT_BATCH_ROWS ? left : LEAT_BATCH_ROWS;
    forget_some(self);
    leat_batch *batch = self->some = leat_batch_get_rows_always(context->pool, self->frame.input, count);
    for (uint32_t i = 0; i < count; i++) {
        const leat_sorted_row *row = leat_sorted_get(&self->frame.rows, self->slot, first + i);
        bool whole =
            leat_row_decode(leat_sorted_bytes(row), batch->columns, self->frame.input->count, i, &batch->arena);
        LEAT_ASSERT(whole); // our own bytes, of this schema
        batch->event_ms[i] = row->time_ms;
    }
    batch->count = batch->selected = count;
    self->some_first = first;
    leat_eval_begin(&self->eval, batch, context->now_ms);
    self->eval.watermark_ms = context->watermark_ms;
    self->some_input = leat_accumulators_prepare(self->spec->accumulators, &self->eval, batch);
}

static leat_code accumulate(over_sorted *self, side *it, uint32_t i, leat_error *out_error)
{
    uint32_t row = i - self->some_first;
    if (self->eval.bad_count && self->eval.bad[row])
        return LEAT_OK;
    return leat_accumulators_add_row(self->spec->accumulators, self->some_input, row, false, it->accumulator,
                                     self->base.context->budget, out_error);
}

static leat_code add(over_sorted *self, side *it, uint32_t i, bool first_peer, leat_error *out_error)
{
    it->rows++;
    if (first_peer) {
        it->rank = it->rows;
        it->dense++;
    }
    if (!self->spec->accumulators)
        return LEAT_OK;
    if (!self->some || i < self->some_first || i >= self->some_first + self->some->count)
        read_some(self, i);
    return accumulate(self, it, i, out_error);
}

// ---- results

static void read_values(over_sorted *self, const side *it)
{
    for (uint32_t f = 0; f < self->spec->function_count; f++) {
        const leat_over_function *function = &self->spec->functions[f];
        if (function->kind == LEAT_OVER_AGGREGATE)
            leat_accumulators_result(self->spec->accumulators, it->accumulator, function->aggregate, &self->texts,
                                     &it->values[f]);
        else
            it->values[f] = (leat_value){.i64 = function->kind == LEAT_OVER_ROW_NUMBER ? it->rows
                                                : function->kind == LEAT_OVER_RANK     ? it->rank
                                                                                       : it->dense};
    }
}

static bool same_values(const over_sorted *self)
{
    const leat_field *fields = self->base.context->outputs[0]->fields + self->frame.input->count;
    for (uint32_t f = 0; f < self->spec->function_count; f++)
        if (!leat_value_equal(fields[f].type, &self->before.values[f], &self->after.values[f]))
            return false;
    return true;
}

static void send(over_sorted *self, uint32_t i, leat_row_kind kind, const leat_value *values)
{
    const leat_sorted_row *row = leat_sorted_get(&self->frame.rows, self->slot, i);
    uint64_t cause = leat_cause_derive(leat_row_frame_cause(self->batch, self->row), self->made++);
    uint32_t out = leat_row_frame_send(&self->frame, row, kind, cause);
    for (uint32_t f = 0; f < self->spec->function_count; f++)
        leat_emitter_set(&self->frame.results, out, self->frame.input->count + f, &values[f]);
}

static void tell(over_sorted *self, uint32_t i)
{
    leat_row_kind kind = leat_batch_kind(self->batch, self->row);
    if (i == self->at) {
        send(self, i, self->comes ? kind : LEAT_DELETE, self->comes ? self->after.values : self->before.values);
    } else if (!same_values(self)) {
        send(self, i, LEAT_UPDATE_BEFORE, self->before.values);
        send(self, i, LEAT_UPDATE_AFTER, self->after.values);
    }
}

// ---- going through the rows

static bool peers(const over_sorted *self, uint32_t a, uint32_t b)
{
    const leat_sorted *rows = &self->frame.rows;
    return leat_slice_equal(leat_sorted_order(leat_sorted_get(rows, self->slot, a)),
                            leat_sorted_order(leat_sorted_get(rows, self->slot, b)));
}

// Rows that are added before the first of them is told: peers with RANGE, else one.
static uint32_t group_end(const over_sorted *self, uint32_t from)
{
    uint32_t end = from + 1;
    while (self->spec->range && end < self->count && peers(self, from, end))
        end++;
    return end;
}

static leat_code add_group(over_sorted *self, uint32_t from, uint32_t to, bool begins, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    bool before_begins = begins, after_begins = begins;
    for (uint32_t i = from; i < to && code == LEAT_OK; i++) {
        bool was = !self->comes || i != self->at, is = self->comes || i != self->at;
        if (was) {
            code = add(self, &self->before, i, before_begins, out_error);
            before_begins = false;
        }
        if (is && code == LEAT_OK) {
            code = add(self, &self->after, i, after_begins, out_error);
            after_begins = false;
        }
    }
    return code;
}

static void tell_group(over_sorted *self, uint32_t from, uint32_t to)
{
    leat_arena_reset(&self->texts);
    read_values(self, &self->before);
    read_values(self, &self->after);
    for (uint32_t i = from; i < to; i++)
        tell(self, i);
}

static leat_code walk(over_sorted *self, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    clear_side(self, &self->before);
    clear_side(self, &self->after);
    self->count = leat_sorted_count(&self->frame.rows, self->slot);
    for (uint32_t from = 0, to; from < self->count && code == LEAT_OK; from = to) {
        to = group_end(self, from);
        code = add_group(self, from, to, !from || !peers(self, from - 1, from), out_error);
        if (code == LEAT_OK && to > self->at)
            tell_group(self, from, to);
    }
    forget_some(self);
    release_side(self, &self->before);
    release_side(self, &self->after);
    return code;
}

// ---- rows come and go

static leat_code insert(over_sorted *self, leat_slice order, leat_error *out_error)
{
    if (!leat_row_frame_keep(&self->frame, self->batch, self->row, self->slot, order, &self->at))
        return leat_row_frame_no_budget(&self->frame, out_error);
    self->comes = true;
    return walk(self, out_error);
}

static bool find_equal(over_sorted *self, leat_slice order)
{
    leat_sorted *rows = &self->frame.rows;
    leat_slice bytes = leat_row_frame_encode(&self->frame, self->batch, self->row);
    uint32_t end = leat_sorted_upper(rows, self->slot, order);
    bool found = false;
    for (uint32_t i = leat_sorted_lower(rows, self->slot, order); i < end && (!found || self->spec->range); i++) {
        if (!leat_slice_equal(leat_sorted_bytes(leat_sorted_get(rows, self->slot, i)), bytes))
            continue;
        self->at = i;
        found = true;
    }
    return found;
}

// Rows that are taken back keep the others of the key.
static void keep_alive(over_sorted *self)
{
    if (!self->spec->state_ttl_ms || !leat_sorted_count(&self->frame.rows, self->slot))
        return;
    leat_sorted_row *row = leat_sorted_get(&self->frame.rows, self->slot, 0);
    row->word = (uint64_t)self->base.context->now_ms;
    leat_sorted_touch(&self->frame.rows, row);
}

static leat_code retract(over_sorted *self, leat_slice order, leat_error *out_error)
{
    if (!find_equal(self, order)) {
        keep_alive(self);
        return LEAT_OK;
    }
    self->comes = false;
    leat_code code = walk(self, out_error);
    leat_row_frame_drop(&self->frame, self->slot, self->at);
    keep_alive(self);
    return code;
}

// ---- time to live

static bool ran_out(const over_sorted *self, uint32_t slot)
{
    uint32_t count = leat_sorted_count(&self->frame.rows, slot);
    for (uint32_t i = 0; i < count; i++)
        if (!leat_row_frame_expired(&self->frame, leat_sorted_get(&self->frame.rows, slot, i)))
            return false;
    return count > 0;
}

static void expire(over_sorted *self, uint32_t slot)
{
    if (self->spec->state_ttl_ms && ran_out(self, slot))
        leat_sorted_clear(&self->frame.rows, slot);
}

static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    over_sorted *self = (over_sorted *)base;
    leat_row_frame *frame = &self->frame;
    frame->wake_ms = INT64_MAX;
    for (uint32_t slot = 0; leat_pane_next(&frame->rows.panes, frame->rows.pane, 0, &slot); slot++) {
        expire(self, slot);
        if (!leat_sorted_count(&frame->rows, slot))
            leat_row_frame_idle(frame, slot);
    }
    if (frame->rows.count)
        leat_row_frame_wake(frame);
    return leat_row_frame_finish(frame, LEAT_TIME_NONE, LEAT_OK, out_error);
}

// ---- elements

static leat_code on_row(over_sorted *self, leat_error *out_error)
{
    leat_row_kind kind = leat_batch_kind(self->batch, self->row);
    leat_slice order = leat_row_frame_order(&self->frame, self->batch, self->row, self->spec->order, 1);
    self->made = 0;
    expire(self, self->slot);
    return kind == LEAT_UPDATE_BEFORE || kind == LEAT_DELETE ? retract(self, order, out_error)
                                                             : insert(self, order, out_error);
}

// Rows whose arguments cannot be computed are left out here, so that every kept row can be added.
static void find_bad(over_sorted *self, leat_batch *batch)
{
    leat_eval_begin(&self->arrivals, batch, self->base.context->now_ms);
    self->arrivals.watermark_ms = self->base.context->watermark_ms;
    if (self->spec->accumulators)
        (void)leat_accumulators_prepare(self->spec->accumulators, &self->arrivals, batch);
    if (self->arrivals.bad_count)
        leat_drops_add(self->base.context->drops, LEAT_DROP_EXPRESSION, self->arrivals.bad_count);
}

static leat_code add_all(over_sorted *self, leat_batch *batch, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        self->row = leat_batch_row(batch, i);
        if (batch->watermark)
            leat_emitter_watermark(&self->frame.results, batch->watermark[self->row]);
        if (!leat_row_frame_slot(&self->frame, i, &self->slot))
            continue;
        if (!self->arrivals.bad_count || !self->arrivals.bad[self->row])
            code = on_row(self, out_error);
        if (!leat_sorted_count(&self->frame.rows, self->slot))
            leat_row_frame_idle(&self->frame, self->slot);
    }
    return code;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    over_sorted *self = (over_sorted *)base;
    leat_code code = leat_row_frame_resolve(&self->frame, batch, self->spec->key_columns, out_error);
    self->batch = batch;
    if (code == LEAT_OK && batch->selected) {
        find_bad(self, batch);
        code = add_all(self, batch, out_error);
    }
    return leat_row_frame_finish(&self->frame, batch->watermark_after, code, out_error);
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    return leat_row_frame_finish(&((over_sorted *)base)->frame, watermark, LEAT_OK, out_error);
}

// ---- state and life

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    leat_row_frame_snapshot(&((over_sorted *)base)->frame, snapshot, TABLE_ROWS);
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    if (table != TABLE_ROWS)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "OVER in an order has no table %u", table);
    return leat_row_frame_restore(&((over_sorted *)base)->frame, key, value, out_error);
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)restored, (void)out_error;
    over_sorted *self = (over_sorted *)base;
    if (self->frame.rows.count)
        leat_row_frame_wake(&self->frame);
    return LEAT_OK;
}

static void open_side(over_sorted *self, side *it)
{
    leat_arena *arena = self->base.context->arena;
    size_t size = self->spec->accumulators ? leat_accumulators_size(self->spec->accumulators) : 0;
    it->accumulator = leat_arena_alloc_aligned(arena, size + 16, 16);
    it->values = leat_arena_array(arena, leat_value, self->spec->function_count + 1);
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    over_sorted *self = (over_sorted *)base;
    const leat_over_sorted_spec *spec = self->spec = base->context->spec;
    LEAT_ASSERT(base->context->outputs[0]->count == base->context->inputs[0]->count + spec->function_count);
    leat_code code = leat_row_frame_open(&self->frame, base->context, spec->key_count, spec->key_columns,
                                         spec->state_ttl_ms, out_error);
    if (code != LEAT_OK)
        return code;
    self->releases = spec->accumulators && leat_accumulators_has_variable(spec->accumulators);
    leat_eval_init(&self->arrivals, base->context->env);
    leat_eval_init(&self->eval, base->context->env);
    leat_arena_init(&self->texts, base->context->env, 0);
    open_side(self, &self->before);
    open_side(self, &self->after);
    return LEAT_OK;
}

static void close_operator(leat_operator *base)
{
    over_sorted *self = (over_sorted *)base;
    leat_eval_fini(&self->arrivals);
    leat_eval_fini(&self->eval);
    leat_arena_fini(&self->texts);
    leat_row_frame_close(&self->frame);
}

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    leat_row_frame_measure(&((over_sorted *)base)->frame, out_state_bytes, out_keys);
}

const leat_operator_ops leat_operator_over_sorted_ops = {
    .name = "over_sorted",
    .instance_size = sizeof(over_sorted),
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
