// The contract of a source driver.
//
// Two ways, by description->replayable:
//
// pull (file, generate): the source's task calls `pull` on its own thread; it never blocks. Positions are the driver's own bytes and
//   part of every checkpoint; `seek` goes back to one exactly.
// push (mqtt, modbus, sensor): the agent makes a thread and calls `run`, which returns only after `stop` (called from another thread,
//   once) or a fault that a restart may cure. What arrives is handed to the intake, which writes the journal; the task reads the
//   journal and decodes. A library's callback may wait for the journal's sync and for nothing else.
//
// Instances are instance_size bytes, cleared, `leat_source` first. One source has up to two: the reader (run or pull) and the
// decoder (decode, on the task's thread), which share nothing but the read-only setup; `open` is told which it is.
// Failure: open fails on a configuration that can never work; a device that is away is not a failure: run retries with back-off,
// tells intake->note, and goes on.
#pragma once

#include "drivers/driver.h"
#include "operators/core/batch.h"
#include "operators/core/drop.h"

// One arrival, as the journal keeps it. Slices are borrowed.
typedef struct leat_raw {
    int64_t arrival_ms; // wall clock at arrival; becomes the implicit ts
    uint8_t tag;        // the driver's own: e.g. 1 message, 2 tombstone of a packet key
    uint8_t flags;      // leat_raw_flags
    uint32_t key;       // MQTT packet key of QoS 2, else 0
    leat_slice topic;   // or the request
    leat_slice payload;
    uint64_t position; // set by the journal (push) or the driver (pull): the byte or row that payload starts at
} leat_raw;
enum {
    LEAT_RAW_RETAINED = 1,
    LEAT_RAW_DUPLICATE = 2,
    LEAT_RAW_CONTROL = 4, // no rows: the task skips it
    // -- of the file driver, for formats
    LEAT_RAW_BLOCK = 8,  // part of a file: only the block with LEAT_RAW_HEAD has a header line
    LEAT_RAW_LINES = 16, // no message spans lines; so rows and rejections do not depend on where blocks were cut
    LEAT_RAW_HEAD = 32,  // begins with the first line of its file
    LEAT_RAW_AGAIN =
        64, // first line of a file, given again after a seek into its middle: for its header only, makes no rows
};

// The tag of a control record behind the rows of drivers that give whole tables (description->table): this one was given whole.
enum { LEAT_RAW_TABLE_END = 'T' };

// Given to push drivers. Every function may be called from the driver's thread and from its library's threads.
typedef struct leat_intake leat_intake;
struct leat_intake {
    // Copies the arrival into the journal's memory; *out_position identifies it. LEAT_E_NO_SPACE, LEAT_E_LIMIT: intake is held back,
    // nothing was kept.
    leat_code (*append)(leat_intake *intake, const leat_raw *raw, uint64_t *out_position);
    // Blocks until everything up to the position is on disk, at most timeout_ms (LEAT_E_TIMEOUT).
    leat_code (*wait_durable)(leat_intake *intake, uint64_t position, int64_t timeout_ms);
    // The high-water mark is reached or the disk is full: stop reading or disconnect, and ask again. Blocks until room or timeout.
    bool (*held)(leat_intake *intake);
    leat_code (*wait_room)(leat_intake *intake, int64_t timeout_ms);
    // Visits every record of this source that is still in the journal (control records too), oldest first; to be called before run
    // does anything else (rebuilds the set of known packet keys).
    leat_code (*visit)(leat_intake *intake, void (*visit)(void *context, const leat_raw *raw), void *context);
    // Loss ledger: `count` readings or messages (0: unknown) between the two wall-clock times are lost or possibly lost.
    void (*gap)(leat_intake *intake, const char *cause, int64_t from_ms, int64_t to_ms, uint64_t count);
    // State for logs and `leat status`: connected or not and why. Logged once per change.
    void (*note)(leat_intake *intake, bool connected, const char *text);
    void (*count)(leat_intake *intake, const char *counter,
                  uint64_t add); // driver's own counters ("timeouts", "reconnects"): static names
    // Sleeps until stop or the timeout; true when stopping.
    bool (*sleep)(leat_intake *intake, int64_t ms);
    bool (*stopping)(const leat_intake *intake);
};

typedef struct leat_source_setup {
    leat_env *env;
    leat_arena *arena; // for the instance's lifetime
    const char *name;  // of the source
    const char *agent_name;
    const void *settings; // the struct of description->settings
    const leat_source_field *fields;
    uint32_t field_count;
    const leat_schema *schema; // fields in order, then the implicit columns
    uint32_t
        implicit; // bits of the implicit columns that are in the schema, appended in the order of leat_implicit's bits
    leat_intake
        *intake; // of readers; those that are pulled from call note and count only. NULL: decoder, or nobody listens
    bool is_decoder;
    leat_drops *drops;
} leat_source_setup;

// Where a decoder puts what it makes: rows into a batch, and what it could not decode aside.
typedef struct leat_decode_target leat_decode_target;
struct leat_decode_target {
    leat_batch *
        batch; // made by leat_batch_get_rows(schema); the decoder appends at batch->count, sets nulls and values and count
    uint32_t capacity;
    uint32_t *
        row_offsets; // per row: offset in the payload that the row begins at (0 where a payload is one row): part of the row's cause
    // A row or payload that does not fit; counted by cause and kept in SOURCE.rejected. column may be NULL.
    void (*reject)(leat_decode_target *target, leat_drop_cause cause, leat_slice payload, uint32_t offset,
                   const char *column, const char *reason);
};

typedef struct leat_source leat_source;
typedef struct leat_source_ops {
    uint32_t abi;  // LEAT_DRIVER_ABI
    uint32_t size; // sizeof(leat_source_ops)
    const char *name;
    size_t instance_size;
    leat_code (*open)(leat_source *self, const leat_source_setup *setup, leat_error *out_error);
    void (*close)(leat_source *self);
    // -- push
    leat_code (*run)(leat_source *self, leat_error *out_error);
    void (*stop)(leat_source *self);
    // -- pull: fills out_raw (valid until the next call); LEAT_AGAIN: nothing now, ask again after *out_wait_ms; LEAT_END.
    // The payload may hold many messages (a block of whole lines). *out_position: the state after it was consumed.
    leat_code (*pull)(leat_source *self, leat_raw *out_raw, int64_t *out_wait_ms, leat_error *out_error);
    leat_code (*seek)(leat_source *self, leat_slice position, leat_error *out_error); // empty: the beginning
    leat_slice (*position)(leat_source *self); // after the last pull; at most 512 bytes
    // -- decode (description->decodes): appends rows from *offset on; sets *offset to the payload's size when all is consumed, less
    // when the batch is full. Does not touch event_ms, cause and implicit columns other than unit and quality.
    leat_code (*decode)(leat_source *self, const leat_raw *raw, size_t *offset, leat_decode_target *target);
} leat_source_ops;

struct leat_source {
    const leat_source_ops *ops;
    const leat_source_setup *setup;
};

// A shared object exports `const leat_driver_library leat_driver_library_entry`.
struct leat_sink_ops;
typedef struct leat_driver_library {
    uint32_t abi;
    const leat_source_ops *const *sources; // NULL-terminated, may be NULL
    const struct leat_sink_ops *const *sinks;
} leat_driver_library;

const leat_source_ops *leat_source_find(const char *name); // those compiled in; NULL when in a shared object or unknown
