// What `leat check`, `explain` and `manual` print, with the real catalog: for the golden tests and the examples.
//
// Usage: check_file [--explain | --dot] [--set key=value].. FILE, or check_file --manual. Exits 0, 1 when the file has errors.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/plan.h"
#include "firmware-agent/platform/env_posix.h"
#include "tests/golden/check_functions.h"

static void put(const leat_writer *out) { fwrite(out->bytes, 1, out->size, stdout); }

static const char *variable(const char *name) { return strcmp(name, "LEAT_TEST_SECRET") ? NULL : "swordfish"; }

static int check(const leat_compile_options *options, const char *path, const char *mode)
{
    leat_diagnostics diagnostics;
    leat_plan *plan = NULL;
    leat_writer out;
    leat_error error = {0};
    leat_diagnostics_init(&diagnostics, options->env);
    leat_writer_init(&out, options->env, 16 << 20);
    leat_code code = leat_compile_file(options, path, &plan, &diagnostics, &error);
    leat_diagnostics_print(&diagnostics, &out);
    if (code == LEAT_OK && !strcmp(mode, "--explain"))
        leat_plan_print(plan, false, &out);
    if (code == LEAT_OK && !strcmp(mode, "--dot"))
        leat_plan_print_dot(plan, &out);
    if (code != LEAT_OK && !diagnostics.count)
        leat_write_format(&out, "%s: %s\n", error.place, error.message);
    put(&out);
    leat_plan_destroy(plan);
    leat_writer_fini(&out);
    leat_diagnostics_fini(&diagnostics);
    return code == LEAT_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    leat_env *env = leat_env_posix(0);
    const char *mode = "", *path = NULL, *overrides[17] = {0};
    int override_count = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--set") && i + 1 < argc && override_count < 16)
            overrides[override_count++] = argv[++i];
        else if (!strncmp(argv[i], "--", 2))
            mode = argv[i];
        else
            path = argv[i];
    }
    leat_compile_options options = {.env = env,
                                    .drivers = leat_driver_catalog_get(),
                                    .functions = &check_functions,
                                    .overrides = overrides,
                                    .variable = variable};
    if (path)
        return check(&options, path, mode);
    leat_writer out;
    leat_writer_init(&out, env, 16 << 20);
    leat_manual_print(options.drivers, &out);
    put(&out);
    leat_writer_fini(&out);
    return 0;
}
