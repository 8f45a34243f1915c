// A row as bytes: its columns one after the other as leat_value_encode writes them, and back into columns, without a call per value where
// values have a fixed size.
//
// Ownership: texts and nested values of a decoded row are copied into the arena given. Failure: encode leaves it to the writer.
#pragma once

#include "operators/core/batch.h"

// The first `count` columns.
void leat_row_encode(const leat_column *columns, uint32_t count, uint32_t row, leat_writer *out);
// Columns with null bytes, of which that of the row is 0. False when the bytes are damaged; first: more columns may follow in them.
LEAT_MUST_CHECK bool leat_row_decode(leat_slice bytes, leat_column *columns, uint32_t count, uint32_t row,
                                     leat_arena *arena);
LEAT_MUST_CHECK bool leat_row_decode_first(leat_slice bytes, leat_column *columns, uint32_t count, uint32_t row,
                                           leat_arena *arena);
