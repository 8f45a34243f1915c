// The table of aggregate functions and the resolving of a call.
#include <string.h>

#include "operators/base/suggest.h"
#include "operators/expr/aggregate_function.h"

static leat_type average_type(leat_type type)
{
    if (type.kind != LEAT_KIND_DECIMAL)
        return type;
    return leat_type_decimal(38, type.scale > 6 ? type.scale : 6);
}

static leat_code sum_type(leat_rule *rule)
{
    leat_type type = rule->arguments[0]->type;
    rule->type = type.kind == LEAT_KIND_DECIMAL ? leat_type_decimal(38, type.scale) : type;
    return LEAT_OK;
}

static leat_code avg_type(leat_rule *rule)
{
    rule->type = average_type(rule->arguments[0]->type);
    return LEAT_OK;
}

static leat_code ordered_type(leat_rule *rule)
{
    char text[LEAT_TYPE_TEXT];
    if (rule->arguments[0]->type.kind >= LEAT_KIND_ARRAY)
        return leat_error_set(rule->error, LEAT_E_INVALID, "MIN and MAX do not take %s",
                              leat_type_print(rule->arguments[0]->type, text));
    return leat_result_first(rule);
}

static leat_code array_type(leat_rule *rule)
{
    rule->type = leat_type_array(rule->scope->arena, rule->arguments[0]->type);
    return LEAT_OK;
}

// clang-format off: a row is a line
static const leat_aggregate_function functions[] = {
    {"COUNT", "", leat_result_bigint, LEAT_AGGREGATE_COUNT, "How many rows."},
    {"COUNT", "any, any?, any?", leat_result_bigint, LEAT_AGGREGATE_COUNT,
     "How many rows in which no argument is NULL."},
    {"SUM", "number", sum_type, LEAT_AGGREGATE_SUM,
     "Sum; integers wrap at the argument's type; DECIMAL(p, s) gives DECIMAL(38, s)."},
    {"AVG", "number", avg_type, LEAT_AGGREGATE_AVG,
     "Average in the argument's type, truncated for integers; DECIMAL with at least 6 digits after the point."},
    {"MIN", "any", ordered_type, LEAT_AGGREGATE_MIN, "The least value."},
    {"MAX", "any", ordered_type, LEAT_AGGREGATE_MAX, "The greatest value."},
    {"FIRST_VALUE", "any", leat_result_first, LEAT_AGGREGATE_FIRST, "The value that arrived first."},
    {"LAST_VALUE", "any", leat_result_first, LEAT_AGGREGATE_LAST, "The value that arrived last."},
    {"STDDEV_POP", "number", avg_type, LEAT_AGGREGATE_STDDEV_POP, "Standard deviation of all values."},
    {"STDDEV_SAMP", "number", avg_type, LEAT_AGGREGATE_STDDEV_SAMP,
     "Standard deviation of a sample; NULL of one value."},
    {"STDDEV", "number", avg_type, LEAT_AGGREGATE_STDDEV_SAMP, "The same as STDDEV_SAMP."},
    {"VAR_POP", "number", avg_type, LEAT_AGGREGATE_VAR_POP, "Variance of all values."},
    {"VAR_SAMP", "number", avg_type, LEAT_AGGREGATE_VAR_SAMP, "Variance of a sample; NULL of one value."},
    {"VARIANCE", "number", avg_type, LEAT_AGGREGATE_VAR_SAMP, "The same as VAR_SAMP."},
    {"LISTAGG", "text, literal?", leat_result_string, LEAT_AGGREGATE_LISTAGG,
     "Texts joined by a separator, a comma unless given."},
    {"COLLECT", "any", array_type, LEAT_AGGREGATE_COLLECT, "The values as an array, without NULLs."},
    {"ARRAY_AGG", "any", array_type, LEAT_AGGREGATE_ARRAY_AGG, "The values as an array, NULLs included."},
};
// clang-format on

enum { FUNCTIONS = sizeof functions / sizeof *functions };

static const char *const flink_only[] = {"APPROX_COUNT_DISTINCT",
                                         "PERCENTILE",
                                         "RANK",
                                         "DENSE_RANK",
                                         "ROW_NUMBER",
                                         "LEAD",
                                         "LAG",
                                         "NTILE",
                                         "CUME_DIST",
                                         "PERCENT_RANK",
                                         "JSON_OBJECTAGG",
                                         "JSON_ARRAYAGG",
                                         "NTH_VALUE",
                                         "GROUPING",
                                         "GROUP_ID"};

bool leat_aggregate_known(leat_slice name)
{
    for (size_t i = 0; i < FUNCTIONS; i++)
        if (leat_slice_is_nocase(name, functions[i].name))
            return true;
    return false;
}

static leat_code unknown(leat_slice name, leat_error *out_error)
{
    leat_slice names[FUNCTIONS];
    char suggestion[128];
    for (size_t i = 0; i < sizeof flink_only / sizeof *flink_only; i++)
        if (leat_slice_is_nocase(name, flink_only[i]))
            return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "aggregate function %.*s of Flink is not in leat yet",
                                  (int)name.size, name.data);
    for (size_t i = 0; i < FUNCTIONS; i++)
        names[i] = leat_slice_text(functions[i].name);
    return leat_error_set(out_error, LEAT_E_NOT_FOUND, "there is no aggregate function '%.*s'%s", (int)name.size,
                          name.data, leat_suggest_text(name, names, FUNCTIONS, suggestion));
}

static const leat_aggregate_function *find(leat_rule *rule, leat_slice name)
{
    for (size_t i = 0; i < FUNCTIONS; i++)
        if (leat_slice_is_nocase(name, functions[i].name) && leat_pattern_match(rule, functions[i].arguments))
            return &functions[i];
    return NULL;
}

static leat_code does_not_take(leat_rule *rule, leat_slice name)
{
    char type[LEAT_TYPE_TEXT];
    return leat_error_set(rule->error, LEAT_E_INVALID, "%.*s does not take %u arguments%s%s", (int)name.size, name.data,
                          rule->count, rule->count ? ", the first one of type " : "",
                          rule->count ? leat_type_print(rule->arguments[0]->type, type) : "");
}

static leat_code compile_arguments(leat_rule *rule, leat_aggregate *aggregate, leat_expr *filter)
{
    leat_arena *arena = rule->scope->arena;
    for (uint32_t i = 0; i < aggregate->argument_count; i++) {
        leat_program *program;
        leat_code code = leat_program_compile(arena, rule->arguments[i], rule->scope->zone, &program, rule->error);
        if (code != LEAT_OK)
            return code;
        aggregate->arguments[i] = program;
        aggregate->argument_types[i] = rule->arguments[i]->type;
    }
    if (!filter)
        return LEAT_OK;
    leat_program *program;
    leat_code code = leat_expr_coerce(rule->scope, filter, leat_type_of(LEAT_KIND_BOOLEAN), &filter, rule->error);
    if (code == LEAT_OK)
        code = leat_program_compile(arena, filter, rule->scope->zone, &program, rule->error);
    if (code == LEAT_OK)
        aggregate->filter = program;
    return code;
}

leat_code leat_aggregate_resolve(leat_expr_scope *scope, leat_slice name, bool distinct, leat_expr **arguments,
                                 uint32_t count, leat_expr *filter, bool retract, leat_aggregate *out_aggregate,
                                 leat_error *out_error)
{
    (void)retract; // every function can; the set chooses memory that lets it
    leat_expr *copies[3];
    if (!leat_aggregate_known(name))
        return unknown(name, out_error);
    leat_rule rule = {.scope = scope, .arguments = copies, .count = count, .error = out_error};
    if (count > 3 || (count && (memcpy(copies, arguments, sizeof *copies * count), false)))
        return leat_error_set(out_error, LEAT_E_LIMIT, "%.*s takes 3 arguments at most", (int)name.size, name.data);
    const leat_aggregate_function *function = find(&rule, name);
    if (!function)
        return does_not_take(&rule, name);
    if (distinct && count == 0)
        return leat_error_set(out_error, LEAT_E_INVALID, "COUNT(DISTINCT) takes columns, not *");
    leat_code code = function->result(&rule);
    if (code != LEAT_OK)
        return code;
    leat_aggregate aggregate = {.function = function,
                                .name = leat_slice_text(function->name),
                                .distinct = distinct,
                                .argument_count = count,
                                .type = rule.type,
                                .parameter = leat_value_null()};
    if (function->kind == LEAT_AGGREGATE_LISTAGG) {
        leat_value comma = {.text = leat_slice_text(",")};
        aggregate.parameter = count > 1 ? leat_value_copy(copies[1]->type, &copies[1]->literal, scope->arena) : comma;
        aggregate.argument_count = 1;
    }
    code = compile_arguments(&rule, &aggregate, filter);
    if (code == LEAT_OK)
        *out_aggregate = aggregate;
    return code;
}
