// Writing JSON in the one form: what a text holds, and values of SQL.
#include <math.h>
#include <string.h>

#include "operators/expr/function.h"
#include "operators/expr/json.h"

void leat_bytes_write_base64(leat_slice bytes, leat_writer *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *data = (const uint8_t *)bytes.data;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t word = (uint32_t)data[i] << 16;
        word |= left > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        word |= left > 2 ? data[i + 2] : 0;
        leat_write_u8(out, (uint8_t)digits[word >> 18]);
        leat_write_u8(out, (uint8_t)digits[word >> 12 & 63]);
        leat_write_u8(out, left > 1 ? (uint8_t)digits[word >> 6 & 63] : '=');
        leat_write_u8(out, left > 2 ? (uint8_t)digits[word & 63] : '=');
    }
}

void leat_json_write_text(leat_slice text, leat_writer *out)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    size_t done = 0;
    leat_write_u8(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        leat_write_bytes(out, text.data + done, i - done);
        done = i + 1;
        const char *known = c ? strchr(from, c) : NULL;
        if (known)
            leat_write_format(out, "\\%c", to[known - from]);
        else
            leat_write_format(out, "\\u%04X", c);
    }
    leat_write_bytes(out, text.data + done, text.size - done);
    leat_write_u8(out, '"');
}

// -- numbers, as java.math.BigDecimal prints them

typedef struct number_parts {
    bool negative;
    leat_slice whole, fraction;
    int64_t exponent;
} number_parts;

enum { EXPONENT_MAX = 1000000 };

static number_parts parts_of(leat_slice value)
{
    number_parts parts = {.negative = value.data[0] == '-'};
    const char *at = value.data + parts.negative, *end = value.data + value.size, *begin = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    parts.whole = leat_slice_of(begin, (size_t)(at - begin));
    if (at < end && *at == '.') {
        for (begin = ++at; at < end && *at >= '0' && *at <= '9';)
            at++;
        parts.fraction = leat_slice_of(begin, (size_t)(at - begin));
    }
    if (at >= end)
        return parts;
    bool below = at[1] == '-';
    for (at += 1 + (at[1] == '-' || at[1] == '+'); at < end; at++)
        if (parts.exponent < EXPONENT_MAX)
            parts.exponent = parts.exponent * 10 + (*at - '0');
    if (below)
        parts.exponent = -parts.exponent;
    return parts;
}

static char digit_at(const number_parts *parts, size_t index)
{
    if (index < parts->whole.size)
        return parts->whole.data[index];
    LEAT_ASSERT(parts->fraction.data); // digits are counted before they are asked for
    return parts->fraction.data[index - parts->whole.size];
}

static void write_plain(const number_parts *parts, size_t first, size_t count, int64_t scale, leat_writer *out)
{
    int64_t whole = (int64_t)count - scale; // digits before the point
    if (whole <= 0)
        leat_write_text(out, "0");
    for (int64_t i = whole < 0 ? whole : 0; i < (int64_t)count; i++) {
        if (i == whole)
            leat_write_u8(out, '.');
        leat_write_u8(out, i < 0 ? '0' : (uint8_t)digit_at(parts, first + (size_t)i));
    }
}

static void write_scientific(const number_parts *parts, size_t first, size_t count, int64_t adjusted, leat_writer *out)
{
    for (size_t i = 0; i < count; i++) {
        if (i == 1)
            leat_write_u8(out, '.');
        leat_write_u8(out, (uint8_t)digit_at(parts, first + i));
    }
    if (adjusted)
        leat_write_format(out, "E%+lld", (long long)adjusted);
}

void leat_json_write_number(leat_slice value, leat_writer *out)
{
    number_parts parts = parts_of(value);
    size_t digits = parts.whole.size + parts.fraction.size, first = 0;
    while (first + 1 < digits && digit_at(&parts, first) == '0')
        first++;
    bool zero = digit_at(&parts, first) == '0';
    bool integer = !memchr(value.data, '.', value.size) && !memchr(value.data, 'e', value.size) &&
                   !memchr(value.data, 'E', value.size);
    int64_t scale = (int64_t)parts.fraction.size - parts.exponent;
    int64_t adjusted = (int64_t)(digits - first) - 1 - scale;
    if (parts.negative && !zero)
        leat_write_u8(out, '-');
    if (integer || (scale >= 0 && adjusted >= -6))
        write_plain(&parts, first, digits - first, scale, out);
    else
        write_scientific(&parts, first, digits - first, adjusted, out);
}

// -- objects, members by name

static int member_compare(const leat_json_field *a, const leat_json_field *b)
{
    size_t size = a->name.size < b->name.size ? a->name.size : b->name.size;
    int order = size ? memcmp(a->name.data, b->name.data, size) : 0;
    if (order == 0)
        order = a->name.size < b->name.size ? -1 : a->name.size > b->name.size;
    return order ? order : a->index < b->index ? -1 : 1;
}

// Shell's sort: in place, and good enough for the members of a message.
static void members_sort(leat_json_field *members, uint32_t count)
{
    for (uint32_t gap = count / 2; gap; gap /= 2)
        for (uint32_t i = gap; i < count; i++) {
            leat_json_field moved = members[i];
            uint32_t k = i;
            for (; k >= gap && member_compare(&moved, &members[k - gap]) < 0; k -= gap)
                members[k] = members[k - gap];
            members[k] = moved;
        }
}

void leat_json_write_fields(leat_json_field *members, uint32_t count, leat_arena *scratch, leat_writer *out)
{
    bool any = false;
    members_sort(members, count);
    leat_write_u8(out, '{');
    for (uint32_t i = 0; i < count; i++) {
        if (i + 1 < count && leat_slice_equal(members[i].name, members[i + 1].name))
            continue;
        if (any)
            leat_write_u8(out, ',');
        any = true;
        leat_json_write_text(members[i].name, out);
        leat_write_u8(out, ':');
        if (members[i].value)
            leat_json_write_value(members[i].type, members[i].value, scratch, out);
        else
            leat_json_write(members[i].item, scratch, out);
    }
    leat_write_u8(out, '}');
}

static leat_slice unescaped(leat_slice raw, leat_arena *scratch)
{
    if (!raw.size || !memchr(raw.data, '\\', raw.size))
        return raw;
    char *text = leat_arena_alloc_aligned(scratch, raw.size, 1);
    return leat_slice_of(text, leat_json_characters(raw, text));
}

static void write_object(leat_slice value, leat_arena *scratch, leat_writer *out)
{
    leat_json_walk walk = {value, 0};
    leat_slice name, item;
    uint32_t count = 0;
    while (leat_json_next(&walk, &name, &item))
        count++;
    leat_json_field *members = leat_arena_array(scratch, leat_json_field, count + 1);
    walk.at = 0;
    for (uint32_t i = 0; leat_json_next(&walk, &name, &item); i++)
        members[i] = (leat_json_field){.name = unescaped(name, scratch), .item = item, .index = i};
    leat_json_write_fields(members, count, scratch, out);
}

static void write_array(leat_slice value, leat_arena *scratch, leat_writer *out)
{
    leat_json_walk walk = {value, 0};
    leat_slice item;
    bool any = false;
    leat_write_u8(out, '[');
    while (leat_json_next(&walk, NULL, &item)) {
        if (any)
            leat_write_u8(out, ',');
        any = true;
        leat_json_write(item, scratch, out);
    }
    leat_write_u8(out, ']');
}

void leat_json_write(leat_slice value, leat_arena *scratch, leat_writer *out)
{
    switch (leat_json_kind_of(value)) {
    case LEAT_JSON_OBJECT:
        write_object(value, scratch, out);
        return;
    case LEAT_JSON_ARRAY:
        write_array(value, scratch, out);
        return;
    case LEAT_JSON_TEXT:
        leat_json_write_text(unescaped(leat_json_inside(value), scratch), out);
        return;
    case LEAT_JSON_NUMBER:
        leat_json_write_number(value, out);
        return;
    default:
        leat_write_bytes(out, value.data, value.size);
        return;
    }
}

// -- values of SQL

static void write_fields(leat_type type, const leat_value *value, leat_arena *scratch, leat_writer *out)
{
    bool map = type.kind == LEAT_KIND_MAP;
    uint32_t count = map ? value->nested.count / 2 : value->nested.count;
    leat_json_field *members = leat_arena_alloc_aligned(scratch, sizeof *members * (count + 1), 16);
    for (uint32_t i = 0; i < count; i++) {
        leat_slice name = map ? value->nested.items[2 * i].text : type.fields[i].name;
        members[i] = (leat_json_field){.name = name,
                                       .type = *type.fields[map ? 1 : i].type,
                                       .value = &value->nested.items[map ? 2 * i + 1 : i],
                                       .index = i};
    }
    leat_json_write_fields(members, count, scratch, out);
}

// 2020-01-01T10:00:00, with milliseconds when there are some; an instant in UTC.
static void write_time(leat_type type, int64_t ms, leat_writer *out)
{
    char text[LEAT_TIMESTAMP_TEXT];
    size_t size = leat_timestamp_print(ms, 'T', text);
    leat_write_format(out, "\"%.*s%s\"", (int)(ms % 1000 ? size : size - 4), text,
                      type.kind == LEAT_KIND_TIMESTAMP_LTZ ? "Z" : "");
}

static void write_items(leat_type type, const leat_value *value, leat_arena *scratch, leat_writer *out)
{
    leat_write_u8(out, '[');
    for (uint32_t i = 0; i < value->nested.count; i++) {
        if (i)
            leat_write_u8(out, ',');
        leat_json_write_value(*type.fields[0].type, &value->nested.items[i], scratch, out);
    }
    leat_write_u8(out, ']');
}

static void write_real(leat_type type, const leat_value *value, leat_writer *out)
{
    char text[LEAT_NUMBER_TEXT + 8];
    size_t size = type.kind == LEAT_KIND_DECIMAL ? leat_decimal_print(value->i128, type.scale, text)
                                                 : leat_double_print_java(value->f64, text);
    leat_json_write_number(leat_slice_of(text, size), out);
}

static void write_printed(leat_type type, const leat_value *value, bool quoted, leat_writer *out)
{
    if (quoted)
        leat_write_u8(out, '"');
    leat_value_print(type, value, NULL, out);
    if (quoted)
        leat_write_u8(out, '"');
}

void leat_json_write_value(leat_type type, const leat_value *value, leat_arena *scratch, leat_writer *out)
{
    if (value->is_null) {
        leat_write_text(out, "null");
        return;
    }
    switch (type.kind) {
    case LEAT_KIND_BOOLEAN:
        leat_write_text(out, value->boolean ? "true" : "false");
        return;
    case LEAT_KIND_STRING:
        leat_json_write_text(value->text, out);
        return;
    case LEAT_KIND_BYTES:
        leat_write_u8(out, '"');
        leat_bytes_write_base64(value->text, out);
        leat_write_u8(out, '"');
        return;
    case LEAT_KIND_TIMESTAMP:
    case LEAT_KIND_TIMESTAMP_LTZ:
        write_time(type, value->i64, out);
        return;
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
        if (isfinite(value->f64))
            write_real(type, value, out);
        else
            write_printed(type, value, true, out);
        return;
    case LEAT_KIND_DECIMAL:
        write_real(type, value, out);
        return;
    case LEAT_KIND_ARRAY:
        write_items(type, value, scratch, out);
        return;
    case LEAT_KIND_MAP:
    case LEAT_KIND_ROW:
        write_fields(type, value, scratch, out);
        return;
    default:
        write_printed(type, value, type.kind >= LEAT_KIND_DATE, out);
        return;
    }
}
