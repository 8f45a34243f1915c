// One traversal of the whole tree, for reading (leat_sql_expr_walk) and for binding parameters in place.
//
// Each callback may be NULL. Order: a list, then each of its expressions, then what is below. Private to config/sql.
#pragma once

#include "config/sql/ast.h"

typedef struct visitor {
    void *context;
    bool (*expr)(void *context, leat_sql_expr *expr); // false: not below it
    void (*list)(void *context, leat_sql_exprs *list);
    void (*items)(void *context, leat_sql_select *select);
    void (*order)(void *context, leat_sql_order *order);
    void (*groups)(void *context, leat_sql_group ***groups, uint32_t *count);
    void (*name)(void *context, leat_sql_name *name); // an alias, a column of DESCRIPTOR, a pattern variable ..
    void (*path)(void *context, leat_sql_path *path);
    void (*pattern)(void *context, leat_sql_pattern *pattern);
} visitor;

void leat_sql_visit_expr(const visitor *v, leat_sql_expr *expr);
void leat_sql_visit_query(const visitor *v, leat_sql_query *query);
void leat_sql_visit_table(const visitor *v, leat_sql_table_ref *table);
void leat_sql_visit_script(const visitor *v, leat_sql_script *script);
