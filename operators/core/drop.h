// Every dropped row is counted by cause. Counters of one operator instance or source are written by its own thread and read by any.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

typedef enum leat_drop_cause {
    LEAT_DROP_LATE = 0, // behind the watermark
    LEAT_DROP_NULL_KEY,
    LEAT_DROP_NULL_TIME,   // no event time in the row
    LEAT_DROP_UNDECODABLE, // payload is not of the declared format
    LEAT_DROP_MISFIT,      // a value does not fit its declared type
    LEAT_DROP_TOO_LARGE,   // a limit of limits.h
    LEAT_DROP_EXPRESSION,  // division by zero, overflow, bad cast in a rule
    LEAT_DROP_BUDGET,      // the rule's memory budget
    LEAT_DROP_RETAINED,    // retained or duplicate message that the source was told to ignore
    LEAT_DROP_DISK_FULL,
    LEAT_DROP_OUTBOX_FULL,
    LEAT_DROP_GAP, // could not be read again
    LEAT_DROP_CAUSES
} leat_drop_cause;

const char *leat_drop_cause_name(leat_drop_cause cause); // "late", "null-key", ...

typedef struct leat_drops {
    _Atomic uint64_t counts[LEAT_DROP_CAUSES];
    struct leat_drops *total; // counts them too; NULL: nobody does
} leat_drops;

static inline void leat_drops_add(leat_drops *drops, leat_drop_cause cause, uint64_t count)
{
    atomic_fetch_add_explicit(&drops->counts[cause], count, memory_order_relaxed);
    if (drops->total)
        atomic_fetch_add_explicit(&drops->total->counts[cause], count, memory_order_relaxed);
}
