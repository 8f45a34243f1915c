#include "firmware-agent/log/log_struct.h"

#include <stdio.h>
#include <string.h>

#include "firmware-agent/platform/wait.h"
#include "operators/base/checksum.h"

void leat_log_path(const leat_log *log, const char *name, char out_path[LEAT_LOG_PATH])
{
    int size = snprintf(out_path, LEAT_LOG_PATH, "%s/%s", log->path, name);
    LEAT_ASSERT(size > 0 && size < LEAT_LOG_PATH);
}

void leat_log_segment_path(const leat_log *log, uint64_t first, char out_path[LEAT_LOG_PATH])
{
    char name[LEAT_SEGMENT_NAME];
    leat_segment_name(first, name);
    leat_log_path(log, name, out_path);
}

uint64_t leat_log_segment_from(leat_log *log, uint64_t position)
{
    uint64_t first = UINT64_MAX;
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->segment_count && first == UINT64_MAX; i++)
        if (log->segments[i] >= position)
            first = log->segments[i];
    pthread_mutex_unlock(&log->lock);
    return first;
}

static void segments_grow(leat_log *log)
{
    size_t capacity = log->segment_capacity ? log->segment_capacity * 2 : 16;
    size_t old_size = log->segment_capacity * sizeof(uint64_t);
    uint64_t *grown = log->segments ? leat_env_grow(log->env, log->segments, old_size, capacity * sizeof(uint64_t))
                                    : leat_env_alloc(log->env, capacity * sizeof(uint64_t));
    LEAT_ASSERT(grown);
    log->segments = grown;
    log->segment_capacity = capacity;
}

void leat_log_segment_add(leat_log *log, uint64_t first)
{
    pthread_mutex_lock(&log->lock);
    if (log->segment_count == log->segment_capacity)
        segments_grow(log);
    size_t at = log->segment_count;
    for (; at > 0 && log->segments[at - 1] > first; at--)
        log->segments[at] = log->segments[at - 1];
    log->segments[at] = first;
    log->segment_count++;
    pthread_mutex_unlock(&log->lock);
}

void leat_log_segment_drop(leat_log *log, uint64_t first)
{
    pthread_mutex_lock(&log->lock);
    size_t kept = 0;
    for (size_t i = 0; i < log->segment_count; i++)
        if (log->segments[i] != first)
            log->segments[kept++] = log->segments[i];
    log->segment_count = kept;
    pthread_mutex_unlock(&log->lock);
}

void leat_log_buffer_fini(leat_env *env, leat_log_buffer *buffer)
{
    leat_env_free(env, buffer->bytes, buffer->capacity);
    *buffer = (leat_log_buffer){0};
}

static bool buffer_reserve(leat_log *log, size_t size)
{
    leat_log_buffer *buffer = &log->pending;
    if (size <= buffer->capacity - buffer->size)
        return true;
    size_t capacity = buffer->capacity ? buffer->capacity : LEAT_LOG_PENDING_FIRST;
    while (capacity - buffer->size < size)
        capacity *= 2;
    uint8_t *grown = buffer->bytes ? leat_env_grow(log->env, buffer->bytes, buffer->capacity, capacity)
                                   : leat_env_alloc(log->env, capacity);
    if (!grown)
        return false;
    buffer->bytes = grown;
    buffer->capacity = (uint32_t)capacity;
    return true;
}

// Room was reserved before.
static uint8_t *buffer_extend(leat_log *log, uint64_t position, uint32_t size)
{
    leat_log_buffer *buffer = &log->pending;
    leat_log_extent *last = buffer->extent_count ? &buffer->extents[buffer->extent_count - 1] : NULL;
    if (!last || last->position + last->size != position || position % log->segment_bytes == 0) {
        LEAT_ASSERT(buffer->extent_count < LEAT_LOG_EXTENTS);
        last = &buffer->extents[buffer->extent_count++];
        *last = (leat_log_extent){.position = position, .offset = buffer->size};
    }
    uint8_t *bytes = buffer->bytes + buffer->size;
    last->size += size;
    buffer->size += size;
    return bytes;
}

enum { PRESSING_PART = 8 }; // of pending_max: more is not gathered any longer

// Where a record of this span goes, and what has to be written before it.
typedef struct placing {
    uint64_t position, segment;
    bool seals;   // an end record at append_end
    bool headers; // a segment header
} placing;

static placing place(const leat_log *log, uint32_t span)
{
    uint64_t segment = leat_log_segment_of(log, log->append_end);
    uint64_t offset = log->append_end - segment;
    placing placed = {.position = log->append_end, .segment = segment};
    if (offset + span > log->segment_bytes) {
        placed.seals = offset + LEAT_RECORD_HEADER <= log->segment_bytes;
        placed.segment = segment + log->segment_bytes;
        offset = 0;
    }
    if (offset < LEAT_SEGMENT_HEADER)
        placed.position = placed.segment + LEAT_SEGMENT_HEADER;
    placed.headers = placed.segment != log->headered;
    return placed;
}

static leat_code refusal(const leat_log *log)
{
    switch ((leat_log_state)atomic_load(&log->state)) {
    case LEAT_LOG_FULL_DISK:
        return LEAT_E_NO_SPACE;
    case LEAT_LOG_FULL_LIMIT:
        return LEAT_E_LIMIT;
    case LEAT_LOG_POISONED:
        return LEAT_E_IO;
    case LEAT_LOG_ROOM:
        break;
    }
    return LEAT_AGAIN;
}

static leat_code admit(leat_log *log, const placing *placed, uint32_t span)
{
    if (atomic_load(&log->state) == LEAT_LOG_POISONED)
        return LEAT_E_IO;
    if (placed->segment + log->segment_bytes > log->prepared_end)
        return refusal(log);
    uint32_t need = span + LEAT_RECORD_HEADER + LEAT_SEGMENT_HEADER;
    if (log->pending.size + (uint64_t)need > log->options.pending_max ||
        log->pending.extent_count + 2 > LEAT_LOG_EXTENTS)
        return LEAT_AGAIN;
    return buffer_reserve(log, need) ? LEAT_OK : LEAT_E_MEMORY;
}

static void put_record(leat_log *log, const placing *placed, const leat_slice *parts, size_t part_count, uint32_t size,
                       uint32_t crc)
{
    uint32_t span = leat_record_span(size);
    if (placed->seals)
        leat_record_header(buffer_extend(log, log->append_end, LEAT_RECORD_HEADER), LEAT_RECORD_END, 0, 0,
                           log->append_end, log->generation);
    if (placed->headers)
        leat_segment_header_write(buffer_extend(log, placed->segment, LEAT_SEGMENT_HEADER), placed->segment,
                                  log->generation, log->segment_bytes);
    log->headered = placed->segment;
    uint8_t *bytes = buffer_extend(log, placed->position, span);
    leat_record_header(bytes, LEAT_RECORD_PAYLOAD, size, crc, placed->position, log->generation);
    uint8_t *cursor = bytes + LEAT_RECORD_HEADER;
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].size)
            memcpy(cursor, parts[i].data, parts[i].size);
        cursor += parts[i].size;
    }
    memset(cursor, 0, (size_t)(bytes + span - cursor));
    log->append_end = placed->position + span;
    log->pending.end = log->append_end;
    log->stats.records++;
    log->stats.payload_bytes += size;
}

leat_code leat_log_append(leat_log *log, const leat_slice *parts, size_t part_count, uint64_t *out_position,
                          uint64_t *out_end)
{
    LEAT_ASSERT(part_count <= LEAT_LOG_PARTS_MAX);
    size_t size = 0;
    uint32_t crc = 0;
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].size > leat_log_record_max(log) - size)
            return LEAT_E_LIMIT;
        size += parts[i].size;
        crc = leat_crc32c(crc, parts[i].data, parts[i].size);
    }
    uint32_t span = leat_record_span(size);
    bool pressing = false;
    pthread_mutex_lock(&log->lock);
    placing placed = place(log, span);
    leat_code code = admit(log, &placed, span);
    if (code == LEAT_OK) {
        pressing = placed.seals || placed.headers || log->pending.size > log->options.pending_max / PRESSING_PART;
        put_record(log, &placed, parts, part_count, (uint32_t)size, crc);
        if (out_position)
            *out_position = placed.position;
        if (out_end)
            *out_end = log->append_end;
    }
    pthread_mutex_unlock(&log->lock);
    if (code == LEAT_OK)
        leat_log_wake(log->writer, pressing ? LEAT_LOG_WORK_NOW : LEAT_LOG_WORK_GATHER);
    return code;
}

size_t leat_log_record_max(const leat_log *log)
{
    size_t fits = log->segment_bytes - LEAT_SEGMENT_HEADER - LEAT_RECORD_HEADER;
    size_t pending = log->options.pending_max - 2 * LEAT_RECORD_HEADER - LEAT_SEGMENT_HEADER - LEAT_RECORD_ALIGN;
    if (pending < fits)
        fits = pending;
    return fits < LEAT_RECORD_BYTES_MAX ? fits : LEAT_RECORD_BYTES_MAX;
}

// The questions take the lock of a log that they do not change.
static leat_log *unconst(const leat_log *log) { return (leat_log *)(uintptr_t)log; }

uint64_t leat_log_room(const leat_log *log)
{
    leat_log *own = unconst(log);
    pthread_mutex_lock(&own->lock);
    uint64_t offset = log->append_end % log->segment_bytes, room = 0;
    uint64_t segment = log->append_end - offset, overhead = LEAT_RECORD_HEADER + LEAT_RECORD_ALIGN;
    if (segment + 2 * (uint64_t)log->segment_bytes <= log->prepared_end)
        room = leat_log_record_max(log);
    else if (segment + log->segment_bytes <= log->prepared_end &&
             log->segment_bytes - offset > overhead + LEAT_SEGMENT_HEADER)
        room = log->segment_bytes - offset - overhead - LEAT_SEGMENT_HEADER;
    uint64_t used = (uint64_t)log->pending.size + overhead + LEAT_RECORD_HEADER + LEAT_SEGMENT_HEADER;
    uint64_t pending = log->options.pending_max > used ? log->options.pending_max - used : 0;
    if (log->pending.extent_count + 2 > LEAT_LOG_EXTENTS || atomic_load(&log->state) == LEAT_LOG_POISONED)
        pending = 0;
    pthread_mutex_unlock(&own->lock);
    room = room < pending ? room : pending;
    return room < leat_log_record_max(log) ? room : leat_log_record_max(log);
}

static void ask_sync(leat_log *log, uint64_t position)
{
    if (position > log->append_end)
        position = log->append_end;
    if (position > log->sync_target)
        log->sync_target = position;
}

void leat_log_request_sync(leat_log *log, uint64_t position)
{
    pthread_mutex_lock(&log->lock);
    ask_sync(log, position);
    pthread_mutex_unlock(&log->lock);
    leat_log_wake(log->writer, LEAT_LOG_WORK_NOW);
}

static bool settled(const leat_log *log, uint64_t position)
{
    return atomic_load(&log->durable_end) >= position || atomic_load(&log->state) == LEAT_LOG_POISONED;
}

leat_code leat_log_wait_durable(leat_log *log, uint64_t position, int64_t timeout_ms)
{
    leat_log_request_sync(log, position);
    if (!log->writer->threaded)
        leat_log_writer_run(log->writer);
    int64_t until = timeout_ms < 0 ? INT64_MAX : leat_boot_ms(log->env) + timeout_ms;
    pthread_mutex_lock(&log->lock);
    if (position > log->append_end)
        position = log->append_end;
    while (log->writer->threaded && !settled(log, position)) {
        int64_t left = timeout_ms < 0 ? -1 : until - leat_boot_ms(log->env);
        if (timeout_ms >= 0 && left <= 0)
            break;
        leat_wait(&log->moved, &log->lock, left);
    }
    leat_code code = atomic_load(&log->durable_end) >= position ? LEAT_OK : LEAT_E_TIMEOUT;
    if (atomic_load(&log->state) == LEAT_LOG_POISONED)
        code = LEAT_E_IO;
    pthread_mutex_unlock(&log->lock);
    return code;
}

void leat_log_trim(leat_log *log, uint64_t position)
{
    pthread_mutex_lock(&log->lock);
    if (position > log->append_end)
        position = log->append_end;
    bool raised = position > log->trim_to;
    if (raised)
        log->trim_to = position;
    pthread_mutex_unlock(&log->lock);
    if (raised)
        leat_log_wake(log->writer, LEAT_LOG_WORK_NOW);
}

void leat_log_count_until(leat_log *log, uint64_t position)
{
    pthread_mutex_lock(&log->lock);
    log->count_until = position;
    pthread_mutex_unlock(&log->lock);
}

uint64_t leat_log_reserved(const leat_log *log)
{
    leat_log *own = unconst(log);
    pthread_mutex_lock(&own->lock);
    uint64_t reserved = log->prepared_end > log->append_end ? log->prepared_end - log->append_end : 0;
    pthread_mutex_unlock(&own->lock);
    return reserved;
}

uint32_t leat_log_segment_bytes(const leat_log *log) { return log->segment_bytes; }
uint64_t leat_log_oldest(const leat_log *log) { return atomic_load(&log->oldest); }
uint64_t leat_log_written_end(const leat_log *log) { return atomic_load(&log->written_end); }
uint64_t leat_log_durable_end(const leat_log *log) { return atomic_load(&log->durable_end); }
uint32_t leat_log_generation(const leat_log *log) { return log->generation; }
leat_log_state leat_log_state_get(const leat_log *log) { return (leat_log_state)atomic_load(&log->state); }

uint64_t leat_log_append_end(const leat_log *log)
{
    leat_log *own = unconst(log);
    pthread_mutex_lock(&own->lock);
    uint64_t end = log->append_end;
    pthread_mutex_unlock(&own->lock);
    return end;
}

leat_log_stats leat_log_stats_get(const leat_log *log)
{
    leat_log *own = unconst(log);
    pthread_mutex_lock(&own->lock);
    leat_log_stats stats = log->stats;
    pthread_mutex_unlock(&own->lock);
    return stats;
}

void leat_log_subscribe(leat_log *log, void (*moved)(void *context, leat_log *log), void *context)
{
    pthread_mutex_lock(&log->notify);
    log->moved_callback = moved;
    log->moved_context = context;
    pthread_mutex_unlock(&log->notify);
}
