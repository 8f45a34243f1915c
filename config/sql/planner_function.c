// Process functions in FROM: f(r => TABLE t PARTITION BY k, on_time => DESCRIPTOR(ts), x => 1).
#include "config/sql/planner_state.h"
#include "operators/base/suggest.h"

enum { PARAMETERS_MAX = 62, TABLES_MAX = 8, ON_TIME = 0, UID = 1, SYSTEM_ARGUMENTS = 2 };

typedef struct call_plan {
    plan_rule *rule;
    plan_name *names;
    const leat_sql_expr *call;
    const leat_process_function *function;
    const leat_sql_expr *given[PARAMETERS_MAX + SYSTEM_ARGUMENTS]; // one per parameter, then on_time, uid
    leat_process_argument *arguments;                              // 16-aligned
    leat_sql_span spans[PARAMETERS_MAX];
    plan_source sources[TABLES_MAX];
    leat_process_table tables[TABLES_MAX];
    uint32_t table_count;
    bool failed;
} call_plan;

static const leat_parameter *parameter_of(const call_plan *it, uint32_t i) { return &it->function->parameters[i]; }

static const leat_sql_expr *system_argument(const call_plan *it, uint32_t which)
{
    return it->given[it->function->parameter_count + which];
}

static const char *what_of(const call_plan *it, uint32_t i)
{
    return leat_arena_format(it->rule->arena, "%s: %s", it->function->name, parameter_of(it, i)->name);
}

// ---- finding it

static const char *catalog_name(const leat_function_catalog *catalog, uint32_t index)
{
    return catalog->name ? catalog->name(catalog->context, index) : NULL;
}

static const leat_process_function *find_nocase(const leat_function_catalog *catalog, leat_slice name)
{
    const char *known;
    const leat_process_function *function = catalog->find(catalog->context, name);
    for (uint32_t i = 0; !function && (known = catalog_name(catalog, i)); i++)
        if (leat_slice_is_nocase(name, known))
            function = catalog->find(catalog->context, leat_slice_text(known));
    return function;
}

// Table functions of Flink's own that leat does not have.
static bool refuse_builtin(plan_rule *rule, const leat_sql_expr *call, leat_slice name)
{
    static const char *const absent[] = {"DEDUPLICATE_KEEP_FIRST", "TO_CHANGELOG", "FROM_CHANGELOG", "ML_PREDICT",
                                         "SNAPSHOT"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        if (!leat_slice_is_nocase(name, absent[i]))
            continue;
        plan_error(rule, call->call.name.span, "%s is not in leat yet", absent[i]);
        return true;
    }
    return false;
}

static void function_unknown(plan_rule *rule, const leat_function_catalog *catalog, const leat_sql_expr *call)
{
    leat_slice known[128], name = call->call.name.parts[call->call.name.count - 1].text;
    if (refuse_builtin(rule, call, name))
        return;
    if (rule->planner->options.functions_missing) {
        rule->failed = rule->reads_failed = true; // it may be the missing library's
        return;
    }
    uint32_t count = 0;
    char hint[128];
    const char *text;
    while (catalog && count < 124 && (text = catalog_name(catalog, count)))
        known[count++] = leat_slice_text(text);
    static const char *const windows[] = {"TUMBLE", "HOP", "CUMULATE", "SESSION"};
    for (size_t i = 0; i < 4; i++)
        known[count++] = leat_slice_text(windows[i]);
    plan_error(rule, call->call.name.span, "unknown table function '%.*s'%s", (int)name.size, name.data,
               leat_suggest_text(name, known, count, hint));
}

static bool find_function(call_plan *it)
{
    const leat_function_catalog *catalog = it->rule->planner->options.functions;
    const leat_sql_call *call = &it->call->call;
    it->function = catalog && call->name.count == 1 ? find_nocase(catalog, call->name.parts[0].text) : NULL;
    if (!it->function)
        function_unknown(it->rule, catalog, it->call);
    else if (it->function->parameter_count > PARAMETERS_MAX)
        plan_error(it->rule, it->call->span, "%s has more than %d parameters", it->function->name, PARAMETERS_MAX);
    return it->function && it->function->parameter_count <= PARAMETERS_MAX;
}

static int parameter_find(const call_plan *it, const char *name)
{
    for (uint32_t i = 0; i < it->function->parameter_count; i++)
        if (!strcmp(parameter_of(it, i)->name, name))
            return (int)i;
    return -1;
}

// on_time and uid belong to every call; a function may declare them itself, to say where they stand and that they are needed.
static bool match(call_plan *it)
{
    static const char *const system_names[] = {[ON_TIME] = "on_time", [UID] = "uid"};
    const char *names[PARAMETERS_MAX + SYSTEM_ARGUMENTS];
    const leat_sql_expr *given[PARAMETERS_MAX + SYSTEM_ARGUMENTS];
    uint32_t own = it->function->parameter_count, count = own;
    int places[SYSTEM_ARGUMENTS];
    for (uint32_t i = 0; i < own; i++)
        names[i] = parameter_of(it, i)->name;
    for (uint32_t i = 0; i < SYSTEM_ARGUMENTS; i++) {
        places[i] = parameter_find(it, system_names[i]);
        if (places[i] >= 0)
            continue;
        places[i] = (int)count;
        names[count++] = system_names[i];
    }
    bool matched = plan_match_arguments(it->rule, it->call, names, count, given);
    memcpy(it->given, given, sizeof *given * own);
    for (uint32_t i = 0; i < SYSTEM_ARGUMENTS; i++)
        it->given[own + i] = given[places[i]];
    return matched;
}

// ---- tables

static bool partitioning_fits(call_plan *it, const leat_parameter *parameter, const leat_sql_expr *table,
                              const char *what)
{
    bool set = !(parameter->flags & (LEAT_PARAMETER_ROW_SEMANTICS | LEAT_PARAMETER_BROADCAST));
    bool optional = parameter->flags & LEAT_PARAMETER_OPTIONAL_PARTITION;
    if (!set && table->table.is_partitioned)
        plan_error(it->rule, table->span, "%s takes no PARTITION BY: %s", what,
                   parameter->flags & LEAT_PARAMETER_BROADCAST ? "every instance sees all rows"
                                                               : "it works row by row");
    else if (set && !optional && !table->table.is_partitioned)
        plan_error(it->rule, table->span, "%s needs PARTITION BY: it keeps its state by key", what);
    else
        return true;
    return false;
}

static bool order_by(call_plan *it, const leat_sql_expr *table, const plan_source *source, leat_process_table *out,
                     const char *what)
{
    const leat_sql_order *order = &table->table.order_by;
    leat_sql_expr **exprs = leat_arena_array(it->rule->arena, leat_sql_expr *, order->count + 1);
    bool *descending = leat_arena_array(it->rule->arena, bool, order->count + 1);
    for (uint32_t i = 0; i < order->count; i++) {
        exprs[i] = order->items[i].expr;
        descending[i] = order->items[i].descending;
        if (order->items[i].nulls != LEAT_SQL_NULLS_DEFAULT) {
            plan_error(it->rule, exprs[i]->span, "%s: NULLS FIRST and NULLS LAST are not in leat yet", what);
            return false;
        }
    }
    leat_sql_exprs list = {exprs, order->count};
    if (order->count && (out->row_semantics || out->broadcast || !system_argument(it, ON_TIME))) {
        plan_error(it->rule, exprs[0]->span,
                   "%s: ORDER BY needs on_time => DESCRIPTOR(..) and a table with state by key", what);
        return false;
    }
    if (!order->count || !plan_key_columns(it->rule, &list, source, "ORDER BY", &out->order_columns))
        return !order->count;
    if (!source->relation.times[out->order_columns[0]] || descending[0]) {
        plan_error(it->rule, exprs[0]->span, "%s: ORDER BY starts with the event time column, ascending", what);
        return false;
    }
    out->order_count = order->count;
    out->order_descending = descending;
    return true;
}

static bool bind_table(call_plan *it, uint32_t i)
{
    const leat_parameter *parameter = parameter_of(it, i);
    const leat_sql_expr *argument = it->given[i];
    const char *what = what_of(it, i);
    plan_source *source = &it->sources[it->table_count];
    leat_process_table *table = &it->tables[it->table_count];
    if (it->table_count == TABLES_MAX) {
        plan_error(it->rule, argument->span, "%s takes more than %d tables", it->function->name, TABLES_MAX);
        return false;
    }
    if (!plan_table_argument(it->rule, it->names, argument, source))
        return false;
    *table = (leat_process_table){.time_column = -1,
                                  .row_semantics = parameter->flags & LEAT_PARAMETER_ROW_SEMANTICS,
                                  .broadcast = parameter->flags & LEAT_PARAMETER_BROADCAST,
                                  .pass_columns = parameter->flags & LEAT_PARAMETER_PASS_COLUMNS};
    if (!plan_inserts(it->rule, &source->relation)) {
        plan_error(it->rule, argument->span, "%s takes no updating table (the result of a GROUP BY without a window)",
                   what);
        return false;
    }
    table->key_count = argument->table.partition_by.count;
    bool fits = partitioning_fits(it, parameter, argument, what);
    fits &= plan_key_columns(it->rule, &argument->table.partition_by, source, "PARTITION BY", &table->key_columns);
    fits &= order_by(it, argument, source, table, what);
    it->arguments[i].table = (int32_t)it->table_count++;
    return fits;
}

static bool keys_agree(call_plan *it)
{
    const leat_process_table *first = NULL;
    const plan_source *first_source = NULL;
    for (uint32_t t = 0; t < it->table_count; t++) {
        const leat_process_table *table = &it->tables[t];
        if (table->broadcast || table->row_semantics)
            continue;
        for (uint32_t k = 0; first && k < table->key_count && k < first->key_count; k++) {
            leat_type a = first_source->relation.schema->fields[first->key_columns[k]].type;
            leat_type b = it->sources[t].relation.schema->fields[table->key_columns[k]].type;
            if (a.kind != b.kind) {
                plan_error(it->rule, it->call->span,
                           "%s: the tables are partitioned by columns of different types; CAST in a subquery",
                           it->function->name);
                return false;
            }
        }
        if (first && first->key_count != table->key_count) {
            plan_error(it->rule, it->call->span, "%s: all tables have to be partitioned by the same number of columns",
                       it->function->name);
            return false;
        }
        first = table;
        first_source = &it->sources[t];
    }
    return true;
}

// ---- the other arguments

static bool wanted_fits(call_plan *it, uint32_t i, leat_type type, leat_sql_span span)
{
    char text[LEAT_TYPE_TEXT];
    if (parameter_of(it, i)->type ? plan_api_type(type) != 0 || type.kind == LEAT_KIND_NULL
                                  : leat_type_is_numeric(type))
        return true;
    plan_error(it->rule, span, "%s takes a number, found %s", what_of(it, i), leat_type_print(type, text));
    return false;
}

// Where any number is wanted a function gets none that C has no type for.
static leat_expr *number_for_c(call_plan *it, uint32_t i, leat_expr *expr)
{
    leat_expr *number = expr;
    if (!parameter_of(it, i)->type && expr->type.kind == LEAT_KIND_DECIMAL &&
        leat_expr_cast(&it->rule->expr, expr, leat_type_of(LEAT_KIND_DOUBLE), false, &number, NULL) != LEAT_OK)
        return expr;
    return number;
}

static bool bind_scalar_of(call_plan *it, leat_sql_binder *binder, uint32_t i, const leat_sql_expr *expr)
{
    leat_process_argument *argument = &it->arguments[i];
    leat_type wanted;
    bool typed = parameter_of(it, i)->type && plan_type_of_api(it->rule, parameter_of(it, i)->type, &wanted);
    leat_expr *value = leat_sql_bind_constant(binder, expr, typed ? &wanted : NULL, what_of(it, i));
    if (!value || !wanted_fits(it, i, value->type, expr->span))
        return false;
    value = leat_expr_fold(&it->rule->expr, number_for_c(it, i, value));
    argument->type = value->type;
    argument->scalar = value->literal;
    return true;
}

// The function's own text: an error in it is the function's, and shown at the call.
static bool bind_default(call_plan *it, uint32_t i)
{
    leat_sql_diagnostics *diagnostics = leat_arena_new(it->rule->arena, leat_sql_diagnostics);
    leat_sql_binder binder = {.expr = &it->rule->expr, .diagnostics = diagnostics, .clause = it->function->name};
    leat_sql_expr *expr;
    if (leat_sql_parse_expression(it->rule->arena, leat_slice_text(parameter_of(it, i)->default_text), 0, &expr,
                                  diagnostics) == LEAT_OK &&
        bind_scalar_of(it, &binder, i, expr))
        return true;
    plan_error(it->rule, it->call->span, "%s: its default: %s", what_of(it, i),
               diagnostics->count ? diagnostics->items[0].message : "is wrong");
    return false;
}

static bool bind_scalar(call_plan *it, uint32_t i)
{
    leat_sql_binder binder;
    plan_binder_init(it->rule, NULL, what_of(it, i), &binder);
    return bind_scalar_of(it, &binder, i, it->given[i]);
}

static bool bind_descriptor(call_plan *it, uint32_t i)
{
    const leat_sql_expr *argument = it->given[i];
    const leat_schema *schema = it->table_count ? it->sources[0].relation.schema : NULL;
    if (argument->kind != LEAT_SQL_EXPR_DESCRIPTOR || !schema) {
        plan_error(it->rule, argument->span, "%s takes columns, as in DESCRIPTOR(temperature)", what_of(it, i));
        return false;
    }
    uint32_t *columns = leat_arena_array(it->rule->arena, uint32_t, argument->descriptor.count + 1);
    bool found = true;
    for (uint32_t k = 0; k < argument->descriptor.count; k++) {
        const leat_sql_name *name = &argument->descriptor.items[k];
        char hint[128];
        int column = leat_schema_find(schema, name->text);
        columns[k] = (uint32_t)column;
        found &= column >= 0;
        if (column < 0)
            plan_error(it->rule, name->span, "unknown column '%.*s'%s", (int)name->text.size, name->text.data,
                       leat_sql_suggest_column(schema, name->text, hint));
    }
    it->arguments[i].descriptor_count = argument->descriptor.count;
    it->arguments[i].descriptor_columns = columns;
    return found;
}

static bool bind_expression(call_plan *it, uint32_t i)
{
    const leat_sql_expr *argument = it->given[i];
    leat_sql_binder binder;
    leat_error error;
    leat_type wanted;
    plan_binder_init(it->rule, it->table_count ? &it->sources[0].scope : NULL, what_of(it, i), &binder);
    leat_expr *expr = leat_sql_bind(&binder, argument);
    if (!expr)
        return false;
    bool typed = parameter_of(it, i)->type && plan_type_of_api(it->rule, parameter_of(it, i)->type, &wanted);
    if (typed && leat_expr_coerce(&it->rule->expr, expr, wanted, &expr, &error) != LEAT_OK) {
        plan_error(it->rule, argument->span, "%s: %s", what_of(it, i), error.message);
        return false;
    }
    if (!wanted_fits(it, i, expr->type, argument->span))
        return false;
    expr = number_for_c(it, i, expr);
    it->arguments[i].type = expr->type;
    return plan_compile(it->rule, leat_expr_fold(&it->rule->expr, expr), argument->span, &it->arguments[i].expression);
}

static bool bind_missing(call_plan *it, uint32_t i)
{
    const leat_parameter *parameter = parameter_of(it, i);
    it->arguments[i].scalar = leat_value_null();
    if (!parameter->type || !plan_type_of_api(it->rule, parameter->type, &it->arguments[i].type))
        it->arguments[i].type = leat_type_of(LEAT_KIND_NULL);
    if (parameter->kind == LEAT_ARGUMENT_SCALAR && parameter->default_text)
        return it->arguments[i].given = bind_default(it, i);
    if (parameter->flags & LEAT_PARAMETER_OPTIONAL)
        return true;
    plan_error(it->rule, it->call->span, "%s lacks its argument '%s'", it->function->name, parameter->name);
    return false;
}

static bool bind_argument(call_plan *it, uint32_t i)
{
    it->arguments[i].given = it->given[i];
    if (!it->given[i])
        return bind_missing(it, i);
    it->spans[i] = it->given[i]->span;
    switch (parameter_of(it, i)->kind) {
    case LEAT_ARGUMENT_TABLE:
        return true; // bound before
    case LEAT_ARGUMENT_SCALAR:
        return bind_scalar(it, i);
    case LEAT_ARGUMENT_DESCRIPTOR:
        return bind_descriptor(it, i);
    case LEAT_ARGUMENT_EXPRESSION:
        return bind_expression(it, i);
    }
    return false;
}

// Tables first: the others may name their columns.
static bool bind_arguments(call_plan *it)
{
    uint32_t count = it->function->parameter_count;
    size_t size = sizeof *it->arguments * (count + 1);
    bool bound = true;
    it->arguments = leat_arena_alloc_aligned(it->rule->arena, size, 16);
    memset(it->arguments, 0, size);
    for (uint32_t i = 0; i < count; i++) {
        it->arguments[i].table = -1;
        if (it->given[i] && parameter_of(it, i)->kind == LEAT_ARGUMENT_TABLE)
            bound &= bind_table(it, i);
    }
    for (uint32_t i = 0; bound && i < count; i++)
        it->failed |= !bind_argument(it, i);
    return bound && !it->failed && keys_agree(it);
}

// ---- on_time, uid

static int time_column_of(const leat_sql_expr *descriptor, const leat_schema *schema)
{
    for (uint32_t i = 0; i < descriptor->descriptor.count; i++) {
        int column = leat_schema_find(schema, descriptor->descriptor.items[i].text);
        if (column >= 0)
            return column;
    }
    return -1;
}

static bool bind_on_time(call_plan *it)
{
    const leat_sql_expr *descriptor = system_argument(it, ON_TIME);
    const char *what = leat_arena_format(it->rule->arena, "%s: on_time", it->function->name);
    if (!descriptor)
        return true;
    if (descriptor->kind != LEAT_SQL_EXPR_DESCRIPTOR || !descriptor->descriptor.count) {
        plan_error(it->rule, descriptor->span, "%s takes the event time column, as in DESCRIPTOR(ts)", what);
        return false;
    }
    for (uint32_t t = 0; t < it->table_count; t++) {
        const relation *rows = &it->sources[t].relation;
        leat_slice name = descriptor->descriptor.items[0].text;
        char hint[128];
        int column = time_column_of(descriptor, rows->schema);
        it->tables[t].time_column = column;
        if (column < 0 && it->tables[t].broadcast)
            continue;
        if (column < 0)
            plan_error(it->rule, descriptor->descriptor.items[0].span, "%s: unknown column '%.*s'%s", what,
                       (int)name.size, name.data, leat_sql_suggest_column(rows->schema, name, hint));
        if (column < 0 || !plan_time_attribute(it->rule, rows, column, descriptor->span, what))
            return false;
    }
    return true;
}

static bool uid_taken(const plan_rule *rule, const char *uid)
{
    for (uint32_t i = rule->first_node; i < rule->planner->node_count; i++)
        if (rule->planner->nodes[i].uid && !strcmp(rule->planner->nodes[i].uid, uid))
            return true;
    return false;
}

static bool bind_uid(call_plan *it, const char **out_uid)
{
    const leat_sql_expr *argument = system_argument(it, UID);
    leat_type text = leat_type_of(LEAT_KIND_STRING);
    leat_sql_binder binder;
    *out_uid = NULL;
    if (!argument)
        return true;
    plan_binder_init(it->rule, NULL, "uid", &binder);
    leat_expr *value = leat_sql_bind_constant(&binder, argument, &text, "uid");
    if (!value || value->literal.is_null)
        return false;
    *out_uid = leat_arena_format(it->rule->arena, "%s/%.*s", it->rule->request->uid, (int)value->literal.text.size,
                                 value->literal.text.data);
    if (!uid_taken(it->rule, *out_uid))
        return true;
    plan_error(it->rule, argument->span, "the uid '%.*s' is used twice in this rule", (int)value->literal.text.size,
               value->literal.text.data);
    return false;
}

// ---- what it gives

// The table whose keys are the function's, the first when none is keyed.
static uint32_t keyed_table(const call_plan *it)
{
    for (uint32_t t = 0; t < it->table_count; t++)
        if (!it->tables[t].row_semantics && !it->tables[t].broadcast)
            return t;
    return 0;
}

// The first table with a time; -1: on_time was not given.
static int timed_table(const call_plan *it)
{
    for (uint32_t t = 0; t < it->table_count; t++)
        if (it->tables[t].time_column >= 0)
            return (int)t;
    return -1;
}

static leat_schema *output_schema(const call_plan *it, const plan_declared_output *declared)
{
    bool passes = it->tables[0].pass_columns;
    uint32_t table = passes ? 0 : keyed_table(it), count = 0;
    int timed = timed_table(it);
    const leat_schema *input = it->sources[table].relation.schema;
    uint32_t before = passes ? input->count : it->tables[table].key_count;
    leat_field *fields;
    leat_schema *schema = plan_schema_new(it->rule, before + declared->column_count + 1, &fields);
    for (uint32_t i = 0; i < before; i++)
        fields[count++] = input->fields[passes ? i : it->tables[table].key_columns[i]];
    for (uint32_t i = 0; i < declared->column_count; i++)
        fields[count++] = declared->columns[i];
    if (timed >= 0) {
        schema->rowtime = (int32_t)count;
        fields[count++] = (leat_field){leat_slice_text("rowtime"),
                                       it->sources[timed].relation.schema->fields[it->tables[timed].time_column].type};
    }
    schema->count = count;
    if (count > LEAT_COLUMNS_MAX)
        plan_error(it->rule, it->call->span, "a stream has at most %d columns, found %u", LEAT_COLUMNS_MAX, count);
    plan_schema_unique(it->rule, fields, count);
    return schema;
}

static const char *state_text(call_plan *it, const plan_declaration *declared)
{
    const char *text = NULL;
    for (uint32_t i = 0; i < declared->state_count; i++) {
        const leat_process_state *state = &declared->states[i];
        int64_t ttl_ms = state->ttl_ms ? state->ttl_ms : it->rule->request->state_ttl_ms;
        text = leat_arena_format(it->rule->arena, "%s%s", text ? leat_arena_format(it->rule->arena, "%s, ", text) : "",
                                 state->name);
        if (ttl_ms)
            text = leat_arena_format(it->rule->arena, "%s (%s)", text, plan_duration(it->rule, ttl_ms));
    }
    return text ? leat_arena_format(it->rule->arena, "%s%s", text,
                                    it->tables[keyed_table(it)].key_count ? " per key" : "")
                : NULL;
}

static const char *call_label(call_plan *it)
{
    uint32_t keyed = keyed_table(it);
    const leat_process_table *table = &it->tables[keyed];
    const char *text = it->function->name;
    for (uint32_t i = 0; i < table->key_count; i++) {
        leat_slice name = it->sources[keyed].relation.schema->fields[table->key_columns[i]].name;
        text = leat_arena_format(it->rule->arena, "%s%s%.*s", text, i ? ", " : " BY ", (int)name.size, name.data);
    }
    return text;
}

static leat_exchange exchange_of(const leat_process_table *table)
{
    if (table->broadcast)
        return LEAT_EXCHANGE_BROADCAST;
    if (table->row_semantics)
        return LEAT_EXCHANGE_FORWARD;
    return table->key_count ? LEAT_EXCHANGE_KEY : LEAT_EXCHANGE_GLOBAL;
}

static leat_process_spec *process_spec(call_plan *it, const plan_declaration *declared)
{
    leat_arena *arena = it->rule->arena;
    leat_process_spec *spec = leat_arena_new(arena, leat_process_spec);
    leat_process_table *tables = leat_arena_array(arena, leat_process_table, it->table_count + 1);
    leat_process_state *states = leat_arena_array(arena, leat_process_state, declared->state_count + 1);
    const char **names = leat_arena_array(arena, const char *, declared->output_count);
    memcpy(tables, it->tables, sizeof *tables * it->table_count);
    memcpy(states, declared->states, sizeof *states * declared->state_count);
    for (uint32_t i = 0; i < declared->state_count; i++) {
        states[i].kind |= it->rule->request->state_ttl_reads ? LEAT_STATE_REFRESH_READ : 0;
        it->rule->has_ttl_states |= states[i].ttl_ms || it->rule->request->state_ttl_ms;
    }
    for (uint32_t i = 0; i < declared->output_count; i++)
        names[i] = declared->outputs[i]->name;
    *spec = (leat_process_spec){.function = it->function,
                                .argument_count = it->function->parameter_count,
                                .arguments = it->arguments,
                                .table_count = it->table_count,
                                .tables = tables,
                                .state_count = declared->state_count,
                                .states = states,
                                .output_count = declared->output_count,
                                .output_names = names,
                                .emit_keys = it->tables[keyed_table(it)].key_count && !it->tables[0].pass_columns,
                                .emit_rowtime = timed_table(it) >= 0,
                                .wall_timers_skip_downtime = it->function->flags & LEAT_FUNCTION_SKIP_DOWNTIME,
                                .state_ttl_ms = it->rule->request->state_ttl_ms};
    return spec;
}

static void fill_inputs(call_plan *it, leat_plan_node *node)
{
    leat_plan_input *inputs = leat_arena_array(it->rule->arena, leat_plan_input, it->table_count + 1);
    const leat_schema **ports = leat_arena_array(it->rule->arena, const leat_schema *, it->table_count + 1);
    for (uint32_t t = 0; t < it->table_count; t++) {
        const leat_process_table *table = &it->tables[t];
        leat_exchange exchange = exchange_of(table);
        bool keyed = exchange == LEAT_EXCHANGE_KEY;
        inputs[t] = *plan_input(it->rule, &it->sources[t].relation, exchange, keyed ? table->key_columns : NULL,
                                keyed ? table->key_count : 0);
        inputs[t].port = t;
        ports[t] = it->sources[t].relation.schema;
    }
    node->inputs = inputs;
    node->input_count = node->port_count = it->table_count;
    node->port_schemas = ports;
}

static bool add_side_outputs(call_plan *it, const plan_declaration *declared, uint32_t node,
                             const leat_schema *const *schemas)
{
    plan_rule *rule = it->rule;
    for (uint32_t i = 1; i < declared->output_count; i++) {
        const char *name = declared->outputs[i]->name;
        bool taken = !strcmp(name, "late");
        for (uint32_t k = 0; k < rule->output_count; k++)
            taken |= !strcmp(rule->outputs[k].name, name);
        if (taken || rule->output_count == LEAT_PLANNER_OUTPUTS) {
            plan_error(rule, it->call->span, "%s: the rule already has an output '%s', or too many", it->function->name,
                       name);
            return false;
        }
        rule->outputs[rule->output_count++] = (leat_rule_output){name, node, i, schemas[i]};
    }
    return true;
}

static relation process_relation(call_plan *it, uint32_t node, const leat_schema *schema)
{
    relation rows = plan_relation_of(it->rule, node, 0, schema, &it->sources[0].relation);
    for (uint32_t t = 0; t < it->table_count; t++) {
        rows.bounded &= it->sources[t].relation.bounded;
        rows.has_watermark &= it->sources[t].relation.has_watermark;
    }
    rows.repeats = false;
    rows.stream = it->function->name;
    return rows;
}

static bool add_process(call_plan *it, const plan_declaration *declared, relation *out)
{
    const leat_schema **schemas = leat_arena_array(it->rule->arena, const leat_schema *, declared->output_count);
    for (uint32_t i = 0; i < declared->output_count; i++)
        schemas[i] = output_schema(it, declared->outputs[i]);
    leat_plan_node node = {.operator_name = "process",
                           .spec = process_spec(it, declared),
                           .label = call_label(it),
                           .output_count = declared->output_count,
                           .outputs = schemas,
                           .state_bound = state_text(it, declared)};
    node.stateful = !it->tables[0].row_semantics || it->table_count > 1;
    if (!bind_uid(it, &node.uid))
        return false;
    fill_inputs(it, &node);
    uint32_t index = plan_node_add(it->rule, &node);
    *out = process_relation(it, index, schemas[0]);
    return add_side_outputs(it, declared, index, schemas) && !it->rule->failed;
}

bool plan_process_function(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, relation *out)
{
    call_plan *it = leat_arena_new(rule->arena, call_plan);
    *it = (call_plan){.rule = rule, .names = names, .call = table->function.call};
    if (!find_function(it) || !match(it) || !bind_arguments(it) || !bind_on_time(it))
        return false;
    if (!it->table_count) {
        plan_error(rule, it->call->span, "%s: functions without a table are not in leat", it->function->name);
        return false;
    }
    relation *tables = leat_arena_array(rule->arena, relation, it->table_count);
    for (uint32_t t = 0; t < it->table_count; t++)
        tables[t] = it->sources[t].relation;
    plan_declaration *declared = leat_arena_new(rule->arena, plan_declaration);
    *declared = (plan_declaration){.rule = rule,
                                   .function = it->function,
                                   .arguments = it->arguments,
                                   .spans = it->spans,
                                   .tables = tables,
                                   .table_count = it->table_count,
                                   .span = it->call->span};
    return plan_declare(declared) && add_process(it, declared, out);
}
