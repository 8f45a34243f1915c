// The syntax of JSON (RFC 8259), without a tree: every function takes a cursor and gives the one behind what it read.
//
// Failure: NULL, and the scan knows where and what was expected; the first fault stays. Strings and keys are checked as UTF-8
// wherever they stand, read or skipped; a surrogate without its other half is a fault.
//
// Bounds: nothing is read at or past `end`, which needs no terminator. The exception are functions with `padded`: at `end` there is then
// a 0 or a line end, with which no value goes on, and LEAT_JSON_PADDING bytes may be read from there, so they look for no end. It is a
// constant where they are called.
#pragma once

#include "drivers/format/number_scan.h"
#include "operators/base/limits.h"

enum { LEAT_JSON_PADDING = 16 };

typedef struct leat_json_scan {
    const char *end;
    const char *fault;    // NULL: none yet
    const char *expected; // static text
    bool too_deep;
} leat_json_scan;

typedef struct leat_json_text {
    const char *data;
    size_t size;  // as written, escapes not yet undone
    bool escaped; // has escapes
} leat_json_text;

const char *leat_json_fail(leat_json_scan *scan, const char *at, const char *expected); // NULL
const char *leat_json_string_slow(leat_json_scan *scan, const char *begin, const char *p, leat_json_text *out);
const char *leat_json_skip_value(leat_json_scan *scan, const char *p, unsigned depth);
const char *leat_json_literal(leat_json_scan *scan, const char *p, const char *text, size_t size);
const char *leat_json_blank_slow(const char *p, const char *end);
// Undoes the escapes of a checked text into out (never longer than the text); returns the size.
size_t leat_json_unescape(leat_json_text text, char *out);

static inline char leat_json_peek(const leat_json_scan *scan, const char *p) { return p < scan->end ? *p : 0; }
static inline const char *leat_json_blank(const leat_json_scan *scan, const char *p)
{
    return p < scan->end && (unsigned char)*p <= ' ' ? leat_json_blank_slow(p, scan->end) : p;
}

// p is behind the opening quote; the result is behind the closing one.
static inline const char *leat_json_string_in(leat_json_scan *scan, const char *p, leat_json_text *out, bool padded)
{
    const char *begin = p;
    while (padded || scan->end - p >= 8) {
        const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
        uint64_t word = leat_load_eight(p);
        uint64_t quote = word ^ 0x2222222222222222, backslash = word ^ 0x5C5C5C5C5C5C5C5C;
        // Borrows make false hits only above a true one, and the lowest is all that counts; bytes from 0x80 on are hits by themselves.
        uint64_t hits = ((quote - ones) | (backslash - ones) | (word - 0x2020202020202020) | word) & highs;
        if (!hits) {
            p += 8;
            continue;
        }
        p += (unsigned)__builtin_ctzll(hits) >> 3;
        if (*p != '"')
            return leat_json_string_slow(scan, begin, p, out);
        *out = (leat_json_text){begin, (size_t)(p - begin), false};
        return p + 1;
    }
    while (p < scan->end && *p != '"' && *p != '\\' && (unsigned char)(*p - 0x20) < 0x60)
        p++;
    if (p < scan->end && *p == '"') {
        *out = (leat_json_text){begin, (size_t)(p - begin), false};
        return p + 1;
    }
    return leat_json_string_slow(scan, begin, p, out);
}

static inline const char *leat_json_string(leat_json_scan *scan, const char *p, leat_json_text *out)
{
    return leat_json_string_in(scan, p, out, false);
}

static inline const char *leat_json_number(leat_json_scan *scan, const char *p, leat_scanned_number *out)
{
    if (!leat_scan_number(out, p, scan->end))
        return leat_json_fail(scan, out->end, "a digit");
    return out->end;
}
