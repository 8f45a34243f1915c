#include <string.h>

#include "firmware-agent/log/log_struct.h"

struct leat_log_reader {
    leat_log *log;
    uint64_t position;
    leat_file *file;
    uint64_t file_first;
    uint8_t *bytes;
    size_t capacity;
    uint64_t bytes_from; // position of bytes[0]
    size_t size;
    uint32_t generation;
};

static uint64_t segment_end(const leat_log_reader *self, uint64_t position)
{
    return leat_log_segment_of(self->log, position) + self->log->segment_bytes;
}

static void file_close(leat_log_reader *self)
{
    self->log->env->ops->close(self->log->env, self->file);
    self->file = NULL;
    self->size = 0;
}

static leat_code file_turn(leat_log_reader *self, uint64_t first, leat_error *out_error)
{
    if (self->file && self->file_first == first)
        return LEAT_OK;
    file_close(self);
    char path[LEAT_LOG_PATH];
    leat_log_segment_path(self->log, first, path);
    self->file_first = first;
    return self->log->env->ops->open(self->log->env, path, LEAT_OPEN_READ, &self->file, out_error);
}

static bool grow(leat_log_reader *self, size_t size)
{
    if (size <= self->capacity)
        return true;
    uint8_t *grown = leat_env_grow(self->log->env, self->bytes, self->capacity, size);
    if (!grown)
        return false;
    self->bytes = grown;
    self->capacity = size;
    return true;
}

// Bytes at position, as many as asked for where the log's end and the segment's allow; out_available says.
static leat_code view(leat_log_reader *self, uint64_t position, size_t wanted, uint64_t end, const uint8_t **out_bytes,
                      size_t *out_available, leat_error *out_error)
{
    uint64_t stop = segment_end(self, position) < end ? segment_end(self, position) : end;
    bool cached = self->file && self->file_first == leat_log_segment_of(self->log, position) &&
                  position >= self->bytes_from && position + wanted <= self->bytes_from + self->size;
    if (!cached) {
        leat_code code = file_turn(self, leat_log_segment_of(self->log, position), out_error);
        size_t size = wanted > LEAT_LOG_READ_BYTES ? wanted : LEAT_LOG_READ_BYTES;
        if (code != LEAT_OK)
            return code;
        if (!grow(self, size))
            return leat_error_at(out_error, LEAT_E_MEMORY, self->log->path, "no memory to read a record");
        size = stop - position < size ? (size_t)(stop - position) : size;
        self->bytes_from = position;
        self->size = 0;
        code = self->log->env->ops->pread(self->file, self->bytes, size, position - self->file_first, &self->size,
                                          out_error);
        if (code != LEAT_OK)
            return code;
    }
    *out_bytes = self->bytes + (position - self->bytes_from);
    *out_available = self->size - (size_t)(position - self->bytes_from);
    return LEAT_OK;
}

// The record at position; bytes that cannot be read are bad ones.
static leat_record judge(leat_log_reader *self, uint64_t position, uint64_t end, leat_error *out_error)
{
    leat_record record = {.kind = LEAT_RECORD_BAD};
    const uint8_t *bytes = NULL;
    size_t available = 0, room = (size_t)(segment_end(self, position) - position);
    if (view(self, position, LEAT_RECORD_HEADER, end, &bytes, &available, out_error) != LEAT_OK)
        return record;
    record = leat_record_parse(bytes, available, room, position, self->generation);
    if (record.kind != LEAT_RECORD_SHORT)
        return record;
    uint32_t span = record.span;
    record.kind = LEAT_RECORD_DAMAGED;
    if (position + span > end || view(self, position, span, end, &bytes, &available, out_error) != LEAT_OK)
        return record;
    record = leat_record_parse(bytes, available, room, position, self->generation);
    if (record.kind == LEAT_RECORD_SHORT)
        record.kind = LEAT_RECORD_DAMAGED;
    return record;
}

// Where the next segment that exists begins, or end.
static uint64_t next_segment(leat_log_reader *self, uint64_t position, uint64_t end)
{
    uint64_t first = leat_log_segment_from(self->log, segment_end(self, position));
    return first < end ? first : end;
}

// Over headers, ends of segments and ranges that open found bad, to where a record must stand.
static void settle(leat_log_reader *self, uint64_t end)
{
    const leat_log *log = self->log;
    for (bool moved = true; moved && self->position < end;) {
        uint64_t offset = self->position % log->segment_bytes, before = self->position;
        if (offset < LEAT_SEGMENT_HEADER)
            self->position += LEAT_SEGMENT_HEADER - offset;
        else if (offset + LEAT_RECORD_HEADER > log->segment_bytes)
            self->position = next_segment(self, self->position, end);
        for (size_t i = 0; i < log->gap_count; i++)
            if (self->position >= log->gaps[i].from && self->position < log->gaps[i].to)
                self->position = log->gaps[i].to;
        moved = self->position != before;
    }
}

// Behind damage at position: the next valid record of the segment, else the next segment, else end.
static uint64_t resume(leat_log_reader *self, uint64_t position, uint64_t end)
{
    uint64_t stop = segment_end(self, position) < end ? segment_end(self, position) : end;
    leat_error ignored;
    for (uint64_t at = position + LEAT_RECORD_ALIGN; at + LEAT_RECORD_HEADER <= stop; at += LEAT_RECORD_ALIGN) {
        leat_record record = judge(self, at, end, &ignored);
        if (record.kind != LEAT_RECORD_BAD && record.kind != LEAT_RECORD_DAMAGED)
            return at;
        if (record.kind == LEAT_RECORD_BAD && !self->file)
            break; // the file is not there
    }
    return stop < end ? next_segment(self, position, end) : end;
}

static leat_code damaged(leat_log_reader *self, uint64_t end, leat_log_gap *out_gap, leat_error *out_error)
{
    uint64_t from = self->position, to = resume(self, from, end);
    if (from < leat_log_oldest(self->log)) // reused under the reader
        return leat_error_at(out_error, LEAT_E_NOT_FOUND, self->log->path,
                             "records were removed before they were read");
    self->position = to;
    if (out_gap)
        *out_gap = (leat_log_gap){from, to};
    return leat_error_at(out_error, LEAT_E_CORRUPT, self->log->path, "damaged from position %llu to %llu",
                         (unsigned long long)from, (unsigned long long)to);
}

leat_code leat_log_reader_next(leat_log_reader *self, leat_slice *out_record, uint64_t *out_position,
                               leat_log_gap *out_gap, leat_error *out_error)
{
    leat_error ignored; // of reads: they show as damage
    for (;;) {
        if (leat_log_state_get(self->log) == LEAT_LOG_POISONED)
            return leat_error_at(out_error, LEAT_E_IO, self->log->path, "the log has failed before");
        uint64_t end = leat_log_written_end(self->log);
        settle(self, end);
        if (self->position >= end)
            return LEAT_AGAIN;
        if (self->position < leat_log_oldest(self->log))
            return leat_error_at(out_error, LEAT_E_NOT_FOUND, self->log->path,
                                 "records were removed before they were read");
        leat_record record = judge(self, self->position, end, &ignored);
        if (record.kind != LEAT_RECORD_PAYLOAD && record.kind != LEAT_RECORD_CUT && record.kind != LEAT_RECORD_END)
            return damaged(self, end, out_gap, out_error);
        uint64_t position = self->position;
        self->generation = record.generation;
        self->position = record.kind == LEAT_RECORD_END ? next_segment(self, position, end) : position + record.span;
        if (record.kind != LEAT_RECORD_PAYLOAD)
            continue;
        *out_record = record.payload;
        if (out_position)
            *out_position = position;
        return LEAT_OK;
    }
}

uint64_t leat_log_reader_position(const leat_log_reader *self) { return self->position; }

leat_code leat_log_reader_seek(leat_log_reader *self, uint64_t position, leat_error *out_error)
{
    uint64_t oldest = leat_log_oldest(self->log);
    if (position == LEAT_LOG_OLDEST)
        position = oldest;
    // A segment's first record may be asked for as the segment's start: the end of the record before.
    if (position + LEAT_SEGMENT_HEADER < oldest)
        return leat_error_at(out_error, LEAT_E_NOT_FOUND, self->log->path,
                             "position %llu is below %llu, the oldest kept", (unsigned long long)position,
                             (unsigned long long)oldest);
    self->position = position > oldest ? position : oldest;
    self->generation = 0;
    return LEAT_OK;
}

leat_code leat_log_reader_open(leat_log *log, uint64_t position, leat_log_reader **out_reader, leat_error *out_error)
{
    leat_log_reader *self = leat_env_calloc(log->env, sizeof *self);
    uint8_t *bytes = leat_env_alloc(log->env, LEAT_LOG_READ_BYTES);
    if (!self || !bytes) {
        leat_env_free(log->env, self, sizeof *self);
        leat_env_free(log->env, bytes, LEAT_LOG_READ_BYTES);
        return leat_error_at(out_error, LEAT_E_MEMORY, log->path, "no memory for a reader");
    }
    self->log = log;
    self->bytes = bytes;
    self->capacity = LEAT_LOG_READ_BYTES;
    leat_code code = leat_log_reader_seek(self, position, out_error);
    if (code != LEAT_OK) {
        leat_log_reader_close(self);
        return code;
    }
    *out_reader = self;
    return LEAT_OK;
}

void leat_log_reader_close(leat_log_reader *self)
{
    if (!self)
        return;
    file_close(self);
    leat_env_free(self->log->env, self->bytes, self->capacity);
    leat_env_free(self->log->env, self, sizeof *self);
}
