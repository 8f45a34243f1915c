#include "firmware-agent/log/log_struct.h"

#include <string.h>

#include "firmware-agent/platform/wait.h"

enum { FLASH_PAGE = 4096 };

// ---- what the writer tells

static void notify(leat_log *log)
{
    pthread_mutex_lock(&log->notify);
    if (log->moved_callback)
        log->moved_callback(log->moved_context, log);
    pthread_mutex_unlock(&log->notify);
}

static void state_set(leat_log *log, leat_log_state state, const leat_error *reason)
{
    pthread_mutex_lock(&log->lock);
    leat_log_state old = (leat_log_state)atomic_load(&log->state);
    bool changed = old != state && old != LEAT_LOG_POISONED;
    if (changed)
        atomic_store(&log->state, state);
    if (changed && state == LEAT_LOG_POISONED && reason)
        log->poison = *reason;
    if (changed)
        pthread_cond_broadcast(&log->moved);
    pthread_mutex_unlock(&log->lock);
    if (changed && log->options.on_state)
        log->options.on_state(log->options.context, log, state, reason);
}

void leat_log_poison(leat_log *log, const leat_error *reason) { state_set(log, LEAT_LOG_POISONED, reason); }

static bool poisoned(const leat_log *log) { return atomic_load(&log->state) == LEAT_LOG_POISONED; }

// ---- writing and syncing

void leat_log_file_close(leat_log *log)
{
    log->env->ops->close(log->env, log->file);
    log->file = NULL;
}

static void count_pages(leat_log *log, uint64_t end)
{
    if (end <= log->dirty_from)
        return;
    uint64_t pages = (end - 1) / FLASH_PAGE - log->dirty_from / FLASH_PAGE + 1;
    pthread_mutex_lock(&log->lock);
    log->stats.page_bytes += pages * FLASH_PAGE;
    log->stats.syncs++;
    pthread_mutex_unlock(&log->lock);
}

leat_code leat_log_sync_file(leat_log *log, leat_error *out_error)
{
    leat_code code = log->file ? log->env->ops->sync(log->file, out_error) : LEAT_OK;
    if (code == LEAT_OK)
        log->dirty = false;
    return code;
}

// The file of the segment; its predecessor is synced before it takes a byte.
static leat_code file_turn(leat_log *log, uint64_t first, leat_error *out_error)
{
    if (log->file && log->file_first == first)
        return LEAT_OK;
    if (log->file && log->dirty) {
        count_pages(log, log->file_first + log->segment_bytes);
        leat_code code = leat_log_sync_file(log, out_error);
        if (code != LEAT_OK)
            return code == LEAT_E_NO_SPACE ? LEAT_E_IO : code;
    }
    leat_log_file_close(log);
    char path[LEAT_LOG_PATH];
    leat_log_segment_path(log, first, path);
    log->file_first = first;
    return log->env->ops->open(log->env, path, LEAT_OPEN_WRITE, &log->file, out_error);
}

leat_code leat_log_write_at(leat_log *log, uint64_t position, const void *bytes, size_t size, leat_error *out_error)
{
    uint64_t first = leat_log_segment_of(log, position);
    leat_code code = file_turn(log, first, out_error);
    if (code != LEAT_OK)
        return code;
    if (!log->dirty) {
        log->dirty = true;
        log->dirty_ms = leat_boot_ms(log->env);
        log->dirty_from = position;
    }
    return log->env->ops->pwrite(log->file, bytes, size, position - first, out_error);
}

static void written(leat_log *log)
{
    leat_log_buffer *buffer = &log->writing;
    pthread_mutex_lock(&log->lock);
    log->stats.written_bytes += buffer->size;
    pthread_mutex_unlock(&log->lock);
    atomic_store(&log->written_end, buffer->end);
    buffer->size = 0;
    buffer->extent_count = buffer->written_extents = 0;
}

// LEAT_E_NO_SPACE can only come from a file system that cannot reserve; the buffer stays and is tried again.
static leat_code write_buffer(leat_log *log, leat_error *out_error)
{
    leat_log_buffer *buffer = &log->writing;
    while (buffer->written_extents < buffer->extent_count) {
        const leat_log_extent *extent = &buffer->extents[buffer->written_extents];
        leat_code code =
            leat_log_write_at(log, extent->position, buffer->bytes + extent->offset, extent->size, out_error);
        if (code != LEAT_OK)
            return code;
        buffer->written_extents++;
    }
    written(log);
    return LEAT_OK;
}

static bool take_pending(leat_log *log)
{
    pthread_mutex_lock(&log->lock);
    if (log->writing.size == 0 && log->pending.size > 0) {
        leat_log_buffer empty = log->writing;
        log->writing = log->pending;
        log->pending = empty;
    }
    pthread_mutex_unlock(&log->lock);
    return log->writing.size > 0;
}

static leat_code sync_now(leat_log *log, leat_error *out_error)
{
    uint64_t end = atomic_load(&log->written_end);
    if (log->dirty) {
        count_pages(log, end);
        leat_code code = leat_log_sync_file(log, out_error);
        if (code != LEAT_OK)
            return code;
    }
    pthread_mutex_lock(&log->lock);
    atomic_store(&log->durable_end, end);
    pthread_cond_broadcast(&log->moved);
    pthread_mutex_unlock(&log->lock);
    return LEAT_OK;
}

static bool sync_due(leat_log *log, bool sync_all, int64_t now_ms)
{
    uint64_t durable = atomic_load(&log->durable_end);
    if (durable >= atomic_load(&log->written_end))
        return false;
    pthread_mutex_lock(&log->lock);
    bool asked = log->sync_target > durable;
    pthread_mutex_unlock(&log->lock);
    return asked || sync_all || (log->options.sync_ms > 0 && now_ms >= log->dirty_ms + log->options.sync_ms);
}

// ---- segments: given back, kept as a spare, prepared ahead

static void unlink_name(leat_log *log, const char *path)
{
    leat_error ignored; // what stays is found, and given back again, by a later run
    if (log->env->ops->unlink(log->env, path, &ignored) != LEAT_OK)
        return;
    pthread_mutex_lock(&log->lock);
    log->stats.segments_removed++;
    pthread_mutex_unlock(&log->lock);
}

static void give_back(leat_log *log, uint64_t first)
{
    char path[LEAT_LOG_PATH], spare[LEAT_LOG_PATH];
    leat_log_segment_path(log, first, path);
    leat_log_path(log, LEAT_SEGMENT_SPARE, spare);
    leat_error ignored;
    leat_log_segment_drop(log, first);
    if (!log->spare && log->env->ops->rename(log->env, path, spare, &ignored) == LEAT_OK)
        log->spare = true;
    else
        unlink_name(log, path);
}

static bool first_trimmable(leat_log *log, uint64_t *out_first)
{
    pthread_mutex_lock(&log->lock);
    bool found = log->segment_count > 1 && log->segments[0] + log->segment_bytes <= log->trim_to &&
                 log->segments[0] + log->segment_bytes <= atomic_load(&log->written_end);
    if (found) {
        *out_first = log->segments[0];
        // Told before the file goes, so that a reader that meets new bytes under an old name knows why.
        atomic_store(&log->oldest, log->segments[1] + LEAT_SEGMENT_HEADER);
    }
    pthread_mutex_unlock(&log->lock);
    return found;
}

static bool trim_segments(leat_log *log)
{
    uint64_t first;
    bool any = false;
    while (first_trimmable(log, &first)) {
        if (log->file && log->file_first == first)
            leat_log_file_close(log); // whole and synced: a later segment has been written
        give_back(log, first);
        any = true;
    }
    return any;
}

static leat_code segment_make(leat_log *log, const char *path, leat_error *out_error)
{
    const leat_env_ops *ops = log->env->ops;
    leat_file *file = NULL;
    leat_code code = ops->open(log->env, path, LEAT_OPEN_WRITE, &file, out_error);
    if (code != LEAT_OK)
        return code;
    code = ops->preallocate(file, log->segment_bytes, out_error);
    if (code == LEAT_OK)
        code = ops->truncate(file, log->segment_bytes, out_error); // sized at once: later syncs write no inode
    if (code == LEAT_OK)
        code = ops->sync(file, out_error);
    ops->close(log->env, file);
    leat_error ignored;
    if (code != LEAT_OK && ops->unlink(log->env, path, &ignored) != LEAT_OK)
        return code;
    return code;
}

static leat_code segment_reuse(leat_log *log, const char *path, leat_error *out_error)
{
    char spare[LEAT_LOG_PATH];
    leat_log_path(log, LEAT_SEGMENT_SPARE, spare);
    log->spare = false;
    return log->env->ops->rename(log->env, spare, path, out_error);
}

// With the segment wanted, which a spare becomes. Two are always allowed.
static bool over_limit(leat_log *log)
{
    uint64_t counted = 0;
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->segment_count; i++)
        counted += log->segments[i] + log->segment_bytes <= log->count_until;
    if (counted < log->segment_count)
        counted++; // the first of those that do not count: part of it may
    pthread_mutex_unlock(&log->lock);
    return log->options.max_bytes && (counted + 1) * log->segment_bytes > log->options.max_bytes;
}

// A segment beyond the log's own two leaves the headroom to others.
static bool takes_headroom(const leat_log *log)
{
    uint64_t bytes = 0;
    if (log->spare || log->segment_count < 2 || log->options.headroom_bytes == 0)
        return false;
    leat_code code = log->env->ops->free_space(log->env, log->path, &bytes, NULL);
    return code == LEAT_OK && bytes < log->segment_bytes + log->options.headroom_bytes;
}

static leat_code prepare_one(leat_log *log, uint64_t first, leat_error *out_error)
{
    char path[LEAT_LOG_PATH];
    leat_log_segment_path(log, first, path);
    bool reused = log->spare;
    leat_code code = reused ? segment_reuse(log, path, out_error) : segment_make(log, path, out_error);
    if (code == LEAT_OK)
        code = log->env->ops->sync_directory(log->env, log->path, out_error);
    if (code != LEAT_OK)
        return code;
    leat_log_segment_add(log, first);
    pthread_mutex_lock(&log->lock);
    log->prepared_end = first + log->segment_bytes;
    log->stats.segments_made += !reused;
    log->stats.segments_reused += reused;
    pthread_mutex_unlock(&log->lock);
    return LEAT_OK;
}

// The segment in use and the one after it are to be there; returns the first that is not, UINT64_MAX for none.
static uint64_t unprepared(leat_log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t segment = leat_log_segment_of(log, log->append_end);
    uint64_t missing = log->prepared_end < segment + 2 * (uint64_t)log->segment_bytes ? log->prepared_end : UINT64_MAX;
    pthread_mutex_unlock(&log->lock);
    return missing;
}

static bool prepare_segments(leat_log *log, int64_t now_ms)
{
    leat_error error;
    bool any = false;
    for (uint64_t first; (first = unprepared(log)) != UINT64_MAX;) {
        if (over_limit(log)) {
            leat_error_at(&error, LEAT_E_LIMIT, log->path, "the log has reached its limit of %llu bytes",
                          (unsigned long long)log->options.max_bytes);
            state_set(log, LEAT_LOG_FULL_LIMIT, &error);
            return any;
        }
        if (now_ms < log->retry_ms)
            return any;
        leat_code code = takes_headroom(log)
                             ? leat_error_at(&error, LEAT_E_NO_SPACE, log->path, "the disk is nearly full")
                             : prepare_one(log, first, &error);
        if (code == LEAT_E_NO_SPACE) {
            log->retry_ms = now_ms + LEAT_LOG_RETRY_MS;
            state_set(log, LEAT_LOG_FULL_DISK, &error);
            return any;
        }
        if (code != LEAT_OK) {
            leat_log_poison(log, &error);
            return any;
        }
        any = true;
    }
    log->retry_ms = INT64_MIN;
    if (log->writing.size == 0)
        state_set(log, LEAT_LOG_ROOM, NULL);
    return any;
}

// ---- one turn of one log

static void write_and_sync(leat_log *log, bool sync_all, int64_t now_ms, bool *out_moved)
{
    leat_error error;
    leat_code code = LEAT_OK;
    bool held = log->writing.size > 0 && now_ms < log->retry_ms;
    // Twice: what an earlier turn could not write, and what came since. More would let busy producers keep the sync waiting.
    for (unsigned i = 0; i < 2 && code == LEAT_OK && !held && take_pending(log); i++) {
        code = write_buffer(log, &error);
        *out_moved |= code == LEAT_OK;
    }
    if (code == LEAT_E_NO_SPACE) {
        log->retry_ms = now_ms + LEAT_LOG_RETRY_MS;
        state_set(log, LEAT_LOG_FULL_DISK, &error);
        code = LEAT_OK;
    }
    if (code == LEAT_OK && sync_due(log, sync_all, now_ms)) {
        code = sync_now(log, &error);
        *out_moved |= code == LEAT_OK;
    }
    if (code != LEAT_OK)
        leat_log_poison(log, &error);
}

static int64_t next_due(leat_log *log)
{
    int64_t due = INT64_MAX;
    if (poisoned(log))
        return due;
    if (log->options.sync_ms > 0 && atomic_load(&log->durable_end) < atomic_load(&log->written_end))
        due = log->dirty_ms + log->options.sync_ms;
    bool waits = log->writing.size > 0 || atomic_load(&log->state) == LEAT_LOG_FULL_DISK;
    if (waits && log->retry_ms < due)
        due = log->retry_ms;
    return due;
}

int64_t leat_log_service(leat_log *log, bool sync_all)
{
    if (poisoned(log))
        return INT64_MAX;
    int64_t now_ms = leat_boot_ms(log->env);
    bool moved = false;
    if (trim_segments(log))
        log->retry_ms = INT64_MIN;
    write_and_sync(log, sync_all, now_ms, &moved);
    if (!poisoned(log))
        moved |= prepare_segments(log, now_ms);
    if (moved)
        notify(log);
    return next_due(log);
}

// ---- the thread

// Records alone do not wake a thread that naps between two groups: it looks by itself in a moment.
void leat_log_wake(leat_log_writer *writer, enum leat_log_work work)
{
    int before = atomic_load(&writer->work);
    while (before < (int)work && !atomic_compare_exchange_weak(&writer->work, &before, (int)work)) {
    }
    if (!writer->threaded || before >= (int)work)
        return;
    if (work == LEAT_LOG_WORK_GATHER && atomic_load(&writer->napping))
        return;
    pthread_mutex_lock(&writer->sleep);
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->sleep);
}

static int64_t service_all(leat_log_writer *writer)
{
    int64_t due = INT64_MAX;
    pthread_mutex_lock(&writer->service);
    for (leat_log *log = writer->logs; log; log = log->next) {
        int64_t log_due = leat_log_service(log, false);
        due = log_due < due ? log_due : due;
    }
    pthread_mutex_unlock(&writer->service);
    return due;
}

// Under `sleep`. The first record after a rest is written at once; those that come within LEAT_LOG_GATHER_MS of it share the next write.
static void nap(leat_log_writer *writer, int64_t due)
{
    int64_t left = due == INT64_MAX ? LEAT_LOG_GATHER_MS : due - leat_boot_ms(writer->env);
    left = left < LEAT_LOG_GATHER_MS ? left : LEAT_LOG_GATHER_MS;
    atomic_store(&writer->napping, true);
    if (!writer->stop && atomic_load(&writer->work) != LEAT_LOG_WORK_NOW && left > 0)
        leat_wait(&writer->wake, &writer->sleep, left);
    atomic_store(&writer->napping, false);
}

static void rest(leat_log_writer *writer, int64_t due)
{
    int64_t left = due == INT64_MAX ? -1 : due - leat_boot_ms(writer->env);
    if (!writer->stop && atomic_load(&writer->work) == LEAT_LOG_WORK_NONE && (due == INT64_MAX || left > 0))
        leat_wait(&writer->wake, &writer->sleep, left);
}

static void *writer_thread(void *context)
{
    leat_log_writer *writer = context;
    for (bool stop = false; !stop;) {
        bool had_records = atomic_exchange(&writer->work, LEAT_LOG_WORK_NONE) != LEAT_LOG_WORK_NONE;
        int64_t due = service_all(writer);
        pthread_mutex_lock(&writer->sleep);
        if (had_records)
            nap(writer, due);
        rest(writer, due);
        stop = writer->stop;
        pthread_mutex_unlock(&writer->sleep);
    }
    return NULL;
}

int64_t leat_log_writer_run(leat_log_writer *writer)
{
    LEAT_ASSERT(!writer->threaded);
    return service_all(writer);
}

leat_code leat_log_writer_create(leat_env *env, bool threaded, leat_log_writer **out_writer, leat_error *out_error)
{
    leat_log_writer *writer = leat_env_calloc(env, sizeof *writer);
    if (!writer)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for the log writer");
    writer->env = env;
    writer->threaded = threaded;
    pthread_mutex_init(&writer->service, NULL);
    pthread_mutex_init(&writer->sleep, NULL);
    leat_wait_init(&writer->wake);
    int result = threaded ? pthread_create(&writer->thread, NULL, writer_thread, writer) : 0;
    if (result != 0) {
        writer->threaded = false;
        leat_log_writer_destroy(writer);
        return leat_error_errno(out_error, result, "cannot start the log writer");
    }
    *out_writer = writer;
    return LEAT_OK;
}

void leat_log_writer_destroy(leat_log_writer *writer)
{
    if (!writer)
        return;
    LEAT_ASSERT(!writer->logs);
    if (writer->threaded) {
        pthread_mutex_lock(&writer->sleep);
        writer->stop = true;
        pthread_cond_signal(&writer->wake);
        pthread_mutex_unlock(&writer->sleep);
        pthread_join(writer->thread, NULL);
    }
    pthread_cond_destroy(&writer->wake);
    pthread_mutex_destroy(&writer->sleep);
    pthread_mutex_destroy(&writer->service);
    leat_env_free(writer->env, writer, sizeof *writer);
}
