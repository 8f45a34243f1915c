#include "drivers/bus/modbus_codec.h"

#include <math.h>
#include <string.h>

#include "drivers/format/text.h"

enum { RECORD_VERSION = 1 };

// ---- record

size_t leat_modbus_record_begin(uint8_t *bytes, uint8_t unit, bool bad, uint8_t reason)
{
    memcpy(bytes, (uint8_t[]){RECORD_VERSION, unit, bad, reason}, LEAT_MODBUS_RECORD_HEAD);
    return LEAT_MODBUS_RECORD_HEAD;
}

size_t leat_modbus_block_begin(uint8_t *bytes, uint8_t kind, uint16_t address, uint16_t count)
{
    uint8_t head[] = {kind, (uint8_t)address, (uint8_t)(address >> 8), (uint8_t)count, (uint8_t)(count >> 8)};
    memcpy(bytes, head, LEAT_MODBUS_BLOCK_HEAD);
    return LEAT_MODBUS_BLOCK_HEAD;
}

bool leat_modbus_record_parse(leat_slice payload, leat_modbus_record *out)
{
    leat_reader reader;
    leat_reader_init(&reader, payload.data, payload.size);
    uint8_t version = leat_read_u8(&reader);
    out->unit = leat_read_u8(&reader);
    out->bad = leat_read_u8(&reader) != 0;
    out->reason = leat_read_u8(&reader);
    out->block_count = 0;
    while (version == RECORD_VERSION && leat_reader_left(&reader) > 0 && out->block_count < LEAT_MODBUS_BLOCKS_MAX) {
        uint8_t kind = leat_read_u8(&reader);
        uint16_t address = leat_read_u16(&reader), count = leat_read_u16(&reader);
        leat_slice bytes = leat_read_bytes(&reader, leat_modbus_bytes(kind, count));
        if (reader.failed || kind >= LEAT_MODBUS_KINDS)
            return false;
        out->blocks[out->block_count].kind = kind;
        out->blocks[out->block_count].address = address;
        out->blocks[out->block_count].count = count;
        out->blocks[out->block_count++].bytes = (const uint8_t *)bytes.data;
    }
    return version == RECORD_VERSION && !reader.failed && leat_reader_left(&reader) == 0;
}

static bool holds(const leat_modbus_record *record, uint32_t block, const leat_modbus_point *point)
{
    return block < record->block_count && record->blocks[block].kind == point->kind &&
           point->address >= record->blocks[block].address &&
           (uint32_t)point->address + point->count <=
               (uint32_t)record->blocks[block].address + record->blocks[block].count;
}

// The plan seldom changes: the block that had it last time has it again.
static bool find_block(const leat_modbus_record *record, const leat_modbus_point *point, uint32_t *block_hint)
{
    if (holds(record, *block_hint, point))
        return true;
    for (uint32_t i = 0; i < record->block_count; i++)
        if (holds(record, i, point)) {
            *block_hint = i;
            return true;
        }
    return false;
}

// ---- values

typedef enum form { FORM_BOOL, FORM_INTEGER, FORM_NUMBER, FORM_TEXT, FORM_NULL, FORM_TOO_LARGE } form;

typedef struct wire_value {
    form form;
    int64_t integer; // and of booleans
    double number;
} wire_value;

// The value's bytes, most significant first, as one number of 16, 32 or 64 bits.
static uint64_t gather(const uint8_t *bytes, unsigned registers, uint8_t order)
{
    bool low_first = order == LEAT_MODBUS_CDAB || order == LEAT_MODBUS_DCBA;
    bool swapped = order == LEAT_MODBUS_BADC || order == LEAT_MODBUS_DCBA;
    uint64_t value = 0;
    for (unsigned i = 0; i < registers; i++) {
        const uint8_t *word = bytes + 2 * (low_first ? registers - 1 - i : i);
        value = value << 16 | (uint64_t)word[swapped] << 8 | word[!swapped];
    }
    return value;
}

static double float32_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static double float64_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static wire_value whole(int64_t integer) { return (wire_value){FORM_INTEGER, integer, (double)integer}; }
static wire_value real(double number) { return (wire_value){isnan(number) ? FORM_NULL : FORM_NUMBER, 0, number}; }
static wire_value flag(bool value) { return (wire_value){FORM_BOOL, value, value}; }

static wire_value register_value(const leat_modbus_point *point, const uint8_t *bytes)
{
    uint64_t bits = gather(bytes, point->count, point->order);
    switch ((leat_modbus_type)point->type) {
    case LEAT_MODBUS_INT16:
        return whole((int16_t)bits);
    case LEAT_MODBUS_INT32:
        return whole((int32_t)bits);
    case LEAT_MODBUS_INT64:
        return whole((int64_t)bits);
    case LEAT_MODBUS_UINT64:
        return bits <= INT64_MAX ? whole((int64_t)bits) : (wire_value){FORM_TOO_LARGE, 0, (double)bits};
    case LEAT_MODBUS_FLOAT32:
        return real(float32_of((uint32_t)bits));
    case LEAT_MODBUS_FLOAT64:
        return real(float64_of(bits));
    case LEAT_MODBUS_BOOL:
        return flag(point->bit >= 0 ? bits >> point->bit & 1 : bits != 0);
    default:
        return whole((int64_t)bits);
    }
}

static wire_value number_value(const leat_modbus_point *point, const uint8_t *bytes, uint32_t skip)
{
    if (leat_modbus_is_bits(point->kind))
        return flag(bytes[skip / 8] >> (skip % 8) & 1);
    wire_value value = register_value(point, bytes + 2 * (size_t)skip);
    if (point->scaled && value.form != FORM_NULL)
        return real(value.number * point->scale + point->offset);
    return value;
}

// ---- texts

static leat_slice text_value(const leat_modbus_point *point, const uint8_t *bytes, leat_arena *arena)
{
    size_t size = (size_t)point->count * 2, used = 0;
    bool swapped = point->order == LEAT_MODBUS_BADC || point->order == LEAT_MODBUS_DCBA;
    char raw[LEAT_MODBUS_REGISTERS_MAX * 2];
    while (used < size && bytes[used ^ swapped]) {
        raw[used] = (char)bytes[used ^ swapped];
        used++;
    }
    while (used > 0 && raw[used - 1] == ' ')
        used--;
    if (leat_utf8_valid(raw, used) == used)
        return leat_slice_of(leat_arena_copy(arena, raw, used), used);
    char *out = leat_arena_alloc(arena, used * 2);
    size_t written = 0;
    for (size_t i = 0; i < used; i++) {
        uint8_t byte = (uint8_t)raw[i];
        if (byte >= 0x80)
            out[written++] = (char)(0xC0 | byte >> 6);
        out[written++] = (char)(byte >= 0x80 ? 0x80 | (byte & 0x3F) : byte);
    }
    return leat_slice_of(out, written);
}

// ---- into the column

static const char *set_integer(const wire_value *value, leat_column *column, uint32_t row)
{
    static const char out_of_range[] = "is out of range";
    int64_t integer = value->integer;
    if (value->form == FORM_TOO_LARGE || (value->form == FORM_NUMBER && !(fabs(value->number) < 0x1p63)))
        return out_of_range;
    if (value->form == FORM_NUMBER)
        integer = (int64_t)llround(value->number);
    if (leat_type_is_integer(column->type) &&
        (integer < leat_integer_min(column->type) || integer > leat_integer_max(column->type)))
        return out_of_range;
    column->i64[row] = integer;
    return NULL;
}

static const char *set_number(const wire_value *value, leat_column *column, uint32_t row)
{
    switch (leat_type_physical(column->type)) {
    case LEAT_PHYSICAL_BOOL:
        column->boolean[row] = value->number != 0;
        return NULL;
    case LEAT_PHYSICAL_F64:
        column->f64[row] = column->type.kind == LEAT_KIND_FLOAT ? (double)(float)value->number : value->number;
        return NULL;
    case LEAT_PHYSICAL_I64:
        return set_integer(value, column, row);
    default:
        return "is no number or boolean";
    }
}

const char *leat_modbus_value_set(const leat_modbus_point *point, const leat_modbus_record *record,
                                  uint32_t *block_hint, leat_column *column, uint32_t row, leat_arena *arena)
{
    leat_value null = {.is_null = true};
    if (!find_block(record, point, block_hint)) {
        leat_column_set(column, row, &null, NULL);
        return NULL;
    }
    const uint8_t *bytes = record->blocks[*block_hint].bytes;
    uint32_t skip = (uint32_t)point->address - record->blocks[*block_hint].address;
    column->nulls[row] = 0;
    if (point->type == LEAT_MODBUS_STRING) {
        if (column->type.kind != LEAT_KIND_STRING)
            return "is text";
        column->text[row] = text_value(point, bytes + 2 * (size_t)skip, arena);
        return NULL;
    }
    wire_value value = number_value(point, bytes, skip);
    if (value.form == FORM_NULL) {
        leat_column_set(column, row, &null, NULL);
        return NULL;
    }
    return set_number(&value, column, row);
}
