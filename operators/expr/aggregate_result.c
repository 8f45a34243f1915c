// From what was accumulated to the value.
#include <math.h>
#include <string.h>

#include "operators/expr/aggregate_function.h"
#include "operators/expr/wide.h"

static int64_t wrapped(leat_type type, int64_t value)
{
    switch (type.kind) {
    case LEAT_KIND_TINYINT:
        return (int8_t)value;
    case LEAT_KIND_SMALLINT:
        return (int16_t)value;
    case LEAT_KIND_INT:
        return (int32_t)value;
    default:
        return value;
    }
}

static void set_double(leat_type type, double value, leat_value *out)
{
    out->is_null = false;
    out->f64 = type.kind == LEAT_KIND_FLOAT ? (float)value : value;
}

void leat_sum_result(const leat_aggregate *aggregate, int64_t count, const leat_basket *basket, leat_value *out)
{
    leat_type type = aggregate->type;
    bool average = aggregate->function->kind == LEAT_AGGREGATE_AVG;
    *out = leat_value_null();
    if (count <= 0)
        return;
    out->is_null = false;
    if (leat_type_physical(type) == LEAT_PHYSICAL_F64)
        set_double(type, average ? basket->sum.f64 / (double)count : basket->sum.f64, out);
    else
        out->i64 = wrapped(type, average ? basket->sum.i64 / count : basket->sum.i64);
}

void leat_decimal_add(leat_decimal_slot *slot, leat_i128 value, int64_t sign)
{
    leat_i128 sum;
    slot->count += sign;
    if (__builtin_add_overflow(slot->sum, sign < 0 ? -value : value, &sum) || !leat_decimal_fits(sum, 38))
        slot->overflows++;
    else
        slot->sum = sum;
}

void leat_decimal_result(const leat_aggregate *aggregate, const leat_decimal_slot *slot, leat_value *out)
{
    unsigned scale = aggregate->argument_types[0].scale;
    *out = leat_value_null();
    if (slot->count <= 0 || slot->overflows)
        return;
    bool fits = true;
    if (aggregate->function->kind == LEAT_AGGREGATE_AVG)
        fits = leat_wide_divide(slot->sum, aggregate->type.scale - scale, slot->count, &out->i128);
    else
        out->i128 = slot->sum;
    out->is_null = !fits;
}

void leat_moments_add(leat_moments *moments, double value, int64_t sign)
{
    moments->count += sign;
    if (moments->count <= 0) {
        *moments = (leat_moments){.count = moments->count};
        return;
    }
    double before = moments->mean;
    if (sign > 0) {
        moments->mean += (value - before) / (double)moments->count;
        moments->squares += (value - before) * (value - moments->mean);
    } else {
        moments->mean = before + (before - value) / (double)moments->count;
        moments->squares -= (value - before) * (value - moments->mean);
    }
}

static double spread(leat_aggregate_kind kind, const leat_moments *moments)
{
    bool sample = kind == LEAT_AGGREGATE_STDDEV_SAMP || kind == LEAT_AGGREGATE_VAR_SAMP;
    bool root = kind == LEAT_AGGREGATE_STDDEV_POP || kind == LEAT_AGGREGATE_STDDEV_SAMP;
    double variance = moments->squares / (double)(moments->count - sample);
    return root ? pow(variance, 0.5) : variance;
}

void leat_moments_result(const leat_aggregate *aggregate, const leat_moments *moments, leat_value *out)
{
    leat_aggregate_kind kind = aggregate->function->kind;
    bool sample = kind == LEAT_AGGREGATE_STDDEV_SAMP || kind == LEAT_AGGREGATE_VAR_SAMP;
    *out = leat_value_null();
    if (moments->count <= sample || moments->squares < 0) // negative: what rounding leaves after retractions
        return;
    double value = spread(kind, moments);
    leat_type type = aggregate->type;
    if (leat_type_physical(type) == LEAT_PHYSICAL_F64) {
        set_double(type, value, out);
    } else if (type.kind == LEAT_KIND_DECIMAL) {
        out->is_null = !isfinite(value) || !leat_decimal_from_double(value, type.scale, &out->i128);
    } else {
        out->is_null = false;
        out->i64 = value >= 9.2e18 ? INT64_MAX : wrapped(type, (int64_t)value);
    }
}

// -- bags

static leat_value decoded(leat_type type, leat_slice bytes, leat_arena *arena)
{
    leat_reader reader;
    leat_value value = leat_value_null();
    leat_reader_init(&reader, bytes.data, bytes.size);
    LEAT_ASSERT(leat_value_decode(type, &reader, arena, &value));
    return value;
}

static uint32_t find_extreme(leat_type type, int sign, const leat_bag *bag, leat_arena *arena)
{
    uint32_t found = LEAT_BAG_NONE;
    leat_value best = leat_value_null();
    for (uint32_t i = 0; i < bag->entry_count; i++) {
        if (bag->entries[i].count <= 0)
            continue;
        leat_value value = decoded(type, leat_bag_value(bag, i), arena);
        if (found != LEAT_BAG_NONE && sign * leat_value_compare(type, &value, &best) <= 0)
            continue;
        best = value;
        found = i;
    }
    return found;
}

// The same of numbers: a byte for NULL, which none is, and eight of the value. As integers without a sign, in the order of their values.
static uint64_t number_order(leat_slice bytes, bool is_double)
{
    leat_reader reader;
    leat_reader_init(&reader, bytes.data + 1, bytes.size - 1);
    uint64_t word = leat_read_u64(&reader), sign = UINT64_C(1) << 63;
    return is_double && word & sign ? ~word : word ^ sign;
}

static uint32_t find_extreme_number(bool is_double, bool greatest, const leat_bag *bag)
{
    uint32_t found = LEAT_BAG_NONE;
    uint64_t best = 0;
    for (uint32_t i = 0; i < bag->entry_count; i++) {
        uint64_t order = number_order(leat_bag_value(bag, i), is_double);
        order = greatest ? order : ~order;
        bool better = bag->entries[i].count > 0 && (found == LEAT_BAG_NONE || order > best);
        best = better ? order : best;
        found = better ? i : found;
    }
    return found;
}

static uint32_t extreme_of(const leat_slot *slot, const leat_bag *bag, leat_arena *arena)
{
    leat_type type = slot->aggregate->argument_types[0];
    leat_physical physical = leat_type_physical(type);
    bool greatest = slot->aggregate->function->kind == LEAT_AGGREGATE_MAX;
    if (physical == LEAT_PHYSICAL_I64 || physical == LEAT_PHYSICAL_F64)
        return find_extreme_number(physical == LEAT_PHYSICAL_F64, greatest, bag);
    return find_extreme(type, greatest ? 1 : -1, bag, arena);
}

static void extreme_result(const leat_slot *slot, leat_bag *bag, leat_arena *arena, leat_value *out)
{
    leat_type type = slot->aggregate->argument_types[0];
    if (bag->best == LEAT_BAG_NONE && bag->live)
        bag->best = extreme_of(slot, bag, arena);
    *out = bag->best == LEAT_BAG_NONE ? leat_value_null() : decoded(type, leat_bag_value(bag, bag->best), arena);
}

static void end_result(const leat_slot *slot, const leat_bag *bag, bool last, leat_arena *arena, leat_value *out)
{
    *out = leat_value_null();
    for (uint32_t i = 0; i < bag->entry_count; i++) {
        uint32_t entry = last ? bag->entry_count - 1 - i : i;
        if (bag->entries[entry].count > 0) {
            *out = decoded(slot->aggregate->argument_types[0], leat_bag_value(bag, entry), arena);
            return;
        }
    }
}

static void joined_result(const leat_slot *slot, const leat_bag *bag, leat_arena *arena, leat_value *out)
{
    leat_slice separator = slot->aggregate->parameter.text;
    size_t size = 0, used = 0;
    *out = leat_value_null();
    if (bag->live == 0)
        return;
    for (uint32_t i = 0; i < bag->entry_count; i++)
        size += bag->entries[i].size + separator.size;
    char *text = leat_arena_alloc_aligned(arena, size + 1, 1);
    for (uint32_t i = 0; i < bag->entry_count; i++) {
        if (bag->entries[i].count <= 0)
            continue;
        leat_value value = decoded(slot->aggregate->argument_types[0], leat_bag_value(bag, i), arena);
        if (used || out->is_null == false) {
            memcpy(text + used, separator.data, separator.size);
            used += separator.size;
        }
        if (value.text.size)
            memcpy(text + used, value.text.data, value.text.size);
        used += value.text.size;
        out->is_null = false;
    }
    out->text = leat_slice_of(text, used);
}

static void array_result(const leat_slot *slot, const leat_bag *bag, leat_arena *arena, leat_value *out)
{
    *out = leat_value_null();
    if (bag->live == 0) {
        // A multiset may be empty, an array of nothing is NULL.
        out->is_null = slot->aggregate->function->kind != LEAT_AGGREGATE_COLLECT;
        out->nested = (leat_nested){0, NULL};
        return;
    }
    leat_value *items = leat_arena_alloc_aligned(arena, sizeof *items * bag->live, 16);
    uint32_t count = 0;
    for (uint32_t i = 0; i < bag->entry_count; i++)
        if (bag->entries[i].count > 0)
            items[count++] = decoded(slot->aggregate->argument_types[0], leat_bag_value(bag, i), arena);
    out->is_null = false;
    out->nested = (leat_nested){count, items};
}

static double as_double(leat_type type, const leat_value *value)
{
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_F64:
        return value->f64;
    case LEAT_PHYSICAL_I128:
        return leat_decimal_to_double(value->i128, type.scale);
    default:
        return (double)value->i64;
    }
}

// SUM, AVG and the deviations of a DISTINCT set: over the set as it is now.
static void distinct_result(const leat_slot *slot, const leat_bag *bag, leat_arena *arena, leat_value *out)
{
    const leat_aggregate *aggregate = slot->aggregate;
    leat_type type = aggregate->argument_types[0];
    leat_basket basket = {0};
    leat_decimal_slot decimal = {0};
    leat_moments moments = {0};
    for (uint32_t i = 0; i < bag->entry_count; i++) {
        if (bag->entries[i].count <= 0)
            continue;
        leat_value value = decoded(type, leat_bag_value(bag, i), arena);
        if (aggregate->function->kind > LEAT_AGGREGATE_AVG)
            leat_moments_add(&moments, as_double(type, &value), 1);
        else if (type.kind == LEAT_KIND_DECIMAL)
            leat_decimal_add(&decimal, value.i128, 1);
        else if (leat_type_physical(type) == LEAT_PHYSICAL_F64)
            basket.sum.f64 += value.f64;
        else
            basket.sum.i64 = (int64_t)((uint64_t)basket.sum.i64 + (uint64_t)value.i64);
    }
    if (aggregate->function->kind > LEAT_AGGREGATE_AVG)
        leat_moments_result(aggregate, &moments, out);
    else if (type.kind == LEAT_KIND_DECIMAL)
        leat_decimal_result(aggregate, &decimal, out);
    else
        leat_sum_result(aggregate, bag->live, &basket, out);
}

void leat_bag_result(const leat_slot *slot, leat_bag *bag, leat_arena *arena, leat_value *out)
{
    switch (slot->aggregate->function->kind) {
    case LEAT_AGGREGATE_COUNT:
        *out = (leat_value){.i64 = bag->live};
        return;
    case LEAT_AGGREGATE_MIN:
    case LEAT_AGGREGATE_MAX:
        extreme_result(slot, bag, arena, out);
        return;
    case LEAT_AGGREGATE_FIRST:
        end_result(slot, bag, false, arena, out);
        return;
    case LEAT_AGGREGATE_LAST:
        end_result(slot, bag, true, arena, out);
        return;
    case LEAT_AGGREGATE_LISTAGG:
        joined_result(slot, bag, arena, out);
        return;
    case LEAT_AGGREGATE_COLLECT:
    case LEAT_AGGREGATE_ARRAY_AGG:
        array_result(slot, bag, arena, out);
        return;
    case LEAT_AGGREGATE_JSON_OBJECTAGG:
    case LEAT_AGGREGATE_JSON_ARRAYAGG:
        leat_json_bag_result(slot, bag, arena, out);
        return;
    case LEAT_AGGREGATE_MIN_BY:
    case LEAT_AGGREGATE_MAX_BY:
        leat_pair_bag_result(slot, bag, arena, out);
        return;
    case LEAT_AGGREGATE_PERCENTILE:
        leat_percentile_result(slot, bag, arena, out);
        return;
    default:
        distinct_result(slot, bag, arena, out);
        return;
    }
}
