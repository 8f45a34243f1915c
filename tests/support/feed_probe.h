// Plays the agent for one push source, in memory: takes what it appends, keeps counters, notes and gaps, and decodes records into rows.
//
// Usage: feed_probe_init -> feed_probe_open -> either feed_probe_start .. feed_probe_stop (a thread, the real clock) or
// feed_probe_run with on_sleep (no thread: the test moves the clock) -> feed_probe_fini.
// Failure: by cmocka. Threads: everything that looks may be called while the source runs.
#pragma once

#include <pthread.h>

#include "drivers/source.h"

enum { FEED_PROBE_RECORDS = 20000, FEED_PROBE_GAPS = 64, FEED_PROBE_COUNTERS = 24 };

typedef struct feed_probe_record {
    leat_raw raw; // owns topic and payload
    int64_t boot_ms;
} feed_probe_record;

typedef struct feed_probe_gap {
    char cause[32];
    int64_t from_ms, to_ms;
    uint64_t count;
} feed_probe_gap;

typedef struct feed_probe feed_probe;
struct feed_probe {
    leat_intake intake; // first
    leat_env *env;
    leat_arena arena;
    leat_batch_pool *pool;
    leat_schema schema;
    leat_field columns[64];
    leat_source_setup reader_setup, decoder_setup;
    leat_source *reader, *decoder;
    leat_batch *batch; // of the last row
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop;
    bool held, full; // set by the test: the journal has no room
    // Instead of sleeping; true: stop. Set before the start.
    bool (*on_sleep)(feed_probe *probe, int64_t ms);
    void *context;
    leat_code code;
    leat_error error;
    feed_probe_record *records;
    uint32_t record_count;
    feed_probe_gap gaps[FEED_PROBE_GAPS];
    uint32_t gap_count;
    struct {
        const char *name;
        uint64_t value;
    } counters[FEED_PROBE_COUNTERS];
    uint32_t rejects;
    char reject_reason[128], reject_column[64];
    bool connected;
    uint32_t notes; // changes of connected
    char note[160];
};

void feed_probe_init(feed_probe *probe, leat_env *env);
void feed_probe_fini(feed_probe *probe);
void feed_probe_open(feed_probe *probe, const leat_source_ops *ops, const leat_source_description *description,
                     const void *settings, const leat_source_field *fields, uint32_t field_count);
void feed_probe_start(feed_probe *probe);
int64_t feed_probe_stop(feed_probe *probe); // ms that it took; asserts that run returned LEAT_OK
void feed_probe_run(feed_probe *probe);

uint32_t feed_probe_records(feed_probe *probe);
uint64_t feed_probe_counter(feed_probe *probe, const char *name);
uint32_t feed_probe_gaps(feed_probe *probe, const char *cause, feed_probe_gap *out_last); // how many
// Decodes a record; NULL when it was rejected. Row 0 of the batch, which the next call gives back.
leat_batch *feed_probe_row(feed_probe *probe, uint32_t record);
leat_batch *feed_probe_decode(feed_probe *probe, const leat_raw *raw);
leat_value feed_probe_value(feed_probe *probe, uint32_t record, const char *column); // of that row
