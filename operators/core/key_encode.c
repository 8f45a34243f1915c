#include "operators/core/key_encode.h"

#include <math.h>

#include "operators/base/hash.h"
#include "operators/core/key.h"

static uint64_t f64_bits(double value)
{
    uint64_t bits;
    if (isnan(value))
        return 0x7ff8000000000000ULL;
    value += 0.0; // -0.0 + 0.0 is 0.0
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint8_t *put_u64(uint8_t *out, uint64_t value)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    memcpy(out, &value, sizeof value);
    return out + sizeof value;
}

uint8_t *leat_key_put_i64(uint8_t *out, uint64_t value)
{
    *out++ = 0;
    return put_u64(out, value);
}

static uint8_t *put_i128(uint8_t *out, leat_i128 value)
{
    return put_u64(leat_key_put_i64(out, (uint64_t)value), leat_decimal_high(value));
}

static uint8_t *put_boolean(uint8_t *out, bool value)
{
    *out++ = 0;
    *out++ = value;
    return out;
}

static uint8_t *put_null(uint8_t *out)
{
    *out++ = 1;
    return out;
}

// Through a writer over the same memory; it never grows, since its limit is its capacity.
static uint8_t *put_nested(uint8_t *out, const uint8_t *end, const leat_column *column, uint32_t row)
{
    size_t room = (size_t)(end - out);
    leat_writer writer = {.bytes = out, .capacity = room, .limit = room};
    leat_value value = leat_column_value(column, row);
    leat_value_encode(column->type, &value, &writer);
    return writer.failed ? NULL : out + writer.size;
}

enum { TEXT_OVERHEAD = 11, FIXED_MAX = 17 };

static uint8_t *put_column(uint8_t *out, const uint8_t *end, const leat_column *column, uint32_t row)
{
    leat_physical physical = leat_type_physical(column->type);
    size_t left = (size_t)(end - out);
    if (leat_column_is_null(column, row))
        return left < 1 ? NULL : put_null(out);
    if (physical == LEAT_PHYSICAL_NESTED)
        return put_nested(out, end, column, row);
    if (physical == LEAT_PHYSICAL_TEXT)
        return left < TEXT_OVERHEAD || column->text[row].size > left - TEXT_OVERHEAD
                   ? NULL
                   : leat_key_put_text(out, column->text[row]);
    if (left < FIXED_MAX)
        return NULL;
    if (physical == LEAT_PHYSICAL_I64)
        return leat_key_put_i64(out, (uint64_t)column->i64[row]);
    if (physical == LEAT_PHYSICAL_F64)
        return leat_key_put_i64(out, f64_bits(column->f64[row]));
    if (physical == LEAT_PHYSICAL_I128)
        return put_i128(out, column->i128[row]);
    return put_boolean(out, column->boolean[row] != 0);
}

size_t leat_key_encode_row(const leat_batch *batch, const uint32_t *columns, uint32_t column_count, uint32_t row,
                           uint8_t *out_bytes)
{
    uint8_t *out = out_bytes;
    for (uint32_t i = 0; i < column_count && out; i++)
        out = put_column(out, out_bytes + LEAT_KEY_ENCODE_ROOM, &batch->columns[columns[i]], row);
    return out && out - out_bytes <= LEAT_KEY_BYTES_MAX ? (size_t)(out - out_bytes) : LEAT_KEY_TOO_LONG;
}

void leat_keys_hash_rows(const leat_batch *batch, const uint32_t *columns, uint32_t column_count, uint64_t *out_hashes)
{
    uint8_t bytes[LEAT_KEY_ENCODE_ROOM];
    for (uint32_t i = 0; i < batch->selected; i++) {
        size_t size = leat_key_encode_row(batch, columns, column_count, leat_batch_row(batch, i), bytes);
        // A row whose key is too long is dropped where it is resolved; on the way there any instance will do.
        out_hashes[i] = size == LEAT_KEY_TOO_LONG ? 0 : leat_hash(bytes, size);
    }
}
