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
    LEAT_END_FAILED,      // a fault: start again, the last checkpoint restores
} leat_agent_end;

LEAT_MUST_CHECK leat_code leat_agent_create(leat_env *env, const leat_plan *plan, leat_agent **out_agent,
                                            leat_error *out_error);
leat_agent_end leat_agent_run(leat_agent *agent, leat_error *out_error);
void leat_agent_stop(leat_agent *agent);
void leat_agent_destroy(leat_agent *agent);

// -- for the control side
const leat_plan *leat_agent_plan(const leat_agent *agent);
const leat_flow *leat_agent_flow(const leat_agent *agent);
const leat_feed *leat_agent_feed(const leat_agent *agent, uint32_t source);
const leat_delivery_line *leat_agent_line(const leat_agent *agent, uint32_t sink);
const leat_drops *leat_agent_rule_drops(const leat_agent *agent, uint32_t rule);
leat_ledger *leat_agent_ledger(leat_agent *agent);
int64_t leat_agent_now_ms(const leat_agent *agent);

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
    bool running; // tasks run; false while starting or stopping
} leat_agent_figures;
void leat_agent_measure(const leat_agent *agent, leat_agent_figures *out_figures);
