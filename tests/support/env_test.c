#include "tests/support/env_test.h"

#include <stdlib.h>
#include <string.h>

#include "firmware-agent/platform/env_posix.h"
#include "operators/base/hash.h"

struct leat_file {
    env_test *test;
    leat_file *inner;
};

static env_test *test_of(leat_env *env) { return (env_test *)env; }

// ---- clocks, random

static int64_t wall_ms(leat_env *env) { return test_of(env)->wall_ms; }
static int64_t boot_ns(leat_env *env) { return test_of(env)->boot_ns; }

static void random_bytes(leat_env *env, void *out_bytes, size_t size)
{
    uint8_t *out = out_bytes;
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)leat_hash_mix(atomic_fetch_add(&test_of(env)->random, 0x9e3779b97f4a7c15ULL));
}

// ---- memory

static bool is_due(uint64_t count, uint64_t at, bool after) { return at && (after ? count >= at : count == at); }

static bool alloc_refused(env_test *test, size_t more)
{
    uint64_t count = atomic_fetch_add(&test->alloc_count, 1) + 1;
    return is_due(count, test->fail_alloc_at, test->fail_alloc_after) ||
           (test->memory_limit && test->memory + more > test->memory_limit);
}

static void count_memory(env_test *test, size_t add, size_t subtract)
{
    size_t now = atomic_fetch_add(&test->memory, add - subtract) + add - subtract;
    size_t peak = test->memory_peak;
    while (now > peak && !atomic_compare_exchange_weak(&test->memory_peak, &peak, now)) {
    }
}

static void *memory_alloc(leat_env *env, size_t size)
{
    env_test *test = test_of(env);
    if (alloc_refused(test, size))
        return NULL;
    void *memory = malloc(size ? size : 1);
    if (memory) {
        memset(memory, 0xa5, size); // who relies on cleared memory shall notice
        count_memory(test, size, 0);
    }
    return memory;
}

// Always moves, so that pointers into the old place are found by the address sanitizer.
static void *memory_grow(leat_env *env, void *old, size_t old_size, size_t new_size)
{
    env_test *test = test_of(env);
    if (alloc_refused(test, new_size > old_size ? new_size - old_size : 0))
        return NULL;
    void *memory = malloc(new_size ? new_size : 1);
    if (!memory)
        return NULL;
    memset(memory, 0xa5, new_size);
    if (old)
        memcpy(memory, old, old_size < new_size ? old_size : new_size);
    free(old);
    count_memory(test, new_size, old_size);
    return memory;
}

static void memory_free(leat_env *env, void *memory, size_t size)
{
    if (!memory)
        return;
    LEAT_ASSERT(test_of(env)->memory >= size);
    free(memory);
    count_memory(test_of(env), 0, size);
}

// ---- files

static bool call_fails(env_test *test, env_test_call call)
{
    uint64_t all = atomic_fetch_add(&test->file_count, 1) + 1;
    uint64_t own = atomic_fetch_add(&test->call_count[call], 1) + 1;
    return is_due(all, test->fail_file_at, test->fail_file_after) ||
           is_due(own, test->fail_call_at[call], test->fail_file_after);
}

static leat_code injected(env_test *test, const char *path, leat_error *out_error)
{
    return leat_error_at(out_error, test->fail_code, path, "injected fault");
}

static leat_code file_open(leat_env *env, const char *path, leat_open_mode mode, leat_file **out_file,
                           leat_error *out_error)
{
    env_test *test = test_of(env);
    if (call_fails(test, ENV_TEST_OPEN))
        return injected(test, path, out_error);
    leat_file *inner = NULL;
    leat_code code = test->inner->ops->open(test->inner, path, mode, &inner, out_error);
    if (code != LEAT_OK)
        return code;
    leat_file *file = malloc(sizeof *file);
    LEAT_ASSERT(file);
    *file = (leat_file){.test = test, .inner = inner};
    atomic_fetch_add(&test->open_files, 1);
    *out_file = file;
    return LEAT_OK;
}

static void file_close(leat_env *env, leat_file *file)
{
    env_test *test = test_of(env);
    if (!file)
        return;
    test->inner->ops->close(test->inner, file->inner);
    atomic_fetch_sub(&test->open_files, 1);
    free(file);
}

static const leat_env_ops *inner_of(const leat_file *file) { return file->test->inner->ops; }

static leat_code file_pread(leat_file *file, void *bytes, size_t size, uint64_t offset, size_t *out_read,
                            leat_error *out_error)
{
    if (!call_fails(file->test, ENV_TEST_PREAD))
        return inner_of(file)->pread(file->inner, bytes, size, offset, out_read, out_error);
    if (file->test->short_calls)
        return inner_of(file)->pread(file->inner, bytes, size / 2, offset, out_read, out_error);
    return injected(file->test, "", out_error);
}

static leat_code file_pwrite(leat_file *file, const void *bytes, size_t size, uint64_t offset, leat_error *out_error)
{
    if (!call_fails(file->test, ENV_TEST_PWRITE))
        return inner_of(file)->pwrite(file->inner, bytes, size, offset, out_error);
    if (file->test->short_calls) {
        leat_code code = inner_of(file)->pwrite(file->inner, bytes, size / 2, offset, out_error);
        if (code != LEAT_OK)
            return code;
    }
    return injected(file->test, "", out_error);
}

static leat_code file_read(leat_file *file, void *bytes, size_t size, size_t *out_read, leat_error *out_error)
{
    if (!call_fails(file->test, ENV_TEST_READ))
        return inner_of(file)->read(file->inner, bytes, size, out_read, out_error);
    if (file->test->short_calls && size > 1)
        return inner_of(file)->read(file->inner, bytes, size / 2, out_read, out_error);
    return injected(file->test, "", out_error);
}

static leat_code file_sync(leat_file *file, leat_error *out_error)
{
    if (call_fails(file->test, ENV_TEST_SYNC))
        return injected(file->test, "", out_error);
    return inner_of(file)->sync(file->inner, out_error);
}

static leat_code file_preallocate(leat_file *file, uint64_t size, leat_error *out_error)
{
    if (call_fails(file->test, ENV_TEST_PREALLOCATE))
        return injected(file->test, "", out_error);
    return inner_of(file)->preallocate(file->inner, size, out_error);
}

static leat_code file_truncate(leat_file *file, uint64_t size, leat_error *out_error)
{
    if (call_fails(file->test, ENV_TEST_TRUNCATE))
        return injected(file->test, "", out_error);
    return inner_of(file)->truncate(file->inner, size, out_error);
}

static leat_code file_stat_get(leat_file *file, leat_file_stat *out_stat, leat_error *out_error)
{
    if (call_fails(file->test, ENV_TEST_STAT))
        return injected(file->test, "", out_error);
    return inner_of(file)->file_stat(file->inner, out_stat, out_error);
}

static leat_code path_stat_get(leat_env *env, const char *path, leat_file_stat *out_stat, leat_error *out_error)
{
    env_test *test = test_of(env);
    if (call_fails(test, ENV_TEST_STAT))
        return injected(test, path, out_error);
    return test->inner->ops->path_stat(test->inner, path, out_stat, out_error);
}

static leat_code path_rename(leat_env *env, const char *from, const char *to, leat_error *out_error)
{
    env_test *test = test_of(env);
    if (call_fails(test, ENV_TEST_RENAME))
        return injected(test, from, out_error);
    return test->inner->ops->rename(test->inner, from, to, out_error);
}

static leat_code path_unlink(leat_env *env, const char *path, leat_error *out_error)
{
    env_test *test = test_of(env);
    if (call_fails(test, ENV_TEST_UNLINK))
        return injected(test, path, out_error);
    return test->inner->ops->unlink(test->inner, path, out_error);
}

static leat_code make_directory(leat_env *env, const char *path, uint32_t mode, leat_error *out_error)
{
    env_test *test = test_of(env);
    if (call_fails(test, ENV_TEST_DIRECTORY))
        return injected(test, path, out_error);
    return test->inner->ops->make_directory(test->inner, path, mode, out_error);
}

static leat_code remove_directory(leat_env *env, const char *path, leat_error *out_error)
{
    env_test *test = test_of(env);
    if (call_fails(test, ENV_TEST_DIRECTORY))
        return injected(test, path, out_error);
    return test->inner->ops->remove_directory(test->inner, path, out_error);
}

static leat_code sync_directory(leat_env *env, const char *path, leat_error *out_error)
{
    env_test *test = test_of(env);
    if (call_fails(test, ENV_TEST_SYNC))
        return injected(test, path, out_error);
    return test->inner->ops->sync_directory(test->inner, path, out_error);
}

static leat_code list(leat_env *env, const char *path, leat_directory_visit visit, void *context, leat_error *out_error)
{
    env_test *test = test_of(env);
    if (call_fails(test, ENV_TEST_DIRECTORY))
        return injected(test, path, out_error);
    return test->inner->ops->list(test->inner, path, visit, context, out_error);
}

static leat_code free_space(leat_env *env, const char *path, uint64_t *out_bytes, leat_error *out_error)
{
    env_test *test = test_of(env);
    if (call_fails(test, ENV_TEST_FREE_SPACE))
        return injected(test, path, out_error);
    return test->inner->ops->free_space(test->inner, path, out_bytes, out_error);
}

static const leat_env_ops test_ops = {
    .wall_ms = wall_ms,
    .boot_ns = boot_ns,
    .random = random_bytes,
    .alloc = memory_alloc,
    .grow = memory_grow,
    .free = memory_free,
    .open = file_open,
    .close = file_close,
    .pread = file_pread,
    .pwrite = file_pwrite,
    .read = file_read,
    .sync = file_sync,
    .preallocate = file_preallocate,
    .truncate = file_truncate,
    .file_stat = file_stat_get,
    .path_stat = path_stat_get,
    .rename = path_rename,
    .unlink = path_unlink,
    .make_directory = make_directory,
    .remove_directory = remove_directory,
    .sync_directory = sync_directory,
    .list = list,
    .free_space = free_space,
};

env_test *env_test_create(void)
{
    env_test *test = calloc(1, sizeof *test);
    LEAT_ASSERT(test);
    test->env.ops = &test_ops;
    test->inner = leat_env_posix(0);
    test->wall_ms = 1600000000000;
    test->boot_ns = 1000000000;
    test->fail_code = LEAT_E_IO;
    return test;
}

void env_test_destroy(env_test *test)
{
    if (!test)
        return;
    LEAT_ASSERT(test->memory == 0);
    LEAT_ASSERT(test->open_files == 0);
    free(test);
}

void env_test_advance(env_test *test, int64_t ms)
{
    atomic_fetch_add(&test->wall_ms, ms);
    atomic_fetch_add(&test->boot_ns, ms * 1000000);
}

void env_test_reset(env_test *test)
{
    test->alloc_count = test->fail_alloc_at = 0;
    test->file_count = test->fail_file_at = 0;
    for (int i = 0; i < ENV_TEST_CALLS; i++)
        test->call_count[i] = test->fail_call_at[i] = 0;
    test->fail_alloc_after = test->fail_file_after = test->short_calls = false;
    test->memory_limit = 0;
    test->fail_code = LEAT_E_IO;
}
