// Reads a number of JSON's grammar in one pass, without strtod: the hot half of JSON and CSV decoding.
//
// Usage: leat_scan_number at the first byte; then leat_scanned_integer or leat_scanned_double. Eight digits are taken at a
// time (D. Lemire, "Parsing series of integers with SIMD", scalar form); the double is exact by W. Clinger's fast path and goes to
// leat_number_parse where that does not reach.
//
// Threads: any. Failure: false with `end` at the byte that breaks the grammar.
#pragma once

#include <string.h>

#include "operators/base/number.h"

typedef struct leat_scanned_number {
    const char *begin, *end;
    uint64_t mantissa; // all digits, exact unless wide
    int32_t exponent;  // value = mantissa * 10^exponent
    bool negative;
    bool integral; // neither fraction nor exponent in the text
    bool wide;     // more than 19 digits or a long exponent: mantissa and exponent do not hold
} leat_scanned_number;

static inline uint64_t leat_load_eight(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

// The value of eight digits, first one in the lowest byte, each 0..9.
static inline uint64_t leat_eight_digits(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8);
    return ((digits & 0x000000FF000000FF) * 0x000F424000000064 +
            ((digits >> 16) & 0x000000FF000000FF) * 0x0000271000000001) >>
           32;
}

static inline const char *leat_scan_digits(const char *p, const char *end, uint64_t *mantissa)
{
    static const uint32_t power[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    while (end - p >= 8) {
        uint64_t digits = leat_load_eight(p) ^ 0x3030303030303030;
        uint64_t others = ((digits + 0x7676767676767676) | digits) & 0x8080808080808080;
        unsigned count = others ? (unsigned)__builtin_ctzll(others) >> 3 : 8;
        if (count == 0)
            return p;
        *mantissa = *mantissa * power[count] + leat_eight_digits(digits << ((8 - count) * 8));
        p += count;
        if (count < 8)
            return p;
    }
    while (p < end && (unsigned char)(*p - '0') < 10)
        *mantissa = *mantissa * 10 + (unsigned char)(*p++ - '0');
    return p;
}

// Exponents of more than four digits are wide: no such number has a value other than 0 or infinity, which the slow path knows.
static inline bool leat_scan_exponent(leat_scanned_number *number, const char *p, const char *end)
{
    p++;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    uint64_t exponent = 0;
    const char *stop = leat_scan_digits(p, end, &exponent);
    number->end = stop;
    if (stop == p)
        return false;
    if (stop - p > 4)
        number->wide = true;
    else
        number->exponent += negative ? -(int32_t)exponent : (int32_t)exponent;
    return true;
}

static inline bool leat_scan_number(leat_scanned_number *number, const char *p, const char *end)
{
    number->begin = p;
    number->mantissa = 0;
    number->exponent = 0;
    number->wide = false;
    number->integral = true;
    number->negative = p < end && *p == '-';
    p += number->negative;
    const char *digits = p;
    p = leat_scan_digits(p, end, &number->mantissa);
    if (p == digits || (*digits == '0' && p - digits > 1)) {
        number->end = p == digits ? p : digits + 1;
        return false;
    }
    ptrdiff_t count = p - digits;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        p = leat_scan_digits(p, end, &number->mantissa);
        number->integral = false;
        number->exponent = -(int32_t)(p - fraction);
        count += p - fraction;
        if (p == fraction) {
            number->end = p;
            return false;
        }
    }
    number->wide = count > 19;
    number->end = p;
    if (p < end && (*p | 0x20) == 'e') {
        number->integral = false;
        return leat_scan_exponent(number, p, end);
    }
    return true;
}

typedef enum leat_scanned { LEAT_SCANNED_OK, LEAT_SCANNED_FRACTION, LEAT_SCANNED_RANGE } leat_scanned;
// Exact: 1.0 and 1e3 are integers, 1.5 is a fraction.
leat_scanned leat_scanned_integer_slow(const leat_scanned_number *number, int64_t *out_value);
bool leat_scanned_double_slow(const leat_scanned_number *number, double *out_value);

static inline leat_scanned leat_scanned_integer(const leat_scanned_number *number, int64_t *out_value)
{
    if (!number->integral || number->wide || number->mantissa > INT64_MAX)
        return leat_scanned_integer_slow(number, out_value);
    *out_value = number->negative ? -(int64_t)number->mantissa : (int64_t)number->mantissa;
    return LEAT_SCANNED_OK;
}

// False when it is beyond the range of a double.
static inline bool leat_scanned_double(const leat_scanned_number *number, double *out_value)
{
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (number->wide || number->mantissa > (1ULL << 53) || number->exponent < -22 || number->exponent > 22)
        return leat_scanned_double_slow(number, out_value);
    double value = (double)(int64_t)number->mantissa;
    value = number->exponent < 0 ? value / power[-number->exponent] : value * power[number->exponent];
    *out_value = number->negative ? -value : value;
    return true;
}
