// silent: a key gives no reading for a duration; told once when that is so and once when it is back.
//
//   silent(r => TABLE t PARTITION BY k, on_time => DESCRIPTOR(ts), duration => INTERVAL '5' MINUTE, clock => 'processing')
//
// Output: state ('silent', 'back'), changed_at, last_seen (the last reading before the silence), silent_ms (how long it is or was).
// A key is known from its first reading on. By the clock of the device the time in which the agent was down does not count towards the
// duration (silent_ms, a difference of two times, does contain it). In event time silence shows when the watermark goes on,
// which takes readings of other keys.
#include "operators/functions/argument.h"
#include "operators/functions/builtin.h"

enum { PARAMETER_DURATION = 2, PARAMETER_CLOCK };
enum { STATE_LAST_SEEN, STATE_SILENT };
#define TIMER "silent"

typedef struct instance {
    int64_t duration_ms;
    leat_time_domain clock;
} instance;

static const leat_parameter parameters[] = {LEAT_TABLE_PARAMETER,
                                            {.size = sizeof(leat_parameter),
                                             .name = "on_time",
                                             .kind = LEAT_ARGUMENT_DESCRIPTOR,
                                             .flags = LEAT_PARAMETER_OPTIONAL,
                                             .text = "the time attribute"},
                                            LEAT_INTERVAL_PARAMETER("duration", NULL, "how long without a reading"),
                                            LEAT_CLOCK_PARAMETER("'processing'")};

static int declare_function(leat_declare *declare, const leat_declare_api *api)
{
    leat_check_interval(declare, api, PARAMETER_DURATION, 1);
    leat_check_clock(declare, api, PARAMETER_CLOCK);
    leat_cell clock = api->scalar(declare, PARAMETER_CLOCK);
    if (clock.set && leat_text_is(clock.text, "event") && !api->given(declare, 1))
        api->fail(declare, PARAMETER_CLOCK, "clock => 'event' needs on_time");
    api->state(declare, "last_seen", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0);
    api->state(declare, "silent", LEAT_STATE_VALUE, LEAT_API_BOOLEAN, 0);
    api->output_column(declare, 0, "state", LEAT_API_STRING);
    api->output_column(declare, 0, "changed_at", LEAT_API_INSTANT);
    api->output_column(declare, 0, "last_seen", LEAT_API_INSTANT);
    api->output_column(declare, 0, "silent_ms", LEAT_API_BIGINT);
    return 0;
}

static int open_function(leat_context *context)
{
    instance *self = context->self;
    self->duration_ms = context->api->scalar(context, PARAMETER_DURATION).i64;
    self->clock = leat_clock_argument(context, PARAMETER_CLOCK, LEAT_PROCESSING_TIME);
    return 0;
}

static void emit_change(leat_context *context, const char *state, int64_t at)
{
    int64_t last = context->api->read(context, STATE_LAST_SEEN)->i64;
    leat_cell cells[] = {leat_literal(state), leat_cell_i64(LEAT_API_INSTANT, at),
                         leat_cell_i64(LEAT_API_INSTANT, last), leat_cell_i64(LEAT_API_BIGINT, at - last)};
    context->api->emit(context, 0, cells, 4);
}

static int process(leat_context *context, const leat_row *row)
{
    const leat_context_api *api = context->api;
    const instance *self = context->self;
    int64_t now = leat_clock_now(context, self->clock, row);
    leat_cell last = *api->read(context, STATE_LAST_SEEN);
    if (last.set && now < last.i64)
        return 0; // a reading of earlier: it neither ends a silence nor puts one off
    if (api->read(context, STATE_SILENT)->set) {
        emit_change(context, "back", now);
        api->clear(context, STATE_SILENT);
    }
    leat_assign_i64(api->write(context, STATE_LAST_SEEN), now);
    return api->timer_set(context, self->clock, now + self->duration_ms, TIMER);
}

static int on_timer(leat_context *context, const leat_timer *timer)
{
    emit_change(context, "silent", timer->time_ms);
    leat_assign_i64(context->api->write(context, STATE_SILENT), 1);
    return 0;
}

const leat_process_function leat_function_silent = {
    .size = sizeof(leat_process_function),
    .api = LEAT_API,
    .name = "silent",
    .text = "A key gives no reading for the given duration; told when it begins and when it is over.",
    .parameters = parameters,
    .parameter_count = sizeof parameters / sizeof parameters[0],
    .instance_size = sizeof(instance),
    .declare = declare_function,
    .open = open_function,
    .process = process,
    .timer = on_timer,
    .flags = LEAT_FUNCTION_SKIP_DOWNTIME,
};
