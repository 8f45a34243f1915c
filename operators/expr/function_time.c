// Parts of times, rounding them to units, distances, moving by units.
//
// TIMESTAMP_LTZ is looked at in the session's zone. WEEK is ISO's; DOW counts from Sunday = 1, as in Flink.
#include "operators/expr/function.h"

enum { DAY_MS = 86400000 };

leat_unit leat_unit_of(leat_slice name)
{
    static const struct {
        const char *name;
        leat_unit unit;
    } units[] = {
        {"MILLISECOND", LEAT_UNIT_MILLISECOND},
        {"SECOND", LEAT_UNIT_SECOND},
        {"MINUTE", LEAT_UNIT_MINUTE},
        {"HOUR", LEAT_UNIT_HOUR},
        {"DAY", LEAT_UNIT_DAY},
        {"WEEK", LEAT_UNIT_WEEK},
        {"MONTH", LEAT_UNIT_MONTH},
        {"QUARTER", LEAT_UNIT_QUARTER},
        {"YEAR", LEAT_UNIT_YEAR},
        {"DECADE", LEAT_UNIT_DECADE},
        {"CENTURY", LEAT_UNIT_CENTURY},
        {"MILLENNIUM", LEAT_UNIT_MILLENNIUM},
        {"DOW", LEAT_UNIT_DOW},
        {"DOY", LEAT_UNIT_DOY},
        {"ISODOW", LEAT_UNIT_ISODOW},
        {"ISOYEAR", LEAT_UNIT_ISOYEAR},
        {"EPOCH", LEAT_UNIT_EPOCH},
    };
    if (name.size > 8 && leat_slice_is_nocase(leat_slice_of(name.data, 8), "SQL_TSI_"))
        name = leat_slice_of(name.data + 8, name.size - 8);
    leat_slice singular = leat_slice_of(name.data, name.size ? name.size - 1 : 0);
    bool plural = name.size && (name.data[name.size - 1] | 32) == 's';
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (leat_slice_is_nocase(name, units[i].name) || (plural && leat_slice_is_nocase(singular, units[i].name)))
            return units[i].unit;
    return LEAT_UNIT_NONE;
}

static int64_t floor_div(int64_t x, int64_t by) { return x / by - (x % by < 0); }

static int64_t floor_mod(int64_t x, int64_t by) { return x - floor_div(x, by) * by; }

static int64_t local_ms(leat_type type, const leat_zone *zone, int64_t value)
{
    if (type.kind == LEAT_KIND_DATE)
        return value * DAY_MS;
    return type.kind == LEAT_KIND_TIMESTAMP_LTZ ? leat_zone_to_local_ms(zone, value) : value;
}

static int64_t from_local_ms(leat_type type, const leat_zone *zone, int64_t ms)
{
    if (type.kind == LEAT_KIND_DATE)
        return floor_div(ms, DAY_MS);
    return type.kind == LEAT_KIND_TIMESTAMP_LTZ ? leat_zone_from_local_ms(zone, ms) : ms;
}

// Milliseconds of a unit of fixed length, 0 for months and longer.
static int64_t unit_ms(leat_unit unit)
{
    switch (unit) {
    case LEAT_UNIT_MILLISECOND:
        return 1;
    case LEAT_UNIT_SECOND:
        return 1000;
    case LEAT_UNIT_MINUTE:
        return 60000;
    case LEAT_UNIT_HOUR:
        return 3600000;
    case LEAT_UNIT_DAY:
        return DAY_MS;
    case LEAT_UNIT_WEEK:
        return 7 * (int64_t)DAY_MS;
    default:
        return 0;
    }
}

static int64_t unit_months(leat_unit unit)
{
    switch (unit) {
    case LEAT_UNIT_MONTH:
        return 1;
    case LEAT_UNIT_QUARTER:
        return 3;
    case LEAT_UNIT_YEAR:
        return 12;
    case LEAT_UNIT_DECADE:
        return 120;
    case LEAT_UNIT_CENTURY:
        return 1200;
    case LEAT_UNIT_MILLENNIUM:
        return 12000;
    default:
        return 0;
    }
}

// -- EXTRACT

static int64_t iso_day_of_week(int64_t days)
{
    return floor_mod(days + 3, 7) + 1; // 1970-01-01 was a Thursday
}

static int64_t iso_year(int64_t days)
{
    leat_civil civil;
    leat_civil_from_ms((days - iso_day_of_week(days) + 4) * DAY_MS, &civil);
    return civil.year;
}

static int64_t iso_week(int64_t days)
{
    int64_t fourth = leat_days_from_civil((int32_t)iso_year(days), 1, 4);
    return (days - (fourth - iso_day_of_week(fourth) + 1)) / 7 + 1;
}

static int64_t extracted_day(leat_unit unit, int64_t ms)
{
    leat_civil civil;
    int64_t days = floor_div(ms, DAY_MS);
    leat_civil_from_ms(ms, &civil);
    switch (unit) {
    case LEAT_UNIT_DAY:
        return civil.day;
    case LEAT_UNIT_WEEK:
        return iso_week(days);
    case LEAT_UNIT_MONTH:
        return civil.month;
    case LEAT_UNIT_QUARTER:
        return (civil.month - 1) / 3 + 1;
    case LEAT_UNIT_YEAR:
        return civil.year;
    case LEAT_UNIT_DECADE:
        return civil.year / 10;
    case LEAT_UNIT_CENTURY:
        return (civil.year + 99) / 100;
    case LEAT_UNIT_MILLENNIUM:
        return (civil.year + 999) / 1000;
    case LEAT_UNIT_DOW:
        return floor_mod(days + 4, 7) + 1;
    case LEAT_UNIT_DOY:
        return days - leat_days_from_civil(civil.year, 1, 1) + 1;
    case LEAT_UNIT_ISODOW:
        return iso_day_of_week(days);
    default:
        return iso_year(days);
    }
}

static int64_t extracted(leat_unit unit, int64_t ms)
{
    int64_t of_day = floor_mod(ms, DAY_MS);
    switch (unit) {
    case LEAT_UNIT_MILLISECOND:
        return of_day % 1000;
    case LEAT_UNIT_SECOND:
        return of_day / 1000 % 60;
    case LEAT_UNIT_MINUTE:
        return of_day / 60000 % 60;
    case LEAT_UNIT_HOUR:
        return of_day / 3600000;
    case LEAT_UNIT_EPOCH:
        return floor_div(ms, 1000);
    default:
        return extracted_day(unit, ms);
    }
}

static void extract(leat_call *call)
{
    leat_unit unit = leat_unit_of(leat_argument_text(call, 0, 0));
    leat_type type = leat_argument_type(call, 1);
    LEAT_EACH(call, row)
    {
        int64_t value = leat_argument_i64(call, 1, row);
        int64_t ms = unit == LEAT_UNIT_EPOCH && type.kind != LEAT_KIND_DATE ? value : local_ms(type, call->zone, value);
        call->out->i64[row] = extracted(unit, ms);
    }
}

// Parts of an interval: those of its magnitude, with its sign.
static void extract_interval(leat_call *call)
{
    leat_unit unit = leat_unit_of(leat_argument_text(call, 0, 0));
    LEAT_EACH(call, row)
    {
        int64_t ms = leat_argument_i64(call, 1, row);
        call->out->i64[row] = unit == LEAT_UNIT_DAY      ? ms / DAY_MS
                              : unit == LEAT_UNIT_HOUR   ? ms / 3600000 % 24
                              : unit == LEAT_UNIT_MINUTE ? ms / 60000 % 60
                              : unit == LEAT_UNIT_SECOND ? ms / 1000 % 60
                              : unit == LEAT_UNIT_EPOCH  ? ms / 1000
                                                         : ms % 1000;
    }
}

static void extract_months(leat_call *call)
{
    leat_unit unit = leat_unit_of(leat_argument_text(call, 0, 0));
    LEAT_EACH(call, row)
    {
        int64_t months = leat_argument_i64(call, 1, row);
        call->out->i64[row] = unit == LEAT_UNIT_YEAR ? months / 12 : months % 12;
    }
}

// YEAR(t) is EXTRACT(YEAR FROM t).
static leat_code as_extract(leat_rule *rule)
{
    leat_slice name = leat_slice_text(rule->function->name);
    if (leat_slice_is(name, "DAYOFYEAR"))
        name = leat_slice_text("DOY");
    else if (leat_slice_is(name, "DAYOFMONTH"))
        name = leat_slice_text("DAY");
    else if (leat_slice_is(name, "DAYOFWEEK"))
        name = leat_slice_text("DOW");
    leat_value unit = {.text = name};
    leat_expr *parts[2] = {leat_expr_literal(rule->scope, leat_type_of(LEAT_KIND_STRING), unit), rule->arguments[0]};
    return leat_expr_call(rule->scope, leat_slice_text("EXTRACT"), parts, 2, &rule->replaced, rule->error);
}

// -- FLOOR and CEIL

static int64_t floor_months(int64_t ms, int64_t months)
{
    leat_civil civil;
    LEAT_ASSERT(months > 0); // rounded_time refuses units without a length
    leat_civil_from_ms(ms, &civil);
    int64_t count = (int64_t)civil.year * 12 + civil.month - 1;
    // Centuries and millennia begin with the year 1, as EXTRACT counts them.
    int64_t origin = months >= 1200 ? 12 : 0, first = floor_div(count - origin, months) * months + origin;
    return leat_days_from_civil((int32_t)floor_div(first, 12), (unsigned)floor_mod(first, 12) + 1, 1) * DAY_MS;
}

static int64_t add_months(int64_t ms, int64_t months)
{
    leat_civil civil;
    leat_civil_from_ms(ms, &civil);
    int64_t count = (int64_t)civil.year * 12 + civil.month - 1 + months;
    civil.year = (int32_t)floor_div(count, 12);
    civil.month = (uint8_t)(floor_mod(count, 12) + 1);
    unsigned days = leat_days_in_month(civil.year, civil.month);
    if (civil.day > days)
        civil.day = (uint8_t)days;
    return leat_civil_to_ms(&civil);
}

// Weeks begin on Sunday here, as Calcite's FLOOR does.
static int64_t floored(leat_unit unit, int64_t ms)
{
    if (unit == LEAT_UNIT_WEEK)
        return ms - floor_mod(floor_div(ms, DAY_MS) + 4, 7) * DAY_MS - floor_mod(ms, DAY_MS);
    int64_t size = unit_ms(unit);
    return size ? ms - floor_mod(ms, size) : floor_months(ms, unit_months(unit));
}

static int64_t ceiled(leat_unit unit, int64_t ms)
{
    int64_t below = floored(unit, ms), size = unit_ms(unit);
    if (below == ms)
        return ms;
    return size ? below + size : add_months(below, unit_months(unit));
}

static void round_time(leat_call *call, int64_t (*to)(leat_unit, int64_t))
{
    leat_unit unit = leat_unit_of(leat_argument_text(call, 1, 0));
    leat_type type = leat_argument_type(call, 0);
    LEAT_EACH(call, row)
    {
        int64_t ms = local_ms(type, call->zone, leat_argument_i64(call, 0, row));
        call->out->i64[row] = from_local_ms(type, call->zone, to(unit, ms));
    }
}

static void floor_time(leat_call *call) { round_time(call, floored); }

static void ceil_time(leat_call *call) { round_time(call, ceiled); }

static leat_code wrong_unit(leat_rule *rule, leat_slice unit)
{
    return leat_error_set(rule->error, LEAT_E_INVALID, "%s does not take the unit %.*s", rule->function->name,
                          (int)unit.size, unit.data);
}

static leat_code rounded_time(leat_rule *rule)
{
    leat_unit unit = leat_unit_of(rule->arguments[1]->literal.text);
    if (!unit_ms(unit) && !unit_months(unit))
        return wrong_unit(rule, rule->arguments[1]->literal.text);
    return leat_result_first(rule);
}

// -- TIMESTAMPADD and TIMESTAMPDIFF

static void timestampadd(leat_call *call)
{
    leat_unit unit = leat_unit_of(leat_argument_text(call, 0, 0));
    leat_type type = leat_argument_type(call, 2), out = call->out->type;
    int64_t size = unit_ms(unit), months = unit_months(unit);
    LEAT_EACH(call, row)
    {
        int64_t count = leat_argument_i64(call, 1, row), value = leat_argument_i64(call, 2, row);
        bool fixed_instant = size && size < DAY_MS && type.kind == LEAT_KIND_TIMESTAMP_LTZ;
        int64_t ms = fixed_instant ? value : local_ms(type, call->zone, value);
        ms = size ? (int64_t)((uint64_t)ms + (uint64_t)count * (uint64_t)size) : add_months(ms, count * months);
        call->out->i64[row] = fixed_instant ? ms : from_local_ms(out, call->zone, ms);
    }
}

static leat_code moved_type(leat_rule *rule)
{
    leat_unit unit = leat_unit_of(rule->arguments[0]->literal.text);
    leat_type type = rule->arguments[2]->type;
    if (!unit_ms(unit) && !unit_months(unit))
        return wrong_unit(rule, rule->arguments[0]->literal.text);
    if (type.kind == LEAT_KIND_DATE && unit_ms(unit) && unit_ms(unit) < DAY_MS)
        return leat_result_timestamp(rule);
    rule->type = type;
    return LEAT_OK;
}

// Whole months from one midnight to a later one; the last day of a month is a month after the 31st.
static int64_t months_forward(int64_t a, int64_t b)
{
    leat_civil x, y;
    leat_civil_from_ms(a, &x);
    leat_civil_from_ms(b, &y);
    int64_t months = ((int64_t)y.year - x.year) * 12 + y.month - x.month;
    return add_months(a, months) > b ? months - 1 : months;
}

// From a to b as Calcite's subtractMonths has it: whole days decide first, and the time of day only between equal days.
static int64_t months_between(int64_t a, int64_t b)
{
    int64_t a_clock = floor_mod(a, DAY_MS), b_clock = floor_mod(b, DAY_MS);
    a -= a_clock;
    b -= b_clock;
    int64_t months = b < a ? -months_forward(b, a) : months_forward(a, b);
    return add_months(a, months) == b && b_clock < a_clock ? months - 1 : months;
}

static void timestampdiff(leat_call *call)
{
    leat_unit unit = leat_unit_of(leat_argument_text(call, 0, 0));
    leat_type type = leat_argument_type(call, 1);
    int64_t size = unit_ms(unit), months = unit_months(unit);
    LEAT_ASSERT(size || months); // distance_type refuses the other units
    LEAT_EACH(call, row)
    {
        int64_t a = leat_argument_i64(call, 1, row), b = leat_argument_i64(call, 2, row);
        if (!size || size >= DAY_MS || type.kind == LEAT_KIND_DATE) {
            a = local_ms(type, call->zone, a);
            b = local_ms(type, call->zone, b);
        }
        call->out->i64[row] = (int32_t)(size ? (b - a) / size : months_between(a, b) / months);
    }
}

static leat_code distance_type(leat_rule *rule)
{
    leat_unit unit = leat_unit_of(rule->arguments[0]->literal.text);
    if (!unit_ms(unit) && !unit_months(unit))
        return wrong_unit(rule, rule->arguments[0]->literal.text);
    leat_type common;
    if (!leat_type_common(rule->arguments[1]->type, rule->arguments[2]->type, &common))
        return leat_error_set(rule->error, LEAT_E_INVALID, "TIMESTAMPDIFF: the times have no common type");
    for (int i = 1; i < 3; i++) {
        leat_code code = leat_expr_coerce(rule->scope, rule->arguments[i], common, &rule->arguments[i], rule->error);
        if (code != LEAT_OK)
            return code;
    }
    return leat_result_int(rule);
}

enum { NAMED = LEAT_FUNCTION_NAMED };

// clang-format off: a row is a line
const leat_function leat_functions_time[] = {
    {"EXTRACT", "unit, temporal", leat_result_bigint, extract, NULL, 0,
     "A part of a time: YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, WEEK, DOW, DOY, EPOCH..."},
    {"EXTRACT", "unit, interval", leat_result_bigint, extract_interval, NULL, 0, "A part of an interval."},
    {"EXTRACT", "unit, months", leat_result_bigint, extract_months, NULL, 0, "YEAR or MONTH of an interval."},
    {"YEAR", "temporal", as_extract, NULL, NULL, NAMED, "The year."},
    {"QUARTER", "temporal", as_extract, NULL, NULL, NAMED, "The quarter, 1 to 4."},
    {"MONTH", "temporal", as_extract, NULL, NULL, NAMED, "The month, 1 to 12."},
    {"WEEK", "temporal", as_extract, NULL, NULL, NAMED, "The week of ISO 8601, 1 to 53."},
    {"DAYOFYEAR", "temporal", as_extract, NULL, NULL, NAMED, "The day of the year, 1 to 366."},
    {"DAYOFMONTH", "temporal", as_extract, NULL, NULL, NAMED, "The day of the month, 1 to 31."},
    {"DAYOFWEEK", "temporal", as_extract, NULL, NULL, NAMED, "The day of the week, Sunday is 1."},
    {"HOUR", "temporal", as_extract, NULL, NULL, NAMED, "The hour, 0 to 23."},
    {"MINUTE", "temporal", as_extract, NULL, NULL, NAMED, "The minute, 0 to 59."},
    {"SECOND", "temporal", as_extract, NULL, NULL, NAMED, "The second, 0 to 59."},
    {"FLOOR", "temporal, unit", rounded_time, floor_time, NULL, 0, "A time rounded down to a unit."},
    {"CEIL", "temporal, unit", rounded_time, ceil_time, NULL, 0, "A time rounded up to a unit."},
    {"CEILING", "temporal, unit", rounded_time, ceil_time, NULL, 0, "The same as CEIL."},
    {"TIMESTAMPADD", "unit, integer, datetime", moved_type, timestampadd, NULL, 0, "A time later by so many units."},
    {"TIMESTAMPDIFF", "unit, datetime, datetime", distance_type, timestampdiff, NULL, 0,
     "Whole units from the first time to the second."},
    {.name = NULL},
};
// clang-format on
