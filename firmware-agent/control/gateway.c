#include "firmware-agent/control/gateway.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "firmware-agent/platform/env_posix.h"
#include "firmware-agent/platform/environment.h"

static void print_diagnostics(leat_gateway *gateway, const leat_diagnostics *diagnostics)
{
    leat_writer text;
    leat_writer_init(&text, gateway->env, 1 << 20);
    leat_diagnostics_print(diagnostics, &text);
    fprintf(stderr, "%.*s", (int)text.size, text.bytes ? (char *)text.bytes : "");
    leat_writer_fini(&text);
}

static int compile(leat_gateway *gateway, const char *path, const char *const *overrides, bool secrets)
{
    leat_error error = {0};
    leat_diagnostics diagnostics;
    leat_compile_options options = {.env = gateway->env,
                                    .drivers = leat_driver_catalog_get(),
                                    .functions = &gateway->functions.catalog,
                                    .overrides = overrides,
                                    .variable = leat_environment_get,
                                    .secrets_unread = !secrets};
    leat_diagnostics_init(&diagnostics, gateway->env);
    leat_code code = leat_compile_file(&options, path, &gateway->plan, &diagnostics, &error);
    print_diagnostics(gateway, &diagnostics);
    if (code != LEAT_OK && diagnostics.error_count == 0)
        fprintf(stderr, "leat: %s%s%s\n", error.place, error.place[0] ? ": " : "", error.message);
    else if (code != LEAT_OK)
        fprintf(stderr, "leat: %s has %u error%s\n", path, diagnostics.error_count,
                diagnostics.error_count == 1 ? "" : "s");
    leat_diagnostics_fini(&diagnostics);
    if (code == LEAT_OK)
        return EX_OK;
    gateway->plan = NULL;
    return code == LEAT_E_NOT_FOUND || code == LEAT_E_PERMISSION ? EX_NOINPUT : EX_CONFIG;
}

int leat_gateway_open(leat_gateway *gateway, const char *path, const char *const *overrides, bool secrets)
{
    leat_error error = {0};
    memset(gateway, 0, sizeof *gateway);
    gateway->env = leat_env_posix(0);
    if (leat_functions_init(&gateway->functions, gateway->env, &error) != LEAT_OK) {
        fprintf(stderr, "leat: %s\n", error.message);
        return EX_SOFTWARE;
    }
    return compile(gateway, path, overrides, secrets);
}

void leat_gateway_close(leat_gateway *gateway)
{
    if (gateway->plan)
        leat_plan_destroy(gateway->plan);
    gateway->plan = NULL;
}

const char *leat_gateway_socket(const leat_gateway *gateway, leat_arena *arena)
{
    const leat_agent_settings *settings = gateway->plan->agent;
    return settings->socket ? settings->socket : leat_arena_format(arena, "%s/leat.sock", settings->state);
}
