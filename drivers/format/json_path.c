#include <string.h>

#include "drivers/format/json.h"

enum { MEMBERS_SEARCHED = 12, TABLE_SIZE = 1024 };
_Static_assert(TABLE_SIZE >= 2 * LEAT_COLUMNS_MAX, "the table stays half empty");

uint64_t leat_json_name_prefix(const char *name, size_t size)
{
    uint64_t prefix = 0;
    for (size_t i = 0; i < 8 && i < size; i++)
        prefix |= (uint64_t)(unsigned char)name[i] << (8 * i);
    return prefix;
}

static uint32_t name_hash(leat_slice name)
{
    size_t tail = name.size > 8 ? name.size - 8 : 0;
    uint64_t hash = leat_json_name_prefix(name.data, name.size) * 0x9E3779B97F4A7C15 ^ name.size;
    hash ^= leat_json_name_prefix(name.data + tail, name.size - tail) * 0xC2B2AE3D27D4EB4F;
    return (uint32_t)(hash >> 40);
}

leat_json_node *leat_json_member_find(const leat_json_node *node, leat_slice name)
{
    return leat_json_member_find_prefix(node, name, leat_json_name_prefix(name.data, name.size));
}

leat_json_node *leat_json_member_find_prefix(const leat_json_node *node, leat_slice name, uint64_t prefix)
{
    if (node->table) {
        for (uint32_t slot = name_hash(name) & node->table_mask; node->table[slot];
             slot = (slot + 1) & node->table_mask) {
            leat_json_node *member = node->members[node->table[slot] - 1];
            if (leat_slice_equal(member->name, name))
                return member;
        }
        return NULL;
    }
    for (uint32_t i = 0; i < node->member_count; i++) {
        leat_json_node *member = node->members[i];
        if (member->prefix == prefix && member->name.size == name.size &&
            (name.size <= 8 || memcmp(member->name.data, name.data, name.size) == 0))
            return member;
    }
    return NULL;
}

static void index_members(leat_json_node *node, leat_arena *arena)
{
    if (node->member_count > MEMBERS_SEARCHED) {
        node->table_mask = TABLE_SIZE - 1;
        node->table = leat_arena_array(arena, uint16_t, TABLE_SIZE);
        for (uint32_t i = 0; i < node->member_count; i++) {
            uint32_t slot = name_hash(node->members[i]->name) & node->table_mask;
            while (node->table[slot])
                slot = (slot + 1) & node->table_mask;
            node->table[slot] = (uint16_t)(i + 1);
        }
    }
    for (uint32_t i = 0; i < node->member_count; i++)
        index_members(node->members[i], arena);
    for (uint32_t i = 0; i < node->item_count; i++)
        index_members(node->items[i], arena);
}

static leat_json_node *member_of(leat_json_node *node, leat_slice name, uint32_t field_count, leat_arena *arena)
{
    for (uint32_t i = 0; i < node->member_count; i++)
        if (leat_slice_equal(node->members[i]->name, name))
            return node->members[i];
    if (!node->members)
        node->members = leat_arena_array(arena, leat_json_node *, field_count);
    leat_json_node *member = leat_arena_new(arena, leat_json_node);
    member->name = name;
    member->prefix = leat_json_name_prefix(name.data, name.size);
    member->order = node->member_count;
    return node->members[node->member_count++] = member;
}

static leat_json_node *item_of(leat_json_node *node, uint32_t index, uint32_t field_count, leat_arena *arena)
{
    uint32_t at = 0;
    while (at < node->item_count && node->items[at]->index < index)
        at++;
    if (at < node->item_count && node->items[at]->index == index)
        return node->items[at];
    if (!node->items)
        node->items = leat_arena_array(arena, leat_json_node *, field_count);
    memmove(&node->items[at + 1], &node->items[at], (node->item_count - at) * sizeof *node->items);
    leat_json_node *item = leat_arena_new(arena, leat_json_node);
    item->index = index;
    node->item_count++;
    return node->items[at] = item;
}

// One step of a path: `name`, `.name`, `[3]` or `["any name"]`. NULL: the text is no path.
static const char *path_step(leat_json_node **node, const char *p, bool first, uint32_t field_count, leat_arena *arena)
{
    if (*p == '[' && p[1] == '"') {
        const char *name = p + 2, *quote = strstr(name, "\"]");
        if (!quote)
            return NULL;
        *node = member_of(*node, leat_slice_of(name, (size_t)(quote - name)), field_count, arena);
        return quote + 2;
    }
    if (*p == '[') {
        uint32_t index = 0;
        const char *digits = ++p;
        for (; *p >= '0' && *p <= '9' && p - digits < 6; p++)
            index = index * 10 + (uint32_t)(*p - '0');
        if (p == digits || *p != ']')
            return NULL;
        *node = item_of(*node, index, field_count, arena);
        return p + 1;
    }
    if (!first && *p++ != '.')
        return NULL;
    size_t size = strcspn(p, ".[");
    if (size == 0)
        return NULL;
    *node = member_of(*node, leat_slice_of(p, size), field_count, arena);
    return p + size;
}

static leat_code bind_path(leat_json_format *self, uint32_t index, leat_error *out_error)
{
    const leat_format_setup *setup = self->format.setup;
    const leat_source_field *field = &setup->fields[index];
    leat_json_node *node = self->root;
    if (!field->path) {
        node = member_of(node, field->name, setup->field_count, setup->arena);
    } else if (strcmp(field->path, "$") != 0) {
        unsigned depth = 0;
        for (const char *p = field->path; *p || p == field->path; depth++) {
            p = path_step(&node, p, p == field->path, setup->field_count, setup->arena);
            if (!p || depth >= LEAT_JSON_DEPTH)
                return leat_error_set(out_error, LEAT_E_INVALID,
                                      "column '%.*s': '%s' is not a path; expected names and indexes as in a.b[0]",
                                      (int)field->name.size, field->name.data, field->path);
        }
    }
    if (!node->fields)
        node->fields = leat_arena_array(setup->arena, uint32_t, setup->field_count);
    node->fields[node->field_count++] = index;
    self->bound[self->bound_count++] = index;
    return LEAT_OK;
}

leat_code leat_json_paths_build(leat_json_format *self, leat_error *out_error)
{
    const leat_format_setup *setup = self->format.setup;
    uint32_t part;
    self->root = leat_arena_new(setup->arena, leat_json_node);
    self->bound = leat_arena_array(setup->arena, uint32_t, setup->field_count);
    for (uint32_t i = 0; i < setup->field_count; i++) {
        leat_code code = leat_topic_path(&setup->fields[i], &part) ? LEAT_OK : bind_path(self, i, out_error);
        if (code != LEAT_OK)
            return code;
    }
    index_members(self->root, setup->arena);
    self->whole_value = self->root->field_count > 0 || self->root->item_count > 0;
    return LEAT_OK;
}
