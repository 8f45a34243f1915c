// The timers of one operator instance in one time domain: one per key and time (unnamed) or per key and name.
//
// Timers are taken in order of time; at equal time key by key (by the keys' hashes, so that a restart changes nothing), the unnamed
// one of a key first, then its named ones by name. A timer that is set while others are taken is seen by the next take.
//
// How they lie. Most keys have one timer at a time, set and cleared again and again: it lies in the key's slot, and its node in
// the heap is a lower bound that stays where it is when the timer is cleared or set later (the node sinks when it surfaces). So
// such a change costs no heap operation. Setting an earlier time leaves a node behind; those are swept out before they are more than
// half. Further timers of a key are records with nodes of their own, found by a hash of (slot, name or time).
//
// Usage: init, restore*, then set, clear, take; release when a key may go; snapshot; fini.
// Ownership: memory from the budget; names are copied. Threads: the operator's. Failure: false when the budget refuses or a name
// is too long; nothing has changed then. Limits: LEAT_TIMER_NAME_MAX bytes a name; 2^31 timers beyond one a key.
//
// The stored form, one entry a key that has timers:
//   key:   the key's bytes
//   value: u8 version (1 or 2), varint count, then per timer: signed varint time, u8 flags, when named: sized name, when set late: u64 setter
//   flags: 1 named, 2 set late (version 2)
#pragma once

#include "operators/core/key.h"
#include "operators/core/operator.h"
#include "operators/state/pane.h"

enum { LEAT_TIMER_NAME_MAX = 255, LEAT_TIMER_NAMES = 14 };

typedef struct leat_timer_node {
    int64_t time;
    uint32_t tie; // of the key
    uint32_t ref; // slot, or FURTHER and a record
} leat_timer_node;

typedef struct leat_timer_record leat_timer_record;

typedef struct leat_timers {
    leat_budget *budget;
    const leat_keys *keys;
    leat_panes panes;
    leat_pane *pane;
    leat_timer_node *heap;
    uint32_t heap_count, heap_capacity, leftovers;
    leat_timer_record *records;
    uint32_t record_count, record_capacity, record_free; // used ones, room, first free one + 1
    uint32_t *buckets;
    uint32_t bucket_count;
    // Names that were seen first: timers in slots know them by number.
    char *names; // NULL: none yet
    uint8_t name_sizes[LEAT_TIMER_NAMES];
    uint32_t name_count;
    char taken_name[LEAT_TIMER_NAME_MAX + 1];
    size_t text_memory;
} leat_timers;

typedef struct leat_timer_due {
    uint32_t slot;
    int64_t time_ms;
    const char *name; // NULL: unnamed; holds until the next take
    uint64_t setter;  // of leat_timers_set_late; 0: set by leat_timers_set
} leat_timer_due;

LEAT_MUST_CHECK bool leat_timers_init(leat_timers *timers, leat_budget *budget, const leat_keys *keys);
void leat_timers_fini(leat_timers *timers); // also of zeroes
// Unnamed: sets one more. Named: replaces the one of that name.
LEAT_MUST_CHECK bool leat_timers_set(leat_timers *timers, uint32_t slot, int64_t time_ms, const char *name);
// For a time that has passed: a timer for it may have been taken already, so what is taken says who set this one (not 0). A timer that is set
// for that time anyway stays as it is.
LEAT_MUST_CHECK bool leat_timers_set_late(leat_timers *timers, uint32_t slot, int64_t time_ms, const char *name,
                                          uint64_t setter);
void leat_timers_clear(leat_timers *timers, uint32_t slot, int64_t time_ms, const char *name);
void leat_timers_clear_all(leat_timers *timers, uint32_t slot);
// Removes the first timer with a time <= until_ms; false when there is none.
bool leat_timers_take(leat_timers *timers, int64_t until_ms, leat_timer_due *out_due);
// Whether take could find one: never wrongly false. A lower bound of the next time is heap[0].time.
static inline bool leat_timers_due(const leat_timers *timers, int64_t until_ms)
{
    return timers->heap_count && timers->heap[0].time <= until_ms;
}
// The earliest time; false when there is no timer.
bool leat_timers_next(leat_timers *timers, int64_t *out_time_ms);
bool leat_timers_any(const leat_timers *timers, uint32_t slot);
// For users that keep one timer a key: its time, INT64_MAX when there is none.
int64_t leat_timers_only(const leat_timers *timers, uint32_t slot);
// A slot that had a timer keeps its entry until then. Forgets the slot when it has no timer; true when nothing of it is left (not even a removal that the next snapshot has to tell).
bool leat_timers_release(leat_timers *timers, uint32_t slot);
// Moves all timers by that much.
void leat_timers_shift(leat_timers *timers, int64_t by_ms);
size_t leat_timers_memory(const leat_timers *timers);

void leat_timers_snapshot(leat_timers *timers, leat_snapshot *snapshot, uint8_t table, leat_writer *scratch);
LEAT_MUST_CHECK leat_code leat_timers_restore(leat_timers *timers, uint32_t slot, leat_slice value,
                                              leat_error *out_error);
static inline __attribute__((always_inline)) void leat_timers_prefetch(const leat_timers *timers, uint32_t slot)
{
    const char *entry = (const char *)leat_pane_place(&timers->panes, timers->pane, slot);
    if (!entry)
        return;
    __builtin_prefetch(entry, 1);
    __builtin_prefetch(entry + 47, 1);
}
