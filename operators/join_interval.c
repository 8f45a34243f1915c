// Joins over an interval of time: a row meets rows of the other input whose time is near enough to its own.
//
// SQL: nothing is late. A row is kept while the other input can still bring a partner, that is until the watermark has passed the end of
// its interval; outer rows that met nobody are padded then, once. As in Flink, rows of a key expire at the alarm of the first of
// them, or when a row of the other input comes by; so a row that is older than the one with the alarm may stay, and be met, a little longer.
// Results have the times of their rows, which may lie behind the watermark: the watermark is held back by the longer reach.
//
// DataStream (`streams`): rows older than the watermark are late; a row is kept until the watermark reaches its time plus its reach.
#include "operators/join_interval.h"

enum {
    AHEAD = 8,   // rows
    LINEAR = 32, // rows; beyond, a place is found by halving
    CACHE_BYTES = 1 << 19,
};

// ---- watermarks

int64_t leat_interval_held_back(const leat_join_interval *self, int64_t watermark)
{
    int64_t delay = self->reach[LEAT_LEFT] > self->reach[LEAT_RIGHT] ? self->reach[LEAT_LEFT] : self->reach[LEAT_RIGHT];
    if (leat_interval_spec_of(self)->streams || leat_interval_spec_of(self)->processing_time || self->empty)
        return watermark;
    return watermark < INT64_MIN + delay ? LEAT_TIME_NONE : watermark - delay;
}

static void pass_on(leat_join_interval *self, int64_t watermark)
{
    leat_emitter_watermark(&self->frame.results, leat_interval_held_back(self, watermark));
    for (unsigned side = 0; side < 2 && leat_interval_spec_of(self)->streams; side++)
        leat_emitter_watermark(&self->late[side], watermark);
}

static leat_code advance(leat_join_interval *self, int64_t watermark, leat_error *out_error)
{
    if (watermark <= self->watermark)
        return LEAT_OK;
    self->watermark = self->frame.watermark_ms = watermark;
    bool by_clock = leat_interval_spec_of(self)->processing_time;
    self->now_ms = by_clock ? self->now_ms : watermark;
    leat_code code = !by_clock && !self->streams ? leat_interval_fire_due(self, watermark, out_error) : LEAT_OK;
    pass_on(self, watermark);
    return code;
}

// ---- rows

typedef struct arrival {
    unsigned side;
    uint32_t row, slot;
    leat_interval_key *key;
    int64_t time;
    uint64_t cause;
    bool meets_nobody, met;
} arrival;

// The result's time: of its time attribute; the later one where it has none.
static int64_t result_time(leat_join_interval *self, const arrival *it, const leat_time_row *other)
{
    int64_t later = it->time > other->time_ms ? it->time : other->time_ms;
    switch (self->result_time) {
    case LEAT_INTERVAL_LEFT_TIME:
        return it->side == LEAT_LEFT ? it->time : other->time_ms;
    case LEAT_INTERVAL_RIGHT_TIME:
        return it->side == LEAT_RIGHT ? it->time : other->time_ms;
    case LEAT_INTERVAL_COLUMN_TIME:
        return leat_join_pairs_time(&self->pairs, other, later);
    case LEAT_INTERVAL_LATER_TIME:
        break;
    }
    return later;
}

static void meet_row(leat_join_interval *self, arrival *it, leat_time_row *other)
{
    bool left = it->side == LEAT_LEFT;
    if (it->meets_nobody || !leat_join_pairs_meets(&self->pairs, other))
        return;
    uint64_t cause = leat_join_pair_cause(left ? it->cause : other->cause, left ? other->cause : it->cause);
    leat_join_pairs_emit(&self->pairs, other, result_time(self, it, other), cause);
    it->met = true;
    if (self->outer[!it->side] && !(other->number & LEAT_INTERVAL_MET))
        other->number |= LEAT_INTERVAL_MET | LEAT_ROW_CHANGED; // the entry was marked when the batch began
}

// Rows that have expired are met for the last time.
static uint32_t meet_expired(leat_join_interval *self, arrival *it, int64_t lowest, int64_t highest)
{
    unsigned side = !it->side;
    uint32_t count = it->key->of[side].run.count, i = 0;
    for (; i < count; i++) {
        leat_time_row *row = leat_interval_row_at(self, side, it->key, i);
        if (row->time_ms > self->expired[side])
            break;
        if (row->time_ms >= lowest && row->time_ms <= highest)
            meet_row(self, it, row);
        leat_interval_pad(self, side, it->slot, row);
    }
    return i;
}

static void meet_all(leat_join_interval *self, arrival *it)
{
    unsigned side = !it->side;
    leat_time_run *run = &it->key->of[side].run;
    int64_t lowest = it->time - self->reach[side], highest = it->time + self->reach[it->side];
    uint32_t expired = self->streams ? 0 : meet_expired(self, it, lowest, highest);
    uint32_t i = expired;
    if (run->count - expired > LINEAR && leat_interval_row_at(self, side, it->key, expired)->time_ms < lowest)
        i = leat_time_rows_lower(&self->rows[side], run, lowest);
    for (leat_time_row *row; i < run->count && (row = leat_interval_row_at(self, side, it->key, i))->time_ms <= highest;
         i++)
        if (row->time_ms >= lowest)
            meet_row(self, it, row);
    leat_interval_drop_rows(self, side, it->key, it->slot, expired);
}

static leat_time_row *keep(leat_join_interval *self, const arrival *it)
{
    leat_time_row *row =
        leat_time_rows_add(&self->rows[it->side], &it->key->of[it->side].run, it->time, self->frame.batch, it->row);
    if (row && it->met)
        row->number |= LEAT_INTERVAL_MET;
    return row;
}

// A row of a side that is padded, or one whose alarm Flink does not carry on, has a real alarm.
static leat_code set_first_alarm(leat_join_interval *self, const arrival *it, int64_t alarm, leat_error *out_error)
{
    it->key->of[it->side].alarm_ms = alarm;
    if (self->outer[it->side] || it->time <= 0)
        return leat_interval_set_alarm(self, it->side, it->key, it->slot, out_error);
    return leat_due_times_add(&self->due[it->side], alarm) ? LEAT_OK : leat_join_no_budget(&self->frame, out_error);
}

static leat_code keep_row(leat_join_interval *self, const arrival *it, leat_error *out_error)
{
    leat_interval_side *kept = &it->key->of[it->side];
    int64_t alarm = leat_interval_alarm_of(self, it->side, it->time);
    leat_interval_catch_up(self, it->side, it->key, it->slot);
    leat_time_row *row = keep(self, it);
    if (!row)
        return leat_join_no_budget(&self->frame, out_error);
    leat_interval_note_end(self, alarm);
    if (kept->run.count == 1)
        return set_first_alarm(self, it, alarm, out_error);
    if (alarm < kept->alarm_ms)
        row->number |= LEAT_INTERVAL_OLDER;
    else if (!(*leat_interval_marks_of(it->key) & leat_interval_alarm_mark(it->side)) &&
             !leat_due_times_add(&self->due[it->side], alarm))
        return leat_join_no_budget(&self->frame, out_error);
    return LEAT_OK;
}

static leat_code join_row(leat_join_interval *self, arrival *it, leat_error *out_error)
{
    unsigned other = !it->side;
    int64_t highest = it->time + self->reach[it->side];
    if (!self->empty && self->expired[other] < highest) {
        self->expired[other] = leat_interval_expiration(self, other);
        leat_interval_catch_up(self, other, it->key, it->slot);
        meet_all(self, it);
    }
    if (!self->empty && leat_interval_time_now(self) < highest)
        return keep_row(self, it, out_error);
    if (!it->met && self->outer[it->side])
        leat_join_pairs_emit_arrived(&self->pairs, it->time, leat_join_pad_cause(it->cause, it->side));
    return LEAT_OK;
}

static leat_code join_stream_row(leat_join_interval *self, arrival *it, leat_error *out_error)
{
    for (unsigned side = 0; side < 2; side++)
        leat_interval_catch_up(self, side, it->key, it->slot);
    int64_t end = leat_interval_kept_until(self, it->side, it->time);
    leat_time_row *row = keep(self, it);
    if (!row)
        return leat_join_no_budget(&self->frame, out_error);
    if (end == self->watermark)
        row->number |= LEAT_INTERVAL_AT_END;
    leat_interval_note_end(self, end);
    meet_all(self, it);
    return LEAT_OK;
}

static void send_late(leat_join_interval *self, const arrival *it)
{
    leat_operator_context *context = self->base.context;
    unsigned output = 1 + it->side;
    if (output >= context->output_count || (context->output_used && !context->output_used[output])) {
        leat_drops_add(context->drops, LEAT_DROP_LATE, 1);
        return;
    }
    uint32_t row = leat_emitter_row(&self->late[it->side], it->time, LEAT_INSERT, it->cause);
    for (uint32_t c = 0; c < context->inputs[it->side]->count; c++) {
        leat_value value = leat_column_value(&self->frame.batch->columns[c], it->row);
        leat_emitter_set(&self->late[it->side], row, c, &value);
    }
}

static bool time_of(leat_join_interval *self, uint32_t row, int64_t *out_time)
{
    bool null = self->time_nulls && self->time_nulls[row];
    *out_time = null ? LEAT_TIME_NONE : self->times ? self->times[row] : self->no_time_ms;
    if (leat_interval_time_fits(*out_time))
        return true;
    leat_drops_add(self->base.context->drops, *out_time == LEAT_TIME_NONE ? LEAT_DROP_NULL_TIME : LEAT_DROP_MISFIT, 1);
    return false;
}

static bool has_null_key(const leat_join_interval *self, unsigned side, uint32_t row)
{
    const leat_join_sides *sides = self->frame.sides;
    for (uint32_t k = 0; k < sides->key_count; k++)
        if (!sides->nulls_meet[k] && leat_column_is_null(&self->frame.batch->columns[sides->key_columns[side][k]], row))
            return true;
    return false;
}

static leat_code handle_row(leat_join_interval *self, arrival *it, leat_error *out_error)
{
    it->cause = self->frame.batch->cause ? self->frame.batch->cause[it->row] : 0;
    it->meets_nobody = self->null_keys && has_null_key(self, it->side, it->row);
    leat_join_pairs_arrive(&self->pairs, it->row);
    if (!self->streams)
        return join_row(self, it, out_error);
    if (self->watermark == LEAT_TIME_NONE || it->time >= self->watermark)
        return join_stream_row(self, it, out_error);
    send_late(self, it);
    return LEAT_OK;
}

static leat_code on_row(leat_join_interval *self, unsigned side, uint32_t i, leat_error *out_error)
{
    const leat_batch *batch = self->frame.batch;
    arrival it = {.side = side, .row = leat_batch_row(batch, i), .slot = self->frame.slots[i], .key = self->keys[i]};
    leat_code code = batch->watermark ? advance(self, batch->watermark[it.row], out_error) : LEAT_OK;
    if (code != LEAT_OK)
        return code;
    if (it.slot == LEAT_SLOT_NONE) {
        leat_drops_add(self->base.context->drops, LEAT_DROP_TOO_LARGE, 1);
        return LEAT_OK;
    }
    *leat_interval_marks_of(it.key) |= LEAT_INTERVAL_TOUCHED;
    if (time_of(self, it.row, &it.time))
        code = handle_row(self, &it, out_error);
    if (!it.key->of[LEAT_LEFT].run.count && !it.key->of[LEAT_RIGHT].run.count)
        leat_interval_note_end(self, self->now_ms < LEAT_TIME_MAX ? self->now_ms + 1 : LEAT_TIME_MAX);
    return code;
}

// ---- elements

static int64_t next_wake(leat_join_interval *self)
{
    int64_t times[2];
    for (unsigned side = 0; side < 2; side++)
        if (!leat_timers_next(&self->timers[side], &times[side]))
            times[side] = INT64_MAX;
    int64_t alarm = times[0] < times[1] ? times[0] : times[1];
    int64_t swept = self->sweeping ? self->base.context->now_ms + 1 : self->sweep_ms;
    return alarm < swept ? alarm : swept;
}

void leat_interval_end_element(leat_join_interval *self, uint32_t rows)
{
    leat_interval_sweep(self, rows);
    leat_join_pairs_end(&self->pairs);
    leat_join_end(&self->frame);
    for (unsigned side = 0; side < 2 && self->streams; side++)
        leat_emitter_flush(&self->late[side]);
    if (leat_interval_spec_of(self)->processing_time)
        self->base.context->wake_at(self->base.context, next_wake(self));
}

static leat_code check_removals(const leat_join_interval *self, leat_error *out_error)
{
    bool failed = leat_time_rows_failed(&self->rows[LEAT_LEFT]) || leat_time_rows_failed(&self->rows[LEAT_RIGHT]);
    return failed ? leat_error_set(out_error, LEAT_E_LIMIT, "no memory to note the rows that left a join") : LEAT_OK;
}

// Rows whose key is too long have no entry; the others are looked up together, or one by one where there are such.
static bool make_keys(leat_join_interval *self, uint32_t count)
{
    uint32_t *slots = self->frame.slots, ignored;
    bool is_new, made = true;
    if (!leat_keys_refused(self->frame.keys))
        return leat_pane_make_all(&self->panes, self->pane, slots, count, self->keys, self->new_keys, &ignored);
    for (uint32_t i = 0; i < count && made; i++) {
        leat_pane_entry *entry =
            slots[i] == LEAT_SLOT_NONE ? NULL : leat_pane_make(&self->panes, self->pane, slots[i], &is_new);
        made = entry || slots[i] == LEAT_SLOT_NONE;
        self->keys[i] = entry ? leat_pane_payload(entry) : NULL;
    }
    return made;
}

static size_t rows_memory(const leat_join_interval *self)
{
    return leat_time_rows_memory(&self->rows[LEAT_LEFT]) + leat_time_rows_memory(&self->rows[LEAT_RIGHT]);
}

static void prefetch(const leat_join_interval *self, uint32_t i, uint32_t count)
{
    if (i + 2 * AHEAD < count)
        __builtin_prefetch(self->keys[i + 2 * AHEAD], 1);
    const leat_interval_key *key = i + AHEAD < count ? self->keys[i + AHEAD] : NULL;
    for (unsigned side = 0; side < 2 && key; side++)
        if (key->of[side].run.rows)
            __builtin_prefetch(leat_interval_row_at(self, side, key, 0), 1);
}

static void begin_times(leat_join_interval *self, unsigned input, const leat_batch *batch)
{
    const leat_join_interval_spec *spec = leat_interval_spec_of(self);
    const leat_column *column = spec->time_columns[input] < 0 ? NULL : &batch->columns[spec->time_columns[input]];
    bool by_clock = spec->processing_time;
    self->times = by_clock ? NULL : column ? column->i64 : batch->event_ms;
    self->time_nulls = by_clock || !column ? NULL : column->nulls;
    self->no_time_ms = by_clock ? self->now_ms : LEAT_TIME_NONE;
}

static bool may_have_null_keys(const leat_join_interval *self, unsigned input, const leat_batch *batch)
{
    const leat_join_sides *sides = self->frame.sides;
    for (uint32_t k = 0; k < sides->key_count; k++)
        if (!sides->nulls_meet[k] && batch->columns[sides->key_columns[input][k]].nulls)
            return true;
    return false;
}

// A rule that gets no rows needs none of it.
static void make_room(leat_join_interval *self)
{
    leat_arena *arena = self->base.context->arena;
    if (self->keys)
        return;
    self->keys = leat_arena_array(arena, void *, LEAT_BATCH_ROWS);
    self->new_keys = leat_arena_array(arena, uint32_t, LEAT_BATCH_ROWS);
}

static void begin_rows(leat_join_interval *self, unsigned input, const leat_batch *batch)
{
    begin_times(self, input, batch);
    self->null_keys = may_have_null_keys(self, input, batch);
    leat_time_rows_begin(&self->rows[input], batch);
}

static leat_code handle_rows(leat_join_interval *self, unsigned input, leat_batch *batch, leat_error *out_error)
{
    leat_code code = leat_join_begin(&self->frame, input, batch, out_error);
    make_room(self);
    if (code == LEAT_OK && !make_keys(self, batch->selected))
        code = leat_join_no_budget(&self->frame, out_error);
    if (code == LEAT_OK && leat_interval_spec_of(self)->processing_time)
        code = leat_interval_fire_due(self, self->now_ms, out_error);
    begin_rows(self, input, batch);
    bool ahead = rows_memory(self) > CACHE_BYTES;
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        if (ahead)
            prefetch(self, i, batch->selected);
        code = on_row(self, input, i, out_error);
    }
    return code;
}

static void note_clock(leat_join_interval *self)
{
    if (leat_interval_spec_of(self)->processing_time)
        self->now_ms = self->base.context->now_ms;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    leat_join_interval *self = (leat_join_interval *)base;
    note_clock(self);
    leat_join_pairs_begin(&self->pairs, input, batch);
    leat_code code = batch->selected ? handle_rows(self, input, batch, out_error) : LEAT_OK;
    if (code == LEAT_OK)
        code = advance(self, batch->watermark_after, out_error);
    leat_interval_end_element(self, batch->selected);
    return code == LEAT_OK ? check_removals(self, out_error) : code;
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    leat_join_interval *self = (leat_join_interval *)base;
    note_clock(self);
    leat_code code = advance(self, watermark, out_error);
    leat_interval_end_element(self, 0);
    return code == LEAT_OK ? check_removals(self, out_error) : code;
}

static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    leat_join_interval *self = (leat_join_interval *)base;
    note_clock(self);
    leat_code code =
        leat_interval_spec_of(self)->processing_time ? leat_interval_fire_due(self, self->now_ms, out_error) : LEAT_OK;
    leat_interval_end_element(self, 0);
    return code == LEAT_OK ? check_removals(self, out_error) : code;
}

// ---- life

static void release_rows(leat_join_interval *self)
{
    leat_pane_entry *entry;
    for (uint32_t slot = 0; self->pane && (entry = leat_pane_next(&self->panes, self->pane, 0, &slot)); slot++)
        for (unsigned side = 0; side < 2; side++)
            leat_time_rows_free(&self->rows[side], &((leat_interval_key *)leat_pane_payload(entry))->of[side].run);
    leat_panes_fini(&self->panes);
}

static void release_state(leat_join_interval *self)
{
    release_rows(self);
    for (unsigned side = 0; side < 2; side++) {
        leat_time_rows_fini(&self->rows[side]);
        leat_timers_fini(&self->timers[side]);
        leat_due_times_fini(&self->due[side]);
        if (leat_interval_spec_of(self)->streams && self->late[side].context)
            leat_emitter_fini(&self->late[side]);
    }
    leat_join_close(&self->frame);
}

static leat_interval_time time_of_results(const leat_join_interval *self)
{
    const leat_join_interval_spec *spec = leat_interval_spec_of(self);
    int32_t column = self->base.context->outputs[0]->rowtime;
    int32_t right = column - (int32_t)spec->sides.column_counts[LEAT_LEFT];
    if (column < 0 || spec->streams)
        return LEAT_INTERVAL_LATER_TIME;
    if (!spec->processing_time && column == spec->time_columns[LEAT_LEFT] && right < 0)
        return LEAT_INTERVAL_LEFT_TIME;
    if (!spec->processing_time && right >= 0 && right == spec->time_columns[LEAT_RIGHT])
        return LEAT_INTERVAL_RIGHT_TIME;
    return LEAT_INTERVAL_COLUMN_TIME;
}

static void set_up(leat_join_interval *self)
{
    const leat_join_interval_spec *spec = leat_interval_spec_of(self);
    self->reach[LEAT_LEFT] = -spec->lower_ms;
    self->reach[LEAT_RIGHT] = spec->upper_ms;
    self->empty = spec->lower_ms > spec->upper_ms;
    self->streams = spec->streams;
    for (unsigned side = 0; side < 2; side++)
        self->outer[side] = leat_join_outer(&self->frame, side);
    self->watermark = self->newest_ms = self->now_ms = LEAT_TIME_NONE;
    for (unsigned side = 0; side < 2; side++)
        self->fired[side] = self->stored_fired[side] = LEAT_TIME_NONE;
    self->sweep_ms = LEAT_TIME_MAX;
    self->result_time = time_of_results(self);
}

// Where the clock tells the time of a row, no column does.
static void plan_rows(leat_join_interval *self)
{
    const leat_join_interval_spec *spec = leat_interval_spec_of(self);
    leat_operator_context *context = self->base.context;
    const int32_t *columns = spec->processing_time ? (const int32_t[]){-1, -1} : spec->time_columns;
    leat_join_pairs_init(&self->pairs, &self->frame, self->rows, columns, spec->unread);
    for (unsigned side = 0; side < 2; side++) {
        uint32_t count;
        const uint32_t *kept = leat_join_pairs_kept(&self->pairs, side, &count);
        leat_time_rows_init(&self->rows[side], context->budget, context->env, self->frame.keys, context->arena,
                            context->inputs[side], kept, count);
    }
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    leat_join_interval *self = (leat_join_interval *)base;
    const leat_join_interval_spec *spec = leat_interval_spec_of(self);
    leat_operator_context *context = base->context;
    LEAT_ASSERT(spec->sides.kind <= LEAT_JOIN_FULL && context->input_count == 2);
    leat_code code = leat_join_open(&self->frame, context, &spec->sides, out_error);
    if (code != LEAT_OK)
        return code;
    set_up(self);
    plan_rows(self);
    leat_panes_init(&self->panes, context->budget, sizeof(leat_interval_key));
    self->pane = leat_panes_open(&self->panes, 0);
    bool made = self->pane != NULL;
    for (unsigned side = 0; side < 2 && made; side++) {
        made = leat_timers_init(&self->timers[side], context->budget, self->frame.keys);
        leat_due_times_init(&self->due[side], context->budget);
        if (spec->streams && 1 + side < context->output_count)
            leat_emitter_init(&self->late[side], context, 1 + side);
    }
    if (made)
        return LEAT_OK;
    code = leat_join_no_budget(&self->frame, out_error);
    release_state(self);
    return code;
}

static void close_operator(leat_operator *base) { release_state((leat_join_interval *)base); }

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    const leat_join_interval *self = (leat_join_interval *)base;
    *out_state_bytes = leat_keys_memory(self->frame.keys) + leat_panes_memory(&self->panes) + rows_memory(self);
    for (unsigned side = 0; side < 2; side++)
        *out_state_bytes += leat_timers_memory(&self->timers[side]) + leat_due_times_memory(&self->due[side]);
    *out_keys = leat_keys_count(self->frame.keys);
}

const leat_operator_ops leat_operator_join_interval_ops = {
    .name = "join_interval",
    .instance_size = sizeof(leat_join_interval),
    .open = open_operator,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .on_time = on_time,
    .snapshot = leat_interval_snapshot,
    .restore = leat_interval_restore,
    .ready = leat_interval_ready,
    .close = close_operator,
    .measure = measure,
};
