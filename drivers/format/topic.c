#include "drivers/format/topic.h"

#include <string.h>

leat_slice leat_topic_part(leat_slice topic, uint32_t index)
{
    const char *begin = topic.data, *end = topic.data + topic.size;
    for (;;) {
        const char *slash = begin < end ? memchr(begin, '/', (size_t)(end - begin)) : NULL;
        const char *stop = slash ? slash : end;
        if (index-- == 0)
            return leat_slice_of(begin, (size_t)(stop - begin));
        if (!slash)
            return leat_slice_of("", 0);
        begin = slash + 1;
    }
}

bool leat_topic_path(const leat_source_field *field, uint32_t *out_part)
{
    static const char prefix[] = "topic[";
    const char *path = field->path;
    if (!path || strncmp(path, prefix, sizeof prefix - 1) != 0)
        return false;
    uint32_t part = 0;
    const char *p = path + sizeof prefix - 1, *digits = p;
    for (; *p >= '0' && *p <= '9' && p - digits < 6; p++)
        part = part * 10 + (uint32_t)(*p - '0');
    if (p == digits || p[0] != ']' || p[1] != 0)
        return false;
    *out_part = part;
    return true;
}

void leat_topic_columns_init(leat_topic_columns *columns, const leat_format_setup *setup)
{
    uint32_t part;
    columns->items = leat_arena_alloc_aligned(setup->arena, setup->field_count * sizeof *columns->items,
                                              _Alignof(leat_topic_column));
    columns->count = 0;
    for (uint32_t i = 0; i < setup->field_count; i++)
        if (leat_topic_path(&setup->fields[i], &part))
            columns->items[columns->count++] = (leat_topic_column){.field = i, .part = part};
}

void leat_topic_columns_load(leat_topic_columns *columns, const leat_source_field *fields, leat_slice topic,
                             leat_arena *batch_arena)
{
    for (uint32_t i = 0; i < columns->count; i++) {
        leat_topic_column *column = &columns->items[i];
        leat_slice part = leat_topic_part(topic, column->part);
        column->misfit = NULL;
        column->text = part;
        column->value = leat_value_null();
        if (!part.size)
            continue;
        column->text = leat_slice_of(leat_arena_copy(batch_arena, part.data, part.size), part.size);
        column->misfit = leat_text_to_value(&fields[column->field], column->text, batch_arena, &column->value);
    }
}

const leat_topic_column *leat_topic_columns_fill(const leat_topic_columns *columns, leat_batch *batch, uint32_t row)
{
    for (uint32_t i = 0; i < columns->count; i++) {
        const leat_topic_column *column = &columns->items[i];
        if (column->misfit)
            return column;
        leat_column_put(&batch->columns[column->field], row, &column->value);
    }
    return NULL;
}
