// The settings of the source `generate`; the driver itself is generate.c.
#pragma once

#include "drivers/source.h"

typedef struct leat_generate_settings {
    int64_t rows; // 0: endless
    double rate;  // rows a second, 0: as fast as they are taken
    int64_t seed;
    int64_t keys;        // different keys
    int64_t interval_ms; // event time between two rows
    int64_t disorder_ms; // a row's event time is up to this much earlier than its turn
    const char *start;   // event time of the first row
} leat_generate_settings;

typedef enum leat_generator {
    LEAT_GENERATE_AUTO, // key for STRING, time for instants, random for the rest
    LEAT_GENERATE_SEQUENCE,
    LEAT_GENERATE_RANDOM,
    LEAT_GENERATE_CHOICE,
    LEAT_GENERATE_WALK,
    LEAT_GENERATE_KEY,
    LEAT_GENERATE_TIME,
} leat_generator;
typedef struct leat_generate_field_settings {
    int32_t generate; // leat_generator
    double minimum, maximum;
    leat_text_list values; // of choice
} leat_generate_field_settings;

extern const leat_source_ops leat_source_generate_ops;
extern const leat_source_description leat_source_generate_description;
