// The rows of partial matches, each kept once however many partial matches hold it, and the ways through them: the shared buffer of
// Flink's CEP (J. Agrawal, Y. Diao, D. Gyllstrom, N. Immerman, "Efficient Pattern Matching over Event Streams", 2008).
//
// An event is a row; a node is an event taken by a stage; an edge leads from a node to the node taken before it. Edges carry a version
// (a Dewey number), and a partial match with a version walks the edges that its version descends from. Versions are lists that share their
// beginnings, so that a loop of n rows costs n digits and not n * n.
//
// Counts: `locks` are those of the algorithm: partial matches and edges hold a node, nodes hold an event; what has none left leaves the
// buffer. `pins` count pointers, so that nothing is freed while something still points to it.
//
// Usage: one buffer per key; event, take, lock, release as the automaton goes. Ownership: memory from the budget; all goes with
// pattern_buffer_clear. Threads: the operator's. Failure: NULL when the budget refuses.
#pragma once

#include "operators/core/budget.h"
#include "operators/core/type.h"

// -- versions

typedef struct pattern_version pattern_version;
struct pattern_version {
    pattern_version *parent; // without the last digit; NULL: one digit
    uint32_t references, length;
    uint32_t first, digit; // the first one, the last one
    uint32_t number;       // while it is stored
};

pattern_version *pattern_version_new(leat_budget *budget, pattern_version *parent, uint32_t digit); // with a reference
pattern_version *pattern_version_ref(pattern_version *version);
void pattern_version_unref(leat_budget *budget, pattern_version *version); // NULL allowed
// The last digit raised; the same version with a reference more when times is 0.
pattern_version *pattern_version_raise(leat_budget *budget, pattern_version *version, uint32_t times);
// Whether `other` begins `version`, or differs from it only in a lower last digit.
bool pattern_version_descends(const pattern_version *version, const pattern_version *other);

// -- rows

typedef struct pattern_event pattern_event;
typedef struct pattern_node pattern_node;

typedef struct pattern_edge {
    pattern_node *target; // NULL: the first row
    pattern_version *version;
    uint32_t locks;
} pattern_edge;

struct pattern_node {
    pattern_event *event;
    pattern_node *next; // of the event
    pattern_edge *edges;
    uint32_t edge_count, edge_room;
    uint32_t stage;
    uint32_t locks, pins;
    bool present;    // in the buffer; else only pinned
    uint32_t number; // while it is stored
};

struct pattern_event {
    pattern_event *next, *before; // of the buffer
    pattern_node *nodes;
    int64_t time_ms;
    uint64_t cause;
    uint32_t id;                // among rows of equal time
    uint32_t locks, pins;       // pins: nodes
    uint32_t size, value_count; // encoded bytes, behind the values
    bool nested;                // values of nested types are decoded when they are read
    leat_value values[];
};

typedef struct pattern_buffer {
    pattern_event *first, *last;
} pattern_buffer;

// An event with a lock; `row` holds the encoded kept columns, which are copied.
pattern_event *pattern_event_new(leat_budget *budget, pattern_buffer *buffer, const leat_type *types, uint32_t count,
                                 leat_slice row, int64_t time_ms, uint32_t id, uint64_t cause);
leat_slice pattern_event_row(const pattern_event *event);
// A kept column; a nested one into the arena.
leat_value pattern_event_value(const pattern_event *event, const leat_type *types, uint32_t column, leat_arena *arena);
void pattern_event_release(leat_budget *budget, pattern_buffer *buffer, pattern_event *event);
// The event is taken by the stage after `before` (NULL: it is the first).
pattern_node *pattern_take(leat_budget *budget, pattern_event *event, uint32_t stage, pattern_node *before,
                           pattern_version *version);
void pattern_lock(pattern_node *node, const pattern_version *version);
// work: room that lasts between calls. False without memory.
typedef struct pattern_work {
    leat_budget *budget;
    struct pattern_step {
        pattern_node *node;
        pattern_version *version;
    } * steps;
    uint32_t room;
} pattern_work;
void pattern_work_fini(pattern_work *work);
LEAT_MUST_CHECK bool pattern_work_room(pattern_work *work, uint32_t count); // for one step more than `count`
LEAT_MUST_CHECK bool pattern_release(leat_budget *budget, pattern_buffer *buffer, pattern_work *work,
                                     pattern_node *node, pattern_version *version);
void pattern_unpin(leat_budget *budget, pattern_buffer *buffer, pattern_node *node);
// Nodes of the partial match that ends in `node`, last first; returns how many are in work->steps. UINT32_MAX without memory.
uint32_t pattern_path(pattern_work *work, const pattern_node *node, const pattern_version *version);
void pattern_buffer_clear(leat_budget *budget, pattern_buffer *buffer);
