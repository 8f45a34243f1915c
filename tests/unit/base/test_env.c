#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware-agent/platform/env_posix.h"
#include "operators/base/arena.h"

static char root[] = "/tmp/leat-base-XXXXXX";
static leat_env *env;
static leat_error error;

static int setup(void **state)
{
    (void)state;
    env = leat_env_posix(0);
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return env->ops->remove_directory(env, root, &error) == LEAT_OK ? 0 : -1;
}

static const char *in_root(const char *name)
{
    static char paths[4][300];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static leat_file *opened(const char *name, leat_open_mode mode)
{
    leat_file *file = NULL;
    if (env->ops->open(env, in_root(name), mode, &file, &error) != LEAT_OK)
        fail_msg("%s: %s", error.place, error.message);
    return file;
}

static void write_all(const char *name, const char *text, size_t size)
{
    leat_file *file = opened(name, LEAT_OPEN_WRITE);
    assert_int_equal(env->ops->truncate(file, 0, &error), LEAT_OK);
    assert_int_equal(env->ops->pwrite(file, text, size, 0, &error), LEAT_OK);
    assert_int_equal(env->ops->sync(file, &error), LEAT_OK);
    env->ops->close(env, file);
}

static void remove_file(const char *name) { assert_int_equal(env->ops->unlink(env, in_root(name), &error), LEAT_OK); }

static void test_open_modes(void **state)
{
    (void)state;
    leat_file *file = NULL;
    assert_int_equal(env->ops->open(env, in_root("f"), LEAT_OPEN_READ, &file, &error), LEAT_E_NOT_FOUND);
    assert_string_equal(error.place, in_root("f"));
    assert_null(file);
    env->ops->close(env, opened("f", LEAT_OPEN_CREATE_NEW));
    assert_int_equal(env->ops->open(env, in_root("f"), LEAT_OPEN_CREATE_NEW, &file, &error), LEAT_E_EXISTS);
    env->ops->close(env, opened("f", LEAT_OPEN_WRITE));
    env->ops->close(env, opened("f", LEAT_OPEN_APPEND));
    env->ops->close(env, NULL);
    remove_file("f");
    assert_int_equal(env->ops->unlink(env, in_root("f"), &error), LEAT_E_NOT_FOUND);
}

static void test_pread_pwrite(void **state)
{
    (void)state;
    write_all("f", "0123456789", 10);
    leat_file *file = opened("f", LEAT_OPEN_APPEND);
    char bytes[20];
    size_t got = 99;
    assert_int_equal(env->ops->pread(file, bytes, 20, 4, &got, &error), LEAT_OK);
    assert_int_equal(got, 6);
    assert_memory_equal(bytes, "456789", 6);
    assert_int_equal(env->ops->pread(file, bytes, 20, 100, &got, &error), LEAT_OK);
    assert_int_equal(got, 0);
    assert_int_equal(env->ops->pwrite(file, "xx", 2, 2, &error), LEAT_OK); // the offset counts, also in append mode
    assert_int_equal(env->ops->pread(file, bytes, 20, 0, &got, &error), LEAT_OK);
    assert_int_equal(got, 10);
    assert_memory_equal(bytes, "01xx456789", 10);
    env->ops->close(env, file);
    file = opened("f", LEAT_OPEN_READ);
    assert_int_equal(env->ops->read(file, bytes, 4, &got, &error), LEAT_OK);
    assert_memory_equal(bytes, "01xx", 4);
    assert_int_not_equal(env->ops->pwrite(file, "x", 1, 0, &error), LEAT_OK);
    env->ops->close(env, file);
    remove_file("f");
}

static void test_preallocate_keeps_size(void **state)
{
    (void)state;
    leat_file *file = opened("f", LEAT_OPEN_WRITE);
    leat_file_stat stat;
    assert_int_equal(env->ops->preallocate(file, 1 << 20, &error), LEAT_OK);
    assert_int_equal(env->ops->file_stat(file, &stat, &error), LEAT_OK);
    assert_int_equal(stat.size, 0);
    assert_int_not_equal(env->ops->preallocate(file, (uint64_t)1 << 60, &error), LEAT_OK);
    env->ops->close(env, file);
    remove_file("f");
}

static void test_disk_full(void **state)
{
    (void)state;
    leat_file *file = NULL;
    assert_int_equal(env->ops->open(env, "/dev/full", LEAT_OPEN_WRITE, &file, &error), LEAT_OK);
    assert_int_equal(env->ops->pwrite(file, "x", 1, 0, &error), LEAT_E_NO_SPACE);
    assert_string_equal(error.place, "/dev/full");
    env->ops->close(env, file);
}

static void test_pipe_is_written_at_its_end(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_root("p"), 0600), 0);
    leat_file *file = opened("p", LEAT_OPEN_WRITE); // read and write, so open does not wait for another side
    char bytes[4];
    size_t got;
    assert_int_equal(env->ops->pwrite(file, "ab", 2, 1000, &error), LEAT_OK);
    assert_int_equal(env->ops->sync(file, &error), LEAT_OK);
    assert_int_equal(env->ops->read(file, bytes, 4, &got, &error), LEAT_OK);
    assert_int_equal(got, 2);
    env->ops->close(env, file);
    remove_file("p");
}

static void test_descriptors_are_not_inherited(void **state)
{
    (void)state;
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(next);
    leat_file *file = opened("f", LEAT_OPEN_WRITE); // takes the number that is free
    assert_true(fcntl(next, F_GETFD) & FD_CLOEXEC);
    env->ops->close(env, file);
    assert_int_equal(fcntl(next, F_GETFD), -1);
    remove_file("f");
}

static bool count_names(void *context, const char *name)
{
    (void)name;
    return ++*(int *)context < 3;
}

static void test_directories(void **state)
{
    (void)state;
    int count = 0;
    assert_int_equal(env->ops->make_directory(env, in_root("a//b/c/"), 0750, &error), LEAT_OK);
    assert_int_equal(env->ops->make_directory(env, in_root("a/b/c"), 0750, &error), LEAT_OK);
    leat_file_stat stat;
    assert_int_equal(env->ops->path_stat(env, in_root("a/b"), &stat, &error), LEAT_OK);
    assert_true(stat.is_directory);
    assert_int_equal(env->ops->list(env, in_root("a/b"), count_names, &count, &error), LEAT_OK);
    assert_int_equal(count, 1);
    static const char *const names[] = {"a/1", "a/2", "a/3"};
    for (int i = 0; i < 3; i++)
        write_all(names[i], "", 0);
    count = 0;
    assert_int_equal(env->ops->list(env, in_root("a"), count_names, &count, &error), LEAT_OK);
    assert_int_equal(count, 3); // of four: the visit ended the walk
    assert_int_equal(env->ops->sync_directory(env, in_root("a"), &error), LEAT_OK);
    assert_int_equal(env->ops->make_directory(env, in_root("a/1/x"), 0750, &error), LEAT_E_EXISTS);
    assert_int_equal(env->ops->remove_directory(env, in_root("a"), &error), LEAT_E_CONFLICT);
    assert_int_equal(env->ops->list(env, in_root("none"), count_names, &count, &error), LEAT_E_NOT_FOUND);
    assert_int_equal(env->ops->rename(env, in_root("a/1"), in_root("a/2"), &error), LEAT_OK);
    assert_int_equal(env->ops->rename(env, in_root("a/1"), in_root("a/2"), &error), LEAT_E_NOT_FOUND);
    assert_string_equal(error.place, in_root("a/1"));
    remove_file("a/2");
    remove_file("a/3");
    static const char *const directories[] = {"a/b/c", "a/b", "a"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(env->ops->remove_directory(env, in_root(directories[i]), &error), LEAT_OK);
    uint64_t free_bytes = 0;
    assert_int_equal(env->ops->free_space(env, root, &free_bytes, &error), LEAT_OK);
    assert_true(free_bytes > 0);
}

static void test_read_file(void **state)
{
    (void)state;
    leat_arena arena;
    leat_arena_init(&arena, env, 4096);
    char *text = NULL;
    size_t size = 0;
    write_all("f", "0123456789", 10);
    assert_int_equal(leat_env_read_file(env, in_root("f"), &arena, 10, &text, &size, &error), LEAT_OK);
    assert_int_equal(size, 10);
    assert_string_equal(text, "0123456789");
    assert_int_equal(leat_env_read_file(env, in_root("f"), &arena, 9, &text, &size, &error), LEAT_E_LIMIT);
    assert_int_equal(leat_env_read_file(env, in_root("f"), &arena, 0, &text, &size, &error), LEAT_E_LIMIT);
    write_all("f", "", 0);
    assert_int_equal(leat_env_read_file(env, in_root("f"), &arena, 0, &text, &size, &error), LEAT_OK);
    assert_int_equal(size, 0);
    assert_string_equal(text, "");
    assert_int_equal(leat_env_read_file(env, root, &arena, 100, &text, &size, &error), LEAT_E_INVALID);
    assert_int_equal(leat_env_read_file(env, in_root("none"), &arena, 100, &text, &size, &error), LEAT_E_NOT_FOUND);
    // /proc says size 0 and gives more.
    assert_int_equal(leat_env_read_file(env, "/proc/self/maps", &arena, 1 << 20, &text, &size, &error), LEAT_OK);
    assert_true(size > 0 && strlen(text) == size);
    assert_int_equal(leat_env_read_file(env, "/proc/self/maps", &arena, 50, &text, &size, &error), LEAT_E_LIMIT);
    remove_file("f");
    leat_arena_fini(&arena);
}

static void test_memory_is_counted_and_limited(void **state)
{
    (void)state;
    size_t before = leat_env_posix_memory(env);
    leat_env_posix(before + 1000);
    uint8_t *bytes = leat_env_calloc(env, 600);
    assert_non_null(bytes);
    for (int i = 0; i < 600; i++)
        assert_int_equal(bytes[i], 0);
    assert_int_equal(leat_env_posix_memory(env), before + 600);
    assert_null(leat_env_alloc(env, 401));
    assert_null(leat_env_alloc(env, SIZE_MAX));
    assert_null(leat_env_grow(env, bytes, 600, 1001)); // bytes stays
    bytes = leat_env_grow(env, bytes, 600, 1000);
    assert_int_equal(leat_env_posix_memory(env), before + 1000);
    bytes = leat_env_grow(env, bytes, 1000, 10);
    assert_int_equal(leat_env_posix_memory(env), before + 10);
    leat_env_free(env, bytes, 10);
    leat_env_free(env, NULL, 10);
    assert_int_equal(leat_env_posix_memory(env), before);
    leat_env_posix(0);
}

static void test_clocks_and_random(void **state)
{
    (void)state;
    assert_true(leat_wall_ms(env) > INT64_C(1700000000000));
    int64_t earlier = leat_boot_ns(env);
    assert_true(earlier > 0 && leat_boot_ns(env) >= earlier);
    uint8_t a[1000] = {0}, b[1000] = {0};
    env->ops->random(env, a, sizeof a);
    env->ops->random(env, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    env->ops->random(env, a, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_modes),
        cmocka_unit_test(test_pread_pwrite),
        cmocka_unit_test(test_preallocate_keeps_size),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_pipe_is_written_at_its_end),
        cmocka_unit_test(test_descriptors_are_not_inherited),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_read_file),
        cmocka_unit_test(test_memory_is_counted_and_limited),
        cmocka_unit_test(test_clocks_and_random),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
