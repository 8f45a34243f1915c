// Source of the shortest digits: R. Giulietti, "The Schubfach way to render doubles" (2020), in the formulation of
// A. Jochum's Drachennest. One multiplication by a power of ten for the value and for both ends of its rounding interval
// replaces trying %.15g, %.16g and %.17g, which costs 10 to 30 times as much and is not shortest for denormals.
#include "operators/base/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "operators/base/number_pow10.h"

// value = digits * 10^exponent; digits does not end in 0 unless it is 0.
typedef struct short_decimal {
    uint64_t digits;
    int exponent;
} short_decimal;

// value = significand * 2^exponent.
typedef struct binary {
    uint64_t significand;
    int exponent;
    bool lower_is_closer; // a power of two: the neighbour below is half as far as the one above
    bool is_subnormal;
} binary;

typedef struct layout {
    char *text;
    size_t size;
} layout;

static int floor_log10_pow2(int e, bool three_quarters) { return (e * 1262611 - (three_quarters ? 524031 : 0)) >> 22; }
static int floor_log2_pow10(int e) { return (e * 1741647) >> 19; }

typedef struct product {
    uint64_t high, low;
} product;

// 64 x 64 -> 128 bits by halves, because 32-bit boards have no 128-bit integer; 64-bit compilers make one multiplication of it or
// nearly so.
static product multiply(uint64_t a, uint64_t b)
{
    uint64_t a_low = (uint32_t)a, a_high = a >> 32, b_low = (uint32_t)b, b_high = b >> 32;
    uint64_t low = a_low * b_low, middle = a_high * b_low + (low >> 32), cross = a_low * b_high + (uint32_t)middle;
    return (product){a_high * b_high + (middle >> 32) + (cross >> 32), cross << 32 | (uint32_t)low};
}

static uint64_t round_to_odd(leat_pow10 g, uint64_t factor)
{
    product low = multiply(g.low, factor), high = multiply(g.high, factor);
    uint64_t sum = high.low + low.high;
    high.high += sum < high.low;
    return high.high | (sum > 1);
}

static short_decimal trimmed(uint64_t digits, int exponent)
{
    while (digits && digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    return (short_decimal){digits, exponent};
}

static bool is_small_integer(binary b)
{
    return b.exponent <= 0 && b.exponent > -53 && (b.significand & ((1ull << -b.exponent) - 1)) == 0;
}

static short_decimal shortest(binary b)
{
    if (is_small_integer(b))
        return trimmed(b.significand >> -b.exponent, 0);
    uint64_t c = b.significand;
    uint64_t open = c & 1; // ties round to even: the ends of the interval belong to an even significand only
    int k = floor_log10_pow2(b.exponent, b.lower_is_closer);
    int shift = b.exponent + floor_log2_pow10(-k) + 1;
    leat_pow10 g = leat_pow10_table[-k - LEAT_POW10_MIN];
    uint64_t lower = round_to_odd(g, (4 * c - 2 + b.lower_is_closer) << shift) + open;
    uint64_t middle = round_to_odd(g, (4 * c) << shift);
    uint64_t upper = round_to_odd(g, (4 * c + 2) << shift) - open;
    uint64_t s = middle / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down_inside = lower <= 40 * tens, up_inside = 40 * tens + 40 <= upper;
        if (down_inside != up_inside)
            return trimmed(tens + up_inside, k + 1);
    }
    bool down_inside = lower <= 4 * s, up_inside = 4 * s + 4 <= upper;
    if (down_inside != up_inside)
        return trimmed(s + up_inside, k);
    uint64_t half = 4 * s + 2;
    return trimmed(s + (middle > half || (middle == half && (s & 1))), k);
}

static binary binary_of(uint64_t fraction, unsigned exponent, unsigned fraction_bits, int bias)
{
    if (exponent == 0)
        return (binary){.significand = fraction, .exponent = 1 - bias, .is_subnormal = true};
    return (binary){
        .significand = fraction | 1ull << fraction_bits,
        .exponent = (int)exponent - bias,
        .lower_is_closer = fraction == 0 && exponent > 1,
    };
}

static binary binary_of_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return binary_of(bits & ((1ull << 52) - 1), bits >> 52 & 0x7FF, 52, 1075);
}

static binary binary_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return binary_of(bits & ((1u << 23) - 1), bits >> 23 & 0xFF, 23, 150);
}

static size_t digits_of(uint64_t value, char out_digits[20])
{
    char reversed[20];
    size_t size = 0;
    do {
        reversed[size++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (size_t i = 0; i < size; i++)
        out_digits[i] = reversed[size - 1 - i];
    return size;
}

static void put(layout *to, char c) { to->text[to->size++] = c; }

static void put_bytes(layout *to, const char *bytes, size_t size)
{
    memcpy(to->text + to->size, bytes, size);
    to->size += size;
}

static void put_zeros(layout *to, int count)
{
    for (int i = 0; i < count; i++)
        put(to, '0');
}

static void put_integer(layout *to, uint64_t value)
{
    char digits[20];
    put_bytes(to, digits, digits_of(value, digits));
}

static size_t finish(layout *to)
{
    to->text[to->size] = 0;
    return to->size;
}

// point: how many of the digits stand before the point; may be below 0 or beyond the digits.
static void put_plain(layout *to, const char *digits, int count, int point)
{
    if (point <= 0) {
        put_bytes(to, "0.", 2);
        put_zeros(to, -point);
        put_bytes(to, digits, (size_t)count);
    } else if (point >= count) {
        put_bytes(to, digits, (size_t)count);
        put_zeros(to, point - count);
    } else {
        put_bytes(to, digits, (size_t)point);
        put(to, '.');
        put_bytes(to, digits + point, (size_t)(count - point));
    }
}

// As ECMAScript's Number::toString, which is also RFC 8785: plain from 1e-6 up to below 1e21.
static void put_json(layout *to, short_decimal decimal)
{
    char digits[20];
    int count = (int)digits_of(decimal.digits, digits);
    int point = count + decimal.exponent;
    if (decimal.digits == 0 || (point > -6 && point <= 21)) {
        put_plain(to, digits, count, decimal.digits ? point : 1);
        return;
    }
    put_plain(to, digits, count, 1);
    put(to, 'e');
    put(to, point > 0 ? '+' : '-');
    put_integer(to, (uint64_t)(point > 0 ? point - 1 : 1 - point));
}

// As Double.toString: plain from 1e-3 up to below 1e7, and always a digit after the point.
static void put_java(layout *to, short_decimal decimal)
{
    char digits[20];
    int count = (int)digits_of(decimal.digits, digits);
    int point = count + decimal.exponent;
    bool plain = decimal.digits == 0 || (point > -3 && point <= 7);
    int shown = !plain || decimal.digits == 0 ? 1 : point;
    put_plain(to, digits, count, shown);
    if (shown >= count)
        put_bytes(to, ".0", 2);
    if (plain)
        return;
    put(to, 'E');
    if (point <= 0)
        put(to, '-');
    put_integer(to, (uint64_t)(point > 0 ? point - 1 : 1 - point));
}

// Java shows two digits at least, and of the texts with two takes the nearest: 4.9E-324, where one digit gives 5e-324.
static short_decimal two_digits_of_subnormal(short_decimal decimal, double value)
{
    if (decimal.digits >= 10)
        return decimal;
    char text[32];
    snprintf(text, sizeof text, "%.1e",
             value); // d.de-ddd; the point may be the locale's, so it is not looked at
    const char *exponent = strchr(text, 'e');
    int64_t power = 0;
    if (!exponent || !leat_integer_parse(leat_slice_text(exponent + 1), &power))
        return decimal;
    return trimmed((uint64_t)(text[0] - '0') * 10 + (uint64_t)(exponent[-1] - '0'), (int)power - 1);
}

static size_t print_java(double value, binary b, char *out_text)
{
    layout to = {.text = out_text};
    if (signbit(value) && !isnan(value))
        put(&to, '-');
    if (isnan(value))
        put_bytes(&to, "NaN", 3);
    else if (isinf(value))
        put_bytes(&to, "Infinity", 8);
    else if (b.significand && b.is_subnormal)
        put_java(&to, two_digits_of_subnormal(shortest(b), fabs(value)));
    else
        put_java(&to, b.significand ? shortest(b) : (short_decimal){0});
    return finish(&to);
}

static size_t print_json(double value, binary b, char *out_text)
{
    layout to = {.text = out_text};
    if (!isfinite(value)) {
        put_bytes(&to, "null", 4);
        return finish(&to);
    }
    if (signbit(value))
        put(&to, '-');
    if (b.significand && is_small_integer(b))
        put_integer(&to, b.significand >> -b.exponent);
    else
        put_json(&to, b.significand ? shortest(b) : (short_decimal){0});
    return finish(&to);
}

size_t leat_double_print(double value, char out_text[LEAT_NUMBER_TEXT])
{
    return print_json(value, binary_of_double(value), out_text);
}

size_t leat_double_print_java(double value, char out_text[LEAT_NUMBER_TEXT])
{
    return print_java(value, binary_of_double(value), out_text);
}

size_t leat_float_print(float value, char out_text[LEAT_NUMBER_TEXT])
{
    return print_json((double)value, binary_of_float(value), out_text);
}

size_t leat_float_print_java(float value, char out_text[LEAT_NUMBER_TEXT])
{
    return print_java((double)value, binary_of_float(value), out_text);
}

size_t leat_integer_print(int64_t value, char out_text[LEAT_NUMBER_TEXT])
{
    layout to = {.text = out_text};
    if (value < 0)
        put(&to, '-');
    put_integer(&to, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    return finish(&to);
}
