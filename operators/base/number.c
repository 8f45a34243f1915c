#include "operators/base/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operators/base/number_scan.h"

enum {
    MANTISSA_DIGITS = 19,      // always fit into 64 bits
    EXPONENT_CUT = 1000000000, // far beyond what the digits of any text in memory can make up for
    DIGITS_DECIDING = 780,     // no double needs more than 768 digits to be told from its neighbour's midpoint
    POWERS_EXACT = 22,         // 10^22 is the last power of ten that is a double
};

_Static_assert(FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 16, "the fast path needs one rounding, to double");

static const double powers[POWERS_EXACT + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }

static const char *scan_digits(leat_number_scan *scan, const char *cursor, const char *end)
{
    for (; cursor < end && is_digit(*cursor); cursor++) {
        if (scan->significant == MANTISSA_DIGITS) {
            scan->dropped++;
            continue;
        }
        scan->mantissa = scan->mantissa * 10 + (uint64_t)(*cursor - '0');
        scan->significant += scan->mantissa != 0;
    }
    return cursor;
}

static const char *scan_exponent(int64_t *out_exponent, const char *cursor, const char *end)
{
    bool negative = cursor < end && *cursor == '-';
    if (cursor < end && (*cursor == '-' || *cursor == '+'))
        cursor++;
    int64_t exponent = 0;
    const char *first = cursor;
    for (; cursor < end && is_digit(*cursor); cursor++)
        if (exponent < EXPONENT_CUT)
            exponent = exponent * 10 + (*cursor - '0');
    *out_exponent = negative ? -exponent : exponent;
    return cursor > first ? cursor : NULL;
}

bool leat_number_scan_text(leat_number_scan *scan, const char *text, const char *end)
{
    *scan = (leat_number_scan){0};
    const char *cursor = text;
    scan->has_sign = cursor < end && (*cursor == '-' || *cursor == '+');
    scan->negative = scan->has_sign && *cursor == '-';
    cursor += scan->has_sign;
    scan->digits = cursor;
    cursor = scan_digits(scan, cursor, end);
    scan->integer_digits = cursor - scan->digits;
    if (cursor < end && *cursor == '.') {
        const char *first = cursor + 1;
        scan->has_point = true;
        cursor = scan_digits(scan, first, end);
        scan->fraction_digits = cursor - first;
    }
    scan->digits_end = cursor;
    if (scan->integer_digits + scan->fraction_digits == 0)
        return false;
    if (cursor < end && (*cursor == 'e' || *cursor == 'E')) {
        scan->has_exponent = true;
        cursor = scan_exponent(&scan->exponent, cursor + 1, end);
        if (!cursor)
            return false;
    }
    scan->exponent += scan->dropped - scan->fraction_digits;
    scan->end = cursor;
    return true;
}

// strtod decides where the fast path cannot. It gets digits and an exponent but no point, which keeps the locale out, and
// digits past the deciding ones only as a last "1" that says whether any of them was not 0.
static double magnitude_slow(const leat_number_scan *scan)
{
    char text[DIGITS_DECIDING + 32];
    size_t size = 0;
    int64_t cut = 0;
    bool rest = false;
    for (const char *cursor = scan->digits; cursor < scan->digits_end; cursor++) {
        if (*cursor == '.' || (size == 0 && *cursor == '0'))
            continue;
        if (size < DIGITS_DECIDING) {
            text[size++] = *cursor;
            continue;
        }
        rest |= *cursor != '0';
        cut++;
    }
    int64_t exponent = scan->exponent - scan->dropped + cut;
    if (rest) {
        text[size++] = '1';
        exponent--;
    }
    if (exponent > 9999)
        exponent = 9999;
    if (exponent < -9999)
        exponent = -9999;
    snprintf(text + size, sizeof text - size, "e%d", (int)exponent);
    return strtod(text, NULL);
}

static double magnitude(const leat_number_scan *scan)
{
    if (scan->mantissa == 0)
        return 0;
    if (scan->dropped == 0 && scan->exponent == 0)
        return (double)scan->mantissa;
    if (scan->dropped == 0 && scan->mantissa <= 1ull << 53) {
        double mantissa = (double)scan->mantissa;
        if (scan->exponent >= 0 && scan->exponent <= POWERS_EXACT)
            return mantissa * powers[scan->exponent];
        if (scan->exponent < 0 && scan->exponent >= -POWERS_EXACT)
            return mantissa / powers[-scan->exponent];
    }
    return magnitude_slow(scan);
}

static double scan_value(const leat_number_scan *scan)
{
    double value = magnitude(scan);
    return scan->negative ? -value : value;
}

static bool scan_integer(const leat_number_scan *scan, int64_t *out_integer)
{
    if (scan->has_point || scan->has_exponent || scan->dropped || scan->mantissa > (uint64_t)INT64_MAX + scan->negative)
        return false;
    *out_integer = (int64_t)(scan->negative ? 0 - scan->mantissa : scan->mantissa);
    return true;
}

// What JSON forbids of that which the scanner takes: +1, 01, .5 and 5.
static bool is_json_number(const leat_number_scan *scan)
{
    bool has_plus = scan->has_sign && !scan->negative;
    bool leading_zero = scan->integer_digits > 1 && *scan->digits == '0';
    return !has_plus && !leading_zero && scan->integer_digits > 0 && (!scan->has_point || scan->fraction_digits > 0);
}

bool leat_number_parse(const char *text, const char *end, double *out_value, bool *out_is_integer, int64_t *out_integer,
                       const char **out_end)
{
    leat_number_scan scan;
    if (!leat_number_scan_text(&scan, text, end) || !is_json_number(&scan))
        return false;
    int64_t integer = 0;
    bool is_integer = scan_integer(&scan, &integer);
    if (out_is_integer)
        *out_is_integer = is_integer;
    if (out_integer && is_integer)
        *out_integer = integer;
    *out_value = scan_value(&scan);
    *out_end = scan.end;
    return true;
}

static bool parse_named(leat_slice text, double *out_value)
{
    if (leat_slice_is(text, "NaN"))
        *out_value = NAN;
    else if (leat_slice_is(text, "Infinity") || leat_slice_is(text, "+Infinity"))
        *out_value = INFINITY;
    else if (leat_slice_is(text, "-Infinity"))
        *out_value = -INFINITY;
    else
        return false;
    return true;
}

static bool scan_whole(leat_number_scan *scan, leat_slice text)
{
    const char *end = text.size ? text.data + text.size : text.data;
    return text.size && leat_number_scan_text(scan, text.data, end) && scan->end == end;
}

bool leat_double_parse(leat_slice text, double *out_value)
{
    leat_number_scan scan;
    if (!scan_whole(&scan, text))
        return parse_named(text, out_value);
    *out_value = scan_value(&scan);
    return true;
}

bool leat_integer_parse(leat_slice text, int64_t *out_value)
{
    leat_number_scan scan;
    return scan_whole(&scan, text) && scan_integer(&scan, out_value);
}
