// What `sqlite` understands as a source. The driver is sqlite.c, in leat_sqlite.so.
#include "drivers/bus/sqlite_settings.h"
#include "drivers/driver.h"

static leat_code check_source(const void *settings, const leat_source_field *fields, uint32_t field_count,
                              leat_error *out_error)
{
    const leat_sqlite_source_settings *sqlite = settings;
    (void)fields;
    (void)field_count;
    if (!sqlite->query == !sqlite->table)
        return leat_error_set(out_error, LEAT_E_INVALID, "query: expected either `query` or `table`, found %s",
                              sqlite->query ? "both" : "neither");
    return LEAT_OK;
}

static bool is_bounded(const void *settings) { return !((const leat_sqlite_source_settings *)settings)->follow; }

#define MEMBER(name) offsetof(leat_sqlite_source_settings, name)
static const leat_setting settings_table[] = {
    {.name = "path",
     .type = LEAT_SETTING_PATH,
     .offset = MEMBER(path),
     .required = true,
     .text = "The database's file; it is only read."},
    {.name = "table", .type = LEAT_SETTING_TEXT, .offset = MEMBER(table), .text = "The table or view to read."},
    {.name = "query",
     .type = LEAT_SETTING_TEXT,
     .offset = MEMBER(query),
     .text = "Or a SELECT in SQLite's SQL; its columns have the names of the fields."},
    {.name = "follow",
     .type = LEAT_SETTING_BOOLEAN,
     .offset = MEMBER(follow),
     .default_text = "true",
     .text = "Read it again whenever the database has changed; false: once."},
    {.name = "check",
     .type = LEAT_SETTING_DURATION,
     .offset = MEMBER(check_ms),
     .default_text = "1s",
     .minimum = 10,
     .maximum = 86400000,
     .text = "How often to ask whether the database has changed."},
};

const leat_source_description leat_source_sqlite_description = {
    .name = "sqlite",
    .summary = "a table of an SQLite database as a reference table, read again whenever the database changes",
    .library = "leat_sqlite.so",
    .settings = {settings_table, sizeof settings_table / sizeof *settings_table, sizeof(leat_sqlite_source_settings)},
    .replayable = true,
    .fields_required = true,
    .table = true,
    .implicit = LEAT_IMPLICIT_SOURCE | LEAT_IMPLICIT_TS,
    .check = check_source,
    .bounded = is_bounded,
};
