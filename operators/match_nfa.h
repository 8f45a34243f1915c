// The automaton: partial matches of a key, and what a row or the time makes of them, in exactly the order of Flink's NFA.
//
// A run is a partial match: the state it is in, the last node it took, the version of its way. A key has one run in the start
// state, always; each row makes of every run its followers. Complete ones wait in `done` while the rule for what follows a match has to hear of a
// run that began earlier. Both lie in binary heaps by first row, with the very steps of Java's PriorityQueue, because runs are gone through
// as they lie there, and the order of results follows from it.
//
// Usage: init; then per row leat_pattern_row, per time leat_pattern_advance; matches come through `found` meanwhile, their nodes in nfa->work
// (last first). Ownership: keys are the operator's; their memory is the budget's until leat_pattern_clear.
// Threads: the operator's. Failure: false when the budget refuses; the key is then fit only for leat_pattern_clear.
#pragma once

#include "operators/match_line.h"
#include "operators/match_queue.h"
#include "operators/match_timers.h"

typedef struct pattern_key {
    pattern_queue runs, done;
    pattern_buffer buffer;
    int64_t last_ms;   // time of the last row that was taken
    int64_t newest_ms; // no row that was taken is later; not stored
    uint32_t next_id;
    int64_t timer_ms;       // when to look at the time without a row; INT64_MAX: never
    pattern_timers *timers; // all of them, where has_timers
} pattern_key;

typedef struct pattern_way {
    const pattern_transition *transition;
    const pattern_state *source;
} pattern_way;

typedef struct pattern_nfa pattern_nfa;
struct pattern_nfa {
    leat_budget *budget;
    const leat_match_spec *spec;
    pattern_graph graph;
    const leat_type *types; // of the kept columns
    // Whether the row at hand fits a condition, for a run (its rows so far: pattern_path).
    bool (*test)(pattern_nfa *nfa, uint32_t condition, const pattern_run *run);
    // A match, or a partial match that timed out: `count` nodes in work.steps, last first.
    void (*found)(pattern_nfa *nfa, uint32_t count, int64_t time_ms, const pattern_run *run, bool timeout);
    void (*skipped)(pattern_nfa *nfa); // a match that may not be: spec->skip_strict
    leat_slice (*row)(
        pattern_nfa *nfa); // the kept columns of the row at hand, encoded: asked for when a stage takes it
    void *context;
    const leat_value *(*values)(pattern_nfa *nfa); // the same as they are
    pattern_work work;
    bool has_timers; // timers of rows whose partial match has ended matter: match_timers.h
    bool is_line;    // runs hold lists of rows (match_line.h) and no versions
    line_pool pool;
    uint64_t mask;  // of the row at hand: which simple conditions it fits, set by the owner
    bool new_start; // a run has begun whose end wants a timer
    // -- private: the row at hand
    pattern_key *key;
    int64_t time_ms;
    uint64_t cause;
    pattern_event *event;
    pattern_queue next, complete, made;
    pattern_way *ways;
    uint32_t way_count, way_room;
    uint32_t takes, ignores;
    const pattern_state **stack;
    uint32_t stack_room;
    uint32_t *stamps; // by condition
    bool *answers;
    uint32_t stamp, row_stamp;
};

LEAT_MUST_CHECK leat_code leat_pattern_init(pattern_nfa *nfa, const leat_match_spec *spec, const leat_type *types,
                                            leat_arena *arena, leat_budget *budget, leat_error *out_error);
void leat_pattern_fini(pattern_nfa *nfa); // also of zeroes
LEAT_MUST_CHECK bool leat_pattern_begin_key(pattern_nfa *nfa, pattern_key *key);
// Nothing but the start state is left: the key may be forgotten when its timers may be, too.
static inline bool leat_pattern_is_idle(const pattern_key *key)
{
    return key->runs.count <= 1 && !key->done.count && !key->buffer.first;
}
void leat_pattern_clear(pattern_nfa *nfa, pattern_key *key);
// The rows of a run, last first, in work.steps; returns how many. UINT32_MAX without memory.
uint32_t leat_pattern_path(pattern_nfa *nfa, const pattern_run *run);
LEAT_MUST_CHECK bool leat_pattern_row(pattern_nfa *nfa, pattern_key *key, int64_t time_ms, uint64_t cause);
// Runs that have lasted too long go; those that only waited for it are complete.
LEAT_MUST_CHECK bool leat_pattern_advance(pattern_nfa *nfa, pattern_key *key, int64_t time_ms);
// Whether a row takes a key without runs anywhere: most rows do not, and cost no memory then.
LEAT_MUST_CHECK bool leat_pattern_begins(pattern_nfa *nfa, bool *out_begins);
// The simple conditions of which a row has to fit one to begin a match; 0: it is not that simple.
uint64_t leat_pattern_begin_mask(const pattern_nfa *nfa);
// After a row: until new_start is taken back each row sets a timer, as in Flink.
LEAT_MUST_CHECK bool leat_pattern_set_timer(pattern_nfa *nfa, pattern_key *key, int64_t time_ms);
// To a key that is idle and has some: by the clock one matters to what begins in its millisecond or in the next one.
int64_t leat_pattern_timers_matter_until(const pattern_nfa *nfa, const pattern_key *key);
void leat_pattern_pass_timers(const pattern_nfa *nfa, pattern_key *key, int64_t until_ms); // they have gone off

// -- between match_nfa.c and match_skip.c

void leat_pattern_drop(pattern_nfa *nfa, pattern_key *key, pattern_run *run); // of what has failed: only its memory
LEAT_MUST_CHECK bool leat_pattern_give_up(pattern_nfa *nfa, pattern_key *key, pattern_run *run); // its rows too
// Complete runs go out, in nfa->complete and among those that wait, but for those before which one of `partial` may come.
LEAT_MUST_CHECK bool leat_pattern_give_matches(pattern_nfa *nfa, pattern_key *key, pattern_queue *partial,
                                               int64_t time_ms);
