// The common kinds of values straight into their column, inline in both ways of reading a row; all else, and every value that does not
// fit, goes through leat_json_field_general.
#pragma once

#include "drivers/format/json.h"

const char *leat_json_field_general(leat_json_format *self, uint32_t field, const char *p, unsigned depth);
leat_slice leat_json_text_take(leat_json_text text, leat_arena *arena);

static inline bool leat_json_begins_number(char c) { return c == '-' || (unsigned char)(c - '0') < 10; }

// An integer of at most 18 digits without fraction or exponent; NULL: look closer.
static inline const char *leat_json_short_integer(const leat_json_scan *scan, const char *p, int64_t *out_value)
{
    uint64_t magnitude = 0;
    bool negative = p < scan->end && *p == '-';
    const char *digits = p + negative;
    const char *end = leat_scan_digits(digits, scan->end, &magnitude);
    size_t count = (size_t)(end - digits);
    if (count - 1 > 17 || (*digits == '0' && count > 1))
        return NULL;
    if (end < scan->end && (*end == '.' || (*end | 0x20) == 'e'))
        return NULL;
    *out_value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return end;
}

static inline const char *leat_json_field_inline(leat_json_format *self, uint32_t field, const char *p, unsigned depth)
{
    const leat_json_plan *plan = &self->plans[field];
    leat_column *column = &self->batch->columns[field];
    const char *end;
    switch (plan->action) {
    case LEAT_JSON_INTEGER: {
        int64_t value;
        end = leat_json_short_integer(&self->scan, p, &value);
        if (!end || value < plan->minimum || value > plan->maximum)
            break;
        column->i64[self->row] = value;
        return end;
    }
    case LEAT_JSON_DOUBLE: {
        leat_scanned_number number;
        double value;
        if (!leat_scan_number(&number, p, self->scan.end) || !leat_scanned_double(&number, &value))
            break;
        column->f64[self->row] = value;
        return number.end;
    }
    case LEAT_JSON_TEXT: {
        leat_json_text text;
        if (leat_json_peek(&self->scan, p) != '"')
            break;
        end = leat_json_string(&self->scan, p + 1, &text);
        if (!end)
            return NULL;
        if (text.escaped) {
            column->text[self->row] = leat_json_text_take(text, &self->batch->arena);
        } else {
            column->text[self->row] = leat_slice_of(text.data, text.size);
            self->sliced = true;
        }
        return end;
    }
    case LEAT_JSON_BOOLEAN:
        if (self->scan.end - p < 5)
            break;
        if (memcmp(p, "true", 4) == 0) {
            column->boolean[self->row] = 1;
            return p + 4;
        }
        if (memcmp(p, "false", 5) == 0) {
            column->boolean[self->row] = 0;
            return p + 5;
        }
        break;
    case LEAT_JSON_GENERAL:
        break;
    }
    return leat_json_field_general(self, field, p, depth);
}
