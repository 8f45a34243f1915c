// Keys of the match operator: what a row or the time makes of one, and which of them may be forgotten.
#include <string.h>

#include "operators/match.h"

// A key by itself takes a small part of what one with a partial match takes, and mostly comes again: giving it back and finding it anew costs more than all that is
// done for a row. Where the budget is small, memory is scarce long before there are so many.
enum { KEYS_SPARE = 1 << 20, KEYS_PER_LEFT = 8, KEYS_SCARCE = 64 };

leat_code leat_match_no_budget(const leat_match *m, leat_error *out_error)
{
    return leat_error_set(
        out_error, LEAT_E_LIMIT,
        "the memory budget of %zu bytes is used up by the partial matches and waiting rows of %u keys; "
        "WITHIN bounds how long they last",
        m->base.context->budget->limit, m->keys ? leat_keys_count(m->keys) : 0);
}

// ---- slots

leat_match_key *leat_match_key_find(const leat_match *m, uint32_t slot)
{
    bool live = m->marks[slot] & MATCH_MARK_LIVE; // the marks of all keys take less room than the entries of some
    return live ? leat_pane_payload(leat_pane_place(&m->panes, m->pane, slot)) : NULL;
}

static leat_match_key *key_make(leat_match *m, uint32_t slot)
{
    bool is_new;
    leat_pane_entry *entry = leat_pane_make(&m->panes, m->pane, slot, &is_new);
    leat_match_key *key = entry ? leat_pane_payload(entry) : NULL;
    if (!key || !is_new)
        return key;
    m->marks[slot] |= MATCH_MARK_LIVE;
    return leat_pattern_begin_key(&m->nfa, &key->pattern) ? key : NULL;
}

static bool is_left(const leat_match *m, const uint64_t *waiting, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_place(&m->panes, m->pane, slot);
    return (entry && entry->state != LEAT_PANE_EMPTY) || waiting[slot / 64] >> slot % 64 & 1 ||
           leat_held_any(&m->held, slot);
}

// Between batches: slots of the batch at hand may have rows that wait.
void leat_match_release_idle(leat_match *m)
{
    uint32_t capacity = leat_keys_capacity(m->keys);
    leat_arena_reset(&m->scratch);
    uint64_t *waiting = leat_arena_array(&m->scratch, uint64_t, capacity / 64 + 1);
    memset(waiting, 0, (capacity / 64 + 1) * sizeof *waiting);
    leat_match_rows_mark(&m->rows, waiting);
    for (uint32_t slot = 0; slot < capacity; slot++)
        if (leat_keys_live(m->keys, slot) && !is_left(m, waiting, slot))
            leat_keys_release(m->keys, slot);
    m->keys_left = leat_keys_count(m->keys);
}

// Tables of keys grow to double their size, so that memory is scarce when half of it is used.
void leat_match_release_many(leat_match *m)
{
    const leat_budget *budget = m->base.context->budget;
    bool scarce = budget->limit && atomic_load_explicit(&budget->used, memory_order_relaxed) > budget->limit / 2;
    uint32_t keys = leat_keys_count(m->keys), kept = m->keys_left;
    if (keys > KEYS_PER_LEFT * kept + KEYS_SPARE || (scarce && keys > kept + kept / 8 + KEYS_SCARCE))
        leat_match_release_idle(m);
}

// ---- one key

bool leat_match_handle_row(leat_match *m, leat_match_key **inout_key, const match_row *row)
{
    if (m->row_scratch.cursor != m->row_scratch_empty) {
        leat_arena_reset(&m->row_scratch);
        m->row_scratch_empty = m->row_scratch.cursor;
    }
    m->row = row;
    m->row_decoded = false;
    m->nfa.mask = row->mask;
    if (!*inout_key) {
        bool begins = row->mask & m->begin_mask;
        if (!m->begin_mask && !leat_pattern_begins(&m->nfa, &begins))
            return false;
        if (!begins)
            return true;
        *inout_key = key_make(m, m->slot);
    }
    if (!*inout_key || !leat_pattern_row(&m->nfa, &(*inout_key)->pattern, row->time_ms, row->cause))
        return false;
    return leat_pattern_set_timer(&m->nfa, &(*inout_key)->pattern, row->time_ms);
}

// By the clock a key is looked at when a row comes, and when its timer goes off: no alarm is set just to forget it.
static bool may_forget(const leat_match *m, const leat_match_key *key)
{
    if (!leat_pattern_is_idle(&key->pattern))
        return false;
    return !key->pattern.timers || (m->spec->time_column < 0 &&
                                    m->base.context->now_ms > leat_pattern_timers_matter_until(&m->nfa, &key->pattern));
}

// When a key is looked at because of its time. A millisecond of the clock has to be over, as in Flink.
int64_t leat_match_alarm_of(const leat_match *m, const leat_match_key *key)
{
    int64_t timer = key->pattern.timer_ms;
    return m->spec->time_column < 0 && timer != INT64_MAX ? timer + 1 : timer;
}

static bool set_alarm(leat_match *m, int64_t alarm_ms, uint32_t slot)
{
    if (alarm_ms == INT64_MAX || alarm_ms >= m->alarm_ms[slot])
        return true;
    if (!leat_alarms_reserve(&m->alarms))
        return false;
    leat_alarms_push(&m->alarms, alarm_ms, slot);
    m->alarm_ms[slot] = alarm_ms;
    return true;
}

bool leat_match_set_alarm(leat_match *m, leat_match_key *key, uint32_t slot)
{
    return set_alarm(m, leat_match_alarm_of(m, key), slot);
}

bool leat_match_end_key(leat_match *m, leat_match_key *key, uint32_t slot, int64_t now_ms)
{
    m->nfa.new_start = false;
    if (!key)
        return true;
    leat_pane_entry *entry = leat_pane_of_payload(key);
    int64_t alarm_ms = leat_match_alarm_of(m, key);
    if (alarm_ms <= now_ms) {
        leat_pattern_pass_timers(&m->nfa, &key->pattern, m->spec->time_column < 0 ? now_ms - 1 : now_ms);
        alarm_ms = leat_match_alarm_of(m, key);
    }
    if (may_forget(m, key)) {
        leat_pattern_clear(&m->nfa, &key->pattern);
        m->marks[slot] &= ~MATCH_MARK_LIVE;
        (void)leat_pane_remove(&m->panes, m->pane, slot, entry);
        return true;
    }
    leat_pane_mark(&m->panes, m->pane, slot, entry);
    return set_alarm(m, alarm_ms, slot);
}

bool leat_match_advance_key(leat_match *m, leat_match_key *key, int64_t time_ms)
{
    return !key || leat_pattern_advance(&m->nfa, &key->pattern, time_ms);
}

// ---- marks

void leat_match_free_marks(leat_match *m)
{
    leat_budget_free(m->base.context->budget, m->marks, m->mark_room * sizeof *m->marks);
    leat_budget_free(m->base.context->budget, m->alarm_ms, m->mark_room * sizeof *m->alarm_ms);
}

bool leat_match_reserve_marks(leat_match *m)
{
    uint32_t room = leat_keys_capacity(m->keys);
    if (room <= m->mark_room)
        return true;
    room = room < 2 * m->mark_room ? 2 * m->mark_room : room;
    leat_budget *budget = m->base.context->budget;
    uint32_t *marks = leat_budget_alloc(budget, room * sizeof *marks);
    int64_t *alarms = marks ? leat_budget_alloc(budget, room * sizeof *alarms) : NULL;
    if (!alarms) {
        leat_budget_free(budget, marks, room * sizeof *marks);
        return false;
    }
    for (uint32_t i = 0; i < room; i++)
        alarms[i] = i < m->mark_room ? m->alarm_ms[i] : INT64_MAX;
    if (m->mark_room)
        memcpy(marks, m->marks, m->mark_room * sizeof *marks);
    leat_match_free_marks(m);
    m->marks = marks;
    m->alarm_ms = alarms;
    m->mark_room = room;
    return true;
}
