// Joins over an interval of time: a row meets rows of the other input whose time is near enough to its own.
//
// SQL: nothing is late. A row is kept while the other input can still bring a partner, that is until the watermark has passed the end of
// its interval; outer rows that met nobody are padded then, once. As in Flink, rows of a key expire at the alarm of the first of
// them, or when a row of the other input comes by; so a row that is older than the one with the alarm may stay, and be met, a little longer.
// Results have the times of their rows, which may lie behind the watermark: the watermark is held back by the longer reach.
//
// DataStream (`streams`): rows older than the watermark are late; a row is kept until the watermark reaches its time plus its reach.
//
// Stored: tables 0 and 1: kept rows, left and right (state/rows.h; matches: 1 once it met somebody). Tables 2 and 3: their alarms
// (state/timer.h). Table 15: per key group, key empty, value: version 1, i64 up to which left, then right rows have expired.
#include "operators/join_frame.h"
#include "operators/state/timer.h"

enum { TABLE_ROWS = 0, TABLE_TIMERS = 2, TABLE_MARKS = 15, VERSION = 1, PREFETCH_AHEAD = 16 };
static const int64_t TIME_LIMIT = INT64_MAX / 4; // nothing overflows

typedef struct join_interval {
    leat_operator base;
    leat_join_frame frame;
    leat_rows rows[2];
    leat_timers timers[2];
    leat_emitter late[2];
    int64_t reach[2];   // how far behind its own time a row of that side may find a partner
    int64_t expired[2]; // rows of that side up to this time were taken out, whichever their key
    int64_t stored_expired[2];
    int64_t watermark;
    bool empty;  // lower > upper
    bool marked; // a snapshot has marks
} join_interval;

static const leat_join_interval_spec *spec_of(const join_interval *self) { return self->base.context->spec; }

// What has passed: the watermark or the clock.
static int64_t time_now(const join_interval *self)
{
    if (spec_of(self)->processing_time)
        return self->base.context->now_ms;
    return self->watermark > 0 ? self->watermark : 0;
}

static int64_t expiration(const join_interval *self, unsigned side)
{
    int64_t now = time_now(self);
    return now < LEAT_TIME_MAX ? now - self->reach[side] - 1 : LEAT_TIME_MAX;
}

// ---- results

static void emit_pair(join_interval *self, uint64_t left_cause, uint64_t right_cause, int64_t later)
{
    int64_t time = spec_of(self)->streams ? later : leat_join_time(&self->frame, true, true, later);
    leat_join_emit(&self->frame, true, true, LEAT_INSERT, time, leat_join_pair_cause(left_cause, right_cause));
}

// Of the row of that side that was taken or loaded last.
static void emit_padded(join_interval *self, unsigned side, uint64_t cause, int64_t time)
{
    bool left = side == LEAT_LEFT;
    leat_join_emit(&self->frame, left, !left, LEAT_INSERT, leat_join_time(&self->frame, left, !left, time),
                   leat_join_pad_cause(cause, side));
}

static void expire_row(join_interval *self, unsigned side, uint32_t slot, leat_kept_row *row)
{
    if (leat_join_outer(&self->frame, side) && !row->matches) {
        leat_join_load(&self->frame, side, leat_slice_of(row->bytes, row->size));
        emit_padded(self, side, row->cause, row->time_ms);
    }
    leat_rows_remove(&self->rows[side], slot, row);
}

// ---- alarms

static leat_code set_alarm(join_interval *self, unsigned side, uint32_t slot, int64_t time_ms, leat_error *out_error)
{
    return leat_timers_set(&self->timers[side], slot, time_ms, NULL) ? LEAT_OK
                                                                     : leat_join_no_budget(&self->frame, out_error);
}

static void clear_rows(join_interval *self, unsigned side, uint32_t slot)
{
    leat_kept_row *row;
    while ((row = leat_rows_first(&self->rows[side], slot)))
        leat_rows_remove(&self->rows[side], slot, row);
}

// The next alarm is that of the oldest row that stays. Flink takes a time of 0 for "none", and forgets the rest.
static leat_code expire_slot(join_interval *self, unsigned side, uint32_t slot, leat_error *out_error)
{
    int64_t earliest = -1;
    self->expired[side] = expiration(self, side);
    for (leat_kept_row *row = leat_rows_first(&self->rows[side], slot), *next; row; row = next) {
        next = row->next;
        if (row->time_ms <= self->expired[side])
            expire_row(self, side, slot, row);
        else if (row->time_ms < earliest || earliest < 0)
            earliest = row->time_ms;
    }
    if (earliest > 0)
        return set_alarm(self, side, slot, earliest + self->reach[side] + 1, out_error);
    clear_rows(self, side, slot);
    return LEAT_OK;
}

static int64_t kept_until(const join_interval *self, unsigned side, int64_t time)
{
    return time + (self->reach[side] > 0 ? self->reach[side] : 0);
}

static leat_code drop_slot(join_interval *self, unsigned side, uint32_t slot, leat_error *out_error)
{
    leat_kept_row *row;
    while ((row = leat_rows_first(&self->rows[side], slot)) && kept_until(self, side, row->time_ms) <= self->watermark)
        leat_rows_remove(&self->rows[side], slot, row);
    return row ? set_alarm(self, side, slot, kept_until(self, side, row->time_ms), out_error) : LEAT_OK;
}

// Of both sides the earlier one; at equal times right rows go first.
static bool take_due(join_interval *self, int64_t until, leat_timer_due *out_due, unsigned *out_side)
{
    int64_t times[2];
    bool due[2];
    for (unsigned side = 0; side < 2; side++)
        due[side] = leat_timers_due(&self->timers[side], until) &&
                    leat_timers_next(&self->timers[side], &times[side]) && times[side] <= until;
    if (!due[LEAT_LEFT] && !due[LEAT_RIGHT])
        return false;
    *out_side = due[LEAT_RIGHT] && (!due[LEAT_LEFT] || times[LEAT_RIGHT] <= times[LEAT_LEFT]) ? LEAT_RIGHT : LEAT_LEFT;
    return leat_timers_take(&self->timers[*out_side], until, out_due);
}

static leat_code fire_due(join_interval *self, int64_t until, leat_error *out_error)
{
    leat_timer_due due;
    unsigned side;
    leat_code code = LEAT_OK;
    while (code == LEAT_OK && take_due(self, until, &due, &side)) {
        code = spec_of(self)->streams ? drop_slot(self, side, due.slot, out_error)
                                      : expire_slot(self, side, due.slot, out_error);
        leat_join_may_be_empty(&self->frame, due.slot);
    }
    return code;
}

// ---- watermarks

static int64_t held_back(const join_interval *self, int64_t watermark)
{
    int64_t delay = self->reach[LEAT_LEFT] > self->reach[LEAT_RIGHT] ? self->reach[LEAT_LEFT] : self->reach[LEAT_RIGHT];
    if (spec_of(self)->streams || spec_of(self)->processing_time || self->empty)
        return watermark;
    return watermark < INT64_MIN + delay ? LEAT_TIME_NONE : watermark - delay;
}

static void pass_on(join_interval *self, int64_t watermark)
{
    leat_emitter_watermark(&self->frame.results, held_back(self, watermark));
    for (unsigned side = 0; side < 2 && spec_of(self)->streams; side++)
        leat_emitter_watermark(&self->late[side], watermark);
}

static leat_code advance(join_interval *self, int64_t watermark, leat_error *out_error)
{
    if (watermark <= self->watermark)
        return LEAT_OK;
    self->watermark = self->frame.watermark_ms = watermark;
    leat_code code = spec_of(self)->processing_time ? LEAT_OK : fire_due(self, watermark, out_error);
    pass_on(self, watermark);
    return code;
}

// ---- rows

typedef struct arrival {
    unsigned side;
    uint32_t slot;
    int64_t time;
    uint64_t cause;
    bool met;
} arrival;

static void meet_row(join_interval *self, arrival *it, leat_kept_row *other)
{
    unsigned side = !it->side;
    bool left = it->side == LEAT_LEFT;
    leat_join_load(&self->frame, side, leat_slice_of(other->bytes, other->size));
    if (!leat_join_meets(&self->frame))
        return;
    emit_pair(self, left ? it->cause : other->cause, left ? other->cause : it->cause,
              it->time > other->time_ms ? it->time : other->time_ms);
    it->met = true;
    if (!leat_join_outer(&self->frame, side) || other->matches)
        return;
    other->matches = 1;
    leat_rows_change(&self->rows[side], it->slot, other);
}

static void meet_all(join_interval *self, arrival *it)
{
    unsigned side = !it->side;
    int64_t lowest = it->time - self->reach[side], highest = it->time + self->reach[it->side];
    for (leat_kept_row *row = leat_rows_first(&self->rows[side], it->slot), *next; row; row = next) {
        next = row->next;
        if (row->time_ms >= lowest && row->time_ms <= highest)
            meet_row(self, it, row);
        else if (row->time_ms > highest && (spec_of(self)->streams || row->time_ms > self->expired[side]))
            break;
        if (!spec_of(self)->streams && row->time_ms <= self->expired[side])
            expire_row(self, side, it->slot, row);
    }
}

static leat_code keep(join_interval *self, const arrival *it, int64_t alarm, leat_error *out_error)
{
    leat_slice bytes = leat_join_encode(&self->frame);
    leat_kept_row *row = leat_rows_add(&self->rows[it->side], it->slot, it->time, bytes, 0);
    if (!row || self->frame.encoded.failed)
        return leat_join_no_budget(&self->frame, out_error);
    row->cause = it->cause;
    row->matches = it->met;
    return leat_timers_any(&self->timers[it->side], it->slot) ? LEAT_OK
                                                              : set_alarm(self, it->side, it->slot, alarm, out_error);
}

static leat_code join_row(join_interval *self, arrival *it, leat_error *out_error)
{
    unsigned other = !it->side;
    int64_t highest = it->time + self->reach[it->side];
    if (!self->empty && self->expired[other] < highest) {
        self->expired[other] = expiration(self, other);
        meet_all(self, it);
    }
    if (!self->empty && time_now(self) < highest)
        return keep(self, it, highest + 1, out_error);
    if (!it->met && leat_join_outer(&self->frame, it->side))
        emit_padded(self, it->side, it->cause, it->time);
    return LEAT_OK;
}

// An alarm that is there may be too late for this row.
static leat_code join_stream_row(join_interval *self, arrival *it, leat_error *out_error)
{
    int64_t until = kept_until(self, it->side, it->time);
    leat_code code = keep(self, it, until, out_error);
    if (code == LEAT_OK && leat_rows_first(&self->rows[it->side], it->slot)->number + 1 ==
                               self->rows[it->side].next_number) { // it became the oldest
        leat_timers_clear_all(&self->timers[it->side], it->slot);
        code = set_alarm(self, it->side, it->slot, until, out_error);
    }
    if (code == LEAT_OK)
        meet_all(self, it);
    return code;
}

static void send_late(join_interval *self, const arrival *it)
{
    leat_operator_context *context = self->base.context;
    unsigned output = 1 + it->side;
    if (output >= context->output_count || (context->output_used && !context->output_used[output])) {
        leat_drops_add(context->drops, LEAT_DROP_LATE, 1);
        return;
    }
    uint32_t row = leat_emitter_row(&self->late[it->side], it->time, LEAT_INSERT, it->cause);
    for (uint32_t c = 0; c < context->inputs[it->side]->count; c++)
        leat_emitter_set(&self->late[it->side], row, c, &self->frame.values[it->side][c]);
}

static bool time_of(join_interval *self, unsigned side, int64_t *out_time)
{
    const leat_join_interval_spec *spec = spec_of(self);
    int32_t column = spec->time_columns[side];
    const leat_value *value = column < 0 ? NULL : &self->frame.values[side][column];
    if (spec->processing_time)
        *out_time = self->base.context->now_ms;
    else
        *out_time = !value ? self->frame.event_ms[side] : value->is_null ? LEAT_TIME_NONE : value->i64;
    bool fits = *out_time > -TIME_LIMIT && *out_time < TIME_LIMIT;
    if (!fits)
        leat_drops_add(self->base.context->drops, *out_time == LEAT_TIME_NONE ? LEAT_DROP_NULL_TIME : LEAT_DROP_MISFIT,
                       1);
    return fits;
}

static leat_code on_row(join_interval *self, unsigned side, uint32_t i, leat_error *out_error)
{
    const leat_batch *batch = self->frame.batch;
    arrival it = {.side = side};
    uint32_t row = leat_batch_row(batch, i);
    leat_code code = batch->watermark ? advance(self, batch->watermark[row], out_error) : LEAT_OK;
    if (code != LEAT_OK || !leat_join_take(&self->frame, i, &row, &it.slot))
        return code;
    leat_join_may_be_empty(&self->frame, it.slot);
    if (!time_of(self, side, &it.time))
        return LEAT_OK;
    it.cause = batch->cause ? batch->cause[row] : 0;
    if (!spec_of(self)->streams)
        return join_row(self, &it, out_error);
    if (self->watermark == LEAT_TIME_NONE || it.time >= self->watermark)
        return join_stream_row(self, &it, out_error);
    send_late(self, &it);
    return LEAT_OK;
}

// ---- elements

static void end_element(join_interval *self)
{
    int64_t times[2] = {INT64_MAX, INT64_MAX};
    leat_join_end(&self->frame);
    for (unsigned side = 0; side < 2; side++) {
        if (spec_of(self)->streams)
            leat_emitter_flush(&self->late[side]);
        if (spec_of(self)->processing_time && !leat_timers_next(&self->timers[side], &times[side]))
            times[side] = INT64_MAX;
    }
    if (spec_of(self)->processing_time)
        self->base.context->wake_at(self->base.context, times[0] < times[1] ? times[0] : times[1]);
}

static leat_code check_removals(const join_interval *self, leat_error *out_error)
{
    bool failed = leat_rows_failed(&self->rows[LEAT_LEFT]) || leat_rows_failed(&self->rows[LEAT_RIGHT]);
    return failed ? leat_error_set(out_error, LEAT_E_LIMIT, "no memory to note the rows that left a join") : LEAT_OK;
}

// What rows further on need: of both sides the entries of their key.
static void prefetch(const join_interval *self, uint32_t i, uint32_t count)
{
    if (i + PREFETCH_AHEAD >= count)
        return;
    uint32_t slot = self->frame.slots[i + PREFETCH_AHEAD];
    for (unsigned side = 0; side < 2; side++) {
        __builtin_prefetch(leat_pane_place(&self->rows[side].panes, self->rows[side].pane, slot), 1);
        __builtin_prefetch(leat_pane_place(&self->timers[side].panes, self->timers[side].pane, slot), 1);
    }
}

static leat_code handle_rows(join_interval *self, unsigned input, leat_batch *batch, leat_error *out_error)
{
    leat_code code = leat_join_begin(&self->frame, input, batch, out_error);
    if (code == LEAT_OK && spec_of(self)->processing_time)
        code = fire_due(self, self->base.context->now_ms, out_error);
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        prefetch(self, i, batch->selected);
        code = on_row(self, input, i, out_error);
    }
    return code;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    join_interval *self = (join_interval *)base;
    leat_code code = batch->selected ? handle_rows(self, input, batch, out_error) : LEAT_OK;
    if (code == LEAT_OK)
        code = advance(self, batch->watermark_after, out_error);
    end_element(self);
    return code == LEAT_OK ? check_removals(self, out_error) : code;
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    join_interval *self = (join_interval *)base;
    leat_code code = advance(self, watermark, out_error);
    end_element(self);
    return code;
}

static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    join_interval *self = (join_interval *)base;
    leat_code code = spec_of(self)->processing_time ? fire_due(self, base->context->now_ms, out_error) : LEAT_OK;
    end_element(self);
    return code;
}

// ---- state

static void snapshot_marks(join_interval *self, leat_snapshot *snapshot)
{
    leat_writer *out = &self->frame.encoded;
    bool changed = self->expired[LEAT_LEFT] != self->stored_expired[LEAT_LEFT] ||
                   self->expired[LEAT_RIGHT] != self->stored_expired[LEAT_RIGHT];
    self->marked |= self->expired[LEAT_LEFT] || self->expired[LEAT_RIGHT];
    leat_writer_reset(out);
    leat_write_u8(out, VERSION);
    leat_write_u64(out, (uint64_t)self->expired[LEAT_LEFT]);
    leat_write_u64(out, (uint64_t)self->expired[LEAT_RIGHT]);
    for (uint32_t group = 0; group < LEAT_KEY_GROUPS && self->marked; group++)
        if (leat_operator_owns(self->base.context, group) && (changed || snapshot->whole[group]))
            snapshot->put(snapshot, TABLE_MARKS, group, leat_slice_text(""), leat_writer_slice(out));
    for (unsigned side = 0; side < 2 && !snapshot->keep_marks; side++)
        self->stored_expired[side] = self->expired[side];
}

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    join_interval *self = (join_interval *)base;
    for (unsigned side = 0; side < 2; side++) {
        leat_rows_snapshot(&self->rows[side], snapshot, (uint8_t)(TABLE_ROWS + side));
        leat_timers_snapshot(&self->timers[side], snapshot, (uint8_t)(TABLE_TIMERS + side), &self->frame.encoded);
    }
    snapshot_marks(self, snapshot);
    leat_join_stored(&self->frame, snapshot);
}

static leat_code restore_mark(join_interval *self, leat_slice value, leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    bool known = leat_read_u8(&reader) == VERSION;
    self->marked = true;
    for (unsigned side = 0; side < 2; side++) {
        int64_t expired = (int64_t)leat_read_u64(&reader);
        if (expired > self->expired[side] || !self->expired[side])
            self->expired[side] = expired;
    }
    return known && !reader.failed ? LEAT_OK
                                   : leat_error_set(out_error, LEAT_E_CORRUPT, "a stored mark of a join is damaged");
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    join_interval *self = (join_interval *)base;
    uint32_t slot;
    if (table == TABLE_MARKS)
        return restore_mark(self, value, out_error);
    if (table < TABLE_ROWS + 2)
        return leat_join_restore_row(&self->frame, &self->rows[table - TABLE_ROWS], key, value, out_error);
    if (table > TABLE_TIMERS + 1)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "an interval join has no table %u", table);
    leat_code code = leat_keys_slot(self->frame.keys, key, &slot, out_error);
    return code == LEAT_OK ? leat_timers_restore(&self->timers[table - TABLE_TIMERS], slot, value, out_error) : code;
}

// A savepoint begins without a watermark, and with nothing expired.
static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)out_error;
    join_interval *self = (join_interval *)base;
    for (unsigned side = 0; side < 2; side++) {
        leat_rows_ready(&self->rows[side]);
        self->stored_expired[side] = self->expired[side];
        if (!spec_of(self)->processing_time && base->context->watermark_ms == LEAT_TIME_NONE &&
            self->expired[side] > expiration(self, side))
            self->expired[side] = 0;
    }
    if (!restored)
        return LEAT_OK;
    int64_t watermark = base->context->watermark_ms, passed = held_back(self, watermark);
    self->watermark = self->frame.watermark_ms = watermark;
    self->frame.results.watermark = self->frame.results.watermark_sent = passed;
    for (unsigned side = 0; side < 2 && spec_of(self)->streams; side++)
        self->late[side].watermark = self->late[side].watermark_sent = watermark;
    end_element(self);
    return LEAT_OK;
}

// ---- life

static bool release(void *owner, uint32_t slot, bool *out_waiting)
{
    join_interval *self = owner;
    for (unsigned side = 0; side < 2; side++)
        if (leat_rows_any(&self->rows[side], slot) || leat_timers_any(&self->timers[side], slot))
            return false;
    bool left = leat_timers_release(&self->timers[LEAT_LEFT], slot);
    bool right = leat_timers_release(&self->timers[LEAT_RIGHT], slot);
    *out_waiting = !left || !right;
    return left && right;
}

static void release_state(join_interval *self)
{
    for (unsigned side = 0; side < 2; side++) {
        leat_rows_fini(&self->rows[side]);
        leat_timers_fini(&self->timers[side]);
        if (spec_of(self)->streams && self->late[side].context)
            leat_emitter_fini(&self->late[side]);
    }
    leat_join_close(&self->frame);
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    join_interval *self = (join_interval *)base;
    const leat_join_interval_spec *spec = spec_of(self);
    leat_operator_context *context = base->context;
    LEAT_ASSERT(spec->sides.kind <= LEAT_JOIN_FULL && context->input_count == 2);
    leat_code code = leat_join_open(&self->frame, context, &spec->sides, out_error);
    if (code != LEAT_OK)
        return code;
    self->frame.release = release;
    self->frame.owner = self;
    self->reach[LEAT_LEFT] = -spec->lower_ms;
    self->reach[LEAT_RIGHT] = spec->upper_ms;
    self->empty = spec->lower_ms > spec->upper_ms;
    self->watermark = LEAT_TIME_NONE;
    bool made = true;
    for (unsigned side = 0; side < 2 && made; side++) {
        made = leat_rows_init(&self->rows[side], context->budget, context->env, self->frame.keys, true) &&
               leat_timers_init(&self->timers[side], context->budget, self->frame.keys);
        if (spec->streams && 1 + side < context->output_count)
            leat_emitter_init(&self->late[side], context, 1 + side);
    }
    if (made)
        return LEAT_OK;
    code = leat_join_no_budget(&self->frame, out_error);
    release_state(self);
    return code;
}

static void close_operator(leat_operator *base) { release_state((join_interval *)base); }

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    const join_interval *self = (join_interval *)base;
    *out_state_bytes = leat_keys_memory(self->frame.keys);
    for (unsigned side = 0; side < 2; side++)
        *out_state_bytes += leat_rows_memory(&self->rows[side]) + leat_timers_memory(&self->timers[side]);
    *out_keys = leat_keys_count(self->frame.keys);
}

const leat_operator_ops leat_operator_join_interval_ops = {
    .name = "join_interval",
    .instance_size = sizeof(join_interval),
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
