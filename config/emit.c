// When windows of a rule's SQL give results beside their end, and what they keep: what SQL has no words for.
#include "config/gateway.h"

typedef struct emit_settings {
    int64_t every_ms, count, evict_count, evict_time_ms;
    int32_t time, mode;
    bool after;
} emit_settings;

#define MEMBER(name) offsetof(emit_settings, name)
static const char *const times[] = {"event", "processing", NULL};
static const char *const modes[] = {"accumulating", "discarding", NULL};
enum { TIME_EVENT, TIME_PROCESSING };
enum { MODE_ACCUMULATING, MODE_DISCARDING };
static const leat_setting table[] = {
    {"emit_every", LEAT_SETTING_DURATION, MEMBER(every_ms), false, NULL, 1, -1, NULL,
     "Windows give a result this often, not only at their end."},
    {"emit_time", LEAT_SETTING_CHOICE, MEMBER(time), false, "event", 0, 0, times,
     "The time that emit_every goes by: that of the rows, or that of the clock."},
    {"emit_count", LEAT_SETTING_INTEGER, MEMBER(count), false, NULL, 1, -1, NULL,
     "Windows give a result after every so many rows, and at their end."},
    {"emit", LEAT_SETTING_CHOICE, MEMBER(mode), false, "accumulating", 0, 0, modes,
     "Whether what was in a result is in the next one of the window again."},
    {"evict.count", LEAT_SETTING_INTEGER, MEMBER(evict_count), false, NULL, 1, -1, NULL,
     "Results are made of the last so many rows of a window."},
    {"evict.time", LEAT_SETTING_DURATION, MEMBER(evict_time_ms), false, NULL, 1, -1, NULL,
     "Results are made of rows that are less than this older than the latest one of the window."},
    {"evict.after", LEAT_SETTING_BOOLEAN, MEMBER(after), false, "false", 0, 0, NULL,
     "Rows go after the result was made, not before."},
};
const leat_settings gateway_emit_settings = {table, sizeof table / sizeof *table, sizeof(emit_settings)};

static bool given(const gateway_rule *rule, const char *name) { return leat_settings_given(rule->value, name); }

static const char *first_given(const gateway_rule *rule)
{
    static const char *const keys[] = {"emit_every", "emit_count", "emit_time", "emit", "evict"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (leat_yaml_find(rule->value, keys[i]))
            return keys[i];
    return NULL;
}

static bool refuse(gateway *g, const gateway_rule *rule, const char *key, const char *text)
{
    leat_report_error(&g->report, leat_settings_node(rule->value, key), "%s", text);
    return false;
}

static bool fits(gateway *g, const gateway_rule *rule)
{
    bool every = given(rule, "emit_every"), count = given(rule, "emit_count");
    const leat_yaml_node *evict = leat_yaml_find(rule->value, "evict");
    if (every && count)
        return refuse(g, rule, "emit_count",
                      "'emit_every' and 'emit_count' exclude each other: a window has one trigger");
    if (given(rule, "emit_time") && !every)
        return refuse(g, rule, "emit_time", "'emit_time' means nothing without 'emit_every'");
    if (evict && given(rule, "evict.count") == given(rule, "evict.time"))
        return refuse(g, rule, "evict", "'evict' takes one of count and time");
    return true;
}

void gateway_read_emit(gateway *g, gateway_rule *rule)
{
    const char *key = first_given(rule);
    emit_settings set = {0};
    if (!leat_settings_read(&g->reader, &gateway_emit_settings, rule->value, rule->key, &set) || !key)
        return;
    if (leat_yaml_find(rule->value, "window")) {
        refuse(g, rule, key, "beside 'window' this is said by its 'trigger' and 'evict'");
        return;
    }
    if (!leat_yaml_find(rule->value, "sql") && !leat_yaml_find(rule->value, "detect")) {
        refuse(g, rule, key, "emit settings and 'evict' are for windows of a rule's SQL, which this rule has not");
        return;
    }
    if (!fits(g, rule))
        return;
    leat_rule_emit *emit = leat_arena_new(g->arena, leat_rule_emit);
    *emit = (leat_rule_emit){.key = key,
                             .every_ms = set.every_ms,
                             .processing_time = set.time == TIME_PROCESSING,
                             .count = set.count,
                             .discarding = set.mode == MODE_DISCARDING,
                             .evict_count = set.evict_count,
                             .evict_ms = set.evict_time_ms,
                             .evict_after = set.after};
    rule->emit = emit;
}
