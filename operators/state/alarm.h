// A queue of slots by time for a clock that only goes forward: earliest first, at equal times the smallest slot.
//
// A radix heap: alarms lie in lists by the highest bit in which their time differs from that of the last one taken, and are dealt out
// again when their list comes first; each alarm moves a few times in its life (a binary heap moves log2 of all alarms, with a
// cache miss each), and nothing is allocated while taking.
// Source: R. Ahuja, K. Mehlhorn, J. Orlin, R. Tarjan, "Faster Algorithms for the Shortest Path Problem" (1990).
//
// Alarms may be too early: when the clock gets to one, its owner is asked when the slot is really due, and it moves on in place.
//
// Usage: reserve before push; take gives what is due until a time, and moves the clock to it.
// Ownership: memory from the budget. Threads: the operator's. Failure: reserve returns false; nothing has changed then.
#pragma once

#include "operators/core/batch.h"
#include "operators/core/budget.h"

enum { LEAT_ALARM_LISTS = 65 };

typedef struct leat_alarm {
    int64_t due_ms;
    uint32_t slot;
    uint32_t next; // index + 1 in `alarms`; 0: last
} leat_alarm;

typedef struct leat_alarms {
    leat_budget *budget;
    leat_alarm *alarms;
    uint32_t room, used, free;        // free: index + 1
    uint64_t filled;                  // bit i: list i + 1 is not empty
    uint32_t lists[LEAT_ALARM_LISTS]; // index + 1; list 0 holds those at `last_ms`, by slot
    int64_t least_ms[LEAT_ALARM_LISTS];
    int64_t last_ms; // of the last one taken
} leat_alarms;

void leat_alarms_init(leat_alarms *alarms, leat_budget *budget);
void leat_alarms_fini(leat_alarms *alarms);
LEAT_MUST_CHECK bool leat_alarms_reserve(leat_alarms *alarms); // room for one more
// Returns the alarm's time: due_ms, or that of the last one taken when it is later.
int64_t leat_alarms_push(leat_alarms *alarms, int64_t due_ms, uint32_t slot);
static inline int64_t leat_alarms_least(const leat_alarms *alarms)
{
    if (alarms->lists[0])
        return alarms->last_ms;
    return alarms->filled ? alarms->least_ms[__builtin_ctzll(alarms->filled) + 1] : LEAT_TIME_MAX;
}
// When the slot is really due: at or before the alarm's time it is given now; LEAT_TIME_NONE drops the alarm.
typedef int64_t (*leat_alarm_due)(void *context, const leat_alarm *alarm);
bool leat_alarms_take(leat_alarms *alarms, int64_t until_ms, leat_alarm_due due, void *context, leat_alarm *out_alarm);
