// One sink at the agent's side: its outbox, the thread that delivers from it, and the cursor of what the receiver has acknowledged.
//
// Results are appended to the outbox by the sink's task, in order; they leave when the checkpoint that covers them is durable
// (commit: checkpoint, now) or when they are written (commit: none). Until the receiver acknowledged they are kept, and sent again with the
// same id, sequence and bytes after a restart or a broken connection.
//
// Usage: create (opens the outbox, cut back to the checkpoint) -> start -> result, commit ... -> stop -> destroy.
// Threads: result, cut: the sink's task. commit, cursor, trim: the checkpoint thread. measure: any. The driver runs on the sink's own thread.
// Failure: an outbox that takes nothing more gives LEAT_AGAIN (the flow waits); a poisoned one LEAT_E_IO (the agent exits and restarts).
// Limits: outbox.max bounds what is committed and not acknowledged. What no checkpoint covers yet comes on top, about a quarter of it.
#pragma once

#include "drivers/format.h"
#include "drivers/sink.h"
#include "firmware-agent/flow/flow.h"
#include "firmware-agent/ledger.h"
#include "firmware-agent/log/log.h"

typedef struct leat_delivery_line leat_delivery_line;

enum { LEAT_TOKEN_MAX = 64 };

// How far the receiver has acknowledged; part of every checkpoint.
typedef struct leat_cursor {
    uint64_t sequence; // last acknowledged, 0: none
    uint64_t position; // end of its record in the outbox
    uint8_t token[LEAT_TOKEN_MAX];
    uint32_t token_size;
} leat_cursor;

typedef struct leat_delivery_setup {
    leat_env *env;
    const leat_plan *plan;
    uint32_t sink;
    const char *directory; // of the outbox
    leat_log_writer *writer;
    leat_ledger *ledger;
    uint64_t generation; // of recovery
    uint64_t cut;        // outbox position of the checkpoint; UINT64_MAX: no checkpoint, the outbox is emptied
    leat_cursor cursor;
    void *context;
    void (*room)(void *context, uint32_t sink);            // the outbox takes results again; any thread
    void (*checkpoint)(void *context);                     // the cursor waits for one; the sink's thread
    void (*fault)(void *context, const leat_error *error); // the agent has to restart
} leat_delivery_setup;

LEAT_MUST_CHECK leat_code leat_delivery_create(const leat_delivery_setup *setup, leat_delivery_line **out_line,
                                               leat_error *out_error);
void leat_delivery_destroy(leat_delivery_line *line); // stopped; NULL allowed
LEAT_MUST_CHECK leat_code leat_delivery_start(leat_delivery_line *line, leat_error *out_error);
void leat_delivery_stop(leat_delivery_line *line);

leat_code leat_delivery_result(leat_delivery_line *line, const leat_flow_result *result, leat_error *out_error);
// So much of the outbox's bound is taken by results of no checkpoint yet that one is due: they cannot leave before it.
bool leat_delivery_is_crowded(const leat_delivery_line *line);
// Sources are to read nothing more until this ends: the outbox is full, or too much of it waits for a checkpoint. What is under way in the flow is still
// taken, beyond `outbox.max` if need be, so that the barrier of that checkpoint comes through. tight: a small disk, where only what is reserved counts.
bool leat_delivery_wants_hold(const leat_delivery_line *line, bool tight);
uint64_t leat_delivery_end(const leat_delivery_line *line); // outbox position behind the last result
leat_log *leat_delivery_outbox(leat_delivery_line *line);   // for reading beside the line (savepoint); stopped
// Everything before the position is on disk (waits, at most timeout_ms).
LEAT_MUST_CHECK leat_code leat_delivery_sync(leat_delivery_line *line, uint64_t position, int64_t timeout_ms);
// What lies before the position may leave. written: with the cursor that leat_delivery_cursor gave last.
void leat_delivery_commit(leat_delivery_line *line, uint64_t position, bool written);
void leat_delivery_cursor(leat_delivery_line *line,
                          leat_cursor *out_cursor); // for a checkpoint that is about to be written
// A receiver that was begun anew (a file without a token, say) gets nothing before a checkpoint knows where it began: a crash could not undo it.
bool leat_delivery_needs_commit(leat_delivery_line *line);
// No checkpoint needs what lies before. A full outbox keeps only what is not acknowledged, whatever older checkpoints would like.
void leat_delivery_trim(leat_delivery_line *line, uint64_t position);

typedef struct leat_delivery_figures {
    uint64_t results;  // appended since start
    uint64_t sequence; // last acknowledged
    uint64_t backlog;  // results that are not acknowledged
    uint64_t backlog_bytes;
    uint64_t sent, resent, refused, failures;
    bool connected, noted;
    char note[160];
    bool full;
    leat_log_stats log;
} leat_delivery_figures;
void leat_delivery_measure(const leat_delivery_line *line, leat_delivery_figures *out_figures);
// Everything appended so far is acknowledged.
bool leat_delivery_is_done(const leat_delivery_line *line);
