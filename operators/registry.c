// The table of operators, made from operators.def. A table with a hole dies at the first look and not in the field.
#include <stdatomic.h>
#include <string.h>

#include "operators/core/operator.h"

#define LEAT_OPERATOR(name) extern const leat_operator_ops leat_operator_##name##_ops;
#include "operators/operators.def"
#undef LEAT_OPERATOR

static const leat_operator_ops *const tables[] = {
#define LEAT_OPERATOR(name) &leat_operator_##name##_ops,
#include "operators/operators.def"
#undef LEAT_OPERATOR
};

static const char *const names[] = {
#define LEAT_OPERATOR(name) #name,
#include "operators/operators.def"
#undef LEAT_OPERATOR
};

enum { OPERATORS = sizeof tables / sizeof tables[0] };

static void check(const leat_operator_ops *ops, const char *name)
{
    LEAT_ASSERT(ops->name && strcmp(ops->name, name) == 0);
    LEAT_ASSERT(ops->instance_size >= sizeof(leat_operator));
    LEAT_ASSERT(ops->open && ops->on_batch && ops->close);
    // State goes in as it came out, and who holds rows back has to hear of watermarks.
    LEAT_ASSERT(!ops->snapshot == !ops->restore);
    LEAT_ASSERT(!ops->snapshot || ops->on_watermark);
    LEAT_ASSERT(!ops->ready || ops->restore);
}

static void check_all(void)
{
    static atomic_bool checked; // twice does no harm
    if (atomic_load_explicit(&checked, memory_order_relaxed))
        return;
    for (unsigned i = 0; i < OPERATORS; i++)
        check(tables[i], names[i]);
    atomic_store_explicit(&checked, true, memory_order_relaxed);
}

const leat_operator_ops *leat_operator_find(const char *name)
{
    check_all();
    for (unsigned i = 0; i < OPERATORS; i++)
        if (strcmp(tables[i]->name, name) == 0)
            return tables[i];
    return NULL;
}
