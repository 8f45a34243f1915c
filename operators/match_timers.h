// The timers of a key: one for each row that began a partial match. In Flink a timer stays when its partial match ends, and looks at all others of the key when it
// goes off. By event time, without times of stages, such a timer finds nothing that the timers of living partial matches do not find. It does
//
// - where stages have times of their own: those set no timer, and are noticed by whatever comes next;
// - by the clock: a timer goes off one millisecond late, so that the timer of a row notices that a partial match which began one millisecond later is over. It
//   matters to no other, so that timers without a partial match that began then, or a millisecond later, may be dropped.
//
// Usage: NULL are no timers; add, pass what is over, free. Ownership: memory from the budget. Threads: the operator's. Failure: false when the budget refuses;
// nothing has changed then.
#pragma once

#include "operators/core/budget.h"

typedef struct pattern_timers {
    uint32_t count, room;
    int64_t due_ms[]; // rising, each once
} pattern_timers;

static inline int64_t pattern_timers_first(const pattern_timers *timers)
{
    return timers && timers->count ? timers->due_ms[0] : INT64_MAX;
}
static inline bool pattern_timers_are_full(const pattern_timers *timers)
{
    return timers && timers->count == timers->room;
}
LEAT_MUST_CHECK bool pattern_timers_add(leat_budget *budget, pattern_timers **inout_timers, int64_t due_ms);
// Those until then are gone, and with the last one the memory.
void pattern_timers_pass(leat_budget *budget, pattern_timers **inout_timers, int64_t until_ms);
// To drop many: want each that is to stay, whether it is there or not; then those that are not wanted go. All are above 0.
void pattern_timers_want(pattern_timers *timers, int64_t due_ms);
void pattern_timers_drop_unwanted(pattern_timers *timers);
void pattern_timers_free(leat_budget *budget, pattern_timers **inout_timers);
