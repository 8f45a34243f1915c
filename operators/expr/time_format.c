#include <string.h>

#include "operators/expr/time_format.h"

enum { DAY_MS = 86400000 };

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

static bool is_letter(char letter) { return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z'); }

static size_t run_of(leat_slice pattern, size_t at)
{
    size_t size = 1;
    while (at + size < pattern.size && pattern.data[at + size] == pattern.data[at])
        size++;
    return size;
}

static void write_number(leat_writer *out, int width, int value) { leat_write_format(out, "%0*d", width, value); }

static void write_name(leat_writer *out, const char *name, size_t width)
{
    leat_write_bytes(out, name, width < 4 ? 3 : strlen(name));
}

// Milliseconds as a fraction of as many digits as there are letters.
static void write_fraction(leat_writer *out, size_t width, int millisecond)
{
    int digits[3] = {millisecond / 100, millisecond / 10 % 10, millisecond % 10};
    for (size_t i = 0; i < width; i++)
        leat_write_u8(out, (uint8_t)('0' + (i < 3 ? digits[i] : 0)));
}

static int hour_of_12(int hour) { return hour % 12 ? hour % 12 : 12; }

static void write_field(leat_writer *out, char letter, size_t width, const leat_civil *civil, int64_t day)
{
    switch (letter) {
    case 'D':
        write_number(out, (int)width, (int)(day - leat_days_from_civil(civil->year, 1, 1)) + 1);
        return;
    case 'y':
    case 'u':
        write_number(out, width == 2 ? 2 : (int)width, width == 2 ? civil->year % 100 : civil->year);
        return;
    case 'M':
    case 'L':
        if (width > 2)
            write_name(out, months[civil->month - 1], width);
        else
            write_number(out, (int)width, civil->month);
        return;
    case 'd':
        write_number(out, (int)width, civil->day);
        return;
    case 'H':
        write_number(out, (int)width, civil->hour);
        return;
    case 'h':
        write_number(out, (int)width, hour_of_12(civil->hour));
        return;
    case 'k':
        write_number(out, (int)width, civil->hour ? civil->hour : 24);
        return;
    case 'm':
        write_number(out, (int)width, civil->minute);
        return;
    case 's':
        write_number(out, (int)width, civil->second);
        return;
    case 'S':
        write_fraction(out, width, civil->millisecond);
        return;
    case 'K':
        write_number(out, (int)width, civil->hour % 12);
        return;
    case 'Q':
        write_number(out, (int)width, (civil->month + 2) / 3);
        return;
    case 'G':
        leat_write_text(out, "AD");
        return;
    case 'a':
        leat_write_text(out, civil->hour < 12 ? "AM" : "PM");
        return;
    case 'E':
        write_name(out, days[((day + 4) % 7 + 7) % 7], width);
        return;
    default:
        while (width--)
            leat_write_u8(out, (uint8_t)letter);
    }
}

// Quoted text up to the closing quote; '' is a quote. Returns one past it.
static size_t quoted_end(leat_slice pattern, size_t at)
{
    for (at++; at < pattern.size; at++)
        if (pattern.data[at] == '\'') {
            if (at + 1 < pattern.size && pattern.data[at + 1] == '\'')
                at++;
            else
                return at + 1;
        }
    return at;
}

static size_t write_quoted(leat_slice pattern, size_t at, leat_writer *out)
{
    if (at + 1 < pattern.size && pattern.data[at + 1] == '\'') {
        leat_write_u8(out, '\'');
        return at + 2;
    }
    size_t end = quoted_end(pattern, at);
    for (size_t i = at + 1; i + 1 < end; i++) {
        if (pattern.data[i] == '\'')
            i++;
        leat_write_u8(out, (uint8_t)pattern.data[i]);
    }
    return end;
}

void leat_time_format(leat_slice pattern, int64_t local_ms, leat_writer *out)
{
    leat_civil civil;
    leat_civil_from_ms(local_ms, &civil);
    int64_t day = leat_days_from_civil(civil.year, civil.month, civil.day);
    for (size_t i = 0; i < pattern.size;) {
        if (pattern.data[i] == '\'') {
            i = write_quoted(pattern, i, out);
            continue;
        }
        size_t width = is_letter(pattern.data[i]) ? run_of(pattern, i) : 1;
        write_field(out, pattern.data[i], width, &civil, day);
        i += width;
    }
}

// -- reading

static bool read_number(leat_slice *text, size_t digits_max, int *out)
{
    size_t size = 0;
    int value = 0;
    while (size < text->size && size < digits_max && text->data[size] >= '0' && text->data[size] <= '9')
        value = value * 10 + (text->data[size++] - '0');
    *text = leat_slice_of(text->data + size, text->size - size);
    *out = value;
    return size > 0;
}

static bool read_name(leat_slice *text, const char *const *names, int count, size_t width, int *out)
{
    for (int i = 0; i < count; i++) {
        size_t size = width < 4 ? 3 : strlen(names[i]);
        if (text->size < size || !leat_slice_equal(leat_slice_of(text->data, size), leat_slice_of(names[i], size)))
            continue;
        *text = leat_slice_of(text->data + size, text->size - size);
        *out = i + 1;
        return true;
    }
    return false;
}

typedef struct parsed {
    int year, month, day, hour, minute, second, millisecond;
    int half; // 0 AM, 1 PM, -1 not given
} parsed;

static bool read_fraction(leat_slice *text, size_t width, int *out)
{
    int value = 0;
    for (size_t i = 0; i < width; i++) {
        if (i >= text->size || text->data[i] < '0' || text->data[i] > '9')
            return false;
        if (i < 3)
            value = value * 10 + (text->data[i] - '0');
    }
    for (size_t i = width; i < 3; i++)
        value *= 10;
    *out = value;
    *text = leat_slice_of(text->data + width, text->size - width);
    return true;
}

static bool read_half(leat_slice *text, int *out)
{
    if (text->size < 2 || (text->data[1] | 32) != 'm')
        return false;
    char letter = (char)(text->data[0] | 32);
    *out = letter == 'p';
    *text = leat_slice_of(text->data + 2, text->size - 2);
    return letter == 'a' || letter == 'p';
}

// A field that another one follows at once must take exactly its width: yyyyMMdd.
static bool read_field(leat_slice *text, char letter, size_t width, bool tight, parsed *out)
{
    size_t digits = tight || width > 2 ? width : 2;
    int ignored;
    switch (letter) {
    case 'y':
    case 'u':
        if (!read_number(text, width == 2 ? 2 : tight ? width : 4, &out->year))
            return false;
        out->year += width == 2 ? 2000 : 0;
        return true;
    case 'M':
    case 'L':
        return width > 2 ? read_name(text, months, 12, width, &out->month) : read_number(text, digits, &out->month);
    case 'd':
        return read_number(text, digits, &out->day);
    case 'H':
    case 'k':
    case 'h':
        return read_number(text, digits, &out->hour);
    case 'm':
        return read_number(text, digits, &out->minute);
    case 's':
        return read_number(text, digits, &out->second);
    case 'S':
        return read_fraction(text, width, &out->millisecond);
    case 'a':
        return read_half(text, &out->half);
    case 'E':
        return read_name(text, days, 7, width, &ignored);
    default:
        return false;
    }
}

static bool read_literal(leat_slice *text, char letter)
{
    if (text->size == 0 || text->data[0] != letter)
        return false;
    *text = leat_slice_of(text->data + 1, text->size - 1);
    return true;
}

static bool finish(parsed *fields, int64_t *out_ms)
{
    if (fields->half >= 0)
        fields->hour = fields->hour % 12 + fields->half * 12;
    if (fields->hour == 24)
        fields->hour = 0;
    bool fits = fields->year >= 1 && fields->year <= 9999 && fields->month >= 1 && fields->month <= 12 &&
                fields->day >= 1 && fields->hour < 24 && fields->minute < 60 && fields->second < 60;
    if (!fits || (unsigned)fields->day > leat_days_in_month(fields->year, (unsigned)fields->month))
        return false;
    leat_civil civil = {fields->year,
                        (uint8_t)fields->month,
                        (uint8_t)fields->day,
                        (uint8_t)fields->hour,
                        (uint8_t)fields->minute,
                        (uint8_t)fields->second,
                        (uint16_t)fields->millisecond};
    *out_ms = leat_civil_to_ms(&civil);
    return true;
}

bool leat_time_unformat(leat_slice pattern, leat_slice text, int64_t *out_local_ms)
{
    parsed fields = {1970, 1, 1, 0, 0, 0, 0, -1};
    for (size_t i = 0; i < pattern.size;) {
        if (pattern.data[i] == '\'') {
            size_t end = quoted_end(pattern, i);
            for (size_t k = i + 1; k + 1 < end; k++)
                if (!read_literal(&text, pattern.data[k]))
                    return false;
            i = end;
            continue;
        }
        size_t width = is_letter(pattern.data[i]) ? run_of(pattern, i) : 1;
        bool tight = i + width < pattern.size && is_letter(pattern.data[i + width]);
        bool ok = is_letter(pattern.data[i]) ? read_field(&text, pattern.data[i], width, tight, &fields)
                                             : read_literal(&text, pattern.data[i]);
        if (!ok)
            return false;
        i += width;
    }
    return text.size == 0 && finish(&fields, out_local_ms);
}

// -- without a pattern

static bool take(leat_slice *text, char letter) { return read_literal(text, letter); }

static leat_slice without_blanks(leat_slice text)
{
    while (text.size && (unsigned char)text.data[0] <= ' ')
        text = leat_slice_of(text.data + 1, text.size - 1);
    while (text.size && (unsigned char)text.data[text.size - 1] <= ' ')
        text.size--;
    return text;
}

static bool read_year(leat_slice *text, int *out)
{
    size_t before = text->size;
    return read_number(text, 4, out) && before - text->size == 4;
}

// .123456789; the digits may be missing.
static bool read_rest_of_second(leat_slice *text, int *out_ms)
{
    int unit = 100;
    size_t digits = 0;
    *out_ms = 0;
    if (!take(text, '.'))
        return true;
    for (; text->size && text->data[0] >= '0' && text->data[0] <= '9'; digits++, unit /= 10) {
        *out_ms += (text->data[0] - '0') * unit;
        *text = leat_slice_of(text->data + 1, text->size - 1);
    }
    return digits <= 9;
}

static bool read_clock(leat_slice *text, parsed *out)
{
    return read_number(text, 2, &out->hour) && take(text, ':') && read_number(text, 2, &out->minute) &&
           take(text, ':') && read_number(text, 2, &out->second) && read_rest_of_second(text, &out->millisecond);
}

bool leat_time_read(leat_slice text, int64_t *out_local_ms)
{
    parsed fields = {1970, 1, 1, 0, 0, 0, 0, -1};
    bool read = read_year(&text, &fields.year) && take(&text, '-') && read_number(&text, 2, &fields.month) &&
                take(&text, '-') && read_number(&text, 2, &fields.day);
    if (!read || (text.size && !(take(&text, ' ') && read_clock(&text, &fields))) || text.size)
        return false;
    bool midnight = fields.hour == 24 && !fields.minute && !fields.second && !fields.millisecond; // of the next day
    if (fields.month < 1 || fields.month > 12 || fields.day > 31 || (fields.hour > 23 && !midnight))
        return false;
    int last = (int)leat_days_in_month(fields.year ? fields.year : 4, (unsigned)fields.month);
    fields.day = fields.day > last ? last : fields.day;
    if (!finish(&fields, out_local_ms))
        return false;
    *out_local_ms += midnight ? DAY_MS : 0;
    return true;
}

// A number by itself between blanks.
static bool whole_number(leat_slice text, int *out)
{
    text = without_blanks(text);
    return text.size <= 9 && read_number(&text, 9, out) && text.size == 0;
}

static leat_slice up_to(leat_slice *text, char letter)
{
    size_t size = 0;
    while (size < text->size && text->data[size] != letter)
        size++;
    leat_slice part = leat_slice_of(text->data, size);
    size += size < text->size;
    *text = leat_slice_of(text->data + size, text->size - size);
    return part;
}

static bool has_dash(leat_slice text) { return text.size && memchr(text.data, '-', text.size); }

bool leat_day_read(leat_slice text, int64_t *out_days)
{
    int year, month = 1, day = 1;
    if (text.size && text.data[0] != ' ')
        text = up_to(&text, ' ');
    bool has_month = has_dash(text), has_day = false;
    leat_slice part = up_to(&text, '-');
    if (!whole_number(part, &year))
        return false;
    if (has_month) {
        has_day = has_dash(text);
        part = up_to(&text, '-');
        if (!whole_number(part, &month) || (has_day && !whole_number(text, &day)))
            return false;
    }
    if (year > 9999 || month < 1 || month > 12 || day < 1 || day > (int)leat_days_in_month(year, (unsigned)month))
        return false;
    *out_days = leat_days_from_civil(year, (unsigned)month, (unsigned)day);
    return true;
}

static bool read_lenient(leat_slice *text, int *out)
{
    while (text->size && (text->data[0] == ' ' || text->data[0] == '\t'))
        *text = leat_slice_of(text->data + 1, text->size - 1);
    return read_number(text, 9, out);
}

static bool carried(const int field[6], int64_t *out_local_ms)
{
    int64_t since = (int64_t)field[0] * 12 + field[1] - 1;
    if (since < 0 || since > 12 * 9999)
        return false;
    int64_t count = leat_days_from_civil((int32_t)(since / 12), (unsigned)(since % 12) + 1, 1) + field[2] - 1;
    *out_local_ms = (((count * 24 + field[3]) * 60 + field[4]) * 60 + field[5]) * 1000;
    return true;
}

// Numbers with these letters between them.
static bool read_lenient_fields(leat_slice *text, const char *between, int *out_fields)
{
    for (int i = 0;; i++) {
        if (!read_lenient(text, &out_fields[i]))
            return false;
        if (!between[i])
            return true;
        if (!take(text, between[i]))
            return false;
    }
}

bool leat_time_read_lenient(leat_slice text, int64_t *out_local_ms)
{
    int field[6];
    return read_lenient_fields(&text, "-- ::", field) && carried(field, out_local_ms);
}

bool leat_time_read_otherwise(leat_slice text, int64_t *out_local_ms)
{
    int field[6] = {0}, ms = 0;
    text = without_blanks(text);
    bool clock = text.size && memchr(text.data, ' ', text.size);
    if (!read_lenient_fields(&text, clock ? "-- ::" : "--", field) || (clock && !read_rest_of_second(&text, &ms)))
        return false;
    if (text.size || field[1] < 1 || field[1] > 12 || field[2] < 1 || field[2] > 31 || !carried(field, out_local_ms))
        return false;
    *out_local_ms += ms;
    return true;
}
