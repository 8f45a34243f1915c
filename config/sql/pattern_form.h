// `pattern:` as config reads it from YAML, for the planner: everything that needs no columns is in the stages already.
//
// Ownership: the arena. Texts that are not given are NULL.
#pragma once

#include "config/sql/planner.h"
#include "operators/core/spec.h"

typedef struct leat_pattern_stage {
    leat_match_stage stage; // without conditions
    const leat_rule_text *where, *until;
} leat_pattern_stage;

typedef struct leat_pattern_measure { // NAME: EXPRESSION
    leat_slice name;
    const leat_rule_text *text;
} leat_pattern_measure;

typedef struct leat_pattern_form {
    leat_rule_form form;
    const leat_rule_text *from;
    uint32_t by_count, stage_count, measure_count, timeout_count;
    const leat_rule_text *const *by;
    const leat_pattern_stage *stages;
    const leat_pattern_measure *measures, *timeouts; // of matches; of partial matches that timed out
    int64_t within_ms;
    leat_match_skip skip;
    int32_t skip_stage;
    bool skip_strict;
    bool processing_time;
} leat_pattern_form;

// planner_pattern.c
struct plan_rule;
struct relation;
bool leat_plan_pattern(struct plan_rule *rule, const leat_rule_form *form, struct relation *out);
