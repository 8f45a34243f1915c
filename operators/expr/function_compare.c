// Comparisons, and the filters that list the rows that pass instead of writing a column of truth values.
//
// NaN compares as in Java: equal to nothing, and neither less nor greater; IS DISTINCT FROM and IN follow the same equality,
// with NULL as a value of its own in the former.
#include <string.h>

#include "operators/expr/kernel.h"

#define COMPARE_NUMBER(name, compares)                                                                                 \
    LEAT_KERNEL_BINARY(name##_i64, uint8_t, int64_t, int64_t, x compares y)                                            \
    LEAT_KERNEL_BINARY(name##_f64, uint8_t, double, double, x compares y)                                              \
    LEAT_KERNEL_BINARY(name##_bool, uint8_t, uint8_t, uint8_t, x compares y)                                           \
    static void name##_i128(leat_call *call)                                                                           \
    {                                                                                                                  \
        LEAT_EACH(call, row)                                                                                           \
        call->out->boolean[row] = leat_argument_i128(call, 0, row) compares leat_argument_i128(call, 1, row);          \
    }                                                                                                                  \
    static void name##_text(leat_call *call)                                                                           \
    {                                                                                                                  \
        LEAT_EACH(call, row)                                                                                           \
        call->out->boolean[row] =                                                                                      \
            leat_slice_compare(leat_argument_text(call, 0, row), leat_argument_text(call, 1, row)) compares 0;         \
    }                                                                                                                  \
    static void name##_nested(leat_call *call)                                                                         \
    {                                                                                                                  \
        leat_type type = leat_argument_type(call, 0);                                                                  \
        LEAT_EACH(call, row)                                                                                           \
        {                                                                                                              \
            leat_value a = leat_argument_value(call, 0, row), b = leat_argument_value(call, 1, row);                   \
            call->out->boolean[row] = leat_value_compare(type, &a, &b) compares 0;                                     \
        }                                                                                                              \
    }                                                                                                                  \
    static const leat_kernel name##_number[LEAT_VARIANTS] = {                                                          \
        [LEAT_VARIANT_I8] = name##_i64,  [LEAT_VARIANT_I16] = name##_i64, [LEAT_VARIANT_I32] = name##_i64,             \
        [LEAT_VARIANT_I64] = name##_i64, [LEAT_VARIANT_F32] = name##_f64, [LEAT_VARIANT_F64] = name##_f64,             \
    };                                                                                                                 \
    static const leat_kernel name##_other[LEAT_VARIANTS] = {                                                           \
        [LEAT_VARIANT_I64] = name##_i64,       [LEAT_VARIANT_I128] = name##_i128, [LEAT_VARIANT_TEXT] = name##_text,   \
        [LEAT_VARIANT_NESTED] = name##_nested, [LEAT_VARIANT_I8] = name##_i64,    [LEAT_VARIANT_I16] = name##_i64,     \
        [LEAT_VARIANT_I32] = name##_i64,       [LEAT_VARIANT_F32] = name##_f64,   [LEAT_VARIANT_F64] = name##_f64,     \
        [LEAT_VARIANT_BOOL] = name##_bool,                                                                             \
    };

COMPARE_NUMBER(equal, ==)
COMPARE_NUMBER(unequal, !=)
COMPARE_NUMBER(less, <)
COMPARE_NUMBER(less_equal, <=)
COMPARE_NUMBER(greater, >)
COMPARE_NUMBER(greater_equal, >=)

// -- filters

static inline void list_passed(leat_call *call, const uint8_t *restrict pass, uint32_t base, uint32_t count)
{
    uint16_t *restrict out = call->passed;
    uint32_t passed = call->passed_count;
    for (uint32_t i = 0; i < count; i++) {
        out[passed] = (uint16_t)(base + i);
        passed += pass[i];
    }
    call->passed_count = passed;
}

static void without_nulls(uint8_t *restrict pass, const uint8_t *restrict nulls, size_t count)
{
    if (nulls)
        LEAT_DENSE(count, i, pass[i] &= (uint8_t)(nulls[i] ^ 1));
}

enum { FILTER_BLOCK = 256 };

// The truth bytes of a block are made by vector instructions, then listed without a branch. A list of rows is thinned in one go.
#define FILTER(name, type, compares)                                                                                   \
    static void pass_##name##_##type##_columns(const type *restrict x, const type *restrict y, uint8_t *restrict pass, \
                                               size_t count)                                                           \
    {                                                                                                                  \
        LEAT_DENSE(count, i, pass[i] = (uint8_t)(x[i] compares y[i]));                                                 \
    }                                                                                                                  \
    static void pass_##name##_##type(const type *restrict x, type y, uint8_t *restrict pass, size_t count)             \
    {                                                                                                                  \
        LEAT_DENSE(count, i, pass[i] = (uint8_t)(x[i] compares y));                                                    \
    }                                                                                                                  \
    static void filter_##name##_##type(leat_call *call)                                                                \
    {                                                                                                                  \
        const leat_vector *va = leat_argument(call, 0), *vb = leat_argument(call, 1);                                  \
        const type *a = va->column.values;                                                                             \
        const type *b = vb->column.values;                                                                             \
        const uint8_t *na = va->column.nulls, *nb = vb->column.nulls;                                                  \
        uint8_t pass[FILTER_BLOCK];                                                                                    \
        if (call->rows || !va->mask || (nb && vb->mask == 0)) {                                                        \
            uint32_t passed = call->passed_count, ma = va->mask, mb = vb->mask;                                        \
            uint16_t *restrict out = call->passed;                                                                     \
            LEAT_EACH(call, row)                                                                                       \
            {                                                                                                          \
                out[passed] = (uint16_t)row;                                                                           \
                passed += (a[row & ma] compares b[row & mb]) & !(na && na[row & ma]) & !(nb && nb[row & mb]);          \
            }                                                                                                          \
            call->passed_count = passed;                                                                               \
            return;                                                                                                    \
        }                                                                                                              \
        for (uint32_t base = 0; base < call->count; base += FILTER_BLOCK) {                                            \
            uint32_t count = call->count - base < FILTER_BLOCK ? call->count - base : FILTER_BLOCK;                    \
            if (vb->mask)                                                                                              \
                pass_##name##_##type##_columns(a + base, b + base, pass, count);                                       \
            else                                                                                                       \
                pass_##name##_##type(a + base, b[0], pass, count);                                                     \
            without_nulls(pass, na ? na + base : NULL, count);                                                         \
            without_nulls(pass, nb ? nb + base : NULL, count);                                                         \
            list_passed(call, pass, base, count);                                                                      \
        }                                                                                                              \
    }

#define FILTERS(name, compares) FILTER(name, int64_t, compares) FILTER(name, double, compares)

FILTERS(equal, ==)
FILTERS(unequal, !=)
FILTERS(less, <)
FILTERS(less_equal, <=)
FILTERS(greater, >)
FILTERS(greater_equal, >=)

leat_kernel leat_filter_kernel(const leat_function *function, leat_type first)
{
    static const struct {
        const leat_kernel *family;
        leat_kernel i64, f64;
    } filters[] = {
        {equal_number, filter_equal_int64_t, filter_equal_double},
        {unequal_number, filter_unequal_int64_t, filter_unequal_double},
        {less_number, filter_less_int64_t, filter_less_double},
        {less_equal_number, filter_less_equal_int64_t, filter_less_equal_double},
        {greater_number, filter_greater_int64_t, filter_greater_double},
        {greater_equal_number, filter_greater_equal_int64_t, filter_greater_equal_double},
    };
    leat_kernel kernel = leat_function_kernel(function, first);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        if (function->kernels == filters[i].family)
            return leat_variant_of(first) <= LEAT_VARIANT_I64 ? filters[i].i64 : filters[i].f64;
        if (function->kernels && kernel == filters[i].family[LEAT_VARIANT_I64])
            return filters[i].i64;
    }
    return NULL;
}

// -- with NULL as a value

static bool same(leat_call *call, uint32_t row, leat_type type)
{
    leat_value a = leat_argument_value(call, 0, row), b = leat_argument_value(call, 1, row);
    if (a.is_null || b.is_null)
        return a.is_null && b.is_null;
    return leat_physical_size(leat_type_physical(type)) && leat_value_equal(type, &a, &b);
}

static void distinct(leat_call *call)
{
    leat_type type = leat_argument_type(call, 0);
    LEAT_EACH(call, row) call->out->boolean[row] = !same(call, row, type);
}

static void not_distinct(leat_call *call)
{
    leat_type type = leat_argument_type(call, 0);
    LEAT_EACH(call, row) call->out->boolean[row] = same(call, row, type);
}

// -- lists

// The constants of a list that is longer than LISTED_LEAST, in order and without NULLs.
typedef struct value_list {
    uint32_t count;
    bool has_null;
    leat_type type;
    leat_value *items;
} value_list;

enum { LISTED_LEAST = 8 }; // up to here one after the other is as fast

static void sort_values(const value_list *list, leat_value *items, leat_value *spare, uint32_t count)
{
    uint32_t half = count / 2, a = 0, b = half, at = 0;
    if (count < 2)
        return;
    sort_values(list, items, spare, half);
    sort_values(list, items + half, spare, count - half);
    memcpy(spare, items, count * sizeof *items);
    while (at < count)
        items[at++] = b == count || (a < half && leat_value_compare(list->type, &spare[a], &spare[b]) <= 0)
                          ? spare[a++]
                          : spare[b++];
}

static bool all_literal(const leat_rule *rule)
{
    for (uint32_t i = 1; i < rule->count; i++)
        if (rule->arguments[i]->kind != LEAT_EXPR_LITERAL)
            return false;
    return true;
}

static leat_code result_listed(leat_rule *rule)
{
    leat_code code = leat_result_compared(rule);
    if (code != LEAT_OK || rule->count <= LISTED_LEAST || !all_literal(rule))
        return code;
    leat_arena *arena = rule->scope->arena;
    value_list *list = leat_arena_new(arena, value_list);
    size_t size = rule->count * sizeof *list->items;
    *list = (value_list){.type = rule->arguments[0]->type, .items = leat_arena_alloc_aligned(arena, size, 16)};
    for (uint32_t i = 1; i < rule->count; i++) {
        list->has_null |= rule->arguments[i]->literal.is_null;
        if (!rule->arguments[i]->literal.is_null)
            list->items[list->count++] = rule->arguments[i]->literal;
    }
    sort_values(list, list->items, leat_arena_alloc_aligned(arena, size, 16), list->count);
    rule->prepared = list;
    return LEAT_OK;
}

static bool list_has(const value_list *list, const leat_value *value)
{
    uint32_t low = 0, high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int sign = leat_value_compare(list->type, &list->items[middle], value);
        if (!sign)
            return true;
        if (sign < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool list_found(leat_call *call, uint32_t row, leat_type type, const leat_value *value, bool *out_unknown)
{
    for (uint32_t i = 1; i < call->step->argument_count; i++) {
        leat_value item = leat_argument_value(call, i, row);
        if (item.is_null)
            *out_unknown = true;
        else if (leat_value_equal(type, value, &item))
            return true;
    }
    return false;
}

static bool listed(leat_call *call, uint32_t row, leat_type type, bool *out_unknown)
{
    leat_value value = leat_argument_value(call, 0, row);
    const value_list *list = call->step->expr->prepared;
    *out_unknown = value.is_null || (list && list->has_null);
    if (value.is_null)
        return false;
    return list ? list_has(list, &value) : list_found(call, row, type, &value, out_unknown);
}

static void in_list(leat_call *call)
{
    leat_type type = leat_argument_type(call, 0);
    LEAT_EACH(call, row)
    {
        bool unknown, found = listed(call, row, type, &unknown);
        call->out->boolean[row] = found;
        call->out->nulls[row] = unknown && !found;
    }
}

static void not_in_list(leat_call *call)
{
    leat_type type = leat_argument_type(call, 0);
    LEAT_EACH(call, row)
    {
        bool unknown, found = listed(call, row, type, &unknown);
        call->out->boolean[row] = !found;
        call->out->nulls[row] = unknown && !found;
    }
}

// -- the largest and the least

static void extreme(leat_call *call, int sign)
{
    leat_type type = call->out->type;
    LEAT_EACH(call, row)
    {
        leat_value best = leat_argument_value(call, 0, row);
        for (uint32_t i = 1; i < call->step->argument_count; i++) {
            leat_value value = leat_argument_value(call, i, row);
            if (sign * leat_value_compare(type, &value, &best) > 0)
                best = value;
        }
        leat_column_set(call->out, row, &best, NULL);
    }
}

static void greatest(leat_call *call) { extreme(call, 1); }

static void least(leat_call *call) { extreme(call, -1); }

// -- BETWEEN, out of the comparisons

static leat_code compare(leat_rule *rule, const char *name, leat_expr *a, leat_expr *b, leat_expr **out)
{
    leat_expr *pair[2] = {a, b};
    return leat_expr_call(rule->scope, leat_slice_text(name), pair, 2, out, rule->error);
}

static leat_code within(leat_rule *rule, leat_expr *low, leat_expr *high, leat_expr **out)
{
    leat_expr *above, *below;
    leat_code code = compare(rule, ">=", rule->arguments[0], low, &above);
    if (code == LEAT_OK)
        code = compare(rule, "<=", rule->arguments[0], high, &below);
    return code == LEAT_OK ? compare(rule, "AND", above, below, out) : code;
}

static leat_code negated(leat_rule *rule)
{
    return leat_expr_call(rule->scope, leat_slice_text("NOT"), &rule->replaced, 1, &rule->replaced, rule->error);
}

static leat_code between(leat_rule *rule)
{
    return within(rule, rule->arguments[1], rule->arguments[2], &rule->replaced);
}

static leat_code not_between(leat_rule *rule)
{
    leat_code code = between(rule);
    return code == LEAT_OK ? negated(rule) : code;
}

static leat_code between_symmetric(leat_rule *rule)
{
    leat_expr *one, *other;
    leat_code code = within(rule, rule->arguments[1], rule->arguments[2], &one);
    if (code == LEAT_OK)
        code = within(rule, rule->arguments[2], rule->arguments[1], &other);
    return code == LEAT_OK ? compare(rule, "OR", one, other, &rule->replaced) : code;
}

static leat_code not_between_symmetric(leat_rule *rule)
{
    leat_code code = between_symmetric(rule);
    return code == LEAT_OK ? negated(rule) : code;
}

enum {
    FAST = LEAT_FUNCTION_INFIX | LEAT_FUNCTION_TOTAL,
    PLAIN = LEAT_FUNCTION_INFIX,
    SEES_NULL = LEAT_FUNCTION_INFIX | LEAT_FUNCTION_LENIENT,
    LIST = LEAT_FUNCTION_POSTFIX | LEAT_FUNCTION_LENIENT | LEAT_FUNCTION_NULLABLE | LEAT_FUNCTION_LISTED,
};

#define COMPARISON(symbol, family, approximate, sentence)                                                              \
    {symbol, "integer, integer", leat_result_compared, NULL, family##_number, FAST, sentence},                         \
        {symbol, "approximate, number", approximate, NULL, family##_number, FAST, sentence},                           \
        {symbol, "number, approximate", leat_result_compared, NULL, family##_number, FAST, sentence},                  \
        {symbol, "temporal, temporal", leat_result_compared, NULL, family##_number, FAST, sentence},                   \
        {symbol, "interval, interval", leat_result_compared, NULL, family##_number, FAST, sentence},                   \
    {                                                                                                                  \
        symbol, "any, any", leat_result_compared, NULL, family##_other, PLAIN, sentence                                \
    }

// clang-format off: a row is a line
const leat_function leat_functions_compare[] = {
    COMPARISON("=", equal, leat_result_equated, "Whether both are equal."),
    COMPARISON("<>", unequal, leat_result_equated, "Whether both differ."),
    COMPARISON("!=", unequal, leat_result_equated, "Whether both differ."),
    COMPARISON("<", less, leat_result_compared, "Whether the first is less; texts by code point, FALSE before TRUE."),
    COMPARISON("<=", less_equal, leat_result_compared, "Whether the first is less or equal."),
    COMPARISON(">", greater, leat_result_compared, "Whether the first is greater."),
    COMPARISON(">=", greater_equal, leat_result_compared, "Whether the first is greater or equal."),
    {"IS DISTINCT FROM", "any, any", leat_result_compared, distinct, NULL, SEES_NULL,
     "Whether both differ, where NULL equals NULL."},
    {"IS NOT DISTINCT FROM", "any, any", leat_result_compared, not_distinct, NULL, SEES_NULL,
     "Whether both are equal, where NULL equals NULL."},
    {"BETWEEN", "any, any, any", between, NULL, NULL, 0, "Whether the first lies between the others, both included."},
    {"NOT BETWEEN", "any, any, any", not_between, NULL, NULL, 0, "Whether the first lies outside of the others."},
    {"BETWEEN ASYMMETRIC", "any, any, any", between, NULL, NULL, 0, "The same as BETWEEN."},
    {"BETWEEN SYMMETRIC", "any, any, any", between_symmetric, NULL, NULL, 0,
     "BETWEEN, whichever bound is the lower one."},
    {"NOT BETWEEN SYMMETRIC", "any, any, any", not_between_symmetric, NULL, NULL, 0,
     "NOT BETWEEN, whichever bound is the lower one."},
    {"IN", "any, any, any...", result_listed, in_list, NULL, LIST,
     "Whether the first is one of the others; NULL when unknown."},
    {"NOT IN", "any, any, any...", result_listed, not_in_list, NULL, LIST,
     "Whether the first is none of the others; NULL when unknown."},
    {"GREATEST", "any, any...", leat_result_common, greatest, NULL, 0, "The greatest; NULL when one is NULL."},
    {"LEAST", "any, any...", leat_result_common, least, NULL, 0, "The least; NULL when one is NULL."},
    {.name = NULL},
};
// clang-format on
