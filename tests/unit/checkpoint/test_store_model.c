// The store against a model of maps: random checkpoints, kills, compaction, going back; then damage.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

#include "firmware-agent/checkpoint/store.h"
#include "firmware-agent/platform/env_posix.h"
#include "operators/base/hash.h"

enum { KEYS = 300, RETAINED = 5, OPERATORS = 3, BIG = 9000 };

static uint64_t random_state = 42;

static uint64_t rnd(uint64_t below)
{
    random_state += 0x9e3779b97f4a7c15ULL;
    return leat_hash_mix(random_state) % below;
}

// ---- model: value seeds by key; 0: absent

typedef struct model {
    uint64_t id;
    uint64_t value[OPERATORS][KEYS];
} model;

static uint32_t group_of(unsigned op, unsigned key)
{
    return key % 40 == 0 ? LEAT_GROUP_OPERATOR : (op * 7 + key * 31) % LEAT_KEY_GROUPS;
}

static size_t value_size(uint64_t seed) { return seed % 50 == 0 ? seed % BIG : seed % 120; }

static size_t value_of(uint64_t seed, char *out)
{
    size_t size = value_size(seed);
    for (size_t i = 0; i < size; i++)
        out[i] = (char)leat_hash_mix(seed + i);
    return size;
}

static size_t key_of(unsigned key, char out[32]) { return (size_t)snprintf(out, 32, "key-%u", key); }

typedef struct world {
    char directory[64];
    leat_store *store;
    leat_change_set set;
    model now, kept[RETAINED]; // kept: newest first
    unsigned kept_count;
    uint32_t numbers[OPERATORS];
    unsigned retained;
    uint64_t commits, compactions;
} world;

static leat_env *env(void) { return leat_env_posix(0); }

static void open_store(world *w, leat_store_opened *opened)
{
    leat_error error = {0};
    leat_store_options options = {.directory = w->directory,
                                  .agent = "test",
                                  .retained = RETAINED,
                                  .map_bytes = 64 << 20,
                                  .log_min_bytes = 60 << 10};
    if (leat_store_open(env(), &options, &w->store, opened, &error) != LEAT_OK)
        fail_msg("open: %s", error.message);
    for (unsigned op = 0; op < OPERATORS; op++) {
        w->numbers[op] = leat_store_operator(w->store, 1000 + op);
        assert_true(w->numbers[op] != 0);
    }
}

static void change_some(world *w)
{
    unsigned changes = (unsigned)rnd(rnd(10) ? 20 : 400);
    for (unsigned i = 0; i < changes; i++) {
        unsigned op = (unsigned)rnd(OPERATORS), key = (unsigned)rnd(KEYS);
        w->now.value[op][key] = rnd(5) ? rnd(1u << 30) + 1 : 0;
    }
}

static void put_key(world *w, unsigned op, unsigned key)
{
    static char value[BIG];
    char name[32];
    leat_slice k = leat_slice_of(name, key_of(key, name));
    uint64_t seed = w->now.value[op][key];
    leat_change_set_operator(&w->set, w->numbers[op]);
    if (seed)
        leat_change_set_put(&w->set, (uint8_t)(key % LEAT_STATE_TABLES), group_of(op, key), k,
                            leat_slice_of(value, value_of(seed, value)));
    else
        leat_change_set_remove(&w->set, (uint8_t)(key % LEAT_STATE_TABLES), group_of(op, key), k);
}

static void pack(world *w, const bool *whole)
{
    leat_change_set_reset(&w->set);
    for (unsigned op = 0; op < OPERATORS; op++)
        for (unsigned key = 0; key < KEYS; key++) {
            bool changed = w->kept_count == 0 || w->kept[0].value[op][key] != w->now.value[op][key];
            bool image = whole[group_of(op, key)] && w->now.value[op][key];
            if (changed || image)
                put_key(w, op, key);
            if (image && rnd(4) == 0)
                put_key(w, op, key); // twice: as after a commit that failed
        }
}

static void checkpoint(world *w)
{
    bool whole[LEAT_STORE_GROUPS];
    leat_error error = {0};
    unsigned planned = leat_store_plan_next(w->store, whole);
    w->compactions += planned > 0;
    if (rnd(50) == 0) // the owner may add groups of its own
        whole[rnd(LEAT_STORE_GROUPS)] = true;
    pack(w, whole);
    char text[32];
    leat_store_named manifest[2] = {
        {leat_slice_text("journal"),
         leat_slice_of(text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)w->commits))},
        {leat_slice_text("empty"), leat_slice_of("", 0)}};
    leat_change_set *sets[1] = {&w->set};
    leat_store_checkpoint c = {.floor_ms = (int64_t)w->commits,
                               .manifest = manifest,
                               .manifest_count = 2,
                               .sets = sets,
                               .set_count = 1,
                               .whole = whole};
    leat_store_committed done;
    if (leat_store_commit(w->store, &c, &done, &error) != LEAT_OK)
        fail_msg("commit: %s", error.message);
    w->commits++;
    w->now.id = done.id;
    assert_true(done.page_bytes >= 4 * 4096);
    memmove(w->kept + 1, w->kept, (RETAINED - 1) * sizeof *w->kept);
    w->kept[0] = w->now;
    w->kept_count += w->kept_count < RETAINED;
}

// ---- comparing

typedef struct comparison {
    const model *expected;
    bool seen[OPERATORS][KEYS];
    unsigned manifest;
    bool wrong;
    char why[128];
} comparison;

static leat_code see_manifest(void *context, leat_slice name, leat_slice bytes, leat_error *error)
{
    comparison *c = context;
    (void)error;
    c->manifest += leat_slice_is(name, "journal") && bytes.size > 0;
    c->manifest += leat_slice_is(name, "empty") && bytes.size == 0;
    return LEAT_OK;
}

static leat_code see_entry(void *context, uint64_t uid, uint32_t number, uint8_t table, uint32_t group, leat_slice key,
                           leat_slice value, leat_error *error)
{
    static char bytes[BIG];
    comparison *c = context;
    (void)error, (void)number;
    char name[32] = {0};
    memcpy(name, key.data, key.size < 31 ? key.size : 31);
    unsigned op = (unsigned)(uid - 1000), index = (unsigned)strtoul(name + 4, NULL, 10);
    bool good = op < OPERATORS && index < KEYS && table == index % LEAT_STATE_TABLES && group == group_of(op, index) &&
                !c->seen[op][index];
    if (good) {
        uint64_t seed = c->expected->value[op][index];
        c->seen[op][index] = true;
        good = seed && value.size == value_size(seed) && value_of(seed, bytes) == value.size &&
               memcmp(bytes, value.data, value.size) == 0;
    }
    if (!good && !c->wrong) {
        c->wrong = true;
        snprintf(c->why, sizeof c->why, "operator %u key %s", op, name);
    }
    return LEAT_OK;
}

static bool complete(comparison *c)
{
    for (unsigned op = 0; op < OPERATORS; op++)
        for (unsigned key = 0; key < KEYS; key++)
            if ((c->expected->value[op][key] != 0) != c->seen[op][key] && !c->wrong) {
                c->wrong = true;
                snprintf(c->why, sizeof c->why, "operator %u key %u: seen %d", op, key, c->seen[op][key]);
            }
    return !c->wrong && c->manifest == 2;
}

static void expect(const model *expected, comparison *c)
{
    if (!complete(c))
        fail_msg("checkpoint %llu: %s, manifest %u", (unsigned long long)expected->id, c->why, c->manifest);
}

static void restore_and_expect(world *w, uint64_t id, unsigned index)
{
    comparison c = {.expected = &w->kept[index]};
    leat_store_visitor visitor = {&c, see_manifest, see_entry};
    leat_store_restored restored;
    leat_error error = {0};
    if (leat_store_restore(w->store, id, &visitor, &restored, &error) != LEAT_OK)
        fail_msg("restore: %s", error.message);
    assert_int_equal(restored.id, w->kept_count ? w->kept[index].id : 0);
    assert_int_equal(restored.damaged_count, 0);
    if (w->kept_count)
        expect(&w->kept[index], &c);
}

static void visit_all_retained(world *w)
{
    uint64_t ids[LEAT_STORE_RETAINED_MAX];
    assert_int_equal(leat_store_retained(w->store, ids), w->kept_count);
    for (unsigned i = 0; i < w->kept_count; i++) {
        comparison c = {.expected = &w->kept[i]};
        leat_store_visitor visitor = {&c, see_manifest, see_entry};
        leat_error error = {0};
        assert_int_equal(ids[i], w->kept[i].id);
        if (leat_store_visit(w->store, ids[i], &visitor, &error) != LEAT_OK)
            fail_msg("visit: %s", error.message);
        expect(&w->kept[i], &c);
    }
}

static void go_back(world *w)
{
    if (w->kept_count == 0)
        return;
    unsigned index = (unsigned)rnd(w->kept_count);
    restore_and_expect(w, w->kept[index].id, index);
    memmove(w->kept, w->kept + index, (w->kept_count - index) * sizeof *w->kept);
    w->kept_count -= index;
    w->now = w->kept[0];
    // What lies below may have been removed; the store says what it still has.
    uint64_t ids[LEAT_STORE_RETAINED_MAX];
    unsigned left = leat_store_retained(w->store, ids);
    assert_true(left >= 1);
    w->kept_count = left < w->kept_count ? left : w->kept_count;
    for (unsigned i = 0; i < w->kept_count; i++)
        assert_int_equal(ids[i], w->kept[i].id);
}

static void remove_tree(const char *directory)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    assert_int_equal(system(command), 0);
}

static void world_init(world *w, const char *name)
{
    memset(w, 0, sizeof *w);
    snprintf(w->directory, sizeof w->directory, "/tmp/leat-%s-%d", name, (int)getpid());
    remove_tree(w->directory);
    leat_change_set_init(&w->set, env(), 64 << 20);
}

static void world_fini(world *w)
{
    leat_change_set_fini(&w->set);
    remove_tree(w->directory);
}

static void test_histories(void **state)
{
    (void)state;
    static world w;
    world_init(&w, "model");
    leat_store_opened opened;
    open_store(&w, &opened);
    assert_true(opened.created && !opened.set_aside);
    for (unsigned step = 0; step < 2000; step++) {
        change_some(&w);
        checkpoint(&w);
        if (rnd(12) == 0)
            visit_all_retained(&w);
        if (rnd(20) == 0) {
            leat_store_close(w.store);
            open_store(&w, &opened);
            assert_false(opened.created || opened.set_aside);
            restore_and_expect(&w, LEAT_STORE_LATEST, 0);
        }
        if (rnd(40) == 0)
            go_back(&w);
    }
    leat_store_stats stats = leat_store_stats_get(w.store);
    printf("2000 checkpoints, %llu with a slice of compaction, file %llu KiB, log %llu KiB, base %llu KiB\n",
           (unsigned long long)w.compactions, (unsigned long long)stats.file_bytes / 1024,
           (unsigned long long)stats.log_bytes / 1024, (unsigned long long)stats.base_bytes / 1024);
    assert_true(w.compactions > 50);
    assert_true(stats.log_bytes < 4 << 20);
    leat_store_close(w.store);
    world_fini(&w);
}

// A child commits until it is killed; what it said it had committed must be there, exactly.
static void test_kills(void **state)
{
    (void)state;
    static world w;
    world_init(&w, "kill");
    for (unsigned round = 0; round < 60; round++) {
        int pipe_ends[2];
        assert_int_equal(pipe(pipe_ends), 0);
        uint64_t seed = 1000 + round;
        pid_t child = fork();
        if (child == 0) {
            leat_store_opened opened;
            open_store(&w, &opened);
            random_state = seed;
            for (;;) {
                change_some(&w);
                bool whole[LEAT_STORE_GROUPS];
                leat_store_plan_next(w.store, whole);
                checkpoint(&w);
                if (write(pipe_ends[1], &w.now, sizeof w.now) != sizeof w.now)
                    _exit(1);
            }
        }
        close(pipe_ends[1]);
        model last = w.now, got;
        unsigned wanted = 1 + (unsigned)rnd(8), count = 0;
        size_t filled = 0;
        while (count < wanted) {
            ssize_t size = read(pipe_ends[0], (char *)&got + filled, sizeof got - filled);
            assert_true(size > 0);
            filled += (size_t)size;
            if (filled == sizeof got) {
                last = got;
                filled = 0;
                count++;
            }
        }
        usleep((useconds_t)rnd(3000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        for (ssize_t size; (size = read(pipe_ends[0], (char *)&got + filled, sizeof got - filled)) > 0;) {
            filled += (size_t)size;
            if (filled == sizeof got) {
                last = got;
                filled = 0;
            }
        }
        close(pipe_ends[0]);
        leat_store_opened opened;
        open_store(&w, &opened);
        assert_false(opened.created);
        leat_store_stats stats = leat_store_stats_get(w.store);
        // One more than was told may be in; then its content cannot be compared.
        assert_true(stats.last_id == last.id || stats.last_id == last.id + 1);
        comparison c = {.expected = &last};
        leat_store_visitor visitor = {&c, see_manifest, see_entry};
        leat_store_restored restored;
        leat_error error = {0};
        assert_int_equal(leat_store_restore(w.store, last.id, &visitor, &restored, &error), LEAT_OK);
        assert_int_equal(restored.id, last.id);
        expect(&last, &c);
        leat_store_close(w.store);
        w.now = w.kept[0] = last;
        w.kept_count = 1;
        w.commits++;
    }
    world_fini(&w);
}

// ---- damage

static void copy_file(const char *from, const char *to)
{
    char command[512];
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

static void damage(const char *path, unsigned way)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    if (way == 0) { // a sector of noise
        fseek(file, (long)rnd((uint64_t)st.st_size / 512) * 512, SEEK_SET);
        for (unsigned i = 0; i < 512; i++)
            fputc((int)rnd(256), file);
    } else if (way == 1) { // bits
        for (unsigned i = 0; i < 1 + rnd(20); i++) {
            long at = (long)rnd((uint64_t)st.st_size);
            fseek(file, at, SEEK_SET);
            int c = fgetc(file);
            fseek(file, at, SEEK_SET);
            fputc(c ^ (1 << rnd(8)), file);
        }
    } else { // a page of zeros
        fseek(file, (long)rnd((uint64_t)st.st_size / 4096) * 4096, SEEK_SET);
        for (unsigned i = 0; i < 4096; i++)
            fputc(0, file);
    }
    fclose(file);
    if (way == 3)
        assert_int_equal(truncate(path, (off_t)rnd((uint64_t)st.st_size)), 0);
}

// Fewer where every instruction is emulated (./dev cross sets it).
static unsigned damage_rounds(void)
{
    const char *rounds = getenv("LEAT_TEST_ROUNDS");
    return rounds ? (unsigned)atoi(rounds) : 1500;
}

// What each checkpoint held, by its id.
enum { HISTORY = 150 };
static model history[HISTORY + 1];

static void make_history(world *w, unsigned count)
{
    for (unsigned step = 0; step < count; step++) {
        change_some(w);
        checkpoint(w);
        history[w->now.id] = w->now;
    }
}

static void expect_history(world *w, uint64_t id)
{
    assert_true(id <= HISTORY && history[id].id == id);
    comparison c = {.expected = &history[id]};
    leat_store_visitor visitor = {&c, see_manifest, see_entry};
    leat_error error = {0};
    if (leat_store_visit(w->store, id, &visitor, &error) != LEAT_OK)
        fail_msg("visit: %s", error.message);
    expect(&history[id], &c);
}

static void put_back(world *w, const char *path, const char *good)
{
    char clean[128];
    snprintf(clean, sizeof clean, "%s/state.mdb-clean", w->directory);
    copy_file(good, path);
    unlink(clean);
}

static void test_damage(void **state)
{
    (void)state;
    static world w;
    world_init(&w, "damage");
    leat_store_opened opened;
    open_store(&w, &opened);
    make_history(&w, HISTORY);
    leat_store_close(w.store);
    char path[128], good[128];
    snprintf(path, sizeof path, "%s/state.mdb", w.directory);
    snprintf(good, sizeof good, "%s/good", w.directory);
    copy_file(path, good);
    unsigned fine = 0, fell_back = 0, nothing = 0, aside = 0;
    for (unsigned round = 0; round < damage_rounds(); round++) {
        put_back(&w, path, good);
        damage(path, round % 4);
        open_store(&w, &opened);
        leat_store_restored restored;
        leat_error error = {0};
        comparison seen = {.expected = &w.kept[0]};
        // Which one it will be is not known before: verified by a dry run.
        leat_store_visitor nothing_seen = {&seen, NULL, NULL};
        if (leat_store_restore(w.store, LEAT_STORE_LATEST, &nothing_seen, &restored, &error) != LEAT_OK)
            fail_msg("round %u: restore: %s", round, error.message);
        aside += opened.set_aside;
        nothing += restored.id == 0;
        fine += restored.id == w.kept[0].id;
        fell_back += restored.id != 0 && restored.id != w.kept[0].id;
        if (restored.id == 0 && !opened.set_aside && restored.damaged_count == 0)
            fail_msg("round %u: lost without a word", round);
        if (restored.id)
            expect_history(&w, restored.id);
        leat_store_close(w.store);
    }
    printf("%u damaged files: %u whole, %u fell back, %u began with nothing, %u set aside\n", damage_rounds(), fine,
           fell_back, nothing, aside);
    assert_true(fine > damage_rounds() / 15);
    world_fini(&w);
}

// ---- damage within one value, the kind that only its CRC tells

typedef struct value_place {
    uint64_t key, checkpoint;
    long at; // in the file
    size_t size;
} value_place;

enum { PLACES = 4096 };

static size_t find_values(const char *path, const char *table, unsigned bits, value_place out_places[PLACES])
{
    MDB_env *lmdb;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_stat stat;
    size_t count = 0;
    assert_int_equal(mdb_env_create(&lmdb), 0);
    mdb_env_set_maxdbs(lmdb, 4);
    mdb_env_set_mapsize(lmdb, 64 << 20);
    assert_int_equal(mdb_env_open(lmdb, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0), 0);
    assert_int_equal(mdb_txn_begin(lmdb, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, 0, &dbi), 0);
    assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
    assert_int_equal(mdb_env_stat(lmdb, &stat), 0);
    for (; count < PLACES && mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0; count++) {
        uint64_t number = 0;
        for (unsigned i = 0; i < 8; i++)
            number = number << 8 | ((uint8_t *)key.mv_data)[i];
        // LMDB does not tell where its map lies; a page begins with its number.
        uintptr_t address = (uintptr_t)value.mv_data, page_size = stat.ms_psize;
        size_t page;
        memcpy(&page, (void *)(address / page_size * page_size), sizeof page);
        long at = (long)(page * page_size + address % page_size);
        out_places[count] = (value_place){number, number >> bits, at, value.mv_size};
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    mdb_env_close(lmdb);
    return count;
}

static void flip_in(const char *path, const value_place *place)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    long at = place->at + (long)rnd(place->size);
    fseek(file, at, SEEK_SET);
    int c = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(c ^ (1 << rnd(8)), file);
    fclose(file);
}

static leat_store_restored restore_damaged(world *w)
{
    leat_store_opened opened;
    leat_store_restored restored;
    leat_error error = {0};
    leat_store_visitor nothing_seen = {NULL, NULL, NULL};
    open_store(w, &opened);
    assert_false(opened.set_aside);
    if (leat_store_restore(w->store, LEAT_STORE_LATEST, &nothing_seen, &restored, &error) != LEAT_OK)
        fail_msg("restore: %s", error.message);
    return restored;
}

// Two generations that share nothing: whichever value is damaged, a checkpoint is left, and exactly so; one that stood
// on the damage is never used.
static void test_damaged_values(void **state)
{
    (void)state;
    static world w;
    static value_place log[PLACES], base[PLACES];
    leat_store_opened opened;
    char path[128], good[128];
    unsigned newest = 0, older = 0;
    world_init(&w, "values");
    open_store(&w, &opened);
    make_history(&w, HISTORY);
    assert_true(w.compactions > 0);
    leat_store_close(w.store);
    snprintf(path, sizeof path, "%s/state.mdb", w.directory);
    snprintf(good, sizeof good, "%s/good", w.directory);
    copy_file(path, good);
    size_t logs = find_values(path, "log", 24, log), bases = find_values(path, "base", 28, base);
    assert_true(logs > 20 && bases > 20);
    for (unsigned round = 0; round < damage_rounds() / 5; round++) {
        bool image = round % 2;
        const value_place *place = image ? &base[rnd(bases)] : &log[rnd(logs)];
        put_back(&w, path, good);
        flip_in(path, place);
        leat_store_restored restored = restore_damaged(&w);
        assert_true(restored.id > 0);
        assert_true(restored.damaged_count > 0 || restored.id == HISTORY);
        assert_true(restored.rebuilt == (restored.damaged_count > 0));
        newest += restored.id == HISTORY;
        older += restored.id < HISTORY;
        expect_history(&w, restored.id);
        leat_store_close(w.store);
    }
    printf("%u damaged values: %u without loss, %u with an older checkpoint\n", newest + older, newest, older);
    assert_true(newest > 0 && older > 0);
    world_fini(&w);
}

// Before the first cycle everything is in the log: it is good up to the damage, however many checkpoints that are behind it.
static void test_damaged_log(void **state)
{
    (void)state;
    static world w;
    static value_place log[PLACES];
    leat_store_opened opened;
    char path[128], good[128];
    world_init(&w, "log");
    open_store(&w, &opened);
    for (unsigned step = 1; step <= 100; step++) {
        w.now.value[0][step % KEYS] = step;
        checkpoint(&w);
        history[step] = w.now;
    }
    assert_int_equal(w.compactions, 0);
    leat_store_close(w.store);
    snprintf(path, sizeof path, "%s/state.mdb", w.directory);
    snprintf(good, sizeof good, "%s/good", w.directory);
    copy_file(path, good);
    size_t logs = find_values(path, "log", 24, log);
    assert_true(logs >= 100);
    for (unsigned round = 0; round < 40; round++) {
        const value_place *place = &log[round < 2 ? round * (logs - 1) : rnd(logs)];
        put_back(&w, path, good);
        flip_in(path, place);
        leat_store_restored restored = restore_damaged(&w);
        assert_int_equal(restored.id, place->checkpoint - 1);
        assert_true(restored.damaged_count > 0);
        assert_int_equal(restored.damaged_to, 100);
        if (restored.id)
            expect_history(&w, restored.id);
        leat_store_close(w.store);
    }
    world_fini(&w);
}

// ---- ledger, marks, operators

static void sum_rows(void *context, leat_slice source, leat_slice cause, uint64_t count, int64_t first_ms,
                     int64_t last_ms)
{
    (void)source, (void)cause;
    assert_true(first_ms <= last_ms);
    *(uint64_t *)context += count;
}

static void test_ledger_and_marks(void **state)
{
    (void)state;
    static world w;
    leat_store_opened opened;
    leat_error error = {0};
    world_init(&w, "ledger");
    open_store(&w, &opened);
    for (unsigned i = 0; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof name, "source/%u", i);
        leat_store_ledger_add(w.store, leat_slice_text(name), leat_slice_text("late"), 2, 1000 + i);
    }
    leat_store_set_finished(w.store, true);
    assert_int_equal(leat_store_flush(w.store, &error), LEAT_OK);
    leat_store_close(w.store);
    open_store(&w, &opened);
    uint64_t sum = 0;
    leat_store_ledger_visit(w.store, sum_rows, &sum);
    assert_int_equal(sum, 10000);
    assert_true(opened.finished);
    assert_string_equal(opened.agent, "test");
    // Forgotten and deployed again: starts empty.
    w.now.value[0][1] = 77;
    checkpoint(&w);
    leat_store_operator_forget(w.store, 1000);
    uint32_t again = leat_store_operator(w.store, 1000);
    assert_int_not_equal(again, w.numbers[0]);
    w.numbers[0] = again;
    checkpoint(&w);
    leat_store_close(w.store);
    open_store(&w, &opened);
    assert_int_equal(w.numbers[0], again);
    assert_int_equal(opened.floor_ms, 1);
    w.kept[0].value[0][1] = 0;
    restore_and_expect(&w, LEAT_STORE_LATEST, 0);
    leat_store_close(w.store);
    world_fini(&w);
}

// A full map: refused whole, the last checkpoint stays, and the same sets go in after the map has grown.
static void test_map_full(void **state)
{
    (void)state;
    static world w;
    leat_store_opened opened;
    leat_error error = {0};
    world_init(&w, "full");
    leat_store_options options = {.directory = w.directory, .agent = "test", .map_bytes = 512 << 10};
    assert_int_equal(leat_store_open(env(), &options, &w.store, &opened, &error), LEAT_OK);
    for (unsigned op = 0; op < OPERATORS; op++)
        w.numbers[op] = leat_store_operator(w.store, 1000 + op);
    w.now.value[0][1] = 5;
    checkpoint(&w);
    for (unsigned key = 0; key < KEYS; key++)
        for (unsigned op = 0; op < OPERATORS; op++)
            w.now.value[op][key] = 50ULL * (rnd(1 << 20) * 180 + 170) + 50; // large ones
    bool whole[LEAT_STORE_GROUPS] = {0};
    pack(&w, whole);
    leat_change_set *sets[1] = {&w.set};
    leat_store_named manifest[2] = {{leat_slice_text("journal"), leat_slice_text("1")},
                                    {leat_slice_text("empty"), leat_slice_of("", 0)}};
    leat_store_checkpoint c = {.manifest = manifest, .manifest_count = 2, .sets = sets, .set_count = 1};
    leat_store_committed done;
    assert_int_equal(leat_store_commit(w.store, &c, &done, &error), LEAT_E_LIMIT);
    restore_and_expect(&w, LEAT_STORE_LATEST, 0);
    assert_int_equal(leat_store_grow(w.store, 64 << 20, &error), LEAT_OK);
    assert_int_equal(leat_store_commit(w.store, &c, &done, &error), LEAT_OK);
    w.now.id = done.id;
    w.kept[0] = w.now;
    restore_and_expect(&w, LEAT_STORE_LATEST, 0);
    // A set that did not get all it was told is never written.
    leat_change_set small;
    leat_change_set_init(&small, env(), 100);
    leat_change_set_operator(&small, 1);
    for (unsigned i = 0; i < 20; i++)
        leat_change_set_put(&small, 0, 0, leat_slice_text("some key"), leat_slice_text("some value"));
    sets[0] = &small;
    assert_int_equal(leat_store_commit(w.store, &c, &done, &error), LEAT_E_MEMORY);
    leat_change_set_fini(&small);
    leat_store_close(w.store);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histories),   cmocka_unit_test(test_kills),
        cmocka_unit_test(test_damage),      cmocka_unit_test(test_damaged_values),
        cmocka_unit_test(test_damaged_log), cmocka_unit_test(test_ledger_and_marks),
        cmocka_unit_test(test_map_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
