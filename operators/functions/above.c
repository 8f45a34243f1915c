// above, below: the value is beyond a limit for a duration; told once when that is so and once when it is over.
//
//   above(r => TABLE t PARTITION BY k, on_time => DESCRIPTOR(ts), value => v, threshold => 80.0, duration => INTERVAL '10' SECOND,
//         hysteresis => 2.0, clear_for => INTERVAL '0' SECOND, clock => 'event')
//
// Output: state ('raised', 'cleared'), changed_at, since (the first reading beyond the threshold), value (the last reading),
// extreme (the furthest one since then). Raised: every reading has been above the threshold for the duration (0: at the first one).
// Cleared: every reading has been at or below threshold - hysteresis for clear_for. `below` is the mirror image.
// Readings without a value do not count.
#include "operators/functions/argument.h"
#include "operators/functions/builtin.h"

enum { PARAMETER_THRESHOLD = 3, PARAMETER_DURATION, PARAMETER_HYSTERESIS, PARAMETER_CLEAR_FOR, PARAMETER_CLOCK };
enum { STATE_PHASE, STATE_SINCE, STATE_LAST, STATE_EXTREME };
// A key without state is calm. RISING and FALLING wait for the timer.
enum { PHASE_CALM, PHASE_RISING, PHASE_RAISED, PHASE_FALLING };
#define TIMER "change"

typedef struct instance {
    double sign, threshold, clear_at; // in the direction of `above`
    int64_t duration_ms, clear_for_ms;
    leat_time_domain clock;
} instance;

static const leat_parameter parameters[] = {
    LEAT_TABLE_PARAMETER,
    LEAT_ON_TIME_PARAMETER,
    LEAT_VALUE_PARAMETER,
    {.size = sizeof(leat_parameter),
     .name = "threshold",
     .kind = LEAT_ARGUMENT_SCALAR,
     .type = LEAT_API_DOUBLE,
     .text = "the limit"},
    LEAT_INTERVAL_PARAMETER("duration", "INTERVAL '0' SECOND", "for how long the value must be beyond the limit"),
    {.size = sizeof(leat_parameter),
     .name = "hysteresis",
     .kind = LEAT_ARGUMENT_SCALAR,
     .type = LEAT_API_DOUBLE,
     .flags = LEAT_PARAMETER_OPTIONAL,
     .default_text = "0.0",
     .text = "how far behind the limit the value must be to clear"},
    LEAT_INTERVAL_PARAMETER("clear_for", "INTERVAL '0' SECOND", "for how long it must be there"),
    LEAT_CLOCK_PARAMETER("'event'")};

static int declare_function(leat_declare *declare, const leat_declare_api *api)
{
    leat_check_interval(declare, api, PARAMETER_DURATION, 0);
    leat_check_interval(declare, api, PARAMETER_CLEAR_FOR, 0);
    leat_check_clock(declare, api, PARAMETER_CLOCK);
    leat_cell hysteresis = api->scalar(declare, PARAMETER_HYSTERESIS);
    if (hysteresis.set && hysteresis.f64 < 0)
        api->fail(declare, PARAMETER_HYSTERESIS, "the hysteresis must not be negative");
    api->state(declare, "phase", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0);
    api->state(declare, "since", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0);
    api->state(declare, "last", LEAT_STATE_VALUE, LEAT_API_DOUBLE, 0);
    api->state(declare, "extreme", LEAT_STATE_VALUE, LEAT_API_DOUBLE, 0);
    api->output_column(declare, 0, "state", LEAT_API_STRING);
    api->output_column(declare, 0, "changed_at", LEAT_API_INSTANT);
    api->output_column(declare, 0, "since", LEAT_API_INSTANT);
    api->output_column(declare, 0, "value", LEAT_API_DOUBLE);
    api->output_column(declare, 0, "extreme", LEAT_API_DOUBLE);
    return 0;
}

static int open_with(leat_context *context, double sign)
{
    const leat_context_api *api = context->api;
    instance *self = context->self;
    leat_cell hysteresis = api->scalar(context, PARAMETER_HYSTERESIS);
    self->sign = sign;
    self->threshold = sign * api->scalar(context, PARAMETER_THRESHOLD).f64;
    self->clear_at = self->threshold - (hysteresis.set ? hysteresis.f64 : 0);
    self->duration_ms = api->scalar(context, PARAMETER_DURATION).i64; // 0 when left out
    self->clear_for_ms = api->scalar(context, PARAMETER_CLEAR_FOR).i64;
    self->clock = leat_clock_argument(context, PARAMETER_CLOCK, LEAT_EVENT_TIME);
    return 0;
}

static int open_above(leat_context *context) { return open_with(context, 1); }
static int open_below(leat_context *context) { return open_with(context, -1); }

static void emit_change(leat_context *context, const char *state, int64_t at)
{
    const leat_context_api *api = context->api;
    leat_cell cells[] = {leat_literal(state), leat_cell_i64(LEAT_API_INSTANT, at),
                         leat_cell_i64(LEAT_API_INSTANT, api->read(context, STATE_SINCE)->i64),
                         *api->read(context, STATE_LAST), *api->read(context, STATE_EXTREME)};
    api->emit(context, 0, cells, 5);
}

static void set_phase(leat_context *context, int phase)
{
    leat_assign_i64(context->api->write(context, STATE_PHASE), phase);
}

static void raise_alarm(leat_context *context, int64_t at)
{
    set_phase(context, PHASE_RAISED);
    emit_change(context, "raised", at);
}

static void clear_alarm(leat_context *context, int64_t at)
{
    emit_change(context, "cleared", at);
    context->api->clear_all_state(context);
}

static int begin(leat_context *context, const instance *self, int64_t now)
{
    leat_assign_i64(context->api->write(context, STATE_SINCE), now);
    if (self->duration_ms == 0) {
        raise_alarm(context, now);
        return 0;
    }
    set_phase(context, PHASE_RISING);
    return context->api->timer_set(context, self->clock, now + self->duration_ms, TIMER);
}

static int end(leat_context *context, const instance *self, int64_t now)
{
    if (self->clear_for_ms == 0) {
        clear_alarm(context, now);
        return 0;
    }
    set_phase(context, PHASE_FALLING);
    return context->api->timer_set(context, self->clock, now + self->clear_for_ms, TIMER);
}

// The last value and the furthest one; `signed_value` is in the direction of `above`.
static void remember(leat_context *context, const instance *self, double value, double signed_value)
{
    leat_cell *last = context->api->write(context, STATE_LAST);
    leat_assign_f64(last, value);
    leat_cell *extreme = context->api->write(context, STATE_EXTREME);
    if (!extreme->set || signed_value > self->sign * extreme->f64)
        leat_assign_f64(extreme, value);
}

static int process(leat_context *context, const leat_row *row)
{
    const leat_context_api *api = context->api;
    const instance *self = context->self;
    if (leat_value_missing(row, 0))
        return 0;
    double value = leat_view_f64(&row->expressions[0], row->index), signed_value = self->sign * value;
    int phase = (int)api->read(context, STATE_PHASE)->i64;
    int beyond = signed_value > self->threshold, back = signed_value <= self->clear_at;
    if (phase == PHASE_CALM && !beyond)
        return 0;
    if (phase == PHASE_RISING && !beyond) {
        api->timer_clear(context, self->clock, 0, TIMER);
        api->clear_all_state(context);
        return 0;
    }
    remember(context, self, value, signed_value);
    if (phase == PHASE_CALM)
        return begin(context, self, leat_clock_now(context, self->clock, row));
    if (phase == PHASE_RAISED && back)
        return end(context, self, leat_clock_now(context, self->clock, row));
    if (phase == PHASE_FALLING && !back) {
        api->timer_clear(context, self->clock, 0, TIMER);
        set_phase(context, PHASE_RAISED);
    }
    return 0;
}

static int on_timer(leat_context *context, const leat_timer *timer)
{
    if (context->api->read(context, STATE_PHASE)->i64 == PHASE_RISING)
        raise_alarm(context, timer->time_ms);
    else
        clear_alarm(context, timer->time_ms);
    return 0;
}

#define FUNCTION(function_name, open_function, sentence)                                                               \
    {                                                                                                                  \
        .size = sizeof(leat_process_function), .api = LEAT_API, .name = function_name, .text = sentence,               \
        .parameters = parameters, .parameter_count = sizeof parameters / sizeof parameters[0],                         \
        .instance_size = sizeof(instance), .declare = declare_function, .open = open_function, .process = process,     \
        .timer = on_timer                                                                                              \
    }

const leat_process_function leat_function_above = FUNCTION(
    "above", open_above, "The value is above a limit for the given duration; told when it begins and when it is over.");
const leat_process_function leat_function_below = FUNCTION(
    "below", open_below, "The value is below a limit for the given duration; told when it begins and when it is over.");
