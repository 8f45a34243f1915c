// What the files of config share while one gateway file is compiled. Private to config/*.c.
//
// Order: overrides, agent, functions, detections (named, read when used), sources, sinks (read), rules (read, ordered, planned),
// sinks (wired), what only the whole shows (warnings, guarantees, fingerprint). Every part goes on after an error.
#pragma once

#include "config/sql/planner.h"
#include "config/yaml/settings.h"

typedef struct gateway_field { // where a field of a source was written
    const leat_yaml_node *key, *value;
} gateway_field;

typedef struct gateway_source {
    leat_plan_source plan;
    const leat_yaml_node *key, *value;
    uint32_t node; // of the plan, rejected rows are its output 1; UINT32_MAX: the source has errors
    leat_text_list to;
    const leat_yaml_node *to_node;
} gateway_source;

typedef struct gateway_feed { // a stream for a sink
    const leat_yaml_node *place;
    const char *stream; // "line_minutes", "line_minutes.late", "boiler"
    leat_plan_sink_input input;
    bool failed;
} gateway_feed;

typedef struct gateway_sink {
    leat_plan_sink plan;
    const leat_yaml_node *key, *value;
    bool failed, fed, changelog_set;
    leat_changelog changelog;
    leat_text_list primary_key;
    uint32_t feed_count, feed_capacity;
    gateway_feed *feeds;
} gateway_sink;

enum { PARAMETERS_MAX = 32 };

typedef enum parameter_type {
    PARAMETER_STREAM,
    PARAMETER_COLUMNS,
    PARAMETER_COLUMN,
    PARAMETER_EXPRESSION,
    PARAMETER_DURATION,
    PARAMETER_NUMBER,
    PARAMETER_TEXT,
    PARAMETER_CHOICE,
    PARAMETER_BOOLEAN,
} parameter_type;

typedef struct detection_parameter {
    const char *name, *text;
    parameter_type type;
    bool required;
    const leat_yaml_node *default_value; // NULL: SQL's NULL
    leat_text_list choices;
    double minimum, maximum; // NUMBER, DURATION in ms; infinite where not given
} detection_parameter;

typedef struct detection {
    const char *name, *text;
    bool built_in, failed;
    const leat_yaml_node *sql;
    uint32_t parameter_count;
    detection_parameter parameters[PARAMETERS_MAX];
} detection;

// A form of rule beside `sql` and `detect`: a key of the rule whose value says what to compute. Adding one: config/NAME.c with
// a gateway_form, its line in rule.c, config/sql/planner_NAME.c with the nodes. Further streams (late rows, timeouts, splits) are
// rule->late and rule->outputs of the planner: RULE.NAME in other rules, and `late_to` or `outputs: {NAME: SINK}` in this one.
struct gateway;
struct gateway_rule;
typedef struct gateway_form {
    const char *key;
    // Into the arena, texts through gateway_text; NULL after reporting.
    const leat_rule_form *(*read)(struct gateway *g, struct gateway_rule *rule, const leat_yaml_node *value);
    void (*manual)(leat_writer *out); // its section of the manual, Markdown
} gateway_form;

typedef struct gateway_text_place gateway_text_place;
struct gateway_text_place { // texts of a form, each with what was found in it
    const leat_yaml_node *node;
    leat_rule_text text;
    gateway_text_place *next;
};

typedef struct gateway_rule {
    leat_plan_rule plan;
    const leat_yaml_node *key, *value;
    const gateway_form *form; // NULL: `sql` or `detect`
    const leat_rule_form *form_rule;
    gateway_text_place *texts, *last_text;
    const leat_yaml_node *outputs; // named outputs to sinks
    const leat_yaml_node *text;    // `sql`, or the detection's
    const detection *detection;    // NULL: `sql`
    const leat_yaml_node *detect;  // the detection's name in the rule
    leat_text_list to, late_to;
    int64_t allowed_lateness_ms, state_ttl_ms;
    bool state_ttl_reads;
    const leat_rule_emit *emit; // NULL: not set
    bool unbounded, failed, incomplete;
    bool late_read;            // somebody reads NAME.late
    uint32_t dependency_count; // indexes of rules
    uint32_t *dependencies;
    leat_sql_script
        *script; // of a rule in SQL, parsed when its tables were looked up; NULL: not yet, or it does not parse
    enum { RULE_NEW, RULE_VISITED, RULE_DONE } order;
    leat_rule_result result;
} gateway_rule;

typedef struct gateway gateway;
struct gateway {
    const leat_compile_options *options;
    leat_plan *plan;
    leat_arena *arena;  // the plan's
    leat_arena scratch; // until the file is compiled: what would be kept for nothing
    leat_report report;
    leat_settings_reader reader;
    const leat_yaml_document *document;
    leat_yaml_node root; // with overrides
    leat_planner *planner;
    uint32_t source_count, rule_count, sink_count;
    gateway_source *sources;
    gateway_rule *rules;
    gateway_sink *sinks;
    const leat_yaml_node *own_detections; // `detections:`
    uint32_t detection_count, detection_capacity;
    detection **detections; // read so far
};

// gateway.c
// "sources", "rules": the mapping at a key of the file; NULL when absent or no mapping (reported).
const leat_yaml_node *gateway_section(gateway *g, const char *name);
bool gateway_check_name(gateway *g, const leat_yaml_node *key, const char *what);
// Diagnostics of SQL at the scalar that holds the text.
void gateway_report_sql(gateway *g, const leat_yaml_node *scalar, const leat_sql_diagnostics *diagnostics);
const char *gateway_copy(gateway *g, leat_slice text);

// override.c: --set section.key=value
void gateway_apply_overrides(gateway *g);
// A copy of the mapping in which the dotted key has the value; offsets in the document are where both stand. NULL after reporting.
const leat_yaml_node *gateway_override(gateway *g, const leat_yaml_document *document, const leat_yaml_node *from,
                                       leat_slice key, uint32_t key_offset, leat_slice value, uint32_t value_offset);
// A copy without a key of its inner mapping, or (inner NULL) of its own.
const leat_yaml_node *gateway_without(gateway *g, const leat_yaml_node *from, const char *inner, const char *key);
// variant.c: sources that rules read with OPTIONS, behind the others. After the rules are parsed, before they are planned.
void gateway_read_variants(gateway *g);
// source.c: reads the source of that index, whose key, value and name are set, and makes it a stream.
void gateway_read_source(gateway *g, uint32_t index);
// agent_settings.c
extern const leat_settings gateway_agent_settings;
void gateway_read_agent(gateway *g);
// fields.c; false when something was reported.
bool gateway_read_fields(gateway *g, gateway_source *source, gateway_field **out_places);
// processing_time: name of that column, NULL: none.
void gateway_make_schema(gateway *g, gateway_source *source, const char *processing_time);
extern const char *const gateway_field_keys[];
// Prints the sections of a rule's forms for the manual.
void gateway_print_forms(leat_writer *out);
// Prints the names of types for the manual.
void gateway_print_types(leat_writer *out);
// sink_changelog.c: new rows only, where the rule can give them, for a sink that takes no others. For all sinks before the next.
void gateway_ask_inserts(gateway *g, const gateway_sink *sink, const gateway_feed *feed);
// Refuses what the sink does not take; may put a node before it.
void gateway_match_changelog(gateway *g, gateway_sink *sink, gateway_feed *feed);
// source.c
extern const leat_settings gateway_source_settings;
void gateway_read_sources(gateway *g);
// driver.c
typedef struct gateway_names {
    leat_slice items[64];
    uint32_t count;
} gateway_names;
void gateway_names_add(gateway_names *names, const char *name);
bool gateway_is_driver(gateway *g, const leat_yaml_node *value); // false after reporting that it is no mapping
// section: "sources", "sinks".
void gateway_driver_unknown(gateway *g, const leat_yaml_node *mapping, const gateway_names *known, const char *section);
bool gateway_read_driver(gateway *g, const leat_yaml_node *mapping, const leat_yaml_node *key,
                         const leat_settings *settings, const void **out_settings);
// For drivers that make or write rows themselves.
bool gateway_takes_no_format(gateway *g, const leat_yaml_node *mapping, const char *driver, const char *makes);
// The format at `format:`; true when there is one or none is needed.
bool gateway_read_format(gateway *g, const leat_yaml_node *mapping, bool decodes,
                         const leat_format_description **out_format, const void **out_settings);
void gateway_unknown_keys(gateway *g, const leat_yaml_node *mapping, const leat_settings_known *known,
                          const leat_format_description *format);
void gateway_driver_complains(gateway *g, const leat_yaml_node *mapping, const leat_yaml_node *key,
                              const leat_error *error);
// sink.c
extern const leat_settings gateway_sink_settings;
void gateway_read_sinks(gateway *g);
void gateway_feed_sink(gateway *g, const leat_text_list *names, const leat_yaml_node *place, const gateway_feed *feed);
void gateway_finish_sinks(gateway *g);
// rule.c
extern const leat_settings gateway_rule_settings;
bool gateway_rule_has_key(leat_slice name); // of a rule, whatever its form
void gateway_read_rules(gateway *g);
void gateway_plan_rules(gateway *g);
// rule_text.c
// A text of a form: an SQL expression, or with `name` a stream or column. Errors in it, also those found while planning, are
// reported at the node when the rule is done. NULL after reporting that the node is no text.
const leat_rule_text *gateway_expression(gateway *g, gateway_rule *rule, const leat_yaml_node *node, const char *key);
const leat_rule_text *gateway_name(gateway *g, gateway_rule *rule, const leat_yaml_node *node, const char *key);
void gateway_report_texts(gateway *g, const gateway_rule *rule);
// A text that did not parse fails its rule even where the planner never looked at it.
bool gateway_texts_parsed(const gateway_rule *rule);
// emit.c: into rule->emit
extern const leat_settings gateway_emit_settings;
void gateway_read_emit(gateway *g, gateway_rule *rule);
// window.c, split.c
extern const gateway_form gateway_pattern_form; // pattern.c
extern const gateway_form gateway_window_form, gateway_join_form, gateway_split_form;
// order.c: rules in an order in which what a rule reads comes first; cycles are reported and fail.
void gateway_order_rules(gateway *g, uint32_t *out_order);
// detections.c
const detection *gateway_find_detection(gateway *g, const leat_yaml_node *name);
void gateway_check_detections(gateway *g); // the owner's own, used or not
// The detection's text with the rule's parameters in it; `time` NULL: not known yet. NULL after reporting.
leat_sql_script *gateway_bind_detection(gateway *g, gateway_rule *rule, const char *time,
                                        leat_sql_diagnostics *diagnostics);
void gateway_report_detection(gateway *g, const gateway_rule *rule, const leat_sql_diagnostics *diagnostics);
bool gateway_check_parameters(gateway *g, gateway_rule *rule);              // unknown and missing ones
const char *gateway_stream_parameter(gateway *g, const gateway_rule *rule); // what `from` names; NULL: none
detection *gateway_read_detection(leat_arena *arena, leat_report *report, const char *name,
                                  const leat_yaml_node *mapping, const leat_yaml_node *place);
const char *gateway_parameter_type_name(parameter_type type);
// computes.c: of an operator, for leat_plan_node.computes. `made_from`: of the stateful nodes that its rows come from; 0: there are none.
const char *gateway_computes(leat_arena *arena, const leat_plan_node *node, uint64_t made_from);
// guarantee.c
const char *gateway_guarantee(const leat_plan_source *source, const leat_plan_sink *sink);
void gateway_compose_guarantees(gateway *g);
