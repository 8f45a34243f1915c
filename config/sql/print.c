#include "config/sql/print.h"

#include "config/sql/lexer.h"
#include "config/sql/precedence.h"
#include "config/sql/print_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// ---- text

void put_slice(printer *out, leat_slice text)
{
    if (out->size + text.size + 1 > out->capacity) {
        size_t capacity = (out->size + text.size + 1) * 2 + 64;
        char *larger = leat_arena_alloc(out->arena, capacity);
        if (out->size)
            memcpy(larger, out->text, out->size);
        out->text = larger;
        out->capacity = capacity;
    }
    LEAT_ASSERT(out->text);
    if (text.size)
        memcpy(out->text + out->size, text.data, text.size);
    out->size += text.size;
}

void put(printer *out, const char *text) { put_slice(out, leat_slice_of(text, strlen(text))); }

void put_number(printer *out, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    put(out, text);
}

static void put_quoted(printer *out, leat_slice text, char quote)
{
    char mark[3] = {quote, quote, 0};
    put_slice(out, leat_slice_of(mark, 1));
    for (size_t i = 0; i < text.size; i++)
        put_slice(out, text.data[i] == quote ? leat_slice_of(mark, 2) : leat_slice_of(text.data + i, 1));
    put_slice(out, leat_slice_of(mark, 1));
}

void put_string(printer *out, leat_slice text) { put_quoted(out, text, '\''); }

static bool is_plain_name(leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return text.size && leat_sql_keyword_find(text) == NO_KEYWORD;
}

// A free keyword stays as it was written; one that came quoted keeps its quotes, as in some places it would read as a keyword.
void put_name(printer *out, const leat_sql_name *name)
{
    if (name->is_parameter) {
        put(out, "${");
        put_slice(out, name->text);
        put(out, "}");
    } else if (is_plain_name(name->text) || (!name->quoted && leat_sql_keyword_find(name->text) != NO_KEYWORD)) {
        put_slice(out, name->text);
    } else {
        put_quoted(out, name->text, '`');
    }
}

void put_names(printer *out, const leat_sql_names *names)
{
    for (uint32_t i = 0; i < names->count; i++) {
        put(out, i ? ", " : "");
        put_name(out, &names->items[i]);
    }
}

void put_path(printer *out, const leat_sql_path *path)
{
    for (uint32_t i = 0; i < path->count; i++) {
        put(out, i ? "." : "");
        put_name(out, &path->parts[i]);
    }
}

void put_line(printer *out)
{
    if (out->indent < 0) {
        put(out, " ");
        return;
    }
    put(out, "\n");
    for (int i = 0; i < out->indent && i < 40; i++)
        put(out, "  ");
}

leat_slice put_finish(printer *out)
{
    put_slice(out, (leat_slice){0});
    out->text[out->size] = 0;
    return leat_slice_of(out->text, out->size);
}

// ---- types

static const char *const type_names[LEAT_SQL_TYPE_KIND_COUNT] = {
    "BOOLEAN",       "TINYINT",   "SMALLINT", "INT",       "BIGINT", "FLOAT", "DOUBLE", "DECIMAL",   "CHAR",
    "VARCHAR",       "STRING",    "BINARY",   "VARBINARY", "BYTES",  "DATE",  "TIME",   "TIMESTAMP", "TIMESTAMP",
    "TIMESTAMP_LTZ", "INTERVAL ", "ARRAY",    "MULTISET",  "MAP",    "ROW",   "NULL",   "",
};

static void put_type_numbers(printer *out, const leat_sql_type *type)
{
    if (type->precision < 0)
        return;
    put(out, "(");
    put_number(out, type->precision);
    if (type->scale >= 0) {
        put(out, ", ");
        put_number(out, type->scale);
    }
    put(out, ")");
}

static void put_precision(printer *out, int32_t precision)
{
    if (precision < 0)
        return;
    put(out, "(");
    put_number(out, precision);
    put(out, ")");
}

void put_qualifier(printer *out, const leat_sql_interval_qualifier *qualifier)
{
    put(out, leat_sql_unit_name(qualifier->from));
    if (!qualifier->to && qualifier->precision_to >= 0) {
        put(out, "(");
        put_number(out, qualifier->precision);
        put(out, ", ");
        put_number(out, qualifier->precision_to);
        put(out, ")");
        return;
    }
    put_precision(out, qualifier->precision);
    if (!qualifier->to)
        return;
    put(out, " TO ");
    put(out, leat_sql_unit_name(qualifier->to));
    put_precision(out, qualifier->precision_to);
}

static void put_fields(printer *out, const leat_sql_type *type)
{
    put(out, "<");
    for (uint32_t i = 0; i < type->field_count; i++) {
        put(out, i ? ", " : "");
        put_name(out, &type->fields[i].name);
        put(out, " ");
        put_type(out, type->fields[i].type);
    }
    put(out, ">");
}

void put_type(printer *out, const leat_sql_type *type)
{
    put(out, type_names[type->kind]);
    put_type_numbers(out, type);
    put(out, type->kind == LEAT_SQL_TYPE_TIMESTAMP_TZ ? " WITH TIME ZONE" : "");
    put_path(out, &type->name);
    if (type->kind == LEAT_SQL_TYPE_INTERVAL)
        put_qualifier(out, &type->interval);
    if (type->kind == LEAT_SQL_TYPE_ROW)
        put_fields(out, type);
    if (type->element) {
        put(out, "<");
        if (type->key) {
            put_type(out, type->key);
            put(out, ", ");
        }
        put_type(out, type->element);
        put(out, ">");
    }
    put(out, type->not_null ? " NOT NULL" : "");
}

// ---- patterns and MATCH_RECOGNIZE

static void put_pattern(printer *out, const leat_sql_pattern *pattern);

static void put_pattern_items(printer *out, const leat_sql_pattern *pattern, const char *between)
{
    for (uint32_t i = 0; i < pattern->item_count; i++) {
        put(out, i ? between : "");
        put_pattern(out, pattern->items[i]);
    }
}

static void put_repetition(printer *out, uint32_t count, const leat_sql_name *parameter)
{
    if (parameter->text.data)
        put_name(out, parameter);
    else
        put_number(out, count);
}

static void put_quantifier(printer *out, const leat_sql_pattern *repeat)
{
    bool parameters = repeat->min_parameter.text.data || repeat->max_parameter.text.data;
    bool unbounded = repeat->max == LEAT_SQL_PATTERN_UNBOUNDED && !repeat->max_parameter.text.data;
    if (!parameters && unbounded && repeat->min <= 1) {
        put(out, repeat->min ? "+" : "*");
    } else if (!parameters && repeat->max == 1 && !repeat->min) {
        put(out, "?");
    } else {
        put(out, "{");
        put_repetition(out, repeat->min, &repeat->min_parameter);
        bool same =
            repeat->min == repeat->max && leat_slice_equal(repeat->min_parameter.text, repeat->max_parameter.text);
        put(out, same ? "" : ",");
        if (!unbounded && !same)
            put_repetition(out, repeat->max, &repeat->max_parameter);
        put(out, "}");
    }
    put(out, repeat->reluctant ? "?" : "");
}

static void put_pattern_bare(printer *out, const leat_sql_pattern *pattern)
{
    switch (pattern->kind) {
    case LEAT_SQL_PATTERN_VARIABLE:
        put_name(out, &pattern->variable);
        break;
    case LEAT_SQL_PATTERN_SEQUENCE:
        put_pattern_items(out, pattern, " ");
        break;
    case LEAT_SQL_PATTERN_ALTERNATION:
        put_pattern_items(out, pattern, " | ");
        break;
    case LEAT_SQL_PATTERN_PERMUTE:
        put(out, "PERMUTE(");
        put_pattern_items(out, pattern, ", ");
        put(out, ")");
        break;
    case LEAT_SQL_PATTERN_EXCLUSION:
        put(out, "{- ");
        put_pattern_items(out, pattern, "");
        put(out, " -}");
        break;
    case LEAT_SQL_PATTERN_REPEAT:
        put_pattern_items(out, pattern, "");
        put_quantifier(out, pattern);
        break;
    case LEAT_SQL_PATTERN_START:
        put(out, "^");
        break;
    case LEAT_SQL_PATTERN_END:
        put(out, "$");
        break;
    case LEAT_SQL_PATTERN_EMPTY:
        break;
    }
}

static void put_pattern(printer *out, const leat_sql_pattern *pattern)
{
    put(out, pattern->grouped ? "(" : "");
    put_pattern_bare(out, pattern);
    put(out, pattern->grouped ? ")" : "");
}

static void put_measures(printer *out, const leat_sql_match_recognize *match)
{
    static const char *const semantics[] = {"", "RUNNING ", "FINAL "};
    if (!match->measure_count)
        return;
    put_line(out);
    put(out, "MEASURES ");
    for (uint32_t i = 0; i < match->measure_count; i++) {
        put(out, i ? ", " : "");
        put(out, semantics[match->measures[i].semantics]);
        put_expr(out, match->measures[i].expr);
        put(out, " AS ");
        put_name(out, &match->measures[i].name);
    }
}

static void put_match_modes(printer *out, const leat_sql_match_recognize *match)
{
    static const char *const rows[] = {"",
                                       "ONE ROW PER MATCH",
                                       "ALL ROWS PER MATCH",
                                       "ALL ROWS PER MATCH SHOW EMPTY MATCHES",
                                       "ALL ROWS PER MATCH OMIT EMPTY MATCHES",
                                       "ALL ROWS PER MATCH WITH UNMATCHED ROWS"};
    static const char *const skips[] = {"", "TO NEXT ROW", "PAST LAST ROW", "TO FIRST ", "TO LAST "};
    if (match->rows) {
        put_line(out);
        put(out, rows[match->rows]);
    }
    if (match->skip) {
        put_line(out);
        put(out, "AFTER MATCH SKIP ");
        put(out, skips[match->skip]);
        if (match->skip_to.text.data)
            put_name(out, &match->skip_to);
    }
}

static void put_subsets(printer *out, const leat_sql_match_recognize *match)
{
    for (uint32_t i = 0; i < match->subset_count; i++) {
        if (!i) {
            put_line(out);
            put(out, "SUBSET ");
        }
        put(out, i ? ", " : "");
        put_name(out, &match->subsets[i].name);
        put(out, " = (");
        put_names(out, &match->subsets[i].members);
        put(out, ")");
    }
}

static void put_defines(printer *out, const leat_sql_match_recognize *match)
{
    for (uint32_t i = 0; i < match->define_count; i++) {
        if (!i) {
            put_line(out);
            put(out, "DEFINE ");
        }
        put(out, i ? ", " : "");
        put_name(out, &match->defines[i].variable);
        put(out, " AS ");
        put_expr(out, match->defines[i].condition);
    }
}

static void put_match_clauses(printer *out, const leat_sql_match_recognize *match)
{
    if (match->partition_by.count) {
        put_line(out);
        put(out, "PARTITION BY ");
        put_exprs(out, &match->partition_by);
    }
    if (match->order_by.count) {
        put_line(out);
        put(out, "ORDER BY ");
        put_order(out, &match->order_by);
    }
    put_measures(out, match);
    put_match_modes(out, match);
    put_line(out);
    put(out, "PATTERN (");
    put_pattern(out, match->pattern);
    put(out, ")");
    if (match->within) {
        put(out, " WITHIN ");
        put_operand(out, match->within, PRECEDENCE_RANGE + 1);
    }
    put_subsets(out, match);
    put_defines(out, match);
}

void put_match(printer *out, const leat_sql_match_recognize *match)
{
    bool one_line = out->indent < 0;
    put(out, "MATCH_RECOGNIZE (");
    out->indent += one_line ? 0 : 1;
    put_match_clauses(out, match);
    out->indent -= one_line ? 0 : 1;
    put_line(out);
    put(out, ")");
}

// ---- entry

leat_slice leat_sql_expr_print(leat_arena *arena, const leat_sql_expr *expr)
{
    printer out = {.arena = arena, .indent = -1};
    put_expr(&out, expr);
    return put_finish(&out);
}

leat_slice leat_sql_type_print(leat_arena *arena, const leat_sql_type *type)
{
    printer out = {.arena = arena, .indent = -1};
    put_type(&out, type);
    return put_finish(&out);
}

leat_slice leat_sql_query_print(leat_arena *arena, const leat_sql_query *query)
{
    printer out = {.arena = arena};
    put_query(&out, query);
    return put_finish(&out);
}

leat_slice leat_sql_name_print(leat_arena *arena, leat_slice name)
{
    printer out = {.arena = arena};
    leat_sql_name quoted = {.text = name, .quoted = true};
    put_name(&out, &quoted);
    return put_finish(&out);
}

static void put_statement(printer *out, const leat_sql_statement *statement)
{
    if (statement->kind == LEAT_SQL_STATEMENT_CREATE_VIEW) {
        put(out, statement->or_replace ? "CREATE OR REPLACE " : "CREATE ");
        put(out, statement->temporary ? "TEMPORARY VIEW " : "VIEW ");
        put(out, statement->if_not_exists ? "IF NOT EXISTS " : "");
    } else if (statement->kind == LEAT_SQL_STATEMENT_INSERT) {
        put(out, statement->overwrite ? "INSERT OVERWRITE " : "INSERT INTO ");
    }
    put_path(out, &statement->target);
    if (statement->columns.count) {
        put(out, " (");
        put_names(out, &statement->columns);
        put(out, ")");
    }
    put(out, statement->kind == LEAT_SQL_STATEMENT_CREATE_VIEW ? " AS" : "");
    if (statement->kind != LEAT_SQL_STATEMENT_QUERY)
        put_line(out);
    put_query(out, statement->query);
}

leat_slice leat_sql_print(leat_arena *arena, const leat_sql_script *script)
{
    printer out = {.arena = arena};
    for (uint32_t i = 0; i < script->count; i++) {
        put(&out, i ? "\n" : "");
        put_statement(&out, &script->statements[i]);
        put(&out, script->count > 1 ? ";" : "");
    }
    return put_finish(&out);
}
