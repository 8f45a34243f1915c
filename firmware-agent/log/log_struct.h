// What log.c (producers), open.c (recovery), writer.c (the thread that writes) and reader.c share of one log.
//
// Locks, in this order: writer->service (the writer's turn; open, close and truncate take it too) > log->notify (callbacks)
// > log->lock (everything marked "lock") ; writer->sleep stands alone. Nothing blocks under log->lock.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "firmware-agent/log/log.h"

enum { LEAT_LOG_EXTENTS = 16, LEAT_LOG_PATH = 512, LEAT_LOG_PENDING_FIRST = 64 << 10 };

typedef struct leat_log_extent {
    uint64_t position; // never crosses a segment
    uint32_t offset, size;
} leat_log_extent;

typedef struct leat_log_buffer {
    uint8_t *bytes;
    uint32_t size, capacity;
    unsigned extent_count, written_extents;
    leat_log_extent extents[LEAT_LOG_EXTENTS];
    uint64_t end; // position behind the last record
} leat_log_buffer;

struct leat_log {
    leat_log *next; // writer->service
    leat_log_writer *writer;
    leat_env *env;
    leat_log_options options; // directory points into path
    char path[LEAT_LOG_PATH]; // of the directory
    uint32_t segment_bytes;
    uint32_t generation;

    pthread_mutex_t lock;
    pthread_cond_t moved;    // durable_end or state
    leat_log_buffer pending; // lock
    uint64_t append_end;     // lock
    uint64_t headered;       // lock: first position of the last segment that has, or will have, its header
    uint64_t prepared_end;   // lock: records below have reserved room
    uint64_t sync_target;    // lock
    uint64_t trim_to;        // lock
    uint64_t count_until;    // lock: segments that begin behind it do not count towards max_bytes
    uint64_t *segments;      // lock: first positions of existing files, rising; changed by the writer
    size_t segment_count, segment_capacity;
    leat_log_stats stats; // lock
    leat_error poison;    // lock
    leat_log_gap *gaps;   // found by open, never changed after
    size_t gap_count;

    _Atomic uint64_t written_end, durable_end, oldest;
    _Atomic int state;

    pthread_mutex_t notify; // recursive
    void (*moved_callback)(void *context, leat_log *log);
    void *moved_context;

    // the writer's turn only
    leat_log_buffer writing;
    leat_file *file; // of the segment written last
    uint64_t file_first;
    bool dirty, spare;
    int64_t dirty_ms, retry_ms;
    uint64_t dirty_from;
};

struct leat_log_writer {
    leat_env *env;
    bool threaded;
    pthread_t thread;
    pthread_mutex_t service;
    leat_log *logs; // service
    pthread_mutex_t sleep;
    pthread_cond_t wake;
    bool stop;            // sleep
    _Atomic int work;     // leat_log_work
    _Atomic bool napping; // the thread will look at the end of its nap
};

// What a producer wants of the writer. GATHER: records are to be written within LEAT_LOG_GATHER_MS of the last turn; NOW: somebody waits.
enum leat_log_work { LEAT_LOG_WORK_NONE, LEAT_LOG_WORK_GATHER, LEAT_LOG_WORK_NOW };

static inline uint64_t leat_log_segment_of(const leat_log *log, uint64_t position)
{
    return position - position % log->segment_bytes;
}
void leat_log_path(const leat_log *log, const char *name, char out_path[LEAT_LOG_PATH]);
void leat_log_segment_path(const leat_log *log, uint64_t first, char out_path[LEAT_LOG_PATH]);
// First segment at or above position, UINT64_MAX when there is none. Takes the lock.
uint64_t leat_log_segment_from(leat_log *log, uint64_t position);
void leat_log_segment_add(leat_log *log, uint64_t first); // takes the lock; aborts without memory: bounded and small
void leat_log_segment_drop(leat_log *log, uint64_t first);
void leat_log_buffer_fini(leat_env *env, leat_log_buffer *buffer);

// writer.c; all but wake in the writer's turn.
void leat_log_wake(leat_log_writer *writer, enum leat_log_work work);
int64_t leat_log_service(leat_log *log, bool sync_all); // returns what is due next (boot ms)
LEAT_MUST_CHECK leat_code leat_log_write_at(leat_log *log, uint64_t position, const void *bytes, size_t size,
                                            leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_log_sync_file(leat_log *log, leat_error *out_error);
void leat_log_poison(leat_log *log, const leat_error *reason);
void leat_log_file_close(leat_log *log);
