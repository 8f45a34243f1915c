// Processing time: milliseconds since 1970 that never go back, not even across restarts, and that no jump of the wall clock moves.
//
// It starts at the later of the wall clock and the floor that the last checkpoint kept, and goes on by the boot clock. A wall clock that
// turns out to be ahead (a board without one, after it was synchronised) moves nothing here; only the guard against readings from the future looks at it.
//
// Threads: any; immutable after init.
#pragma once

#include "operators/base/env.h"

typedef struct leat_clock {
    leat_env *env;
    int64_t base_ms; // processing time at boot_base_ms
    int64_t boot_base_ms;
} leat_clock;

void leat_clock_init(leat_clock *clock, leat_env *env, int64_t floor_ms); // INT64_MIN: no floor
int64_t leat_clock_now_ms(const leat_clock *clock);
