// JSON_VALUE and its like. The binder brings them into one shape: input, path, the clauses as a text like
// 'NULL ON EMPTY DEFAULT ON ERROR', then what the clauses name (defaults, a value of the RETURNING type).
//
// Path and clauses are read once, with the query. Several rows of the same input text are not looked for: a text is scanned once a call.
#include <string.h>

#include "operators/expr/function.h"
#include "operators/expr/json_path.h"
#include "operators/expr/utf8.h"

typedef enum json_answer {
    ANSWER_NULL,
    ANSWER_ERROR,
    ANSWER_DEFAULT,
    ANSWER_EMPTY_ARRAY,
    ANSWER_EMPTY_OBJECT,
    ANSWER_TRUE,
    ANSWER_FALSE,
} json_answer;

typedef enum json_wrapper { WRAPPER_NONE, WRAPPER_CONDITIONAL, WRAPPER_ALWAYS } json_wrapper;

// What is made of the constant arguments.
typedef struct json_plan {
    bool constant; // the path is
    const leat_json_path *path;
    json_answer on_empty, on_error;
    json_wrapper wrapper;
} json_plan;

typedef struct json_use {
    leat_call *call;
    const json_plan *plan;
    leat_writer writer;
    const leat_json_path *path; // of the slice below, where it is no constant
    leat_slice path_text;
} json_use;

static json_use begin(leat_call *call)
{
    json_use use = {.call = call, .plan = call->step->expr->prepared};
    leat_writer_init(&use.writer, call->eval->env, LEAT_STRING_BYTES_MAX);
    return use;
}

static void end(json_use *use) { leat_writer_fini(&use->writer); }

static const leat_json_path *path_of(json_use *use, uint32_t row)
{
    leat_call *call = use->call;
    char error[LEAT_JSON_PATH_ERROR];
    if (use->plan->constant)
        return use->plan->path;
    leat_slice text = leat_argument_text(call, 1, row);
    if (!use->path_text.data || !leat_slice_equal(text, use->path_text)) {
        use->path = leat_json_path_compile(&call->eval->scratch, text, error);
        use->path_text = text;
    }
    return use->path;
}

static bool any_null(const leat_call *call, uint32_t row)
{
    return leat_argument_null(call, 0, row) || leat_argument_null(call, 1, row);
}

static leat_json_found found_in(json_use *use, uint32_t row)
{
    return leat_json_find(path_of(use, row), leat_argument_text(use->call, 0, row), &use->call->eval->scratch);
}

static void set_null(leat_call *call, uint32_t row)
{
    leat_value none = leat_value_null();
    leat_column_set(call->out, row, &none, NULL);
}

// The text in the writer, copied into the result's memory.
static leat_slice written(json_use *use, uint32_t row)
{
    leat_call *call = use->call;
    size_t size = use->writer.size;
    char *text = leat_call_text(call, size);
    if (size)
        memcpy(text, use->writer.bytes, size);
    if (use->writer.failed)
        leat_call_fail(call, row, "%s: the text would be longer than %d bytes", call->step->expr->function->name,
                       LEAT_STRING_BYTES_MAX);
    return leat_slice_of(text, size);
}

// -- scalars as values of SQL

// A number that Java's BigDecimal prints as it stands.
static bool number_stands(leat_slice number)
{
    char first = number.data[number.data[0] == '-'];
    bool integer = true;
    for (size_t i = 0; i < number.size; i++) {
        if (number.data[i] == 'e' || number.data[i] == 'E')
            return false;
        integer &= number.data[i] != '.';
    }
    return first != '0' || (integer && number.data[0] != '-');
}

static leat_slice scalar_text(json_use *use, uint32_t row, leat_slice value)
{
    leat_json_kind kind = leat_json_kind_of(value);
    if (kind == LEAT_JSON_TEXT) {
        leat_slice raw = leat_json_inside(value);
        if (!raw.size || !memchr(raw.data, '\\', raw.size))
            return raw;
        char *text = leat_call_text(use->call, raw.size);
        return leat_slice_of(text, leat_json_characters(raw, text));
    }
    if (kind != LEAT_JSON_NUMBER || number_stands(value))
        return value;
    leat_writer_reset(&use->writer);
    leat_json_write_number(value, &use->writer);
    return written(use, row);
}

// Of a number as JSON writes it.
static bool as_double(leat_slice text, double *out_value)
{
    bool is_integer;
    int64_t integer;
    const char *end;
    return leat_number_parse(text.data, text.data + text.size, out_value, &is_integer, &integer, &end);
}

// Digits behind the point are cut; what does not fit is none.
static bool as_integer(leat_type type, leat_slice text, int64_t *out_value)
{
    double number;
    if (!leat_integer_parse(text, out_value)) {
        if (!as_double(text, &number) || number < -0x1p63 || number >= 0x1p63)
            return false;
        *out_value = (int64_t)number;
    }
    return *out_value >= leat_integer_min(type) && *out_value <= leat_integer_max(type);
}

static bool as_number(leat_type type, leat_slice text, leat_value *out)
{
    if (leat_type_is_integer(type))
        return as_integer(type, text, &out->i64);
    if (type.kind == LEAT_KIND_DECIMAL)
        return leat_decimal_parse(text, type.scale, &out->i128) && leat_decimal_fits(out->i128, type.precision);
    if (!as_double(text, &out->f64))
        return false;
    if (type.kind == LEAT_KIND_FLOAT)
        out->f64 = (float)out->f64;
    return true;
}

static bool as_boolean(leat_slice text, bool *out_value)
{
    *out_value = leat_slice_is_nocase(text, "true");
    return *out_value || leat_slice_is_nocase(text, "false");
}

static bool scalar_as(json_use *use, uint32_t row, leat_type type, leat_slice value, leat_value *out)
{
    leat_json_kind kind = leat_json_kind_of(value);
    *out = (leat_value){.is_null = kind == LEAT_JSON_NULL};
    if (out->is_null)
        return true;
    if (kind <= LEAT_JSON_ARRAY)
        return false;
    if (kind == LEAT_JSON_NUMBER && leat_type_is_numeric(type))
        return as_number(type, value, out);
    leat_slice text = scalar_text(use, row, value), number;
    if (type.kind == LEAT_KIND_STRING)
        out->text = text;
    else if (type.kind == LEAT_KIND_BOOLEAN)
        return kind != LEAT_JSON_NUMBER && as_boolean(text, &out->boolean);
    else
        return kind == LEAT_JSON_TEXT && leat_json_check(text, &number) &&
               leat_json_kind_of(number) == LEAT_JSON_NUMBER && as_number(type, number, out);
    return true;
}

// -- JSON_VALUE

static void answer_value(json_use *use, uint32_t row, leat_json_state state)
{
    leat_call *call = use->call;
    bool empty = state == LEAT_JSON_EMPTY;
    json_answer answer = empty ? use->plan->on_empty : use->plan->on_error;
    leat_value value = leat_value_null();
    if (answer == ANSWER_DEFAULT)
        value = leat_argument_value(call, empty ? 3 : 4, row);
    leat_column_set(call->out, row, &value, NULL);
    if (answer == ANSWER_ERROR)
        leat_call_fail(call, row,
                       empty ? "JSON_VALUE: the path finds nothing"
                             : "JSON_VALUE: the text is no JSON, or the path leads to no scalar of the type");
}

static void json_value(leat_call *call)
{
    json_use use = begin(call);
    LEAT_EACH(call, row)
    {
        leat_value value;
        set_null(call, row);
        if (any_null(call, row))
            continue;
        leat_json_found found = found_in(&use, row);
        bool lax = leat_json_path_is_lax(path_of(&use, row));
        if (found.state == LEAT_JSON_FOUND && (found.list || !leat_json_is_scalar(found.value)))
            found.state = lax ? LEAT_JSON_EMPTY : LEAT_JSON_ERROR;
        if (found.state == LEAT_JSON_FOUND && !scalar_as(&use, row, call->out->type, found.value, &value))
            found.state = LEAT_JSON_ERROR;
        if (found.state != LEAT_JSON_FOUND)
            answer_value(&use, row, found.state);
        else
            leat_column_set(call->out, row, &value, NULL);
    }
    end(&use);
}

// -- JSON_QUERY

static void write_list(json_use *use, const leat_json_found *found)
{
    leat_write_u8(&use->writer, '[');
    for (uint32_t i = 0; i < found->count; i++) {
        if (i)
            leat_write_u8(&use->writer, ',');
        leat_json_write(found->items[i], &use->call->eval->scratch, &use->writer);
    }
    leat_write_u8(&use->writer, ']');
}

static leat_slice query_text(json_use *use, uint32_t row, const leat_json_found *found, bool wrap)
{
    leat_writer_reset(&use->writer);
    if (wrap)
        leat_write_u8(&use->writer, '[');
    if (found->list)
        write_list(use, found);
    else
        leat_json_write(found->value, &use->call->eval->scratch, &use->writer);
    if (wrap)
        leat_write_u8(&use->writer, ']');
    return written(use, row);
}

// An element as text: nested ones as JSON.
static bool element_as(json_use *use, uint32_t row, leat_type type, leat_slice item, leat_value *out)
{
    if (leat_json_is_scalar(item))
        return scalar_as(use, row, type, item, out);
    leat_json_found nested = {.value = item};
    *out = (leat_value){.text = leat_slice_of(NULL, 0)};
    if (type.kind == LEAT_KIND_STRING)
        out->text = query_text(use, row, &nested, false);
    return type.kind == LEAT_KIND_STRING;
}

static bool query_array(json_use *use, uint32_t row, const leat_json_found *found, bool wrap, leat_nested *out)
{
    leat_type type = *use->call->out->type.fields[0].type;
    leat_json_walk walk = {found->value, 0};
    leat_slice item;
    uint32_t count = wrap ? 1 : found->count;
    if (!wrap && !found->list) {
        if (leat_json_kind_of(found->value) != LEAT_JSON_ARRAY)
            return false;
        while (leat_json_next(&walk, NULL, &item))
            count++;
        walk.at = 0;
    }
    leat_value *items = leat_arena_alloc_aligned(use->call->memory, sizeof *items * (count + 1), 16);
    *out = (leat_nested){count, items};
    if (wrap && found->list) {
        items[0] = (leat_value){.text = query_text(use, row, found, false)};
        return type.kind == LEAT_KIND_STRING;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (wrap)
            item = found->value;
        else if (found->list)
            item = found->items[i];
        else
            leat_json_next(&walk, NULL, &item);
        if (!element_as(use, row, type, item, &items[i]))
            return false;
    }
    return true;
}

static void answer_query(json_use *use, uint32_t row, leat_json_state state)
{
    leat_call *call = use->call;
    json_answer answer = state == LEAT_JSON_EMPTY ? use->plan->on_empty : use->plan->on_error;
    if (answer == ANSWER_ERROR)
        leat_call_fail(call, row,
                       state == LEAT_JSON_EMPTY
                           ? "JSON_QUERY: the path finds nothing"
                           : "JSON_QUERY: the text is no JSON, or the path leads to no array or object");
    if (answer != ANSWER_EMPTY_ARRAY && answer != ANSWER_EMPTY_OBJECT)
        return;
    call->out->nulls[row] = 0;
    if (call->out->type.kind == LEAT_KIND_ARRAY)
        call->out->nested[row] = (leat_nested){0, NULL};
    else
        call->out->text[row] = leat_slice_text(answer == ANSWER_EMPTY_ARRAY ? "[]" : "{}");
}

static bool set_query(json_use *use, uint32_t row, const leat_json_found *found, bool wrap)
{
    leat_call *call = use->call;
    leat_value value = {.is_null = false};
    if (call->out->type.kind != LEAT_KIND_ARRAY)
        value.text = query_text(use, row, found, wrap);
    else if (!query_array(use, row, found, wrap, &value.nested))
        return false;
    leat_column_set(call->out, row, &value, NULL);
    call->out->nulls[row] |= use->writer.failed;
    return true;
}

static void json_query(leat_call *call)
{
    json_use use = begin(call);
    LEAT_EACH(call, row)
    {
        set_null(call, row);
        if (any_null(call, row))
            continue;
        leat_json_found found = found_in(&use, row);
        bool array =
            found.state == LEAT_JSON_FOUND && (found.list || leat_json_kind_of(found.value) == LEAT_JSON_ARRAY);
        bool wrap = use.plan->wrapper == WRAPPER_ALWAYS || (use.plan->wrapper == WRAPPER_CONDITIONAL && !array);
        if (found.state == LEAT_JSON_FOUND && !wrap && !array && leat_json_is_scalar(found.value))
            found.state = leat_json_path_is_lax(path_of(&use, row)) ? LEAT_JSON_EMPTY : LEAT_JSON_ERROR;
        if (found.state == LEAT_JSON_FOUND && !set_query(&use, row, &found, wrap))
            found.state = LEAT_JSON_ERROR;
        if (found.state != LEAT_JSON_FOUND)
            answer_query(&use, row, found.state);
    }
    end(&use);
}

// -- JSON_EXISTS, IS JSON

static void json_exists(leat_call *call)
{
    json_use use = begin(call);
    LEAT_EACH(call, row)
    {
        set_null(call, row);
        if (any_null(call, row))
            continue;
        leat_json_state state = found_in(&use, row).state;
        json_answer answer = use.plan->on_error;
        if (state == LEAT_JSON_ERROR && answer == ANSWER_ERROR)
            leat_call_fail(call, row, "JSON_EXISTS: the text is no JSON, or the path finds nothing");
        if (state == LEAT_JSON_ERROR && (answer == ANSWER_ERROR || answer == ANSWER_NULL))
            continue;
        call->out->nulls[row] = 0;
        call->out->boolean[row] = state == LEAT_JSON_ERROR ? answer == ANSWER_TRUE : state == LEAT_JSON_FOUND;
    }
    end(&use);
}

enum { OF_OBJECT = 1 << LEAT_JSON_OBJECT, OF_ARRAY = 1 << LEAT_JSON_ARRAY, OF_ANY = 255 };

static void is_json(leat_call *call, unsigned kinds, bool wanted)
{
    LEAT_EACH(call, row)
    {
        leat_slice value;
        bool is = !leat_argument_null(call, 0, row) && leat_json_check(leat_argument_text(call, 0, row), &value) &&
                  (kinds >> leat_json_kind_of(value) & 1);
        call->out->boolean[row] = is == wanted;
    }
}

static void is_json_value(leat_call *call) { is_json(call, OF_ANY, true); }

static void is_not_json_value(leat_call *call) { is_json(call, OF_ANY, false); }

static void is_json_object(leat_call *call) { is_json(call, OF_OBJECT, true); }

static void is_not_json_object(leat_call *call) { is_json(call, OF_OBJECT, false); }

static void is_json_array(leat_call *call) { is_json(call, OF_ARRAY, true); }

static void is_not_json_array(leat_call *call) { is_json(call, OF_ARRAY, false); }

static void is_json_scalar(leat_call *call) { is_json(call, OF_ANY & ~(OF_OBJECT | OF_ARRAY), true); }

static void is_not_json_scalar(leat_call *call) { is_json(call, OF_ANY & ~(OF_OBJECT | OF_ARRAY), false); }

// -- clauses

static bool has(leat_slice clauses, const char *words)
{
    return memmem(clauses.data, clauses.size, words, strlen(words)) != NULL;
}

// 'EMPTY ARRAY ON EMPTY': what stands before the ON.
static json_answer answer_of(leat_slice clauses, const char *condition, json_answer otherwise)
{
    static const char *const names[] = {"NULL",         "ERROR", "DEFAULT", "EMPTY ARRAY",
                                        "EMPTY OBJECT", "TRUE",  "FALSE",   "UNKNOWN"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char words[48];
        size_t name = strlen(names[i]);
        memcpy(words, names[i], name);
        memcpy(words + name, condition, strlen(condition) + 1);
        if (has(clauses, words))
            return i == 7 ? ANSWER_NULL : (json_answer)i;
    }
    return otherwise;
}

static leat_code planned(leat_rule *rule, json_answer on_error)
{
    json_plan *plan = leat_arena_new(rule->scope->arena, json_plan);
    leat_slice clauses = rule->count > 2 ? rule->arguments[2]->literal.text : leat_slice_of("", 0);
    const leat_expr *path = rule->arguments[1];
    char error[LEAT_JSON_PATH_ERROR];
    plan->on_empty = answer_of(clauses, " ON EMPTY", ANSWER_NULL);
    plan->on_error = answer_of(clauses, " ON ERROR", on_error);
    plan->wrapper = has(clauses, "WITH CONDITIONAL")     ? WRAPPER_CONDITIONAL
                    : has(clauses, "WITH UNCONDITIONAL") ? WRAPPER_ALWAYS
                                                         : WRAPPER_NONE;
    rule->prepared = plan;
    rule->cannot_fail = plan->on_empty != ANSWER_ERROR && plan->on_error != ANSWER_ERROR;
    if (path->kind != LEAT_EXPR_LITERAL || path->literal.is_null)
        return LEAT_OK;
    plan->constant = true;
    leat_slice text = path->literal.text;
    plan->path = leat_json_path_compile(rule->scope->arena, text, error);
    if (plan->path)
        return LEAT_OK;
    return leat_error_set(rule->error, LEAT_E_INVALID, "%s: '%.*s' is no path: %s", rule->function->name,
                          (int)(text.size < 80 ? text.size : 80), text.data, error);
}

static leat_code exists_type(leat_rule *rule)
{
    rule->type = leat_type_of(LEAT_KIND_BOOLEAN);
    return planned(rule, ANSWER_FALSE);
}

static bool is_scalar_type(leat_type type)
{
    return type.kind == LEAT_KIND_STRING || type.kind == LEAT_KIND_BOOLEAN || leat_type_is_numeric(type);
}

static leat_code value_type(leat_rule *rule)
{
    char text[LEAT_TYPE_TEXT];
    rule->type = rule->count > 3 ? rule->arguments[3]->type : leat_type_of(LEAT_KIND_STRING);
    if (!is_scalar_type(rule->type))
        return leat_error_set(rule->error, LEAT_E_INVALID,
                              "JSON_VALUE gives STRING, BOOLEAN or a number, not %s; CAST what it gives",
                              leat_type_print(rule->type, text));
    return planned(rule, ANSWER_NULL);
}

static leat_code query_type(leat_rule *rule)
{
    char text[LEAT_TYPE_TEXT];
    leat_type type = rule->count > 3 ? rule->arguments[3]->type : leat_type_of(LEAT_KIND_STRING);
    rule->type = type;
    bool array = type.kind == LEAT_KIND_ARRAY && is_scalar_type(*type.fields[0].type);
    if (type.kind != LEAT_KIND_STRING && !array)
        return leat_error_set(rule->error, LEAT_E_INVALID,
                              "JSON_QUERY gives STRING, or an ARRAY of STRING, BOOLEAN or a number, not %s",
                              leat_type_print(type, text));
    leat_code code = planned(rule, ANSWER_NULL);
    const json_plan *plan = rule->prepared;
    if (code == LEAT_OK && array && (plan->on_empty == ANSWER_EMPTY_OBJECT || plan->on_error == ANSWER_EMPTY_OBJECT))
        return leat_error_set(rule->error, LEAT_E_INVALID, "JSON_QUERY: EMPTY OBJECT is no %s; use EMPTY ARRAY",
                              leat_type_print(type, text));
    return code;
}

enum {
    LNF = LEAT_FUNCTION_LENIENT | LEAT_FUNCTION_NULLABLE | LEAT_FUNCTION_FAILS,
    TEST = LEAT_FUNCTION_LENIENT | LEAT_FUNCTION_POSTFIX
};

// clang-format off: a row is a line
const leat_function leat_functions_json[] = {
    {"JSON_VALUE", "text, text", value_type, json_value, NULL, LNF, "The scalar that a path leads to."},
    {"JSON_VALUE", "text, text, literal, any, any", value_type, json_value, NULL, LNF,
     "With RETURNING, ON EMPTY, ON ERROR."},
    {"JSON_QUERY", "text, text", query_type, json_query, NULL, LNF,
     "The array or object that a path leads to, as JSON."},
    {"JSON_QUERY", "text, text, literal, any", query_type, json_query, NULL, LNF,
     "With RETURNING, WRAPPER, ON EMPTY, ON ERROR."},
    {"JSON_EXISTS", "text, text, literal?", exists_type, json_exists, NULL, LNF, "Whether a path finds something."},
    {"IS JSON", "text", leat_result_boolean, is_json_value, NULL, TEST, "Whether a text is JSON; FALSE of NULL."},
    {"IS NOT JSON", "text", leat_result_boolean, is_not_json_value, NULL, TEST,
     "Whether a text is no JSON; TRUE of NULL."},
    {"IS JSON OBJECT", "text", leat_result_boolean, is_json_object, NULL, TEST, "Whether a text is a JSON object."},
    {"IS NOT JSON OBJECT", "text", leat_result_boolean, is_not_json_object, NULL, TEST, "Whether it is none."},
    {"IS JSON ARRAY", "text", leat_result_boolean, is_json_array, NULL, TEST, "Whether a text is a JSON array."},
    {"IS NOT JSON ARRAY", "text", leat_result_boolean, is_not_json_array, NULL, TEST, "Whether it is none."},
    {"IS JSON SCALAR", "text", leat_result_boolean, is_json_scalar, NULL, TEST,
     "Whether a text is a JSON text, number, true, false or null."},
    {"IS NOT JSON SCALAR", "text", leat_result_boolean, is_not_json_scalar, NULL, TEST, "Whether it is none."},
    {.name = NULL},
};
// clang-format on
