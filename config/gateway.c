// What every part of a gateway file needs: sections, names, errors of SQL.
#include "config/gateway.h"
#include "operators/base/limits.h"

const char *gateway_copy(gateway *g, leat_slice text) { return leat_arena_copy(g->arena, text.data, text.size); }

const leat_yaml_node *gateway_section(gateway *g, const char *name)
{
    int index = leat_yaml_index(&g->root, leat_slice_text(name));
    const leat_yaml_node *node = index < 0 ? NULL : g->root.pairs[index].value;
    if (!node || leat_yaml_is_null(node))
        return NULL;
    if (node->kind == LEAT_YAML_MAPPING)
        return node;
    leat_report_error(&g->report, node, "'%s': expected a mapping, found %s", name, leat_yaml_kind_text(node));
    return NULL;
}

static bool is_name(leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i], low = (char)(c | 0x20);
        if (!(low >= 'a' && low <= 'z') && c != '_' && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return text.size > 0;
}

bool gateway_check_name(gateway *g, const leat_yaml_node *key, const char *what)
{
    leat_slice text = key->text;
    if (text.size >= LEAT_NAME_SIZE)
        leat_report_error(&g->report, key, "the name of a %s has at most %d characters", what, LEAT_NAME_SIZE - 1);
    else if (!is_name(text))
        leat_report_error(&g->report, key,
                          "'%s' is no name of a %s: letters, digits and _ are, beginning with a letter or _", text.data,
                          what);
    else
        return true;
    return false;
}

void gateway_report_sql(gateway *g, const leat_yaml_node *scalar, const leat_sql_diagnostics *diagnostics)
{
    for (uint32_t i = 0; i < diagnostics->count; i++) {
        const leat_sql_diagnostic *d = &diagnostics->items[i];
        leat_report_in(&g->report, scalar, d->span.offset, d->span.size, "%s", d->message);
    }
}
