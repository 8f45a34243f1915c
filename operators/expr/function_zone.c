// Times of a zone that the query names. Zones are constants: their files are read with the query.
#include <string.h>

#include "operators/expr/function.h"
#include "operators/expr/time_format.h"

enum { MINUTE_MS = 60000, DAY_MS = 86400000, FORMATTED_MAX = 64 };

// A zone of the tz database, or a fixed offset (GMT+08:00).
typedef struct named_zone {
    leat_zone *zone;
    int64_t offset_ms;
} named_zone;

typedef struct zone_pair {
    named_zone from, to;
} zone_pair;

static int64_t instant_of(const named_zone *zone, int64_t local_ms)
{
    return zone->zone ? leat_zone_from_local_ms(zone->zone, local_ms) : local_ms - zone->offset_ms;
}

static int64_t local_of(const named_zone *zone, int64_t instant_ms)
{
    return zone->zone ? leat_zone_to_local_ms(zone->zone, instant_ms) : instant_ms + zone->offset_ms;
}

static void convert_tz(leat_call *call)
{
    const zone_pair *zones = call->step->expr->prepared;
    leat_writer writer;
    leat_writer_init(&writer, call->eval->env, FORMATTED_MAX);
    LEAT_EACH(call, row)
    {
        int64_t ms;
        call->out->text[row] = leat_slice_of(NULL, 0);
        if (!leat_time_read_lenient(leat_argument_text(call, 0, row), &ms)) {
            leat_call_null(call, row);
            continue;
        }
        leat_writer_reset(&writer);
        leat_time_format(leat_slice_text("yyyy-MM-dd HH:mm:ss"), local_of(&zones->to, instant_of(&zones->from, ms)),
                         &writer);
        char *out = leat_call_text(call, writer.size);
        memcpy(out, writer.bytes, writer.size);
        call->out->text[row] = leat_slice_of(out, writer.size);
    }
    leat_writer_fini(&writer);
}

// With a pattern or without, in UTC unless a zone is named.
static void to_timestamp_ltz(leat_call *call)
{
    const named_zone *zone = call->step->expr->prepared;
    bool has_pattern = call->step->argument_count > 1;
    LEAT_EACH(call, row)
    {
        int64_t ms = 0;
        leat_slice text = leat_argument_text(call, 0, row);
        bool read = has_pattern ? leat_time_unformat(leat_argument_text(call, 1, row), text, &ms) ||
                                      leat_time_read_otherwise(text, &ms)
                                : leat_time_read(text, &ms);
        call->out->i64[row] = zone ? instant_of(zone, ms) : ms;
        if (!read && has_pattern)
            leat_call_null(call, row);
        else if (!read)
            leat_call_fail(call, row, "TO_TIMESTAMP_LTZ: '%.*s' is no time", (int)(text.size < 40 ? text.size : 40),
                           text.data);
    }
}

// One or two digits; -1: none.
static int read_digits(const char **at, const char *end)
{
    int value = -1;
    for (const char *stop = end - *at > 2 ? *at + 2 : end; *at < stop && **at >= '0' && **at <= '9'; (*at)++)
        value = (value < 0 ? 0 : value * 10) + (**at - '0');
    return value;
}

// GMT+8, UTC-08:00
static bool read_offset(leat_slice name, int64_t *out_ms)
{
    const char *at = name.data + 4, *end = name.data + name.size;
    if (name.size < 5 || !(leat_slice_is_nocase(leat_slice_of(name.data, 3), "GMT") ||
                           leat_slice_is_nocase(leat_slice_of(name.data, 3), "UTC")))
        return false;
    char sign = name.data[3];
    int hours = read_digits(&at, end), minutes = 0;
    if (at < end && *at == ':') {
        at++;
        minutes = read_digits(&at, end);
    }
    if (at != end || (sign != '+' && sign != '-') || hours < 0 || hours > 18 || minutes < 0 || minutes > 59)
        return false;
    *out_ms = (int64_t)(hours * 60 + minutes) * MINUTE_MS * (sign == '-' ? -1 : 1);
    return true;
}

static leat_code zone_open(leat_rule *rule, uint32_t index, named_zone *out)
{
    leat_arena *arena = rule->scope->arena;
    leat_slice name = rule->arguments[index]->literal.text;
    leat_error error;
    *out = (named_zone){0};
    if (read_offset(name, &out->offset_ms) || leat_slice_is_nocase(name, "UTC") || leat_slice_is_nocase(name, "GMT") ||
        leat_slice_is(name, "Z"))
        return LEAT_OK;
    if (leat_zone_open(arena->env, arena, leat_arena_copy(arena, name.data, name.size), &out->zone, &error) == LEAT_OK)
        return LEAT_OK;
    return leat_error_set(rule->error, LEAT_E_NOT_FOUND, "%s: there is no time zone '%.*s'", rule->function->name,
                          (int)name.size, name.data);
}

static leat_code convert_type(leat_rule *rule)
{
    zone_pair *zones = leat_arena_new(rule->scope->arena, zone_pair);
    rule->prepared = zones;
    leat_code code = zone_open(rule, 1, &zones->from);
    if (code == LEAT_OK)
        code = zone_open(rule, 2, &zones->to);
    return code == LEAT_OK ? leat_result_string(rule) : code;
}

static leat_code ltz_type(leat_rule *rule)
{
    if (rule->count > 2) {
        named_zone *zone = leat_arena_new(rule->scope->arena, named_zone);
        leat_code code = zone_open(rule, 2, zone);
        if (code != LEAT_OK)
            return code;
        rule->prepared = zone;
    }
    return leat_result_timestamp_ltz(rule);
}

enum { N = LEAT_FUNCTION_NULLABLE };

// clang-format off: a row is a line
const leat_function leat_functions_zone[] = {
    {"CONVERT_TZ", "text, literal, literal", convert_type, convert_tz, NULL, N,
     "A time as text from one zone's clock to another's; NULL when it is none."},
    {"TO_TIMESTAMP_LTZ", "text, text?", ltz_type, to_timestamp_ltz, NULL, N | LEAT_FUNCTION_FAILS,
     "An instant from a text in UTC, by a pattern or in SQL's form."},
    {"TO_TIMESTAMP_LTZ", "text, text, literal", ltz_type, to_timestamp_ltz, NULL, N, "The same in a zone."},
    {.name = NULL},
};
// clang-format on
