// OVER windows: each row goes out once, with the input's columns and the functions of the rows before it in time.
//
// Event time: a row waits until the watermark has passed it; rows go out in order of time, those of one time in order of arrival. Late
// is, as in Flink, another thing for each frame: unbounded frames compare with the watermark; bounded ones with the time that last
// fired for the key, which begins at 0; ORDER BY with the last time that was sent. Unbounded frames send nothing while the watermark is negative.
// Processing time: a row goes out at once; peers of a bounded RANGE, which are the rows of one millisecond, one millisecond later.
// RANGE: peers are added together and get the same values. Bounded frames take rows out again: their arguments are kept until then.
//
// A bounded RANGE forgets a key when nothing of it was seen for one to one and a half times its length, by a timer of its own;
// a timer that was put off counts as one that fired, too (over_mark). All others keep a key until its time to live is over.
//
// What is due is listed and computed for many rows at once, at the latest when the call ends. A row in front of the watermark is never
// late, so that arrival looks at what has fired only for the few others; for them what is due is computed first.
#include "operators/over.h"

enum { PREFETCH_AHEAD = 24, MARKS_AHEAD = 8, DUE_MIN = 64, MARKS_MIN = 3, ENTRY_LINE = 64 };

static bool fires_later(const over *self) { return !self->spec->processing_time || over_cleans_up(self); }

static int64_t plus(int64_t time, int64_t ms)
{
    int64_t sum;
    return __builtin_add_overflow(time, ms, &sum) ? LEAT_TIME_MAX : sum;
}

leat_code over_no_budget(const over *self, leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_LIMIT,
                          "the memory budget of %zu bytes does not hold %u waiting rows and the frames of %u keys",
                          self->base.context->budget->limit, self->queue.count, leat_keys_count(self->frame.keys));
}

// ---- keys

static void reset_key(const over *self, over_key *key)
{
    key->last_ms = self->spec->sort ? LEAT_TIME_NONE : 0;
    key->end_ms = LEAT_TIME_NONE;
    if (key->marks)
        key->marks->count = 0;
    key->cleared = true;
}

leat_pane_entry *over_make_key(over *self, uint32_t slot)
{
    bool is_new;
    leat_pane_entry *entry = leat_pane_make(&self->tables, self->key_table, slot, &is_new);
    if (!entry || !is_new)
        return entry;
    reset_key(self, over_key_of(entry));
    if (self->spec->accumulators)
        leat_accumulators_init(self->spec->accumulators, over_accumulator(entry));
    return entry;
}

static void free_key(over *self, uint32_t slot, leat_pane_entry *entry)
{
    over_frame_free(self, slot, over_key_of(entry));
    over_free_marks(self, over_key_of(entry));
    if (self->spec->accumulators)
        leat_accumulators_release(self->spec->accumulators, over_accumulator(entry), self->base.context->budget);
}

static leat_row_frame_rest rest_of(void *owner, uint32_t slot)
{
    over *self = owner;
    leat_pane_entry *entry = leat_pane_place(&self->tables, self->key_table, slot);
    if (!entry || entry->state == LEAT_PANE_EMPTY)
        return LEAT_ROW_FRAME_FREE;
    if (entry->state == LEAT_PANE_GONE)
        return LEAT_ROW_FRAME_WAITS;
    if (!over_key_of(entry)->cleared || over_key_of(entry)->waiting)
        return LEAT_ROW_FRAME_BUSY;
    free_key(self, slot, entry);
    return leat_pane_remove(&self->tables, self->key_table, slot, entry) ? LEAT_ROW_FRAME_FREE : LEAT_ROW_FRAME_WAITS;
}

// What is due has been computed.
static void clear_key(over *self, uint32_t slot, leat_pane_entry *entry)
{
    over_key *key = over_key_of(entry);
    while (key->count)
        over_frame_drop(self, key);
    leat_sorted_clear(&self->lags, slot);
    reset_key(self, key);
    if (self->ranks_at >= 0)
        *over_ranks_of(self, entry) = (over_ranks){0};
    if (self->spec->accumulators) {
        leat_accumulators_release(self->spec->accumulators, over_accumulator(entry), self->base.context->budget);
        leat_accumulators_init(self->spec->accumulators, over_accumulator(entry));
    }
    leat_pane_mark(&self->tables, self->key_table, slot, entry);
    leat_row_frame_idle(&self->frame, slot);
}

// ---- what is due

static leat_code due_room(over *self, leat_error *out_error)
{
    uint32_t room = self->due_room ? self->due_room * 2 : DUE_MIN;
    over_due *due =
        leat_budget_grow(self->base.context->budget, self->due, self->due_room * sizeof *due, room * sizeof *due);
    if (!due)
        return over_no_budget(self, out_error);
    self->due = due;
    self->due_room = room;
    return LEAT_OK;
}

// A block is full, or there is no room.
static leat_code make_room(over *self, int64_t time, leat_error *out_error)
{
    bool whole_times = self->peers || self->spec->order_count;
    leat_code code = LEAT_OK;
    if (self->due_count >= OVER_BLOCK && !(whole_times && self->due[self->due_count - 1].time_ms == time))
        code = over_run(self, false, out_error);
    return code == LEAT_OK && self->due_count == self->due_room ? due_room(self, out_error) : code;
}

static inline leat_code add_due(over *self, uint32_t row, uint32_t slot, int64_t time, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    if (self->due_count >= OVER_BLOCK || self->due_count == self->due_room)
        code = make_room(self, time, out_error);
    if (code == LEAT_OK)
        self->due[self->due_count++] =
            (over_due){.time_ms = time, .watermark = self->watermark, .row = row, .slot = slot};
    return code;
}

static leat_code take_due(over *self, int64_t until, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    leat_row_due first;
    while (code == LEAT_OK && leat_row_queue_take(&self->queue, until, &first))
        code = add_due(self, first.row, leat_row_queue_slot(&self->queue, first.row), first.time_ms, out_error);
    return code;
}

// ---- keys that are forgotten

static int64_t alarm_due(void *owner, const leat_alarm *alarm)
{
    over *self = owner;
    leat_pane_entry *entry = leat_pane_find(&self->tables, self->key_table, alarm->slot);
    LEAT_ASSERT(entry && over_key_of(entry)->has_alarm);
    return over_key_of(entry)->end_ms;
}

bool over_set_alarm(over *self, uint32_t slot, over_key *key)
{
    if (key->has_alarm)
        return true;
    if (!leat_alarms_reserve(&self->alarms))
        return false;
    leat_alarms_push(&self->alarms, key->end_ms, slot);
    key->has_alarm = true;
    return true;
}

static leat_code forget_until(over *self, int64_t until, leat_error *out_error)
{
    leat_alarm alarm;
    leat_code code = LEAT_OK;
    while (code == LEAT_OK && leat_alarms_take(&self->alarms, until, alarm_due, self, &alarm)) {
        leat_pane_entry *entry = leat_pane_find(&self->tables, self->key_table, alarm.slot);
        over_key *key = over_key_of(entry);
        key->has_alarm = false;
        if (key->end_ms > until) { // put off after its alarm had been found to be due
            bool set = over_set_alarm(self, alarm.slot, key);
            LEAT_ASSERT(set); // in the place of the one that was taken
            continue;
        }
        code = over_run(self, false, out_error);
        clear_key(self, alarm.slot, entry);
    }
    return code;
}

static size_t marks_size(uint32_t room) { return sizeof(over_marks) + room * sizeof(over_mark); }

static bool marks_room(over *self, over_key *key)
{
    uint32_t old = key->marks ? key->marks->room : 0, room = old ? old * 2 : MARKS_MIN;
    if (key->marks && key->marks->count < old)
        return true;
    over_marks *marks =
        leat_budget_grow(self->base.context->budget, key->marks, old ? marks_size(old) : 0, marks_size(room));
    if (!marks)
        return false;
    self->frame_memory += marks_size(room) - (old ? marks_size(old) : 0);
    marks->room = room;
    key->marks = marks;
    return true;
}

bool over_add_mark(over *self, over_key *key, over_mark mark)
{
    if (!marks_room(self, key))
        return false;
    key->marks->items[key->marks->count++] = mark;
    if (mark.due_ms < self->least_mark_ms)
        self->least_mark_ms = mark.due_ms;
    return true;
}

void over_free_marks(over *self, over_key *key)
{
    size_t size = key->marks ? marks_size(key->marks->room) : 0;
    leat_budget_free(self->base.context->budget, key->marks, size);
    self->frame_memory -= size;
    key->marks = NULL;
}

void over_settle_marks(const over *self, over_key *key)
{
    over_marks *marks = key->marks;
    uint32_t past = 0;
    for (; marks && past < marks->count && marks->items[past].due_ms <= self->watermark; past++)
        if (marks->items[past].time_ms > key->last_ms)
            key->last_ms = marks->items[past].time_ms;
    if (!past)
        return;
    marks->count -= past;
    for (uint32_t i = 0; i < marks->count; i++)
        marks->items[i] = marks->items[past + i];
}

static bool put_off(over *self, uint32_t slot, over_key *key, int64_t time)
{
    int64_t length = self->spec->preceding, end = key->end_ms;
    if (key->marks && key->marks->count == key->marks->room)
        over_settle_marks(self, key);
    // A time that the watermark has passed already happens with its next rise.
    over_mark mark = {.due_ms = end > self->watermark ? end : plus(self->watermark, 1), .time_ms = end};
    if (end != LEAT_TIME_NONE && !self->spec->processing_time && !over_add_mark(self, key, mark))
        return false;
    key->end_ms = plus(plus(time, plus(length, length / 2)), 1);
    return over_set_alarm(self, slot, key);
}

static leat_code advance(over *self, int64_t watermark, leat_error *out_error)
{
    if (watermark <= self->watermark)
        return LEAT_OK;
    bool waits = !self->spec->bounded && !self->spec->sort && watermark < 0;
    leat_code code = LEAT_OK;
    if (!self->spec->processing_time && !waits)
        code = take_due(self, watermark, out_error);
    if (code == LEAT_OK && !self->spec->processing_time && leat_alarms_least(&self->alarms) <= watermark)
        code = forget_until(self, watermark, out_error);
    self->watermark = watermark;
    if (watermark > self->late_ms)
        self->late_ms = watermark;
    return code;
}

// ---- rows

// The time that last fired for the key is known when what is due has been computed.
static leat_code is_late(over *self, over_key *key, int64_t time, bool *out_late, leat_error *out_error)
{
    *out_late = time <= self->watermark;
    if (!self->spec->bounded && !self->spec->sort)
        return LEAT_OK;
    leat_code code = over_run(self, false, out_error);
    over_settle_marks(self, key);
    *out_late = key->last_ms != LEAT_TIME_NONE && time <= key->last_ms;
    return code;
}

static bool time_for(const over *self, const leat_batch *batch, uint32_t row, int64_t *out_time)
{
    int32_t column = self->spec->time_column;
    const int64_t *times = column < 0 ? batch->event_ms : batch->columns[column].i64;
    bool is_null =
        !times || (column >= 0 && leat_column_is_null(&batch->columns[column], row)) || times[row] == LEAT_TIME_NONE;
    if (is_null)
        leat_drops_add(self->base.context->drops, LEAT_DROP_NULL_TIME, 1);
    else
        *out_time = times[row];
    return !is_null;
}

// As Flink keeps idle state: from one to one and a half times the time to live after the last row.
static leat_code keep_alive(over *self, uint32_t slot, leat_pane_entry *entry, leat_error *out_error)
{
    over_key *key = over_key_of(entry);
    int64_t ttl = self->spec->state_ttl_ms, now = self->base.context->now_ms;
    leat_code code = LEAT_OK;
    if (over_cleans_up(self))
        return LEAT_OK;
    bool ended = key->end_ms != LEAT_TIME_NONE && key->end_ms <= now;
    if (ended)
        code = over_run(self, false, out_error);
    if (ended && code == LEAT_OK && !key->waiting)
        clear_key(self, slot, entry);
    if (key->end_ms == LEAT_TIME_NONE || plus(now, ttl) > key->end_ms)
        key->end_ms = plus(now, plus(ttl, ttl / 2));
    leat_row_frame_wake(&self->frame);
    return code;
}

static leat_code keep(over *self, uint32_t row, uint32_t slot, over_key *key, int64_t time, leat_error *out_error)
{
    key->cleared = false;
    key->waiting++;
    if (!fires_later(self))
        return add_due(self, leat_row_queue_pass(&self->queue, row, slot), slot, time, out_error);
    bool soon = over_cleans_up(self) &&
                (key->end_ms == LEAT_TIME_NONE || key->end_ms < plus(plus(time, self->spec->preceding), 1));
    if (!leat_row_queue_add(&self->queue, row, slot, time) || (soon && !put_off(self, slot, key, time)))
        return over_no_budget(self, out_error);
    return LEAT_OK;
}

static leat_code add_row(over *self, const leat_batch *batch, uint32_t row, uint32_t slot, leat_error *out_error)
{
    int64_t time = self->base.context->now_ms;
    if (!self->spec->processing_time && !time_for(self, batch, row, &time)) {
        leat_row_frame_idle(&self->frame, slot);
        return LEAT_OK;
    }
    leat_pane_entry *entry = leat_pane_find(&self->tables, self->key_table, slot);
    if (entry)
        leat_pane_mark(&self->tables, self->key_table, slot, entry);
    else if (!(entry = over_make_key(self, slot)))
        return over_no_budget(self, out_error);
    leat_code code = self->spec->state_ttl_ms ? keep_alive(self, slot, entry, out_error) : LEAT_OK;
    bool late = false;
    if (code == LEAT_OK && time <= self->late_ms && !self->spec->processing_time)
        code = is_late(self, over_key_of(entry), time, &late, out_error);
    if (code != LEAT_OK)
        return code;
    if (!late)
        return keep(self, row, slot, over_key_of(entry), time, out_error);
    leat_drops_add(self->base.context->drops, LEAT_DROP_LATE, 1);
    leat_row_frame_idle(&self->frame, slot);
    return LEAT_OK;
}

// ---- elements

static void wake(over *self)
{
    int64_t next = self->frame.wake_ms;
    if (self->spec->processing_time && !leat_row_queue_empty(&self->queue) &&
        plus(leat_row_queue_first(&self->queue), 1) < next)
        next = plus(leat_row_queue_first(&self->queue), 1);
    if (self->spec->processing_time && leat_alarms_least(&self->alarms) < next)
        next = leat_alarms_least(&self->alarms);
    if (self->spec->processing_time || next != INT64_MAX)
        self->base.context->wake_at(self->base.context, next);
}

static leat_code finish(over *self, leat_code code, leat_error *out_error)
{
    if (code == LEAT_OK)
        code = over_run(self, true, out_error);
    if (code == LEAT_OK && self->queue.batch && !leat_row_queue_settle(&self->queue))
        code = over_no_budget(self, out_error);
    code = leat_row_frame_finish(&self->frame, self->watermark, code, out_error);
    wake(self);
    bool failed = leat_sorted_failed(&self->lags) || leat_row_queue_failed(&self->queue) || self->removals.log.failed;
    return code == LEAT_OK && failed ? over_no_budget(self, out_error) : code;
}

// Rows of the millisecond before now.
static leat_code fire_clock(over *self, leat_error *out_error)
{
    if (!self->spec->processing_time)
        return LEAT_OK;
    leat_code code = take_due(self, self->base.context->now_ms - 1, out_error);
    return code == LEAT_OK ? forget_until(self, self->base.context->now_ms, out_error) : code;
}

// Inlined by force: gcc takes a function that only fetches for one without effect, and leaves out the call.
static inline __attribute__((always_inline)) void prefetch(const over *self, uint32_t i, uint32_t count)
{
    leat_pane_entry *near = over_cleans_up(self) && i + MARKS_AHEAD < count
                                ? leat_pane_place(&self->tables, self->key_table, self->frame.slots[i + MARKS_AHEAD])
                                : NULL;
    if (near)
        __builtin_prefetch(over_key_of(near)->marks, 1);
    if (i + PREFETCH_AHEAD >= count)
        return;
    const char *entry =
        (const char *)leat_pane_place(&self->tables, self->key_table, self->frame.slots[i + PREFETCH_AHEAD]);
    if (!entry)
        return;
    __builtin_prefetch(entry, 1);
    __builtin_prefetch(entry + ENTRY_LINE, 1);
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    over *self = (over *)base;
    leat_code code = fire_clock(self, out_error);
    if (code == LEAT_OK)
        code = leat_row_frame_resolve(&self->frame, batch, self->spec->key_columns, out_error);
    leat_row_queue_begin(&self->queue, batch);
    bool large = leat_keys_capacity(self->frame.keys) > OVER_LARGE;
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        uint32_t row = leat_batch_row(batch, i), slot;
        if (large)
            prefetch(self, i, batch->selected);
        if (batch->watermark && batch->watermark[row] > self->watermark)
            code = advance(self, batch->watermark[row], out_error);
        if (code == LEAT_OK && leat_row_frame_slot(&self->frame, i, &slot))
            code = add_row(self, batch, row, slot, out_error);
    }
    if (code == LEAT_OK)
        code = advance(self, batch->watermark_after, out_error);
    return finish(self, code, out_error);
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    over *self = (over *)base;
    return finish(self, advance(self, watermark, out_error), out_error);
}

static void expire_keys(over *self)
{
    leat_pane_entry *entry;
    bool any = false;
    self->frame.wake_ms = INT64_MAX;
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->tables, self->key_table, 0, &slot)); slot++) {
        if (entry->state != LEAT_PANE_LIVE)
            continue;
        const over_key *key = over_key_of(entry);
        any = true;
        if (key->end_ms != LEAT_TIME_NONE && key->end_ms <= self->base.context->now_ms && !key->waiting)
            clear_key(self, slot, entry);
    }
    if (any)
        leat_row_frame_wake(&self->frame);
}

static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    over *self = (over *)base;
    leat_code code = fire_clock(self, out_error);
    if (code == LEAT_OK)
        code = over_run(self, false, out_error);
    if (code == LEAT_OK && self->spec->state_ttl_ms && !over_cleans_up(self))
        expire_keys(self);
    return finish(self, code, out_error);
}

// ---- state and life

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    over *self = (over *)base;
    leat_code code = over_check_restored(self, out_error);
    leat_panes_next_epoch(&self->tables); // what was restored has not changed
    if (restored)
        self->watermark = self->frame.results.watermark = self->frame.results.watermark_sent =
            base->context->watermark_ms;
    if (self->watermark > self->late_ms)
        self->late_ms = self->watermark;
    if (self->key_table->used)
        leat_row_frame_wake(&self->frame);
    wake(self);
    return code;
}

static size_t lay_out_functions(over *self)
{
    size_t size = sizeof(over_key);
    if (self->spec->accumulators)
        size += (leat_accumulators_size(self->spec->accumulators) + 15) & ~(size_t)15;
    self->ranks_at = -1;
    for (uint32_t i = 0; i < self->spec->function_count; i++) {
        const leat_over_function *function = &self->spec->functions[i];
        if (function->kind == LEAT_OVER_LAG) {
            self->lag_count++;
            self->lag_rows = function->offset + 1 > self->lag_rows ? function->offset + 1 : self->lag_rows;
        } else if (function->kind != LEAT_OVER_AGGREGATE) {
            self->ranks_at = (int32_t)size;
        }
    }
    return size + (self->ranks_at >= 0 ? sizeof(over_ranks) : 0);
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    over *self = (over *)base;
    leat_operator_context *context = base->context;
    const leat_over_spec *spec = self->spec = context->spec;
    LEAT_ASSERT(context->outputs[0]->count == context->inputs[0]->count + spec->function_count);
    leat_code code =
        leat_row_frame_open(&self->frame, context, spec->key_count, spec->key_columns, spec->state_ttl_ms, out_error);
    if (code != LEAT_OK)
        return code;
    self->frame.rest = rest_of;
    self->frame.owner = self;
    self->peers = spec->range && fires_later(self);
    self->watermark = LEAT_TIME_NONE;
    self->least_mark_ms = INT64_MAX;
    self->late_ms = spec->bounded && !spec->sort ? 0 : LEAT_TIME_NONE;
    leat_panes_init(&self->tables, context->budget, lay_out_functions(self));
    leat_alarms_init(&self->alarms, context->budget);
    over_open_block(self);
    leat_eval_init(&self->eval, context->env);
    leat_writer_init(&self->stored, context->env, SIZE_MAX / 2);
    leat_removals_init(&self->removals, context->env);
    leat_arena_init(&self->texts, context->env, 0);
    leat_arena_init(&self->values, context->env, 0);
    self->key_table = leat_panes_open(&self->tables, 0);
    bool made = leat_row_queue_init(&self->queue, context, self->frame.keys);
    made &= leat_sorted_init(&self->lags, context->budget, context->env, self->frame.keys);
    if (made && self->key_table)
        return LEAT_OK;
    code = over_no_budget(self, out_error);
    base->ops->close(base);
    return code;
}

static void close_operator(leat_operator *base)
{
    over *self = (over *)base;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; self->key_table && (entry = leat_pane_next(&self->tables, self->key_table, 0, &slot));
         slot++)
        if (entry->state == LEAT_PANE_LIVE)
            free_key(self, slot, entry);
    leat_budget_free(base->context->budget, self->due, self->due_room * sizeof *self->due);
    leat_panes_fini(&self->tables);
    leat_alarms_fini(&self->alarms);
    leat_row_queue_fini(&self->queue);
    leat_sorted_fini(&self->lags);
    leat_eval_fini(&self->eval);
    leat_writer_fini(&self->stored);
    leat_removals_fini(&self->removals);
    leat_arena_fini(&self->texts);
    leat_arena_fini(&self->values);
    leat_row_frame_close(&self->frame);
}

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    over *self = (over *)base;
    leat_row_frame_measure(&self->frame, out_state_bytes, out_keys);
    *out_state_bytes += leat_panes_memory(&self->tables) + leat_row_queue_memory(&self->queue) +
                        leat_sorted_memory(&self->lags) + self->frame_memory +
                        self->alarms.room * sizeof *self->alarms.alarms;
}

const leat_operator_ops leat_operator_over_ops = {
    .name = "over",
    .instance_size = sizeof(over),
    .open = open_operator,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .on_time = on_time,
    .snapshot = over_snapshot,
    .restore = over_restore,
    .ready = ready,
    .close = close_operator,
    .measure = measure,
};
