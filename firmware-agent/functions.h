// Process functions by name: those built in, and those of the owner's libraries that the gateway file names.
//
// Usage: init, hand leat_functions_catalog to the compiler, fini after the plan. Threads: one.
// Failure: a library is refused that others could write to, that was made for another ABI, or that brings a name twice.
#pragma once

#include "config/plan.h"

enum { LEAT_FUNCTIONS_MAX = 256 };

typedef struct leat_functions {
    leat_env *env;
    const leat_process_function *items[LEAT_FUNCTIONS_MAX];
    uint32_t count;
    leat_function_catalog catalog;
} leat_functions;

LEAT_MUST_CHECK leat_code leat_functions_init(leat_functions *functions, leat_env *env, leat_error *out_error);
