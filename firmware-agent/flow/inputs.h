// The watermark of an operator out of those of its inputs: a valve for each input over its channels, and over the valves the minimum.
//
// An input counts while it is active. When all are idle the highest of them is passed on, then IDLE. An input that wakes up counts at once, so one that is
// behind holds the watermark where it is until it has caught up (within an input a channel that wakes up behind stays out instead, see valve.h).
// The inputs of a union are channels of one stream and have one valve.
// Source: Flink's IndexedCombinedWatermarkStatus and AbstractStreamOperator.processWatermarkStatus.
//
// Usage: init, then every element of a channel through watermark, status or batch. Channels are numbered over all inputs.
// Restoring: set the valves' last_ms and the channels, last_ms, then leat_inputs_restored.
//
// Threads: one. Failure: none.
#pragma once

#include "firmware-agent/flow/valve.h"

enum { LEAT_INPUTS_RISES = 2 }; // that one status may cause

typedef struct leat_input {
    leat_valve valve;
    int64_t saved_ms; // the valve's last_ms as the last checkpoint has it
    bool unkept;      // see leat_snapshot_mark_due
} leat_input;

typedef struct leat_inputs {
    leat_input *inputs;
    uint32_t count;
    uint32_t *input_of, *place_of; // by channel: its input, and its place in that valve
    uint32_t channel_count;
    int64_t last_ms; // last watermark sent, LEAT_TIME_NONE: none
    bool idle;       // last status sent
} leat_inputs;

// input_of: for each channel the input that it belongs to, below `count`. Borrowed from the arena's owner until then.
void leat_inputs_init(leat_inputs *inputs, leat_arena *arena, uint32_t count, uint32_t *input_of,
                      uint32_t channel_count);
leat_valve_channel *leat_inputs_channel(const leat_inputs *inputs, uint32_t channel);
// True when the operator's watermark rose: inputs->last_ms.
bool leat_inputs_watermark(leat_inputs *inputs, uint32_t channel, int64_t watermark_ms);
// Returns how many watermarks are passed on, before the status: first what the input's valve lets out, then what follows from its idleness.
uint32_t leat_inputs_status(leat_inputs *inputs, uint32_t channel, bool idle, int64_t out_rises[LEAT_INPUTS_RISES],
                            bool *out_status);
// As leat_valve_batch, for the operator's watermark.
int64_t leat_inputs_batch(leat_inputs *inputs, uint32_t channel, int64_t *watermark, uint32_t rows,
                          int64_t watermark_after);
void leat_inputs_restored(leat_inputs *inputs);
// The channel whose watermark holds the minimum back; UINT32_MAX: none does.
uint32_t leat_inputs_holder(const leat_inputs *inputs);
