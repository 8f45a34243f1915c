// What a checkpoint writes to flash (target 11) and how long a restart takes (target 13): the store beside an LMDB table with
// one row per key, in the same run, 24-byte keys and 64-byte values.
//
// Usage: bench_checkpoint [DIRECTORY]. Bytes are those that the process handed to the kernel (wchar of /proc/self/io).
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lmdb.h>

#include "firmware-agent/checkpoint/store.h"
#include "firmware-agent/platform/env_posix.h"
#include "operators/base/hash.h"

enum { KEY = 24, VALUE = 64, RECORDS = 40 };

static uint64_t state = 1;

static uint64_t rnd(uint64_t below)
{
    state += 0x9e3779b97f4a7c15ULL;
    return leat_hash_mix(state) % below;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static uint64_t bytes_written(void)
{
    FILE *file = fopen("/proc/self/io", "r");
    char line[128];
    uint64_t bytes = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "wchar: %" SCNu64, &bytes) == 1)
            break;
    if (file)
        fclose(file);
    return bytes;
}

static void make_key(uint64_t number, char out[KEY])
{
    char text[KEY + 8];
    snprintf(text, sizeof text, "sensor/%017" PRIu64, number);
    memcpy(out, text, KEY);
}

static void make_value(char out[VALUE])
{
    for (unsigned i = 0; i < VALUE; i += 8) {
        uint64_t word = rnd(UINT64_MAX);
        memcpy(out + i, &word, 8);
    }
}

static void die(const char *what, const leat_error *error)
{
    fprintf(stderr, "%s: %s %s\n", what, error ? error->place : "", error ? error->message : "");
    exit(1);
}

static void clear(const char *directory)
{
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'; mkdir -p '%s'", directory, directory);
    if (system(command) != 0)
        die("cannot clear", NULL);
}

static void put(leat_change_set *set, uint64_t number)
{
    char key[KEY], value[VALUE];
    make_key(number, key);
    make_value(value);
    leat_change_set_put(set, 0, (uint32_t)(leat_hash(key, KEY) % LEAT_KEY_GROUPS), leat_slice_of(key, KEY),
                        leat_slice_of(value, VALUE));
}

static leat_store *open_store(const char *directory)
{
    leat_store *store;
    leat_error error;
    leat_store_options options = {.directory = directory, .agent = "bench"};
    if (leat_store_open(leat_env_posix(0), &options, &store, NULL, &error) != LEAT_OK)
        die("open", &error);
    return store;
}

static leat_store_committed commit(leat_store *store, leat_change_set *set, const bool *whole)
{
    leat_change_set *sets[1] = {set};
    char position[8] = {0};
    leat_store_named manifest = {{"journal", 7}, {position, 8}};
    leat_store_checkpoint c = {
        .manifest = &manifest, .manifest_count = 1, .sets = sets, .set_count = 1, .whole = whole};
    leat_store_committed done;
    leat_error error;
    if (leat_store_commit(store, &c, &done, &error) != LEAT_OK)
        die("commit", &error);
    return done;
}

// Fills a store with key_count keys, as images, so that what follows is the steady state.
static uint32_t fill(leat_store *store, leat_change_set *set, uint64_t key_count)
{
    bool whole[LEAT_STORE_GROUPS];
    memset(whole, true, sizeof whole);
    uint32_t number = leat_store_operator(store, 7);
    leat_change_set_reset(set);
    leat_change_set_operator(set, number);
    for (uint64_t i = 0; i < key_count; i++)
        put(set, i);
    commit(store, set, whole);
    return number;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Whole groups are written from the same random values: their content does not matter here, their size does.
static void put_groups(leat_change_set *set, const bool *whole, uint64_t key_count)
{
    char key[KEY];
    for (uint64_t i = 0; i < key_count; i++) {
        make_key(i, key);
        if (whole[leat_hash(key, KEY) % LEAT_KEY_GROUPS])
            put(set, i);
    }
}

typedef struct figures {
    double kib, own_kib, ms, ms_max;
} figures;

static figures store_run(const char *directory, uint64_t key_count, unsigned changed, unsigned checkpoints, bool plain)
{
    clear(directory);
    leat_store *store = open_store(directory);
    leat_change_set set;
    leat_change_set_init(&set, leat_env_posix(0), SIZE_MAX / 4);
    uint32_t number = fill(store, &set, key_count);
    uint64_t before = bytes_written(), own = 0;
    figures f = {0};
    double *times = calloc(checkpoints, sizeof *times);
    for (unsigned i = 0; i < checkpoints; i++) {
        bool whole[LEAT_STORE_GROUPS] = {0};
        leat_change_set_reset(&set);
        leat_change_set_operator(&set, number);
        for (unsigned k = 0; k < changed; k++)
            put(&set, rnd(key_count));
        if (!plain && leat_store_plan_next(store, whole) > 0)
            put_groups(&set, whole, key_count);
        leat_store_committed done = commit(store, &set, whole);
        own += done.page_bytes;
        times[i] = (double)done.duration_us / 1e3;
        f.ms_max = times[i] > f.ms_max ? times[i] : f.ms_max;
    }
    f.kib = (double)(bytes_written() - before) / 1024 / checkpoints;
    f.own_kib = (double)own / 1024 / checkpoints;
    qsort(times, checkpoints, sizeof *times, by_size);
    f.ms = times[checkpoints / 2];
    free(times);
    leat_change_set_fini(&set);
    leat_store_close(store);
    return f;
}

static void check(int result)
{
    if (result != MDB_SUCCESS)
        die(mdb_strerror(result), NULL);
}

static void rows_put(MDB_env *env, MDB_dbi *dbi, uint64_t from, uint64_t count, uint64_t key_count)
{
    MDB_txn *txn;
    check(mdb_txn_begin(env, NULL, 0, &txn));
    check(mdb_dbi_open(txn, "rows", MDB_CREATE, dbi));
    for (uint64_t i = 0; i < count; i++) {
        char key[KEY], value[VALUE];
        make_key(from == UINT64_MAX ? rnd(key_count) : from + i, key);
        make_value(value);
        MDB_val k = {KEY, key}, v = {VALUE, value};
        check(mdb_put(txn, *dbi, &k, &v, 0));
    }
    check(mdb_txn_commit(txn));
}

static figures rows_run(const char *directory, uint64_t key_count, unsigned changed)
{
    clear(directory);
    MDB_env *env;
    MDB_dbi dbi;
    check(mdb_env_create(&env));
    check(mdb_env_set_maxdbs(env, 2));
    check(mdb_env_set_mapsize(env, 1 << 30));
    check(mdb_env_open(env, directory, 0, 0640));
    for (uint64_t i = 0; i < key_count; i += 10000)
        rows_put(env, &dbi, i, 10000, key_count);
    uint64_t before = bytes_written();
    double begin = now_ms();
    for (unsigned i = 0; i < RECORDS; i++)
        rows_put(env, &dbi, UINT64_MAX, changed, key_count);
    figures f = {.kib = (double)(bytes_written() - before) / 1024 / RECORDS, .ms = (now_ms() - begin) / RECORDS};
    mdb_env_close(env);
    return f;
}

static leat_code count_entry(void *context, uint64_t uid, uint32_t number, uint8_t table, uint32_t group,
                             leat_slice key, leat_slice value, leat_error *error)
{
    (void)uid, (void)number, (void)table, (void)group, (void)error;
    *(uint64_t *)context += key.size + value.size;
    return LEAT_OK;
}

// Base and log of about the same size, then a restart: open, verify, visit all.
static void restart(const char *directory, uint64_t key_count, bool clean)
{
    clear(directory);
    leat_store *store = open_store(directory);
    leat_change_set set;
    leat_change_set_init(&set, leat_env_posix(0), SIZE_MAX / 4);
    uint32_t number = fill(store, &set, key_count);
    for (uint64_t written = 0; written < key_count; written += key_count / 50) {
        leat_change_set_reset(&set);
        leat_change_set_operator(&set, number);
        for (unsigned k = 0; k < key_count / 50; k++)
            put(&set, rnd(key_count));
        commit(store, &set, NULL);
    }
    leat_change_set_fini(&set);
    leat_store_close(store);
    char mark[600];
    snprintf(mark, sizeof mark, "%s/state.mdb-clean", directory);
    if (!clean)
        unlink(mark);
    double begin = now_ms();
    store = open_store(directory);
    double opened = now_ms();
    uint64_t bytes = 0;
    leat_store_visitor visitor = {&bytes, NULL, count_entry};
    leat_store_restored restored;
    leat_error error;
    if (leat_store_restore(store, LEAT_STORE_LATEST, &visitor, &restored, &error) != LEAT_OK ||
        restored.entries != key_count)
        die("restore", &error);
    printf("restart, %7" PRIu64 " keys, %-14s open %6.1f ms, restore %6.1f ms, together %6.1f ms\n", key_count,
           clean ? "closed before" : "killed before", opened - begin, now_ms() - opened, now_ms() - begin);
    leat_store_close(store);
}

static void compare(const char *directory, uint64_t key_count, unsigned changed, unsigned checkpoints)
{
    figures rows = rows_run(directory, key_count, changed);
    figures plain = store_run(directory, key_count, changed, RECORDS, true);
    figures compacted = store_run(directory, key_count, changed, checkpoints, false);
    double changed_kib = changed * (KEY + VALUE) / 1024.0, limit = 2.4 * changed_kib + 16;
    printf("%8" PRIu64 " keys, %5u changed (%.0f KiB): one row per key %.0f KiB; log %.0f KiB, %.2f ms; with "
           "compaction %.0f KiB (counted by the "
           "store %.0f), %.2f ms, at most %.1f ms; target %.0f KiB %s, of rows %.3f\n",
           key_count, changed, changed_kib, rows.kib, plain.kib, plain.ms, compacted.kib, compacted.own_kib,
           compacted.ms, compacted.ms_max, limit, compacted.kib <= limit ? "met" : "MISSED", compacted.kib / rows.kib);
}

int main(int argc, char **argv)
{
    char directory[512];
    snprintf(directory, sizeof directory, "%s/leat-bench-checkpoint-%d", argc > 1 ? argv[1] : "/tmp", (int)getpid());
    compare(directory, 10000, 1000, 600);
    compare(directory, 1000000, 1000, 2500);
    restart(directory, 10000, true);
    restart(directory, 100000, true);
    restart(directory, 100000, false);
    restart(directory, 1000000, false);
    clear(directory);
    rmdir(directory);
    return 0;
}
