// Code points of UTF-8 texts. Bytes that are no UTF-8 count as a code point each, so nothing is ever lost or overrun.
#pragma once

#include "operators/base/bytes.h"

static inline size_t leat_utf8_size(const char *text, size_t left)
{
    unsigned char lead = (unsigned char)text[0];
    size_t size = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (size > left)
        return 1;
    for (size_t i = 1; i < size; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 1;
    return size;
}

size_t leat_utf8_count(leat_slice text);
// Byte offset of the code point `index`; the text's size when there are fewer.
size_t leat_utf8_offset(leat_slice text, size_t index);
uint32_t leat_utf8_decode(const char *text, size_t size); // of one code point
size_t leat_utf8_encode(uint32_t code, char out_text[4]);
// Latin with its extensions, Greek, Cyrillic and Armenian, one code point to one; others stay as they are.
uint32_t leat_utf8_upper(uint32_t code);
uint32_t leat_utf8_lower(uint32_t code);
bool leat_utf8_is_letter_or_digit(uint32_t code);
