// The source `table` alone: what lies at its path is missing, new, half written, replaced, and changed while it is read.
#include "tests/unit/drivers/table_support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "drivers/source/table.h"

static leat_table_source_settings settings;

static int set_up(void **state)
{
    (void)state;
    settings = (leat_table_source_settings){.follow = true, .check_ms = 1000};
    set_up_table(&leat_source_table_ops, &settings, "t.csv", &settings.path);
    return 0;
}

static void write_at(const char *path, const char *mode, const char *text)
{
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void make_old(const char *path, int seconds)
{
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

// As a careful writer does: beside it, then renamed over it.
static void replace(const char *text)
{
    char beside[160];
    snprintf(beside, sizeof beside, "%s.new", fixture.path);
    write_at(beside, "w", text);
    make_old(beside, 60);
    assert_int_equal(rename(beside, fixture.path), 0);
}

static void test_read_again_only_when_changed(void **state)
{
    (void)state;
    replace("k,v\na,1\n");
    assert_int_equal(reading(), LEAT_AGAIN);
    expect_table("k,v\na,1\n");
    uint64_t end = fixture.last;
    assert_int_equal(reading(), LEAT_AGAIN);
    expect_no_table();
    assert_int_equal(fixture.wait_ms, 1000);
    replace("k,v\na,2\n"); // as long as before
    assert_int_equal(reading(), LEAT_AGAIN);
    expect_table("k,v\na,2\n");
    assert_true(fixture.first > end); // no two rows have one position
}

static void test_read_once(void **state)
{
    (void)state;
    settings.follow = false;
    write_at(fixture.path, "w", "a\nb"); // just now: nobody who reads once waits for it to settle
    assert_int_equal(reading(), LEAT_END);
    expect_table("a\nb");
    write_at(fixture.path, "w", "c\n");
    leat_raw raw;
    assert_int_equal(pull_table(&raw), LEAT_OK); // changed since: the end is where nothing is new
}

static void test_missing_then_there(void **state)
{
    (void)state;
    assert_int_equal(reading(), LEAT_AGAIN);
    expect_left("the file cannot be read");
    assert_int_equal(fixture.wait_ms, 1000);
    replace("a\n");
    reading();
    expect_table("a\n");
}

static void test_vanished_and_back(void **state)
{
    (void)state;
    replace("a\n");
    reading();
    assert_int_equal(unlink(fixture.path), 0);
    reading();
    expect_left("the file cannot be read");
    replace("a\nb\n");
    reading();
    expect_table("a\nb\n");
}

static void test_not_a_table(void **state)
{
    (void)state;
    replace("");
    reading();
    expect_left("the file is empty");
    assert_int_equal(truncate(fixture.path, 16 * 1024 * 1024 + 1), 0);
    make_old(fixture.path, 60);
    reading();
    expect_left("larger than 16 MiB");
    assert_int_equal(unlink(fixture.path), 0);
    assert_int_equal(mkdir(fixture.path, 0755), 0);
    make_old(fixture.path, 60);
    reading();
    expect_left("found a directory");
    assert_int_equal(rmdir(fixture.path), 0);
    replace("a\n");
    reading();
    expect_table("a\n");
}

static void test_not_a_table_for_who_reads_once(void **state)
{
    (void)state;
    settings.follow = false;
    assert_int_equal(reading(), LEAT_E_NOT_FOUND);
    assert_string_equal(fixture.error.place, fixture.path);
    write_at(fixture.path, "w", "");
    assert_int_equal(reading(), LEAT_E_INVALID);
}

// A writer that fills the file in place is not overtaken: it is read when it was the same twice.
static void test_half_written(void **state)
{
    (void)state;
    replace("old\n");
    reading();
    write_at(fixture.path, "w", "k,v\na,");
    assert_int_equal(reading(), LEAT_AGAIN);
    expect_no_table();
    assert_true(fixture.wait_ms > 0 && fixture.wait_ms <= 200);
    write_at(fixture.path, "a", "1\nb,2");
    reading();
    expect_no_table();
    write_at(fixture.path, "a", "\n");
    reading();
    expect_no_table();
    reading();
    expect_table("k,v\na,1\nb,2\n");
}

// ---- changed between the look and the reading

static const leat_env_ops *true_ops;
static leat_env_ops ops;
static const char *meddle_mode, *meddle_text;
static int meddlings;

static leat_code pread_meddled(leat_file *file, void *bytes, size_t size, uint64_t offset, size_t *out_read,
                               leat_error *out_error)
{
    if (meddlings > 0) {
        meddlings--;
        write_at(fixture.path, meddle_mode, meddle_text);
    }
    return true_ops->pread(file, bytes, size, offset, out_read, out_error);
}

static void meddle(const char *mode, const char *text)
{
    true_ops = fixture.env->ops;
    ops = *true_ops;
    ops.pread = pread_meddled;
    fixture.env->ops = &ops;
    meddle_mode = mode;
    meddle_text = text;
    meddlings = 1;
    assert_int_equal(reading(), LEAT_AGAIN);
    fixture.env->ops = true_ops;
    assert_int_equal(meddlings, 0);
    expect_no_table();
    assert_true(fixture.wait_ms <= 200);
    make_old(fixture.path, 60);
}

static void test_changed_while_read(void **state)
{
    (void)state;
    replace("a\nb\n");
    meddle("a", "c\n"); // longer
    reading();
    expect_table("a\nb\nc\n");
    replace("a\nb\nc\n");
    meddle("w", "x\n"); // shorter
    reading();
    expect_table("x\n");
    replace("a\nb\n");
    meddle("r+", "y"); // as long
    reading();
    expect_table("y\nb\n");
}

// ---- blocks and positions

static void test_blocks_of_whole_lines(void **state)
{
    (void)state;
    enum { LINES = 20000 };
    char *text = malloc(LINES * 64);
    size_t size = 0;
    for (int i = 0; i < LINES; i++)
        size += (size_t)sprintf(text + size, "key-%d,%.*s\n", i, i % 40, "........................................");
    replace(text);
    leat_raw raw;
    size_t given = 0;
    while (pull_table(&raw) == LEAT_OK && !(raw.flags & LEAT_RAW_CONTROL)) {
        assert_true(raw.payload.size > 0 && raw.payload.size <= 65536);
        assert_int_equal(raw.payload.data[raw.payload.size - 1], '\n');
        assert_int_equal(raw.flags & (LEAT_RAW_BLOCK | LEAT_RAW_LINES), LEAT_RAW_BLOCK | LEAT_RAW_LINES);
        assert_memory_equal(raw.payload.data, text + given, raw.payload.size);
        given += raw.payload.size;
    }
    assert_int_equal(given, size);
    free(text);
}

static void test_line_longer_than_a_block(void **state)
{
    (void)state;
    char *text = malloc(200001);
    memset(text, 'x', 200000);
    memcpy(text, "a\n", 2);
    memcpy(text + 199990, "\nb,c\nd,e\n\n", 10);
    text[200000] = 0;
    replace(text);
    reading();
    expect_table(text);
    assert_int_equal(fixture.blocks, 3); // up to the long line, that line, the rest
    free(text);
}

static void test_quoted_line_ends(void **state)
{
    (void)state;
    settings.quoted_newlines = true;
    close_table();
    open_table();
    char *text = malloc(140000);
    size_t size = 0;
    while (size < 130000)
        size += (size_t)sprintf(text + size, "a,\"%.*s\n\n\"\n", (int)(size % 30), "..............................");
    replace(text);
    leat_raw raw;
    while (pull_table(&raw) == LEAT_OK && !(raw.flags & LEAT_RAW_CONTROL)) {
        assert_memory_equal(raw.payload.data, "a,\"", 3);
        assert_int_equal(raw.flags & LEAT_RAW_LINES, 0);
    }
    free(text);
}

static void test_positions_across_a_restart(void **state)
{
    (void)state;
    replace("a\n");
    reading();
    uint64_t last = fixture.last;
    leat_slice position = fixture.ops->position(fixture.source);
    char kept[16];
    memcpy(kept, position.data, position.size);
    close_table();
    open_table();
    assert_int_equal(fixture.ops->seek(fixture.source, leat_slice_of(kept, position.size), &fixture.error), LEAT_OK);
    reading();
    expect_table("a\n"); // whole and anew, under positions of its own
    assert_true(fixture.first > last);
    for (size_t size = 1; size < 12; size++)
        if (size != 9)
            assert_int_equal(fixture.ops->seek(fixture.source, leat_slice_of("\1___________", size), &fixture.error),
                             LEAT_E_CORRUPT);
    assert_int_equal(fixture.ops->seek(fixture.source, leat_slice_of("\2________", 9), &fixture.error), LEAT_E_CORRUPT);
    assert_int_equal(fixture.ops->seek(fixture.source, leat_slice_of("", 0), &fixture.error), LEAT_OK);
    reading();
    assert_int_equal(fixture.first, 0);
}

static void test_no_memory(void **state)
{
    (void)state;
    replace("a\n");
    leat_env_posix(leat_env_posix_memory(fixture.env) + 4096);
    reading();
    leat_env_posix(0);
    expect_left("the file cannot be read");
    reading();
    expect_table("a\n");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down_table)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_read_again_only_when_changed),
        CASE(test_read_once),
        CASE(test_missing_then_there),
        CASE(test_vanished_and_back),
        CASE(test_not_a_table),
        CASE(test_not_a_table_for_who_reads_once),
        CASE(test_half_written),
        CASE(test_changed_while_read),
        CASE(test_blocks_of_whole_lines),
        CASE(test_line_longer_than_a_block),
        CASE(test_quoted_line_ends),
        CASE(test_positions_across_a_restart),
        CASE(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
