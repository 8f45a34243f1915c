#include "drivers/format/json_scan.h"

#include "drivers/format/text.h"

const char *leat_json_fail(leat_json_scan *scan, const char *at, const char *expected)
{
    if (!scan->fault) {
        scan->fault = at;
        scan->expected = expected;
    }
    return NULL;
}

const char *leat_json_blank_slow(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The four digits at p; -1 when they are not there.
static int32_t hex_four(const char *p, const char *end)
{
    int32_t unit = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

// p is at the backslash.
static const char *check_escape(leat_json_scan *scan, const char *p)
{
    char kind = leat_json_peek(scan, p + 1);
    if (kind && strchr("\"\\/bfnrt", kind))
        return p + 2;
    if (kind != 'u')
        return leat_json_fail(scan, p, "an escape that JSON knows");
    int32_t unit = hex_four(p + 2, scan->end);
    if (unit < 0)
        return leat_json_fail(scan, p, "four hex digits");
    if (unit < 0xD800 || unit > 0xDFFF)
        return p + 6;
    int32_t low = -1;
    if (unit <= 0xDBFF && scan->end - p >= 12 && p[6] == '\\' && p[7] == 'u')
        low = hex_four(p + 8, scan->end);
    if (low < 0xDC00 || low > 0xDFFF)
        return leat_json_fail(scan, p, "a pair of surrogates");
    return p + 12;
}

static const char *check_beyond_ascii(leat_json_scan *scan, const char *p)
{
    const char *stop = p;
    while (stop < scan->end && (unsigned char)*stop >= 0x80)
        stop++;
    size_t valid = leat_utf8_valid(p, (size_t)(stop - p));
    return p + valid == stop ? stop : leat_json_fail(scan, p + valid, "UTF-8");
}

const char *leat_json_string_slow(leat_json_scan *scan, const char *begin, const char *p, leat_json_text *out)
{
    out->escaped = false;
    while (p && p < scan->end && *p != '"') {
        unsigned char c = (unsigned char)*p;
        if (c == '\\') {
            out->escaped = true;
            p = check_escape(scan, p);
        } else if (c >= 0x80) {
            p = check_beyond_ascii(scan, p);
        } else if (c < 0x20) {
            return leat_json_fail(scan, p, "no control character in a string");
        } else {
            p++;
        }
    }
    if (!p)
        return NULL;
    if (p >= scan->end)
        return leat_json_fail(scan, scan->end, "the closing quote of a string");
    out->data = begin;
    out->size = (size_t)(p - begin);
    return p + 1;
}

static char *put_utf8(char *out, uint32_t point)
{
    if (point < 0x80) {
        *out++ = (char)point;
    } else if (point < 0x800) {
        *out++ = (char)(0xC0 | point >> 6);
        *out++ = (char)(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        *out++ = (char)(0xE0 | point >> 12);
        *out++ = (char)(0x80 | (point >> 6 & 0x3F));
        *out++ = (char)(0x80 | (point & 0x3F));
    } else {
        *out++ = (char)(0xF0 | point >> 18);
        *out++ = (char)(0x80 | (point >> 12 & 0x3F));
        *out++ = (char)(0x80 | (point >> 6 & 0x3F));
        *out++ = (char)(0x80 | (point & 0x3F));
    }
    return out;
}

static char unescaped(char kind)
{
    switch (kind) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return kind;
    }
}

size_t leat_json_unescape(leat_json_text text, char *out)
{
    const char *p = text.data, *end = p + text.size;
    char *cursor = out;
    while (p < end) {
        const char *backslash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((backslash ? backslash : end) - p);
        memmove(cursor, p, plain);
        cursor += plain;
        p += plain;
        if (!backslash)
            break;
        if (p[1] != 'u') {
            *cursor++ = unescaped(p[1]);
            p += 2;
            continue;
        }
        uint32_t point = (uint32_t)hex_four(p + 2, end);
        p += 6;
        if (point >= 0xD800 && point <= 0xDBFF) {
            point = 0x10000 + ((point - 0xD800) << 10) + ((uint32_t)hex_four(p + 2, end) - 0xDC00);
            p += 6;
        }
        cursor = put_utf8(cursor, point);
    }
    return (size_t)(cursor - out);
}

const char *leat_json_literal(leat_json_scan *scan, const char *p, const char *text, size_t size)
{
    if ((size_t)(scan->end - p) < size || memcmp(p, text, size) != 0)
        return leat_json_fail(scan, p, "a value");
    return p + size;
}

static const char *skip_members(leat_json_scan *scan, const char *p, unsigned depth)
{
    leat_json_text key;
    p = leat_json_blank(scan, p + 1);
    if (leat_json_peek(scan, p) == '}')
        return p + 1;
    for (;;) {
        if (leat_json_peek(scan, p) != '"')
            return leat_json_fail(scan, p, "a member's name in quotes");
        if (!(p = leat_json_string(scan, p + 1, &key)))
            return NULL;
        p = leat_json_blank(scan, p);
        if (leat_json_peek(scan, p) != ':')
            return leat_json_fail(scan, p, "':'");
        if (!(p = leat_json_skip_value(scan, leat_json_blank(scan, p + 1), depth)))
            return NULL;
        p = leat_json_blank(scan, p);
        if (leat_json_peek(scan, p) == '}')
            return p + 1;
        if (leat_json_peek(scan, p) != ',')
            return leat_json_fail(scan, p, "',' or '}'");
        p = leat_json_blank(scan, p + 1);
    }
}

static const char *skip_items(leat_json_scan *scan, const char *p, unsigned depth)
{
    p = leat_json_blank(scan, p + 1);
    if (leat_json_peek(scan, p) == ']')
        return p + 1;
    for (;;) {
        if (!(p = leat_json_skip_value(scan, p, depth)))
            return NULL;
        p = leat_json_blank(scan, p);
        if (leat_json_peek(scan, p) == ']')
            return p + 1;
        if (leat_json_peek(scan, p) != ',')
            return leat_json_fail(scan, p, "',' or ']'");
        p = leat_json_blank(scan, p + 1);
    }
}

// depth: how many objects and arrays are open around the value.
const char *leat_json_skip_value(leat_json_scan *scan, const char *p, unsigned depth)
{
    leat_json_text text;
    leat_scanned_number number;
    switch (leat_json_peek(scan, p)) {
    case '"':
        return leat_json_string(scan, p + 1, &text);
    case '{':
    case '[':
        if (depth >= LEAT_JSON_DEPTH) {
            scan->too_deep = true;
            return leat_json_fail(scan, p, "no deeper nesting");
        }
        return *p == '{' ? skip_members(scan, p, depth + 1) : skip_items(scan, p, depth + 1);
    case 't':
        return leat_json_literal(scan, p, "true", 4);
    case 'f':
        return leat_json_literal(scan, p, "false", 5);
    case 'n':
        return leat_json_literal(scan, p, "null", 4);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return leat_json_number(scan, p, &number);
    default:
        return leat_json_fail(scan, p, "a value");
    }
}
