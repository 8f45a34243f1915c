// Runs in a binary heap by first row, with the very steps of Java's PriorityQueue: runs are gone through as they lie in it, and the order of results
// follows from that.
//
// Usage: zeroes are an empty queue. Ownership: memory from the budget until pattern_queue_free; what runs point to is the automaton's.
// Threads: the operator's. Failure: false when the budget refuses; nothing has changed then.
#pragma once

#include "operators/match_buffer.h"
#include "operators/match_graph.h"

typedef struct pattern_run {
    const pattern_state *state;
    pattern_node *entry;      // the last row taken; NULL in the start state
    pattern_version *version; // with a reference
    int64_t start_ms;         // -1 in the start state
    int64_t first_ms;         // first row; LEAT_TIME_MAX and UINT32_MAX: none yet
    uint32_t first_id;
} pattern_run;

typedef struct pattern_queue {
    pattern_run *runs;
    uint32_t count, room;
} pattern_queue;

int pattern_run_compare(const pattern_run *a, const pattern_run *b);
LEAT_MUST_CHECK bool pattern_queue_grow(leat_budget *budget, pattern_queue *queue);
LEAT_MUST_CHECK bool pattern_queue_room(leat_budget *budget, pattern_queue *queue); // for one more
LEAT_MUST_CHECK bool pattern_queue_push(leat_budget *budget, pattern_queue *queue, pattern_run run);
pattern_run pattern_queue_pop(pattern_queue *queue); // the first one; there is one
void pattern_queue_heapify(pattern_queue *queue);    // after runs were taken out
void pattern_queue_free(leat_budget *budget, pattern_queue *queue);
// Takes over the runs of `from`, which is left empty.
LEAT_MUST_CHECK bool pattern_queue_move(leat_budget *budget, pattern_queue *to, pattern_queue *from);
