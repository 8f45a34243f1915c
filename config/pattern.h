// What the readers of `pattern:` share: the form being read, its stages, errors at their places. Only for config/pattern*.c.
#pragma once

#include "config/gateway.h"
#include "config/sql/pattern_form.h"

typedef struct pattern_reader {
    gateway *g;
    gateway_rule *rule;
    const leat_yaml_node *value; // of `pattern`
    leat_pattern_form *form;
    leat_pattern_stage *stages; // LEAT_MATCH_STAGES of them
    uint32_t stage_count;
    bool nested[LEAT_MATCH_STAGES]; // by stage: it is in a group
    bool failed;
} pattern_reader;

#define fail(r, node, ...)                                                                                             \
    do {                                                                                                               \
        leat_report_error(&(r)->g->report, node, __VA_ARGS__);                                                         \
        (r)->failed = true;                                                                                            \
    } while (0)

static inline bool pattern_is_not(const leat_match_stage *stage)
{
    return stage->contiguity == LEAT_MATCH_NOT_NEXT || stage->contiguity == LEAT_MATCH_NOT_FOLLOWED;
}

// The text of a key; NULL when it is not given, or after an error.
const leat_rule_text *pattern_expression(pattern_reader *r, const leat_yaml_node *node, const char *key);

// pattern_stages.c
void pattern_read_stages(pattern_reader *r);
bool pattern_bounds_steps(const pattern_reader *r); // some stage has a time of its own
void pattern_stage_manual(leat_writer *out);
