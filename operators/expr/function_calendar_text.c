// Times from texts and to texts, by a pattern or in SQL's own form.
#include <string.h>

#include "operators/expr/function.h"
#include "operators/expr/time_format.h"

enum { DAY_MS = 86400000, FORMATTED_MAX = 4096 };

static leat_slice default_pattern(void) { return leat_slice_text("yyyy-MM-dd HH:mm:ss"); }

static leat_slice formatted(leat_call *call, leat_slice pattern, int64_t local_ms)
{
    leat_writer writer;
    leat_writer_init(&writer, call->eval->env, FORMATTED_MAX);
    leat_time_format(pattern, local_ms, &writer);
    char *out = leat_call_text(call, writer.size);
    size_t size = writer.size;
    if (size)
        memcpy(out, writer.bytes, size);
    leat_writer_fini(&writer);
    return leat_slice_of(out, size);
}

static int64_t local_of(leat_type type, const leat_zone *zone, int64_t value)
{
    if (type.kind == LEAT_KIND_DATE)
        return value * DAY_MS;
    return type.kind == LEAT_KIND_TIMESTAMP_LTZ ? leat_zone_to_local_ms(zone, value) : value;
}

static void date_format(leat_call *call)
{
    leat_type type = leat_argument_type(call, 0);
    LEAT_EACH(call, row)
    {
        int64_t ms = local_of(type, call->zone, leat_argument_i64(call, 0, row));
        call->out->text[row] = formatted(call, leat_argument_text(call, 1, row), ms);
    }
}

// With a pattern or without; false when it is no such text.
static bool read_time(leat_call *call, uint32_t row, int64_t *out_ms)
{
    leat_slice text = leat_argument_text(call, 0, row);
    int64_t days;
    if (call->step->argument_count > 1)
        return leat_time_unformat(leat_argument_text(call, 1, row), text, out_ms);
    if (leat_timestamp_parse(text, out_ms, NULL))
        return true;
    if (!leat_date_parse(text, &days))
        return false;
    *out_ms = days * DAY_MS;
    return true;
}

static void date_format_text(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t ms, days;
        leat_slice text = leat_argument_text(call, 0, row);
        bool read = leat_timestamp_parse(text, &ms, NULL);
        if (!read && leat_date_parse(text, &days)) {
            ms = days * DAY_MS;
            read = true;
        }
        call->out->text[row] = read ? formatted(call, leat_argument_text(call, 1, row), ms) : leat_slice_of(NULL, 0);
        if (!read)
            leat_call_null(call, row);
    }
}

static void to_timestamp(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        call->out->i64[row] = 0;
        if (!read_time(call, row, &call->out->i64[row]))
            leat_call_null(call, row);
    }
}

static void to_date(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t ms = 0;
        if (!read_time(call, row, &ms))
            leat_call_null(call, row);
        call->out->i64[row] = ms / DAY_MS - (ms % DAY_MS < 0);
    }
}

static int64_t scaled(int64_t number, int64_t precision)
{
    return precision == 0 ? (int64_t)((uint64_t)number * 1000) : number;
}

static void to_timestamp_ltz(leat_call *call)
{
    bool has_precision = call->step->argument_count > 1;
    LEAT_EACH(call, row)
    {
        int64_t precision = has_precision ? leat_argument_i64(call, 1, row) : 3;
        call->out->i64[row] = scaled(leat_argument_i64(call, 0, row), precision);
    }
}

static void to_timestamp_ltz_double(leat_call *call)
{
    bool has_precision = call->step->argument_count > 1;
    LEAT_EACH(call, row)
    {
        double number = leat_argument_f64(call, 0, row);
        bool seconds = has_precision && leat_argument_i64(call, 1, row) == 0;
        double ms = seconds ? number * 1000 : number;
        bool fits = ms > -9.2e18 && ms < 9.2e18;
        call->out->i64[row] = fits ? (int64_t)ms : 0;
        if (!fits)
            leat_call_null(call, row);
    }
}

// What is no time gives Long.MIN_VALUE, as in Flink.
static void unix_timestamp(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t ms;
        if (!read_time(call, row, &ms)) {
            call->out->i64[row] = INT64_MIN;
            continue;
        }
        ms = leat_zone_from_local_ms(call->zone, ms);
        call->out->i64[row] = ms / 1000 - (ms % 1000 < 0);
    }
}

static void from_unixtime(leat_call *call)
{
    bool has_pattern = call->step->argument_count > 1;
    LEAT_EACH(call, row)
    {
        leat_slice pattern = has_pattern ? leat_argument_text(call, 1, row) : default_pattern();
        int64_t ms = (int64_t)((uint64_t)leat_argument_i64(call, 0, row) * 1000);
        call->out->text[row] = formatted(call, pattern, leat_zone_to_local_ms(call->zone, ms));
    }
}

static leat_code checked_precision(leat_rule *rule)
{
    const leat_expr *precision = rule->count > 1 ? rule->arguments[1] : NULL;
    bool known = precision && precision->kind == LEAT_EXPR_LITERAL && !precision->literal.is_null;
    if (known && precision->literal.i64 != 0 && precision->literal.i64 != 3)
        return leat_error_set(
            rule->error, LEAT_E_INVALID,
            "TO_TIMESTAMP_LTZ takes the precision 0 (seconds) or 3 (milliseconds), but was given %lld",
            (long long)precision->literal.i64);
    return leat_result_timestamp_ltz(rule);
}

enum { N = LEAT_FUNCTION_NULLABLE };

// clang-format off: a row is a line
const leat_function leat_functions_calendar_text[] = {
    {"DATE_FORMAT", "datetime, text", leat_result_string, date_format, NULL, 0,
     "A time as text by a pattern like yyyy-MM-dd HH:mm:ss.SSS."},
    {"DATE_FORMAT", "text, text", leat_result_string, date_format_text, NULL, N,
     "The same for a time that is text itself."},
    {"TO_TIMESTAMP", "text, text?", leat_result_timestamp, to_timestamp, NULL, N,
     "A time from a text, by a pattern or in SQL's form; NULL when it is none."},
    {"TO_DATE", "text, text?", leat_result_date, to_date, NULL, N,
     "A day from a text, by a pattern or in SQL's form; NULL when it is none."},
    {"TO_TIMESTAMP_LTZ", "integer, integer?", checked_precision, to_timestamp_ltz, NULL, 0,
     "An instant from seconds (precision 0) or milliseconds (3) since 1970."},
    {"TO_TIMESTAMP_LTZ", "double, integer?", checked_precision, to_timestamp_ltz_double, NULL, N,
     "An instant from seconds (precision 0) or milliseconds (3) since 1970."},
    {"UNIX_TIMESTAMP", "text, text?", leat_result_bigint, unix_timestamp, NULL, 0,
     "Seconds since 1970 of a time in the session's zone."},
    {"FROM_UNIXTIME", "integer, text?", leat_result_string, from_unixtime, NULL, 0,
     "Seconds since 1970 as text in the session's zone."},
    {.name = NULL},
};
// clang-format on
