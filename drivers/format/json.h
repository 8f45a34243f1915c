// JSON between bytes and columns: what the files of this format share.
//
//   json_scan.c    syntax                json_field.c   one value into one column
//   json_path.c    declared paths        json_shape.c   the fast path for messages that look alike
//   json_decode.c  payload to rows       json_encode.c  row to text         json.c  settings and table
//
// The rules of decoding: unknown members are skipped (and checked), a missing one and null are NULL, of members with the same
// name the last wins. A row with a value that does not fit its column is rejected as a whole (MISFIT), text that is not JSON
// as UNDECODABLE with the byte, nesting beyond LEAT_JSON_DEPTH as TOO_LARGE. A reject's offset is where its slice of
// the payload begins, as a row's offset is.
#pragma once

#include "drivers/format.h"
#include "drivers/format/json_scan.h"
#include "drivers/format/text.h"
#include "drivers/format/topic.h"

typedef enum leat_json_timestamps { LEAT_JSON_ISO, LEAT_JSON_MS } leat_json_timestamps;
typedef struct leat_json_settings {
    int32_t timestamps; // leat_json_timestamps
} leat_json_settings;

// A place in a document that a declared path leads to or through.
typedef struct leat_json_node leat_json_node;
struct leat_json_node {
    leat_slice name;
    uint64_t prefix; // first eight bytes of the name, zero-padded
    uint32_t index;  // of an array's item
    uint32_t order;  // among the members of its parent
    uint64_t met;    // serial of the row in which it was last seen
    leat_json_node **members;
    leat_json_node **items; // ascending index
    uint16_t *table;        // of a node with many members: hash -> member + 1
    uint32_t table_mask;
    uint32_t member_count, item_count;
    uint32_t *fields; // bound to this very place
    uint32_t field_count;
    uint8_t bit; // of the shape
};

typedef enum leat_json_action {
    LEAT_JSON_GENERAL = 0, // through a leat_value
    LEAT_JSON_INTEGER,     // and instants in ms
    LEAT_JSON_DOUBLE,
    LEAT_JSON_TEXT,
    LEAT_JSON_BOOLEAN,
} leat_json_action;

typedef struct leat_json_plan {
    leat_json_action action;
    int64_t minimum, maximum;
    void *values; // of the column in the batch of the current call
} leat_json_plan;

typedef struct leat_json_misfit {
    uint64_t serial; // of the row; others are stale
    leat_slice found;
    const char *reason;
} leat_json_misfit;

// The texts between the values of rows, and where each value goes (json_shape.c).
enum {
    LEAT_JSON_SHAPE_NODES = 96,
    LEAT_JSON_SHAPE_EDGES = 192,
    LEAT_JSON_SHAPE_WORDS = 1024,
    LEAT_JSON_SHAPE_PLACES = 64
};
typedef struct leat_json_shape_edge {
    uint64_t places; // of declared paths that the text enters: a bit each
    uint64_t last;   // bits of the last word that count
    uint32_t literal, words, size;
    uint16_t next; // edge of the same node; 0: none
    uint16_t to;   // node; 0: the row ends
} leat_json_shape_edge;
typedef struct leat_json_shape_node {
    const leat_json_node *object; // of skipped members: whose
    int32_t field;                // -1: skipped
    uint32_t depth;
    uint16_t first; // edge
} leat_json_shape_node;
typedef struct leat_json_shape {
    bool valid, recording;
    bool unusable;  // more places than bits
    bool coarse;    // does not look into what is skipped
    bool multiline; // some text has a line end
    uint32_t pause; // rows that do without
    uint32_t rests, fruitless, edges_before;
    uint32_t node_count, edge_count, word_count, place_count;
    uint64_t leaves;             // places with columns
    uint8_t *bits;               // per field: its place
    leat_json_shape_node *nodes; // LEAT_JSON_SHAPE_NODES; of decoders only, as the rest: an encoder is small
    leat_json_shape_edge *edges; // LEAT_JSON_SHAPE_EDGES
    uint64_t *text;              // LEAT_JSON_SHAPE_WORDS
    // -- while recording
    const char *cursor; // end of the last value
    uint32_t from;      // its node
    uint64_t opened;    // places since
} leat_json_shape;

typedef struct leat_json_format {
    leat_format format;
    leat_json_settings settings;
    // -- decoding
    leat_json_node *root;
    bool whole_value; // a path "$" or "[n]": whatever stands at top level is one row
    leat_topic_columns topics;
    leat_json_plan *plans;
    uint32_t *bound; // fields with a path into the payload
    uint32_t bound_count;
    uint64_t *seen; // per field: serial of the row that has it
    leat_json_misfit *misfits;
    leat_json_shape shape;
    // -- of the current row
    uint64_t serial;
    uint32_t seen_count;
    bool misfit;
    // -- of the current call
    leat_json_scan scan;
    const leat_raw *raw;
    leat_decode_target *target;
    leat_batch *batch;
    uint32_t row;
    // What is read: the payload itself, or of one in lines a copy of some of them in the batch's memory, where texts may stay.
    const char *part, *part_end;
    size_t part_offset; // in the payload
    bool line_open;     // scan.end is not the line's yet: leat_json_settle_line
    bool padded;        // the part is a copy, with LEAT_JSON_PADDING zeroes behind it
    bool sliced;        // some text refers to the part
    char reason[LEAT_REASON_TEXT];
    // -- encoding
    leat_slice *names; // per column: `,"name":` with escapes
} leat_json_format;

// -- json_path.c
LEAT_MUST_CHECK leat_code leat_json_paths_build(leat_json_format *self, leat_error *out_error);
leat_json_node *leat_json_member_find(const leat_json_node *node, leat_slice name);
uint64_t leat_json_name_prefix(const char *name, size_t size);
leat_json_node *leat_json_member_find_prefix(const leat_json_node *node, leat_slice name, uint64_t prefix);
// -- json_field.c
// Rows of payloads in lines are read before their end is known; whoever may read on beyond a line end asks for it first.
void leat_json_settle_line(leat_json_format *self, const char *p);
const char *leat_json_line_end(const leat_json_format *self, const char *p);
void leat_json_note_misfit(leat_json_format *self, uint32_t field, const char *begin, const char *end,
                           const char *reason);
// -- json_shape.c
void leat_json_shape_init(leat_json_format *self, leat_arena *arena, uint32_t field_count); // after the paths
// The row at p, when it is made of known texts; NULL: it is not (the row's columns may have been written).
const char *leat_json_shape_match(leat_json_format *self, const char *p, unsigned depth);
// Rows of known texts, a line each, with nothing to look at but their values; stops at the first that wants a closer look. For parts that
// are padded, while no text has a line end.
const char *leat_json_shape_rows(leat_json_format *self, const char *p, const char *end);
// Learning: record, then for each value in order shape_value (object: whose member, when skipped; NULL: no member) with the cursor
// set to its end by the caller, then finish.
void leat_json_shape_record(leat_json_shape *shape, const char *row, unsigned depth);
void leat_json_shape_value(leat_json_shape *shape, const char *begin, int32_t field, const leat_json_node *object,
                           unsigned depth);
void leat_json_shape_inner(leat_json_format *self, const char *p, const char *end, unsigned depth);
void leat_json_shape_finish(leat_json_format *self, const char *end);
// -- json_decode.c, json_encode.c
leat_code leat_json_decode(leat_format *format, const leat_raw *raw, size_t *offset, leat_decode_target *target);
void leat_json_encode_init(leat_json_format *self);
void leat_json_encode(leat_format *format, const leat_batch *batch, uint32_t row, const leat_envelope *envelope,
                      leat_writer *out);

extern const leat_format_ops leat_format_json_ops;
extern const leat_format_description leat_format_json_description;
