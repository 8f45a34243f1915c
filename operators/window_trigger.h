// When a window of window_stream gives its result: Flink's triggers, as functions over the window's own state and timers.
//
// Usage: on_row after the row was added; on_time for each of the window's timers that is due, its time given; absorb for every window
// that goes into another, then merged for the one that stays. The caller reads timers with leat_stream_windows_timed afterwards.
// Timers that are due are cleared by the caller before on_time. Pure but for the window given.
#pragma once

#include "operators/core/spec.h"
#include "operators/state/stream_window.h"

typedef enum leat_trigger_result {
    LEAT_TRIGGER_CONTINUE = 0,
    LEAT_TRIGGER_FIRE = 1,
    LEAT_TRIGGER_PURGE = 2, // a bit of its own
} leat_trigger_result;

typedef struct leat_trigger_time {
    int64_t row_ms, watermark_ms, now_ms;
} leat_trigger_time;

unsigned leat_trigger_fire(const leat_window_stream_spec *spec); // FIRE, and PURGE where the trigger purges
// Of LEAT_TRIGGER_DELTA only the firing at the end: leat_window_delta_on_row has the rest.
unsigned leat_trigger_on_row(const leat_window_stream_spec *spec, leat_stream_window *window,
                             const leat_trigger_time *time);
unsigned leat_trigger_on_time(const leat_window_stream_spec *spec, leat_stream_window *window, leat_window_clock clock,
                              int64_t time_ms);
void leat_trigger_absorb(leat_stream_window *into, const leat_stream_window *from);
void leat_trigger_merged(const leat_window_stream_spec *spec, leat_stream_window *window,
                         const leat_trigger_time *time);
