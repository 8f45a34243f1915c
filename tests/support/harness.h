// Runs one operator as a task would: feeds it rows written as text, watermarks and processing time, takes snapshots and
// restores fresh instances from them, and compares what it emits with text.
//
// Usage: describe the operator in a harness_setup, write a scenario function that feeds and expects, and call harness_run. The
// scenario is run once in each mode, and all modes must give the same rows, causes and watermarks:
//
//   SINGLE   every row is a batch, every watermark comes by itself
//   WHOLE    rows and watermarks are one batch with a watermark column, cut only where the scenario looks
//   CUT      batches of 1 to 5 rows, with rows between them that the selection leaves out and that must not matter
//   RESTART  as SINGLE, but after every element the operator is restored from its snapshot (stateful operators)
//
//   static void scenario(harness *h, void *argument)
//   {
//       harness_rows(h, 0, "a,1.5@1000 | b,2@1100 | -D a,NULL@1200");
//       harness_watermark(h, 1999);
//       harness_expect(h, "+I[a, 1.5]@1999 \n W 1999");
//   }
//
// Rows: values by commas, NULL, 'quoted, text' (quotes needed only for , | @ or edges of blanks), arrays [1;2], rows and maps
// the same; a kind before them (+I -U +U -D) and the event time behind @ (none: no event time). The value @ stands for the event time.
// Output lines: KIND[values]@event_ms, "W ms" when the watermark of output 0 moved (only the last of several in a row;
// "W MAX" at the end), side outputs with their number before: "1:+I[a]@5". Rows without event time have no @.
//
// Beside what the scenario expects it is checked that watermarks never fall, that a batch with a watermark column says its
// last one in watermark_after, that columns have the types of the output's schema, row kinds fit its changelog, nothing
// is emitted outside of ready, on_batch, on_watermark and on_time, that an incremental image equals a whole one, that groups are
// owned, and at the end that all batches are back in the pool, the budget is zero and no memory is left.
//
// Failure: by cmocka's fail_msg.
#pragma once

#include "operators/core/operator.h"
#include "tests/support/env_test.h"

enum { HARNESS_PORTS = 4 };

typedef struct harness harness;

typedef struct harness_setup {
    const leat_operator_ops *ops;
    const void *spec;
    const char *inputs
        [HARNESS_PORTS]; // "k:STRING,v:DECIMAL(10,2),ts:TIMESTAMP_LTZ*": * the rowtime column, ! the proctime column
    const char *outputs[HARNESS_PORTS]; // output 0, then side outputs
    leat_changelog output_changelog;    // of output 0
    unsigned instance, parallelism;     // parallelism 0: 1
    size_t budget;                      // keyed state, 0: none
    size_t pool_budget;                 // 0: 64 MiB
    int64_t start_ms;                   // processing time at open
    // Relaxations, each with a reason where it is set.
    bool without_restart;   // no mode RESTART
    bool whole_may_differ;  // an incremental image need not equal a whole one byte by byte
    bool causes_may_differ; // between modes
} harness_setup;

typedef void (*harness_scenario)(harness *h, void *argument);

typedef enum harness_mode { HARNESS_SINGLE, HARNESS_WHOLE, HARNESS_CUT, HARNESS_RESTART, HARNESS_MODES } harness_mode;

void harness_run(const harness_setup *setup, harness_scenario scenario, void *argument);
// One mode by hand: create, feed, expect, destroy.
harness *harness_create(const harness_setup *setup, harness_mode mode);
void harness_destroy(harness *h);

// -- feeding
void harness_rows(harness *h, unsigned input, const char *rows);
void harness_watermark(harness *h,
                       int64_t watermark_ms); // the operator's own, already combined; lower ones are ignored
void harness_end_of_time(harness *h);         // watermark LEAT_TIME_MAX
// Moves the processing time; what asked to be woken is called at exactly its time.
void harness_time(harness *h, int64_t now_ms);
// The same, but late: one call with now_ms, as after a pause of the agent.
void harness_time_late(harness *h, int64_t now_ms);
// The next call that the operator answers with a failure must give this code and a message that contains the text.
// NULL: none is expected any more.
void harness_fails(harness *h, leat_code code, const char *message);
bool harness_failed(const harness *h); // it came, and the operator will only be closed

// -- looking
void harness_expect(harness *h, const char *lines);           // all output since the last look, in order
void harness_expect_any_order(harness *h, const char *lines); // the same, rows between two watermarks in any order
void harness_expect_nothing(harness *h);
uint64_t harness_drops(harness *h, leat_drop_cause cause);
uint64_t harness_state_entries(harness *h); // of the image of the last snapshot
int64_t harness_wake_ms(harness *h);        // what wake_at asked for, INT64_MAX: nothing
leat_operator *harness_operator(harness *h);
leat_operator_context *harness_context(harness *h);
harness_mode harness_mode_of(const harness *h);

// -- snapshots
void harness_snapshot(harness *h);       // what changed, applied to the image
void harness_snapshot_whole(harness *h); // everything; the image is made anew
// A fresh instance from the image of the last snapshot, as after a crash: the watermark is that of the snapshot.
void harness_restore(harness *h);
// As from a savepoint: no watermark yet, possibly another share of the key groups.
void harness_restore_savepoint(harness *h, unsigned instance, unsigned parallelism);

// The schema that a text describes; for specs.
const leat_schema *harness_schema(leat_arena *arena, const char *text);
leat_type harness_type(leat_arena *arena, const char *text);
// Rows of text as one batch (no watermark); the caller unrefs. And back: "+I[a, 1]@5 | ..." into the arena.
leat_batch *harness_batch(leat_batch_pool *pool, leat_arena *arena, const leat_schema *schema, const char *rows);
const char *harness_batch_text(leat_arena *arena, const leat_batch *batch);
