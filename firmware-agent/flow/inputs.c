#include "firmware-agent/flow/inputs.h"

void leat_inputs_init(leat_inputs *inputs, leat_arena *arena, uint32_t count, uint32_t *input_of,
                      uint32_t channel_count)
{
    *inputs = (leat_inputs){.inputs = leat_arena_array(arena, leat_input, count),
                            .count = count,
                            .input_of = input_of,
                            .place_of = leat_arena_array(arena, uint32_t, channel_count + 1),
                            .channel_count = channel_count,
                            .last_ms = LEAT_TIME_NONE};
    uint32_t *channels = leat_arena_array(arena, uint32_t, count + 1);
    for (uint32_t i = 0; i < channel_count; i++)
        inputs->place_of[i] = channels[input_of[i]]++;
    for (uint32_t i = 0; i < count; i++) {
        leat_valve_init(&inputs->inputs[i].valve, arena, channels[i]);
        inputs->inputs[i].saved_ms = LEAT_TIME_NONE;
    }
}

static leat_valve *valve_of(const leat_inputs *inputs, uint32_t channel)
{
    return &inputs->inputs[inputs->input_of[channel]].valve;
}

leat_valve_channel *leat_inputs_channel(const leat_inputs *inputs, uint32_t channel)
{
    return &valve_of(inputs, channel)->channels[inputs->place_of[channel]];
}

static bool raise_to(leat_inputs *inputs, int64_t watermark_ms)
{
    if (watermark_ms <= inputs->last_ms)
        return false;
    inputs->last_ms = watermark_ms;
    return true;
}

// Over the active inputs but one (UINT32_MAX: all); LEAT_TIME_MAX: there are none.
static int64_t minimum_without(const leat_inputs *inputs, uint32_t left_out)
{
    int64_t minimum = LEAT_TIME_MAX;
    for (uint32_t i = 0; i < inputs->count; i++) {
        const leat_valve *valve = &inputs->inputs[i].valve;
        if (i != left_out && !valve->idle && valve->last_ms < minimum)
            minimum = valve->last_ms;
    }
    return minimum;
}

static int64_t maximum(const leat_inputs *inputs)
{
    int64_t found = LEAT_TIME_NONE;
    for (uint32_t i = 0; i < inputs->count; i++)
        if (inputs->inputs[i].valve.last_ms > found)
            found = inputs->inputs[i].valve.last_ms;
    return found;
}

static bool all_idle(const leat_inputs *inputs)
{
    for (uint32_t i = 0; i < inputs->count; i++)
        if (!inputs->inputs[i].valve.idle)
            return false;
    return true;
}

static bool combine(leat_inputs *inputs)
{
    return raise_to(inputs, all_idle(inputs) ? maximum(inputs) : minimum_without(inputs, UINT32_MAX));
}

bool leat_inputs_watermark(leat_inputs *inputs, uint32_t channel, int64_t watermark_ms)
{
    return leat_valve_watermark(valve_of(inputs, channel), inputs->place_of[channel], watermark_ms) && combine(inputs);
}

uint32_t leat_inputs_status(leat_inputs *inputs, uint32_t channel, bool idle, int64_t out_rises[LEAT_INPUTS_RISES],
                            bool *out_status)
{
    leat_valve *valve = valve_of(inputs, channel);
    bool rose, changed;
    uint32_t rises = 0;
    leat_valve_status(valve, inputs->place_of[channel], idle, &rose, &changed);
    if (rose) {
        // The valve lets its watermark out before its status: the input still counts.
        bool idle_next = valve->idle;
        valve->idle = false;
        if (combine(inputs))
            out_rises[rises++] = inputs->last_ms;
        valve->idle = idle_next;
    }
    if (changed && combine(inputs))
        out_rises[rises++] = inputs->last_ms;
    *out_status = changed && inputs->idle != all_idle(inputs);
    inputs->idle = all_idle(inputs);
    return rises;
}

int64_t leat_inputs_batch(leat_inputs *inputs, uint32_t channel, int64_t *watermark, uint32_t rows,
                          int64_t watermark_after)
{
    leat_valve *valve = valve_of(inputs, channel);
    int64_t before = inputs->last_ms, bound = minimum_without(inputs, inputs->input_of[channel]);
    leat_valve_batch(valve, inputs->place_of[channel], watermark, rows, watermark_after);
    for (uint32_t i = 0; watermark && i < rows; i++) {
        if (!valve->idle)
            raise_to(inputs, watermark[i] < bound ? watermark[i] : bound);
        watermark[i] = inputs->last_ms;
    }
    if (!valve->idle)
        raise_to(inputs, valve->last_ms < bound ? valve->last_ms : bound);
    return inputs->last_ms > before ? inputs->last_ms : LEAT_TIME_NONE;
}

// ---- restoring

static int64_t least_aligned(const leat_valve *valve)
{
    int64_t least = LEAT_TIME_MAX;
    for (uint32_t i = 0; i < valve->count; i++)
        if (valve->channels[i].aligned && valve->channels[i].watermark_ms < least)
            least = valve->channels[i].watermark_ms;
    return least == LEAT_TIME_MAX ? LEAT_TIME_NONE : least;
}

static bool has_active_channel(const leat_valve *valve)
{
    for (uint32_t i = 0; i < valve->count; i++)
        if (valve->channels[i].active)
            return true;
    return valve->count == 0;
}

void leat_inputs_restored(leat_inputs *inputs)
{
    for (uint32_t i = 0; i < inputs->count; i++) {
        leat_valve *valve = &inputs->inputs[i].valve;
        valve->idle = !has_active_channel(valve);
        if (inputs->count == 1)
            valve->last_ms = inputs->last_ms;
        else if (valve->last_ms == LEAT_TIME_NONE)
            valve->last_ms = least_aligned(valve);
    }
    inputs->idle = inputs->count > 0 && all_idle(inputs);
}

// ---- looking

static uint32_t slowest_input(const leat_inputs *inputs)
{
    uint32_t slowest = UINT32_MAX;
    for (uint32_t i = 0; i < inputs->count; i++) {
        const leat_valve *valve = &inputs->inputs[i].valve;
        if (!valve->idle && (slowest == UINT32_MAX || valve->last_ms < inputs->inputs[slowest].valve.last_ms))
            slowest = i;
    }
    return slowest;
}

uint32_t leat_inputs_holder(const leat_inputs *inputs)
{
    uint32_t slowest = slowest_input(inputs), holder = UINT32_MAX;
    int64_t least = LEAT_TIME_MAX, most = LEAT_TIME_NONE;
    for (uint32_t i = 0; i < inputs->channel_count; i++) {
        const leat_valve_channel *channel = leat_inputs_channel(inputs, i);
        if (channel->active && channel->watermark_ms > most)
            most = channel->watermark_ms;
        if (inputs->input_of[i] != slowest || !channel->aligned || channel->watermark_ms >= least)
            continue;
        least = channel->watermark_ms;
        holder = i;
    }
    return least < most ? holder : UINT32_MAX;
}
