// Inside of expr: the rows of the function tables, and what a kernel sees while it runs.
//
// A function is a row: name, argument pattern, result rule, kernel, and one sentence for the manual. Rows of one name are
// overloads, tried from top to bottom. The argument pattern is a list of words, see type_rules.c; `name?` may be missing,
// `name...` repeats (0 or more times).
//
// A kernel computes one instruction for the rows it is given: all of 0..count-1 when `rows` is NULL, else those listed.
// For an ordinary function the NULLs are already dealt with: rows with a NULL argument are marked NULL in `out` and not
// among the rows, except for TOTAL functions, which may be computed on whatever lies there. A LENIENT function sees
// NULLs and answers for them. A row that fails is NULL and marked in eval->bad (leat_call_fail).
//
// Threads: tables are constant. Ownership: text that a kernel makes lies in call->memory.
#pragma once

#include "operators/expr/program.h"

// A register: a column, or one value for all rows (mask 0). Element of row r: r & mask.
typedef struct leat_vector {
    leat_column column;
    uint32_t mask;
} leat_vector;

typedef struct leat_rows {
    const uint16_t *rows; // NULL: 0..count-1
    uint32_t count;
} leat_rows;

typedef struct leat_call leat_call;
typedef void (*leat_kernel)(leat_call *call);

typedef struct leat_step {
    uint8_t operation; // leat_operation of code.h
    bool try_cast;
    unsigned flags; // LEAT_FUNCTION_...
    leat_kernel kernel;
    uint16_t out, selection; // registers
    uint16_t selection_out, selection_rest;
    uint16_t input, column; // LOAD_COLUMN
    uint32_t argument_count;
    const uint16_t *arguments; // registers
    const leat_expr *expr;     // types and literals of the arguments
} leat_step;

struct leat_call {
    leat_eval *eval;
    const leat_zone *zone;
    leat_arena *memory; // of texts and nested values
    leat_vector *registers;
    leat_rows *selections;
    const leat_batch *batch; // or, for a single row,
    const leat_row_view *inputs;
    uint32_t physical; // rows of every register
    bool single;
    leat_arena *result_memory; // where the register of the program's result is made
    uint32_t result;
    // -- of the running step
    const leat_step *step;
    leat_column *out;
    const uint16_t *rows;
    uint32_t count;
    // -- of a filter kernel: where the rows that pass are listed
    uint16_t *passed;
    uint32_t passed_count;
};

enum {
    LEAT_FUNCTION_TOTAL = 1,     // defined and safe for any bits in the arguments
    LEAT_FUNCTION_LENIENT = 2,   // sees NULL arguments
    LEAT_FUNCTION_NULLABLE = 4,  // gives NULL by itself
    LEAT_FUNCTION_FAILS = 8,     // makes rows bad
    LEAT_FUNCTION_VOLATILE = 16, // not the same every time
    LEAT_FUNCTION_AND = 32,      // the forms below narrow the selection and have no kernel of their own
    LEAT_FUNCTION_OR = 64,
    LEAT_FUNCTION_COALESCE = 128,
    LEAT_FUNCTION_INFIX = 256,   // printed between its arguments
    LEAT_FUNCTION_POSTFIX = 512, // printed after its argument
    LEAT_FUNCTION_NAMED = 1024,  // the result rule builds a tree out of other functions
    LEAT_FUNCTION_LISTED = 2048, // what is `prepared` holds all arguments but the first, which alone is computed
};

// Forms of memory for which a family of kernels has a member each.
typedef enum leat_variant {
    LEAT_VARIANT_I8,
    LEAT_VARIANT_I16,
    LEAT_VARIANT_I32,
    LEAT_VARIANT_I64, // BIGINT and everything of time
    LEAT_VARIANT_F32,
    LEAT_VARIANT_F64,
    LEAT_VARIANT_I128,
    LEAT_VARIANT_TEXT,
    LEAT_VARIANT_BOOL,
    LEAT_VARIANT_NESTED,
    LEAT_VARIANTS
} leat_variant;
leat_variant leat_variant_of(leat_type type);

// What a result rule works on: it sets `type`, may coerce arguments, or replaces the call by `replaced`.
typedef struct leat_rule {
    leat_expr_scope *scope;
    const leat_function *function;
    leat_expr **arguments; // a copy that may be changed
    uint32_t count;
    leat_type type;
    leat_expr *replaced;
    const void *prepared; // made of constant arguments for the kernel: a compiled pattern or path
    bool cannot_fail;     // though the function can: these arguments never make it
    leat_error *error;
} leat_rule;
typedef leat_code (*leat_result)(leat_rule *rule);

struct leat_function {
    const char *name;
    const char *arguments;
    leat_result result;
    leat_kernel kernel;         // one for all, or
    const leat_kernel *kernels; // LEAT_VARIANTS of them, by the first argument's type
    unsigned flags;
    const char *text; // for the manual
};

// Tables, each ended by a row without a name.
extern const leat_function leat_functions_arithmetic[];
extern const leat_function leat_functions_math[];
extern const leat_function leat_functions_compare[];
extern const leat_function leat_functions_logic[];
extern const leat_function leat_functions_conditional[];
extern const leat_function leat_functions_text[];
extern const leat_function leat_functions_search[];
extern const leat_function leat_functions_time[];
extern const leat_function leat_functions_clock[];
extern const leat_function leat_functions_calendar_text[];
extern const leat_function leat_functions_collection[];
extern const leat_function leat_functions_regex[];
extern const leat_function leat_functions_json[];
extern const leat_function leat_functions_json_make[];
extern const leat_function leat_functions_array[];
extern const leat_function leat_functions_map[];
extern const leat_function leat_functions_encode[];
extern const leat_function leat_functions_url[];
extern const leat_function leat_functions_format[];
extern const leat_function leat_functions_zone[];
extern const leat_function *const leat_function_tables[]; // ended by NULL

// -- looking up (function.c)

LEAT_MUST_CHECK leat_code leat_function_resolve(leat_rule *rule, leat_slice name);
// A comparison that lists the rows that pass instead of computing a BOOLEAN column; NULL where there is none.
leat_kernel leat_filter_kernel(const leat_function *function, leat_type first);
leat_kernel leat_function_kernel(const leat_function *function, leat_type first);
// The nearest name of the tables as " (did you mean ...?)" text, and whether Flink has a function that leat lacks.
bool leat_function_of_flink(leat_slice name);
const char *leat_function_suggest(leat_slice name, char out_text[128]);

// -- types (type_rules.c)

// Whether `arguments` fit the pattern, coercing them where Flink does. On false nothing has changed.
bool leat_pattern_match(leat_rule *rule, const char *pattern);
leat_type leat_type_as_decimal(leat_type type); // of an integer: the DECIMAL that holds it
bool leat_type_casts_implicitly(leat_type from, leat_type to);
leat_type leat_decimal_type_add(leat_type a, leat_type b);
leat_type leat_decimal_type_multiply(leat_type a, leat_type b);
leat_type leat_decimal_type_divide(leat_type a, leat_type b);
leat_type leat_decimal_type_modulo(leat_type a, leat_type b);
leat_type leat_decimal_type_round(leat_type a, int64_t digits);

leat_code leat_result_first(leat_rule *rule); // type of the first argument
leat_code leat_result_second(leat_rule *rule);
// As Java reads a number: blanks around it, and its type behind it (1.5d, 2f).
bool leat_text_to_double(leat_slice text, double *out);
leat_code leat_result_common(leat_rule *rule);   // all arguments are brought to their common type
leat_code leat_result_operated(leat_rule *rule); // the same for operators, which make FLOAT of FLOAT and DOUBLE
leat_code leat_result_equated(leat_rule *rule);  // BOOLEAN; arguments brought to a type as by an operator
leat_code leat_result_compared(leat_rule *rule); // likewise, result BOOLEAN
leat_code leat_result_boolean(leat_rule *rule);
leat_code leat_result_int(leat_rule *rule);
leat_code leat_result_bigint(leat_rule *rule);
leat_code leat_result_double(leat_rule *rule);
leat_code leat_result_string(leat_rule *rule);
leat_code leat_result_date(leat_rule *rule);
leat_code leat_result_time(leat_rule *rule);
leat_code leat_result_timestamp(leat_rule *rule);
leat_code leat_result_timestamp_ltz(leat_rule *rule);
leat_code leat_result_interval(leat_rule *rule);

// -- time units, given as text literals

typedef enum leat_unit {
    LEAT_UNIT_NONE,
    LEAT_UNIT_MILLISECOND,
    LEAT_UNIT_SECOND,
    LEAT_UNIT_MINUTE,
    LEAT_UNIT_HOUR,
    LEAT_UNIT_DAY,
    LEAT_UNIT_WEEK,
    LEAT_UNIT_MONTH,
    LEAT_UNIT_QUARTER,
    LEAT_UNIT_YEAR,
    LEAT_UNIT_DECADE,
    LEAT_UNIT_CENTURY,
    LEAT_UNIT_MILLENNIUM,
    LEAT_UNIT_DOW,
    LEAT_UNIT_DOY,
    LEAT_UNIT_ISODOW,
    LEAT_UNIT_ISOYEAR,
    LEAT_UNIT_EPOCH,
} leat_unit;
leat_unit leat_unit_of(leat_slice name); // also the plural and SQL_TSI_ forms; NONE when unknown

// -- casts (function_cast.c)

// NULL when Flink has no such cast.
leat_kernel leat_cast_kernel(leat_type from, leat_type to);
bool leat_cast_may_fail(leat_type from, leat_type to);
// The text of a value as CAST(... AS STRING) gives it, appended.
void leat_value_print(leat_type type, const leat_value *value, const leat_zone *zone, leat_writer *out);

// -- for kernels

#define LEAT_EACH(call, row)                                                                                           \
    for (uint32_t leat_i = 0, row;                                                                                     \
         leat_i < (call)->count && ((row = (call)->rows ? (call)->rows[leat_i] : leat_i), 1); leat_i++)

static inline const leat_vector *leat_argument(const leat_call *call, uint32_t index)
{
    return &call->registers[call->step->arguments[index]];
}
static inline bool leat_argument_null(const leat_call *call, uint32_t index, uint32_t row)
{
    const leat_vector *vector = leat_argument(call, index);
    return vector->column.nulls && vector->column.nulls[row & vector->mask];
}
static inline int64_t leat_argument_i64(const leat_call *call, uint32_t index, uint32_t row)
{
    const leat_vector *vector = leat_argument(call, index);
    return vector->column.i64[row & vector->mask];
}
static inline double leat_argument_f64(const leat_call *call, uint32_t index, uint32_t row)
{
    const leat_vector *vector = leat_argument(call, index);
    return vector->column.f64[row & vector->mask];
}
static inline leat_i128 leat_argument_i128(const leat_call *call, uint32_t index, uint32_t row)
{
    const leat_vector *vector = leat_argument(call, index);
    return vector->column.i128[row & vector->mask];
}
static inline leat_slice leat_argument_text(const leat_call *call, uint32_t index, uint32_t row)
{
    const leat_vector *vector = leat_argument(call, index);
    return vector->column.text[row & vector->mask];
}
static inline bool leat_argument_boolean(const leat_call *call, uint32_t index, uint32_t row)
{
    const leat_vector *vector = leat_argument(call, index);
    return vector->column.boolean[row & vector->mask];
}
static inline leat_nested leat_argument_nested(const leat_call *call, uint32_t index, uint32_t row)
{
    const leat_vector *vector = leat_argument(call, index);
    return vector->column.nested[row & vector->mask];
}
static inline leat_value leat_argument_value(const leat_call *call, uint32_t index, uint32_t row)
{
    const leat_vector *vector = leat_argument(call, index);
    return leat_column_value(&vector->column, row & vector->mask);
}
static inline leat_type leat_argument_type(const leat_call *call, uint32_t index)
{
    return call->step->expr->arguments[index]->type;
}
// For functions that are NULLABLE or FAIL.
static inline void leat_call_null(leat_call *call, uint32_t row) { call->out->nulls[row] = 1; }
void leat_call_fail(leat_call *call, uint32_t row, const char *format, ...) LEAT_PRINTF(3, 4);
// A buffer of the result's memory for a text.
static inline char *leat_call_text(leat_call *call, size_t size)
{
    return leat_arena_alloc_aligned(call->memory, size ? size : 1, 1);
}
