// The JSON functions with a grammar of their own, brought into the shape of function_json.c: their clauses become a constant text.
#include "config/sql/binder.h"

#include <string.h>

static const char *answer_text(leat_sql_json_behavior behavior)
{
    static const char *const names[] = {
        [LEAT_SQL_JSON_NULL] = "NULL",
        [LEAT_SQL_JSON_ERROR] = "ERROR",
        [LEAT_SQL_JSON_DEFAULT] = "DEFAULT",
        [LEAT_SQL_JSON_EMPTY_ARRAY] = "EMPTY ARRAY",
        [LEAT_SQL_JSON_EMPTY_OBJECT] = "EMPTY OBJECT",
        [LEAT_SQL_JSON_TRUE] = "TRUE",
        [LEAT_SQL_JSON_FALSE] = "FALSE",
        [LEAT_SQL_JSON_UNKNOWN] = "UNKNOWN",
    };
    return names[behavior];
}

// -- which clauses a function takes

enum {
    OF_VALUE = 1 << LEAT_SQL_JSON_NULL | 1 << LEAT_SQL_JSON_ERROR | 1 << LEAT_SQL_JSON_DEFAULT,
    OF_QUERY = 1 << LEAT_SQL_JSON_NULL | 1 << LEAT_SQL_JSON_ERROR | 1 << LEAT_SQL_JSON_EMPTY_ARRAY |
               1 << LEAT_SQL_JSON_EMPTY_OBJECT,
    OF_EXISTS =
        1 << LEAT_SQL_JSON_TRUE | 1 << LEAT_SQL_JSON_FALSE | 1 << LEAT_SQL_JSON_UNKNOWN | 1 << LEAT_SQL_JSON_ERROR,
};

static bool answer_check(leat_sql_binder *binder, const leat_sql_expr *expr, leat_sql_json_behavior behavior,
                         unsigned taken, const char *when)
{
    const char *wanted = taken == OF_VALUE    ? "NULL, ERROR or DEFAULT .."
                         : taken == OF_QUERY  ? "NULL, ERROR, EMPTY ARRAY or EMPTY OBJECT"
                         : taken == OF_EXISTS ? "TRUE, FALSE, UNKNOWN or ERROR"
                                              : "nothing";
    if (behavior == LEAT_SQL_JSON_UNSAID || taken >> behavior & 1)
        return true;
    leat_sql_binder_error(binder, expr->span, "%s takes %s %s, found %s",
                          leat_sql_json_function_name(expr->json.function), wanted, when, answer_text(behavior));
    return false;
}

static bool clauses_check(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    const leat_sql_json *json = &expr->json;
    static const unsigned taken[] = {
        [LEAT_SQL_JSON_EXISTS] = OF_EXISTS, [LEAT_SQL_JSON_VALUE] = OF_VALUE, [LEAT_SQL_JSON_QUERY] = OF_QUERY};
    unsigned on_error = taken[json->function], on_empty = json->function == LEAT_SQL_JSON_EXISTS ? 0 : on_error;
    bool empty = answer_check(binder, expr, json->on_empty, on_empty, "ON EMPTY");
    return answer_check(binder, expr, json->on_error, on_error, "ON ERROR") && empty;
}

static leat_expr *clauses_text(leat_sql_binder *binder, const leat_sql_json *json)
{
    static const char *const wrappers[] = {
        [LEAT_SQL_JSON_WRAPPER_UNSAID] = "",
        [LEAT_SQL_JSON_WITHOUT_WRAPPER] = "",
        [LEAT_SQL_JSON_WITH_CONDITIONAL_WRAPPER] = "WITH CONDITIONAL WRAPPER ",
        [LEAT_SQL_JSON_WITH_UNCONDITIONAL_WRAPPER] = "WITH UNCONDITIONAL WRAPPER ",
    };
    bool empty = json->on_empty != LEAT_SQL_JSON_UNSAID, error = json->on_error != LEAT_SQL_JSON_UNSAID;
    const char *text = leat_arena_format(binder->expr->arena, "%s%s%s%s%s", wrappers[json->wrapper],
                                         empty ? answer_text(json->on_empty) : "", empty ? " ON EMPTY " : "",
                                         error ? answer_text(json->on_error) : "", error ? " ON ERROR" : "");
    size_t size = strlen(text);
    while (size && text[size - 1] == ' ')
        size--;
    return leat_sql_text(binder->expr, leat_slice_of(text, size));
}

// -- JSON_VALUE, JSON_QUERY, JSON_EXISTS

// DEFAULT TRUE of a STRING is 'true', as JSON writes it.
static leat_expr *json_text(leat_sql_binder *binder, leat_expr *value, leat_type type)
{
    if (value->type.kind != LEAT_KIND_BOOLEAN || type.kind != LEAT_KIND_STRING)
        return value;
    leat_expr *folded = leat_expr_fold(binder->expr, value);
    if (folded->kind != LEAT_EXPR_LITERAL || folded->literal.is_null)
        return value;
    return leat_sql_text(binder->expr, leat_slice_text(folded->literal.boolean ? "true" : "false"));
}

// A default as the returned type; where there is none, a NULL of it.
static leat_expr *bind_default(leat_sql_binder *binder, const leat_sql_expr *expr, leat_type type)
{
    leat_error error;
    leat_expr *none = leat_expr_literal(binder->expr, type, leat_value_null()), *result = NULL;
    if (!expr)
        return none;
    leat_expr *value = leat_sql_bind(binder, expr);
    if (!value)
        return NULL;
    value = json_text(binder, value, type);
    if (leat_expr_cast(binder->expr, value, type, false, &result, &error) == LEAT_OK)
        return result;
    leat_sql_binder_fail(binder, expr->span, &error);
    return NULL;
}

static bool is_plain(const leat_sql_json *json)
{
    return !json->returning && !json->on_empty && !json->on_error && !json->wrapper;
}

static leat_expr *bind_path_function(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    const leat_sql_json *json = &expr->json;
    const char *name = leat_sql_json_function_name(json->function);
    leat_expr *arguments[5] = {NULL};
    uint32_t count = 2;
    leat_type type = leat_type_of(LEAT_KIND_STRING);
    if (json->args.count != 2)
        return NULL;
    bool bound = leat_sql_bind_all(binder, &json->args, arguments);
    bound &= clauses_check(binder, expr);
    if (json->returning)
        bound &= leat_sql_bind_type(binder, json->returning, &type);
    if (!bound)
        return NULL;
    if (!is_plain(json)) {
        arguments[count++] = clauses_text(binder, json);
        if (json->function != LEAT_SQL_JSON_EXISTS)
            arguments[count++] = bind_default(binder, json->empty_default, type);
        if (json->function == LEAT_SQL_JSON_VALUE)
            arguments[count++] = bind_default(binder, json->error_default, type);
    }
    for (uint32_t i = 0; i < count; i++)
        bound &= arguments[i] != NULL;
    return bound ? leat_sql_apply(binder, name, arguments, count, expr->span) : NULL;
}

// -- JSON_OBJECT, JSON_ARRAY

static leat_expr *nulls_text(leat_sql_binder *binder, const leat_sql_json *json)
{
    bool object = json->function == LEAT_SQL_JSON_OBJECT || json->function == LEAT_SQL_JSON_OBJECTAGG;
    bool absent = json->nulls == LEAT_SQL_JSON_NULLS_UNSAID ? !object : json->nulls == LEAT_SQL_JSON_ABSENT_ON_NULL;
    return leat_sql_text(binder->expr, leat_slice_text(absent ? "ABSENT" : "NULL"));
}

static leat_expr *bind_constructor(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    const leat_sql_json *json = &expr->json;
    leat_expr **arguments = leat_arena_array(binder->expr->arena, leat_expr *, json->args.count + 2);
    arguments[0] = nulls_text(binder, json);
    if (!leat_sql_bind_all(binder, &json->args, arguments + 1))
        return NULL;
    return leat_sql_apply(binder, leat_sql_json_function_name(json->function), arguments, json->args.count + 1,
                          expr->span);
}

// -- the aggregates

// The value of an aggregate is JSON before it gets there.
static bool value_as_json(leat_sql_binder *binder, leat_expr **value, leat_sql_span span)
{
    if (!leat_expr_is_json(*value))
        *value = leat_sql_apply(binder, "JSON_STRING", value, 1, span);
    return *value != NULL;
}

static bool bind_inside(leat_sql_binder *binder, const leat_sql_json *json, leat_expr **arguments,
                        leat_expr **out_filter)
{
    leat_sql_aggregates *set = binder->aggregates;
    const char *clause = binder->clause;
    binder->aggregates = NULL;
    binder->clause = "the argument of another aggregate";
    bool bound = leat_sql_bind_all(binder, &json->args, arguments);
    if (json->filter) {
        binder->clause = "FILTER";
        *out_filter = leat_sql_bind_condition(binder, json->filter);
        bound &= *out_filter != NULL;
    }
    binder->aggregates = set;
    binder->clause = clause;
    return bound;
}

static leat_expr *bind_aggregate(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    const leat_sql_json *json = &expr->json;
    leat_slice name = leat_slice_text(leat_sql_json_function_name(json->function));
    uint32_t count = json->function == LEAT_SQL_JSON_OBJECTAGG ? 2 : 1;
    leat_expr **arguments = leat_arena_array(binder->expr->arena, leat_expr *, 4), *filter = NULL;
    if (!leat_sql_aggregate_allowed(binder, name, expr->span))
        return NULL;
    if (json->over)
        leat_sql_binder_error(binder, expr->span, "%.*s does not stand over an OVER window, nor does it in Flink",
                              (int)name.size, name.data);
    if (json->args.count != count)
        leat_sql_binder_error(binder, expr->span, "%.*s takes %s", (int)name.size, name.data,
                              count == 2 ? "a key and a value" : "one value");
    if (json->over || json->args.count != count || !bind_inside(binder, json, arguments, &filter) ||
        !value_as_json(binder, &arguments[count - 1], expr->span))
        return NULL;
    arguments[count] = nulls_text(binder, json);
    leat_sql_aggregate_call call = {expr, name, false, arguments, count + 1, filter};
    return leat_sql_add_aggregate(binder, &call);
}

leat_expr *leat_sql_bind_json(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    switch (expr->json.function) {
    case LEAT_SQL_JSON_OBJECT:
    case LEAT_SQL_JSON_ARRAY:
        return bind_constructor(binder, expr);
    case LEAT_SQL_JSON_OBJECTAGG:
    case LEAT_SQL_JSON_ARRAYAGG:
        return bind_aggregate(binder, expr);
    default:
        return bind_path_function(binder, expr);
    }
}
