#include "operators/expr/utf8.h"

static bool is_ascii(leat_slice text)
{
    unsigned char seen = 0;
    for (size_t i = 0; i < text.size; i++)
        seen |= (unsigned char)text.data[i];
    return seen < 0x80;
}

size_t leat_utf8_count(leat_slice text)
{
    size_t count = 0;
    if (is_ascii(text))
        return text.size;
    for (size_t i = 0; i < text.size; count++)
        i += leat_utf8_size(text.data + i, text.size - i);
    return count;
}

size_t leat_utf8_offset(leat_slice text, size_t index)
{
    size_t offset = 0;
    if (is_ascii(text))
        return index < text.size ? index : text.size;
    while (index-- && offset < text.size)
        offset += leat_utf8_size(text.data + offset, text.size - offset);
    return offset;
}

uint32_t leat_utf8_decode(const char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    switch (size) {
    case 2:
        return (bytes[0] & 0x1fu) << 6 | (bytes[1] & 0x3fu);
    case 3:
        return (bytes[0] & 0x0fu) << 12 | (bytes[1] & 0x3fu) << 6 | (bytes[2] & 0x3fu);
    case 4:
        return (bytes[0] & 0x07u) << 18 | (bytes[1] & 0x3fu) << 12 | (bytes[2] & 0x3fu) << 6 | (bytes[3] & 0x3fu);
    default:
        return bytes[0];
    }
}

size_t leat_utf8_encode(uint32_t code, char out_text[4])
{
    if (code < 0x80)
        return out_text[0] = (char)code, 1;
    if (code < 0x800) {
        out_text[0] = (char)(0xc0 | code >> 6);
        out_text[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out_text[0] = (char)(0xe0 | code >> 12);
        out_text[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out_text[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out_text[0] = (char)(0xf0 | code >> 18);
    out_text[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out_text[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out_text[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

// Ranges of lower-case letters and the way to their upper case; `pairs`: upper is even (or odd) and lower follows it.
typedef struct case_range {
    uint16_t first, last;
    int16_t to_upper;
    uint8_t pairs; // 0: shift by to_upper; 1: odd ones are lower; 2: even ones are lower
} case_range;

static const case_range ranges[] = {
    {'a', 'z', -32, 0},     {0xe0, 0xf6, -32, 0},   {0xf8, 0xfe, -32, 0},    {0xff, 0xff, 0x79, 0},
    {0x100, 0x12f, -1, 1},  {0x132, 0x137, -1, 1},  {0x139, 0x148, -1, 2},   {0x14a, 0x177, -1, 1},
    {0x17a, 0x17e, -1, 2},  {0x1cd, 0x1dc, -1, 2},  {0x1de, 0x1ef, -1, 1},   {0x1f8, 0x21f, -1, 1},
    {0x222, 0x233, -1, 1},  {0x3ac, 0x3ac, -38, 0}, {0x3ad, 0x3af, -37, 0},  {0x3b1, 0x3c1, -32, 0},
    {0x3c3, 0x3cb, -32, 0}, {0x3cc, 0x3cc, -64, 0}, {0x3cd, 0x3ce, -63, 0},  {0x430, 0x44f, -32, 0},
    {0x450, 0x45f, -80, 0}, {0x460, 0x481, -1, 1},  {0x48a, 0x4bf, -1, 1},   {0x4c1, 0x4ce, -1, 2},
    {0x4d0, 0x52f, -1, 1},  {0x561, 0x586, -48, 0}, {0x1e00, 0x1e95, -1, 1}, {0x1ea0, 0x1eff, -1, 1},
};

static bool is_lower_of(const case_range *range, uint32_t code)
{
    if (code < range->first || code > range->last)
        return false;
    return range->pairs == 0 || (range->pairs == 1) == (code & 1);
}

uint32_t leat_utf8_upper(uint32_t code)
{
    if (code < 0x80)
        return code >= 'a' && code <= 'z' ? code - 32 : code;
    if (code == 0x3c2) // final sigma
        return 0x3a3;
    if (code == 0x131) // dotless i
        return 'I';
    if (code == 0xb5) // micro sign
        return 0x39c;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (is_lower_of(&ranges[i], code))
            return (uint32_t)((int32_t)code + ranges[i].to_upper);
    return code;
}

uint32_t leat_utf8_lower(uint32_t code)
{
    if (code < 0x80)
        return code >= 'A' && code <= 'Z' ? code + 32 : code;
    if (code == 0x130)
        return 'i';
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        uint32_t lower = (uint32_t)((int32_t)code - ranges[i].to_upper);
        if (is_lower_of(&ranges[i], lower))
            return lower;
    }
    return code;
}

bool leat_utf8_is_letter_or_digit(uint32_t code)
{
    if (code < 0x80)
        return (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
    return code == 0xaa || code == 0xb5 || code == 0xba ||
           (code >= 0xc0 && code != 0xd7 && code != 0xf7 && (code < 0x2000 || code > 0x2bff));
}
