// What the tests of sources that give whole tables share: a source in a folder of its own, what it gave, what it said.
//
// Usage: set_up with the driver's table and its settings (which stay the test's), then reading() and the expectations; tear_down.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/source.h"
#include "firmware-agent/platform/env_posix.h"

typedef struct table_fixture {
    char folder[64], path[128];
    leat_env *env;
    leat_arena arena;
    leat_drops drops;
    leat_intake intake;
    leat_source_setup setup;
    const leat_source_ops *ops;
    leat_source *source;
    leat_error error;
    // -- what was given and said
    leat_writer text;      // of the reading
    unsigned blocks, ends; // of the reading
    uint64_t first, last;  // positions of its first block and of its end
    int64_t wait_ms;
    bool good;
    char note[200];
} table_fixture;

static table_fixture fixture;

static void keep_note(leat_intake *intake, bool connected, const char *text)
{
    (void)intake;
    fixture.good = connected;
    snprintf(fixture.note, sizeof fixture.note, "%s", text);
}

static void open_table(void)
{
    fixture.source = leat_env_calloc(fixture.env, fixture.ops->instance_size);
    fixture.source->ops = fixture.ops;
    assert_int_equal(fixture.ops->open(fixture.source, &fixture.setup, &fixture.error), LEAT_OK);
}

static void close_table(void)
{
    fixture.ops->close(fixture.source);
    leat_env_free(fixture.env, fixture.source, fixture.ops->instance_size);
    fixture.source = NULL;
}

static void set_up_table(const leat_source_ops *ops, const void *settings, const char *name, const char **settings_path)
{
    memset(&fixture, 0, sizeof fixture);
    strcpy(fixture.folder, "/tmp/leat_table_XXXXXX");
    assert_non_null(mkdtemp(fixture.folder));
    snprintf(fixture.path, sizeof fixture.path, "%s/%s", fixture.folder, name);
    *settings_path = fixture.path;
    fixture.env = leat_env_posix(0);
    fixture.ops = ops;
    fixture.intake.note = keep_note;
    leat_arena_init(&fixture.arena, fixture.env, 4096);
    leat_writer_init(&fixture.text, fixture.env, 64 << 20);
    fixture.setup = (leat_source_setup){.env = fixture.env,
                                        .arena = &fixture.arena,
                                        .name = "t",
                                        .settings = settings,
                                        .drops = &fixture.drops,
                                        .intake = &fixture.intake};
    open_table();
}

static int tear_down_table(void **state)
{
    (void)state;
    char command[128];
    if (fixture.source)
        close_table();
    leat_writer_fini(&fixture.text);
    leat_arena_fini(&fixture.arena);
    snprintf(command, sizeof command, "rm -r %s", fixture.folder);
    return system(command);
}

static leat_code pull_table(leat_raw *raw)
{
    return fixture.ops->pull(fixture.source, raw, &fixture.wait_ms, &fixture.error);
}

// Pulls until nothing comes now; returns the code that said so.
static leat_code reading(void)
{
    leat_raw raw;
    leat_code code;
    leat_writer_reset(&fixture.text);
    fixture.blocks = fixture.ends = 0;
    while ((code = pull_table(&raw)) == LEAT_OK) {
        if (raw.flags & LEAT_RAW_CONTROL) {
            assert_int_equal(raw.tag, LEAT_RAW_TABLE_END);
            fixture.ends++;
            fixture.last = raw.position;
            continue;
        }
        assert_int_equal(fixture.ends, 0); // nothing comes behind the end of a reading before the next look
        assert_int_equal(!!(raw.flags & LEAT_RAW_HEAD), fixture.blocks == 0);
        if (!fixture.blocks++)
            fixture.first = raw.position;
        assert_int_equal(raw.position - fixture.first, fixture.text.size);
        leat_write_bytes(&fixture.text, raw.payload.data, raw.payload.size);
    }
    leat_write_u8(&fixture.text, 0);
    return code;
}

static void expect_table(const char *text)
{
    assert_int_equal(fixture.ends, 1);
    assert_string_equal((char *)fixture.text.bytes, text);
    assert_true(fixture.good);
    assert_string_equal(fixture.note, "");
}

static void expect_no_table(void)
{
    assert_int_equal(fixture.ends, 0);
    assert_int_equal(fixture.blocks, 0);
}

// The table stays, and the status says why.
static void expect_left(const char *why)
{
    expect_no_table();
    assert_false(fixture.good);
    if (!strstr(fixture.note, why) || !strstr(fixture.note, "the table stays as it was"))
        fail_msg("expected a note with \"%s\", found \"%s\"", why, fixture.note);
}
