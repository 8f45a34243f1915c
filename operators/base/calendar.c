#include "operators/base/calendar.h"

#include <stdio.h>
#include <string.h>

enum {
    MS_PER_SECOND = 1000,
    MS_PER_MINUTE = 60000,
    MS_PER_HOUR = 3600000,
    MS_PER_DAY = 86400000,
    DAYS_PER_ERA = 146097,  // 400 years
    DAYS_TO_EPOCH = 719468, // from 0000-03-01 to 1970-01-01
};

#define DAYS_OF_INT64_MS (INT64_MAX / MS_PER_DAY)

typedef struct civil_day {
    int64_t year;
    unsigned month, day;
} civil_day;

static int64_t floor_divide(int64_t value, int64_t divisor) { return value / divisor - (value % divisor < 0); }

// Not value - quotient * divisor: that product leaves int64 for the lowest values.
static int64_t floor_modulo(int64_t value, int64_t divisor)
{
    int64_t remainder = value % divisor;
    return remainder < 0 ? remainder + divisor : remainder;
}

// Years begin in March here, so that the leap day is the last of its year and needs no case of its own.
int64_t leat_days_from_civil(int32_t year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = floor_divide(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH;
}

static civil_day civil_from_days(int64_t days)
{
    int64_t shifted = days + DAYS_TO_EPOCH;
    int64_t era = floor_divide(shifted, DAYS_PER_ERA);
    int64_t day_of_era = shifted - era * DAYS_PER_ERA;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    unsigned month = (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    return (civil_day){
        .year = year_of_era + era * 400 + (month <= 2),
        .month = month,
        .day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
    };
}

static bool is_leap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

unsigned leat_days_in_month(int32_t year, unsigned month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    LEAT_ASSERT(month >= 1 && month <= 12);
    return days[month - 1] + (month == 2 && is_leap(year));
}

int64_t leat_civil_to_ms(const leat_civil *civil)
{
    int64_t days = leat_days_from_civil(civil->year, civil->month, civil->day);
    int64_t of_day = (int64_t)civil->hour * MS_PER_HOUR + (int64_t)civil->minute * MS_PER_MINUTE +
                     (int64_t)civil->second * MS_PER_SECOND + civil->millisecond;
    return days * MS_PER_DAY + of_day;
}

void leat_civil_from_ms(int64_t ms, leat_civil *out_civil)
{
    int64_t days = floor_divide(ms, MS_PER_DAY);
    int32_t of_day = (int32_t)floor_modulo(ms, MS_PER_DAY);
    civil_day day = civil_from_days(days);
    *out_civil = (leat_civil){
        .year = (int32_t)day.year,
        .month = (uint8_t)day.month,
        .day = (uint8_t)day.day,
        .hour = (uint8_t)(of_day / MS_PER_HOUR),
        .minute = (uint8_t)(of_day / MS_PER_MINUTE % 60),
        .second = (uint8_t)(of_day / MS_PER_SECOND % 60),
        .millisecond = (uint16_t)(of_day % MS_PER_SECOND),
    };
}

// What is left of a text; every take_… moves the cursor only when it finds what it wants.
typedef struct text_cursor {
    const char *cursor, *end;
} text_cursor;

static text_cursor cursor_of(leat_slice text)
{
    return (text_cursor){text.data, text.size ? text.data + text.size : text.data};
}

static bool at_end(const text_cursor *text) { return text->cursor == text->end; }

static bool next_is_digit(const text_cursor *text)
{
    return text->cursor < text->end && *text->cursor >= '0' && *text->cursor <= '9';
}

static bool take_char(text_cursor *text, char wanted)
{
    if (at_end(text) || *text->cursor != wanted)
        return false;
    text->cursor++;
    return true;
}

static bool take_digits(text_cursor *text, unsigned count, unsigned max, unsigned *out_value)
{
    text_cursor ahead = *text;
    unsigned value = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!next_is_digit(&ahead))
            return false;
        value = value * 10 + (unsigned)(*ahead.cursor++ - '0');
    }
    if (value > max)
        return false;
    *text = ahead;
    *out_value = value;
    return true;
}

static bool take_date(text_cursor *text, int64_t *out_days)
{
    unsigned year, month, day;
    if (!take_digits(text, 4, 9999, &year) || !take_char(text, '-') || !take_digits(text, 2, 12, &month) ||
        !take_char(text, '-') || !take_digits(text, 2, 31, &day))
        return false;
    if (year == 0 || month == 0 || day == 0 || day > leat_days_in_month((int32_t)year, month))
        return false;
    *out_days = leat_days_from_civil((int32_t)year, month, day);
    return true;
}

static bool take_fraction(text_cursor *text, unsigned *out_ms)
{
    static const unsigned weights[3] = {100, 10, 1};
    if (!next_is_digit(text))
        return false;
    unsigned ms = 0;
    for (unsigned i = 0; next_is_digit(text); i++, text->cursor++)
        if (i < 3)
            ms += (unsigned)(*text->cursor - '0') * weights[i];
    *out_ms = ms;
    return true;
}

static bool take_time(text_cursor *text, int64_t *out_ms_of_day)
{
    unsigned hour, minute, second = 0, ms = 0;
    if (!take_digits(text, 2, 23, &hour) || !take_char(text, ':') || !take_digits(text, 2, 59, &minute))
        return false;
    if (take_char(text, ':')) {
        if (!take_digits(text, 2, 59, &second))
            return false;
        if (take_char(text, '.') && !take_fraction(text, &ms))
            return false;
    }
    *out_ms_of_day = ((int64_t)hour * 60 + minute) * MS_PER_MINUTE + (int64_t)second * MS_PER_SECOND + ms;
    return true;
}

// Z, +02:00, +0200 or +02; up to 18 hours, as java.time.
static bool take_zone(text_cursor *text, int64_t *out_offset_ms)
{
    *out_offset_ms = 0;
    if (take_char(text, 'Z'))
        return true;
    bool west = take_char(text, '-');
    unsigned hours, minutes = 0;
    if ((!west && !take_char(text, '+')) || !take_digits(text, 2, 18, &hours))
        return false;
    bool colon = take_char(text, ':');
    if (!at_end(text) && !take_digits(text, 2, 59, &minutes))
        return false;
    if (colon && text->cursor[-1] == ':')
        return false;
    int64_t offset = (int64_t)hours * MS_PER_HOUR + (int64_t)minutes * MS_PER_MINUTE;
    *out_offset_ms = west ? -offset : offset;
    return offset <= 18 * (int64_t)MS_PER_HOUR;
}

bool leat_timestamp_parse(leat_slice text, int64_t *out_ms, bool *out_has_zone)
{
    text_cursor rest = cursor_of(text);
    int64_t days, ms_of_day, offset_ms = 0;
    if (!take_date(&rest, &days) || (!take_char(&rest, ' ') && !take_char(&rest, 'T')) || !take_time(&rest, &ms_of_day))
        return false;
    bool has_zone = !at_end(&rest);
    if (has_zone && (!out_has_zone || !take_zone(&rest, &offset_ms) || !at_end(&rest)))
        return false;
    if (out_has_zone)
        *out_has_zone = has_zone;
    *out_ms = days * MS_PER_DAY + ms_of_day - offset_ms;
    return true;
}

bool leat_date_parse(leat_slice text, int64_t *out_days)
{
    text_cursor rest = cursor_of(text);
    int64_t days;
    if (!take_date(&rest, &days) || !at_end(&rest))
        return false;
    *out_days = days;
    return true;
}

bool leat_time_parse(leat_slice text, int64_t *out_ms_of_day)
{
    text_cursor rest = cursor_of(text);
    int64_t ms_of_day;
    if (!take_time(&rest, &ms_of_day) || !at_end(&rest))
        return false;
    *out_ms_of_day = ms_of_day;
    return true;
}

static char *put_digits(char *cursor, unsigned value, unsigned count)
{
    for (unsigned i = count; i > 0; i--) {
        cursor[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return cursor + count;
}

static char *put_date(char *cursor, int64_t days)
{
    civil_day day = civil_from_days(days);
    if (day.year >= 0 && day.year <= 9999)
        cursor = put_digits(cursor, (unsigned)day.year, 4);
    else // outside of the calendar's promise: shown all the same, at most 11 characters
        cursor += snprintf(cursor, 12, "%05d", (int)day.year);
    *cursor++ = '-';
    cursor = put_digits(cursor, day.month, 2);
    *cursor++ = '-';
    return put_digits(cursor, day.day, 2);
}

static char *put_time(char *cursor, unsigned ms_of_day)
{
    cursor = put_digits(cursor, ms_of_day / MS_PER_HOUR, 2);
    *cursor++ = ':';
    cursor = put_digits(cursor, ms_of_day / MS_PER_MINUTE % 60, 2);
    *cursor++ = ':';
    cursor = put_digits(cursor, ms_of_day / MS_PER_SECOND % 60, 2);
    *cursor++ = '.';
    return put_digits(cursor, ms_of_day % MS_PER_SECOND, 3);
}

static size_t finish(const char *begin, char *cursor)
{
    *cursor = 0;
    return (size_t)(cursor - begin);
}

size_t leat_timestamp_print(int64_t ms, char separator, char out_text[LEAT_TIMESTAMP_TEXT])
{
    char *cursor = put_date(out_text, floor_divide(ms, MS_PER_DAY));
    *cursor++ = separator;
    return finish(out_text, put_time(cursor, (unsigned)floor_modulo(ms, MS_PER_DAY)));
}

size_t leat_date_print(int64_t days, char out_text[LEAT_TIMESTAMP_TEXT])
{
    // Days beyond what milliseconds can say have no year of 32 bits.
    if (days > DAYS_OF_INT64_MS)
        days = DAYS_OF_INT64_MS;
    if (days < -DAYS_OF_INT64_MS)
        days = -DAYS_OF_INT64_MS;
    return finish(out_text, put_date(out_text, days));
}

size_t leat_time_print(int64_t ms_of_day, char out_text[LEAT_TIMESTAMP_TEXT])
{
    return finish(out_text, put_time(out_text, (unsigned)floor_modulo(ms_of_day, MS_PER_DAY)));
}

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

// Largest first: the order of printing.
static const unit duration_units[] = {
    {"d", MS_PER_DAY}, {"h", MS_PER_HOUR}, {"m", MS_PER_MINUTE}, {"s", MS_PER_SECOND}, {"ms", 1},
};

static const unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"kB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
    {"KiB", 1ull << 10},
    {"MiB", 1ull << 20},
    {"GiB", 1ull << 30},
    {"TiB", 1ull << 40},
};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static bool take_amount(text_cursor *text, uint64_t *out_amount)
{
    if (!next_is_digit(text))
        return false;
    uint64_t amount = 0;
    for (; next_is_digit(text); text->cursor++)
        if (__builtin_mul_overflow(amount, 10u, &amount) ||
            __builtin_add_overflow(amount, (uint64_t)(*text->cursor - '0'), &amount))
            return false;
    *out_amount = amount;
    return true;
}

static leat_slice take_letters(text_cursor *text)
{
    const char *first = text->cursor;
    while (!at_end(text) && ((*text->cursor | 32) >= 'a' && (*text->cursor | 32) <= 'z'))
        text->cursor++;
    return leat_slice_of(first, (size_t)(text->cursor - first));
}

static bool take_duration(text_cursor *text, int64_t *sum_ms)
{
    uint64_t amount, factor = 0, ms;
    if (!take_amount(text, &amount))
        return false;
    leat_slice name = take_letters(text);
    for (size_t i = 0; i < COUNT_OF(duration_units); i++)
        if (leat_slice_is(name, duration_units[i].name))
            factor = duration_units[i].factor;
    return factor && !__builtin_mul_overflow(amount, factor, &ms) && !__builtin_add_overflow(*sum_ms, ms, sum_ms);
}

bool leat_duration_parse(leat_slice text, int64_t *out_ms)
{
    text_cursor rest = cursor_of(text);
    int64_t sum_ms = 0;
    do {
        if (!take_duration(&rest, &sum_ms))
            return false;
    } while (!at_end(&rest));
    *out_ms = sum_ms;
    return true;
}

size_t leat_duration_print(int64_t ms, char out_text[LEAT_TIMESTAMP_TEXT])
{
    uint64_t rest = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (rest == 0)
        return (size_t)snprintf(out_text, LEAT_TIMESTAMP_TEXT, "0s");
    size_t size = 0;
    if (ms < 0)
        out_text[size++] = '-';
    for (size_t i = 0; i < COUNT_OF(duration_units); i++) {
        uint64_t amount = rest / duration_units[i].factor;
        rest %= duration_units[i].factor;
        if (amount)
            size += (size_t)snprintf(out_text + size, LEAT_TIMESTAMP_TEXT - size, "%llu%s", (unsigned long long)amount,
                                     duration_units[i].name);
    }
    return size;
}

bool leat_size_parse(leat_slice text, uint64_t *out_bytes)
{
    text_cursor rest = cursor_of(text);
    uint64_t amount;
    if (!take_amount(&rest, &amount))
        return false;
    if (take_char(&rest, ' ') && at_end(&rest))
        return false;
    leat_slice name = take_letters(&rest);
    if (!at_end(&rest))
        return false;
    for (size_t i = 0; i < COUNT_OF(size_units); i++)
        if (leat_slice_is_nocase(name, size_units[i].name))
            return !__builtin_mul_overflow(amount, size_units[i].factor, out_bytes);
    return false;
}
