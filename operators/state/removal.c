#include "operators/state/removal.h"

enum { LOG_MAX = 1 << 30 };

void leat_removals_init(leat_removals *removals, leat_env *env) { leat_writer_init(&removals->log, env, LOG_MAX); }
void leat_removals_fini(leat_removals *removals) { leat_writer_fini(&removals->log); }

bool leat_removals_add(leat_removals *removals, uint32_t group, leat_slice key)
{
    leat_write_u32(&removals->log, group);
    leat_write_sized(&removals->log, key.data, key.size);
    return !removals->log.failed;
}

void leat_removals_emit(leat_removals *removals, leat_snapshot *snapshot, uint8_t table)
{
    leat_reader reader;
    leat_reader_init(&reader, removals->log.bytes, removals->log.size);
    while (leat_reader_left(&reader)) {
        uint32_t group = leat_read_u32(&reader);
        leat_slice key = leat_read_sized(&reader);
        LEAT_ASSERT(!reader.failed);
        if (!snapshot->whole[group])
            snapshot->remove(snapshot, table, group, key);
    }
    if (!snapshot->keep_marks)
        leat_writer_reset(&removals->log);
}
