// Fills a part's struct from a YAML mapping by the table that the part declares (operators/core/setting.h).
//
// Usage: leat_settings_read once per table, in any order; several tables may share one mapping (a source's common keys and its
// driver's). Then leat_settings_unknown once with all of them. A name with dots is a key of an inner mapping: "checkpoint.interval".
//
// Ownership: structs and texts in the arena. Failure: everything is reported, nothing stops; a struct with errors is complete all
// the same (defaults), so that what depends on it can be checked too. Secrets are never part of a message.
#pragma once

#include "config/yaml/report.h"

typedef struct leat_settings_reader {
    leat_env *env;
    leat_arena *arena;
    leat_report *report;
    const char *directory; // of the gateway file: relative paths begin there; empty: the working directory
    const char *(*variable)(const char *name); // for ${NAME}; NULL: the reference is kept as it is
    bool secrets_unread;                       // `file:PATH` has to be there and is not opened; the reference is kept
} leat_settings_reader;

enum { LEAT_SECRET_BYTES_MAX = 65536 };

// `place`: the key that the mapping stands at, where missing keys are reported. mapping NULL: all defaults. out has table->size bytes.
// False when something was reported.
bool leat_settings_read(leat_settings_reader *reader, const leat_settings *table, const leat_yaml_node *mapping,
                        const leat_yaml_node *place, void *out);

typedef struct leat_settings_known {
    const leat_settings *const *tables; // NULL entries are passed over
    uint32_t table_count;
    const char *const *others; // keys that are read by hand; NULL-terminated, may be NULL
} leat_settings_known;

bool leat_settings_knows(const leat_settings_known *known,
                         leat_slice key); // without dots: inner mappings by their name
// Reports each key of the mapping that nobody reads, inner mappings of dotted names included.
void leat_settings_unknown(leat_settings_reader *reader, const leat_yaml_node *mapping,
                           const leat_settings_known *known);

// The value that a (dotted) name stands for; NULL: absent.
const leat_yaml_node *leat_settings_node(const leat_yaml_node *mapping, const char *name);
const leat_setting *leat_settings_find(const leat_settings *table, leat_slice name);
// Whether the value of the setting has been given in the mapping.
bool leat_settings_given(const leat_yaml_node *mapping, const char *name);
// Joins a relative path to the directory; into the arena.
const char *leat_settings_path(leat_arena *arena, const char *directory, leat_slice path);
// "integer", "duration", "one of a, b, c": for the manual.
const char *leat_setting_type_text(leat_arena *arena, const leat_setting *setting);
