// What a node computes, as far as its state hangs on it: with the uid and the types of its inputs the identity of that state.
//
//   computes = "1 ", the words of its label, then of some operators what the label leaves out:
//     match          | keep NAME TYPE..| stages NAME kind times.. within..
//     window_stream  | windows.. | trigger.. | evictor..
//     window_rows    | windows.. by NAME..
//     process        | states NAME kind type.. | columns NAME..
//     join_regular   | left one by NAME TYPE.. | right one by NAME TYPE..    where a side's rows have a key
//   and behind stateful nodes "| of HASH" of theirs: a node that begins anew takes back nothing of what it said in its earlier life, so that whoever
//   kept that would keep it for ever.
//
// Kinds are numbers of core/spec.h, which keep their meaning. This text is never reworded; what is added stands behind a new first number. Where the
// state itself would be read wrongly by what a rule computes now, a word is missing here; where it would be right, one is too many.
#include <string.h>

#include "config/gateway.h"
#include "operators/api/leat.h"

enum { STATE_KIND = LEAT_STATE_FORM | LEAT_STATE_SHARED }; // not how long it lives

typedef struct text {
    leat_arena *arena;
    const char *words;
} text;

static void add_name(text *out, const leat_schema *schema, uint32_t column)
{
    if (column >= schema->count)
        return; // of another input
    char type[LEAT_TYPE_TEXT];
    leat_slice name = schema->fields[column].name;
    out->words = leat_arena_format(out->arena, "%s %.*s %s", out->words, (int)name.size, name.data,
                                   leat_type_print(schema->fields[column].type, type));
}

static void add_names(text *out, const char *what, const leat_schema *schema, const uint32_t *columns, uint32_t count)
{
    out->words = leat_arena_format(out->arena, "%s | %s", out->words, what);
    for (uint32_t i = 0; i < count; i++)
        add_name(out, schema, columns[i]);
}

static void add_window(text *out, const leat_window *window)
{
    out->words = leat_arena_format(out->arena, "%s | windows %d %lld %lld %lld %lld", out->words, (int)window->kind,
                                   (long long)window->size_ms, (long long)window->slide_ms,
                                   (long long)window->offset_ms, (long long)window->gap_ms);
}

static void add_stages(text *out, const leat_match_spec *spec)
{
    out->words = leat_arena_format(out->arena, "%s | stages", out->words);
    for (uint32_t i = 0; i < spec->stage_count; i++) {
        const leat_match_stage *stage = &spec->stages[i];
        out->words =
            leat_arena_format(out->arena, "%s %.*s %d %d %d %u %u %d %d %u %lld", out->words, (int)stage->name.size,
                              stage->name.data, (int)stage->contiguity, (int)stage->inner, stage->repeated, stage->from,
                              stage->to, stage->optional, stage->greedy, stage->span, (long long)stage->within_ms);
    }
}

static void add_match(text *out, const leat_plan_node *node)
{
    const leat_match_spec *spec = node->spec;
    add_names(out, "keep", node->port_schemas[0], spec->kept, spec->kept_count);
    add_stages(out, spec);
}

static void add_window_stream(text *out, const leat_plan_node *node)
{
    const leat_window_stream_spec *spec = node->spec;
    add_window(out, &spec->aggregate.window);
    out->words = leat_arena_format(out->arena, "%s %d %d %d %lld %lld | trigger %d %lld %lld %d %d %.17g", out->words,
                                   (int)spec->assigner, spec->processing_time, spec->gap != NULL,
                                   (long long)spec->count_size, (long long)spec->count_slide, (int)spec->trigger,
                                   (long long)spec->trigger_count, (long long)spec->trigger_interval_ms,
                                   spec->trigger_at_end, spec->purging, spec->trigger_threshold);
    out->words = leat_arena_format(out->arena, "%s | evictor %d %d %lld %lld %.17g", out->words, (int)spec->evictor,
                                   spec->evict_after, (long long)spec->evictor_count, (long long)spec->evictor_ms,
                                   spec->evictor_threshold);
    add_names(out, "rows", node->port_schemas[0], spec->row_columns, spec->row_column_count);
    add_names(out, "fired", node->port_schemas[0], spec->trigger_columns, spec->trigger_column_count);
}

static void add_window_rows(text *out, const leat_plan_node *node)
{
    const leat_window_rows_spec *spec = node->spec;
    add_window(out, &spec->window);
    add_names(out, "by", node->port_schemas[0], spec->key_columns, spec->key_count);
}

static void add_process(text *out, const leat_plan_node *node)
{
    const leat_process_spec *spec = node->spec;
    out->words = leat_arena_format(out->arena, "%s | states", out->words);
    for (uint32_t i = 0; i < spec->state_count; i++)
        out->words = leat_arena_format(out->arena, "%s %s %d %d", out->words, spec->states[i].name,
                                       spec->states[i].kind & STATE_KIND, spec->states[i].type);
    for (uint32_t i = 0; i < spec->argument_count; i++)
        if (spec->arguments[i].descriptor_count)
            add_names(out, "columns", node->port_schemas[0], spec->arguments[i].descriptor_columns,
                      spec->arguments[i].descriptor_count);
}

static void add_join_regular(text *out, const leat_plan_node *node)
{
    static const char *const sides[] = {"left one by", "right one by"};
    const leat_join_regular_spec *spec = node->spec;
    for (uint32_t side = 0; side < 2; side++)
        if (spec->unique_counts[side])
            add_names(out, sides[side], node->port_schemas[side], spec->unique_columns[side],
                      spec->unique_counts[side]);
}

typedef struct form {
    const char *operator_name;
    void (*add)(text *out, const leat_plan_node *node);
} form;

static const form forms[] = {
    {"match", add_match},     {"window_stream", add_window_stream}, {"window_rows", add_window_rows},
    {"process", add_process}, {"join_regular", add_join_regular},
};

const char *gateway_computes(leat_arena *arena, const leat_plan_node *node, uint64_t made_from)
{
    const char *words = node->computes ? node->computes : node->label ? node->label : "";
    text out = {arena, leat_arena_format(arena, "1 %s", words)};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].operator_name, node->operator_name) == 0)
            forms[i].add(&out, node);
    if (made_from)
        out.words = leat_arena_format(arena, "%s | of %016llx", out.words, (unsigned long long)made_from);
    return out.words;
}
