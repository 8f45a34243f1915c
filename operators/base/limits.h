// Every bound of leat in one place, with the relations between them asserted.
#pragma once

#include <stdint.h>

enum {
    LEAT_BATCH_ROWS = 1024, // rows of a batch at most
    LEAT_KEY_GROUPS = 128,  // fixed: part of checkpoints and savepoints
    LEAT_WORKERS_MAX = 32,
    LEAT_COLUMNS_MAX = 256,          // of a schema
    LEAT_NAME_SIZE = 64,             // of source, rule, sink and column names, with the 0
    LEAT_KEY_BYTES_MAX = 4096,       // encoded key
    LEAT_PAYLOAD_BYTES_MAX = 262144, // one message
    LEAT_JSON_DEPTH = 32,
    LEAT_STRING_BYTES_MAX = 262144,  // one value
    LEAT_RING_ELEMENTS = 64,         // elements in a ring between two tasks
    LEAT_RING_ELEMENTS_MIN = 4,      // in one of very many
    LEAT_TASK_INPUT_ELEMENTS = 2048, // in all rings of a task, unless they are as short as that
    LEAT_SQL_DEPTH = 200,            // nesting of an expression or query
    LEAT_SQL_TOKENS = 65536,
    LEAT_WINDOWS_OF_ROW = 16384,     // windows that one row may lie in: size / slide, size / step
    LEAT_REJECTED_PAYLOAD = 1024,    // bytes of a payload kept in SOURCE.rejected
    LEAT_RECORD_BYTES_MAX = 1 << 20, // one log record
    LEAT_SEGMENT_BYTES = 4 << 20,    // journal and outbox segments
};

// Times and windows of a thousand centuries and more belong nowhere, so that nothing overflows. A power of two, since
// tables of settings hold their limits as doubles.
#define LEAT_WINDOW_MS_MAX (INT64_C(1) << 61)

_Static_assert(LEAT_PAYLOAD_BYTES_MAX + 4096 <= LEAT_RECORD_BYTES_MAX, "a payload and its envelope fit into a record");
_Static_assert(LEAT_RECORD_BYTES_MAX * 2 <= LEAT_SEGMENT_BYTES, "a record fits into a segment");
_Static_assert((LEAT_KEY_GROUPS & (LEAT_KEY_GROUPS - 1)) == 0, "key groups are a power of two");
