// What the timers keep. Only for operators/state/timer*.c.
//
//   timer.c        set, clear, take
//   timer_store.c  snapshots and recovery
#pragma once

#include "operators/state/timer.h"

enum { LEAT_TIMER_NONE = 0, LEAT_TIMER_UNNAMED = 1, LEAT_TIMER_NAMED = 2 }; // kinds; of names this and above, by number

// In the entry of a slot; the tie is the entry's word.
typedef struct leat_timer_slot {
    int64_t time;
    int64_t node_time; // of its valid node: not behind `time`
    uint32_t first;    // further timers: record + 1
    uint8_t kind;      // named only while there are no further ones
    bool has_node;
} leat_timer_slot;

struct leat_timer_record {
    int64_t time;
    uint64_t setter;    // 0: set in time
    char *name;         // NULL: unnamed
    uint32_t name_size; // with the 0
    uint32_t slot, node;
    uint32_t next, previous; // of the slot, + 1; next also of the free ones
    uint32_t chain;          // of the bucket, + 1
};

static inline leat_pane_entry *leat_timers_entry(const leat_timers *timers, uint32_t slot)
{
    return leat_pane_find(&timers->panes, timers->pane, slot);
}

static inline char *leat_timers_name(const leat_timers *timers, uint32_t i)
{
    return timers->names + i * (LEAT_TIMER_NAME_MAX + 1);
}
