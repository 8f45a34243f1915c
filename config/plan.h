// The plan: what a gateway file compiles to. Read-only for those who run it.
//
// A plan is a list of nodes in an order in which every input comes before its reader. Source nodes stand for the sources, sink nodes
// for the sinks, operator nodes name an operator of operators.def with its parameters (core/spec.h). It says nothing of threads: the agent
// cuts it into tasks.
//
// Ownership: everything lies in the plan's arena, destroyed whole. Threads: any, read-only.
#pragma once

#include "drivers/driver.h"
#include "operators/api/leat.h"
#include "operators/core/batch.h"
#include "operators/core/spec.h"
#include "operators/expr/program.h"

typedef enum leat_commit { LEAT_COMMIT_CHECKPOINT = 0, LEAT_COMMIT_NOW, LEAT_COMMIT_NONE } leat_commit;

// `agent:`; units are in the names.
typedef struct leat_agent_settings {
    const char *name;      // default: the host's name, else "leat"
    const char *state;     // directory; default `.leat/` beside the file
    const char *time_zone; // IANA name
    int64_t workers;
    int64_t checkpoint_interval_ms;
    int64_t checkpoint_retained;
    int64_t checkpoint_min_pause_ms;
    int64_t commit_gap_ms; // least time between two checkpoints asked for by `commit: now`
    int64_t stop_timeout_ms;
    int64_t memory_bytes;       // of all batches and keyed state; 0: no bound of ours
    int64_t rule_memory_bytes;  // default budget of a rule's state
    int64_t map_size_bytes;     // LMDB; 0: the store's default
    int64_t flash_budget_bytes; // a day; 0: none, only accounted
    int64_t journal_sync_ms, journal_keep_ms, journal_max_bytes;
    int64_t outbox_max_bytes; // each sink
    int32_t barrier_mode;     // 0 exactly_once (aligned), 1 at_least_once
    int32_t log_level;        // 0 error, 1 warning, 2 info, 3 debug
    const char *socket;       // status socket; default STATE/leat.sock
    const char *clock;        // reserved
} leat_agent_settings;

typedef enum leat_watermark_mode {
    LEAT_WATERMARK_CLOCK = 0, // no event_time: event time is arrival, the watermark follows the clock even without rows
    LEAT_WATERMARK_BOUNDED,   // maximum - delay - 1
    LEAT_WATERMARK_EXPRESSION, // exactly the expression's value (SQL)
    LEAT_WATERMARK_NONE,       // none before the end
    LEAT_WATERMARK_EXPLICIT,   // only what the source itself sends (scripted sources)
} leat_watermark_mode;

typedef struct leat_plan_watermark {
    leat_watermark_mode mode;
    int64_t delay_ms;
    int64_t idle_ms; // 0: never idle
    int64_t
        future_ms; // a reading from further in the future than this flows but does not move the watermark; 0: no guard
    int64_t interval_ms;            // periodic emission; 0: after every row
    int64_t wait_ms;                // at its first start no watermark for so long: joins wait for what a table holds
    const leat_program *expression; // EXPRESSION: TIMESTAMP-typed, over the source's schema
    const char *expression_text;
} leat_plan_watermark;

typedef enum leat_ack { LEAT_ACK_DURABLE = 0, LEAT_ACK_FAST } leat_ack;

typedef struct leat_plan_source {
    const char *name;
    const leat_source_description *driver;
    const void *settings;
    const leat_source_field *fields;
    uint32_t field_count;
    const leat_schema *schema;  // fields, then implicit columns, then the processing-time column where there is one
    const leat_schema *decoded; // what the format fills: the same with the field of the row kind; == schema without one
    int32_t kind_field;         // +I, -U, +U, -D: among fields, -1: all rows are +I
    uint32_t implicit;          // bits of the implicit columns present
    int32_t event_time;         // column; -1: none (arrival)
    leat_plan_watermark watermark;
    const leat_format_description *format; // NULL: the driver decodes
    const void *format_settings;
    const leat_schema
        *rejected; // payload STRING, reason STRING, column STRING, position BIGINT, cause STRING, ts TIMESTAMP_LTZ(3)
    bool bounded;  // the driver may reach an end and was told to (file without follow, generate with rows)
    leat_ack ack;
    const char *variant_of; // the source that rules read with OPTIONS; NULL: it is one of the file
    const char *options;    // "watermark.idle=5s, path=b.jsonl"
} leat_plan_source;

typedef struct leat_plan_sink_input {
    uint32_t node, output;   // where the rows come from
    uint32_t rule;           // index into rules; UINT32_MAX: a source's stream directly
    const char *output_name; // NULL: the rule's main stream; "late"
    const leat_schema *schema;
} leat_plan_sink_input;

typedef struct leat_plan_sink {
    const char *name;
    const leat_sink_description *driver;
    const void *settings;
    const leat_format_description *format; // NULL: the driver encodes
    const void *format_settings;
    const char *topic;           // template: {rule} {gateway} {sink} {column}; NULL: none
    bool envelope;               // id, sequence, rule, gateway in the payload
    const char *payload;         // template instead of a format, NULL
    const char *changelog_field; // name of the row kind in the payload; NULL: "op"
    leat_commit commit;
    int64_t outbox_max_bytes;
    uint32_t input_count;
    const leat_plan_sink_input *inputs;
} leat_plan_sink;

typedef enum leat_exchange {
    LEAT_EXCHANGE_FORWARD = 0, // same instance: chained
    LEAT_EXCHANGE_KEY,         // by the hash of key columns to the owner of the key group
    LEAT_EXCHANGE_GLOBAL,      // to instance 0
    LEAT_EXCHANGE_REBALANCE,
    LEAT_EXCHANGE_BROADCAST,
} leat_exchange;

typedef struct leat_plan_input {
    uint32_t node, output;
    leat_exchange exchange;
    uint32_t key_count;
    const uint32_t *key_columns;
    uint32_t port; // the operator's input that this edge feeds; several edges may feed one port (they are united)
} leat_plan_input;

typedef enum leat_plan_node_kind { LEAT_NODE_SOURCE, LEAT_NODE_OPERATOR, LEAT_NODE_SINK } leat_plan_node_kind;

typedef struct leat_plan_node {
    leat_plan_node_kind kind;
    uint32_t index; // SOURCE: into sources; SINK: into sinks
    uint32_t rule;  // OPERATOR: into rules; else UINT32_MAX
    const char *operator_name;
    const void *spec;
    const char *uid;   // stable name of its state: "rule/operator-kind-n"; unique in the plan
    const char *label; // one line for explain: "TUMBLE(ts, 1 m) BY line: AVG(reading), MAX(reading)"
    // Of the identity of its state: what the node computes, in words that stay as they are over releases (config/computes.c). Made of the label's words
    // as long as those were never changed; who makes them read better lets the planner put the old ones here. NULL: it keeps nothing.
    const char *computes;
    uint32_t port_count; // operator inputs
    const leat_schema *const *port_schemas;
    uint32_t input_count; // edges
    const leat_plan_input *inputs;
    uint32_t output_count;
    const leat_schema *const *outputs;
    bool parallel; // runs in `workers` instances; else in one
    bool stateful;
    const char *state_bound; // for explain: "windows of 1 m + 5 s lateness per key", NULL: no state
} leat_plan_node;

typedef struct leat_plan_rule {
    const char *name, *uid;
    const char *kind;      // "sql", or the detection's name
    const char *text;      // the SQL, parameters bound
    uint32_t node, output; // whose main stream it is
    const leat_schema *schema;
    int64_t memory_bytes; // state budget
    uint32_t late_node;   // UINT32_MAX: no late stream
    uint32_t late_output;
    const char *guarantee; // composed per sink, for explain: one line each
} leat_plan_rule;

typedef struct leat_plan {
    leat_arena arena;
    const char *path; // of the gateway file
    const leat_agent_settings *agent;
    const leat_zone *zone;
    uint32_t source_count, rule_count, sink_count, node_count;
    const leat_plan_source *sources;
    const leat_plan_rule *rules;
    const leat_plan_sink *sinks;
    const leat_plan_node *nodes;
    bool bounded;         // every source is: the run ends by itself
    uint64_t fingerprint; // of uids, schemas and key types: a checkpoint of another plan is told apart
} leat_plan;

// ---- making one: config/compile.c

// Functions that the agent has loaded or has built in, by name; config reads `functions:` first and asks the loader for each path.
typedef struct leat_function_catalog {
    void *context;
    const leat_process_function *(*find)(void *context, leat_slice name);
    // Names for "did you mean"; index from 0, NULL ends.
    const char *(*name)(void *context, uint32_t index);
    // Loads a shared object named under `functions:`; NULL loader: functions are refused.
    leat_code (*load)(void *context, const char *path, leat_error *out_error);
} leat_function_catalog;

typedef struct leat_compile_options {
    leat_env *env;
    const leat_driver_catalog *drivers;
    const leat_function_catalog *functions;
    const char *default_state;                 // NULL: `.leat` beside the file
    const char *const *overrides;              // --set section.key=value, NULL-terminated, or NULL
    const char *(*variable)(const char *name); // environment, for secrets ${NAME}; NULL: kept as references
    bool secrets_unread; // files of secrets are looked for and not opened, their references kept (leat check)
} leat_compile_options;

// One error or warning of a gateway file, with what is needed to show its line and a caret.
typedef struct leat_diagnostic {
    bool warning;
    const char *path;
    uint32_t line, column; // from 1
    const char *message;   // "rule 'overheating': unknown column 'temprature' (did you mean 'temperature'?)"
    const char *source_line;
    uint32_t caret, caret_size; // columns from 1 within source_line
} leat_diagnostic;

typedef struct leat_diagnostics {
    leat_arena arena;
    uint32_t count, error_count;
    leat_diagnostic *items;
    uint32_t capacity;
} leat_diagnostics;

void leat_diagnostics_init(leat_diagnostics *diagnostics, leat_env *env);
void leat_diagnostics_fini(leat_diagnostics *diagnostics);
// "gateway.yaml:31:14: rule ...\n    sql line\n    ^~~~" for each, in the order of lines.
void leat_diagnostics_print(const leat_diagnostics *diagnostics, leat_writer *out);

// All errors of the file at once; LEAT_E_INVALID when there is one. out_error has the first (or a fault: file not readable).
LEAT_MUST_CHECK leat_code leat_compile_file(const leat_compile_options *options, const char *path, leat_plan **out_plan,
                                            leat_diagnostics *diagnostics, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_compile_text(const leat_compile_options *options, const char *path, leat_slice text,
                                            leat_plan **out_plan, leat_diagnostics *diagnostics, leat_error *out_error);
void leat_plan_destroy(leat_plan *plan);

// ---- reading one: config/explain.c

void leat_plan_print(const leat_plan *plan, bool color, leat_writer *out); // text
void leat_plan_print_dot(const leat_plan *plan, leat_writer *out);         // Graphviz
// Manual pages from the tables: every section and key with type, default and text, as Markdown.
void leat_manual_print(const leat_driver_catalog *drivers, leat_writer *out);
