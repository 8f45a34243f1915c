// Rows kept by key: what a join remembers of one of its inputs. For each slot a list of rows, in order of arrival or of their time.
//
// A row is its stored form (the operator's bytes) with what operators ask most: its time, where it came from, how often it is
// there, and how many rows of the other input it met. Rows are found again by their identity: the first `identity` bytes.
//
// Where rows are found again, lists that are long are indexed (leat_rows_init, state/row_index.h).
//
// Usage: init, restore*, then add, walk (first, next), find, change, remove; snapshot; fini. A row that was changed in place is told by
// leat_rows_change. Ownership: memory from the budget; a row is valid until it is removed. Threads: the operator's.
// Failure: NULL when the budget refuses; nothing has changed then.
//
// The stored form, one entry a row:
//   key:   u64 big-endian number (of arrival), the key's bytes
//   value: u8 version 1, signed varint time, signed varint expiry, u64 cause, u8 kind, varint copies, signed varint matches,
//          varint size of the identity, the bytes
#pragma once

#include "operators/core/key.h"
#include "operators/core/operator.h"
#include "operators/state/pane.h"
#include "operators/state/removal.h"
#include "operators/state/row_index.h"

typedef struct leat_kept_row leat_kept_row;
struct leat_kept_row {
    leat_kept_row *next, *previous;
    int64_t time_ms;
    int64_t expiry_ms; // processing time; LEAT_TIME_MAX: never
    uint64_t number, cause, hash;
    uint32_t size, identity; // of bytes; of those at their beginning by which the row is found
    uint32_t copies;
    int32_t matches;
    uint8_t kind;
    bool stored, changed; // a snapshot holds it; not as it is now
    char bytes[];
};

typedef struct leat_rows {
    leat_budget *budget;
    const leat_keys *keys;
    bool by_time; // else by arrival
    uint64_t next_number;
    leat_panes panes;
    leat_pane *pane;
    leat_removals removals;
    leat_writer scratch;
    uint32_t sweep_slot;
    size_t memory; // of rows, spare ones too
    bool finds;    // long lists are indexed
    leat_row_index index;
    leat_kept_row *spare; // given back: rows of a schema are often of one size, and where some go others come
    uint32_t spare_count;
} leat_rows;

typedef struct leat_rows_list { // payload of a slot's entry, whose word counts rows and changed ones (rows.c)
    leat_kept_row *first, *last;
} leat_rows_list;

// finds: leat_rows_find will be asked. A table of long lists without it has no index, and finds rows slowly.
LEAT_MUST_CHECK bool leat_rows_init(leat_rows *rows, leat_budget *budget, leat_env *env, const leat_keys *keys,
                                    bool by_time, bool finds);
// Called for each row i of a batch: fetches the lists of rows further on, and the first row of each.
void leat_rows_prefetch(const leat_rows *rows, const uint32_t *slots, uint32_t i, uint32_t count);
void leat_rows_fini(leat_rows *rows); // also of zeroes
// One copy, no matches, kind INSERT, without expiry and cause; the caller sets what it needs before the next snapshot.
LEAT_MUST_CHECK leat_kept_row *leat_rows_add(leat_rows *rows, uint32_t slot, int64_t time_ms, leat_slice bytes,
                                             size_t identity);
static inline leat_kept_row *leat_rows_first(const leat_rows *rows, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_find(&rows->panes, rows->pane, slot);
    return entry ? ((leat_rows_list *)leat_pane_payload(entry))->first : NULL;
}
leat_kept_row *leat_rows_find(const leat_rows *rows, uint32_t slot, leat_slice identity); // NULL: none
static inline leat_slice leat_kept_row_identity(const leat_kept_row *row)
{
    return leat_slice_of(row->bytes, row->identity);
}
void leat_rows_change(leat_rows *rows, uint32_t slot, leat_kept_row *row);
void leat_rows_remove(leat_rows *rows, uint32_t slot, leat_kept_row *row);
static inline bool leat_rows_any(const leat_rows *rows, uint32_t slot) { return leat_rows_first(rows, slot) != NULL; }
// Looks at up to `steps` slots, onwards from the last one, and takes out what has expired. Returns a slot that lost its last row, to
// be called again, or LEAT_SLOT_NONE when the steps are used up.
uint32_t leat_rows_sweep(leat_rows *rows, int64_t now_ms, uint32_t *inout_steps);
static inline bool leat_rows_failed(const leat_rows *rows) { return rows->removals.log.failed; } // a removal is lost
void leat_rows_snapshot(leat_rows *rows, leat_snapshot *snapshot, uint8_t table);
// Splits a stored key; false when damaged.
bool leat_rows_key(leat_slice stored, uint64_t *out_number, leat_slice *out_key);
// The row's bytes in its stored form and the size of its identity; false: damaged.
bool leat_rows_stored_bytes(leat_slice value, leat_slice *out_bytes, uint32_t *out_identity);
LEAT_MUST_CHECK leat_code leat_rows_restore(leat_rows *rows, uint32_t slot, uint64_t number, leat_slice value,
                                            leat_error *out_error);
// What was restored has not changed; called once, after all of it.
void leat_rows_ready(leat_rows *rows);
size_t leat_rows_memory(const leat_rows *rows);
