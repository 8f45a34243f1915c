// The settings of the format `csv`; the format itself is csv.c.
#pragma once

#include "drivers/format.h"

typedef struct leat_csv_settings {
    const char *delimiter; // one byte; NULL: ","
    const char *null_text; // NULL: empty
    bool header;
} leat_csv_settings;

extern const leat_format_ops leat_format_csv_ops;
extern const leat_format_description leat_format_csv_description;
