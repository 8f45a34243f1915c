// Aggregates over TUMBLE, HOP and CUMULATE windows of event time.
//
// State: one accumulator per key and pane (window_assign.h), so that a row costs one update however many windows it lies in; panes
// are merged when a window fires. With lateness 0 the fired steps of a CUMULATE period are folded into its first pane, and a
// firing merges one pane more instead of all. Late rows go the same way: a fired window is never read again, so what is
// added to its panes counts in the others only.
//
// Which windows have fired follows from one number, frame.fired: those whose last instant is at or before it.
//
// Stored: table 0: key = pane start i64, key bytes; value = version 1, accumulator. Table 1 (lateness): key = window end i64, key bytes;
// value = version 1, firings by late rows varint. Table 15: window_frame.h. Entries of panes that are over, or folded, are not
// removed one by one: the marks of table 15 tell that they are (begin_restored).
#include <string.h>

#include "operators/state/pane.h"
#include "operators/window_assign.h"
#include "operators/window_frame.h"

enum {
    TABLE_PANES = 0,
    TABLE_REFIRINGS = 1,
    VERSION = 1,
    ORPHANS_MAX = 4096,
    KEY_MAX = LEAT_KEY_BYTES_MAX + 8,
};
#define IDLE_MARK 0x80000000u // in uses: was without a pane at the last sweep already

typedef struct window_time {
    leat_operator base;
    leat_window_frame frame;
    leat_assigner assigner;
    int64_t lateness_ms;
    bool folds;    // CUMULATE with lateness 0
    bool variable; // accumulators have to be released
    leat_panes panes;
    leat_panes refirings; // by window end; entry.word: firings by late rows
    int64_t next_due;     // nothing fires or ends before the watermark gets there
    uint32_t *uses;       // per slot: panes that hold it
    uint32_t uses_room;
    uint32_t orphans; // keys that came with late rows only, about
    bool ended;       // a pane was dropped since the last sweep
    void *merged;     // accumulator for firing
    // The pane of the last row on time; rows in [start, start + pane_ms) belong to it.
    leat_pane *here;
    int64_t here_start, here_due; // of its first window
} window_time;

static int64_t plus(int64_t time, int64_t more) { return time > LEAT_TIME_MAX - more ? LEAT_TIME_MAX : time + more; }

static int64_t minus(int64_t time, int64_t less) { return time < LEAT_TIME_NONE + less ? LEAT_TIME_NONE : time - less; }

static int64_t over_at(const window_time *self, int64_t last_end)
{
    return plus(leat_assigner_due(&self->assigner, last_end), self->lateness_ms);
}

static int64_t pane_over_at(const window_time *self, int64_t start)
{
    return over_at(self, leat_assigner_last_end(&self->assigner, start));
}

// ---- slots

static leat_code uses_room(window_time *self, leat_error *out_error)
{
    uint32_t needed = leat_keys_capacity(self->frame.keys);
    if (needed <= self->uses_room)
        return LEAT_OK;
    uint32_t *uses =
        leat_budget_grow(self->base.context->budget, self->uses, self->uses_room * sizeof *uses, needed * sizeof *uses);
    if (!uses)
        return leat_window_frame_no_budget(&self->frame, out_error);
    self->uses = uses;
    self->uses_room = needed;
    return LEAT_OK;
}

// A slot is given back when its key was idle at two sweeps: keys that come back with every window keep theirs.
static void sweep(window_time *self)
{
    for (uint32_t slot = 0; slot < self->uses_room; slot++) {
        if (self->uses[slot] & ~IDLE_MARK || !leat_keys_live(self->frame.keys, slot))
            continue;
        if (self->uses[slot])
            leat_keys_release(self->frame.keys, slot);
        self->uses[slot] ^= IDLE_MARK;
    }
    self->orphans = 0;
    self->ended = false;
}

static void begin_entry(window_time *self, uint32_t slot, void *payload)
{
    self->uses[slot] = (self->uses[slot] & ~IDLE_MARK) + 1;
    leat_accumulators_init(self->frame.set, payload);
}

// ---- panes

static void end_pane(window_time *self, uint32_t index)
{
    leat_pane *pane = leat_panes_get(&self->panes, index);
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->panes, pane, 0, &slot)); slot++) {
        self->uses[slot]--;
        if (self->variable)
            leat_accumulators_release(self->frame.set, leat_pane_payload(entry), self->base.context->budget);
    }
    leat_panes_drop(&self->panes, index);
    self->here = NULL;
    self->ended = true;
}

static void end_panes(window_time *self, int64_t watermark)
{
    while (self->panes.count && pane_over_at(self, leat_panes_get(&self->panes, 0)->start) <= watermark)
        end_pane(self, 0);
    while (self->refirings.count && over_at(self, leat_panes_get(&self->refirings, 0)->start) <= watermark)
        leat_panes_drop(&self->refirings, 0);
}

// The earliest window that has a pane and has not fired. Panes that have only fired windows come first.
static bool next_window(const window_time *self, int64_t *out_end)
{
    for (uint32_t i = 0; i < self->panes.count; i++) {
        int64_t start = leat_panes_get(&self->panes, i)->start;
        *out_end = leat_assigner_end_after(&self->assigner, start, self->frame.fired);
        if (*out_end <= leat_assigner_last_end(&self->assigner, start))
            return true;
    }
    return false;
}

static void look_ahead(window_time *self)
{
    int64_t end, due = LEAT_TIME_MAX;
    if (next_window(self, &end))
        due = leat_assigner_due(&self->assigner, end);
    if (self->panes.count && pane_over_at(self, leat_panes_get(&self->panes, 0)->start) < due)
        due = pane_over_at(self, leat_panes_get(&self->panes, 0)->start);
    if (self->refirings.count && over_at(self, leat_panes_get(&self->refirings, 0)->start) < due)
        due = over_at(self, leat_panes_get(&self->refirings, 0)->start);
    self->next_due = due;
}

static leat_pane *open_pane(window_time *self, int64_t start)
{
    uint32_t before = self->panes.count;
    leat_pane *pane = leat_panes_open(&self->panes, start);
    if (pane && self->panes.count != before)
        look_ahead(self);
    return pane;
}

static leat_code merge(window_time *self, void *into, const void *from, leat_error *out_error)
{
    return leat_accumulators_merge(self->frame.set, into, from, self->base.context->budget, out_error);
}

// ---- firing

// A window that is firing.
typedef struct firing {
    leat_window_times times;
    uint64_t cause;
    uint64_t number;      // 0, or how many late rows made it fire
    uint32_t first, last; // its panes are [first, last)
} firing;

static firing firing_of(const window_time *self, int64_t end)
{
    int64_t start = leat_assigner_start(&self->assigner, end);
    return (firing){
        .times = leat_window_times_of(leat_window_frame_fields(&self->frame), self->assigner.zone, start, end,
                                      leat_assigner_due(&self->assigner, end)),
        .cause = leat_window_cause(start, end),
        .first = leat_panes_lower(&self->panes, start),
        .last = leat_panes_lower(&self->panes, end),
    };
}

static void send(window_time *self, uint32_t slot, const void *accumulator, const firing *window)
{
    leat_window_frame_result(&self->frame, slot, accumulator, &window->times, window->cause, window->number);
}

static void fire_pane(window_time *self, leat_pane *pane, const firing *window)
{
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->panes, pane, 0, &slot)); slot++)
        send(self, slot, leat_pane_payload(entry), window);
}

// The result of one key.
static leat_code fire_slot(window_time *self, uint32_t slot, const firing *window, leat_error *out_error)
{
    leat_pane_entry *only = NULL;
    bool merging = false;
    leat_code code = LEAT_OK;
    for (uint32_t i = window->first; i < window->last && code == LEAT_OK; i++) {
        leat_pane_entry *entry = leat_pane_find(&self->panes, leat_panes_get(&self->panes, i), slot);
        if (!entry)
            continue;
        if (only && !merging) {
            memset(self->merged, 0, leat_accumulators_size(self->frame.set));
            leat_accumulators_init(self->frame.set, self->merged);
            code = merge(self, self->merged, leat_pane_payload(only), out_error);
            merging = true;
        }
        if (merging && code == LEAT_OK)
            code = merge(self, self->merged, leat_pane_payload(entry), out_error);
        only = entry;
    }
    if (only && code == LEAT_OK)
        send(self, slot, merging ? self->merged : leat_pane_payload(only), window);
    if (merging && self->variable)
        leat_accumulators_release(self->frame.set, self->merged, self->base.context->budget);
    return code;
}

static bool any_in_chunk(const window_time *self, const firing *window, uint32_t chunk)
{
    for (uint32_t i = window->first; i < window->last; i++) {
        const leat_pane *pane = leat_panes_get(&self->panes, i);
        if (chunk < pane->chunk_count && pane->chunks[chunk].entries)
            return true;
    }
    return false;
}

static leat_code fire_merged(window_time *self, const firing *window, leat_error *out_error)
{
    uint32_t chunks = 0;
    for (uint32_t i = window->first; i < window->last; i++)
        if (leat_panes_get(&self->panes, i)->chunk_count > chunks)
            chunks = leat_panes_get(&self->panes, i)->chunk_count;
    for (uint32_t slot = 0; slot < chunks * LEAT_PANE_CHUNK; slot++) {
        if (slot % LEAT_PANE_CHUNK == 0 && !any_in_chunk(self, window, slot / LEAT_PANE_CHUNK)) {
            slot += LEAT_PANE_CHUNK - 1;
            continue;
        }
        leat_code code = fire_slot(self, slot, window, out_error);
        if (code != LEAT_OK)
            return code;
    }
    return LEAT_OK;
}

static leat_code fold_pane(window_time *self, leat_pane *base, leat_pane *pane, leat_error *out_error)
{
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->panes, pane, 0, &slot)); slot++) {
        bool is_new;
        leat_pane_entry *into = leat_pane_make(&self->panes, base, slot, &is_new);
        if (!into)
            return leat_window_frame_no_budget(&self->frame, out_error);
        if (is_new)
            begin_entry(self, slot, leat_pane_payload(into));
        leat_code code = merge(self, leat_pane_payload(into), leat_pane_payload(entry), out_error);
        if (code != LEAT_OK)
            return code;
    }
    return LEAT_OK;
}

// Folds the steps of the period that this window ends into its first pane, which then is the window.
static leat_code fold(window_time *self, int64_t end, leat_pane **out_base, leat_error *out_error)
{
    int64_t start = leat_assigner_start(&self->assigner, end);
    leat_pane *base = leat_panes_open(&self->panes, start);
    if (!base)
        return leat_window_frame_no_budget(&self->frame, out_error);
    uint32_t index = leat_panes_lower(&self->panes, start) + 1;
    while (index < self->panes.count && leat_panes_get(&self->panes, index)->start < end) {
        leat_code code = fold_pane(self, base, leat_panes_get(&self->panes, index), out_error);
        if (code != LEAT_OK)
            return code;
        end_pane(self, index);
    }
    *out_base = base;
    return LEAT_OK;
}

static leat_code fire(window_time *self, int64_t end, leat_error *out_error)
{
    leat_pane *whole = NULL;
    if (self->folds) {
        leat_code code = fold(self, end, &whole, out_error);
        if (code != LEAT_OK)
            return code;
    }
    firing window = firing_of(self, end);
    if (!whole && window.last - window.first == 1)
        whole = leat_panes_get(&self->panes, window.first);
    if (!whole)
        return fire_merged(self, &window, out_error);
    fire_pane(self, whole, &window);
    return LEAT_OK;
}

static leat_code fire_due(window_time *self, int64_t watermark, leat_error *out_error)
{
    int64_t end;
    while (next_window(self, &end) && leat_assigner_due(&self->assigner, end) <= watermark) {
        leat_code code = fire(self, end, out_error);
        if (code != LEAT_OK)
            return code;
        self->frame.fired = leat_assigner_due(&self->assigner, end);
        end_panes(self, self->frame.fired);
    }
    if (self->frame.fired < watermark)
        self->frame.fired = watermark;
    end_panes(self, watermark);
    self->here = NULL;
    look_ahead(self);
    return LEAT_OK;
}

static leat_code advance(window_time *self, int64_t watermark, leat_error *out_error)
{
    leat_window_frame *frame = &self->frame;
    if (watermark > frame->watermark && watermark >= self->next_due) {
        leat_code code = leat_window_frame_flush(frame, out_error);
        if (code != LEAT_OK)
            return code;
        leat_emitter_watermark(&frame->results, frame->heard);
        code = fire_due(self, watermark, out_error);
        if (code != LEAT_OK)
            return code;
    }
    leat_window_frame_rise(frame, watermark);
    return LEAT_OK;
}

// ---- rows

// The windows of the row that have fired and still take rows fire once more, for its key.
static leat_code refire(window_time *self, uint32_t slot, int64_t pane, leat_error *out_error)
{
    leat_window_frame *frame = &self->frame;
    leat_code code = leat_window_frame_flush(frame, out_error);
    if (code != LEAT_OK)
        return code;
    leat_emitter_watermark(&frame->results, frame->heard);
    int64_t last = leat_assigner_last_end(&self->assigner, pane);
    int64_t end = leat_assigner_end_after(&self->assigner, pane, minus(frame->watermark, self->lateness_ms));
    for (; end <= last && leat_assigner_due(&self->assigner, end) <= frame->fired && code == LEAT_OK;
         end += self->assigner.step_ms) {
        leat_pane *firings = leat_panes_open(&self->refirings, end);
        bool is_new;
        leat_pane_entry *entry = firings ? leat_pane_make(&self->refirings, firings, slot, &is_new) : NULL;
        if (!entry)
            return leat_window_frame_no_budget(frame, out_error);
        firing window = firing_of(self, end);
        window.number = ++entry->word;
        code = fire_slot(self, slot, &window, out_error);
    }
    look_ahead(self);
    return code;
}

// The row leaves nothing under its key.
static void pass_over(window_time *self, uint32_t slot)
{
    if (!(self->uses[slot] & ~IDLE_MARK))
        self->orphans++;
}

static void drop_row(window_time *self, uint32_t slot, leat_drop_cause cause, uint32_t row)
{
    pass_over(self, slot);
    if (cause == LEAT_DROP_LATE)
        leat_window_frame_late(&self->frame, row);
    else
        leat_drops_add(self->base.context->drops, cause, 1);
}

static leat_code take(window_time *self, leat_pane *pane, uint32_t slot, uint32_t row, leat_error *out_error)
{
    bool is_new;
    leat_pane_entry *entry = leat_pane_make(&self->panes, pane, slot, &is_new);
    if (!entry)
        return leat_window_frame_no_budget(&self->frame, out_error);
    if (is_new)
        begin_entry(self, slot, leat_pane_payload(entry));
    leat_window_frame_take(&self->frame, row, leat_pane_payload(entry));
    return LEAT_OK;
}

// A row that is not in the pane of the one before.
static leat_code find_pane(window_time *self, uint32_t slot, uint32_t row, int64_t time, leat_error *out_error)
{
    const leat_assigner *assigner = &self->assigner;
    int64_t start = leat_assigner_pane(assigner, time), last = leat_assigner_last_end(assigner, start);
    int64_t first = leat_assigner_first_end(assigner, start), watermark = self->frame.watermark;
    if (first > last) { // between two windows
        if (plus(time, self->lateness_ms) <= watermark)
            drop_row(self, slot, LEAT_DROP_LATE, row);
        return LEAT_OK;
    }
    if (over_at(self, last) <= watermark) {
        drop_row(self, slot, LEAT_DROP_LATE, row);
        return LEAT_OK;
    }
    int64_t due = leat_assigner_due(assigner, first), fired = self->frame.fired;
    bool folded = self->folds && due <= fired;
    leat_pane *pane = open_pane(self, folded ? leat_assigner_start(assigner, last) : start);
    if (!pane)
        return leat_window_frame_no_budget(&self->frame, out_error);
    leat_code code = take(self, pane, slot, row, out_error);
    if (code != LEAT_OK || due > fired) {
        self->here = pane;
        self->here_start = start;
        self->here_due = due;
        return code;
    }
    // Nothing that has fired takes rows when lateness is 0, unless a savepoint set the watermark back.
    return self->lateness_ms || watermark < fired ? refire(self, slot, start, out_error) : LEAT_OK;
}

static leat_code on_row(window_time *self, uint32_t i, leat_error *out_error)
{
    leat_window_frame *frame = &self->frame;
    leat_batch *batch = frame->batch;
    uint32_t row = leat_batch_row(batch, i), slot = frame->slots[i];
    if (batch->watermark) {
        leat_code code = advance(self, batch->watermark[row], out_error);
        if (code != LEAT_OK)
            return code;
    }
    bool bad = frame->eval.bad_count && frame->eval.bad[row]; // counted when the batch is done
    if (slot == LEAT_SLOT_NONE)
        return bad ? (void)0 : leat_window_frame_too_large(frame), LEAT_OK;
    if (bad)
        return pass_over(self, slot), LEAT_OK;
    if (!frame->times || (frame->time_nulls && frame->time_nulls[row]) || frame->times[row] == LEAT_TIME_NONE)
        return drop_row(self, slot, LEAT_DROP_NULL_TIME, row), LEAT_OK;
    if (!leat_assigner_fits(frame->times[row]))
        return drop_row(self, slot, LEAT_DROP_MISFIT, row), LEAT_OK;
    int64_t time = leat_assigner_local(&self->assigner, frame->times[row]);
    if (self->here && time - self->here_start >= 0 && time - self->here_start < self->assigner.pane_ms &&
        self->here_due > frame->fired)
        return take(self, self->here, slot, row, out_error);
    return find_pane(self, slot, row, time, out_error);
}

// Whether all times lie in [first, last], without a branch per row: both distances are below 2^63 exactly then.
static bool all_within(const int64_t *times, uint32_t count, int64_t first, int64_t last)
{
    uint64_t outside = 0;
    for (uint32_t i = 0; i < count; i++)
        outside |= ((uint64_t)times[i] - (uint64_t)first) | ((uint64_t)last - (uint64_t)times[i]);
    return !(outside >> 63);
}

// Whether all rows of the batch are on time and in one pane; then it is opened.
static bool in_one_pane(window_time *self, leat_pane **out_pane)
{
    const leat_window_frame *frame = &self->frame;
    const leat_batch *batch = frame->batch;
    const int64_t *times = frame->times;
    if (self->assigner.zone || !times || batch->selection || frame->time_nulls || frame->eval.bad_count ||
        leat_keys_refused(frame->keys))
        return false;
    if (!leat_assigner_fits(times[0]))
        return false;
    int64_t start = leat_assigner_pane(&self->assigner, times[0]),
            first = leat_assigner_first_end(&self->assigner, start);
    int64_t under = batch->watermark ? batch->watermark[batch->count - 1] : frame->watermark;
    if (first > leat_assigner_last_end(&self->assigner, start) || first - 1 <= frame->fired || first - 1 <= under ||
        under >= self->next_due || !all_within(times, batch->count, start, start + (self->assigner.pane_ms - 1)))
        return false;
    *out_pane = open_pane(self, start);
    return *out_pane != NULL;
}

// Takes back entries that were made for rows that could not be evaluated.
static void take_back(window_time *self, leat_pane *pane, const uint32_t *new, uint32_t new_count)
{
    leat_window_frame *frame = &self->frame;
    for (uint32_t i = 0; i < new_count; i++) {
        uint32_t slot = frame->slots[new[i]];
        if (leat_accumulators_rows(frame->set, frame->accumulators[new[i]]))
            continue;
        self->uses[slot]--;
        pass_over(self, slot);
        leat_accumulators_release(frame->set, frame->accumulators[new[i]], self->base.context->budget);
        leat_pane_erase(&self->panes, pane, slot);
    }
}

static leat_code on_one_pane(window_time *self, leat_pane *pane, leat_error *out_error)
{
    leat_window_frame *frame = &self->frame;
    leat_batch *batch = frame->batch;
    uint32_t count = batch->count, new_count;
    uint32_t *new = leat_arena_alloc(&frame->eval.scratch, count * sizeof *new);
    bool made = leat_pane_make_all(&self->panes, pane, frame->slots, count, frame->accumulators, new, &new_count);
    for (uint32_t i = 0; i < new_count; i++)
        begin_entry(self, frame->slots[new[i]], frame->accumulators[new[i]]);
    if (!made)
        return leat_window_frame_no_budget(frame, out_error);
    frame->waiting = count; // all of them: rows need not be listed
    leat_code code = leat_window_frame_flush(frame, out_error);
    if (code == LEAT_OK && frame->eval.bad_count)
        take_back(self, pane, new, new_count);
    return code == LEAT_OK && batch->watermark ? advance(self, batch->watermark[count - 1], out_error) : code;
}

static leat_code on_rows(window_time *self, leat_batch *batch, leat_error *out_error)
{
    leat_code code = leat_window_frame_begin(&self->frame, batch, out_error);
    if (code == LEAT_OK)
        code = uses_room(self, out_error);
    if (code != LEAT_OK)
        return code;
    if (batch->row_kind) // whether an entry took no row cannot be seen afterwards, as for others (take_back)
        leat_accumulators_prepare(self->frame.set, &self->frame.eval, batch);
    leat_pane *pane;
    if (in_one_pane(self, &pane))
        return on_one_pane(self, pane, out_error);
    leat_accumulators_prepare(self->frame.set, &self->frame.eval, batch); // for eval.bad: such a row opens nothing
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++)
        code = on_row(self, i, out_error);
    return code;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    window_time *self = (window_time *)base;
    leat_code code = batch->selected ? on_rows(self, batch, out_error) : LEAT_OK;
    if (code == LEAT_OK)
        code = advance(self, batch->watermark_after, out_error);
    if (code != LEAT_OK)
        return code;
    if (batch->selected) {
        code = leat_window_frame_end(&self->frame, out_error);
    } else {
        leat_window_frame_send(&self->frame);
    }
    if (self->ended || self->orphans > ORPHANS_MAX)
        sweep(self);
    return code;
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    window_time *self = (window_time *)base;
    leat_code code = advance(self, watermark, out_error);
    leat_window_frame_send(&self->frame);
    if (self->ended)
        sweep(self);
    return code;
}

// ---- state

static uint8_t *put_key(uint8_t bytes[KEY_MAX], int64_t number, leat_slice key)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)number >> 8 * i);
    memcpy(bytes + 8, key.data, key.size);
    return bytes;
}

static void store(window_time *self, leat_snapshot *snapshot, uint8_t table, int64_t number, uint32_t slot,
                  const leat_pane_entry *entry)
{
    uint8_t bytes[KEY_MAX];
    leat_slice key = leat_keys_bytes(self->frame.keys, slot);
    leat_writer *out = &self->frame.stored;
    leat_writer_reset(out);
    leat_write_u8(out, VERSION);
    if (table == TABLE_PANES)
        leat_accumulators_encode(self->frame.set, leat_pane_payload((leat_pane_entry *)entry), out);
    else
        leat_write_varint(out, entry->word);
    LEAT_ASSERT(!out->failed);
    snapshot->put(snapshot, table, leat_keys_group(self->frame.keys, slot),
                  leat_slice_of((const char *)put_key(bytes, number, key), key.size + 8), leat_writer_slice(out));
}

static void store_panes(window_time *self, leat_snapshot *snapshot, uint8_t table, leat_panes *panes)
{
    uint32_t since = snapshot->any_whole || snapshot->all_whole ? 0 : panes->epoch;
    for (uint32_t i = 0; i < panes->count; i++) {
        leat_pane *pane = leat_panes_get(panes, i);
        leat_pane_entry *entry;
        for (uint32_t slot = 0; (entry = leat_pane_next(panes, pane, since, &slot)); slot++)
            if (entry->epoch == panes->epoch || snapshot->whole[leat_keys_group(self->frame.keys, slot)])
                store(self, snapshot, table, pane->start, slot, entry);
    }
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(panes);
}

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    window_time *self = (window_time *)base;
    store_panes(self, snapshot, TABLE_PANES, &self->panes);
    store_panes(self, snapshot, TABLE_REFIRINGS, &self->refirings);
    leat_window_frame_snapshot(&self->frame, snapshot);
}

static leat_code restore_entry(window_time *self, uint8_t table, int64_t number, leat_slice key, leat_reader *value,
                               leat_error *out_error)
{
    leat_panes *panes = table == TABLE_PANES ? &self->panes : &self->refirings;
    uint32_t slot;
    bool is_new;
    leat_code code = leat_keys_slot(self->frame.keys, key, &slot, out_error);
    if (code == LEAT_OK)
        code = uses_room(self, out_error);
    if (code != LEAT_OK)
        return code;
    leat_pane *pane = leat_panes_open(panes, number);
    leat_pane_entry *entry = pane ? leat_pane_make(panes, pane, slot, &is_new) : NULL;
    if (!entry)
        return leat_window_frame_no_budget(&self->frame, out_error);
    entry->epoch = 0;
    if (table == TABLE_REFIRINGS) {
        entry->word = leat_read_varint(value);
        return LEAT_OK;
    }
    if (is_new)
        begin_entry(self, slot, leat_pane_payload(entry));
    return leat_accumulators_decode(self->frame.set, leat_pane_payload(entry), value, self->base.context->budget,
                                    out_error);
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    window_time *self = (window_time *)base;
    if (table == LEAT_WINDOW_MARKS)
        return leat_window_frame_restore(&self->frame, group, value, out_error);
    leat_reader keys, values;
    leat_reader_init(&keys, key.data, key.size);
    leat_reader_init(&values, value.data, value.size);
    int64_t number = (int64_t)leat_read_u64(&keys);
    uint8_t version = leat_read_u8(&values);
    if (keys.failed || version != VERSION || table > TABLE_REFIRINGS)
        return leat_error_set(out_error, LEAT_E_CORRUPT,
                              "expected a window's state in version %d, found table %u, version %u", VERSION, table,
                              version);
    leat_code code = restore_entry(self, table, number, leat_slice_of(key.data + 8, key.size - 8), &values, out_error);
    if (code == LEAT_OK && values.failed)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored accumulator of %zu bytes is damaged", value.size);
    return code;
}

// Whether the stored entry was over, or folded, when its group was stored.
static bool is_stale(const window_time *self, int64_t start, leat_window_mark mark)
{
    if (pane_over_at(self, start) <= mark.watermark)
        return true;
    bool base = leat_assigner_start(&self->assigner, leat_assigner_last_end(&self->assigner, start)) == start;
    return self->folds && !base &&
           leat_assigner_due(&self->assigner, leat_assigner_first_end(&self->assigner, start)) <= mark.fired;
}

static void begin_restored(window_time *self)
{
    for (uint32_t i = self->panes.count; i-- > 0;) {
        leat_pane *pane = leat_panes_get(&self->panes, i);
        leat_pane_entry *entry;
        for (uint32_t slot = 0; (entry = leat_pane_next(&self->panes, pane, 0, &slot)); slot++) {
            if (!is_stale(self, pane->start, leat_window_frame_mark_of(&self->frame, slot)))
                continue;
            self->uses[slot]--;
            leat_accumulators_release(self->frame.set, leat_pane_payload(entry), self->base.context->budget);
            leat_pane_erase(&self->panes, pane, slot);
        }
        if (!pane->used)
            leat_panes_drop(&self->panes, i);
    }
    // What is counted for a window that is over goes with the next look.
    leat_panes_next_epoch(&self->panes);
    leat_panes_next_epoch(&self->refirings);
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)out_error;
    window_time *self = (window_time *)base;
    begin_restored(self);
    leat_window_frame_ready(&self->frame, restored);
    end_panes(self, self->frame.watermark);
    look_ahead(self);
    sweep(self);
    return LEAT_OK;
}

// ---- life

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    window_time *self = (window_time *)base;
    leat_operator_context *context = base->context;
    const leat_window_aggregate_spec *spec = context->spec;
    int32_t column = spec->window.time_column;
    uint8_t kind = column < 0 ? LEAT_KIND_NULL : context->inputs[0]->fields[column].type.kind;
    leat_code code = leat_assigner_init(&self->assigner, &spec->window, kind, out_error);
    if (code == LEAT_OK)
        code = leat_window_frame_open(&self->frame, context, out_error);
    if (code != LEAT_OK)
        return code;
    self->lateness_ms = spec->allowed_lateness_ms;
    self->folds = spec->window.kind == LEAT_WINDOW_CUMULATE && !self->lateness_ms && spec->keep_watermark;
    self->variable = leat_accumulators_has_variable(self->frame.set);
    self->merged = leat_arena_alloc_aligned(context->arena, leat_accumulators_size(self->frame.set), 16);
    self->next_due = LEAT_TIME_MAX;
    leat_panes_init(&self->panes, context->budget, leat_accumulators_size(self->frame.set));
    leat_panes_init(&self->refirings, context->budget, 0);
    return LEAT_OK;
}

static void close_operator(leat_operator *base)
{
    window_time *self = (window_time *)base;
    while (self->panes.count)
        end_pane(self, self->panes.count - 1);
    leat_panes_fini(&self->panes);
    leat_panes_fini(&self->refirings);
    leat_budget_free(base->context->budget, self->uses, self->uses_room * sizeof *self->uses);
    leat_window_frame_close(&self->frame);
}

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    window_time *self = (window_time *)base;
    *out_keys = leat_keys_count(self->frame.keys);
    *out_state_bytes = leat_keys_memory(self->frame.keys) + leat_panes_memory(&self->panes) +
                       leat_panes_memory(&self->refirings) + self->uses_room * sizeof *self->uses;
}

const leat_operator_ops leat_operator_window_time_ops = {
    .name = "window_time",
    .instance_size = sizeof(window_time),
    .open = open_operator,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .snapshot = snapshot_state,
    .restore = restore,
    .ready = ready,
    .close = close_operator,
    .measure = measure,
};
