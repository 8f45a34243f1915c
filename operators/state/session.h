// Sessions by slot id: intervals that grow and merge, each with a payload of the caller, and the order in which they are due.
//
// A session is [start, end); a time t brings [t, t + gap), and what overlaps or touches becomes one session. It is due at its last
// instant, end - 1 (leat_sessions_due gives it with fired == false: the caller fires it and sets fired); with lateness it
// stays until end - 1 + lateness (given with fired == true: it is over), and what is added meanwhile is due at once.
//
// Alarms are lazy: a queue (state/alarm.h) holds a lower bound per slot, put right when it comes first. A row that makes the only
// open session of its key longer does not touch it (leat_sessions_extend).
//
// Usage: per row extend, and where that gives NULL add; per watermark loop over due, remove those that are over. Payloads are 16-aligned and
// cleared; what hangs on them is the caller's to release before remove. Changes are marked in `table`, whose entries are LIVE while
// their slot has sessions; walk it for snapshots.
// Ownership: memory from the budget. Threads: the operator's. Failure: false when the budget refuses, nothing changed.
#pragma once

#include "operators/state/alarm.h"
#include "operators/state/pane.h"

typedef struct leat_session {
    struct leat_session *next; // of the slot, ascending by start
    int64_t start, end;
    uint64_t firings : 63;
    uint64_t fired : 1; // at its present end
} leat_session;
enum { LEAT_SESSION_HEAD = 32 };
_Static_assert(sizeof(leat_session) <= LEAT_SESSION_HEAD, "payloads follow the head");

typedef struct leat_session_slot { // payload of an entry of `table`
    leat_session *first;
    int64_t alarm_ms; // of the slot's valid alarm
} leat_session_slot;

typedef struct leat_sessions {
    leat_budget *budget;
    int64_t gap_ms, lateness_ms;
    size_t size; // of a session with its payload
    leat_panes tables;
    leat_pane *table;
    leat_alarms alarms;
    leat_session *free;
    struct leat_session_slab *slabs;
    uint64_t count;
    size_t memory;
} leat_sessions;

// Takes the payload `from` of a session that ends into that of the one that stays. False: failed, and add fails.
typedef bool (*leat_sessions_absorb)(void *context, void *into, void *from);

typedef struct leat_sessions_added {
    leat_session *session; // NULL: the time is late
    bool is_new;           // its payload is cleared
    bool due_now;          // end - 1 has passed already: it fires at once
} leat_sessions_added;

LEAT_MUST_CHECK bool leat_sessions_init(leat_sessions *sessions, leat_budget *budget, size_t payload_size,
                                        int64_t gap_ms, int64_t lateness_ms);
void leat_sessions_fini(leat_sessions *sessions);
LEAT_MUST_CHECK bool leat_sessions_add(leat_sessions *sessions, uint32_t slot, int64_t time_ms, int64_t watermark_ms,
                                       leat_sessions_absorb absorb, void *context, leat_sessions_added *out_added);
// A session as it was stored; sessions of a slot come ascending by start.
leat_session *leat_sessions_restore(leat_sessions *sessions, uint32_t slot, int64_t start, int64_t end, bool fired);
// The next session that is due or over at the watermark, in order of time, then slot; NULL: none. It is given again until it has
// become over or was removed.
leat_session *leat_sessions_due(leat_sessions *sessions, int64_t watermark_ms, uint32_t *out_slot);
// Returns whether the slot has no session left and no snapshot knows it: the caller may give the slot back.
bool leat_sessions_remove(leat_sessions *sessions, uint32_t slot, leat_session *session);
// Nothing is due before.
static inline int64_t leat_sessions_next_due(const leat_sessions *sessions)
{
    return leat_alarms_least(&sessions->alarms);
}
static inline void *leat_session_payload(leat_session *session) { return (uint8_t *)session + LEAT_SESSION_HEAD; }
static inline leat_session_slot *leat_sessions_slot(leat_pane_entry *entry) { return leat_pane_payload(entry); }
static inline leat_session *leat_sessions_first(const leat_sessions *sessions, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_find(&sessions->tables, sessions->table, slot);
    return entry ? leat_sessions_slot(entry)->first : NULL;
}
static inline void leat_sessions_mark(leat_sessions *sessions, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_place(&sessions->tables, sessions->table, slot);
    leat_pane_mark(&sessions->tables, sessions->table, slot, entry);
}
// The fast path: the slot has one session, it is open, and the time only makes it longer. Else NULL.
static inline leat_session *leat_sessions_extend(leat_sessions *sessions, uint32_t slot, int64_t time_ms)
{
    leat_pane_entry *entry = leat_pane_find(&sessions->tables, sessions->table, slot);
    leat_session *session = entry ? leat_sessions_slot(entry)->first : NULL;
    if (!session || session->next || session->fired || time_ms < session->start || time_ms > session->end)
        return NULL;
    leat_pane_mark(&sessions->tables, sessions->table, slot, entry);
    if (session->end < time_ms + sessions->gap_ms)
        session->end = time_ms + sessions->gap_ms;
    return session;
}
// The same for rows, each with its slot and time, until one is something else; returns its index. out_payloads[i] for those before.
uint32_t leat_sessions_extend_all(const leat_sessions *sessions, const uint32_t *slots, const int64_t *times_ms,
                                  uint32_t count, void **out_payloads);
// Brings the sessions of a batch's slots on their way into the cache.
void leat_sessions_prefetch(const leat_sessions *sessions, const uint32_t *slots, uint32_t count);
