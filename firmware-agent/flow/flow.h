// The running graph: a plan cut into tasks that step and never block, moved by worker threads or, in tests and the simulator, by hand.
//
// A task is a chain of operators without an exchange between them, called as plain functions. Its inputs are bounded rings, one for each
// producing task instance; a valve per operator port combines their watermarks (minimum over active channels, then over active ports), leaves idle
// ones out, and holds channels back while barriers align. A full ring stops its producer's step, up to the source task, which stops reading
// its journal or file: backpressure, never a drop.
//
// A source task pulls raw arrivals through the ports, decodes them into batches, assigns event time, causes and watermarks, and is where
// barriers enter the stream. A sink task (one per sink, fed by all its rules) encodes rows and hands them to the ports in order.
//
// Usage: create -> restore* -> start (or step by hand) -> barrier ... -> stop -> destroy. With workers == 0 nothing runs by itself: step
// runs every task until nothing more can be done, on the caller's thread, in an order that depends on nothing but the input.
//
// Threads: create, restore, start, stop, destroy, step: one thread. wake, barrier, measure: any thread. Ports are called from the
// worker that runs the task in question; calls for one source or one sink never overlap.
// Failure: a task that fails (budget, function's fail) reports once through ports->failed and stops; the agent restarts from the checkpoint.
#pragma once

#include "config/plan.h"
#include "drivers/sink.h"
#include "drivers/source.h"
#include "operators/core/operator.h"

typedef struct leat_flow leat_flow;

// One result as a sink task hands it over. Slices are borrowed for the call.
typedef struct leat_flow_result {
    uint32_t sink;
    const char *rule;   // name of the rule or source
    const char *output; // NULL: main
    leat_row_kind kind;
    uint64_t id;       // hash(gateway, rule uid, output, life (below), cause, ordinal)
    uint64_t sequence; // of the sink, from 1, without gaps; goes on after a restart
    int64_t event_ms;
    leat_slice topic;   // rendered
    leat_slice payload; // encoded
} leat_flow_result;

// What one task instance hands over at a barrier: its operators' changes. Implemented by the checkpoint side.
typedef struct leat_flow_part leat_flow_part;

typedef struct leat_flow_ports leat_flow_ports;
struct leat_flow_ports {
    // -- processing time in ms since 1970: kept across restarts, never goes back.
    int64_t (*now_ms)(leat_flow_ports *ports);
    // -- sources
    // The next arrival, borrowed until the next call for that source. LEAT_AGAIN: nothing now; *out_wait_ms: ask again then, -1: when woken.
    // LEAT_END: a bounded source is exhausted. Any other code is a fault.
    leat_code (*source_next)(leat_flow_ports *ports, uint32_t source, leat_raw *out_raw, int64_t *out_wait_ms,
                             leat_error *out_error);
    // The driver's ops when it decodes by itself (an opened decoder instance), else NULL: the plan's format is used.
    leat_source *(*source_decoder)(leat_flow_ports *ports, uint32_t source);
    // Called at a barrier, between two arrivals: remember the position for checkpoint `id`.
    void (*source_cut)(leat_flow_ports *ports, uint32_t source, uint64_t id);
    leat_drops *(*source_drops)(leat_flow_ports *ports, uint32_t source);
    // What the task has to say of its source, for logs and the status. Optional.
    void (*source_note)(leat_flow_ports *ports, uint32_t source, bool good, const char *text);
    leat_drops *(*rule_drops)(leat_flow_ports *ports, uint32_t rule);
    // Rows of the rule that a task has dropped between the last barrier and this one: with the state at the barrier, neither more nor less. Optional.
    void (*rule_drops_cut)(leat_flow_ports *ports, uint32_t rule, leat_drop_cause cause, uint64_t count);
    // -- sinks. LEAT_AGAIN: outbox full, try the same result again later.
    leat_code (*result)(leat_flow_ports *ports, const leat_flow_result *result, leat_error *out_error);
    // The sink's task has seen barrier `id`: everything handed over so far belongs to it.
    void (*sink_cut)(leat_flow_ports *ports, uint32_t sink, uint64_t id);
    // -- checkpoints. A snapshot to fill for operator `node`, instance `instance`; groups to write whole are set. Given back by part_done.
    leat_snapshot *(*part_begin)(leat_flow_ports *ports, uint64_t id, uint32_t node, uint32_t instance);
    void (*part_done)(leat_flow_ports *ports, uint64_t id, uint32_t node, uint32_t instance, leat_snapshot *snapshot);
    // All tasks have seen barrier `id` (or have ended): the cut is complete.
    void (*cut_done)(leat_flow_ports *ports, uint64_t id);
    // -- life
    void (*failed)(leat_flow_ports *ports, const leat_error *error);
    void (*finished)(leat_flow_ports *ports); // every task has ended: all sources were bounded
};

// Lives. A state directory may be made anew and a savepoint loaded twice, and what is taken in then lies at the same positions of two journals: each
// life's arrivals have a number of their own in their identity, and so have the results of rules that read such a source. All 0: of a release without.
typedef struct leat_flow_lineage {
    uint64_t incarnation; // of this life, random
    uint64_t previous;    // of the life that wrote the savepoint; 0: there was none
    uint64_t from; // journal positions from here on were taken in by this life; those before came with the savepoint
} leat_flow_lineage;

typedef struct leat_flow_setup {
    leat_env *env;
    const leat_plan *plan;
    leat_flow_ports *ports;
    uint32_t workers;    // threads; 0: stepped by hand (parallelism is then plan->agent->workers all the same)
    uint32_t batch_rows; // rows a batch at most; 0: LEAT_BATCH_ROWS (tests use 1)
    leat_flow_lineage lineage;
    bool clock_runs; // ports->now_ms is a real clock: see leat_operator_due_ms
} leat_flow_setup;

LEAT_MUST_CHECK leat_code leat_flow_create(const leat_flow_setup *setup, leat_flow **out_flow, leat_error *out_error);
// Sources' generators, valves and operators' watermarks are state of nodes too: the flow writes them with table numbers of its own
// (from LEAT_STATE_TABLES up) through the same parts, and takes them back here. With `savepoint` generators start anew.
LEAT_MUST_CHECK leat_code leat_flow_restore(leat_flow *flow, uint32_t node, uint8_t table, uint32_t group,
                                            leat_slice key, leat_slice value, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_flow_ready(leat_flow *flow, bool restored, bool savepoint, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_flow_start(leat_flow *flow, leat_error *out_error); // starts the workers
// Runs until nothing more can be done now (workers == 0). out_wait_ms: when a timer or source wants to run next, -1: only when woken.
LEAT_MUST_CHECK leat_code leat_flow_step(leat_flow *flow, int64_t *out_wait_ms, leat_error *out_error);
void leat_flow_wake_source(leat_flow *flow, uint32_t source); // there may be something to read; cheap, any thread
void leat_flow_wake_sink(leat_flow *flow, uint32_t sink);     // the outbox has room again
// Lets barrier `id` enter at every source task, at its next step. One at a time: the next after cut_done.
void leat_flow_barrier(leat_flow *flow, uint64_t id);
// While held, sources read no arrivals; barriers, timers and what is under way go on. batch_bytes: payload that a source reads at most between two looks
// at this (0: as much as a batch has rows), so that little is under way when it comes. Any thread.
void leat_flow_hold(leat_flow *flow, bool held);
void leat_flow_set_batch_bytes(leat_flow *flow, uint32_t batch_bytes);
// Sources end: no further arrivals are read. drain: MAX watermark is sent and everything fires; else the stream just stops.
void leat_flow_end_sources(leat_flow *flow, bool drain);
void leat_flow_stop(leat_flow *flow); // workers stop at their next step; joins them
void leat_flow_destroy(leat_flow *flow);

// -- figures, from any thread
typedef struct leat_flow_figures {
    uint64_t rows_in, rows_out, batches;
    int64_t watermark_ms; // LEAT_TIME_NONE: none yet
    bool idle;
    uint64_t state_bytes, state_keys;
    uint32_t ring_fill_percent; // fullest input ring
    uint64_t busy_ns;
    uint64_t
        future_rows;    // sources: from further in the future than the guard allows; the watermark did not follow them
    const char *holder; // whose watermark holds the minimum back; NULL
} leat_flow_figures;
void leat_flow_measure(const leat_flow *flow, uint32_t node, leat_flow_figures *out_figures); // summed over instances
uint32_t leat_flow_task_count(const leat_flow *flow);
// One line for explain and status: "task 2 (x2): window_time line_minutes/window_time-1 -> project ...".
void leat_flow_task_print(const leat_flow *flow, uint32_t task, leat_writer *out);
// Changes whenever a task passes the barrier under way, and whenever one that has not passed it handles or makes rows. The same over some seconds: the
// barrier does not come through, whatever others do that are done with it (a source that looks at its file, other rules).
uint64_t leat_flow_progress(const leat_flow *flow);
// What waits for what: the tasks that the barrier under way has not passed, and why. Cut off where it does not fit.
void leat_flow_waits(const leat_flow *flow, char *out_text, size_t size);
// Heartbeat of the workers for the watchdog: the lowest count of steps over the workers that are within one. The same value twice,
// some seconds apart, means a step that does not return; UINT64_MAX: all rest.
uint64_t leat_flow_heartbeat(const leat_flow *flow);
