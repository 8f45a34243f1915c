// What travels: up to LEAT_BATCH_ROWS rows, column by column, or a mark between rows.
//
// A batch is an element of a channel. Its kind says whether it carries rows (and watermarks) or is a barrier, an idleness
// mark or the end of the stream; elements keep their order. Event time, row kind, cause and watermark are columns beside
// the schema's own.
//
// Rows are addressed by their physical index; when `selection` is set only the listed rows exist (ascending). All
// columns, and event_ms, row_kind, cause, watermark, are indexed physically.
//
// Watermark: `watermark[i]` is the watermark under which row i is handled, that is before the watermark that the row itself
// causes; it never falls from row to row, and filtering rows out keeps it true. NULL: unchanged throughout the rows.
// `watermark_after` is the watermark after the last row; LEAT_TIME_NONE: unchanged. A batch of 0 rows with
// watermark_after is a bare watermark. LEAT_TIME_MAX is the end of event time.
//
// Ownership: a pool hands out batches with one reference; the receiver of a call borrows, whoever keeps takes a reference.
// The last unref gives the batch, its arena and the reference on its parent back, on whichever thread that happens.
// A batch is written only while its maker holds the single reference; afterwards it is read-only for all.
// A derived batch shares columns of its parent (filter: another selection; project: some columns new).
//
// Threads: a pool belongs to one thread for `get`; unref may be called anywhere (returned through an atomic stack).
// Memory: nothing is allocated per row; strings lie in the batch's arena, in its parent's or in the payload copied there.
#pragma once

#include <stdatomic.h>

#include "operators/base/limits.h"
#include "operators/core/schema.h"

#define LEAT_TIME_NONE INT64_MIN // no watermark yet; no event time
#define LEAT_TIME_MAX INT64_MAX

typedef enum leat_element_kind {
    LEAT_ELEMENT_ROWS = 0, // rows and watermarks
    LEAT_ELEMENT_BARRIER,  // `barrier` is the checkpoint's id
    LEAT_ELEMENT_IDLE,     // the channel went idle
    LEAT_ELEMENT_ACTIVE,   // the channel woke up
    LEAT_ELEMENT_END,      // nothing follows; a bounded input has sent watermark LEAT_TIME_MAX before
} leat_element_kind;

// As Flink's RowKind.
typedef enum leat_row_kind {
    LEAT_INSERT = 0,        // +I
    LEAT_UPDATE_BEFORE = 1, // -U
    LEAT_UPDATE_AFTER = 2,  // +U
    LEAT_DELETE = 3,        // -D
} leat_row_kind;

typedef struct leat_column {
    leat_type type;
    uint8_t *nulls; // one byte a row, 1 = NULL; NULL pointer: no row is NULL
    union {
        void *values;
        uint8_t *boolean;
        int64_t *i64;
        double *f64;
        leat_i128 *i128;
        leat_slice *text;
        leat_nested *nested;
    };
} leat_column;

// Numbers for the values of one column, given where the rows are made: equal values have equal numbers for as long as their
// dictionary lives, so that keyed operators look a key up by index. They hold for whatever batch shares the column's memory.
#define LEAT_VALUE_ID_NONE UINT32_MAX
typedef struct leat_value_ids {
    const uint32_t *ids;  // physically indexed; NULL: there are none; LEAT_VALUE_ID_NONE: this value has none
    const void *values;   // of the column that they number
    const uint8_t *nulls; // its; a NULL has a number too
    uint64_t dictionary;  // tells dictionaries apart
    uint32_t limit;       // every id is below
} leat_value_ids;

typedef struct leat_batch_pool leat_batch_pool;

typedef struct leat_batch {
    leat_element_kind kind;
    uint32_t count;            // physical rows
    uint32_t selected;         // rows that exist: == count when selection is NULL
    const uint16_t *selection; // NULL: all
    const leat_schema *schema;
    leat_column *columns; // schema->count
    int64_t *event_ms;    // NULL: rows have no event time
    uint8_t *row_kind;    // NULL: all +I
    uint64_t *cause;      // identity of what made the row, see cause.h; NULL only in tests
    int64_t *watermark;
    int64_t watermark_after;
    uint64_t barrier;
    leat_value_ids ids;
    leat_arena arena; // for columns and strings of this batch
    // -- private to batch.c
    atomic_uint references;
    struct leat_batch *parent;
    leat_batch_pool *pool;
    struct leat_batch *next;
} leat_batch;

// budget_bytes bounds what all batches of the pool may hold; get fails with NULL beyond it (the task then waits: backpressure).
LEAT_MUST_CHECK leat_code leat_batch_pool_create(leat_env *env, size_t budget_bytes, leat_batch_pool **out_pool,
                                                 leat_error *out_error);
void leat_batch_pool_destroy(leat_batch_pool *pool); // every batch must be back
uint32_t leat_batch_pool_in_use(const leat_batch_pool *pool);
// The owner's: bytes of batches that nobody has given back yet; and memory of those that wait is given up.
size_t leat_batch_pool_used_bytes(leat_batch_pool *pool);
void leat_batch_pool_trim(leat_batch_pool *pool);

// An empty ROWS batch: count 0, no columns. Never NULL for marks and derived ones: those may exceed the budget a little.
leat_batch *leat_batch_get(leat_batch_pool *pool);
// The same with columns of the schema, event_ms, cause allocated for `capacity` rows (<= LEAT_BATCH_ROWS), nulls cleared
// and present for every column, row_kind and watermark left NULL.
leat_batch *leat_batch_get_rows(leat_batch_pool *pool, const leat_schema *schema, uint32_t capacity);
// The same, never NULL: beyond its budget too. For results, and for rows in between that are given back at once.
leat_batch *leat_batch_get_rows_always(leat_batch_pool *pool, const leat_schema *schema, uint32_t capacity);
leat_batch *leat_batch_get_mark(leat_batch_pool *pool, leat_element_kind kind);
// Shares everything with the parent and holds a reference on it; columns array is a copy that may be changed.
leat_batch *leat_batch_derive(leat_batch_pool *pool, leat_batch *parent);
// The same for about `size` bytes of new columns: finds a batch whose memory has room for them.
leat_batch *leat_batch_derive_with(leat_batch_pool *pool, leat_batch *parent, size_t size);
leat_batch *leat_batch_ref(leat_batch *batch);
void leat_batch_unref(leat_batch *batch); // NULL allowed

// Allocates values (and nulls, cleared, when with_nulls) for `rows` rows in the batch's arena.
void leat_column_allocate(leat_batch *batch, leat_column *column, leat_type type, uint32_t rows, bool with_nulls);
static inline uint32_t leat_batch_row(const leat_batch *batch, uint32_t i) // i-th existing row -> physical index
{
    return batch->selection ? batch->selection[i] : i;
}
static inline bool leat_column_is_null(const leat_column *column, uint32_t row)
{
    return column->nulls && column->nulls[row];
}
static inline leat_row_kind leat_batch_kind(const leat_batch *batch, uint32_t row)
{
    return batch->row_kind ? (leat_row_kind)batch->row_kind[row] : LEAT_INSERT;
}
leat_value leat_column_value(const leat_column *column, uint32_t row);
// Copies a value into a column; strings and nested values are copied into `arena` (NULL: referred to, the caller knows why).
void leat_column_set(leat_column *column, uint32_t row, const leat_value *value, leat_arena *arena);
