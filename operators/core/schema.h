// The columns of a stream: names, types, and which column is the time attribute.
//
// Ownership: immutable after it is built, lives in the plan's arena. Threads: any.
#pragma once

#include "operators/core/type.h"

typedef struct leat_field {
    leat_slice name;
    leat_type type;
} leat_field;

typedef enum leat_changelog {
    LEAT_CHANGELOG_INSERT,  // +I only
    LEAT_CHANGELOG_UPSERT,  // +I, +U, -D by key
    LEAT_CHANGELOG_RETRACT, // +I, -U, +U, -D
} leat_changelog;

typedef struct leat_schema {
    uint32_t count;
    const leat_field *fields;
    int32_t rowtime;  // column that equals the batch's event time, -1: none visible
    int32_t proctime; // column that is PROCTIME(), -1: none
    leat_changelog changelog;
    uint32_t key_count; // primary key (upsert), 0: none
    const uint32_t *key_columns;
} leat_schema;

int leat_schema_find(const leat_schema *schema, leat_slice name); // exact match; -1 when missing
int leat_schema_find_nocase(const leat_schema *schema, leat_slice name);
