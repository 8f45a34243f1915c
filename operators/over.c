// OVER windows: each row goes out once, with the input's columns and the functions of the rows before it in time.
//
// Event time: a row waits until the watermark has passed it; rows go out in order of time (of one time: key by key, then by arrival). Late
// is, as in Flink, another thing for each frame: unbounded frames compare with the watermark; bounded ones with the time that last
// fired for the key, which begins at 0; ORDER BY with the last time that was sent. Unbounded frames send nothing while the watermark is negative.
// Processing time: a row goes out at once; peers of a bounded RANGE, which are the rows of one millisecond, one millisecond later.
// RANGE: peers are added together and get the same values. Bounded frames take rows out again: they are kept until then.
//
// A bounded RANGE forgets a key when nothing of it was seen for one to one and a half times its length, by a timer of its own;
// that timer, too, counts as one that fired. All others keep a key until its time to live is over.
//
// What is due is not computed row by row: rows are decoded into a block with a list of steps (out of the frame, into it, send), and
// arguments are evaluated for a whole block.
#include "operators/over.h"

enum { PREFETCH_AHEAD = 16 };

static bool fires_later(const over *self)
{
    return !self->spec->processing_time || (self->spec->range && self->spec->bounded);
}

static int64_t plus(int64_t time, int64_t ms)
{
    int64_t sum;
    return __builtin_add_overflow(time, ms, &sum) ? LEAT_TIME_MAX : sum;
}

// ---- keys

static void reset_key(const over *self, over_key *key)
{
    *key = (over_key){.last_ms = self->spec->sort ? LEAT_TIME_NONE : 0,
                      .cleanup_ms = LEAT_TIME_NONE,
                      .expiry_ms = LEAT_TIME_NONE,
                      .cleared = true};
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

static leat_row_frame_rest rest_of(void *owner, uint32_t slot)
{
    over *self = owner;
    leat_pane_entry *entry = leat_pane_place(&self->tables, self->key_table, slot);
    bool waits = false;
    if (entry && entry->state == LEAT_PANE_LIVE && !over_key_of(entry)->cleared)
        return LEAT_ROW_FRAME_BUSY;
    if (leat_timers_any(&self->timers, slot))
        return LEAT_ROW_FRAME_BUSY;
    if (entry && entry->state == LEAT_PANE_LIVE) {
        if (self->spec->accumulators)
            leat_accumulators_release(self->spec->accumulators, over_accumulator(entry), self->base.context->budget);
        waits = !leat_pane_remove(&self->tables, self->key_table, slot, entry);
    } else if (entry && entry->state == LEAT_PANE_GONE) {
        waits = true;
    }
    waits |= !leat_timers_release(&self->timers, slot);
    return waits ? LEAT_ROW_FRAME_WAITS : LEAT_ROW_FRAME_FREE;
}

// ---- firing

// Takes the first row out of the frame.
static leat_code leave_frame(over *self, uint32_t slot, leat_pane_entry *entry, leat_error *out_error)
{
    leat_code code = over_make_room(self, 1, out_error);
    if (code != LEAT_OK)
        return code;
    over_add_step(self, OVER_STEP_OUT, slot, over_add_row(self, leat_sorted_get(&self->frame.rows, slot, 0)));
    leat_row_frame_drop(&self->frame, slot, 0);
    over_key_of(entry)->in_frame--;
    return LEAT_OK;
}

// A row that has been taken stays for as long as the frame has an end.
static void taken(over *self, uint32_t slot, leat_pane_entry *entry)
{
    over_key *key = over_key_of(entry);
    if (self->spec->bounded)
        key->in_frame++;
    else
        leat_row_frame_drop(&self->frame, slot, key->in_frame);
}

static leat_code fire_row(over *self, uint32_t slot, leat_pane_entry *entry, leat_error *out_error)
{
    over_key *key = over_key_of(entry);
    leat_code code = LEAT_OK;
    if (self->spec->bounded && key->in_frame > self->spec->preceding)
        code = leave_frame(self, slot, entry, out_error);
    if (code == LEAT_OK)
        code = over_make_room(self, 1, out_error);
    if (code != LEAT_OK)
        return code;
    uint32_t row = over_add_row(self, leat_sorted_get(&self->frame.rows, slot, key->in_frame));
    over_add_step(self, OVER_STEP_IN, slot, row);
    over_add_step(self, OVER_STEP_SEND, slot, row);
    taken(self, slot, entry);
    return LEAT_OK;
}

static uint32_t peers_of(const over *self, uint32_t slot, uint32_t first, int64_t time)
{
    uint32_t count = leat_sorted_count(&self->frame.rows, slot), end = first;
    while (end < count && over_time(leat_sorted_get(&self->frame.rows, slot, end)) == time)
        end++;
    return end - first;
}

// Peers that do not fit into one block are decoded twice.
static leat_code fire_peers(over *self, uint32_t slot, leat_pane_entry *entry, uint32_t count, leat_error *out_error)
{
    uint32_t first = over_key_of(entry)->in_frame, at = 0;
    bool twice = count > OVER_BLOCK / 2;
    leat_code code = twice ? LEAT_OK : over_make_room(self, count, out_error);
    for (uint32_t i = 0; i < count && code == LEAT_OK; i++) {
        code = twice ? over_make_room(self, 1, out_error) : LEAT_OK;
        if (code != LEAT_OK)
            break;
        uint32_t row = over_add_row(self, leat_sorted_get(&self->frame.rows, slot, first + i));
        at = i ? at : row;
        over_add_step(self, OVER_STEP_IN, slot, row);
    }
    for (uint32_t i = 0; i < count && code == LEAT_OK; i++) {
        code = twice ? over_make_room(self, 1, out_error) : LEAT_OK;
        if (code != LEAT_OK)
            break;
        uint32_t row =
            twice ? over_add_row(self, leat_sorted_get(&self->frame.rows, slot, over_key_of(entry)->in_frame)) : at + i;
        over_add_step(self, OVER_STEP_SEND, slot, row);
        taken(self, slot, entry);
    }
    return code;
}

static leat_code fire_range(over *self, uint32_t slot, leat_pane_entry *entry, int64_t time, uint32_t count,
                            leat_error *out_error)
{
    over_key *key = over_key_of(entry);
    leat_code code = LEAT_OK;
    while (code == LEAT_OK && self->spec->bounded && key->in_frame) {
        int64_t first = over_time(leat_sorted_get(&self->frame.rows, slot, 0));
        if ((uint64_t)time - (uint64_t)first <= (uint64_t)self->spec->preceding)
            break;
        code = leave_frame(self, slot, entry, out_error);
    }
    return code == LEAT_OK ? fire_peers(self, slot, entry, count, out_error) : code;
}

static leat_code clear_key(over *self, uint32_t slot, leat_pane_entry *entry, leat_error *out_error)
{
    leat_code code = over_make_room(self, 1, out_error);
    if (code != LEAT_OK)
        return code;
    over_key *key = over_key_of(entry), before = *key;
    leat_sorted_clear(&self->frame.rows, slot);
    reset_key(self, key);
    key->row_count = before.row_count; // these are for the step
    key->rank = before.rank;
    key->dense_rank = before.dense_rank;
    key->rank_ms = before.rank_ms;
    leat_pane_mark(&self->tables, self->key_table, slot, entry);
    over_add_step(self, OVER_STEP_CLEAR, slot, 0);
    leat_row_frame_idle(&self->frame, slot);
    return LEAT_OK;
}

static bool cleans_up(const over *self) { return self->spec->range && self->spec->bounded; }

static leat_code fire(over *self, uint32_t slot, int64_t timer_ms, leat_error *out_error)
{
    leat_pane_entry *entry = over_entry(self, slot);
    int64_t time = self->spec->processing_time ? timer_ms - 1 : timer_ms;
    if (!entry) {
        leat_row_frame_idle(&self->frame, slot);
        return LEAT_OK;
    }
    over_key *key = over_key_of(entry);
    if (cleans_up(self) && key->cleanup_ms != LEAT_TIME_NONE && key->cleanup_ms <= timer_ms)
        return clear_key(self, slot, entry, out_error);
    leat_code code = LEAT_OK;
    uint32_t count = peers_of(self, slot, key->in_frame, time);
    if (self->spec->range)
        code = count ? fire_range(self, slot, entry, time, count, out_error) : LEAT_OK;
    else
        for (uint32_t i = 0; i < count && code == LEAT_OK; i++)
            code = fire_row(self, slot, entry, out_error);
    key->last_ms = timer_ms;
    leat_pane_mark(&self->tables, self->key_table, slot, entry);
    return code;
}

static leat_code fire_until(over *self, int64_t until, leat_error *out_error)
{
    leat_timer_due due;
    leat_code code = LEAT_OK;
    while (code == LEAT_OK && leat_timers_take(&self->timers, until, &due))
        code = fire(self, due.slot, due.time_ms, out_error);
    return code;
}

static leat_code advance(over *self, int64_t watermark, leat_error *out_error)
{
    if (watermark <= self->watermark)
        return LEAT_OK;
    bool waits = !self->spec->bounded && !self->spec->sort && watermark < 0;
    leat_code code = self->spec->processing_time || waits ? LEAT_OK : fire_until(self, watermark, out_error);
    if (code == LEAT_OK)
        code = over_make_room(self, 1, out_error);
    self->watermark = watermark;
    if (code == LEAT_OK)
        self->steps[self->step_count++] = (over_step){.kind = OVER_STEP_WATERMARK, .watermark = watermark};
    return code;
}

// ---- rows

static bool is_late(const over *self, const over_key *key, int64_t time)
{
    if (self->spec->processing_time)
        return false;
    if (self->spec->bounded || self->spec->sort)
        return self->spec->sort && key->last_ms == LEAT_TIME_NONE ? false : time <= key->last_ms;
    return time <= self->watermark;
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
    if (!ttl || cleans_up(self))
        return LEAT_OK;
    bool waiting = leat_sorted_count(&self->frame.rows, slot) > key->in_frame;
    if (key->expiry_ms != LEAT_TIME_NONE && key->expiry_ms <= now && !waiting)
        code = clear_key(self, slot, entry, out_error);
    if (key->expiry_ms == LEAT_TIME_NONE || plus(now, ttl) > key->expiry_ms)
        key->expiry_ms = plus(now, plus(ttl, ttl / 2));
    leat_row_frame_wake(&self->frame);
    return code;
}

static bool set_cleanup(over *self, uint32_t slot, over_key *key, int64_t time)
{
    int64_t length = self->spec->preceding;
    if (!cleans_up(self))
        return true;
    if (key->cleanup_ms != LEAT_TIME_NONE && key->cleanup_ms >= plus(plus(time, length), 1))
        return true;
    key->cleanup_ms = plus(plus(time, plus(length, length / 2)), 1);
    return leat_timers_set(&self->timers, slot, key->cleanup_ms, NULL);
}

static void wake(over *self)
{
    int64_t next = INT64_MAX, time;
    if (self->spec->processing_time && leat_timers_next(&self->timers, &time))
        next = time;
    if (self->frame.wake_ms < next)
        next = self->frame.wake_ms;
    if (self->spec->processing_time || next != INT64_MAX)
        self->base.context->wake_at(self->base.context, next);
}

static leat_code keep(over *self, const leat_batch *batch, uint32_t row, uint32_t slot, leat_pane_entry *entry,
                      int64_t time, leat_error *out_error)
{
    uint32_t index;
    over_key *key = over_key_of(entry);
    leat_writer_reset(&self->frame.order);
    leat_write_u64be(&self->frame.order, (uint64_t)time ^ UINT64_C(1) << 63);
    leat_order_encode_row(batch, row, self->spec->orders, self->spec->order_count, &self->frame.order);
    if (!leat_row_frame_keep(&self->frame, batch, row, slot, leat_writer_slice(&self->frame.order), &index))
        return leat_row_frame_no_budget(&self->frame, out_error);
    key->cleared = false;
    leat_pane_mark(&self->tables, self->key_table, slot, entry);
    if (!fires_later(self))
        return fire_row(self, slot, entry, out_error);
    int64_t timer = self->spec->processing_time ? time + 1 : time;
    if (!leat_timers_set(&self->timers, slot, timer, NULL) || !set_cleanup(self, slot, key, time))
        return leat_row_frame_no_budget(&self->frame, out_error);
    return LEAT_OK;
}

static leat_code add_row(over *self, const leat_batch *batch, uint32_t row, uint32_t slot, leat_error *out_error)
{
    int64_t time = self->base.context->now_ms;
    if (!self->spec->processing_time && !time_for(self, batch, row, &time)) {
        leat_row_frame_idle(&self->frame, slot);
        return LEAT_OK;
    }
    leat_pane_entry *entry = over_make_key(self, slot);
    if (!entry)
        return leat_row_frame_no_budget(&self->frame, out_error);
    leat_code code = keep_alive(self, slot, entry, out_error);
    if (code != LEAT_OK)
        return code;
    if (!is_late(self, over_key_of(entry), time))
        return keep(self, batch, row, slot, entry, time, out_error);
    leat_drops_add(self->base.context->drops, LEAT_DROP_LATE, 1);
    leat_row_frame_idle(&self->frame, slot);
    return LEAT_OK;
}

// ---- elements

static leat_code finish(over *self, leat_code code, leat_error *out_error)
{
    if (code == LEAT_OK)
        code = over_run(self, out_error);
    code = leat_row_frame_finish(&self->frame, self->watermark, code, out_error);
    wake(self);
    return code == LEAT_OK && leat_sorted_failed(&self->lags) ? leat_row_frame_no_budget(&self->frame, out_error)
                                                              : code;
}

static leat_code fire_clock(over *self, leat_error *out_error)
{
    return self->spec->processing_time ? fire_until(self, self->base.context->now_ms, out_error) : LEAT_OK;
}

// What rows further on need: the entry of their key, its timer, its rows.
static void prefetch(const over *self, uint32_t i, uint32_t count)
{
    const uint32_t *slots = self->frame.slots;
    leat_sorted_prefetch(&self->frame.rows, slots, i, count);
    if (i + PREFETCH_AHEAD >= count)
        return;
    __builtin_prefetch(leat_pane_place(&self->timers.panes, self->timers.pane, slots[i + PREFETCH_AHEAD]), 1);
    __builtin_prefetch(leat_pane_place(&self->tables, self->key_table, slots[i + PREFETCH_AHEAD]), 1);
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    over *self = (over *)base;
    leat_code code = fire_clock(self, out_error);
    if (code == LEAT_OK)
        code = leat_row_frame_resolve(&self->frame, batch, self->spec->key_columns, out_error);
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        uint32_t row = leat_batch_row(batch, i), slot;
        prefetch(self, i, batch->selected);
        if (batch->watermark)
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

static leat_code expire_keys(over *self, leat_error *out_error)
{
    leat_pane_entry *entry;
    leat_code code = LEAT_OK;
    bool any = false;
    self->frame.wake_ms = INT64_MAX;
    for (uint32_t slot = 0; code == LEAT_OK && (entry = leat_pane_next(&self->tables, self->key_table, 0, &slot));
         slot++) {
        if (entry->state != LEAT_PANE_LIVE)
            continue;
        over_key *key = over_key_of(entry);
        bool waiting = leat_sorted_count(&self->frame.rows, slot) > key->in_frame;
        any = true;
        if (key->expiry_ms != LEAT_TIME_NONE && key->expiry_ms <= self->base.context->now_ms && !waiting)
            code = clear_key(self, slot, entry, out_error);
    }
    if (any)
        leat_row_frame_wake(&self->frame);
    return code;
}

static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    over *self = (over *)base;
    leat_code code = fire_clock(self, out_error);
    if (code == LEAT_OK && self->spec->state_ttl_ms && !cleans_up(self))
        code = expire_keys(self, out_error);
    return finish(self, code, out_error);
}

// ---- state and life

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    over *self = (over *)base;
    leat_code code = over_check_frames(self, out_error);
    leat_panes_next_epoch(&self->tables); // what was restored has not changed
    if (restored)
        self->watermark = self->frame.results.watermark = self->frame.results.watermark_sent =
            base->context->watermark_ms;
    if (self->key_table->used)
        leat_row_frame_wake(&self->frame);
    wake(self);
    return code;
}

static void count_lags(over *self)
{
    for (uint32_t i = 0; i < self->spec->function_count; i++) {
        const leat_over_function *function = &self->spec->functions[i];
        if (function->kind != LEAT_OVER_LAG)
            continue;
        self->lag_count++;
        if (function->offset + 1 > self->lag_rows)
            self->lag_rows = function->offset + 1;
    }
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
    leat_panes_init(&self->tables, context->budget,
                    sizeof(over_key) + (spec->accumulators ? leat_accumulators_size(spec->accumulators) : 0));
    self->key_table = leat_panes_open(&self->tables, 0);
    bool made = self->key_table && leat_timers_init(&self->timers, context->budget, self->frame.keys);
    made = made && leat_sorted_init(&self->lags, context->budget, context->env, self->frame.keys);
    count_lags(self);
    over_open_block(self);
    leat_eval_init(&self->eval, context->env);
    leat_writer_init(&self->stored, context->env, SIZE_MAX / 2);
    leat_arena_init(&self->texts, context->env, 0);
    self->watermark = LEAT_TIME_NONE;
    if (made)
        return LEAT_OK;
    code = leat_row_frame_no_budget(&self->frame, out_error);
    base->ops->close(base);
    return code;
}

static void close_operator(leat_operator *base)
{
    over *self = (over *)base;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; self->key_table && self->spec->accumulators &&
                            (entry = leat_pane_next(&self->tables, self->key_table, 0, &slot));
         slot++)
        if (entry->state == LEAT_PANE_LIVE)
            leat_accumulators_release(self->spec->accumulators, over_accumulator(entry), base->context->budget);
    leat_panes_fini(&self->tables);
    leat_timers_fini(&self->timers);
    leat_sorted_fini(&self->lags);
    leat_eval_fini(&self->eval);
    leat_writer_fini(&self->stored);
    leat_arena_fini(&self->texts);
    leat_arena_fini(&self->block.arena);
    leat_row_frame_close(&self->frame);
}

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    over *self = (over *)base;
    leat_row_frame_measure(&self->frame, out_state_bytes, out_keys);
    *out_state_bytes +=
        leat_panes_memory(&self->tables) + leat_timers_memory(&self->timers) + leat_sorted_memory(&self->lags);
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
