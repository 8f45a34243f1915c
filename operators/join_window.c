// Joins of windows: rows of both inputs that lie in the same window, told when the window closes; so nothing is ever taken back.
//
// The window is the last key of the join, and a row's event time is its window's last instant: the window is due when the watermark
// reaches it. Rows whose window is over are late and dropped. The watermark is not part of the state.
//
// Order: windows by their end; within one keys by the arrival of their first left row, those without one behind, by their first right
// row; for each key left rows by arrival, each with its partners by arrival, then what is left of the right ones.
//
// Stored: tables 0 and 1: kept rows, left and right (state/rows.h; time: when the window is due).
#include <stdlib.h>

#include "operators/join_frame.h"
#include "operators/state/alarm.h"

enum { CLOSING_MIN = 64 };

typedef struct closing { // a slot whose window closes now
    uint64_t first[2];   // numbers of its first rows
    uint32_t slot;
} closing;

typedef struct join_window {
    leat_operator base;
    leat_join_frame frame;
    leat_rows rows[2];
    leat_alarms alarms; // one for each slot that has rows
    uint32_t alarm_count;
    closing *closing; // room for all of them
    uint32_t closing_room;
    int64_t watermark;
} join_window;

static leat_join_kind kind_of(const join_window *self) { return self->frame.sides->kind; }

// ---- closing

static void load(join_window *self, unsigned side, const leat_kept_row *row)
{
    leat_join_load(&self->frame, side, leat_slice_of(row->bytes, row->size));
}

static void emit_one(join_window *self, unsigned side, const leat_kept_row *row)
{
    leat_join_emit(&self->frame, side == LEAT_LEFT, side == LEAT_RIGHT, LEAT_INSERT, row->time_ms,
                   leat_join_pad_cause(row->cause, side));
}

// Whether it met anybody; SEMI and ANTI need not know more.
static bool meet_right(join_window *self, uint32_t slot, const leat_kept_row *left)
{
    bool pairs = kind_of(self) <= LEAT_JOIN_FULL, met = false;
    for (leat_kept_row *right = leat_rows_first(&self->rows[LEAT_RIGHT], slot); right; right = right->next) {
        load(self, LEAT_RIGHT, right);
        if (!leat_join_meets(&self->frame))
            continue;
        met = true;
        right->matches = 1;
        if (!pairs)
            return true;
        leat_join_emit(&self->frame, true, true, LEAT_INSERT, left->time_ms,
                       leat_join_pair_cause(left->cause, right->cause));
    }
    return met;
}

static bool key_has_null(join_window *self, uint32_t slot)
{
    const leat_join_sides *sides = self->frame.sides;
    leat_value values[LEAT_COLUMNS_MAX];
    LEAT_ASSERT(sides->key_count <= LEAT_COLUMNS_MAX);
    leat_keys_values(self->frame.keys, slot, values);
    for (uint32_t k = 0; k < sides->key_count; k++)
        if (values[k].is_null && !sides->nulls_meet[k])
            return true;
    return false;
}

static void join_left(join_window *self, uint32_t slot)
{
    leat_join_kind kind = kind_of(self);
    for (leat_kept_row *left = leat_rows_first(&self->rows[LEAT_LEFT], slot); left; left = left->next) {
        load(self, LEAT_LEFT, left);
        bool met = meet_right(self, slot, left);
        if (kind == LEAT_JOIN_SEMI ? met : !met && (kind == LEAT_JOIN_ANTI || leat_join_outer(&self->frame, LEAT_LEFT)))
            emit_one(self, LEAT_LEFT, left);
    }
}

static void pad_right(join_window *self, uint32_t slot)
{
    for (leat_kept_row *right = leat_rows_first(&self->rows[LEAT_RIGHT], slot); right; right = right->next)
        if (!right->matches) {
            load(self, LEAT_RIGHT, right);
            emit_one(self, LEAT_RIGHT, right);
        }
}

static void close_slot(join_window *self, uint32_t slot)
{
    leat_kept_row *row;
    self->frame.meets_nobody = key_has_null(self, slot);
    join_left(self, slot);
    if (leat_join_outer(&self->frame, LEAT_RIGHT))
        pad_right(self, slot);
    for (unsigned side = 0; side < 2; side++)
        while ((row = leat_rows_first(&self->rows[side], slot)))
            leat_rows_remove(&self->rows[side], slot, row);
    leat_join_may_be_empty(&self->frame, slot);
}

static int64_t as_set(void *context, const leat_alarm *alarm)
{
    (void)context;
    return alarm->due_ms;
}

static uint64_t first_number(const join_window *self, unsigned side, uint32_t slot)
{
    const leat_kept_row *row = leat_rows_first(&self->rows[side], slot);
    return row ? row->number : UINT64_MAX;
}

static int by_arrival(const void *a, const void *b)
{
    const closing *x = a, *y = b;
    unsigned side = x->first[LEAT_LEFT] == y->first[LEAT_LEFT] ? LEAT_RIGHT : LEAT_LEFT;
    return x->first[side] < y->first[side] ? -1 : x->first[side] > y->first[side];
}

// Slots are given anew at a recovery, numbers of rows are not.
static void close_windows(join_window *self, leat_alarm alarm)
{
    uint32_t count = 0;
    int64_t due_ms = alarm.due_ms;
    do
        self->closing[count++] =
            (closing){.first = {first_number(self, LEAT_LEFT, alarm.slot), first_number(self, LEAT_RIGHT, alarm.slot)},
                      .slot = alarm.slot};
    while (leat_alarms_take(&self->alarms, due_ms, as_set, NULL, &alarm));
    self->alarm_count -= count;
    qsort(self->closing, count, sizeof *self->closing, by_arrival);
    for (uint32_t i = 0; i < count; i++)
        close_slot(self, self->closing[i].slot);
}

static void advance(join_window *self, int64_t watermark)
{
    leat_alarm alarm;
    if (watermark <= self->watermark)
        return;
    while (leat_alarms_take(&self->alarms, watermark, as_set, NULL, &alarm))
        close_windows(self, alarm);
    self->watermark = self->frame.watermark_ms = watermark;
    leat_emitter_watermark(&self->frame.results, watermark);
}

// ---- rows

static bool has_rows(const join_window *self, uint32_t slot)
{
    return leat_rows_any(&self->rows[LEAT_LEFT], slot) || leat_rows_any(&self->rows[LEAT_RIGHT], slot);
}

static bool reserve_alarm(join_window *self)
{
    if (self->alarm_count == self->closing_room) {
        uint32_t room = self->closing_room ? self->closing_room * 2 : CLOSING_MIN;
        closing *grown = leat_budget_grow(self->base.context->budget, self->closing, self->closing_room * sizeof *grown,
                                          room * sizeof *grown);
        if (!grown)
            return false;
        self->closing = grown;
        self->closing_room = room;
    }
    return leat_alarms_reserve(&self->alarms);
}

static void push_alarm(join_window *self, int64_t due_ms, uint32_t slot)
{
    leat_alarms_push(&self->alarms, due_ms, slot);
    self->alarm_count++;
}

static leat_code keep(join_window *self, unsigned side, uint32_t slot, uint64_t cause, leat_error *out_error)
{
    int64_t due = self->frame.event_ms[side];
    bool first = !has_rows(self, slot);
    leat_slice bytes = leat_join_encode(&self->frame);
    leat_kept_row *row = reserve_alarm(self) && !self->frame.encoded.failed
                             ? leat_rows_add(&self->rows[side], slot, due, bytes, 0)
                             : NULL;
    if (!row)
        return leat_join_no_budget(&self->frame, out_error);
    row->cause = cause;
    if (first)
        push_alarm(self, due, slot);
    return LEAT_OK;
}

static leat_code on_row(join_window *self, unsigned side, uint32_t i, leat_error *out_error)
{
    const leat_batch *batch = self->frame.batch;
    uint32_t row = leat_batch_row(batch, i), slot;
    if (batch->watermark)
        advance(self, batch->watermark[row]);
    if (!leat_join_take(&self->frame, i, &row, &slot))
        return LEAT_OK;
    if (self->frame.event_ms[side] != LEAT_TIME_NONE && self->frame.event_ms[side] > self->watermark)
        return keep(self, side, slot, batch->cause ? batch->cause[row] : 0, out_error);
    leat_drops_add(self->base.context->drops,
                   self->frame.event_ms[side] == LEAT_TIME_NONE ? LEAT_DROP_NULL_TIME : LEAT_DROP_LATE, 1);
    leat_join_may_be_empty(&self->frame, slot);
    return LEAT_OK;
}

// ---- elements

static leat_code check_removals(const join_window *self, leat_error *out_error)
{
    bool failed = leat_rows_failed(&self->rows[LEAT_LEFT]) || leat_rows_failed(&self->rows[LEAT_RIGHT]);
    return failed ? leat_error_set(out_error, LEAT_E_LIMIT, "no memory to note the rows that left a join") : LEAT_OK;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    join_window *self = (join_window *)base;
    leat_code code = batch->selected ? leat_join_begin(&self->frame, input, batch, out_error) : LEAT_OK;
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++)
        code = on_row(self, input, i, out_error);
    if (code == LEAT_OK)
        advance(self, batch->watermark_after);
    leat_join_end(&self->frame);
    return code == LEAT_OK ? check_removals(self, out_error) : code;
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    join_window *self = (join_window *)base;
    advance(self, watermark);
    leat_join_end(&self->frame);
    return check_removals(self, out_error);
}

// ---- state

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    join_window *self = (join_window *)base;
    leat_join_snapshot(&self->frame, self->rows, snapshot);
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    join_window *self = (join_window *)base;
    return leat_join_restore(&self->frame, self->rows, (const bool[2]){false, false}, table, key, value, out_error);
}

static bool set_alarms(join_window *self)
{
    for (uint32_t slot = 0; slot < leat_keys_capacity(self->frame.keys); slot++) {
        const leat_kept_row *row =
            leat_keys_live(self->frame.keys, slot) ? leat_rows_first(&self->rows[LEAT_LEFT], slot) : NULL;
        if (!row && leat_keys_live(self->frame.keys, slot))
            row = leat_rows_first(&self->rows[LEAT_RIGHT], slot);
        if (row && !reserve_alarm(self))
            return false;
        if (row)
            push_alarm(self, row->time_ms, slot);
    }
    return true;
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    join_window *self = (join_window *)base;
    leat_rows_ready(&self->rows[LEAT_LEFT]);
    leat_rows_ready(&self->rows[LEAT_RIGHT]);
    if (!restored)
        return LEAT_OK;
    self->watermark = self->frame.watermark_ms = base->context->watermark_ms;
    self->frame.results.watermark = self->frame.results.watermark_sent = self->watermark;
    return set_alarms(self) ? LEAT_OK : leat_join_no_budget(&self->frame, out_error);
}

// ---- life

static bool release(void *owner, uint32_t slot, bool *out_waiting)
{
    *out_waiting = false;
    return !has_rows(owner, slot);
}

static void release_state(join_window *self)
{
    leat_rows_fini(&self->rows[LEAT_LEFT]);
    leat_rows_fini(&self->rows[LEAT_RIGHT]);
    leat_alarms_fini(&self->alarms);
    leat_budget_free(self->base.context->budget, self->closing, self->closing_room * sizeof *self->closing);
    leat_join_close(&self->frame);
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    join_window *self = (join_window *)base;
    const leat_join_window_spec *spec = base->context->spec;
    leat_operator_context *context = base->context;
    leat_code code = leat_join_open(&self->frame, context, &spec->sides, out_error);
    if (code != LEAT_OK)
        return code;
    self->frame.release = release;
    self->frame.owner = self;
    self->watermark = LEAT_TIME_NONE;
    leat_alarms_init(&self->alarms, context->budget);
    bool made = true;
    for (unsigned side = 0; side < 2 && made; side++)
        made = leat_rows_init(&self->rows[side], context->budget, context->env, self->frame.keys, false, false);
    if (made)
        return LEAT_OK;
    code = leat_join_no_budget(&self->frame, out_error);
    release_state(self);
    return code;
}

static void close_operator(leat_operator *base) { release_state((join_window *)base); }

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    const join_window *self = (join_window *)base;
    *out_state_bytes = leat_keys_memory(self->frame.keys) + leat_rows_memory(&self->rows[LEAT_LEFT]) +
                       leat_rows_memory(&self->rows[LEAT_RIGHT]) + self->closing_room * sizeof *self->closing;
    *out_keys = leat_keys_count(self->frame.keys);
}

const leat_operator_ops leat_operator_join_window_ops = {
    .name = "join_window",
    .instance_size = sizeof(join_window),
    .open = open_operator,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .snapshot = snapshot_state,
    .restore = restore,
    .ready = ready,
    .close = close_operator,
    .measure = measure,
};
