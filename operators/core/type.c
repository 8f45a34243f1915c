#include "operators/core/type.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "operators/base/hash.h"

typedef struct kind_row {
    const char *name;
    uint8_t physical;
    int64_t min, max; // integers only
} kind_row;

static const kind_row kinds[LEAT_KIND_COUNT] = {
    [LEAT_KIND_NULL] = {"NULL", LEAT_PHYSICAL_I64, 0, 0},
    [LEAT_KIND_BOOLEAN] = {"BOOLEAN", LEAT_PHYSICAL_BOOL, 0, 0},
    [LEAT_KIND_TINYINT] = {"TINYINT", LEAT_PHYSICAL_I64, INT8_MIN, INT8_MAX},
    [LEAT_KIND_SMALLINT] = {"SMALLINT", LEAT_PHYSICAL_I64, INT16_MIN, INT16_MAX},
    [LEAT_KIND_INT] = {"INT", LEAT_PHYSICAL_I64, INT32_MIN, INT32_MAX},
    [LEAT_KIND_BIGINT] = {"BIGINT", LEAT_PHYSICAL_I64, INT64_MIN, INT64_MAX},
    [LEAT_KIND_FLOAT] = {"FLOAT", LEAT_PHYSICAL_F64, 0, 0},
    [LEAT_KIND_DOUBLE] = {"DOUBLE", LEAT_PHYSICAL_F64, 0, 0},
    [LEAT_KIND_DECIMAL] = {"DECIMAL", LEAT_PHYSICAL_I128, 0, 0},
    [LEAT_KIND_STRING] = {"STRING", LEAT_PHYSICAL_TEXT, 0, 0},
    [LEAT_KIND_BYTES] = {"BYTES", LEAT_PHYSICAL_TEXT, 0, 0},
    [LEAT_KIND_DATE] = {"DATE", LEAT_PHYSICAL_I64, 0, 0},
    [LEAT_KIND_TIME] = {"TIME", LEAT_PHYSICAL_I64, 0, 0},
    [LEAT_KIND_TIMESTAMP] = {"TIMESTAMP", LEAT_PHYSICAL_I64, 0, 0},
    [LEAT_KIND_TIMESTAMP_LTZ] = {"TIMESTAMP_LTZ", LEAT_PHYSICAL_I64, 0, 0},
    [LEAT_KIND_INTERVAL] = {"INTERVAL DAY TO SECOND", LEAT_PHYSICAL_I64, 0, 0},
    [LEAT_KIND_INTERVAL_MONTH] = {"INTERVAL YEAR TO MONTH", LEAT_PHYSICAL_I64, 0, 0},
    [LEAT_KIND_ARRAY] = {"ARRAY", LEAT_PHYSICAL_NESTED, 0, 0},
    [LEAT_KIND_MAP] = {"MAP", LEAT_PHYSICAL_NESTED, 0, 0},
    [LEAT_KIND_ROW] = {"ROW", LEAT_PHYSICAL_NESTED, 0, 0},
};

static const kind_row *kind_of(leat_type type)
{
    LEAT_ASSERT(type.kind < LEAT_KIND_COUNT);
    return &kinds[type.kind];
}

leat_type leat_type_of(leat_kind kind)
{
    leat_type type = {.kind = (uint8_t)kind};
    if (kind == LEAT_KIND_DECIMAL)
        type.precision = 10;
    else if (kind == LEAT_KIND_TIMESTAMP || kind == LEAT_KIND_TIMESTAMP_LTZ)
        type.precision = 3; // what the values have
    return type;
}

leat_type leat_type_decimal(unsigned precision, unsigned scale)
{
    LEAT_ASSERT(precision >= 1 && precision <= 38 && scale <= precision);
    if (precision > LEAT_DECIMAL_DIGITS) // a board without 128-bit integers
        precision = LEAT_DECIMAL_DIGITS;
    if (scale > precision)
        scale = precision;
    return (leat_type){.kind = LEAT_KIND_DECIMAL, .precision = (uint8_t)precision, .scale = (uint8_t)scale};
}

leat_type leat_type_array(leat_arena *arena, leat_type element)
{
    leat_type *copy = leat_arena_new(arena, leat_type);
    *copy = element;
    leat_type_field *field = leat_arena_new(arena, leat_type_field);
    *field = (leat_type_field){.name = leat_slice_of("", 0), .type = copy};
    return (leat_type){.kind = LEAT_KIND_ARRAY, .field_count = 1, .fields = field};
}

leat_physical leat_type_physical(leat_type type) { return (leat_physical)kind_of(type)->physical; }

size_t leat_physical_size(leat_physical physical)
{
    static const uint8_t sizes[] = {
        [LEAT_PHYSICAL_BOOL] = sizeof(uint8_t),    [LEAT_PHYSICAL_I64] = sizeof(int64_t),
        [LEAT_PHYSICAL_F64] = sizeof(double),      [LEAT_PHYSICAL_I128] = sizeof(leat_i128),
        [LEAT_PHYSICAL_TEXT] = sizeof(leat_slice), [LEAT_PHYSICAL_NESTED] = sizeof(leat_nested),
    };
    return sizes[physical];
}

static bool fields_equal(const leat_type_field *a, const leat_type_field *b, uint32_t count, bool named)
{
    for (uint32_t i = 0; i < count; i++)
        if (!leat_type_equal(*a[i].type, *b[i].type) || (named && !leat_slice_equal(a[i].name, b[i].name)))
            return false;
    return true;
}

// The declared precision of a timestamp is no part of its identity: the values are ms all the same.
bool leat_type_equal(leat_type a, leat_type b)
{
    if (a.kind != b.kind || a.field_count != b.field_count)
        return false;
    if (a.kind == LEAT_KIND_DECIMAL)
        return a.precision == b.precision && a.scale == b.scale;
    return fields_equal(a.fields, b.fields, a.field_count, a.kind == LEAT_KIND_ROW);
}

bool leat_type_is_integer(leat_type type) { return type.kind >= LEAT_KIND_TINYINT && type.kind <= LEAT_KIND_BIGINT; }
bool leat_type_is_numeric(leat_type type) { return type.kind >= LEAT_KIND_TINYINT && type.kind <= LEAT_KIND_DECIMAL; }

bool leat_type_is_temporal(leat_type type)
{
    return type.kind >= LEAT_KIND_DATE && type.kind <= LEAT_KIND_TIMESTAMP_LTZ;
}

bool leat_type_is_timestamp(leat_type type)
{
    return type.kind == LEAT_KIND_TIMESTAMP || type.kind == LEAT_KIND_TIMESTAMP_LTZ;
}

int64_t leat_integer_min(leat_type type) { return kind_of(type)->min; }
int64_t leat_integer_max(leat_type type) { return kind_of(type)->max; }

// ---- text

typedef struct type_text {
    char *text;
    size_t size; // used, below LEAT_TYPE_TEXT; what does not fit is cut
} type_text;

static void text_add(type_text *out, const char *bytes, size_t size)
{
    size_t room = LEAT_TYPE_TEXT - 1 - out->size;
    size_t taken = size < room ? size : room;
    memcpy(out->text + out->size, bytes, taken);
    out->size += taken;
    out->text[out->size] = 0;
}

static void text_add_type(type_text *out, leat_type type);

static void text_add_fields(type_text *out, leat_type type)
{
    text_add(out, "<", 1);
    for (uint32_t i = 0; i < type.field_count; i++) {
        if (i)
            text_add(out, ", ", 2);
        if (type.kind == LEAT_KIND_ROW) {
            text_add(out, type.fields[i].name.data, type.fields[i].name.size);
            text_add(out, " ", 1);
        }
        text_add_type(out, *type.fields[i].type);
    }
    text_add(out, ">", 1);
}

static void text_add_type(type_text *out, leat_type type)
{
    const char *name = kind_of(type)->name;
    text_add(out, name, strlen(name));
    char digits[16] = "";
    if (type.kind == LEAT_KIND_DECIMAL)
        snprintf(digits, sizeof digits, "(%u, %u)", type.precision, type.scale);
    else if (leat_type_is_timestamp(type))
        snprintf(digits, sizeof digits, "(%u)", type.precision);
    text_add(out, digits, strlen(digits));
    if (leat_type_physical(type) == LEAT_PHYSICAL_NESTED)
        text_add_fields(out, type);
}

const char *leat_type_print(leat_type type, char out_text[LEAT_TYPE_TEXT])
{
    type_text out = {.text = out_text};
    out_text[0] = 0;
    text_add_type(&out, type);
    return out_text;
}

// ---- values

leat_value leat_value_null(void) { return (leat_value){.is_null = true}; }

// The type of a nested value's i-th item: ARRAY has one field for all, MAP key and value in turn, ROW one each.
static leat_type item_type(leat_type type, uint32_t index)
{
    LEAT_ASSERT(type.field_count > 0);
    return *type.fields[index % type.field_count].type;
}

static int compare_i64(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int compare_f64(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

static int compare_nested(leat_type type, const leat_nested *a, const leat_nested *b)
{
    uint32_t common = a->count < b->count ? a->count : b->count;
    for (uint32_t i = 0; i < common; i++) {
        int order = leat_value_compare(item_type(type, i), &a->items[i], &b->items[i]);
        if (order)
            return order;
    }
    return compare_i64(a->count, b->count);
}

int leat_value_compare(leat_type type, const leat_value *a, const leat_value *b)
{
    if (a->is_null || b->is_null)
        return (int)b->is_null - (int)a->is_null;
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        return (int)a->boolean - (int)b->boolean;
    case LEAT_PHYSICAL_I64:
        return compare_i64(a->i64, b->i64);
    case LEAT_PHYSICAL_F64:
        return compare_f64(a->f64, b->f64);
    case LEAT_PHYSICAL_I128:
        return (a->i128 > b->i128) - (a->i128 < b->i128);
    case LEAT_PHYSICAL_TEXT:
        return leat_slice_compare(a->text, b->text);
    case LEAT_PHYSICAL_NESTED:
        return compare_nested(type, &a->nested, &b->nested);
    }
    LEAT_ASSERT(!"physical form");
    return 0;
}

// A MAP equals another when the entries stand in the same order: values are compared as they are stored.
bool leat_value_equal(leat_type type, const leat_value *a, const leat_value *b)
{
    return leat_value_compare(type, a, b) == 0;
}

// One bit pattern for what compares equal: 0.0 for -0.0, one NaN for all.
static uint64_t f64_canonical_bits(double value)
{
    uint64_t bits;
    if (isnan(value))
        return 0x7ff8000000000000ULL;
    value += 0.0; // -0.0 + 0.0 is 0.0
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t hash_nested(leat_type type, const leat_nested *nested)
{
    uint64_t hash = leat_hash_mix(nested->count + 1);
    for (uint32_t i = 0; i < nested->count; i++)
        hash = leat_hash_combine(hash, leat_value_hash(item_type(type, i), &nested->items[i]));
    return hash;
}

uint64_t leat_value_hash(leat_type type, const leat_value *value)
{
    if (value->is_null)
        return 0x9e3779b97f4a7c15ULL;
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        return leat_hash_mix(value->boolean + 1u);
    case LEAT_PHYSICAL_I64:
        return leat_hash_mix((uint64_t)value->i64 + 1);
    case LEAT_PHYSICAL_F64:
        return leat_hash_mix(f64_canonical_bits(value->f64) + 1);
    case LEAT_PHYSICAL_I128:
        return leat_hash_combine((uint64_t)value->i128, leat_decimal_high(value->i128));
    case LEAT_PHYSICAL_TEXT:
        return leat_hash(value->text.data, value->text.size);
    case LEAT_PHYSICAL_NESTED:
        return hash_nested(type, &value->nested);
    }
    LEAT_ASSERT(!"physical form");
    return 0;
}

static leat_nested copy_nested(leat_type type, const leat_nested *nested, leat_arena *arena)
{
    leat_value *items = leat_arena_alloc_aligned(arena, sizeof(leat_value) * nested->count, _Alignof(leat_value));
    for (uint32_t i = 0; i < nested->count; i++)
        items[i] = leat_value_copy(item_type(type, i), &nested->items[i], arena);
    return (leat_nested){.count = nested->count, .items = items};
}

leat_value leat_value_copy(leat_type type, const leat_value *value, leat_arena *arena)
{
    leat_value copy = *value;
    if (value->is_null)
        return copy;
    leat_physical physical = leat_type_physical(type);
    if (physical == LEAT_PHYSICAL_TEXT)
        copy.text.data = leat_arena_copy(arena, value->text.data, value->text.size);
    else if (physical == LEAT_PHYSICAL_NESTED)
        copy.nested = copy_nested(type, &value->nested, arena);
    return copy;
}

// ---- the stored form
//
//   NULL      1
//   BOOLEAN   0, 0 or 1
//   I64       0, 8 bytes little-endian
//   F64       0, 8 bytes little-endian of the IEEE bits; -0.0 as 0.0, every NaN as 0x7ff8000000000000
//   DECIMAL   0, 16 bytes little-endian, two's complement
//   TEXT      0, varint size, bytes
//   nested    0, varint count (ARRAY items, ROW fields, MAP 2 * entries), each item in its stored form
//
// core/key.c builds the same bytes by itself in its fast paths; tests/unit/core/test_key.c compares the two.

enum { FORM_VALUE = 0, FORM_NULL = 1 };

static void encode_nested(leat_type type, const leat_nested *nested, leat_writer *writer)
{
    leat_write_varint(writer, nested->count);
    for (uint32_t i = 0; i < nested->count; i++)
        leat_value_encode(item_type(type, i), &nested->items[i], writer);
}

void leat_value_encode(leat_type type, const leat_value *value, leat_writer *writer)
{
    leat_write_u8(writer, value->is_null ? FORM_NULL : FORM_VALUE);
    if (value->is_null)
        return;
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        leat_write_u8(writer, value->boolean);
        return;
    case LEAT_PHYSICAL_I64:
        leat_write_u64(writer, (uint64_t)value->i64);
        return;
    case LEAT_PHYSICAL_F64:
        leat_write_u64(writer, f64_canonical_bits(value->f64));
        return;
    case LEAT_PHYSICAL_I128:
        leat_write_u64(writer, (uint64_t)value->i128);
        leat_write_u64(writer, leat_decimal_high(value->i128));
        return;
    case LEAT_PHYSICAL_TEXT:
        leat_write_sized(writer, value->text.data, value->text.size);
        return;
    case LEAT_PHYSICAL_NESTED:
        encode_nested(type, &value->nested, writer);
        return;
    }
}

static bool nested_count_fits(leat_type type, uint64_t count, const leat_reader *reader)
{
    // Every item takes a byte at least, so a damaged count cannot ask for more memory than the bytes there are.
    if (reader->failed || count > leat_reader_left(reader) || type.field_count == 0)
        return false;
    if (type.kind == LEAT_KIND_ROW)
        return count == type.field_count;
    return type.kind != LEAT_KIND_MAP || count % 2 == 0;
}

static bool decode_nested(leat_type type, leat_reader *reader, leat_arena *arena, leat_nested *out_nested)
{
    uint64_t count = leat_read_varint(reader);
    if (!nested_count_fits(type, count, reader))
        return false;
    leat_value *items = leat_arena_alloc_aligned(arena, sizeof(leat_value) * count, _Alignof(leat_value));
    for (uint32_t i = 0; i < count; i++)
        if (!leat_value_decode(item_type(type, i), reader, arena, &items[i]))
            return false;
    *out_nested = (leat_nested){.count = (uint32_t)count, .items = items};
    return true;
}

static bool decode_boolean(leat_reader *reader, leat_value *out_value)
{
    uint8_t byte = leat_read_u8(reader);
    out_value->boolean = byte == 1;
    return byte <= 1 && !reader->failed;
}

static leat_i128 read_i128(leat_reader *reader)
{
    uint64_t low = leat_read_u64(reader);
    uint64_t high = leat_read_u64(reader);
    return leat_decimal_join(high, low);
}

bool leat_value_decode(leat_type type, leat_reader *reader, leat_arena *arena, leat_value *out_value)
{
    uint8_t form = leat_read_u8(reader);
    *out_value = (leat_value){.is_null = form == FORM_NULL};
    if (reader->failed || form > FORM_NULL)
        return false;
    if (out_value->is_null)
        return true;
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        return decode_boolean(reader, out_value);
    case LEAT_PHYSICAL_I64:
        out_value->i64 = (int64_t)leat_read_u64(reader);
        break;
    case LEAT_PHYSICAL_F64:
        out_value->f64 = leat_read_f64(reader);
        break;
    case LEAT_PHYSICAL_I128:
        out_value->i128 = read_i128(reader);
        break;
    case LEAT_PHYSICAL_TEXT:
        out_value->text = leat_read_sized(reader);
        break;
    case LEAT_PHYSICAL_NESTED:
        return decode_nested(type, reader, arena, &out_value->nested);
    }
    return !reader->failed;
}
