// What the windows of window_stream hold: an accumulator each, or, where an evictor looks at them, the rows themselves.
//
// Usage: init; the payload of a window is leat_window_contents_size bytes. add a row of the batch that frame began; merge what one
// window holds into another; open gives the accumulator that a result is made of (evicting before), close evicts after; clear
// forgets what it holds, release also its last result. Kept rows have only the columns that the spec lists, the others are NULL.
// Ownership: rows from the budget. Threads: the operator's. Failure: LEAT_E_LIMIT when the budget refuses.
//
// Stored rows, one entry each: table LEAT_WINDOW_ROWS; key: u64 big-endian sequence, the key's bytes;
//   value: u8 version 1, varint number of the window, u8 has a time, signed varint time, the kept columns (leat_value_encode)
#pragma once

#include "operators/state/removal.h"
#include "operators/state/stream_window.h"
#include "operators/window_frame.h"

enum { LEAT_WINDOW_ROWS = 1 };

typedef struct leat_window_row {
    struct leat_window_row *next;
    uint64_t sequence;
    int64_t time_ms;
    uint32_t size;
    bool has_time;
    bool stored; // a snapshot holds it
    char bytes[];
} leat_window_row;

typedef struct leat_window_contents { // head of a window's payload; the accumulator follows
    leat_window_row *first, *last;
    char *result; // the last one sent, encoded: of windows that send updates
    uint32_t row_count, result_size;
    char *mark; // window_delta.c: the row that fired last
    size_t mark_size;
} leat_window_contents;
_Static_assert(sizeof(leat_window_contents) % 16 == 0 || sizeof(void *) == 4, "the accumulator is 16-aligned");

typedef struct leat_window_orphan { // a row that was restored, until its window is known
    leat_window_row *row;
    uint64_t number;
    uint32_t slot;
} leat_window_orphan;

typedef struct leat_window_store {
    leat_window_frame *frame;
    const leat_window_stream_spec *spec;
    leat_budget *budget;
    const leat_accumulators_input *input; // of the batch
    leat_eval eval;                       // of kept rows
    leat_value *values, *last_values;     // of one row, by column of the input
    leat_writer bytes;
    leat_removals removals;
    uint64_t next_sequence;
    void *result; // an accumulator for kept rows
    leat_window_orphan *orphans;
    uint32_t orphan_count, orphan_room;
    size_t memory;
} leat_window_store;

void leat_window_store_init(leat_window_store *store, leat_window_frame *frame);
void leat_window_store_fini(leat_window_store *store);
size_t leat_window_contents_size(const leat_window_store *store);
static inline leat_window_contents *leat_window_contents_of(leat_stream_window *window)
{
    return leat_stream_window_payload(window);
}
static inline void *leat_window_accumulator(leat_stream_window *window)
{
    return (uint8_t *)leat_stream_window_payload(window) + ((sizeof(leat_window_contents) + 15) & ~(size_t)15);
}
void leat_window_contents_begin(const leat_window_store *store, leat_stream_window *window); // a new window
LEAT_MUST_CHECK leat_code leat_window_contents_add(leat_window_store *store, leat_stream_window *window, uint32_t row,
                                                   leat_error *out_error);
// `from` is empty afterwards.
LEAT_MUST_CHECK leat_code leat_window_contents_merge(leat_window_store *store, leat_stream_window *into,
                                                     leat_stream_window *from, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_window_contents_open(leat_window_store *store, leat_stream_window *window,
                                                    const void **out_accumulator, leat_error *out_error);
void leat_window_contents_close(leat_window_store *store, leat_stream_window *window);
void leat_window_contents_clear(leat_window_store *store, leat_stream_window *window);
void leat_window_contents_release(leat_window_store *store, leat_stream_window *window);
// window_delta.c: whether the row of the batch lies further than the trigger's threshold from the window's mark; then, and when there
// is none yet, it becomes the mark.
LEAT_MUST_CHECK leat_code leat_window_delta_on_row(leat_window_store *store, leat_stream_window *window, uint32_t row,
                                                   bool *out_far, leat_error *out_error);
LEAT_MUST_CHECK bool leat_window_mark_set(leat_window_store *store, leat_stream_window *window, leat_slice mark);
void leat_window_mark_release(leat_window_store *store, leat_stream_window *window);
// Takes the row behind `before` (NULL: the first) out.
void leat_window_row_remove(leat_window_store *store, leat_stream_window *window, leat_window_row *before);
// By column of the input; columns that are not kept are NULL. Nested values lie in the arena.
void leat_window_row_values(const leat_window_store *store, const leat_window_row *row, leat_arena *arena,
                            leat_value *out_values);

// window_contents_state.c
void leat_window_rows_snapshot(leat_window_store *store, leat_snapshot *snapshot, leat_stream_window *window);
LEAT_MUST_CHECK leat_code leat_window_rows_restore(leat_window_store *store, leat_slice key, leat_slice value,
                                                   leat_error *out_error);
// Gives restored rows to their windows, when all are known.
LEAT_MUST_CHECK leat_code leat_window_rows_settle(leat_window_store *store, leat_stream_windows *windows,
                                                  leat_error *out_error);

// window_evictor.c: takes out what the evictor does not keep.
void leat_window_evict(leat_window_store *store, leat_stream_window *window);
