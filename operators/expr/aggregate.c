// The table of aggregate functions and the resolving of a call.
#include <stdio.h>
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

static leat_code by_type(leat_rule *rule)
{
    char text[LEAT_TYPE_TEXT];
    if (rule->arguments[1]->type.kind >= LEAT_KIND_ARRAY)
        return leat_error_set(rule->error, LEAT_E_INVALID, "MIN_BY and MAX_BY do not compare %s",
                              leat_type_print(rule->arguments[1]->type, text));
    return leat_result_first(rule);
}

static leat_code percentile_type(leat_rule *rule)
{
    leat_value unused;
    return leat_percentile_parameter(rule, &unused, &rule->type);
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
    {"JSON_OBJECTAGG", "text, text, literal", leat_result_string, LEAT_AGGREGATE_JSON_OBJECTAGG,
     "A JSON object of keys and values, keys in order; of equal keys the last one counts."},
    {"JSON_ARRAYAGG", "text, literal", leat_result_string, LEAT_AGGREGATE_JSON_ARRAYAGG,
     "A JSON array of the values, without NULLs unless NULL ON NULL is written."},
    {"MIN_BY", "any, any", by_type, LEAT_AGGREGATE_MIN_BY,
     "The first argument of the row whose second one is the least, of the first such row."},
    {"MAX_BY", "any, any", by_type, LEAT_AGGREGATE_MAX_BY,
     "The first argument of the row whose second one is the greatest, of the first such row."},
    {"PERCENTILE", "double, any, integer?", percentile_type, LEAT_AGGREGATE_PERCENTILE,
     "The exact percentile, interpolated: 0.5 is the median; an array gives an array; the last one a frequency."},
    {"APPROX_COUNT_DISTINCT", "any", leat_result_bigint, LEAT_AGGREGATE_APPROX_COUNT_DISTINCT,
     "About how many different values, within 1 percent or so, in 16 KiB at most."},
};
// clang-format on

enum { FUNCTIONS = sizeof functions / sizeof *functions };

// Flink's, and what leat has in their place.
static const struct {
    const char *name, *instead;
} elsewhere[] = {
    {"RANK", "ROW_NUMBER() OVER (PARTITION BY .. ORDER BY ..)"},
    {"DENSE_RANK", "ROW_NUMBER() OVER (PARTITION BY .. ORDER BY ..)"},
    {"ROW_NUMBER", "ROW_NUMBER() OVER (PARTITION BY .. ORDER BY ..) in a subquery"},
    {"LEAD", "LAG, or MATCH_RECOGNIZE: a row that has not come is not known"},
    {"LAG", "LAG(..) OVER (.. ORDER BY ts)"},
    {"NTILE", "PERCENTILE(x, ARRAY[0.25, 0.5, 0.75])"},
    {"CUME_DIST", "PERCENTILE"},
    {"PERCENT_RANK", "PERCENTILE"},
    {"NTH_VALUE", "FIRST_VALUE, or MATCH_RECOGNIZE"},
    {"HISTOGRAM", "COUNT(*) with GROUP BY the value"},
};

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
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (leat_slice_is_nocase(name, elsewhere[i].name))
            return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "aggregate function %.*s is not in leat; use %s",
                                  (int)name.size, name.data, elsewhere[i].instead);
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

static void print_forms(leat_slice name, char *out_text, size_t size)
{
    size_t used = 0;
    out_text[0] = 0;
    for (size_t i = 0; i < FUNCTIONS; i++)
        if (leat_slice_is_nocase(name, functions[i].name) && used + strlen(functions[i].arguments) + 8 < size)
            used += (size_t)snprintf(out_text + used, size - used, "%s(%s)", used ? " or " : "",
                                     functions[i].arguments[0] ? functions[i].arguments : "*");
}

static leat_code does_not_take(leat_rule *rule, leat_slice name)
{
    char forms[256], given[256];
    size_t used = 0;
    given[0] = 0;
    print_forms(name, forms, sizeof forms);
    for (uint32_t i = 0; i < rule->count && used + LEAT_TYPE_TEXT + 2 < sizeof given; i++) {
        char type[LEAT_TYPE_TEXT];
        used += (size_t)snprintf(given + used, sizeof given - used, "%s%s", i ? ", " : "",
                                 leat_type_print(rule->arguments[i]->type, type));
    }
    return leat_error_set(rule->error, LEAT_E_INVALID, "%.*s takes %s, but was given (%s)", (int)name.size, name.data,
                          forms, given);
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

// What is constant leaves the arguments; MIN_BY's are put into the order of its memory.
static leat_code take_parameters(leat_rule *rule, leat_aggregate *aggregate)
{
    leat_value comma = {.text = leat_slice_text(",")};
    leat_expr **arguments = rule->arguments, *first = arguments[0];
    uint32_t last = rule->count - 1;
    switch (aggregate->function->kind) {
    case LEAT_AGGREGATE_LISTAGG:
        aggregate->parameter =
            rule->count > 1 ? leat_value_copy(arguments[1]->type, &arguments[1]->literal, rule->scope->arena) : comma;
        aggregate->argument_count = 1;
        return LEAT_OK;
    case LEAT_AGGREGATE_JSON_OBJECTAGG:
    case LEAT_AGGREGATE_JSON_ARRAYAGG:
        aggregate->parameter = leat_value_copy(arguments[last]->type, &arguments[last]->literal, rule->scope->arena);
        aggregate->argument_count = last;
        return LEAT_OK;
    case LEAT_AGGREGATE_MIN_BY:
    case LEAT_AGGREGATE_MAX_BY:
        arguments[0] = arguments[1];
        arguments[1] = first;
        return LEAT_OK;
    case LEAT_AGGREGATE_PERCENTILE:
        if (aggregate->distinct && rule->count > 2)
            return leat_error_set(rule->error, LEAT_E_INVALID, "PERCENTILE takes either DISTINCT or a frequency");
        aggregate->argument_count = last;
        leat_code code = leat_percentile_parameter(rule, &aggregate->parameter, &aggregate->type);
        arguments[1] = arguments[last];
        return code;
    default:
        return LEAT_OK;
    }
}

leat_code leat_aggregate_resolve(leat_expr_scope *scope, leat_slice name, bool distinct, leat_expr **arguments,
                                 uint32_t count, leat_expr *filter, bool retract, leat_aggregate *out_aggregate,
                                 leat_error *out_error)
{
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
    code = take_parameters(&rule, &aggregate);
    if (code == LEAT_OK && function->kind == LEAT_AGGREGATE_APPROX_COUNT_DISTINCT && retract)
        return leat_error_set(
            out_error, LEAT_E_UNSUPPORTED,
            "APPROX_COUNT_DISTINCT cannot take rows back, and its input does; use COUNT(DISTINCT ..)");
    if (code != LEAT_OK)
        return code;
    code = compile_arguments(&rule, &aggregate, filter);
    if (code == LEAT_OK)
        *out_aggregate = aggregate;
    return code;
}
