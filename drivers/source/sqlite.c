// A table or query of an SQLite database as a reference table: read whole, and again whenever another connection has committed.
//
// PRAGMA data_version tells of such commits without reading the table. Rows are given as lines of JSON, which the format of that name
// decodes, so that fields have the same types and errors as everywhere. One SELECT sees one state of the database. The database is opened
// read-only and waits for nobody: where it is locked, away, or refuses the query the table stays as it was and the status says why. A
// database that was replaced by another file is opened anew.
//
// Called on the source's task: a reading takes as long as SQLite does for it. Limit: 16 MiB of JSON.
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>

#include "drivers/bus/sqlite_settings.h"
#include "drivers/source/table_text.h"

enum { QUERY_SIZE = 4096, WHY_SIZE = 160, NOTE_SIZE = 160, NUMBER_SIZE = 32 };

typedef struct sqlite_source {
    leat_source source;
    const leat_sqlite_source_settings *settings;
    leat_env *env;
    leat_table_text text;
    sqlite3 *database;
    sqlite3_stmt *version_query, *rows_query;
    uint64_t inode;
    int64_t version; // of what was read last
    bool has_read;
    char query[QUERY_SIZE];
    char why[WHY_SIZE];
} sqlite_source;

extern const leat_source_ops leat_source_sqlite_ops;

static leat_code sqlite_open(leat_source *source, const leat_source_setup *setup, leat_error *out_error)
{
    sqlite_source *self = (sqlite_source *)source;
    const leat_sqlite_source_settings *settings = setup->settings;
    source->setup = setup;
    self->settings = settings;
    self->env = self->text.env = setup->env;
    if (settings->query)
        sqlite3_snprintf(QUERY_SIZE, self->query, "%s", settings->query);
    else
        sqlite3_snprintf(QUERY_SIZE, self->query, "SELECT * FROM \"%w\"", settings->table);
    if (strlen(self->query) == QUERY_SIZE - 1)
        return leat_error_set(out_error, LEAT_E_INVALID, "query: longer than %d bytes", QUERY_SIZE - 2);
    return LEAT_OK;
}

static void disconnect(sqlite_source *self)
{
    sqlite3_finalize(self->version_query);
    sqlite3_finalize(self->rows_query);
    sqlite3_close(self->database);
    self->version_query = self->rows_query = NULL;
    self->database = NULL;
    self->has_read = false; // versions are those of a connection
}

static void sqlite_close(leat_source *source)
{
    sqlite_source *self = (sqlite_source *)source;
    disconnect(self);
    if (self->env)
        leat_table_fini(&self->text);
}

static leat_slice sqlite_position(leat_source *source) { return leat_table_position(&((sqlite_source *)source)->text); }

static leat_code sqlite_seek(leat_source *source, leat_slice position, leat_error *out_error)
{
    sqlite_source *self = (sqlite_source *)source;
    disconnect(self);
    if (leat_table_seek(&self->text, position))
        return LEAT_OK;
    return leat_error_at(out_error, LEAT_E_CORRUPT, self->settings->path,
                         "expected a position of a table, found %zu bytes of something else", position.size);
}

static void note(const sqlite_source *self, bool good, const char *text)
{
    leat_intake *intake = self->source.setup->intake;
    if (intake)
        intake->note(intake, good, text);
}

// The library's words are its own until its next call: kept here.
static const char *sqlite_says(sqlite_source *self)
{
    snprintf(self->why, sizeof self->why, "%s", sqlite3_errmsg(self->database));
    return self->why;
}

// The table stays; a source that is read once has nothing to wait for.
static leat_code leave(sqlite_source *self, const char *why, int64_t *out_wait_ms, leat_error *out_error)
{
    char text[NOTE_SIZE];
    *out_wait_ms = self->settings->check_ms;
    if (!self->settings->follow)
        return leat_error_at(out_error, LEAT_E_INVALID, self->settings->path, "%s", why);
    snprintf(text, sizeof text, "%.120s; the table stays as it was", why);
    note(self, false, text);
    return LEAT_AGAIN;
}

// ---- rows as JSON

static void put(sqlite_source *self, const char *bytes, size_t size, bool *inout_fits)
{
    leat_table_text *text = &self->text;
    *inout_fits =
        *inout_fits && text->size + size <= LEAT_TABLE_BYTES_MAX && leat_table_reserve(text, text->size + size);
    if (!*inout_fits)
        return;
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
}

static void put_text(sqlite_source *self, const char *bytes, size_t size, bool *inout_fits)
{
    char escaped[8];
    put(self, "\"", 1, inout_fits);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            put(self, bytes + i, 1, inout_fits);
        else
            put(self, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", byte), inout_fits);
    }
    put(self, "\"", 1, inout_fits);
}

static void put_number(sqlite_source *self, sqlite3_stmt *row, int column, bool *inout_fits)
{
    char number[NUMBER_SIZE];
    double value = sqlite3_column_double(row, column);
    int size = sqlite3_column_type(row, column) == SQLITE_INTEGER
                   ? snprintf(number, sizeof number, "%lld", (long long)sqlite3_column_int64(row, column))
                   : snprintf(number, sizeof number, "%.17g", value);
    if (isfinite(value))
        put(self, number, (size_t)size, inout_fits);
    else
        put(self, "null", 4, inout_fits);
}

static void put_value(sqlite_source *self, sqlite3_stmt *row, int column, bool *inout_fits)
{
    const char *bytes;
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_NULL:
        put(self, "null", 4, inout_fits);
        return;
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        put_number(self, row, column, inout_fits);
        return;
    default: // a blob as the text that it holds
        bytes = (const char *)sqlite3_column_text(row, column);
        put_text(self, bytes ? bytes : "", bytes ? (size_t)sqlite3_column_bytes(row, column) : 0, inout_fits);
    }
}

static bool put_row(sqlite_source *self, sqlite3_stmt *row)
{
    bool fits = true;
    put(self, "{", 1, &fits);
    for (int column = 0; column < sqlite3_column_count(row); column++) {
        const char *name = sqlite3_column_name(row, column);
        if (column)
            put(self, ",", 1, &fits);
        put_text(self, name ? name : "", name ? strlen(name) : 0, &fits);
        put(self, ":", 1, &fits);
        put_value(self, row, column, &fits);
    }
    put(self, "}\n", 2, &fits);
    return fits;
}

// ---- readings

static bool connect_database(sqlite_source *self)
{
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
    return sqlite3_open_v2(self->settings->path, &self->database, flags, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(self->database, "PRAGMA data_version", -1, &self->version_query, NULL) == SQLITE_OK;
}

static bool find_version(sqlite_source *self, int64_t *out_version)
{
    bool found = sqlite3_step(self->version_query) == SQLITE_ROW;
    *out_version = found ? sqlite3_column_int64(self->version_query, 0) : 0;
    sqlite3_reset(self->version_query);
    return found;
}

// NULL: read; else why not.
static const char *read_rows(sqlite_source *self)
{
    int result;
    self->text.size = 0;
    sqlite3_finalize(self->rows_query);
    self->rows_query = NULL;
    if (sqlite3_prepare_v2(self->database, self->query, -1, &self->rows_query, NULL) != SQLITE_OK || !self->rows_query)
        return sqlite3_errcode(self->database) == SQLITE_OK ? "the query is empty" : sqlite_says(self);
    if (!sqlite3_stmt_readonly(self->rows_query) || !sqlite3_column_count(self->rows_query))
        return "expected a query that reads rows";
    while ((result = sqlite3_step(self->rows_query)) == SQLITE_ROW)
        if (!put_row(self, self->rows_query)) {
            sqlite3_reset(self->rows_query); // or the next one would see the database as it is now
            return "the rows are larger than 16 MiB, or than memory";
        }
    const char *why = result == SQLITE_DONE ? NULL : sqlite_says(self);
    sqlite3_reset(self->rows_query);
    return why;
}

// Begins a reading when there is something new to read (LEAT_OK). The version is taken before the rows: a commit between the two is read
// twice rather than not at all.
static leat_code look(sqlite_source *self, int64_t *out_wait_ms, leat_error *out_error)
{
    leat_file_stat stat;
    int64_t version;
    *out_wait_ms = self->settings->check_ms;
    if (self->env->ops->path_stat(self->env, self->settings->path, &stat, NULL) != LEAT_OK)
        return leave(self, "the file cannot be read", out_wait_ms, out_error);
    if (self->database && stat.inode != self->inode)
        disconnect(self);
    self->inode = stat.inode;
    if (!self->database && !connect_database(self)) {
        leat_code code = leave(self, self->database ? sqlite_says(self) : "no memory", out_wait_ms, out_error);
        disconnect(self);
        return code;
    }
    if (!find_version(self, &version))
        return leave(self, sqlite_says(self), out_wait_ms, out_error);
    if (self->has_read && version == self->version)
        return self->settings->follow ? LEAT_AGAIN : LEAT_END;
    const char *why = read_rows(self);
    if (why)
        return leave(self, why, out_wait_ms, out_error);
    self->version = version;
    self->has_read = true;
    leat_table_begin(&self->text, self->text.size);
    note(self, true, "");
    return LEAT_OK;
}

static leat_code sqlite_pull(leat_source *source, leat_raw *out_raw, int64_t *out_wait_ms, leat_error *out_error)
{
    sqlite_source *self = (sqlite_source *)source;
    *out_wait_ms = 0;
    if (!self->text.giving) {
        leat_code code = look(self, out_wait_ms, out_error);
        if (code != LEAT_OK)
            return code;
    }
    return leat_table_next(&self->text, leat_wall_ms(self->env), out_raw);
}

const leat_source_ops leat_source_sqlite_ops = {
    .abi = LEAT_DRIVER_ABI,
    .size = sizeof(leat_source_ops),
    .name = "sqlite",
    .instance_size = sizeof(sqlite_source),
    .open = sqlite_open,
    .close = sqlite_close,
    .pull = sqlite_pull,
    .seek = sqlite_seek,
    .position = sqlite_position,
};
