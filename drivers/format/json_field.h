// The common kinds of values straight into their column, inline in both ways of reading a row; all else, and every value that does not
// fit, goes through leat_json_field_general.
#pragma once

#include "drivers/format/json.h"

static inline size_t leat_json_offset(const leat_json_format *self, const char *p) // in the payload
{
    return self->part_offset + (size_t)(p - self->part);
}

// Nothing of the row that was begun holds.
static inline void leat_json_clear_row(leat_json_format *self)
{
    bool exists = self->row < self->target->capacity; // a full batch has no next row
    for (uint32_t i = 0; exists && i < self->format.setup->field_count; i++)
        self->batch->columns[i].nulls[self->row] = 0;
    self->misfit = false;
    self->serial++;
}

const char *leat_json_field_general(leat_json_format *self, uint32_t field, const char *p, unsigned depth);
leat_slice leat_json_text_take(leat_json_text text, leat_arena *arena);

static inline bool leat_json_begins_number(char c) { return c == '-' || (unsigned char)(c - '0') < 10; }

enum { LEAT_JSON_NUMBER_LOAD = 18 }; // bytes from the sign on that the kernels of short numbers may look at

// A word of text as digits: each byte 0..9, and a mark at the highest bit of every other byte. Marks are exact up to and including the
// first byte of 0x80 or more.
static inline uint64_t leat_json_digit_word(const char *p, uint64_t *out_others)
{
    uint64_t digits = leat_load_eight(p) ^ 0x3030303030303030;
    *out_others = ((digits + 0x7676767676767676) | digits) & 0x8080808080808080;
    return digits;
}

// The value of the first `count` digits of a word, at most seven.
static inline uint64_t leat_json_some_digits(uint64_t digits, unsigned count)
{
    return leat_eight_digits((digits << 8) << (56 - 8 * count)); // in two steps: none at all would be a shift by 64
}

// An integer of at most 15 digits without fraction or exponent; NULL: look closer.
static inline const char *leat_json_short_integer(const char *p, int64_t *out_value)
{
    static const uint32_t power[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    bool negative = *p == '-';
    const char *begin = p + negative;
    uint64_t others, magnitude = 0, digits = leat_json_digit_word(begin, &others);
    p = begin;
    if (!others) { // a branch, so that what follows need not wait for the count
        magnitude = leat_eight_digits(digits);
        p += 8;
        digits = leat_json_digit_word(p, &others);
        if (!others)
            return NULL;
    }
    unsigned count = (unsigned)__builtin_ctzll(others) >> 3;
    magnitude = magnitude * power[count] + leat_json_some_digits(digits, count);
    p += count;
    if (p == begin || (*begin == '0' && p - begin > 1) || *p == '.' || (*p | 0x20) == 'e')
        return NULL;
    *out_value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return p;
}

// A number of at most seven characters without exponent, such as 23.75, from a single load; NULL: look closer. Exact, as both
// operands of the division are.
static inline const char *leat_json_short_double(const char *p, double *out_value)
{
    static const double power[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7};
    bool negative = *p == '-';
    p += negative;
    uint64_t others, digits = leat_json_digit_word(p, &others);
    if (!others)
        return NULL;
    unsigned whole = (unsigned)__builtin_ctzll(others) >> 3, count = whole, fraction = 0;
    if (whole == 0 || (*p == '0' && whole > 1))
        return NULL;
    if (p[whole] == '.') {
        others &= others - 1;
        if (!others)
            return NULL;
        uint64_t low = (1ULL << (8 * whole)) - 1;
        count = ((unsigned)__builtin_ctzll(others) >> 3) - 1;
        fraction = count - whole;
        digits = (digits & low) | ((digits >> 8) & ~low);
        if (fraction == 0)
            return NULL;
        p++;
    }
    p += count;
    if ((*p | 0x20) == 'e')
        return NULL;
    double value = (double)(int64_t)leat_json_some_digits(digits, count) / power[fraction];
    *out_value = negative ? -value : value;
    return p;
}

static inline __attribute__((always_inline)) const char *
leat_json_field_inline(leat_json_format *self, uint32_t field, const char *p, unsigned depth, bool padded)
{
    const leat_json_plan *plan = &self->plans[field];
    uint32_t row = self->row;
    const char *end;
    switch (plan->action) {
    case LEAT_JSON_INTEGER: {
        int64_t value;
        end = padded || self->scan.end - p >= LEAT_JSON_NUMBER_LOAD ? leat_json_short_integer(p, &value) : NULL;
        if (!end || value < plan->minimum || value > plan->maximum)
            break;
        ((int64_t *)plan->values)[row] = value;
        return end;
    }
    case LEAT_JSON_DOUBLE: {
        leat_scanned_number number;
        double value;
        end = padded || self->scan.end - p >= LEAT_JSON_NUMBER_LOAD ? leat_json_short_double(p, &value) : NULL;
        if (end) {
            ((double *)plan->values)[row] = value;
            return end;
        }
        if (!leat_scan_number(&number, p, self->scan.end) || !leat_scanned_double(&number, &value))
            break;
        ((double *)plan->values)[row] = value;
        return number.end;
    }
    case LEAT_JSON_TEXT: {
        leat_json_text text;
        if ((padded ? *p : leat_json_peek(&self->scan, p)) != '"')
            break;
        end = leat_json_string_in(&self->scan, p + 1, &text, padded);
        if (!end)
            return NULL;
        if (text.escaped) {
            ((leat_slice *)plan->values)[row] = leat_json_text_take(text, &self->batch->arena);
        } else {
            ((leat_slice *)plan->values)[row] = leat_slice_of(text.data, text.size);
            self->sliced = true;
        }
        return end;
    }
    case LEAT_JSON_BOOLEAN:
        if (!padded && self->scan.end - p < 5)
            break;
        if (memcmp(p, "true", 4) == 0) {
            ((uint8_t *)plan->values)[row] = 1;
            return p + 4;
        }
        if (memcmp(p, "false", 5) == 0) {
            ((uint8_t *)plan->values)[row] = 0;
            return p + 5;
        }
        break;
    case LEAT_JSON_GENERAL:
        break;
    }
    return leat_json_field_general(self, field, p, depth);
}
