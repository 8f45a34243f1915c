#include "operators/state/alarm.h"

enum { ROOM_MIN = 16, SORT_PARTS = 32 };

void leat_alarms_init(leat_alarms *alarms, leat_budget *budget)
{
    *alarms = (leat_alarms){.budget = budget, .last_ms = INT64_MIN};
}

void leat_alarms_fini(leat_alarms *alarms)
{
    leat_budget_free(alarms->budget, alarms->alarms, alarms->room * sizeof *alarms->alarms);
    alarms->alarms = NULL;
    alarms->room = 0;
}

bool leat_alarms_reserve(leat_alarms *alarms)
{
    if (alarms->free || alarms->used < alarms->room)
        return true;
    uint32_t room = alarms->room ? alarms->room * 2 : ROOM_MIN;
    void *grown = leat_budget_grow(alarms->budget, alarms->alarms, alarms->room * sizeof *alarms->alarms,
                                   room * sizeof *alarms->alarms);
    if (!grown)
        return false;
    alarms->alarms = grown;
    alarms->room = room;
    return true;
}

static leat_alarm *at(const leat_alarms *alarms, uint32_t index_plus) { return &alarms->alarms[index_plus - 1]; }

// By slot; the list of what is due at last_ms is short where it is inserted into singly.
static void insert_now(leat_alarms *alarms, uint32_t index_plus)
{
    uint32_t *place = &alarms->lists[0];
    while (*place && at(alarms, *place)->slot < at(alarms, index_plus)->slot)
        place = &at(alarms, *place)->next;
    at(alarms, index_plus)->next = *place;
    *place = index_plus;
}

// due_ms is after last_ms. Both as unsigned numbers of the same order.
static unsigned list_of(const leat_alarms *alarms, int64_t due_ms)
{
    return 64 - (unsigned)__builtin_clzll((uint64_t)due_ms ^ (uint64_t)alarms->last_ms);
}

static void insert_later(leat_alarms *alarms, uint32_t index_plus)
{
    leat_alarm *alarm = at(alarms, index_plus);
    unsigned list = list_of(alarms, alarm->due_ms);
    if (!alarms->lists[list] || alarm->due_ms < alarms->least_ms[list])
        alarms->least_ms[list] = alarm->due_ms;
    alarm->next = alarms->lists[list];
    alarms->lists[list] = index_plus;
    alarms->filled |= (uint64_t)1 << (list - 1);
}

int64_t leat_alarms_push(leat_alarms *alarms, int64_t due_ms, uint32_t slot)
{
    if (due_ms < alarms->last_ms)
        due_ms = alarms->last_ms;
    uint32_t index_plus = alarms->free;
    if (index_plus)
        alarms->free = at(alarms, index_plus)->next;
    else
        index_plus = ++alarms->used;
    *at(alarms, index_plus) = (leat_alarm){.due_ms = due_ms, .slot = slot};
    if (due_ms == alarms->last_ms)
        insert_now(alarms, index_plus);
    else
        insert_later(alarms, index_plus);
    return due_ms;
}

static uint32_t merge(const leat_alarms *alarms, uint32_t a, uint32_t b)
{
    uint32_t merged = 0, *end = &merged;
    while (a && b) {
        uint32_t *smaller = at(alarms, a)->slot < at(alarms, b)->slot ? &a : &b;
        *end = *smaller;
        end = &at(alarms, *end)->next;
        *smaller = *end;
    }
    *end = a ? a : b;
    return merged;
}

// Merges runs of doubling length; parts[i] has 2^i alarms or none.
static uint32_t sort_by_slot(const leat_alarms *alarms, uint32_t list)
{
    if (!list || !at(alarms, list)->next)
        return list;
    uint32_t parts[SORT_PARTS] = {0}, sorted = 0;
    while (list) {
        uint32_t run = list;
        list = at(alarms, run)->next;
        at(alarms, run)->next = 0;
        unsigned i = 0;
        for (; parts[i]; parts[i++] = 0)
            run = merge(alarms, parts[i], run);
        parts[i] = run;
    }
    for (unsigned i = 0; i < SORT_PARTS; i++)
        sorted = merge(alarms, parts[i], sorted);
    return sorted;
}

// Moves the clock to the earliest alarm and deals its list out: all go to lists before it, those that turn out to be due later to
// their places. Only what is really due now has to be sorted.
static void deal_out(leat_alarms *alarms, leat_alarm_due due, void *context)
{
    unsigned first = (unsigned)__builtin_ctzll(alarms->filled) + 1;
    uint32_t index_plus = alarms->lists[first], next, now = 0;
    alarms->last_ms = alarms->least_ms[first];
    alarms->lists[first] = 0;
    alarms->filled &= alarms->filled - 1;
    for (; index_plus; index_plus = next) {
        leat_alarm *alarm = at(alarms, index_plus);
        next = alarm->next;
        if (alarm->due_ms == alarms->last_ms)
            alarm->due_ms = due(context, alarm);
        if (alarm->due_ms > alarms->last_ms) {
            insert_later(alarms, index_plus);
            continue;
        }
        bool dropped = alarm->due_ms == LEAT_TIME_NONE;
        alarm->due_ms = alarms->last_ms;
        alarm->next = dropped ? alarms->free : now;
        *(dropped ? &alarms->free : &now) = index_plus;
    }
    alarms->lists[0] = sort_by_slot(alarms, now);
}

bool leat_alarms_take(leat_alarms *alarms, int64_t until_ms, leat_alarm_due due, void *context, leat_alarm *out_alarm)
{
    while (!alarms->lists[0]) {
        if (!alarms->filled || leat_alarms_least(alarms) > until_ms)
            return false;
        deal_out(alarms, due, context);
    }
    if (alarms->last_ms > until_ms)
        return false;
    uint32_t index_plus = alarms->lists[0];
    leat_alarm *alarm = at(alarms, index_plus);
    *out_alarm = *alarm;
    alarms->lists[0] = alarm->next;
    alarm->next = alarms->free;
    alarms->free = index_plus;
    return true;
}
