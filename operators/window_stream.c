// Windows as DataStream programs have them: an assigner, a trigger, an evictor, allowed lateness, late rows; and the group windows of
// the table runtime, which send updates.
//
// Each window of each key stands by itself (state/stream_window.h): a row is put into every window it belongs to, one after the other,
// the window's trigger is asked, a result is made, and what has fired is forgotten where the trigger purges. Panes that windows share
// would save additions but not the triggers' calls, which are per window and row. window_time is the operator for windows that only fire at
// their end.
//
// A row belongs to no window any more when all of its windows are past their cleanup time (last instant + lateness); only then is it late, and
// late it is only when its own time + lateness has passed too. Sessions are judged after they were merged.
//
// Order: rows one by one; timers by time, then in the order in which windows began. Results due at the watermark before a row come before that row.
#include "operators/window_stream.h"

enum { IDLE_MIN = 64 };
static const int64_t TIME_LIMIT = LEAT_ASSIGN_TIME_MAX; // times beyond have no window: nothing overflows

leat_code window_stream_no_budget(window_stream *self, leat_error *out_error)
{
    return leat_window_frame_no_budget(&self->frame, out_error);
}

static leat_window_clock clock_of(const window_stream *self)
{
    return window_stream_spec(self)->processing_time ? LEAT_WINDOW_PROCESSING : LEAT_WINDOW_EVENT;
}

static bool is_event_time(const window_stream *self)
{
    const leat_window_stream_spec *spec = window_stream_spec(self);
    return spec->assigner == LEAT_ASSIGN_TIME && !spec->processing_time;
}

// ---- slots

static leat_code may_be_idle(window_stream *self, uint32_t slot, leat_error *out_error)
{
    if (self->idle_count == self->idle_room) {
        uint32_t room = self->idle_room ? self->idle_room * 2 : IDLE_MIN;
        uint32_t *idle = leat_budget_grow(self->base.context->budget, self->idle, self->idle_room * sizeof *idle,
                                          room * sizeof *idle);
        if (!idle)
            return window_stream_no_budget(self, out_error);
        self->idle = idle;
        self->idle_room = room;
    }
    self->idle[self->idle_count++] = slot;
    return LEAT_OK;
}

static void release_idle(window_stream *self)
{
    for (uint32_t i = 0; i < self->idle_count; i++) {
        leat_pane_entry *entry = leat_pane_place(&self->windows.tables, self->windows.table, self->idle[i]);
        if ((!entry || entry->state == LEAT_PANE_EMPTY) && leat_keys_live(self->frame.keys, self->idle[i]))
            leat_keys_release(self->frame.keys, self->idle[i]);
    }
    self->idle_count = 0;
}

static leat_code drop_row(window_stream *self, uint32_t slot, leat_drop_cause cause, leat_error *out_error)
{
    leat_drops_add(self->base.context->drops, cause, 1);
    return may_be_idle(self, slot, out_error);
}

// ---- the life of a window

static int64_t cleanup_time(const window_stream *self, int64_t max_ms)
{
    const leat_window_stream_spec *spec = window_stream_spec(self);
    if (!is_event_time(self))
        return max_ms;
    int64_t lateness = spec->aggregate.allowed_lateness_ms;
    int64_t time = max_ms > LEAT_TIME_MAX - lateness ? LEAT_TIME_MAX : max_ms + lateness;
    return spec->updates && time < 0 ? 0 : time; // as the table runtime has it
}

static leat_code end_window(window_stream *self, leat_stream_window *window, leat_error *out_error)
{
    uint32_t slot = window->slot;
    leat_window_contents_release(&self->store, window);
    return leat_stream_windows_remove(&self->windows, window) ? may_be_idle(self, slot, out_error) : LEAT_OK;
}

static bool has_timer(const leat_stream_window *window)
{
    return window->at_end.set || window->at_fire.set || window->at_cleanup.set;
}

// Of a window without rows, timers and a trigger's state nothing needs to be known.
static leat_code settle(window_stream *self, leat_stream_window *window, leat_error *out_error)
{
    const leat_window_stream_spec *spec = window_stream_spec(self);
    bool full = spec->assigner == LEAT_ASSIGN_COUNT && !window->count; // has fired: no row comes any more
    bool known = window->count || window->has_fire || leat_window_contents_of(window)->mark;
    if (full || (!window->filled && !known && !has_timer(window)))
        return end_window(self, window, out_error);
    leat_stream_windows_timed(&self->windows, window);
    leat_stream_windows_mark(&self->windows, window->slot);
    return LEAT_OK;
}

static leat_code act(window_stream *self, leat_stream_window *window, unsigned result, leat_error *out_error)
{
    leat_code code = result & LEAT_TRIGGER_FIRE ? window_stream_emit(self, window, out_error) : LEAT_OK;
    if (code == LEAT_OK && (result & LEAT_TRIGGER_PURGE))
        leat_window_contents_clear(&self->store, window);
    return code;
}

// ---- timers

static void take(leat_window_timer *timer, leat_window_clock clock, int64_t due_ms)
{
    timer->set &= timer->clock != clock || timer->due_ms != due_ms;
}

static leat_code on_timer(window_stream *self, leat_stream_window *window, leat_window_clock clock,
                          leat_error *out_error)
{
    int64_t due_ms = window->dues_ms[clock];
    take(&window->at_end, clock, due_ms);
    take(&window->at_fire, clock, due_ms);
    take(&window->at_cleanup, clock, due_ms);
    unsigned result = leat_trigger_on_time(window_stream_spec(self), window, clock, due_ms);
    leat_code code = act(self, window, result, out_error);
    if (code != LEAT_OK)
        return code;
    bool timed = window_stream_spec(self)->assigner == LEAT_ASSIGN_TIME;
    if (timed && clock == clock_of(self) && cleanup_time(self, window->max_ms) == due_ms)
        return end_window(self, window, out_error);
    return settle(self, window, out_error);
}

// A window without an end would fire for ever at the end of time: it fires once.
static void skip_to_end(window_stream *self, leat_stream_window *window)
{
    window->at_fire.set = window->has_fire = false;
    leat_stream_windows_timed(&self->windows, window);
}

static leat_code fire_due(window_stream *self, leat_window_clock clock, int64_t until_ms, leat_error *out_error)
{
    leat_stream_window *window;
    leat_code code = LEAT_OK;
    while (code == LEAT_OK && (window = leat_stream_windows_next(&self->windows, clock, until_ms))) {
        bool endless = until_ms == LEAT_TIME_MAX && window->max_ms == LEAT_TIME_MAX;
        if (endless && window->at_end.set && window->at_fire.set)
            skip_to_end(self, window);
        else
            code = on_timer(self, window, clock, out_error);
    }
    return code;
}

static leat_code advance(window_stream *self, int64_t watermark_ms, leat_error *out_error)
{
    int64_t before = self->frame.watermark;
    if (watermark_ms > before) {
        self->frame.watermark = watermark_ms; // triggers see the new one
        leat_code code = fire_due(self, LEAT_WINDOW_EVENT, watermark_ms, out_error);
        if (code != LEAT_OK)
            return self->frame.watermark = before, code;
    }
    leat_window_frame_rise(&self->frame, watermark_ms);
    return LEAT_OK;
}

static void wake_later(window_stream *self)
{
    leat_operator_context *context = self->base.context;
    int64_t due_ms = leat_stream_windows_due(&self->windows, LEAT_WINDOW_PROCESSING);
    if (due_ms == self->wake_ms)
        return;
    self->wake_ms = due_ms;
    context->wake_at(context, due_ms);
}

// ---- rows

static leat_trigger_time times_now(const window_stream *self, int64_t time_ms)
{
    return (leat_trigger_time){time_ms, self->frame.watermark, self->base.context->now_ms};
}

static leat_code ask_trigger(window_stream *self, leat_stream_window *window, uint32_t row, int64_t time_ms,
                             unsigned *out_result, leat_error *out_error)
{
    const leat_window_stream_spec *spec = window_stream_spec(self);
    leat_trigger_time times = times_now(self, time_ms);
    bool far;
    *out_result = leat_trigger_on_row(spec, window, &times);
    if (spec->trigger != LEAT_TRIGGER_DELTA)
        return LEAT_OK;
    leat_code code = leat_window_delta_on_row(&self->store, window, row, &far, out_error);
    if (code == LEAT_OK && far)
        *out_result |= leat_trigger_fire(spec);
    return code;
}

static leat_code put(window_stream *self, leat_stream_window *window, uint32_t row, int64_t time_ms,
                     leat_error *out_error)
{
    unsigned result;
    leat_code code = leat_window_contents_add(&self->store, window, row, out_error);
    if (code == LEAT_OK)
        code = ask_trigger(self, window, row, time_ms, &result, out_error);
    if (code != LEAT_OK)
        return code;
    code = act(self, window, result, out_error);
    int64_t cleanup_ms = cleanup_time(self, window->max_ms);
    if (code != LEAT_OK)
        return code;
    if (cleanup_ms != LEAT_TIME_MAX)
        window->at_cleanup = (leat_window_timer){.due_ms = cleanup_ms, .set = true, .clock = (uint8_t)clock_of(self)};
    return settle(self, window, out_error);
}

static leat_stream_window *begin_window(window_stream *self, uint32_t slot, uint32_t row, int64_t start, int64_t end,
                                        int64_t max_ms)
{
    const leat_batch *batch = self->frame.batch;
    leat_stream_window *window = leat_stream_windows_make(&self->windows, slot, start, end);
    if (!window)
        return NULL;
    window->max_ms = max_ms;
    window->origin = batch->cause ? batch->cause[row] : 0;
    leat_window_contents_begin(&self->store, window);
    return window;
}

static leat_code put_into(window_stream *self, uint32_t slot, uint32_t row, int64_t time_ms, int64_t start, int64_t end,
                          int64_t max_ms, leat_error *out_error)
{
    leat_stream_window *window = leat_stream_windows_find(&self->windows, slot, start, end);
    if (!window)
        window = begin_window(self, slot, row, start, end, max_ms);
    return window ? put(self, window, row, time_ms, out_error) : window_stream_no_budget(self, out_error);
}

static bool is_over(const window_stream *self, int64_t max_ms)
{
    return is_event_time(self) && cleanup_time(self, max_ms) <= self->frame.watermark;
}

static leat_code skipped(window_stream *self, uint32_t slot, uint32_t row, int64_t time_ms, leat_error *out_error)
{
    int64_t lateness = window_stream_spec(self)->aggregate.allowed_lateness_ms;
    if (is_event_time(self) && (lateness > TIME_LIMIT ? LEAT_TIME_MAX : time_ms + lateness) <= self->frame.watermark)
        leat_window_frame_late(&self->frame, row);
    return may_be_idle(self, slot, out_error);
}

// ---- tumbling, sliding, cumulating: from the last window back, as Flink has sliding ones; cumulating ones from the first

static leat_code on_time_windows(window_stream *self, uint32_t slot, uint32_t row, int64_t time_ms,
                                 leat_error *out_error)
{
    const leat_assigner *assigner = &self->assigner;
    int64_t pane = leat_assigner_pane(assigner, leat_assigner_local(assigner, time_ms));
    int64_t first = leat_assigner_first_end(assigner, pane), last = leat_assigner_last_end(assigner, pane);
    bool up = assigner->kind == LEAT_WINDOW_CUMULATE, taken = false;
    leat_code code = LEAT_OK;
    for (int64_t i = first; i <= last && code == LEAT_OK; i += assigner->step_ms) {
        int64_t end = up ? i : last - (i - first), max_ms = leat_assigner_due(assigner, end);
        if (is_over(self, max_ms))
            continue;
        taken = true;
        code = put_into(self, slot, row, time_ms, leat_assigner_start(assigner, end), end, max_ms, out_error);
    }
    return code != LEAT_OK || taken ? code : skipped(self, slot, row, time_ms, out_error);
}

// ---- sessions

static bool touches(const leat_stream_window *window, int64_t start, int64_t end)
{
    return window->start <= end && window->end >= start;
}

static leat_code absorb(window_stream *self, leat_stream_window *into, leat_stream_window *from, leat_error *out_error)
{
    leat_code code = leat_window_contents_merge(&self->store, into, from, out_error);
    if (code != LEAT_OK)
        return code;
    leat_trigger_absorb(into, from);
    into->firings += from->firings;
    return end_window(self, from, out_error);
}

// Makes one of all windows that the new one touches, in the order of their starts.
static leat_code merge(window_stream *self, leat_stream_window *first, int64_t start, int64_t end, int64_t time_ms,
                       leat_error *out_error)
{
    leat_code code = LEAT_OK;
    leat_trigger_time times = times_now(self, time_ms);
    if (start >= first->start && end <= first->end)
        return LEAT_OK;
    int64_t from_ms = first->start < start ? first->start : start, to_ms = first->end > end ? first->end : end;
    while (code == LEAT_OK && first->next && touches(first->next, start, end)) {
        to_ms = first->next->end > to_ms ? first->next->end : to_ms;
        code = absorb(self, first, first->next, out_error);
    }
    if (code != LEAT_OK)
        return code;
    leat_stream_windows_move(&self->windows, first, from_ms, to_ms);
    leat_trigger_merged(window_stream_spec(self), first, &times);
    leat_stream_windows_timed(&self->windows, first);
    return LEAT_OK;
}

static leat_code on_session(window_stream *self, uint32_t slot, uint32_t row, int64_t time_ms, leat_error *out_error)
{
    const leat_window_stream_spec *spec = window_stream_spec(self);
    int64_t gap = spec->gap ? self->gaps.i64[row] : spec->aggregate.window.gap_ms;
    if (spec->gap && (leat_column_is_null(&self->gaps, row) || gap <= 0 || gap >= TIME_LIMIT))
        return drop_row(self, slot, LEAT_DROP_MISFIT, out_error);
    int64_t end = time_ms + gap;
    leat_stream_window *window = leat_stream_windows_first(&self->windows, slot);
    while (window && !touches(window, time_ms, end))
        window = window->next;
    if (!window && is_over(self, end - 1))
        return skipped(self, slot, row, time_ms, out_error);
    if (!window)
        return put_into(self, slot, row, time_ms, time_ms, end, end - 1, out_error);
    leat_code code = merge(self, window, time_ms, end, time_ms, out_error);
    return code == LEAT_OK ? put(self, window, row, time_ms, out_error) : code;
}

// ---- windows by count: numbered from 0; of those that a row is in, the last first

static leat_code on_count(window_stream *self, uint32_t slot, uint32_t row, int64_t time_ms, leat_error *out_error)
{
    const leat_window_stream_spec *spec = window_stream_spec(self);
    leat_stream_slot *state = leat_stream_windows_slot(&self->windows, slot);
    if (!state)
        return window_stream_no_budget(self, out_error);
    int64_t at = (int64_t)state->rows++, number = at / spec->count_slide;
    leat_code code = LEAT_OK;
    for (; code == LEAT_OK && number >= 0 && at < number * spec->count_slide + spec->count_size; number--)
        code = put_into(self, slot, row, time_ms, number, number + 1, LEAT_TIME_MAX, out_error);
    return code;
}

static leat_code assign(window_stream *self, uint32_t slot, uint32_t row, int64_t time_ms, leat_error *out_error)
{
    const leat_window_stream_spec *spec = window_stream_spec(self);
    if (spec->assigner == LEAT_ASSIGN_GLOBAL)
        return put_into(self, slot, row, time_ms, 0, LEAT_TIME_MAX, LEAT_TIME_MAX, out_error);
    if (spec->assigner == LEAT_ASSIGN_COUNT)
        return on_count(self, slot, row, time_ms, out_error);
    if (spec->aggregate.window.kind == LEAT_WINDOW_SESSION)
        return on_session(self, slot, row, time_ms, out_error);
    return on_time_windows(self, slot, row, time_ms, out_error);
}

static leat_code on_row(window_stream *self, uint32_t index, leat_error *out_error)
{
    leat_window_frame *frame = &self->frame;
    const leat_window_stream_spec *spec = window_stream_spec(self);
    uint32_t row = leat_batch_row(frame->batch, index), slot = frame->slots[index];
    bool has_time =
        frame->times && !(frame->time_nulls && frame->time_nulls[row]) && frame->times[row] != LEAT_TIME_NONE;
    int64_t time_ms = spec->processing_time ? self->base.context->now_ms : has_time ? frame->times[row] : 0;
    bool needs_time = is_event_time(self) || (spec->trigger == LEAT_TRIGGER_CONTINUOUS_EVENT_TIME);
    if (slot == LEAT_SLOT_NONE)
        return leat_window_frame_too_large(frame), LEAT_OK;
    if (frame->eval.bad_count && frame->eval.bad[row])
        return may_be_idle(self, slot, out_error);
    if (needs_time && !has_time)
        return drop_row(self, slot, LEAT_DROP_NULL_TIME, out_error);
    if (time_ms <= -TIME_LIMIT || time_ms >= TIME_LIMIT)
        return drop_row(self, slot, LEAT_DROP_MISFIT, out_error);
    return assign(self, slot, row, time_ms, out_error);
}

static leat_code on_rows(window_stream *self, leat_batch *batch, leat_error *out_error)
{
    leat_window_frame *frame = &self->frame;
    const leat_window_stream_spec *spec = window_stream_spec(self);
    leat_code code = leat_window_frame_begin(frame, batch, out_error);
    if (code != LEAT_OK)
        return code;
    self->store.input = leat_accumulators_prepare(frame->set, &frame->eval, batch); // also finds bad rows
    if (spec->gap)
        leat_program_run(spec->gap, &frame->eval, batch, &frame->eval.scratch, &self->gaps);
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        if (batch->watermark)
            code = advance(self, batch->watermark[leat_batch_row(batch, i)], out_error);
        if (code == LEAT_OK)
            code = on_row(self, i, out_error);
        if (code == LEAT_OK) // timers set for a time that the clock has left behind
            code = fire_due(self, LEAT_WINDOW_PROCESSING, leat_operator_due_ms(self->base.context), out_error);
    }
    return code;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    window_stream *self = (window_stream *)base;
    leat_code code = fire_due(self, LEAT_WINDOW_PROCESSING, leat_operator_due_ms(base->context), out_error);
    if (code == LEAT_OK && batch->selected)
        code = on_rows(self, batch, out_error);
    if (code == LEAT_OK && batch->watermark_after != LEAT_TIME_NONE)
        code = advance(self, batch->watermark_after, out_error);
    if (code == LEAT_OK && batch->selected)
        code = leat_window_frame_end(&self->frame, out_error);
    if (code != LEAT_OK)
        return code;
    leat_window_frame_send(&self->frame);
    release_idle(self);
    wake_later(self);
    return LEAT_OK;
}

static leat_code on_watermark(leat_operator *base, int64_t watermark_ms, leat_error *out_error)
{
    window_stream *self = (window_stream *)base;
    leat_code code = advance(self, watermark_ms, out_error);
    leat_window_frame_send(&self->frame);
    release_idle(self);
    wake_later(self);
    return code;
}

static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    window_stream *self = (window_stream *)base;
    self->wake_ms = LEAT_TIME_MAX;
    leat_code code = fire_due(self, LEAT_WINDOW_PROCESSING, leat_operator_due_ms(base->context), out_error);
    leat_window_frame_send(&self->frame);
    release_idle(self);
    wake_later(self);
    return code;
}

// ---- life

static leat_code check(const leat_window_stream_spec *spec, leat_error *out_error)
{
    bool continuous =
        spec->trigger == LEAT_TRIGGER_CONTINUOUS_EVENT_TIME || spec->trigger == LEAT_TRIGGER_CONTINUOUS_PROCESSING_TIME;
    const leat_window *window = &spec->aggregate.window;
    if (spec->assigner == LEAT_ASSIGN_TIME && window->kind == LEAT_WINDOW_SESSION && !spec->gap &&
        (window->gap_ms <= 0 || window->gap_ms >= TIME_LIMIT))
        return leat_error_set(out_error, LEAT_E_INVALID, "expected a session gap of at least 1 ms, found %lld ms",
                              (long long)window->gap_ms);
    if (spec->assigner == LEAT_ASSIGN_COUNT && (spec->count_size <= 0 || spec->count_slide <= 0))
        return leat_error_set(out_error, LEAT_E_INVALID, "expected a window of at least one row");
    if ((spec->trigger == LEAT_TRIGGER_COUNT && spec->trigger_count <= 0) ||
        (continuous && spec->trigger_interval_ms <= 0))
        return leat_error_set(out_error, LEAT_E_INVALID, "expected a trigger's count or interval of at least 1");
    return LEAT_OK;
}

static leat_code init_assigner(window_stream *self, leat_error *out_error)
{
    const leat_window_stream_spec *spec = window_stream_spec(self);
    const leat_window *window = &spec->aggregate.window;
    if (spec->assigner != LEAT_ASSIGN_TIME || window->kind == LEAT_WINDOW_SESSION)
        return LEAT_OK;
    uint8_t kind =
        window->time_column < 0 ? LEAT_KIND_NULL : self->base.context->inputs[0]->fields[window->time_column].type.kind;
    return leat_assigner_init(&self->assigner, window, kind, out_error);
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    window_stream *self = (window_stream *)base;
    leat_code code = check(window_stream_spec(self), out_error);
    if (code == LEAT_OK)
        code = init_assigner(self, out_error);
    if (code == LEAT_OK)
        code = leat_window_frame_open(&self->frame, base->context, out_error);
    if (code != LEAT_OK)
        return code;
    self->wake_ms = LEAT_TIME_MAX;
    leat_window_store_init(&self->store, &self->frame);
    if (leat_stream_windows_init(&self->windows, base->context->budget, leat_window_contents_size(&self->store)))
        return LEAT_OK;
    leat_window_store_fini(&self->store);
    code = window_stream_no_budget(self, out_error);
    leat_window_frame_close(&self->frame);
    return code;
}

static void close_operator(leat_operator *base)
{
    window_stream *self = (window_stream *)base;
    leat_stream_windows *windows = &self->windows;
    for (uint32_t slot = 0; leat_pane_next(&windows->tables, windows->table, 0, &slot); slot++)
        for (leat_stream_window *window = leat_stream_windows_first(windows, slot); window; window = window->next)
            leat_window_contents_release(&self->store, window);
    leat_stream_windows_fini(windows);
    leat_budget_free(base->context->budget, self->idle, self->idle_room * sizeof *self->idle);
    leat_window_store_fini(&self->store);
    leat_window_frame_close(&self->frame);
}

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    window_stream *self = (window_stream *)base;
    *out_keys = leat_keys_count(self->frame.keys);
    *out_state_bytes =
        leat_keys_memory(self->frame.keys) + leat_stream_windows_memory(&self->windows) + self->store.memory;
}

const leat_operator_ops leat_operator_window_stream_ops = {
    .name = "window_stream",
    .instance_size = sizeof(window_stream),
    .open = open_operator,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .on_time = on_time,
    .snapshot = window_stream_snapshot,
    .restore = window_stream_restore,
    .ready = window_stream_ready,
    .close = close_operator,
    .measure = measure,
};
