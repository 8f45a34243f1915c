#include "firmware-agent/platform/env_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

typedef struct posix_env {
    leat_env env; // first: a leat_env * is a posix_env *
    _Atomic size_t memory;
    _Atomic size_t memory_limit;
} posix_env;

struct leat_file {
    int fd;
    bool is_stream; // our own stdout or stderr: written in sequence, offsets mean nothing
    size_t memory_size;
    char path[]; // for messages
};

static leat_code fail(leat_error *error, int error_number, const char *path, const char *what)
{
    leat_code code = leat_error_errno(error, error_number, "%s", what);
    if (error)
        snprintf(error->place, sizeof error->place, "%s", path);
    return code;
}

static int64_t wall_ms(leat_env *env)
{
    (void)env;
    struct timespec now;
    LEAT_ASSERT(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t boot_ns(leat_env *env)
{
    (void)env;
    struct timespec now;
    LEAT_ASSERT(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void random_bytes(leat_env *env, void *out_bytes, size_t size)
{
    (void)env;
    uint8_t *cursor = out_bytes;
    while (size) {
        ssize_t got = getrandom(cursor, size, 0);
        LEAT_ASSERT(got > 0 || errno == EINTR);
        if (got > 0) {
            cursor += got;
            size -= (size_t)got;
        }
    }
}

// Counts before it allocates, so that two threads cannot pass the limit together.
static bool account(posix_env *self, size_t size)
{
    size_t limit = atomic_load_explicit(&self->memory_limit, memory_order_relaxed);
    size_t now = atomic_load_explicit(&self->memory, memory_order_relaxed);
    do {
        if (size > SIZE_MAX - now || (limit && now + size > limit))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&self->memory, &now, now + size, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static void unaccount(posix_env *self, size_t size)
{
    atomic_fetch_sub_explicit(&self->memory, size, memory_order_relaxed);
}

static void *memory_alloc(leat_env *env, size_t size)
{
    posix_env *self = (posix_env *)env;
    if (!account(self, size))
        return NULL;
    void *memory = malloc(size ? size : 1);
    if (!memory)
        unaccount(self, size);
    return memory;
}

static void *memory_grow(leat_env *env, void *old, size_t old_size, size_t new_size)
{
    posix_env *self = (posix_env *)env;
    size_t more = new_size > old_size ? new_size - old_size : 0;
    if (!account(self, more))
        return NULL;
    void *memory = realloc(old, new_size ? new_size : 1);
    if (!memory)
        unaccount(self, more);
    else if (old_size > new_size)
        unaccount(self, old_size - new_size);
    return memory;
}

static void memory_free(leat_env *env, void *memory, size_t size)
{
    if (!memory)
        return;
    free(memory);
    unaccount((posix_env *)env, size);
}

static bool is_own_stream(const char *path, int *out_fd)
{
    *out_fd = strcmp(path, "/dev/stdout") == 0 ? STDOUT_FILENO : STDERR_FILENO;
    return *out_fd == STDOUT_FILENO || strcmp(path, "/dev/stderr") == 0;
}

static int open_retried(const char *path, int flags, mode_t mode)
{
    int fd;
    // Our own streams are shared, not opened anew: a file behind them keeps one position for all who write to it.
    if (is_own_stream(path, &fd))
        return fcntl(fd, F_DUPFD_CLOEXEC, 3);
    do
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static leat_code file_open(leat_env *env, const char *path, leat_open_mode mode, leat_file **out_file,
                           leat_error *out_error)
{
    // Append goes without O_APPEND: Linux would then ignore the offset of pwrite. The file is positioned by lseek instead.
    static const int flags[] = {
        [LEAT_OPEN_READ] = O_RDONLY,
        [LEAT_OPEN_WRITE] = O_RDWR | O_CREAT,
        [LEAT_OPEN_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL,
        [LEAT_OPEN_APPEND] = O_RDWR | O_CREAT,
    };
    size_t path_size = strlen(path) + 1;
    size_t memory_size = sizeof(leat_file) + path_size;
    leat_file *file = memory_alloc(env, memory_size);
    if (!file)
        return leat_error_at(out_error, LEAT_E_MEMORY, path, "cannot open: no memory");
    file->memory_size = memory_size;
    memcpy(file->path, path, path_size);
    file->fd = open_retried(path, flags[mode], 0640);
    if (file->fd < 0) {
        leat_code code = fail(out_error, errno, path, "cannot open");
        memory_free(env, file, memory_size);
        return code;
    }
    int stream;
    file->is_stream = is_own_stream(path, &stream);
    if (mode == LEAT_OPEN_APPEND && !file->is_stream)
        (void)lseek(file->fd, 0, SEEK_END); // refused by pipes and ttys, which are at their end anyway
    *out_file = file;
    return LEAT_OK;
}

static void file_close(leat_env *env, leat_file *file)
{
    if (!file)
        return;
    close(
        file->fd); // once, also on EINTR: Linux has released the descriptor by then, and another thread may own its number
    memory_free(env, file, file->memory_size);
}

static leat_code file_pread(leat_file *file, void *bytes, size_t size, uint64_t offset, size_t *out_read,
                            leat_error *out_error)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(file->fd, (uint8_t *)bytes + done, size - done, (off_t)(offset + done));
        if (got == 0)
            break;
        if (got > 0)
            done += (size_t)got;
        else if (errno != EINTR)
            return fail(out_error, errno, file->path, "cannot read");
    }
    *out_read = done;
    return LEAT_OK;
}

static leat_code file_pwrite(leat_file *file, const void *bytes, size_t size, uint64_t offset, leat_error *out_error)
{
    size_t done = 0;
    bool seekable = !file->is_stream;
    while (done < size) {
        const uint8_t *rest = (const uint8_t *)bytes + done;
        ssize_t put =
            seekable ? pwrite(file->fd, rest, size - done, (off_t)(offset + done)) : write(file->fd, rest, size - done);
        if (put >= 0)
            done += (size_t)put;
        else if (errno == ESPIPE && seekable)
            seekable = false;
        else if (errno != EINTR)
            return fail(out_error, errno, file->path, "cannot write");
    }
    return LEAT_OK;
}

static leat_code file_read(leat_file *file, void *bytes, size_t size, size_t *out_read, leat_error *out_error)
{
    ssize_t got;
    do
        got = read(file->fd, bytes, size);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return fail(out_error, errno, file->path, "cannot read");
    *out_read = (size_t)got;
    return LEAT_OK;
}

static leat_code file_sync(leat_file *file, leat_error *out_error)
{
    int result;
    do
        result = fdatasync(file->fd);
    while (result < 0 && errno == EINTR);
    if (result < 0 && errno != EINVAL) // EINVAL: a pipe or a tty, nothing to bring to a disk
        return fail(out_error, errno, file->path, "cannot sync");
    return LEAT_OK;
}

static leat_code file_preallocate(leat_file *file, uint64_t size, leat_error *out_error)
{
    int result;
    do
        result = fallocate(file->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
    while (result < 0 && errno == EINTR);
    // A file system without reservation (vfat, some overlays) meets the full disk at the write; that is an error there too.
    if (result < 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return fail(out_error, errno, file->path, "cannot reserve space");
    return LEAT_OK;
}

static leat_code file_truncate(leat_file *file, uint64_t size, leat_error *out_error)
{
    int result;
    do
        result = ftruncate(file->fd, (off_t)size);
    while (result < 0 && errno == EINTR);
    return result < 0 ? fail(out_error, errno, file->path, "cannot truncate") : LEAT_OK;
}

static leat_file_stat stat_from_posix(const struct stat *posix)
{
    return (leat_file_stat){
        .size = (uint64_t)posix->st_size,
        .inode = (uint64_t)posix->st_ino,
        .modified_ms = (int64_t)posix->st_mtim.tv_sec * 1000 + posix->st_mtim.tv_nsec / 1000000,
        .mode = posix->st_mode & 07777,
        .owner = (uint32_t)posix->st_uid,
        .is_directory = S_ISDIR(posix->st_mode),
    };
}

static leat_code file_stat_get(leat_file *file, leat_file_stat *out_stat, leat_error *out_error)
{
    struct stat posix;
    if (fstat(file->fd, &posix) < 0)
        return fail(out_error, errno, file->path, "cannot stat");
    *out_stat = stat_from_posix(&posix);
    return LEAT_OK;
}

static leat_code path_stat_get(leat_env *env, const char *path, leat_file_stat *out_stat, leat_error *out_error)
{
    (void)env;
    struct stat posix;
    if (stat(path, &posix) < 0)
        return fail(out_error, errno, path, "cannot stat");
    *out_stat = stat_from_posix(&posix);
    return LEAT_OK;
}

static leat_code path_rename(leat_env *env, const char *from, const char *to, leat_error *out_error)
{
    (void)env;
    if (rename(from, to) == 0)
        return LEAT_OK;
    int error_number = errno;
    leat_code code = fail(out_error, error_number, from, "cannot rename");
    leat_error_prefix(out_error, "to %s", to);
    return code;
}

static leat_code path_unlink(leat_env *env, const char *path, leat_error *out_error)
{
    (void)env;
    return unlink(path) < 0 ? fail(out_error, errno, path, "cannot remove") : LEAT_OK;
}

static bool is_directory(const char *path)
{
    struct stat posix;
    return stat(path, &posix) == 0 && S_ISDIR(posix.st_mode);
}

static leat_code make_one(const char *path, uint32_t mode, leat_error *out_error)
{
    if (mkdir(path, (mode_t)mode) == 0)
        return LEAT_OK;
    int error_number = errno;
    // Whatever mkdir says (EEXIST, but also EROFS or EACCES above a mount point): a directory that is there is fine.
    return is_directory(path) ? LEAT_OK : fail(out_error, error_number, path, "cannot make directory");
}

static leat_code make_directory(leat_env *env, const char *path, uint32_t mode, leat_error *out_error)
{
    (void)env;
    char parent[4096]; // PATH_MAX of Linux
    size_t size = strlen(path);
    if (size >= sizeof parent)
        return fail(out_error, ENAMETOOLONG, path, "cannot make directory");
    for (size_t i = 1; i < size; i++) {
        if (path[i] != '/' || path[i - 1] == '/')
            continue;
        memcpy(parent, path, i);
        parent[i] = 0;
        leat_code code = make_one(parent, mode, out_error);
        if (code != LEAT_OK)
            return code;
    }
    return make_one(path, mode, out_error);
}

static leat_code remove_directory(leat_env *env, const char *path, leat_error *out_error)
{
    (void)env;
    return rmdir(path) < 0 ? fail(out_error, errno, path, "cannot remove directory") : LEAT_OK;
}

static leat_code sync_directory(leat_env *env, const char *path, leat_error *out_error)
{
    (void)env;
    int fd = open_retried(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fail(out_error, errno, path, "cannot open directory");
    int result;
    do
        result = fsync(fd);
    while (result < 0 && errno == EINTR);
    int error_number = result < 0 ? errno : 0;
    close(fd);
    if (error_number && error_number != EINVAL) // EINVAL: a file system whose directories cannot be synced
        return fail(out_error, error_number, path, "cannot sync directory");
    return LEAT_OK;
}

static leat_code visit_all(DIR *directory, const char *path, leat_directory_visit visit, void *context,
                           leat_error *out_error)
{
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (!entry)
            return errno ? fail(out_error, errno, path, "cannot list directory") : LEAT_OK;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!visit(context, entry->d_name))
            return LEAT_OK;
    }
}

static leat_code list(leat_env *env, const char *path, leat_directory_visit visit, void *context, leat_error *out_error)
{
    (void)env;
    int fd = open_retried(path, O_RDONLY | O_DIRECTORY, 0);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        int error_number = errno;
        if (fd >= 0)
            close(fd);
        return fail(out_error, error_number, path, "cannot open directory");
    }
    leat_code code = visit_all(directory, path, visit, context, out_error);
    closedir(directory);
    return code;
}

static leat_code free_space(leat_env *env, const char *path, uint64_t *out_bytes, leat_error *out_error)
{
    (void)env;
    struct statvfs posix;
    int result;
    do
        result = statvfs(path, &posix);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return fail(out_error, errno, path, "cannot ask for free space");
    *out_bytes = (uint64_t)posix.f_bavail * posix.f_frsize;
    return LEAT_OK;
}

static const leat_env_ops posix_ops = {
    .wall_ms = wall_ms,
    .boot_ns = boot_ns,
    .random = random_bytes,
    .alloc = memory_alloc,
    .grow = memory_grow,
    .free = memory_free,
    .open = file_open,
    .close = file_close,
    .pread = file_pread,
    .pwrite = file_pwrite,
    .read = file_read,
    .sync = file_sync,
    .preallocate = file_preallocate,
    .truncate = file_truncate,
    .file_stat = file_stat_get,
    .path_stat = path_stat_get,
    .rename = path_rename,
    .unlink = path_unlink,
    .make_directory = make_directory,
    .remove_directory = remove_directory,
    .sync_directory = sync_directory,
    .list = list,
    .free_space = free_space,
};

// One heap for all threads: state and batches are kept and not given back, so that they seldom meet there, and each further heap has holes of its own
// (six of seventy MB with two hundred rules on two workers).
static void share_heap(void)
{
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 1);
#endif
}

leat_env *leat_env_posix(size_t memory_limit)
{
    static posix_env self = {.env.ops = &posix_ops};
    share_heap();
    atomic_store_explicit(&self.memory_limit, memory_limit, memory_order_relaxed);
    return &self.env;
}

size_t leat_env_posix_memory(const leat_env *env)
{
    return atomic_load_explicit(&((const posix_env *)env)->memory, memory_order_relaxed);
}
