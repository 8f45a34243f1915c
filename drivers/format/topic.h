// Fields that come from the message's topic ("topic[1]"), the same for every format and for every row of a payload.
//
// Usage: init in open, load once per decode call, fill per row. Ownership: items lie in the setup's arena; texts that rows
// refer to are copied into the batch's arena by load.
#pragma once

#include "drivers/format.h"
#include "drivers/format/text.h"

typedef struct leat_topic_column {
    uint32_t field; // == column
    uint32_t part;
    leat_slice text;
    leat_value value;
    const char *misfit; // NULL: value holds
} leat_topic_column;

typedef struct leat_topic_columns {
    leat_topic_column *items;
    uint32_t count;
} leat_topic_columns;

// The n of "topic[n]"; false for any other path.
bool leat_topic_path(const leat_source_field *field, uint32_t *out_part);
void leat_topic_columns_init(leat_topic_columns *columns, const leat_format_setup *setup);
void leat_topic_columns_load(leat_topic_columns *columns, const leat_source_field *fields, leat_slice topic,
                             leat_arena *batch_arena);
// The first part that does not fit, or NULL and the row's topic columns are set.
const leat_topic_column *leat_topic_columns_fill(const leat_topic_columns *columns, leat_batch *batch, uint32_t row);
