// The texts of a rule's form: names and SQL expressions, each with a list of errors of its own.
#include <string.h>

#include "config/gateway.h"

static const leat_rule_text *text_add(gateway *g, gateway_rule *rule, const leat_yaml_node *node, const char *key,
                                      const char *wanted)
{
    if (node->kind != LEAT_YAML_SCALAR || leat_yaml_is_null(node) || !node->text.size) {
        bool cut = leat_yaml_is_null(node) && node->offset < node->document->text.size &&
                   strchr(",}", node->document->text.data[node->offset]);
        leat_report_error(&g->report, node, "key '%s': expected %s, found %s%s", key, wanted, leat_yaml_kind_text(node),
                          cut ? "; a comma ends a value within { }: put an expression that has one in quotes" : "");
        return NULL;
    }
    gateway_text_place *place = leat_arena_new(g->arena, gateway_text_place);
    place->node = node;
    place->text.text = node->text;
    place->text.diagnostics = leat_arena_new(&g->scratch, leat_sql_diagnostics);
    *(rule->texts ? &rule->last_text->next : &rule->texts) = place;
    rule->last_text = place;
    return &place->text;
}

const leat_rule_text *gateway_name(gateway *g, gateway_rule *rule, const leat_yaml_node *node, const char *key)
{
    return text_add(g, rule, node, key, "a name");
}

const leat_rule_text *gateway_expression(gateway *g, gateway_rule *rule, const leat_yaml_node *node, const char *key)
{
    leat_rule_text *text = (leat_rule_text *)text_add(g, rule, node, key, "an expression");
    leat_sql_expr *expr = NULL;
    if (text && leat_sql_parse_expression(g->arena, text->text, 0, &expr, text->diagnostics) == LEAT_OK)
        text->expr = expr;
    return text;
}

void gateway_report_texts(gateway *g, const gateway_rule *rule)
{
    for (const gateway_text_place *place = rule->texts; place; place = place->next)
        gateway_report_sql(g, place->node, place->text.diagnostics);
}

bool gateway_texts_parsed(const gateway_rule *rule)
{
    for (const gateway_text_place *place = rule->texts; place; place = place->next)
        if (place->text.diagnostics->count)
            return false;
    return true;
}
