// Literals typed as in Flink, and the types of CAST.
#include "config/sql/binder.h"
#include "config/sql/print.h"
#include "operators/base/calendar.h"

#include <string.h>

typedef struct literal_value {
    leat_type type;
    leat_value value;
} literal_value;

static leat_type time_type(leat_kind kind, unsigned precision)
{
    leat_type type = leat_type_of(kind);
    type.precision = (uint8_t)precision;
    return type;
}

// 123 is an INT, or a BIGINT where INT does not hold it. The sign comes in here, so that the least BIGINT can be written.
static bool integer_value(const leat_sql_literal *literal, bool negative, literal_value *out)
{
    int64_t value = 0;
    for (size_t i = 0; i < literal->text.size; i++) {
        int digit = literal->text.data[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, digit, &value))
            return false;
    }
    if (!negative && value == INT64_MIN)
        return false;
    bool is_int = value >= -(int64_t)INT32_MAX;
    out->type = leat_type_of(is_int ? LEAT_KIND_INT : LEAT_KIND_BIGINT);
    out->value.i64 = negative ? value : -value;
    return true;
}

// 1.50 is a DECIMAL(3, 2): as many digits as were written.
static bool decimal_value(const leat_sql_literal *literal, bool negative, literal_value *out)
{
    const char *point = memchr(literal->text.data, '.', literal->text.size);
    size_t scale = point ? literal->text.size - (size_t)(point - literal->text.data) - 1 : 0;
    size_t precision = literal->text.size - (point ? 1 : 0);
    if (precision > 38 || !leat_decimal_parse(literal->text, (unsigned)scale, &out->value.i128))
        return false;
    if (negative)
        out->value.i128 = -out->value.i128;
    out->type = leat_type_decimal((unsigned)precision, (unsigned)scale);
    return true;
}

static bool double_value(const leat_sql_literal *literal, bool negative, literal_value *out)
{
    out->type = leat_type_of(LEAT_KIND_DOUBLE);
    if (!leat_double_parse(literal->text, &out->value.f64))
        return false;
    if (negative)
        out->value.f64 = -out->value.f64;
    return true;
}

static int hexadecimal(char digit) { return digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10; }

static bool binary_value(leat_arena *arena, const leat_sql_literal *literal, literal_value *out)
{
    size_t size = literal->text.size / 2;
    char *bytes = leat_arena_alloc(arena, size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(hexadecimal(literal->text.data[2 * i]) << 4 | hexadecimal(literal->text.data[2 * i + 1]));
    out->type = leat_type_of(LEAT_KIND_BYTES);
    out->value.text = leat_slice_of(bytes, size);
    return true;
}

static unsigned fraction_digits(leat_slice text)
{
    const char *point = memchr(text.data, '.', text.size);
    size_t digits = point ? text.size - (size_t)(point - text.data) - 1 : 0;
    return digits > 9 ? 9 : (unsigned)digits;
}

static bool timestamp_value(const leat_sql_literal *literal, const leat_zone *zone, literal_value *out)
{
    bool local = literal->kind == LEAT_SQL_LITERAL_TIMESTAMP_LTZ;
    out->type = time_type(local ? LEAT_KIND_TIMESTAMP_LTZ : LEAT_KIND_TIMESTAMP, fraction_digits(literal->text));
    if (!leat_timestamp_parse(literal->text, &out->value.i64, NULL))
        return false;
    if (local)
        out->value.i64 = leat_zone_from_local_ms(zone, out->value.i64);
    return true;
}

static bool is_month_unit(leat_sql_unit unit)
{
    return unit == LEAT_SQL_UNIT_YEAR || unit == LEAT_SQL_UNIT_QUARTER || unit == LEAT_SQL_UNIT_MONTH;
}

static bool interval_value(const leat_sql_literal *literal, bool negative, literal_value *out)
{
    out->type = leat_type_of(is_month_unit(literal->interval.from) ? LEAT_KIND_INTERVAL_MONTH : LEAT_KIND_INTERVAL);
    out->value.i64 = negative ? -literal->interval_value : literal->interval_value;
    return true;
}

static bool boolean_value(bool value, literal_value *out)
{
    out->type = leat_type_of(LEAT_KIND_BOOLEAN);
    out->value.boolean = value;
    return true;
}

static bool null_value(leat_kind kind, literal_value *out)
{
    out->type = leat_type_of(kind);
    out->value = leat_value_null();
    return true;
}

static bool value_of(leat_sql_binder *binder, const leat_sql_literal *literal, bool negative, literal_value *out)
{
    switch (literal->kind) {
    case LEAT_SQL_LITERAL_TRUE:
        return boolean_value(true, out);
    case LEAT_SQL_LITERAL_FALSE:
        return boolean_value(false, out);
    case LEAT_SQL_LITERAL_UNKNOWN:
        return null_value(LEAT_KIND_BOOLEAN, out);
    case LEAT_SQL_LITERAL_INTEGER:
        return integer_value(literal, negative, out);
    case LEAT_SQL_LITERAL_DECIMAL:
        return decimal_value(literal, negative, out);
    case LEAT_SQL_LITERAL_APPROXIMATE:
        return double_value(literal, negative, out);
    case LEAT_SQL_LITERAL_STRING:
        out->type = leat_type_of(LEAT_KIND_STRING);
        out->value.text = literal->text;
        return true;
    case LEAT_SQL_LITERAL_BINARY:
        return binary_value(binder->expr->arena, literal, out);
    case LEAT_SQL_LITERAL_DATE:
        out->type = leat_type_of(LEAT_KIND_DATE);
        return leat_date_parse(literal->text, &out->value.i64);
    case LEAT_SQL_LITERAL_TIME:
        out->type = time_type(LEAT_KIND_TIME, 0);
        return leat_time_parse(literal->text, &out->value.i64);
    case LEAT_SQL_LITERAL_TIMESTAMP:
    case LEAT_SQL_LITERAL_TIMESTAMP_LTZ:
        return timestamp_value(literal, binder->expr->zone, out);
    case LEAT_SQL_LITERAL_INTERVAL:
        return interval_value(literal, negative, out);
    default:
        return null_value(LEAT_KIND_NULL, out);
    }
}

static bool takes_sign(leat_sql_literal_kind kind)
{
    return kind == LEAT_SQL_LITERAL_INTEGER || kind == LEAT_SQL_LITERAL_DECIMAL ||
           kind == LEAT_SQL_LITERAL_APPROXIMATE || kind == LEAT_SQL_LITERAL_INTERVAL || kind == LEAT_SQL_LITERAL_NULL;
}

leat_expr *leat_sql_bind_literal(leat_sql_binder *binder, const leat_sql_literal *literal, bool negative,
                                 leat_sql_span span)
{
    literal_value result;
    memset(&result, 0, sizeof result);
    if (negative && !takes_sign(literal->kind)) {
        leat_expr *positive = leat_sql_bind_literal(binder, literal, false, span);
        return leat_sql_apply(binder, "-", &positive, 1, span);
    }
    if (value_of(binder, literal, negative, &result))
        return leat_expr_literal(binder->expr, result.type, result.value);
    bool is_integer = literal->kind == LEAT_SQL_LITERAL_INTEGER;
    leat_sql_binder_error(binder, span, "%.*s %s", (int)literal->text.size, literal->text.data,
                          is_integer ? "does not fit BIGINT; with a decimal point it is a DECIMAL"
                          : literal->kind == LEAT_SQL_LITERAL_DECIMAL ? "has more than 38 digits"
                                                                      : "is no such value");
    return NULL;
}

// ---- types

static bool type_refuse(leat_sql_binder *binder, const leat_sql_type *type, const char *instead)
{
    leat_slice text = leat_sql_type_print(binder->expr->arena, type);
    leat_sql_binder_error(binder, type->span, "the type %.*s is not in leat; %s", (int)text.size, text.data, instead);
    return false;
}

enum { TEXT_MAX = 2147483647 };

// Lengths are not kept with a type: only the unbounded ones are the same in Flink.
static bool text_type(leat_sql_binder *binder, const leat_sql_type *type, leat_kind kind, leat_type *out_type)
{
    bool fixed = type->kind == LEAT_SQL_TYPE_CHAR || type->kind == LEAT_SQL_TYPE_BINARY;
    const char *instead = kind == LEAT_KIND_STRING ? "write STRING, and SUBSTRING(x, 1, n) to cut" : "write BYTES";
    if (fixed || (type->precision >= 0 && type->precision != TEXT_MAX))
        return type_refuse(binder, type, instead);
    *out_type = leat_type_of(kind);
    return true;
}

static bool decimal_type(leat_sql_binder *binder, const leat_sql_type *type, leat_type *out_type)
{
    int32_t precision = type->precision < 0 ? 10 : type->precision, scale = type->scale < 0 ? 0 : type->scale;
    if (precision < 1 || precision > 38 || scale > precision) {
        leat_sql_binder_error(binder, type->span, "DECIMAL(p, s) takes 1 <= p <= 38 and 0 <= s <= p, found (%d, %d)",
                              precision, scale);
        return false;
    }
    *out_type = leat_type_decimal((unsigned)precision, (unsigned)scale);
    return true;
}

static bool precise_type(leat_sql_binder *binder, const leat_sql_type *type, leat_kind kind, int32_t usual,
                         leat_type *out_type)
{
    int32_t precision = type->precision < 0 ? usual : type->precision;
    if (precision > 9) {
        leat_sql_binder_error(binder, type->span, "the precision of a time is 0 to 9, found %d", precision);
        return false;
    }
    *out_type = time_type(kind, (unsigned)precision);
    return true;
}

static bool map_type(leat_sql_binder *binder, const leat_sql_type *type, leat_type *out_type)
{
    leat_type *parts = leat_arena_array(binder->expr->arena, leat_type, 2);
    leat_type_field *fields = leat_arena_array(binder->expr->arena, leat_type_field, 2);
    if (!leat_sql_bind_type(binder, type->key, &parts[0]) || !leat_sql_bind_type(binder, type->element, &parts[1]))
        return false;
    fields[0] = (leat_type_field){leat_slice_text("key"), &parts[0]};
    fields[1] = (leat_type_field){leat_slice_text("value"), &parts[1]};
    *out_type = leat_type_of(LEAT_KIND_MAP);
    out_type->field_count = 2;
    out_type->fields = fields;
    return true;
}

static bool row_type(leat_sql_binder *binder, const leat_sql_type *type, leat_type *out_type)
{
    leat_type *parts = leat_arena_array(binder->expr->arena, leat_type, type->field_count + 1);
    leat_type_field *fields = leat_arena_array(binder->expr->arena, leat_type_field, type->field_count + 1);
    for (uint32_t i = 0; i < type->field_count; i++) {
        if (!leat_sql_bind_type(binder, type->fields[i].type, &parts[i]))
            return false;
        fields[i] = (leat_type_field){type->fields[i].name.text, &parts[i]};
    }
    *out_type = leat_type_of(LEAT_KIND_ROW);
    out_type->field_count = type->field_count;
    out_type->fields = fields;
    return true;
}

static bool array_type(leat_sql_binder *binder, const leat_sql_type *type, leat_type *out_type)
{
    leat_type element;
    if (!leat_sql_bind_type(binder, type->element, &element))
        return false;
    *out_type = leat_type_array(binder->expr->arena, element);
    return true;
}

static bool plain_type(leat_kind kind, leat_type *out_type)
{
    *out_type = leat_type_of(kind);
    return true;
}

bool leat_sql_bind_type(leat_sql_binder *binder, const leat_sql_type *type, leat_type *out_type)
{
    switch (type->kind) {
    case LEAT_SQL_TYPE_BOOLEAN:
        return plain_type(LEAT_KIND_BOOLEAN, out_type);
    case LEAT_SQL_TYPE_TINYINT:
        return plain_type(LEAT_KIND_TINYINT, out_type);
    case LEAT_SQL_TYPE_SMALLINT:
        return plain_type(LEAT_KIND_SMALLINT, out_type);
    case LEAT_SQL_TYPE_INT:
        return plain_type(LEAT_KIND_INT, out_type);
    case LEAT_SQL_TYPE_BIGINT:
        return plain_type(LEAT_KIND_BIGINT, out_type);
    case LEAT_SQL_TYPE_FLOAT:
        return plain_type(LEAT_KIND_FLOAT, out_type);
    case LEAT_SQL_TYPE_DOUBLE:
        return plain_type(LEAT_KIND_DOUBLE, out_type);
    case LEAT_SQL_TYPE_DECIMAL:
        return decimal_type(binder, type, out_type);
    case LEAT_SQL_TYPE_CHAR:
    case LEAT_SQL_TYPE_VARCHAR:
    case LEAT_SQL_TYPE_STRING:
        return text_type(binder, type, LEAT_KIND_STRING, out_type);
    case LEAT_SQL_TYPE_BINARY:
    case LEAT_SQL_TYPE_VARBINARY:
    case LEAT_SQL_TYPE_BYTES:
        return text_type(binder, type, LEAT_KIND_BYTES, out_type);
    case LEAT_SQL_TYPE_DATE:
        return plain_type(LEAT_KIND_DATE, out_type);
    case LEAT_SQL_TYPE_TIME:
        return precise_type(binder, type, LEAT_KIND_TIME, 0, out_type);
    case LEAT_SQL_TYPE_TIMESTAMP:
        return precise_type(binder, type, LEAT_KIND_TIMESTAMP, 6, out_type);
    case LEAT_SQL_TYPE_TIMESTAMP_LTZ:
        return precise_type(binder, type, LEAT_KIND_TIMESTAMP_LTZ, 6, out_type);
    case LEAT_SQL_TYPE_INTERVAL:
        return plain_type(is_month_unit(type->interval.from) ? LEAT_KIND_INTERVAL_MONTH : LEAT_KIND_INTERVAL, out_type);
    case LEAT_SQL_TYPE_ARRAY:
        return array_type(binder, type, out_type);
    case LEAT_SQL_TYPE_MAP:
        return map_type(binder, type, out_type);
    case LEAT_SQL_TYPE_ROW:
        return row_type(binder, type, out_type);
    case LEAT_SQL_TYPE_TIMESTAMP_TZ:
        return type_refuse(binder, type, "nor in Flink; write TIMESTAMP_LTZ(3)");
    case LEAT_SQL_TYPE_MULTISET:
        return type_refuse(binder, type, "write ARRAY");
    case LEAT_SQL_TYPE_NULL:
        return plain_type(LEAT_KIND_NULL, out_type);
    default:
        break;
    }
    leat_slice name = leat_sql_type_print(binder->expr->arena, type);
    leat_sql_binder_error(binder, type->span, "unknown type '%.*s'", (int)name.size, name.data);
    return false;
}
