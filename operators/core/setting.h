// How a part (the agent, a driver, a format, a rule) declares the keys it understands: one table from which `leat check`, the
// manual and the error messages are made.
//
// A table describes a plain C struct: each setting names the member that its value is stored into. config reads the YAML,
// checks type, range and choices, fills the struct from defaults and text, and reports unknown keys with the nearest known name.
// The struct's memory (strings included) belongs to the plan.
#pragma once

#include "operators/core/schema.h"

typedef enum leat_setting_type {
    LEAT_SETTING_TEXT,         // const char * (NULL when absent)
    LEAT_SETTING_SECRET,       // const char *; text, ${ENV} or file:PATH; never printed
    LEAT_SETTING_PATH,         // const char *; relative to the gateway file, made absolute
    LEAT_SETTING_INTEGER,      // int64_t within minimum..maximum
    LEAT_SETTING_NUMBER,       // double
    LEAT_SETTING_BOOLEAN,      // bool
    LEAT_SETTING_DURATION,     // int64_t ms ("500ms 2s 1m 1h 1d"); minimum..maximum in ms
    LEAT_SETTING_SIZE,         // int64_t bytes ("64MiB")
    LEAT_SETTING_CHOICE,       // int32_t index into choices
    LEAT_SETTING_TEXT_LIST,    // leat_text_list; a single text is a list of one
    LEAT_SETTING_INTEGER_LIST, // leat_integer_list; a single integer is a list of one
    LEAT_SETTING_EXPRESSION, // const char *: SQL text over the source's columns, with its place kept by config; parsed where it is used
} leat_setting_type;

typedef struct leat_text_list {
    const char *const *items;
    uint32_t count;
} leat_text_list;
typedef struct leat_integer_list {
    const int64_t *items;
    uint32_t count;
} leat_integer_list;

typedef struct leat_setting {
    const char *name;
    leat_setting_type type;
    size_t offset; // of the member
    bool required;
    const char *default_text;   // as one would write it in YAML; NULL: zero of the type
    double minimum, maximum;    // both 0: unbounded
    const char *const *choices; // CHOICE: NULL-terminated
    const char *text;           // one sentence for the manual, in the imperative or as a noun phrase
} leat_setting;

typedef struct leat_settings {
    const leat_setting *items;
    uint32_t count;
    size_t size; // of the struct
} leat_settings;
