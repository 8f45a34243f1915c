// Layout of a TZif file (RFC 8536), all integers big-endian:
//
//   header   "TZif", version (0, '2', '3', '4'), 15 unused bytes, six u32 counts: isut, isstd, leap, time, type, char
//   block    time * i32 instants of transitions; time * u8 type indexes; type * (i32 offset in s, u8 is_dst, u8 name index);
//            char bytes of names; leap * 8 bytes; isstd bytes; isut bytes
//   header   the same again, version 2 and up
//   block    the same with 64-bit instants (leap * 12 bytes)
//   footer   newline, rule for the time after the last transition in the syntax of POSIX's TZ (may be empty), newline
//
// The first block exists for readers of 32 bits and is skipped. Valid is a file whose counts fit its size, whose type
// indexes exist, whose instants ascend and end before the year 10000, whose offsets stay within 26 hours.
//
// The rule is unrolled into transitions up to RULE_YEAR_LAST when the zone is opened, since files of today ("slim") end at
// the last change of the law, so that every instant of now would be computed; years after that are computed.
#include <string.h>

#include "operators/base/calendar.h"

enum {
    FILE_BYTES_MAX = 1 << 18,
    TYPES_MAX = 256,
    OFFSET_S_MAX = 26 * 3600,
    RULE_YEAR_LAST = 2100,
    S_PER_DAY = 86400,
};

#define INSTANT_S_MAX INT64_C(253402300800) // year 10000, the end of the calendar

typedef enum rule_kind { RULE_MONTH_WEEK_DAY, RULE_JULIAN, RULE_DAY_OF_YEAR } rule_kind;

typedef struct rule_date {
    rule_kind kind;
    unsigned month, week, weekday; // week 5 is the last; weekday 0 is Sunday
    unsigned day;                  // JULIAN: 1..365 without leap days; DAY_OF_YEAR: 0..365
    int32_t time_s;                // of the day in local time, -167 h to 167 h
} rule_date;

typedef struct zone_rule {
    bool exists, has_summer;
    int32_t standard_s, summer_s; // offsets, east positive
    rule_date summer_begin, summer_end;
} zone_rule;

typedef struct transition {
    int64_t at_s;
    int32_t offset_s; // from then on
} transition;

struct leat_zone {
    int32_t first_offset_s; // before the first transition
    size_t count;
    transition *transitions;
    zone_rule rule; // after the last transition
};

typedef struct tzif_counts {
    uint32_t isut, isstd, leap, time, type, chars;
} tzif_counts;

static int64_t floor_divide(int64_t value, int64_t divisor) { return value / divisor - (value % divisor < 0); }

static int64_t rule_day(const rule_date *date, int32_t year)
{
    int64_t january_1 = leat_days_from_civil(year, 1, 1);
    bool leap = leat_days_in_month(year, 2) == 29;
    if (date->kind == RULE_DAY_OF_YEAR)
        return january_1 + date->day;
    if (date->kind == RULE_JULIAN)
        return january_1 + date->day - 1 + (leap && date->day >= 60);
    int64_t first = leat_days_from_civil(year, date->month, 1);
    int64_t first_weekday = (first % 7 + 11) % 7; // 1970-01-01 was a Thursday, 4
    int64_t day = first + (date->weekday + 7 - first_weekday) % 7 + 7 * (date->week - 1);
    return day >= first + leat_days_in_month(year, date->month) ? day - 7 : day;
}

static int64_t rule_instant_s(const rule_date *date, int32_t year, int32_t offset_before_s)
{
    return rule_day(date, year) * S_PER_DAY + date->time_s - offset_before_s;
}

// The two changes of a year in the order of time.
static void rule_year(const zone_rule *rule, int32_t year, transition out_pair[2])
{
    transition begin = {rule_instant_s(&rule->summer_begin, year, rule->standard_s), rule->summer_s};
    transition end = {rule_instant_s(&rule->summer_end, year, rule->summer_s), rule->standard_s};
    bool north = begin.at_s <= end.at_s;
    out_pair[0] = north ? begin : end;
    out_pair[1] = north ? end : begin;
}

// The last change at or before the instant, looked for in the years around it. Of two at the same instant the later year's
// holds: that is how a rule says "summer time all year" (0/0,J365/25).
static int32_t rule_offset_s(const zone_rule *rule, int64_t instant_s)
{
    if (!rule->has_summer)
        return rule->standard_s;
    leat_civil civil;
    leat_civil_from_ms(instant_s * 1000, &civil);
    int32_t offset_s = rule->standard_s;
    for (int32_t year = civil.year - 1; year <= civil.year + 1; year++) {
        transition pair[2];
        rule_year(rule, year, pair);
        for (unsigned i = 0; i < 2; i++)
            if (pair[i].at_s <= instant_s)
                offset_s = pair[i].offset_s;
    }
    return offset_s;
}

static bool rule_number(const char **cursor, unsigned max, unsigned *out_value)
{
    const char *c = *cursor;
    unsigned value = 0;
    for (; *c >= '0' && *c <= '9' && value <= max; c++)
        value = value * 10 + (unsigned)(*c - '0');
    if (c == *cursor || value > max)
        return false;
    *cursor = c;
    *out_value = value;
    return true;
}

// [+-]hh[:mm[:ss]]
static bool rule_time(const char **cursor, unsigned hours_max, int32_t *out_s)
{
    bool negative = **cursor == '-';
    if (**cursor == '-' || **cursor == '+')
        ++*cursor;
    unsigned parts[3] = {0};
    if (!rule_number(cursor, hours_max, &parts[0]))
        return false;
    for (unsigned i = 1; i < 3 && **cursor == ':'; i++) {
        ++*cursor;
        if (!rule_number(cursor, 59, &parts[i]))
            return false;
    }
    int32_t s = (int32_t)(parts[0] * 3600 + parts[1] * 60 + parts[2]);
    *out_s = negative ? -s : s;
    return true;
}

// Three letters or more, or anything in <>. What it says is of no use here.
static bool rule_name(const char **cursor)
{
    const char *c = *cursor;
    bool quoted = *c == '<';
    c += quoted;
    const char *first = c;
    while (quoted ? *c && *c != '>' : (*c | 32) >= 'a' && (*c | 32) <= 'z')
        c++;
    if (c - first < 3 || (quoted && *c != '>'))
        return false;
    *cursor = c + quoted;
    return true;
}

static bool rule_weekday(const char **cursor, rule_date *date)
{
    date->kind = RULE_MONTH_WEEK_DAY;
    if (!rule_number(cursor, 12, &date->month) || *(*cursor)++ != '.')
        return false;
    if (!rule_number(cursor, 5, &date->week) || *(*cursor)++ != '.')
        return false;
    return rule_number(cursor, 6, &date->weekday) && date->month > 0 && date->week > 0;
}

// ,date[/time]
static bool rule_parse_date(const char **cursor, rule_date *date)
{
    if (**cursor != ',')
        return false;
    ++*cursor;
    bool valid;
    if (**cursor == 'M') {
        ++*cursor;
        valid = rule_weekday(cursor, date);
    } else if (**cursor == 'J') {
        ++*cursor;
        date->kind = RULE_JULIAN;
        valid = rule_number(cursor, 365, &date->day) && date->day > 0;
    } else {
        date->kind = RULE_DAY_OF_YEAR;
        valid = rule_number(cursor, 365, &date->day);
    }
    date->time_s = 2 * 3600;
    if (!valid || **cursor != '/')
        return valid;
    ++*cursor;
    return rule_time(cursor, 167, &date->time_s);
}

// std offset [dst [offset] [,begin,end]]; POSIX counts offsets to the west.
static bool rule_parse(const char *text, zone_rule *rule)
{
    int32_t west_s;
    if (!rule_name(&text) || !rule_time(&text, 24, &west_s))
        return false;
    *rule = (zone_rule){.exists = true, .standard_s = -west_s};
    if (!*text)
        return true;
    if (!rule_name(&text))
        return false;
    rule->has_summer = true;
    rule->summer_s = rule->standard_s + 3600;
    if (*text && *text != ',') {
        if (!rule_time(&text, 24, &west_s))
            return false;
        rule->summer_s = -west_s;
    }
    if (!*text)
        text = ",M3.2.0,M11.1.0"; // what POSIX leaves open and tzcode takes
    return rule_parse_date(&text, &rule->summer_begin) && rule_parse_date(&text, &rule->summer_end) && !*text;
}

static uint8_t read_header(leat_reader *reader, tzif_counts *counts)
{
    leat_slice magic = leat_read_bytes(reader, 4);
    if (!leat_slice_is(magic, "TZif"))
        reader->failed = true;
    uint8_t version = leat_read_u8(reader);
    leat_read_bytes(reader, 15);
    counts->isut = leat_read_u32be(reader);
    counts->isstd = leat_read_u32be(reader);
    counts->leap = leat_read_u32be(reader);
    counts->time = leat_read_u32be(reader);
    counts->type = leat_read_u32be(reader);
    counts->chars = leat_read_u32be(reader);
    uint32_t largest = counts->isut | counts->isstd | counts->leap | counts->time | counts->type | counts->chars;
    if (largest > FILE_BYTES_MAX) // nor do the products below overflow, then
        reader->failed = true;
    return version;
}

static void skip_block_of_32_bits(leat_reader *reader, const tzif_counts *counts)
{
    leat_read_bytes(reader, (size_t)counts->time * 5 + counts->type * 6 + counts->chars + counts->leap * 8 +
                                counts->isstd + counts->isut);
}

static bool read_block(leat_reader *reader, const tzif_counts *counts, leat_arena *arena, leat_zone *zone)
{
    leat_reader instants, indexes;
    leat_slice bytes = leat_read_bytes(reader, (size_t)counts->time * 8);
    leat_reader_init(&instants, bytes.data, bytes.size);
    bytes = leat_read_bytes(reader, counts->time);
    leat_reader_init(&indexes, bytes.data, bytes.size);
    if (reader->failed || counts->type == 0 || counts->type > TYPES_MAX || counts->leap > 0)
        return false;
    int32_t offsets_s[TYPES_MAX];
    for (uint32_t i = 0; i < counts->type; i++) {
        offsets_s[i] = (int32_t)leat_read_u32be(reader);
        leat_read_bytes(reader, 2);
        if (offsets_s[i] > OFFSET_S_MAX || offsets_s[i] < -OFFSET_S_MAX)
            return false;
    }
    leat_read_bytes(reader, counts->chars + counts->isstd + counts->isut);
    zone->first_offset_s = offsets_s[0];
    // Room for the rule's years as well, from the epoch on at the earliest.
    zone->transitions = leat_arena_array(arena, transition, counts->time + 2 * (RULE_YEAR_LAST - 1969));
    for (uint32_t i = 0; i < counts->time; i++) {
        int64_t at_s = (int64_t)leat_read_u64be(&instants);
        uint8_t type = leat_read_u8(&indexes);
        if (type >= counts->type || at_s > INSTANT_S_MAX || (i > 0 && at_s <= zone->transitions[i - 1].at_s))
            return false;
        zone->transitions[zone->count++] = (transition){at_s, offsets_s[type]};
    }
    return !reader->failed;
}

static bool read_footer(leat_reader *reader, leat_arena *arena, leat_zone *zone)
{
    leat_slice text = leat_read_bytes(reader, leat_reader_left(reader));
    if (text.size < 2 || text.data[0] != '\n' || text.data[text.size - 1] != '\n')
        return false;
    return text.size == 2 || rule_parse(leat_arena_copy(arena, text.data + 1, text.size - 2), &zone->rule);
}

static void add_transition(leat_zone *zone, transition added)
{
    transition *last = zone->count ? &zone->transitions[zone->count - 1] : NULL;
    if (!last || added.at_s > last->at_s)
        zone->transitions[zone->count++] = added;
    else if (added.at_s == last->at_s) // the later year's holds, as in rule_offset_s
        last->offset_s = added.offset_s;
}

static void unroll_rule(leat_zone *zone)
{
    if (!zone->rule.has_summer)
        return;
    leat_civil last = {.year = 1970};
    if (zone->count && zone->transitions[zone->count - 1].at_s > 0)
        leat_civil_from_ms(zone->transitions[zone->count - 1].at_s * 1000, &last);
    for (int32_t year = last.year; year <= RULE_YEAR_LAST; year++) {
        transition pair[2];
        rule_year(&zone->rule, year, pair);
        for (unsigned i = 0; i < 2; i++)
            add_transition(zone, pair[i]);
    }
}

static bool zone_parse(leat_slice file, leat_arena *arena, leat_zone *zone)
{
    leat_reader reader;
    tzif_counts counts;
    leat_reader_init(&reader, file.data, file.size);
    uint8_t version = read_header(&reader, &counts);
    if (reader.failed || version < '2')
        return false;
    skip_block_of_32_bits(&reader, &counts);
    read_header(&reader, &counts);
    if (reader.failed || !read_block(&reader, &counts, arena, zone) || !read_footer(&reader, arena, zone))
        return false;
    unroll_rule(zone);
    return true;
}

// A name becomes part of a path: letters, digits, _ + - and single slashes between them.
static bool is_zone_name(const char *name)
{
    if (!*name || strlen(name) > 64 || name[0] == '/' || strstr(name, "//") || name[strlen(name) - 1] == '/')
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == strlen(name);
}

leat_code leat_zone_open(leat_env *env, leat_arena *arena, const char *iana_name, leat_zone **out_zone,
                         leat_error *out_error)
{
    if (strcmp(iana_name, "UTC") == 0) {
        *out_zone = leat_arena_new(arena, leat_zone);
        return LEAT_OK;
    }
    if (!is_zone_name(iana_name))
        return leat_error_set(out_error, LEAT_E_INVALID, "expected a time zone such as 'Europe/Berlin', found '%s'",
                              iana_name);
    char *path = leat_arena_format(arena, "/usr/share/zoneinfo/%s", iana_name);
    char *bytes;
    size_t size;
    leat_code code = leat_env_read_file(env, path, arena, FILE_BYTES_MAX, &bytes, &size, out_error);
    if (code != LEAT_OK) {
        leat_error_prefix(out_error, "time zone '%s'", iana_name);
        return code;
    }
    leat_zone *zone = leat_arena_new(arena, leat_zone);
    if (!zone_parse(leat_slice_of(bytes, size), arena, zone))
        return leat_error_at(out_error, LEAT_E_CORRUPT, path,
                             "expected a TZif file of version 2 or later without leap seconds");
    *out_zone = zone;
    return LEAT_OK;
}

static int32_t offset_at(const leat_zone *zone, int64_t instant_s)
{
    size_t low = 0, high = zone->count; // how many transitions are at or before the instant
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->transitions[middle].at_s <= instant_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->rule.exists)
        return rule_offset_s(&zone->rule, instant_s);
    return low ? zone->transitions[low - 1].offset_s : zone->first_offset_s;
}

int64_t leat_zone_offset_ms(const leat_zone *zone, int64_t instant_ms)
{
    return zone ? (int64_t)offset_at(zone, floor_divide(instant_ms, 1000)) * 1000 : 0;
}

// Payloads carry any int64 for a time.
static int64_t add_saturated(int64_t a, int64_t b)
{
    int64_t sum;
    return !__builtin_add_overflow(a, b, &sum) ? sum : b < 0 ? INT64_MIN : INT64_MAX;
}

int64_t leat_zone_to_local_ms(const leat_zone *zone, int64_t instant_ms)
{
    return add_saturated(instant_ms, leat_zone_offset_ms(zone, instant_ms));
}

// No offset reaches 24 hours, so a day before and a day after enclose the answer. Tried in this order, the offset before a
// change wins in an overlap; in a gap neither offset holds at its own answer, and the one before it is java.time's choice.
int64_t leat_zone_from_local_ms(const leat_zone *zone, int64_t local_ms)
{
    const int64_t day_ms = (int64_t)S_PER_DAY * 1000;
    int64_t before_ms = leat_zone_offset_ms(zone, add_saturated(local_ms, -day_ms));
    int64_t after_ms = leat_zone_offset_ms(zone, add_saturated(local_ms, day_ms));
    int64_t by_before_ms = add_saturated(local_ms, -before_ms), by_after_ms = add_saturated(local_ms, -after_ms);
    if (leat_zone_offset_ms(zone, by_before_ms) == before_ms)
        return by_before_ms;
    return leat_zone_offset_ms(zone, by_after_ms) == after_ms ? by_after_ms : by_before_ms;
}
