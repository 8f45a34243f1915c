#include "firmware-agent/flow/watermark.h"

void leat_generator_init(leat_generator *generator, const leat_plan_watermark *spec)
{
    *generator = (leat_generator){
        .spec = spec, .maximum_ms = LEAT_TIME_NONE, .watermark_ms = LEAT_TIME_NONE, .emitted_at_ms = LEAT_TIME_NONE};
}

static int64_t minus(int64_t value_ms, int64_t delay_ms)
{
    int64_t result;
    return __builtin_sub_overflow(value_ms, delay_ms, &result) ? LEAT_TIME_NONE + 1 : result;
}

// What the maximum allows, before the periodic interval is looked at.
static int64_t candidate(const leat_generator *generator)
{
    const leat_plan_watermark *spec = generator->spec;
    if (generator->maximum_ms == LEAT_TIME_NONE)
        return LEAT_TIME_NONE;
    if (spec->mode == LEAT_WATERMARK_EXPRESSION)
        return generator->maximum_ms;
    return minus(minus(generator->maximum_ms, spec->delay_ms), 1);
}

static bool moves(leat_generator *generator, int64_t value_ms, int64_t now_ms)
{
    int64_t future_ms = generator->spec->future_ms;
    if (value_ms == LEAT_TIME_NONE)
        return false;
    if (future_ms > 0 && value_ms > now_ms && value_ms - now_ms > future_ms) {
        generator->from_future++;
        return false;
    }
    return value_ms > generator->maximum_ms;
}

// Periodic emission. The SQL assigner also emits at once when event time has moved by more than the interval.
static bool has_to_wait(const leat_generator *generator, int64_t next_ms, int64_t now_ms)
{
    const leat_plan_watermark *spec = generator->spec;
    if (spec->interval_ms <= 0 || generator->emitted_at_ms == LEAT_TIME_NONE ||
        now_ms - generator->emitted_at_ms >= spec->interval_ms)
        return false;
    int64_t moved_ms;
    bool far = generator->watermark_ms == LEAT_TIME_NONE ||
               __builtin_sub_overflow(next_ms, generator->watermark_ms, &moved_ms) || moved_ms > spec->interval_ms;
    return spec->mode != LEAT_WATERMARK_EXPRESSION || !far;
}

int64_t leat_generator_row(leat_generator *generator, int64_t value_ms, int64_t now_ms)
{
    const leat_plan_watermark *spec = generator->spec;
    if (spec->mode == LEAT_WATERMARK_NONE || spec->mode == LEAT_WATERMARK_EXPLICIT ||
        !moves(generator, value_ms, now_ms))
        return generator->watermark_ms;
    generator->maximum_ms = value_ms;
    int64_t next = candidate(generator);
    if (has_to_wait(generator, next, now_ms))
        return generator->watermark_ms;
    generator->emitted_at_ms = now_ms;
    if (next > generator->watermark_ms)
        generator->watermark_ms = next;
    return generator->watermark_ms;
}

int64_t leat_generator_clock(leat_generator *generator, int64_t now_ms)
{
    int64_t next = generator->spec->mode == LEAT_WATERMARK_CLOCK ? minus(now_ms, 1) : candidate(generator);
    if (next > generator->watermark_ms)
        generator->watermark_ms = next;
    return generator->watermark_ms;
}
