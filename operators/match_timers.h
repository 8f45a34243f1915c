// The timers of a key, where stages have times of their own: one for each row that began a partial match. In Flink a timer stays when its partial match
// ends, and looks at all others of the key when it goes off. The time of a whole pattern sets a timer for each partial match, so that one of another finds nothing
// new; the time of a stage sets none, and is noticed by whatever comes next, which may be such a timer.
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
LEAT_MUST_CHECK bool pattern_timers_add(leat_budget *budget, pattern_timers **inout_timers, int64_t due_ms);
// Those until then are gone, and with the last one the memory.
void pattern_timers_pass(leat_budget *budget, pattern_timers **inout_timers, int64_t until_ms);
void pattern_timers_free(leat_budget *budget, pattern_timers **inout_timers);
