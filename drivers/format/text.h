// The typing rules that JSON strings, CSV fields and parts of a topic share: a value's text to a value of the declared type.
//
// Ownership: STRING values refer to the given text; BYTES are made in the arena. Threads: any.
// Failure: a reason (static text, e.g. "is out of range") instead of NULL; the value is then untouched or meaningless.
#pragma once

#include <string.h>

#include "drivers/source.h"

// CSV and topics: every scalar kind has a text form. NULL: it fits.
const char *leat_text_to_value(const leat_source_field *field, leat_slice text, leat_arena *arena,
                               leat_value *out_value);
// What JSON may write as a string: DECIMAL, BYTES (base64), DATE, TIME, TIMESTAMP, TIMESTAMP_LTZ, INTERVAL.
const char *leat_quoted_to_value(const leat_source_field *field, leat_slice text, leat_arena *arena,
                                 leat_value *out_value);
// The text of a JSON number to an instant in the field's unit; fractions below a millisecond are cut towards the past.
const char *leat_number_to_instant(leat_time_unit unit, leat_slice number, int64_t *out_ms);
const char *leat_decimal_from_text(leat_type type, leat_slice text, leat_i128 *out_unscaled);

void leat_base64_write(leat_writer *out, leat_slice bytes); // padded, without quotes

// Bytes of valid UTF-8 at the start: size when all is valid. Surrogates, overlong forms and beyond U+10FFFF are invalid.
size_t leat_utf8_valid(const char *text, size_t size);

enum { LEAT_REASON_TEXT = 256 };
// "expected INT, found 'abc': is not an integer"; long texts are cut.
void leat_misfit_print(char out_text[LEAT_REASON_TEXT], leat_type type, leat_slice found, const char *reason);

// NULL, and a zero beneath it, so that a kernel that looks without asking finds nothing wild.
static inline void leat_column_set_null(leat_column *column, uint32_t row)
{
    column->nulls[row] = 1;
    switch (leat_type_physical(column->type)) {
    case LEAT_PHYSICAL_BOOL:
        column->boolean[row] = 0;
        break;
    case LEAT_PHYSICAL_I64:
        column->i64[row] = 0;
        break;
    case LEAT_PHYSICAL_F64:
        column->f64[row] = 0;
        break;
    case LEAT_PHYSICAL_I128:
        column->i128[row] = 0;
        break;
    case LEAT_PHYSICAL_TEXT:
        column->text[row] = (leat_slice){"", 0};
        break;
    case LEAT_PHYSICAL_NESTED:
        column->nested[row] = (leat_nested){0, NULL};
        break;
    }
}

// Values hold 128-bit decimals and so need 16 bytes of alignment, where arenas give 8. Cleared.
static inline leat_value *leat_values_new(leat_arena *arena, size_t count)
{
    leat_value *values = leat_arena_alloc_aligned(arena, count * sizeof *values, _Alignof(leat_value));
    memset(values, 0, count * sizeof *values);
    return values;
}

static inline void leat_column_put(leat_column *column, uint32_t row, const leat_value *value)
{
    if (value->is_null)
        leat_column_set_null(column, row);
    else
        leat_column_set(column, row, value, NULL); // text and nested values already lie in the batch
}
