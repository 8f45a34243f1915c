// Parameters `${name}` of a detection's text, bound as trees, never pasted: what is bound cannot change how the rest parses.
//
// Usage: parse the detection's text, make a value for each parameter with the functions below or leat_sql_parse_expression
// (origin = the parameter's number, so that its errors point at the rule's own YAML value), then bind. A parameter may stand
// for an expression, an identifier (column, alias, table, DESCRIPTOR column, pattern variable), an argument, an INTERVAL, a
// pattern's {n}; a list takes the place of an item in lists of expressions (PARTITION BY, GROUP BY, SELECT, arguments).
//
// Ownership: values are shared by all places where their parameter stands; they live in the arena of the caller.
// Failure: a diagnostic for each parameter that is unknown or does not fit its place; the tree is then not for use.
#pragma once

#include "config/sql/parser.h"

// The value of a parameter, or NULL when there is none by that name.
typedef const leat_sql_expr *leat_sql_lookup(void *context, leat_slice name);

LEAT_MUST_CHECK leat_code leat_sql_bind_parameters(leat_arena *arena, leat_sql_script *script, leat_sql_lookup *lookup,
                                                   void *context, leat_sql_diagnostics *out_diagnostics);
// The same for a single expression.
LEAT_MUST_CHECK leat_code leat_sql_bind_expression(leat_arena *arena, leat_sql_expr *expr, leat_sql_lookup *lookup,
                                                   void *context, leat_sql_diagnostics *out_diagnostics);

// Names of all parameters in order of first appearance, each once; into the arena.
leat_sql_names leat_sql_find_parameters(leat_arena *arena, const leat_sql_script *script);

leat_sql_expr *leat_sql_make_identifier(leat_arena *arena, leat_slice name,
                                        leat_sql_span span); // one column or table, never split at dots
leat_sql_expr *leat_sql_make_interval(leat_arena *arena, int64_t duration_ms, leat_sql_span span);
leat_sql_expr *leat_sql_make_string(leat_arena *arena, leat_slice text, leat_sql_span span);
leat_sql_expr *leat_sql_make_integer(leat_arena *arena, int64_t value, leat_sql_span span);
leat_sql_expr *leat_sql_make_boolean(leat_arena *arena, bool value, leat_sql_span span);
leat_sql_expr *leat_sql_make_null(leat_arena *arena, leat_sql_span span);
leat_sql_expr *leat_sql_make_list(leat_arena *arena, leat_sql_expr *const *items, uint32_t count, leat_sql_span span);
