// Changelogs brought into the form that what reads them needs.
#include "config/sql/planner_over.h"

static const char *key_text(plan_rule *rule, const leat_schema *schema, const uint32_t *keys, uint32_t count)
{
    const char *text = "";
    for (uint32_t i = 0; i < count; i++)
        text = leat_arena_format(rule->arena, "%s%s%.*s", text, i ? ", " : "", (int)schema->fields[keys[i]].name.size,
                                 schema->fields[keys[i]].name.data);
    return text;
}

bool plan_normalized(plan_rule *rule, const relation *from, leat_sql_span span, relation *out)
{
    const leat_schema *given = from->schema;
    *out = *from;
    if (given->changelog != LEAT_CHANGELOG_UPSERT)
        return true;
    if (!given->key_count) {
        plan_error(rule, span,
                   "this query takes rows back, and its input gives updates without the rows before them: "
                   "select the primary key too");
        return false;
    }
    if (!plan_state_allowed(rule, span, "updates by key are made whole by keeping the last row of every key",
                            "read a source with `changelog: retract`"))
        return false;
    leat_changelog_spec *spec = leat_arena_new(rule->arena, leat_changelog_spec);
    leat_schema *schema = leat_arena_new(rule->arena, leat_schema);
    *spec = (leat_changelog_spec){.mode = LEAT_CHANGELOG_NORMALIZE,
                                  .key_count = given->key_count,
                                  .key_columns = given->key_columns,
                                  .emit_before = true,
                                  .state_ttl_ms = rule->request->state_ttl_ms};
    *schema = *given;
    schema->changelog = LEAT_CHANGELOG_RETRACT;
    leat_plan_node node = {.operator_name = "changelog",
                           .spec = spec,
                           .label = leat_arena_format(rule->arena, "NORMALIZE BY %s",
                                                      key_text(rule, given, given->key_columns, given->key_count)),
                           .state_bound = "the last row of every key"};
    relation made = plan_keyed(rule, from, &node, spec->key_columns, spec->key_count, schema);
    out->node = made.node;
    out->output = 0;
    out->schema = schema;
    return true;
}
