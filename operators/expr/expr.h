// Typed expressions: what the binder makes out of SQL, and what compiles into a program.
//
// A tree of leat_expr is only built through the functions below: they look the function up by name, check and coerce argument
// types as Flink does, and set the result type. Trees live in the plan's arena, are read-only afterwards, and are never
// evaluated: leat_program (program.h) is.
//
// Failure: LEAT_E_INVALID with a message that names function, argument, what it takes and what it got; LEAT_E_UNSUPPORTED for a
// function of Flink that leat does not have; LEAT_E_NOT_FOUND with the nearest name. The place is the binder's business.
#pragma once

#include "operators/base/calendar.h"
#include "operators/core/schema.h"

typedef enum leat_expr_kind {
    LEAT_EXPR_COLUMN, // column `column` of input `input`
    LEAT_EXPR_LITERAL,
    LEAT_EXPR_CALL, // function with arguments, AND/OR/NOT, comparison and arithmetic included
    LEAT_EXPR_CASE, // searched CASE: when/then pairs and else
    LEAT_EXPR_CAST,
    LEAT_EXPR_ROWTIME,   // the batch's event time
    LEAT_EXPR_PROCTIME,  // processing time when the row is handled
    LEAT_EXPR_WATERMARK, // CURRENT_WATERMARK: the watermark before the row, NULL while there is none
} leat_expr_kind;

typedef struct leat_function leat_function; // entry of the function table, see function.h
typedef struct leat_expr leat_expr;
struct leat_expr {
    leat_expr_kind kind;
    leat_type type;
    bool may_fail; // evaluation can make a row bad: division, cast, parse
    uint32_t argument_count;
    leat_expr **arguments; // CALL; CAST: 1; CASE: when, then, when, then, ..., else
    union {
        struct {
            uint32_t input, column;
        };
        leat_value literal;
        struct {
            const leat_function *function;
            const void *prepared; // what the function made of its constant arguments, else NULL
        };
        bool try_cast; // NULL instead of a bad row
    };
};

// What the binder passes along: the arena, and the session's zone for casts between TIMESTAMP and TIMESTAMP_LTZ.
typedef struct leat_expr_scope {
    leat_arena *arena;
    const leat_zone *zone; // NULL: UTC
} leat_expr_scope;

leat_expr *leat_expr_column(leat_expr_scope *scope, uint32_t input, uint32_t column, leat_type type);
leat_expr *leat_expr_literal(leat_expr_scope *scope, leat_type type, leat_value value); // value is copied
leat_expr *leat_expr_special(leat_expr_scope *scope,
                             leat_expr_kind kind); // ROWTIME (TIMESTAMP_LTZ), PROCTIME, WATERMARK
// Functions and operators by Flink's SQL name, upper case or not: "+", "=", "AND", "IS NULL", "BETWEEN", "LIKE" (2 or 3 arguments),
// "IN" (value, then the list), "SUBSTRING", "||", "COALESCE", "IF", "NULLIF", "EXTRACT" (unit as a STRING literal, then the value), "FLOOR" with a
// unit literal, "TRIM" (mode literal, characters, text), "ITEM" (array or map [index]), "FIELD" (row, name literal), "ARRAY", "ROW", "MAP"...
LEAT_MUST_CHECK leat_code leat_expr_call(leat_expr_scope *scope, leat_slice name, leat_expr **arguments, uint32_t count,
                                         leat_expr **out_expr, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_expr_case(leat_expr_scope *scope, leat_expr **arguments,
                                         uint32_t count /* odd: with else */, leat_expr **out_expr,
                                         leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_expr_cast(leat_expr_scope *scope, leat_expr *value, leat_type type, bool try_cast,
                                         leat_expr **out_expr, leat_error *out_error);
// The cast that Flink inserts by itself (INT to BIGINT, INT to DOUBLE, CHAR to STRING, string literal to TIMESTAMP in a
// comparison); LEAT_E_INVALID when it would not.
LEAT_MUST_CHECK leat_code leat_expr_coerce(leat_expr_scope *scope, leat_expr *value, leat_type type,
                                           leat_expr **out_expr, leat_error *out_error);
// The type that two branches (CASE, COALESCE, UNION) meet in. False when there is none.
bool leat_type_common(leat_type a, leat_type b, leat_type *out_type);
// The same for operators, CASE and UNION, where of FLOAT and DOUBLE, and of both timestamps, the first one counts.
bool leat_type_operated(leat_type a, leat_type b, leat_type *out_type);
// Folds a tree without columns and clocks to a literal; others are left. A fold that fails (1/0) is left for the row to fail.
leat_expr *leat_expr_fold(leat_expr_scope *scope, leat_expr *expr);
bool leat_expr_is_constant(const leat_expr *expr);
bool leat_expr_equal(const leat_expr *a, const leat_expr *b);
bool leat_expr_is_deterministic(const leat_expr *expr); // PROCTIME, RAND, UUID are not
// Whether a text is JSON by its making (JSON_OBJECT, JSON_ARRAY, JSON): JSON functions put it in as it is.
bool leat_expr_is_json(const leat_expr *expr);
const char *leat_expr_called(const leat_expr *expr); // name of the function or operator of a CALL, "" of others
// Marks in out_used (per input, per column) what the tree reads.
void leat_expr_columns(const leat_expr *expr, uint32_t input, bool *out_used);
// SQL-like text for explain, e.g. "(temperature > 75.0)"; schemas per input give the names.
void leat_expr_print(const leat_expr *expr, const leat_schema *const *inputs, leat_writer *out);
