#include "operators/row_timers.h"

static leat_row_frame_rest rest_of(void *owner, uint32_t slot)
{
    leat_row_timers *rows = owner;
    if (leat_timers_any(&rows->timers, slot))
        return LEAT_ROW_FRAME_BUSY;
    return leat_timers_release(&rows->timers, slot) ? LEAT_ROW_FRAME_FREE : LEAT_ROW_FRAME_WAITS;
}

leat_code leat_row_timers_open(leat_row_timers *rows, leat_operator_context *context, uint32_t key_count,
                               const uint32_t *key_columns, int64_t state_ttl_ms, leat_error *out_error)
{
    leat_code code = leat_row_frame_open(&rows->frame, context, key_count, key_columns, state_ttl_ms, out_error);
    if (code != LEAT_OK)
        return code;
    rows->frame.rest = rest_of;
    rows->frame.owner = rows;
    leat_writer_init(&rows->stored, context->env, SIZE_MAX / 2);
    if (leat_timers_init(&rows->timers, context->budget, rows->frame.keys))
        return LEAT_OK;
    code = leat_row_frame_no_budget(&rows->frame, out_error);
    leat_row_timers_close(rows);
    return code;
}

void leat_row_timers_close(leat_row_timers *rows)
{
    leat_timers_fini(&rows->timers);
    leat_writer_fini(&rows->stored);
    leat_row_frame_close(&rows->frame);
}

void leat_row_timers_snapshot(leat_row_timers *rows, leat_snapshot *snapshot)
{
    leat_timers_snapshot(&rows->timers, snapshot, LEAT_ROW_TIMERS_TIMERS, &rows->stored);
    leat_row_frame_snapshot(&rows->frame, snapshot, LEAT_ROW_TIMERS_ROWS);
}

leat_code leat_row_timers_restore(leat_row_timers *rows, uint8_t table, leat_slice key, leat_slice value,
                                  leat_error *out_error)
{
    uint32_t slot;
    if (table == LEAT_ROW_TIMERS_ROWS)
        return leat_row_frame_restore(&rows->frame, key, value, out_error);
    leat_code code = leat_keys_slot(rows->frame.keys, key, &slot, out_error);
    return code == LEAT_OK ? leat_timers_restore(&rows->timers, slot, value, out_error) : code;
}

void leat_row_timers_measure(const leat_row_timers *rows, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    leat_row_frame_measure(&rows->frame, out_state_bytes, out_keys);
    *out_state_bytes += leat_timers_memory(&rows->timers);
}
