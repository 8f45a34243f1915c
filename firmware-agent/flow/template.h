// Texts with {names} in them: MQTT topics and payloads of a sink.
//
// `alerts/{rule}/{line}`: {rule}, {output}, {gateway} and {sink} are put in once; every other name is a column of the stream. In a topic
// the characters that MQTT gives a meaning (/ + # and NUL) become _, and NULL is "null".
//
// Ownership: templates live in the arena. Failure: LEAT_E_INVALID names the unknown column and the nearest one.
#pragma once

#include "operators/core/batch.h"

typedef struct leat_template leat_template;
typedef struct leat_template_names {
    const char *rule, *output, *gateway, *sink; // NULL: empty
} leat_template_names;

LEAT_MUST_CHECK leat_code leat_template_parse(leat_arena *arena, const char *text, bool topic,
                                              const leat_template_names *names, const leat_schema *schema,
                                              leat_template **out_template, leat_error *out_error);
void leat_template_render(const leat_template *parsed, const leat_batch *batch, uint32_t row, leat_writer *out);
