// The stored form of a key's partial matches: everything that match_nfa.h and match_buffer.h hold of it, in one value.
//
//   u8 version 1, signed varint time and varint number of the last row taken, u8 1 and signed varint timer, or u8 0
//   varint versions, each: varint its parent's number (0: none), varint digit; numbers count from 1, a parent comes before
//   varint rows, each: signed varint time, varint number, varint locks, u64 cause, sized kept columns,
//     varint nodes, each: varint stage, varint locks, u8 present, varint edges, each: varint node (0: none), varint version, varint locks
//   twice (partial, complete): varint runs as they lie in their heap, each: varint state, varint node (0: the start state), varint version,
//     and for all but the start state: signed varint first time, varint first number
//
// Where stages have times of their own, and by the clock with a time for the whole, it is version 3, and all timers that matter (match_timers.h) stand in the place of one:
// varint how many, each signed varint, by the clock above 0, rising.
//
// Of a pattern without branches (match_line.h), which has no times of stages:
//
//   u8 version 2, by the clock with a time for the whole version 4; time, number and timer or timers as above
//   varint rows, each: signed varint time, varint number, u64 cause, the kept columns
//   twice (partial, complete): varint runs as they lie in their heap, each: varint state, varint rows, last first, each: varint stage, varint row
//
// Nodes are numbered from 1 in the order in which they are stored, versions too.
#pragma once

#include "operators/match_nfa.h"

void leat_pattern_store(pattern_nfa *nfa, pattern_key *key, leat_arena *scratch, leat_writer *out);
// Into a key of zeroes. After a failure the key is fit for leat_pattern_clear.
LEAT_MUST_CHECK leat_code leat_pattern_restore(pattern_nfa *nfa, pattern_key *key, leat_slice value,
                                               leat_arena *scratch, leat_error *out_error);
