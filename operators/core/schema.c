#include "operators/core/schema.h"

int leat_schema_find(const leat_schema *schema, leat_slice name)
{
    for (uint32_t i = 0; i < schema->count; i++)
        if (leat_slice_equal(schema->fields[i].name, name))
            return (int)i;
    return -1;
}

static char fold(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

static bool equal_nocase(leat_slice a, leat_slice b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (fold(a.data[i]) != fold(b.data[i]))
            return false;
    return true;
}

int leat_schema_find_nocase(const leat_schema *schema, leat_slice name)
{
    for (uint32_t i = 0; i < schema->count; i++)
        if (equal_nocase(schema->fields[i].name, name))
            return (int)i;
    return -1;
}
