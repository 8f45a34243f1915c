// The settings of the source `file`; the driver itself is file.c.
#pragma once

#include "drivers/source.h"

typedef enum leat_file_start { LEAT_FILE_BEGINNING, LEAT_FILE_END } leat_file_start;
typedef struct leat_file_source_settings {
    const char *path; // "-": standard input
    bool follow;
    int32_t start; // leat_file_start
    bool quoted_newlines;
} leat_file_source_settings;

extern const leat_source_ops leat_source_file_ops;
extern const leat_source_description leat_source_file_description;
