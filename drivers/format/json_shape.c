// Messages of a source are alike: what stands between their values comes from a small set of texts. These texts are kept as a graph
// and compared; what they mean is known then, and only the values are read.
//
// A node is a value at a place: of a field, or skipped. An edge is the text between two values, which leads from one node to the
// next: it was read the long way once, and since what surrounds a value is a function of its node (skipped members of one object
// are one node, all other skipped values have one each), it leads there always. So any order of members that is made of known neighbours
// goes the short way, and so do members that come and go. A bit for each place of a declared path tells what a row has: a
// place that comes twice sends the row the long way, a place that did not come is NULL.
//
// The graph never changes a result. Not learnt are rows whose meaning depends on their values: the same name twice, a scalar where
// a path expects an object, a place that several columns read. What lies within skipped objects and arrays is learnt too, so
// that it is skipped by comparing, until the graph is full; it is then begun anew without that. Sources that fit no graph rest
// for longer and longer, so that they pay little.
#include <string.h>

#include "drivers/format/json_field.h"

enum { FRUITLESS_MAX = 4, PAUSE_SHIFT_MIN = 4, PAUSE_SHIFT_MAX = 12 };
enum { START_NODES = 2 }; // by depth: a row by itself, a row in an array

static void clear_graph(leat_json_shape *shape)
{
    memset(shape->nodes, 0, sizeof *shape->nodes * START_NODES);
    shape->node_count = START_NODES;
    shape->edge_count = 0;
    shape->word_count = 0;
    shape->valid = false;
    shape->multiline = false;
}

static void number_places(leat_json_shape *shape, leat_json_node *node)
{
    node->bit = (uint8_t)shape->place_count;
    if (shape->place_count == LEAT_JSON_SHAPE_PLACES) {
        shape->unusable = true;
        return;
    }
    shape->place_count++;
    for (uint32_t i = 0; i < node->field_count; i++) {
        shape->bits[node->fields[i]] = node->bit;
        shape->leaves |= UINT64_C(1) << node->bit;
    }
    for (uint32_t i = 0; i < node->member_count && !shape->unusable; i++)
        number_places(shape, node->members[i]);
    for (uint32_t i = 0; i < node->item_count && !shape->unusable; i++)
        number_places(shape, node->items[i]);
}

void leat_json_shape_init(leat_json_format *self, leat_arena *arena, uint32_t field_count)
{
    leat_json_shape *shape = &self->shape;
    shape->nodes = leat_arena_array(arena, leat_json_shape_node, LEAT_JSON_SHAPE_NODES);
    shape->edges = leat_arena_array(arena, leat_json_shape_edge, LEAT_JSON_SHAPE_EDGES);
    shape->text = leat_arena_array(arena, uint64_t, LEAT_JSON_SHAPE_WORDS);
    shape->bits = leat_arena_array(arena, uint8_t, field_count + 1);
    number_places(shape, self->root);
    clear_graph(shape);
}

// ---- the short way

// Whole words, the last one masked. The payload has `room` bytes unless it is padded.
static inline __attribute__((always_inline)) bool
literal_equal(const char *payload, const uint64_t *words, const leat_json_shape_edge *edge, size_t room, bool padded)
{
    uint32_t count = edge->words;
    if (!padded && edge->size > room)
        return false;
    if (count == 0)
        return true;
    for (; count > 1; count--, words++, payload += 8, room -= 8)
        if (leat_load_eight(payload) != *words)
            return false;
    if (padded || room >= 8)
        return ((leat_load_eight(payload) ^ *words) & edge->last) == 0;
    uint64_t rest = 0;
    for (size_t i = 0; i < room; i++)
        rest |= (uint64_t)(unsigned char)payload[i] << (8 * i);
    return ((rest ^ *words) & edge->last) == 0;
}

static void fill_missing(leat_json_format *self, uint64_t seen)
{
    for (uint32_t i = 0; i < self->bound_count; i++)
        if (!(seen >> self->shape.bits[self->bound[i]] & 1))
            leat_column_set_null(&self->batch->columns[self->bound[i]], self->row);
}

static inline __attribute__((always_inline)) const char *skip_slot(leat_json_format *self, const char *p,
                                                                   unsigned depth, bool padded)
{
    leat_json_text text;
    int64_t integer;
    if (padded && *p == '"')
        return leat_json_string_in(&self->scan, p + 1, &text, true);
    const char *end = padded && leat_json_begins_number(*p) ? leat_json_short_integer(p, &integer) : NULL;
    if (end)
        return end;
    if (self->line_open && (*p == '{' || *p == '['))
        leat_json_settle_line(self, p);
    return leat_json_skip_value(&self->scan, p, depth);
}

static inline __attribute__((always_inline)) const char *match(leat_json_format *self, const char *p, unsigned depth,
                                                               bool padded)
{
    const leat_json_shape *shape = &self->shape;
    const leat_json_shape_node *const nodes = shape->nodes, *node = &nodes[depth];
    const leat_json_shape_edge *const edges = shape->edges;
    const uint64_t *const words = shape->text;
    uint64_t seen = 0;
    for (;;) {
        uint32_t at = node->first;
        const leat_json_shape_edge *edge = &edges[at];
        size_t room = (size_t)(self->scan.end - p);
        while (at && !literal_equal(p, words + edge->literal, edge, room, padded)) {
            at = edge->next;
            edge = &edges[at];
        }
        if (!at || seen & edge->places)
            return NULL;
        seen |= edge->places;
        p += edge->size;
        if (!edge->to)
            break;
        node = &nodes[edge->to];
        p = node->field >= 0 ? leat_json_field_inline(self, (uint32_t)node->field, p, node->depth, padded)
                             : skip_slot(self, p, node->depth, padded);
        if (!p)
            return NULL;
    }
    if (shape->leaves & ~seen)
        fill_missing(self, seen);
    return p;
}

const char *leat_json_shape_match(leat_json_format *self, const char *p, unsigned depth)
{
    if (!self->padded)
        return match(self, p, depth, false);
    // A literal may have line ends when its payload was not in lines: equal, it may reach beyond this one's line (not beyond the
    // padding, which is part of no literal).
    p = match(self, p, depth, true);
    return p && p <= self->scan.end ? p : NULL;
}

const char *leat_json_shape_rows(leat_json_format *self, const char *p, const char *end)
{
    leat_batch *batch = self->batch;
    uint32_t *offsets = self->target->row_offsets, capacity = self->target->capacity;
    while (batch->count < capacity && *p == '{') {
        self->serial++;
        self->misfit = false;
        self->row = batch->count;
        self->line_open = true;
        self->scan.end = end;
        const char *after = match(self, p, 0, true);
        if (!after || after > self->scan.end || self->misfit || (*after != '\n' && after != end)) {
            leat_json_clear_row(self);
            return p;
        }
        if (offsets)
            offsets[self->row] = (uint32_t)leat_json_offset(self, p);
        batch->count++;
        p = after + (after != end);
    }
    return p;
}

// ---- learning

static void rest(leat_json_shape *shape)
{
    shape->rests += shape->rests < PAUSE_SHIFT_MAX;
    shape->pause = 1u << (shape->rests < PAUSE_SHIFT_MIN ? PAUSE_SHIFT_MIN : shape->rests);
    shape->valid = false;
    shape->recording = false;
    shape->fruitless = 0;
}

// A graph that is full is of no use to sources that bring ever new texts: the next one keeps to the members of declared objects.
static void overflow(leat_json_shape *shape)
{
    clear_graph(shape);
    if (shape->coarse)
        rest(shape);
    shape->coarse = true;
    shape->recording = false;
}

void leat_json_shape_record(leat_json_shape *shape, const char *row, unsigned depth)
{
    if (shape->unusable)
        return;
    if (shape->pause > 0) {
        shape->pause--;
        return;
    }
    bool learnt = shape->edge_count != shape->edges_before;
    shape->fruitless = learnt ? 0 : shape->fruitless + 1;
    shape->edges_before = shape->edge_count;
    if (shape->fruitless > FRUITLESS_MAX) {
        rest(shape);
        return;
    }
    shape->recording = true;
    shape->cursor = row;
    shape->from = depth;
    shape->opened = 0;
}

static uint64_t word_of(const char *bytes, size_t size) { return leat_json_name_prefix(bytes, size); }

static bool has_literal(const leat_json_shape *shape, const leat_json_shape_edge *edge, const char *text, size_t size)
{
    if (edge->size != size)
        return false;
    for (size_t i = 0; i < size; i += 8)
        if (shape->text[edge->literal + i / 8] != word_of(text + i, size - i))
            return false;
    return true;
}

static leat_json_shape_edge *edge_find(leat_json_shape *shape, const char *text, size_t size)
{
    for (uint32_t at = shape->nodes[shape->from].first; at; at = shape->edges[at].next)
        if (has_literal(shape, &shape->edges[at], text, size))
            return &shape->edges[at];
    return NULL;
}

// Edge 0 is none. NULL: the graph is full.
static leat_json_shape_edge *edge_add(leat_json_shape *shape, const char *text, size_t size)
{
    uint32_t words = (uint32_t)((size + 7) / 8);
    if (shape->edge_count + 1 >= LEAT_JSON_SHAPE_EDGES || size > LEAT_JSON_SHAPE_WORDS * 8 ||
        words > LEAT_JSON_SHAPE_WORDS - shape->word_count)
        return NULL;
    uint16_t index = (uint16_t)++shape->edge_count, *last = &shape->nodes[shape->from].first;
    while (*last)
        last = &shape->edges[*last].next;
    *last = index;
    leat_json_shape_edge *edge = &shape->edges[index];
    *edge = (leat_json_shape_edge){.literal = shape->word_count,
                                   .words = words,
                                   .size = (uint32_t)size,
                                   .last = size % 8 ? (UINT64_C(1) << (8 * (size % 8))) - 1 : UINT64_MAX,
                                   .places = shape->opened};
    for (uint32_t i = 0; i < words; i++)
        shape->text[shape->word_count++] = word_of(text + 8 * (size_t)i, size - 8 * (size_t)i);
    shape->multiline |= memchr(text, '\n', size) != NULL;
    return edge;
}

static uint16_t node_get(leat_json_shape *shape, int32_t field, const leat_json_node *object, unsigned depth)
{
    for (uint32_t i = START_NODES; (field >= 0 || object) && i < shape->node_count; i++)
        if (shape->nodes[i].field == field && shape->nodes[i].object == object)
            return (uint16_t)i;
    if (shape->node_count == LEAT_JSON_SHAPE_NODES)
        return 0;
    shape->nodes[shape->node_count] = (leat_json_shape_node){.object = object, .field = field, .depth = depth};
    return (uint16_t)shape->node_count++;
}

void leat_json_shape_value(leat_json_shape *shape, const char *begin, int32_t field, const leat_json_node *object,
                           unsigned depth)
{
    size_t size = (size_t)(begin - shape->cursor);
    leat_json_shape_edge *edge = edge_find(shape, shape->cursor, size);
    if (!edge) {
        edge = edge_add(shape, shape->cursor, size);
        uint16_t to = edge ? node_get(shape, field, field >= 0 ? NULL : object, depth) : 0;
        if (!to) {
            overflow(shape);
            return;
        }
        edge->to = to;
    }
    LEAT_ASSERT(edge->to && shape->nodes[edge->to].field == field);
    shape->from = edge->to;
    shape->opened = 0;
}

// The scalars of a checked object or array that is skipped.
void leat_json_shape_inner(leat_json_format *self, const char *p, const char *end, unsigned depth)
{
    leat_json_shape *shape = &self->shape;
    while (p < end && shape->recording) {
        const char *after;
        if (*p == '"') {
            leat_json_text text;
            after = leat_json_string(&self->scan, p + 1, &text);
            const char *next = leat_json_blank(&self->scan, after);
            if (leat_json_peek(&self->scan, next) == ':') {
                p = next + 1;
                continue;
            }
        } else if (leat_json_begins_number(*p) || (*p >= 'a' && *p <= 'z')) {
            after = leat_json_skip_value(&self->scan, p, depth);
        } else {
            p++;
            continue;
        }
        leat_json_shape_value(shape, p, -1, NULL, depth);
        shape->cursor = p = after;
    }
}

void leat_json_shape_finish(leat_json_format *self, const char *end)
{
    leat_json_shape *shape = &self->shape;
    size_t size = (size_t)(end - shape->cursor);
    shape->recording = false;
    if (!edge_find(shape, shape->cursor, size) && !edge_add(shape, shape->cursor, size)) {
        overflow(shape);
        return;
    }
    shape->valid = true;
}
