// Combines the watermarks of an operator's input channels into one: the minimum over those that count.
//
// A channel counts when it is active and aligned: its watermark has reached the last one sent. Going idle can raise the minimum; when the
// last active channel goes idle and was holding the minimum, the maximum of all is flushed before IDLE is passed on. A channel that wakes up
// behind the last watermark stays out until it catches up, so that event time never goes back.
// Source: Flink's StatusWatermarkValve (FLINK-5018).
//
// Threads: one. Failure: none.
#pragma once

#include "operators/core/batch.h"

typedef struct leat_valve_channel {
    int64_t watermark_ms;
    bool active, aligned;
} leat_valve_channel;

typedef struct leat_valve {
    leat_valve_channel *channels;
    uint32_t count;
    int64_t last_ms; // last watermark sent, LEAT_TIME_NONE: none
    bool idle;       // last status sent
} leat_valve;

void leat_valve_init(leat_valve *valve, leat_arena *arena, uint32_t count);
// A watermark of one channel. True when the combined watermark rose: valve->last_ms.
bool leat_valve_watermark(leat_valve *valve, uint32_t channel, int64_t watermark_ms);
// The status of one channel. *out_watermark: the combined watermark rose (before the status); *out_status: the combined status changed.
void leat_valve_status(leat_valve *valve, uint32_t channel, bool idle, bool *out_watermark, bool *out_status);
// What the channel's watermark is bounded by while only it moves: the minimum over the other aligned channels (LEAT_TIME_MAX: none).
int64_t leat_valve_others(const leat_valve *valve, uint32_t channel);
// Combined watermark for a batch of one channel: rewrites row watermarks in place of `watermark` (rows entries, the batch's own
// numbering) and returns the one after; LEAT_TIME_NONE when it did not move. `watermark` may be NULL.
int64_t leat_valve_batch(leat_valve *valve, uint32_t channel, int64_t *watermark, uint32_t rows,
                         int64_t watermark_after);
