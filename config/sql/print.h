// Syntax tree back to SQL: canonical, with the fewest parentheses, keywords in capitals, and parsing to the same tree again.
//
// Used by `explain` and in messages. Identifiers are quoted where they have to be. Ownership: text in the arena, terminated.
#pragma once

#include "config/sql/ast.h"

leat_slice leat_sql_expr_print(leat_arena *arena, const leat_sql_expr *expr); // one line
leat_slice leat_sql_type_print(leat_arena *arena, const leat_sql_type *type);
leat_slice leat_sql_query_print(leat_arena *arena,
                                const leat_sql_query *query); // a line per clause, subqueries indented
leat_slice leat_sql_print(leat_arena *arena,
                          const leat_sql_script *script); // statements end in `;` when there are several

// `name`, or the plain name where no backticks are needed.
leat_slice leat_sql_name_print(leat_arena *arena, leat_slice name);
