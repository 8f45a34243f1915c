#include "drivers/format/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drivers/format/number_scan.h"
#include "operators/base/calendar.h"

static const char out_of_range[] = "is out of range";
static const char not_an_integer[] = "is not an integer";
static const char not_a_number[] = "is not a number";
static const char not_a_timestamp[] = "is not a timestamp";

// Years 1 to 9999, as the calendar's texts.
#define INSTANT_MIN (-62135596800000)
#define INSTANT_MAX 253402300799999
#define NS_PER_MS 1000000

static const char *text_to_boolean(leat_slice text, leat_value *out)
{
    bool yes = leat_slice_is_nocase(text, "true") || leat_slice_is(text, "1");
    if (!yes && !leat_slice_is_nocase(text, "false") && !leat_slice_is(text, "0"))
        return "is neither true nor false";
    out->boolean = yes;
    return NULL;
}

static const char *text_to_integer(leat_type type, leat_slice text, leat_value *out)
{
    leat_scanned_number number;
    leat_slice digits = text;
    if (digits.size && *digits.data == '+')
        digits = leat_slice_of(digits.data + 1, digits.size - 1);
    const char *end = digits.data + digits.size;
    // Leading zeros are no integers to JSON; here they are ("007").
    while (digits.size > 1 && digits.data[0] == '0' && (unsigned char)(digits.data[1] - '0') < 10)
        digits = leat_slice_of(digits.data + 1, digits.size - 1);
    if (!digits.size || !leat_scan_number(&number, digits.data, end) || number.end != end)
        return not_an_integer;
    switch (leat_scanned_integer(&number, &out->i64)) {
    case LEAT_SCANNED_FRACTION:
        return "has a fraction";
    case LEAT_SCANNED_RANGE:
        return out_of_range;
    case LEAT_SCANNED_OK:
        break;
    }
    bool bounded = leat_type_is_integer(type);
    return bounded && (out->i64 < leat_integer_min(type) || out->i64 > leat_integer_max(type)) ? out_of_range : NULL;
}

static const char *text_to_double(leat_type type, leat_slice text, leat_value *out)
{
    leat_scanned_number number;
    const char *end = text.data + text.size;
    bool scanned = text.size && leat_scan_number(&number, text.data, end) && number.end == end;
    if (scanned && !leat_scanned_double(&number, &out->f64))
        return out_of_range;
    if (!scanned && !leat_double_parse(text, &out->f64))
        return not_a_number;
    bool named = !scanned && (text.data[text.size - 1] == 'N' || text.data[text.size - 1] == 'y'); // NaN, Infinity
    if (!named && !isfinite(out->f64))
        return out_of_range;
    if (type.kind == LEAT_KIND_FLOAT) {
        float rounded = (float)out->f64;
        if (!named && !isfinite(rounded))
            return out_of_range;
        out->f64 = rounded;
    }
    return NULL;
}

const char *leat_decimal_from_text(leat_type type, leat_slice text, leat_i128 *out_unscaled)
{
    double ignored;
    if (leat_decimal_parse(text, type.scale, out_unscaled))
        return leat_decimal_fits(*out_unscaled, type.precision) ? NULL : out_of_range;
    return leat_double_parse(text, &ignored) && isfinite(ignored) ? out_of_range : not_a_number;
}

static int64_t floor_divide(leat_i128 value, int64_t divisor)
{
    leat_i128 quotient = value / divisor;
    return (int64_t)(quotient - (value % divisor < 0));
}

static bool whole_to_ms(leat_time_unit unit, int64_t whole, int64_t *out_ms)
{
    *out_ms = unit == LEAT_TIME_UNIT_NS   ? floor_divide(whole, NS_PER_MS)
              : unit == LEAT_TIME_UNIT_US ? floor_divide(whole, 1000)
                                          : whole;
    return unit != LEAT_TIME_UNIT_S || !__builtin_mul_overflow(whole, 1000, out_ms);
}

// A fraction, or more digits than 64 bits hold. Nanoseconds need 19 digits: boards with narrow decimals count microseconds.
static bool fraction_to_ms(leat_time_unit unit, leat_slice text, int64_t *out_ms)
{
    enum { FEWER = LEAT_DECIMAL_DIGITS < 38 ? 3 : 0, PER_MS = LEAT_DECIMAL_DIGITS < 38 ? 1000 : NS_PER_MS };
    // Decimals that make nanoseconds of the unit.
    static const unsigned scales[] = {
        [LEAT_TIME_UNIT_S] = 9, [LEAT_TIME_UNIT_MS] = 6, [LEAT_TIME_UNIT_US] = 3, [LEAT_TIME_UNIT_NS] = 0};
    bool whole = unit == LEAT_TIME_UNIT_NS;
    leat_i128 parts, per_ms = whole ? NS_PER_MS : PER_MS;
    if (!leat_decimal_parse(text, whole ? 0 : scales[unit] - FEWER, &parts) || parts / per_ms > INSTANT_MAX ||
        parts / per_ms < INSTANT_MIN)
        return false;
    *out_ms = floor_divide(parts, per_ms);
    return true;
}

const char *leat_number_to_instant(leat_time_unit unit, leat_slice text, int64_t *out_ms)
{
    leat_scanned_number number;
    int64_t whole, ms;
    if (unit < LEAT_TIME_UNIT_S || unit > LEAT_TIME_UNIT_NS)
        return not_a_timestamp;
    bool is_whole = leat_scan_number(&number, text.data, text.data + text.size) && number.integral &&
                    leat_scanned_integer(&number, &whole) == LEAT_SCANNED_OK;
    if (!(is_whole ? whole_to_ms(unit, whole, &ms) : fraction_to_ms(unit, text, &ms)) || ms < INSTANT_MIN ||
        ms > INSTANT_MAX)
        return out_of_range;
    *out_ms = ms;
    return NULL;
}

static const char *text_to_instant(const leat_source_field *field, leat_slice text, leat_value *out)
{
    bool has_zone;
    if (field->time_unit != LEAT_TIME_UNIT_NONE && field->time_unit != LEAT_TIME_UNIT_ISO) {
        leat_scanned_number number;
        const char *end = text.data + text.size;
        if (!text.size || !leat_scan_number(&number, text.data, end) || number.end != end)
            return not_a_number;
        return leat_number_to_instant(field->time_unit, text, &out->i64);
    }
    return leat_timestamp_parse(text, &out->i64, &has_zone) ? NULL : not_a_timestamp;
}

static int base64_digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

// RFC 4648, both alphabets, padding optional.
static const char *text_to_bytes(leat_slice text, leat_arena *arena, leat_value *out)
{
    static const char not_base64[] = "is not base64";
    size_t size = text.size;
    for (unsigned padding = 0; padding < 2 && size && text.data[size - 1] == '=' && text.size % 4 == 0; padding++)
        size--;
    if (size % 4 == 1)
        return not_base64;
    uint8_t *bytes = leat_arena_alloc_aligned(arena, size / 4 * 3 + 3, 1);
    size_t count = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        int digit = base64_digit((unsigned char)text.data[i]);
        if (digit < 0)
            return not_base64;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 > 0)
            bytes[count++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    out->text = leat_slice_of((const char *)bytes, count);
    return NULL;
}

void leat_base64_write(leat_writer *out, leat_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t left = bytes.size - at;
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++)
            bits = bits << 8 | (i < left ? (uint8_t)bytes.data[at + i] : 0);
        char text[4] = {digits[bits >> 18], digits[bits >> 12 & 63], left > 1 ? digits[bits >> 6 & 63] : '=',
                        left > 2 ? digits[bits & 63] : '='};
        leat_write_bytes(out, text, sizeof text);
    }
}

const char *leat_quoted_to_value(const leat_source_field *field, leat_slice text, leat_arena *arena, leat_value *out)
{
    static const char wrong_kind[] = "is not of that kind";
    out->is_null = false;
    switch ((leat_kind)field->type.kind) {
    case LEAT_KIND_STRING:
        out->text = text;
        return NULL;
    case LEAT_KIND_DECIMAL:
        return leat_decimal_from_text(field->type, text, &out->i128);
    case LEAT_KIND_BYTES:
        return text_to_bytes(text, arena, out);
    case LEAT_KIND_DATE:
        return leat_date_parse(text, &out->i64) ? NULL : "is not a date";
    case LEAT_KIND_TIME:
        return leat_time_parse(text, &out->i64) ? NULL : "is not a time of day";
    case LEAT_KIND_TIMESTAMP:
    case LEAT_KIND_TIMESTAMP_LTZ:
        if (field->time_unit != LEAT_TIME_UNIT_NONE && field->time_unit != LEAT_TIME_UNIT_ISO)
            return "is text, and the field's instants are numbers";
        return text_to_instant(field, text, out);
    case LEAT_KIND_INTERVAL:
        return leat_duration_parse(text, &out->i64) ? NULL : "is not a duration";
    default:
        return wrong_kind;
    }
}

const char *leat_text_to_value(const leat_source_field *field, leat_slice text, leat_arena *arena, leat_value *out)
{
    out->is_null = false;
    switch ((leat_kind)field->type.kind) {
    case LEAT_KIND_NULL:
        out->is_null = true;
        return NULL;
    case LEAT_KIND_BOOLEAN:
        return text_to_boolean(text, out);
    case LEAT_KIND_TINYINT:
    case LEAT_KIND_SMALLINT:
    case LEAT_KIND_INT:
    case LEAT_KIND_BIGINT:
    case LEAT_KIND_INTERVAL_MONTH:
        return text_to_integer(field->type, text, out);
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
        return text_to_double(field->type, text, out);
    case LEAT_KIND_TIMESTAMP:
    case LEAT_KIND_TIMESTAMP_LTZ:
        return text_to_instant(field, text, out);
    case LEAT_KIND_STRING:
        if (leat_utf8_valid(text.data, text.size) != text.size)
            return "is not UTF-8";
        out->text = text;
        return NULL;
    default:
        return leat_quoted_to_value(field, text, arena, out);
    }
}

// Length of the valid sequence that begins with a byte of at least 0x80; 0: none.
static size_t utf8_sequence(const unsigned char *p, size_t size)
{
    unsigned char lead = p[0];
    size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || size < length)
        return 0;
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

size_t leat_utf8_valid(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        while (size - at >= 8 && (leat_load_eight(text + at) & 0x8080808080808080) == 0)
            at += 8;
        if (at == size)
            break;
        if ((unsigned char)text[at] < 0x80) {
            at++;
            continue;
        }
        size_t length = utf8_sequence((const unsigned char *)text + at, size - at);
        if (length == 0)
            return at;
        at += length;
    }
    return at;
}

void leat_misfit_print(char out_text[LEAT_REASON_TEXT], leat_type type, leat_slice found, const char *reason)
{
    char type_text[LEAT_TYPE_TEXT];
    size_t shown = found.size < 48 ? found.size : 48;
    while (shown && shown < found.size && ((unsigned char)found.data[shown] & 0xC0) == 0x80)
        shown--; // never in the middle of a character
    snprintf(out_text, LEAT_REASON_TEXT, "expected %.100s, found %.*s%s: %s", leat_type_print(type, type_text),
             (int)shown, found.size ? found.data : "", shown < found.size ? "..." : "", reason);
}
