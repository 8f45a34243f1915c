// Aggregates over SESSION windows of event time.
//
// Per key a list of sessions (state/session.h), each with its accumulator. A row makes a session longer, begins one, or joins
// several; what waits to be added is added before accumulators merge or a result is made. Rows that cannot be evaluated are left out
// before they could make a session longer.
//
// Stored: table 0: key = key bytes; value = version 1, count varint, then per session, ascending: start i64, end i64, firings varint,
// fired u8, accumulator. A key without sessions is removed. Table 15: window_frame.h.
#include "operators/base/calendar.h"
#include "operators/state/session.h"
#include "operators/window_frame.h"

enum { TABLE_SESSIONS = 0, VERSION = 1, IDLE_MIN = 64 };
static const int64_t TIME_LIMIT = INT64_MAX / 4; // times beyond have no session: nothing overflows

typedef struct window_session {
    leat_operator base;
    leat_window_frame frame;
    leat_sessions sessions;
    uint32_t *idle; // slots that may have nothing any more; looked at when the batch is done
    uint32_t idle_count, idle_room;
} window_session;

// ---- slots

static leat_code may_be_idle(window_session *self, uint32_t slot, leat_error *out_error)
{
    if (self->idle_count == self->idle_room) {
        uint32_t room = self->idle_room ? self->idle_room * 2 : IDLE_MIN;
        uint32_t *idle = leat_budget_grow(self->base.context->budget, self->idle, self->idle_room * sizeof *idle,
                                          room * sizeof *idle);
        if (!idle)
            return leat_window_frame_no_budget(&self->frame, out_error);
        self->idle = idle;
        self->idle_room = room;
    }
    self->idle[self->idle_count++] = slot;
    return LEAT_OK;
}

static void release_idle(window_session *self)
{
    for (uint32_t i = 0; i < self->idle_count; i++) {
        leat_pane_entry *entry = leat_pane_place(&self->sessions.tables, self->sessions.table, self->idle[i]);
        if ((!entry || entry->state == LEAT_PANE_EMPTY) && leat_keys_live(self->frame.keys, self->idle[i]))
            leat_keys_release(self->frame.keys, self->idle[i]);
    }
    self->idle_count = 0;
}

// ---- firing

static void fire(window_session *self, uint32_t slot, leat_session *session)
{
    leat_window_frame *frame = &self->frame;
    const leat_field *fields = leat_window_frame_fields(frame);
    const struct leat_zone *zone = frame->spec->window.zone;
    leat_window_times times = leat_window_times_of(fields, NULL, session->start, session->end, session->end - 1);
    if (zone && fields[0].type.kind == LEAT_KIND_TIMESTAMP && fields[2].type.kind == LEAT_KIND_TIMESTAMP_LTZ) {
        times.start = leat_zone_to_local_ms(zone, session->start);
        times.end = leat_zone_to_local_ms(zone, session->end);
    }
    uint64_t cause = leat_window_cause(session->start, session->end);
    leat_window_frame_result(frame, slot, leat_session_payload(session), &times, cause, session->firings++);
    session->fired = true;
    leat_sessions_mark(&self->sessions, slot);
}

static leat_code end_session(window_session *self, uint32_t slot, leat_session *session, leat_error *out_error)
{
    leat_accumulators_release(self->frame.set, leat_session_payload(session), self->base.context->budget);
    return leat_sessions_remove(&self->sessions, slot, session) ? may_be_idle(self, slot, out_error) : LEAT_OK;
}

static leat_code fire_due(window_session *self, int64_t watermark, leat_error *out_error)
{
    leat_session *session;
    uint32_t slot;
    leat_code code = LEAT_OK;
    while (code == LEAT_OK && (session = leat_sessions_due(&self->sessions, watermark, &slot))) {
        bool over = session->fired || !self->sessions.lateness_ms;
        code = leat_window_frame_flush(&self->frame, out_error); // most alarms are early: only now is anything read
        if (code != LEAT_OK)
            return code;
        leat_emitter_watermark(&self->frame.results, self->frame.heard);
        if (!session->fired)
            fire(self, slot, session);
        if (over)
            code = end_session(self, slot, session, out_error);
    }
    return code;
}

static leat_code advance(window_session *self, int64_t watermark, leat_error *out_error)
{
    leat_window_frame *frame = &self->frame;
    if (watermark > frame->watermark && watermark >= leat_sessions_next_due(&self->sessions)) {
        leat_code code = fire_due(self, watermark, out_error);
        if (code != LEAT_OK)
            return code;
    }
    leat_window_frame_rise(frame, watermark);
    return LEAT_OK;
}

// ---- rows

typedef struct absorbing {
    window_session *self;
    leat_error *out_error;
    leat_code code;
} absorbing;

static bool absorb(void *context, void *into, void *from)
{
    absorbing *call = context;
    window_session *self = call->self;
    leat_budget *budget = self->base.context->budget;
    call->code = leat_window_frame_flush(&self->frame, call->out_error);
    if (call->code == LEAT_OK)
        call->code = leat_accumulators_merge(self->frame.set, into, from, budget, call->out_error);
    if (call->code == LEAT_OK)
        leat_accumulators_release(self->frame.set, from, budget);
    return call->code == LEAT_OK;
}

static leat_code add(window_session *self, uint32_t slot, uint32_t row, int64_t time, leat_error *out_error)
{
    leat_window_frame *frame = &self->frame;
    absorbing call = {.self = self, .out_error = out_error};
    leat_sessions_added added;
    if (!leat_sessions_add(&self->sessions, slot, time, frame->watermark, absorb, &call, &added))
        return call.code != LEAT_OK ? call.code : leat_window_frame_no_budget(frame, out_error);
    if (!added.session) {
        leat_window_frame_late(frame, row);
        return may_be_idle(self, slot, out_error);
    }
    void *accumulator = leat_session_payload(added.session);
    if (added.is_new)
        leat_accumulators_init(frame->set, accumulator);
    leat_window_frame_take(frame, row, accumulator);
    if (!added.due_now)
        return LEAT_OK;
    leat_code code = leat_window_frame_flush(frame, out_error);
    if (code != LEAT_OK)
        return code;
    leat_emitter_watermark(&frame->results, frame->heard);
    fire(self, slot, added.session);
    return LEAT_OK;
}

static leat_code drop_row(window_session *self, uint32_t slot, leat_drop_cause cause, leat_error *out_error)
{
    leat_drops_add(self->base.context->drops, cause, 1);
    return may_be_idle(self, slot, out_error);
}

static leat_code on_row(window_session *self, uint32_t i, leat_error *out_error)
{
    leat_window_frame *frame = &self->frame;
    leat_batch *batch = frame->batch;
    uint32_t row = leat_batch_row(batch, i), slot = frame->slots[i];
    if (batch->watermark) {
        leat_code code = advance(self, batch->watermark[row], out_error);
        if (code != LEAT_OK)
            return code;
    }
    if (frame->eval.bad_count && frame->eval.bad[row])
        return slot == LEAT_SLOT_NONE ? LEAT_OK : may_be_idle(self, slot, out_error);
    if (slot == LEAT_SLOT_NONE)
        return leat_window_frame_too_large(frame), LEAT_OK;
    if (!frame->times || (frame->time_nulls && frame->time_nulls[row]) || frame->times[row] == LEAT_TIME_NONE)
        return drop_row(self, slot, LEAT_DROP_NULL_TIME, out_error);
    int64_t time = frame->times[row];
    if (time <= -TIME_LIMIT || time >= TIME_LIMIT)
        return drop_row(self, slot, LEAT_DROP_MISFIT, out_error);
    leat_session *session = leat_sessions_extend(&self->sessions, slot, time);
    if (!session)
        return add(self, slot, row, time, out_error);
    leat_window_frame_take(frame, row, leat_session_payload(session));
    return LEAT_OK;
}

// The first of the rows from `begin` before which something is due; watermarks never fall.
static uint32_t undisturbed(const window_session *self, uint32_t begin)
{
    const leat_batch *batch = self->frame.batch;
    int64_t next_due = leat_sessions_next_due(&self->sessions);
    uint32_t end = batch->selected;
    while (batch->watermark && begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (batch->watermark[leat_batch_row(batch, middle)] >= next_due)
            end = middle;
        else
            begin = middle + 1;
    }
    return end;
}

// Rows from `begin` that only make the one open session of their key longer, with nothing due before them; returns the first other.
static uint32_t extend_rows(window_session *self, const int64_t *times, uint32_t begin)
{
    leat_window_frame *frame = &self->frame;
    const leat_batch *batch = frame->batch;
    uint32_t end = times ? undisturbed(self, begin) : begin;
    if (end == begin)
        return begin;
    uint32_t count = leat_sessions_extend_all(&self->sessions, frame->slots + begin, times + begin, end - begin,
                                              frame->accumulators + frame->waiting);
    for (uint32_t i = begin; i < begin + count; i++)
        frame->rows[frame->waiting++] = (uint16_t)leat_batch_row(batch, i);
    if (count && batch->watermark)
        leat_window_frame_rise(frame, batch->watermark[leat_batch_row(batch, begin + count - 1)]);
    return begin + count;
}

// Times of the existing rows; NULL when rows have to be looked at one by one.
static const int64_t *times_of_rows(leat_window_frame *frame)
{
    const leat_batch *batch = frame->batch;
    if (!frame->times || frame->time_nulls || frame->eval.bad_count)
        return NULL;
    if (!batch->selection)
        return frame->times;
    int64_t *times = leat_arena_alloc(&frame->eval.scratch, batch->selected * sizeof *times);
    for (uint32_t i = 0; i < batch->selected; i++)
        times[i] = frame->times[batch->selection[i]];
    return times;
}

static leat_code on_rows(window_session *self, leat_batch *batch, leat_error *out_error)
{
    leat_window_frame *frame = &self->frame;
    leat_code code = leat_window_frame_begin(frame, batch, out_error);
    if (code != LEAT_OK)
        return code;
    leat_accumulators_prepare(frame->set, &frame->eval, batch); // for eval.bad
    leat_sessions_prefetch(&self->sessions, frame->slots, batch->selected);
    const int64_t *times = times_of_rows(&self->frame);
    for (uint32_t i = extend_rows(self, times, 0); i < batch->selected && code == LEAT_OK;
         i = extend_rows(self, times, i + 1))
        code = on_row(self, i, out_error);
    return code;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    window_session *self = (window_session *)base;
    leat_code code = batch->selected ? on_rows(self, batch, out_error) : LEAT_OK;
    if (code == LEAT_OK)
        code = advance(self, batch->watermark_after, out_error);
    if (code != LEAT_OK)
        return code;
    if (batch->selected)
        code = leat_window_frame_end(&self->frame, out_error);
    leat_window_frame_send(&self->frame);
    release_idle(self);
    return code;
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    window_session *self = (window_session *)base;
    leat_code code = advance(self, watermark, out_error);
    leat_window_frame_send(&self->frame);
    release_idle(self);
    return code;
}

// ---- state

static void store(window_session *self, leat_snapshot *snapshot, uint32_t slot, leat_session *first)
{
    leat_writer *out = &self->frame.stored;
    uint64_t count = 0;
    for (const leat_session *session = first; session; session = session->next)
        count++;
    leat_writer_reset(out);
    leat_write_u8(out, VERSION);
    leat_write_varint(out, count);
    for (leat_session *session = first; session; session = session->next) {
        leat_write_u64(out, (uint64_t)session->start);
        leat_write_u64(out, (uint64_t)session->end);
        leat_write_varint(out, session->firings);
        leat_write_u8(out, session->fired);
        leat_accumulators_encode(self->frame.set, leat_session_payload(session), out);
    }
    LEAT_ASSERT(!out->failed);
    snapshot->put(snapshot, TABLE_SESSIONS, leat_keys_group(self->frame.keys, slot),
                  leat_keys_bytes(self->frame.keys, slot), leat_writer_slice(out));
}

static void store_slot(window_session *self, leat_snapshot *snapshot, uint32_t slot, leat_pane_entry *entry)
{
    leat_keys *keys = self->frame.keys;
    uint32_t group = leat_keys_group(keys, slot);
    bool whole = snapshot->whole[group];
    if (entry->state == LEAT_PANE_LIVE) {
        if (!whole && entry->epoch != self->sessions.tables.epoch)
            return;
        store(self, snapshot, slot, leat_sessions_slot(entry)->first);
        entry->stored |= !snapshot->keep_marks;
        return;
    }
    if (!whole)
        snapshot->remove(snapshot, TABLE_SESSIONS, group, leat_keys_bytes(keys, slot));
    if (snapshot->keep_marks)
        return;
    leat_pane_erase(&self->sessions.tables, self->sessions.table, slot);
    leat_keys_release(keys, slot);
}

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    window_session *self = (window_session *)base;
    leat_sessions *sessions = &self->sessions;
    uint32_t since = snapshot->any_whole || snapshot->all_whole ? 0 : sessions->tables.epoch;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&sessions->tables, sessions->table, since, &slot)); slot++)
        store_slot(self, snapshot, slot, entry);
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(&sessions->tables);
    leat_window_frame_snapshot(&self->frame, snapshot);
}

static leat_code restore_session(window_session *self, uint32_t slot, leat_reader *value, leat_error *out_error)
{
    int64_t start = (int64_t)leat_read_u64(value), end = (int64_t)leat_read_u64(value);
    uint64_t firings = leat_read_varint(value);
    bool fired = leat_read_u8(value);
    if (value->failed)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored session is cut short");
    leat_session *session = leat_sessions_restore(&self->sessions, slot, start, end, fired);
    if (!session)
        return leat_window_frame_no_budget(&self->frame, out_error);
    session->firings = firings;
    leat_accumulators_init(self->frame.set, leat_session_payload(session));
    return leat_accumulators_decode(self->frame.set, leat_session_payload(session), value, self->base.context->budget,
                                    out_error);
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    window_session *self = (window_session *)base;
    if (table == LEAT_WINDOW_MARKS)
        return leat_window_frame_restore(&self->frame, group, value, out_error);
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    uint8_t version = leat_read_u8(&reader);
    uint64_t count = leat_read_varint(&reader);
    if (reader.failed || version != VERSION || table != TABLE_SESSIONS)
        return leat_error_set(out_error, LEAT_E_CORRUPT,
                              "expected stored sessions in version %d, found table %u, version %u", VERSION, table,
                              version);
    uint32_t slot;
    leat_code code = leat_keys_slot(self->frame.keys, key, &slot, out_error);
    for (uint64_t i = 0; i < count && code == LEAT_OK; i++)
        code = restore_session(self, slot, &reader, out_error);
    if (code != LEAT_OK)
        return code;
    leat_pane_entry *entry = leat_pane_find(&self->sessions.tables, self->sessions.table, slot);
    if (reader.failed || !entry)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "stored sessions of %zu bytes are damaged", value.size);
    entry->stored = true;
    return LEAT_OK;
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)out_error;
    window_session *self = (window_session *)base;
    leat_panes_next_epoch(&self->sessions.tables); // what was restored has not changed
    leat_window_frame_ready(&self->frame, restored);
    return LEAT_OK;
}

// ---- life

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    window_session *self = (window_session *)base;
    const leat_window_aggregate_spec *spec = base->context->spec;
    LEAT_ASSERT(spec->window.kind == LEAT_WINDOW_SESSION);
    if (spec->window.gap_ms <= 0 || spec->window.gap_ms >= TIME_LIMIT)
        return leat_error_set(out_error, LEAT_E_INVALID, "expected a session gap of at least 1 ms, found %lld ms",
                              (long long)spec->window.gap_ms);
    leat_code code = leat_window_frame_open(&self->frame, base->context, out_error);
    if (code != LEAT_OK)
        return code;
    if (leat_sessions_init(&self->sessions, base->context->budget, leat_accumulators_size(self->frame.set),
                           spec->window.gap_ms, spec->allowed_lateness_ms))
        return LEAT_OK;
    code = leat_window_frame_no_budget(&self->frame, out_error);
    leat_window_frame_close(&self->frame);
    return code;
}

static void close_operator(leat_operator *base)
{
    window_session *self = (window_session *)base;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->sessions.tables, self->sessions.table, 0, &slot)); slot++)
        for (leat_session *session = entry->state == LEAT_PANE_LIVE ? leat_sessions_slot(entry)->first : NULL; session;
             session = session->next)
            leat_accumulators_release(self->frame.set, leat_session_payload(session), base->context->budget);
    leat_sessions_fini(&self->sessions);
    leat_budget_free(base->context->budget, self->idle, self->idle_room * sizeof *self->idle);
    leat_window_frame_close(&self->frame);
}

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    window_session *self = (window_session *)base;
    *out_keys = leat_keys_count(self->frame.keys);
    *out_state_bytes = leat_keys_memory(self->frame.keys) + leat_panes_memory(&self->sessions.tables) +
                       self->sessions.memory + self->sessions.alarms.room * sizeof *self->sessions.alarms.alarms;
}

const leat_operator_ops leat_operator_window_session_ops = {
    .name = "window_session",
    .instance_size = sizeof(window_session),
    .open = open_operator,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .snapshot = snapshot_state,
    .restore = restore,
    .ready = ready,
    .close = close_operator,
    .measure = measure,
};
