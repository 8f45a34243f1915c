// Asks a process function what it takes, keeps and gives: runs its declare() with the arguments of one call.
#include <string.h>

#include "config/sql/planner_state.h"
#include "operators/base/number.h"

enum { STATES_MAX = 64 };

struct leat_declare {
    plan_declaration *plan;
};

static void failed(plan_declaration *plan, leat_sql_span span, const char *message)
{
    plan->failed = true;
    plan_error(plan->rule, span, "%s: %s", plan->function->name, message);
}

// ---- types

static const struct {
    leat_api_type api;
    leat_kind kind;
} scalar_types[] = {
    {LEAT_API_BOOLEAN, LEAT_KIND_BOOLEAN},
    {LEAT_API_INT, LEAT_KIND_INT},
    {LEAT_API_INT, LEAT_KIND_SMALLINT},
    {LEAT_API_INT, LEAT_KIND_TINYINT},
    {LEAT_API_INT, LEAT_KIND_DATE},
    {LEAT_API_INT, LEAT_KIND_TIME},
    {LEAT_API_BIGINT, LEAT_KIND_BIGINT},
    {LEAT_API_FLOAT, LEAT_KIND_FLOAT},
    {LEAT_API_DOUBLE, LEAT_KIND_DOUBLE},
    {LEAT_API_STRING, LEAT_KIND_STRING},
    {LEAT_API_BYTES, LEAT_KIND_BYTES},
    {LEAT_API_TIMESTAMP, LEAT_KIND_TIMESTAMP},
    {LEAT_API_INSTANT, LEAT_KIND_TIMESTAMP_LTZ},
    {LEAT_API_INTERVAL, LEAT_KIND_INTERVAL},
    {LEAT_API_DECIMAL, LEAT_KIND_DECIMAL},
};

static const struct {
    leat_api_type api, item;
} array_types[] = {{LEAT_API_INT_ARRAY, LEAT_API_BIGINT},
                   {LEAT_API_INT_ARRAY, LEAT_API_INT},
                   {LEAT_API_DOUBLE_ARRAY, LEAT_API_DOUBLE},
                   {LEAT_API_DOUBLE_ARRAY, LEAT_API_FLOAT},
                   {LEAT_API_STRING_ARRAY, LEAT_API_STRING}};

leat_api_type plan_api_type(leat_type type)
{
    if (type.kind == LEAT_KIND_ARRAY) {
        leat_api_type item = plan_api_type(*type.fields[0].type);
        for (size_t i = 0; i < sizeof array_types / sizeof *array_types; i++)
            if (array_types[i].item == item)
                return array_types[i].api;
        return 0;
    }
    for (size_t i = 0; i < sizeof scalar_types / sizeof *scalar_types; i++)
        if (scalar_types[i].kind == type.kind)
            return scalar_types[i].api;
    return 0;
}

static bool scalar_type_of_api(leat_api_type type, leat_type *out_type)
{
    for (size_t i = 0; i < sizeof scalar_types / sizeof *scalar_types; i++)
        if (scalar_types[i].api == type) {
            *out_type = leat_type_of(scalar_types[i].kind);
            if (leat_type_is_timestamp(*out_type))
                out_type->precision = 3;
            if (type == LEAT_API_DECIMAL)
                *out_type = leat_type_decimal(38, 18);
            return true;
        }
    return false;
}

bool plan_type_of_api(plan_rule *rule, leat_api_type type, leat_type *out_type)
{
    leat_type item;
    for (size_t i = 0; i < sizeof array_types / sizeof *array_types; i++)
        if (array_types[i].api == type && scalar_type_of_api(array_types[i].item, &item)) {
            *out_type = leat_type_array(rule->arena, item);
            return true;
        }
    return scalar_type_of_api(type, out_type);
}

// ---- cells

static leat_cell cell_of(leat_arena *arena, leat_type type, const leat_value *value);

static const leat_cell *cells_of(leat_arena *arena, leat_type item, const leat_nested *nested)
{
    leat_cell *cells = leat_arena_array(arena, leat_cell, nested->count + 1);
    for (uint32_t i = 0; i < nested->count; i++)
        cells[i] = cell_of(arena, item, &nested->items[i]);
    return cells;
}

static leat_text decimal_text(leat_arena *arena, leat_type type, leat_i128 value)
{
    char text[LEAT_NUMBER_TEXT + 8];
    size_t size = leat_decimal_print(value, type.scale, text);
    return (leat_text){leat_arena_copy(arena, text, size), (uint32_t)size};
}

static leat_cell cell_of(leat_arena *arena, leat_type type, const leat_value *value)
{
    leat_cell cell = leat_cell_null(plan_api_type(type));
    if (value->is_null)
        return cell;
    cell.set = 1;
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        cell.i64 = value->boolean;
        break;
    case LEAT_PHYSICAL_I64:
        cell.i64 = value->i64;
        break;
    case LEAT_PHYSICAL_F64:
        cell.f64 = value->f64;
        break;
    case LEAT_PHYSICAL_I128:
        cell.text = decimal_text(arena, type, value->i128);
        break;
    case LEAT_PHYSICAL_TEXT:
        cell.text = (leat_text){value->text.data, (uint32_t)value->text.size};
        break;
    case LEAT_PHYSICAL_NESTED:
        cell.count = value->nested.count;
        cell.items = cells_of(arena, *type.fields[0].type, &value->nested);
        break;
    }
    return cell;
}

// ---- what a function asks

static const leat_schema *table_schema(leat_declare *declare, uint32_t table)
{
    return table < declare->plan->table_count ? declare->plan->tables[table].schema : NULL;
}

static uint32_t column_count(leat_declare *declare, uint32_t table)
{
    const leat_schema *schema = table_schema(declare, table);
    return schema ? schema->count : 0;
}

static const char *column_name(leat_declare *declare, uint32_t table, uint32_t column)
{
    const leat_schema *schema = table_schema(declare, table);
    if (!schema || column >= schema->count)
        return NULL;
    return leat_arena_copy(declare->plan->rule->arena, schema->fields[column].name.data,
                           schema->fields[column].name.size);
}

static leat_api_type column_type(leat_declare *declare, uint32_t table, uint32_t column)
{
    const leat_schema *schema = table_schema(declare, table);
    return schema && column < schema->count ? plan_api_type(schema->fields[column].type) : 0;
}

static const leat_process_argument *argument_of(leat_declare *declare, uint32_t parameter)
{
    LEAT_ASSERT(parameter < declare->plan->function->parameter_count);
    return &declare->plan->arguments[parameter];
}

static int given(leat_declare *declare, uint32_t parameter) { return argument_of(declare, parameter)->given; }

static leat_cell scalar(leat_declare *declare, uint32_t parameter)
{
    const leat_process_argument *argument = argument_of(declare, parameter);
    return cell_of(declare->plan->rule->arena, argument->type, &argument->scalar);
}

static int32_t descriptor(leat_declare *declare, uint32_t parameter, uint32_t i)
{
    const leat_process_argument *argument = argument_of(declare, parameter);
    return i < argument->descriptor_count ? (int32_t)argument->descriptor_columns[i] : -1;
}

static leat_api_type expression_type(leat_declare *declare, uint32_t parameter)
{
    const leat_process_argument *argument = argument_of(declare, parameter);
    return argument->expression ? plan_api_type(argument->type) : 0;
}

// ---- what it answers

static const char *kept(plan_declaration *plan, const char *name)
{
    return leat_arena_copy(plan->rule->arena, name, strlen(name));
}

static void more_columns(leat_arena *arena, plan_declared_output *output)
{
    uint32_t room = output->column_room ? output->column_room * 2 : 8;
    leat_field *columns = leat_arena_array(arena, leat_field, room);
    if (output->column_count)
        memcpy(columns, output->columns, output->column_count * sizeof *columns);
    output->columns = columns;
    output->column_room = room;
}

static void output_column(leat_declare *declare, uint32_t output, const char *name, leat_api_type type)
{
    plan_declaration *plan = declare->plan;
    leat_type column;
    if (output >= plan->output_count || !name || !plan_type_of_api(plan->rule, type, &column) ||
        plan->outputs[output]->column_count == LEAT_COLUMNS_MAX) {
        failed(plan, plan->span, "declares an output column that leat cannot make");
        return;
    }
    plan_declared_output *to = plan->outputs[output];
    if (to->column_count == to->column_room)
        more_columns(plan->rule->arena, to);
    to->columns[to->column_count++] = (leat_field){leat_slice_text(kept(plan, name)), column};
}

static uint32_t output_new(plan_declaration *plan, const char *name)
{
    plan->outputs[plan->output_count] = leat_arena_new(plan->rule->arena, plan_declared_output);
    plan->outputs[plan->output_count]->name = name ? kept(plan, name) : NULL;
    return plan->output_count++;
}

static uint32_t output(leat_declare *declare, const char *name)
{
    plan_declaration *plan = declare->plan;
    if (name && *name && plan->output_count < LEAT_PLANNER_OUTPUTS)
        return output_new(plan, name);
    failed(plan, plan->span, "declares more outputs than leat takes, or one without a name");
    return 0;
}

static uint32_t state(leat_declare *declare, const char *name, leat_state_kind kind, leat_api_type type, int64_t ttl_ms)
{
    plan_declaration *plan = declare->plan;
    leat_type known;
    int form = (int)kind & LEAT_STATE_FORM;
    if (plan->state_count == STATES_MAX || !name || form < LEAT_STATE_VALUE || form > LEAT_STATE_MAP || ttl_ms < 0 ||
        ((int)kind & ~(LEAT_STATE_FORM | LEAT_STATE_SHARED | LEAT_STATE_REFRESH_READ)) ||
        !plan_type_of_api(plan->rule, type, &known)) {
        failed(plan, plan->span, "declares a state that leat cannot keep");
        return 0;
    }
    plan->states[plan->state_count] = (leat_process_state){kept(plan, name), (int)kind, (int)type, ttl_ms};
    return plan->state_count++;
}

static void fail(leat_declare *declare, uint32_t parameter, const char *message)
{
    plan_declaration *plan = declare->plan;
    bool has_place = parameter < plan->function->parameter_count && plan->spans[parameter].size;
    failed(plan, has_place ? plan->spans[parameter] : plan->span, message ? message : "refuses its arguments");
}

bool plan_declare(plan_declaration *declaration)
{
    static const leat_declare_api api = {.size = sizeof api,
                                         .column_count = column_count,
                                         .column_name = column_name,
                                         .column_type = column_type,
                                         .given = given,
                                         .scalar = scalar,
                                         .descriptor = descriptor,
                                         .expression_type = expression_type,
                                         .output_column = output_column,
                                         .output = output,
                                         .state = state,
                                         .fail = fail};
    leat_declare declare = {declaration};
    declaration->output_count = 0;
    output_new(declaration, NULL);
    int code = declaration->function->declare(&declare, &api);
    if (code && !declaration->failed)
        failed(declaration, declaration->span, "refuses its arguments");
    return !declaration->failed;
}
