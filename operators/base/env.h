// The one seam to the world: clocks, files, random numbers and memory growth.
//
// Nothing above operators/base calls open, fsync, clock_gettime or malloc by itself; it is given a leat_env. The POSIX
// side is firmware-agent/platform/env_posix.c; a simulator or a fault injector is another table. LMDB, paho, libmodbus
// and libyaml do their own I/O and are reached by interposition only.
//
// Threads: every function may be called from any thread; one leat_file is used by one thread at a time, except that
// pread is safe beside a writer. Failure: file calls return a code and fill out_error with the path as its place.
// Memory: alloc returns NULL when the growth limit is reached; see arena.h for who has to look.
#pragma once

#include "operators/base/error.h"

typedef struct leat_env leat_env;
typedef struct leat_file leat_file;

typedef enum leat_open_mode {
    LEAT_OPEN_READ,       // must exist
    LEAT_OPEN_WRITE,      // read and write, created when missing
    LEAT_OPEN_CREATE_NEW, // must not exist
    LEAT_OPEN_APPEND,     // created when missing, positioned at the end
} leat_open_mode;

typedef struct leat_file_stat {
    uint64_t size;
    uint64_t inode;      // changes when a followed file was rotated
    int64_t modified_ms; // wall clock
    uint32_t mode;       // POSIX permission bits
    uint32_t owner;      // uid
    bool is_directory;
} leat_file_stat;

// Called for each name of a directory except "." and ".."; returning false stops the walk.
typedef bool (*leat_directory_visit)(void *context, const char *name);

typedef struct leat_env_ops {
    // -- clocks
    int64_t (*wall_ms)(leat_env *env); // CLOCK_REALTIME, ms since 1970; may jump
    int64_t (*boot_ns)(leat_env *env); // CLOCK_BOOTTIME, ns; never goes back, counts suspend; meaningless across boots
    // -- random
    void (*random)(leat_env *env, void *out_bytes, size_t size);
    // -- memory
    void *(*alloc)(leat_env *env, size_t size); // not cleared; NULL at the limit
    void *(*grow)(leat_env *env, void *old, size_t old_size, size_t new_size);
    void (*free)(leat_env *env, void *memory, size_t size); // size as allocated; NULL memory allowed
    // -- files
    leat_code (*open)(leat_env *env, const char *path, leat_open_mode mode, leat_file **out_file,
                      leat_error *out_error);
    void (*close)(leat_env *env, leat_file *file); // NULL allowed
    // Reads up to size at offset; out_read < size only at the end of the file.
    leat_code (*pread)(leat_file *file, void *bytes, size_t size, uint64_t offset, size_t *out_read,
                       leat_error *out_error);
    // Writes all of it or fails. "/dev/stdout" and "/dev/stderr" are our own streams and take bytes in sequence, whatever the offset.
    leat_code (*pwrite)(leat_file *file, const void *bytes, size_t size, uint64_t offset, leat_error *out_error);
    // Blocking sequential read (pipes, ttys, stdin); 0 bytes means the end.
    leat_code (*read)(leat_file *file, void *bytes, size_t size, size_t *out_read, leat_error *out_error);
    leat_code (*sync)(leat_file *file, leat_error *out_error); // fdatasync
    leat_code (*preallocate)(leat_file *file, uint64_t size,
                             leat_error *out_error); // reserves blocks; ENOSPC here, not later
    leat_code (*truncate)(leat_file *file, uint64_t size, leat_error *out_error);
    leat_code (*file_stat)(leat_file *file, leat_file_stat *out_stat, leat_error *out_error);
    leat_code (*path_stat)(leat_env *env, const char *path, leat_file_stat *out_stat, leat_error *out_error);
    leat_code (*rename)(leat_env *env, const char *from, const char *to, leat_error *out_error);
    leat_code (*unlink)(leat_env *env, const char *path, leat_error *out_error);
    leat_code (*make_directory)(leat_env *env, const char *path, uint32_t mode,
                                leat_error *out_error); // with parents; existing is fine
    leat_code (*remove_directory)(leat_env *env, const char *path, leat_error *out_error);
    leat_code (*sync_directory)(leat_env *env, const char *path, leat_error *out_error);
    leat_code (*list)(leat_env *env, const char *path, leat_directory_visit visit, void *context,
                      leat_error *out_error);
    leat_code (*free_space)(leat_env *env, const char *path, uint64_t *out_bytes, leat_error *out_error);
} leat_env_ops;

struct leat_env {
    const leat_env_ops *ops;
    // Implementation's own fields follow in a containing struct.
};

static inline int64_t leat_wall_ms(leat_env *env) { return env->ops->wall_ms(env); }
static inline int64_t leat_boot_ns(leat_env *env) { return env->ops->boot_ns(env); }
static inline int64_t leat_boot_ms(leat_env *env) { return env->ops->boot_ns(env) / 1000000; }

// Cleared memory, or NULL at the limit.
void *leat_env_calloc(leat_env *env, size_t size);
void *leat_env_alloc(leat_env *env, size_t size);
void *leat_env_grow(leat_env *env, void *old, size_t old_size, size_t new_size);
void leat_env_free(leat_env *env, void *memory, size_t size);
// Whole file into memory of the arena, terminated by a 0 byte that size does not count.
struct leat_arena;
LEAT_MUST_CHECK leat_code leat_env_read_file(leat_env *env, const char *path, struct leat_arena *arena, size_t size_max,
                                             char **out_text, size_t *out_size, leat_error *out_error);
