// DECIMAL arithmetic beyond 128 bits: products and quotients whose exact value is longer than the result.
// False when the result has more than 38 digits.
#pragma once

#include "operators/base/number.h"

leat_i128 leat_power_of_ten(unsigned exponent); // 0..38
// a * b / 10^drop, rounded half up.
bool leat_wide_multiply(leat_i128 a, leat_i128 b, unsigned drop, leat_i128 *out);
// a * 10^shift / b, rounded half up; shift up to 76, b not 0.
bool leat_wide_divide(leat_i128 a, unsigned shift, leat_i128 b, leat_i128 *out);
