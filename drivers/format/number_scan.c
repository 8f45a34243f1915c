#include "drivers/format/number_scan.h"

#include <math.h>

typedef struct digit_walk {
    const char *cursor, *end; // over the digits, the point left out
} digit_walk;

static int next_digit(digit_walk *walk)
{
    if (walk->cursor < walk->end && *walk->cursor == '.')
        walk->cursor++;
    if (walk->cursor >= walk->end || (*walk->cursor | 0x20) == 'e')
        return -1;
    return *walk->cursor++ - '0';
}

static int64_t text_exponent(const leat_scanned_number *number)
{
    const char *p = number->begin;
    while (p < number->end && (*p | 0x20) != 'e')
        p++;
    if (p == number->end)
        return 0;
    p++;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    int64_t exponent = 0;
    for (; p < number->end; p++)
        exponent = exponent < 1000000 ? exponent * 10 + (*p - '0') : exponent;
    return negative ? -exponent : exponent;
}

// Digits before the decimal point once the exponent has moved it.
static int64_t integer_places(const leat_scanned_number *number)
{
    const char *p = number->begin + number->negative, *first = p;
    while (p < number->end && (unsigned char)(*p - '0') < 10)
        p++;
    return p - first + text_exponent(number);
}

leat_scanned leat_scanned_integer_slow(const leat_scanned_number *number, int64_t *out_value)
{
    digit_walk walk = {number->begin + number->negative, number->end};
    int64_t places = integer_places(number);
    uint64_t value = 0, limit = number->negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    bool overflow = false;
    int digit;
    while ((digit = next_digit(&walk)) >= 0) {
        if (places-- <= 0) {
            if (digit > 0)
                return LEAT_SCANNED_FRACTION;
        } else if (value > (limit - (uint64_t)digit) / 10) {
            overflow = true;
        } else {
            value = value * 10 + (uint64_t)digit;
        }
    }
    for (; places > 0 && value > 0 && !overflow; places--) {
        overflow = value > limit / 10;
        value *= 10;
    }
    if (overflow)
        return LEAT_SCANNED_RANGE;
    *out_value = number->negative ? (int64_t)(0 - value) : (int64_t)value;
    return LEAT_SCANNED_OK;
}

bool leat_scanned_double_slow(const leat_scanned_number *number, double *out_value)
{
    bool is_integer;
    int64_t integer;
    const char *end;
    return leat_number_parse(number->begin, number->end, out_value, &is_integer, &integer, &end) &&
           isfinite(*out_value);
}
