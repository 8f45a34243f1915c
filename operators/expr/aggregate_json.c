// JSON_OBJECTAGG and JSON_ARRAYAGG: values are JSON when they arrive (the binder saw to it), the bag holds them in order.
#include <string.h>

#include "operators/expr/aggregate_function.h"
#include "operators/expr/json.h"

static leat_slice next_text(leat_reader *reader)
{
    leat_value value = leat_value_null();
    LEAT_ASSERT(leat_value_decode(leat_type_of(LEAT_KIND_STRING), reader, NULL, &value));
    return value.is_null ? leat_slice_text("null") : value.text;
}

static void write_array(const leat_bag *bag, leat_writer *out)
{
    bool any = false;
    leat_reader reader;
    leat_write_u8(out, '[');
    for (uint32_t i = 0; i < bag->entry_count; i++) {
        leat_slice bytes = leat_bag_value(bag, i);
        if (bag->entries[i].count <= 0)
            continue;
        if (any)
            leat_write_u8(out, ',');
        any = true;
        leat_reader_init(&reader, bytes.data, bytes.size);
        leat_slice text = next_text(&reader);
        leat_write_bytes(out, text.data, text.size);
    }
    leat_write_u8(out, ']');
}

static void write_object(const leat_bag *bag, leat_arena *arena, leat_writer *out)
{
    leat_json_field *fields = leat_arena_alloc_aligned(arena, sizeof *fields * (bag->live + 1), 16);
    uint32_t count = 0;
    leat_reader reader;
    for (uint32_t i = 0; i < bag->entry_count; i++) {
        leat_slice bytes = leat_bag_value(bag, i);
        if (bag->entries[i].count <= 0)
            continue;
        leat_reader_init(&reader, bytes.data, bytes.size);
        leat_slice name = next_text(&reader);
        fields[count] = (leat_json_field){.name = name, .item = next_text(&reader), .index = count};
        count++;
    }
    leat_json_write_fields(fields, count, arena, out);
}

void leat_json_bag_result(const leat_slot *slot, const leat_bag *bag, leat_arena *arena, leat_value *out)
{
    leat_writer writer;
    leat_writer_init(&writer, arena->env, LEAT_STRING_BYTES_MAX);
    if (slot->aggregate->function->kind == LEAT_AGGREGATE_JSON_OBJECTAGG)
        write_object(bag, arena, &writer);
    else
        write_array(bag, &writer);
    // A text that is longer than any may be is NULL, as a DECIMAL that does not fit is.
    *out = (leat_value){.is_null = writer.failed};
    if (!writer.failed)
        out->text = leat_slice_of(leat_arena_copy(arena, (const char *)writer.bytes, writer.size), writer.size);
    leat_writer_fini(&writer);
}
