// JSON texts: checking, looking into them without building a tree, and writing them the one way.
//
// A value is the slice of its text. leat_json_check makes sure once that a whole text is JSON; everything else takes values that
// came out of it and cannot fail. Of a name that an object has twice the last one counts, as in Java's maps.
//
// The written form is Jackson's: no blanks, members by name, numbers as Java's BigDecimal prints them (1.50, 1E+3).
// Limits: nesting of LEAT_JSON_NESTING.
#pragma once

#include "operators/base/bytes.h"
#include "operators/core/type.h"

enum { LEAT_JSON_NESTING = 256 };

typedef enum leat_json_kind {
    LEAT_JSON_OBJECT,
    LEAT_JSON_ARRAY,
    LEAT_JSON_TEXT,
    LEAT_JSON_NUMBER,
    LEAT_JSON_TRUE,
    LEAT_JSON_FALSE,
    LEAT_JSON_NULL,
} leat_json_kind;

// The value that the text is, without blanks around it; false when it is none.
bool leat_json_check(leat_slice text, leat_slice *out_value);
leat_json_kind leat_json_kind_of(leat_slice value);
static inline bool leat_json_is_scalar(leat_slice value) { return leat_json_kind_of(value) >= LEAT_JSON_TEXT; }

// Walks members of an object or items of an array. Begin with at = 0; `name` is raw, as between its quotes.
typedef struct leat_json_walk {
    leat_slice value;
    size_t at;
} leat_json_walk;
bool leat_json_next(leat_json_walk *walk, leat_slice *out_name, leat_slice *out_item); // name: NULL for arrays
bool leat_json_member(leat_slice object, leat_slice name, leat_slice *out_item);       // name: not raw

// The characters of a text value, or of a raw name, into out_text (as many bytes as the raw form suffice).
size_t leat_json_characters(leat_slice raw, char *out_text);
static inline leat_slice leat_json_inside(leat_slice text) { return leat_slice_of(text.data + 1, text.size - 2); }

void leat_json_write_text(leat_slice text, leat_writer *out);
void leat_json_write_number(leat_slice value, leat_writer *out);
void leat_json_write(leat_slice value, leat_arena *scratch, leat_writer *out);
// A value of SQL as JSON_STRING gives it.
void leat_json_write_value(leat_type type, const leat_value *value, leat_arena *scratch, leat_writer *out);
// An object out of members, which are put in order; of equal names the last one counts.
typedef struct leat_json_field {
    leat_slice name; // unescaped
    leat_slice item; // JSON, when value is NULL
    leat_type type;
    const leat_value *value;
    uint32_t index; // among those of its object
} leat_json_field;
void leat_json_write_fields(leat_json_field *fields, uint32_t count, leat_arena *scratch, leat_writer *out);
void leat_bytes_write_base64(leat_slice bytes, leat_writer *out);
