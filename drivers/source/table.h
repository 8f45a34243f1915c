// The settings of the source `table`; the driver itself is table.c.
#pragma once

#include "drivers/source.h"

typedef struct leat_table_source_settings {
    const char *path;
    bool follow;
    int64_t check_ms;
    bool quoted_newlines;
} leat_table_source_settings;

extern const leat_source_ops leat_source_table_ops;
extern const leat_source_description leat_source_table_description;
