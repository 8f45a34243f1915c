// Parameters of operators: written by config, read by operators, printed by explain. One struct per operator, named after it.
//
// Ownership: everything lives in the plan's arena and is read-only once the plan is made. Programs and accumulators are immutable.
#pragma once

#include "operators/core/schema.h"

struct leat_program;
struct leat_accumulators;
struct leat_order;
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

typedef enum leat_trigger_kind {
    LEAT_TRIGGER_NEVER = 0,
    LEAT_TRIGGER_EVENT_TIME,            // once the watermark has passed the window's end, then for each late row
    LEAT_TRIGGER_PROCESSING_TIME,       // once the clock has
    LEAT_TRIGGER_COUNT,                 // every `trigger_count` rows
    LEAT_TRIGGER_CONTINUOUS_EVENT_TIME, // every `trigger_interval_ms`, and at the end
    LEAT_TRIGGER_CONTINUOUS_PROCESSING_TIME,
    LEAT_TRIGGER_DELTA, // for a row whose `trigger_delta` against the row that fired last is above `trigger_threshold`
} leat_trigger_kind;

typedef enum leat_evictor_kind {
    LEAT_EVICTOR_NONE = 0,
    LEAT_EVICTOR_COUNT, // keeps the last `evictor_count` rows
    LEAT_EVICTOR_TIME,  // keeps rows later than the latest one - `evictor_ms`
    LEAT_EVICTOR_DELTA, // keeps rows whose `evictor_delta` against the last one is below `evictor_threshold`
} leat_evictor_kind;

typedef enum leat_stream_assigner {
    LEAT_ASSIGN_TIME = 0, // TUMBLE, HOP, CUMULATE, SESSION of `aggregate.window`
    LEAT_ASSIGN_GLOBAL,   // one window a key
    LEAT_ASSIGN_COUNT,    // numbered windows of `count_size` rows, each `count_slide` rows after the one before
} leat_stream_assigner;

// window_stream: windows as DataStream programs have them: assigner, trigger, evictor. Outputs as window_time; where windows are counted
// the first of the three columns is the window's number (BIGINT) and the others are NULL, for global ones all are NULL.
// Event time of a result: the window's last instant, LEAT_TIME_MAX for a global or counted one.
typedef struct leat_window_stream_spec {
    leat_window_aggregate_spec aggregate;
    leat_stream_assigner assigner;
    bool processing_time;           // windows lie in processing time
    const struct leat_program *gap; // SESSION: milliseconds of the row's own gap (BIGINT); NULL: window.gap_ms
    int64_t count_size, count_slide;
    leat_trigger_kind trigger;
    int64_t trigger_count, trigger_interval_ms;
    bool trigger_at_end; // by event time, beside COUNT, DELTA and CONTINUOUS_PROCESSING_TIME
    bool purging;        // what has fired is forgotten
    leat_evictor_kind evictor;
    bool evict_after; // the function's call; else before
    int64_t evictor_count, evictor_ms;
    const struct leat_program *evictor_delta; // DOUBLE; input 0: the row, input 1: the last row
    double evictor_threshold;
    uint32_t row_column_count; // columns that rows are kept with, when there is an evictor
    const uint32_t *row_columns;
    const struct leat_program
        *trigger_delta; // DOUBLE; input 0: the row, input 1: the row that fired last, or the first
    double trigger_threshold;
    uint32_t trigger_column_count; // columns that trigger_delta reads of either
    const uint32_t *trigger_columns;
    bool updates; // a changelog: -U and +U when a window that has fired changes
} leat_window_stream_spec;

// split: each row to those of the outputs whose condition is TRUE. Output 0: rows for which none is (empty unless read);
// output 1 + i: those of condition i.
typedef struct leat_split_spec {
    uint32_t count;
    const struct leat_program *const *conditions;
    bool first_match; // to the first one only
} leat_split_spec;

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

// over: aggregates over the rows before each row, in the order of a time attribute; and ORDER BY a time attribute (function_count 0).
// Output: the input's columns, then one column per function; each row goes out once, in the order of time.
typedef enum leat_over_kind {
    LEAT_OVER_AGGREGATE = 0,
    LEAT_OVER_LAG, // bounded must be false
    LEAT_OVER_ROW_NUMBER,
    LEAT_OVER_RANK,
    LEAT_OVER_DENSE_RANK,
} leat_over_kind;

typedef struct leat_over_function {
    leat_over_kind kind;
    uint32_t aggregate;      // AGGREGATE: index into accumulators
    uint32_t column, offset; // LAG
    int32_t otherwise;       // LAG: column with the default, -1: NULL
} leat_over_function;

typedef struct leat_over_spec {
    bool processing_time; // else event time
    bool sort;            // ORDER BY: late is what is not after the last row sent
    bool range;           // rows of one time are peers; else ROWS
    bool bounded;         // preceding: rows, or milliseconds for range
    int64_t preceding;
    int32_t time_column; // event time: -1: the batch's
    uint32_t key_count;
    const uint32_t *key_columns;
    uint32_t order_count; // sort: behind the time
    const struct leat_order *orders;
    const struct leat_accumulators *accumulators; // retracting when bounded; NULL: none
    uint32_t aggregate_count, function_count;
    const leat_over_function *functions;
    int64_t state_ttl_ms; // 0: none; bounded RANGE needs none
} leat_over_spec;

// over_sorted: aggregates over the rows up to each row in an order that is no time, a changelog; ties by arrival. Keeps every row.
// Output: the input's columns, then one column per function (no LAG).
typedef struct leat_over_sorted_spec {
    bool range; // rows that are equal in the order are peers; else ROWS
    uint32_t key_count;
    const uint32_t *key_columns;
    const struct leat_order *order;               // one
    const struct leat_accumulators *accumulators; // NULL: none
    uint32_t function_count;
    const leat_over_function *functions;
    int64_t state_ttl_ms; // 0: none
} leat_over_sorted_spec;

// top_n: rows `from` to `to` of each key in an order, a changelog; ties by arrival. Output: the input's columns, [rank BIGINT].
typedef enum leat_top_n_input {
    LEAT_TOP_N_APPEND = 0,
    LEAT_TOP_N_RETRACT, // keeps every row
    LEAT_TOP_N_UPDATE,  // rows of a unique key only rise: keeps `to` rows, -U is passed over
} leat_top_n_input;

typedef struct leat_top_n_spec {
    leat_top_n_input input;
    uint32_t key_count; // PARTITION BY
    const uint32_t *key_columns;
    uint32_t order_count;
    const struct leat_order *orders;
    uint32_t unique_count; // UPDATE: what tells rows of a key apart
    const uint32_t *unique_columns;
    int64_t from, to; // ranks from 1, both ends in
    bool rank_output;
    bool emit_before; // -U is wanted
    int64_t state_ttl_ms;
} leat_top_n_spec;

// dedup: one row per key by time; output: the input's columns.
typedef struct leat_dedup_spec {
    uint32_t key_count;
    const uint32_t *key_columns;
    int32_t time_column; // event time: column, -1: the batch's
    bool processing_time;
    bool keep_last;
    bool insert_only; // keep first by event time: sent when the watermark reaches it, never changed
    bool emit_before;
    int64_t state_ttl_ms;
} leat_dedup_spec;

// window_rank: rows `from` to `to` per key and window in an order, when the window closes. Keys hold window_start and window_end.
// Output: the input's columns, [rank BIGINT].
typedef struct leat_window_rank_spec {
    uint32_t key_count;
    const uint32_t *key_columns;
    int32_t end_column;           // window_end
    const struct leat_zone *zone; // of the session, when the window's time is TIMESTAMP_LTZ; NULL: none
    uint32_t order_count;
    const struct leat_order *orders;
    int64_t from, to;
    bool last_wins; // among equals the last one to arrive comes first (deduplication that keeps the last row)
    bool rank_output;
} leat_window_rank_spec;

// changelog: brings a changelog into another form, by key.
typedef enum leat_changelog_mode {
    LEAT_CHANGELOG_DROP_BEFORE = 0, // -U is left out; no state
    LEAT_CHANGELOG_DELETE_BEFORE, // the same where a filter may have kept back the +U: -U is -D unless its +U follows; no state
    LEAT_CHANGELOG_NORMALIZE,   // +I, +U, -D by key to +I, -U, +U, -D
    LEAT_CHANGELOG_MATERIALIZE, // several rows may stand under a key: the last one shows
} leat_changelog_mode;

typedef struct leat_changelog_spec {
    leat_changelog_mode mode;
    uint32_t key_count;
    const uint32_t *key_columns;
    bool emit_before; // NORMALIZE
    bool in_pairs;    // DELETE_BEFORE: a +U stands in the batch of its -U
    int64_t state_ttl_ms;
} leat_changelog_spec;

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

// match: row patterns of MATCH_RECOGNIZE and of `pattern:`.

typedef enum leat_match_contiguity {
    LEAT_MATCH_NEXT = 0,     // the very next row; also the first stage
    LEAT_MATCH_FOLLOWED,     // rows that do not fit may lie between
    LEAT_MATCH_ANY,          // any rows may lie between: every combination is a match
    LEAT_MATCH_NOT_NEXT,     // the next row must not fit
    LEAT_MATCH_NOT_FOLLOWED, // no row that fits may come before the next stage; last only with within_ms
} leat_match_contiguity;

typedef struct leat_match_stage {
    leat_slice name;
    leat_match_contiguity contiguity, inner; // inner: between the rounds of a loop: NEXT, FOLLOWED or ANY
    bool repeated;                           // from..to rounds; else one
    uint32_t from, to;                       // from >= 1; to UINT32_MAX: without end
    bool optional, greedy;
    uint32_t span;     // > 0: a group of the next `span` stages, those of groups in it counted; it takes no rows itself
    int64_t within_ms; // since the row before, of a loop between its rows, as far as Flink looks at it; 0: none
    int32_t where, until; // conditions, -1: none
} leat_match_stage;

typedef enum leat_match_value_kind {
    LEAT_MATCH_VALUE_ROW,       // a column of one row of the match
    LEAT_MATCH_VALUE_AGGREGATE, // over rows of the match
    LEAT_MATCH_VALUE_TIME,      // at which the match was found, or timed out
} leat_match_value_kind;

// What an expression takes from the rows of a match: column i of its input 1 is values[i].
typedef struct leat_match_value {
    leat_match_value_kind kind;
    leat_type type;
    int32_t stage;                                // whose rows; -1: all
    bool first;                                   // ROW: counted from the first one, else from the last one
    uint32_t offset;                              // past the end: NULL
    uint32_t column;                              // ROW: among the kept ones
    const struct leat_accumulators *accumulators; // AGGREGATE: one; its arguments read the kept columns
} leat_match_value;

// A condition without values is evaluated when rows arrive, for whole batches: input 0 is the operator's input. All others are evaluated
// for each partial match: input 0 are the kept columns of the row that is tried.
typedef struct leat_match_condition {
    const struct leat_program *program;
    bool simple;
    uint32_t value_count;
    const uint32_t *values; // that it reads
    int32_t own_stage;      // the row that is tried counts among the rows of this stage and of all; -1: it does not
} leat_match_condition;

typedef enum leat_match_skip {
    LEAT_MATCH_NO_SKIP = 0,
    LEAT_MATCH_SKIP_TO_NEXT,
    LEAT_MATCH_SKIP_PAST_LAST,
    LEAT_MATCH_SKIP_TO_FIRST, // of skip_stage
    LEAT_MATCH_SKIP_TO_LAST,
} leat_match_skip;

typedef struct leat_match_measure {
    const struct leat_program *program; // input 1 only
    uint32_t value_count;
    const uint32_t *values;
    int32_t key;   // >= 0: a key column instead
    bool is_value; // values[0] as it is: the program does nothing more
} leat_match_measure;

enum { LEAT_MATCH_STAGES = 64, LEAT_MATCH_STATES = 8192 };

// Output 0: matches. Then, when asked for: partial matches that timed out (timeout_measures); late rows, in the input's schema.
typedef struct leat_match_spec {
    uint32_t key_count; // 0: one partition
    const uint32_t *key_columns;
    int32_t time_column; // event time: the rowtime column; -1: processing time
    uint32_t kept_count; // columns of the input that are kept with a row
    const uint32_t *kept;
    uint32_t order_count; // rows of equal time are sorted by these kept columns, then by arrival
    const uint32_t *order;
    const bool *order_descending;
    uint32_t stage_count;
    const leat_match_stage *stages;
    uint32_t condition_count;
    const leat_match_condition *conditions;
    uint32_t value_count;
    const leat_match_value *values;
    int64_t within_ms; // 0: none
    leat_match_skip skip;
    int32_t skip_stage;
    bool skip_strict; // a skip to a stage without rows, or to the first row of the match, is an error of the match
    uint32_t measure_count;
    const leat_match_measure *measures;
    bool timeout_output, late_output;
    uint32_t timeout_measure_count;
    const leat_match_measure *timeout_measures;
} leat_match_spec;

typedef enum leat_join_kind {
    LEAT_JOIN_INNER = 0,
    LEAT_JOIN_LEFT,
    LEAT_JOIN_RIGHT,
    LEAT_JOIN_FULL,
    LEAT_JOIN_SEMI, // EXISTS, IN: left rows that have a partner
    LEAT_JOIN_ANTI, // NOT EXISTS: left rows that have none
} leat_join_kind;

// What all joins have. Input 0 is left, input 1 right. Output: the left columns, then (not SEMI, ANTI) the right ones.
typedef struct leat_join_sides {
    leat_join_kind kind;
    uint32_t key_count; // 0: every row may meet every row
    const uint32_t *key_columns[2];
    const bool *nulls_meet;               // per key: NULL equals NULL (IS NOT DISTINCT FROM)
    uint32_t column_counts[2];            // leading columns that go into the output; those behind are made for the join
    const struct leat_program *condition; // beyond the keys, over inputs 0 and 1; NULL: none
} leat_join_sides;

// join_interval: pairs with right time + lower <= left time <= right time + upper. lower > upper: none, outer rows are padded at once.
// Output 0: the pairs; with `streams` outputs 1 and 2: late rows of the left and of the right input, in their schemas.
typedef struct leat_join_interval_spec {
    leat_join_sides sides;
    int64_t lower_ms, upper_ms;
    int32_t time_columns[2]; // -1: the batch's event time
    bool processing_time;    // both times are the clock when the row arrives
    bool
        streams; // DataStream: late rows leave, the result has the later of both times, the watermark is passed on as it is
    const bool *unread[2]; // per column: nobody reads it in the result, where it is NULL; NULL: all are read
} leat_join_interval_spec;

// join_window: rows of one window, which is the last key; emitted when the window closes, which is when their event time has passed.
typedef struct leat_join_window_spec {
    leat_join_sides sides;
} leat_join_window_spec;

// join_temporal: each left row with the version of the right side that is valid at its time. kind: INNER or LEFT.
typedef struct leat_join_temporal_spec {
    leat_join_sides sides;
    int32_t time_columns[2];
    bool processing_time; // the version that is there when the left row comes
    bool waits;           // processing time: left rows wait for the first watermark, which says that the table was read
    int64_t state_ttl_ms; // 0: none. A key that is idle for so long, and half as long at most, is forgotten
} leat_join_temporal_spec;

// table: readings of a whole table as differences by key. The first `compared` columns tell whether a row has changed.
typedef struct leat_table_spec {
    uint32_t key_count;
    const uint32_t *key_columns;
    uint32_t compared;
} leat_table_spec;

// join_regular: everything with everything, a changelog.
typedef struct leat_join_regular_spec {
    leat_join_sides sides;
    uint32_t unique_counts[2]; // columns that tell rows of a side apart; 0: all of them do
    const uint32_t *unique_columns[2];
    int64_t state_ttl_ms[2]; // 0: none
} leat_join_regular_spec;

// unnest: each row once for each item of an ARRAY or entry of a MAP; output: the input's columns, then the item (a ROW: its fields;
// an entry: key, value), then its place from 1 (ordinality).
typedef struct leat_unnest_spec {
    const struct leat_program *collection;
    bool outer; // a row without items is kept, padded with NULL
    bool ordinality;
} leat_unnest_spec;

// repeat: each row as often as a BIGINT of it says, NULL and below 1: not at all; output: the input's columns.
typedef struct leat_repeat_spec {
    uint32_t count_column;
} leat_repeat_spec;
