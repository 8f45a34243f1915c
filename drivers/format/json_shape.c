// Most messages of a source differ in their values only. The text between the values of the last row that was read the long
// way is kept and compared; what it means is known then, and only the values are read.
//
// A shape never changes a result: a row that has it gives what the long way gives, any other goes the long way. Not recorded
// are rows whose meaning depends on their values: the same name twice, a scalar where a path expects an object, a place that several
// columns read. After misses in a row the shape rests for a while, so that sources without one pay little.
#include <string.h>

#include "drivers/format/json_field.h"

enum { MISSES_MAX = 4, PAUSE_SHIFT_MAX = 12 };

void leat_json_shape_init(leat_json_shape *shape, leat_arena *arena, uint32_t field_count)
{
    shape->text = leat_arena_calloc(arena, LEAT_JSON_SHAPE_BYTES + 8);
    shape->missing = leat_arena_array(arena, uint32_t, field_count);
}

// Eight bytes at a time: the shape is padded, and the payload has `room` unless it is padded as well.
static inline bool literal_equal(const char *payload, const char *literal, size_t size, size_t room, bool padded)
{
    if (!padded && size > room)
        return false;
    for (; size >= 8; size -= 8, room -= 8, payload += 8, literal += 8)
        if (leat_load_eight(payload) != leat_load_eight(literal))
            return false;
    if (size == 0)
        return true;
    if (padded || room >= 8)
        return (leat_load_eight(payload) ^ leat_load_eight(literal)) << (64 - 8 * size) == 0;
    while (size > 0 && payload[size - 1] == literal[size - 1])
        size--;
    return size == 0;
}

static inline __attribute__((always_inline)) const char *match(leat_json_format *self, const char *p, bool padded)
{
    const leat_json_shape *shape = &self->shape;
    const char *end = self->scan.end;
    for (uint32_t i = 0; i < shape->slot_count; i++) {
        const leat_json_slot *slot = &shape->slots[i];
        if (!literal_equal(p, shape->text + slot->literal, slot->size, (size_t)(end - p), padded))
            return NULL;
        p += slot->size;
        p = slot->field >= 0 ? leat_json_field_inline(self, (uint32_t)slot->field, p, slot->depth, padded)
                             : leat_json_skip_value(&self->scan, p, slot->depth);
        if (!p)
            return NULL;
    }
    if (!literal_equal(p, shape->text + shape->tail, shape->tail_size, (size_t)(end - p), padded))
        return NULL;
    for (uint32_t i = 0; i < shape->missing_count; i++)
        leat_column_set_null(&self->batch->columns[shape->missing[i]], self->row);
    return p + shape->tail_size;
}

const char *leat_json_shape_match(leat_json_format *self, const char *p)
{
    if (!self->padded)
        return match(self, p, false);
    // A literal may have line ends when its payload was not in lines: equal, it may reach beyond this one's line (not beyond the
    // padding, which is part of no literal).
    p = match(self, p, true);
    return p && p <= self->scan.end ? p : NULL;
}

void leat_json_shape_missed(leat_json_shape *shape)
{
    shape->misses++;
    shape->valid = false;
    if (shape->misses >= MISSES_MAX) {
        uint32_t shift = shape->misses < PAUSE_SHIFT_MAX ? shape->misses : PAUSE_SHIFT_MAX;
        shape->pause = 1u << shift;
    }
}

void leat_json_shape_record(leat_json_shape *shape, const char *row, unsigned depth)
{
    if (shape->pause > 0) {
        shape->pause--;
        return;
    }
    shape->valid = false; // its text is about to be overwritten
    shape->recording = true;
    shape->depth = depth;
    shape->cursor = row;
    shape->slot_count = 0;
    shape->text_size = 0;
}

// Takes the text from the end of the last value to here.
static bool take_literal(leat_json_shape *shape, const char *end, uint32_t *out_literal, uint32_t *out_size)
{
    size_t size = (size_t)(end - shape->cursor);
    if (size > LEAT_JSON_SHAPE_BYTES - shape->text_size)
        return false;
    memcpy(shape->text + shape->text_size, shape->cursor, size);
    *out_literal = shape->text_size;
    *out_size = (uint32_t)size;
    shape->text_size += (uint32_t)size;
    return true;
}

// The caller sets shape->cursor to the value's end.
void leat_json_shape_value(leat_json_shape *shape, const char *begin, int32_t field, unsigned depth)
{
    leat_json_slot *slot = &shape->slots[shape->slot_count];
    if (shape->slot_count == LEAT_JSON_SHAPE_SLOTS || !take_literal(shape, begin, &slot->literal, &slot->size)) {
        shape->recording = false;
        return;
    }
    slot->field = field;
    slot->depth = depth;
    shape->slot_count++;
}

void leat_json_shape_finish(leat_json_format *self, const char *end)
{
    leat_json_shape *shape = &self->shape;
    shape->recording = false;
    if (!take_literal(shape, end, &shape->tail, &shape->tail_size))
        return;
    shape->missing_count = 0;
    for (uint32_t i = 0; i < self->bound_count; i++)
        if (self->seen[self->bound[i]] != self->serial)
            shape->missing[shape->missing_count++] = self->bound[i];
    shape->valid = true;
}
