// `join:` as it was read: two streams joined over an interval of time, as DataStream programs do it.
#pragma once

#include "config/sql/planner.h"

typedef struct leat_join_key {
    const leat_rule_text *left, *right; // columns
} leat_join_key;

typedef struct leat_join_item {
    leat_slice name;
    const leat_rule_text *text; // an expression over left.column and right.column
} leat_join_item;

typedef struct leat_join_form {
    leat_rule_form form;
    const leat_rule_text *left, *right;
    const leat_join_key *keys;
    uint32_t key_count, item_count;
    const leat_join_item *items;
    int64_t lower_ms, upper_ms; // right time - left time, both inclusive
} leat_join_form;

bool leat_plan_join(struct plan_rule *rule, const leat_rule_form *form, struct relation *out);
