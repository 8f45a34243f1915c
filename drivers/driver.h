// What config and the agent know of a driver without loading it: its name, its settings, the columns it gives.
//
// Descriptions are compiled into the agent even where the driver itself is a shared object, so that `leat check` knows every
// key. drivers/registry.c lists them (from drivers.def); config is handed the catalog and knows no driver by name.
#pragma once

#include "operators/core/setting.h"

enum { LEAT_DRIVER_ABI = 1 };

// A declared column of a source: `fields: { name: double }` or `{ name: { double: a.b[0] } }` or a mapping with the driver's own keys.
typedef enum leat_time_unit {
    LEAT_TIME_UNIT_NONE = 0, // not an instant in a number
    LEAT_TIME_UNIT_S,
    LEAT_TIME_UNIT_MS,
    LEAT_TIME_UNIT_US,
    LEAT_TIME_UNIT_NS,
    LEAT_TIME_UNIT_ISO, // text, ISO 8601 or "YYYY-MM-DD HH:MM:SS.mmm"
} leat_time_unit;

typedef struct leat_source_field {
    leat_slice name;
    leat_type type;
    const char *path; // in the payload: "a.b[0]"; by default the name; "topic[1]": a part of the topic
    leat_time_unit
        time_unit; // timestamp_s, timestamp_ms, timestamp_us, timestamp_ns (-> TIMESTAMP_LTZ), timestamp (ISO text -> TIMESTAMP)
    const char *unit_text; // free text of the user ("degC"), NULL: none
    const void *settings;  // the driver's field_settings struct, NULL when it has none
} leat_source_field;

// Implicit columns that config appends to a source's schema when no field has that name; values come with each record.
typedef enum leat_implicit {
    LEAT_IMPLICIT_SOURCE = 1 << 0,  // source STRING: the source's name
    LEAT_IMPLICIT_TS = 1 << 1,      // ts TIMESTAMP_LTZ(3): time of reading or arrival
    LEAT_IMPLICIT_TOPIC = 1 << 2,   // topic STRING
    LEAT_IMPLICIT_UNIT = 1 << 3,    // unit INT: Modbus unit
    LEAT_IMPLICIT_QUALITY = 1 << 4, // quality STRING: 'good', 'bad'
} leat_implicit;

typedef struct leat_source_description {
    const char *name;    // "modbus"
    const char *summary; // one line for --help and the manual
    const char *library; // "leat_modbus.so", NULL: inside the agent
    leat_settings settings;
    leat_settings field_settings; // keys of one field beside type; count 0: none
    bool replayable;              // positions can be sought: no journal (pull); else push through the journal
    bool decodes;                 // makes rows itself (modbus, sensor, generate); else `format:` decodes payloads
    bool fields_required;
    bool needs_fields_path; // each field names where it comes from by field_settings
    bool table; // gives a whole table again and again, each time with LEAT_RAW_CONTROL, LEAT_RAW_TABLE_END behind it
    uint32_t implicit; // leat_implicit bits
    // Checks what the table cannot say, e.g. two settings that exclude each other; place is filled by the caller. Optional.
    leat_code (*check)(const void *settings, const leat_source_field *fields, uint32_t field_count,
                       leat_error *out_error);
    // Whether it comes to an end by itself with these settings; NULL: never.
    bool (*bounded)(const void *settings);
    // What it promises: 'E' exact, 'A' at least once, 'G' with recorded gaps. NULL: E when replayable, else G when it decodes, else A.
    char (*guarantee)(const void *settings);
    // The columns when `fields:` is left out and not required; NULL: none but the implicit ones.
    const leat_source_field *default_fields;
    uint32_t default_field_count;
    // The SQL type of a field from its own settings (`type: float32, scale: 0.1`); false when they contradict each other, which check
    // tells. NULL: the user writes the type, or it follows from the wire type's name.
    bool (*field_type)(const void *field_settings, leat_type *out_type);
} leat_source_description;

typedef struct leat_sink_description {
    const char *name;
    const char *summary;
    const char *library;
    leat_settings settings;
    bool encodes;       // takes no `format:`
    bool takes_upsert;  // a changelog with a key
    bool takes_retract; // -U and -D too
    bool needs_topic;   // false
    // What the sink promises after a crash: 'E' exact by itself, 'I' exact after dedup by id, 'A' at least once, 'N' nothing.
    char guarantee;
    const char *guarantee_text;
    // The same with these settings, or 'P': exact after dedup by an id that travels beside the payload. NULL: `guarantee`.
    char (*guarantee_with)(const void *settings);
    leat_code (*check)(const void *settings, leat_error *out_error);
} leat_sink_description;

typedef struct leat_format_description {
    const char *name;
    const char *summary;
    leat_settings settings;
    bool decodes, encodes;
} leat_format_description;

typedef struct leat_driver_catalog {
    const leat_source_description *const *sources; // NULL-terminated
    const leat_sink_description *const *sinks;
    const leat_format_description *const *formats;
} leat_driver_catalog;

const leat_driver_catalog *leat_driver_catalog_get(void); // drivers/registry.c
