// The growing text of the printer's files; private.
#pragma once

#include "config/sql/print.h"

// Short in the printer's files, long for the linker.
#define put leat_sql_put
#define put_expr leat_sql_put_expr
#define put_exprs leat_sql_put_exprs
#define put_finish leat_sql_put_finish
#define put_line leat_sql_put_line
#define put_match leat_sql_put_match
#define put_name leat_sql_put_name
#define put_names leat_sql_put_names
#define put_number leat_sql_put_number
#define put_operand leat_sql_put_operand
#define put_order leat_sql_put_order
#define put_path leat_sql_put_path
#define put_qualifier leat_sql_put_qualifier
#define put_query leat_sql_put_query
#define put_query_block leat_sql_put_query_block
#define put_slice leat_sql_put_slice
#define put_string leat_sql_put_string
#define put_type leat_sql_put_type
#define put_window leat_sql_put_window

typedef struct printer {
    leat_arena *arena;
    char *text;
    size_t size, capacity;
    int indent; // -1: everything on one line
} printer;

void put_slice(printer *out, leat_slice text);
void put(printer *out, const char *text);
void put_number(printer *out, int64_t value);
void put_string(printer *out, leat_slice text); // 'it''s'
void put_name(printer *out, const leat_sql_name *name);
void put_names(printer *out, const leat_sql_names *names); // a, b
void put_path(printer *out, const leat_sql_path *path);
void put_line(printer *out); // a new line, or a blank on one line
leat_slice put_finish(printer *out);

void put_expr(printer *out, const leat_sql_expr *expr);
void put_exprs(printer *out, const leat_sql_exprs *exprs);
void put_operand(printer *out, const leat_sql_expr *expr, int minimum); // in parentheses where it binds looser
void put_order(printer *out, const leat_sql_order *order);
void put_window(printer *out, const leat_sql_window *window); // (..) or a name
void put_type(printer *out, const leat_sql_type *type);
void put_qualifier(printer *out, const leat_sql_interval_qualifier *qualifier);
void put_query(printer *out, const leat_sql_query *query);
void put_query_block(printer *out, const leat_sql_query *query); // ( query )
void put_match(printer *out, const leat_sql_match_recognize *match);
