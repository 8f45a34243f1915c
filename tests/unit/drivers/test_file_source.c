#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/source/file.h"
#include "firmware-agent/platform/env_posix.h"

static char folder[64], path[128];
static leat_arena arena;
static leat_drops drops;
static leat_file_source_settings settings;
static leat_source_setup setup;
static leat_source *source;
static leat_error error;

// What was given out: "position:line" per line, so that wrong positions show.
static leat_writer seen;
static leat_code last_code;
static int64_t last_wait;

static void write_file(const char *name, const char *mode, const char *text)
{
    FILE *file = fopen(name, mode);
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void open_source(void)
{
    source = leat_env_calloc(setup.env, leat_source_file_ops.instance_size);
    source->ops = &leat_source_file_ops;
    assert_int_equal(source->ops->open(source, &setup, &error), LEAT_OK);
}
static void close_source(void)
{
    if (!source)
        return;
    source->ops->close(source);
    leat_env_free(setup.env, source, leat_source_file_ops.instance_size);
    source = NULL;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/leat_file_source_XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/in.txt", folder);
    leat_env *env = leat_env_posix(0);
    leat_arena_init(&arena, env, 4096);
    leat_writer_init(&seen, env, 1 << 24);
    memset(&drops, 0, sizeof drops);
    settings = (leat_file_source_settings){.path = path};
    setup = (leat_source_setup){.env = env, .arena = &arena, .name = "in", .settings = &settings, .drops = &drops};
    open_source();
    return 0;
}
static int tear_down(void **state)
{
    (void)state;
    char command[128];
    close_source();
    leat_writer_fini(&seen);
    leat_arena_fini(&arena);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static leat_code pull(leat_raw *raw) { return last_code = source->ops->pull(source, raw, &last_wait, &error); }

static void note_lines(const leat_raw *raw)
{
    if (raw->flags & LEAT_RAW_AGAIN)
        return;
    for (size_t at = 0; at < raw->payload.size;) {
        const char *begin = raw->payload.data + at;
        const char *newline = memchr(begin, '\n', raw->payload.size - at);
        size_t size = newline ? (size_t)(newline - begin) : raw->payload.size - at;
        leat_write_format(&seen, "%llu:%.*s\n", (unsigned long long)(raw->position + at), (int)(size < 40 ? size : 40),
                          begin);
        at += size + 1;
    }
}

// Until nothing comes now; waits as asked up to `patience_ms`.
static void drain(int patience_ms)
{
    leat_raw raw;
    for (;;) {
        leat_code code = pull(&raw);
        if (code == LEAT_OK) {
            note_lines(&raw);
        } else if (code == LEAT_AGAIN && (last_wait == 0 || patience_ms > 0)) {
            usleep((unsigned)last_wait * 1000 / 4);
            patience_ms -= (int)last_wait / 4;
        } else {
            break;
        }
    }
}

static void expect_seen(const char *wanted)
{
    leat_write_u8(&seen, 0);
    assert_string_equal((char *)seen.bytes, wanted);
    leat_writer_reset(&seen);
}

static void test_bounded(void **state)
{
    (void)state;
    write_file(path, "w", "a\nbb\n\nlast");
    drain(0);
    assert_int_equal(last_code, LEAT_END);
    expect_seen("0:a\n2:bb\n5:\n6:last\n");
}

static void test_missing(void **state)
{
    (void)state;
    leat_raw raw;
    assert_int_equal(pull(&raw), LEAT_E_NOT_FOUND);
    settings.path = folder;
    assert_int_equal(pull(&raw), LEAT_E_INVALID);
}

static void fill(char *text, size_t lines)
{
    for (size_t i = 0, at = 0; i < lines; i++)
        at += (size_t)sprintf(
            text + at, "line %zu%.*s\n", i, (int)(i * 7 % 90),
            "..........................................................................................");
}

static void test_seek_after_every_block_and_at_every_line(void **state)
{
    (void)state;
    enum { LINES = 4000 };
    char *text = malloc(LINES * 128), *whole;
    fill(text, LINES);
    write_file(path, "w", text);
    drain(0);
    leat_write_u8(&seen, 0);
    whole = strdup((char *)seen.bytes);
    leat_writer_reset(&seen);
    // From a position made for each line: {inode, offset}.
    source->ops->seek(source, leat_slice_of("", 0), &error);
    leat_raw raw;
    assert_int_equal(pull(&raw), LEAT_OK);
    assert_true(raw.payload.size <= 65536);
    assert_true(raw.flags & LEAT_RAW_HEAD);
    uint8_t token[64];
    leat_slice position = source->ops->position(source);
    memcpy(token, position.data, position.size);
    const char *rest = whole;
    for (size_t line = 0; line < LINES; line += line < 50 ? 1 : 37) {
        size_t number = 0;
        for (rest = whole; number < line; number++)
            rest = strchr(rest, '\n') + 1;
        uint64_t offset = strtoull(rest, NULL, 10);
        memcpy(token + 9, &offset, 8);
        close_source();
        open_source();
        assert_int_equal(source->ops->seek(source, leat_slice_of((char *)token, position.size), &error), LEAT_OK);
        leat_slice same = source->ops->position(source);
        assert_memory_equal(same.data, token, same.size);
        if (offset > 0) {
            assert_int_equal(pull(&raw), LEAT_OK);
            assert_true(raw.flags & LEAT_RAW_AGAIN);
            assert_int_equal(raw.payload.size, strchr(text, '\n') - text + 1);
            same = source->ops->position(source);
            assert_memory_equal(same.data, token, 26); // the head is that of another offset
        }
        drain(0);
        expect_seen(rest);
    }
    free(text);
    free(whole);
}

static void test_long_lines(void **state)
{
    (void)state;
    static const size_t sizes[] = {65535,
                                   65536,
                                   65537,
                                   100000,
                                   LEAT_PAYLOAD_BYTES_MAX - 1,
                                   LEAT_PAYLOAD_BYTES_MAX,
                                   LEAT_PAYLOAD_BYTES_MAX + 1,
                                   LEAT_PAYLOAD_BYTES_MAX + 2,
                                   3 * LEAT_PAYLOAD_BYTES_MAX};
    FILE *file = fopen(path, "w");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            fputc('a' + (int)i, file);
        fputs("\nshort\n", file);
    }
    fclose(file);
    for (int restarts = 0; restarts < 2; restarts++) {
        size_t counts[16] = {0}, shorts = 0, too_long = 0;
        leat_raw raw;
        close_source();
        open_source();
        for (;;) {
            leat_code code = pull(&raw);
            if (code == LEAT_END)
                break;
            if (restarts) { // a restart after every pull changes nothing
                uint8_t token[64];
                leat_slice position = source->ops->position(source);
                memcpy(token, position.data, position.size);
                char *kept = malloc(raw.payload.size + 1);
                if (code == LEAT_OK)
                    memcpy(kept, raw.payload.data, raw.payload.size);
                raw.payload.data = kept;
                close_source();
                open_source();
                source->ops->seek(source, leat_slice_of((char *)token, position.size), &error);
                leat_raw header;
                assert_int_equal(pull(&header), LEAT_OK);
                assert_true(header.flags & LEAT_RAW_AGAIN);
            }
            if (code == LEAT_OK) {
                if (raw.payload.size > LEAT_PAYLOAD_BYTES_MAX)
                    too_long++;
                else
                    for (size_t at = 0; at < raw.payload.size;) {
                        const char *newline = memchr(raw.payload.data + at, '\n', raw.payload.size - at);
                        size_t size = newline ? (size_t)(newline - raw.payload.data) - at : raw.payload.size - at;
                        if (size == 5)
                            shorts++;
                        else
                            counts[raw.payload.data[at] - 'a'] = size;
                        at += size + 1;
                    }
            }
            if (restarts)
                free((void *)raw.payload.data);
        }
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            assert_int_equal(counts[i], sizes[i] > LEAT_PAYLOAD_BYTES_MAX ? 0 : sizes[i]);
        assert_int_equal(shorts, 9);
        assert_int_equal(too_long, 3);
    }
}

static void test_quoted_newlines(void **state)
{
    (void)state;
    settings.quoted_newlines = true;
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 5000; i++)
        fprintf(file, "%d,\"a\nb \"\"x\"\"\n\",z\n", i);
    fclose(file);
    leat_raw raw;
    int blocks = 0;
    while (pull(&raw) == LEAT_OK) {
        assert_memory_equal(raw.payload.data + raw.payload.size - 3, ",z\n", 3);
        assert_false(raw.flags & LEAT_RAW_LINES);
        blocks++;
    }
    assert_true(blocks > 1);
}

static void test_follow_growth(void **state)
{
    (void)state;
    settings.follow = true;
    drain(0);
    assert_int_equal(last_code, LEAT_AGAIN); // not there yet
    write_file(path, "w", "a\nb");
    drain(0);
    write_file(path, "a", "c\nd\n");
    drain(0);
    assert_int_equal(last_code, LEAT_AGAIN);
    expect_seen("0:a\n2:bc\n5:d\n");
}

static void test_follow_truncation(void **state)
{
    (void)state;
    settings.follow = true;
    write_file(path, "w", "aaaa\nbbbb\n");
    drain(0);
    write_file(path, "w", "c\n"); // the same inode
    drain(0);
    expect_seen("0:aaaa\n5:bbbb\n10:c\n");
}

static void test_follow_rotation(void **state)
{
    (void)state;
    char rotated[160], older[160];
    snprintf(rotated, sizeof rotated, "%s.1", path);
    snprintf(older, sizeof older, "%s.2", path);
    settings.follow = true;
    write_file(path, "w", "a\nb\n");
    drain(0);
    rename(path, rotated);
    write_file(rotated, "a", "late\n");
    write_file(path, "w", "new\n");
    drain(0);
    write_file(rotated, "a", "later\nopen");
    drain(2000);
    expect_seen("0:a\n2:b\n4:late\n9:later\n15:open\n19:new\n");
    // Twice while nobody looked: the position finds its file, and then the one between.
    uint8_t token[64];
    leat_slice position = source->ops->position(source);
    memcpy(token, position.data, position.size);
    write_file(path, "a", "x\n");
    rename(path, older);
    write_file(rotated, "w", "y\n");
    write_file(path, "w", "z\n");
    close_source();
    open_source();
    source->ops->seek(source, leat_slice_of((char *)token, position.size), &error);
    drain(2000);
    expect_seen("23:x\n25:y\n27:z\n");
    assert_int_equal(drops.counts[LEAT_DROP_GAP], 0);
    // Bounded, the same way.
    settings.follow = false;
    source->ops->seek(source, leat_slice_of((char *)token, position.size), &error);
    drain(0);
    expect_seen("23:x\n25:y\n27:z\n");
    assert_int_equal(last_code, LEAT_END);
}

static void test_file_gone(void **state)
{
    (void)state;
    char other[160];
    snprintf(other, sizeof other, "%s.other", path);
    write_file(path, "w", "a\nb\n");
    drain(0);
    uint8_t token[64];
    leat_slice position = source->ops->position(source);
    memcpy(token, position.data, position.size);
    write_file(other, "w", "c\n");
    close_source();
    rename(other, path);
    open_source();
    source->ops->seek(source, leat_slice_of((char *)token, position.size), &error);
    leat_writer_reset(&seen);
    drain(0);
    expect_seen("4:c\n");
    assert_int_equal(drops.counts[LEAT_DROP_GAP], 1);
}

// Another inode: the file with the same beginning is read on, under the name of an older one too; one that is shorter, or begins otherwise, is not.
static void test_copied_file(void **state)
{
    (void)state;
    char other[160], older[160], kept[160];
    uint8_t token[64];
    snprintf(other, sizeof other, "%s.other", path);
    snprintf(older, sizeof older, "%s.1", path);
    snprintf(kept, sizeof kept, "%s.kept", path);
    write_file(path, "w", "a\nb\n");
    assert_int_equal(link(path, kept), 0); // else another file may get its inode
    drain(0);
    leat_slice position = source->ops->position(source);
    size_t size = position.size;
    memcpy(token, position.data, size);
    static const struct {
        const char *at_path, *at_older, *seen;
        unsigned gaps;
    } cases[] = {{"a\nb\nc\n", NULL, "4:c\n", 0},
                 {"a\nx\nc\n", NULL, "4:a\n6:x\n8:c\n", 1},
                 {"a\n", NULL, "4:a\n", 1},
                 {"d\n", "a\nb\nc\n", "4:c\n6:d\n", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        close_source();
        unlink(older);
        write_file(other, "w", cases[i].at_path);
        if (cases[i].at_older)
            write_file(older, "w", cases[i].at_older);
        rename(other, path);
        drops.counts[LEAT_DROP_GAP] = 0;
        open_source();
        source->ops->seek(source, leat_slice_of((char *)token, size), &error);
        leat_writer_reset(&seen);
        drain(0);
        expect_seen(cases[i].seen);
        assert_int_equal(drops.counts[LEAT_DROP_GAP], cases[i].gaps);
    }
    unlink(kept);
    unlink(older);
}

static void test_start_end(void **state)
{
    (void)state;
    settings.follow = true;
    settings.start = LEAT_FILE_END;
    write_file(path, "w", "old\nhalf");
    drain(0);
    write_file(path, "a", " a line\nnew\n");
    drain(0);
    expect_seen("16:new\n");
}

static void test_bad_position(void **state)
{
    (void)state;
    uint8_t token[40] = {9};
    assert_int_equal(source->ops->seek(source, leat_slice_of((char *)token, 36), &error), LEAT_E_CORRUPT);
    for (token[0] = 1; token[0] <= 2; token[0]++)
        for (size_t size = 1; size < 40; size++)
            assert_int_equal(source->ops->seek(source, leat_slice_of((char *)token, size), &error),
                             size == (token[0] == 1 ? 26 : 36) ? LEAT_OK : LEAT_E_CORRUPT);
}

static void test_check(void **state)
{
    (void)state;
    settings.path = "/etc/-";
    assert_int_equal(leat_source_file_description.check(&settings, NULL, 0, &error), LEAT_OK);
    settings.follow = true;
    assert_int_equal(leat_source_file_description.check(&settings, NULL, 0, &error), LEAT_E_INVALID);
}

static void test_stdin(void **state)
{
    (void)state;
    enum { LINES = 20000 };
    char *text = malloc(LINES * 128);
    fill(text, LINES);
    write_file(path, "w", text);
    settings.path = "-";
    close_source();
    open_source();
    assert_non_null(freopen(path, "r", stdin));
    leat_raw raw;
    size_t at = 0, middle = 0;
    uint8_t token[64];
    leat_slice position = {"", 0};
    while (pull(&raw) == LEAT_OK) {
        assert_int_equal(raw.position, at);
        assert_memory_equal(raw.payload.data, text + at, raw.payload.size);
        at += raw.payload.size;
        if (!middle) {
            middle = at;
            position = source->ops->position(source);
            memcpy(token, position.data, position.size);
        }
    }
    assert_int_equal(last_code, LEAT_END);
    assert_int_equal(at, strlen(text));
    close_source();
    open_source();
    source->ops->seek(source, leat_slice_of((char *)token, position.size), &error);
    assert_int_equal(pull(&raw), LEAT_OK);
    assert_int_equal(raw.position, middle);
    assert_memory_equal(raw.payload.data, text + middle, raw.payload.size);
    free(text);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_bounded),
        CASE(test_missing),
        CASE(test_seek_after_every_block_and_at_every_line),
        CASE(test_long_lines),
        CASE(test_quoted_newlines),
        CASE(test_follow_growth),
        CASE(test_follow_truncation),
        CASE(test_follow_rotation),
        CASE(test_file_gone),
        CASE(test_copied_file),
        CASE(test_start_end),
        CASE(test_bad_position),
        CASE(test_check),
        CASE(test_stdin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
