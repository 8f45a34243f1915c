// What GROUP BY groups by: its keys, each once, and the grouping sets of ROLLUP, CUBE and GROUPING SETS as bits of keys.
#include "config/sql/planner_state.h"
#include "config/sql/print.h"

enum { KEYS_MAX = 63, SETS_MAX = 64, CUBE_MAX = 6 };

typedef struct set_list {
    uint64_t items[SETS_MAX];
    uint32_t count;
} set_list;

typedef struct set_reader {
    plan_rule *rule;
    leat_sql_binder *binder;
    plan_group *group;
    bool failed;
} set_reader;

static void refuse(set_reader *reader, leat_sql_span span, const char *message)
{
    plan_error(reader->rule, span, "%s", message);
    reader->failed = true;
}

static void set_add(set_reader *reader, set_list *list, uint64_t set, leat_sql_span span)
{
    if (list->count < SETS_MAX)
        list->items[list->count++] = set;
    else if (!reader->failed)
        refuse(reader, span, "GROUP BY has more than 64 grouping sets");
}

static uint64_t key_bit(set_reader *reader, leat_expr *key, const leat_sql_expr *expr)
{
    plan_group *group = reader->group;
    for (uint32_t i = 0; i < group->key_count; i++)
        if (leat_expr_equal(group->keys[i], key))
            return UINT64_C(1) << i;
    if (group->key_count == KEYS_MAX) {
        refuse(reader, expr->span, "GROUP BY takes at most 63 keys");
        return 0;
    }
    group->keys[group->key_count] = key;
    group->key_labels[group->key_count] = leat_sql_expr_print(reader->rule->arena, expr).data;
    return UINT64_C(1) << group->key_count++;
}

static uint64_t key_of(set_reader *reader, const leat_sql_expr *expr)
{
    leat_expr *key = leat_sql_bind(reader->binder, expr);
    if (!key)
        reader->failed = true;
    else
        return key_bit(reader, key, expr);
    return 0;
}

static void sets_of(set_reader *reader, const leat_sql_group *item, set_list *out);

// All keys of an item that is one column or a list of them.
static uint64_t keys_of(set_reader *reader, const leat_sql_group *item)
{
    uint64_t set = 0;
    if (item->kind == LEAT_SQL_GROUP_EXPR)
        return key_of(reader, item->expr);
    if (item->kind != LEAT_SQL_GROUP_LIST)
        refuse(reader, item->span, "GROUPING SETS, ROLLUP and CUBE do not nest here");
    for (uint32_t i = 0; item->kind == LEAT_SQL_GROUP_LIST && i < item->item_count; i++)
        set |= keys_of(reader, item->items[i]);
    return set;
}

static void sets_of_rollup(set_reader *reader, const leat_sql_group *item, set_list *out)
{
    uint64_t parts[SETS_MAX], set = 0;
    uint32_t count = item->item_count < SETS_MAX ? item->item_count : SETS_MAX - 1;
    for (uint32_t i = 0; i < count; i++)
        parts[i] = set |= keys_of(reader, item->items[i]);
    for (uint32_t i = count; i-- > 0;)
        set_add(reader, out, parts[i], item->span);
    set_add(reader, out, 0, item->span);
}

static void sets_of_cube(set_reader *reader, const leat_sql_group *item, set_list *out)
{
    uint64_t parts[CUBE_MAX];
    if (item->item_count > CUBE_MAX) {
        refuse(reader, item->span, "CUBE takes at most 6 columns");
        return;
    }
    for (uint32_t i = 0; i < item->item_count; i++)
        parts[i] = keys_of(reader, item->items[i]);
    for (uint32_t chosen = 1u << item->item_count; chosen-- > 0;) {
        uint64_t set = 0;
        for (uint32_t i = 0; i < item->item_count; i++)
            set |= chosen >> (item->item_count - 1 - i) & 1 ? parts[i] : 0;
        set_add(reader, out, set, item->span);
    }
}

static void sets_of(set_reader *reader, const leat_sql_group *item, set_list *out)
{
    if (item->kind == LEAT_SQL_ROLLUP)
        sets_of_rollup(reader, item, out);
    else if (item->kind == LEAT_SQL_CUBE)
        sets_of_cube(reader, item, out);
    else if (item->kind == LEAT_SQL_GROUPING_SETS)
        for (uint32_t i = 0; i < item->item_count; i++)
            sets_of(reader, item->items[i], out);
    else
        set_add(reader, out, keys_of(reader, item), item->span);
}

// GROUP BY a, ROLLUP (b): each set of the one with each of the other.
static void sets_multiply(set_reader *reader, set_list *sets, const set_list *by, leat_sql_span span)
{
    set_list product = {.count = 0};
    for (uint32_t i = 0; i < sets->count; i++)
        for (uint32_t k = 0; k < by->count; k++)
            set_add(reader, &product, sets->items[i] | by->items[k], span);
    *sets = product;
}

static void sets_distinct(set_list *sets)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sets->count; i++) {
        bool seen = false;
        for (uint32_t k = 0; k < kept; k++)
            seen |= sets->items[k] == sets->items[i];
        if (!seen)
            sets->items[kept++] = sets->items[i];
    }
    sets->count = kept;
}

static bool is_window_item(const leat_sql_group *item)
{
    return item->kind == LEAT_SQL_GROUP_EXPR && leat_sql_is_group_window(item->expr);
}

static void window_item(set_reader *reader, const leat_sql_group *item)
{
    plan_group *group = reader->group;
    plan_window *window = leat_arena_new(reader->rule->arena, plan_window);
    if (group->window) {
        refuse(reader, item->span, "GROUP BY takes one window");
        return;
    }
    reader->binder->group_window = item->expr;
    reader->failed |= !plan_group_window(reader->rule, group->input, group->scope, item->expr, window);
    group->window = window;
    reader->binder->window_by_clock = window->by_clock;
    if (reader->failed)
        return;
    int32_t time = window->by_clock ? -1 : window->window.time_column;
    reader->binder->window_time_type = time < 0 ? leat_expr_special(&reader->rule->expr, LEAT_EXPR_PROCTIME)->type
                                                : group->input->schema->fields[time].type;
}

bool plan_group_keys(plan_rule *rule, leat_sql_binder *binder, const leat_sql_select *select, plan_group *group)
{
    set_reader reader = {.rule = rule, .binder = binder, .group = group};
    set_list sets = {.items = {0}, .count = 1};
    uint32_t keys_max = select->group_count ? KEYS_MAX : 1; // sets and windows bring more than there are items
    group->keys = leat_arena_array(rule->arena, leat_expr *, keys_max);
    group->key_labels = leat_arena_array(rule->arena, const char *, keys_max);
    for (uint32_t i = 0; i < select->group_count; i++) {
        set_list item = {.count = 0};
        if (is_window_item(select->group_by[i])) {
            window_item(&reader, select->group_by[i]);
            continue;
        }
        sets_of(&reader, select->group_by[i], &item);
        sets_multiply(&reader, &sets, &item, select->group_by[i]->span);
    }
    if (select->group_distinct)
        sets_distinct(&sets);
    group->set_count = sets.count;
    group->sets = leat_arena_array(rule->arena, uint64_t, sets.count + 1);
    memcpy(group->sets, sets.items, sizeof *sets.items * sets.count);
    return !reader.failed;
}
