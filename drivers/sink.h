// The contract of a sink driver.
//
// The agent makes a thread per sink that reads committed results from the sink's outbox in order and calls `send`; the driver
// delivers them and reports by control->acknowledged, up to a sequence, with a token of its own (at most 64 bytes, e.g. the
// file's length) that is stored with the cursor and given back on open: that is what a transactional sink cuts itself back to.
// Until acknowledged a result stays in the outbox and is sent again after a restart or after control->failed, with the same id,
// sequence and bytes.
//
// Threads: open, send, flush, close on the sink's thread; a library's threads may call control.
#pragma once

#include "drivers/driver.h"
#include "operators/core/batch.h"

typedef struct leat_delivery {
    uint64_t sequence;   // from 1, without gaps, per sink; same after a restart
    uint32_t generation; // rises when recovery fell back to an older checkpoint
    leat_row_kind kind;
    char id[17]; // result id
    const char *rule;
    int64_t event_ms;
    leat_slice topic;   // rendered template, or empty
    leat_slice payload; // encoded row
} leat_delivery;

typedef struct leat_sink_control leat_sink_control;
struct leat_sink_control {
    void (*acknowledged)(leat_sink_control *control, uint64_t sequence, leat_slice token);
    // Connection lost or refused: everything after the last acknowledged sequence is sent again after a back-off of the agent's.
    void (*failed)(leat_sink_control *control, const char *reason);
    // The receiver refused this one result for good (e.g. payload too large): counted, kept in the ledger, and passed over.
    void (*refused)(leat_sink_control *control, uint64_t sequence, const char *reason);
    void (*note)(leat_sink_control *control, bool connected, const char *text);
    void (*count)(leat_sink_control *control, const char *counter, uint64_t add);
    void (*wake)(leat_sink_control *control); // the window has room again: call send
    bool (*stopping)(const leat_sink_control *control);
};

typedef struct leat_sink_setup {
    leat_env *env;
    leat_arena *arena;
    const char *name;
    const char *agent_name;
    const void *settings;
    leat_sink_control *control;
    leat_slice token;        // of the last stored cursor; empty: never acknowledged anything
    uint64_t acknowledged;   // its sequence, 0: none
    const char *format_name; // "json", "csv"
    leat_slice header;       // of the format, for files
    bool bounded_run;        // all sources are bounded: the run will end
} leat_sink_setup;

typedef struct leat_sink leat_sink;
typedef struct leat_sink_ops {
    uint32_t abi;
    uint32_t size;
    const char *name;
    size_t instance_size;
    leat_code (*open)(leat_sink *self, const leat_sink_setup *setup, leat_error *out_error);
    // LEAT_OK: taken; LEAT_AGAIN: window full or not connected, try after wake or the agent's timer; else failed as by control->failed.
    // The delivery's slices are borrowed for the call.
    leat_code (*send)(leat_sink *self, const leat_delivery *delivery, leat_error *out_error);
    // Nothing more is there at the moment: push out what is buffered (file: write and sync, then acknowledge).
    leat_code (*flush)(leat_sink *self, leat_error *out_error);
    void (*close)(leat_sink *self);
} leat_sink_ops;

struct leat_sink {
    const leat_sink_ops *ops;
    const leat_sink_setup *setup;
};

const leat_sink_ops *leat_sink_find(const char *name);
