// Appending, limits, full disks, failing disks, trimming and reuse: one step at a time, without threads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "firmware-agent/log/log.h"
#include "tests/unit/log/disk.h"

enum { SEGMENT = 8192, PAYLOAD = 1000 };

typedef struct fixture {
    disk *disk;
    leat_log_writer *writer;
    leat_log *log;
    leat_log_opened opened;
    leat_log_options options;
    unsigned states, moved;
    leat_log_state state;
} fixture;

static void on_state(void *context, leat_log *log, leat_log_state state, const leat_error *reason)
{
    fixture *f = context;
    (void)log;
    assert_true(state == LEAT_LOG_ROOM || (reason && reason->message[0]));
    f->states++;
    f->state = state;
}

static void on_moved(void *context, leat_log *log)
{
    (void)log;
    ((fixture *)context)->moved++;
}

static void open_log(fixture *f)
{
    leat_error error = {0};
    if (leat_log_open(f->writer, &f->options, &f->log, &f->opened, &error) != LEAT_OK)
        fail_msg("open: %s", error.message);
}

static fixture *begin(uint64_t max_segments, uint64_t capacity)
{
    leat_error error = {0};
    fixture *f = calloc(1, sizeof *f);
    f->disk = disk_create(1);
    f->disk->capacity = capacity;
    f->options = (leat_log_options){.directory = "log",
                                    .segment_bytes = SEGMENT,
                                    .max_bytes = max_segments * SEGMENT,
                                    .on_state = on_state,
                                    .context = f};
    assert_int_equal(leat_log_writer_create(disk_env(f->disk), false, &f->writer, &error), LEAT_OK);
    open_log(f);
    return f;
}

static void end(fixture *f)
{
    leat_error error = {0};
    assert_int_equal(leat_log_close(f->log, &error), LEAT_OK);
    leat_log_writer_destroy(f->writer);
    disk_destroy(f->disk);
    free(f);
}

static leat_code add(fixture *f, char mark, uint64_t *out_end)
{
    char bytes[PAYLOAD];
    memset(bytes, mark, sizeof bytes);
    leat_slice part = leat_slice_of(bytes, sizeof bytes);
    return leat_log_append(f->log, &part, 1, NULL, out_end);
}

static unsigned count_records(fixture *f)
{
    leat_log_reader *reader;
    leat_error error = {0};
    leat_slice record;
    unsigned count = 0;
    assert_int_equal(leat_log_reader_open(f->log, LEAT_LOG_OLDEST, &reader, &error), LEAT_OK);
    while (leat_log_reader_next(reader, &record, NULL, NULL, &error) == LEAT_OK)
        count++;
    leat_log_reader_close(reader);
    return count;
}

static void test_append_and_read(void **state)
{
    (void)state;
    fixture *f = begin(0, 0);
    uint64_t first_end = 0;
    leat_error error = {0};
    leat_log_reader *reader;
    leat_slice record;
    uint64_t position;
    leat_log_subscribe(f->log, on_moved, f);
    assert_int_equal(leat_log_reader_open(f->log, LEAT_LOG_OLDEST, &reader, &error), LEAT_OK);
    assert_int_equal(leat_log_reader_next(reader, &record, &position, NULL, &error), LEAT_AGAIN);
    assert_int_equal(add(f, 'a', &first_end), LEAT_OK);
    assert_int_equal(leat_log_reader_next(reader, &record, &position, NULL, &error), LEAT_AGAIN); // not written yet
    assert_int_equal(leat_log_writer_run(f->writer), INT64_MAX);
    assert_int_equal(f->moved, 1);
    assert_int_equal(leat_log_durable_end(f->log), 32);
    assert_int_equal(leat_log_written_end(f->log), first_end);
    assert_int_equal(leat_log_reader_next(reader, &record, &position, NULL, &error), LEAT_OK);
    assert_int_equal(record.size, PAYLOAD);
    assert_int_equal(position, 32);
    assert_int_equal(leat_log_reader_position(reader), first_end);
    assert_int_equal(leat_log_wait_durable(f->log, first_end, 0), LEAT_OK);
    assert_int_equal(leat_log_durable_end(f->log), first_end);
    leat_slice nothing = {"", 0};
    assert_int_equal(leat_log_append(f->log, &nothing, 1, NULL, NULL), LEAT_OK); // empty records are records
    leat_log_writer_run(f->writer);
    assert_int_equal(leat_log_reader_next(reader, &record, &position, NULL, &error), LEAT_OK);
    assert_int_equal(record.size, 0);
    static char large[SEGMENT];
    leat_slice too_large = {large, leat_log_record_max(f->log) + 1}, just = {large, leat_log_record_max(f->log)};
    assert_int_equal(leat_log_append(f->log, &too_large, 1, NULL, NULL), LEAT_E_LIMIT);
    assert_int_equal(leat_log_append(f->log, &just, 1, NULL, NULL), LEAT_OK);
    leat_log_writer_run(f->writer);
    assert_int_equal(leat_log_reader_next(reader, &record, &position, NULL, &error), LEAT_OK);
    assert_int_equal(record.size, just.size);
    leat_log_reader_close(reader);
    end(f);
}

static void test_sync_deadline(void **state)
{
    (void)state;
    fixture *f = begin(0, 0);
    leat_error error = {0};
    assert_int_equal(leat_log_close(f->log, &error), LEAT_OK);
    f->options.sync_ms = 100;
    open_log(f);
    f->disk->now_ms = 5000;
    uint64_t record_end;
    assert_int_equal(add(f, 'a', &record_end), LEAT_OK);
    assert_int_equal(leat_log_writer_run(f->writer), 5100);
    f->disk->now_ms = 5099;
    assert_int_equal(leat_log_writer_run(f->writer), 5100);
    assert_true(leat_log_durable_end(f->log) < record_end);
    f->disk->now_ms = 5100;
    assert_int_equal(leat_log_writer_run(f->writer), INT64_MAX);
    assert_int_equal(leat_log_durable_end(f->log), record_end);
    assert_int_equal(leat_log_stats_get(f->log).page_bytes, 4096);
    end(f);
}

static void test_disk_full(void **state)
{
    (void)state;
    fixture *f = begin(0, 3 * SEGMENT);
    unsigned taken = 0;
    leat_code code;
    while ((code = add(f, 'x', NULL)) == LEAT_OK || code == LEAT_AGAIN) {
        taken += code == LEAT_OK;
        leat_log_writer_run(f->writer);
        assert_true(taken < 100);
    }
    assert_int_equal(code, LEAT_E_NO_SPACE);
    assert_int_equal(f->state, LEAT_LOG_FULL_DISK);
    assert_int_equal(leat_log_room(f->log) >= PAYLOAD, false);
    // All that was taken is written and synced on the full disk.
    assert_int_equal(leat_log_wait_durable(f->log, UINT64_MAX, 0), LEAT_OK);
    assert_int_equal(count_records(f), taken);
    assert_int_equal(taken, 24); // eight to a segment
    // Room comes back; it is found by itself, not before the time.
    f->disk->capacity = 10 * SEGMENT;
    f->disk->now_ms += LEAT_LOG_RETRY_MS - 1;
    leat_log_writer_run(f->writer);
    assert_int_equal(f->state, LEAT_LOG_FULL_DISK);
    f->disk->now_ms += 1;
    leat_log_writer_run(f->writer);
    assert_int_equal(f->state, LEAT_LOG_ROOM);
    assert_int_equal(add(f, 'y', NULL), LEAT_OK);
    end(f);
}

static void test_disk_full_at_open(void **state)
{
    (void)state;
    fixture *f = begin(0, 10);
    assert_int_equal(f->state, LEAT_LOG_FULL_DISK);
    assert_int_equal(add(f, 'a', NULL), LEAT_E_NO_SPACE);
    end(f);
}

static void test_limit_and_reuse(void **state)
{
    (void)state;
    fixture *f = begin(4, 0);
    uint64_t record_end = 0;
    unsigned total = 0;
    for (unsigned round = 0; round < 20; round++) {
        leat_code code;
        while ((code = add(f, 'x', &record_end)) == LEAT_OK) {
            total++;
            leat_log_writer_run(f->writer);
        }
        assert_int_equal(code, LEAT_E_LIMIT);
        assert_int_equal(f->state, LEAT_LOG_FULL_LIMIT);
        leat_log_trim(f->log, record_end); // all but the segment in use
        leat_log_writer_run(f->writer);
        assert_int_equal(f->state, LEAT_LOG_ROOM);
    }
    leat_log_stats stats = leat_log_stats_get(f->log);
    assert_true(stats.segments_reused > 15);
    assert_true(total > 300);
    leat_error error = {0};
    unsigned kept = count_records(f);
    assert_int_equal(leat_log_close(f->log, &error), LEAT_OK);
    open_log(f);
    assert_int_equal(f->opened.gap_count, 0);
    assert_int_equal(count_records(f), kept);
    end(f);
}

static void test_reader_overtaken_by_trim(void **state)
{
    (void)state;
    fixture *f = begin(0, 0);
    leat_error error = {0};
    leat_log_reader *reader;
    leat_slice record;
    uint64_t record_end = 0;
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(add(f, 'x', &record_end), LEAT_OK);
        leat_log_writer_run(f->writer);
    }
    assert_int_equal(leat_log_reader_open(f->log, LEAT_LOG_OLDEST, &reader, &error), LEAT_OK);
    assert_int_equal(leat_log_reader_next(reader, &record, NULL, NULL, &error), LEAT_OK);
    leat_log_trim(f->log, record_end);
    leat_log_writer_run(f->writer);
    leat_code code = leat_log_reader_next(reader, &record, NULL, NULL, &error);
    assert_int_equal(code, LEAT_E_NOT_FOUND);
    assert_int_equal(leat_log_reader_seek(reader, 40, &error), LEAT_E_NOT_FOUND);
    assert_int_equal(leat_log_reader_seek(reader, LEAT_LOG_OLDEST, &error), LEAT_OK);
    assert_int_equal(leat_log_reader_next(reader, &record, NULL, NULL, &error), LEAT_OK);
    leat_log_reader_close(reader);
    end(f);
}

// Whichever call fails: poisoned for good, said once, nothing tried again.
static void poison(leat_code sync_code, leat_code write_code)
{
    fixture *f = begin(0, 0);
    leat_error error = {0};
    assert_int_equal(add(f, 'a', NULL), LEAT_OK);
    f->disk->sync_code = sync_code;
    f->disk->write_code = write_code;
    assert_int_equal(leat_log_wait_durable(f->log, UINT64_MAX, 0), LEAT_E_IO);
    assert_int_equal(f->state, LEAT_LOG_POISONED);
    f->disk->sync_code = f->disk->write_code = LEAT_OK;
    uint64_t calls = f->disk->calls;
    leat_log_writer_run(f->writer);
    assert_int_equal(calls, f->disk->calls);
    assert_int_equal(f->states, 1);
    assert_int_equal(add(f, 'b', NULL), LEAT_E_IO);
    assert_int_equal(leat_log_room(f->log), 0);
    assert_int_equal(leat_log_close(f->log, &error), LEAT_E_IO);
    leat_log_writer_destroy(f->writer);
    disk_destroy(f->disk);
    free(f);
}

static void test_poison(void **state)
{
    (void)state;
    poison(LEAT_E_IO, LEAT_OK);
    poison(LEAT_E_NO_SPACE, LEAT_OK); // a sync that fails for whatever reason
    poison(LEAT_OK, LEAT_E_IO);
}

// A file system that cannot reserve: the write meets the full disk, and is tried again.
static void test_no_space_at_write(void **state)
{
    (void)state;
    fixture *f = begin(0, 0);
    assert_int_equal(add(f, 'a', NULL), LEAT_OK);
    f->disk->write_code = LEAT_E_NO_SPACE;
    leat_log_writer_run(f->writer);
    assert_int_equal(f->state, LEAT_LOG_FULL_DISK);
    f->disk->write_code = LEAT_OK;
    f->disk->now_ms += LEAT_LOG_RETRY_MS;
    leat_log_writer_run(f->writer);
    assert_int_equal(f->state, LEAT_LOG_ROOM);
    assert_int_equal(count_records(f), 1);
    end(f);
}

static void test_position_min(void **state)
{
    (void)state;
    fixture *f = begin(0, 0);
    leat_error error = {0};
    assert_int_equal(add(f, 'a', NULL), LEAT_OK);
    assert_int_equal(leat_log_close(f->log, &error), LEAT_OK);
    f->options.position_min = 5 * SEGMENT + 800;
    f->options.generation_min = 40;
    open_log(f);
    assert_int_equal(f->opened.end, f->options.position_min);
    assert_int_equal(f->opened.generation, 40);
    assert_int_equal(f->opened.gap_count, 1);
    assert_int_equal(f->opened.gaps[0].to, f->options.position_min);
    assert_int_equal(add(f, 'b', NULL), LEAT_OK);
    leat_log_writer_run(f->writer);
    assert_int_equal(count_records(f), 2);
    assert_int_equal(leat_log_close(f->log, &error), LEAT_OK);
    open_log(f);
    assert_int_equal(f->opened.generation, 41);
    assert_int_equal(count_records(f), 2);
    end(f);
}

static void test_strangers_are_left_alone(void **state)
{
    (void)state;
    fixture *f = begin(0, 0);
    leat_error error = {0};
    static const char *const names[] = {"log/notes.txt", "log/000000000000200g.log", "log/0000000000000010.log",
                                        "log/00.log"};
    assert_int_equal(leat_log_close(f->log, &error), LEAT_OK);
    for (size_t i = 0; i < 4; i++) {
        leat_file *file;
        assert_int_equal(disk_env(f->disk)->ops->open(disk_env(f->disk), names[i], LEAT_OPEN_WRITE, &file, &error),
                         LEAT_OK);
        disk_env(f->disk)->ops->close(disk_env(f->disk), file);
    }
    open_log(f);
    for (size_t i = 0; i < 4; i++)
        assert_non_null(disk_file(f->disk, names[i]));
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_read), cmocka_unit_test(test_sync_deadline),
        cmocka_unit_test(test_disk_full),       cmocka_unit_test(test_disk_full_at_open),
        cmocka_unit_test(test_limit_and_reuse), cmocka_unit_test(test_reader_overtaken_by_trim),
        cmocka_unit_test(test_poison),          cmocka_unit_test(test_no_space_at_write),
        cmocka_unit_test(test_position_min),    cmocka_unit_test(test_strangers_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
