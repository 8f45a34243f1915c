// What names mean at a place of a query: the tables of FROM with their aliases and columns.
//
// Columns are case-sensitive as in Flink. A path is read from the left: an alias or a whole table path, then a column, then
// fields of a ROW; where no table has that name the first part is the column.
//
// Ownership: borrowed schemas, all else in the caller's arena. Failure: a message without a place; the caller has the span.
#pragma once

#include "config/sql/ast.h"
#include "operators/core/schema.h"

typedef struct leat_sql_scope_table {
    leat_slice alias;          // empty: none, its columns are only found unqualified
    const leat_sql_path *path; // as written in FROM; NULL: a subquery or function
    const leat_schema *schema;
    uint32_t input, first; // its column c is column first + c of the expression input
    bool qualified_only;   // a pattern variable: its columns are only found as v.column
    bool outer;            // of the query around a subquery: looked at when the others have no such name
    bool given;            // the names are those that a SELECT in FROM gives, some perhaps twice
    bool merged;           // USING: a bare name means its column, not those of the tables behind it
    const bool *hidden;    // per column: not among *; NULL: none is
} leat_sql_scope_table;

typedef struct leat_sql_scope {
    const leat_sql_scope_table *tables;
    uint32_t count;
} leat_sql_scope;

typedef struct leat_sql_found {
    uint32_t input, column;
    leat_type type;
    uint32_t part_count; // parts of the path that were used; the rest are fields
} leat_sql_found;

// LEAT_E_NOT_FOUND with the nearest name, LEAT_E_INVALID when ambiguous.
LEAT_MUST_CHECK leat_code leat_sql_scope_find(const leat_sql_scope *scope, const leat_sql_path *path,
                                              leat_sql_found *out_found, leat_error *out_error);
// The table meant by `t.*`.
LEAT_MUST_CHECK leat_code leat_sql_scope_table_find(const leat_sql_scope *scope, const leat_sql_path *path,
                                                    const leat_sql_scope_table **out_table, leat_error *out_error);
// " (did you mean 'x'?)" among the columns of a schema, also where only the case differs; "" when nothing is near.
const char *leat_sql_suggest_column(const leat_schema *schema, leat_slice name, char out_text[128]);
