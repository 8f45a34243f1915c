// JSON paths as Flink reads them: `lax $.a.b[0]['c d'][*]..e[1:3]`, strict when no mode is written.
//
// A definite path names one value; one with *, .., a slice or several indexes gives a list, which may be empty. What a strict path
// does not find is an error, what a lax one does not find is empty, and so is a JSON null.
// Filters ([?(..)]) and functions (.length()) are refused: a query says the same with UNNEST and its own functions.
#pragma once

#include "operators/expr/json.h"

enum { LEAT_JSON_PATH_ERROR = 120, LEAT_JSON_PATH_STEPS = 32 };

typedef struct leat_json_path leat_json_path;

// NULL with a reason when it is none.
const leat_json_path *leat_json_path_compile(leat_arena *arena, leat_slice text, char out_error[LEAT_JSON_PATH_ERROR]);
bool leat_json_path_is_lax(const leat_json_path *path);

typedef enum leat_json_state { LEAT_JSON_FOUND, LEAT_JSON_EMPTY, LEAT_JSON_ERROR } leat_json_state;

typedef struct leat_json_found {
    leat_json_state state;
    bool list; // FOUND: items, else value
    leat_slice value;
    const leat_slice *items; // of the scratch arena
    uint32_t count;
} leat_json_found;

// Looks into a text; a path that is NULL (see compile) is an error of the strict kind.
leat_json_found leat_json_find(const leat_json_path *path, leat_slice text, leat_arena *scratch);
