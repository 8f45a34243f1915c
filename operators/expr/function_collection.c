// ARRAY, ROW and MAP: making them and looking into them.
#include <string.h>

#include "operators/expr/function.h"

static leat_value *new_items(leat_call *call, uint32_t count)
{
    return leat_arena_alloc_aligned(call->memory, sizeof(leat_value) * (count + 1), 16);
}

static void collect(leat_call *call)
{
    uint32_t count = call->step->argument_count;
    LEAT_EACH(call, row)
    {
        leat_value *items = new_items(call, count);
        for (uint32_t i = 0; i < count; i++)
            items[i] = leat_argument_value(call, i, row);
        call->out->nested[row] = (leat_nested){count, items};
    }
}

static leat_code array_type(leat_rule *rule)
{
    leat_code code = leat_result_common(rule);
    if (code == LEAT_OK)
        rule->type = leat_type_array(rule->scope->arena, rule->type);
    return code;
}

static const leat_type *kept(leat_rule *rule, leat_type type)
{
    leat_type *copy = leat_arena_new(rule->scope->arena, leat_type);
    *copy = type;
    return copy;
}

static leat_type fields_type(leat_rule *rule, leat_kind kind, uint32_t count)
{
    leat_type_field *fields = leat_arena_array(rule->scope->arena, leat_type_field, count);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = leat_arena_format(rule->scope->arena, "EXPR$%u", i);
        fields[i] = (leat_type_field){leat_slice_text(name), kept(rule, rule->arguments[i]->type)};
    }
    leat_type type = leat_type_of(kind);
    type.field_count = count;
    type.fields = fields;
    return type;
}

static leat_code row_type(leat_rule *rule)
{
    rule->type = fields_type(rule, LEAT_KIND_ROW, rule->count);
    return LEAT_OK;
}

// Keys at even places, values at odd ones.
static leat_code map_type(leat_rule *rule)
{
    if (rule->count % 2)
        return leat_error_set(rule->error, LEAT_E_INVALID,
                              "MAP takes keys and values in turn, but was given %u arguments", rule->count);
    for (uint32_t k = 0; k < 2; k++) {
        leat_type common = rule->arguments[k]->type;
        for (uint32_t i = k; i < rule->count; i += 2)
            if (!leat_type_common(common, rule->arguments[i]->type, &common))
                return leat_error_set(rule->error, LEAT_E_INVALID, "MAP: the %s have no common type",
                                      k ? "values" : "keys");
        for (uint32_t i = k; i < rule->count; i += 2) {
            leat_code code =
                leat_expr_coerce(rule->scope, rule->arguments[i], common, &rule->arguments[i], rule->error);
            if (code != LEAT_OK)
                return code;
        }
    }
    rule->type = fields_type(rule, LEAT_KIND_MAP, 2);
    return LEAT_OK;
}

static void cardinality_array(leat_call *call)
{
    LEAT_EACH(call, row) call->out->i64[row] = leat_argument_nested(call, 0, row).count;
}

static void cardinality_map(leat_call *call)
{
    LEAT_EACH(call, row) call->out->i64[row] = leat_argument_nested(call, 0, row).count / 2;
}

static void set_item(leat_call *call, uint32_t row, const leat_value *item)
{
    leat_value none = leat_value_null();
    leat_column_set(call->out, row, item ? item : &none, NULL);
}

static void item_of_array(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_nested array = leat_argument_nested(call, 0, row);
        int64_t index = leat_argument_i64(call, 1, row);
        set_item(call, row, index >= 1 && index <= array.count ? &array.items[index - 1] : NULL);
    }
}

// The last entry of a key counts.
static void item_of_map(leat_call *call)
{
    leat_type key_type = leat_argument_type(call, 1);
    LEAT_EACH(call, row)
    {
        leat_nested map = leat_argument_nested(call, 0, row);
        leat_value key = leat_argument_value(call, 1, row);
        const leat_value *found = NULL;
        for (uint32_t i = 0; i + 1 < map.count; i += 2)
            if (leat_value_equal(key_type, &map.items[i], &key))
                found = &map.items[i + 1];
        set_item(call, row, found);
    }
}

static leat_code array_item(leat_rule *rule)
{
    rule->type = *rule->arguments[0]->type.fields[0].type;
    return LEAT_OK;
}

static leat_code map_item(leat_rule *rule)
{
    const leat_type *fields[2] = {rule->arguments[0]->type.fields[0].type, rule->arguments[0]->type.fields[1].type};
    rule->type = *fields[1];
    return leat_expr_coerce(rule->scope, rule->arguments[1], *fields[0], &rule->arguments[1], rule->error);
}

static int field_find(leat_type type, leat_slice name)
{
    for (uint32_t i = 0; i < type.field_count; i++)
        if (leat_slice_equal(type.fields[i].name, name))
            return (int)i;
    return -1;
}

static void field_of_row(leat_call *call)
{
    int index = field_find(leat_argument_type(call, 0), leat_argument_text(call, 1, 0));
    LEAT_EACH(call, row)
    {
        leat_nested fields = leat_argument_nested(call, 0, row);
        set_item(call, row, index >= 0 && (uint32_t)index < fields.count ? &fields.items[index] : NULL);
    }
}

static leat_code field_type(leat_rule *rule)
{
    leat_slice name = rule->arguments[1]->literal.text;
    leat_type type = rule->arguments[0]->type;
    int index = field_find(type, name);
    char text[LEAT_TYPE_TEXT];
    if (index < 0)
        return leat_error_set(rule->error, LEAT_E_NOT_FOUND, "%s has no field '%.*s'", leat_type_print(type, text),
                              (int)name.size, name.data);
    rule->type = *type.fields[index].type;
    return LEAT_OK;
}

static void element(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_nested array = leat_argument_nested(call, 0, row);
        set_item(call, row, array.count == 1 ? &array.items[0] : NULL);
        if (array.count > 1)
            leat_call_fail(call, row, "ELEMENT takes an array of one element, but it has %u", array.count);
    }
}

static void array_contains(leat_call *call)
{
    leat_type type = leat_argument_type(call, 1);
    LEAT_EACH(call, row)
    {
        if (leat_argument_null(call, 0, row)) {
            leat_call_null(call, row);
            continue;
        }
        leat_nested array = leat_argument_nested(call, 0, row);
        leat_value wanted = leat_argument_value(call, 1, row);
        bool found = false;
        for (uint32_t i = 0; i < array.count && !found; i++)
            found = leat_value_equal(type, &array.items[i], &wanted);
        call->out->boolean[row] = found;
    }
}

static leat_code contains_type(leat_rule *rule)
{
    leat_type item = *rule->arguments[0]->type.fields[0].type;
    leat_code code = leat_expr_coerce(rule->scope, rule->arguments[1], item, &rule->arguments[1], rule->error);
    return code == LEAT_OK ? leat_result_boolean(rule) : code;
}

static leat_code type_name(leat_rule *rule)
{
    char text[LEAT_TYPE_TEXT];
    leat_value name = {.text = leat_slice_text(leat_type_print(rule->arguments[0]->type, text))};
    rule->replaced = leat_expr_literal(rule->scope, leat_type_of(LEAT_KIND_STRING), name);
    return LEAT_OK;
}

enum { MAKES = LEAT_FUNCTION_LENIENT, N = LEAT_FUNCTION_NULLABLE };

// clang-format off: a row is a line
const leat_function leat_functions_collection[] = {
    {"ARRAY", "any, any...", array_type, collect, NULL, MAKES, "An array of the values."},
    {"ROW", "any, any...", row_type, collect, NULL, MAKES, "A row of the values."},
    {"MAP", "any, any, any...", map_type, collect, NULL, MAKES, "A map of keys and values in turn."},
    {"CARDINALITY", "array", leat_result_int, cardinality_array, NULL, 0, "How many elements."},
    {"CARDINALITY", "map", leat_result_int, cardinality_map, NULL, 0, "How many entries."},
    {"ITEM", "array, integer", array_item, item_of_array, NULL, N, "An element, from 1; NULL when there is none."},
    {"ITEM", "map, any", map_item, item_of_map, NULL, N, "The value of a key; NULL when there is none."},
    {"FIELD", "row, literal", field_type, field_of_row, NULL, N, "A field of a row."},
    {"ELEMENT", "array", array_item, element, NULL, LEAT_FUNCTION_FAILS,
     "The only element of an array; NULL when it is empty."},
    {"ARRAY_CONTAINS", "array, any", contains_type, array_contains, NULL, MAKES | N,
     "Whether an array has an element; NULL is found as well."},
    {"TYPEOF", "any", type_name, NULL, NULL, LEAT_FUNCTION_NAMED, "The type of the argument as text."},
    {.name = NULL},
};
// clang-format on
