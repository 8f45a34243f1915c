// Recovery: what lies in the directory becomes a log that can be appended to. Also cut and close.
#include <stdio.h>
#include <string.h>

#include "firmware-agent/log/log_struct.h"
#include "firmware-agent/platform/wait.h"

typedef struct recovery {
    leat_log *log;
    leat_log_opened *opened;
    uint8_t *bytes; // one segment
    uint64_t scanned_first;
    leat_segment_scan scan;
    bool newer;
} recovery;

// ---- gaps

static void gap_note(void *context, uint64_t from, uint64_t to)
{
    leat_log_opened *opened = ((recovery *)context)->opened;
    leat_log_gap *last = opened->gap_count ? &opened->gaps[opened->gap_count - 1] : NULL;
    if (from >= to)
        return;
    if (last && (from <= last->to || opened->gap_count == LEAT_LOG_GAPS_MAX))
        last->to = to;
    else
        opened->gaps[opened->gap_count++] = (leat_log_gap){from, to};
}

// ---- files

static bool name_note(void *context, const char *name)
{
    recovery *self = context;
    uint64_t first;
    if (strcmp(name, LEAT_SEGMENT_SPARE) == 0)
        self->log->spare = true;
    else if (leat_segment_name_parse(name, &first) && first % self->log->segment_bytes == 0 &&
             first <= UINT64_MAX - 4 * (uint64_t)self->log->segment_bytes)
        leat_log_segment_add(self->log, first);
    return true;
}

enum { SCAN_CHUNK = 64 << 10 };

// What cannot be read is zeros: bad bytes like any other.
static size_t read_segment(recovery *self, uint64_t first)
{
    leat_log *log = self->log;
    const leat_env_ops *ops = log->env->ops;
    char path[LEAT_LOG_PATH];
    leat_log_segment_path(log, first, path);
    leat_file *file = NULL;
    leat_error ignored;
    if (ops->open(log->env, path, LEAT_OPEN_READ, &file, &ignored) != LEAT_OK)
        return 0;
    size_t size = 0;
    for (size_t offset = 0; offset < log->segment_bytes; offset += SCAN_CHUNK) {
        size_t wanted = log->segment_bytes - offset < SCAN_CHUNK ? log->segment_bytes - offset : SCAN_CHUNK, got = 0;
        memset(self->bytes + offset, 0, wanted);
        if (ops->pread(file, self->bytes + offset, wanted, offset, &got, &ignored) != LEAT_OK)
            got = wanted;
        size = offset + got;
        if (got < wanted)
            break;
    }
    ops->close(log->env, file);
    return size;
}

static void scan_segment(recovery *self, uint64_t first, bool gaps)
{
    size_t size = read_segment(self, first);
    self->scanned_first = first;
    self->scan =
        leat_segment_scan_bytes(self->bytes, size, first, self->log->segment_bytes, 0, gaps ? gap_note : NULL, self);
    self->newer |= self->scan.header == LEAT_SEGMENT_HEADER_NEWER;
    if (self->scan.generation > self->opened->generation)
        self->opened->generation = self->scan.generation;
}

// ---- the end of the log

// Drops prepared segments behind until the last one has a record; false when none has.
static bool find_last(recovery *self)
{
    leat_log *log = self->log;
    uint64_t torn = 0;
    while (log->segment_count > 0) {
        uint64_t first = log->segments[log->segment_count - 1];
        scan_segment(self, first, false);
        if (self->scan.any || self->newer) {
            self->opened->torn_bytes = self->scan.torn_bytes + torn;
            return true;
        }
        torn += self->scan.torn_bytes;
        char path[LEAT_LOG_PATH];
        leat_error ignored;
        leat_log_segment_path(log, first, path);
        // Renamed rather than removed: its blocks stay reserved.
        char spare[LEAT_LOG_PATH];
        leat_log_path(log, LEAT_SEGMENT_SPARE, spare);
        if (!log->spare && log->env->ops->rename(log->env, path, spare, &ignored) == LEAT_OK)
            log->spare = true;
        else
            (void)log->env->ops->unlink(log->env, path, &ignored); // what stays has no record and is met again
        leat_log_segment_drop(log, first);
    }
    self->opened->torn_bytes = torn;
    return false;
}

// Scans what was asked for before the last segment; finds what is missing between.
static void find_gaps(recovery *self)
{
    leat_log *log = self->log;
    uint64_t segment_bytes = log->segment_bytes, last = log->segments[log->segment_count - 1];
    uint64_t scan_from = log->options.scan_from;
    for (size_t i = 0; i < log->segment_count; i++) {
        uint64_t first = log->segments[i], next = i + 1 < log->segment_count ? log->segments[i + 1] : UINT64_MAX;
        if (first == last || first + segment_bytes > scan_from) {
            scan_segment(self, first, true);
            if (first != last && !self->scan.sealed)
                gap_note(self, self->scan.end, next + LEAT_SEGMENT_HEADER);
        }
        if (first != last && next != first + segment_bytes)
            gap_note(self, first + segment_bytes, next + LEAT_SEGMENT_HEADER);
    }
}

static void settle_end(recovery *self, bool any)
{
    leat_log *log = self->log;
    uint64_t position_min = (log->options.position_min + LEAT_RECORD_ALIGN - 1) & ~(uint64_t)(LEAT_RECORD_ALIGN - 1);
    uint64_t end = any ? self->scan.end : LEAT_SEGMENT_HEADER;
    if (any && self->scan.sealed)
        end = self->scanned_first + log->segment_bytes + LEAT_SEGMENT_HEADER;
    log->headered = any && !self->scan.sealed ? self->scanned_first : UINT64_MAX;
    uint64_t oldest = log->segment_count ? log->segments[0] + LEAT_SEGMENT_HEADER : UINT64_MAX;
    if (position_min > end) {
        if (any || position_min > LEAT_SEGMENT_HEADER)
            gap_note(self, end, position_min);
        if (leat_log_segment_of(log, position_min) != log->headered)
            log->headered = UINT64_MAX;
        end = position_min;
    }
    log->append_end = end;
    uint64_t segment = leat_log_segment_of(log, end);
    log->prepared_end =
        log->segment_count && log->segments[log->segment_count - 1] == segment ? segment + log->segment_bytes : segment;
    atomic_store(&log->written_end, end);
    atomic_store(&log->durable_end, end);
    atomic_store(&log->oldest, oldest < end ? oldest : end);
}

// What the scan found readable may still be in the page cache only, after a kill without power cut.
static leat_code sync_tail(leat_log *log, uint64_t first, leat_error *out_error)
{
    char path[LEAT_LOG_PATH];
    leat_log_segment_path(log, first, path);
    leat_file *file = NULL;
    leat_code code = log->env->ops->open(log->env, path, LEAT_OPEN_WRITE, &file, out_error);
    if (code != LEAT_OK)
        return code;
    code = log->env->ops->sync(file, out_error);
    log->env->ops->close(log->env, file);
    return code;
}

static leat_code recover(recovery *self, leat_error *out_error)
{
    leat_log *log = self->log;
    leat_code code = log->env->ops->list(log->env, log->path, name_note, self, out_error);
    if (code != LEAT_OK)
        return code;
    self->bytes = leat_env_alloc(log->env, log->segment_bytes);
    if (!self->bytes)
        return leat_error_at(out_error, LEAT_E_MEMORY, log->path, "no memory to read a segment of %u bytes",
                             log->segment_bytes);
    bool any = find_last(self);
    if (any && !self->newer)
        find_gaps(self);
    leat_env_free(log->env, self->bytes, log->segment_bytes);
    if (self->newer)
        return leat_error_at(out_error, LEAT_E_UNSUPPORTED, log->path,
                             "the log was written by a newer release of leat");
    settle_end(self, any);
    log->generation = self->opened->generation + 1;
    if (log->generation < log->options.generation_min)
        log->generation = log->options.generation_min;
    return any ? sync_tail(log, self->scanned_first, out_error) : LEAT_OK;
}

// ---- open and close

static leat_code options_check(leat_log_options *options, leat_error *out_error)
{
    if (options->pending_max == 0)
        options->pending_max = LEAT_LOG_PENDING_BYTES;
    if (options->segment_bytes % 4096 != 0 || options->segment_bytes > 1u << 30)
        return leat_error_set(out_error, LEAT_E_INVALID, "segment size %u is no multiple of 4096",
                              options->segment_bytes);
    if (options->pending_max < 4096 || options->pending_max > 1u << 30)
        return leat_error_set(out_error, LEAT_E_INVALID, "pending limit %u is out of range", options->pending_max);
    if (options->position_min > UINT64_MAX / 2)
        return leat_error_set(out_error, LEAT_E_INVALID, "position out of range");
    return LEAT_OK;
}

static void log_init(leat_log *log, leat_log_writer *writer, const leat_log_options *options)
{
    log->writer = writer;
    log->env = writer->env;
    log->options = *options;
    log->options.directory = log->path;
    log->segment_bytes = options->segment_bytes;
    log->retry_ms = INT64_MIN;
    log->count_until = UINT64_MAX;
    pthread_mutex_init(&log->lock, NULL);
    leat_wait_init(&log->moved);
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&log->notify, &recursive);
    pthread_mutexattr_destroy(&recursive);
}

static void log_release(leat_log *log)
{
    leat_log_file_close(log);
    leat_log_buffer_fini(log->env, &log->pending);
    leat_log_buffer_fini(log->env, &log->writing);
    leat_env_free(log->env, log->segments, log->segment_capacity * sizeof *log->segments);
    leat_env_free(log->env, log->gaps, log->gap_count * sizeof *log->gaps);
    pthread_mutex_destroy(&log->notify);
    pthread_cond_destroy(&log->moved);
    pthread_mutex_destroy(&log->lock);
    leat_env_free(log->env, log, sizeof *log);
}

static leat_code keep_gaps(leat_log *log, const leat_log_opened *opened)
{
    if (opened->gap_count == 0)
        return LEAT_OK;
    log->gaps = leat_env_alloc(log->env, opened->gap_count * sizeof *log->gaps);
    if (!log->gaps)
        return LEAT_E_MEMORY;
    memcpy(log->gaps, opened->gaps, opened->gap_count * sizeof *log->gaps);
    log->gap_count = opened->gap_count;
    return LEAT_OK;
}

// ---- size of segments: as the headers say; where none can be read, small ones if there is a file that only they explain

typedef struct size_search {
    leat_log *log;
    uint32_t found;
    bool any, small;
} size_search;

static uint32_t size_in_header(leat_log *log, const char *name, uint64_t first)
{
    char path[LEAT_LOG_PATH];
    uint8_t header[LEAT_SEGMENT_HEADER];
    leat_file *file = NULL;
    leat_error ignored;
    size_t got = 0;
    uint32_t generation;
    leat_log_path(log, name, path);
    if (log->env->ops->open(log->env, path, LEAT_OPEN_READ, &file, &ignored) != LEAT_OK)
        return 0;
    if (log->env->ops->pread(file, header, sizeof header, 0, &got, &ignored) != LEAT_OK)
        got = 0;
    log->env->ops->close(log->env, file);
    static const uint32_t sizes[] = {LEAT_SEGMENT_BYTES, LEAT_LOG_SEGMENT_SMALL};
    for (size_t i = 0; i < 2 && got == sizeof header; i++)
        if (leat_segment_header_read(header, first, sizes[i], &generation) == LEAT_SEGMENT_HEADER_GOOD)
            return sizes[i];
    return 0;
}

static bool note_size(void *context, const char *name)
{
    size_search *self = context;
    uint64_t first;
    if (!leat_segment_name_parse(name, &first))
        return true;
    self->any = true;
    self->small |= first % LEAT_SEGMENT_BYTES != 0;
    self->found = size_in_header(self->log, name, first);
    return self->found == 0;
}

enum { SMALL_DISK_PART = 64 }; // of what is free: a segment is not to be more

static uint32_t segment_bytes_of(leat_log *log)
{
    size_search search = {.log = log};
    leat_error ignored;
    uint64_t free_bytes = UINT64_MAX;
    if (log->env->ops->list(log->env, log->path, note_size, &search, &ignored) == LEAT_OK && search.found)
        return search.found;
    if (search.any)
        return search.small ? LEAT_LOG_SEGMENT_SMALL : LEAT_SEGMENT_BYTES;
    char spare[LEAT_LOG_PATH];
    leat_file_stat stat;
    leat_log_path(log, LEAT_SEGMENT_SPARE, spare);
    if (log->env->ops->path_stat(log->env, spare, &stat, &ignored) == LEAT_OK)
        return stat.size < LEAT_SEGMENT_BYTES ? LEAT_LOG_SEGMENT_SMALL : LEAT_SEGMENT_BYTES;
    if (log->env->ops->free_space(log->env, log->path, &free_bytes, &ignored) != LEAT_OK)
        free_bytes = UINT64_MAX;
    return free_bytes / SMALL_DISK_PART < LEAT_SEGMENT_BYTES ? LEAT_LOG_SEGMENT_SMALL : LEAT_SEGMENT_BYTES;
}

uint64_t leat_log_headroom(leat_env *env, const char *directory)
{
    enum { PART = 16, LEAST = 2 << 20, MOST = 64 << 20 };
    uint64_t bytes = 0;
    leat_error ignored;
    if (env->ops->free_space(env, directory, &bytes, &ignored) != LEAT_OK)
        return LEAST;
    bytes /= PART;
    return bytes < LEAST ? LEAST : bytes < MOST ? bytes : MOST;
}

static leat_code open_directory(leat_log *log, const char *directory, leat_log_opened *opened, leat_error *out_error)
{
    int size = snprintf(log->path, sizeof log->path, "%s", directory);
    if (size < 0 || (size_t)size + LEAT_SEGMENT_NAME + 1 >= sizeof log->path)
        return leat_error_at(out_error, LEAT_E_INVALID, directory, "the path is too long");
    leat_code code = log->env->ops->make_directory(log->env, log->path, 0750, out_error);
    if (code != LEAT_OK)
        return code;
    if (log->segment_bytes == 0)
        log->segment_bytes = segment_bytes_of(log);
    if (log->options.max_bytes && log->options.max_bytes < 2 * (uint64_t)log->segment_bytes)
        log->options.max_bytes = 2 * (uint64_t)log->segment_bytes;
    recovery self = {.log = log, .opened = opened};
    code = recover(&self, out_error);
    if (code == LEAT_OK && keep_gaps(log, opened) != LEAT_OK)
        code = leat_error_at(out_error, LEAT_E_MEMORY, directory, "no memory");
    opened->oldest = atomic_load(&log->oldest);
    opened->end = log->append_end;
    opened->generation = log->generation;
    return code;
}

static void list_in(leat_log *log)
{
    pthread_mutex_lock(&log->writer->service);
    leat_log_service(log, false); // prepares segments; a full disk is a state, not a failure
    log->next = log->writer->logs;
    log->writer->logs = log;
    pthread_mutex_unlock(&log->writer->service);
    leat_log_wake(log->writer, LEAT_LOG_WORK_NOW);
}

static void list_out(leat_log *log)
{
    pthread_mutex_lock(&log->writer->service);
    for (leat_log **at = &log->writer->logs; *at; at = &(*at)->next)
        if (*at == log) {
            *at = log->next;
            break;
        }
    pthread_mutex_unlock(&log->writer->service);
}

leat_code leat_log_open(leat_log_writer *writer, const leat_log_options *options, leat_log **out_log,
                        leat_log_opened *out_opened, leat_error *out_error)
{
    leat_log_options checked = *options;
    leat_code code = options_check(&checked, out_error);
    if (code != LEAT_OK)
        return code;
    leat_log *log = leat_env_calloc(writer->env, sizeof *log);
    leat_log_opened *opened = leat_env_calloc(writer->env, sizeof *opened);
    if (!log || !opened) {
        leat_env_free(writer->env, log, sizeof *log);
        leat_env_free(writer->env, opened, sizeof *opened);
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for a log");
    }
    log_init(log, writer, &checked);
    code = open_directory(log, options->directory, opened, out_error);
    if (code == LEAT_OK && out_opened)
        *out_opened = *opened;
    leat_env_free(writer->env, opened, sizeof *opened);
    if (code != LEAT_OK) {
        log_release(log);
        return code;
    }
    list_in(log);
    *out_log = log;
    return LEAT_OK;
}

static bool flushed(leat_log *log)
{
    pthread_mutex_lock(&log->lock);
    bool empty = log->pending.size == 0;
    pthread_mutex_unlock(&log->lock);
    return empty && log->writing.size == 0;
}

leat_code leat_log_close(leat_log *log, leat_error *out_error)
{
    if (!log)
        return LEAT_OK;
    list_out(log);
    for (unsigned i = 0; i < 3; i++)
        leat_log_service(log, true);
    leat_code code =
        flushed(log) ? LEAT_OK : leat_error_at(out_error, LEAT_E_NO_SPACE, log->path, "records could not be written");
    if (atomic_load(&log->state) == LEAT_LOG_POISONED) {
        code = LEAT_E_IO;
        if (out_error) {
            *out_error = log->poison;
            out_error->code = code;
        }
    }
    log_release(log);
    return code;
}

void leat_log_abandon(leat_log *log)
{
    if (!log)
        return;
    list_out(log);
    log_release(log);
}

// ---- cut

static leat_code remove_above(leat_log *log, uint64_t segment, leat_error *out_error)
{
    char path[LEAT_LOG_PATH];
    while (log->segment_count && log->segments[log->segment_count - 1] > segment) {
        uint64_t first = log->segments[log->segment_count - 1];
        leat_log_segment_path(log, first, path);
        leat_code code = log->env->ops->unlink(log->env, path, out_error);
        if (code == LEAT_OK)
            code = log->env->ops->sync_directory(log->env, log->path, out_error);
        if (code != LEAT_OK && code != LEAT_E_NOT_FOUND)
            return code;
        leat_log_segment_drop(log, first);
    }
    return LEAT_OK;
}

enum { ZEROS = 4096 };

static leat_code write_cut(leat_log *log, uint64_t position, uint64_t old_end, leat_error *out_error)
{
    static const uint8_t zeros[ZEROS];
    uint8_t header[LEAT_RECORD_HEADER];
    leat_record_header(header, LEAT_RECORD_CUT, 0, 0, position, log->generation);
    leat_code code = leat_log_write_at(log, position, header, sizeof header, out_error);
    for (uint64_t at = position + sizeof header; code == LEAT_OK && at < old_end;) {
        size_t size = old_end - at < ZEROS ? (size_t)(old_end - at) : ZEROS;
        code = leat_log_write_at(log, at, zeros, size, out_error);
        at += size;
    }
    if (code == LEAT_OK)
        code = leat_log_sync_file(log, out_error);
    return code;
}

static void end_set(leat_log *log, uint64_t end, bool headered)
{
    uint64_t segment = leat_log_segment_of(log, end);
    log->append_end = end;
    log->headered = headered ? segment : UINT64_MAX;
    log->sync_target = 0;
    log->prepared_end =
        log->segment_count && log->segments[log->segment_count - 1] == segment ? segment + log->segment_bytes : segment;
    size_t kept = 0;
    for (size_t i = 0; i < log->gap_count && log->gaps[i].from < end; i++) {
        kept = i + 1;
        if (log->gaps[i].to > end)
            log->gaps[i].to = end;
    }
    for (size_t i = kept; i < log->gap_count; i++)
        log->gaps[i] = (leat_log_gap){UINT64_MAX, UINT64_MAX};
    atomic_store(&log->written_end, end);
    atomic_store(&log->durable_end, end);
    if (atomic_load(&log->oldest) > end)
        atomic_store(&log->oldest, end);
}

static leat_code cut(leat_log *log, uint64_t position, leat_error *out_error)
{
    uint64_t segment = leat_log_segment_of(log, position), offset = position - segment, old_end = log->append_end;
    if (old_end > segment + log->segment_bytes)
        old_end = segment + log->segment_bytes;
    leat_code code = remove_above(log, segment, out_error);
    if (code != LEAT_OK)
        return code;
    bool present = log->segment_count && log->segments[log->segment_count - 1] == segment;
    bool marks = present && offset + LEAT_RECORD_HEADER <= log->segment_bytes;
    if (marks)
        code = write_cut(log, position, old_end, out_error);
    if (code != LEAT_OK)
        return code;
    end_set(log, marks ? position + LEAT_RECORD_HEADER : position, present);
    return LEAT_OK;
}

leat_code leat_log_truncate(leat_log *log, uint64_t position, leat_error *out_error)
{
    if (atomic_load(&log->state) == LEAT_LOG_POISONED)
        return leat_error_at(out_error, LEAT_E_IO, log->path, "the log has failed before");
    if (position % LEAT_RECORD_ALIGN != 0)
        return leat_error_at(out_error, LEAT_E_INVALID, log->path, "%llu is no position of a record",
                             (unsigned long long)position);
    pthread_mutex_lock(&log->writer->service);
    leat_code code = LEAT_OK, found = LEAT_OK;
    LEAT_ASSERT(log->pending.size == 0 && log->writing.size == 0);
    if (position < atomic_load(&log->oldest) && position < log->append_end) {
        found = leat_error_at(out_error, LEAT_E_NOT_FOUND, log->path, "%llu is below the oldest record kept",
                              (unsigned long long)position);
        position = atomic_load(&log->oldest);
    }
    // The end of a record that fills its segment is where the next segment starts: nothing stands in a header.
    if (position % log->segment_bytes < LEAT_SEGMENT_HEADER)
        position = leat_log_segment_of(log, position) + LEAT_SEGMENT_HEADER;
    if (position < log->append_end)
        code = cut(log, position, found == LEAT_OK ? out_error : NULL);
    leat_log_service(log, false);
    pthread_mutex_unlock(&log->writer->service);
    return code != LEAT_OK ? code : found;
}
