// Three-valued logic.
#include "operators/expr/kernel.h"

static const uint8_t no_nulls[1] = {0};

typedef struct truth {
    const uint8_t *values, *nulls;
    uint32_t mask, null_mask;
} truth;

static truth truth_of(const leat_call *call, uint32_t index)
{
    const leat_vector *vector = leat_argument(call, index);
    bool some = vector->column.nulls;
    return (truth){vector->column.boolean, some ? vector->column.nulls : no_nulls, vector->mask,
                   some ? vector->mask : 0};
}

// Where the second was not computed the first decides, whatever bits lie there.
static void and_(leat_call *call)
{
    truth a = truth_of(call, 0), b = truth_of(call, 1);
    uint8_t *out = call->out->boolean, *nulls = call->out->nulls;
    LEAT_EACH(call, row) out[row] = a.values[row & a.mask] & b.values[row & b.mask] & 1;
    if (!nulls)
        return;
    LEAT_EACH(call, row)
    {
        uint8_t na = a.nulls[row & a.null_mask], nb = b.nulls[row & b.null_mask];
        nulls[row] = (uint8_t)((na | nb) & (na | a.values[row & a.mask]) & (nb | b.values[row & b.mask]) & 1);
    }
}

static void or_(leat_call *call)
{
    truth a = truth_of(call, 0), b = truth_of(call, 1);
    uint8_t *out = call->out->boolean, *nulls = call->out->nulls;
    LEAT_EACH(call, row) out[row] = (uint8_t)((a.values[row & a.mask] | b.values[row & b.mask]) & 1);
    if (!nulls)
        return;
    LEAT_EACH(call, row)
    {
        uint8_t na = a.nulls[row & a.null_mask], nb = b.nulls[row & b.null_mask];
        uint8_t true_a = (uint8_t)(~na & a.values[row & a.mask]), true_b = (uint8_t)(~nb & b.values[row & b.mask]);
        nulls[row] = (uint8_t)((na | nb) & ~true_a & ~true_b & 1);
        out[row] = (uint8_t)((true_a | true_b) & 1);
    }
}

LEAT_KERNEL_UNARY(not_, uint8_t, uint8_t, (x ^ 1) & 1)

#define TRUTH_TEST(name, expression)                                                                                   \
    static void name(leat_call *call)                                                                                  \
    {                                                                                                                  \
        LEAT_EACH(call, row)                                                                                           \
        {                                                                                                              \
            bool null = leat_argument_null(call, 0, row);                                                              \
            bool value = !null && leat_argument_boolean(call, 0, row);                                                 \
            call->out->boolean[row] = (expression);                                                                    \
            (void)value;                                                                                               \
        }                                                                                                              \
    }

TRUTH_TEST(is_true, value)
TRUTH_TEST(is_not_true, !value)
TRUTH_TEST(is_false, !null && !value)
TRUTH_TEST(is_not_false, null || value)
TRUTH_TEST(is_unknown, null)
TRUTH_TEST(is_not_unknown, !null)

static void is_null(leat_call *call)
{
    LEAT_EACH(call, row) call->out->boolean[row] = leat_argument_null(call, 0, row);
}

static void is_not_null(leat_call *call)
{
    LEAT_EACH(call, row) call->out->boolean[row] = !leat_argument_null(call, 0, row);
}

enum {
    AND = LEAT_FUNCTION_AND | LEAT_FUNCTION_INFIX,
    OR = LEAT_FUNCTION_OR | LEAT_FUNCTION_INFIX,
    TEST = LEAT_FUNCTION_LENIENT | LEAT_FUNCTION_POSTFIX,
    PREFIX = LEAT_FUNCTION_TOTAL | LEAT_FUNCTION_INFIX,
};

// clang-format off: a row is a line
const leat_function leat_functions_logic[] = {
    {"AND", "boolean, boolean, boolean...", leat_result_boolean, and_, NULL, AND,
     "TRUE when all are; FALSE when one is FALSE; else NULL."},
    {"OR", "boolean, boolean, boolean...", leat_result_boolean, or_, NULL, OR,
     "TRUE when one is; FALSE when all are FALSE; else NULL."},
    {"NOT", "boolean", leat_result_boolean, not_, NULL, PREFIX, "The opposite; NULL of NULL."},
    {"IS NULL", "any", leat_result_boolean, is_null, NULL, TEST, "Whether the value is NULL."},
    {"IS NOT NULL", "any", leat_result_boolean, is_not_null, NULL, TEST, "Whether the value is not NULL."},
    {"IS TRUE", "boolean", leat_result_boolean, is_true, NULL, TEST, "Whether the value is TRUE, and not NULL."},
    {"IS NOT TRUE", "boolean", leat_result_boolean, is_not_true, NULL, TEST, "Whether the value is FALSE or NULL."},
    {"IS FALSE", "boolean", leat_result_boolean, is_false, NULL, TEST, "Whether the value is FALSE, and not NULL."},
    {"IS NOT FALSE", "boolean", leat_result_boolean, is_not_false, NULL, TEST, "Whether the value is TRUE or NULL."},
    {"IS UNKNOWN", "boolean", leat_result_boolean, is_unknown, NULL, TEST, "Whether the value is NULL."},
    {"IS NOT UNKNOWN", "boolean", leat_result_boolean, is_not_unknown, NULL, TEST,
     "Whether the value is TRUE or FALSE."},
    {.name = NULL},
};
// clang-format on
