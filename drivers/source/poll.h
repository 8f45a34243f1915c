// What sources that poll share: the beat of their readings, and the outages that become gaps of the loss ledger.
//
// Beat: readings lie on a grid of the boot clock, so that neither the length of a reading nor a jump of the wall clock moves
// them. A beat that passes while a reading still runs is skipped, never made up for.
// Outage: opened by the first reading that is missed, counted, and told to the intake as one gap when it ends.
#pragma once

#include "drivers/source.h"

enum { LEAT_POLL_BACKOFF_MS_MIN = 1000, LEAT_POLL_BACKOFF_MS_MAX = 60000 };

typedef struct leat_poll_beat {
    int64_t period_ns, next_ns;
} leat_poll_beat;

// Sleeps until the next beat; true when stopping. *out_late: beats that were skipped.
static inline bool leat_poll_wait(leat_poll_beat *beat, leat_env *env, leat_intake *intake, uint64_t *out_late)
{
    int64_t now_ns = leat_boot_ns(env);
    *out_late = now_ns > beat->next_ns ? (uint64_t)((now_ns - beat->next_ns) / beat->period_ns) + 1 : 0;
    beat->next_ns += (int64_t)*out_late * beat->period_ns;
    for (; now_ns < beat->next_ns; now_ns = leat_boot_ns(env))
        if (intake->sleep(intake, (beat->next_ns - now_ns + 999999) / 1000000))
            return true;
    beat->next_ns += beat->period_ns;
    return intake->stopping(intake);
}

// Doubles from 1 s to 60 s; 0 before the first failure.
static inline int64_t leat_poll_backoff(int64_t before_ms)
{
    int64_t next_ms = before_ms ? before_ms * 2 : LEAT_POLL_BACKOFF_MS_MIN;
    return next_ms < LEAT_POLL_BACKOFF_MS_MAX ? next_ms : LEAT_POLL_BACKOFF_MS_MAX;
}

typedef struct leat_outage {
    const char *cause; // NULL: none
    int64_t since_ns;
    uint64_t missed;
} leat_outage;

static inline void leat_outage_add(leat_outage *outage, leat_env *env, const char *cause, uint64_t missed)
{
    if (!outage->cause)
        *outage = (leat_outage){.cause = cause, .since_ns = leat_boot_ns(env)};
    outage->missed += missed;
}

// The beginning is reckoned back from now, so that a clock that was set meanwhile does not bend the gap.
static inline void leat_outage_end(leat_outage *outage, leat_env *env, leat_intake *intake)
{
    if (!outage->cause)
        return;
    int64_t to_ms = leat_wall_ms(env), length_ms = (leat_boot_ns(env) - outage->since_ns) / 1000000;
    intake->gap(intake, outage->cause, to_ms - length_ms, to_ms, outage->missed);
    *outage = (leat_outage){0};
}

static inline void leat_poll_newest(void *context, const leat_raw *raw)
{
    int64_t *newest_ms = context;
    if (raw->arrival_ms > *newest_ms)
        *newest_ms = raw->arrival_ms;
}

// The time in which nobody polled, as far as the journal still knows when that began; `each` readings a period.
static inline leat_code leat_poll_downtime(leat_env *env, leat_intake *intake, int64_t period_ms, uint64_t each)
{
    int64_t newest_ms = INT64_MIN, now_ms = leat_wall_ms(env);
    leat_code code = intake->visit(intake, leat_poll_newest, &newest_ms);
    if (code == LEAT_OK && newest_ms != INT64_MIN && now_ms - newest_ms > 2 * period_ms)
        intake->gap(intake, "not-running", newest_ms, now_ms, (uint64_t)((now_ms - newest_ms) / period_ms) * each);
    return code;
}
