// The shape of a decimal number in text, found in one pass; shared by the parsers of number.c and decimal.c.
#pragma once

#include "operators/base/number.h"

typedef struct leat_number_scan {
    const char *digits; // first digit or the point
    const char *digits_end;
    const char *end;   // one past the exponent
    uint64_t mantissa; // the first 19 significant digits
    int64_t exponent;  // value = mantissa * 10^exponent, when dropped == 0
    int64_t dropped;   // significant digits after the 19th
    int64_t integer_digits, fraction_digits;
    unsigned significant; // digits in mantissa
    bool has_sign, negative, has_point, has_exponent;
} leat_number_scan;

// [+-] digits [. digits] [e [+-] digits], at least one digit before the exponent. False when there is no such text at the
// start, or an exponent without digits.
bool leat_number_scan_text(leat_number_scan *scan, const char *text, const char *end);
