// From a syntax tree to plan nodes: one planner per gateway file, one call per rule.
//
// Usage: create; add a stream for each source (and its `.rejected`), whose nodes are added with leat_planner_add_node; then
// leat_planner_rule for each rule, in an order in which what a rule reads comes first (leat_planner_tables tells what a script
// reads). A rule that compiles is itself a stream afterwards: NAME, NAME.late, NAME.<output of its process function>. A rule that
// does not is remembered too: a rule that reads it fails without a further diagnostic (result->reads_failed).
//
// Ownership: everything made lies in the arena given, which is the plan's. Scripts, their texts and the catalogs are borrowed
// and must live as long as the planner. Threads: one. Failure: LEAT_E_INVALID with a diagnostic for each error of the rule (at
// most LEAT_SQL_DIAGNOSTICS_MAX); the nodes of a failed rule are taken back, so that the array stays fit for use.
// Limits: LEAT_COLUMNS_MAX columns of a schema, LEAT_PLANNER_NODES nodes of a file.
#pragma once

#include "config/plan.h"
#include "config/sql/parser.h"

enum {
    LEAT_PLANNER_NODES = 4096,
    LEAT_PLANNER_OUTPUTS = 16, // main and named outputs of a process function
};

typedef struct leat_planner leat_planner;

typedef struct leat_planner_options {
    leat_env *env;
    leat_arena *arena;                      // the plan's
    const leat_zone *zone;                  // session time zone; NULL: UTC
    const leat_function_catalog *functions; // NULL: none
    bool
        functions_missing; // a library could not be loaded, which has been reported: a rule that calls an unknown function fails silently
} leat_planner_options;

leat_planner *leat_planner_create(const leat_planner_options *options);
void leat_planner_miss_functions(leat_planner *planner); // sets functions_missing

// ---- nodes; the array is copied when it grows: take it after the last rule

// Returns its index. For source and sink nodes of the YAML side; the planner adds the operators.
uint32_t leat_planner_add_node(leat_planner *planner, const leat_plan_node *node);
// Behind the last rule and sink: interval joins keep and give only what somebody reads.
void leat_planner_drop_unread(leat_planner *planner);
const leat_plan_node *leat_planner_nodes(const leat_planner *planner, uint32_t *out_count);

// ---- streams

typedef struct leat_planner_stream {
    const char *name; // "boiler", "boiler.rejected"; in SQL: FROM boiler, FROM boiler.rejected
    uint32_t node, output;
    const leat_schema *schema;
    bool bounded;       // comes to an end by itself
    bool has_watermark; // false: no watermark before the end (LEAT_WATERMARK_NONE)
    bool table;         // readings of a whole table (operators/table.c makes changes of them)
    bool waits;         // its watermark stays back until it has its first contents
    uint32_t compared;  // table: columns of the rows themselves
} leat_planner_stream;

// The name must be new.
void leat_planner_add_stream(leat_planner *planner, const leat_planner_stream *stream);
// A source or rule that could not be compiled: who reads it fails silently.
void leat_planner_add_failed(leat_planner *planner, const char *name);
// The stream that a table with these hints (OPTIONS) means.
void leat_planner_add_variant(leat_planner *planner, const leat_sql_hints *hints, const char *stream);
const leat_planner_stream *leat_planner_find_stream(const leat_planner *planner,
                                                    leat_slice name); // NULL: none, or failed

// The streams that a script reads, each once, in order of first appearance ("boiler", "rule.late"); names of its own views and
// CTEs are left out. Into the arena.
typedef struct leat_planner_table {
    leat_slice name;
    leat_sql_span span;          // of the first appearance
    const leat_sql_hints *hints; // behind the table, NULL: none; each of them makes an entry of its own
} leat_planner_table;
uint32_t leat_planner_tables(leat_arena *arena, const leat_sql_script *script, const leat_planner_table **out_tables);

// ---- rules

// One text of a rule that is not SQL as a whole: an expression, or a name, with the diagnostics of its place.
typedef struct leat_rule_text {
    leat_slice text;
    const leat_sql_expr *expr; // NULL: a name, or it did not parse (then diagnosed)
    leat_sql_diagnostics *diagnostics;
} leat_rule_text;

// A rule in a form of its own (`pattern`, `window`, `join`): read by config/NAME.c, planned by config/sql/planner_NAME.c. First
// member of the form's struct, which lives in the arena.
struct plan_rule;
struct relation;
typedef struct leat_rule_form leat_rule_form;
struct leat_rule_form {
    // Makes the nodes (planner_state.h); false after a diagnostic in one of the form's texts. Sets rule->late and rule->outputs
    // where it has further streams.
    bool (*plan)(struct plan_rule *rule, const leat_rule_form *form, struct relation *out);
    uint32_t stream_count; // that it reads
    const leat_slice *streams;
    const char *summary; // for explain, in place of the SQL text
};

// `emit_every` and the like: when windows give results beside their end, and what they keep.
typedef struct leat_rule_emit {
    const char *key;  // the first of its keys that was given, for messages
    int64_t every_ms; // 0: not given, as below
    bool processing_time;
    int64_t count;
    bool discarding;
    int64_t evict_count, evict_ms;
    bool evict_after;
} leat_rule_emit;

typedef struct leat_rule_request {
    uint32_t rule;    // index into the plan's rules
    const char *name; // terminated, lives in the arena
    const char *uid;
    const leat_sql_script *script; // parameters bound; NULL: `form`
    const leat_rule_form *form;
    int64_t allowed_lateness_ms; // of all its window aggregations; > 0 without one is an error
    bool late_output;            // `late_to` is set or RULE.late is read: late rows of its first window aggregation
    int64_t state_ttl_ms;        // 0: none
    bool state_ttl_reads;        // states of process functions: reading refreshes too
    bool unbounded;              // `unbounded: true`: state without a bound is meant
    const leat_rule_emit *emit;  // NULL: windows give their result at the end
} leat_rule_request;

typedef struct leat_rule_output {
    const char *name; // "late" or as the function declares it
    uint32_t node, output;
    const leat_schema *schema;
} leat_rule_output;

typedef struct leat_rule_result {
    uint32_t node, output; // the main stream
    const leat_schema *schema;
    bool bounded, has_watermark;
    uint32_t late_node, late_output; // late_node UINT32_MAX: no late stream
    const leat_schema *late_schema;
    uint32_t output_count; // named outputs of the outermost process function; late is not among them
    const leat_rule_output *outputs;
    bool has_ttl_states; // of a process function
    bool reads_failed;   // failed because a stream that it reads has failed: there may be no diagnostic
} leat_rule_result;

LEAT_MUST_CHECK leat_code leat_planner_rule(leat_planner *planner, const leat_rule_request *request,
                                            leat_rule_result *out_result, leat_sql_diagnostics *diagnostics);

// The same for who reads the streams of rules: whether this one gives new rows only, where need be by having first rows by event time wait
// until they are final. Before anything is made of the streams' changelogs.
bool leat_planner_inserts(leat_planner *planner, uint32_t node, uint32_t output);

// An expression by itself over one schema (watermark, condition), folded and compiled; wanted NULL: any type, else coerced to it,
// where TIMESTAMP stands for TIMESTAMP_LTZ too. `table` is the alias by which its columns may be qualified, or NULL.
LEAT_MUST_CHECK leat_code leat_planner_expression(leat_planner *planner, const leat_sql_expr *expr, const char *table,
                                                  const leat_schema *schema, const leat_type *wanted,
                                                  const leat_program **out_program, leat_sql_diagnostics *diagnostics);
