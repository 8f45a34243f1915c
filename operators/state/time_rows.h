// Rows kept by key in order of their time, then of arrival: of each key a run of rows of one size (state/row_layout.h) in a block of its own.
//
// Nearly all rows come last and leave first, which moves nothing; one that comes out of order is inserted. The runs themselves lie where the
// operator keeps what it knows of a key; this holds what they share.
//
// Usage: init, restore*, then per run add, at, lower, upper, drop; put within a snapshot, behind removals; free; fini.
// Ownership: memory from the budget; a row is where it is until its run is changed. Threads: the operator's.
// Failure: NULL or a code when the budget refuses; nothing has changed then.
//
// The stored form, one entry a row:
//   key:   u64 big-endian number (of arrival), the key's bytes
//   value: u8 version 1, u8 marks that last, signed varint time, u64 cause, the columns one after the other
#pragma once

#include "operators/core/key.h"
#include "operators/core/operator.h"
#include "operators/state/removal.h"
#include "operators/state/row_layout.h"

enum {
    LEAT_ROW_STORED = 1,  // a snapshot holds it,
    LEAT_ROW_CHANGED = 2, // but not as it is now
    LEAT_ROW_MARK_A = 4,  // the operator's, stored with the row
    LEAT_ROW_MARK_B = 8,
    LEAT_ROW_MARKS = LEAT_ROW_MARK_A | LEAT_ROW_MARK_B,
    LEAT_ROW_MARK_BITS = 4,
};

typedef struct leat_time_row {
    int64_t time_ms;
    uint64_t cause;
    uint64_t number; // of arrival, above the marks
    uint64_t cells[];
} leat_time_row;

typedef struct leat_time_run { // from zeroes
    char *rows;                // the block behind its head
    uint32_t first, count;
} leat_time_run;

typedef struct leat_time_rows {
    leat_budget *budget;
    const leat_keys *keys;
    leat_row_layout layout;
    size_t stride, memory;
    uint64_t next_number;
    leat_removals removals;
    leat_writer stored;
    leat_arena scratch;
} leat_time_rows;

void leat_time_rows_init(leat_time_rows *rows, leat_budget *budget, leat_env *env, const leat_keys *keys,
                         leat_arena *arena, const leat_schema *schema, const uint32_t *columns, uint32_t count);
void leat_time_rows_fini(leat_time_rows *rows); // also of zeroes; runs are freed before
static inline leat_time_row *leat_time_rows_at(const leat_time_rows *rows, const leat_time_run *run, uint32_t index)
{
    return (leat_time_row *)(run->rows + (size_t)(run->first + index) * rows->stride);
}
// First index whose time is not below; is above.
uint32_t leat_time_rows_lower(const leat_time_rows *rows, const leat_time_run *run, int64_t time_ms);
uint32_t leat_time_rows_upper(const leat_time_rows *rows, const leat_time_run *run, int64_t time_ms);
static inline void leat_time_rows_begin(leat_time_rows *rows, const leat_batch *batch) // before rows of it are added
{
    leat_row_layout_begin(&rows->layout, batch);
}
// A row of the batch, behind all of its time; CHANGED and no other mark.
LEAT_MUST_CHECK leat_time_row *leat_time_rows_add(leat_time_rows *rows, leat_time_run *run, int64_t time_ms,
                                                  const leat_batch *batch, uint32_t row);
// The first `count` rows are over.
void leat_time_rows_drop(leat_time_rows *rows, leat_time_run *run, uint32_t slot, uint32_t count);
// Gives back what an idle run does not need; all of it when it is empty.
void leat_time_rows_trim(leat_time_rows *rows, leat_time_run *run);
void leat_time_rows_free(leat_time_rows *rows, leat_time_run *run);
static inline bool leat_time_rows_failed(const leat_time_rows *rows) // a removal is lost
{
    return rows->removals.log.failed;
}
static inline size_t leat_time_rows_memory(const leat_time_rows *rows) { return rows->memory + rows->layout.memory; }

void leat_time_rows_removals(leat_time_rows *rows, leat_snapshot *snapshot, uint8_t table);
void leat_time_rows_put(leat_time_rows *rows, leat_time_run *run, uint32_t slot, leat_snapshot *snapshot,
                        uint8_t table);
bool leat_time_rows_key(leat_slice stored, uint64_t *out_number, leat_slice *out_key);
LEAT_MUST_CHECK leat_code leat_time_rows_restore(leat_time_rows *rows, leat_time_run *run, uint64_t number,
                                                 leat_slice value, leat_error *out_error);
