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

static bool with_pattern(leat_call *call, uint32_t row, int64_t *out_ms)
{
    return leat_time_unformat(leat_argument_text(call, 1, row), leat_argument_text(call, 0, row), out_ms);
}

static void date_format_text(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t ms;
        bool read = leat_time_read_lenient(leat_argument_text(call, 0, row), &ms);
        call->out->text[row] = read ? formatted(call, leat_argument_text(call, 1, row), ms) : leat_slice_of(NULL, 0);
        if (!read)
            leat_call_null(call, row);
    }
}

static void to_timestamp(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        int64_t *out = &call->out->i64[row];
        *out = 0;
        bool formed = call->step->argument_count > 1;
        if (formed ? !with_pattern(call, row, out) && !leat_time_read_otherwise(text, out) : !leat_time_read(text, out))
            leat_call_null(call, row);
    }
}

static void to_date(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t ms = 0, days = 0;
        bool formed = call->step->argument_count > 1;
        if (formed ? !with_pattern(call, row, &ms) : !leat_day_read(leat_argument_text(call, 0, row), &days))
            leat_call_null(call, row);
        call->out->i64[row] = formed ? ms / DAY_MS - (ms % DAY_MS < 0) : days;
    }
}

// Instants of the years 0 to 9999; NULL beyond.
static const int64_t FIRST_INSTANT_MS = -62167219200000, LAST_INSTANT_MS = 253402300799999;

static void set_instant(leat_call *call, uint32_t row, bool fits, int64_t ms)
{
    fits = fits && ms >= FIRST_INSTANT_MS && ms <= LAST_INSTANT_MS;
    call->out->i64[row] = fits ? ms : 0;
    if (!fits)
        leat_call_null(call, row);
}

static void to_timestamp_ltz(leat_call *call)
{
    bool has_precision = call->step->argument_count > 1;
    LEAT_EACH(call, row)
    {
        int64_t precision = has_precision ? leat_argument_i64(call, 1, row) : 3, ms = leat_argument_i64(call, 0, row);
        bool fits = precision != 0 || (ms >= FIRST_INSTANT_MS / 1000 && ms <= LAST_INSTANT_MS / 1000);
        set_instant(call, row, fits, fits && precision == 0 ? ms * 1000 : ms);
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
        set_instant(call, row, fits, fits ? (int64_t)ms : 0);
    }
}

// What is no time gives Long.MIN_VALUE, as in Flink.
static void unix_timestamp(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t ms;
        bool formed = call->step->argument_count > 1;
        if (formed ? !with_pattern(call, row, &ms) : !leat_time_read_lenient(leat_argument_text(call, 0, row), &ms)) {
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
    {"TO_TIMESTAMP_LTZ", "integer, integer?", checked_precision, to_timestamp_ltz, NULL, N,
     "An instant from seconds (precision 0) or milliseconds (3) since 1970; NULL beyond the years 0 to 9999."},
    {"TO_TIMESTAMP_LTZ", "double, integer?", checked_precision, to_timestamp_ltz_double, NULL, N,
     "An instant from seconds (precision 0) or milliseconds (3) since 1970; NULL beyond the years 0 to 9999."},
    {"UNIX_TIMESTAMP", "text, text?", leat_result_bigint, unix_timestamp, NULL, 0,
     "Seconds since 1970 of a time in the session's zone."},
    {"FROM_UNIXTIME", "integer, text?", leat_result_string, from_unixtime, NULL, 0,
     "Seconds since 1970 as text in the session's zone."},
    {.name = NULL},
};
// clang-format on
