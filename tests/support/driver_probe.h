// Plays the agent for one driver of a shared object: an intake with a journal file, a sink control, and a real mosquitto.
//
// Usage: probe_journal_open -> hand &journal.intake to a source's setup -> probe_source_start ... probe_source_stop ->
// probe_journal_close. What was appended is in memory until somebody waits for it to be durable, as in the agent; a process that is
// killed loses it. Opening cuts a torn record off.
//
// Record of the file: u32 size of what follows the CRC | u32 CRC32C of that | u8 tag | u8 flags | u32 key | i64 arrival ms | u32 topic size |
// topic | payload. Native byte order.
//
// Failure: by cmocka's fail_msg in the test's process, by exit(3) in others.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "drivers/sink.h"
#include "drivers/source.h"

enum { PROBE_GAPS = 32, PROBE_PATH = 200 };

typedef struct probe_journal {
    leat_intake intake; // first
    leat_env *env;
    int file;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint8_t *pending;
    size_t pending_size, pending_capacity;
    uint64_t end, durable_end;
    bool stop;
    // -- faults, set by the test at any time
    _Atomic bool full;  // append refuses, held
    _Atomic bool high;  // held, but append takes
    _Atomic bool stuck; // nothing becomes durable
    // -- what came
    _Atomic uint32_t messages, appended;
    _Atomic uint32_t gap_count;
    char gaps[PROBE_GAPS][32];
    _Atomic bool connected;
    _Atomic uint32_t connects;
    char note[160];
    _Atomic uint32_t not_kept, retransmitted, retained_ignored, too_large;
} probe_journal;

void probe_journal_open(probe_journal *journal, leat_env *env, const char *path);
void probe_journal_close(probe_journal *journal);
// Every record of a journal file, in order.
void probe_journal_read(const char *path, void (*visit)(void *context, const leat_raw *raw), void *context);

typedef struct probe_source {
    leat_source *source;
    leat_source_setup setup;
    leat_arena arena;
    pthread_t thread;
    probe_journal *journal;
    leat_code code;
    leat_error error;
} probe_source;
void probe_source_start(probe_source *probe, const leat_source_ops *ops, const char *name, const void *settings,
                        probe_journal *journal);
void probe_source_stop(probe_source *probe); // asserts that run returned LEAT_OK

// A broker of its own: a free port, a directory, settings beside the default ones.
typedef struct probe_broker {
    char directory[PROBE_PATH];
    int port, tls_port;
    pid_t pid;
} probe_broker;
void probe_broker_create(probe_broker *broker);
void probe_broker_start(probe_broker *broker, const char *more_settings); // waits until it accepts connections
void probe_broker_end(probe_broker *broker, int signal_number);           // waits for its end
void probe_broker_destroy(probe_broker *broker);                          // and probe_end_all
int probe_free_port(void);

// Starts a program with its standard input from a pipe (out_input NULL: none) and its output into a file (NULL: dropped).
pid_t probe_spawn(const char *const *arguments, int *out_input, const char *output);
int probe_wait(pid_t pid); // exit status, or 128 + signal
void probe_end_all(void);  // kills what was spawned and not waited for

int64_t probe_now_ms(void);
// Waits for a condition; fails the test after the deadline.
#define PROBE_UNTIL(condition, seconds)                                                                                \
    do {                                                                                                               \
        int64_t probe_until_ms = probe_now_ms() + (seconds)*1000;                                                      \
        while (!(condition)) {                                                                                         \
            if (probe_now_ms() > probe_until_ms)                                                                       \
                fail_msg("%s:%d: not within %d s: %s", __FILE__, __LINE__, (int)(seconds), #condition);                \
            usleep(5000);                                                                                              \
        }                                                                                                              \
    } while (0)
