#include "firmware-agent/flow/valve.h"

void leat_valve_init(leat_valve *valve, leat_arena *arena, uint32_t count)
{
    valve->channels = leat_arena_array(arena, leat_valve_channel, count);
    valve->count = count;
    valve->last_ms = LEAT_TIME_NONE;
    valve->idle = false;
    for (uint32_t i = 0; i < count; i++)
        valve->channels[i] = (leat_valve_channel){.watermark_ms = LEAT_TIME_NONE, .active = true, .aligned = true};
}

static bool raise_to(leat_valve *valve, int64_t watermark_ms)
{
    if (watermark_ms <= valve->last_ms)
        return false;
    valve->last_ms = watermark_ms;
    return true;
}

static bool raise_to_minimum(leat_valve *valve)
{
    int64_t minimum = LEAT_TIME_MAX;
    bool any = false;
    for (uint32_t i = 0; i < valve->count; i++) {
        const leat_valve_channel *channel = &valve->channels[i];
        if (!channel->aligned)
            continue;
        any = true;
        if (channel->watermark_ms < minimum)
            minimum = channel->watermark_ms;
    }
    return any && raise_to(valve, minimum);
}

static bool raise_to_maximum(leat_valve *valve)
{
    int64_t maximum = LEAT_TIME_NONE;
    for (uint32_t i = 0; i < valve->count; i++)
        if (valve->channels[i].watermark_ms > maximum)
            maximum = valve->channels[i].watermark_ms;
    return raise_to(valve, maximum);
}

static bool any_active(const leat_valve *valve)
{
    for (uint32_t i = 0; i < valve->count; i++)
        if (valve->channels[i].active)
            return true;
    return false;
}

bool leat_valve_watermark(leat_valve *valve, uint32_t index, int64_t watermark_ms)
{
    leat_valve_channel *channel = &valve->channels[index];
    if (!channel->active || watermark_ms <= channel->watermark_ms)
        return false;
    channel->watermark_ms = watermark_ms;
    if (!channel->aligned && watermark_ms >= valve->last_ms)
        channel->aligned = true;
    return raise_to_minimum(valve);
}

static void channel_idle(leat_valve *valve, leat_valve_channel *channel, bool *out_watermark, bool *out_status)
{
    bool held_minimum = channel->watermark_ms == valve->last_ms;
    channel->active = false;
    channel->aligned = false;
    if (any_active(valve)) {
        *out_watermark = held_minimum && raise_to_minimum(valve);
        return;
    }
    *out_watermark = held_minimum && raise_to_maximum(valve);
    *out_status = !valve->idle;
    valve->idle = true;
}

static void channel_active(leat_valve *valve, leat_valve_channel *channel, bool *out_status)
{
    channel->active = true;
    channel->aligned = channel->watermark_ms >= valve->last_ms;
    *out_status = valve->idle;
    valve->idle = false;
}

void leat_valve_status(leat_valve *valve, uint32_t index, bool idle, bool *out_watermark, bool *out_status)
{
    leat_valve_channel *channel = &valve->channels[index];
    *out_watermark = *out_status = false;
    if (idle && channel->active)
        channel_idle(valve, channel, out_watermark, out_status);
    else if (!idle && !channel->active)
        channel_active(valve, channel, out_status);
}

int64_t leat_valve_others(const leat_valve *valve, uint32_t index)
{
    int64_t minimum = LEAT_TIME_MAX;
    for (uint32_t i = 0; i < valve->count; i++)
        if (i != index && valve->channels[i].aligned && valve->channels[i].watermark_ms < minimum)
            minimum = valve->channels[i].watermark_ms;
    return minimum;
}

int64_t leat_valve_batch(leat_valve *valve, uint32_t index, int64_t *watermark, uint32_t rows, int64_t watermark_after)
{
    leat_valve_channel *channel = &valve->channels[index];
    int64_t before = valve->last_ms;
    if (watermark) {
        int64_t others = leat_valve_others(valve, index);
        for (uint32_t i = 0; i < rows; i++) {
            // Until it is aligned again a channel moves nothing; then it moves as far as the others allow.
            if (watermark[i] > channel->watermark_ms && channel->active) {
                channel->watermark_ms = watermark[i];
                if (watermark[i] >= valve->last_ms)
                    channel->aligned = true;
                if (channel->aligned)
                    raise_to(valve, watermark[i] < others ? watermark[i] : others);
            }
            watermark[i] = valve->last_ms;
        }
    }
    if (watermark_after != LEAT_TIME_NONE)
        leat_valve_watermark(valve, index, watermark_after);
    return valve->last_ms > before ? valve->last_ms : LEAT_TIME_NONE;
}
