// Values as the text that CAST(... AS STRING) gives in Flink.
#include <string.h>

#include "operators/expr/function.h"

enum { HOUR_MS = 3600000, MINUTE_MS = 60000 };

// With as many digits of a second as the type declares.
static void print_fraction(char *text, size_t size, unsigned precision, leat_writer *out)
{
    size_t cut = size - 4; // ".fff"
    if (precision == 0) {
        leat_write_bytes(out, text, cut);
        return;
    }
    leat_write_bytes(out, text, cut + 1 + (precision < 3 ? precision : 3));
    for (unsigned i = 3; i < precision && i < 9; i++)
        leat_write_u8(out, '0');
}

static void print_timestamp(int64_t local_ms, unsigned precision, leat_writer *out)
{
    char text[LEAT_TIMESTAMP_TEXT];
    print_fraction(text, leat_timestamp_print(local_ms, ' ', text), precision, out);
}

static void print_time(int64_t ms, unsigned precision, leat_writer *out)
{
    char text[LEAT_TIMESTAMP_TEXT];
    print_fraction(text, leat_time_print(ms, text), precision, out);
}

static void print_interval(int64_t ms, leat_writer *out)
{
    uint64_t size = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    leat_write_format(out, "%c%llu %02u:%02u:%02u.%03u", ms < 0 ? '-' : '+',
                      (unsigned long long)(size / (24 * HOUR_MS)), (unsigned)(size / HOUR_MS % 24),
                      (unsigned)(size / MINUTE_MS % 60), (unsigned)(size / 1000 % 60), (unsigned)(size % 1000));
}

static void print_months(int64_t months, leat_writer *out)
{
    uint64_t size = months < 0 ? 0 - (uint64_t)months : (uint64_t)months;
    leat_write_format(out, "%c%llu-%02u", months < 0 ? '-' : '+', (unsigned long long)(size / 12),
                      (unsigned)(size % 12));
}

static void print_number(leat_type type, const leat_value *value, leat_writer *out)
{
    char text[LEAT_NUMBER_TEXT + 8];
    size_t size;
    if (type.kind == LEAT_KIND_DECIMAL)
        size = leat_decimal_print(value->i128, type.scale, text);
    else if (type.kind == LEAT_KIND_FLOAT)
        size = leat_float_print_java((float)value->f64, text);
    else if (type.kind == LEAT_KIND_DOUBLE)
        size = leat_double_print_java(value->f64, text);
    else
        size = leat_integer_print(value->i64, text);
    leat_write_bytes(out, text, size);
}

// [a, b], {key=value}, (field, field)
static void print_nested(leat_type type, const leat_value *value, const leat_zone *zone, leat_writer *out)
{
    static const char *const brackets[] = {"[]", "{}", "()"};
    const char *pair = brackets[type.kind - LEAT_KIND_ARRAY];
    leat_write_u8(out, (uint8_t)pair[0]);
    for (uint32_t i = 0; i < value->nested.count; i++) {
        bool after_key = type.kind == LEAT_KIND_MAP && i % 2 == 1;
        if (i)
            leat_write_text(out, after_key ? "=" : ", ");
        uint32_t field = type.kind == LEAT_KIND_ARRAY ? 0 : type.kind == LEAT_KIND_MAP ? i % 2 : i;
        leat_value_print(*type.fields[field].type, &value->nested.items[i], zone, out);
    }
    leat_write_u8(out, (uint8_t)pair[1]);
}

void leat_value_print(leat_type type, const leat_value *value, const leat_zone *zone, leat_writer *out)
{
    char text[LEAT_TIMESTAMP_TEXT];
    if (value->is_null) {
        leat_write_text(out, "NULL");
        return;
    }
    switch (type.kind) {
    case LEAT_KIND_BOOLEAN:
        leat_write_text(out, value->boolean ? "TRUE" : "FALSE");
        return;
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
        leat_write_bytes(out, value->text.data, value->text.size);
        return;
    case LEAT_KIND_DATE:
        leat_write_bytes(out, text, leat_date_print(value->i64, text));
        return;
    case LEAT_KIND_TIME:
        print_time(value->i64, type.precision, out);
        return;
    case LEAT_KIND_TIMESTAMP:
        print_timestamp(value->i64, type.precision, out);
        return;
    case LEAT_KIND_TIMESTAMP_LTZ:
        print_timestamp(leat_zone_to_local_ms(zone, value->i64), type.precision, out);
        return;
    case LEAT_KIND_INTERVAL:
        print_interval(value->i64, out);
        return;
    case LEAT_KIND_INTERVAL_MONTH:
        print_months(value->i64, out);
        return;
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
    case LEAT_KIND_ROW:
        print_nested(type, value, zone, out);
        return;
    default:
        print_number(type, value, out);
        return;
    }
}
