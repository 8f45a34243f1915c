// The bytes of a key, out of the columns of a row: the same as leat_value_encode gives, without a call per byte.
//
// Every function writes into room for LEAT_KEY_ENCODE_ROOM bytes and gives the key's size, or LEAT_KEY_TOO_LONG beyond
// LEAT_KEY_BYTES_MAX; the room's contents are undefined then.
#pragma once

#include <string.h>

#include "operators/core/batch.h"

// Room that makes every key of LEAT_KEY_BYTES_MAX fit, whatever the bounds of its parts keep free.
enum { LEAT_KEY_ENCODE_ROOM = LEAT_KEY_BYTES_MAX + 32 };
#define LEAT_KEY_TOO_LONG SIZE_MAX

size_t leat_key_encode_row(const leat_batch *batch, const uint32_t *columns, uint32_t column_count, uint32_t row,
                           uint8_t *out_bytes);
uint8_t *leat_key_put_i64(uint8_t *out, uint64_t value); // null byte and 8 bytes; returns the end

// Short texts are the rule, and a call of memcpy costs more than copying one: up to 32 bytes by words that overlap.
static inline void leat_key_copy(uint8_t *to, const char *from, size_t size)
{
    if (size > 32 || size < 4) {
        if (size)
            memcpy(to, from, size);
    } else if (size >= 16) {
        memcpy(to, from, 16);
        memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    }
}

static inline uint8_t *leat_key_put_text(uint8_t *out, leat_slice text)
{
    size_t size = text.size;
    *out++ = 0;
    for (; size >= 0x80; size >>= 7)
        *out++ = (uint8_t)(size | 0x80);
    *out++ = (uint8_t)size;
    leat_key_copy(out, text.data, text.size);
    return out + text.size;
}

// A key of one text column.
static inline size_t leat_key_encode_text(const leat_column *column, uint32_t row, uint8_t *out_bytes)
{
    if (leat_column_is_null(column, row)) {
        *out_bytes = 1;
        return 1;
    }
    leat_slice text = column->text[row];
    if (text.size > LEAT_KEY_BYTES_MAX)
        return LEAT_KEY_TOO_LONG;
    size_t size = (size_t)(leat_key_put_text(out_bytes, text) - out_bytes);
    return size <= LEAT_KEY_BYTES_MAX ? size : LEAT_KEY_TOO_LONG;
}
