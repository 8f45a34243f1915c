// Joins in FROM: both sides, the names of their columns, ON, USING and NATURAL, and what the conditions around the join add to it.
#include "config/sql/planner_correlation.h"
#include "operators/base/calendar.h"
#include "operators/base/suggest.h"

typedef struct join_source {
    plan_rule *rule;
    plan_name *names;
    const leat_sql_table_ref *table;
    const plan_hints *hints;
    plan_source sides[2];
    plan_join join;
    leat_sql_names merged; // USING, or the common columns of NATURAL
} join_source;

// ---- names

// The tables of both sides, each with the places of its columns in the joined row.
static leat_sql_scope joined_scope(plan_rule *rule, const plan_source *left, const plan_source *right)
{
    uint32_t count = left->scope.count + right->scope.count;
    leat_sql_scope_table *tables = leat_arena_array(rule->arena, leat_sql_scope_table, count + 1);
    for (uint32_t t = 0; t < count; t++) {
        bool of_left = t < left->scope.count;
        tables[t] = of_left ? left->scope.tables[t] : right->scope.tables[t - left->scope.count];
        tables[t].first += of_left ? 0 : left->relation.schema->count;
    }
    return (leat_sql_scope){tables, count};
}

static bool aliases_differ(plan_rule *rule, const leat_sql_scope *scope, leat_sql_span span)
{
    for (uint32_t a = 0; a < scope->count; a++)
        for (uint32_t b = 0; b < a; b++) {
            leat_slice alias = scope->tables[a].alias;
            if (!alias.size || !leat_slice_equal(alias, scope->tables[b].alias))
                continue;
            plan_error(rule, span, "two tables of FROM are called '%.*s'; give one an alias", (int)alias.size,
                       alias.data);
            return false;
        }
    return true;
}

// ---- kinds

static bool joins_inner(leat_sql_join_kind kind)
{
    return kind == LEAT_SQL_JOIN_INNER || kind == LEAT_SQL_JOIN_CROSS || kind == LEAT_SQL_JOIN_COMMA;
}

static leat_join_kind kind_of(leat_sql_join_kind kind)
{
    switch (kind) {
    case LEAT_SQL_JOIN_LEFT:
        return LEAT_JOIN_LEFT;
    case LEAT_SQL_JOIN_RIGHT:
        return LEAT_JOIN_RIGHT;
    case LEAT_SQL_JOIN_FULL:
        return LEAT_JOIN_FULL;
    default:
        return LEAT_JOIN_INNER;
    }
}

// ---- conditions

static const plan_hints *hints_of(plan_rule *rule, const leat_sql_expr *condition, const plan_hints *next)
{
    if (!condition)
        return next;
    if (condition->kind == LEAT_SQL_EXPR_BINARY && condition->binary.op == LEAT_SQL_AND)
        return hints_of(rule, condition->binary.left, hints_of(rule, condition->binary.right, next));
    plan_hints *hints = leat_arena_new(rule->arena, plan_hints);
    *hints = (plan_hints){condition, next};
    return hints;
}

// What also holds for the rows of one side of this join.
static const plan_hints *hints_below(join_source *it, unsigned side)
{
    leat_sql_join_kind kind = it->table->join.kind;
    const plan_hints *below =
        kind == LEAT_SQL_JOIN_FULL || kind == (side ? LEAT_SQL_JOIN_LEFT : LEAT_SQL_JOIN_RIGHT) ? NULL : it->hints;
    return joins_inner(kind) ? hints_of(it->rule, it->table->join.on, below) : below;
}

// A hint that speaks of other tables too is of no use here; its errors are told where it stands.
static leat_expr *bind_hint(join_source *it, const leat_sql_scope *scope, const leat_sql_expr *condition)
{
    leat_sql_diagnostics *ignored = plan_ignored(it->rule);
    leat_sql_binder binder;
    plan_binder_init(it->rule, scope, "WHERE", &binder);
    binder.diagnostics = ignored;
    leat_expr *bound = leat_sql_bind_condition(&binder, condition);
    return binder.errors ? NULL : bound;
}

// As Flink's optimizer: rows whose one side is padded are gone when WHERE rejects them, so that side need not be padded.
static void simplify(join_source *it, const leat_expr *condition)
{
    leat_join_kind *kind = &it->join.kind;
    if (plan_join_rejects_padding(&it->join, condition, 1))
        *kind = *kind == LEAT_JOIN_FULL ? LEAT_JOIN_RIGHT : *kind == LEAT_JOIN_LEFT ? LEAT_JOIN_INNER : *kind;
    if (plan_join_rejects_padding(&it->join, condition, 0))
        *kind = *kind == LEAT_JOIN_FULL ? LEAT_JOIN_LEFT : *kind == LEAT_JOIN_RIGHT ? LEAT_JOIN_INNER : *kind;
}

static bool speaks_of_both(const plan_join *join, const leat_expr *condition)
{
    bool sides[2];
    plan_join_reads(join, condition, sides);
    return sides[0] && sides[1];
}

static bool add_hints(join_source *it, const leat_sql_scope *scope)
{
    for (const plan_hints *hint = it->hints; hint && it->join.kind != LEAT_JOIN_INNER; hint = hint->next) {
        leat_expr *bound = bind_hint(it, scope, hint->condition);
        if (bound)
            simplify(it, bound);
    }
    for (const plan_hints *hint = it->hints; hint && it->join.kind == LEAT_JOIN_INNER; hint = hint->next) {
        leat_expr *bound = bind_hint(it, scope, hint->condition);
        if (bound && leat_expr_is_deterministic(bound) && speaks_of_both(&it->join, bound) &&
            !plan_join_add(&it->join, bound))
            return false;
    }
    return true;
}

static bool add_on(join_source *it, const leat_sql_scope *scope)
{
    leat_sql_binder binder;
    if (!it->table->join.on)
        return true;
    plan_binder_init(it->rule, scope, "ON", &binder);
    leat_expr *bound = leat_sql_bind_condition(&binder, it->table->join.on);
    it->rule->failed |= !bound;
    return bound && plan_join_add(&it->join, bound);
}

// ---- USING and NATURAL

static bool find_column(const leat_sql_scope *scope, leat_slice name, uint32_t *out_column)
{
    leat_sql_name part = {.text = name};
    leat_sql_path path = {.parts = &part, .count = 1};
    leat_sql_found found;
    leat_error error;
    if (leat_sql_scope_find(scope, &path, &found, &error) != LEAT_OK)
        return false;
    *out_column = found.column;
    return true;
}

static void collect_natural(join_source *it)
{
    const leat_sql_scope *left = &it->sides[0].scope, *right = &it->sides[1].scope;
    leat_sql_name *items = leat_arena_array(it->rule->arena, leat_sql_name, LEAT_COLUMNS_MAX);
    uint32_t count = 0, ignored;
    for (uint32_t t = 0; t < left->count; t++)
        for (uint32_t c = 0; c < left->tables[t].schema->count && count < LEAT_COLUMNS_MAX; c++) {
            leat_slice name = left->tables[t].schema->fields[c].name;
            if (find_column(left, name, &ignored) && find_column(right, name, &ignored))
                items[count++] = (leat_sql_name){.text = name, .span = it->table->span};
        }
    it->merged = (leat_sql_names){items, count};
}

static void using_unknown(join_source *it, const leat_sql_name *name, unsigned side)
{
    const leat_schema *schema = it->join.sides[side].schema;
    leat_slice *known = leat_arena_array(it->rule->arena, leat_slice, schema->count + 1);
    bool twice = false;
    char hint[128];
    for (uint32_t c = 0; c < schema->count; c++) {
        known[c] = schema->fields[c].name;
        twice |= leat_slice_equal(known[c], name->text);
    }
    plan_error(it->rule, name->span, "USING: the %s side has %s column '%.*s'%s", side ? "right" : "left",
               twice ? "more than one" : "no", (int)name->text.size, name->text.data,
               twice ? "" : leat_suggest_text(name->text, known, schema->count, hint));
}

static bool add_merged(join_source *it)
{
    for (uint32_t i = 0; i < it->merged.count; i++) {
        const leat_sql_name *name = &it->merged.items[i];
        uint32_t columns[2];
        leat_expr *both[2], *equal;
        leat_error error;
        for (unsigned side = 0; side < 2; side++) {
            const relation *rows = &it->join.sides[side];
            if (!find_column(&it->sides[side].scope, name->text, &columns[side])) {
                using_unknown(it, name, side);
                return false;
            }
            both[side] = leat_expr_column(&it->rule->expr, 0, columns[side] + (side ? it->join.split : 0),
                                          rows->schema->fields[columns[side]].type);
        }
        if (leat_expr_call(&it->rule->expr, leat_slice_text("="), both, 2, &equal, &error) != LEAT_OK) {
            plan_error(it->rule, name->span, "USING: %s", error.message);
            return false;
        }
        if (!plan_join_add(&it->join, equal))
            return false;
    }
    return true;
}

static leat_expr *merged_column(join_source *it, const relation *rows, uint32_t left, uint32_t right)
{
    leat_expr *both[] = {plan_column(it->rule, rows, left), plan_column(it->rule, rows, right)}, *either;
    leat_error error;
    if (it->join.kind == LEAT_JOIN_RIGHT)
        return both[1];
    if (it->join.kind != LEAT_JOIN_FULL ||
        leat_expr_call(&it->rule->expr, leat_slice_text("COALESCE"), both, 2, &either, &error) != LEAT_OK)
        return both[0];
    return either;
}

static bool is_merged(const join_source *it, leat_slice name)
{
    for (uint32_t i = 0; i < it->merged.count; i++)
        if (leat_slice_equal(it->merged.items[i].text, name))
            return true;
    return false;
}

// Behind the columns of both sides each merged one, which is what its bare name means; * has it first and once.
static bool merge_columns(join_source *it, plan_source *out)
{
    plan_rule *rule = it->rule;
    uint32_t count = it->merged.count, columns[2], first = out->relation.schema->count;
    plan_item *items = leat_arena_array(rule->arena, plan_item, count + 1);
    leat_field *fields;
    leat_schema *schema = plan_schema_new(rule, count, &fields);
    relation joined = out->relation;
    for (uint32_t i = 0; i < count; i++) {
        leat_slice name = it->merged.items[i].text;
        for (unsigned side = 0; side < 2; side++)
            LEAT_ASSERT(find_column(&it->sides[side].scope, name, &columns[side]));
        items[i] = (plan_item){merged_column(it, &joined, columns[0], columns[1] + it->join.split), name, NULL};
        fields[i] = (leat_field){name, items[i].expr->type};
    }
    leat_field *names = leat_arena_array(rule->arena, leat_field, first + count + 1);
    for (uint32_t c = 0; c < first + count; c++)
        names[c].name = c < first ? joined.schema->fields[c].name : items[c - first].name;
    plan_schema_unique(rule, names, first + count);
    for (uint32_t i = 0; i < count; i++)
        items[i].name = names[first + i].name;
    if (!plan_extend(rule, &joined, items, count, it->table->span, &out->relation))
        return false;
    leat_sql_scope_table *tables = leat_arena_array(rule->arena, leat_sql_scope_table, out->scope.count + 1);
    tables[0] = (leat_sql_scope_table){.schema = schema, .first = first, .merged = true};
    for (uint32_t t = 0; t < out->scope.count; t++) {
        leat_sql_scope_table *table = &tables[t + 1];
        *table = out->scope.tables[t];
        bool *hidden = leat_arena_array(rule->arena, bool, table->schema->count + 1);
        for (uint32_t c = 0; c < table->schema->count; c++)
            hidden[c] = (table->hidden && table->hidden[c]) || is_merged(it, table->schema->fields[c].name);
        table->hidden = hidden;
    }
    out->scope = (leat_sql_scope){tables, out->scope.count + 1};
    return true;
}

// ---- STATE_TTL

static bool names_table(const leat_sql_scope *scope, leat_slice name)
{
    for (uint32_t t = 0; t < scope->count; t++)
        if (leat_slice_equal(scope->tables[t].alias, name))
            return true;
    return false;
}

bool plan_join_read_ttl(plan_join *join, const leat_sql_scope *left, const leat_sql_scope *right)
{
    const leat_sql_hints *hints = join->rule->hints;
    for (uint32_t i = 0; hints && i < hints->count; i++)
        for (uint32_t e = 0; e < hints->items[i].entry_count; e++) {
            const leat_sql_hint_entry *entry = &hints->items[i].entries[e];
            if (!leat_slice_is_nocase(hints->items[i].name.text, "STATE_TTL"))
                continue;
            int64_t ttl_ms;
            if (!entry->value.data || !leat_duration_parse(entry->value, &ttl_ms) || ttl_ms < 0) {
                plan_error(join->rule, entry->value.data ? entry->value_span : entry->key.span,
                           "STATE_TTL takes a duration for each table: STATE_TTL('a' = '1d')");
                return false;
            }
            if (names_table(left, entry->key.text))
                join->ttl_ms[0] = ttl_ms;
            if (names_table(right, entry->key.text))
                join->ttl_ms[1] = ttl_ms;
        }
    return true;
}

// ---- sides

static bool fits(join_source *it)
{
    uint32_t count = it->sides[0].relation.schema->count + it->sides[1].relation.schema->count;
    if (count <= LEAT_COLUMNS_MAX)
        return true;
    plan_error(it->rule, it->table->span, "a stream has at most %d columns, the join has %u", LEAT_COLUMNS_MAX, count);
    return false;
}

static bool plan_side(join_source *it, unsigned side)
{
    const leat_sql_table_ref *table = side ? it->table->join.right : it->table->join.left;
    plan_source *source = &it->sides[side];
    relation rows;
    bool versions = side && table->kind == LEAT_SQL_TABLE_NAME && table->table.system_time;
    bool planned = versions ? plan_from_versions(it->rule, it->names, table, source)
                            : plan_from_where(it->rule, it->names, table, hints_below(it, side), source);
    if (!planned || plan_refuse_clock(it->rule, &source->relation, "a join of their rows is not in leat yet") ||
        !plan_materialize(it->rule, &source->relation, &rows))
        return false;
    source->relation = rows;
    return true;
}

// The column of the left side that FOR SYSTEM_TIME AS OF names.
static bool system_time_column(join_source *it, const leat_sql_expr *time, int32_t *out_column)
{
    leat_sql_binder binder;
    plan_binder_init(it->rule, &it->sides[0].scope, "FOR SYSTEM_TIME AS OF", &binder);
    leat_expr *bound = leat_sql_bind(&binder, time);
    it->rule->failed |= !bound;
    if (!bound)
        return false;
    if (bound->kind == LEAT_EXPR_COLUMN) {
        *out_column = (int32_t)bound->column;
        return true;
    }
    plan_error(it->rule, time->span, "FOR SYSTEM_TIME AS OF takes a column of the left side");
    return false;
}

static bool make(join_source *it, relation *out)
{
    const leat_sql_table_ref *right = it->table->join.right;
    int32_t time_column;
    if (right->kind != LEAT_SQL_TABLE_NAME || !right->table.system_time)
        return plan_join_choose(&it->join, out);
    return system_time_column(it, right->table.system_time, &time_column) &&
           plan_join_make_temporal(&it->join, right->table.system_time, time_column, out);
}

bool plan_join_from(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, const plan_hints *hints,
                    plan_source *out)
{
    join_source *it = leat_arena_new(rule->arena, join_source);
    *it = (join_source){.rule = rule, .names = names, .table = table, .hints = hints, .merged = table->join.using};
    if (plan_is_values(table->join.right)) {
        const leat_sql_table_ref *values = plan_values_join(rule, table);
        return values && plan_side(it, 0) && plan_unnest(rule, &it->sides[0], values, out);
    }
    if (table->join.right->kind == LEAT_SQL_TABLE_UNNEST)
        return plan_side(it, 0) && plan_unnest(rule, &it->sides[0], table, out);
    if (table->join.right->lateral && table->join.right->kind == LEAT_SQL_TABLE_QUERY)
        return plan_side(it, 0) && plan_lateral(rule, names, &it->sides[0], table, out);
    bool left = plan_side(it, 0), right = plan_side(it, 1);
    if (!left || !right || !fits(it))
        return false;
    plan_join_begin(&it->join, rule, kind_of(table->join.kind), &it->sides[0].relation, &it->sides[1].relation,
                    table->join.on ? table->join.on->span : table->span);
    out->scope = joined_scope(rule, &it->sides[0], &it->sides[1]);
    if (table->join.natural)
        collect_natural(it);
    return aliases_differ(rule, &out->scope, table->span) && add_on(it, &out->scope) && add_merged(it) &&
           add_hints(it, &out->scope) && plan_join_read_ttl(&it->join, &it->sides[0].scope, &it->sides[1].scope) &&
           make(it, &out->relation) && (!it->merged.count || merge_columns(it, out));
}

const plan_hints *plan_where_hints(plan_rule *rule, const leat_sql_expr *where) { return hints_of(rule, where, NULL); }
