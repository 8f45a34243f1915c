// Checkpoints on disk: every committed one is there whole or not at all, several are retained, damage is noticed and
// answered by an older one, and opening never fails because of what lies in the file.
//
// Usage: open; leat_store_restore (newest intact checkpoint -> visitor; always, also when nothing is expected); then for each checkpoint: leat_store_plan_next, tasks
// fill change sets, leat_store_commit; close. Ledger, finished mark and operator numbers change in memory and become
// durable with the next commit.
//
// Bytes. One LMDB file `state.mdb` (default sync) with three tables; every value begins with the CRC32C (little-endian u32)
// of key and rest of the value. Numbers in keys are 8 bytes big-endian (LMDB's integer keys would differ on 32 bit).
//   log   key: checkpoint id << 24 | chunk, appended only. Value: crc, u8 flags, packed entries (change_set.h); 2016 bytes
//         at most, so that two fit a page. Flags: 1 = last chunk of this checkpoint, 2 = the chunk's last entry continues in
//         the next chunk (entries larger than a chunk start one of their own). The first entries have operator number 0: the manifest;
//         table 0 is the
//         store's own: "previous" the id (u64) of the checkpoint before, so that a missing one is noticed, "floor" (i64), "whole" the groups
//         (u8 each) that are in base and not here; table 1 is the owner's.
//   base  key: checkpoint id << 28 | group << 20 | chunk, appended too. Value: as above: all live entries of the group in that checkpoint.
//         A hole in the log lies between what the anchor stands on and what the newest checkpoints stand on.
//   meta  key: text. format (u32 version), agent, finished, generation, next, oldest, anchor (u64), floor (i64),
//         operator/<uid, 16 hex>/<number, 8 hex> (u64 number, born, dead: checkpoint ids), base/<group, 3 digits> ((u64 id, u64 bytes)*, rising),
//         ledger/<cause>/<source> (u64 count, i64 first, i64 last).
// State of group g in checkpoint C: the newest base image of g with id <= C, then the log's entries of g with greater id, up to C.
// `state.mdb-clean` beside it says that the store was closed; it is removed by open.
// What a crash leaves: LMDB's last committed transaction. During creation: a directory `state.new`, removed at the next open.
//
// Ownership: paths, names and bytes are copied; slices given to visitors are borrowed for the call.
// Threads: one thread, the one that opened it (asserted); leat_store_bind hands the store to another. Failure: a failed commit
// leaves the last checkpoint; LEAT_E_NO_SPACE may be retried by the next one (nothing is lost: see leat_store_commit), LEAT_E_IO may not:
// the agent exits and restarts.
// Limits: the map bounds the file. A commit that hits its end enlarges it and goes on, up to map_bytes: LEAT_E_LIMIT, which leaves the last checkpoint
// like any failed commit.
#pragma once

#include "firmware-agent/checkpoint/change_set.h"

typedef struct leat_store leat_store;

enum {
    LEAT_STORE_RETAINED_DEFAULT = 5,
    LEAT_STORE_RETAINED_MAX = 16,
    LEAT_STORE_MANIFEST_MAX = 4096, // names in one manifest
    LEAT_STORE_OPERATORS_MAX = 65535,
    LEAT_STORE_LEDGER_MAX = 4096, // rows; beyond, sources are summed under "other"
    LEAT_STORE_GROUPS = LEAT_KEY_GROUPS + 1,
};
#define LEAT_STORE_LATEST UINT64_MAX

typedef struct leat_store_options {
    const char *directory; // made when missing; the file is directory/state.mdb
    const char *agent;     // identity, written at creation; see leat_store_opened.agent
    uint64_t map_bytes;    // the most that the map may grow to; 0: as much as the machine can address
    uint64_t map_start;    // the map's first size; 0: 256 MiB on 32 bit, 1 GiB on 64 bit, and never more than map_bytes
    unsigned retained;     // checkpoints kept; 0: LEAT_STORE_RETAINED_DEFAULT
    double log_over_base;  // k, 1..4; 0: 1.5
    uint64_t log_min_bytes; // compaction never starts below; 0: 8 MiB
    bool suspect;           // read everything in a child process first; done anyway after a run that was not closed
} leat_store_options;

typedef struct leat_store_opened {
    bool created;               // there was none, or it was set aside
    bool set_aside;             // a file that could not be read was renamed to `aside`
    char aside[LEAT_NAME_SIZE]; // its new name, "state.mdb.damaged-N"
    bool finished;              // the mark of a job that ended by itself
    uint64_t generation;        // rises when recovery fell back
    int64_t floor_ms;           // processing time never starts below; INT64_MIN when unknown
    char agent[LEAT_NAME_SIZE]; // who wrote the file
    leat_error reason;          // why it was set aside
} leat_store_opened;

LEAT_MUST_CHECK leat_code leat_store_open(leat_env *env, const leat_store_options *options, leat_store **out_store,
                                          leat_store_opened *out_opened, leat_error *out_error);
void leat_store_close(leat_store *store); // NULL allowed; what was not committed is gone
void leat_store_bind(leat_store *store);  // the calling thread uses it from now on; the former one has stopped to

// -- operators: a small number for a uid's hash, the same for ever. 0 when LEAT_STORE_OPERATORS_MAX are used up.
uint32_t leat_store_operator(leat_store *store, uint64_t uid_hash);
// Its state is not visited any more, and a later operator with this uid starts empty. Holds from the next commit on.
void leat_store_operator_forget(leat_store *store, uint64_t uid_hash);

// -- writing
typedef struct leat_store_named {
    leat_slice name,
        bytes; // source positions, journal and outbox positions, sink cursors, watermarks: the owner's formats
} leat_store_named;

// Which groups the next commit must hold whole (compaction's next slice). The same answer until that commit.
// Returns how many.
unsigned leat_store_plan_next(leat_store *store, bool out_whole[LEAT_STORE_GROUPS]);

typedef struct leat_store_checkpoint {
    uint64_t id;      // 0: the next one (recommended); else above every former id
    int64_t floor_ms; // processing time now
    const leat_store_named *manifest;
    size_t manifest_count;
    leat_change_set *const *sets; // one per instance; borrowed
    size_t set_count;
    // Groups that the sets hold whole: those of plan_next, and more where the owner likes (more than half of it changed).
    // A group that no operator has entries in counts too.
    const bool *whole; // NULL: none
} leat_store_checkpoint;

typedef struct leat_store_committed {
    uint64_t id;
    uint64_t page_bytes;            // flash written by this transaction
    uint64_t log_bytes, base_bytes; // values added
    uint64_t removed_chunks;
    int64_t duration_us;
} leat_store_committed;

// One transaction. On failure nothing of it is on disk, and nothing changed in memory: the owner keeps the sets and commits them, followed by
// what changed since, with its next attempt (later entries win).
LEAT_MUST_CHECK leat_code leat_store_commit(leat_store *store, const leat_store_checkpoint *checkpoint,
                                            leat_store_committed *out_committed, leat_error *out_error);
// A transaction of its own for ledger, marks and operators (before exit, without a checkpoint). Nothing to write: nothing is done.
LEAT_MUST_CHECK leat_code leat_store_flush(leat_store *store, leat_error *out_error);
void leat_store_set_finished(leat_store *store, bool finished);
void leat_store_set_agent(leat_store *store, const char *name);

typedef struct leat_store_stats {
    uint64_t last_id, oldest_id; // 0: none
    uint64_t log_bytes, base_bytes;
    uint64_t map_bytes, file_bytes;
    uint64_t commits, page_bytes; // since open
    bool compacting;
} leat_store_stats;
leat_store_stats leat_store_stats_get(const leat_store *store);
// Raises map_bytes, after LEAT_E_LIMIT; rounded up to 64 KiB, smaller than now is ignored. Costs address space, not memory.
LEAT_MUST_CHECK leat_code leat_store_grow(leat_store *store, uint64_t map_bytes, leat_error *out_error);

// -- reading
typedef struct leat_store_visitor {
    void *context;
    // Once per name of the manifest, before the entries. Optional.
    leat_code (*manifest)(void *context, leat_slice name, leat_slice bytes, leat_error *out_error);
    // Every live entry once, in any order; value is the newest. Optional.
    leat_code (*entry)(void *context, uint64_t uid_hash, uint32_t operator_number, uint8_t table, uint32_t group,
                       leat_slice key, leat_slice value, leat_error *out_error);
} leat_store_visitor;

typedef struct leat_store_restored {
    uint64_t id; // 0: nothing to restore, the visitor was not called
    unsigned
        damaged_count; // newer checkpoints that were tried and could not be read; all newer ones are removed, the generation rose
    uint64_t damaged_from, damaged_to; // the lowest and the highest id of those
    bool rebuilt; // the file was damaged: it has been replaced by a new one that holds this checkpoint alone
    uint64_t generation;
    uint64_t entries;
    int64_t duration_us;
} leat_store_restored;

// The newest checkpoint at or below id (LEAT_STORE_LATEST) that is intact: verified whole before the visitor sees the first
// entry. Where all retained ones are damaged, older ones are tried, as far as the log reaches and down to the anchor: the one before the last completed
// cycle of compaction, which shares no value with the newest ones. Newer ones are removed for good before that (their ids are not used again), damaged or not: this is recovery. After
// damage the file is not written to any more, but replaced by a new one with this checkpoint (none intact: it is set aside, and
// ledger and generation go on in a new one). A visitor's failure ends it and is returned.
LEAT_MUST_CHECK leat_code leat_store_restore(leat_store *store, uint64_t id, const leat_store_visitor *visitor,
                                             leat_store_restored *out_restored, leat_error *out_error);
// Reads one retained checkpoint and changes nothing (savepoint, `leat state`). LEAT_E_NOT_FOUND, LEAT_E_CORRUPT (before the
// first call of the visitor).
LEAT_MUST_CHECK leat_code leat_store_visit(leat_store *store, uint64_t id, const leat_store_visitor *visitor,
                                           leat_error *out_error);
// Ids of retained checkpoints, newest first; returns how many.
unsigned leat_store_retained(leat_store *store, uint64_t out_ids[LEAT_STORE_RETAINED_MAX]);

// -- loss ledger: what was dropped, by source and cause; durable with the next commit or flush.
void leat_store_ledger_add(leat_store *store, leat_slice source, leat_slice cause, uint64_t count, int64_t now_ms);
typedef void (*leat_store_ledger_row)(void *context, leat_slice source, leat_slice cause, uint64_t count,
                                      int64_t first_ms, int64_t last_ms);
void leat_store_ledger_visit(leat_store *store, leat_store_ledger_row row, void *context);
