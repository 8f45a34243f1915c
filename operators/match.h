// The parts of the match operator: what they share. Only for operators/match*.c.
//
//   match.c        the operator: rows held back, keys that are due, snapshots
//   match_rows.c   rows that wait in the order in which they came
//   match_due.c    what is due, in order, key by key
//   match_key.c    what rows and time make of a key
//   match_value.c  what conditions and measures read from the rows of a match
//
// The automaton knows nothing of them: match_nfa.c with match_graph.c, match_skip.c, match_line.c, match_buffer.c, match_queue.c, match_timers.c,
// and match_store.c for its stored form.
#pragma once

#include "operators/core/cause.h"
#include "operators/core/emitter.h"
#include "operators/core/key.h"
#include "operators/expr/aggregate.h"
#include "operators/match_compare.h"
#include "operators/match_nfa.h"
#include "operators/match_rows.h"
#include "operators/state/alarm.h"

enum { LEAT_MATCH_OUTPUTS = 3 };
#define MATCH_MARK_LIVE (1u << 31) // the key has partial matches

// The payload of a slot that has partial matches.
typedef struct leat_match_key {
    pattern_key pattern;
} leat_match_key;

// A row or an alarm that is due.
typedef struct leat_match_due {
    match_row
        row; // of an alarm: slot and time, and as its number the hash of the key, so that a restart changes nothing
    leat_held_row *held; // that the row is; NULL: another, or an alarm
    const leat_value *order;
    const struct leat_match *m; // while they are sorted
    uint32_t next;              // of the same key: index + 1; 0: the last one
    bool is_alarm;
} leat_match_due;

typedef struct leat_match_list {
    leat_match_due *items;
    uint32_t count, room, alarms;
    bool repeats; // some key has several rows
} leat_match_list;

typedef struct leat_match {
    leat_operator base; // first
    const leat_match_spec *spec;
    leat_schema kept; // columns that are kept with a row
    leat_type *types; // theirs
    bool *is_number;  // whether they are 64 bits of a number
    leat_emitter emitters[LEAT_MATCH_OUTPUTS];
    int timeout_output, late_output; // indexes, -1: none
    // -- state
    leat_keys *keys;
    uint32_t keys_left; // after those of which nothing was left had been given back
    match_rows rows;
    bool rows_fit;
    uint64_t begin_mask; // simple conditions of which a row has to fit one to begin a match; 0: not known
    leat_held held;      // rows behind later ones
    leat_panes panes;
    leat_pane *pane;
    leat_alarms alarms;
    pattern_nfa nfa;
    // -- what is due
    leat_match_list due;
    uint32_t *marks; // by slot: MATCH_MARK_LIVE, and the last one in `due` of the key, index + 1
    int64_t
        *alarm_ms; // by slot: when its alarm goes off; INT64_MAX: it has none. It outlives the key's partial matches
    uint32_t mark_room;
    // -- time
    int64_t watermark_ms;
    int64_t asked_ms; // of wake_at
    // -- the batch at hand
    uint32_t *slots;
    uint64_t *masks; // by physical row: which simple conditions it fits
    const int64_t *times;
    const uint8_t *time_nulls;
    // -- the row at hand
    uint32_t slot;
    const match_row *row;
    leat_value *row_values; // its kept columns, read when a condition asks
    bool row_decoded;
    uint64_t bad_rows; // conditions or measures that could not be evaluated
    // -- evaluation
    leat_eval batch_eval, row_eval;
    match_compares *compares; // by condition: none: it is its program
    leat_value *values;       // spec->value_count: input 1 of conditions and measures
    leat_value *results, *key_values;
    leat_arena scratch, row_scratch;
    const uint8_t *row_scratch_empty; // its cursor when nothing is in it
    leat_writer writer;
} leat_match;

// Rows of one millisecond of the clock are sorted: they wait until it is over.
static inline bool leat_match_sorts(const leat_match *m) { return m->spec->time_column < 0 && m->spec->order_count; }

// match_key.c
leat_code leat_match_no_budget(const leat_match *m, leat_error *out_error);
leat_match_key *leat_match_key_find(const leat_match *m, uint32_t slot); // NULL: it has no partial matches
LEAT_MUST_CHECK bool leat_match_reserve_marks(leat_match *m);            // for all slots that there are
void leat_match_free_marks(leat_match *m);
// Between batches: slots of the batch at hand may have rows that wait.
void leat_match_release_idle(leat_match *m);
void leat_match_release_many(leat_match *m); // when there are many, or memory is scarce
// One key after another: rows and times in order, then the end. m->slot is the key's; *inout_key NULL: it has no partial matches.
LEAT_MUST_CHECK bool leat_match_handle_row(leat_match *m, leat_match_key **inout_key, const match_row *row);
LEAT_MUST_CHECK bool leat_match_advance_key(leat_match *m, leat_match_key *key, int64_t time_ms);
LEAT_MUST_CHECK bool leat_match_end_key(leat_match *m, leat_match_key *key, uint32_t slot, int64_t now_ms);
int64_t leat_match_alarm_of(const leat_match *m, const leat_match_key *key);
LEAT_MUST_CHECK bool leat_match_set_alarm(leat_match *m, leat_match_key *key, uint32_t slot);

// match_due.c
void leat_match_forward(leat_match *m, int64_t watermark_ms);
LEAT_MUST_CHECK leat_code leat_match_run_due(leat_match *m, int64_t until_ms, int64_t watermark_before_ms,
                                             leat_error *out_error);

// match_value.c
LEAT_MUST_CHECK leat_code leat_match_open_values(leat_match *m, leat_error *out_error);
void leat_match_close_values(leat_match *m);
// Which simple conditions the rows of a batch fit, into m->masks.
void leat_match_masks(leat_match *m, const leat_batch *batch);
bool leat_match_test(pattern_nfa *nfa, uint32_t condition, const pattern_run *run);
void leat_match_found(pattern_nfa *nfa, uint32_t count, int64_t time_ms, const pattern_run *run, bool timeout);
void leat_match_skipped(pattern_nfa *nfa);
const leat_value *leat_match_row_values(pattern_nfa *nfa);
leat_slice leat_match_row_bytes(pattern_nfa *nfa); // the row at hand, encoded; until the next call
