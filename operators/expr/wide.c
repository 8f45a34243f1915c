// Twice the width of a DECIMAL as two halves; long division bit by bit, which only the rare long ones pay.
#include "operators/expr/wide.h"

typedef leat_u128 u128;
#ifdef __SIZEOF_INT128__
typedef uint64_t half;
#else
typedef uint32_t half; // the names below are those of 64-bit boards
#endif
enum { DIGITS = LEAT_DECIMAL_DIGITS, HALF_BITS = sizeof(half) * 8, BITS = 2 * HALF_BITS };

typedef struct u256 {
    u128 high, low;
} u256;

leat_i128 leat_power_of_ten(unsigned exponent)
{
    leat_i128 power = 1;
    LEAT_ASSERT(exponent <= DIGITS);
    while (exponent--)
        power *= 10;
    return power;
}

static u128 magnitude(leat_i128 value) { return value < 0 ? (u128)0 - (u128)value : (u128)value; }

static u256 multiply(u128 a, u128 b)
{
    half a1 = (half)(a >> HALF_BITS), a0 = (half)a, b1 = (half)(b >> HALF_BITS), b0 = (half)b;
    u128 low = (u128)a0 * b0, middle = (u128)a1 * b0, other = (u128)a0 * b1;
    u128 carry = (low >> HALF_BITS) + (half)middle + (half)other;
    return (u256){(u128)a1 * b1 + (middle >> HALF_BITS) + (other >> HALF_BITS) + (carry >> HALF_BITS),
                  (carry << HALF_BITS) | (half)low};
}

// Quotient rounded half up; false when it is longer than 128 bits.
static bool divide(u256 a, u128 b, u128 *out)
{
    if (a.high == 0) {
        u128 rest = a.low % b;
        *out = a.low / b + (rest >= b - rest);
        return true;
    }
    if (a.high >= b)
        return false;
    u128 rest = a.high, quotient = 0;
    for (int bit = BITS - 1; bit >= 0; bit--) {
        bool top = rest >> (BITS - 1);
        rest = (rest << 1) | ((a.low >> bit) & 1);
        quotient <<= 1;
        if (top || rest >= b) {
            rest -= b;
            quotient |= 1;
        }
    }
    *out = quotient + (rest >= b - rest);
    return true;
}

static bool finish(u128 quotient, bool negative, leat_i128 *out)
{
    if (quotient >= (u128)leat_power_of_ten(DIGITS))
        return false;
    *out = negative ? -(leat_i128)quotient : (leat_i128)quotient;
    return true;
}

bool leat_wide_multiply(leat_i128 a, leat_i128 b, unsigned drop, leat_i128 *out)
{
    leat_i128 product;
    if (drop == 0 && !__builtin_mul_overflow(a, b, &product))
        return finish(magnitude(product), product < 0, out);
    u128 quotient;
    u256 wide = multiply(magnitude(a), magnitude(b));
    if (drop > DIGITS || !divide(wide, (u128)leat_power_of_ten(drop), &quotient))
        return false;
    return finish(quotient, (a < 0) != (b < 0), out);
}

bool leat_wide_divide(leat_i128 a, unsigned shift, leat_i128 b, leat_i128 *out)
{
    u128 quotient;
    u256 wide = multiply(magnitude(a), (u128)leat_power_of_ten(shift > DIGITS ? DIGITS : shift));
    if (shift > 2 * DIGITS)
        return false;
    if (shift > DIGITS) {
        // Only a small dividend leaves room for so many digits; the second factor must not overflow.
        u128 factor = (u128)leat_power_of_ten(shift - DIGITS);
        u256 upper = multiply(wide.high, factor);
        if (upper.high)
            return false;
        wide = multiply(wide.low, factor);
        if (__builtin_add_overflow(wide.high, upper.low, &wide.high))
            return false;
    }
    if (!divide(wide, magnitude(b), &quotient))
        return false;
    return finish(quotient, (a < 0) != (b < 0), out);
}
