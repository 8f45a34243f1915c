// Rows of partial matches that never branch: stages of one row each, of which the next follows directly or with rows between that do not fit. Such a
// partial match goes on in one way or ends, so its rows are a list of its own, and nothing of the shared buffer is needed: no versions, no edges, no
// locks. What a row makes of it, and in which order, is as in match_nfa.h.
//
// A node's `next` is the node taken before it; a row counts the nodes that hold it (`pins`). Both are kept for use again, with their memory.
//
// Usage: take a row for a run, path for its rows, free what ends. Ownership: memory from the budget; a run owns its nodes.
// Threads: the operator's. Failure: NULL or false when the budget refuses.
#pragma once

#include "operators/match_buffer.h"
#include "operators/match_graph.h"

struct pattern_run;
typedef struct line_room line_room; // for the runs of a key, while no key has it
struct line_room {
    line_room *next;
};

typedef struct line_pool {
    leat_budget *budget;
    line_room *rooms;
    uint32_t room_count;
    uint32_t value_count; // of a row
    bool has_texts;       // among them
    pattern_node *nodes;  // by `next`
    pattern_event *events;
    uint32_t node_count, event_count;
} line_pool;

// Whether a pattern is such a one.
bool leat_line_fits(const leat_match_spec *spec, const leat_type *types);
void leat_line_pool_fini(line_pool *pool); // also of zeroes
// A row with a hold; texts of `values` are copied.
pattern_event *leat_line_event(line_pool *pool, const leat_type *types, const leat_value *values, int64_t time_ms,
                               uint32_t id, uint64_t cause);
void leat_line_unhold(line_pool *pool, pattern_event *event);
pattern_node *leat_line_take(line_pool *pool, pattern_event *event, uint32_t stage, pattern_node *before);
void leat_line_free(line_pool *pool, pattern_node *last); // NULL allowed
// Room for the first runs of a key.
LEAT_MUST_CHECK bool leat_line_room(line_pool *pool, struct pattern_run **out_runs, uint32_t *out_room);
bool leat_line_keep_room(line_pool *pool, struct pattern_run *runs, uint32_t room); // false: it is not of that size
// Nodes of a run, last first, in work->steps; returns how many. UINT32_MAX without memory.
uint32_t leat_line_path(pattern_work *work, const pattern_node *last);
