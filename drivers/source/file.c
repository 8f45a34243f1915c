// A text file in blocks of whole lines, up to its end or followed as it grows.
//
// Position, 36 bytes: version 2 (u8) | inode (u64) | offset (u64) | base (u64) | in_line (u8) | head size (u16) | head hash (u64), integers
// little-endian. Version 1 has no head.
//   offset   the first byte that was not given out yet
//   base     bytes of the files before this one (rotated, truncated): a block's raw->position is base + offset, so that no two
//            lines of a source ever have the same one
//   in_line  the rest of a line that was too long is still to be skipped
//   head     of the bytes before the offset the first ones, at most 4096: they tell the file where its inode is another one (a savepoint on
//            another board, a copy put back)
//
// A block is cut behind a line end and may be up to 64 KiB long; a line that is longer comes alone. One beyond
// LEAT_PAYLOAD_BYTES_MAX is given out as its first LEAT_PAYLOAD_BYTES_MAX + 1 bytes, which every format rejects as TOO_LARGE. With
// quoted_newlines a line end within quotes does not count. At the end of a bounded file the last line needs no line end.
//
// After a seek into the middle the file's first line is given once more with LEAT_RAW_AGAIN, for formats that read a header.
//
// Following: a file that got shorter is read from its beginning. When the path leads to another inode the old file is read to its
// end (for a second longer than the last growth), then the one that followed it: path.(n-1) where the old one is now path.n, else path. When
// a position's inode is nowhere to be found, or is another file's, the file with its head is the one, if it is long enough; else a gap is counted and
// the file at the path is read from its beginning.
//
// Standard input ("-") cannot be read again: after a restart the bytes before the position are read over, which is exact when
// the same input is given once more. It blocks, and is for bounded runs only.
#include "drivers/source/file.h"

#include <stdio.h>
#include <string.h>

#include "operators/base/hash.h"

enum {
    BLOCK_SIZE = 65536,
    BUFFER_SIZE = LEAT_PAYLOAD_BYTES_MAX + 1,
    POSITION_SIZE = 36,
    POSITION_VERSION = 2, // 1: without the head
    HEAD_SIZE = 4096,
    POLL_MS = 200,
    ROTATION_REST_MS = 1000, // a writer may still hold the old file for a moment
    ROTATIONS_SEARCHED = 99,
    PATH_SIZE = 4096,
};

typedef struct file_source {
    leat_source source;
    const leat_file_source_settings *settings;
    leat_env *env;
    leat_file *file;
    bool is_stdin, stdin_read_over;
    // -- the position after the last pull
    uint64_t inode; // 0: no file was opened yet
    uint64_t offset, base;
    bool in_line;
    uint32_t head_size; // of the file that is read: how many bytes of it are hashed; 0: not known
    uint64_t head_hash;
    bool from_start;          // no stored position: `start` decides
    bool again;               // the header line is due once more
    int64_t resting_since_ms; // boot time since when another file lies at the path, 0: it does not
    char *buffer;             // BUFFER_SIZE
    size_t filled;            // stdin only: bytes in the buffer
    size_t given;             // stdin only: of these, what the last pull gave out
    bool stdin_ended;
    uint8_t token[POSITION_SIZE];
} file_source;

// Paths are made absolute on their way here.
static bool is_stdin_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, "-") == 0;
}

static leat_code file_open(leat_source *source, const leat_source_setup *setup, leat_error *out_error)
{
    file_source *self = (file_source *)source;
    source->setup = setup;
    self->settings = setup->settings;
    self->env = setup->env;
    self->from_start = true;
    if (setup->is_decoder)
        return LEAT_OK;
    self->is_stdin = is_stdin_path(self->settings->path);
    self->buffer = leat_env_alloc(self->env, BUFFER_SIZE);
    if (!self->buffer)
        return leat_error_at(out_error, LEAT_E_MEMORY, self->settings->path, "no memory for a block");
    return LEAT_OK;
}

static void detach(file_source *self)
{
    if (self->file)
        self->env->ops->close(self->env, self->file);
    self->file = NULL;
    self->resting_since_ms = 0;
}

static void file_close(leat_source *source)
{
    file_source *self = (file_source *)source;
    if (self->env)
        detach(self);
    if (self->buffer)
        leat_env_free(self->env, self->buffer, BUFFER_SIZE);
    self->buffer = NULL;
}

// ---- position

static void put_u64(uint8_t *bytes, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

// Of the first `size` bytes; false when they cannot be read.
static bool hash_head(leat_file *file, const leat_env *env, uint32_t size, uint64_t *out_hash)
{
    char head[HEAD_SIZE];
    size_t got = 0;
    if (env->ops->pread(file, head, size, 0, &got, NULL) != LEAT_OK || got != size)
        return false;
    *out_hash = leat_hash(head, size);
    return true;
}

// Once the offset is beyond the head it stays as it is.
static void know_head(file_source *self)
{
    uint32_t size = self->offset < HEAD_SIZE ? (uint32_t)self->offset : HEAD_SIZE;
    if (!self->file || self->is_stdin || size == self->head_size)
        return;
    self->head_size = hash_head(self->file, self->env, size, &self->head_hash) ? size : 0;
}

static leat_slice file_position(leat_source *source)
{
    file_source *self = (file_source *)source;
    know_head(self);
    self->token[0] = POSITION_VERSION;
    put_u64(self->token + 1, self->inode);
    put_u64(self->token + 9, self->offset);
    put_u64(self->token + 17, self->base);
    self->token[25] = self->in_line;
    self->token[26] = (uint8_t)self->head_size;
    self->token[27] = (uint8_t)(self->head_size >> 8);
    put_u64(self->token + 28, self->head_hash);
    return leat_slice_of((const char *)self->token, POSITION_SIZE);
}

static leat_code file_seek(leat_source *source, leat_slice position, leat_error *out_error)
{
    file_source *self = (file_source *)source;
    leat_reader reader;
    detach(self);
    self->filled = self->given = 0;
    self->stdin_ended = self->stdin_read_over = false;
    self->inode = self->offset = self->base = self->head_hash = 0;
    self->head_size = 0;
    self->in_line = self->again = false;
    self->from_start = position.size == 0;
    if (self->from_start)
        return LEAT_OK;
    leat_reader_init(&reader, position.data, position.size);
    uint8_t version = leat_read_u8(&reader);
    uint64_t inode = leat_read_u64(&reader), offset = leat_read_u64(&reader), base = leat_read_u64(&reader);
    uint8_t in_line = leat_read_u8(&reader);
    uint32_t head_size = version > 1 ? leat_read_u8(&reader) : 0;
    head_size |= version > 1 ? (uint32_t)leat_read_u8(&reader) << 8 : 0;
    uint64_t head_hash = version > 1 ? leat_read_u64(&reader) : 0;
    if (reader.failed || leat_reader_left(&reader) || version < 1 || version > POSITION_VERSION || in_line > 1 ||
        head_size > HEAD_SIZE)
        return leat_error_at(out_error, LEAT_E_CORRUPT, self->settings->path,
                             "expected a position of a file, found %zu bytes of something else", position.size);
    self->inode = inode;
    self->offset = offset;
    self->base = base;
    self->in_line = in_line;
    self->head_size = head_size;
    self->head_hash = head_hash;
    self->again = offset > 0;
    return LEAT_OK;
}

// ---- which file

static bool rotated_path(const file_source *self, unsigned number, char out_path[PATH_SIZE])
{
    int size = number ? snprintf(out_path, PATH_SIZE, "%s.%u", self->settings->path, number)
                      : snprintf(out_path, PATH_SIZE, "%s", self->settings->path);
    return size > 0 && size < PATH_SIZE;
}

static bool has_head(const file_source *self, const char *path)
{
    leat_file *file;
    uint64_t hash;
    if (self->env->ops->open(self->env, path, LEAT_OPEN_READ, &file, NULL) != LEAT_OK)
        return false;
    bool same = hash_head(file, self->env, self->head_size, &hash) && hash == self->head_hash;
    self->env->ops->close(self->env, file);
    return same;
}

// The file that begins as the position's did and is not shorter than its offset, when its inode is another one; -1: none.
static int find_head(const file_source *self, uint64_t *out_inode)
{
    char path[PATH_SIZE];
    leat_file_stat stat;
    for (unsigned number = 0; self->head_size && number <= ROTATIONS_SEARCHED && rotated_path(self, number, path);
         number++) {
        if (self->env->ops->path_stat(self->env, path, &stat, NULL) != LEAT_OK || stat.is_directory ||
            stat.size < self->offset || !has_head(self, path))
            continue;
        *out_inode = stat.inode;
        return (int)number;
    }
    return -1;
}

// The number under which the inode is found: 0 the path itself; -1: nowhere.
static int find_inode(const file_source *self, uint64_t inode)
{
    char path[PATH_SIZE];
    leat_file_stat stat;
    for (unsigned number = 0; number <= ROTATIONS_SEARCHED && rotated_path(self, number, path); number++)
        if (self->env->ops->path_stat(self->env, path, &stat, NULL) == LEAT_OK && stat.inode == inode)
            return (int)number;
    return -1;
}

// The number of the file that the position is of; -1: nowhere. Where another one has got its inode the position has none afterwards.
static int find_file(file_source *self)
{
    char path[PATH_SIZE];
    leat_file_stat stat;
    int number = find_inode(self, self->inode);
    bool there = number >= 0 && rotated_path(self, (unsigned)number, path) &&
                 self->env->ops->path_stat(self->env, path, &stat, NULL) == LEAT_OK;
    bool shorter = there && stat.size < self->offset;
    if (there && !shorter && (!self->head_size || has_head(self, path)))
        return number;
    int copy = find_head(self, &self->inode);
    if (copy >= 0 || shorter) // the same one, written anew
        return copy >= 0 ? copy : number;
    self->inode = 0;
    return -1;
}

static void begin_file(file_source *self, uint64_t inode)
{
    self->base += self->offset;
    self->offset = self->head_hash = 0;
    self->head_size = 0;
    self->in_line = self->again = false;
    self->inode = inode;
}

// Opens path or path.number and goes to where reading goes on.
static leat_code attach_number(file_source *self, unsigned number, leat_error *out_error)
{
    char path[PATH_SIZE];
    leat_file_stat stat;
    if (!rotated_path(self, number, path))
        return leat_error_at(out_error, LEAT_E_INVALID, self->settings->path, "the path is too long");
    leat_code code = self->env->ops->open(self->env, path, LEAT_OPEN_READ, &self->file, out_error);
    if (code != LEAT_OK)
        return code;
    code = self->env->ops->file_stat(self->file, &stat, out_error);
    if (code == LEAT_OK && stat.is_directory)
        code = leat_error_at(out_error, LEAT_E_INVALID, path, "expected a file, found a directory");
    if (code != LEAT_OK) {
        detach(self);
        return code;
    }
    if (self->from_start) {
        self->inode = stat.inode;
        if (self->settings->start == LEAT_FILE_END) {
            self->offset = stat.size;
            self->again = self->in_line = stat.size > 0; // in_line: whatever line is being written now
            char last = 0;
            size_t got = 0;
            if (stat.size && self->env->ops->pread(self->file, &last, 1, stat.size - 1, &got, NULL) == LEAT_OK &&
                got == 1 && last == '\n')
                self->in_line = false;
        }
    } else if (stat.inode != self->inode || stat.size < self->offset) {
        begin_file(self, stat.inode);
    }
    self->from_start = false;
    return LEAT_OK;
}

static leat_code attach(file_source *self, leat_error *out_error)
{
    if (self->is_stdin) {
        self->from_start = false;
        return self->env->ops->open(self->env, "/dev/stdin", LEAT_OPEN_READ, &self->file, out_error);
    }
    int number = self->from_start || !self->inode ? 0 : find_file(self);
    if (number < 0 && self->source.setup->drops && self->offset)
        leat_drops_add(self->source.setup->drops, LEAT_DROP_GAP, 1);
    return attach_number(self, number < 0 ? 0 : (unsigned)number, out_error);
}

// ---- blocks

// End of the last whole line in the bytes (or of the first one when `first`), 0: none.
static size_t line_end(const file_source *self, const char *bytes, size_t size, bool first)
{
    if (!self->settings->quoted_newlines) {
        const char *newline = first ? memchr(bytes, '\n', size) : memrchr(bytes, '\n', size);
        return newline ? (size_t)(newline - bytes) + 1 : 0;
    }
    size_t end = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        quoted ^= bytes[i] == '"';
        if (bytes[i] == '\n' && !quoted) {
            end = i + 1;
            if (first)
                break;
        }
    }
    return end;
}

static leat_code read_stdin(file_source *self, leat_error *out_error)
{
    while (!self->stdin_ended && self->filled < BUFFER_SIZE && !line_end(self, self->buffer, self->filled, true)) {
        size_t got = 0;
        leat_code code =
            self->env->ops->read(self->file, self->buffer + self->filled, BUFFER_SIZE - self->filled, &got, out_error);
        if (code != LEAT_OK)
            return code;
        self->stdin_ended = got == 0;
        self->filled += got;
    }
    return LEAT_OK;
}

// What lies at the offset: a block, or more when its first line is longer. *out_ended: nothing lies behind it now.
static leat_code read_ahead(file_source *self, size_t *out_size, bool *out_ended, leat_error *out_error)
{
    if (self->is_stdin) {
        leat_code code = read_stdin(self, out_error);
        *out_size = self->filled;
        *out_ended = self->stdin_ended;
        return code;
    }
    size_t size = 0;
    leat_code code = self->env->ops->pread(self->file, self->buffer, BLOCK_SIZE, self->offset, &size, out_error);
    *out_ended = size < BLOCK_SIZE;
    if (code == LEAT_OK && !*out_ended && !line_end(self, self->buffer, size, true)) {
        size_t more = 0;
        code = self->env->ops->pread(self->file, self->buffer + size, BUFFER_SIZE - size, self->offset + size, &more,
                                     out_error);
        *out_ended = more < BUFFER_SIZE - BLOCK_SIZE;
        size += more;
    }
    *out_size = size;
    return code;
}

static void drop_given(file_source *self)
{
    self->filled -= self->given;
    memmove(self->buffer, self->buffer + self->given, self->filled);
    self->given = 0;
}

static void give(file_source *self, size_t size, leat_raw *out_raw)
{
    unsigned flags = LEAT_RAW_BLOCK | (self->settings->quoted_newlines ? 0 : LEAT_RAW_LINES);
    if (self->offset == 0)
        flags |= LEAT_RAW_HEAD;
    *out_raw = (leat_raw){
        .arrival_ms = leat_wall_ms(self->env),
        .tag = 1,
        .flags = (uint8_t)flags,
        .payload = {self->buffer, size},
        .position = self->base + self->offset,
    };
}

// How many of the bytes are given out now; 0: wait for more.
static size_t block_size(const file_source *self, size_t size, bool last)
{
    size_t limit = size < BLOCK_SIZE ? size : BLOCK_SIZE;
    size_t end = line_end(self, self->buffer, limit, false);
    if (!end)
        end = line_end(self, self->buffer, size, true);
    return end ? end : last || size == BUFFER_SIZE ? size : 0;
}

static void give_block(file_source *self, size_t size, leat_raw *out_raw)
{
    size_t shown = size;
    if (size == BUFFER_SIZE && self->buffer[size - 1] == '\n')
        shown--; // a line of the greatest length is not too long
    else if (size == BUFFER_SIZE)
        self->in_line = true;
    give(self, shown, out_raw);
    self->offset += size;
    self->given = self->is_stdin ? size : 0; // borrowed until the next pull, so what is left moves then
}

// The rest of a line that was too long. LEAT_AGAIN with no wait: there is more of it.
static leat_code skip_line(file_source *self, size_t size)
{
    const char *newline = memchr(self->buffer, '\n', size);
    self->in_line = !newline;
    size_t skipped = newline ? (size_t)(newline - self->buffer) + 1 : size;
    self->offset += skipped;
    self->given = self->is_stdin ? skipped : 0;
    return LEAT_AGAIN;
}

static leat_code give_header(file_source *self, leat_raw *out_raw, leat_error *out_error)
{
    size_t size = 0;
    self->again = false;
    leat_code code = self->env->ops->pread(self->file, self->buffer, BUFFER_SIZE, 0, &size, out_error);
    if (code != LEAT_OK)
        return code;
    size_t end = line_end(self, self->buffer, size, true);
    give(self, end && end <= LEAT_PAYLOAD_BYTES_MAX ? end : 0, out_raw);
    out_raw->position = self->base;
    out_raw->flags |= LEAT_RAW_AGAIN;
    return LEAT_OK;
}

// ---- the end of a followed file

static bool has_rested(file_source *self)
{
    int64_t now_ms = leat_boot_ms(self->env);
    if (!self->resting_since_ms)
        self->resting_since_ms = now_ms ? now_ms : 1;
    return now_ms - self->resting_since_ms >= ROTATION_REST_MS;
}

// The file after the one that is now path.number.
static leat_code attach_next(file_source *self, int number, leat_error *out_error)
{
    detach(self);
    begin_file(self, 0);
    leat_code code = attach_number(self, number > 1 ? (unsigned)number - 1 : 0, out_error);
    // Not found: renamed once more at this moment; pull looks again.
    return code == LEAT_OK || code == LEAT_E_NOT_FOUND ? LEAT_AGAIN : code;
}

// left: bytes of a line without an end. LEAT_OK: these are the last ones, give them out.
static leat_code at_growing_end(file_source *self, size_t left, int64_t *out_wait_ms, leat_error *out_error)
{
    leat_file_stat open_stat, path_stat;
    *out_wait_ms = POLL_MS;
    leat_code code = self->env->ops->file_stat(self->file, &open_stat, out_error);
    if (code != LEAT_OK)
        return code;
    if (open_stat.size < self->offset) {
        begin_file(self, self->inode);
        *out_wait_ms = 0;
        return LEAT_AGAIN;
    }
    bool other = self->env->ops->path_stat(self->env, self->settings->path, &path_stat, NULL) == LEAT_OK &&
                 path_stat.inode != self->inode;
    if (!other) {
        self->resting_since_ms = 0;
        return LEAT_AGAIN;
    }
    if (open_stat.size > self->offset + left)
        self->resting_since_ms = 0; // it grew meanwhile
    if (!has_rested(self))
        return LEAT_AGAIN;
    if (left)
        return LEAT_OK;
    *out_wait_ms = 0;
    return attach_next(self, find_inode(self, self->inode), out_error);
}

// A bounded read that was resumed in a file rotated since goes on with the files after it.
static leat_code at_end(file_source *self, leat_error *out_error)
{
    int number = self->is_stdin ? 0 : find_inode(self, self->inode);
    return number > 0 ? attach_next(self, number, out_error) : LEAT_END;
}

// Reads over what was given out before a restart.
static leat_code stdin_read_over(file_source *self, leat_error *out_error)
{
    self->stdin_read_over = true;
    for (uint64_t left = self->offset; left > 0;) {
        size_t wanted = left < BUFFER_SIZE ? (size_t)left : BUFFER_SIZE, got = 0;
        leat_code code = self->env->ops->read(self->file, self->buffer, wanted, &got, out_error);
        if (code != LEAT_OK || got == 0)
            return code;
        left -= got;
    }
    return LEAT_OK;
}

static leat_code prepare(file_source *self, int64_t *out_wait_ms, leat_error *out_error)
{
    if (!self->file) {
        leat_code code = attach(self, out_error);
        if (code == LEAT_E_NOT_FOUND && self->settings->follow) {
            *out_wait_ms = POLL_MS;
            return LEAT_AGAIN;
        }
        if (code != LEAT_OK)
            return code;
    }
    return self->is_stdin && !self->stdin_read_over ? stdin_read_over(self, out_error) : LEAT_OK;
}

static leat_code file_pull(leat_source *source, leat_raw *out_raw, int64_t *out_wait_ms, leat_error *out_error)
{
    file_source *self = (file_source *)source;
    size_t size, block;
    bool ended;
    *out_wait_ms = 0;
    drop_given(self);
    leat_code code = prepare(self, out_wait_ms, out_error);
    if (code != LEAT_OK)
        return code;
    if (self->again && !self->is_stdin)
        return give_header(self, out_raw, out_error);
    code = read_ahead(self, &size, &ended, out_error);
    if (code != LEAT_OK)
        return code;
    if (self->in_line && size)
        return skip_line(self, size);
    bool bounded = !self->settings->follow;
    block = block_size(self, size, bounded && ended);
    if (!block && bounded)
        return at_end(self, out_error);
    if (!block) {
        code = at_growing_end(self, size, out_wait_ms, out_error);
        if (code != LEAT_OK)
            return code;
        block = size;
    }
    give_block(self, block, out_raw);
    return LEAT_OK;
}

// ---- description

static leat_code file_check(const void *settings, const leat_source_field *fields, uint32_t field_count,
                            leat_error *out_error)
{
    const leat_file_source_settings *file = settings;
    (void)fields;
    (void)field_count;
    if (is_stdin_path(file->path) && (file->follow || file->start == LEAT_FILE_END))
        return leat_error_set(
            out_error, LEAT_E_INVALID,
            "path: '-' is standard input, which is read once up to its end; leave out follow and start");
    return LEAT_OK;
}

static bool file_bounded(const void *settings) { return !((const leat_file_source_settings *)settings)->follow; }

static const char *const starts[] = {"beginning", "end", NULL};
static const leat_setting settings_table[] = {
    {.name = "path",
     .type = LEAT_SETTING_PATH,
     .offset = offsetof(leat_file_source_settings, path),
     .required = true,
     .text = "The file; '-' is standard input."},
    {.name = "follow",
     .type = LEAT_SETTING_BOOLEAN,
     .offset = offsetof(leat_file_source_settings, follow),
     .default_text = "false",
     .text = "Wait for more at the end, also when the file is truncated or rotated."},
    {.name = "start",
     .type = LEAT_SETTING_CHOICE,
     .offset = offsetof(leat_file_source_settings, start),
     .default_text = "beginning",
     .choices = starts,
     .text = "Where to begin when there is no stored position."},
    {.name = "quoted_newlines",
     .type = LEAT_SETTING_BOOLEAN,
     .offset = offsetof(leat_file_source_settings, quoted_newlines),
     .default_text = "false",
     .text = "A line end within double quotes does not end a line (CSV with line ends in its fields)."},
};

const leat_source_description leat_source_file_description = {
    .name = "file",
    .summary = "lines of a text file, read once or followed as it grows",
    .settings = {settings_table, sizeof settings_table / sizeof *settings_table, sizeof(leat_file_source_settings)},
    .replayable = true,
    .fields_required = true,
    .implicit = LEAT_IMPLICIT_SOURCE | LEAT_IMPLICIT_TS,
    .check = file_check,
    .bounded = file_bounded,
};

const leat_source_ops leat_source_file_ops = {
    .abi = LEAT_DRIVER_ABI,
    .size = sizeof(leat_source_ops),
    .name = "file",
    .instance_size = sizeof(file_source),
    .open = file_open,
    .close = file_close,
    .pull = file_pull,
    .seek = file_seek,
    .position = file_position,
};
