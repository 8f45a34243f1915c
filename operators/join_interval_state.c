// Snapshots and recovery of the interval join.
//
// Stored: tables 0 and 1: kept rows, left and right (state/time_rows.h; mark A: it met somebody; B: it is older than the one with
// the alarm; `streams`: it came at its end). The alarm is that of the earliest row without B. Table 15: per key group, key empty, value: version 2, i64 up to which left,
// then right rows have expired, i64 each the watermark of the last alarm; `streams`: the watermark of the snapshot.
#include "operators/join_interval.h"

enum { TABLE_ROWS = 0, TABLE_MARKS = 15, VERSION = 2, SLOTS_AHEAD = 8 };

static void write_marks(leat_join_interval *self, const int64_t fired[2])
{
    leat_writer *out = &self->frame.encoded;
    leat_writer_reset(out);
    leat_write_u8(out, VERSION);
    for (unsigned side = 0; side < 2; side++)
        leat_write_u64(out, (uint64_t)self->expired[side]);
    for (unsigned side = 0; side < 2; side++)
        leat_write_u64(out, (uint64_t)fired[side]);
}

static void note_stored(leat_join_interval *self)
{
    for (unsigned side = 0; side < 2; side++) {
        self->stored_expired[side] = self->expired[side];
        self->stored_fired[side] = self->fired[side];
    }
}

// For `streams` the watermark takes the place of the last alarm, as long as there is something that may be over.
static int64_t fired_at(const leat_join_interval *self, unsigned side)
{
    bool passed = self->streams && leat_keys_count(self->frame.keys);
    return passed ? self->watermark : self->fired[side];
}

static void snapshot_marks(leat_join_interval *self, leat_snapshot *snapshot)
{
    int64_t fired[2] = {fired_at(self, LEAT_LEFT), fired_at(self, LEAT_RIGHT)};
    bool passed = fired[LEAT_LEFT] != self->fired[LEAT_LEFT];
    bool due = leat_snapshot_mark_due(snapshot, passed, &self->unkept);
    bool moved = self->expired[LEAT_LEFT] != self->stored_expired[LEAT_LEFT] ||
                 self->expired[LEAT_RIGHT] != self->stored_expired[LEAT_RIGHT] ||
                 self->fired[LEAT_LEFT] != self->stored_fired[LEAT_LEFT] ||
                 self->fired[LEAT_RIGHT] != self->stored_fired[LEAT_RIGHT];
    self->marked |= moved || due;
    write_marks(self, fired);
    for (uint32_t group = 0; group < LEAT_KEY_GROUPS && self->marked; group++) {
        leat_slice value = leat_writer_slice(&self->frame.encoded);
        if (!leat_operator_owns(self->base.context, group))
            continue;
        if (moved || snapshot->whole[group])
            snapshot->put(snapshot, TABLE_MARKS, group, leat_slice_text(""), value);
        else if (due)
            leat_snapshot_put_mark(snapshot, TABLE_MARKS, group, leat_slice_text(""), value);
    }
    if (snapshot->keep_marks)
        return;
    for (unsigned side = 0; side < 2; side++)
        self->fired[side] = fired[side];
    note_stored(self);
}

// What the next slots' runs begin with lies anywhere.
static void prefetch_rows(const leat_join_interval *self, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_find(&self->panes, self->pane, slot + SLOTS_AHEAD);
    const leat_interval_key *key = entry ? leat_pane_payload(entry) : NULL;
    for (unsigned side = 0; side < 2 && key; side++)
        if (key->of[side].run.count)
            __builtin_prefetch(leat_interval_row_at(self, side, key, 0), 1);
}

void leat_interval_snapshot(leat_operator *base, leat_snapshot *snapshot)
{
    leat_join_interval *self = (leat_join_interval *)base;
    leat_pane_entry *entry;
    uint32_t since = snapshot->any_whole || snapshot->all_whole ? 0 : self->panes.epoch;
    for (unsigned side = 0; side < 2; side++)
        leat_time_rows_removals(&self->rows[side], snapshot, (uint8_t)(TABLE_ROWS + side));
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->panes, self->pane, since, &slot)); slot++) {
        leat_interval_key *key = leat_pane_payload(entry);
        prefetch_rows(self, slot);
        for (unsigned side = 0; side < 2; side++)
            leat_time_rows_put(&self->rows[side], &key->of[side].run, slot, snapshot, (uint8_t)(TABLE_ROWS + side));
    }
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(&self->panes);
    snapshot_marks(self, snapshot);
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static leat_code restore_mark(leat_join_interval *self, leat_slice value, leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    bool known = leat_read_u8(&reader) == VERSION;
    for (unsigned side = 0; side < 2; side++) {
        int64_t expired = (int64_t)leat_read_u64(&reader);
        self->expired[side] = self->marked ? later(self->expired[side], expired) : expired;
    }
    for (unsigned side = 0; side < 2; side++)
        self->fired[side] = later(self->fired[side], (int64_t)leat_read_u64(&reader));
    self->marked = true;
    return known && !reader.failed ? LEAT_OK
                                   : leat_error_set(out_error, LEAT_E_CORRUPT, "a stored mark of a join is damaged");
}

// Rows are put in their order whatever the entries say; what is left is that times are such as rows have.
static bool time_is_damaged(leat_slice value)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    leat_read_u8(&reader); // version
    leat_read_u8(&reader); // marks
    return !leat_interval_time_fits(leat_read_varint_signed(&reader)) || reader.failed;
}

static leat_code restore_row(leat_join_interval *self, unsigned side, leat_slice stored, leat_slice value,
                             leat_error *out_error)
{
    uint64_t number;
    leat_slice bytes;
    uint32_t slot;
    bool is_new;
    if (!leat_time_rows_key(stored, &number, &bytes))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored key of a join, %zu bytes, is damaged", stored.size);
    if (time_is_damaged(value))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "the time of a stored row of a join is damaged");
    leat_code code = leat_keys_slot(self->frame.keys, bytes, &slot, out_error);
    if (code != LEAT_OK)
        return code;
    leat_pane_entry *entry = leat_pane_make(&self->panes, self->pane, slot, &is_new);
    if (!entry)
        return leat_join_no_budget(&self->frame, out_error);
    leat_interval_key *key = leat_pane_payload(entry);
    return leat_time_rows_restore(&self->rows[side], &key->of[side].run, number, value, out_error);
}

leat_code leat_interval_restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                                leat_error *out_error)
{
    (void)group;
    leat_join_interval *self = (leat_join_interval *)base;
    if (table == TABLE_MARKS)
        return restore_mark(self, value, out_error);
    if (table < TABLE_ROWS + 2)
        return restore_row(self, table - TABLE_ROWS, key, value, out_error);
    return leat_error_set(out_error, LEAT_E_CORRUPT, "an interval join has no table %u", table);
}

// Alarms again from the rows: the first one's, and times at which others pass.
static leat_code restore_alarms(leat_join_interval *self, unsigned side, leat_interval_key *key, uint32_t slot,
                                leat_error *out_error)
{
    leat_interval_side *kept = &key->of[side];
    bool real = self->outer[side], found = false, added = true;
    for (uint32_t i = 0; i < kept->run.count; i++) {
        const leat_time_row *row = leat_interval_row_at(self, side, key, i);
        if (row->number & LEAT_INTERVAL_OLDER)
            continue;
        int64_t alarm = leat_interval_alarm_of(self, side, row->time_ms);
        real |= row->time_ms <= 0;
        kept->alarm_ms = found ? kept->alarm_ms : alarm;
        found = true;
        leat_interval_note_end(self, alarm);
        if (!real && alarm > self->fired[side])
            added &= leat_due_times_add(&self->due[side], alarm);
    }
    if (!added)
        return leat_join_no_budget(&self->frame, out_error);
    return found && real ? leat_interval_set_alarm(self, side, key, slot, out_error) : LEAT_OK;
}

// What was over at the snapshot is over, also where the watermark begins anew.
static leat_code restore_side(leat_join_interval *self, unsigned side, leat_interval_key *key, uint32_t slot,
                              leat_error *out_error)
{
    uint32_t count = key->of[side].run.count;
    if (!count)
        return LEAT_OK;
    if (self->streams) {
        int64_t newest_ms = leat_interval_row_at(self, side, key, count - 1)->time_ms; // it may be gone afterwards
        leat_interval_note_end(self, leat_interval_kept_until(self, side, newest_ms));
        leat_interval_catch_up_stream(self, side, key, slot, self->fired[side]);
        return LEAT_OK;
    }
    leat_code code = restore_alarms(self, side, key, slot, out_error);
    if (!(*leat_interval_marks_of(key) & leat_interval_alarm_mark(side)) && self->fired[side] != LEAT_TIME_NONE)
        leat_interval_catch_up_to(self, side, key, slot, self->fired[side]);
    return code;
}

static leat_code restore_keys(leat_join_interval *self, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; code == LEAT_OK && (entry = leat_pane_next(&self->panes, self->pane, 0, &slot)); slot++)
        for (unsigned side = 0; side < 2 && code == LEAT_OK; side++)
            code = restore_side(self, side, leat_pane_payload(entry), slot, out_error);
    leat_panes_next_epoch(&self->panes);
    return code;
}

// A savepoint begins without a watermark: nothing has expired, and rows that come now are not over because others were.
static void begin_anew(leat_join_interval *self, unsigned side)
{
    if (self->expired[side] > leat_interval_expiration(self, side))
        self->expired[side] = 0;
    self->fired[side] = LEAT_TIME_NONE;
}

leat_code leat_interval_ready(leat_operator *base, bool restored, leat_error *out_error)
{
    leat_join_interval *self = (leat_join_interval *)base;
    bool anew = !leat_interval_spec_of(self)->processing_time && base->context->watermark_ms == LEAT_TIME_NONE;
    leat_code code = restored ? restore_keys(self, out_error) : LEAT_OK;
    note_stored(self);
    for (unsigned side = 0; side < 2 && anew; side++)
        begin_anew(self, side);
    if (!restored || code != LEAT_OK)
        return code;
    int64_t watermark = base->context->watermark_ms, results = leat_interval_held_back(self, watermark);
    self->watermark = self->frame.watermark_ms = watermark;
    self->now_ms = leat_interval_spec_of(self)->processing_time ? base->context->now_ms : watermark;
    self->frame.results.watermark = self->frame.results.watermark_sent = results;
    for (unsigned side = 0; side < 2 && self->streams; side++)
        self->late[side].watermark = self->late[side].watermark_sent = watermark;
    leat_interval_end_element(self, 0);
    return LEAT_OK;
}
