// + - * / % and sign, over numbers, times and intervals.
//
// Integers wrap at their declared width as Java's do; division truncates and a divisor of 0 makes the row bad. FLOAT is
// rounded to float after each operation. A DECIMAL that does not fit its result type is NULL.
#include <math.h>

#include "operators/expr/kernel.h"
#include "operators/expr/wide.h"

#define INTEGER_KERNELS(name, expression)                                                                              \
    LEAT_KERNEL_BINARY(name##_i8, int64_t, int64_t, int64_t, (int8_t)(expression))                                     \
    LEAT_KERNEL_BINARY(name##_i16, int64_t, int64_t, int64_t, (int16_t)(expression))                                   \
    LEAT_KERNEL_BINARY(name##_i32, int64_t, int64_t, int64_t, (int32_t)(expression))                                   \
    LEAT_KERNEL_BINARY(name##_i64, int64_t, int64_t, int64_t, (int64_t)(expression))

#define NUMBER_KERNELS(name, integer_expression, float_expression)                                                     \
    INTEGER_KERNELS(name, integer_expression)                                                                          \
    LEAT_KERNEL_BINARY(name##_f32, double, double, double, (float)(float_expression))                                  \
    LEAT_KERNEL_BINARY(name##_f64, double, double, double, float_expression)                                           \
    static const leat_kernel name[LEAT_VARIANTS] = {                                                                   \
        [LEAT_VARIANT_I8] = name##_i8,   [LEAT_VARIANT_I16] = name##_i16, [LEAT_VARIANT_I32] = name##_i32,             \
        [LEAT_VARIANT_I64] = name##_i64, [LEAT_VARIANT_F32] = name##_f32, [LEAT_VARIANT_F64] = name##_f64,             \
    };

NUMBER_KERNELS(add, (uint64_t)x + (uint64_t)y, x + y)
NUMBER_KERNELS(subtract, (uint64_t)x - (uint64_t)y, x - y)
NUMBER_KERNELS(multiply, (uint64_t)x *(uint64_t)y, x *y)

LEAT_KERNEL_UNARY(negate_i8, int64_t, int64_t, (int8_t)(0 - (uint64_t)x))
LEAT_KERNEL_UNARY(negate_i16, int64_t, int64_t, (int16_t)(0 - (uint64_t)x))
LEAT_KERNEL_UNARY(negate_i32, int64_t, int64_t, (int32_t)(0 - (uint64_t)x))
LEAT_KERNEL_UNARY(negate_i64, int64_t, int64_t, 0 - (uint64_t)x)
LEAT_KERNEL_UNARY(negate_f64, double, double, -x)
LEAT_KERNEL_UNARY(negate_i128, leat_i128, leat_i128, -x)

static const leat_kernel negate[LEAT_VARIANTS] = {
    [LEAT_VARIANT_I8] = negate_i8,     [LEAT_VARIANT_I16] = negate_i16, [LEAT_VARIANT_I32] = negate_i32,
    [LEAT_VARIANT_I64] = negate_i64,   [LEAT_VARIANT_F32] = negate_f64, [LEAT_VARIANT_F64] = negate_f64,
    [LEAT_VARIANT_I128] = negate_i128,
};

LEAT_KERNEL_BINARY(divide_f32, double, double, double, (float)(x / y))
LEAT_KERNEL_BINARY(divide_f64, double, double, double, x / y)

// A column divided by a constant that is not 0 never fails.
static int64_t quotient(int64_t x, int64_t y) { return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y; }

static int64_t wrapped(leat_type type, int64_t value)
{
    switch (type.kind) {
    case LEAT_KIND_TINYINT:
        return (int8_t)value;
    case LEAT_KIND_SMALLINT:
        return (int16_t)value;
    case LEAT_KIND_INT:
        return (int32_t)value;
    default:
        return value;
    }
}

static void divide_integer(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t x = leat_argument_i64(call, 0, row), y = leat_argument_i64(call, 1, row);
        call->out->i64[row] = 0;
        if (y == 0)
            leat_call_fail(call, row, "division by zero");
        else
            call->out->i64[row] = wrapped(call->out->type, quotient(x, y));
    }
}

static void modulo_integer(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t x = leat_argument_i64(call, 0, row), y = leat_argument_i64(call, 1, row);
        call->out->i64[row] = 0;
        if (y == 0)
            leat_call_fail(call, row, "division by zero");
        else
            call->out->i64[row] = y == -1 ? 0 : x % y;
    }
}

static void modulo_double(leat_call *call)
{
    bool is_float = call->out->type.kind == LEAT_KIND_FLOAT;
    LEAT_EACH(call, row)
    {
        double rest = fmod(leat_argument_f64(call, 0, row), leat_argument_f64(call, 1, row));
        call->out->f64[row] = is_float ? (float)rest : rest;
    }
}

static const leat_kernel divide[LEAT_VARIANTS] = {[LEAT_VARIANT_F32] = divide_f32, [LEAT_VARIANT_F64] = divide_f64};

// -- DECIMAL

static void set_decimal(leat_call *call, uint32_t row, bool fits, leat_i128 value)
{
    if (fits && leat_decimal_fits(value, call->out->type.precision))
        call->out->i128[row] = value;
    else
        leat_call_null(call, row);
}

// Both at the larger scale, which is the exact sum's; the result's may be smaller.
static void decimal_sum(leat_call *call, int sign)
{
    unsigned a = leat_argument_type(call, 0).scale, b = leat_argument_type(call, 1).scale, scale = a > b ? a : b;
    LEAT_EACH(call, row)
    {
        leat_i128 x = 0, y = 0, sum = 0;
        bool fits = leat_decimal_rescale(leat_argument_i128(call, 0, row), a, scale, &x) &&
                    leat_decimal_rescale(leat_argument_i128(call, 1, row), b, scale, &y) &&
                    !__builtin_add_overflow(x, sign < 0 ? -y : y, &sum) &&
                    leat_decimal_rescale(sum, scale, call->out->type.scale, &sum);
        set_decimal(call, row, fits, sum);
    }
}

static void decimal_add(leat_call *call) { decimal_sum(call, 1); }

static void decimal_subtract(leat_call *call) { decimal_sum(call, -1); }

static void decimal_multiply(leat_call *call)
{
    unsigned scale = (unsigned)leat_argument_type(call, 0).scale + leat_argument_type(call, 1).scale;
    LEAT_EACH(call, row)
    {
        leat_i128 product = 0;
        bool fits = leat_wide_multiply(leat_argument_i128(call, 0, row), leat_argument_i128(call, 1, row),
                                       scale - call->out->type.scale, &product);
        set_decimal(call, row, fits, product);
    }
}

static void decimal_divide(leat_call *call)
{
    int shift = call->out->type.scale + leat_argument_type(call, 1).scale - leat_argument_type(call, 0).scale;
    LEAT_EACH(call, row)
    {
        leat_i128 x = leat_argument_i128(call, 0, row), y = leat_argument_i128(call, 1, row), result = 0;
        if (y == 0) {
            leat_call_fail(call, row, "division by zero");
            continue;
        }
        bool fits = true;
        if (shift < 0)
            fits = leat_wide_multiply(y, leat_power_of_ten((unsigned)-shift), 0, &y);
        fits = fits && leat_wide_divide(x, shift < 0 ? 0 : (unsigned)shift, y, &result);
        set_decimal(call, row, fits, result);
    }
}

static void decimal_modulo(leat_call *call)
{
    unsigned a = leat_argument_type(call, 0).scale, b = leat_argument_type(call, 1).scale, scale = a > b ? a : b;
    LEAT_EACH(call, row)
    {
        leat_i128 x = 0, y = 0, rest = 0;
        bool fits = leat_decimal_rescale(leat_argument_i128(call, 0, row), a, scale, &x) &&
                    leat_decimal_rescale(leat_argument_i128(call, 1, row), b, scale, &y);
        if (fits && y == 0) {
            leat_call_fail(call, row, "division by zero");
            continue;
        }
        fits = fits && leat_decimal_rescale(x % (y ? y : 1), scale, call->out->type.scale, &rest);
        if (call->out->type.kind == LEAT_KIND_DECIMAL)
            set_decimal(call, row, fits, rest);
        else
            call->out->i64[row] = (int64_t)rest; // less than the divisor, which was of this type
    }
}

// -- times

static int64_t plus_months(int64_t ms, int64_t months)
{
    leat_civil civil;
    leat_civil_from_ms(ms, &civil);
    int64_t count = (int64_t)civil.year * 12 + civil.month - 1 + months;
    int64_t year = count / 12 - (count % 12 < 0);
    civil.year = (int32_t)year;
    civil.month = (uint8_t)(count - year * 12 + 1);
    unsigned days = leat_days_in_month(civil.year, civil.month);
    if (civil.day > days)
        civil.day = (uint8_t)days;
    return leat_civil_to_ms(&civil);
}

enum { DAY_MS = 86400000 };

static int64_t moved(leat_type type, const leat_zone *zone, int64_t value, int64_t months)
{
    if (type.kind == LEAT_KIND_DATE)
        return plus_months(value * DAY_MS, months) / DAY_MS;
    if (type.kind == LEAT_KIND_TIMESTAMP_LTZ)
        return leat_zone_from_local_ms(zone, plus_months(leat_zone_to_local_ms(zone, value), months));
    return plus_months(value, months);
}

static void move_months(leat_call *call, uint32_t time, uint32_t months, int sign)
{
    LEAT_EACH(call, row)
    call->out->i64[row] = moved(call->out->type, call->zone, leat_argument_i64(call, time, row),
                                sign * leat_argument_i64(call, months, row));
}

static void add_months(leat_call *call) { move_months(call, 0, 1, 1); }

static void months_add(leat_call *call) { move_months(call, 1, 0, 1); }

static void subtract_months(leat_call *call) { move_months(call, 0, 1, -1); }

// Days stay days: of an interval its whole days count.
static void move_date(leat_call *call, uint32_t date, uint32_t interval, int sign)
{
    LEAT_EACH(call, row)
    call->out->i64[row] = leat_argument_i64(call, date, row) + sign * (leat_argument_i64(call, interval, row) / DAY_MS);
}

static void add_date(leat_call *call) { move_date(call, 0, 1, 1); }

static void date_add(leat_call *call) { move_date(call, 1, 0, 1); }

static void subtract_date(leat_call *call) { move_date(call, 0, 1, -1); }

static void move_time(leat_call *call, int sign)
{
    LEAT_EACH(call, row)
    {
        int64_t ms = (leat_argument_i64(call, 0, row) + sign * leat_argument_i64(call, 1, row)) % DAY_MS;
        call->out->i64[row] = ms < 0 ? ms + DAY_MS : ms;
    }
}

static void add_time(leat_call *call) { move_time(call, 1); }

static void subtract_time(leat_call *call) { move_time(call, -1); }

LEAT_KERNEL_BINARY(dates_between, int64_t, int64_t, int64_t, (int64_t)(((uint64_t)x - (uint64_t)y) * (uint64_t)DAY_MS))

static void scale_interval(leat_call *call)
{
    LEAT_EACH(call, row)
    call->out->i64[row] = (int64_t)(leat_argument_f64(call, 1, row) * (double)leat_argument_i64(call, 0, row));
}

// -- result types

static leat_code decimal_result(leat_rule *rule, leat_type (*of)(leat_type, leat_type))
{
    for (int i = 0; i < 2; i++) {
        leat_type type = leat_type_as_decimal(rule->arguments[i]->type);
        leat_code code = leat_expr_coerce(rule->scope, rule->arguments[i], type, &rule->arguments[i], rule->error);
        if (code != LEAT_OK)
            return code;
    }
    rule->type = of(rule->arguments[0]->type, rule->arguments[1]->type);
    return LEAT_OK;
}

static leat_code sum_type(leat_rule *rule) { return decimal_result(rule, leat_decimal_type_add); }

static leat_code product_type(leat_rule *rule) { return decimal_result(rule, leat_decimal_type_multiply); }

static leat_code quotient_type(leat_rule *rule) { return decimal_result(rule, leat_decimal_type_divide); }

// Of whole numbers it has the type of the divisor.
static leat_code rest_type(leat_rule *rule)
{
    leat_type divisor = rule->arguments[1]->type;
    leat_code code = decimal_result(rule, leat_decimal_type_modulo);
    if (code == LEAT_OK && rule->arguments[0]->type.scale == 0 && rule->arguments[1]->type.scale == 0)
        rule->type = divisor;
    return code;
}

static bool divides_by_constant(const leat_rule *rule)
{
    const leat_expr *divisor = rule->arguments[1];
    return divisor->kind == LEAT_EXPR_LITERAL && (divisor->literal.is_null || divisor->literal.i64 != 0);
}

static leat_code integer_quotient(leat_rule *rule)
{
    leat_code code = leat_result_common(rule);
    rule->cannot_fail = divides_by_constant(rule);
    return code;
}

static leat_code integer_rest(leat_rule *rule)
{
    rule->cannot_fail = divides_by_constant(rule);
    return leat_result_second(rule);
}

static leat_code scaled_interval(leat_rule *rule) { return leat_result_first(rule); }

static leat_code scaled_interval_swapped(leat_rule *rule)
{
    leat_expr *number = rule->arguments[0];
    rule->arguments[0] = rule->arguments[1];
    rule->arguments[1] = number;
    return leat_result_first(rule);
}

static leat_code between_timestamps(leat_rule *rule)
{
    leat_code code = leat_result_common(rule);
    rule->type = leat_type_of(LEAT_KIND_INTERVAL);
    return code;
}

static leat_code itself(leat_rule *rule)
{
    rule->replaced = rule->arguments[0];
    return LEAT_OK;
}

enum {
    EXACT = LEAT_FUNCTION_INFIX | LEAT_FUNCTION_TOTAL,
    MAYBE_NULL = LEAT_FUNCTION_INFIX | LEAT_FUNCTION_NULLABLE,
    MAYBE_BAD = LEAT_FUNCTION_INFIX | LEAT_FUNCTION_FAILS,
    PLAIN = LEAT_FUNCTION_INFIX,
};

// clang-format off: a row is a line
const leat_function leat_functions_arithmetic[] = {
    {"+", "integer, integer", leat_result_common, NULL, add, EXACT, "Sum; integers wrap."},
    {"+", "exact, exact", sum_type, decimal_add, NULL, MAYBE_NULL, "Sum of decimals; NULL beyond 38 digits."},
    {"+", "number, number", leat_result_operated, NULL, add, EXACT, "Sum of FLOAT or DOUBLE."},
    {"+", "timestamp, interval", leat_result_first, NULL, add, EXACT, "A time later by an interval."},
    {"+", "interval, timestamp", leat_result_second, NULL, add, EXACT, "A time later by an interval."},
    {"+", "datetime, months", leat_result_first, add_months, NULL, PLAIN,
     "A day or time later by months; the day is cut to the month's last."},
    {"+", "months, datetime", leat_result_second, months_add, NULL, PLAIN, "A day or time later by months."},
    {"+", "date, interval", leat_result_date, add_date, NULL, PLAIN, "A day later by the whole days of an interval."},
    {"+", "interval, date", leat_result_date, date_add, NULL, PLAIN, "A day later by the whole days of an interval."},
    {"+", "time, interval", leat_result_first, add_time, NULL, PLAIN, "A time of day, around midnight."},
    {"+", "interval, interval", leat_result_first, NULL, add, EXACT, "Sum of intervals."},
    {"+", "months, months", leat_result_first, NULL, add, EXACT, "Sum of intervals of months."},
    {"+", "number", itself, NULL, add, PLAIN, "The number itself."},
    {"-", "integer, integer", leat_result_common, NULL, subtract, EXACT, "Difference; integers wrap."},
    {"-", "exact, exact", sum_type, decimal_subtract, NULL, MAYBE_NULL,
     "Difference of decimals; NULL beyond 38 digits."},
    {"-", "number, number", leat_result_operated, NULL, subtract, EXACT, "Difference of FLOAT or DOUBLE."},
    {"-", "timestamp, interval", leat_result_first, NULL, subtract, EXACT, "A time earlier by an interval."},
    {"-", "datetime, months", leat_result_first, subtract_months, NULL, PLAIN, "A day or time earlier by months."},
    {"-", "date, interval", leat_result_date, subtract_date, NULL, PLAIN,
     "A day earlier by the whole days of an interval."},
    {"-", "time, interval", leat_result_first, subtract_time, NULL, PLAIN, "A time of day, around midnight."},
    {"-", "date, date", leat_result_interval, dates_between, NULL, EXACT, "The interval between two days."},
    {"-", "datetime, datetime", between_timestamps, NULL, subtract, EXACT, "The interval between two times."},
    {"-", "interval, interval", leat_result_first, NULL, subtract, EXACT, "Difference of intervals."},
    {"-", "months, months", leat_result_first, NULL, subtract, EXACT, "Difference of intervals of months."},
    {"-", "number", leat_result_first, NULL, negate, EXACT, "Negative of a number."},
    {"-", "interval", leat_result_first, NULL, negate, EXACT, "Negative of an interval."},
    {"-", "months", leat_result_first, NULL, negate, EXACT, "Negative of an interval of months."},
    {"*", "integer, integer", leat_result_common, NULL, multiply, EXACT, "Product; integers wrap."},
    {"*", "exact, exact", product_type, decimal_multiply, NULL, MAYBE_NULL,
     "Product of decimals; NULL beyond 38 digits."},
    {"*", "number, number", leat_result_operated, NULL, multiply, EXACT, "Product of FLOAT or DOUBLE."},
    {"*", "interval, double", scaled_interval, scale_interval, NULL, PLAIN, "A multiple of an interval."},
    {"*", "double, interval", scaled_interval_swapped, scale_interval, NULL, PLAIN, "A multiple of an interval."},
    {"*", "months, double", scaled_interval, scale_interval, NULL, PLAIN, "A multiple of an interval of months."},
    {"*", "double, months", scaled_interval_swapped, scale_interval, NULL, PLAIN,
     "A multiple of an interval of months."},
    {"/", "integer, integer", integer_quotient, divide_integer, NULL, MAYBE_BAD,
     "Quotient truncated to an integer; by 0 the row is bad."},
    {"/", "exact, exact", quotient_type, decimal_divide, NULL, MAYBE_BAD, "Quotient of decimals; by 0 the row is bad."},
    {"/", "number, number", leat_result_operated, NULL, divide, EXACT,
     "Quotient of FLOAT or DOUBLE; by 0 it is infinite or NaN."},
    {"%", "integer, integer", integer_rest, modulo_integer, NULL, MAYBE_BAD,
     "Rest of a division, with the sign of the dividend."},
    {"%", "exact, exact", rest_type, decimal_modulo, NULL, MAYBE_BAD, "Rest of a division of decimals."},
    {"%", "number, number", leat_result_operated, modulo_double, NULL, PLAIN, "Rest of a division of FLOAT or DOUBLE."},
    {"MOD", "integer, integer", integer_rest, modulo_integer, NULL, LEAT_FUNCTION_FAILS,
     "Rest of a division, with the sign of the dividend."},
    {"MOD", "exact, exact", rest_type, decimal_modulo, NULL, LEAT_FUNCTION_FAILS, "Rest of a division of decimals."},
    {"MOD", "number, number", leat_result_operated, modulo_double, NULL, 0, "Rest of a division of FLOAT or DOUBLE."},
    {.name = NULL},
};
// clang-format on
