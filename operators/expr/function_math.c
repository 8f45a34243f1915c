// Functions of numbers.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operators/expr/kernel.h"
#include "operators/expr/wide.h"

#define OF_DOUBLE(name, expression) LEAT_KERNEL_UNARY(name, double, double, expression)

OF_DOUBLE(sqrt_, sqrt(x))
OF_DOUBLE(exp_, exp(x))
OF_DOUBLE(ln_, log(x))
OF_DOUBLE(log10_, log10(x))
OF_DOUBLE(log2_, log2(x))
OF_DOUBLE(sin_, sin(x))
OF_DOUBLE(cos_, cos(x))
OF_DOUBLE(tan_, tan(x))
OF_DOUBLE(cot_, 1.0 / tan(x))
OF_DOUBLE(asin_, asin(x))
OF_DOUBLE(acos_, acos(x))
OF_DOUBLE(atan_, atan(x))
OF_DOUBLE(sinh_, sinh(x))
OF_DOUBLE(cosh_, cosh(x))
OF_DOUBLE(tanh_, tanh(x))
OF_DOUBLE(degrees_, x *(180.0 / M_PI))
OF_DOUBLE(radians_, x / 180.0 * M_PI)
LEAT_KERNEL_BINARY(power_, double, double, double, pow(x, y))
LEAT_KERNEL_BINARY(atan2_, double, double, double, atan2(x, y))
LEAT_KERNEL_BINARY(log_of_, double, double, double, log(y) / log(x))

static void pi_(leat_call *call) { LEAT_EACH(call, row) call->out->f64[row] = M_PI; }

static void e_(leat_call *call) { LEAT_EACH(call, row) call->out->f64[row] = M_E; }

// -- sign, whole numbers

LEAT_KERNEL_UNARY(abs_i8, int64_t, int64_t, (int8_t)(x < 0 ? 0 - (uint64_t)x : (uint64_t)x))
LEAT_KERNEL_UNARY(abs_i16, int64_t, int64_t, (int16_t)(x < 0 ? 0 - (uint64_t)x : (uint64_t)x))
LEAT_KERNEL_UNARY(abs_i32, int64_t, int64_t, (int32_t)(x < 0 ? 0 - (uint64_t)x : (uint64_t)x))
LEAT_KERNEL_UNARY(abs_i64, int64_t, int64_t, x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
LEAT_KERNEL_UNARY(abs_f64, double, double, fabs(x))
LEAT_KERNEL_UNARY(abs_i128, leat_i128, leat_i128, x < 0 ? -x : x)
LEAT_KERNEL_UNARY(sign_i64, int64_t, int64_t, (x > 0) - (x < 0))
LEAT_KERNEL_UNARY(sign_f64, double, double, x > 0 ? 1.0 : x < 0 ? -1.0 : x)
LEAT_KERNEL_UNARY(same_i64, int64_t, int64_t, x)
LEAT_KERNEL_UNARY(floor_f64, double, double, floor(x))
LEAT_KERNEL_UNARY(ceil_f64, double, double, ceil(x))

static const leat_kernel absolute[LEAT_VARIANTS] = {
    [LEAT_VARIANT_I8] = abs_i8,     [LEAT_VARIANT_I16] = abs_i16, [LEAT_VARIANT_I32] = abs_i32,
    [LEAT_VARIANT_I64] = abs_i64,   [LEAT_VARIANT_F32] = abs_f64, [LEAT_VARIANT_F64] = abs_f64,
    [LEAT_VARIANT_I128] = abs_i128,
};

static void sign_decimal(leat_call *call)
{
    leat_i128 one = leat_power_of_ten(call->out->type.scale);
    LEAT_EACH(call, row)
    {
        leat_i128 x = leat_argument_i128(call, 0, row);
        call->out->i128[row] = x > 0 ? one : x < 0 ? -one : 0;
    }
}

static leat_i128 floor_divide(leat_i128 x, leat_i128 by) { return x / by - (x % by < 0); }

static void floor_decimal(leat_call *call)
{
    leat_i128 one = leat_power_of_ten(leat_argument_type(call, 0).scale);
    LEAT_EACH(call, row) call->out->i128[row] = floor_divide(leat_argument_i128(call, 0, row), one);
}

static void ceil_decimal(leat_call *call)
{
    leat_i128 one = leat_power_of_ten(leat_argument_type(call, 0).scale);
    LEAT_EACH(call, row) call->out->i128[row] = -floor_divide(-leat_argument_i128(call, 0, row), one);
}

static leat_code whole_decimal(leat_rule *rule)
{
    rule->type = leat_type_decimal(rule->arguments[0]->type.precision, 0);
    return LEAT_OK;
}

// -- rounding

static int64_t digits_of(leat_call *call, uint32_t row)
{
    return call->step->argument_count > 1 ? leat_argument_i64(call, 1, row) : 0;
}

// To a multiple of 10^-digits, as decimal text says it: 2.675 rounds to 2.68 as in Java's BigDecimal.valueOf, which a product by
// 100 would miss. `half_up` false cuts.
static double rounded_double(double x, int64_t digits, bool half_up)
{
    char text[LEAT_NUMBER_TEXT + 400], shortest[LEAT_NUMBER_TEXT];
    if (!isfinite(x) || digits > 330)
        return x;
    size_t size = leat_double_print_java(fabs(x), shortest);
    shortest[size] = 0;
    char *exponent_at = strchr(shortest, 'E'), *dot = strchr(shortest, '.');
    long exponent = exponent_at ? strtol(exponent_at + 1, NULL, 10) : 0;
    size_t end = exponent_at ? (size_t)(exponent_at - shortest) : size, count = 0;
    char digit[LEAT_NUMBER_TEXT];
    for (size_t i = 0; i < end; i++)
        if (shortest[i] != '.')
            digit[count++] = shortest[i];
    long point = (dot ? (long)(dot - shortest) : (long)end) + exponent; // digits before the point
    long keep = point + (long)digits;
    if (keep >= (long)count)
        return x;
    bool up = half_up && keep >= 0 && digit[keep] >= '5';
    size_t used = 0;
    text[used++] = '0';
    for (long i = 0; i < keep; i++)
        text[used++] = digit[i];
    for (size_t i = used; up && i-- > 0;) {
        up = text[i] == '9';
        text[i] = up ? '0' : (char)(text[i] + 1);
    }
    snprintf(text + used, sizeof text - used, "e%ld", -(long)digits);
    return copysign(strtod(text, NULL), x);
}

static void round_double_with(leat_call *call, bool half_up)
{
    bool is_float = call->out->type.kind == LEAT_KIND_FLOAT;
    LEAT_EACH(call, row)
    {
        double value = rounded_double(leat_argument_f64(call, 0, row), digits_of(call, row), half_up);
        call->out->f64[row] = is_float ? (float)value : value;
    }
}

static leat_i128 rounded_units(leat_i128 x, unsigned drop, bool half_up)
{
    if (drop > LEAT_DECIMAL_DIGITS)
        return 0;
    leat_i128 unit = leat_power_of_ten(drop), rest = x % unit, whole = x / unit;
    if (half_up && drop > 0 && (rest < 0 ? -rest : rest) >= unit - (rest < 0 ? -rest : rest))
        whole += x < 0 ? -1 : 1;
    return whole;
}

static int64_t wrapped(leat_type type, int64_t x)
{
    switch (type.kind) {
    case LEAT_KIND_TINYINT:
        return (int8_t)x;
    case LEAT_KIND_SMALLINT:
        return (int16_t)x;
    case LEAT_KIND_INT:
        return (int32_t)x;
    default:
        return x;
    }
}

static void round_integer_with(leat_call *call, bool half_up)
{
    LEAT_EACH(call, row)
    {
        int64_t digits = digits_of(call, row), x = leat_argument_i64(call, 0, row);
        if (digits < 0)
            x = digits < -18
                    ? 0
                    : (int64_t)(rounded_units(x, (unsigned)-digits, half_up) * leat_power_of_ten((unsigned)-digits));
        call->out->i64[row] = wrapped(call->out->type, x);
    }
}

static void round_decimal_with(leat_call *call, bool half_up)
{
    unsigned scale = leat_argument_type(call, 0).scale, out_scale = call->out->type.scale;
    LEAT_EACH(call, row)
    {
        int64_t digits = digits_of(call, row);
        leat_i128 x = leat_argument_i128(call, 0, row);
        unsigned drop = digits >= (int64_t)scale ? 0 : digits < -38 ? 76 : (unsigned)((int64_t)scale - digits);
        leat_i128 whole = rounded_units(x, drop, half_up);
        int64_t have = (int64_t)scale - drop;
        leat_i128 factor = leat_power_of_ten(drop > LEAT_DECIMAL_DIGITS ? 0 : (unsigned)((int64_t)out_scale - have));
        if (!leat_wide_multiply(whole, factor, 0, &call->out->i128[row]) ||
            !leat_decimal_fits(call->out->i128[row], call->out->type.precision))
            leat_call_null(call, row);
    }
}

#define ROUNDINGS(name, half_up)                                                                                       \
    static void name##_double(leat_call *call) { round_double_with(call, half_up); }                                   \
    static void name##_integer(leat_call *call) { round_integer_with(call, half_up); }                                 \
    static void name##_decimal(leat_call *call) { round_decimal_with(call, half_up); }

ROUNDINGS(round, true)
ROUNDINGS(truncate, false)

static leat_code rounded_decimal(leat_rule *rule)
{
    const leat_expr *digits = rule->count > 1 ? rule->arguments[1] : NULL;
    bool known = !digits || (digits->kind == LEAT_EXPR_LITERAL && !digits->literal.is_null);
    leat_type type = rule->arguments[0]->type;
    rule->type = known ? leat_decimal_type_round(type, digits ? digits->literal.i64 : 0) : type;
    return LEAT_OK;
}

// -- chance

static double chance(leat_call *call)
{
    uint64_t bits;
    call->eval->env->ops->random(call->eval->env, &bits, sizeof bits);
    return (double)(bits >> 11) * 0x1.0p-53;
}

static void rand_(leat_call *call) { LEAT_EACH(call, row) call->out->f64[row] = chance(call); }

static void rand_integer(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t bound = leat_argument_i64(call, 0, row);
        call->out->i64[row] = 0;
        if (bound <= 0)
            leat_call_fail(call, row, "RAND_INTEGER takes a bound greater than 0, but was given %lld",
                           (long long)bound);
        else
            call->out->i64[row] = (int64_t)(chance(call) * (double)bound);
    }
}

enum { T = LEAT_FUNCTION_TOTAL, N = LEAT_FUNCTION_NULLABLE, V = LEAT_FUNCTION_VOLATILE };

// clang-format off: a row is a line
const leat_function leat_functions_math[] = {
    {"ABS", "number", leat_result_first, NULL, absolute, T, "The number without its sign."},
    {"SIGN", "integer", leat_result_first, sign_i64, NULL, T, "-1, 0 or 1."},
    {"SIGN", "exact", leat_result_first, sign_decimal, NULL, 0, "-1, 0 or 1."},
    {"SIGN", "number", leat_result_first, sign_f64, NULL, T, "-1, 0 or 1."},
    {"FLOOR", "integer", leat_result_first, same_i64, NULL, T, "The next whole number downwards."},
    {"FLOOR", "exact", whole_decimal, floor_decimal, NULL, 0, "The next whole number downwards."},
    {"FLOOR", "number", leat_result_first, floor_f64, NULL, T, "The next whole number downwards."},
    {"CEIL", "integer", leat_result_first, same_i64, NULL, T, "The next whole number upwards."},
    {"CEIL", "exact", whole_decimal, ceil_decimal, NULL, 0, "The next whole number upwards."},
    {"CEIL", "number", leat_result_first, ceil_f64, NULL, T, "The next whole number upwards."},
    {"CEILING", "integer", leat_result_first, same_i64, NULL, T, "The same as CEIL."},
    {"CEILING", "exact", whole_decimal, ceil_decimal, NULL, 0, "The same as CEIL."},
    {"CEILING", "number", leat_result_first, ceil_f64, NULL, T, "The same as CEIL."},
    {"ROUND", "integer, integer?", leat_result_first, round_integer, NULL, 0,
     "Rounded half up to so many digits after the point."},
    {"ROUND", "exact, integer?", rounded_decimal, round_decimal, NULL, N,
     "Rounded half up to so many digits after the point."},
    {"ROUND", "number, integer?", leat_result_first, round_double, NULL, 0,
     "Rounded half up to so many digits after the point."},
    {"TRUNCATE", "integer, integer?", leat_result_first, truncate_integer, NULL, 0,
     "Cut to so many digits after the point."},
    {"TRUNCATE", "exact, integer?", rounded_decimal, truncate_decimal, NULL, N,
     "Cut to so many digits after the point."},
    {"TRUNCATE", "number, integer?", leat_result_first, truncate_double, NULL, 0,
     "Cut to so many digits after the point."},
    {"POWER", "double, double", leat_result_double, power_, NULL, T, "The first to the power of the second."},
    {"SQRT", "double", leat_result_double, sqrt_, NULL, T, "Square root."},
    {"EXP", "double", leat_result_double, exp_, NULL, T, "e to the power of the number."},
    {"LN", "double", leat_result_double, ln_, NULL, T, "Natural logarithm."},
    {"LOG", "double", leat_result_double, ln_, NULL, T, "Natural logarithm."},
    {"LOG", "double, double", leat_result_double, log_of_, NULL, T,
     "Logarithm of the second to the base of the first."},
    {"LOG10", "double", leat_result_double, log10_, NULL, T, "Logarithm to the base of 10."},
    {"LOG2", "double", leat_result_double, log2_, NULL, T, "Logarithm to the base of 2."},
    {"SIN", "double", leat_result_double, sin_, NULL, T, "Sine of radians."},
    {"COS", "double", leat_result_double, cos_, NULL, T, "Cosine of radians."},
    {"TAN", "double", leat_result_double, tan_, NULL, T, "Tangent of radians."},
    {"COT", "double", leat_result_double, cot_, NULL, T, "Cotangent of radians."},
    {"ASIN", "double", leat_result_double, asin_, NULL, T, "Arc sine."},
    {"ACOS", "double", leat_result_double, acos_, NULL, T, "Arc cosine."},
    {"ATAN", "double", leat_result_double, atan_, NULL, T, "Arc tangent."},
    {"ATAN2", "double, double", leat_result_double, atan2_, NULL, T, "Angle of the point (second, first)."},
    {"SINH", "double", leat_result_double, sinh_, NULL, T, "Hyperbolic sine."},
    {"COSH", "double", leat_result_double, cosh_, NULL, T, "Hyperbolic cosine."},
    {"TANH", "double", leat_result_double, tanh_, NULL, T, "Hyperbolic tangent."},
    {"DEGREES", "double", leat_result_double, degrees_, NULL, T, "Radians as degrees."},
    {"RADIANS", "double", leat_result_double, radians_, NULL, T, "Degrees as radians."},
    {"PI", "", leat_result_double, pi_, NULL, 0, "3.14159..."},
    {"E", "", leat_result_double, e_, NULL, 0, "2.71828..."},
    {"RAND", "", leat_result_double, rand_, NULL, V, "A random number in [0, 1), another one for each row."},
    {"RAND_INTEGER", "integer", leat_result_int, rand_integer, NULL, V | LEAT_FUNCTION_FAILS,
     "A random whole number in [0, bound)."},
    {.name = NULL},
};
// clang-format on
