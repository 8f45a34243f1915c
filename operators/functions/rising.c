// rising, falling: the value has moved one way, never the other, for a duration.
//
//   rising(r => TABLE t PARTITION BY k, on_time => DESCRIPTOR(ts), value => v, duration => INTERVAL '1' SECOND, clock => 'event')
//
// Output: alert_at (when the duration was over), since (when the value first moved), value (the last one). The time runs from the first reading that is higher than the one before; equal readings neither start nor
// stop it, a lower one stops it. After an alert the next higher reading starts it anew. Readings without a value do not count.
#include "operators/functions/argument.h"
#include "operators/functions/builtin.h"

enum { PARAMETER_DURATION = 3, PARAMETER_CLOCK };
enum { STATE_LAST, STATE_TIMER };

typedef struct instance {
    double sign; // falling is rising of the negative
    int64_t duration_ms;
    leat_time_domain clock;
} instance;

static const leat_parameter parameters[] = {
    LEAT_TABLE_PARAMETER, LEAT_ON_TIME_PARAMETER, LEAT_VALUE_PARAMETER,
    LEAT_INTERVAL_PARAMETER("duration", NULL, "for how long the value must keep its direction"),
    LEAT_CLOCK_PARAMETER("'event'")};

static int declare_function(leat_declare *declare, const leat_declare_api *api)
{
    leat_check_interval(declare, api, PARAMETER_DURATION, 1);
    leat_check_clock(declare, api, PARAMETER_CLOCK);
    api->state(declare, "last", LEAT_STATE_VALUE, LEAT_API_DOUBLE, 0);
    api->state(declare, "timer", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0);
    api->output_column(declare, 0, "alert_at", LEAT_API_INSTANT);
    api->output_column(declare, 0, "since", LEAT_API_INSTANT);
    api->output_column(declare, 0, "value", LEAT_API_DOUBLE);
    return 0;
}

static int open_with(leat_context *context, double sign)
{
    instance *self = context->self;
    self->sign = sign;
    self->duration_ms = context->api->scalar(context, PARAMETER_DURATION).i64;
    self->clock = leat_clock_argument(context, PARAMETER_CLOCK, LEAT_EVENT_TIME);
    return 0;
}

static int open_rising(leat_context *context) { return open_with(context, 1); }
static int open_falling(leat_context *context) { return open_with(context, -1); }

static void stop(leat_context *context, const instance *self)
{
    const leat_cell *timer = context->api->read(context, STATE_TIMER);
    if (!timer->set)
        return;
    context->api->timer_clear(context, self->clock, timer->i64, NULL);
    context->api->write(context, STATE_TIMER)->set = 0;
}

static int start(leat_context *context, const instance *self, int64_t now)
{
    if (context->api->read(context, STATE_TIMER)->set)
        return 0;
    leat_assign_i64(context->api->write(context, STATE_TIMER), now + self->duration_ms);
    return context->api->timer_set(context, self->clock, now + self->duration_ms, NULL);
}

static int process(leat_context *context, const leat_row *row)
{
    const instance *self = context->self;
    if (leat_value_missing(row, 0))
        return 0;
    double value = leat_view_f64(&row->expressions[0], row->index);
    leat_cell *last = context->api->write(context, STATE_LAST);
    int known = last->set;
    double step = self->sign * (value - last->f64);
    leat_assign_f64(last, value);
    if (!known)
        return 0;
    if (step < 0)
        stop(context, self);
    else if (step > 0)
        return start(context, self, leat_clock_now(context, self->clock, row));
    return 0;
}

static int on_timer(leat_context *context, const leat_timer *timer)
{
    const leat_context_api *api = context->api;
    const instance *self = context->self;
    leat_cell cells[] = {leat_cell_i64(LEAT_API_INSTANT, timer->time_ms),
                         leat_cell_i64(LEAT_API_INSTANT, timer->time_ms - self->duration_ms),
                         *api->read(context, STATE_LAST)};
    api->emit(context, 0, cells, 3);
    api->write(context, STATE_TIMER)->set = 0;
    return 0;
}

#define FUNCTION(function_name, open_function, sentence)                                                               \
    {                                                                                                                  \
        .size = sizeof(leat_process_function), .api = LEAT_API, .name = function_name, .text = sentence,               \
        .parameters = parameters, .parameter_count = sizeof parameters / sizeof parameters[0],                         \
        .instance_size = sizeof(instance), .declare = declare_function, .open = open_function, .process = process,     \
        .timer = on_timer                                                                                              \
    }

const leat_process_function leat_function_rising =
    FUNCTION("rising", open_rising, "The value rises without falling for the given duration.");
const leat_process_function leat_function_falling =
    FUNCTION("falling", open_falling, "The value falls without rising for the given duration.");
