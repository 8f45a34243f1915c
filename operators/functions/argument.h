// Parameters that the built-in functions have in common.
#pragma once

#include <string.h>

#include "operators/api/leat.h"

#define LEAT_TABLE_PARAMETER                                                                                           \
    {                                                                                                                  \
        .size = sizeof(leat_parameter), .name = "r", .kind = LEAT_ARGUMENT_TABLE,                                      \
        .flags = LEAT_PARAMETER_OPTIONAL_PARTITION, .text = "the readings; PARTITION BY tells devices apart"           \
    }
#define LEAT_ON_TIME_PARAMETER                                                                                         \
    {                                                                                                                  \
        .size = sizeof(leat_parameter), .name = "on_time", .kind = LEAT_ARGUMENT_DESCRIPTOR,                           \
        .text = "the time attribute"                                                                                   \
    }
#define LEAT_VALUE_PARAMETER                                                                                           \
    {                                                                                                                  \
        .size = sizeof(leat_parameter), .name = "value", .kind = LEAT_ARGUMENT_EXPRESSION,                             \
        .text = "what is watched, a number"                                                                            \
    }
#define LEAT_INTERVAL_PARAMETER(parameter_name, default_literal, sentence)                                             \
    {                                                                                                                  \
        .size = sizeof(leat_parameter), .name = parameter_name, .kind = LEAT_ARGUMENT_SCALAR,                          \
        .type = LEAT_API_INTERVAL, .flags = (default_literal) ? LEAT_PARAMETER_OPTIONAL : 0,                           \
        .default_text = default_literal, .text = sentence                                                              \
    }
#define LEAT_CLOCK_PARAMETER(default_literal)                                                                          \
    {                                                                                                                  \
        .size = sizeof(leat_parameter), .name = "clock", .kind = LEAT_ARGUMENT_SCALAR, .type = LEAT_API_STRING,        \
        .flags = LEAT_PARAMETER_OPTIONAL, .default_text = default_literal,                                             \
        .text = "'event': the time of the readings; 'processing': the clock of the device"                             \
    }

static inline int leat_text_is(leat_text text, const char *literal)
{
    return text.size == strlen(literal) && memcmp(text.bytes, literal, text.size) == 0;
}

// What to do about a value that is neither: nothing, the declare call has refused it.
static inline leat_time_domain leat_clock_argument(leat_context *context, uint32_t parameter,
                                                   leat_time_domain when_left_out)
{
    leat_cell clock = context->api->scalar(context, parameter);
    if (!clock.set)
        return when_left_out;
    return leat_text_is(clock.text, "processing") ? LEAT_PROCESSING_TIME : LEAT_EVENT_TIME;
}

static inline void leat_check_clock(leat_declare *declare, const leat_declare_api *api, uint32_t parameter)
{
    leat_cell clock = api->scalar(declare, parameter);
    if (clock.set && !leat_text_is(clock.text, "processing") && !leat_text_is(clock.text, "event"))
        api->fail(declare, parameter, "clock is 'event' or 'processing'");
}

static inline void leat_check_interval(leat_declare *declare, const leat_declare_api *api, uint32_t parameter,
                                       int64_t least)
{
    leat_cell interval = api->scalar(declare, parameter);
    if (interval.set && interval.i64 < least)
        api->fail(declare, parameter,
                  least > 0 ? "the interval must be longer than nothing" : "the interval must not be negative");
}

static inline int64_t leat_clock_now(leat_context *context, leat_time_domain clock, const leat_row *row)
{
    return clock == LEAT_PROCESSING_TIME ? context->api->processing_time(context) : row->time_ms;
}

static inline int leat_value_missing(const leat_row *row, uint32_t expression)
{
    const leat_column_view *view = &row->expressions[expression];
    return !view->values || (view->nulls && view->nulls[row->index]);
}

static inline void leat_assign_i64(leat_cell *cell, int64_t value)
{
    cell->i64 = value;
    cell->set = 1;
}
static inline void leat_assign_f64(leat_cell *cell, double value)
{
    cell->f64 = value;
    cell->set = 1;
}
static inline leat_cell leat_literal(const char *text) { return leat_cell_text(text, (uint32_t)strlen(text)); }
