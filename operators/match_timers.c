#include "operators/match_timers.h"

#include <string.h>

enum { ROOM_MIN = 4 };

static size_t size_of(uint32_t room) { return sizeof(pattern_timers) + room * sizeof(int64_t); }

static bool reserve(leat_budget *budget, pattern_timers **inout_timers)
{
    pattern_timers *timers = *inout_timers;
    if (timers && timers->count < timers->room)
        return true;
    uint32_t old = timers ? timers->room : 0, room = old ? old * 2 : ROOM_MIN;
    timers = leat_budget_grow(budget, timers, old ? size_of(old) : 0, size_of(room));
    if (!timers)
        return false;
    timers->count = old;
    timers->room = room;
    *inout_timers = timers;
    return true;
}

// Rows come in order of time, except across a savepoint: its place is mostly the last one.
bool pattern_timers_add(leat_budget *budget, pattern_timers **inout_timers, int64_t due_ms)
{
    pattern_timers *timers = *inout_timers;
    uint32_t place = timers ? timers->count : 0;
    while (place && timers->due_ms[place - 1] > due_ms)
        place--;
    if (place && timers->due_ms[place - 1] == due_ms)
        return true;
    if (!reserve(budget, inout_timers))
        return false;
    timers = *inout_timers;
    memmove(&timers->due_ms[place + 1], &timers->due_ms[place], (timers->count - place) * sizeof *timers->due_ms);
    timers->due_ms[place] = due_ms;
    timers->count++;
    return true;
}

void pattern_timers_pass(leat_budget *budget, pattern_timers **inout_timers, int64_t until_ms)
{
    pattern_timers *timers = *inout_timers;
    uint32_t passed = 0;
    if (!timers)
        return;
    while (passed < timers->count && timers->due_ms[passed] <= until_ms)
        passed++;
    timers->count -= passed;
    memmove(timers->due_ms, timers->due_ms + passed, timers->count * sizeof *timers->due_ms);
    if (!timers->count)
        pattern_timers_free(budget, inout_timers);
}

// One that is wanted is below 0 meanwhile.
static int64_t due_of(const pattern_timers *timers, uint32_t i)
{
    return timers->due_ms[i] < 0 ? -timers->due_ms[i] : timers->due_ms[i];
}

void pattern_timers_want(pattern_timers *timers, int64_t due_ms)
{
    uint32_t low = 0, high = timers->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (due_of(timers, middle) < due_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < timers->count && timers->due_ms[low] == due_ms)
        timers->due_ms[low] = -due_ms;
}

void pattern_timers_drop_unwanted(pattern_timers *timers)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < timers->count; i++)
        if (timers->due_ms[i] < 0)
            timers->due_ms[left++] = -timers->due_ms[i];
    timers->count = left;
}

void pattern_timers_free(leat_budget *budget, pattern_timers **inout_timers)
{
    if (*inout_timers)
        leat_budget_free(budget, *inout_timers, size_of((*inout_timers)->room));
    *inout_timers = NULL;
}
