// When rows go. Nobody sees a row of an inner side expire, so its alarm is a number in the key's entry, and what it would have done is
// made up for when the key comes by: what stays is the same whichever watermarks lay between. Keys that do not come by are swept, a few with
// each element, once the watermark has passed all that was kept at the last sweep. What an alarm tells other keys (`expired`) is known from
// the times of all alarms alone (state/due_times.h). Outer sides have real alarms, and so have rows at times up to 0, where Flink forgets rows.
#include "operators/join_interval.h"

enum {
    SWEEP_ROWS = 2,  // slots for each row of an element,
    SWEEP_MIN = 256, // and without rows
    GRACE_MS = 10000,
};

// ---- keys

static leat_interval_key *find_key(const leat_join_interval *self, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_find(&self->panes, self->pane, slot);
    return entry ? leat_pane_payload(entry) : NULL;
}

// Up to and at that time.
static uint32_t count_until(const leat_join_interval *self, unsigned side, const leat_interval_key *key, int64_t time)
{
    uint32_t count = 0, all = key->of[side].run.count;
    while (count < all && leat_interval_row_at(self, side, key, count)->time_ms <= time)
        count++;
    return count;
}

void leat_interval_pad(leat_join_interval *self, unsigned side, uint32_t slot, const leat_time_row *row)
{
    if (self->outer[side] && !(row->number & LEAT_INTERVAL_MET))
        leat_join_pairs_emit_kept(&self->pairs, side, slot, row, leat_join_pad_cause(row->cause, side));
}

// ---- alarms that nobody sees

// What the alarms up to then left over.
void leat_interval_catch_up_to(leat_join_interval *self, unsigned side, leat_interval_key *key, uint32_t slot,
                               int64_t until)
{
    leat_interval_side *kept = &key->of[side];
    if (!kept->run.count || kept->alarm_ms > until)
        return;
    leat_interval_drop_rows(
        self, side, key, slot,
        count_until(self, side, key, leat_interval_expiration_at(self, side, until > 0 ? until : 0)));
    if (kept->run.count)
        kept->alarm_ms = leat_interval_alarm_of(self, side, leat_interval_row_at(self, side, key, 0)->time_ms);
}

// A row that came at its end stays until the watermark rises.
void leat_interval_catch_up_stream(leat_join_interval *self, unsigned side, leat_interval_key *key, uint32_t slot,
                                   int64_t until)
{
    uint32_t count = 0, all = key->of[side].run.count;
    for (; count < all && until != LEAT_TIME_NONE; count++) {
        const leat_time_row *row = leat_interval_row_at(self, side, key, count);
        int64_t end = leat_interval_kept_until(self, side, row->time_ms);
        if (end > until || (end == until && (row->number & LEAT_INTERVAL_AT_END)))
            break;
    }
    leat_interval_drop_rows(self, side, key, slot, count);
}

// ---- real alarms

leat_code leat_interval_set_alarm(leat_join_interval *self, unsigned side, leat_interval_key *key, uint32_t slot,
                                  leat_error *out_error)
{
    *leat_interval_marks_of(key) |= leat_interval_alarm_mark(side);
    return leat_timers_set(&self->timers[side], slot, key->of[side].alarm_ms, NULL)
               ? LEAT_OK
               : leat_join_no_budget(&self->frame, out_error);
}

// The next alarm is that of the oldest row that stays. Flink takes a time of 0 for "none" and forgets the rest, and a time before for one
// that any other replaces.
static leat_code next_alarm(leat_join_interval *self, unsigned side, leat_interval_key *key, uint32_t slot,
                            leat_error *out_error)
{
    leat_interval_side *kept = &key->of[side];
    uint32_t first = 0;
    while (first < kept->run.count && leat_interval_row_at(self, side, key, first)->time_ms < 0)
        leat_interval_row_at(self, side, key, first++)->number |= LEAT_INTERVAL_OLDER | LEAT_ROW_CHANGED;
    if (first == kept->run.count || !leat_interval_row_at(self, side, key, first)->time_ms) {
        leat_interval_drop_rows(self, side, key, slot, kept->run.count);
        return LEAT_OK;
    }
    if (first)
        leat_pane_mark(&self->panes, self->pane, slot, leat_pane_of_payload(key));
    kept->alarm_ms = leat_interval_alarm_of(self, side, leat_interval_row_at(self, side, key, first)->time_ms);
    return leat_interval_set_alarm(self, side, key, slot, out_error);
}

static leat_code expire_slot(leat_join_interval *self, unsigned side, uint32_t slot, leat_error *out_error)
{
    leat_interval_key *key = find_key(self, slot);
    self->expired[side] = leat_interval_expiration(self, side);
    self->fired[side] = self->now_ms;
    LEAT_ASSERT(key);
    *leat_interval_marks_of(key) &= ~leat_interval_alarm_mark(side);
    uint32_t count = count_until(self, side, key, self->expired[side]);
    for (uint32_t i = 0; i < count; i++)
        leat_interval_pad(self, side, slot, leat_interval_row_at(self, side, key, i));
    leat_interval_drop_rows(self, side, key, slot, count);
    return next_alarm(self, side, key, slot, out_error);
}

// Of both sides the earlier one; at equal times right rows go first.
static bool take_due(leat_join_interval *self, int64_t until, leat_timer_due *out_due, unsigned *out_side)
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

leat_code leat_interval_fire_due(leat_join_interval *self, int64_t until, leat_error *out_error)
{
    leat_timer_due due;
    unsigned side;
    leat_code code = LEAT_OK;
    for (side = 0; side < 2; side++)
        if (leat_due_times_take(&self->due[side], until)) {
            self->expired[side] = leat_interval_expiration(self, side);
            self->fired[side] = until;
        }
    while (code == LEAT_OK && take_due(self, until, &due, &side))
        code = expire_slot(self, side, due.slot, out_error);
    return code;
}

// ---- sweeps

// Memory of a key that comes by often is left alone.
static bool is_idle(leat_join_interval *self, leat_interval_key *key, uint32_t slot, bool trim)
{
    for (unsigned side = 0; side < 2; side++) {
        leat_interval_catch_up(self, side, key, slot);
        if (trim)
            leat_time_rows_trim(&self->rows[side], &key->of[side].run);
    }
    return !key->of[LEAT_LEFT].run.count && !key->of[LEAT_RIGHT].run.count;
}

static void forget_key(leat_join_interval *self, uint32_t slot)
{
    leat_pane_erase(&self->panes, self->pane, slot);
    for (unsigned side = 0; side < 2; side++)
        (void)leat_timers_release(&self->timers[side], slot); // no snapshot has them
    leat_keys_release(self->frame.keys, slot);
}

// A key without rows stays until the next sweep: most come again.
static void sweep_key(leat_join_interval *self, leat_interval_key *key, uint32_t slot)
{
    uint64_t *marks = leat_interval_marks_of(key);
    bool stays = (*marks & LEAT_INTERVAL_TOUCHED) && self->now_ms != LEAT_TIME_MAX;
    *marks &= ~(uint64_t)LEAT_INTERVAL_TOUCHED;
    if (!is_idle(self, key, slot, !stays))
        return;
    if (stays || *marks)
        self->idle_keys = true;
    else
        forget_key(self, slot);
}

static void end_sweep(leat_join_interval *self)
{
    self->sweeping = false;
    if (self->idle_keys && self->sweep_ms == LEAT_TIME_MAX)
        leat_interval_note_end(self, self->now_ms < LEAT_TIME_MAX ? self->now_ms + 1 : LEAT_TIME_MAX);
}

// Most keys come again: one without rows stays for a while, which is long beside a short interval and short beside a long one.
static int64_t next_sweep(const leat_join_interval *self)
{
    int64_t span = self->empty ? 0 : self->reach[LEAT_LEFT] + self->reach[LEAT_RIGHT];
    span = span < 0 ? 0 : span; // bounds that leave nothing
    int64_t grace = span < GRACE_MS / 4 ? span * 4 : GRACE_MS + span / 4;
    return self->newest_ms < LEAT_TIME_MAX - grace ? self->newest_ms + grace : LEAT_TIME_MAX;
}

void leat_interval_sweep(leat_join_interval *self, uint32_t rows)
{
    uint32_t steps = self->now_ms == LEAT_TIME_MAX ? UINT32_MAX : SWEEP_MIN + SWEEP_ROWS * rows;
    if (!self->sweeping && self->now_ms >= self->sweep_ms) {
        self->sweeping = true;
        self->sweep_slot = 0;
        self->idle_keys = false;
        self->sweep_ms = self->newest_ms > self->now_ms ? next_sweep(self) : LEAT_TIME_MAX;
    }
    for (leat_pane_entry *entry; self->sweeping && steps; steps--) {
        entry = leat_pane_next(&self->panes, self->pane, 0, &self->sweep_slot);
        if (!entry)
            end_sweep(self);
        else
            sweep_key(self, leat_pane_payload(entry), self->sweep_slot++);
    }
}

void leat_interval_note_end(leat_join_interval *self, int64_t end_ms)
{
    self->newest_ms = end_ms > self->newest_ms ? end_ms : self->newest_ms;
    if (self->sweep_ms == LEAT_TIME_MAX)
        self->sweep_ms = next_sweep(self);
}
