// Numbers and text: exact parsing, shortest round-trip printing, exact decimals.
//
// Source: fast path of W. Clinger, "How to Read Floating Point Numbers Accurately" (1990): mantissa <= 2^53 and
// |exponent| <= 22 need one exact multiplication or division; everything else goes to strtod in the C locale.
#pragma once

#include "operators/base/bytes.h"

// Parses a JSON number at the start of text; out_end is one past it. False when there is none. Also sets out_integer when
// the text is an integer that fits into int64 (no fraction, no exponent).
bool leat_number_parse(const char *text, const char *end, double *out_value, bool *out_is_integer, int64_t *out_integer,
                       const char **out_end);
bool leat_double_parse(leat_slice text, double *out_value);   // whole text; also NaN, Infinity, -Infinity
bool leat_integer_parse(leat_slice text, int64_t *out_value); // whole text, sign allowed; false on overflow

enum { LEAT_NUMBER_TEXT = 40 };
// Shortest text that reads back to the same bits ("0.1", "1.0E10" is written 1.0E10 as Java does when |exponent| >= 7 or < -3).
size_t leat_double_print_java(double value,
                              char out_text[LEAT_NUMBER_TEXT]); // CAST(double AS STRING): 1.0, 1.0E7, NaN, Infinity
size_t leat_double_print(double value,
                         char out_text[LEAT_NUMBER_TEXT]); // JSON: 1, 0.1, 1e+30; NaN and infinities as null
size_t leat_float_print(float value, char out_text[LEAT_NUMBER_TEXT]); // JSON, shortest for float
size_t leat_float_print_java(float value, char out_text[LEAT_NUMBER_TEXT]);
size_t leat_integer_print(int64_t value, char out_text[LEAT_NUMBER_TEXT]);

// DECIMAL(p, s): the unscaled value. Sums and products are exact up to LEAT_DECIMAL_DIGITS: 38 where the compiler has a
// 128-bit integer, 18 on 32-bit boards; beyond it they overflow as a DECIMAL does.
#ifdef __SIZEOF_INT128__
typedef __int128 leat_i128;
typedef unsigned __int128 leat_u128;
enum { LEAT_DECIMAL_DIGITS = 38 };
#else
typedef int64_t leat_i128;
typedef uint64_t leat_u128;
enum { LEAT_DECIMAL_DIGITS = 18 };
#endif
// The stored form's upper half, sign included, and both halves back together; the same bytes on every board.
static inline uint64_t leat_decimal_high(leat_i128 unscaled) { return (uint64_t)(unscaled >> 32 >> 32); }
static inline leat_i128 leat_decimal_join(uint64_t high, uint64_t low)
{
    return (leat_i128)((leat_u128)high << 32 << 32 | low);
}
bool leat_decimal_parse(leat_slice text, unsigned scale,
                        leat_i128 *out_unscaled); // rounds half up to scale; false on no number
size_t leat_decimal_print(leat_i128 unscaled, unsigned scale, char out_text[LEAT_NUMBER_TEXT + 8]);
bool leat_decimal_rescale(leat_i128 unscaled, unsigned from_scale, unsigned to_scale,
                          leat_i128 *out_unscaled); // half up; false on overflow of 38 digits
bool leat_decimal_fits(leat_i128 unscaled, unsigned precision);
double leat_decimal_to_double(leat_i128 unscaled, unsigned scale);
bool leat_decimal_from_double(double value, unsigned scale, leat_i128 *out_unscaled);
