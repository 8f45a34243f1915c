// The built-in process functions as a catalog, without the loader of libraries.
#pragma once

#include <string.h>

#include "config/plan.h"
#include "operators/functions/builtin.h"

static const leat_process_function *check_functions_find(void *context, leat_slice name)
{
    (void)context;
    for (const leat_process_function *const *entry = leat_builtin_functions.processes; *entry; entry++)
        if (leat_slice_is(name, (*entry)->name))
            return *entry;
    return NULL;
}

static const char *check_functions_name(void *context, uint32_t index)
{
    (void)context;
    const leat_process_function *const *entry = leat_builtin_functions.processes;
    while (*entry && index--)
        entry++;
    return *entry ? (*entry)->name : NULL;
}

static const leat_function_catalog check_functions = {NULL, check_functions_find, check_functions_name, NULL};
