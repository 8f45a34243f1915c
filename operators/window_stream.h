// What the files of window_stream share. Private to operators/window_stream*.c.
#pragma once

#include "operators/window_contents.h"
#include "operators/window_trigger.h"

typedef struct window_stream {
    leat_operator base;
    leat_window_frame frame;
    leat_window_store store;
    leat_stream_windows windows;
    leat_assigner assigner; // of TUMBLE, HOP and CUMULATE
    leat_column gaps;       // of the batch's rows, when each row has its own
    uint32_t *idle;         // slots that may have nothing any more; looked at when the batch is done
    uint32_t idle_count, idle_room;
    int64_t wake_ms; // asked for
} window_stream;

static inline const leat_window_stream_spec *window_stream_spec(const window_stream *self)
{
    return self->base.context->spec;
}
leat_code window_stream_no_budget(window_stream *self, leat_error *out_error);

// window_stream_result.c: makes a window's result, when it holds something; evicts.
LEAT_MUST_CHECK leat_code window_stream_emit(window_stream *self, leat_stream_window *window, leat_error *out_error);

// window_stream_state.c
void window_stream_snapshot(leat_operator *base, leat_snapshot *snapshot);
leat_code window_stream_restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                                leat_error *out_error);
leat_code window_stream_ready(leat_operator *base, bool restored, leat_error *out_error);
