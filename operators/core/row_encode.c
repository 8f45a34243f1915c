#include "operators/core/row_encode.h"

#include <string.h>

enum { FORM_VALUE = 0, FORM_NULL = 1, WORD = 8, FIXED_MAX = 1 + WORD };

static uint64_t little_endian(uint64_t word)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static bool is_word(leat_physical physical) { return physical == LEAT_PHYSICAL_I64 || physical == LEAT_PHYSICAL_F64; }

static uint64_t word_of(const leat_column *column, leat_physical physical, uint32_t row)
{
    if (physical == LEAT_PHYSICAL_I64)
        return little_endian((uint64_t)column->i64[row]);
    uint64_t word;
    double value = column->f64[row];
    if (value != value)
        return little_endian(UINT64_C(0x7ff8000000000000)); // one NaN for all, as in core/type.c
    value += 0.0;                                           // -0 is 0
    memcpy(&word, &value, sizeof word);
    return little_endian(word);
}

static void encode_other(const leat_column *column, uint32_t row, leat_writer *out)
{
    leat_value value = leat_column_value(column, row);
    leat_value_encode(column->type, &value, out);
}

void leat_row_encode(const leat_column *columns, uint32_t count, uint32_t row, leat_writer *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const leat_column *column = &columns[i];
        leat_physical physical = leat_type_physical(column->type);
        if (!is_word(physical)) {
            encode_other(column, row, out);
            continue;
        }
        uint8_t *to = leat_writer_reserve(out, FIXED_MAX);
        if (!to)
            return;
        bool is_null = leat_column_is_null(column, row);
        uint64_t word = word_of(column, physical, row);
        to[0] = is_null ? FORM_NULL : FORM_VALUE;
        memcpy(to + 1, &word, WORD);
        out->size += is_null ? 1 : FIXED_MAX;
    }
}

static bool decode_other(leat_reader *reader, leat_column *column, uint32_t row, leat_arena *arena)
{
    leat_value value;
    if (!leat_value_decode(column->type, reader, arena, &value))
        return false;
    leat_column_set(column, row, &value, arena);
    return true;
}

static bool decode_columns(leat_reader *in, leat_column *columns, uint32_t count, uint32_t row, leat_arena *arena)
{
    leat_reader reader = *in;
    for (uint32_t i = 0; i < count; i++) {
        leat_column *column = &columns[i];
        bool whole = (size_t)(reader.end - reader.cursor) >= FIXED_MAX && *reader.cursor == FORM_VALUE;
        if (!whole || !is_word(leat_type_physical(column->type))) {
            if (!decode_other(&reader, column, row, arena))
                return false;
            continue;
        }
        uint64_t word;
        memcpy(&word, reader.cursor + 1, WORD);
        word = little_endian(word);
        memcpy((uint8_t *)column->values + (size_t)row * WORD, &word, WORD);
        reader.cursor += FIXED_MAX;
    }
    *in = reader;
    return true;
}

bool leat_row_decode(leat_slice bytes, leat_column *columns, uint32_t count, uint32_t row, leat_arena *arena)
{
    leat_reader reader;
    leat_reader_init(&reader, bytes.data, bytes.size);
    return decode_columns(&reader, columns, count, row, arena) && !leat_reader_left(&reader);
}

bool leat_row_decode_first(leat_slice bytes, leat_column *columns, uint32_t count, uint32_t row, leat_arena *arena)
{
    leat_reader reader;
    leat_reader_init(&reader, bytes.data, bytes.size);
    return decode_columns(&reader, columns, count, row, arena);
}
