// An append-only log of records in preallocated segment files, which survives kill and power cut at any instant. The
// journal (what arrived) and the outbox of every sink (what must leave) are logs.
//
// Usage: create a leat_log_writer, open logs with it, optionally cut them back (leat_log_truncate), then append from any
// thread; readers follow. Closing a log writes and syncs what is pending; the writer is destroyed after its last log.
// A writer without a thread (threaded = false) is for the simulator and tests: work is done by leat_log_writer_run.
//
// A position is the byte offset of a record in the whole log, from its first day on. Positions rise and never repeat, but
// for those above a cut, where the generation is higher. A record's "end" is the position of the record after it. Bytes of
// the format: segment.h and record.h.
//
// Ownership: the log copies what is appended; a slice given by a reader is borrowed until its next call.
// Threads: append, request_sync, wait_durable, trim and the questions: any thread. One reader: one thread. Open, truncate
// and close: not beside other calls on the same log. Callbacks come on the writer's thread, hold no lock of the log, must be
// cheap, and may call the questions, append and trim, but not wait_durable, open or close.
// Failure: after the first failed write or fsync (other than a full disk at a write) the log is poisoned: every call gives
// LEAT_E_IO, the state callback says so once, and the agent exits and restarts from what is on disk. Nothing is ever
// retried on the same descriptor.
// Limits: max_bytes counts whole segments, the one prepared ahead included, up to where leat_log_count_until says. Accepted records always fit into
// segments that are already reserved, so a disk that fills up loses none of them. Two segments are a log's own: it keeps them, in use or as a
// spare, whatever happens to the disk. For more it leaves headroom_bytes of the disk free, so that logs on one disk cannot starve each other
// nor the checkpoints that let them trim.
#pragma once

#include "firmware-agent/log/segment.h"
#include "operators/base/bytes.h"
#include "operators/base/limits.h"

typedef struct leat_log leat_log;
typedef struct leat_log_writer leat_log_writer;
typedef struct leat_log_reader leat_log_reader;

enum {
    LEAT_LOG_PENDING_BYTES = 2 << 20, // default of pending_max
    LEAT_LOG_READ_BYTES = 64 << 10,   // one pread of a reader
    LEAT_LOG_RETRY_MS = 1000,         // between attempts to reserve a segment on a full disk
    LEAT_LOG_GATHER_MS = 2,           // between two writes of records that nobody wants synced
    LEAT_LOG_SEGMENT_SMALL = 1 << 20, // of a log that begins on a small disk
    LEAT_LOG_GAPS_MAX = 256,          // ranges listed by open; beyond, neighbours are merged
    LEAT_LOG_PARTS_MAX = 16,          // parts of one append
};
#define LEAT_LOG_OLDEST ((uint64_t)0)
#define LEAT_LOG_SCAN_LAST UINT64_MAX

// Both kinds of full are told when the next segment cannot be reserved: what is left of the present one is the room for
// messages that are in flight.
typedef enum leat_log_state {
    LEAT_LOG_ROOM,
    LEAT_LOG_FULL_DISK,  // no space; retried every LEAT_LOG_RETRY_MS and after every trim
    LEAT_LOG_FULL_LIMIT, // max_bytes reached; ends with a trim
    LEAT_LOG_POISONED,   // final
} leat_log_state;

typedef struct leat_log_options {
    const char *directory;   // made when missing; copied
    uint64_t max_bytes;      // 0: no limit; rounded down to whole segments, at least two
    uint64_t headroom_bytes; // of the disk, left free by segments beyond the log's own two
    uint32_t
        segment_bytes; // 0: as the directory has it, else by the size of the disk; a multiple of 4096, never changed for an existing directory
    uint32_t pending_max;    // bytes accepted and not yet written; 0: LEAT_LOG_PENDING_BYTES
    int64_t sync_ms;         // 0: only on request; n: at most n ms after the first write that is not synced
    uint64_t position_min;   // from the checkpoint: the log's end is never below, what is missing is a gap
    uint32_t generation_min; // from the checkpoint store; 0 when unknown
    uint64_t scan_from;      // segments from here on are verified at open; LEAT_LOG_SCAN_LAST: the last one only
    void (*on_state)(void *context, leat_log *log, leat_log_state state, const leat_error *reason); // optional
    void *context;
} leat_log_options;

// A range without readable records. Listed at every open while its segments are kept: those below the position from which
// the caller reads on are history.
typedef struct leat_log_gap {
    uint64_t from, to;
} leat_log_gap;

typedef struct leat_log_opened {
    uint64_t oldest, end;
    uint32_t generation; // of records appended from now on
    uint64_t torn_bytes; // behind the last good record: remains of an append that a crash cut off, never acknowledged
    unsigned gap_count;
    leat_log_gap gaps[LEAT_LOG_GAPS_MAX]; // rising
} leat_log_opened;

typedef struct leat_log_stats {
    uint64_t records, payload_bytes; // appended since open
    uint64_t written_bytes;          // with headers
    uint64_t page_bytes;             // flash: 4 KiB pages touched, counted at every sync
    uint64_t syncs, segments_made, segments_reused, segments_removed;
} leat_log_stats;

// -- writer: one for all logs of the agent. Failure: LEAT_E_MEMORY, LEAT_E_LIMIT (no thread).
LEAT_MUST_CHECK leat_code leat_log_writer_create(leat_env *env, bool threaded, leat_log_writer **out_writer,
                                                 leat_error *out_error);
void leat_log_writer_destroy(leat_log_writer *writer); // NULL allowed; all its logs are closed
// Writers without a thread only: does what is due and returns the env's boot time (ms) of what is due next, INT64_MAX for nothing.
int64_t leat_log_writer_run(leat_log_writer *writer);

// What logs in this directory are to leave free for others (headroom_bytes), by the size of what is free now.
uint64_t leat_log_headroom(leat_env *env, const char *directory);

// -- log. Open never fails because of damage: it fails when the directory cannot be made or listed (LEAT_E_IO,
// LEAT_E_PERMISSION), on LEAT_E_MEMORY, LEAT_E_INVALID options, and LEAT_E_UNSUPPORTED when a newer release wrote it.
// A full disk does not fail it either: the log opens in state LEAT_LOG_FULL_DISK.
LEAT_MUST_CHECK leat_code leat_log_open(leat_log_writer *writer, const leat_log_options *options, leat_log **out_log,
                                        leat_log_opened *out_opened, leat_error *out_error);
// Writes and syncs what is pending, then releases; the code tells whether that succeeded. Readers are closed before. NULL allowed.
leat_code leat_log_close(leat_log *log, leat_error *out_error);
// Releases without writing what is pending (after poisoning, and for tests that play a kill).
void leat_log_abandon(leat_log *log);

// Recovery: records at and above position never existed. Durable on return. Position is the end of a record, as a checkpoint
// keeps it; at or above the end nothing is cut. Before the first append and before readers are opened. LEAT_E_NOT_FOUND:
// below the oldest segment (everything is dropped, the log goes on behind).
LEAT_MUST_CHECK leat_code leat_log_truncate(leat_log *log, uint64_t position, leat_error *out_error);

// Takes one record made of parts, at most leat_log_record_max bytes in sum. Not yet written on return; in order of calls.
// out_end is what to hand to wait_durable; both outputs may be NULL. LEAT_AGAIN: the writer is behind, try again when the
// subscriber was called; LEAT_E_LIMIT: max_bytes, until a trim (or a record too large); LEAT_E_NO_SPACE: disk full.
// Nothing is taken on a failure.
LEAT_MUST_CHECK leat_code leat_log_append(leat_log *log, const leat_slice *parts, size_t part_count,
                                          uint64_t *out_position, uint64_t *out_end);
// Payload bytes that one append takes for sure if no other producer comes first; 0 also when full or poisoned.
uint64_t leat_log_room(const leat_log *log);
size_t leat_log_record_max(const leat_log *log);
// Bytes of segments that are reserved and not filled yet.
uint64_t leat_log_reserved(const leat_log *log);
uint32_t leat_log_segment_bytes(const leat_log *log);

// Asks for a sync up to position (an end); several requests share one. Never waits.
void leat_log_request_sync(leat_log *log, uint64_t position);
// The same, and waits until it is done: LEAT_OK, LEAT_E_TIMEOUT, LEAT_E_IO. timeout_ms < 0: no limit.
LEAT_MUST_CHECK leat_code leat_log_wait_durable(leat_log *log, uint64_t position, int64_t timeout_ms);

// Records from position on do not count towards max_bytes: what no checkpoint covers yet cannot leave, and the bound must not stop the checkpoint.
// Every position counts until this is called.
void leat_log_count_until(leat_log *log, uint64_t position);

// Nobody needs records below position any more; whole segments below are given back by the writer's thread.
void leat_log_trim(leat_log *log, uint64_t position);

// -- questions. append_end >= written_end >= durable_end.
uint64_t leat_log_oldest(const leat_log *log);
uint64_t leat_log_append_end(const leat_log *log);
uint64_t leat_log_written_end(const leat_log *log); // readable up to here
uint64_t leat_log_durable_end(const leat_log *log);
uint32_t leat_log_generation(const leat_log *log);
leat_log_state leat_log_state_get(const leat_log *log);
leat_log_stats leat_log_stats_get(const leat_log *log);

// Called after written_end or durable_end moved, and after room came back; at most one per log, NULL withdraws. When this
// returns the former one is not running any more (unless called from within it).
void leat_log_subscribe(leat_log *log, void (*moved)(void *context, leat_log *log), void *context);

// -- reader. Position: LEAT_LOG_OLDEST, a record's position or an end. LEAT_E_NOT_FOUND: below the oldest record kept.
LEAT_MUST_CHECK leat_code leat_log_reader_open(leat_log *log, uint64_t position, leat_log_reader **out_reader,
                                               leat_error *out_error);
void leat_log_reader_close(leat_log_reader *reader); // NULL allowed
// The next record, verified. LEAT_AGAIN at written_end. LEAT_E_CORRUPT: damage that open did not list was found; out_gap (may
// be NULL) is its range, and the next call goes on behind it. LEAT_E_NOT_FOUND: trimmed away under the reader. LEAT_E_IO.
LEAT_MUST_CHECK leat_code leat_log_reader_next(leat_log_reader *reader, leat_slice *out_record, uint64_t *out_position,
                                               leat_log_gap *out_gap, leat_error *out_error);
uint64_t leat_log_reader_position(const leat_log_reader *reader); // end of the last record returned
// LEAT_E_NOT_FOUND leaves the reader where it was.
LEAT_MUST_CHECK leat_code leat_log_reader_seek(leat_log_reader *reader, uint64_t position, leat_error *out_error);
