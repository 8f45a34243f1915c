// Bytes whose order is that of ORDER BY: two encoded keys compare by memcmp, the shorter first where one begins the other.
//
// One column follows the other: a byte for NULL, then the value so that it compares bytewise; texts are ended by 0 0 and a 0 within
// them is 0 FF. A descending column has all its bytes inverted. -0 is 0 and NaN comes last, as in leat_value_compare.
// ARRAY, MAP and ROW have no order and are refused by who plans.
#pragma once

#include "operators/core/batch.h"

typedef struct leat_order {
    uint32_t column;
    bool descending;
    bool nulls_last; // where NULLs stand, whichever direction
} leat_order;

void leat_order_encode(leat_type type, const leat_value *value, const leat_order *order, leat_writer *out);
void leat_order_encode_row(const leat_batch *batch, uint32_t row, const leat_order *orders, uint32_t count,
                           leat_writer *out);
// A number that never falls along the order of the first column, so that most rows can be compared without their bytes: the eight bytes
// behind the one for NULL; for NULL 0, or UINT64_MAX where NULLs are last. For columns of numbers, times and DECIMAL.
bool leat_order_has_prefix(leat_type type);
void leat_order_prefixes(const leat_batch *batch, const leat_order *order, uint64_t *out_prefixes); // i: existing row
uint64_t leat_order_prefix(leat_slice encoded, const leat_order *order);                            // of its bytes
