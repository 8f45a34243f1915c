// Errors of the disk under a commit: a failed write is a fault, a full disk is not, and a map that is full grows. LMDB writes by itself, so its calls
// are met by functions of the same name here.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "firmware-agent/checkpoint/store.h"
#include "firmware-agent/platform/env_posix.h"

typedef enum fault { FAULT_NONE, FAULT_ERROR, FAULT_NO_SPACE, FAULT_SHORT } fault;

static fault armed;
static int hits;

// The size that may be written, -1 with errno for a call that fails, SIZE_MAX for one that is let through.
static size_t meet(size_t size)
{
    if (armed == FAULT_NONE)
        return SIZE_MAX;
    hits++;
    errno = armed == FAULT_ERROR ? EIO : armed == FAULT_NO_SPACE ? ENOSPC : errno;
    return armed == FAULT_SHORT ? size / 2 : 0;
}

static ssize_t write_at(int fd, const void *bytes, size_t size, off_t offset)
{
    size_t allowed = meet(size);
    if (allowed == 0)
        return -1;
    return (ssize_t)syscall(SYS_pwrite64, fd, bytes, allowed < size ? allowed : size, offset);
}

// By their names in the object file: the headers may redirect one to the other.
ssize_t meet_pwrite(int fd, const void *bytes, size_t size, off_t offset) __asm__("pwrite");
ssize_t meet_pwrite64(int fd, const void *bytes, size_t size, off_t offset) __asm__("pwrite64");
ssize_t meet_writev(int fd, const struct iovec *parts, int count) __asm__("writev");

ssize_t meet_pwrite(int fd, const void *bytes, size_t size, off_t offset) { return write_at(fd, bytes, size, offset); }
ssize_t meet_pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
    return write_at(fd, bytes, size, offset);
}

ssize_t meet_writev(int fd, const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    size_t allowed = meet(size);
    if (allowed == 0)
        return -1;
    if (allowed == SIZE_MAX)
        return (ssize_t)syscall(SYS_writev, fd, parts, count);
    return (ssize_t)syscall(SYS_write, fd, parts[0].iov_base, allowed < parts[0].iov_len ? allowed : parts[0].iov_len);
}

// ---- a store with one operator

typedef struct world {
    char directory[64];
    leat_store *store;
    leat_change_set set;
    uint32_t number;
} world;

static leat_env *env(void) { return leat_env_posix(0); }

static void open_store(world *w, uint64_t map_bytes, uint64_t map_start)
{
    leat_error error = {0};
    leat_store_opened opened;
    leat_store_options options = {
        .directory = w->directory, .agent = "test", .map_bytes = map_bytes, .map_start = map_start};
    if (leat_store_open(env(), &options, &w->store, &opened, &error) != LEAT_OK)
        fail_msg("%s", error.message);
    w->number = leat_store_operator(w->store, 7);
}

static void begin(world *w, uint64_t map_bytes, uint64_t map_start)
{
    snprintf(w->directory, sizeof w->directory, "/tmp/leat-faults-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    leat_change_set_init(&w->set, env(), 64 << 20);
    open_store(w, map_bytes, map_start);
}

static void end(world *w)
{
    char command[128];
    leat_store_close(w->store);
    leat_change_set_fini(&w->set);
    snprintf(command, sizeof command, "rm -rf %s", w->directory);
    assert_int_equal(system(command), 0);
}

// `count` keys with values of `size` bytes that begin with the round.
static leat_code commit(world *w, unsigned round, unsigned count, size_t size, leat_error *error)
{
    static char value[4096];
    char key[16];
    leat_change_set_reset(&w->set);
    leat_change_set_operator(&w->set, w->number);
    memset(value, 'x', sizeof value);
    for (unsigned i = 0; i < count; i++) {
        memcpy(value, &round, sizeof round);
        leat_change_set_put(&w->set, 0, i % LEAT_KEY_GROUPS,
                            leat_slice_of(key, (size_t)snprintf(key, sizeof key, "%u", i)), leat_slice_of(value, size));
    }
    leat_change_set *sets[1] = {&w->set};
    leat_store_named manifest[1] = {{leat_slice_text("a"), leat_slice_text("b")}};
    leat_store_checkpoint c = {.manifest = manifest, .manifest_count = 1, .sets = sets, .set_count = 1};
    leat_store_committed done;
    return leat_store_commit(w->store, &c, &done, error);
}

typedef struct seen {
    unsigned entries, round;
} seen;

static leat_code see(void *context, uint64_t uid, uint32_t number, uint8_t table, uint32_t group, leat_slice key,
                     leat_slice value, leat_error *error)
{
    seen *self = context;
    (void)uid, (void)number, (void)table, (void)group, (void)key, (void)error;
    self->entries++;
    memcpy(&self->round, value.data, sizeof self->round);
    return LEAT_OK;
}

static void expect(world *w, unsigned round, unsigned count)
{
    leat_error error = {0};
    seen found = {0};
    leat_store_visitor visitor = {&found, NULL, see};
    assert_int_equal(leat_store_visit(w->store, LEAT_STORE_LATEST, &visitor, &error), LEAT_OK);
    assert_int_equal(found.entries, count);
    assert_int_equal(found.round, round);
}

static void meets(fault what, leat_code wanted)
{
    world w;
    leat_error error = {0};
    begin(&w, 64 << 20, 0);
    assert_int_equal(commit(&w, 1, 10, 100, &error), LEAT_OK);
    hits = 0;
    armed = what;
    leat_code code = commit(&w, 2, 200, 1000, &error);
    armed = FAULT_NONE;
    assert_true(hits > 0);
    assert_int_equal(code, wanted);
    expect(&w, 1, 10);
    assert_int_equal(commit(&w, 3, 200, 1000, &error), LEAT_OK);
    expect(&w, 3, 200);
    end(&w);
}

// Whatever is free on the disk: an error that the disk reported is never taken for a full one.
static void test_failed_write(void **state)
{
    (void)state;
    meets(FAULT_ERROR, LEAT_E_IO);
}

static void test_full_disk(void **state)
{
    (void)state;
    meets(FAULT_NO_SPACE, LEAT_E_NO_SPACE);
}

static void test_short_write(void **state)
{
    (void)state;
    meets(FAULT_SHORT, LEAT_E_NO_SPACE);
}

// The same with next to nothing free, where the two used to be confused.
static leat_code no_free_space(leat_env *self, const char *path, uint64_t *out_bytes, leat_error *out_error)
{
    (void)self, (void)path, (void)out_error;
    *out_bytes = 4096;
    return LEAT_OK;
}

static void test_failed_write_on_a_full_disk(void **state)
{
    (void)state;
    const leat_env_ops *inner = env()->ops;
    leat_env_ops ops = *inner;
    ops.free_space = no_free_space;
    env()->ops = &ops;
    meets(FAULT_ERROR, LEAT_E_IO);
    env()->ops = inner;
}

static void test_map_grows(void **state)
{
    (void)state;
    world w;
    leat_error error = {0};
    begin(&w, 0, 256 << 10);
    assert_int_equal(leat_store_stats_get(w.store).map_bytes, 256 << 10);
    for (unsigned round = 1; round <= 8; round++)
        assert_int_equal(commit(&w, round, 200, 4000, &error), LEAT_OK);
    assert_true(leat_store_stats_get(w.store).map_bytes >= 4 << 20);
    expect(&w, 8, 200);
    leat_store_close(w.store);
    open_store(&w, 0, 256 << 10); // a file larger than the map begins with
    expect(&w, 8, 200);
    assert_int_equal(commit(&w, 9, 200, 4000, &error), LEAT_OK);
    expect(&w, 9, 200);
    end(&w);
}

static void test_map_limit(void **state)
{
    (void)state;
    world w;
    leat_error error = {0};
    begin(&w, 1 << 20, 256 << 10);
    assert_int_equal(commit(&w, 1, 20, 4000, &error), LEAT_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(commit(&w, 2, 400, 4000, &error), LEAT_E_LIMIT);
        assert_non_null(strstr(error.message, "agent.map_size, 1 MiB"));
        expect(&w, 1, 20);
    }
    leat_store_close(w.store);
    open_store(&w, 8 << 20, 0); // the owner allows more
    expect(&w, 1, 20);
    assert_int_equal(commit(&w, 2, 400, 4000, &error), LEAT_OK);
    expect(&w, 2, 400);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_write), cmocka_unit_test(test_failed_write_on_a_full_disk),
        cmocka_unit_test(test_full_disk),    cmocka_unit_test(test_short_write),
        cmocka_unit_test(test_map_grows),    cmocka_unit_test(test_map_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
