// `window:`: windows as DataStream programs have them: assigner, trigger, evictor, and what each result holds.
#include <string.h>

#include "config/gateway.h"
#include "config/sql/window_form.h"
#include "operators/base/calendar.h"

enum { WINDOW_ITEMS_MAX = LEAT_COLUMNS_MAX };

typedef struct window_settings {
    int64_t tumbling_ms, sliding_ms, slide_ms, cumulative_ms, step_ms, session_ms, lateness_ms;
    int64_t count_size, count_slide, trigger_count, trigger_every_ms, evict_count, evict_time_ms;
    double threshold, trigger_threshold;
    int32_t time, trigger_time;
    bool global, updates, trigger_end, purging, after;
    const char *delta, *trigger_delta; // read as expressions
    const char *offset;                // a duration that may be negative
} window_settings;

#define MEMBER(name) offsetof(window_settings, name)
static const char *const times[] = {"event", "processing", NULL};
enum { TIME_EVENT, TIME_PROCESSING };
static const leat_setting table[] = {
    {"time", LEAT_SETTING_CHOICE, MEMBER(time), false, "event", 0, 0, times,
     "Which time windows lie in: that of the rows, or that of the clock when a row is handled."},
    {"tumbling", LEAT_SETTING_DURATION, MEMBER(tumbling_ms), false, NULL, 1, -1, NULL,
     "Windows of this size, one after the other."},
    {"sliding", LEAT_SETTING_DURATION, MEMBER(sliding_ms), false, NULL, 1, -1, NULL,
     "Windows of this size, a new one every `slide`."},
    {"slide", LEAT_SETTING_DURATION, MEMBER(slide_ms), false, NULL, 1, -1, NULL, "Of sliding windows."},
    {"cumulative", LEAT_SETTING_DURATION, MEMBER(cumulative_ms), false, NULL, 1, -1, NULL,
     "Windows with one start that grow by `step` up to this size."},
    {"step", LEAT_SETTING_DURATION, MEMBER(step_ms), false, NULL, 1, -1, NULL, "Of cumulative windows."},
    {"session", LEAT_SETTING_DURATION, MEMBER(session_ms), false, NULL, 1, -1, NULL,
     "Windows that end when no row has come for this long."},
    {"global", LEAT_SETTING_BOOLEAN, MEMBER(global), false, "false", 0, 0, NULL,
     "One window without an end for each key; its trigger says when it gives results."},
    {"count_window.size", LEAT_SETTING_INTEGER, MEMBER(count_size), false, NULL, 1, -1, NULL,
     "Windows of this many rows of a key."},
    {"count_window.slide", LEAT_SETTING_INTEGER, MEMBER(count_slide), false, NULL, 1, -1, NULL,
     "A result every so many rows, over the last `size` of them; by default the size."},
    {"offset", LEAT_SETTING_TEXT, MEMBER(offset), false, NULL, 0, 0, NULL,
     "How far windows are shifted against 1970-01-01 00:00 UTC; may be negative."},
    {"allowed_lateness", LEAT_SETTING_DURATION, MEMBER(lateness_ms), false, "0", 0, -1, NULL,
     "How long after its end a window still takes rows; it gives its whole result again for each."},
    {"trigger.count", LEAT_SETTING_INTEGER, MEMBER(trigger_count), false, NULL, 1, -1, NULL,
     "A result after every so many rows."},
    {"trigger.every", LEAT_SETTING_DURATION, MEMBER(trigger_every_ms), false, NULL, 1, -1, NULL,
     "A result every so often, and at the end of the window."},
    {"trigger.delta", LEAT_SETTING_EXPRESSION, MEMBER(trigger_delta), false, NULL, 0, 0, NULL,
     "How far a row is from the row that fired last, as SQL: `ABS(v - last_v)`."},
    {"trigger.threshold", LEAT_SETTING_NUMBER, MEMBER(trigger_threshold), false, NULL, 0, 0, NULL,
     "Of `trigger.delta`: a result for a row that is further than this."},
    {"trigger.end", LEAT_SETTING_BOOLEAN, MEMBER(trigger_end), false, "false", 0, 0, NULL,
     "A result at the end of the window beside `count`; for global windows at the end of the input."},
    {"trigger.time", LEAT_SETTING_CHOICE, MEMBER(trigger_time), false, NULL, 0, 0, times,
     "The time that the trigger looks at; by default that of the windows."},
    {"trigger.purging", LEAT_SETTING_BOOLEAN, MEMBER(purging), false, "false", 0, 0, NULL,
     "What was in a result is forgotten; else the next one has it again."},
    {"evict.count", LEAT_SETTING_INTEGER, MEMBER(evict_count), false, NULL, 1, -1, NULL,
     "Only the last so many rows of a window are kept."},
    {"evict.time", LEAT_SETTING_DURATION, MEMBER(evict_time_ms), false, NULL, 1, -1, NULL,
     "Only rows are kept that are less than this older than the latest one of the window."},
    {"evict.delta", LEAT_SETTING_EXPRESSION, MEMBER(delta), false, NULL, 0, 0, NULL,
     "How far a row is from the last one of the window, as SQL: `ABS(v - last_v)`."},
    {"evict.threshold", LEAT_SETTING_NUMBER, MEMBER(threshold), false, NULL, 0, 0, NULL,
     "Of `delta`: rows that are this far or further from the last one go."},
    {"evict.after", LEAT_SETTING_BOOLEAN, MEMBER(after), false, "false", 0, 0, NULL,
     "Rows go after the result was made, not before."},
    {"updates", LEAT_SETTING_BOOLEAN, MEMBER(updates), false, "false", 0, 0, NULL,
     "Results are a changelog: a window that changes after it gave its result takes it back (-U) and gives the new one "
     "(+U)."},
};
static const leat_settings settings = {table, sizeof table / sizeof *table, sizeof(window_settings)};
static const char *const others[] = {"from", "by", "where", "session_gap", "select", NULL};
static const char *const other_texts[] = {
    "The stream or streams whose rows windows hold; several are united.",
    "The column or columns by which rows are told apart; without it all rows are of one key.",
    "SQL: only rows for which it is TRUE.",
    "SQL over the row: the gap of sessions in milliseconds, for each row its own.",
    "`NAME: EXPRESSION`: columns of the result, SQL over keys, aggregates, `window_start`, `window_end`, `window_id`.",
};

typedef struct window_reader {
    gateway *g;
    gateway_rule *rule;
    const leat_yaml_node *value;
    const leat_yaml_node *key; // of the rule
    window_settings set;
    leat_window_form *form;
    bool failed;
} window_reader;

static bool given(const window_reader *r, const char *name) { return leat_settings_given(r->value, name); }

static const leat_yaml_node *place_of(const window_reader *r, const char *name)
{
    const leat_yaml_node *node = name ? leat_settings_node(r->value, name) : NULL;
    return node ? node : r->value;
}

#define fail(r, name, ...)                                                                                             \
    do {                                                                                                               \
        leat_report_error(&(r)->g->report, place_of(r, name), __VA_ARGS__);                                            \
        (r)->failed = true;                                                                                            \
    } while (0)

// ---- assigner

static const struct {
    const char *key, *with; // with: a key that belongs to it and no other
    bool required;
} assigners[] = {
    {"tumbling", NULL, false},    {"sliding", "slide", true}, {"cumulative", "step", true},  {"session", NULL, false},
    {"session_gap", NULL, false}, {"global", NULL, false},    {"count_window", NULL, false},
};
enum { ASSIGNERS = sizeof assigners / sizeof *assigners };

static const char *find_assigner(window_reader *r)
{
    const char *found = NULL;
    for (size_t i = 0; i < ASSIGNERS; i++) {
        bool here = !strcmp(assigners[i].key, "global") ? r->set.global : given(r, assigners[i].key);
        if (assigners[i].with && given(r, assigners[i].with) && !here)
            fail(r, assigners[i].with, "'%s' belongs to '%s'", assigners[i].with, assigners[i].key);
        if (here && assigners[i].required && !given(r, assigners[i].with))
            fail(r, assigners[i].key, "'%s' needs '%s'", assigners[i].key, assigners[i].with);
        if (here && found)
            fail(r, assigners[i].key, "'%s' and '%s' exclude each other: a window is of one kind", found,
                 assigners[i].key);
        found = here && !found ? assigners[i].key : found;
    }
    if (!found && !r->failed)
        fail(r, NULL,
             "missing the kind of window: tumbling, sliding, cumulative, session, session_gap, global or count_window");
    return found;
}

static int64_t read_offset(window_reader *r)
{
    const char *text = r->set.offset;
    int64_t ms = 0;
    if (!text || !strcmp(text, "0"))
        return 0;
    bool negative = *text == '-';
    if (!leat_duration_parse(leat_slice_text(text + negative), &ms))
        fail(r, "offset", "key 'offset': expected a duration such as 8h or -30m, found '%.60s'", text);
    return negative ? -ms : ms;
}

static void set_time_window(window_reader *r, leat_window_kind kind, int64_t size_ms, int64_t slide_ms, const char *key)
{
    leat_window *window = &r->form->spec.aggregate.window;
    int64_t around = kind == LEAT_WINDOW_HOP ? slide_ms : size_ms;
    int64_t offset = read_offset(r);
    window->kind = kind;
    window->size_ms = size_ms;
    window->slide_ms = slide_ms;
    window->offset_ms = offset;
    if (size_ms >= LEAT_WINDOW_MS_MAX || slide_ms >= LEAT_WINDOW_MS_MAX)
        fail(r, key, "the window is too long");
    if (slide_ms > 0 && size_ms / slide_ms > LEAT_WINDOWS_OF_ROW)
        fail(r, key, "each row would lie in %lld windows; %d are the most", (long long)(size_ms / slide_ms),
             LEAT_WINDOWS_OF_ROW);
    if (offset && (offset >= around || -offset >= around))
        fail(r, "offset", "the offset has to be shorter than the %s", kind == LEAT_WINDOW_HOP ? "slide" : "window");
    if (kind == LEAT_WINDOW_CUMULATE && slide_ms && size_ms % slide_ms)
        fail(r, key, "'cumulative' has to be a multiple of 'step'");
}

// Windows by count are global ones with a trigger and an evictor; those with updates are numbered and fire only when full.
static void set_count_window(window_reader *r)
{
    leat_window_stream_spec *spec = &r->form->spec;
    int64_t size = r->set.count_size, slide = given(r, "count_window.slide") ? r->set.count_slide : size;
    if (!given(r, "count_window.size")) {
        const leat_yaml_node *node = leat_yaml_find(r->value, "count_window");
        if (node && node->kind != LEAT_YAML_MAPPING)
            return; // said already
        fail(r, "count_window", "missing key 'count_window.size': how many rows");
        return;
    }
    spec->trigger = LEAT_TRIGGER_COUNT;
    spec->assigner = r->set.updates ? LEAT_ASSIGN_COUNT : LEAT_ASSIGN_GLOBAL;
    spec->count_size = size;
    spec->count_slide = slide;
    spec->trigger_count = r->set.updates ? size : slide;
    if (r->set.updates)
        return;
    spec->purging = slide == size && !given(r, "count_window.slide");
    spec->evictor = spec->purging ? LEAT_EVICTOR_NONE : LEAT_EVICTOR_COUNT;
    spec->evictor_count = size;
}

static void refuse_beside_count(window_reader *r, const char *assigner)
{
    static const char *const keys[] = {"trigger", "evict", "offset", "allowed_lateness"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (given(r, keys[i]))
            fail(r, keys[i], "'%s' means nothing beside '%s'%s", keys[i], assigner,
                 i < 2 ? ": it is a trigger and an evictor by itself; with 'global: true' you set your own" : "");
}

static void read_assigner(window_reader *r)
{
    const char *assigner = find_assigner(r);
    leat_window_stream_spec *spec = &r->form->spec;
    if (!assigner)
        return;
    if (!strcmp(assigner, "tumbling"))
        set_time_window(r, LEAT_WINDOW_TUMBLE, r->set.tumbling_ms, 0, assigner);
    else if (!strcmp(assigner, "sliding"))
        set_time_window(r, LEAT_WINDOW_HOP, r->set.sliding_ms, r->set.slide_ms, assigner);
    else if (!strcmp(assigner, "cumulative"))
        set_time_window(r, LEAT_WINDOW_CUMULATE, r->set.cumulative_ms, r->set.step_ms, assigner);
    else if (!strcmp(assigner, "global"))
        spec->assigner = LEAT_ASSIGN_GLOBAL;
    else if (!strcmp(assigner, "count_window"))
        set_count_window(r);
    else
        spec->aggregate.window = (leat_window){.kind = LEAT_WINDOW_SESSION, .gap_ms = r->set.session_ms};
    if (r->set.session_ms >= LEAT_WINDOW_MS_MAX)
        fail(r, "session", "the gap is too long");
    bool session = !strncmp(assigner, "session", 7);
    bool unaligned = session || r->set.global || !strcmp(assigner, "count_window");
    if (!strcmp(assigner, "count_window"))
        refuse_beside_count(r, assigner);
    else if (unaligned && given(r, "offset"))
        fail(r, "offset", "'offset' means nothing beside '%s'", assigner);
    if (r->set.global && (given(r, "allowed_lateness") || r->rule->allowed_lateness_ms))
        fail(r, "allowed_lateness", "'allowed_lateness' means nothing beside 'global': the window has no end");
    if (r->set.updates && (session || r->set.global))
        fail(r, "updates", "'updates' with '%s' is not in leat yet", assigner);
    spec->aggregate.window.time_column = -1;
    spec->processing_time = r->set.time == TIME_PROCESSING && spec->assigner == LEAT_ASSIGN_TIME;
    r->form->label = assigner;
}

// ---- trigger

static void set_end_trigger(window_reader *r, bool processing)
{
    leat_window_stream_spec *spec = &r->form->spec;
    if (spec->assigner == LEAT_ASSIGN_GLOBAL && !r->set.trigger_end)
        fail(r, "trigger",
             "a global window has no end: its trigger needs 'count', 'every', 'delta' or, for bounded inputs, 'end'");
    spec->trigger = processing ? LEAT_TRIGGER_PROCESSING_TIME : LEAT_TRIGGER_EVENT_TIME;
}

static void read_trigger_delta(window_reader *r, bool another)
{
    leat_window_stream_spec *spec = &r->form->spec;
    if (another)
        fail(r, "trigger.delta", "'delta' excludes 'count' and 'every': a window has one trigger");
    if (!given(r, "trigger.threshold"))
        fail(r, "trigger", "'delta' and 'threshold' belong together");
    if (spec->assigner == LEAT_ASSIGN_TIME && spec->aggregate.window.kind == LEAT_WINDOW_SESSION)
        fail(r, "trigger.delta",
             "sessions have no such trigger: of two that become one, none has the row that fired last");
    spec->trigger_threshold = r->set.trigger_threshold;
    r->form->trigger_delta =
        gateway_expression(r->g, r->rule, leat_settings_node(r->value, "trigger.delta"), "trigger.delta");
    r->failed |= !r->form->trigger_delta;
}

static void read_trigger(window_reader *r)
{
    leat_window_stream_spec *spec = &r->form->spec;
    const leat_yaml_node *node = leat_yaml_find(r->value, "trigger");
    bool windows_processing = r->set.time == TIME_PROCESSING;
    bool processing = given(r, "trigger.time") ? r->set.trigger_time == TIME_PROCESSING : windows_processing;
    bool count = given(r, "trigger.count"), every = given(r, "trigger.every"), delta = given(r, "trigger.delta");
    if (node && node->kind != LEAT_YAML_MAPPING) // said by the settings
        return;
    if (count && every)
        fail(r, "trigger.every", "'count' and 'every' exclude each other: a window has one trigger");
    if (delta)
        read_trigger_delta(r, count || every);
    else if (given(r, "trigger.threshold"))
        fail(r, "trigger.threshold", "'delta' and 'threshold' belong together");
    if ((count || delta) && given(r, "trigger.time"))
        fail(r, "trigger.time", "'time' means nothing beside '%s'", count ? "count" : "delta");
    if (windows_processing && !processing)
        fail(r, "trigger.time", "windows of processing time have no event time; leave out 'trigger.time'");
    if (r->set.updates && node)
        fail(r, "trigger", "with 'updates' a window fires at its end and for late rows; leave out 'trigger'");
    spec->purging = r->set.purging;
    spec->trigger_count = r->set.trigger_count;
    spec->trigger_interval_ms = r->set.trigger_every_ms;
    spec->trigger_at_end = r->set.trigger_end && (count || delta || (every && processing)) && !windows_processing;
    if (r->set.trigger_end && windows_processing && (count || delta))
        fail(r, "trigger.end", "'end' beside '%s' is by event time; these windows are of processing time",
             count ? "count" : "delta");
    if (delta)
        spec->trigger = LEAT_TRIGGER_DELTA;
    else if (count)
        spec->trigger = LEAT_TRIGGER_COUNT;
    else if (every)
        spec->trigger = processing ? LEAT_TRIGGER_CONTINUOUS_PROCESSING_TIME : LEAT_TRIGGER_CONTINUOUS_EVENT_TIME;
    else
        set_end_trigger(r, processing);
}

// ---- evictor

static void read_evictor(window_reader *r)
{
    leat_window_stream_spec *spec = &r->form->spec;
    const leat_yaml_node *node = leat_yaml_find(r->value, "evict"),
                         *delta = leat_settings_node(r->value, "evict.delta");
    bool count = given(r, "evict.count"), time = given(r, "evict.time");
    if (!node || node->kind != LEAT_YAML_MAPPING) // said by the settings
        return;
    if (count + time + (delta != NULL) != 1)
        fail(r, "evict", "'evict' takes one of count, time and delta");
    else if (given(r, "evict.threshold") != (delta != NULL))
        fail(r, "evict", "'delta' and 'threshold' belong together");
    else if (r->set.updates)
        fail(r, "evict", "'evict' with 'updates' is not in leat yet");
    spec->evictor = count ? LEAT_EVICTOR_COUNT : time ? LEAT_EVICTOR_TIME : LEAT_EVICTOR_DELTA;
    spec->evict_after = r->set.after;
    spec->evictor_count = r->set.evict_count;
    spec->evictor_ms = r->set.evict_time_ms;
    spec->evictor_threshold = r->set.threshold;
    if (delta)
        r->form->delta = gateway_expression(r->g, r->rule, delta, "evict.delta");
    r->failed |= delta && !r->form->delta;
}

// ---- texts

static const leat_rule_text *read_expression(window_reader *r, const char *key)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, key);
    if (!node)
        return NULL;
    const leat_rule_text *text = gateway_expression(r->g, r->rule, node, key);
    r->failed |= !text;
    return text;
}

// A name or a list of them.
static const leat_rule_text *const *read_names(window_reader *r, const char *key, bool required, uint32_t *out_count)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, key);
    bool list = node && node->kind == LEAT_YAML_SEQUENCE;
    uint32_t count = !node ? 0 : list ? node->count : 1;
    const leat_rule_text **names = leat_arena_array(r->g->arena, const leat_rule_text *, count + 1);
    if (!count && required)
        fail(r, key, "missing key 'window.%s': which stream or streams", key);
    for (uint32_t i = 0; i < count; i++) {
        names[i] = gateway_name(r->g, r->rule, list ? node->items[i] : node, key);
        r->failed |= !names[i];
    }
    *out_count = count;
    return names;
}

static void read_items(window_reader *r)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, "select");
    uint32_t count = node && node->kind == LEAT_YAML_MAPPING ? node->count : 0;
    leat_form_item *items = leat_arena_array(r->g->arena, leat_form_item, count + 1);
    if (!count || count > WINDOW_ITEMS_MAX) {
        fail(r, "select", "key 'window.select': expected 1 to %d columns as NAME: EXPRESSION", WINDOW_ITEMS_MAX);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        items[i].name = node->pairs[i].key->text;
        items[i].text = gateway_expression(r->g, r->rule, node->pairs[i].value, "select");
        r->failed |= !items[i].text;
    }
    r->form->items = items;
    r->form->item_count = count;
}

static void list_streams(window_reader *r)
{
    leat_slice *streams = leat_arena_array(r->g->arena, leat_slice, r->form->from_count + 1);
    for (uint32_t i = 0; i < r->form->from_count; i++)
        streams[i] = r->form->from[i] ? r->form->from[i]->text : (leat_slice){0};
    r->form->form.streams = streams;
    r->form->form.stream_count = r->form->from_count;
}

static void refuse_ttl(window_reader *r)
{
    const leat_yaml_node *node = leat_yaml_find(r->rule->value, "state_ttl");
    if (!node)
        return;
    leat_report_error(
        &r->g->report, node,
        "'state_ttl' means nothing beside 'window': windows go when they are over, and global ones keep what "
        "their trigger and evictor leave");
    r->failed = true;
}

static void read_lateness(window_reader *r)
{
    bool here = given(r, "allowed_lateness");
    if (here && leat_settings_given(r->rule->value, "allowed_lateness"))
        fail(r, "allowed_lateness", "'allowed_lateness' is set in the rule and in its window");
    if (r->set.time == TIME_PROCESSING && (here || r->rule->allowed_lateness_ms))
        fail(r, "allowed_lateness", "'allowed_lateness' means nothing for windows of processing time");
    r->form->spec.aggregate.allowed_lateness_ms = here ? r->set.lateness_ms : r->rule->allowed_lateness_ms;
}

static const leat_rule_form *read_form(gateway *g, gateway_rule *rule, const leat_yaml_node *value)
{
    const leat_settings *tables[] = {&settings};
    leat_settings_known known = {tables, 1, others};
    window_reader r = {.g = g, .rule = rule, .value = value, .key = rule->key};
    if (value->kind != LEAT_YAML_MAPPING) {
        leat_report_error(&g->report, value, "key 'window': expected a mapping, found %s", leat_yaml_kind_text(value));
        return NULL;
    }
    r.form = leat_arena_alloc_aligned(g->arena, sizeof *r.form, 16);
    memset(r.form, 0, sizeof *r.form);
    r.failed = !leat_settings_read(&g->reader, &settings, value, rule->key, &r.set);
    uint32_t errors = g->report.diagnostics->error_count;
    leat_settings_unknown(&g->reader, value, &known);
    r.failed |= g->report.diagnostics->error_count > errors;
    r.form->form = (leat_rule_form){.plan = leat_plan_window};
    r.form->spec.updates = r.set.updates;
    r.form->from = read_names(&r, "from", true, &r.form->from_count);
    r.form->by = read_names(&r, "by", false, &r.form->by_count);
    r.form->where = read_expression(&r, "where");
    r.form->gap = read_expression(&r, "session_gap");
    read_assigner(&r);
    if (!given(&r, "count_window")) {
        read_trigger(&r);
        read_evictor(&r);
    }
    read_lateness(&r);
    refuse_ttl(&r);
    read_items(&r);
    list_streams(&r);
    r.form->form.summary = gateway_copy(g, leat_slice_of(value->document->text.data + value->offset,
                                                         value->end > value->offset ? value->end - value->offset : 0));
    return r.failed ? NULL : &r.form->form;
}

static void manual(leat_writer *out)
{
    leat_write_text(out, "\n### `window:`\n\nWindows as DataStream programs have them.\n\n| key | |\n| --- | --- |\n");
    for (size_t i = 0; others[i]; i++)
        leat_write_format(out, "| `%s` | %s |\n", others[i], other_texts[i]);
    for (uint32_t i = 0; i < settings.count; i++)
        leat_write_format(out, "| `%s` | %s |\n", table[i].name, table[i].text);
}

const gateway_form gateway_window_form = {.key = "window", .read = read_form, .manual = manual};
