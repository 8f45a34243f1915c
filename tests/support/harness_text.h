// The texts of the harness: schemas, rows and output lines. Only for tests/support.
#pragma once

#include "operators/core/batch.h"

typedef struct harness_row {
    leat_value *values;
    int64_t event_ms; // LEAT_TIME_NONE: none
    leat_row_kind kind;
    uint64_t cause;
    int64_t watermark; // under which it is handled
} harness_row;

// Calls `take` for every row of the text.
void harness_rows_parse(leat_arena *arena, const leat_schema *schema, const char *rows,
                        void (*take)(void *context, const harness_row *row), void *context);
const char *harness_row_text(leat_arena *arena, const leat_batch *batch, uint32_t row);
// Writes a parsed row into a batch made by leat_batch_get_rows.
void harness_row_put(leat_batch *batch, uint32_t row, const harness_row *from);
