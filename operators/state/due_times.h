// Times at which something of some key is due, each once and whichever the key: tells whether a clock that only goes forward has
// passed one.
//
// Nearly all are added in order and lie in a queue; the others in a radix heap (state/alarm.h). Usage: init; add what lies after the
// clock; take. Ownership: memory from the budget. Threads: the operator's. Failure: false when the budget refuses.
#pragma once

#include "operators/state/alarm.h"

enum { LEAT_DUE_RECENT = 64 };

typedef struct leat_due_times {
    leat_budget *budget;
    int64_t *queue; // ascending, from `first`
    uint32_t first, count, mask;
    int64_t recent[LEAT_DUE_RECENT]; // of those in `others`, by their last bits
    leat_alarms others;
} leat_due_times;

void leat_due_times_init(leat_due_times *times, leat_budget *budget);
void leat_due_times_fini(leat_due_times *times); // also of zeroes
LEAT_MUST_CHECK bool leat_due_times_add_slowly(leat_due_times *times, int64_t due_ms);
static inline bool leat_due_times_add(leat_due_times *times, int64_t due_ms)
{
    if (times->count && times->queue[(times->first + times->count - 1) & times->mask] == due_ms)
        return true;
    return leat_due_times_add_slowly(times, due_ms);
}
// Takes out what is due; whether there was any.
bool leat_due_times_take(leat_due_times *times, int64_t until_ms);
size_t leat_due_times_memory(const leat_due_times *times);
