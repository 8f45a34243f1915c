// Inside of aggregates: the function table's rows and the forms of memory behind them.
#pragma once

#include "operators/expr/aggregate.h"
#include "operators/expr/aggregate_bag.h"
#include "operators/expr/aggregate_sketch.h"
#include "operators/expr/function.h"

typedef enum leat_aggregate_kind {
    LEAT_AGGREGATE_COUNT,
    LEAT_AGGREGATE_SUM,
    LEAT_AGGREGATE_AVG,
    LEAT_AGGREGATE_MIN,
    LEAT_AGGREGATE_MAX,
    LEAT_AGGREGATE_FIRST,
    LEAT_AGGREGATE_LAST,
    LEAT_AGGREGATE_STDDEV_POP,
    LEAT_AGGREGATE_STDDEV_SAMP,
    LEAT_AGGREGATE_VAR_POP,
    LEAT_AGGREGATE_VAR_SAMP,
    LEAT_AGGREGATE_LISTAGG,
    LEAT_AGGREGATE_COLLECT,
    LEAT_AGGREGATE_ARRAY_AGG,
    LEAT_AGGREGATE_JSON_OBJECTAGG,
    LEAT_AGGREGATE_JSON_ARRAYAGG,
    LEAT_AGGREGATE_MIN_BY,
    LEAT_AGGREGATE_MAX_BY,
    LEAT_AGGREGATE_PERCENTILE,
    LEAT_AGGREGATE_APPROX_COUNT_DISTINCT,
} leat_aggregate_kind;

struct leat_aggregate_function {
    const char *name, *arguments; // pattern as of scalar functions
    leat_result result;
    leat_aggregate_kind kind;
    const char *text;
};

// What an aggregate's part of the accumulator is.
typedef enum leat_slot_form {
    LEAT_SLOT_ROWS,    // nothing of its own: COUNT(*)
    LEAT_SLOT_COUNT,   // int64: COUNT(*) FILTER, COUNT of text and the like
    LEAT_SLOT_BASKET,  // count, sum and perhaps extremes of one argument, shared by all that ask for them
    LEAT_SLOT_DECIMAL, // count and exact sum
    LEAT_SLOT_MOMENTS, // count, mean, sum of squared distances (Welford)
    LEAT_SLOT_KEPT,    // one value: MIN, MAX, FIRST, LAST
    LEAT_SLOT_UNIQUE,  // bag of values with counts: DISTINCT, MIN and MAX under retraction
    LEAT_SLOT_LIST,    // bag in order of arrival
    LEAT_SLOT_PAIR,    // what is compared and what is given: MIN_BY, MAX_BY
    LEAT_SLOT_SKETCH,  // an estimate of how many
} leat_slot_form;

typedef struct leat_basket {
    int64_t count;
    union {
        int64_t i64;
        double f64;
    } sum;
    union {
        int64_t i64;
        double f64;
    } min, max; // absent when no aggregate asks for them
} leat_basket;

typedef struct leat_decimal_slot {
    leat_i128 sum;
    int64_t count;
    int64_t overflows; // sums that left 38 digits: NULL from then on
} leat_decimal_slot;

typedef struct leat_moments {
    int64_t count;
    double mean, squares;
} leat_moments;

typedef struct leat_kept {
    union {
        int64_t i64;
        double f64;
        leat_i128 i128;
        struct {
            char *bytes;
            uint32_t size, capacity;
        }; // text as it is, nested values encoded
    };
    bool has;
} leat_kept;

typedef struct leat_slot {
    const leat_aggregate *aggregate;
    leat_slot_form form;
    bool owner;      // of the memory; other aggregates may share a basket
    bool extremes;   // of the basket
    bool is_double;  // of the basket
    uint32_t offset; // in the accumulator
    int columns[3];  // arguments among the set's evaluated columns
    int filter;      // -1: none
} leat_slot;

// One row's value taken into or out of a slot; false when the budget refuses.
typedef struct leat_slot_row {
    const leat_column *const *columns; // the set's evaluated columns
    uint32_t row;
    int64_t sign; // 1 or -1
    leat_budget *budget;
    leat_env *env;
} leat_slot_row;

static inline void *leat_slot_at(const leat_slot *slot, const void *accumulator)
{
    return (uint8_t *)(uintptr_t)accumulator + slot->offset;
}
size_t leat_slot_size(const leat_slot *slot);
void leat_slot_init(const leat_slot *slot, void *accumulator);
bool leat_slot_add(const leat_slot *slot, void *accumulator, const leat_slot_row *row);
bool leat_slot_merge(const leat_slot *slot, void *into, const void *from, leat_budget *budget);
void leat_slot_result(const leat_slot *slot, const void *accumulator, int64_t rows, leat_arena *arena,
                      leat_value *out_value);
void leat_slot_release(const leat_slot *slot, void *accumulator, leat_budget *budget);
void leat_slot_encode(const leat_slot *slot, const void *accumulator, leat_writer *out);
bool leat_slot_decode(const leat_slot *slot, void *accumulator, leat_reader *reader, leat_budget *budget,
                      bool *out_refused);
static inline bool leat_slot_is_variable(const leat_slot *slot)
{
    bool kept =
        slot->form == LEAT_SLOT_KEPT && leat_type_physical(slot->aggregate->argument_types[0]) >= LEAT_PHYSICAL_TEXT;
    return kept || slot->form >= LEAT_SLOT_UNIQUE;
}
bool leat_kept_set_bytes(leat_kept *kept, leat_slice bytes, leat_budget *budget);
// MIN_BY and MAX_BY; arguments are what is compared, then what is given (aggregate_pair.c).
bool leat_pair_add(const leat_slot *slot, leat_kept *kept, const leat_slot_row *row);
bool leat_pair_merge(const leat_slot *slot, leat_kept *into, const leat_kept *from, leat_budget *budget);
void leat_pair_result(const leat_slot *slot, const leat_kept *kept, leat_arena *arena, leat_value *out_value);
void leat_pair_bag_result(const leat_slot *slot, const leat_bag *bag, leat_arena *arena, leat_value *out_value);
void leat_pair_encode(const leat_kept *kept, leat_writer *out);
bool leat_pair_decode(const leat_slot *slot, leat_kept *kept, leat_reader *reader, leat_budget *budget,
                      bool *out_refused);
// Out of a bag of numbers with counts (aggregate_percentile.c), out of a bag of JSON texts (aggregate_json.c).
leat_code leat_percentile_parameter(leat_rule *rule, leat_value *out_parameter, leat_type *out_type);
void leat_percentile_result(const leat_slot *slot, const leat_bag *bag, leat_arena *arena, leat_value *out_value);
void leat_json_bag_result(const leat_slot *slot, const leat_bag *bag, leat_arena *arena, leat_value *out_value);
// Out of a count and a sum, or out of moments (aggregate_result.c).
void leat_sum_result(const leat_aggregate *aggregate, int64_t count, const leat_basket *basket, leat_value *out_value);
void leat_decimal_result(const leat_aggregate *aggregate, const leat_decimal_slot *slot, leat_value *out_value);
void leat_moments_result(const leat_aggregate *aggregate, const leat_moments *moments, leat_value *out_value);
void leat_bag_result(const leat_slot *slot, leat_bag *bag, leat_arena *arena, leat_value *out_value);
void leat_moments_add(leat_moments *moments, double value, int64_t sign);
void leat_decimal_add(leat_decimal_slot *slot, leat_i128 value, int64_t sign);
