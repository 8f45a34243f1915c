// The settings of the source `sqlite`, as its description stores them (compiled into the agent) and the module reads them.
#pragma once

#include "operators/core/setting.h"

typedef struct leat_sqlite_source_settings {
    const char *path, *query, *table; // one of the latter two
    bool follow;
    int64_t check_ms;
} leat_sqlite_source_settings;
