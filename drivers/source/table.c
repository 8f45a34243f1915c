// A file as a reference table: read whole, and again whenever it has changed.
//
// A change is another inode, size or time of modification at the path, seen every `check`. A file that was written just now is left alone
// until it has stayed the same from one look to the next, so that a writer that fills it in place is not overtaken; a rename over the
// path needs no such care. A file that is empty, too large or away is not read: the table stays as it was, and the status says why.
#include "drivers/source/table.h"

#include <stdio.h>

#include "drivers/source/table_text.h"

enum { SETTLE_MS = 200, RESTED_MS = 2000 };

typedef struct table_source {
    leat_source source;
    const leat_table_source_settings *settings;
    leat_env *env;
    leat_table_text text;
    leat_file_stat read, seen; // what was read last, what lay there at the last look
    bool has_read, has_seen;
} table_source;

static leat_code table_open(leat_source *source, const leat_source_setup *setup, leat_error *out_error)
{
    (void)out_error;
    table_source *self = (table_source *)source;
    source->setup = setup;
    self->settings = setup->settings;
    self->env = self->text.env = setup->env;
    self->text.quoted = self->settings->quoted_newlines;
    return LEAT_OK;
}

static void table_close(leat_source *source)
{
    table_source *self = (table_source *)source;
    if (self->env)
        leat_table_fini(&self->text);
}

static leat_slice table_position(leat_source *source) { return leat_table_position(&((table_source *)source)->text); }

static leat_code table_seek(leat_source *source, leat_slice position, leat_error *out_error)
{
    table_source *self = (table_source *)source;
    self->has_read = self->has_seen = false;
    if (leat_table_seek(&self->text, position))
        return LEAT_OK;
    return leat_error_at(out_error, LEAT_E_CORRUPT, self->settings->path,
                         "expected a position of a table, found %zu bytes of something else", position.size);
}

// ---- what lies at the path

static bool is_same(const leat_file_stat *a, const leat_file_stat *b)
{
    return a->inode == b->inode && a->size == b->size && a->modified_ms == b->modified_ms;
}

static void note(const table_source *self, bool good, const char *text)
{
    leat_intake *intake = self->source.setup->intake;
    if (intake)
        intake->note(intake, good, text);
}

// Not to be read; the table stays. A source that is read once has nothing to wait for.
static leat_code leave(table_source *self, int64_t *out_wait_ms, leat_code code, const char *why, leat_error *out_error)
{
    char text[160];
    *out_wait_ms = self->settings->check_ms;
    if (!self->settings->follow)
        return leat_error_at(out_error, code, self->settings->path, "%s", why);
    snprintf(text, sizeof text, "%s; the table stays as it was", why);
    note(self, false, text);
    return LEAT_AGAIN;
}

static bool has_settled(table_source *self, const leat_file_stat *stat)
{
    bool again = self->has_seen && is_same(&self->seen, stat);
    self->seen = *stat;
    self->has_seen = true;
    int64_t age_ms = leat_wall_ms(self->env) - stat->modified_ms;
    return again || !self->settings->follow || age_ms >= RESTED_MS;
}

// Reads as many bytes as stat says; LEAT_AGAIN: the file is another by now.
static leat_code read_file(table_source *self, const leat_file_stat *stat, leat_error *out_error)
{
    const leat_env_ops *ops = self->env->ops;
    leat_file *file = NULL;
    leat_file_stat after;
    size_t got = 0;
    if (!leat_table_reserve(&self->text, stat->size))
        return leat_error_at(out_error, LEAT_E_MEMORY, self->settings->path, "no memory for a table of %llu bytes",
                             (unsigned long long)stat->size);
    leat_code code = ops->open(self->env, self->settings->path, LEAT_OPEN_READ, &file, out_error);
    if (code == LEAT_OK)
        code = ops->pread(file, self->text.bytes, stat->size, 0, &got, out_error);
    if (code == LEAT_OK)
        code = ops->file_stat(file, &after, out_error);
    ops->close(self->env, file);
    return code == LEAT_OK && (got != stat->size || !is_same(stat, &after)) ? LEAT_AGAIN : code;
}

// Begins a reading when there is something new to read (LEAT_OK).
static leat_code look(table_source *self, int64_t *out_wait_ms, leat_error *out_error)
{
    leat_file_stat stat;
    leat_error error = {0};
    *out_wait_ms = self->settings->check_ms;
    leat_code code = self->env->ops->path_stat(self->env, self->settings->path, &stat, &error);
    if (code != LEAT_OK)
        return leave(self, out_wait_ms, code, "the file cannot be read", out_error);
    if (self->has_read && is_same(&self->read, &stat))
        return self->settings->follow ? LEAT_AGAIN : LEAT_END;
    if (!has_settled(self, &stat)) {
        *out_wait_ms = SETTLE_MS < self->settings->check_ms ? SETTLE_MS : self->settings->check_ms;
        return LEAT_AGAIN;
    }
    if (stat.is_directory)
        return leave(self, out_wait_ms, LEAT_E_INVALID, "expected a file, found a directory", out_error);
    if (stat.size == 0 || stat.size > LEAT_TABLE_BYTES_MAX)
        return leave(self, out_wait_ms, LEAT_E_INVALID,
                     stat.size ? "the file is larger than 16 MiB" : "the file is empty", out_error);
    code = read_file(self, &stat, &error);
    if (code == LEAT_AGAIN) {
        *out_wait_ms = SETTLE_MS;
        return code;
    }
    if (code != LEAT_OK)
        return leave(self, out_wait_ms, code, "the file cannot be read", out_error);
    self->read = stat;
    self->has_read = true;
    leat_table_begin(&self->text, stat.size);
    note(self, true, "");
    return LEAT_OK;
}

static leat_code table_pull(leat_source *source, leat_raw *out_raw, int64_t *out_wait_ms, leat_error *out_error)
{
    table_source *self = (table_source *)source;
    *out_wait_ms = 0;
    if (!self->text.giving) {
        leat_code code = look(self, out_wait_ms, out_error);
        if (code != LEAT_OK)
            return code;
    }
    return leat_table_next(&self->text, leat_wall_ms(self->env), out_raw);
}

// ---- description

static bool table_bounded(const void *settings) { return !((const leat_table_source_settings *)settings)->follow; }

#define MEMBER(name) offsetof(leat_table_source_settings, name)
static const leat_setting settings_table[] = {
    {.name = "path",
     .type = LEAT_SETTING_PATH,
     .offset = MEMBER(path),
     .required = true,
     .text = "The file: a row a line, 16 MiB at most."},
    {.name = "follow",
     .type = LEAT_SETTING_BOOLEAN,
     .offset = MEMBER(follow),
     .default_text = "true",
     .text = "Read it again whenever it has changed; false: once."},
    {.name = "check",
     .type = LEAT_SETTING_DURATION,
     .offset = MEMBER(check_ms),
     .default_text = "1s",
     .minimum = 10,
     .maximum = 86400000,
     .text = "How often to look whether the file has changed."},
    {.name = "quoted_newlines",
     .type = LEAT_SETTING_BOOLEAN,
     .offset = MEMBER(quoted_newlines),
     .default_text = "false",
     .text = "A line end within double quotes does not end a line (CSV with line ends in its fields)."},
};

const leat_source_description leat_source_table_description = {
    .name = "table",
    .summary = "a file as a reference table, read again whenever it changes",
    .settings = {settings_table, sizeof settings_table / sizeof *settings_table, sizeof(leat_table_source_settings)},
    .replayable = true,
    .fields_required = true,
    .table = true,
    .implicit = LEAT_IMPLICIT_SOURCE | LEAT_IMPLICIT_TS,
    .bounded = table_bounded,
};

const leat_source_ops leat_source_table_ops = {
    .abi = LEAT_DRIVER_ABI,
    .size = sizeof(leat_source_ops),
    .name = "table",
    .instance_size = sizeof(table_source),
    .open = table_open,
    .close = table_close,
    .pull = table_pull,
    .seek = table_seek,
    .position = table_position,
};
