// Parameters of operators: written by config, read by operators, printed by explain. One struct per operator, named after it.
//
// Ownership: everything lives in the plan's arena and is read-only once the plan is made. Programs and accumulators are immutable.
#pragma once

#include "operators/core/schema.h"

struct leat_program;
struct leat_accumulators;
struct leat_zone;
struct leat_process_function; // operators/api/leat.h

// filter: rows for which the predicate is TRUE.
typedef struct leat_filter_spec {
    const struct leat_program *predicate;
} leat_filter_spec;

// project: one program per output column. Event time, kind, cause and watermarks pass through.
typedef struct leat_project_spec {
    uint32_t count;
    const struct leat_program *const *programs;
} leat_project_spec;

// union: any number of inputs of one schema.
typedef struct leat_union_spec {
    uint32_t input_count;
} leat_union_spec;

typedef enum leat_window_kind {
    LEAT_WINDOW_TUMBLE = 0,
    LEAT_WINDOW_HOP,
    LEAT_WINDOW_CUMULATE,
    LEAT_WINDOW_SESSION,
} leat_window_kind;

typedef struct leat_window {
    leat_window_kind kind;
    int64_t size_ms;     // TUMBLE, HOP: size; CUMULATE: maximum
    int64_t slide_ms;    // HOP: slide; CUMULATE: step
    int64_t offset_ms;   // |offset| < size (slide)
    int64_t gap_ms;      // SESSION
    int32_t time_column; // TIMESTAMP or TIMESTAMP_LTZ column that is the window's time; -1: the batch's event time
    const struct leat_zone *zone; // days are days of this zone when the time is TIMESTAMP_LTZ; NULL: UTC
} leat_window;

// window_time (TUMBLE, HOP, CUMULATE) and window_session: GROUP BY keys, window.
// Output 0: keys, aggregates, window_start, window_end, window_time, in this order; event time = window_end - 1.
// Output 1 (when late_output): late rows, in the input's schema.
typedef struct leat_window_aggregate_spec {
    leat_window window;
    uint32_t key_count;
    const uint32_t *key_columns;
    const struct leat_accumulators *accumulators;
    uint32_t aggregate_count;
    int64_t allowed_lateness_ms; // > 0: fires again with the whole result for each late row that its window still takes
    bool late_output;
    bool input_retracts; // -U and -D take rows out again; a window that retracts to nothing gives nothing
    bool keep_watermark; // SQL: the operator's watermark is part of its state
} leat_window_aggregate_spec;

// window_rows: a window table function without aggregation: the input's columns, then window_start, window_end, window_time.
// TUMBLE, HOP and CUMULATE hold nothing and drop nothing; SESSION holds rows until the session closes and drops late ones.
typedef struct leat_window_rows_spec {
    leat_window window;
    uint32_t key_count; // SESSION: PARTITION BY
    const uint32_t *key_columns;
} leat_window_rows_spec;

// group_aggregate: unbounded GROUP BY; output: keys, aggregates; a changelog.
typedef struct leat_group_aggregate_spec {
    uint32_t key_count; // 0: one group
    const uint32_t *key_columns;
    const struct leat_accumulators *accumulators;
    uint32_t aggregate_count;
    bool input_retracts;
    bool emit_before;     // -U is wanted
    int64_t state_ttl_ms; // 0: none
} leat_group_aggregate_spec;

// process: a process function of operators/api/leat.h.
typedef struct leat_process_table {
    uint32_t key_count; // PARTITION BY; 0: one partition
    const uint32_t *key_columns;
    int32_t time_column; // on_time; -1: none (then rows have no time)
    bool row_semantics, broadcast;
    bool pass_columns;
    uint32_t order_count; // ORDER BY: rows are buffered until the watermark passes and sorted
    const uint32_t *order_columns;
    const bool *order_descending;
} leat_process_table;

typedef struct leat_process_argument {
    bool given;
    leat_type type;
    leat_value scalar;         // SCALAR
    uint32_t descriptor_count; // DESCRIPTOR
    const uint32_t *descriptor_columns;
    const struct leat_program *expression; // EXPRESSION
    int32_t table;                         // TABLE: index into tables
} leat_process_argument;

typedef struct leat_process_state {
    const char *name;
    int kind; // leat_state_kind
    int type; // leat_api_type
    int64_t ttl_ms;
} leat_process_state;

// What declare() said; config runs it once and keeps the answer here. Output columns: keys of the first table, the function's, rowtime.
typedef struct leat_process_spec {
    const struct leat_process_function *function;
    uint32_t argument_count; // one per parameter
    const leat_process_argument *arguments;
    uint32_t table_count;
    const leat_process_table *tables; // one operator input each
    uint32_t state_count;
    const leat_process_state *states;
    uint32_t output_count;           // main and further ones
    const char *const *output_names; // [0] is NULL
    bool emit_keys;                  // partition keys come first in the output
    bool emit_rowtime;               // rowtime comes last (on_time was given)
    bool wall_timers_skip_downtime;  // processing timers do not count the time in which the agent was down
    int64_t state_ttl_ms;            // of the rule: for states that declare none
} leat_process_spec;
