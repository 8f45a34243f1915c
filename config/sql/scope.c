#include "config/sql/scope.h"

#include "operators/base/suggest.h"

#include <stdio.h>

static bool path_starts_with(const leat_sql_path *path, const leat_sql_path *prefix)
{
    if (!prefix || path->count < prefix->count)
        return false;
    for (uint32_t i = 0; i < prefix->count; i++)
        if (!leat_slice_equal(path->parts[i].text, prefix->parts[i].text))
            return false;
    return true;
}

// Index, -1 when missing, -2 when two columns have the name.
static int column_find(const leat_schema *schema, leat_slice name)
{
    int found_at = -1;
    for (uint32_t c = 0; c < schema->count; c++)
        if (leat_slice_equal(schema->fields[c].name, name))
            found_at = found_at == -1 ? (int)c : -2;
    return found_at;
}

static leat_code twice(const leat_sql_scope_table *table, leat_slice name, leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_INVALID,
                          "column '%.*s' is ambiguous: %.*s has it twice; rename one in a subquery", (int)name.size,
                          name.data, table->alias.size ? (int)table->alias.size : 9,
                          table->alias.size ? table->alias.data : "the input");
}

// How many parts of the path name the table; 0: another one is meant.
static uint32_t table_parts(const leat_sql_scope_table *table, const leat_sql_path *path)
{
    if (table->alias.size && leat_slice_equal(path->parts[0].text, table->alias))
        return 1;
    return path_starts_with(path, table->path) ? table->path->count : 0;
}

static const char *suggest(leat_slice name, const leat_slice *candidates, uint32_t count, char out_text[128])
{
    for (uint32_t i = 0; i < count; i++) {
        char text[LEAT_NAME_SIZE];
        if (candidates[i].size != name.size || name.size >= sizeof text)
            continue;
        snprintf(text, sizeof text, "%.*s", (int)name.size, name.data);
        if (!leat_slice_is_nocase(candidates[i], text))
            continue;
        snprintf(out_text, 128, " (did you mean '%.*s'?)", (int)name.size, candidates[i].data);
        return out_text;
    }
    return leat_suggest_text(name, candidates, count, out_text);
}

static uint32_t add_columns(const leat_schema *schema, leat_slice *names, uint32_t count)
{
    for (uint32_t c = 0; c < schema->count && count < LEAT_COLUMNS_MAX; c++)
        names[count++] = schema->fields[c].name;
    return count;
}

const char *leat_sql_suggest_column(const leat_schema *schema, leat_slice name, char out_text[128])
{
    leat_slice names[LEAT_COLUMNS_MAX];
    return suggest(name, names, add_columns(schema, names, 0), out_text);
}

static leat_code column_unknown(const leat_sql_scope *scope, leat_slice name, leat_error *out_error)
{
    leat_slice names[LEAT_COLUMNS_MAX];
    uint32_t count = 0;
    for (uint32_t t = 0; t < scope->count; t++)
        if (!scope->tables[t].qualified_only)
            count = add_columns(scope->tables[t].schema, names, count);
    char hint[128];
    return leat_error_set(out_error, LEAT_E_NOT_FOUND, "unknown column '%.*s'%s", (int)name.size, name.data,
                          suggest(name, names, count, hint));
}

static leat_code table_unknown(const leat_sql_scope *scope, leat_slice name, leat_error *out_error)
{
    leat_slice names[LEAT_COLUMNS_MAX];
    uint32_t count = 0;
    for (uint32_t t = 0; t < scope->count && count < LEAT_COLUMNS_MAX; t++)
        if (scope->tables[t].alias.size)
            names[count++] = scope->tables[t].alias;
    char hint[128];
    return leat_error_set(out_error, LEAT_E_NOT_FOUND, "unknown table '%.*s'%s", (int)name.size, name.data,
                          suggest(name, names, count, hint));
}

static void found(const leat_sql_scope_table *table, int column, uint32_t parts, leat_sql_found *out_found)
{
    *out_found = (leat_sql_found){.input = table->input,
                                  .column = table->first + (uint32_t)column,
                                  .type = table->schema->fields[column].type,
                                  .part_count = parts};
}

// `t.a`: sets *out_table when some table has that name, whether or not it has the column.
static bool find_qualified(const leat_sql_scope *scope, const leat_sql_path *path, bool outer,
                           const leat_sql_scope_table **out_table, uint32_t *out_parts, leat_sql_found *out_found)
{
    *out_table = NULL;
    for (uint32_t t = 0; path->count > 1 && t < scope->count; t++) {
        const leat_sql_scope_table *table = &scope->tables[t];
        uint32_t parts = table->outer == outer ? table_parts(table, path) : 0;
        if (!parts || parts == path->count)
            continue;
        *out_table = table;
        *out_parts = parts;
        int column = column_find(table->schema, path->parts[parts].text);
        if (column < 0)
            continue;
        found(table, column, parts + 1, out_found);
        return true;
    }
    return false;
}

static leat_code find_unqualified(const leat_sql_scope *scope, const leat_sql_path *path, bool outer,
                                  leat_sql_found *out_found, leat_error *out_error)
{
    leat_slice name = path->parts[0].text;
    const leat_sql_scope_table *first = NULL;
    for (uint32_t t = 0; t < scope->count; t++) {
        const leat_sql_scope_table *table = &scope->tables[t];
        int column = table->qualified_only || table->outer != outer ? -1 : column_find(table->schema, name);
        if (column == -2)
            return twice(table, name, out_error);
        if (column < 0)
            continue;
        if (first && first->merged)
            break;
        if (first)
            return leat_error_set(
                out_error, LEAT_E_INVALID, "column '%.*s' is ambiguous: it is in '%.*s' and in '%.*s'", (int)name.size,
                name.data, (int)first->alias.size, first->alias.data, (int)table->alias.size, table->alias.data);
        first = table;
        found(table, column, 1, out_found);
    }
    return first ? LEAT_OK : column_unknown(scope, name, out_error);
}

static leat_code find_among(const leat_sql_scope *scope, const leat_sql_path *path, bool outer,
                            leat_sql_found *out_found, leat_error *out_error)
{
    const leat_sql_scope_table *table;
    uint32_t parts = 0;
    if (find_qualified(scope, path, outer, &table, &parts, out_found))
        return LEAT_OK;
    if (table) {
        char hint[128];
        leat_slice name = path->parts[parts].text;
        if (column_find(table->schema, name) == -2)
            return twice(table, name, out_error);
        return leat_error_set(out_error, LEAT_E_NOT_FOUND, "unknown column '%.*s' in '%.*s'%s", (int)name.size,
                              name.data, (int)table->alias.size, table->alias.data,
                              leat_sql_suggest_column(table->schema, name, hint));
    }
    leat_code code = find_unqualified(scope, path, outer, out_found, out_error);
    if (code == LEAT_E_NOT_FOUND && path->count > 1)
        return table_unknown(scope, path->parts[0].text, out_error);
    return code;
}

leat_code leat_sql_scope_find(const leat_sql_scope *scope, const leat_sql_path *path, leat_sql_found *out_found,
                              leat_error *out_error)
{
    leat_error ignored;
    leat_code code = find_among(scope, path, false, out_found, out_error);
    if (code == LEAT_E_NOT_FOUND && find_among(scope, path, true, out_found, &ignored) == LEAT_OK)
        return LEAT_OK;
    return code;
}

leat_code leat_sql_scope_table_find(const leat_sql_scope *scope, const leat_sql_path *path,
                                    const leat_sql_scope_table **out_table, leat_error *out_error)
{
    for (uint32_t t = 0; t < scope->count; t++)
        if (table_parts(&scope->tables[t], path) == path->count) {
            *out_table = &scope->tables[t];
            return LEAT_OK;
        }
    return table_unknown(scope, path->parts[0].text, out_error);
}
