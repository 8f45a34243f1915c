// What a source's task keeps. Only for firmware-agent/flow/source_*.c.
//
//   source_task.c  life, event time and watermarks, quiet, a step
//   source_rows.c  arrivals to rows: identities, row kinds, rows that do not fit
#pragma once

#include "drivers/format.h"
#include "drivers/format/topic.h"
#include "firmware-agent/flow/source_ids.h"
#include "firmware-agent/flow/task.h"
#include "operators/core/cause.h"

enum {
    // A batch has room for few rows at first and four times as many after one that was full: under light load a row does not pay for
    // clearing the columns of a full batch.
    LEAT_SOURCE_ROOM_MIN = 16,
};

struct leat_source_state {
    leat_decode_target target; // first: reject gets it back
    leat_flow_node *node;
    const leat_plan_source *plan;
    leat_generator generator;
    leat_source *decoder; // NULL: format
    leat_format *format;
    leat_format_setup format_setup;
    leat_eval eval; // of the watermark's expression
    leat_source_ids ids;
    leat_drops *drops;
    uint64_t name_hash, carried_hash; // of arrivals of this life; of those that came with the savepoint it began from
    uint64_t carried_end;
    leat_raw raw; // being decoded
    bool has_raw;
    size_t offset;         // into its payload
    uint32_t *row_offsets; // all 0 between two batches
    uint32_t room;         // rows that the next batch has place for
    uint32_t room_max;     // falls when many rules make too much of a full batch
    leat_batch *rejected;  // rows for SOURCE.rejected; NULL: nobody reads it or none yet
    bool rejected_used;
    int64_t rejected_ms;          // watermark of SOURCE.rejected, which follows arrival
    _Atomic bool idle;            // written by the task, read by anyone
    _Atomic uint64_t future_rows; // the same
    bool quiet;
    bool ending, to_the_end; // no further arrivals; what is left is to say so
    bool announce;           // restored: says once more where it stands
    bool moved;              // something came since the last snapshot
    bool unkept;             // see leat_snapshot_mark_due
    uint64_t misfits;        // rows of a table that did not fit, since its reading began
    leat_topic_columns topic;
    bool waits; // its watermark stays back at first: see leat_plan_watermark
    int64_t waits_until_ms;
    int64_t quiet_since_ms; // processing time since which nothing came
    int64_t wake_ms;
};

// -- source_rows.c
// Of its arrivals, by the lineage of the flow.
void leat_source_make_identity(leat_source_state *state, const leat_flow_lineage *lineage);
uint64_t leat_source_identity(const leat_source_state *state);
// The decoder's way to say that a row does not fit.
void leat_source_reject(leat_decode_target *target, leat_drop_cause cause, leat_slice payload, uint32_t offset,
                        const char *column, const char *reason);
void leat_source_send_rejected(leat_source_state *state);
void leat_source_take_kinds(leat_source_state *state, leat_batch *batch);
void leat_source_learn_room(leat_source_state *state, uint32_t count);
// Takes arrivals until the batch is full or nothing is there now. LEAT_E_LIMIT: no memory for a batch, the arrival is kept.
leat_code leat_source_collect(leat_source_state *state, int64_t *out_wait_ms, leat_error *out_error);
