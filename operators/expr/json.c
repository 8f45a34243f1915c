// Checking JSON, and walking what was checked.
#include "operators/expr/json.h"

#include <string.h>

#include "operators/expr/utf8.h"

// -- skipping: one past the value, NULL when it is none

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    return at;
}

static bool is_hexadecimal(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static const char *skip_escape(const char *at, const char *end)
{
    if (at + 1 >= end)
        return NULL;
    if (at[1] != 'u')
        return strchr("\"\\/bfnrt", at[1]) && at[1] ? at + 2 : NULL;
    for (int i = 2; i < 6; i++)
        if (at + i >= end || !is_hexadecimal(at[i]))
            return NULL;
    return at + 6;
}

static bool is_plain(char c) { return c != '"' && c != '\\' && (unsigned char)c >= 0x20; }

// To the first quote, backslash or control character, eight bytes at once. The lowest mark is exact, others may be carries.
static const char *skip_plain(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
        uint64_t found = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((word - ones * 0x20) & ~word);
        if (found & highs)
            return at + (__builtin_ctzll(found & highs) >> 3);
        at += 8;
    }
    while (at < end && is_plain(*at))
        at++;
    return at;
}

static const char *skip_text(const char *at, const char *end)
{
    at++;
    for (;;) {
        at = skip_plain(at, end);
        if (at >= end || (unsigned char)*at < 0x20)
            return NULL;
        if (*at == '"')
            return at + 1;
        if (!(at = skip_escape(at, end)))
            return NULL;
    }
}

static const char *skip_digits(const char *at, const char *end)
{
    const char *begin = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at > begin ? at : NULL;
}

static const char *skip_number(const char *at, const char *end)
{
    at += *at == '-';
    if (at < end && *at == '0')
        at++;
    else if (!(at = skip_digits(at, end)))
        return NULL;
    if (at < end && *at == '.' && !(at = skip_digits(at + 1, end)))
        return NULL;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        return skip_digits(at, end);
    }
    return at;
}

static const char *skip_word(const char *at, const char *end, const char *word)
{
    size_t size = strlen(word);
    return (size_t)(end - at) >= size && memcmp(at, word, size) == 0 ? at + size : NULL;
}

static const char *skip(const char *at, const char *end, unsigned depth);

static const char *skip_nested(const char *at, const char *end, unsigned depth)
{
    bool object = *at == '{';
    char close = object ? '}' : ']';
    if (depth >= LEAT_JSON_NESTING)
        return NULL;
    at = skip_blanks(at + 1, end);
    if (at < end && *at == close)
        return at + 1;
    while (at < end) {
        if (object) {
            if (*at != '"' || !(at = skip_text(at, end)))
                return NULL;
            at = skip_blanks(at, end);
            if (at >= end || *at != ':')
                return NULL;
            at = skip_blanks(at + 1, end);
        }
        if (!(at = skip(at, end, depth + 1)))
            return NULL;
        at = skip_blanks(at, end);
        if (at < end && *at == close)
            return at + 1;
        if (at >= end || *at != ',')
            return NULL;
        at = skip_blanks(at + 1, end);
    }
    return NULL;
}

static const char *skip(const char *at, const char *end, unsigned depth)
{
    if (at >= end)
        return NULL;
    switch (*at) {
    case '{':
    case '[':
        return skip_nested(at, end, depth);
    case '"':
        return skip_text(at, end);
    case 't':
        return skip_word(at, end, "true");
    case 'f':
        return skip_word(at, end, "false");
    case 'n':
        return skip_word(at, end, "null");
    default:
        return *at == '-' || (*at >= '0' && *at <= '9') ? skip_number(at, end) : NULL;
    }
}

bool leat_json_check(leat_slice text, leat_slice *out_value)
{
    if (text.size == 0)
        return false;
    const char *end = text.data + text.size, *begin = skip_blanks(text.data, end);
    const char *behind = skip(begin, end, 0);
    if (!behind || skip_blanks(behind, end) != end)
        return false;
    *out_value = leat_slice_of(begin, (size_t)(behind - begin));
    return true;
}

leat_json_kind leat_json_kind_of(leat_slice value)
{
    switch (value.data[0]) {
    case '{':
        return LEAT_JSON_OBJECT;
    case '[':
        return LEAT_JSON_ARRAY;
    case '"':
        return LEAT_JSON_TEXT;
    case 't':
        return LEAT_JSON_TRUE;
    case 'f':
        return LEAT_JSON_FALSE;
    case 'n':
        return LEAT_JSON_NULL;
    default:
        return LEAT_JSON_NUMBER;
    }
}

// -- walking

bool leat_json_next(leat_json_walk *walk, leat_slice *out_name, leat_slice *out_item)
{
    const char *end = walk->value.data + walk->value.size, *at = walk->value.data + (walk->at ? walk->at : 1);
    at = skip_blanks(at, end);
    if (*at == ',')
        at = skip_blanks(at + 1, end);
    if (*at == '}' || *at == ']')
        return false;
    if (out_name) {
        const char *behind = skip_text(at, end);
        *out_name = leat_slice_of(at + 1, (size_t)(behind - at) - 2);
        at = skip_blanks(behind, end);
        at = skip_blanks(at + 1, end);
    }
    const char *behind = skip(at, end, 0);
    *out_item = leat_slice_of(at, (size_t)(behind - at));
    walk->at = (size_t)(behind - walk->value.data);
    return true;
}

// Whether a raw name is the name; compared without a copy.
static bool name_is(leat_slice raw, leat_slice name)
{
    char text[4096];
    if (!raw.size || !memchr(raw.data, '\\', raw.size))
        return leat_slice_equal(raw, name);
    return raw.size <= sizeof text && leat_slice_equal(leat_slice_of(text, leat_json_characters(raw, text)), name);
}

bool leat_json_member(leat_slice object, leat_slice name, leat_slice *out_item)
{
    leat_json_walk walk = {object, 0};
    leat_slice found, item;
    bool any = false;
    while (leat_json_next(&walk, &found, &item))
        if (name_is(found, name)) {
            *out_item = item;
            any = true;
        }
    return any;
}

// -- characters

static uint32_t hexadecimal(const char *digits)
{
    uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
        char c = digits[i];
        code = code << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return code;
}

// Two halves of a pair become one character; a half alone becomes the replacement character.
static size_t unescape_code(leat_slice raw, size_t at, char *out_text, size_t *out_size)
{
    uint32_t code = hexadecimal(raw.data + at + 2), low;
    size_t used = 6;
    bool pair = at + 12 <= raw.size && raw.data[at + 6] == '\\' && raw.data[at + 7] == 'u';
    if (code >= 0xd800 && code < 0xdc00 && pair && (low = hexadecimal(raw.data + at + 8)) >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        used = 12;
    } else if (code >= 0xd800 && code < 0xe000) {
        code = 0xfffd;
    }
    *out_size += leat_utf8_encode(code, out_text + *out_size);
    return used;
}

size_t leat_json_characters(leat_slice raw, char *out_text)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    size_t size = 0;
    for (size_t i = 0; i < raw.size;) {
        if (raw.data[i] != '\\') {
            out_text[size++] = raw.data[i++];
        } else if (raw.data[i + 1] == 'u') {
            i += unescape_code(raw, i, out_text, &size);
        } else {
            const char *known = strchr(from, raw.data[i + 1]);
            out_text[size++] = known ? to[known - from] : raw.data[i + 1];
            i += 2;
        }
    }
    return size;
}
