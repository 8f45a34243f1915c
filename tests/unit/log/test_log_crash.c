// A log against a model, on a disk that loses its power between and within calls: what was synced is there, nothing is
// served that is not in the model, nothing that was cut back comes again.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "firmware-agent/log/log.h"
#include "tests/unit/log/disk.h"

enum { SEGMENT = 8192, ENTRIES = 20000, RECORD = 3000 };

typedef struct entry {
    uint64_t position, end, seed;
    uint32_t size;
} entry;

typedef struct world {
    disk *disk;
    leat_log_writer *writer;
    leat_log *log;
    leat_log_opened opened;
    entry *entries;
    size_t count;
    uint64_t seed, must_end, trimmed; // entries up to must_end must be there, from trimmed on
    uint64_t cut;                     // a cut that may not have finished; 0: none
    uint64_t served, gaps, lives, cuts;
} world;

static void fill(uint8_t *bytes, const entry *e)
{
    for (uint32_t i = 0; i < e->size; i++)
        bytes[i] = (uint8_t)(leat_hash_mix(e->seed + i / 8) >> (8 * (i % 8)));
}

static bool equals(leat_slice record, const entry *e)
{
    uint8_t bytes[RECORD];
    fill(bytes, e);
    return record.size == e->size && memcmp(record.data, bytes, e->size) == 0;
}

static const leat_log_options options = {
    .directory = "log", .segment_bytes = SEGMENT, .pending_max = 12000, .max_bytes = 20 * SEGMENT, .scan_from = 0};

static void add(world *w)
{
    entry e = {.seed = disk_random(w->disk)};
    uint64_t most = disk_random(w->disk) % 8 ? 200 : RECORD;
    e.size = (uint32_t)(disk_random(w->disk) % most);
    uint8_t bytes[RECORD];
    fill(bytes, &e);
    size_t half = e.size / 2;
    leat_slice parts[2] = {leat_slice_of((char *)bytes, half), leat_slice_of((char *)bytes + half, e.size - half)};
    uint64_t room = leat_log_room(w->log);
    leat_code code = leat_log_append(w->log, parts, 2, &e.position, &e.end);
    assert_true(code == LEAT_OK || room < e.size || room == 0);
    if (code == LEAT_OK) {
        assert_true(w->count < ENTRIES);
        w->entries[w->count++] = e;
    }
}

static const entry *known(const world *w, uint64_t position)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (w->entries[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < w->count && w->entries[low].position == position ? &w->entries[low] : NULL;
}

// Reads all; what is served becomes the model.
static void verify(world *w)
{
    leat_log_reader *reader = NULL;
    leat_error error = {0};
    assert_int_equal(leat_log_reader_open(w->log, LEAT_LOG_OLDEST, &reader, &error), LEAT_OK);
    size_t kept = 0, next_must = 0;
    for (;;) {
        leat_slice record;
        uint64_t position;
        leat_log_gap gap;
        leat_code code = leat_log_reader_next(reader, &record, &position, &gap, &error);
        if (code == LEAT_AGAIN)
            break;
        if (code == LEAT_E_CORRUPT) {
            w->gaps++;
            continue;
        }
        if (code != LEAT_OK)
            fail_msg("reader: %s", error.message);
        const entry *e = known(w, position);
        // A trimmed segment may come back when the power is cut before the directory is synced: nobody reads there.
        if (!e && position < w->trimmed)
            continue;
        if (!e || !equals(record, e))
            fail_msg("seed %llu: a record at %llu that was never there", (unsigned long long)w->seed,
                     (unsigned long long)position);
        assert_int_equal(leat_log_reader_position(reader), e->end);
        for (; next_must < w->count && &w->entries[next_must] != e; next_must++)
            if (w->entries[next_must].position >= w->trimmed && w->entries[next_must].end <= w->must_end)
                fail_msg("seed %llu: the synced record at %llu is lost", (unsigned long long)w->seed,
                         (unsigned long long)w->entries[next_must].position);
        next_must++;
        w->entries[kept++] = *e;
        w->served++;
    }
    for (; next_must < w->count; next_must++)
        if (w->entries[next_must].position >= w->trimmed && w->entries[next_must].end <= w->must_end)
            fail_msg("seed %llu life %llu: the synced record at %llu is lost", (unsigned long long)w->seed,
                     (unsigned long long)w->lives, (unsigned long long)w->entries[next_must].position);
    w->count = kept;
    leat_log_reader_close(reader);
}

static bool open_log(world *w)
{
    leat_error error = {0};
    leat_code code = leat_log_open(w->writer, &options, &w->log, &w->opened, &error);
    if (code != LEAT_OK)
        assert_true(w->disk->stopped);
    return code == LEAT_OK;
}

static void cut_back(world *w)
{
    leat_error error = {0};
    if (!w->cut && (w->count == 0 || disk_random(w->disk) % 4))
        return;
    if (!w->cut)
        w->cut = w->entries[disk_random(w->disk) % w->count].end;
    leat_code code = leat_log_truncate(w->log, w->cut, &error);
    if (w->must_end > w->cut)
        w->must_end = w->cut;
    if (code != LEAT_OK && w->disk->stopped)
        return;
    if (code != LEAT_OK && code != LEAT_E_NOT_FOUND)
        fail_msg("truncate: %s", error.message);
    while (w->count && w->entries[w->count - 1].end > w->cut)
        w->count--;
    w->cut = 0;
    w->cuts++;
}

static void live(world *w)
{
    for (unsigned steps = (unsigned)(disk_random(w->disk) % 120); steps > 0 && !w->disk->stopped; steps--) {
        switch (disk_random(w->disk) % 12) {
        default:
            add(w);
            break;
        case 0:
        case 1:
            leat_log_writer_run(w->writer);
            break;
        case 2:
            leat_log_request_sync(w->log, UINT64_MAX);
            leat_log_writer_run(w->writer);
            break;
        case 3:
            if (w->count && disk_random(w->disk) % 3 == 0) {
                uint64_t to = w->entries[disk_random(w->disk) % w->count].position;
                leat_log_trim(w->log, to);
                w->trimmed = to > w->trimmed ? to : w->trimmed;
            }
            break;
        }
    }
}

static void die(world *w)
{
    leat_error error = {0};
    uint64_t written = leat_log_written_end(w->log), durable = leat_log_durable_end(w->log);
    unsigned way = (unsigned)(disk_random(w->disk) % 3);
    if (way == 0 && !w->disk->stopped) {
        leat_code code = leat_log_close(w->log, &error);
        w->must_end = code == LEAT_OK ? UINT64_MAX : durable;
        disk_kill(w->disk);
        return;
    }
    leat_log_abandon(w->log);
    w->must_end = way == 1 ? written : durable;
    if (way == 1)
        disk_kill(w->disk);
    else
        disk_power_cut(w->disk);
}

static void run_world(uint64_t seed, world *w)
{
    leat_error error = {0};
    w->disk = disk_create(seed);
    w->seed = seed;
    w->count = 0;
    w->must_end = w->trimmed = w->cut = 0;
    assert_int_equal(leat_log_writer_create(disk_env(w->disk), false, &w->writer, &error), LEAT_OK);
    for (unsigned life = 0; life < 8; life++) {
        w->lives++;
        if (disk_random(w->disk) % 2)
            disk_stop_after(w->disk, 1 + disk_random(w->disk) % 60);
        w->log = NULL;
        if (!open_log(w)) {
            disk_kill(w->disk);
            continue;
        }
        if (w->disk->stopped) {
            leat_log_abandon(w->log);
            disk_kill(w->disk);
            continue;
        }
        uint64_t stop_at = w->disk->stop_at;
        w->disk->stop_at = 0;
        verify(w);
        w->disk->stop_at = stop_at ? w->disk->calls + 1 + disk_random(w->disk) % 30 : 0;
        cut_back(w);
        live(w);
        die(w);
        if (w->cut && w->must_end > w->cut)
            w->must_end = w->cut;
    }
    leat_log_writer_destroy(w->writer);
    disk_destroy(w->disk);
}

static void test_random_histories(void **state)
{
    (void)state;
    world w = {.entries = calloc(ENTRIES, sizeof(entry))};
    for (uint64_t seed = 1; seed <= 3000; seed++)
        run_world(seed, &w);
    printf("%llu lives, %llu records served, %llu gaps, %llu cuts\n", (unsigned long long)w.lives,
           (unsigned long long)w.served, (unsigned long long)w.gaps, (unsigned long long)w.cuts);
    assert_true(w.served > 10000 && w.cuts > 100);
    free(w.entries);
}

// ---- one log, damaged in every way

static void build(world *w, uint64_t seed, unsigned records)
{
    leat_error error = {0};
    *w = (world){.disk = disk_create(seed), .seed = seed, .entries = calloc(ENTRIES, sizeof(entry))};
    assert_int_equal(leat_log_writer_create(disk_env(w->disk), false, &w->writer, &error), LEAT_OK);
    assert_true(open_log(w));
    while (w->count < records) {
        add(w);
        leat_log_writer_run(w->writer);
    }
    assert_int_equal(leat_log_close(w->log, &error), LEAT_OK);
    leat_log_writer_destroy(w->writer);
    w->must_end = UINT64_MAX;
}

static void unbuild(world *w)
{
    disk_destroy(w->disk);
    free(w->entries);
}

// A copy of the world that is opened on a damaged copy of the disk.
static void reopen(world *copy, const world *w)
{
    leat_error error = {0};
    *copy = *w;
    copy->disk = disk_clone(w->disk);
    copy->entries = calloc(ENTRIES, sizeof(entry));
    memcpy(copy->entries, w->entries, w->count * sizeof(entry));
    assert_int_equal(leat_log_writer_create(disk_env(copy->disk), false, &copy->writer, &error), LEAT_OK);
}

static void leave(world *copy)
{
    leat_log_abandon(copy->log);
    leat_log_writer_destroy(copy->writer);
    unbuild(copy);
}

static void test_torn_at_every_byte(void **state)
{
    (void)state;
    world w;
    build(&w, 7, 60);
    entry last = w.entries[w.count - 1];
    char path[DISK_NAME];
    snprintf(path, sizeof path, "log/%016llx.log", (unsigned long long)(last.position / SEGMENT * SEGMENT));
    for (uint64_t at = last.position; at < last.end; at++) {
        world copy;
        reopen(&copy, &w);
        disk_bytes *file = disk_file(copy.disk, path);
        for (uint64_t byte = at; byte < last.end; byte++)
            file->bytes[byte % SEGMENT] ^= 0x5a; // also where the record ends in padding
        copy.must_end = last.position;
        assert_true(open_log(&copy));
        verify(&copy);
        assert_int_equal(copy.opened.gap_count, 0);
        assert_int_equal(copy.count, at + 7 >= last.end && copy.count == w.count ? w.count : w.count - 1);
        size_t before = copy.count;
        add(&copy);
        assert_int_equal(copy.count, before + 1);
        assert_int_equal(leat_log_wait_durable(copy.log, UINT64_MAX, 0), LEAT_OK);
        verify(&copy);
        assert_int_equal(copy.count, before + 1);
        leave(&copy);
    }
    unbuild(&w);
}

static bool in_gap(const world *w, const leat_log_gap *more, size_t more_count, uint64_t position)
{
    for (unsigned i = 0; i < w->opened.gap_count; i++)
        if (position >= w->opened.gaps[i].from && position < w->opened.gaps[i].to)
            return true;
    for (size_t i = 0; i < more_count; i++)
        if (position >= more[i].from && position < more[i].to)
            return true;
    return false;
}

// Every record is served as it was, or lies in a reported range, or at the torn end.
static void verify_damaged(world *w, uint64_t *missing, uint64_t *torn)
{
    leat_log_reader *reader = NULL;
    leat_error error = {0};
    leat_log_gap found[64];
    size_t found_count = 0, next = 0;
    assert_int_equal(leat_log_reader_open(w->log, LEAT_LOG_OLDEST, &reader, &error), LEAT_OK);
    bool *served = calloc(w->count, sizeof *served);
    for (;;) {
        leat_slice record;
        uint64_t position;
        assert_true(found_count < 64);
        leat_code code = leat_log_reader_next(reader, &record, &position, &found[found_count], &error);
        if (code == LEAT_AGAIN)
            break;
        if (code == LEAT_E_CORRUPT) {
            found_count++;
            continue;
        }
        assert_int_equal(code, LEAT_OK);
        const entry *e = known(w, position);
        assert_non_null(e);
        assert_true(equals(record, e));
        assert_true((size_t)(e - w->entries) >= next);
        next = (size_t)(e - w->entries) + 1;
        served[next - 1] = true;
    }
    for (size_t i = 0; i < w->count; i++) {
        if (served[i])
            continue;
        bool gap = in_gap(w, found, found_count, w->entries[i].position),
             tail =
                 w->entries[i].position >= w->opened.end || (i >= next && w->entries[i].position >= w->opened.oldest);
        if (!gap && !tail && w->entries[i].position >= w->opened.oldest)
            fail_msg("record %zu vanished without a word", i);
        *missing += gap;
        *torn += !gap;
    }
    free(served);
    leat_log_reader_close(reader);
}

static void flip_round(const world *w, uint64_t scan_from, unsigned flips, uint64_t *missing, uint64_t *torn)
{
    world copy;
    leat_error error = {0};
    leat_log_options damaged = options;
    damaged.scan_from = scan_from;
    reopen(&copy, w);
    for (unsigned i = 0; i < flips; i++) {
        disk_name *name;
        do
            name = &copy.disk->now[disk_random(w->disk) % DISK_FILES];
        while (name->inode < 0 || copy.disk->inodes[name->inode].now.size == 0);
        disk_bytes *file = &copy.disk->inodes[name->inode].now;
        uint64_t bit = disk_random(w->disk) % (file->size * 8);
        file->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    copy.log = NULL;
    assert_int_equal(leat_log_open(copy.writer, &damaged, &copy.log, &copy.opened, &error), LEAT_OK);
    verify_damaged(&copy, missing, torn);
    leave(&copy);
}

static void test_bit_flips(void **state)
{
    (void)state;
    world w;
    uint64_t missing = 0, torn = 0;
    build(&w, 11, 120);
    for (unsigned i = 0; i < 10000; i++)
        flip_round(&w, i % 2 ? 0 : LEAT_LOG_SCAN_LAST, 1 + i % 3, &missing, &torn);
    printf("10000 damaged logs: %llu records quarantined, %llu cut as torn\n", (unsigned long long)missing,
           (unsigned long long)torn);
    assert_true(missing > 1000);
    unbuild(&w);
}

static void test_missing_segment(void **state)
{
    (void)state;
    world w;
    build(&w, 13, 200);
    for (unsigned i = 1; i < 4; i++) {
        world copy;
        uint64_t missing = 0, torn = 0;
        char path[DISK_NAME];
        leat_error error = {0};
        reopen(&copy, &w);
        snprintf(path, sizeof path, "log/%016x.log", i * SEGMENT);
        assert_int_equal(copy.disk->env.ops->unlink(&copy.disk->env, path, &error), LEAT_OK);
        assert_true(open_log(&copy));
        assert_int_equal(copy.opened.gap_count, 1);
        verify_damaged(&copy, &missing, &torn);
        assert_true(missing > 0);
        assert_int_equal(torn, 0);
        leave(&copy);
    }
    unbuild(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_histories),
        cmocka_unit_test(test_torn_at_every_byte),
        cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_missing_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
