// `--set agent.workers=2`: puts values into the tree before it is read. Their diagnostics have the path "--set agent.workers". The
// same for OPTIONS of a table in SQL, whose diagnostics are told where it stands.
#include <string.h>

#include "config/gateway.h"
#include "config/yaml/document.h"

enum { DEPTH_MAX = 16 };

static leat_yaml_node *scalar_new(gateway *g, const leat_yaml_document *document, leat_slice text, uint32_t offset)
{
    leat_yaml_node *node = leat_arena_new(g->arena, leat_yaml_node);
    *node = (leat_yaml_node){.kind = LEAT_YAML_SCALAR,
                             .document = document,
                             .offset = offset,
                             .end = offset + (uint32_t)text.size,
                             .weight = 1,
                             .text = leat_slice_of(leat_arena_copy(g->arena, text.data, text.size), text.size)};
    return node;
}

// A mapping like `from` (NULL: an empty one) in which `key` has the value.
static leat_yaml_node *with_pair(gateway *g, const leat_yaml_node *from, const leat_yaml_node *key,
                                 const leat_yaml_node *value)
{
    leat_yaml_node *node = leat_arena_new(g->arena, leat_yaml_node);
    bool mapping = from && from->kind == LEAT_YAML_MAPPING;
    uint32_t count = mapping ? from->count : 0;
    leat_yaml_pair *pairs = leat_arena_array(g->arena, leat_yaml_pair, count + 1);
    int found = leat_yaml_index(from, key->text);
    *node = mapping ? *from : *key;
    node->kind = LEAT_YAML_MAPPING;
    if (count)
        memcpy(pairs, from->pairs, count * sizeof *pairs);
    pairs[found >= 0 ? (uint32_t)found : count] = (leat_yaml_pair){key, value};
    node->pairs = pairs;
    node->count = found >= 0 ? count : count + 1;
    return node;
}

static const leat_yaml_node *set(gateway *g, const leat_yaml_node *from, const leat_yaml_node *const *keys,
                                 uint32_t count, const leat_yaml_node *value)
{
    int found = leat_yaml_index(from, keys[0]->text);
    const leat_yaml_node *inner = from && found >= 0 ? from->pairs[found].value : NULL;
    const leat_yaml_node *below = count > 1 ? set(g, inner, keys + 1, count - 1, value) : value;
    return with_pair(g, from, keys[0], below);
}

static uint32_t split(gateway *g, const leat_yaml_document *document, leat_slice name, uint32_t offset,
                      const leat_yaml_node **out_keys)
{
    uint32_t count = 0;
    for (uint32_t start = 0; start <= name.size; count++) {
        const char *dot = memchr(name.data + start, '.', name.size - start);
        uint32_t end = dot ? (uint32_t)(dot - name.data) : (uint32_t)name.size;
        if (end == start || count == DEPTH_MAX)
            return 0;
        out_keys[count] = scalar_new(g, document, leat_slice_of(name.data + start, end - start), offset + start);
        start = end + 1;
    }
    return count;
}

static const leat_yaml_node *read_value(gateway *g, const leat_yaml_document *document, leat_slice text,
                                        uint32_t offset)
{
    if (!text.size || !strchr("[{'\"", text.data[0]))
        return scalar_new(g, document, text, offset);
    const leat_yaml_document *value = leat_yaml_parse(g->arena, document->path, text, &g->report);
    return value ? value->root : NULL;
}

static void apply(gateway *g, leat_slice text)
{
    leat_yaml_document *document = leat_arena_new(g->arena, leat_yaml_document);
    const leat_yaml_node *keys[DEPTH_MAX];
    const char *equal = memchr(text.data, '=', text.size);
    *document = (leat_yaml_document){.path = "--set", .text = text};
    uint32_t count = equal ? split(g, document, leat_slice_of(text.data, (size_t)(equal - text.data)), 0, keys) : 0;
    if (!count) {
        leat_report_at(&g->report, document, 0, (uint32_t)text.size, "expected --set section.key=value");
        return;
    }
    uint32_t start = (uint32_t)(equal + 1 - text.data);
    const leat_yaml_node *value = read_value(g, document, leat_slice_of(text.data + start, text.size - start), start);
    if (value)
        g->root = *set(g, &g->root, keys, count, value);
}

const leat_yaml_node *gateway_override(gateway *g, const leat_yaml_document *document, const leat_yaml_node *from,
                                       leat_slice key, uint32_t key_offset, leat_slice value, uint32_t value_offset)
{
    const leat_yaml_node *keys[DEPTH_MAX];
    uint32_t count = split(g, document, key, key_offset, keys);
    if (!count) {
        leat_report_at(&g->report, document, key_offset, (uint32_t)key.size,
                       "expected a setting such as 'watermark.idle'");
        return NULL;
    }
    const leat_yaml_node *node = read_value(g, document, value, value_offset);
    return node ? set(g, from, keys, count, node) : NULL;
}

static const leat_yaml_node *without(gateway *g, const leat_yaml_node *from, const char *key)
{
    int found = from ? leat_yaml_index(from, leat_slice_text(key)) : -1;
    if (found < 0)
        return from;
    leat_yaml_node *node = leat_arena_new(g->arena, leat_yaml_node);
    leat_yaml_pair *pairs = leat_arena_array(g->arena, leat_yaml_pair, from->count);
    *node = *from;
    node->count = 0;
    for (uint32_t i = 0; i < from->count; i++)
        if (i != (uint32_t)found)
            pairs[node->count++] = from->pairs[i];
    node->pairs = pairs;
    return node;
}

const leat_yaml_node *gateway_without(gateway *g, const leat_yaml_node *from, const char *inner, const char *key)
{
    const leat_yaml_node *below = inner ? leat_yaml_find(from, inner) : NULL;
    int found = inner ? leat_yaml_index(from, leat_slice_text(inner)) : -1;
    if (!inner)
        return without(g, from, key);
    return found < 0 ? from : with_pair(g, from, from->pairs[found].key, without(g, below, key));
}

void gateway_apply_overrides(gateway *g)
{
    for (const char *const *text = g->options->overrides; text && *text; text++)
        apply(g, leat_slice_text(*text));
}
