// Small JSON documents for people's scripts: objects and arrays, commas by themselves.
//
// Usage: open, members, close; a name is NULL inside an array. Threads: one. Failure: the writer's.
#pragma once

#include "operators/base/bytes.h"

typedef struct leat_json_writer {
    leat_writer *out;
    bool comma; // something stands before in this object or array
} leat_json_writer;

void leat_json_open(leat_json_writer *json, const char *name, char bracket); // '{' or '['
void leat_json_close(leat_json_writer *json, char bracket);                  // '}' or ']'
void leat_json_text(leat_json_writer *json, const char *name, leat_slice value);
void leat_json_string(leat_json_writer *json, const char *name, const char *value); // NULL gives null
void leat_json_number(leat_json_writer *json, const char *name, int64_t value);
void leat_json_unsigned(leat_json_writer *json, const char *name, uint64_t value);
void leat_json_bool(leat_json_writer *json, const char *name, bool value);
void leat_json_null(leat_json_writer *json, const char *name);
