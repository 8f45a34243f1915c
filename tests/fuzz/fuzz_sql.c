// Any bytes parse or are refused with a message; what parses prints to a text that parses to the same tree.

#include "config/sql/parser.h"
#include "config/sql/print.h"

#include "firmware-agent/platform/env_posix.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void fail(const char *why, leat_slice printed, const leat_sql_diagnostics *diagnostics)
{
    fprintf(stderr, "%s: %.*s\n%s\n", why, (int)printed.size, printed.data,
            diagnostics->count ? diagnostics->items[0].message : "");
    abort();
}

static void check_diagnostics(size_t size, const leat_sql_diagnostics *diagnostics)
{
    if (!diagnostics->count)
        fail("refused without a message", (leat_slice){0}, diagnostics);
    for (uint32_t i = 0; i < diagnostics->count; i++)
        if (!*diagnostics->items[i].message ||
            (size_t)diagnostics->items[i].span.offset + diagnostics->items[i].span.size > size)
            fail("place outside the text", (leat_slice){0}, diagnostics);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static leat_arena arena;
    if (!arena.env)
        leat_arena_init(&arena, leat_env_posix(0), 1 << 16);
    leat_arena_reset(&arena);
    leat_sql_script *script, *again;
    leat_sql_diagnostics diagnostics = {0};
    if (leat_sql_parse_statements(&arena, leat_slice_of((const char *)bytes, size), &script, &diagnostics)) {
        check_diagnostics(size, &diagnostics);
        return 0;
    }
    leat_slice printed = leat_sql_print(&arena, script);
    if (leat_sql_parse_statements(&arena, printed, &again, &diagnostics))
        fail("does not parse again", printed, &diagnostics);
    if (!leat_sql_script_equal(script, again))
        fail("parses to something else", printed, &diagnostics);
    return 0;
}
