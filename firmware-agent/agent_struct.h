// The agent's own parts, for its own files: nobody else includes this.
//
//   agent.c           life: create, run, stop, destroy; figures
//   agent_state.c     the state directory
//   agent_life.c      which life of it this is
//   agent_recovery.c  what the last checkpoint says
//   agent_parts.c     journal, feeds, delivery lines, flow
//   agent_ports.c     what the flow asks for
//   agent_round.c     what the coordinator asks for
//   agent_hold.c      when sources are held back, and what waits for what
#pragma once

#include <pthread.h>

#include "firmware-agent/agent.h"
#include "firmware-agent/clock.h"
#include "firmware-agent/savepoint.h"

enum {
    LEAT_AGENT_SYNC_WAIT_MS = 120000, // a journal or outbox that takes longer to sync is a fault
    LEAT_AGENT_POSITION_MAX = 512,
    // A node's own description among its entries: what a checkpoint of another plan is told by. Behind the flow's own tables.
    LEAT_AGENT_TABLE_NODE = 31,
};

// A source's position at the barrier of the round.
typedef struct agent_source_cut {
    uint8_t bytes[LEAT_AGENT_POSITION_MAX];
    uint32_t size;
    uint64_t journal_end;
} agent_source_cut;

// Where logs have to reach back to for one retained checkpoint.
typedef struct agent_retained_cut {
    uint64_t journal;
    uint64_t *outboxes;
} agent_retained_cut;

// What the restored checkpoint says; filled before the parts are built.
typedef struct agent_recovered {
    leat_slice *source_positions; // data NULL: none
    uint64_t *outbox_cuts;        // UINT64_MAX: none
    leat_cursor *cursors;
    uint64_t journal_end;
    leat_flow_lineage lineage;
    bool from_savepoint; // and no checkpoint since
    bool any;
} agent_recovered;

// State in the checkpoint that belongs to no node of the plan: of a rule that is gone or computes something else now.
typedef struct agent_lost_state {
    struct agent_lost_state *next;
    uint64_t identity;
    uint32_t number;
    uint64_t entries;
    const char *uid, *rule, *kind; // NULL: written by a release that did not describe its nodes
} agent_lost_state;

struct leat_agent {
    leat_flow_ports ports; // first: the flow gets it
    leat_env *env;
    const leat_plan *plan;
    leat_agent_start start;
    leat_arena arena;
    leat_clock clock;
    leat_ledger ledger;
    leat_store *store;
    leat_store_opened opened;
    leat_store_restored restored;
    leat_log_writer *writer;
    leat_log *journal;
    leat_feed **feeds;
    leat_delivery_line **lines;
    leat_drops *rule_drops;
    leat_drops *rule_lost, *source_lost; // of cuts, on their way to the ledger
    leat_drops *source_seen;             // drops of the feeds at their last cut
    leat_flow *flow;
    leat_coordinator *coordinator;
    uint32_t *operator_numbers; // per node
    uint32_t *node_of_number;
    uint32_t number_max;
    bool *described; // per node: the checkpoints have its description
    agent_lost_state *lost;
    agent_recovered recovered;
    bool built;
    bool begins_anew; // the last run had finished
    // -- the round; written by tasks before cut_done, read by the checkpoint thread after it
    agent_source_cut *source_cuts;
    uint64_t *sink_cuts;
    uint64_t manifest_hash, cursor_hash;
    int64_t cursor_saved_ms;
    _Atomic bool ending;
    agent_retained_cut *retained;
    uint32_t retained_count, retained_next;
    // -- intake; hold_lock orders the decision and its effect
    pthread_mutex_t hold_lock;
    _Atomic bool held, tight, checkpoint_full;
    uint64_t stall_progress; // of the flow, at the last look; the checkpoint thread's
    int64_t stall_seen_ms;
    char stalled[LEAT_AGENT_STALL_TEXT]; // under hold_lock; empty: the flow moves
    // -- life
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool stop, finished, failed;
    leat_savepoint_writer *saving; // asked for; written by the run when everything rests
    bool stop_anyway;              // also asked to stop without one
    bool winding_down;
    const char *savepoint; // written
    leat_error not_saved;
    _Atomic bool running;
    leat_error error;
    int64_t started_ms;
};

// -- agent.c
void leat_agent_fail(leat_agent *agent, const leat_error *error); // the first fault ends the run
void leat_agent_fault(void *context, const leat_error *error);    // the same, as a callback

// -- agent_state.c
// STATE/<prefix><name>, in the agent's arena.
char *leat_agent_path(leat_agent *agent, const char *prefix, const char *name);
// Makes and locks the directory, marks the run, opens the checkpoint file; a finished run's remains go.
LEAT_MUST_CHECK leat_code leat_agent_open_state(leat_agent *agent, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_agent_unmark_running(leat_agent *agent, leat_error *out_error);

// -- agent_life.c
// A life begins: recovered.lineage is its own, on disk.
LEAT_MUST_CHECK leat_code leat_agent_begin_life(leat_agent *agent, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_agent_keep_life(leat_agent *agent, const leat_flow_lineage *life, leat_error *out_error);
// Behind the names of the checkpoint that is restored, before the journal: the life that goes on, or one that begins.
LEAT_MUST_CHECK leat_code leat_agent_settle_life(leat_agent *agent, leat_error *out_error);

// -- agent_recovery.c
// Numbers the plan's nodes, reads the last checkpoint and builds the parts on it.
LEAT_MUST_CHECK leat_code leat_agent_recover(leat_agent *agent, leat_error *out_error);

// -- agent_savepoint.c
// Everything rests and is committed: the last checkpoint, what is journalled and not processed, what is not delivered.
LEAT_MUST_CHECK leat_code leat_agent_save(leat_agent *agent, leat_error *out_error);
// Puts a savepoint into the state directory: logs first, the checkpoint last. Nothing else lies there, the store is open and empty.
LEAT_MUST_CHECK leat_code leat_agent_load(leat_agent *agent, leat_savepoint *savepoint, leat_error *out_error);
// Opens the savepoint of agent->start and tells what of it the plan cannot take.
LEAT_MUST_CHECK leat_code leat_agent_open_savepoint(leat_agent *agent, leat_savepoint **out_savepoint,
                                                    leat_error *out_error);

// -- agent_parts.c
LEAT_MUST_CHECK leat_code leat_agent_build(leat_agent *agent, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_agent_start_parts(leat_agent *agent, leat_error *out_error);
void leat_agent_stop_parts(leat_agent *agent);
void leat_agent_destroy_parts(leat_agent *agent); // half-built ones too
bool leat_agent_log_is_full(const leat_log *log);

// -- agent_ports.c
extern const leat_flow_ports leat_agent_ports;

// -- agent_hold.c
void leat_agent_update_hold(leat_agent *agent);    // anything that may begin or end it has changed; any thread
void leat_agent_look_at_disk(leat_agent *agent);   // how much is free decides how much may be under way
void leat_agent_barrier_begins(leat_agent *agent); // of a round, and what follows: on the checkpoint thread
void leat_agent_barrier_waits(leat_agent *agent, uint64_t id, int64_t waited_ms);
void leat_agent_barrier_passed(leat_agent *agent);

// -- agent_round.c
LEAT_MUST_CHECK leat_code leat_agent_make_coordinator(leat_agent *agent, leat_error *out_error);
