// An env for tests: memory and files of the POSIX env, with clocks that stand still until told, random numbers that
// repeat, and faults by count.
//
// Usage: create; hand env_test_env to the code under test; set clocks and faults through the fields at any time; destroy,
// which fails the process when memory or files are still out. Calls count from 1, so `fail_alloc_at = 3` refuses the third
// allocation from now on when `alloc_count` was set to 0 before.
//
// Threads: functions of the env any; the fields are set while no other thread uses the env.
#pragma once

#include <stdatomic.h>

#include "operators/base/env.h"

typedef enum env_test_call {
    ENV_TEST_OPEN,
    ENV_TEST_PREAD,
    ENV_TEST_PWRITE,
    ENV_TEST_READ,
    ENV_TEST_SYNC, // and sync_directory
    ENV_TEST_PREALLOCATE,
    ENV_TEST_TRUNCATE,
    ENV_TEST_STAT, // file_stat and path_stat
    ENV_TEST_RENAME,
    ENV_TEST_UNLINK,
    ENV_TEST_DIRECTORY, // make, remove, list
    ENV_TEST_FREE_SPACE,
    ENV_TEST_CALLS
} env_test_call;

typedef struct env_test {
    leat_env env; // first: a leat_env * is an env_test *
    leat_env *inner;
    // -- clocks
    _Atomic int64_t wall_ms, boot_ns;
    _Atomic uint64_t random; // state of the generator
    // -- memory
    _Atomic uint64_t alloc_count;   // calls of alloc and grow
    _Atomic uint64_t fail_alloc_at; // 0: never
    bool fail_alloc_after;          // that one and all that follow
    _Atomic size_t memory;          // bytes out
    _Atomic size_t memory_peak;
    size_t memory_limit; // 0: none
    // -- files
    _Atomic uint64_t file_count;                   // all calls below
    _Atomic uint64_t call_count[ENV_TEST_CALLS];   // by kind
    _Atomic uint64_t fail_file_at;                 // of file_count, 0: never
    _Atomic uint64_t fail_call_at[ENV_TEST_CALLS]; // of call_count
    bool fail_file_after;
    leat_code fail_code; // default LEAT_E_IO
    bool
        short_calls; // the failing pread, pwrite or read does half of its work before it fails (pread, read: gives half, no failure)
    _Atomic uint64_t open_files;
} env_test;

env_test *env_test_create(void);
void env_test_destroy(env_test *test); // NULL allowed
static inline leat_env *env_test_env(env_test *test) { return &test->env; }
void env_test_advance(env_test *test, int64_t ms); // both clocks
// Zeroes counts and withdraws faults; clocks stay.
void env_test_reset(env_test *test);
