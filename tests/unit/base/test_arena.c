#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firmware-agent/platform/env_posix.h"
#include "operators/base/arena.h"

static void test_alignment(void **state)
{
    (void)state;
    leat_arena arena;
    leat_arena_init(&arena, leat_env_posix(0), 1024);
    for (size_t i = 0; i < 2000; i++) {
        size_t alignment = (size_t)1 << (i % 9); // up to 256
        size_t size = i * 7 % 600;
        uint8_t *bytes = leat_arena_alloc_aligned(&arena, size, alignment);
        assert_int_equal((uintptr_t)bytes % alignment, 0);
        memset(bytes, 0xAA, size); // the sanitizer watches the chunk's end
    }
    leat_arena_fini(&arena);
}

static void test_blocks_do_not_overlap(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    leat_arena arena;
    uint8_t *blocks[COUNT];
    leat_arena_init(&arena, leat_env_posix(0), 512);
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = leat_arena_alloc(&arena, 1 + i);
        memset(blocks[i], (int)(i & 0xFF), 1 + i);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < 1 + i; j++)
            assert_int_equal(blocks[i][j], i & 0xFF);
    leat_arena_fini(&arena);
}

static void test_reset_keeps_largest_chunk(void **state)
{
    (void)state;
    leat_env *env = leat_env_posix(0);
    size_t before = leat_env_posix_memory(env);
    leat_arena arena;
    leat_arena_init(&arena, env, 1024);
    leat_arena_alloc(&arena, 10);
    leat_arena_alloc(&arena, 100000);
    leat_arena_alloc(&arena, 10);
    assert_int_equal(leat_env_posix_memory(env) - before, arena.size);
    leat_arena_reset(&arena);
    size_t kept = arena.size;
    assert_true(kept >= 100000);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 100; i++)
            memset(leat_arena_alloc(&arena, 990), 1, 990);
        assert_int_equal(arena.size, kept); // nothing is allocated once it is warm
        leat_arena_reset(&arena);
    }
    leat_arena_fini(&arena);
    assert_int_equal(leat_env_posix_memory(env), before);
}

static void test_large_block_keeps_room_of_newest_chunk(void **state)
{
    (void)state;
    leat_arena arena;
    leat_arena_init(&arena, leat_env_posix(0), 4096);
    char *a = leat_arena_alloc(&arena, 16);
    leat_arena_alloc(&arena, 50000);
    char *b = leat_arena_alloc(&arena, 16);
    assert_ptr_equal(a + 16, b);
    leat_arena_fini(&arena);
}

static void test_fini_of_zeroes_and_twice(void **state)
{
    (void)state;
    leat_arena arena = {0};
    leat_arena_fini(&arena);
    leat_arena_reset(&arena);
    leat_arena_init(&arena, leat_env_posix(0), 0);
    leat_arena_alloc(&arena, 1);
    leat_arena_fini(&arena);
    leat_arena_fini(&arena);
}

static void test_cleared_copied_formatted(void **state)
{
    (void)state;
    leat_arena arena;
    leat_arena_init(&arena, leat_env_posix(0), 256);
    memset(leat_arena_alloc(&arena, 200), 0xFF, 200);
    leat_arena_reset(&arena);
    uint64_t *words = leat_arena_array(&arena, uint64_t, 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(words[i], 0);
    assert_string_equal(leat_arena_copy(&arena, "abcdef", 3), "abc");
    assert_string_equal(leat_arena_copy(&arena, NULL, 0), "");
    char long_text[2000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    assert_string_equal(leat_arena_format(&arena, "%s", long_text), long_text);
    assert_string_equal(leat_arena_format(&arena, "%d-%s", 5, "y"), "5-y");
    leat_arena_fini(&arena);
}

static int signal_of_child(size_t size)
{
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); // cmocka catches it
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        leat_env *env = leat_env_posix(leat_env_posix_memory(leat_env_posix(0)) + 1000);
        leat_arena arena;
        leat_arena_init(&arena, env, 256);
        leat_arena_alloc(&arena, size);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_exhausted_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(signal_of_child(500), 0);
    assert_int_equal(signal_of_child(1000), SIGABRT);
    assert_int_equal(signal_of_child(SIZE_MAX - 5), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_blocks_do_not_overlap),
        cmocka_unit_test(test_reset_keeps_largest_chunk),
        cmocka_unit_test(test_large_block_keeps_room_of_newest_chunk),
        cmocka_unit_test(test_fini_of_zeroes_and_twice),
        cmocka_unit_test(test_cleared_copied_formatted),
        cmocka_unit_test(test_exhausted_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
