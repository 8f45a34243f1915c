// Loops of kernels over numbers, in the three shapes that matter: column with column, column with constant, constant with
// column; with a list of rows, or over all of them.
//
// The inner loop over 16 rows has a fixed count, so that compilers turn it into vector instructions at -O2 without a
// run-time test for every loop. Indexes are size_t: one of 32 bits could wrap, which forbids it.
#pragma once

#include "operators/expr/function.h"

enum { LEAT_BLOCK_ROWS = 16 };

#define LEAT_DENSE(count, i, statement)                                                                                \
    do {                                                                                                               \
        size_t i##_base = 0;                                                                                           \
        for (; i##_base + LEAT_BLOCK_ROWS <= (count); i##_base += LEAT_BLOCK_ROWS)                                     \
            for (size_t i##_k = 0; i##_k < LEAT_BLOCK_ROWS; i##_k++) {                                                 \
                size_t i = i##_base + i##_k;                                                                           \
                statement;                                                                                             \
            }                                                                                                          \
        for (size_t i = i##_base; i < (count); i++)                                                                    \
            statement;                                                                                                 \
    } while (0)

// Defines a kernel: `expression` in terms of x (of type a_type) and y (of type b_type). The dense loops are functions of their
// own, because compilers trust `restrict` of parameters more than that of variables.
#define LEAT_KERNEL_BINARY(name, out_type, a_type, b_type, expression)                                                 \
    static inline out_type name##_one(a_type x, b_type y) { return (out_type)(expression); }                           \
    static void name##_columns(const a_type *restrict a, const b_type *restrict b, out_type *restrict out,             \
                               size_t count)                                                                           \
    {                                                                                                                  \
        LEAT_DENSE(count, i, out[i] = name##_one(a[i], b[i]));                                                         \
    }                                                                                                                  \
    static void name##_constant(const a_type *restrict a, b_type y, out_type *restrict out, size_t count)              \
    {                                                                                                                  \
        LEAT_DENSE(count, i, out[i] = name##_one(a[i], y));                                                            \
    }                                                                                                                  \
    static void name##_of_constant(a_type x, const b_type *restrict b, out_type *restrict out, size_t count)           \
    {                                                                                                                  \
        LEAT_DENSE(count, i, out[i] = name##_one(x, b[i]));                                                            \
    }                                                                                                                  \
    static void name(leat_call *call)                                                                                  \
    {                                                                                                                  \
        const leat_vector *va = leat_argument(call, 0), *vb = leat_argument(call, 1);                                  \
        const a_type *a = va->column.values;                                                                           \
        const b_type *b = vb->column.values;                                                                           \
        out_type *out = call->out->values;                                                                             \
        if (call->rows || (!va->mask && !vb->mask))                                                                    \
            LEAT_EACH(call, row) out[row] = name##_one(a[row & va->mask], b[row & vb->mask]);                          \
        else if (!vb->mask)                                                                                            \
            name##_constant(a, b[0], out, call->count);                                                                \
        else if (!va->mask)                                                                                            \
            name##_of_constant(a[0], b, out, call->count);                                                             \
        else                                                                                                           \
            name##_columns(a, b, out, call->count);                                                                    \
    }

#define LEAT_KERNEL_UNARY(name, out_type, a_type, expression)                                                          \
    static inline out_type name##_one(a_type x) { return (out_type)(expression); }                                     \
    static void name##_column(const a_type *restrict a, out_type *restrict out, size_t count)                          \
    {                                                                                                                  \
        LEAT_DENSE(count, i, out[i] = name##_one(a[i]));                                                               \
    }                                                                                                                  \
    static void name(leat_call *call)                                                                                  \
    {                                                                                                                  \
        const leat_vector *va = leat_argument(call, 0);                                                                \
        const a_type *a = va->column.values;                                                                           \
        out_type *out = call->out->values;                                                                             \
        if (call->rows || !va->mask)                                                                                   \
            LEAT_EACH(call, row) out[row] = name##_one(a[row & va->mask]);                                             \
        else                                                                                                           \
            name##_column(a, out, call->count);                                                                        \
    }
