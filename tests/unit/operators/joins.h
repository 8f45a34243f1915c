// What tests of joins share.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/core/spec.h"
#include "operators/expr/program.h"
#include "tests/support/harness.h"

static const uint32_t joins_first[] = {0};
static const bool joins_equal[] = {false, false, false};

// Keys are the first column of both sides.
static inline leat_join_sides joins_sides(leat_join_kind kind, uint32_t left, uint32_t right)
{
    return (leat_join_sides){.kind = kind,
                             .key_count = 1,
                             .key_columns = {joins_first, joins_first},
                             .nulls_meet = joins_equal,
                             .column_counts = {left, right}};
}

// left.`left` < right.`right`, both BIGINT.
static inline const leat_program *joins_less(leat_arena *arena, uint32_t left, uint32_t right)
{
    leat_expr_scope scope = {.arena = arena};
    leat_error error;
    leat_expr *sides[] = {leat_expr_column(&scope, 0, left, leat_type_of(LEAT_KIND_BIGINT)),
                          leat_expr_column(&scope, 1, right, leat_type_of(LEAT_KIND_BIGINT))};
    leat_expr *less;
    leat_program *program;
    assert_int_equal(leat_expr_call(&scope, leat_slice_text("<"), sides, 2, &less, &error), LEAT_OK);
    assert_int_equal(leat_program_compile(arena, less, NULL, &program, &error), LEAT_OK);
    return program;
}
