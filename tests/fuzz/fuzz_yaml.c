// Any bytes compile to a plan or are refused with a place within the text, with the drivers and functions that are shipped.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/plan.h"
#include "firmware-agent/platform/env_posix.h"
#include "tests/golden/check_functions.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void fail(const char *why, const leat_diagnostic *d)
{
    fprintf(stderr, "%s: %s:%u:%u %s\n", why, d ? d->path : "", d ? d->line : 0, d ? d->column : 0,
            d ? d->message : "");
    abort();
}

static void check(const leat_diagnostics *diagnostics, leat_code code)
{
    if (code != LEAT_OK && !diagnostics->error_count)
        fail("refused without a message", NULL);
    for (uint32_t i = 0; i < diagnostics->count; i++) {
        const leat_diagnostic *d = &diagnostics->items[i];
        if (!d->line || !d->column || !d->caret || !d->caret_size || !*d->message || !d->source_line)
            fail("diagnostic without a place", d);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static leat_env *env;
    if (!env)
        env = leat_env_posix(0);
    leat_compile_options options = {.env = env, .drivers = leat_driver_catalog_get(), .functions = &check_functions};
    leat_diagnostics diagnostics;
    leat_plan *plan = NULL;
    leat_writer out;
    leat_error error;
    if (memmem(bytes, size, "file:", 5))
        return 0; // secrets and detections of files are read: not those of this machine
    leat_diagnostics_init(&diagnostics, env);
    leat_writer_init(&out, env, 64 << 20);
    leat_code code = leat_compile_text(&options, "gateway.yaml", leat_slice_of((const char *)bytes, size), &plan,
                                       &diagnostics, &error);
    check(&diagnostics, code);
    leat_diagnostics_print(&diagnostics, &out);
    if (code == LEAT_OK) {
        leat_plan_print(plan, false, &out);
        leat_plan_print_dot(plan, &out);
    }
    leat_plan_destroy(plan);
    leat_writer_fini(&out);
    leat_diagnostics_fini(&diagnostics);
    return 0;
}
