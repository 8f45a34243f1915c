// A disk in memory that can lose its power: an env whose files and directory have a synced and an unsynced side.
//
// Usage: disk_create; run a log on disk_env; disk_stop_after lets the n-th call from now, and all that follow, fail as if the
// process were gone; disk_power_cut makes what a reader after the cut may find: of every file each 512-byte sector is the synced or the
// unsynced one, by lot; of the directory a beginning of the unsynced changes. disk_kill keeps everything that was written. capacity bounds the
// reserved bytes (LEAT_E_NO_SPACE). Clock: stands still until `now_ms` is set.
// Threads: one.
#pragma once

#include <stdlib.h>
#include <string.h>

#include "operators/base/env.h"
#include "operators/base/hash.h"

enum { DISK_FILES = 512, DISK_NAME = 96, DISK_CHANGES = 256, DISK_SECTOR = 512 };

typedef struct disk_bytes {
    uint8_t *bytes;
    size_t size, capacity;
} disk_bytes;

typedef struct disk_inode {
    bool used;
    disk_bytes now, synced;
    uint64_t reserved;
} disk_inode;

typedef struct disk_name {
    char name[DISK_NAME];
    int inode; // -1: free
} disk_name;

typedef struct disk_change {
    char from[DISK_NAME], to[DISK_NAME]; // rename; create: from empty; remove: to empty
    int inode;
} disk_change;

typedef struct disk {
    leat_env env;
    disk_inode inodes[DISK_FILES];
    disk_name now[DISK_FILES], synced[DISK_FILES];
    disk_change changes[DISK_CHANGES];
    size_t change_count;
    uint64_t capacity, random, calls, stop_at; // 0: none
    int64_t now_ms;
    bool stopped;
    leat_code sync_code, write_code; // LEAT_OK, or what sync and pwrite give
    int open_files;
} disk;

struct leat_file {
    disk *disk;
    int inode;
};

static inline uint64_t disk_random(disk *d)
{
    d->random += 0x9e3779b97f4a7c15ULL;
    return leat_hash_mix(d->random);
}

static inline disk *disk_of(leat_env *env) { return (disk *)env; }

static inline bool disk_dead(disk *d)
{
    d->calls++;
    if (d->stop_at && d->calls >= d->stop_at)
        d->stopped = true;
    return d->stopped;
}

static inline leat_code disk_gone(leat_error *error) { return leat_error_set(error, LEAT_E_IO, "the process is gone"); }

static inline int disk_find(const disk_name *names, const char *name)
{
    for (int i = 0; i < DISK_FILES; i++)
        if (names[i].inode >= 0 && strcmp(names[i].name, name) == 0)
            return i;
    return -1;
}

static inline void disk_size(disk_bytes *bytes, size_t size)
{
    if (size > bytes->capacity) {
        bytes->bytes = realloc(bytes->bytes, size);
        LEAT_ASSERT(bytes->bytes);
        memset(bytes->bytes + bytes->capacity, 0, size - bytes->capacity);
        bytes->capacity = size;
    }
    if (size < bytes->size)
        memset(bytes->bytes + size, 0, bytes->size - size);
    bytes->size = size;
}

static inline void disk_name_set(disk_name *names, const char *name, int inode)
{
    int at = disk_find(names, name);
    for (int i = 0; at < 0 && i < DISK_FILES; i++)
        if (names[i].inode < 0)
            at = i;
    LEAT_ASSERT(at >= 0 && strlen(name) < DISK_NAME);
    memcpy(names[at].name, name, strlen(name) + 1);
    names[at].inode = inode;
}

static inline void disk_apply(disk_name *names, const disk_change *change)
{
    int from = change->from[0] ? disk_find(names, change->from) : -1;
    if (from >= 0)
        names[from].inode = -1;
    if (change->to[0])
        disk_name_set(names, change->to, change->inode);
}

static inline void disk_directory_sync(disk *d)
{
    memcpy(d->synced, d->now, sizeof d->synced);
    d->change_count = 0;
}

static inline void disk_change_note(disk *d, const char *from, const char *to, int inode)
{
    if (d->change_count == DISK_CHANGES)
        disk_directory_sync(d); // a journal that is full is written
    disk_change *change = &d->changes[d->change_count++];
    *change = (disk_change){.inode = inode};
    memcpy(change->from, from, strlen(from) + 1);
    memcpy(change->to, to, strlen(to) + 1);
    disk_apply(d->now, change);
}

static inline int64_t disk_wall_ms(leat_env *env) { return disk_of(env)->now_ms; }
static inline int64_t disk_boot_ns(leat_env *env) { return disk_of(env)->now_ms * 1000000; }
static inline void disk_random_bytes(leat_env *env, void *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)out)[i] = (uint8_t)disk_random(disk_of(env));
}
static inline void *disk_alloc(leat_env *env, size_t size)
{
    (void)env;
    return malloc(size ? size : 1);
}
static inline void *disk_grow(leat_env *env, void *old, size_t old_size, size_t new_size)
{
    (void)env, (void)old_size;
    return realloc(old, new_size ? new_size : 1);
}
static inline void disk_free(leat_env *env, void *memory, size_t size)
{
    (void)env, (void)size;
    free(memory);
}

static inline int disk_inode_new(disk *d)
{
    for (int i = 0; i < DISK_FILES; i++) {
        bool named = false;
        for (int n = 0; n < DISK_FILES && d->inodes[i].used; n++)
            named |= d->now[n].inode == i || d->synced[n].inode == i;
        for (size_t c = 0; c < d->change_count && d->inodes[i].used; c++)
            named |= d->changes[c].inode == i;
        if (d->inodes[i].used && named)
            continue;
        disk_size(&d->inodes[i].now, 0);
        disk_size(&d->inodes[i].synced, 0);
        d->inodes[i].used = true;
        d->inodes[i].reserved = 0;
        return i;
    }
    abort();
}

static inline leat_code disk_open(leat_env *env, const char *path, leat_open_mode mode, leat_file **out_file,
                                  leat_error *error)
{
    disk *d = disk_of(env);
    if (disk_dead(d))
        return disk_gone(error);
    int at = disk_find(d->now, path);
    if (at < 0 && mode == LEAT_OPEN_READ)
        return leat_error_at(error, LEAT_E_NOT_FOUND, path, "not there");
    int inode = at >= 0 ? d->now[at].inode : disk_inode_new(d);
    if (at < 0)
        disk_change_note(d, "", path, inode);
    leat_file *file = malloc(sizeof *file);
    LEAT_ASSERT(file);
    *file = (leat_file){d, inode};
    d->open_files++;
    *out_file = file;
    return LEAT_OK;
}

static inline void disk_close(leat_env *env, leat_file *file)
{
    if (file)
        disk_of(env)->open_files--;
    free(file);
}

static inline leat_code disk_pread(leat_file *file, void *bytes, size_t size, uint64_t offset, size_t *out_read,
                                   leat_error *error)
{
    disk_bytes *now = &file->disk->inodes[file->inode].now;
    if (disk_dead(file->disk))
        return disk_gone(error);
    *out_read = offset >= now->size ? 0 : now->size - offset < size ? (size_t)(now->size - offset) : size;
    if (*out_read)
        memcpy(bytes, now->bytes + offset, *out_read);
    return LEAT_OK;
}

static inline leat_code disk_pwrite(leat_file *file, const void *bytes, size_t size, uint64_t offset, leat_error *error)
{
    disk_bytes *now = &file->disk->inodes[file->inode].now;
    if (disk_dead(file->disk))
        return disk_gone(error);
    if (file->disk->write_code != LEAT_OK)
        return leat_error_set(error, file->disk->write_code, "write refused");
    if (offset + size > now->size)
        disk_size(now, (size_t)(offset + size));
    memcpy(now->bytes + offset, bytes, size);
    return LEAT_OK;
}

static inline leat_code disk_sync(leat_file *file, leat_error *error)
{
    disk_inode *inode = &file->disk->inodes[file->inode];
    if (disk_dead(file->disk))
        return disk_gone(error);
    if (file->disk->sync_code != LEAT_OK)
        return leat_error_set(error, file->disk->sync_code, "sync refused");
    disk_size(&inode->synced, inode->now.size);
    if (inode->now.size)
        memcpy(inode->synced.bytes, inode->now.bytes, inode->now.size);
    return LEAT_OK;
}

static inline leat_code disk_preallocate(leat_file *file, uint64_t size, leat_error *error)
{
    disk *d = file->disk;
    if (disk_dead(d))
        return disk_gone(error);
    uint64_t used = 0;
    for (int i = 0; i < DISK_FILES; i++)
        if (d->now[i].inode >= 0 && d->now[i].inode != file->inode)
            used += d->inodes[d->now[i].inode].reserved;
    if (d->capacity && used + size > d->capacity)
        return leat_error_set(error, LEAT_E_NO_SPACE, "disk full");
    d->inodes[file->inode].reserved = size;
    return LEAT_OK;
}

static inline leat_code disk_truncate(leat_file *file, uint64_t size, leat_error *error)
{
    if (disk_dead(file->disk))
        return disk_gone(error);
    disk_size(&file->disk->inodes[file->inode].now, (size_t)size);
    return LEAT_OK;
}

static inline leat_code disk_path_stat(leat_env *env, const char *path, leat_file_stat *out_stat, leat_error *error)
{
    disk *d = disk_of(env);
    int at = disk_find(d->now, path);
    if (at < 0)
        return leat_error_at(error, LEAT_E_NOT_FOUND, path, "not there");
    *out_stat = (leat_file_stat){.size = d->inodes[d->now[at].inode].now.size};
    return LEAT_OK;
}

static inline leat_code disk_rename(leat_env *env, const char *from, const char *to, leat_error *error)
{
    disk *d = disk_of(env);
    int at = disk_find(d->now, from);
    if (disk_dead(d))
        return disk_gone(error);
    if (at < 0)
        return leat_error_at(error, LEAT_E_NOT_FOUND, from, "not there");
    disk_change_note(d, from, to, d->now[at].inode);
    return LEAT_OK;
}

static inline leat_code disk_unlink(leat_env *env, const char *path, leat_error *error)
{
    disk *d = disk_of(env);
    int at = disk_find(d->now, path);
    if (disk_dead(d))
        return disk_gone(error);
    if (at < 0)
        return leat_error_at(error, LEAT_E_NOT_FOUND, path, "not there");
    disk_change_note(d, path, "", d->now[at].inode);
    return LEAT_OK;
}

static inline leat_code disk_make_directory(leat_env *env, const char *path, uint32_t mode, leat_error *error)
{
    (void)path, (void)mode;
    return disk_dead(disk_of(env)) ? disk_gone(error) : LEAT_OK;
}

static inline leat_code disk_sync_directory(leat_env *env, const char *path, leat_error *error)
{
    (void)path;
    if (disk_dead(disk_of(env)))
        return disk_gone(error);
    disk_directory_sync(disk_of(env));
    return LEAT_OK;
}

static inline leat_code disk_list(leat_env *env, const char *path, leat_directory_visit visit, void *context,
                                  leat_error *error)
{
    disk *d = disk_of(env);
    if (disk_dead(d))
        return disk_gone(error);
    size_t prefix = strlen(path);
    for (int i = 0; i < DISK_FILES; i++)
        if (d->now[i].inode >= 0 && strncmp(d->now[i].name, path, prefix) == 0 && d->now[i].name[prefix] == '/')
            visit(context, d->now[i].name + prefix + 1);
    return LEAT_OK;
}

static const leat_env_ops disk_ops = {
    .wall_ms = disk_wall_ms,
    .boot_ns = disk_boot_ns,
    .random = disk_random_bytes,
    .alloc = disk_alloc,
    .grow = disk_grow,
    .free = disk_free,
    .open = disk_open,
    .close = disk_close,
    .pread = disk_pread,
    .pwrite = disk_pwrite,
    .sync = disk_sync,
    .preallocate = disk_preallocate,
    .truncate = disk_truncate,
    .path_stat = disk_path_stat,
    .rename = disk_rename,
    .unlink = disk_unlink,
    .make_directory = disk_make_directory,
    .sync_directory = disk_sync_directory,
    .list = disk_list,
};

static inline disk *disk_create(uint64_t seed)
{
    disk *d = calloc(1, sizeof *d);
    LEAT_ASSERT(d);
    d->env.ops = &disk_ops;
    d->random = seed;
    for (int i = 0; i < DISK_FILES; i++)
        d->now[i].inode = d->synced[i].inode = -1;
    return d;
}

static inline leat_env *disk_env(disk *d) { return &d->env; }

static inline void disk_destroy(disk *d)
{
    LEAT_ASSERT(d->open_files == 0);
    for (int i = 0; i < DISK_FILES; i++) {
        free(d->inodes[i].now.bytes);
        free(d->inodes[i].synced.bytes);
    }
    free(d);
}

static inline void disk_stop_after(disk *d, uint64_t calls) { d->stop_at = d->calls + calls; }

static inline void disk_kill(disk *d)
{
    d->stop_at = 0;
    d->stopped = false;
}

static inline void disk_power_cut(disk *d)
{
    disk_kill(d);
    size_t survive = d->change_count ? disk_random(d) % (d->change_count + 1) : 0;
    for (size_t i = 0; i < survive; i++)
        disk_apply(d->synced, &d->changes[i]);
    memcpy(d->now, d->synced, sizeof d->now);
    d->change_count = 0;
    for (int i = 0; i < DISK_FILES; i++) {
        disk_bytes *now = &d->inodes[i].now, *synced = &d->inodes[i].synced;
        if (!d->inodes[i].used)
            continue;
        size_t size = disk_random(d) & 1 ? now->size : synced->size;
        disk_size(now, now->size > synced->size ? now->size : synced->size);
        disk_size(synced, now->size);
        for (size_t at = 0; at < now->size; at += DISK_SECTOR) {
            size_t part = now->size - at < DISK_SECTOR ? now->size - at : DISK_SECTOR;
            if (disk_random(d) & 1)
                memcpy(synced->bytes + at, now->bytes + at, part);
        }
        disk_size(synced, size);
        disk_size(now, size);
        if (size)
            memcpy(now->bytes, synced->bytes, size);
    }
}

// The unsynced side of a file, to damage it. NULL when it is not there.
static inline disk_bytes *disk_file(disk *d, const char *path)
{
    int at = disk_find(d->now, path);
    return at < 0 ? NULL : &d->inodes[d->now[at].inode].now;
}

static inline void disk_bytes_copy(disk_bytes *to, const disk_bytes *from)
{
    to->bytes = from->capacity ? malloc(from->capacity) : NULL;
    to->size = from->size;
    to->capacity = from->capacity;
    if (from->capacity)
        memcpy(to->bytes, from->bytes, from->capacity);
}

static inline disk *disk_clone(const disk *from)
{
    disk *d = malloc(sizeof *d);
    LEAT_ASSERT(d);
    memcpy(d, from, sizeof *d);
    for (int i = 0; i < DISK_FILES; i++) {
        disk_bytes_copy(&d->inodes[i].now, &from->inodes[i].now);
        disk_bytes_copy(&d->inodes[i].synced, &from->inodes[i].synced);
    }
    return d;
}
