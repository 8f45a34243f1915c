// What every command begins with: the env, the functions, and the compiled gateway file.
//
// Usage: open -> plan -> close. Diagnostics go to stderr. Threads: one.
#pragma once

#include "firmware-agent/functions.h"

typedef struct leat_gateway {
    leat_env *env;
    leat_functions functions;
    leat_plan *plan; // NULL: it has errors
} leat_gateway;

// secrets: their files are read; only for a run, everything else does with knowing that they are there.
// Returns the exit code: EX_OK, EX_CONFIG (errors in the file, all of them printed), EX_NOINPUT, EX_SOFTWARE.
int leat_gateway_open(leat_gateway *gateway, const char *path, const char *const *overrides, bool secrets);
void leat_gateway_close(leat_gateway *gateway);
// Where the agent of this file listens.
const char *leat_gateway_socket(const leat_gateway *gateway, leat_arena *arena);
