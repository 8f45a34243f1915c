// The checkpoint thread: lets barriers in, gathers what tasks hand over, makes one cut durable, and only then lets its results leave.
//
// A round: whole groups planned by the store -> barrier into the flow -> parts come from the tasks, positions from sources and sinks -> journal and outboxes synced up to the
// cut -> one LMDB transaction -> `committed` is told. A round without any change writes nothing.
//
// Requests (commit: now) during a round merge into the one that follows; `commit_gap_ms` bounds their rate.
//
// Threads: start, stop, request, measure: any. part_begin .. cut_done: the flow's workers. The callbacks `sync` and `committed` come on the
// checkpoint thread, which alone uses the store. Failure: a full disk, or a checkpoint file at the size that its owner allows, keeps the changes for a
// later round (one a second tries) and is told once; anything else is a fault (the agent restarts from what is on disk).
#pragma once

#include "firmware-agent/checkpoint/store.h"
#include "operators/core/operator.h"

typedef struct leat_coordinator leat_coordinator;

enum { LEAT_COORDINATOR_LOOK_MS = 2000 };

// What the rest of the agent does in a round. `names` lie until the round is over.
typedef struct leat_coordinator_hooks {
    void *context;
    int64_t (*now_ms)(void *context); // processing time
    void (*barrier)(void *context, uint64_t id);
    // Every LEAT_COORDINATOR_LOOK_MS while the barrier is under way. Optional.
    void (*waiting)(void *context, uint64_t id, int64_t waited_ms);
    // Checkpoints find no room, and do again. Optional.
    void (*full)(void *context, bool full);
    // The cut is complete: wait until journal and outboxes are durable up to it.
    leat_code (*sync)(void *context, uint64_t id, leat_error *out_error);
    // Adds the manifest's entries (positions, cursors) with leat_coordinator_name. Returns whether anything differs from the last round.
    bool (*manifest)(void *context, leat_coordinator *coordinator, uint64_t id);
    bool (*ledger)(void *context, leat_store *store); // puts what was lost into the store; whether there was something
    // Durable; or (not written) unchanged and thus as durable as before.
    void (*committed)(void *context, uint64_t id, bool written);
    void (*fault)(void *context, const leat_error *error);
} leat_coordinator_hooks;

typedef struct leat_coordinator_setup {
    leat_env *env;
    leat_store *store;
    leat_coordinator_hooks hooks;
    int64_t interval_ms, min_pause_ms, gap_ms;
    uint64_t last_id; // of the checkpoint that was restored, 0: none
    uint32_t node_count;
    const uint32_t *operator_numbers; // per plan node, from leat_store_operator
} leat_coordinator_setup;

LEAT_MUST_CHECK leat_code leat_coordinator_create(const leat_coordinator_setup *setup,
                                                  leat_coordinator **out_coordinator, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_coordinator_start(leat_coordinator *coordinator, leat_error *out_error);
void leat_coordinator_request(leat_coordinator *coordinator); // a checkpoint now
// Runs a last round and waits for it, at most timeout_ms. False: it did not come through.
bool leat_coordinator_final(leat_coordinator *coordinator, int64_t timeout_ms);
void leat_coordinator_stop(leat_coordinator *coordinator); // gives the store back to the calling thread
void leat_coordinator_destroy(leat_coordinator *coordinator);

// -- the flow's side
leat_snapshot *leat_coordinator_part_begin(leat_coordinator *coordinator, uint64_t id, uint32_t node);
void leat_coordinator_part_done(leat_coordinator *coordinator, leat_snapshot *snapshot);
void leat_coordinator_cut_done(leat_coordinator *coordinator, uint64_t id);
// -- the manifest hook's side; bytes are copied
void leat_coordinator_name(leat_coordinator *coordinator, const char *name, leat_slice bytes);

typedef struct leat_coordinator_figures {
    uint64_t id;             // last committed
    int64_t committed_at_ms; // processing time; LEAT_TIME_NONE: none yet
    int64_t duration_us, commit_us;
    uint64_t bytes; // of the last one
    uint64_t count, skipped, failed;
    uint64_t flash_bytes; // of all
    bool disk_full;       // no room for a checkpoint: on the disk, or within agent.map_size
} leat_coordinator_figures;
void leat_coordinator_measure(const leat_coordinator *coordinator, leat_coordinator_figures *out_figures);
