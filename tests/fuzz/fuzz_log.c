// Arbitrary bytes as the files of a log: opening, reading, appending and opening again never crash, and what was appended is there.
//
// Input: the first byte says how many segments the rest is cut into (1..4) and whether the first segment's header is put right.
#include <stdio.h>

#include "firmware-agent/log/log.h"
#include "tests/unit/log/disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { SEGMENT = 8192 };

static void put_file(disk *d, uint64_t first, const uint8_t *bytes, size_t size, bool header)
{
    char path[64] = "log/";
    leat_error error;
    leat_file *file = NULL;
    uint8_t right[LEAT_SEGMENT_HEADER];
    leat_segment_name(first, path + 4);
    LEAT_ASSERT(d->env.ops->open(&d->env, path, LEAT_OPEN_WRITE, &file, &error) == LEAT_OK);
    LEAT_ASSERT(d->env.ops->pwrite(file, bytes, size, 0, &error) == LEAT_OK);
    leat_segment_header_write(right, first, 1, SEGMENT);
    if (header)
        LEAT_ASSERT(d->env.ops->pwrite(file, right, sizeof right, 0, &error) == LEAT_OK);
    d->env.ops->close(&d->env, file);
}

// Number of records; last: the last one is ours.
static unsigned read_all(leat_log *log, bool *out_last)
{
    leat_log_reader *reader;
    leat_error error;
    leat_slice record = {"", 0};
    uint64_t before = 0;
    unsigned count = 0;
    leat_code code;
    *out_last = false;
    LEAT_ASSERT(leat_log_reader_open(log, LEAT_LOG_OLDEST, &reader, &error) == LEAT_OK);
    while ((code = leat_log_reader_next(reader, &record, NULL, NULL, &error)) == LEAT_OK || code == LEAT_E_CORRUPT) {
        LEAT_ASSERT(leat_log_reader_position(reader) > before);
        before = leat_log_reader_position(reader);
        *out_last = code == LEAT_OK && record.size == 5 && memcmp(record.data, "later", 5) == 0;
        count += code == LEAT_OK;
    }
    LEAT_ASSERT(code == LEAT_AGAIN);
    leat_log_reader_close(reader);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 1 || size > 4 * SEGMENT)
        return 0;
    disk *d = disk_create(1);
    unsigned segments = 1 + bytes[0] % 4;
    size_t part = (size - 1) / segments;
    part = part > SEGMENT ? SEGMENT : part;
    for (unsigned i = 0; i < segments; i++)
        put_file(d, (uint64_t)i * SEGMENT, bytes + 1 + i * part, part, bytes[0] & 16);
    leat_log_writer *writer;
    leat_error error;
    leat_log_options options = {
        .directory = "log", .segment_bytes = SEGMENT, .scan_from = bytes[0] & 32 ? 0 : LEAT_LOG_SCAN_LAST};
    LEAT_ASSERT(leat_log_writer_create(&d->env, false, &writer, &error) == LEAT_OK);
    unsigned count = 0;
    for (unsigned life = 0; life < 2; life++) {
        leat_log *log;
        bool last;
        leat_code code = leat_log_open(writer, &options, &log, NULL, &error);
        LEAT_ASSERT(code == LEAT_OK || (life == 0 && code == LEAT_E_UNSUPPORTED));
        if (code != LEAT_OK)
            break;
        unsigned found = read_all(log, &last);
        LEAT_ASSERT(life == 0 || (found == count && last));
        leat_slice later = {"later", 5};
        LEAT_ASSERT(leat_log_append(log, &later, 1, NULL, NULL) == LEAT_OK);
        LEAT_ASSERT(leat_log_wait_durable(log, UINT64_MAX, 0) == LEAT_OK);
        count = read_all(log, &last);
        LEAT_ASSERT(count == found + 1 && last);
        leat_log_abandon(log);
    }
    leat_log_writer_destroy(writer);
    disk_destroy(d);
    return 0;
}
