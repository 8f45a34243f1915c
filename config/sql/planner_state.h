// What the files of the planner share: relations, the rule being planned, and the making of nodes.
//
// A relation is the result of a part of a query: a node's output with what leat_schema does not say. A window table function gives
// a relation that is still pending: the grouping above it turns it into one window aggregation, anything else makes its rows
// (plan_rows). Functions return false after reporting; *out_... is then not for use.
#pragma once

#include "config/sql/binder.h"
#include "config/sql/planner.h"

#include <string.h>

typedef struct relation relation;
typedef struct plan_rank plan_rank;
typedef struct plan_wanted plan_wanted;
typedef struct plan_first_row plan_first_row;

// How the rows of one key change a column.
typedef enum plan_monotone { PLAN_ANY = 0, PLAN_CONSTANT, PLAN_RISES, PLAN_FALLS } plan_monotone;

// TUMBLE(..) and the like over an input.
typedef struct plan_window {
    leat_window window; // time_column is set
    uint32_t key_count; // SESSION: PARTITION BY
    const uint32_t *key_columns;
    const char *label; // "TUMBLE(ts, 1m)"
    bool aligned;      // HOP: size is a multiple of slide
    bool by_clock;     // over processing time: time_column is -1
    leat_sql_span span;
    const relation *input;
} plan_window;

// What window_start and window_end bound, for joins.
typedef struct plan_windows {
    leat_window window;
    leat_kind time; // type of their time; NULL: the clock
    const char *label;
} plan_windows;

struct relation {
    uint32_t node, output;
    const leat_schema *schema;
    const bool *times;                // per column: is an event time attribute
    int32_t window_start, window_end; // columns that bound the window each row belongs to, -1: none
    bool bounded, has_watermark;
    bool waits;            // joins by the clock wait for its first watermark: a table
    bool repeats;          // a window with lateness: its results may come again
    bool by_clock;         // results of windows over processing time: window_start and window_end bound nothing here
    const char *stream;    // whose rows these are, for messages
    const plan_rank *rank; // a ROW_NUMBER that no node makes yet: planner_over.h
    const plan_monotone *monotone; // per column, how updates change it; NULL: unknown
    const plan_windows *windows;   // of window_start and window_end; NULL: unknown
    const plan_window *pending;    // the schema ends in window_start, window_end, window_time that no node makes yet
};

// A view or a CTE. It sees those before it.
typedef struct plan_name plan_name;
struct plan_name {
    leat_slice name;
    const leat_sql_query *query;
    const leat_sql_names *columns;
    bool is_view;
    enum { PLAN_UNREAD, PLAN_READING, PLAN_READ, PLAN_FAILED } state;
    relation relation;
    plan_name *before;
};

typedef struct plan_stream {
    leat_planner_stream stream;
    relation relation;
    bool failed;
} plan_stream;

typedef struct plan_variant {
    const leat_sql_hints *hints;
    const char *stream;
} plan_variant;

enum { PLAN_OPERATORS = 32 };

struct leat_planner {
    leat_planner_options options;
    leat_plan_node *nodes;
    uint32_t node_count, node_capacity;
    plan_stream *streams;
    uint32_t stream_count, stream_capacity;
    plan_variant *variants;
    uint32_t variant_count, variant_capacity;
    plan_first_row *first_rows; // planner_inserts.c
};

typedef struct plan_rule plan_rule;
struct plan_rule {
    leat_planner *planner;
    leat_arena *arena;
    const leat_rule_request *request;
    leat_sql_diagnostics *diagnostics;
    leat_expr_scope expr;
    uint32_t first_node;
    const char *counted[PLAN_OPERATORS]; // operators so far, for uids
    uint32_t counts[PLAN_OPERATORS], counted_count;
    relation late; // of the first window aggregation
    bool has_late, has_window;
    uint32_t output_count; // of the process function whose rows came last
    leat_rule_output outputs[LEAT_PLANNER_OUTPUTS];
    bool has_ttl_states; // of a process function
    bool failed, reads_failed;
    bool sorts;                    // ORDER BY without LIMIT of the query that is planned next means something
    bool tried;                    // what is planned is taken back
    const leat_sql_hints *hints;   // of the SELECT that is being planned
    const plan_wanted *wanted;     // what is read of the SELECT that is planned next; NULL: everything
    leat_sql_diagnostics *ignored; // plan_ignored's, NULL before the first use
};

// FROM: rows, and the tables by whose names its columns are known: one, or as many as a join has. Table t's column c is column
// tables[t].first + c of the relation, which is input 0. The tables lie in the arena, so that a plan_source may be copied.
typedef struct plan_source {
    relation relation;
    leat_sql_scope scope;
} plan_source;

// ---- errors

void plan_error(plan_rule *rule, leat_sql_span span, const char *format, ...) LEAT_PRINTF(3, 4);
// For what is only tried: errors that nobody is told. One for all, emptied by each call.
leat_sql_diagnostics *plan_ignored(plan_rule *rule);
void plan_binder_init(plan_rule *rule, const leat_sql_scope *scope, const char *clause, leat_sql_binder *out_binder);

// ---- rules in a form of their own (planner_form.c)

// From here on errors belong to this text. A text that did not parse gives false.
bool plan_text_begin(plan_rule *rule, const leat_rule_text *text);
leat_sql_span plan_text_span(const leat_rule_text *text); // all of it
// The stream that a text names; its rows are made.
bool plan_text_stream(plan_rule *rule, const leat_rule_text *text, relation *out);
// A column of a schema that a text names; -1 after reporting.
int plan_text_column(plan_rule *rule, const leat_rule_text *text, const leat_schema *schema);

// ---- nodes (planner_node.c)

// Adds an operator: gives uid, rule, kind, and whether it runs in parallel.
uint32_t plan_node_add(plan_rule *rule, leat_plan_node *draft);
leat_plan_input *plan_input(plan_rule *rule, const relation *from, leat_exchange exchange, const uint32_t *keys,
                            uint32_t key_count);
// A node with one input and one output: its rows as a relation like `from`.
relation plan_chain(plan_rule *rule, const relation *from, const char *operator_name, const void *spec,
                    const leat_schema *schema, const char *label);
const leat_schema *plan_node_schema(const plan_rule *rule, const relation *from); // as its node declares it
uint32_t *plan_columns_copy(plan_rule *rule, const uint32_t *columns, uint32_t count);

leat_schema *plan_schema_new(plan_rule *rule, uint32_t count, leat_field **out_fields);
// Column names made different: a, a0, a1.
void plan_schema_unique(plan_rule *rule, leat_field *fields, uint32_t count);
relation plan_renamed(plan_rule *rule, const relation *from, const leat_slice *names);
relation plan_relation_of(plan_rule *rule, uint32_t node, uint32_t output, const leat_schema *schema,
                          const relation *like);
leat_type plan_timestamp(void); // TIMESTAMP(3)
const char *plan_duration(plan_rule *rule, int64_t ms);

// ---- filter, project, union (planner_project.c)

typedef struct plan_item {
    leat_expr *expr;
    leat_slice name;
    const char *label; // NULL: the name
} plan_item;

bool plan_compile(plan_rule *rule, const leat_expr *expr, leat_sql_span span, const leat_program **out_program);
bool plan_filter(plan_rule *rule, const relation *from, const leat_expr *predicate, const char *label,
                 leat_sql_span span, relation *out);
// Passed through where the items are the input's columns as they are.
bool plan_project(plan_rule *rule, const relation *from, const plan_item *items, uint32_t count, leat_sql_span span,
                  relation *out);
// The input's columns and then the items.
bool plan_extend(plan_rule *rule, const relation *from, const plan_item *items, uint32_t count, leat_sql_span span,
                 relation *out);
leat_expr *plan_column(plan_rule *rule, const relation *from, uint32_t column);
bool plan_union(plan_rule *rule, const relation *parts, uint32_t count, leat_sql_span span, relation *out);
// Brings relations of as many columns to common types; updates by key are made whole.
bool plan_alike(plan_rule *rule, const relation *parts, uint32_t count, const char *what, leat_sql_span span,
                relation *out_parts);
// Windows over processing time whose bounds something needs: true after reporting what.
bool plan_refuse_clock(plan_rule *rule, const relation *from, const char *what);
bool plan_materialize(plan_rule *rule, const relation *from,
                      relation *out); // makes the rows of a pending window or ranking
// DEDUPLICATE_KEEP_FIRST (planner_rank.c)
bool plan_is_keep_first(const leat_sql_expr *call);
bool plan_keep_first(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, relation *out);
// Updates by key as a full changelog; others as they are (planner_changelog.c).
bool plan_normalized(plan_rule *rule, const relation *from, leat_sql_span span, relation *out);

// ---- new rows only (planner_inserts.c)

// For who takes new rows only: whether these are such, where need be by having first rows by event time wait until they are final.
bool plan_inserts(plan_rule *rule, relation *rows);
// A deduplication that gives the earliest row of each key at once: it can wait instead. The texts are for that form.
void plan_first_row_add(plan_rule *rule, const relation *made, leat_dedup_spec *spec, leat_schema *schema,
                        const char *label, const char *state_bound);

// ---- queries

bool plan_query(plan_rule *rule, plan_name *names, const leat_sql_query *query, relation *out); // planner_query.c
// The same with FROM planned already; source NULL: not yet. Of a SELECT without WITH.
bool plan_query_over(plan_rule *rule, plan_name *names, const leat_sql_query *query, plan_source *source,
                     relation *out);
plan_name *plan_name_add(plan_rule *rule, plan_name *before, const leat_sql_name *name, const leat_sql_query *query,
                         const leat_sql_names *columns);
// What is planned to be checked and not to run: nodes made between both are taken back, errors stay.
typedef struct plan_trial {
    plan_rule *rule, before;
    uint32_t node_count;
} plan_trial;
void plan_trial_begin(plan_trial *trial, plan_rule *rule);
void plan_trial_end(plan_trial *trial, plan_name *names); // names that were in sight
void plan_check_unread(plan_rule *rule, plan_name *from, const plan_name *until);
bool plan_set_operation(plan_rule *rule, plan_name *names, const leat_sql_query *query,
                        relation *out); // INTERSECT, EXCEPT: planner_set.c
// ORDER BY behind a SELECT. What it takes that the select list has not follows as `hidden` columns, which `own` names.
typedef struct plan_ordering {
    const leat_sql_order *written;
    leat_sql_order own;
    uint32_t hidden;
} plan_ordering;

bool plan_select(plan_rule *rule, plan_name *names, const leat_sql_select *select, plan_source *source,
                 plan_ordering *order, relation *out); // planner_select.c; source as of plan_query_over
// Every combination of the items once; `what` for messages.
bool plan_distinct(plan_rule *rule, const relation *from, const plan_item *items, uint32_t count, leat_sql_span span,
                   const char *what, relation *out);
bool plan_from(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, plan_source *out); // planner_from.c
// The same where the rows are further held to conditions, which joins may use.
typedef struct plan_hints plan_hints;
bool plan_from_where(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, const plan_hints *hints,
                     plan_source *out);
bool plan_from_versions(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table,
                        plan_source *out);                                       // t FOR SYSTEM_TIME AS OF ..
const plan_hints *plan_where_hints(plan_rule *rule, const leat_sql_expr *where); // planner_join.c
bool plan_join_from(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, const plan_hints *hints,
                    plan_source *out);
bool plan_table(plan_rule *rule, plan_name *names, const leat_sql_path *path, relation *out);

// ---- arguments of table functions (planner_argument.c)

// Brings positional and named arguments into the order of names; out_arguments[i] NULL: left out. Names compare without case.
bool plan_match_arguments(plan_rule *rule, const leat_sql_expr *call, const char *const *names, uint32_t count,
                          const leat_sql_expr **out_arguments);
// TABLE t, TABLE (SELECT ..): a table argument's rows.
bool plan_table_argument(plan_rule *rule, plan_name *names, const leat_sql_expr *argument, plan_source *out);
bool plan_key_columns(plan_rule *rule, const leat_sql_exprs *exprs, const plan_source *source, const char *clause,
                      const uint32_t **out_columns);
// A column that is an event time attribute with a watermark behind it; `what` wants it.
bool plan_time_column(plan_rule *rule, const relation *from, const leat_sql_expr *descriptor, const char *what,
                      int32_t *out_column);
// Names the column of a descriptor, whatever it is; false after reporting.
bool plan_descriptor_column(plan_rule *rule, const relation *from, const leat_sql_expr *descriptor, const char *what,
                            int32_t *out_column);
bool plan_time_attribute(plan_rule *rule, const relation *from, int column, leat_sql_span span, const char *what);
bool plan_window_time(plan_rule *rule, const relation *from, int column, leat_sql_span span,
                      const char *what); // and has a watermark

// ---- windows (planner_window.c)

bool plan_is_window_function(const leat_sql_expr *call);
bool plan_window_function(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, relation *out);
// GROUP BY TUMBLE(ts, ..): over the relation of a scope.
const plan_windows *plan_windows_of(plan_rule *rule, const plan_window *window, const relation *input);
bool plan_group_window(plan_rule *rule, const relation *from, const leat_sql_scope *scope, const leat_sql_expr *call,
                       plan_window *out);

// ---- what is read of a subquery (planner_wanted.c)

bool plan_wants(const plan_wanted *wanted, leat_slice name); // of a column
// What a SELECT reads of its FROM, when that is one query; `above`: what is read of the SELECT itself.
const plan_wanted *plan_wanted_below(plan_rule *rule, const leat_sql_select *select, const plan_wanted *above);
leat_slice plan_item_name(plan_rule *rule, const leat_sql_select_item *item, uint32_t index); // planner_select.c

// ---- hints (planner_hint.c)

bool plan_hints_known(plan_rule *rule, const leat_sql_hints *hints); // behind SELECT
// The STATE_TTL hints behind SELECT, checked against the tables of its FROM; the last one counts.
bool plan_read_ttl(plan_rule *rule, const leat_sql_hints *hints, const leat_sql_scope *scope, bool *out_given,
                   int64_t *out_ms);
const leat_rule_request *plan_request_with_ttl(plan_rule *rule, int64_t ttl_ms);
// The stream that a table with hints behind it means; NULL after reporting.
const char *plan_variant_of(plan_rule *rule, const leat_sql_path *path, const leat_sql_hints *hints);

// ---- grouping (planner_group.c, planner_sets.c)

typedef struct plan_group {
    const relation *input;
    const leat_sql_scope *scope;
    leat_expr **keys; // GROUP BY, each once; empty: the whole input is one group
    const char **key_labels;
    uint32_t key_count;
    uint64_t *sets;     // grouping sets: bits of keys
    uint32_t set_count; // 1: plain GROUP BY
    leat_sql_aggregates *aggregates;
    const plan_window *window; // GROUP BY TUMBLE(..); NULL: none
    leat_sql_span span;
    const char *what; // "GROUP BY", "DISTINCT"
} plan_group;

// Output: keys, aggregates, window properties (start, end, time) where there are any, GROUPING calls.
typedef struct plan_grouped {
    relation relation;
    const uint32_t *key_columns;
    uint32_t first_aggregate;
    int32_t first_property, first_grouping; // -1: none
} plan_grouped;

bool plan_group_by(plan_rule *rule, plan_group *group, plan_grouped *out);
// Reports columns of a tree that are neither keys nor inside an aggregate.
bool plan_check_grouped(plan_rule *rule, const leat_sql_binder *binder, const plan_group *group, const leat_expr *expr,
                        leat_sql_span span);
// A checked tree over the group's input brought over its output.
leat_expr *plan_regroup(plan_rule *rule, const plan_group *group, const plan_grouped *grouped, leat_expr *expr);
// The sets of GROUP BY's items over the keys, which are bound and collected on the way.
bool plan_group_keys(plan_rule *rule, leat_sql_binder *binder, const leat_sql_select *select, plan_group *group);

// ---- MATCH_RECOGNIZE (planner_match.c)

bool plan_match_recognize(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, relation *out);

// ---- windows with early results or evictors (planner_emit.c)

bool plan_emit_fits(plan_rule *rule, leat_sql_span span, bool attached, bool retracts);
// The spec of window_stream for windows over processing time.
const void *plan_clock_spec(plan_rule *rule, const leat_window_aggregate_spec *aggregate);
bool plan_clock_fits(plan_rule *rule, leat_sql_span span); // nothing is set that only event time has
// The spec of window_stream for an aggregation over an input of that many columns.
const void *plan_emit_spec(plan_rule *rule, const leat_window_aggregate_spec *aggregate,
                           const leat_sql_aggregates *aggregates, uint32_t columns);
// The columns that rows are kept with: what aggregates and the evictor's expression (NULL: none) read.
void plan_rows_kept(plan_rule *rule, const leat_sql_aggregates *aggregates, const leat_expr *delta, uint32_t columns,
                    leat_window_stream_spec *spec);

// ---- process functions (planner_function.c, function_declare.c)

bool plan_process_function(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, relation *out);

typedef struct plan_declared_output {
    const char *name;
    uint32_t column_count, column_room;
    leat_field *columns;
} plan_declared_output;

typedef struct plan_declaration {
    plan_rule *rule;
    const leat_process_function *function;
    const leat_process_argument *arguments;
    const leat_sql_span *spans; // of each argument
    const relation *tables;
    uint32_t table_count;
    leat_sql_span span; // of the call
    uint32_t state_count;
    leat_process_state states[64];
    uint32_t output_count;
    plan_declared_output *outputs[LEAT_PLANNER_OUTPUTS];
    bool failed;
} plan_declaration;

// Runs the function's declare(); false after reporting.
bool plan_declare(plan_declaration *declaration);
leat_api_type plan_api_type(leat_type type); // 0: no such type in the API
bool plan_type_of_api(plan_rule *rule, leat_api_type type, leat_type *out_type);
