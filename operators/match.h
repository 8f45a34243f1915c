// The parts of the match operator: what they share. Only for operators/match*.c.
//
//   match.c        the operator: rows held back, keys that are due, snapshots
//   match_value.c  what conditions and measures read from the rows of a match
#pragma once

#include "operators/core/cause.h"
#include "operators/core/emitter.h"
#include "operators/core/key.h"
#include "operators/expr/aggregate.h"
#include "operators/match_nfa.h"
#include "operators/state/alarm.h"
#include "operators/state/held.h"

enum { LEAT_MATCH_OUTPUTS = 3 };

// The payload of a slot that has partial matches.
typedef struct leat_match_key {
    pattern_key pattern;
    int64_t alarm_ms; // of its first alarm; INT64_MAX: none
} leat_match_key;

typedef struct leat_match {
    leat_operator base; // first
    const leat_match_spec *spec;
    leat_schema kept; // columns that are kept with a row
    leat_type *types; // theirs
    leat_emitter emitters[LEAT_MATCH_OUTPUTS];
    int timeout_output, late_output; // indexes, -1: none
    // -- state
    leat_keys *keys;
    leat_held held;
    leat_panes panes;
    leat_pane *pane;
    leat_alarms alarms;
    pattern_nfa nfa;
    uint32_t *idle; // slots of which nothing may be left
    uint32_t idle_count, idle_room;
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
    uint64_t mask;
    leat_slice row;         // its kept columns, encoded
    leat_value *row_values; // decoded when a condition asks
    bool row_decoded;
    uint64_t bad_rows; // conditions or measures that could not be evaluated
    // -- evaluation
    leat_eval batch_eval, row_eval;
    leat_value *values; // spec->value_count: input 1 of conditions and measures
    leat_value *results, *key_values;
    leat_arena scratch, row_scratch;
    leat_writer writer;
} leat_match;

// match_value.c
LEAT_MUST_CHECK leat_code leat_match_open_values(leat_match *m, leat_error *out_error);
void leat_match_close_values(leat_match *m);
// Which simple conditions the rows of a batch fit, into m->masks.
void leat_match_masks(leat_match *m, const leat_batch *batch);
bool leat_match_test(pattern_nfa *nfa, uint32_t condition, const pattern_run *run);
void leat_match_found(pattern_nfa *nfa, uint32_t count, int64_t time_ms, const pattern_run *late);
void leat_match_skipped(pattern_nfa *nfa);
