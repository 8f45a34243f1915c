// SQL text to syntax tree, with every error of the text in one run.
//
// Usage: parse, then (for a detection) leat_sql_bind_parameters, then the binder. A text with an error gives no tree.
// Recovery is at commas, clause keywords and semicolons: an error hides what stands between it and the next of these.
//
// Ownership: the tree lies in the arena and refers to `text`. Threads: none shared. Failure: LEAT_E_INVALID with at least one
// diagnostic, in text order; *out_... is untouched. Limits: LEAT_SQL_TOKENS, LEAT_SQL_DEPTH, LEAT_SQL_HEIGHT; exceeding one is a
// diagnostic and LEAT_E_INVALID too.
#pragma once

#include "config/sql/ast.h"
#include "operators/base/error.h"

enum { LEAT_SQL_DIAGNOSTICS_MAX = 20, LEAT_SQL_MESSAGE_SIZE = 320 };

typedef struct leat_sql_diagnostic {
    leat_sql_span span;
    char message[LEAT_SQL_MESSAGE_SIZE]; // cut at a character, always terminated
} leat_sql_diagnostic;

typedef struct leat_sql_diagnostics {
    leat_sql_diagnostic items[LEAT_SQL_DIAGNOSTICS_MAX];
    uint32_t count; // further errors are not reported
} leat_sql_diagnostics;

// Appends one; nothing when full. For the binder too.
void leat_sql_diagnose(leat_sql_diagnostics *diagnostics, leat_sql_span span, const char *format, ...)
    LEAT_PRINTF(3, 4);

// Statements separated by `;`. Diagnostics are appended.
LEAT_MUST_CHECK leat_code leat_sql_parse_statements(leat_arena *arena, leat_slice text, leat_sql_script **out_script,
                                                    leat_sql_diagnostics *out_diagnostics);

// One expression, the whole text: `ts - INTERVAL '2' SECOND`. Spans get the origin (0, or a parameter's number).
LEAT_MUST_CHECK leat_code leat_sql_parse_expression(leat_arena *arena, leat_slice text, uint32_t origin,
                                                    leat_sql_expr **out_expr, leat_sql_diagnostics *out_diagnostics);
// One type, the whole text: `ARRAY<DECIMAL(10, 2)>`.
LEAT_MUST_CHECK leat_code leat_sql_parse_type(leat_arena *arena, leat_slice text, uint32_t origin,
                                              leat_sql_type **out_type, leat_sql_diagnostics *out_diagnostics);
