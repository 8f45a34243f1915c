#include "config/yaml/node.h"

#include <stdlib.h>
#include <string.h>

static bool is_continuation(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

// ---- looking

int leat_yaml_index(const leat_yaml_node *mapping, leat_slice key)
{
    for (uint32_t i = 0; mapping && mapping->kind == LEAT_YAML_MAPPING && i < mapping->count; i++)
        if (leat_slice_equal(mapping->pairs[i].key->text, key))
            return (int)i;
    return -1;
}

const leat_yaml_node *leat_yaml_find(const leat_yaml_node *mapping, const char *key)
{
    int index = leat_yaml_index(mapping, leat_slice_text(key));
    return index < 0 ? NULL : mapping->pairs[index].value;
}

bool leat_yaml_is_null(const leat_yaml_node *node)
{
    return !node || (node->kind == LEAT_YAML_SCALAR && node->style == LEAT_YAML_PLAIN &&
                     (!node->text.size || leat_slice_is(node->text, "~") || leat_slice_is(node->text, "null")));
}

const char *leat_yaml_kind_text(const leat_yaml_node *node)
{
    if (leat_yaml_is_null(node))
        return "nothing";
    return node->kind == LEAT_YAML_MAPPING ? "a mapping" : node->kind == LEAT_YAML_SEQUENCE ? "a list" : "a text";
}

// ---- from a value back to its bytes

// White space is what folding changes; everything else stands in the text in the same order.
static bool is_white(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Characters of the value before `offset` that are not white.
static uint32_t solid_before(leat_slice value, uint32_t offset)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < offset && i < value.size; i++)
        count += !is_white(value.data[i]) && !is_continuation(value.data[i]);
    return count;
}

// Size of an escape of a double-quoted text, and whether it gives a solid character.
static uint32_t escape_size(const char *at, const char *end, bool *out_solid)
{
    char c = end - at > 1 ? at[1] : 0;
    uint32_t size = c == 'x' ? 4 : c == 'u' ? 6 : c == 'U' ? 10 : 2;
    *out_solid = !strchr("ntr \t\n\r", c) || !c;
    if (size > 2) { // \x20 and the like
        char digits[9] = {0};
        memcpy(digits, at + 2, end - at > (ptrdiff_t)size ? size - 2 : 0);
        unsigned long code = strtoul(digits, NULL, 16);
        *out_solid = code > 0x7f || !is_white((char)code);
    }
    return size;
}

static uint32_t step_size(const leat_yaml_node *node, const char *at, const char *end, bool *out_solid)
{
    *out_solid = !is_white(*at);
    if (node->style == LEAT_YAML_DOUBLE && *at == '\\')
        return escape_size(at, end, out_solid);
    if (node->style == LEAT_YAML_SINGLE && *at == '\'' && end - at > 1 && at[1] == '\'')
        return 2;
    uint32_t size = 1;
    while (size < (uint32_t)(end - at) && is_continuation(at[size]))
        size++;
    return size;
}

static uint32_t content_start(const leat_yaml_node *node)
{
    leat_slice text = node->document->text;
    uint32_t offset = node->offset;
    if (node->style == LEAT_YAML_SINGLE || node->style == LEAT_YAML_DOUBLE)
        return offset + 1;
    while (node->style >= LEAT_YAML_LITERAL && offset < node->end && offset < text.size && text.data[offset] != '\n')
        offset++;
    return offset;
}

uint32_t leat_yaml_value_offset(const leat_yaml_node *scalar, uint32_t offset)
{
    leat_slice text = scalar->document->text;
    uint32_t solid = solid_before(scalar->text, offset);
    bool on_white = offset >= scalar->text.size || is_white(scalar->text.data[offset]);
    uint32_t at = content_start(scalar), end = scalar->end < text.size ? scalar->end : (uint32_t)text.size;
    while (at < end) {
        bool is_solid;
        uint32_t size = step_size(scalar, text.data + at, text.data + end, &is_solid);
        if (!solid && (is_solid || on_white))
            break;
        solid -= is_solid;
        at += size;
    }
    return at < end ? at : end;
}
