// The agent: a plan brought to life, with its logs, checkpoints, sources and sinks, recovered from whatever the last run left.
//
// Usage: create (recovers) -> run (returns when all is over) -> destroy. stop may be called from any thread while run waits.
//
// Threads: create, run, destroy: one. stop, measure: any. Failure: create fails when the state directory cannot be used or a driver's settings can never work;
// damage in it never fails create, it is told and counted.
#pragma once

#include "config/plan.h"
#include "firmware-agent/checkpoint/coordinator.h"
#include "firmware-agent/delivery.h"
#include "firmware-agent/feed.h"
#include "firmware-agent/flow/flow.h"
#include "firmware-agent/ledger.h"

typedef struct leat_agent leat_agent;

typedef enum leat_agent_end {
    LEAT_END_FINISHED,    // every source was bounded, everything is delivered
    LEAT_END_UNDELIVERED, // the same, but a receiver could not be reached in time; the next run delivers
    LEAT_END_STOPPED,     // asked to
    LEAT_END_NOT_SAVED, // asked to with a savepoint, which could not be written: create it again and it goes on where it was
    LEAT_END_FAILED, // a fault: start again, the last checkpoint restores
} leat_agent_end;

// Where the first run of a state directory begins; all of it 0: with nothing.
typedef struct leat_agent_start {
    const char *savepoint; // its directory; NULL: what the last run left
    bool fresh; // a checkpoint that lies in the state directory gives way to the savepoint; else LEAT_E_EXISTS
    bool
        allow_non_restored_state; // state that nothing in the plan takes is left behind; else LEAT_E_INVALID with its names
} leat_agent_start;

LEAT_MUST_CHECK leat_code leat_agent_create(leat_env *env, const leat_plan *plan, const leat_agent_start *start,
                                            leat_agent **out_agent, leat_error *out_error);
leat_agent_end leat_agent_run(leat_agent *agent, leat_error *out_error);
void leat_agent_stop(leat_agent *agent);
// The same, and a savepoint is written into `directory` when everything has come to rest. Fails at once, with nothing stopped, when files cannot be
// made there or another stop is under way; a later failure is LEAT_END_NOT_SAVED.
LEAT_MUST_CHECK leat_code leat_agent_stop_with_savepoint(leat_agent *agent, const char *directory,
                                                         leat_error *out_error);
// After run: what stop_with_savepoint wrote, NULL when there is none; out_error (may be NULL): why.
const char *leat_agent_savepoint(const leat_agent *agent, leat_error *out_error);
void leat_agent_destroy(leat_agent *agent);

// -- for the control side
const leat_plan *leat_agent_plan(const leat_agent *agent);
const leat_flow *leat_agent_flow(const leat_agent *agent);
const leat_feed *leat_agent_feed(const leat_agent *agent, uint32_t source);
const leat_delivery_line *leat_agent_line(const leat_agent *agent, uint32_t sink);
const leat_drops *leat_agent_rule_drops(const leat_agent *agent, uint32_t rule);
leat_ledger *leat_agent_ledger(leat_agent *agent);
int64_t leat_agent_now_ms(const leat_agent *agent);

enum { LEAT_AGENT_STALL_TEXT = 400 };

typedef struct leat_agent_figures {
    leat_coordinator_figures checkpoint;
    leat_log_stats journal; // zeroes without one
    uint64_t journal_bytes; // kept
    bool has_journal, journal_full;
    int64_t started_ms;
    size_t memory_bytes;
    uint64_t restored_id;
    uint64_t restored_entries;
    int64_t restored_us;
    bool running;                        // tasks run; false while starting or stopping
    bool held;                           // sources are not read: an outbox or the disk has no room
    char stalled[LEAT_AGENT_STALL_TEXT]; // what waits for what while a barrier does not come through; empty: it does
} leat_agent_figures;
void leat_agent_measure(const leat_agent *agent, leat_agent_figures *out_figures);
