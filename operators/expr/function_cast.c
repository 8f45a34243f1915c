// CAST and TRY_CAST, as Flink's cast rules have it: numbers narrow as in Java (integers wrap, doubles saturate), a DECIMAL that
// does not fit is NULL, a text that is none of the type makes the row bad.
#include <math.h>
#include <string.h>

#include "operators/expr/kernel.h"
#include "operators/expr/time_format.h"
#include "operators/expr/wide.h"

enum { DAY_MS = 86400000 };

// -- numbers to numbers

static inline int64_t long_of(double x)
{
    return x >= 9223372036854775808.0 ? INT64_MAX : x <= -9223372036854775808.0 ? INT64_MIN : x != x ? 0 : (int64_t)x;
}

static inline int32_t int_of(double x)
{
    return x >= 2147483647.0 ? INT32_MAX : x <= -2147483648.0 ? INT32_MIN : x != x ? 0 : (int32_t)x;
}

LEAT_KERNEL_UNARY(i64_to_i8, int64_t, int64_t, (int8_t)x)
LEAT_KERNEL_UNARY(i64_to_i16, int64_t, int64_t, (int16_t)x)
LEAT_KERNEL_UNARY(i64_to_i32, int64_t, int64_t, (int32_t)x)
LEAT_KERNEL_UNARY(i64_to_i64, int64_t, int64_t, x)
LEAT_KERNEL_UNARY(i64_to_f32, double, int64_t, (float)x)
LEAT_KERNEL_UNARY(i64_to_f64, double, int64_t, (double)x)
LEAT_KERNEL_UNARY(f64_to_i8, int64_t, double, (int8_t)int_of(x))
LEAT_KERNEL_UNARY(f64_to_i16, int64_t, double, (int16_t)int_of(x))
LEAT_KERNEL_UNARY(f64_to_i32, int64_t, double, int_of(x))
LEAT_KERNEL_UNARY(f64_to_i64, int64_t, double, long_of(x))
LEAT_KERNEL_UNARY(f64_to_f32, double, double, (float)x)
LEAT_KERNEL_UNARY(f64_to_f64, double, double, x)

static leat_kernel number_kernel(leat_type from, leat_type to)
{
    static const leat_kernel of_integer[] = {
        [LEAT_KIND_TINYINT] = i64_to_i8, [LEAT_KIND_SMALLINT] = i64_to_i16, [LEAT_KIND_INT] = i64_to_i32,
        [LEAT_KIND_BIGINT] = i64_to_i64, [LEAT_KIND_FLOAT] = i64_to_f32,    [LEAT_KIND_DOUBLE] = i64_to_f64,
    };
    static const leat_kernel of_double[] = {
        [LEAT_KIND_TINYINT] = f64_to_i8, [LEAT_KIND_SMALLINT] = f64_to_i16, [LEAT_KIND_INT] = f64_to_i32,
        [LEAT_KIND_BIGINT] = f64_to_i64, [LEAT_KIND_FLOAT] = f64_to_f32,    [LEAT_KIND_DOUBLE] = f64_to_f64,
    };
    bool primitive = leat_type_is_numeric(from) && leat_type_is_numeric(to) && from.kind != LEAT_KIND_DECIMAL &&
                     to.kind != LEAT_KIND_DECIMAL;
    if (!primitive)
        return NULL;
    return leat_type_is_integer(from) ? of_integer[to.kind] : of_double[to.kind];
}

// -- one value

typedef enum cast_result { CAST_DONE, CAST_NULL, CAST_BAD } cast_result;

typedef struct cast_context {
    leat_call *call;
    leat_arena *memory;
    const leat_zone *zone;
} cast_context;

static int64_t narrowed(leat_type to, int64_t value)
{
    switch (to.kind) {
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

static cast_result to_decimal(leat_type to, bool fits, leat_i128 value, leat_value *out)
{
    if (!fits || !leat_decimal_fits(value, to.precision))
        return CAST_NULL;
    out->i128 = value;
    return CAST_DONE;
}

static cast_result integer_to(leat_type to, int64_t value, leat_value *out)
{
    leat_i128 units = 0;
    bool fits;
    switch (to.kind) {
    case LEAT_KIND_BOOLEAN:
        out->boolean = value != 0;
        return CAST_DONE;
    case LEAT_KIND_FLOAT:
        out->f64 = (float)value;
        return CAST_DONE;
    case LEAT_KIND_DOUBLE:
        out->f64 = (double)value;
        return CAST_DONE;
    case LEAT_KIND_DECIMAL:
        fits = leat_wide_multiply(value, leat_power_of_ten(to.scale), 0, &units);
        return to_decimal(to, fits, units, out);
    default:
        out->i64 = narrowed(to, value);
        return CAST_DONE;
    }
}

static cast_result double_to(leat_type to, double value, leat_value *out)
{
    leat_i128 units = 0;
    bool fits;
    switch (to.kind) {
    case LEAT_KIND_BOOLEAN:
        out->boolean = value != 0;
        return CAST_DONE;
    case LEAT_KIND_FLOAT:
        out->f64 = (float)value;
        return CAST_DONE;
    case LEAT_KIND_DOUBLE:
        out->f64 = value;
        return CAST_DONE;
    case LEAT_KIND_DECIMAL:
        fits = isfinite(value) && leat_decimal_from_double(value, to.scale, &units);
        return to_decimal(to, fits, units, out);
    case LEAT_KIND_BIGINT:
        out->i64 = long_of(value);
        return CAST_DONE;
    default:
        out->i64 = narrowed(to, int_of(value));
        return CAST_DONE;
    }
}

static cast_result decimal_to(leat_type from, leat_type to, leat_i128 value, leat_value *out)
{
    leat_i128 units = 0;
    bool fits;
    switch (to.kind) {
    case LEAT_KIND_BOOLEAN:
        out->boolean = value != 0;
        return CAST_DONE;
    case LEAT_KIND_FLOAT:
        out->f64 = (float)leat_decimal_to_double(value, from.scale);
        return CAST_DONE;
    case LEAT_KIND_DOUBLE:
        out->f64 = leat_decimal_to_double(value, from.scale);
        return CAST_DONE;
    case LEAT_KIND_DECIMAL:
        fits = leat_decimal_rescale(value, from.scale, to.scale, &units);
        return to_decimal(to, fits, units, out);
    default:
        out->i64 = narrowed(to, (int64_t)(uint64_t)(leat_u128)(value / leat_power_of_ten(from.scale)));
        return CAST_DONE;
    }
}

static leat_slice trimmed(leat_slice text)
{
    while (text.size && (unsigned char)text.data[0] <= ' ')
        text = leat_slice_of(text.data + 1, text.size - 1);
    while (text.size && (unsigned char)text.data[text.size - 1] <= ' ')
        text.size--;
    return text;
}

// "12", "-3", "12.7" (the fraction is cut off).
static bool integer_of_text(leat_slice text, leat_type to, int64_t *out)
{
    const char *dot = text.size ? memchr(text.data, '.', text.size) : NULL;
    size_t whole = dot ? (size_t)(dot - text.data) : text.size;
    for (size_t i = whole + 1; i < text.size; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    bool has_sign = text.size && (text.data[0] == '+' || text.data[0] == '-');
    if (dot && whole == has_sign) { // nothing before the point is 0
        *out = 0;
        return true;
    }
    return leat_integer_parse(leat_slice_of(text.data, whole), out) && *out >= leat_integer_min(to) &&
           *out <= leat_integer_max(to);
}

static bool boolean_of_text(leat_slice text, bool *out)
{
    static const char *const words[] = {"t", "true", "y", "yes", "1", "f", "false", "n", "no", "0"};
    for (size_t i = 0; i < 10; i++)
        if (leat_slice_is_nocase(text, words[i])) {
            *out = i < 5;
            return true;
        }
    return false;
}

static int64_t truncated(leat_type to, int64_t ms)
{
    static const int64_t units[] = {1000, 100, 10, 1};
    int64_t unit = units[to.precision < 3 ? to.precision : 3], rest = ms % unit;
    return ms - (rest < 0 ? rest + unit : rest);
}

static bool timestamp_of_text(const cast_context *cast, leat_slice text, leat_type to, int64_t *out)
{
    int64_t ms;
    if (!leat_time_read(text, &ms))
        return false;
    *out = truncated(to, to.kind == LEAT_KIND_TIMESTAMP_LTZ ? leat_zone_from_local_ms(cast->zone, ms) : ms);
    return true;
}

bool leat_text_to_double(leat_slice text, double *out)
{
    text = trimmed(text);
    if (leat_double_parse(text, out))
        return true;
    if (text.size < 2 || !strchr("fFdD", text.data[text.size - 1]) || !strchr("0123456789.", text.data[text.size - 2]))
        return false;
    return leat_double_parse(leat_slice_of(text.data, text.size - 1), out);
}

static cast_result text_to_decimal(leat_slice text, leat_type to, leat_value *out)
{
    leat_i128 units = 0;
    double ignored;
    if (leat_decimal_parse(text, to.scale, &units))
        return to_decimal(to, true, units, out);
    return leat_double_parse(text, &ignored) && isfinite(ignored) ? CAST_NULL : CAST_BAD;
}

static cast_result done_if(bool done) { return done ? CAST_DONE : CAST_BAD; }

static cast_result text_to(const cast_context *cast, leat_type to, leat_slice text, leat_value *out)
{
    if (to.kind == LEAT_KIND_STRING || to.kind == LEAT_KIND_BYTES) {
        out->text = text;
        return CAST_DONE;
    }
    leat_slice whole = text;
    text = trimmed(text);
    switch (to.kind) {
    case LEAT_KIND_BOOLEAN:
        return done_if(boolean_of_text(text, &out->boolean));
    case LEAT_KIND_DOUBLE:
        return done_if(leat_text_to_double(text, &out->f64));
    case LEAT_KIND_FLOAT:
        if (!leat_text_to_double(text, &out->f64))
            return CAST_BAD;
        out->f64 = (float)out->f64;
        return CAST_DONE;
    case LEAT_KIND_DECIMAL:
        return text_to_decimal(text, to, out);
    case LEAT_KIND_DATE:
        return done_if(leat_day_read(text, &out->i64));
    case LEAT_KIND_TIME:
        return done_if(leat_time_parse(text, &out->i64));
    case LEAT_KIND_TIMESTAMP:
    case LEAT_KIND_TIMESTAMP_LTZ:
        return done_if(timestamp_of_text(cast, whole, to, &out->i64));
    default:
        return done_if(integer_of_text(text, to, &out->i64));
    }
}

// By way of local milliseconds.
static cast_result time_to(const cast_context *cast, leat_type from, leat_type to, int64_t value, leat_value *out)
{
    int64_t local = from.kind == LEAT_KIND_DATE ? value * DAY_MS
                    : from.kind == LEAT_KIND_TIMESTAMP_LTZ && to.kind != LEAT_KIND_TIMESTAMP_LTZ
                        ? leat_zone_to_local_ms(cast->zone, value)
                        : value;
    int64_t days = local / DAY_MS - (local % DAY_MS < 0);
    switch (to.kind) {
    case LEAT_KIND_DATE:
        out->i64 = days;
        break;
    case LEAT_KIND_TIME:
        out->i64 = local - days * DAY_MS;
        break;
    case LEAT_KIND_TIMESTAMP_LTZ:
        out->i64 =
            truncated(to, from.kind == LEAT_KIND_TIMESTAMP_LTZ ? value : leat_zone_from_local_ms(cast->zone, local));
        break;
    case LEAT_KIND_TIMESTAMP:
        out->i64 = truncated(to, local);
        break;
    default:
        out->i64 = value;
        break;
    }
    return CAST_DONE;
}

static cast_result value_to_text(const cast_context *cast, leat_type from, const leat_value *value, leat_value *out)
{
    leat_writer writer;
    leat_writer_init(&writer, cast->call->eval->env, LEAT_STRING_BYTES_MAX);
    leat_value_print(from, value, cast->zone, &writer);
    bool fits = !writer.failed;
    if (fits)
        out->text = leat_slice_of(leat_arena_copy(cast->memory, (const char *)writer.bytes, writer.size), writer.size);
    leat_writer_fini(&writer);
    return done_if(fits);
}

static cast_result cast_value(const cast_context *cast, leat_type from, leat_type to, const leat_value *value,
                              leat_value *out);

static leat_type item_type(leat_type type, uint32_t i)
{
    return *type.fields[type.kind == LEAT_KIND_ARRAY ? 0 : type.kind == LEAT_KIND_MAP ? i % 2 : i].type;
}

static cast_result nested_to(const cast_context *cast, leat_type from, leat_type to, leat_nested nested,
                             leat_value *out)
{
    leat_value *items = leat_arena_alloc_aligned(cast->memory, sizeof *items * (nested.count + 1), 16);
    for (uint32_t i = 0; i < nested.count; i++) {
        items[i] = leat_value_null();
        cast_result result = nested.items[i].is_null
                                 ? CAST_NULL
                                 : cast_value(cast, item_type(from, i), item_type(to, i), &nested.items[i], &items[i]);
        if (result == CAST_BAD)
            return CAST_BAD;
        items[i].is_null = result == CAST_NULL;
    }
    out->nested = (leat_nested){nested.count, items};
    return CAST_DONE;
}

static cast_result cast_value(const cast_context *cast, leat_type from, leat_type to, const leat_value *value,
                              leat_value *out)
{
    if (leat_type_equal(from, to) && !leat_type_is_timestamp(to)) {
        *out = *value;
        return CAST_DONE;
    }
    if (from.kind == LEAT_KIND_STRING || from.kind == LEAT_KIND_BYTES)
        return text_to(cast, to, value->text, out);
    if (to.kind == LEAT_KIND_STRING)
        return value_to_text(cast, from, value, out);
    if (from.kind == LEAT_KIND_BOOLEAN)
        return to.kind == LEAT_KIND_BOOLEAN ? (out->boolean = value->boolean, CAST_DONE)
                                            : integer_to(to, value->boolean, out);
    if (leat_type_is_integer(from))
        return integer_to(to, value->i64, out);
    if (from.kind == LEAT_KIND_DECIMAL)
        return decimal_to(from, to, value->i128, out);
    if (leat_type_is_numeric(from))
        return double_to(to, value->f64, out);
    if (from.kind >= LEAT_KIND_ARRAY)
        return nested_to(cast, from, to, value->nested, out);
    return leat_type_is_integer(to) ? integer_to(to, value->i64, out) : time_to(cast, from, to, value->i64, out);
}

// -- columns

static void fail(leat_call *call, uint32_t row, leat_type from, const leat_value *value)
{
    char type[LEAT_TYPE_TEXT];
    leat_type_print(call->out->type, type);
    if (from.kind == LEAT_KIND_STRING)
        leat_call_fail(call, row, "'%.*s' is no %s", (int)(value->text.size < 60 ? value->text.size : 60),
                       value->text.data, type);
    else
        leat_call_fail(call, row, "a value does not fit %s", type);
}

static void cast_column(leat_call *call)
{
    leat_type from = leat_argument_type(call, 0), to = call->out->type;
    cast_context cast = {call, call->memory, call->zone};
    LEAT_EACH(call, row)
    {
        leat_value value = leat_argument_value(call, 0, row), out = {.is_null = false};
        cast_result result = cast_value(&cast, from, to, &value, &out);
        out.is_null = result != CAST_DONE;
        leat_column_set(call->out, row, &out, NULL);
        if (result == CAST_BAD)
            fail(call, row, from, &value);
    }
}

static void cast_null(leat_call *call) { LEAT_EACH(call, row) leat_call_null(call, row); }

static bool castable(leat_type from, leat_type to)
{
    bool from_text = from.kind == LEAT_KIND_STRING, to_text = to.kind == LEAT_KIND_STRING;
    bool from_interval = from.kind == LEAT_KIND_INTERVAL || from.kind == LEAT_KIND_INTERVAL_MONTH;
    bool to_interval = to.kind == LEAT_KIND_INTERVAL || to.kind == LEAT_KIND_INTERVAL_MONTH;
    if (leat_type_equal(from, to) || to_text)
        return true;
    if (from_text)
        return !to_interval && to.kind < LEAT_KIND_ARRAY;
    if (leat_type_is_numeric(from) || from.kind == LEAT_KIND_BOOLEAN)
        return leat_type_is_numeric(to) || to.kind == LEAT_KIND_BOOLEAN || (to_interval && leat_type_is_integer(from));
    if (from_interval)
        return leat_type_is_integer(to) || from.kind == to.kind;
    if (leat_type_is_temporal(from))
        return leat_type_is_temporal(to) && !(from.kind == LEAT_KIND_DATE && to.kind == LEAT_KIND_TIME) &&
               !(from.kind == LEAT_KIND_TIME && to.kind == LEAT_KIND_DATE);
    if (from.kind < LEAT_KIND_ARRAY || from.kind != to.kind || from.field_count != to.field_count)
        return from.kind == to.kind && from.kind < LEAT_KIND_ARRAY;
    for (uint32_t i = 0; i < from.field_count; i++)
        if (!castable(*from.fields[i].type, *to.fields[i].type))
            return false;
    return true;
}

leat_kernel leat_cast_kernel(leat_type from, leat_type to)
{
    if (from.kind == LEAT_KIND_NULL)
        return cast_null;
    leat_kernel kernel = number_kernel(from, to);
    return kernel ? kernel : castable(from, to) ? cast_column : NULL;
}

bool leat_cast_may_fail(leat_type from, leat_type to)
{
    if (from.kind >= LEAT_KIND_ARRAY)
        return true;
    return from.kind == LEAT_KIND_STRING && to.kind != LEAT_KIND_STRING && to.kind != LEAT_KIND_BYTES;
}
