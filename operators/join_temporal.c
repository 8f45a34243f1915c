// Joins with a versioned table: each left row meets the version of its key that is valid at the row's time.
//
// Event time: a left row waits until the watermark has passed its time; then the last version with a time at or before it is the one,
// unless it is a deletion. -U of the versioned side is not looked at, the +U that follows counts. What the watermark has passed is
// forgotten but for the newest version. As in Flink a key has one alarm, and rows of a key come out by arrival.
// Processing time: the version that is there when the left row comes; it never changes what has gone out. Where the table has to be
// read first (spec->waits), left rows that come before the first watermark wait for it, as those of event time do for theirs.
//
// Time to live is processing time since a key was last used, as Flink has it: a row that comes (by the clock: a left row that finds a version)
// moves the end of its key to half as much again from now, unless it is far enough already; so do alarms that leave something over.
//
// Stored: tables 0 and 1: left rows, versions (state/rows.h; kind: that of the row). Table 2: alarms, 3: ends by the clock (state/timer.h).
#include "operators/join_frame.h"
#include "operators/state/timer.h"

enum { TABLE_ROWS = 0, TABLE_TIMERS = 2, TABLE_ENDS = 3, AHEAD = 24 };
static const int64_t FIRST_WATERMARK = LEAT_TIME_NONE + 1; // any watermark has passed it

typedef struct join_temporal {
    leat_operator base;
    leat_join_frame frame;
    leat_rows waiting;  // left, by arrival
    leat_rows versions; // right, by time
    leat_timers timers; // one a slot
    leat_timers ends;   // one a slot, with a time to live
    int64_t watermark;
} join_temporal;

static const leat_join_temporal_spec *spec_of(const join_temporal *self) { return self->base.context->spec; }
static bool accumulates(uint8_t kind) { return kind == LEAT_INSERT || kind == LEAT_UPDATE_AFTER; }

// ---- results

// The left row is taken or loaded.
static void join_with(join_temporal *self, const leat_kept_row *version, leat_row_kind kind, int64_t time,
                      uint64_t cause)
{
    bool met = version && accumulates(version->kind);
    if (met) {
        leat_join_load(&self->frame, LEAT_RIGHT, leat_slice_of(version->bytes, version->size));
        met = leat_join_meets(&self->frame);
    }
    if (met || leat_join_outer(&self->frame, LEAT_LEFT))
        leat_join_emit(&self->frame, true, met, kind, leat_join_time(&self->frame, true, met, time),
                       leat_join_pad_cause(cause, LEAT_LEFT));
}

static const leat_kept_row *valid_at(const join_temporal *self, uint32_t slot, int64_t time)
{
    const leat_kept_row *valid = NULL;
    bool newest = spec_of(self)->processing_time;
    for (leat_kept_row *row = leat_rows_first(&self->versions, slot); row && (newest || row->time_ms <= time);
         row = row->next)
        valid = row;
    return valid;
}

static void set_meets_nobody(join_temporal *self, uint32_t slot)
{
    const leat_join_sides *sides = self->frame.sides;
    self->frame.meets_nobody = false;
    if (sides->key_count == 1) { // an encoded value begins with whether it is NULL
        self->frame.meets_nobody = !sides->nulls_meet[0] && leat_keys_bytes(self->frame.keys, slot).data[0];
        return;
    }
    const leat_value *values = sides->key_count ? leat_join_values(&self->frame, LEAT_LEFT) : NULL;
    for (uint32_t k = 0; k < sides->key_count; k++)
        self->frame.meets_nobody |= !sides->nulls_meet[k] && values[sides->key_columns[LEAT_LEFT][k]].is_null;
}

// Left rows that the watermark has passed go out; returns the least time of the others, LEAT_TIME_MAX: none.
static int64_t emit_due(join_temporal *self, uint32_t slot, int64_t watermark)
{
    int64_t least = LEAT_TIME_MAX;
    for (leat_kept_row *row = leat_rows_first(&self->waiting, slot), *next; row; row = next) {
        next = row->next;
        if (row->time_ms > watermark && !spec_of(self)->processing_time) {
            least = row->time_ms < least ? row->time_ms : least;
            continue;
        }
        leat_join_load(&self->frame, LEAT_LEFT, leat_slice_of(row->bytes, row->size));
        set_meets_nobody(self, slot);
        join_with(self, valid_at(self, slot, row->time_ms), (leat_row_kind)row->kind, row->time_ms, row->cause);
        leat_rows_remove(&self->waiting, slot, row);
    }
    return least;
}

static void forget_versions(join_temporal *self, uint32_t slot, int64_t watermark)
{
    leat_kept_row *row = leat_rows_first(&self->versions, slot);
    for (leat_kept_row *next; row && row->next && row->next->time_ms <= watermark; row = next) {
        next = row->next;
        leat_rows_remove(&self->versions, slot, row);
    }
}

// ---- time to live

static int64_t plus(int64_t time, int64_t ms)
{
    int64_t sum;
    return __builtin_add_overflow(time, ms, &sum) ? LEAT_TIME_MAX : sum;
}

static bool keeps(join_temporal *self, uint32_t slot)
{
    int64_t ttl = spec_of(self)->state_ttl_ms, now = self->base.context->now_ms;
    int64_t end = leat_timers_only(&self->ends, slot);
    if (!ttl || (end != INT64_MAX && plus(now, ttl) <= end))
        return true;
    leat_timers_clear_all(&self->ends, slot);
    return leat_timers_set(&self->ends, slot, plus(now, plus(ttl, ttl / 2)), NULL);
}

static void remove_rows(leat_rows *rows, uint32_t slot)
{
    for (leat_kept_row *row; (row = leat_rows_first(rows, slot));)
        leat_rows_remove(rows, slot, row);
}

static void end_keys(join_temporal *self)
{
    leat_timer_due due;
    while (leat_timers_take(&self->ends, self->base.context->now_ms, &due)) {
        remove_rows(&self->waiting, due.slot);
        remove_rows(&self->versions, due.slot);
        leat_timers_clear_all(&self->timers, due.slot);
        leat_join_may_be_empty(&self->frame, due.slot);
    }
}

static void wake(join_temporal *self)
{
    int64_t end;
    if (spec_of(self)->state_ttl_ms)
        self->base.context->wake_at(self->base.context, leat_timers_next(&self->ends, &end) ? end : INT64_MAX);
}

// ---- alarms

static leat_code fire(join_temporal *self, uint32_t slot, int64_t watermark, leat_error *out_error)
{
    int64_t least = emit_due(self, slot, watermark);
    forget_versions(self, slot, watermark);
    leat_join_may_be_empty(&self->frame, slot);
    bool more = least != LEAT_TIME_MAX, kept = true;
    if (more || leat_rows_any(&self->versions, slot))
        kept = keeps(self, slot);
    else
        leat_timers_clear_all(&self->ends, slot);
    if (kept && (!more || leat_timers_set(&self->timers, slot, least, NULL)))
        return LEAT_OK;
    return leat_join_no_budget(&self->frame, out_error);
}

static leat_code advance(join_temporal *self, int64_t watermark, leat_error *out_error)
{
    leat_timer_due due;
    leat_code code = LEAT_OK;
    if (watermark <= self->watermark)
        return LEAT_OK;
    self->watermark = self->frame.watermark_ms = watermark;
    while (code == LEAT_OK && leat_timers_take(&self->timers, watermark, &due))
        code = fire(self, due.slot, watermark, out_error);
    leat_emitter_watermark(&self->frame.results, watermark);
    return code;
}

// ---- rows

// Only the earliest time of a key has an alarm.
static bool set_earliest(join_temporal *self, uint32_t slot, int64_t time)
{
    if (leat_timers_only(&self->timers, slot) <= time)
        return true;
    leat_timers_clear_all(&self->timers, slot);
    return leat_timers_set(&self->timers, slot, time, NULL);
}

static leat_kept_row *keep(join_temporal *self, unsigned side, uint32_t slot, int64_t time, leat_row_kind kind,
                           uint64_t cause)
{
    leat_rows *rows = side == LEAT_LEFT ? &self->waiting : &self->versions;
    leat_kept_row *row = leat_rows_add(rows, slot, time, leat_join_encode(&self->frame), 0);
    if (!row || self->frame.encoded.failed)
        return NULL;
    row->kind = (uint8_t)kind;
    row->cause = cause;
    return row;
}

// A version of the same time is replaced.
static void replace_version(join_temporal *self, uint32_t slot, const leat_kept_row *made)
{
    leat_kept_row *before = made->previous;
    if (before && before->time_ms == made->time_ms)
        leat_rows_remove(&self->versions, slot, before);
}

static bool time_of(join_temporal *self, unsigned side, int64_t *out_time)
{
    int32_t column = spec_of(self)->time_columns[side];
    const leat_join_row_source *source = &self->frame.sources[side];
    if (column < 0)
        *out_time = self->frame.event_ms[side];
    else
        *out_time = leat_column_is_null(&source->columns[column], source->row)
                        ? LEAT_TIME_NONE
                        : source->columns[column].i64[source->row];
    if (*out_time == LEAT_TIME_NONE)
        leat_drops_add(self->base.context->drops, LEAT_DROP_NULL_TIME, 1);
    return *out_time != LEAT_TIME_NONE;
}

static leat_code hold_row(join_temporal *self, unsigned side, uint32_t slot, leat_row_kind kind, uint64_t cause,
                          leat_error *out_error)
{
    int64_t time;
    if (!time_of(self, side, &time))
        return LEAT_OK;
    leat_kept_row *row = keep(self, side, slot, time, kind, cause);
    if (!row || !set_earliest(self, slot, time) || !keeps(self, slot))
        return leat_join_no_budget(&self->frame, out_error);
    if (side == LEAT_RIGHT)
        replace_version(self, slot, row);
    return LEAT_OK;
}

static leat_code hold_until_read(join_temporal *self, uint32_t slot, leat_row_kind kind, uint64_t cause,
                                 leat_error *out_error)
{
    leat_kept_row *row = keep(self, LEAT_LEFT, slot, self->frame.event_ms[LEAT_LEFT], kind, cause);
    if (row && set_earliest(self, slot, FIRST_WATERMARK))
        return LEAT_OK;
    return leat_join_no_budget(&self->frame, out_error);
}

static leat_code set_version(join_temporal *self, uint32_t slot, leat_row_kind kind, uint64_t cause,
                             leat_error *out_error)
{
    leat_kept_row *before = leat_rows_first(&self->versions, slot);
    if (before)
        leat_rows_remove(&self->versions, slot, before);
    if (!accumulates((uint8_t)kind))
        leat_timers_clear_all(&self->ends, slot);
    else if (!keep(self, LEAT_RIGHT, slot, 0, kind, cause) || !keeps(self, slot))
        return leat_join_no_budget(&self->frame, out_error);
    return LEAT_OK;
}

static leat_code probe(join_temporal *self, uint32_t slot, leat_row_kind kind, uint64_t cause, leat_error *out_error)
{
    const leat_kept_row *version = leat_rows_first(&self->versions, slot);
    join_with(self, version, kind, self->frame.event_ms[LEAT_LEFT], cause);
    if (!version || keeps(self, slot))
        return LEAT_OK;
    return leat_join_no_budget(&self->frame, out_error);
}

static leat_code on_row(join_temporal *self, unsigned side, uint32_t i, leat_error *out_error)
{
    const leat_batch *batch = self->frame.batch;
    uint32_t row = leat_batch_row(batch, i), slot;
    leat_code code = batch->watermark ? advance(self, batch->watermark[row], out_error) : LEAT_OK;
    if (code != LEAT_OK || !leat_join_take(&self->frame, i, &row, &slot))
        return code;
    leat_row_kind kind = leat_batch_kind(batch, row);
    uint64_t cause = batch->cause ? batch->cause[row] : 0;
    leat_join_may_be_empty(&self->frame, slot);
    if (side == LEAT_RIGHT && kind == LEAT_UPDATE_BEFORE)
        return LEAT_OK;
    if (!spec_of(self)->processing_time)
        return hold_row(self, side, slot, kind, cause, out_error);
    if (side == LEAT_RIGHT)
        return set_version(self, slot, kind, cause, out_error);
    if (spec_of(self)->waits && self->watermark == LEAT_TIME_NONE)
        return hold_until_read(self, slot, kind, cause, out_error);
    return probe(self, slot, kind, cause, out_error);
}

// ---- elements

static leat_code check_removals(const join_temporal *self, leat_error *out_error)
{
    bool failed = leat_rows_failed(&self->waiting) || leat_rows_failed(&self->versions);
    return failed ? leat_error_set(out_error, LEAT_E_LIMIT, "no memory to note the rows that left a join") : LEAT_OK;
}

static leat_code end_element(join_temporal *self, leat_code code, leat_error *out_error)
{
    leat_join_end(&self->frame);
    wake(self);
    return code == LEAT_OK ? check_removals(self, out_error) : code;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    join_temporal *self = (join_temporal *)base;
    end_keys(self);
    leat_code code = batch->selected ? leat_join_begin(&self->frame, input, batch, out_error) : LEAT_OK;
    const leat_rows *rows = input == LEAT_LEFT ? &self->waiting : &self->versions;
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        leat_rows_prefetch(rows, self->frame.slots, i, batch->selected);
        if (i + AHEAD < batch->selected)
            leat_timers_prefetch(&self->timers, self->frame.slots[i + AHEAD]);
        code = on_row(self, input, i, out_error);
    }
    if (code == LEAT_OK)
        code = advance(self, batch->watermark_after, out_error);
    return end_element(self, code, out_error);
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    join_temporal *self = (join_temporal *)base;
    end_keys(self);
    return end_element(self, advance(self, watermark, out_error), out_error);
}

static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    join_temporal *self = (join_temporal *)base;
    end_keys(self);
    return end_element(self, LEAT_OK, out_error);
}

// ---- state

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    join_temporal *self = (join_temporal *)base;
    leat_rows_snapshot(&self->waiting, snapshot, TABLE_ROWS);
    leat_rows_snapshot(&self->versions, snapshot, TABLE_ROWS + 1);
    leat_timers_snapshot(&self->timers, snapshot, TABLE_TIMERS, &self->frame.encoded);
    leat_timers_snapshot(&self->ends, snapshot, TABLE_ENDS, &self->frame.encoded);
    leat_join_stored(&self->frame, snapshot);
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    join_temporal *self = (join_temporal *)base;
    uint32_t slot;
    if (table < TABLE_TIMERS)
        return leat_join_restore_row(&self->frame, table == TABLE_ROWS ? LEAT_LEFT : LEAT_RIGHT, false,
                                     table == TABLE_ROWS ? &self->waiting : &self->versions, key, value, out_error);
    if (table > TABLE_ENDS)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a temporal join has no table %u", table);
    leat_code code = leat_keys_slot(self->frame.keys, key, &slot, out_error);
    leat_timers *timers = table == TABLE_TIMERS ? &self->timers : &self->ends;
    return code == LEAT_OK ? leat_timers_restore(timers, slot, value, out_error) : code;
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)out_error;
    join_temporal *self = (join_temporal *)base;
    leat_rows_ready(&self->waiting);
    leat_rows_ready(&self->versions);
    if (!restored)
        return LEAT_OK;
    self->watermark = self->frame.watermark_ms = base->context->watermark_ms;
    self->frame.results.watermark = self->frame.results.watermark_sent = self->watermark;
    wake(self);
    return LEAT_OK;
}

// ---- life

static bool release(void *owner, uint32_t slot, bool *out_waiting)
{
    join_temporal *self = owner;
    if (leat_rows_any(&self->waiting, slot) || leat_rows_any(&self->versions, slot) ||
        leat_timers_any(&self->timers, slot) || leat_timers_any(&self->ends, slot))
        return false;
    bool alarm = leat_timers_release(&self->timers, slot), end = leat_timers_release(&self->ends, slot);
    *out_waiting = !alarm || !end;
    return !*out_waiting;
}

static void release_state(join_temporal *self)
{
    leat_rows_fini(&self->waiting);
    leat_rows_fini(&self->versions);
    leat_timers_fini(&self->timers);
    leat_timers_fini(&self->ends);
    leat_join_close(&self->frame);
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    join_temporal *self = (join_temporal *)base;
    const leat_join_temporal_spec *spec = spec_of(self);
    leat_operator_context *context = base->context;
    LEAT_ASSERT(spec->sides.kind <= LEAT_JOIN_LEFT && context->input_count == 2);
    leat_code code = leat_join_open(&self->frame, context, &spec->sides, out_error);
    if (code != LEAT_OK)
        return code;
    self->frame.release = release;
    self->frame.owner = self;
    self->watermark = LEAT_TIME_NONE;
    if (leat_rows_init(&self->waiting, context->budget, context->env, self->frame.keys, false, false) &&
        leat_rows_init(&self->versions, context->budget, context->env, self->frame.keys, true, false) &&
        leat_timers_init(&self->timers, context->budget, self->frame.keys) &&
        leat_timers_init(&self->ends, context->budget, self->frame.keys))
        return LEAT_OK;
    code = leat_join_no_budget(&self->frame, out_error);
    release_state(self);
    return code;
}

static void close_operator(leat_operator *base) { release_state((join_temporal *)base); }

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    const join_temporal *self = (join_temporal *)base;
    *out_state_bytes = leat_keys_memory(self->frame.keys) + leat_rows_memory(&self->waiting) +
                       leat_rows_memory(&self->versions) + leat_timers_memory(&self->timers) +
                       leat_timers_memory(&self->ends);
    *out_keys = leat_keys_count(self->frame.keys);
}

const leat_operator_ops leat_operator_join_temporal_ops = {
    .name = "join_temporal",
    .instance_size = sizeof(join_temporal),
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
