// Several producers, a reader that follows, waiters and a trimmer, over real files and the writer's thread.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "firmware-agent/log/log.h"
#include "firmware-agent/platform/env_posix.h"

enum { PRODUCERS = 4, RECORDS = 4000, SEGMENT = 64 << 10 };

typedef struct message {
    uint32_t producer, number, filler[28];
} message;

static leat_log *the_log;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static uint64_t wakes;

static void on_moved(void *context, leat_log *log)
{
    (void)context, (void)log;
    pthread_mutex_lock(&lock);
    wakes++;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
}

static uint64_t wakes_now(void)
{
    pthread_mutex_lock(&lock);
    uint64_t now = wakes;
    pthread_mutex_unlock(&lock);
    return now;
}

static void wait_moved(uint64_t seen)
{
    pthread_mutex_lock(&lock);
    while (wakes == seen)
        pthread_cond_wait(&moved, &lock);
    pthread_mutex_unlock(&lock);
}

static void *produce(void *context)
{
    uint32_t producer = *(uint32_t *)context;
    uint64_t last = 0;
    for (uint32_t i = 0; i < RECORDS; i++) {
        message m = {.producer = producer, .number = i};
        memset(m.filler, (int)(producer * 31 + i), sizeof m.filler);
        leat_slice parts[2] = {{(char *)&m, 8}, {(char *)m.filler, sizeof m.filler}};
        uint64_t position, record_end, seen = wakes_now();
        leat_code code = leat_log_append(the_log, parts, 2, &position, &record_end);
        if (code != LEAT_OK) {
            LEAT_ASSERT(code == LEAT_AGAIN || code == LEAT_E_LIMIT); // held back: until the writer or the trimmer moved
            wait_moved(seen);
            i--;
            continue;
        }
        LEAT_ASSERT(position > last);
        last = position;
        if (i % 500 == 499) {
            LEAT_ASSERT(leat_log_wait_durable(the_log, record_end, -1) == LEAT_OK);
            LEAT_ASSERT(leat_log_durable_end(the_log) >= record_end);
        }
    }
    return NULL;
}

static void *consume(void *context)
{
    uint32_t next[PRODUCERS] = {0}, left = PRODUCERS * RECORDS;
    leat_log_reader *reader = context;
    leat_error error = {0};
    while (left > 0) {
        leat_slice record;
        uint64_t position, seen = wakes_now();
        leat_code code = leat_log_reader_next(reader, &record, &position, NULL, &error);
        if (code == LEAT_AGAIN) {
            wait_moved(seen);
            continue;
        }
        LEAT_ASSERT(code == LEAT_OK && record.size == sizeof(message));
        message m;
        memcpy(&m, record.data, sizeof m);
        LEAT_ASSERT(m.producer < PRODUCERS && m.number == next[m.producer]);
        next[m.producer]++;
        left--;
        if (left % 256 == 0)
            leat_log_trim(the_log, leat_log_reader_position(reader));
    }
    return NULL;
}

static void test_all_at_once(void **state)
{
    (void)state;
    char directory[64], command[96];
    leat_error error = {0};
    leat_log_writer *writer;
    leat_log_reader *reader;
    leat_log_opened opened;
    snprintf(directory, sizeof directory, "/tmp/leat-log-threads-%d", (int)getpid());
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    assert_int_equal(system(command), 0);
    leat_env *env = leat_env_posix(0);
    assert_int_equal(leat_log_writer_create(env, true, &writer, &error), LEAT_OK);
    leat_log_options options = {
        .directory = directory, .segment_bytes = SEGMENT, .pending_max = 16384, .max_bytes = 6 * SEGMENT, .sync_ms = 5};
    if (leat_log_open(writer, &options, &the_log, &opened, &error) != LEAT_OK)
        fail_msg("%s: %s", error.place, error.message);
    leat_log_subscribe(the_log, on_moved, NULL);
    assert_int_equal(leat_log_reader_open(the_log, LEAT_LOG_OLDEST, &reader, &error), LEAT_OK);
    pthread_t threads[PRODUCERS + 1];
    uint32_t numbers[PRODUCERS];
    pthread_create(&threads[PRODUCERS], NULL, consume, reader);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, produce, &numbers[i]);
    }
    for (unsigned i = 0; i <= PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    leat_log_stats stats = leat_log_stats_get(the_log);
    assert_int_equal(stats.records, PRODUCERS * RECORDS);
    assert_true(stats.segments_reused > 5);
    leat_log_subscribe(the_log, NULL, NULL);
    leat_log_reader_close(reader);
    // Without anybody asking: the deadline of the sync policy.
    leat_slice record = {"x", 1};
    uint64_t record_end;
    assert_int_equal(leat_log_append(the_log, &record, 1, NULL, &record_end), LEAT_OK);
    for (unsigned i = 0; i < 2000 && leat_log_durable_end(the_log) < record_end; i++)
        usleep(1000);
    assert_true(leat_log_durable_end(the_log) >= record_end);
    assert_int_equal(leat_log_close(the_log, &error), LEAT_OK);
    leat_log_writer_destroy(writer);
    assert_int_equal(leat_env_posix_memory(env), 0);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
