// What the files of the interval join share: what is kept of a key, and when it goes.
//
// join_interval.c: rows and elements. join_interval_keys.c: alarms and sweeps. join_interval_state.c: snapshots and recovery.
#pragma once

#include "operators/join_pairs.h"
#include "operators/state/due_times.h"
#include "operators/state/timer.h"

enum {
    LEAT_INTERVAL_MET = LEAT_ROW_MARK_A,
    LEAT_INTERVAL_OLDER = LEAT_ROW_MARK_B,  // than the one with the alarm
    LEAT_INTERVAL_AT_END = LEAT_ROW_MARK_B, // `streams`: it came when it was over
};

typedef struct leat_interval_side {
    leat_time_run run;
    int64_t alarm_ms; // while there are rows
} leat_interval_side;

// Payload of a slot's entry; its word has marks.
typedef struct leat_interval_key {
    leat_interval_side of[2];
} leat_interval_key;
enum {
    LEAT_INTERVAL_TOUCHED = 1,
    LEAT_INTERVAL_ALARM_LEFT = 2,
    LEAT_INTERVAL_ALARM_RIGHT = 4
}; // since the last sweep; a real alarm is set

typedef enum leat_interval_time { // of a result
    LEAT_INTERVAL_LATER_TIME,
    LEAT_INTERVAL_LEFT_TIME,
    LEAT_INTERVAL_RIGHT_TIME,
    LEAT_INTERVAL_COLUMN_TIME,
} leat_interval_time;

typedef struct leat_join_interval {
    leat_operator base;
    leat_join_frame frame;
    leat_join_pairs pairs;
    leat_panes panes;
    leat_pane *pane;
    leat_time_rows rows[2];
    leat_timers timers[2];
    leat_due_times due[2];
    leat_emitter late[2];
    void **keys; // of the batch: leat_interval_key of each row
    uint32_t *new_keys;
    const int64_t *times; // of the batch's rows; NULL: no_time_ms
    const uint8_t *time_nulls;
    int64_t no_time_ms;
    bool null_keys;     // there may be some
    int64_t reach[2];   // how far behind its own time a row of that side may find a partner
    int64_t expired[2]; // rows of that side up to this time were taken out, whichever their key
    int64_t fired[2];   // the watermark of that side's last alarm
    int64_t stored_expired[2], stored_fired[2];
    int64_t watermark, now_ms;   // now: what has passed: the watermark or the clock
    int64_t sweep_ms, newest_ms; // the next sweep; when the last row will be over
    uint32_t sweep_slot;
    bool sweeping, idle_keys; // some have no rows
    bool empty;               // lower > upper
    bool streams, outer[2];   // of the spec
    leat_interval_time result_time;
    bool marked, unkept; // a snapshot has marks; see leat_snapshot_mark_due
} leat_join_interval;

static inline const leat_join_interval_spec *leat_interval_spec_of(const leat_join_interval *self)
{
    return self->base.context->spec;
}

// A row further away has no partner: nothing overflows.
static inline bool leat_interval_time_fits(int64_t time) { return time > -(INT64_MAX / 4) && time < INT64_MAX / 4; }

// As Flink's, which begins at 0.
static inline int64_t leat_interval_time_now(const leat_join_interval *self)
{
    return self->now_ms > 0 || leat_interval_spec_of(self)->processing_time ? self->now_ms : 0;
}

static inline int64_t leat_interval_expiration_at(const leat_join_interval *self, unsigned side, int64_t now)
{
    int64_t back = self->reach[side] + 1; // negative where partners lie before the row
    bool beyond = now == LEAT_TIME_MAX || (back < 0 && now > LEAT_TIME_MAX + back);
    return beyond ? LEAT_TIME_MAX : now - back;
}

static inline int64_t leat_interval_expiration(const leat_join_interval *self, unsigned side)
{
    return leat_interval_expiration_at(self, side, leat_interval_time_now(self));
}

static inline int64_t leat_interval_alarm_of(const leat_join_interval *self, unsigned side, int64_t time)
{
    return time + self->reach[side] + 1;
}

static inline uint64_t *leat_interval_marks_of(leat_interval_key *key) { return &leat_pane_of_payload(key)->word; }

static inline uint64_t leat_interval_alarm_mark(unsigned side)
{
    return side == LEAT_LEFT ? LEAT_INTERVAL_ALARM_LEFT : LEAT_INTERVAL_ALARM_RIGHT;
}

static inline leat_time_row *leat_interval_row_at(const leat_join_interval *self, unsigned side,
                                                  const leat_interval_key *key, uint32_t index)
{
    return leat_time_rows_at(&self->rows[side], &key->of[side].run, index);
}

static inline void leat_interval_drop_rows(leat_join_interval *self, unsigned side, leat_interval_key *key,
                                           uint32_t slot, uint32_t count)
{
    if (count)
        leat_time_rows_drop(&self->rows[side], &key->of[side].run, slot, count);
}

static inline int64_t leat_interval_kept_until(const leat_join_interval *self, unsigned side, int64_t time)
{
    return time + (self->reach[side] > 0 ? self->reach[side] : 0);
}

// ---- join_interval_keys.c

// A kept row is over: padded where nobody met it.
void leat_interval_pad(leat_join_interval *self, unsigned side, uint32_t slot, const leat_time_row *row);
// What the alarms up to then left over. A side with a real one has nothing left over.
void leat_interval_catch_up_to(leat_join_interval *self, unsigned side, leat_interval_key *key, uint32_t slot,
                               int64_t until);
// The same for `streams`.
void leat_interval_catch_up_stream(leat_join_interval *self, unsigned side, leat_interval_key *key, uint32_t slot,
                                   int64_t until);
// The same until now.
static inline void leat_interval_catch_up(leat_join_interval *self, unsigned side, leat_interval_key *key,
                                          uint32_t slot)
{
    if (!key->of[side].run.count)
        return;
    if (self->streams)
        leat_interval_catch_up_stream(self, side, key, slot, self->now_ms);
    else if (key->of[side].alarm_ms <= self->now_ms)
        leat_interval_catch_up_to(self, side, key, slot, self->now_ms);
}
// A real alarm, at the side's alarm_ms.
LEAT_MUST_CHECK leat_code leat_interval_set_alarm(leat_join_interval *self, unsigned side, leat_interval_key *key,
                                                  uint32_t slot, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_interval_fire_due(leat_join_interval *self, int64_t until, leat_error *out_error);
// Looks at a few keys, more behind more rows.
void leat_interval_sweep(leat_join_interval *self, uint32_t rows);
// A row is over then, and its key worth looking at.
void leat_interval_note_end(leat_join_interval *self, int64_t end_ms);

// ---- join_interval.c

// The watermark of the results.
int64_t leat_interval_held_back(const leat_join_interval *self, int64_t watermark);
// Sends results; behind each element of that many rows.
void leat_interval_end_element(leat_join_interval *self, uint32_t rows);

// ---- join_interval_state.c

void leat_interval_snapshot(leat_operator *base, leat_snapshot *snapshot);
LEAT_MUST_CHECK leat_code leat_interval_restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key,
                                                leat_slice value, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_interval_ready(leat_operator *base, bool restored, leat_error *out_error);
