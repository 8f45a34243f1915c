// Names in rules that are not SQL as a whole: `from: readings`, `by: [line, machine]`.
#include "config/sql/planner_state.h"

bool plan_text_begin(plan_rule *rule, const leat_rule_text *text)
{
    rule->diagnostics = text->diagnostics;
    rule->failed |= text->diagnostics->count > 0;
    return !text->diagnostics->count;
}

leat_sql_span plan_text_span(const leat_rule_text *text)
{
    return (leat_sql_span){.offset = 0, .size = (uint32_t)text->text.size};
}

// "line_minutes.late" as the path that FROM would have.
static const leat_sql_path *path_of(plan_rule *rule, const leat_rule_text *text)
{
    leat_sql_path *path = leat_arena_new(rule->arena, leat_sql_path);
    uint32_t dots = 0;
    for (size_t i = 0; i < text->text.size; i++)
        dots += text->text.data[i] == '.';
    leat_sql_name *parts = leat_arena_array(rule->arena, leat_sql_name, dots + 1);
    const char *at = text->text.data, *end = at + text->text.size;
    for (uint32_t i = 0; i <= dots; i++) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        const char *stop = dot ? dot : end;
        parts[i] = (leat_sql_name){.text = leat_slice_of(at, (size_t)(stop - at)), .span = plan_text_span(text)};
        at = stop + 1;
    }
    *path = (leat_sql_path){.parts = parts, .count = dots + 1, .span = plan_text_span(text)};
    return path;
}

bool plan_text_stream(plan_rule *rule, const leat_rule_text *text, relation *out)
{
    relation rows;
    return plan_text_begin(rule, text) && plan_table(rule, NULL, path_of(rule, text), &rows) &&
           plan_materialize(rule, &rows, out);
}

int plan_text_column(plan_rule *rule, const leat_rule_text *text, const leat_schema *schema)
{
    char hint[128];
    if (!plan_text_begin(rule, text))
        return -1;
    int column = leat_schema_find(schema, text->text);
    if (column < 0)
        plan_error(rule, plan_text_span(text), "unknown column '%.*s'%s", (int)text->text.size, text->text.data,
                   leat_sql_suggest_column(schema, text->text, hint));
    return column;
}
