// The settings of the sink `file`; the driver itself is file.c.
#pragma once

#include "drivers/sink.h"

typedef struct leat_file_sink_settings {
    const char *path;
    int64_t rotate_size; // bytes, 0: never
    int64_t keep;        // rotated files
    bool sync;
} leat_file_sink_settings;

extern const leat_sink_ops leat_sink_file_ops;
extern const leat_sink_description leat_sink_file_description;
extern const leat_sink_ops leat_sink_stdout_ops;
extern const leat_sink_description leat_sink_stdout_description;
