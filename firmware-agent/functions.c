#include "firmware-agent/functions.h"

#include <string.h>

#include "firmware-agent/platform/library.h"
#include "operators/functions/builtin.h"

static const leat_process_function *find(void *context, leat_slice name)
{
    leat_functions *functions = context;
    for (uint32_t i = 0; i < functions->count; i++)
        if (leat_slice_is_nocase(name, functions->items[i]->name))
            return functions->items[i];
    return NULL;
}

static const char *name_at(void *context, uint32_t index)
{
    leat_functions *functions = context;
    return index < functions->count ? functions->items[index]->name : NULL;
}

static leat_code check_function(const leat_process_function *function, const char *library, leat_error *out_error)
{
    if (function->api > LEAT_API || function->size < offsetof(leat_process_function, reserved))
        return leat_error_set(out_error, LEAT_E_UNSUPPORTED,
                              "function '%s' of '%s' was built for ABI %u, this agent has %u", function->name, library,
                              function->api, LEAT_API);
    if (!function->name || !function->declare || !function->process)
        return leat_error_set(out_error, LEAT_E_INVALID, "a function of '%s' lacks its name, declare or process",
                              library);
    return LEAT_OK;
}

static leat_code add_library(leat_functions *functions, const leat_library *library, leat_error *out_error)
{
    if (library->api > LEAT_API)
        return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "library '%s' was built for ABI %u, this agent has %u",
                              library->name, library->api, LEAT_API);
    for (uint32_t i = 0; library->processes && library->processes[i]; i++) {
        const leat_process_function *function = library->processes[i];
        leat_code code = check_function(function, library->name, out_error);
        if (code != LEAT_OK)
            return code;
        if (find(functions, leat_slice_text(function->name)))
            return leat_error_set(out_error, LEAT_E_EXISTS, "function '%s' of library '%s' is there already",
                                  function->name, library->name);
        if (functions->count == LEAT_FUNCTIONS_MAX)
            return leat_error_set(out_error, LEAT_E_LIMIT, "more than %d functions", LEAT_FUNCTIONS_MAX);
        functions->items[functions->count++] = function;
    }
    return LEAT_OK;
}

static leat_code load(void *context, const char *path, leat_error *out_error)
{
    leat_functions *functions = context;
    const void *symbol;
    leat_code code = leat_library_owner(functions->env, path, "leat_library_entry", &symbol, out_error);
    return code == LEAT_OK ? add_library(functions, symbol, out_error) : code;
}

leat_code leat_functions_init(leat_functions *functions, leat_env *env, leat_error *out_error)
{
    memset(functions, 0, sizeof *functions);
    functions->env = env;
    functions->catalog = (leat_function_catalog){.context = functions, .find = find, .name = name_at, .load = load};
    return add_library(functions, &leat_builtin_functions, out_error);
}
