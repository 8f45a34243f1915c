// The contract of an operator: one table of functions, called by its task, on one thread at a time, in this order:
//
//   open -> restore* -> ready -> (on_batch | on_watermark | on_time | snapshot)* -> close
//
// An operator never knows what stands before or after it, takes no locks, starts no threads, and touches the world only
// through its context. Its instance (instance_size bytes, cleared) is allocated by who runs it; `leat_operator` is the first
// member. Long-lived memory comes from context->arena (never shrinks) or context->budget (keyed state).
//
// Watermarks: all inputs of an operator are already combined: the watermark columns of a batch, and on_watermark, carry the
// operator's own watermark, which never falls. For row i: first everything due at batch->watermark[i] happens, then the row is
// handled; after the last row everything due at watermark_after. An operator looks only when something is due before
// watermark_after. It passes watermarks on itself, in order with its rows (core/emitter.h does that).
//
// Event time of a result: see semantics; windows give end - 1, timers their time, row functions the row's.
#pragma once

#include "operators/core/batch.h"
#include "operators/core/budget.h"
#include "operators/core/drop.h"

typedef struct leat_operator leat_operator;
typedef struct leat_operator_context leat_operator_context;

// Collects what changed in state since the last barrier. Tables are numbered by the operator (0..15) and their entries' bytes
// are the operator's format; the first byte of a table's format is a version. Group LEAT_GROUP_OPERATOR holds what is not keyed.
enum { LEAT_GROUP_OPERATOR = LEAT_KEY_GROUPS, LEAT_STATE_TABLES = 16 };
typedef struct leat_snapshot leat_snapshot;
struct leat_snapshot {
    // Groups that must be written whole (compaction, savepoint); changed entries of the others suffice. Index LEAT_GROUP_OPERATOR too.
    bool whole[LEAT_KEY_GROUPS + 1];
    bool any_whole, all_whole;
    // When set the snapshot must not clear the operator's marks of change (a savepoint beside checkpoints).
    bool keep_marks;
    // What leat_snapshot_put_mark was given at the last barrier was not kept.
    bool marks_again;
    bool is_mark; // of the entry that is being put
    void (*put)(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key, leat_slice value);
    void (*remove)(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key);
};

// An entry that alone is no reason for a checkpoint: what the clock moves all day (a watermark), as long as nothing comes of it. It is
// kept with the next checkpoint that has a reason.
static inline void leat_snapshot_put_mark(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key,
                                          leat_slice value)
{
    snapshot->is_mark = true;
    snapshot->put(snapshot, table, group, key, value);
    snapshot->is_mark = false;
}

// Whether a mark is to be put: it changed since it was, or was put since one was kept last. unkept is its owner's, false at first.
static inline bool leat_snapshot_mark_due(const leat_snapshot *snapshot, bool changed, bool *unkept)
{
    bool due = changed || (*unkept && snapshot->marks_again);
    if (!snapshot->keep_marks)
        *unkept = due;
    return due;
}

typedef struct leat_operator_ops {
    const char *name; // as in operators.def and in `leat explain`
    size_t instance_size;
    // Reads context->spec (the struct of core/spec.h that belongs to the operator). On failure close is not called.
    leat_code (*open)(leat_operator *self, leat_error *out_error);
    // The batch is borrowed. A failure is a fault of the rule (budget exceeded), never a bad row.
    leat_code (*on_batch)(leat_operator *self, unsigned input, leat_batch *batch, leat_error *out_error);
    // A watermark without rows (a batch of 0 rows). Optional for operators that hold nothing: it is then passed on.
    leat_code (*on_watermark)(leat_operator *self, int64_t watermark_ms, leat_error *out_error);
    // Processing time has reached what wake_at asked for; context->now_ms is set. Optional; pairs with wake_at.
    leat_code (*on_time)(leat_operator *self, leat_error *out_error);
    // snapshot, restore and `stateful` come together. snapshot never fails and does no I/O: it copies.
    void (*snapshot)(leat_operator *self, leat_snapshot *snapshot);
    leat_code (*restore)(leat_operator *self, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error);
    // After open and all restores, before the first element. restored: at least a checkpoint was loaded. Optional.
    leat_code (*ready)(leat_operator *self, bool restored, leat_error *out_error);
    void (*close)(leat_operator *self);
    // All inputs are one stream (union): their watermarks meet as those of its channels do, and not as those of inputs beside each other.
    bool one_stream;
    // Figures for `leat status`: bytes of state and live keys. Optional; called from the task's thread.
    void (*measure)(leat_operator *self, uint64_t *out_state_bytes, uint64_t *out_keys);
} leat_operator_ops;

struct leat_operator {
    const leat_operator_ops *ops;
    leat_operator_context *context;
};

struct leat_operator_context {
    leat_env *env;
    const void *spec; // core/spec.h
    const leat_schema *const *inputs;
    const leat_schema *const *outputs; // 0: main; then the operator's side outputs in the order of its spec
    unsigned input_count, output_count;
    leat_batch_pool *pool;
    leat_arena *arena;   // rule's lifetime
    leat_budget *budget; // rule's keyed state
    leat_drops *drops;
    unsigned instance, parallelism; // this instance owns key groups g with g % parallelism == instance
    int64_t now_ms;                 // processing time: kept across restarts, never goes back; set before every call
    bool clock_runs;                // now_ms is a running clock and not stepped by hand
    int64_t watermark_ms;           // the operator's watermark before the call
    bool watermarks_anew;           // restored from a savepoint, which forgets them
    bool *output_used;              // per output: somebody reads it (rows for the others need not be made)
    // Passes a batch on; borrows it. Returns when the rest of the chain has handled it.
    void (*emit)(leat_operator_context *context, unsigned output, leat_batch *batch);
    // Asks for on_time at or after this processing time; the earliest request holds; INT64_MAX withdraws.
    void (*wake_at)(leat_operator_context *context, int64_t processing_ms);
    void *runner; // of whoever runs the operator
};

// Processing-time timers up to here are due. A clock that runs gives more rows within this millisecond: what ends with it fires with the next one.
static inline int64_t leat_operator_due_ms(const leat_operator_context *context)
{
    return context->now_ms - context->clock_runs;
}

static inline bool leat_operator_owns(const leat_operator_context *context, uint32_t group)
{
    return group % context->parallelism == context->instance;
}

// operators/registry.c: the table from operators.def. Checks each table once (mandatory functions, pairs) and aborts on a bad one.
const leat_operator_ops *leat_operator_find(const char *name); // NULL when unknown
