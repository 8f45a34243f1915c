// SQL types and how their values lie in memory.
//
// Fourteen SQL types share six physical forms, so that a kernel is written six times and not fourteen: every integer,
// date, time, timestamp and interval is an int64; FLOAT is a double that is rounded to float after each operation; a
// DECIMAL is its unscaled value in 128 bits; STRING and BYTES are slices; ARRAY, MAP and ROW are nested values.
// Every type is nullable.
#pragma once

#include "operators/base/bytes.h"
#include "operators/base/number.h"

typedef enum leat_kind {
    LEAT_KIND_NULL = 0, // the type of a bare NULL literal
    LEAT_KIND_BOOLEAN,
    LEAT_KIND_TINYINT,
    LEAT_KIND_SMALLINT,
    LEAT_KIND_INT,
    LEAT_KIND_BIGINT,
    LEAT_KIND_FLOAT,
    LEAT_KIND_DOUBLE,
    LEAT_KIND_DECIMAL,
    LEAT_KIND_STRING,
    LEAT_KIND_BYTES,
    LEAT_KIND_DATE,           // days since 1970
    LEAT_KIND_TIME,           // ms of the day
    LEAT_KIND_TIMESTAMP,      // ms, without zone
    LEAT_KIND_TIMESTAMP_LTZ,  // ms since 1970 UTC
    LEAT_KIND_INTERVAL,       // ms (DAY TO SECOND)
    LEAT_KIND_INTERVAL_MONTH, // months (YEAR TO MONTH)
    LEAT_KIND_ARRAY,
    LEAT_KIND_MAP,
    LEAT_KIND_ROW,
    LEAT_KIND_COUNT
} leat_kind;

typedef enum leat_physical {
    LEAT_PHYSICAL_BOOL,   // uint8_t 0 or 1
    LEAT_PHYSICAL_I64,    // int64_t
    LEAT_PHYSICAL_F64,    // double
    LEAT_PHYSICAL_I128,   // leat_i128
    LEAT_PHYSICAL_TEXT,   // leat_slice
    LEAT_PHYSICAL_NESTED, // leat_nested
} leat_physical;

typedef struct leat_type leat_type;
typedef struct leat_type_field {
    leat_slice name;
    const leat_type *type;
} leat_type_field;

struct leat_type {
    uint8_t kind;      // leat_kind
    uint8_t precision; // DECIMAL 1..38; TIMESTAMP(p) as declared (values are ms all the same)
    uint8_t scale;     // DECIMAL
    uint8_t unused;
    uint32_t field_count;          // ROW: fields; ARRAY: 1 (element); MAP: 2 (key, value)
    const leat_type_field *fields; // NULL for scalar types
};

leat_type leat_type_of(leat_kind kind); // scalar kinds; DECIMAL gives (10, 0)
leat_type leat_type_decimal(unsigned precision, unsigned scale);
leat_type leat_type_array(leat_arena *arena, leat_type element);
leat_physical leat_type_physical(leat_type type); // KIND_NULL lies as I64
size_t leat_physical_size(leat_physical physical);
bool leat_type_equal(leat_type a, leat_type b);
bool leat_type_is_integer(leat_type type);  // TINYINT..BIGINT
bool leat_type_is_numeric(leat_type type);  // integers, FLOAT, DOUBLE, DECIMAL
bool leat_type_is_temporal(leat_type type); // DATE, TIME, TIMESTAMP, TIMESTAMP_LTZ
bool leat_type_is_timestamp(leat_type type);
enum { LEAT_TYPE_TEXT = 128 };
const char *leat_type_print(leat_type type, char out_text[LEAT_TYPE_TEXT]); // "DECIMAL(10, 2)", "ARRAY<INT>"
int64_t leat_integer_min(leat_type type);
int64_t leat_integer_max(leat_type type);

// One value apart from a column: literals, state, items of nested values.
typedef struct leat_value leat_value;
typedef struct leat_nested {
    uint32_t count;          // ARRAY: items; ROW: fields; MAP: 2 * entries, key and value in turn
    const leat_value *items; // owned by whoever owns the batch or arena
} leat_nested;

struct leat_value {
    bool is_null;
    union {
        bool boolean;
        int64_t i64;
        double f64;
        leat_i128 i128;
        leat_slice text;
        leat_nested nested;
    };
};

leat_value leat_value_null(void);
bool leat_value_equal(leat_type type, const leat_value *a, const leat_value *b);  // NULL equals NULL, NaN equals NaN
int leat_value_compare(leat_type type, const leat_value *a, const leat_value *b); // total order, NULL first, NaN last
uint64_t leat_value_hash(leat_type type, const leat_value *value);
leat_value leat_value_copy(leat_type type, const leat_value *value, leat_arena *arena); // deep
// The stored form: null byte, then fixed or varint-sized contents; equal values (leat_value_equal) give equal bytes.
void leat_value_encode(leat_type type, const leat_value *value, leat_writer *writer);
// Slices of the result point into the reader's bytes; nested items come from the arena. False when damaged.
bool leat_value_decode(leat_type type, leat_reader *reader, leat_arena *arena, leat_value *out_value);
