// `window:` and `split:` as config read them from YAML, for the planner: everything that needs no columns is in the spec already.
//
// Ownership: the arena. Texts that are not given are NULL.
#pragma once

#include "config/sql/planner.h"
#include "operators/core/spec.h"

typedef struct leat_form_item { // NAME: EXPRESSION
    leat_slice name;
    const leat_rule_text *text;
} leat_form_item;

typedef struct leat_window_form {
    leat_rule_form form;
    uint32_t from_count, by_count, item_count;
    const leat_rule_text *const *from; // united
    const leat_rule_text *const *by;
    const leat_rule_text *where;
    const leat_rule_text *gap;   // of each row, for sessions
    const leat_rule_text *delta; // for the evictor
    const leat_rule_text *trigger_delta;
    const leat_form_item *items;
    leat_window_stream_spec spec;
    const char *label;   // "TUMBLING 1m"
    bool lateness_given; // in the form; else the rule's holds
} leat_window_form;

typedef struct leat_split_form {
    leat_rule_form form;
    const leat_rule_text *from;
    uint32_t item_count;
    const leat_form_item *items;
    bool first_match;
    const char *otherwise; // name of the stream of rows that no condition takes; NULL: none
} leat_split_form;

// planner_stream_window.c, planner_split.c
struct plan_rule;
struct relation;
bool leat_plan_window(struct plan_rule *rule, const leat_rule_form *form, struct relation *out);
bool leat_plan_split(struct plan_rule *rule, const leat_rule_form *form, struct relation *out);
