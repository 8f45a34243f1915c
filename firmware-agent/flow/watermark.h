// Watermark generators: what a source's stream knows about its own event time.
//
// A row is handled under the watermark of the rows before it; then it may raise it. Bounded out-of-orderness:
// maximum - delay - 1; expression: exactly its value; clock: follows processing time even without rows. A row from further in the
// future than `future_ms` flows but moves nothing and is counted.
//
// Threads: the source's task. The maxima are part of a checkpoint, never of a savepoint.
#pragma once

#include "config/plan.h"

typedef struct leat_generator {
    const leat_plan_watermark *spec;
    int64_t maximum_ms;    // highest event time (or expression) so far
    int64_t watermark_ms;  // last one given out
    int64_t emitted_at_ms; // processing time of the last periodic emission
    uint64_t from_future;
} leat_generator;

void leat_generator_init(leat_generator *generator, const leat_plan_watermark *spec);
// After a row: `value_ms` is its event time, or the expression's value (LEAT_TIME_NONE: NULL). Returns the watermark now.
int64_t leat_generator_row(leat_generator *generator, int64_t value_ms, int64_t now_ms);
// Nothing has come up to now_ms: the clock's watermark. Returns the watermark now.
int64_t leat_generator_clock(leat_generator *generator, int64_t now_ms);
