// Records what a program does to the files below $LEAT_RECORD_ROOT, in the order in which it happened, in $LEAT_RECORD: so that a test can rebuild what a
// power cut may leave (tests/fault/test_power_cut.py).
//
// To be preloaded. Writes, sizes, syncs and names are recorded; one operation at a time, each after it was done. A record:
//   u8 kind | u8 flags | u32 path size | u64 inode | u64 offset | u64 size | path | bytes (of a write)
// in the machine's byte order. Failed operations are no records. Writes through a mapping are not seen: nothing of leat's is made durable that way.
// Both names of each function are defined here: the headers must not make one out of them.
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS = 4096, PATH_BYTES = 4096 };
enum { WRITE = 1, TRUNCATE, SYNC, CREATE, RENAME, UNLINK, MAKE_DIRECTORY, REMOVE_DIRECTORY, EXTEND };
enum { DURABLE = 1 }; // of a write: its descriptor is O_DSYNC

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static const char *root;
static uint8_t tracked[FDS]; // 1: below the root, 2: O_DSYNC as well

#define REAL(name)                                                                                                     \
    static __typeof__(&name) real;                                                                                     \
    if (!real)                                                                                                         \
    real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static ssize_t real_write(int fd, const void *bytes, size_t size)
{
    REAL(write);
    return real(fd, bytes, size);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("LEAT_RECORD");
    root = getenv("LEAT_RECORD_ROOT");
    if (!path || !root)
        return;
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int is_below(const char *path)
{
    size_t size = root ? strlen(root) : 0;
    return log_fd >= 0 && path && strncmp(path, root, size) == 0 && (path[size] == '/' || path[size] == 0);
}

static void log_bytes(const void *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = real_write(log_fd, bytes, size);
        if (done <= 0)
            abort();
        bytes = (const char *)bytes + done;
        size -= (size_t)done;
    }
}

// bytes: of a write, and of a renaming the path that it has now.
static void record(uint8_t kind, uint8_t flags, const char *path, uint64_t inode, uint64_t offset, const void *bytes,
                   uint64_t size)
{
    uint8_t head[30] = {kind, flags};
    uint32_t path_size = path ? (uint32_t)strlen(path) : 0;
    memcpy(head + 2, &path_size, 4);
    memcpy(head + 6, &inode, 8);
    memcpy(head + 14, &offset, 8);
    memcpy(head + 22, &size, 8);
    log_bytes(head, sizeof head);
    log_bytes(path, path_size);
    if (bytes)
        log_bytes(bytes, size);
}

static uint64_t inode_of(int fd)
{
    struct stat stat;
    return fstat(fd, &stat) == 0 ? stat.st_ino : 0;
}

static int is_tracked(int fd) { return fd >= 0 && fd < FDS && tracked[fd]; }

// ---- opening

static int open_recorded(int directory, const char *path, int flags, mode_t mode)
{
    struct stat before;
    int below = directory == AT_FDCWD && is_below(path);
    pthread_mutex_lock(&lock);
    int existed = !below || stat(path, &before) == 0;
    int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
    int error = errno;
    if (fd >= 0 && fd < FDS) {
        tracked[fd] = (uint8_t)(!below ? 0 : flags & O_DSYNC ? 2 : 1);
        if (!existed)
            record(CREATE, 0, path, inode_of(fd), 0, NULL, 0);
        else if (below && flags & O_TRUNC)
            record(TRUNCATE, 0, NULL, inode_of(fd), 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(arguments, unsigned) : 0;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        mode_t mode = mode_of(flags, arguments);                                                                       \
        va_end(arguments);                                                                                             \
        return open_recorded(AT_FDCWD, path, flags, mode);                                                             \
    }
OPEN(open)
OPEN(open64)

int close(int fd)
{
    REAL(close);
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < FDS)
        tracked[fd] = 0;
    int result = real(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

// ---- bytes

static void wrote(int fd, const void *bytes, ssize_t size, uint64_t offset)
{
    if (size > 0)
        record(WRITE, tracked[fd] == 2 ? DURABLE : 0, NULL, inode_of(fd), offset, bytes, (uint64_t)size);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    if (!is_tracked(fd))
        return real_write(fd, bytes, size);
    pthread_mutex_lock(&lock);
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t done = real_write(fd, bytes, size);
    int error = errno;
    wrote(fd, bytes, done, (uint64_t)at);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

static ssize_t pwrite_recorded(int fd, const void *bytes, size_t size, off_t offset)
{
    if (!is_tracked(fd))
        return syscall(SYS_pwrite64, fd, bytes, size, offset);
    pthread_mutex_lock(&lock);
    ssize_t done = syscall(SYS_pwrite64, fd, bytes, size, offset);
    int error = errno;
    wrote(fd, bytes, done, (uint64_t)offset);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite_recorded(fd, bytes, size, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    return pwrite_recorded(fd, bytes, size, offset);
}

// LMDB writes runs of pages so, behind an lseek.
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    if (!is_tracked(fd))
        return real(fd, parts, count);
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = write(fd, parts[i].iov_base, parts[i].iov_len);
        if (done < 0)
            return total ? total : -1;
        total += done;
        if ((size_t)done < parts[i].iov_len)
            break;
    }
    return total;
}

// ---- sizes and syncs

static int truncate_recorded(int fd, off_t size)
{
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    int error = errno;
    if (result == 0 && is_tracked(fd))
        record(TRUNCATE, 0, NULL, inode_of(fd), (uint64_t)size, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int ftruncate(int fd, off_t size) { return truncate_recorded(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncate_recorded(fd, size); }

static int extend_recorded(int fd, off_t offset, off_t size)
{
    int result = (int)syscall(SYS_fallocate, fd, 0, offset, size) == 0 ? 0 : errno;
    pthread_mutex_lock(&lock);
    if (result == 0 && is_tracked(fd))
        record(EXTEND, 0, NULL, inode_of(fd), (uint64_t)(offset + size), NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int posix_fallocate(int fd, off_t offset, off_t size) { return extend_recorded(fd, offset, size); }
int posix_fallocate64(int fd, off64_t offset, off64_t size) { return extend_recorded(fd, offset, size); }

#define SYNCING(name)                                                                                                  \
    int name(int fd)                                                                                                   \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        pthread_mutex_lock(&lock);                                                                                     \
        int result = real(fd);                                                                                         \
        int error = errno;                                                                                             \
        if (result == 0 && is_tracked(fd))                                                                             \
            record(SYNC, 0, NULL, inode_of(fd), 0, NULL, 0);                                                           \
        pthread_mutex_unlock(&lock);                                                                                   \
        errno = error;                                                                                                 \
        return result;                                                                                                 \
    }
SYNCING(fsync)
SYNCING(fdatasync)

// ---- names

static void named(int result, uint8_t kind, const char *path, const char *to)
{
    struct stat stat_now;
    uint64_t inode = stat(to ? to : path, &stat_now) == 0 ? stat_now.st_ino : 0;
    if (result == 0 && is_below(path))
        record(kind, 0, path, inode, 0, to, to ? strlen(to) : 0);
}

#define NAMING(name, kind, parameters, arguments, path, to)                                                            \
    int name parameters                                                                                                \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        pthread_mutex_lock(&lock);                                                                                     \
        int result = real arguments;                                                                                   \
        int error = errno;                                                                                             \
        named(result, kind, path, to);                                                                                 \
        pthread_mutex_unlock(&lock);                                                                                   \
        errno = error;                                                                                                 \
        return result;                                                                                                 \
    }
NAMING(rename, RENAME, (const char *from, const char *to), (from, to), from, to)
NAMING(unlink, UNLINK, (const char *path), (path), path, NULL)
NAMING(mkdir, MAKE_DIRECTORY, (const char *path, mode_t mode), (path, mode), path, NULL)
NAMING(rmdir, REMOVE_DIRECTORY, (const char *path), (path), path, NULL)
