// Hints: STATE_TTL('alias' = '1d') behind SELECT, OPTIONS('key' = 'value') behind a table.
#include "config/sql/planner_state.h"
#include "operators/base/calendar.h"
#include "operators/base/suggest.h"

// ---- STATE_TTL

static bool hint_known(plan_rule *rule, const leat_sql_hint *hint)
{
    if (leat_slice_is_nocase(hint->name.text, "STATE_TTL"))
        return true;
    plan_error(
        rule, hint->name.span,
        leat_slice_is_nocase(hint->name.text, "OPTIONS")
            ? "OPTIONS stands behind a table, STATE_TTL behind SELECT"
            : "the only hint behind SELECT in leat is STATE_TTL: how a join is done is not for choosing, and the "
              "settings of the rule say the rest");
    return false;
}

bool plan_hints_known(plan_rule *rule, const leat_sql_hints *hints)
{
    bool known = true;
    for (uint32_t i = 0; i < hints->count && known; i++)
        known = hint_known(rule, &hints->items[i]);
    return known;
}

static bool table_known(plan_rule *rule, const leat_sql_scope *scope, const leat_sql_hint_entry *entry)
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
    plan_error(rule, entry->key.span, "STATE_TTL: no table of this FROM is called '%.*s'%s", (int)entry->key.text.size,
               entry->key.text.data, leat_suggest_text(entry->key.text, names, count, hint));
    return false;
}

static bool read_ttl(plan_rule *rule, const leat_sql_scope *scope, const leat_sql_hint_entry *entry, int64_t *out_ms)
{
    if (entry->value.data && leat_duration_parse(entry->value, out_ms) && *out_ms >= 0)
        return table_known(rule, scope, entry);
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
            read = read_ttl(rule, scope, &hints->items[i].entries[e], out_ms);
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

// ---- OPTIONS: a stream is read by several rules, so that it is the source whose settings say how

static const struct {
    const char *option, *instead;
} options[] = {
    {"scan.watermark.emit.strategy", "set the source's `watermark.interval` (0 is on-event)"},
    {"scan.watermark.emit.on-event.gap", "set the source's `watermark.interval`"},
    {"scan.watermark.idle-timeout", "set the source's `watermark.idle`"},
    {"scan.watermark.alignment.group", "leat does not hold a source back for another"},
    {"scan.watermark.alignment.max-drift", "leat does not hold a source back for another"},
    {"scan.watermark.alignment.update-interval", "leat does not hold a source back for another"},
    {"scan.parallelism", "set the agent's `workers`"},
    {"scan.startup.mode", "set where the source begins with its driver's settings"},
};

enum { OPTIONS = sizeof options / sizeof *options };

static void option_refused(plan_rule *rule, const leat_sql_hint_entry *entry)
{
    leat_slice known[OPTIONS], key = entry->key.text;
    char hint[128];
    for (uint32_t i = 0; i < OPTIONS; i++) {
        known[i] = leat_slice_text(options[i].option);
        if (!leat_slice_equal(key, known[i]))
            continue;
        plan_error(rule, entry->key.span, "'%s' cannot be set by a hint, since other rules read the same stream: %s",
                   options[i].option, options[i].instead);
        return;
    }
    plan_error(rule, entry->key.span, "unknown option '%.*s'%s; the settings of the source say how it is read",
               (int)key.size, key.data, leat_suggest_text(key, known, OPTIONS, hint));
}

bool plan_refuse_options(plan_rule *rule, const leat_sql_hints *hints)
{
    for (uint32_t i = 0; i < hints->count; i++) {
        const leat_sql_hint *hint = &hints->items[i];
        if (!leat_slice_is_nocase(hint->name.text, "OPTIONS")) {
            plan_error(rule, hint->name.span,
                       leat_slice_is_nocase(hint->name.text, "STATE_TTL")
                           ? "STATE_TTL stands behind SELECT: SELECT /*+ STATE_TTL('t' = '1d') */ .."
                           : "unknown hint '%.*s'; behind a table stands OPTIONS",
                       (int)hint->name.text.size, hint->name.text.data);
            return false;
        }
        for (uint32_t e = 0; e < hint->entry_count; e++)
            option_refused(rule, &hint->entries[e]);
    }
    return !hints->count;
}
