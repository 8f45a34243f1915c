#include "operators/state/due_times.h"

enum { ROOM_MIN = 64 };

void leat_due_times_init(leat_due_times *times, leat_budget *budget)
{
    *times = (leat_due_times){.budget = budget};
    for (uint32_t i = 0; i < LEAT_DUE_RECENT; i++)
        times->recent[i] = LEAT_TIME_NONE;
    leat_alarms_init(&times->others, budget);
}

static size_t queue_size(const leat_due_times *times)
{
    return times->queue ? (times->mask + (size_t)1) * sizeof *times->queue : 0;
}

void leat_due_times_fini(leat_due_times *times)
{
    if (!times->budget)
        return;
    leat_budget_free(times->budget, times->queue, queue_size(times));
    leat_alarms_fini(&times->others);
    *times = (leat_due_times){0};
}

static bool queue_room(leat_due_times *times)
{
    if (times->queue && times->count <= times->mask)
        return true;
    uint32_t room = times->queue ? (times->mask + 1) * 2 : ROOM_MIN;
    int64_t *queue = leat_budget_alloc(times->budget, room * sizeof *queue);
    if (!queue)
        return false;
    for (uint32_t i = 0; i < times->count; i++)
        queue[i] = times->queue[(times->first + i) & times->mask];
    leat_budget_free(times->budget, times->queue, queue_size(times));
    times->queue = queue;
    times->first = 0;
    times->mask = room - 1;
    return true;
}

static bool add_other(leat_due_times *times, int64_t due_ms)
{
    int64_t *recent = &times->recent[due_ms & (LEAT_DUE_RECENT - 1)];
    if (*recent == due_ms)
        return true;
    if (!leat_alarms_reserve(&times->others))
        return false;
    (void)leat_alarms_push(&times->others, due_ms, 0);
    *recent = due_ms;
    return true;
}

bool leat_due_times_add_slowly(leat_due_times *times, int64_t due_ms)
{
    if (times->count && due_ms < times->queue[(times->first + times->count - 1) & times->mask])
        return add_other(times, due_ms);
    if (!queue_room(times))
        return false;
    times->queue[(times->first + times->count++) & times->mask] = due_ms;
    return true;
}

static int64_t due_now(void *context, const leat_alarm *alarm)
{
    (void)context;
    return alarm->due_ms;
}

bool leat_due_times_take(leat_due_times *times, int64_t until_ms)
{
    leat_alarm alarm;
    bool any = false;
    for (; times->count && times->queue[times->first & times->mask] <= until_ms; any = true) {
        times->first++;
        times->count--;
    }
    while (leat_alarms_least(&times->others) <= until_ms &&
           leat_alarms_take(&times->others, until_ms, due_now, NULL, &alarm))
        any = true;
    return any;
}

size_t leat_due_times_memory(const leat_due_times *times)
{
    return queue_size(times) + times->others.room * sizeof *times->others.alarms;
}
