#include "operators/base/number.h"

#include <math.h>
#include <string.h>

#include "operators/base/number_scan.h"

enum { PRECISION_MAX = LEAT_DECIMAL_DIGITS, SCALE_MAX = 38 };

static const uint64_t powers[] = {1ull,
                                  10ull,
                                  100ull,
                                  1000ull,
                                  10000ull,
                                  100000ull,
                                  1000000ull,
                                  10000000ull,
                                  100000000ull,
                                  1000000000ull,
                                  10000000000ull,
                                  100000000000ull,
                                  1000000000000ull,
                                  10000000000000ull,
                                  100000000000000ull,
                                  1000000000000000ull,
                                  10000000000000000ull,
                                  100000000000000000ull,
                                  1000000000000000000ull,
                                  10000000000000000000ull};

static leat_i128 power_of_ten(unsigned exponent)
{
    LEAT_ASSERT(exponent <= PRECISION_MAX);
    return (leat_i128)powers[exponent / 2] * powers[exponent - exponent / 2];
}

bool leat_decimal_fits(leat_i128 unscaled, unsigned precision)
{
    leat_i128 bound = power_of_ten(precision < PRECISION_MAX ? precision : PRECISION_MAX);
    return unscaled < bound && unscaled > -bound;
}

// kept: how many digits of the text stand before the place where the scale cuts it; zeros are put behind a shorter text.
static bool digits_to_integer(const leat_number_scan *scan, int64_t kept, leat_i128 *out_magnitude)
{
    leat_i128 value = 0;
    int64_t index = 0;
    for (const char *cursor = scan->digits; cursor < scan->digits_end; cursor++) {
        if (*cursor == '.')
            continue;
        if (index == kept)
            value += *cursor >= '5';
        if (index++ >= kept)
            break;
        if (!leat_decimal_fits(value, PRECISION_MAX - 1))
            return false;
        value = value * 10 + (*cursor - '0');
    }
    for (; value && index < kept; index++) {
        if (!leat_decimal_fits(value, PRECISION_MAX - 1))
            return false;
        value *= 10;
    }
    *out_magnitude = value;
    return leat_decimal_fits(value, PRECISION_MAX);
}

bool leat_decimal_parse(leat_slice text, unsigned scale, leat_i128 *out_unscaled)
{
    leat_number_scan scan;
    const char *end = text.size ? text.data + text.size : text.data;
    if (text.size == 0 || !leat_number_scan_text(&scan, text.data, end) || scan.end != end)
        return false;
    int64_t written = scan.exponent - scan.dropped + scan.fraction_digits; // the exponent as the text has it
    leat_i128 magnitude = 0;
    if (!digits_to_integer(&scan, scan.integer_digits + written + (int64_t)scale, &magnitude))
        return false;
    *out_unscaled = scan.negative ? -magnitude : magnitude;
    return true;
}

size_t leat_decimal_print(leat_i128 unscaled, unsigned scale, char out_text[LEAT_NUMBER_TEXT + 8])
{
    LEAT_ASSERT(scale <= SCALE_MAX);
    leat_u128 rest = unscaled < 0 ? -(leat_u128)unscaled : (leat_u128)unscaled;
    char reversed[48];
    size_t size = 0;
    for (unsigned place = 0; rest || place <= scale; place++) {
        if (place == scale && scale > 0)
            reversed[size++] = '.';
        reversed[size++] = (char)('0' + (unsigned)(rest % 10));
        rest /= 10;
    }
    if (unscaled < 0)
        reversed[size++] = '-';
    for (size_t i = 0; i < size; i++)
        out_text[i] = reversed[size - 1 - i];
    out_text[size] = 0;
    return size;
}

// Away from 0 at the half, as java.math.RoundingMode.HALF_UP.
static leat_i128 divide_half_up(leat_i128 value, leat_i128 divisor)
{
    leat_i128 quotient = value / divisor, remainder = value % divisor;
    leat_i128 magnitude = remainder < 0 ? -remainder : remainder;
    if (magnitude < divisor - magnitude)
        return quotient;
    return value < 0 ? quotient - 1 : quotient + 1;
}

bool leat_decimal_rescale(leat_i128 unscaled, unsigned from_scale, unsigned to_scale, leat_i128 *out_unscaled)
{
    leat_i128 result;
    if (from_scale > to_scale) {
        unsigned fewer = from_scale - to_scale;
        result = fewer > PRECISION_MAX ? 0 : divide_half_up(unscaled, power_of_ten(fewer));
    } else {
        unsigned more = to_scale - from_scale;
        if (unscaled && more > PRECISION_MAX)
            return false;
        if (__builtin_mul_overflow(unscaled, power_of_ten(unscaled ? more : 0), &result))
            return false;
    }
    if (!leat_decimal_fits(result, PRECISION_MAX))
        return false;
    *out_unscaled = result;
    return true;
}

double leat_decimal_to_double(leat_i128 unscaled, unsigned scale)
{
    leat_i128 exact = (leat_i128)1 << 53;
    if (scale == 0)
        return (double)unscaled;
    // 10^19 and below are exact doubles, so this is one rounding.
    if (unscaled <= exact && unscaled >= -exact && scale < sizeof powers / sizeof *powers)
        return (double)unscaled / (double)powers[scale];
    char text[LEAT_NUMBER_TEXT + 8];
    double value = 0;
    bool parsed = leat_double_parse(leat_slice_of(text, leat_decimal_print(unscaled, scale, text)), &value);
    LEAT_ASSERT(parsed);
    return value;
}

// Through the shortest text, as BigDecimal.valueOf(double): 0.285 at scale 2 is 0.29, though the double lies below it.
bool leat_decimal_from_double(double value, unsigned scale, leat_i128 *out_unscaled)
{
    if (!isfinite(value))
        return false;
    char text[LEAT_NUMBER_TEXT];
    return leat_decimal_parse(leat_slice_of(text, leat_double_print(value, text)), scale, out_unscaled);
}
