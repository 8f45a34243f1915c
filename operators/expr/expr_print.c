// Trees as SQL-like text, for `leat explain`.
#include <stdio.h>

#include "operators/expr/function.h"

static void print_quoted(leat_slice text, leat_writer *out)
{
    leat_write_u8(out, '\'');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'')
            leat_write_u8(out, '\'');
        leat_write_u8(out, (uint8_t)text.data[i]);
    }
    leat_write_u8(out, '\'');
}

static void print_in_quotes(const char *keyword, leat_type type, const leat_value *value, leat_writer *out)
{
    leat_write_text(out, keyword);
    leat_write_text(out, " '");
    leat_value_print(type, value, NULL, out);
    leat_write_u8(out, '\'');
}

// An interval in the largest unit that divides it.
static void print_interval(leat_type type, int64_t count, leat_writer *out)
{
    static const struct {
        const char *name;
        int64_t size;
    } units[] = {{"DAY", 86400000}, {"HOUR", 3600000}, {"MINUTE", 60000}, {"SECOND", 1000}};
    if (type.kind == LEAT_KIND_INTERVAL_MONTH) {
        bool years = count % 12 == 0;
        leat_write_format(out, "INTERVAL '%lld' %s", (long long)(years ? count / 12 : count), years ? "YEAR" : "MONTH");
        return;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (count % units[i].size == 0) {
            leat_write_format(out, "INTERVAL '%lld' %s", (long long)(count / units[i].size), units[i].name);
            return;
        }
    uint64_t size = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    leat_write_format(out, "INTERVAL '%s%llu.%03u' SECOND", count < 0 ? "-" : "", (unsigned long long)(size / 1000),
                      (unsigned)(size % 1000));
}

static void print_literal(const leat_expr *expr, leat_writer *out)
{
    const leat_value *value = &expr->literal;
    if (value->is_null) {
        leat_write_text(out, "NULL");
        return;
    }
    switch (expr->type.kind) {
    case LEAT_KIND_STRING:
        print_quoted(value->text, out);
        return;
    case LEAT_KIND_DATE:
        print_in_quotes("DATE", expr->type, value, out);
        return;
    case LEAT_KIND_TIME:
        print_in_quotes("TIME", expr->type, value, out);
        return;
    case LEAT_KIND_TIMESTAMP:
        print_in_quotes("TIMESTAMP", expr->type, value, out);
        return;
    case LEAT_KIND_TIMESTAMP_LTZ:
        print_in_quotes("TIMESTAMP_LTZ", expr->type, value, out);
        return;
    case LEAT_KIND_INTERVAL:
    case LEAT_KIND_INTERVAL_MONTH:
        print_interval(expr->type, value->i64, out);
        return;
    default:
        leat_value_print(expr->type, value, NULL, out);
        return;
    }
}

static void print_column(const leat_expr *expr, const leat_schema *const *inputs, leat_writer *out)
{
    const leat_schema *schema = inputs ? inputs[expr->input] : NULL;
    if (schema && expr->column < schema->count)
        leat_write_bytes(out, schema->fields[expr->column].name.data, schema->fields[expr->column].name.size);
    else
        leat_write_format(out, "$%u.%u", expr->input, expr->column);
}

static void print_list(const leat_expr *expr, uint32_t from, const char *between, const leat_schema *const *inputs,
                       leat_writer *out)
{
    for (uint32_t i = from; i < expr->argument_count; i++) {
        if (i > from)
            leat_write_text(out, between);
        leat_expr_print(expr->arguments[i], inputs, out);
    }
}

static void print_call(const leat_expr *expr, const leat_schema *const *inputs, leat_writer *out)
{
    const leat_function *function = expr->function;
    leat_write_u8(out, '(');
    if ((function->flags & LEAT_FUNCTION_INFIX) && expr->argument_count > 1) {
        char between[40];
        snprintf(between, sizeof between, " %s ", function->name);
        print_list(expr, 0, between, inputs, out);
    } else if (function->flags & LEAT_FUNCTION_POSTFIX) {
        leat_expr_print(expr->arguments[0], inputs, out);
        leat_write_format(out, " %s", function->name);
        if (expr->argument_count > 1) {
            leat_write_text(out, " (");
            print_list(expr, 1, ", ", inputs, out);
            leat_write_u8(out, ')');
        }
    } else {
        leat_write_format(out, "%s ", function->name);
        print_list(expr, 0, ", ", inputs, out);
    }
    leat_write_u8(out, ')');
}

static void print_function(const leat_expr *expr, const leat_schema *const *inputs, leat_writer *out)
{
    unsigned flags = expr->function->flags;
    bool prefix = expr->argument_count == 1 && (flags & LEAT_FUNCTION_INFIX);
    if ((flags & (LEAT_FUNCTION_INFIX | LEAT_FUNCTION_POSTFIX)) || prefix) {
        print_call(expr, inputs, out);
        return;
    }
    leat_write_format(out, "%s(", expr->function->name);
    print_list(expr, 0, ", ", inputs, out);
    leat_write_u8(out, ')');
}

static void print_case(const leat_expr *expr, const leat_schema *const *inputs, leat_writer *out)
{
    leat_write_text(out, "CASE");
    for (uint32_t i = 0; i + 1 < expr->argument_count; i += 2) {
        leat_write_text(out, " WHEN ");
        leat_expr_print(expr->arguments[i], inputs, out);
        leat_write_text(out, " THEN ");
        leat_expr_print(expr->arguments[i + 1], inputs, out);
    }
    leat_write_text(out, " ELSE ");
    leat_expr_print(expr->arguments[expr->argument_count - 1], inputs, out);
    leat_write_text(out, " END");
}

static void print_cast(const leat_expr *expr, const leat_schema *const *inputs, leat_writer *out)
{
    char type[LEAT_TYPE_TEXT];
    leat_write_text(out, expr->try_cast ? "TRY_CAST(" : "CAST(");
    leat_expr_print(expr->arguments[0], inputs, out);
    leat_write_format(out, " AS %s)", leat_type_print(expr->type, type));
}

void leat_expr_print(const leat_expr *expr, const leat_schema *const *inputs, leat_writer *out)
{
    switch (expr->kind) {
    case LEAT_EXPR_COLUMN:
        print_column(expr, inputs, out);
        return;
    case LEAT_EXPR_LITERAL:
        print_literal(expr, out);
        return;
    case LEAT_EXPR_CALL:
        print_function(expr, inputs, out);
        return;
    case LEAT_EXPR_CASE:
        print_case(expr, inputs, out);
        return;
    case LEAT_EXPR_CAST:
        print_cast(expr, inputs, out);
        return;
    case LEAT_EXPR_ROWTIME:
        leat_write_text(out, "ROWTIME");
        return;
    case LEAT_EXPR_PROCTIME:
        leat_write_text(out, "PROCTIME()");
        return;
    case LEAT_EXPR_WATERMARK:
        leat_write_text(out, "CURRENT_WATERMARK");
        return;
    }
}
