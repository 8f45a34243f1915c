// The contract of a format: bytes to columns, rows to bytes.
//
// Decoding is driven by the declared fields: unknown ones are skipped, a missing one is NULL, one that does not fit sends the row to
// the target's reject. Limits: LEAT_JSON_DEPTH, LEAT_PAYLOAD_BYTES_MAX (file lines too).
// Threads: an instance belongs to one task.
#pragma once

#include "drivers/source.h"

typedef struct leat_format_setup {
    leat_env *env;
    leat_arena *arena;
    const void *settings;
    const leat_source_field *fields; // decoding: in schema order
    uint32_t field_count;
    const leat_schema *schema;   // encoding: what is written
    const char *changelog_field; // encoding: name of the row kind where rows have one; NULL: "op"
} leat_format_setup;

// Beside a row's columns, what an encoder may put into the message; NULL or empty: left out.
typedef struct leat_envelope {
    const char *id;    // result id, 16 hex digits
    uint64_t sequence; // of the sink, from 1; 0: none
    const char *rule;
    const char *gateway;
} leat_envelope;

typedef struct leat_format leat_format;
typedef struct leat_format_ops {
    const char *name;
    size_t instance_size;
    leat_code (*open)(leat_format *self, const leat_format_setup *setup, leat_error *out_error);
    void (*close)(leat_format *self);
    // Decodes messages from *offset on (JSON: one value, an array of objects, or lines; CSV: lines). raw->topic feeds "topic[n]" fields.
    leat_code (*decode)(leat_format *self, const leat_raw *raw, size_t *offset, leat_decode_target *target);
    // Appends one row's text without a line end.
    void (*encode)(leat_format *self, const leat_batch *batch, uint32_t row, const leat_envelope *envelope,
                   leat_writer *out);
    // What a file starts with (CSV header), or empty.
    void (*encode_header)(leat_format *self, leat_writer *out);
} leat_format_ops;

struct leat_format {
    const leat_format_ops *ops;
    const leat_format_setup *setup;
};

const leat_format_ops *leat_format_find(const char *name);
// The part `index` of a topic between slashes; empty when there is none.
leat_slice leat_topic_part(leat_slice topic, uint32_t index);
