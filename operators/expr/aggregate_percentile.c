// PERCENTILE: exact, over a bag of numbers with counts. Between two values it is interpolated, as in Flink.
#include <math.h>

#include "operators/expr/aggregate_function.h"

typedef struct counted {
    double value;
    int64_t count;
} counted;

// -- the percentages

static bool as_double(leat_type type, const leat_value *value, double *out_value)
{
    if (value->is_null || !leat_type_is_numeric(type))
        return false;
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_F64:
        *out_value = value->f64;
        return true;
    case LEAT_PHYSICAL_I128:
        *out_value = leat_decimal_to_double(value->i128, type.scale);
        return true;
    default:
        *out_value = (double)value->i64;
        return true;
    }
}

static leat_code percentage(leat_rule *rule, leat_type type, const leat_value *value, leat_value *out)
{
    *out = (leat_value){.is_null = false};
    if (as_double(type, value, &out->f64) && out->f64 >= 0 && out->f64 <= 1)
        return LEAT_OK;
    return leat_error_set(rule->error, LEAT_E_INVALID, "PERCENTILE takes percentages from 0.0 to 1.0");
}

leat_code leat_percentile_parameter(leat_rule *rule, leat_value *out_parameter, leat_type *out_type)
{
    leat_arena *arena = rule->scope->arena;
    const leat_expr *given = leat_expr_fold(rule->scope, rule->arguments[1]);
    leat_type type = given->type, number = leat_type_of(LEAT_KIND_DOUBLE);
    if (given->kind != LEAT_EXPR_LITERAL || given->literal.is_null)
        return leat_error_set(rule->error, LEAT_E_INVALID,
                              "PERCENTILE takes a constant percentage, or a constant ARRAY of them");
    *out_type = number;
    if (type.kind != LEAT_KIND_ARRAY)
        return percentage(rule, type, &given->literal, out_parameter);
    uint32_t count = given->literal.nested.count;
    leat_value *items = leat_arena_alloc_aligned(arena, sizeof *items * (count + 1), 16);
    for (uint32_t i = 0; i < count; i++) {
        leat_code code = percentage(rule, *type.fields[0].type, &given->literal.nested.items[i], &items[i]);
        if (code != LEAT_OK)
            return code;
    }
    *out_type = leat_type_array(arena, number);
    *out_parameter = (leat_value){.nested = {count, items}};
    return LEAT_OK;
}

// -- the result

// Shell's sort; the values are different from each other.
static void sort(counted *values, uint32_t count)
{
    leat_type type = leat_type_of(LEAT_KIND_DOUBLE);
    for (uint32_t gap = count / 2; gap; gap = gap == 2 ? 1 : (uint32_t)((uint64_t)gap * 5 / 11))
        for (uint32_t i = gap; i < count; i++) {
            counted moved = values[i];
            leat_value value = {.f64 = moved.value}, other;
            uint32_t k = i;
            for (; k >= gap; k -= gap) {
                other = (leat_value){.f64 = values[k - gap].value};
                if (leat_value_compare(type, &value, &other) >= 0)
                    break;
                values[k] = values[k - gap];
            }
            values[k] = moved;
        }
}

static counted *sorted(const leat_slot *slot, const leat_bag *bag, leat_arena *arena, uint32_t *out_count,
                       int64_t *out_total)
{
    counted *values = leat_arena_alloc(arena, sizeof *values * (bag->live + 1));
    leat_reader reader;
    *out_count = 0;
    *out_total = 0;
    for (uint32_t i = 0; i < bag->entry_count; i++) {
        leat_value value;
        leat_slice bytes = leat_bag_value(bag, i);
        if (bag->entries[i].count <= 0)
            continue;
        leat_reader_init(&reader, bytes.data, bytes.size);
        LEAT_ASSERT(leat_value_decode(slot->aggregate->argument_types[0], &reader, arena, &value));
        int64_t count = slot->aggregate->distinct ? 1 : bag->entries[i].count;
        values[(*out_count)++] = (counted){value.f64, count};
        *out_total += count;
    }
    sort(values, *out_count);
    return values;
}

// At 1 + p (n - 1) among n values in order.
static double percentile(const counted *values, uint32_t count, int64_t total, double p)
{
    double position = p * (double)(total - 1) + 1, lower = floor(position), higher = ceil(position);
    int64_t before = values[0].count;
    uint32_t i = 0;
    while ((double)before < lower && i + 1 < count)
        before += values[++i].count;
    if ((double)before >= higher || i + 1 == count)
        return values[i].value;
    return (higher - position) * values[i].value + (position - lower) * values[i + 1].value;
}

void leat_percentile_result(const leat_slot *slot, const leat_bag *bag, leat_arena *arena, leat_value *out)
{
    const leat_aggregate *aggregate = slot->aggregate;
    const leat_value *parameter = &aggregate->parameter;
    bool array = aggregate->type.kind == LEAT_KIND_ARRAY;
    uint32_t count;
    int64_t total;
    *out = leat_value_null();
    if (bag->live == 0 || (array && parameter->nested.count == 0))
        return;
    const counted *values = sorted(slot, bag, arena, &count, &total);
    if (!array) {
        *out = (leat_value){.f64 = percentile(values, count, total, parameter->f64)};
        return;
    }
    leat_value *items = leat_arena_alloc_aligned(arena, sizeof *items * parameter->nested.count, 16);
    for (uint32_t i = 0; i < parameter->nested.count; i++)
        items[i] = (leat_value){.f64 = percentile(values, count, total, parameter->nested.items[i].f64)};
    *out = (leat_value){.nested = {parameter->nested.count, items}};
}
