// One source at the agent's side: its driver, the thread that a blocking driver runs on, and where its arrivals are read from.
//
// A replayable driver (file, generate) is asked on the source's task. Any other one runs on a thread of its own and hands what arrives to
// the journal; the task reads the journal behind it. So a dead bus or a slow rule never hold each other up, and what was acknowledged
// is on disk.
//
// Usage: create -> seek (recovery) -> start -> next ... -> stop -> destroy.
// Threads: create, seek, start, stop, destroy: the agent's. next, position: the source's task. figures: any.
// Failure: create fails on settings that can never work. A driver's fault while it runs is told, counted, and cured by running it again
// after a back-off from 1 to 60 s.
#pragma once

#include "config/plan.h"
#include "drivers/source.h"
#include "firmware-agent/ledger.h"
#include "firmware-agent/log/log.h"

typedef struct leat_feed leat_feed;

typedef struct leat_feed_setup {
    leat_env *env;
    const leat_plan *plan;
    uint32_t source;
    leat_log *journal; // push drivers; NULL: none of them is in the plan
    leat_ledger *ledger;
} leat_feed_setup;

LEAT_MUST_CHECK leat_code leat_feed_create(const leat_feed_setup *setup, leat_feed **out_feed, leat_error *out_error);
void leat_feed_destroy(leat_feed *feed); // stopped; NULL allowed
// Back to what a checkpoint kept (leat_feed_position); empty: the beginning of what there is.
LEAT_MUST_CHECK leat_code leat_feed_seek(leat_feed *feed, leat_slice position, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_feed_start(leat_feed *feed, leat_error *out_error);
void leat_feed_request_stop(leat_feed *feed); // returns at once
void leat_feed_stop(leat_feed *feed);         // waits for the driver's thread

bool leat_feed_is_push(const leat_feed *feed);
// Push: the journal was written up to here; whether records of this source may have become readable since the last call. One thread.
bool leat_feed_has_news(leat_feed *feed, uint64_t written_end);
leat_code leat_feed_next(leat_feed *feed, leat_raw *out_raw, int64_t *out_wait_ms, leat_error *out_error);
leat_source *leat_feed_decoder(leat_feed *feed); // NULL: the plan's format decodes
void leat_feed_note(leat_feed *feed, bool good,
                    const char *text); // for logs and the status, as a driver says it itself
leat_drops *leat_feed_drops(leat_feed *feed);
// Bytes that seek takes: everything given out by next so far has been consumed. journal_end: how far the journal was read (push).
leat_slice leat_feed_position(leat_feed *feed, uint64_t *out_journal_end);

// What a journal record says; the name is the hash of its source's (leat_hash). False: it is none. Slices are borrowed from the record.
bool leat_feed_read_record(leat_slice record, uint64_t *out_name_hash, leat_raw *out_raw);

typedef struct leat_feed_counter {
    const char *name;
    uint64_t value;
} leat_feed_counter;
typedef struct leat_feed_figures {
    bool connected;
    bool noted; // the driver has said whether it is connected
    char note[160];
    uint64_t arrivals; // taken by the journal or given by the driver
    bool held;         // intake is held back: journal at its bound or disk full
    uint32_t counter_count;
    leat_feed_counter counters[24];
} leat_feed_figures;
void leat_feed_measure(const leat_feed *feed, leat_feed_figures *out_figures);
