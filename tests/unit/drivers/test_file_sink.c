#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/sink/file.h"
#include "firmware-agent/platform/env_posix.h"

enum { TOKENS = 4096 };
typedef struct acknowledgement {
    uint64_t sequence;
    char token[64];
    size_t size;
} acknowledgement;

// An env whose n-th call that changes the disk fails, and all after it: a crash, or with `once` a disk that was full for a moment.
typedef struct faulty_env {
    leat_env env;
    leat_env_ops ops;
    const leat_env_ops *inner;
    leat_env *inner_env; // memory and files are its own
    int calls_left;      // -1: never
    bool once;
} faulty_env;

static char folder[64], path[128];
static faulty_env faulty;
static leat_arena arena;
static leat_file_sink_settings settings;
static leat_sink_setup setup;
static leat_sink_control control;
static leat_sink *sink;
static leat_error error;
static acknowledgement acknowledgements[TOKENS];
static size_t acknowledgement_count;

static void on_acknowledged(leat_sink_control *self, uint64_t sequence, leat_slice token)
{
    (void)self;
    assert_true(acknowledgement_count < TOKENS);
    assert_true(token.size <= 64);
    acknowledgement *entry = &acknowledgements[acknowledgement_count++];
    entry->sequence = sequence;
    entry->size = token.size;
    memcpy(entry->token, token.data, token.size);
}

static bool fails(leat_error *out_error)
{
    if (faulty.calls_left < 0)
        return false;
    if (faulty.calls_left > 0) {
        faulty.calls_left--;
        return false;
    }
    if (faulty.once)
        faulty.calls_left = -1;
    leat_error_set(out_error, LEAT_E_NO_SPACE, "made to fail");
    return true;
}
static void *pass_alloc(leat_env *env, size_t size)
{
    (void)env;
    return faulty.inner->alloc(faulty.inner_env, size);
}
static void *pass_grow(leat_env *env, void *old, size_t old_size, size_t new_size)
{
    (void)env;
    return faulty.inner->grow(faulty.inner_env, old, old_size, new_size);
}
static void pass_free(leat_env *env, void *memory, size_t size)
{
    (void)env;
    faulty.inner->free(faulty.inner_env, memory, size);
}
static void pass_close(leat_env *env, leat_file *file)
{
    (void)env;
    faulty.inner->close(faulty.inner_env, file);
}
// Half of it is written before it fails.
static leat_code faulty_pwrite(leat_file *file, const void *bytes, size_t size, uint64_t offset, leat_error *out_error)
{
    if (!fails(out_error))
        return faulty.inner->pwrite(file, bytes, size, offset, out_error);
    (void)!faulty.inner->pwrite(file, bytes, size / 2, offset, NULL);
    return LEAT_E_NO_SPACE;
}
static leat_code faulty_sync(leat_file *file, leat_error *out_error)
{
    return fails(out_error) ? LEAT_E_NO_SPACE : faulty.inner->sync(file, out_error);
}
static leat_code faulty_truncate(leat_file *file, uint64_t size, leat_error *out_error)
{
    return fails(out_error) ? LEAT_E_NO_SPACE : faulty.inner->truncate(file, size, out_error);
}
static leat_code faulty_rename(leat_env *env, const char *from, const char *to, leat_error *out_error)
{
    (void)env;
    return fails(out_error) ? LEAT_E_NO_SPACE : faulty.inner->rename(faulty.inner_env, from, to, out_error);
}
static leat_code faulty_unlink(leat_env *env, const char *name, leat_error *out_error)
{
    (void)env;
    return fails(out_error) ? LEAT_E_NO_SPACE : faulty.inner->unlink(faulty.inner_env, name, out_error);
}
static leat_code faulty_open(leat_env *env, const char *name, leat_open_mode mode, leat_file **out_file,
                             leat_error *out_error)
{
    (void)env;
    return fails(out_error) ? LEAT_E_NO_SPACE : faulty.inner->open(faulty.inner_env, name, mode, out_file, out_error);
}
static leat_code faulty_sync_directory(leat_env *env, const char *name, leat_error *out_error)
{
    (void)env;
    return fails(out_error) ? LEAT_E_NO_SPACE : faulty.inner->sync_directory(faulty.inner_env, name, out_error);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/leat_file_sink_XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sub/out.jsonl", folder);
    leat_env *env = leat_env_posix(0);
    faulty = (faulty_env){.ops = *env->ops, .inner = env->ops, .inner_env = env, .calls_left = -1};
    faulty.env.ops = &faulty.ops;
    faulty.ops.alloc = pass_alloc;
    faulty.ops.grow = pass_grow;
    faulty.ops.free = pass_free;
    faulty.ops.close = pass_close;
    faulty.ops.pwrite = faulty_pwrite;
    faulty.ops.sync = faulty_sync;
    faulty.ops.truncate = faulty_truncate;
    faulty.ops.rename = faulty_rename;
    faulty.ops.unlink = faulty_unlink;
    faulty.ops.open = faulty_open;
    faulty.ops.sync_directory = faulty_sync_directory;
    leat_arena_init(&arena, env, 4096);
    settings = (leat_file_sink_settings){.path = path, .keep = 90};
    control = (leat_sink_control){.acknowledged = on_acknowledged};
    setup = (leat_sink_setup){.env = &faulty.env,
                              .arena = &arena,
                              .name = "out",
                              .settings = &settings,
                              .control = &control,
                              .format_name = "json"};
    acknowledgement_count = 0;
    sink = NULL;
    return 0;
}

static void close_sink(void)
{
    if (!sink)
        return;
    sink->ops->close(sink);
    free(sink);
    sink = NULL;
}
static int tear_down(void **state)
{
    (void)state;
    char command[128];
    close_sink();
    leat_arena_fini(&arena);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static leat_code open_sink(const acknowledgement *from)
{
    close_sink();
    setup.token = from ? leat_slice_of(from->token, from->size) : leat_slice_of("", 0);
    setup.acknowledged = from ? from->sequence : 0;
    sink = calloc(1, leat_sink_file_ops.instance_size);
    sink->ops = &leat_sink_file_ops;
    leat_code code = sink->ops->open(sink, &setup, &error);
    if (code != LEAT_OK) {
        free(sink);
        sink = NULL;
    }
    return code;
}

static leat_code send(uint64_t sequence)
{
    char text[64];
    int size = snprintf(text, sizeof text, "{\"n\":%llu}", (unsigned long long)sequence);
    leat_delivery delivery = {.sequence = sequence, .payload = {text, (size_t)size}};
    return sink->ops->send(sink, &delivery, &error);
}
static leat_code flush(void) { return sink->ops->flush(sink, &error); }

// Reads all files, oldest first, checks that they hold the lines first..last once each, each file with its header, none over size.
static uint64_t expect_lines(uint64_t first, const char *header, uint64_t limit)
{
    char name[200], line[256];
    uint64_t next = first;
    for (int number = 99; number >= 0; number--) {
        snprintf(name, sizeof name, number ? "%s.%d" : "%s", path, number);
        FILE *file = fopen(name, "r");
        if (!file)
            continue;
        struct stat stat;
        assert_int_equal(fstat(fileno(file), &stat), 0);
        if (limit)
            assert_true((uint64_t)stat.st_size <= limit);
        if (header) {
            assert_non_null(fgets(line, sizeof line, file));
            assert_memory_equal(line, header, strlen(header));
        }
        while (fgets(line, sizeof line, file)) {
            unsigned long long n;
            if (sscanf(line, "{\"n\":%llu}\n", &n) != 1 || n != next || line[strlen(line) - 1] != '\n')
                fail_msg("%s: wanted %llu, found %s", name, (unsigned long long)next, line);
            next++;
        }
        fclose(file);
    }
    return next - 1;
}

static void test_append(void **state)
{
    (void)state;
    assert_int_equal(open_sink(NULL), LEAT_OK);
    assert_int_equal(acknowledgement_count, 1); // sequence 0 with the length of nothing
    for (uint64_t n = 1; n <= 5; n++)
        assert_int_equal(send(n), LEAT_OK);
    assert_int_equal(acknowledgement_count, 1);
    assert_int_equal(flush(), LEAT_OK);
    assert_int_equal(acknowledgements[1].sequence, 5);
    assert_int_equal(flush(), LEAT_OK);
    assert_int_equal(acknowledgement_count, 2);
    assert_int_equal(expect_lines(1, NULL, 0), 5);
}

static void test_fresh_line_after_a_torn_one(void **state)
{
    (void)state;
    char text[64] = "", made[160];
    snprintf(made, sizeof made, "%s/sub", folder);
    mkdir(made, 0755);
    FILE *file = fopen(path, "w");
    fputs("{\"torn", file);
    fclose(file);
    setup.header = leat_slice_text("n");
    assert_int_equal(open_sink(NULL), LEAT_OK);
    assert_int_equal(send(1), LEAT_OK);
    assert_int_equal(flush(), LEAT_OK);
    file = fopen(path, "r");
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    assert_string_equal(text, "{\"torn\n{\"n\":1}\n");
}

static void run_from_every_token(uint64_t rotate, const char *header)
{
    settings.rotate_size = (int64_t)rotate;
    if (header)
        setup.header = leat_slice_text(header);
    assert_int_equal(open_sink(NULL), LEAT_OK);
    uint64_t sent = 0;
    acknowledgement last = acknowledgements[0];
    for (int round = 0; round < 120; round++) {
        // Some lines, some flushes, then a kill; on with a token that may be a few acknowledgements old.
        for (int i = 0; i < 1 + round * 7 % 23; i++) {
            assert_int_equal(send(++sent), LEAT_OK);
            if ((round + i) % 5 == 0)
                assert_int_equal(flush(), LEAT_OK);
        }
        if (round % 3 == 0)
            assert_int_equal(flush(), LEAT_OK);
        size_t back = (size_t)(round * 5 % 9);
        last = acknowledgements[acknowledgement_count > back ? acknowledgement_count - 1 - back : 0];
        // Acknowledgements after the one that was stored never happened.
        acknowledgement_count = acknowledgement_count > back ? acknowledgement_count - back : 1;
        assert_int_equal(open_sink(&last), LEAT_OK);
        assert_int_equal(expect_lines(1, header, rotate), last.sequence);
        sent = last.sequence;
    }
    while (sent < 2000)
        assert_int_equal(send(++sent), LEAT_OK);
    assert_int_equal(flush(), LEAT_OK);
    assert_int_equal(expect_lines(1, header, rotate), 2000);
}

static void test_from_older_tokens(void **state)
{
    (void)state;
    run_from_every_token(0, NULL);
}
static void test_from_older_tokens_across_rotations(void **state)
{
    (void)state;
    run_from_every_token(300, NULL);
}
static void test_from_older_tokens_with_header(void **state)
{
    (void)state;
    run_from_every_token(400, "a,b,\"c\"");
}

static void test_every_token_after_all_was_written(void **state)
{
    (void)state;
    settings.rotate_size = 200;
    for (uint64_t target = 0; target < 40; target++) {
        char command[160];
        close_sink();
        snprintf(command, sizeof command, "rm -rf %s/sub", folder);
        assert_int_equal(system(command), 0);
        acknowledgement_count = 0;
        assert_int_equal(open_sink(NULL), LEAT_OK);
        for (uint64_t n = 1; n <= 200; n++) {
            assert_int_equal(send(n), LEAT_OK);
            if (n % 5 == 0)
                assert_int_equal(flush(), LEAT_OK);
        }
        acknowledgement from = acknowledgements[target];
        assert_int_equal(open_sink(&from), LEAT_OK);
        assert_int_equal(expect_lines(1, NULL, 200), from.sequence);
        for (uint64_t n = from.sequence + 1; n <= 210; n++)
            assert_int_equal(send(n), LEAT_OK);
        assert_int_equal(flush(), LEAT_OK);
        assert_int_equal(expect_lines(1, NULL, 200), 210);
    }
}

// A crash at the n-th change of the disk, for all n, also during the recovery from it; and a disk that fails once.
static void run_with_faults(bool once, const char *header)
{
    settings.rotate_size = 120;
    settings.sync = true;
    if (header)
        setup.header = leat_slice_text(header);
    for (int first = 0; first < 160; first += once ? 1 : 3) {
        for (int second = 0; second < (once ? 1 : 9); second++) {
            char command[160];
            close_sink();
            snprintf(command, sizeof command, "rm -rf %s/sub", folder);
            assert_int_equal(system(command), 0);
            acknowledgement_count = 0;
            faulty.calls_left = first;
            faulty.once = once;
            leat_code code = open_sink(NULL);
            uint64_t next = 1;
            for (int attempts = 0; next <= 60; attempts++) {
                assert_true(attempts < 20);
                if (code == LEAT_OK) {
                    for (; next <= 60 && code == LEAT_OK; next += code == LEAT_OK) {
                        code = send(next);
                        if (code == LEAT_OK && next % 4 == 0)
                            code = flush();
                    }
                    if (code == LEAT_OK)
                        code = flush();
                }
                if (code == LEAT_OK)
                    break;
                const acknowledgement *last =
                    acknowledgement_count ? &acknowledgements[acknowledgement_count - 1] : NULL;
                next = last ? last->sequence + 1 : 1;
                if (once && sink) { // the agent sends again to the same driver
                    code = LEAT_OK;
                    continue;
                }
                faulty.calls_left = attempts == 0 && !once ? second : -1;
                code = open_sink(last);
            }
            assert_int_equal(expect_lines(1, header, 0), 60);
        }
    }
}
static void test_crash_at_every_call(void **state)
{
    (void)state;
    run_with_faults(false, NULL);
}
static void test_crash_at_every_call_with_header(void **state)
{
    (void)state;
    run_with_faults(false, "a,b");
}
static void test_disk_full_at_every_call(void **state)
{
    (void)state;
    run_with_faults(true, NULL);
}

static void test_keep(void **state)
{
    (void)state;
    char name[200];
    settings.rotate_size = 100;
    settings.keep = 2;
    assert_int_equal(open_sink(NULL), LEAT_OK);
    for (uint64_t n = 1; n <= 100; n++)
        assert_int_equal(send(n), LEAT_OK);
    assert_int_equal(flush(), LEAT_OK);
    snprintf(name, sizeof name, "%s.2", path);
    assert_int_equal(access(name, F_OK), 0);
    snprintf(name, sizeof name, "%s.3", path);
    assert_int_equal(access(name, F_OK), -1);
}

static void test_bad_tokens(void **state)
{
    (void)state;
    acknowledgement bad = {.sequence = 3, .size = 17};
    assert_int_equal(open_sink(&bad), LEAT_E_CORRUPT);
    bad.token[0] = 1;
    bad.size = 5;
    assert_int_equal(open_sink(&bad), LEAT_E_CORRUPT);
    bad.size = 17; // an inode that is nowhere: a new file is begun
    memset(bad.token + 1, 0x7F, 8);
    assert_int_equal(open_sink(&bad), LEAT_OK);
    assert_int_equal(acknowledgements[0].sequence, 3);
    assert_int_equal(send(4), LEAT_OK);
    assert_int_equal(flush(), LEAT_OK);
    assert_int_equal(expect_lines(4, NULL, 0), 4);
}

static void test_stdout(void **state)
{
    (void)state;
    char text[64] = "";
    char name[160];
    snprintf(name, sizeof name, "%s/stdout", folder);
    int kept = dup(1);
    fflush(stdout);
    assert_non_null(freopen(name, "w", stdout));
    leat_sink *printer = calloc(1, leat_sink_stdout_ops.instance_size);
    printer->ops = &leat_sink_stdout_ops;
    leat_code code = printer->ops->open(printer, &setup, &error);
    leat_delivery delivery = {.sequence = 4, .payload = {"{}", 2}};
    if (code == LEAT_OK)
        code = printer->ops->send(printer, &delivery, &error);
    delivery.sequence = 5;
    if (code == LEAT_OK)
        code = printer->ops->send(printer, &delivery, &error);
    if (code == LEAT_OK)
        code = printer->ops->flush(printer, &error);
    printer->ops->close(printer);
    free(printer);
    fflush(stdout);
    dup2(kept, 1);
    close(kept);
    assert_int_equal(code, LEAT_OK);
    FILE *file = fopen(name, "r");
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    assert_string_equal(text, "{}\n{}\n");
    assert_int_equal(acknowledgements[0].sequence, 5);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_append),
        CASE(test_fresh_line_after_a_torn_one),
        CASE(test_from_older_tokens),
        CASE(test_from_older_tokens_across_rotations),
        CASE(test_from_older_tokens_with_header),
        CASE(test_every_token_after_all_was_written),
        CASE(test_crash_at_every_call),
        CASE(test_crash_at_every_call_with_header),
        CASE(test_disk_full_at_every_call),
        CASE(test_keep),
        CASE(test_bad_tokens),
        CASE(test_stdout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
