// Accumulators, programs and schemas for tests of operators, from short texts.
#pragma once

#include <stdio.h>
#include <string.h>

#include "operators/core/spec.h"
#include "operators/expr/aggregate.h"
#include "tests/support/harness.h"

typedef struct aggregates {
    leat_accumulators *set;
    uint32_t count;
} aggregates;

static inline leat_expr *aggregates_column(leat_expr_scope *scope, const leat_schema *schema, const char *name,
                                           size_t size)
{
    int index = leat_schema_find(schema, leat_slice_of(name, size));
    LEAT_ASSERT(index >= 0);
    return leat_expr_column(scope, 0, (uint32_t)index, schema->fields[index].type);
}

// "COUNT(*) SUM(v) MIN(v)": functions of one column of the schema, separated by blanks.
static inline aggregates aggregates_make(leat_arena *arena, const leat_schema *schema, const char *calls, bool retract)
{
    leat_aggregate *items = leat_arena_array(arena, leat_aggregate, 16);
    leat_expr_scope scope = {.arena = arena};
    leat_error error;
    uint32_t count = 0;
    for (const char *at = calls; *at; count++) {
        const char *open = strchr(at, '('), *close = strchr(at, ')');
        bool star = open[1] == '*';
        leat_expr *argument = star ? NULL : aggregates_column(&scope, schema, open + 1, (size_t)(close - open - 1));
        if (leat_aggregate_resolve(&scope, leat_slice_of(at, (size_t)(open - at)), false, &argument, star ? 0 : 1, NULL,
                                   retract, &items[count], &error) != LEAT_OK) {
            fprintf(stderr, "%s: %s\n", calls, error.message);
            abort();
        }
        at = close[1] ? close + 2 : close + 1;
    }
    leat_accumulators *set;
    if (leat_accumulators_create(arena, items, count, retract, &set, &error) != LEAT_OK)
        abort();
    return (aggregates){set, count};
}
