// Results appended to a file, a line each, none lost and none doubled.
//
// Token, 17 bytes: version 1 (u8) | inode (u64) | length (u64), little-endian: the file that was being written, and how long it
// was when everything up to the acknowledged sequence was in it, synced.
//
// On open the file with the token's inode is cut back to the token's length; what comes after is sent again. When files were
// rotated since, it is found as path.1 .. path.keep: the files after it, which hold nothing but what is sent again, are
// removed, and the rotation is undone. Each step of that, and of a rotation (remove path.keep, rename path.n to path.n+1 from above,
// rename path to path.1, create path), may be the last before a crash: the inode says where to go on, and a gap in the numbers
// does no harm. A rotation happens only when everything written was synced and acknowledged. A file whose inode is nowhere (moved
// away by somebody) is not touched again: a new one is begun.
//
// Without a token lines are appended to what exists, on a fresh line, and the length before the first one is acknowledged
// at once as sequence 0, so that a crash before the first result was acknowledged doubles nothing.
//
// A write that fails (disk full) cuts the file back to what was acknowledged; the agent sends the rest again.
#include "drivers/sink/file.h"

#include <stdio.h>
#include <string.h>

enum { TOKEN_SIZE = 17, TOKEN_VERSION = 1, PATH_SIZE = 4096, BUFFER_SIZE = 65536, KEEP_MAX = 99 };

typedef struct file_sink {
    leat_sink sink;
    const leat_file_sink_settings *settings;
    leat_env *env;
    leat_file *file;
    uint64_t inode;
    uint64_t length;       // written
    uint64_t acknowledged; // of it, acknowledged
    uint64_t sequence;     // last one taken
    uint64_t sequence_acknowledged;
    bool cut_due; // a write failed: length is not to be trusted
    leat_writer buffer;
} file_sink;

// ---- paths

static bool rotated_path(const file_sink *self, unsigned number, char out_path[PATH_SIZE])
{
    int size = number ? snprintf(out_path, PATH_SIZE, "%s.%u", self->settings->path, number)
                      : snprintf(out_path, PATH_SIZE, "%s", self->settings->path);
    return size > 0 && size < PATH_SIZE;
}

static unsigned keep(const file_sink *self)
{
    return self->settings->keep < 1 ? 1 : self->settings->keep > KEEP_MAX ? KEEP_MAX : (unsigned)self->settings->keep;
}

static leat_code sync_folder(file_sink *self, leat_error *out_error)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(self->settings->path, '/');
    if (!self->settings->sync)
        return LEAT_OK;
    int size = slash ? (int)(slash - self->settings->path) + (slash == self->settings->path) : 1;
    snprintf(folder, sizeof folder, "%.*s", size, slash ? self->settings->path : ".");
    return self->env->ops->sync_directory(self->env, folder, out_error);
}

static leat_code rename_number(file_sink *self, unsigned from, unsigned to, leat_error *out_error)
{
    char from_path[PATH_SIZE], to_path[PATH_SIZE];
    leat_file_stat stat;
    if (!rotated_path(self, from, from_path) || !rotated_path(self, to, to_path))
        return leat_error_at(out_error, LEAT_E_INVALID, self->settings->path, "the path is too long");
    if (self->env->ops->path_stat(self->env, from_path, &stat, NULL) != LEAT_OK)
        return LEAT_OK; // a gap
    return self->env->ops->rename(self->env, from_path, to_path, out_error);
}

static leat_code unlink_number(file_sink *self, unsigned number, leat_error *out_error)
{
    char path[PATH_SIZE];
    leat_file_stat stat;
    if (!rotated_path(self, number, path) || self->env->ops->path_stat(self->env, path, &stat, NULL) != LEAT_OK)
        return LEAT_OK;
    return self->env->ops->unlink(self->env, path, out_error);
}

// ---- writing

static void acknowledge(file_sink *self)
{
    uint8_t token[TOKEN_SIZE] = {TOKEN_VERSION};
    leat_sink_control *control = self->sink.setup->control;
    for (int i = 0; i < 8; i++) {
        token[1 + i] = (uint8_t)(self->inode >> (8 * i));
        token[9 + i] = (uint8_t)(self->length >> (8 * i));
    }
    self->acknowledged = self->length;
    self->sequence_acknowledged = self->sequence;
    control->acknowledged(control, self->sequence, leat_slice_of((const char *)token, TOKEN_SIZE));
}

// After a failure: nothing that is not acknowledged stays in the file, or is taken for sent.
static leat_code fall_back(file_sink *self, leat_code code)
{
    leat_writer_reset(&self->buffer);
    self->sequence = self->sequence_acknowledged;
    self->length = self->acknowledged;
    self->cut_due = true;
    return code;
}

static leat_code cut_if_due(file_sink *self, leat_error *out_error)
{
    if (!self->cut_due)
        return LEAT_OK;
    leat_code code = self->env->ops->truncate(self->file, self->length, out_error);
    if (code == LEAT_OK)
        self->cut_due = false;
    return code;
}

static leat_code write_buffer(file_sink *self, leat_error *out_error)
{
    leat_slice bytes = leat_writer_slice(&self->buffer);
    if (!bytes.size)
        return LEAT_OK;
    leat_code code = self->env->ops->pwrite(self->file, bytes.data, bytes.size, self->length, out_error);
    if (code != LEAT_OK)
        return fall_back(self, code);
    self->length += bytes.size;
    leat_writer_reset(&self->buffer);
    return LEAT_OK;
}

static leat_code file_flush(leat_sink *sink, leat_error *out_error)
{
    file_sink *self = (file_sink *)sink;
    leat_code code = self->file ? cut_if_due(self, out_error) : LEAT_OK;
    if (code != LEAT_OK || self->sequence == self->sequence_acknowledged)
        return code;
    code = write_buffer(self, out_error);
    if (code == LEAT_OK && self->settings->sync) {
        code = self->env->ops->sync(self->file, out_error);
        if (code != LEAT_OK)
            return fall_back(self, code); // what is on the disk now, nobody knows
    }
    if (code == LEAT_OK)
        acknowledge(self);
    return code;
}

static leat_code write_header(file_sink *self, leat_error *out_error)
{
    leat_slice header = self->sink.setup->header;
    if (!header.size)
        return LEAT_OK;
    leat_code code = self->env->ops->pwrite(self->file, header.data, header.size, 0, out_error);
    if (code == LEAT_OK)
        code = self->env->ops->pwrite(self->file, "\n", 1, header.size, out_error);
    if (code == LEAT_OK)
        self->length = header.size + 1;
    return code;
}

static void detach(file_sink *self)
{
    if (self->file)
        self->env->ops->close(self->env, self->file);
    self->file = NULL;
}

static leat_code attach(file_sink *self, leat_error *out_error)
{
    leat_file_stat stat;
    leat_code code = self->env->ops->open(self->env, self->settings->path, LEAT_OPEN_WRITE, &self->file, out_error);
    if (code == LEAT_OK)
        code = self->env->ops->file_stat(self->file, &stat, out_error);
    if (code != LEAT_OK)
        return code;
    self->inode = stat.inode;
    self->length = stat.size;
    self->cut_due = false;
    return LEAT_OK;
}

static leat_code begin_file(file_sink *self, leat_error *out_error)
{
    leat_code code = self->length == 0 ? write_header(self, out_error) : LEAT_OK;
    if (code == LEAT_OK)
        code = sync_folder(self, out_error);
    self->acknowledged = self->length;
    if (code != LEAT_OK) { // send begins it once more
        (void)self->env->ops->truncate(self->file, self->length, NULL);
        detach(self);
    }
    return code;
}

static leat_code rotate(file_sink *self, leat_error *out_error)
{
    detach(self);
    leat_code code = unlink_number(self, keep(self), out_error);
    for (unsigned number = keep(self); number > 0 && code == LEAT_OK; number--)
        code = rename_number(self, number - 1, number, out_error);
    if (code == LEAT_OK)
        code = sync_folder(self, out_error);
    if (code == LEAT_OK)
        code = attach(self, out_error);
    return code == LEAT_OK ? begin_file(self, out_error) : code;
}

static leat_code file_send(leat_sink *sink, const leat_delivery *delivery, leat_error *out_error)
{
    file_sink *self = (file_sink *)sink;
    leat_code code = LEAT_OK;
    if (!self->file) { // a rotation failed half-way
        code = attach(self, out_error);
        if (code == LEAT_OK)
            code = begin_file(self, out_error);
    }
    if (code == LEAT_OK)
        code = cut_if_due(self, out_error);
    if (code != LEAT_OK)
        return code;
    uint64_t after = self->length + self->buffer.size + delivery->payload.size + 1;
    uint64_t empty = sink->setup->header.size ? sink->setup->header.size + 1 : 0;
    bool full = self->settings->rotate_size && after > (uint64_t)self->settings->rotate_size;
    if (full && self->length + self->buffer.size > empty) {
        code = file_flush(sink, out_error);
        if (code == LEAT_OK)
            code = rotate(self, out_error);
        if (code != LEAT_OK)
            return code;
    }
    leat_write_bytes(&self->buffer, delivery->payload.data, delivery->payload.size);
    leat_write_u8(&self->buffer, '\n');
    if (self->buffer.failed) {
        (void)fall_back(self, LEAT_E_MEMORY);
        return leat_error_at(out_error, LEAT_E_MEMORY, self->settings->path, "no memory for a line");
    }
    self->sequence = delivery->sequence;
    return self->buffer.size >= BUFFER_SIZE ? write_buffer(self, out_error) : LEAT_OK;
}

// ---- open

static int find_inode(const file_sink *self, uint64_t inode, uint64_t length)
{
    char path[PATH_SIZE];
    leat_file_stat stat;
    for (unsigned number = 0; number <= KEEP_MAX && rotated_path(self, number, path); number++)
        if (self->env->ops->path_stat(self->env, path, &stat, NULL) == LEAT_OK && stat.inode == inode &&
            stat.size >= length)
            return (int)number;
    return -1;
}

// The file that is now path.number becomes path again; those after it go.
static leat_code undo_rotations(file_sink *self, unsigned number, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (unsigned newer = 0; newer < number && code == LEAT_OK; newer++)
        code = unlink_number(self, newer, out_error);
    for (unsigned older = number; older <= KEEP_MAX && code == LEAT_OK; older++)
        code = rename_number(self, older, older - number, out_error);
    return code == LEAT_OK ? sync_folder(self, out_error) : code;
}

static leat_code resume(file_sink *self, leat_slice token, leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, token.data, token.size);
    uint8_t version = leat_read_u8(&reader);
    uint64_t inode = leat_read_u64(&reader), length = leat_read_u64(&reader);
    if (reader.failed || leat_reader_left(&reader) || version != TOKEN_VERSION)
        return leat_error_at(out_error, LEAT_E_CORRUPT, self->settings->path,
                             "expected the length of a file, found %zu bytes of something else", token.size);
    int number = find_inode(self, inode, length);
    if (number < 0)
        return LEAT_E_NOT_FOUND;
    leat_code code = number ? undo_rotations(self, (unsigned)number, out_error) : LEAT_OK;
    if (code == LEAT_OK)
        code = attach(self, out_error);
    if (code == LEAT_OK && self->length > length)
        code = self->env->ops->truncate(self->file, length, out_error);
    if (code == LEAT_OK && self->settings->sync)
        code = self->env->ops->sync(self->file, out_error);
    self->length = self->acknowledged = length;
    return code;
}

// A crash while the very first file was begun: its header is written anew.
static leat_code cut_torn_header(file_sink *self, leat_error *out_error)
{
    leat_slice header = self->sink.setup->header;
    size_t got = 0;
    if (!self->length || self->length > header.size)
        return LEAT_OK;
    uint8_t *bytes = leat_writer_reserve(&self->buffer, (size_t)self->length);
    if (!bytes)
        return leat_error_at(out_error, LEAT_E_MEMORY, self->settings->path, "no memory for a line");
    leat_code code = self->env->ops->pread(self->file, bytes, (size_t)self->length, 0, &got, out_error);
    if (code != LEAT_OK || got != self->length || memcmp(bytes, header.data, got) != 0)
        return code;
    code = self->env->ops->truncate(self->file, 0, out_error);
    self->length = code == LEAT_OK ? 0 : self->length;
    return code;
}

// A last line without an end stays as it is; ours begin on the next.
static leat_code end_torn_line(file_sink *self, leat_error *out_error)
{
    char last = '\n';
    size_t got = 0;
    if (!self->length)
        return LEAT_OK;
    leat_code code = self->env->ops->pread(self->file, &last, 1, self->length - 1, &got, out_error);
    if (code != LEAT_OK || last == '\n')
        return code;
    code = self->env->ops->pwrite(self->file, "\n", 1, self->length, out_error);
    self->length += code == LEAT_OK;
    return code;
}

static leat_code make_folder(file_sink *self, leat_error *out_error)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(self->settings->path, '/');
    if (!slash || slash == self->settings->path)
        return LEAT_OK;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - self->settings->path), self->settings->path);
    return self->env->ops->make_directory(self->env, folder, 0750, out_error);
}

static leat_code append(file_sink *self, leat_error *out_error)
{
    leat_code code = make_folder(self, out_error);
    if (code == LEAT_OK)
        code = attach(self, out_error);
    if (code == LEAT_OK)
        code = cut_torn_header(self, out_error);
    if (code == LEAT_OK)
        code = end_torn_line(self, out_error);
    if (code == LEAT_OK)
        code = begin_file(self, out_error);
    if (code == LEAT_OK && self->settings->sync)
        code = self->env->ops->sync(self->file, out_error);
    if (code == LEAT_OK)
        acknowledge(self);
    return code;
}

static void file_close(leat_sink *sink)
{
    file_sink *self = (file_sink *)sink;
    if (!self->env)
        return;
    detach(self);
    leat_writer_fini(&self->buffer);
}

static leat_code file_open(leat_sink *sink, const leat_sink_setup *setup, leat_error *out_error)
{
    file_sink *self = (file_sink *)sink;
    sink->setup = setup;
    self->settings = setup->settings;
    self->env = setup->env;
    self->sequence = self->sequence_acknowledged = setup->acknowledged;
    leat_writer_init(&self->buffer, setup->env, BUFFER_SIZE + LEAT_RECORD_BYTES_MAX);
    if (strlen(self->settings->path) + 8 > PATH_SIZE)
        return leat_error_at(out_error, LEAT_E_INVALID, self->settings->path, "the path is too long");
    leat_code code = setup->token.size ? resume(self, setup->token, out_error) : LEAT_E_NOT_FOUND;
    if (code == LEAT_E_NOT_FOUND)
        code = append(self, out_error);
    if (code != LEAT_OK)
        file_close(sink);
    return code;
}

// ---- description

static const leat_setting settings_table[] = {
    {.name = "path",
     .type = LEAT_SETTING_PATH,
     .offset = offsetof(leat_file_sink_settings, path),
     .required = true,
     .text = "The file that lines are appended to."},
    {.name = "rotate",
     .type = LEAT_SETTING_SIZE,
     .offset = offsetof(leat_file_sink_settings, rotate_size),
     .default_text = "64MiB",
     .text = "Size at which path becomes path.1 and a new file is begun; 0 is never."},
    {.name = "keep",
     .type = LEAT_SETTING_INTEGER,
     .offset = offsetof(leat_file_sink_settings, keep),
     .default_text = "5",
     .minimum = 1,
     .maximum = KEEP_MAX,
     .text = "How many rotated files to keep."},
    {.name = "sync",
     .type = LEAT_SETTING_BOOLEAN,
     .offset = offsetof(leat_file_sink_settings, sync),
     .default_text = "true",
     .text = "Wait for the disk before a result counts as delivered."},
};

const leat_sink_description leat_sink_file_description = {
    .name = "file",
    .summary = "appends a line a result to a file, rotated by size",
    .settings = {settings_table, sizeof settings_table / sizeof *settings_table, sizeof(leat_file_sink_settings)},
    .takes_upsert = true,
    .takes_retract = true,
    .guarantee = 'E',
    .guarantee_text = "exactly once: after a crash the file is cut back to what was acknowledged",
};

const leat_sink_ops leat_sink_file_ops = {
    .abi = LEAT_DRIVER_ABI,
    .size = sizeof(leat_sink_ops),
    .name = "file",
    .instance_size = sizeof(file_sink),
    .open = file_open,
    .send = file_send,
    .flush = file_flush,
    .close = file_close,
};
