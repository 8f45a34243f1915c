// Hints: STATE_TTL('alias' = '1d') behind SELECT, OPTIONS('key' = 'value') behind a table.
#include "config/sql/planner_state.h"
#include "operators/base/calendar.h"
#include "operators/base/suggest.h"

// ---- STATE_TTL

// How Flink does a join (in batch mode): a stream's results are the same.
static bool is_join_hint(leat_slice name)
{
    static const char *const names[] = {"BROADCAST", "SHUFFLE_HASH", "SHUFFLE_MERGE", "NEST_LOOP", "MULTI_JOIN"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (leat_slice_is_nocase(name, names[i]))
            return true;
    return false;
}

static bool hint_known(plan_rule *rule, const leat_sql_hint *hint)
{
    if (leat_slice_is_nocase(hint->name.text, "STATE_TTL"))
        return true;
    if (is_join_hint(hint->name.text))
        return true;
    plan_error(rule, hint->name.span,
               leat_slice_is_nocase(hint->name.text, "OPTIONS")
                   ? "OPTIONS stands behind a table, STATE_TTL behind SELECT"
                   : "the hints behind SELECT in leat are STATE_TTL and those of joins (BROADCAST, SHUFFLE_HASH, "
                     "SHUFFLE_MERGE, "
                     "NEST_LOOP, MULTI_JOIN), which change nothing; the settings of the rule say the rest");
    return false;
}

bool plan_hints_known(plan_rule *rule, const leat_sql_hints *hints)
{
    bool known = true;
    for (uint32_t i = 0; i < hints->count && known; i++)
        known = hint_known(rule, &hints->items[i]);
    return known;
}

static bool table_known(plan_rule *rule, const leat_sql_scope *scope, const leat_sql_hint *hint_of,
                        const leat_sql_hint_entry *entry)
{
    leat_slice *names = leat_arena_array(rule->arena, leat_slice, scope->count + 1);
    uint32_t count = 0;
    char hint[128];
    for (uint32_t t = 0; t < scope->count; t++)
        if (scope->tables[t].alias.size)
            names[count++] = scope->tables[t].alias;
    for (uint32_t t = 0; t < count; t++)
        if (leat_slice_equal(names[t], entry->key.text))
            return true;
    plan_error(rule, entry->key.span, "%.*s: no table of this FROM is called '%.*s'%s", (int)hint_of->name.text.size,
               hint_of->name.text.data, (int)entry->key.text.size, entry->key.text.data,
               leat_suggest_text(entry->key.text, names, count, hint));
    return false;
}

static bool read_ttl(plan_rule *rule, const leat_sql_scope *scope, const leat_sql_hint *hint,
                     const leat_sql_hint_entry *entry, int64_t *out_ms)
{
    if (entry->value.data && leat_duration_parse(entry->value, out_ms) && *out_ms >= 0 && *out_ms <= LEAT_WINDOW_MS_MAX)
        return table_known(rule, scope, hint, entry);
    plan_error(rule, entry->value.data ? entry->value_span : entry->key.span,
               "STATE_TTL takes a duration for each table: STATE_TTL('a' = '1d')");
    return false;
}

bool plan_read_ttl(plan_rule *rule, const leat_sql_hints *hints, const leat_sql_scope *scope, bool *out_given,
                   int64_t *out_ms)
{
    bool read = true;
    *out_given = false;
    for (uint32_t i = 0; i < hints->count && read; i++)
        for (uint32_t e = 0; e < hints->items[i].entry_count && read; e++) {
            if (is_join_hint(hints->items[i].name.text)) {
                read = table_known(rule, scope, &hints->items[i], &hints->items[i].entries[e]);
                continue;
            }
            read = read_ttl(rule, scope, &hints->items[i], &hints->items[i].entries[e], out_ms);
            *out_given |= read;
        }
    return read;
}

const leat_rule_request *plan_request_with_ttl(plan_rule *rule, int64_t ttl_ms)
{
    leat_rule_request *request = leat_arena_alloc_aligned(rule->arena, sizeof *request, 16);
    *request = *rule->request;
    request->state_ttl_ms = ttl_ms;
    return request;
}

// ---- OPTIONS: the variants of sources are made before rules are planned (config/variant.c)

void leat_planner_add_variant(leat_planner *planner, const leat_sql_hints *hints, const char *stream)
{
    if (planner->variant_count == planner->variant_capacity) {
        uint32_t capacity = planner->variant_capacity ? planner->variant_capacity * 2 : 8;
        plan_variant *variants = leat_arena_array(planner->options.arena, plan_variant, capacity);
        if (planner->variant_count)
            memcpy(variants, planner->variants, planner->variant_count * sizeof *variants);
        planner->variants = variants;
        planner->variant_capacity = capacity;
    }
    planner->variants[planner->variant_count++] = (plan_variant){hints, stream};
}

static bool are_options(plan_rule *rule, const leat_sql_hints *hints)
{
    for (uint32_t i = 0; i < hints->count; i++) {
        const leat_sql_hint *hint = &hints->items[i];
        if (leat_slice_is_nocase(hint->name.text, "OPTIONS"))
            continue;
        plan_error(rule, hint->name.span,
                   leat_slice_is_nocase(hint->name.text, "STATE_TTL")
                       ? "STATE_TTL stands behind SELECT: SELECT /*+ STATE_TTL('t' = '1d') */ .."
                       : "unknown hint '%.*s'; behind a table stands OPTIONS",
                   (int)hint->name.text.size, hint->name.text.data);
        return false;
    }
    return true;
}

const char *plan_variant_of(plan_rule *rule, const leat_sql_path *path, const leat_sql_hints *hints)
{
    const leat_planner *planner = rule->planner;
    if (!are_options(rule, hints))
        return NULL;
    for (uint32_t i = 0; i < planner->variant_count; i++)
        if (planner->variants[i].hints == hints)
            return planner->variants[i].stream;
    const leat_sql_name *name = &path->parts[path->count - 1];
    plan_error(rule, hints->items[0].name.span,
               "OPTIONS are settings of a source of the gateway file, and '%.*s' is none; write them behind the source",
               (int)name->text.size, name->text.data);
    return NULL;
}
