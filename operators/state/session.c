#include "operators/state/session.h"

#include <string.h>

enum { SLAB_SESSIONS = 32, CACHE_BYTES = 256 * 1024 };

typedef struct leat_session_slab {
    struct leat_session_slab *next;
    uint64_t unused; // sessions behind it are 16-aligned
} leat_session_slab;

bool leat_sessions_init(leat_sessions *sessions, leat_budget *budget, size_t payload_size, int64_t gap_ms,
                        int64_t lateness_ms)
{
    *sessions = (leat_sessions){.budget = budget,
                                .gap_ms = gap_ms,
                                .lateness_ms = lateness_ms,
                                .size = LEAT_SESSION_HEAD + ((payload_size + 15) & ~(size_t)15)};
    leat_alarms_init(&sessions->alarms, budget);
    leat_panes_init(&sessions->tables, budget, sizeof(leat_session_slot));
    sessions->table = leat_panes_open(&sessions->tables, 0);
    if (!sessions->table)
        leat_panes_fini(&sessions->tables);
    return sessions->table != NULL;
}

static size_t slab_size(const leat_sessions *sessions)
{
    return sizeof(leat_session_slab) + sessions->size * SLAB_SESSIONS;
}

void leat_sessions_fini(leat_sessions *sessions)
{
    for (leat_session_slab *slab = sessions->slabs, *next; slab; slab = next) {
        next = slab->next;
        leat_budget_free(sessions->budget, slab, slab_size(sessions));
    }
    leat_alarms_fini(&sessions->alarms);
    leat_panes_fini(&sessions->tables);
}

// ---- sessions

static int64_t plus(int64_t time, int64_t more) { return time > LEAT_TIME_MAX - more ? LEAT_TIME_MAX : time + more; }

static int64_t due_of(const leat_sessions *sessions, const leat_session *session)
{
    return session->fired ? plus(session->end - 1, sessions->lateness_ms) : session->end - 1;
}

static bool refill(leat_sessions *sessions)
{
    leat_session_slab *slab = leat_budget_alloc(sessions->budget, slab_size(sessions));
    if (!slab)
        return false;
    slab->next = sessions->slabs;
    sessions->slabs = slab;
    sessions->memory += slab_size(sessions);
    for (uint32_t i = SLAB_SESSIONS; i-- > 0;) { // handed out in order of address
        leat_session *session = (leat_session *)((uint8_t *)(slab + 1) + i * sessions->size);
        session->next = sessions->free;
        sessions->free = session;
    }
    return true;
}

static void give_back(leat_sessions *sessions, leat_session *session)
{
    memset(session, 0, sessions->size);
    session->next = sessions->free;
    sessions->free = session;
    sessions->count--;
}

// The slot's alarm is at or before the session's time.
static void alarm_at(leat_sessions *sessions, uint32_t slot, leat_session_slot *state, int64_t due_ms)
{
    if (due_ms >= state->alarm_ms)
        return;
    state->alarm_ms = leat_alarms_push(&sessions->alarms, due_ms, slot);
}

// Finds or makes the slot's entry, with room for one session and one alarm more.
static leat_session_slot *slot_with_room(leat_sessions *sessions, uint32_t slot)
{
    bool is_new;
    if (!leat_alarms_reserve(&sessions->alarms) || (!sessions->free && !refill(sessions)))
        return NULL;
    leat_pane_entry *entry = leat_pane_make(&sessions->tables, sessions->table, slot, &is_new);
    if (!entry)
        return NULL;
    leat_session_slot *state = leat_sessions_slot(entry);
    if (is_new)
        state->alarm_ms = LEAT_TIME_MAX;
    return state;
}

static leat_session *insert(leat_sessions *sessions, leat_session_slot *state, int64_t start, int64_t end)
{
    leat_session *session = sessions->free, **place = &state->first;
    sessions->free = session->next;
    while (*place && (*place)->start < start)
        place = &(*place)->next;
    session->start = start;
    session->end = end;
    session->next = *place;
    *place = session;
    sessions->count++;
    return session;
}

static bool touches(const leat_session *session, int64_t start, int64_t end)
{
    return session->start <= end && session->end >= start;
}

static leat_session *find_touching(const leat_sessions *sessions, uint32_t slot, int64_t start, int64_t end)
{
    leat_session *session = leat_sessions_first(sessions, slot);
    while (session && !touches(session, start, end))
        session = session->next;
    return session;
}

// Takes those after `session` in that touch what it has become.
static bool absorb_next(leat_sessions *sessions, leat_session *session, leat_sessions_absorb absorb, void *context)
{
    leat_session *next;
    while ((next = session->next) && touches(next, session->start, session->end)) {
        if (!absorb(context, leat_session_payload(session), leat_session_payload(next)))
            return false;
        if (session->end < next->end)
            session->end = next->end;
        session->firings += next->firings;
        session->next = next->next;
        give_back(sessions, next);
    }
    return true;
}

bool leat_sessions_add(leat_sessions *sessions, uint32_t slot, int64_t time_ms, int64_t watermark_ms,
                       leat_sessions_absorb absorb, void *context, leat_sessions_added *out_added)
{
    int64_t end = plus(time_ms, sessions->gap_ms);
    leat_session *session = find_touching(sessions, slot, time_ms, end);
    *out_added = (leat_sessions_added){0};
    if (!session && plus(end - 1, sessions->lateness_ms) <= watermark_ms)
        return true;
    leat_session_slot *state = slot_with_room(sessions, slot);
    if (!state)
        return false;
    out_added->is_new = !session;
    if (!session)
        session = insert(sessions, state, time_ms, end);
    if (session->start > time_ms)
        session->start = time_ms;
    if (session->end < end)
        session->end = end;
    if (!absorb_next(sessions, session, absorb, context))
        return false;
    out_added->session = session;
    out_added->due_now = session->end - 1 <= watermark_ms;
    session->fired = out_added->due_now;
    alarm_at(sessions, slot, state, due_of(sessions, session));
    return true;
}

leat_session *leat_sessions_restore(leat_sessions *sessions, uint32_t slot, int64_t start, int64_t end, bool fired)
{
    leat_session_slot *state = slot_with_room(sessions, slot);
    if (!state)
        return NULL;
    leat_session *session = insert(sessions, state, start, end);
    session->fired = fired;
    alarm_at(sessions, slot, state, due_of(sessions, session));
    return session;
}

static leat_session *earliest(const leat_sessions *sessions, const leat_session_slot *state)
{
    leat_session *found = state->first;
    for (leat_session *session = found; session; session = session->next)
        if (due_of(sessions, session) < due_of(sessions, found))
            found = session;
    return found;
}

// The slot whose valid alarm this is; NULL when it is gone, or has an earlier one.
static leat_session_slot *alarmed(const leat_sessions *sessions, const leat_alarm *alarm)
{
    leat_pane_entry *entry = leat_pane_find(&sessions->tables, sessions->table, alarm->slot);
    leat_session_slot *state = entry ? leat_sessions_slot(entry) : NULL;
    return state && state->alarm_ms == alarm->due_ms ? state : NULL;
}

static int64_t really_due(void *context, const leat_alarm *alarm)
{
    const leat_sessions *sessions = context;
    leat_session_slot *state = alarmed(sessions, alarm);
    if (!state)
        return LEAT_TIME_NONE;
    int64_t due = due_of(sessions, earliest(sessions, state));
    return state->alarm_ms = due > alarm->due_ms ? due : alarm->due_ms;
}

leat_session *leat_sessions_due(leat_sessions *sessions, int64_t watermark_ms, uint32_t *out_slot)
{
    leat_alarm alarm;
    while (leat_alarms_take(&sessions->alarms, watermark_ms, really_due, sessions, &alarm)) {
        leat_session_slot *state = alarmed(sessions, &alarm);
        if (!state)
            continue;
        leat_session *session = earliest(sessions, state);
        int64_t due = due_of(sessions, session);
        state->alarm_ms = leat_alarms_push(&sessions->alarms, due, alarm.slot); // in the place of the one taken
        if (due <= alarm.due_ms) {
            *out_slot = alarm.slot;
            return session;
        }
    }
    return NULL;
}

uint32_t leat_sessions_extend_all(const leat_sessions *sessions, const uint32_t *slots, const int64_t *times_ms,
                                  uint32_t count, void **out_payloads)
{
    leat_pane_chunk *chunks = sessions->table->chunks;
    uint32_t chunk_count = sessions->table->chunk_count, epoch = sessions->tables.epoch;
    size_t stride = sessions->tables.stride;
    int64_t gap_ms = sessions->gap_ms;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = slots[i];
        if (slot >> LEAT_PANE_CHUNK_BITS >= chunk_count)
            return i;
        leat_pane_chunk *chunk = &chunks[slot >> LEAT_PANE_CHUNK_BITS];
        if (!chunk->entries)
            return i;
        leat_pane_entry *entry = (leat_pane_entry *)(chunk->entries + stride * (slot & (LEAT_PANE_CHUNK - 1)));
        leat_session *session = leat_sessions_slot(entry)->first; // NULL unless the entry is LIVE
        int64_t time_ms = times_ms[i];
        if (!session || session->next || session->fired || time_ms < session->start || time_ms > session->end)
            return i;
        entry->epoch = epoch;
        chunk->epoch = epoch;
        session->end = time_ms + gap_ms > session->end ? time_ms + gap_ms : session->end;
        out_payloads[i] = leat_session_payload(session);
    }
    return count;
}

bool leat_sessions_remove(leat_sessions *sessions, uint32_t slot, leat_session *session)
{
    leat_pane_entry *entry = leat_pane_find(&sessions->tables, sessions->table, slot);
    leat_session_slot *state = leat_sessions_slot(entry);
    leat_session **place = &state->first;
    while (*place != session)
        place = &(*place)->next;
    *place = session->next;
    give_back(sessions, session);
    leat_pane_mark(&sessions->tables, sessions->table, slot, entry);
    return !state->first && leat_pane_remove(&sessions->tables, sessions->table, slot, entry);
}

void leat_sessions_prefetch(const leat_sessions *sessions, const uint32_t *slots, uint32_t count)
{
    if (sessions->memory < CACHE_BYTES)
        return;
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(leat_pane_place(&sessions->tables, sessions->table, slots[i]));
    for (uint32_t i = 0; i < count; i++) {
        leat_session *session = leat_sessions_first(sessions, slots[i]);
        __builtin_prefetch(session, 1);
        __builtin_prefetch((uint8_t *)session + 64, 1);
    }
}
