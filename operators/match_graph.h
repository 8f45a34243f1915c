// The states and transitions that the stages of a pattern become, as in Flink's CEP: which rows a partial match takes, ignores, or
// passes on to the next state without a row.
//
// A state belongs to a stage; several states of a stage are the rounds of its loop. TAKE maps the row to the stage of the state it
// leaves. PROCEED costs no row: the row is tried in the target too. A partial match that reaches a STOP state is dropped.
//
// A group is built anew for each of its rounds. A group without an end has a state of its own between two rounds: it leads to the first stage
// of the group, and that one to what comes behind.
//
// Usage: compile once per operator. Ownership: arena. Failure: LEAT_E_INVALID for stages that make no pattern (the planner refuses them with a
// place), LEAT_E_LIMIT beyond LEAT_MATCH_STATES.
#pragma once

#include "operators/core/spec.h"

typedef enum pattern_action { PATTERN_TAKE, PATTERN_IGNORE, PATTERN_PROCEED } pattern_action;
typedef enum pattern_state_kind {
    PATTERN_NORMAL,
    PATTERN_START,
    PATTERN_FINAL,
    PATTERN_STOP,
    PATTERN_PENDING, // complete when its time has passed
} pattern_state_kind;

// What a transition asks of a row: a condition of the spec, or a combination.
typedef struct pattern_test pattern_test;
struct pattern_test {
    enum { PATTERN_TRUE, PATTERN_CONDITION, PATTERN_NOT, PATTERN_AND } kind;
    uint32_t condition;
    const pattern_test *left, *right;
};

typedef struct pattern_state pattern_state;
typedef struct pattern_transition {
    pattern_action action;
    const pattern_state *target;
    const pattern_test *test;
} pattern_transition;

struct pattern_state {
    uint32_t index;
    int32_t stage; // -1: the final state
    pattern_state_kind kind;
    int64_t within_ms; // how long a partial match may stay since its last row; 0: as long as the pattern lets it
    uint32_t transition_count, transition_room;
    pattern_transition *transitions;
};

typedef struct pattern_graph {
    uint32_t state_count;
    const pattern_state *const *states; // by index
    const pattern_state *start;
    bool has_within; // some state has within_ms
    bool has_groups; // rows of a match may be those of another one too, taken by the same stages
} pattern_graph;

LEAT_MUST_CHECK leat_code leat_pattern_compile(leat_arena *arena, const leat_match_spec *spec, pattern_graph *out_graph,
                                               leat_error *out_error);
