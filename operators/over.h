// One OVER operator in several files: over.c takes rows and says when they are due, over_block.c computes what is due block by block,
// over_frame.c keeps what frames need of their rows, over_store.c writes and reads the state. Private to them.
#pragma once

#include "operators/expr/aggregate.h"
#include "operators/row_frame.h"
#include "operators/state/alarm.h"
#include "operators/state/row_queue.h"

enum {
    OVER_KEYS = 0,
    OVER_ROWS,
    OVER_LAGS,
    OVER_CHUNKS,
    OVER_VERSION = 2,
    OVER_BLOCK = LEAT_BATCH_ROWS,
    OVER_CHUNK = 32,      // rows of a frame that are stored together
    OVER_LARGE = 1 << 11, // keys whose state is beyond the cache: below, fetching it ahead costs 5 %
};

// A time at which a key counts as fired although no row of it was due (RANGE: when it was once to be forgotten).
typedef struct over_mark {
    int64_t due_ms, time_ms; // happens when the watermark reaches due_ms; the key has fired at time_ms then
} over_mark;

typedef struct over_marks {
    uint32_t count, room;
    over_mark items[]; // ascending
} over_marks;

// In front of the rows of a frame.
typedef struct over_ring {
    uint32_t stored_from, stored_to; // chunks that a snapshot holds
    uint32_t unused[2];
} over_ring;
_Static_assert(sizeof(over_ring) % 16 == 0, "rows are 16-aligned");

// Payload of a key's entry; the accumulators follow, then over_ranks when some function asks for them. With a count and a sum behind it an
// entry is 96 bytes, which never lie in more than two cache lines.
typedef struct over_key {
    int64_t last_ms; // time that last fired; begins at 0 (ORDER BY: at none)
    int64_t
        end_ms; // when it is forgotten: bounded RANGE by its own time, all others by the clock; LEAT_TIME_NONE: never
    union {     // pointers take eight bytes on every board
        uint8_t *rows; // of the frame, a ring behind its over_ring; NULL: none yet
        uint64_t rows_room;
    };
    union {
        over_marks *marks; // NULL: none yet
        uint64_t marks_room;
    };
    uint32_t first, count; // the frame's rows by number, which goes on past 2^32
    uint32_t waiting;      // rows that are not in the frame yet
    uint8_t room_bits;     // of the ring, when there is one
    bool cleared;          // nothing has come since it was
    bool has_alarm;
} over_key;
_Static_assert(sizeof(over_key) % 16 == 0, "the accumulator is 16-aligned");

typedef struct over_ranks {
    int64_t time_ms; // of the row that was ranked last
    uint64_t row_count, rank, dense_rank;
} over_ranks;

// A row of a frame: [time], a byte that is 1 when the row's arguments failed, a byte a NULL, then the arguments.
typedef struct over_row_layout {
    bool timed, owns; // owns: texts and nested values, which have memory of their own
    uint32_t stride, flags, count;
    uint32_t *cells; // offset of each argument
    uint8_t *physicals;
} over_row_layout;

typedef struct over_due {
    int64_t time_ms, watermark; // under which it is sent
    uint32_t row, slot;         // row: of the queue
} over_due;

typedef struct over {
    leat_operator base;
    const leat_over_spec *spec;
    leat_row_frame frame; // keys and what is sent; its rows are not used
    leat_row_queue queue;
    leat_panes tables;
    leat_pane *key_table;
    leat_alarms alarms; // keys of a bounded RANGE, when they are forgotten
    leat_sorted lags;
    uint32_t lag_count, lag_rows; // values of one row, rows kept
    int32_t ranks_at;             // in the payload; -1: none
    bool peers;                   // rows of one time are handled together
    int64_t watermark, late_ms;   // late_ms: what is behind it may be late for a key
    int64_t least_mark_ms;        // no mark is due before; INT64_MAX: there is none
    // -- what is due
    over_due *due;
    uint32_t due_count, due_room;
    // Of each row of the block; they lie in the batch that goes out.
    uint32_t *rows; // of the queue
    leat_pane_entry **entries;
    leat_accumulators_sum *sums;
    // -- arguments and frames
    leat_eval eval;
    over_row_layout layout;
    bool is_sum, is_double;
    leat_column *leaving; // arguments of the row that leaves
    leat_accumulators_input leaving_input;
    leat_removals removals; // of chunks
    size_t frame_memory;
    leat_writer stored;
    leat_arena texts, values;
} over;

static inline over_key *over_key_of(leat_pane_entry *entry) { return leat_pane_payload(entry); }
static inline void *over_accumulator(leat_pane_entry *entry) { return over_key_of(entry) + 1; }
static inline over_ranks *over_ranks_of(const over *self, leat_pane_entry *entry)
{
    return (over_ranks *)((uint8_t *)leat_pane_payload(entry) + self->ranks_at);
}
// Forgotten by a time of its own, that of its rows.
static inline bool over_cleans_up(const over *self) { return self->spec->range && self->spec->bounded; }
leat_pane_entry *over_make_key(over *self, uint32_t slot); // NULL: no budget
leat_code over_no_budget(const over *self, leat_error *out_error);
// The key has fired when the watermark got to its marks.
void over_settle_marks(const over *self, over_key *key);
void over_free_marks(over *self, over_key *key);
LEAT_MUST_CHECK bool over_add_mark(over *self, over_key *key, over_mark mark);
LEAT_MUST_CHECK bool over_set_alarm(over *self, uint32_t slot, over_key *key);

// ---- over_block.c

void over_open_block(over *self);
// Computes and sends what is due. last: the call ends here, and the watermark goes with the last batch.
LEAT_MUST_CHECK leat_code over_run(over *self, bool last, leat_error *out_error);

// ---- over_frame.c

void over_open_layout(over *self);
static inline over_ring *over_ring_of(const over_key *key) { return (over_ring *)(void *)key->rows - 1; }
static inline uint32_t over_room(const over_key *key) { return key->rows ? UINT32_C(1) << key->room_bits : 0; }
static inline uint32_t over_place(const over_key *key, uint32_t number)
{
    return number & ((UINT32_C(1) << key->room_bits) - 1);
}
static inline uint8_t *over_frame_row(const over *self, const over_key *key, uint32_t number)
{
    return key->rows + (size_t)over_place(key, number) * self->layout.stride;
}
// Room for a row behind the last one, whose arguments the caller sets; NULL: no budget.
LEAT_MUST_CHECK bool over_frame_room(over *self, over_key *key, uint32_t rows);
// Takes a row of the block into the frame; false: no budget.
LEAT_MUST_CHECK bool over_frame_push(over *self, over_key *key, int64_t time_ms, const leat_accumulators_input *input,
                                     uint32_t row, bool bad);
// The first row as an input of one row, and whether it is bad; then its end.
bool over_frame_leaving(over *self, const over_key *key);
void over_frame_drop(over *self, over_key *key);
void over_frame_free(over *self, uint32_t slot, over_key *key); // with the removals of what is stored
static inline int64_t over_frame_time(const over *self, const over_key *key)
{
    int64_t time;
    __builtin_memcpy(&time, over_frame_row(self, key, key->first), sizeof time);
    return time;
}
// Of frames that are being restored: room for those numbers.
LEAT_MUST_CHECK bool over_frame_cover(over *self, over_key *key, uint32_t from, uint32_t to);
void over_frame_write(over *self, const over_key *key, uint32_t from, uint32_t to, leat_writer *out);
LEAT_MUST_CHECK leat_code over_frame_read(over *self, over_key *key, uint32_t from, uint32_t to, leat_reader *reader,
                                          leat_error *out_error);

// ---- over_store.c

void over_snapshot(leat_operator *base, leat_snapshot *snapshot);
leat_code over_restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                       leat_error *out_error);
leat_code over_check_restored(over *self, leat_error *out_error);
