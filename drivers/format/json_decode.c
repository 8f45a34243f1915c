#include <stdio.h>
#include <string.h>

#include "drivers/format/json_field.h"

// ---- the long way: a document against the tree of paths

static const char *read_node(leat_json_format *self, leat_json_node *node, const char *p, unsigned depth);

// The same name again: what it gave before is forgotten.
static void forget_node(leat_json_format *self, leat_json_node *node)
{
    if (node->met != self->serial)
        return;
    node->met = 0;
    for (uint32_t i = 0; i < node->field_count; i++) {
        uint32_t field = node->fields[i];
        if (self->seen[field] == self->serial)
            self->seen_count--;
        self->seen[field] = 0;
        self->misfits[field].serial = 0;
        self->batch->columns[field].nulls[self->row] = 0;
    }
    for (uint32_t i = 0; i < node->member_count; i++)
        forget_node(self, node->members[i]);
    for (uint32_t i = 0; i < node->item_count; i++)
        forget_node(self, node->items[i]);
}

// The value of a member (of object) or item (object is NULL) that no path leads to.
static const char *skip_value(leat_json_format *self, const leat_json_node *object, const char *p, unsigned depth)
{
    leat_json_shape *shape = &self->shape;
    const char *end = leat_json_skip_value(&self->scan, p, depth);
    if (!end || !shape->recording)
        return end;
    if (!shape->coarse && (*p == '{' || *p == '[')) {
        leat_json_shape_inner(self, p, end, depth);
        return end;
    }
    leat_json_shape_value(shape, p, -1, object, depth);
    shape->cursor = end;
    return end;
}

// The member of that name. expected: the one that would come next if the order were that of the fields.
static inline leat_json_node *find_member(const leat_json_scan *scan, const leat_json_node *node, leat_slice name,
                                          uint32_t expected)
{
    uint64_t prefix;
    if (scan->end - name.data < 8)
        prefix = leat_json_name_prefix(name.data, name.size);
    else
        prefix = leat_load_eight(name.data) & (name.size < 8 ? (1ULL << (8 * name.size)) - 1 : UINT64_MAX);
    if (expected < node->member_count) {
        leat_json_node *member = node->members[expected];
        if (member->prefix == prefix && member->name.size == name.size &&
            (name.size <= 8 || memcmp(member->name.data, name.data, name.size) == 0))
            return member;
    }
    return leat_json_member_find_prefix(node, name, prefix);
}

// The member's name from p, which is at its opening quote, up to its value.
static inline const char *read_name(leat_json_format *self, const leat_json_node *node, const char *p,
                                    uint32_t *expected, leat_json_node **out_member)
{
    leat_json_scan *scan = &self->scan;
    leat_json_text key;
    p = leat_json_string(scan, p + 1, &key);
    if (!p)
        return NULL;
    if (key.escaped) {
        char *copy = leat_arena_alloc_aligned(&self->batch->arena, key.size, 1);
        *out_member = leat_json_member_find(node, leat_slice_of(copy, leat_json_unescape(key, copy)));
    } else {
        *out_member = find_member(scan, node, leat_slice_of(key.data, key.size), *expected);
    }
    if (*out_member)
        *expected = (*out_member)->order + 1;
    p = leat_json_blank(scan, p);
    if (leat_json_peek(scan, p) != ':')
        return leat_json_fail(scan, p, "':'");
    return leat_json_blank(scan, p + 1);
}

static const char *read_object(leat_json_format *self, const leat_json_node *node, const char *p, unsigned depth)
{
    leat_json_scan *scan = &self->scan;
    uint32_t expected = 0;
    p = leat_json_blank(scan, p + 1);
    if (leat_json_peek(scan, p) == '}')
        return p + 1;
    for (;;) {
        leat_json_node *member;
        if (leat_json_peek(scan, p) != '"')
            return leat_json_fail(scan, p, "a member's name in quotes");
        p = read_name(self, node, p, &expected, &member);
        if (!p)
            return NULL;
        p = member ? read_node(self, member, p, depth) : skip_value(self, node, p, depth);
        if (!p)
            return NULL;
        p = leat_json_blank(scan, p);
        if (leat_json_peek(scan, p) == '}')
            return p + 1;
        if (leat_json_peek(scan, p) != ',')
            return leat_json_fail(scan, p, "',' or '}'");
        p = leat_json_blank(scan, p + 1);
    }
}

static const char *read_array(leat_json_format *self, const leat_json_node *node, const char *p, unsigned depth)
{
    leat_json_scan *scan = &self->scan;
    uint32_t next = 0;
    p = leat_json_blank(scan, p + 1);
    if (leat_json_peek(scan, p) == ']')
        return p + 1;
    for (uint32_t index = 0;; index++) {
        bool wanted = next < node->item_count && node->items[next]->index == index;
        p = wanted ? read_node(self, node->items[next++], p, depth) : skip_value(self, NULL, p, depth);
        if (!p)
            return NULL;
        p = leat_json_blank(scan, p);
        if (leat_json_peek(scan, p) == ']')
            return p + 1;
        if (leat_json_peek(scan, p) != ',')
            return leat_json_fail(scan, p, "',' or ']'");
        p = leat_json_blank(scan, p + 1);
    }
}

static const char *read_below(leat_json_format *self, leat_json_node *node, const char *p, unsigned depth)
{
    char c = leat_json_peek(&self->scan, p);
    if (!(c == '{' && node->member_count) && !(c == '[' && node->item_count)) {
        self->shape.recording = false; // the next value here may be of the kind that the path expects
        return leat_json_skip_value(&self->scan, p, depth);
    }
    if (depth >= LEAT_JSON_DEPTH) {
        self->scan.too_deep = true;
        return leat_json_fail(&self->scan, p, "no deeper nesting");
    }
    return c == '{' ? read_object(self, node, p, depth + 1) : read_array(self, node, p, depth + 1);
}

// depth: how many objects and arrays are open around the value.
static const char *read_node(leat_json_format *self, leat_json_node *node, const char *p, unsigned depth)
{
    bool inner = node->member_count || node->item_count;
    if (node->met == self->serial) {
        forget_node(self, node);
        self->shape.recording = false;
    }
    node->met = self->serial;
    self->shape.opened |= UINT64_C(1) << (node->bit & 63);
    if (node->field_count == 0)
        return read_below(self, node, p, depth);
    if (node->field_count > 1 || inner)
        self->shape.recording = false;
    if (self->shape.recording)
        leat_json_shape_value(&self->shape, p, (int32_t)node->fields[0], NULL, depth);
    const char *end = NULL;
    for (uint32_t i = 0; i < node->field_count; i++) {
        self->seen[node->fields[i]] = self->serial;
        self->seen_count++;
        end = leat_json_field_inline(self, node->fields[i], p, depth, false);
        if (!end)
            return NULL;
    }
    if (inner)
        end = read_below(self, node, p, depth);
    self->shape.cursor = end;
    return end;
}

static const char *read_row_long(leat_json_format *self, const char *p, unsigned depth)
{
    self->seen_count = 0;
    leat_json_shape_record(&self->shape, p, depth);
    const char *end = read_node(self, self->root, p, depth);
    if (!end) {
        self->shape.recording = false;
        return NULL;
    }
    if (self->seen_count < self->bound_count)
        for (uint32_t i = 0; i < self->bound_count; i++)
            if (self->seen[self->bound[i]] != self->serial)
                leat_column_set_null(&self->batch->columns[self->bound[i]], self->row);
    if (self->shape.recording)
        leat_json_shape_finish(self, end);
    return end;
}

// The row at p into the next row of the batch, which does not count yet. NULL: a fault of syntax.
static const char *read_row(leat_json_format *self, const char *p, unsigned depth)
{
    self->serial++;
    self->misfit = false;
    self->row = self->batch->count;
    if (self->shape.valid) {
        const char *end = leat_json_shape_match(self, p, depth);
        if (end)
            return end;
        leat_json_settle_line(self, p);
        self->scan.fault = NULL;
        self->scan.too_deep = false;
        leat_json_clear_row(self);
    }
    return read_row_long(self, p, depth);
}

// ---- rows and rejections

static void reject(leat_json_format *self, leat_drop_cause cause, const char *begin, const char *end,
                   const char *column, const char *reason)
{
    self->target->reject(self->target, cause, leat_slice_of(begin, (size_t)(end - begin)),
                         (uint32_t)leat_json_offset(self, begin), column, reason);
}

static const char *column_name(leat_json_format *self, uint32_t field, char out_name[LEAT_NAME_SIZE])
{
    leat_slice name = self->format.setup->fields[field].name;
    snprintf(out_name, LEAT_NAME_SIZE, "%.*s", (int)name.size, name.data);
    return out_name;
}

static void reject_misfit(leat_json_format *self, const char *begin, const char *end)
{
    const leat_source_field *fields = self->format.setup->fields;
    char name[LEAT_NAME_SIZE];
    for (uint32_t i = 0; i < self->format.setup->field_count; i++) {
        const leat_json_misfit *misfit = &self->misfits[i];
        if (misfit->serial != self->serial)
            continue;
        leat_misfit_print(self->reason, fields[i].type, misfit->found, misfit->reason);
        reject(self, LEAT_DROP_MISFIT, begin, end, column_name(self, i, name), self->reason);
        leat_json_clear_row(self);
        return;
    }
}

static bool any_misfit(const leat_json_format *self)
{
    for (uint32_t i = 0; self->misfit && i < self->format.setup->field_count; i++)
        if (self->misfits[i].serial == self->serial)
            return true;
    return false;
}

static void finish_row(leat_json_format *self, const char *begin, const char *end)
{
    leat_batch *batch = self->batch;
    if (self->topics.count && !any_misfit(self)) {
        const leat_topic_column *topic = leat_topic_columns_fill(&self->topics, batch, self->row);
        if (topic)
            leat_json_note_misfit(self, topic->field, topic->text.data, topic->text.data + topic->text.size,
                                  topic->misfit);
    }
    if (self->misfit && any_misfit(self)) {
        reject_misfit(self, begin, end);
        return;
    }
    if (self->target->row_offsets)
        self->target->row_offsets[self->row] = (uint32_t)leat_json_offset(self, begin);
    batch->count++;
}

static void reject_syntax(leat_json_format *self, const char *begin, const char *end)
{
    const leat_json_scan *scan = &self->scan;
    size_t byte = (size_t)(scan->fault - begin);
    if (scan->fault >= scan->end)
        snprintf(self->reason, sizeof self->reason, "byte %zu: expected %s, found the end", byte, scan->expected);
    else if ((unsigned char)*scan->fault > ' ' && (unsigned char)*scan->fault < 0x7F)
        snprintf(self->reason, sizeof self->reason, "byte %zu: expected %s, found '%c'", byte, scan->expected,
                 *scan->fault);
    else
        snprintf(self->reason, sizeof self->reason, "byte %zu: expected %s, found 0x%02X", byte, scan->expected,
                 (unsigned char)*scan->fault);
    reject(self, scan->too_deep ? LEAT_DROP_TOO_LARGE : LEAT_DROP_UNDECODABLE, begin, end, NULL, self->reason);
    self->row = self->batch->count;
    leat_json_clear_row(self);
}

// Where reading goes on after a fault in the value at begin: at the next line, unless the value itself spans lines.
static const char *resume_after(const leat_json_format *self, const char *begin)
{
    const char *fault = self->scan.fault, *end = self->part_end;
    if (self->scan.end < end)
        return self->scan.end; // lines: the one with the fault is over
    if (memchr(begin, '\n', (size_t)(fault - begin)))
        return end;
    const char *line_end = fault < end ? memchr(fault, '\n', (size_t)(end - fault)) : NULL;
    return line_end ? line_end : end;
}

// ---- the top level

// Behind a value only blanks may stand in its line.
static const char *line_rest(leat_json_format *self, const char *p)
{
    leat_json_scan *scan = &self->scan;
    while (p < scan->end && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p == scan->end || *p == '\n' ? p : leat_json_fail(scan, p, "the end of the line");
}

static const char *top_row(leat_json_format *self, const char *p)
{
    const char *end = read_row(self, p, 0);
    const char *rest = end ? line_rest(self, end) : NULL;
    if (rest) {
        finish_row(self, p, end);
        return rest;
    }
    leat_json_settle_line(self, p);
    rest = resume_after(self, p);
    reject_syntax(self, p, rest);
    return rest;
}

static const char *reject_rest(leat_json_format *self, const char *begin)
{
    reject_syntax(self, begin, self->scan.end);
    return self->scan.end;
}

// The rows of an array from p on, which is at its '[' or, when a full batch had cut it, at a ','. Stops at a ',' (or the '[')
// when the batch is full, so that the place says by itself that an array is open.
static const char *top_array(leat_json_format *self, const char *p, bool *out_full)
{
    leat_json_scan *scan = &self->scan;
    const char *item = leat_json_blank(scan, p + 1);
    if (*p == '[' && leat_json_peek(scan, item) == ']')
        p = item;
    while (*p != ']') {
        bool is_object = leat_json_peek(scan, item) == '{';
        if (is_object && self->batch->count >= self->target->capacity) {
            *out_full = true;
            return p;
        }
        const char *end = is_object ? read_row(self, item, 1) : leat_json_skip_value(scan, item, 1);
        p = end ? leat_json_blank(scan, end) : NULL;
        if (p && leat_json_peek(scan, p) != ',' && leat_json_peek(scan, p) != ']')
            p = leat_json_fail(scan, p, "',' or ']'");
        if (!p)
            return reject_rest(self, item);
        if (is_object)
            finish_row(self, item, end);
        else
            reject(self, LEAT_DROP_MISFIT, item, end, NULL, "expected an object, as each item of the array is a row");
        item = leat_json_blank(scan, p + 1);
    }
    const char *rest = line_rest(self, p + 1);
    return rest ? rest : reject_rest(self, p);
}

static const char *top_other(leat_json_format *self, const char *p)
{
    const char *end = leat_json_skip_value(&self->scan, p, 0);
    const char *rest = end ? line_rest(self, end) : NULL;
    if (!rest) {
        rest = resume_after(self, p);
        reject_syntax(self, p, rest);
        return rest;
    }
    reject(self, LEAT_DROP_UNDECODABLE, p, end, NULL, "byte 0: expected an object or an array of objects");
    return rest;
}

static const char *top_value(leat_json_format *self, const char *p, bool *out_full)
{
    bool full = self->batch->count >= self->target->capacity;
    if (*p == '{' || self->whole_value) {
        *out_full = full;
        return full ? p : top_row(self, p);
    }
    return *p == '[' ? top_array(self, p, out_full) : top_other(self, p);
}

// ---- the call

// Texts that refer to the payload move to a copy of the part that was read: one copy for all of them.
static void keep_texts(leat_json_format *self, uint32_t first_row, const char *begin, const char *end)
{
    leat_batch *batch = self->batch;
    const char *copy = leat_arena_copy(&batch->arena, begin, (size_t)(end - begin));
    for (uint32_t i = 0; i < self->bound_count; i++) {
        leat_column *column = &batch->columns[self->bound[i]];
        if (self->plans[self->bound[i]].action != LEAT_JSON_TEXT)
            continue;
        for (uint32_t row = first_row; row < batch->count; row++) {
            const char *text = column->text[row].data;
            if ((uintptr_t)text >= (uintptr_t)begin && (uintptr_t)text < (uintptr_t)end)
                column->text[row].data = copy + (text - begin);
        }
    }
}

// So much of a payload in lines is copied before it is read, and a line that is longer: its texts then need no second look. A
// single message is read in place instead: it would be loaded before its copy has left the store buffer (20 % slower, measured).
enum { COPY_SIZE = 8192 };

// Only whole lines, as a row is read from one part.
static size_t copy_size(const char *rest, size_t size)
{
    if (size <= COPY_SIZE)
        return size;
    const char *newline = memrchr(rest, '\n', COPY_SIZE);
    if (!newline)
        newline = memchr(rest + COPY_SIZE, '\n', size - COPY_SIZE);
    return newline ? (size_t)(newline - rest) + 1 : size;
}

static void begin_part(leat_json_format *self, size_t offset)
{
    const char *rest = self->raw->payload.data + offset;
    size_t size = self->raw->payload.size - offset;
    self->padded = self->raw->flags & LEAT_RAW_LINES;
    if (self->padded) {
        size = copy_size(rest, size);
        char *copy = leat_arena_alloc_aligned(&self->batch->arena, size + LEAT_JSON_PADDING, 1);
        memcpy(copy, rest, size);
        memset(copy + size, 0, LEAT_JSON_PADDING);
        rest = copy;
    }
    self->part = rest;
    self->part_end = rest + size;
    self->part_offset = offset;
    self->sliced = false;
}

// end: how far it was read.
static void end_part(leat_json_format *self, uint32_t first_row, const char *end)
{
    leat_arena *arena = &self->batch->arena;
    if (!self->padded && self->sliced && self->batch->count > first_row)
        keep_texts(self, first_row, self->part, end);
    // A copy that no text refers to is given back, unless something else was allocated behind it.
    if (self->padded && !self->sliced && (const char *)arena->cursor == self->part_end + LEAT_JSON_PADDING)
        arena->cursor = (uint8_t *)self->part;
}

static const char *skip_byte_order_mark(const leat_json_format *self, const char *p)
{
    bool beginning = !(self->raw->flags & LEAT_RAW_BLOCK) || (self->raw->flags & LEAT_RAW_HEAD);
    bool marked = self->part_offset == 0 && self->part_end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0;
    return beginning && marked ? p + 3 : p;
}

// Reads the part up to its end or until the batch is full. first: the call begins here, maybe within an array.
static const char *decode_part(leat_json_format *self, bool first, bool *out_full)
{
    const char *begin = self->part, *end = self->part_end, *p = skip_byte_order_mark(self, begin);
    while (!*out_full) {
        if (self->padded && self->shape.valid && !self->shape.multiline && !self->topics.count)
            p = leat_json_shape_rows(self, p, end);
        if (p < end && (unsigned char)*p <= ' ')
            p = leat_json_blank_slow(p, end);
        if (p >= end)
            return end;
        self->line_open = self->padded && self->shape.valid && !self->shape.multiline && *p == '{';
        self->scan = (leat_json_scan){.end = self->line_open ? end : leat_json_line_end(self, p)};
        bool in_array = *p == ',' && p == begin && first && self->part_offset > 0;
        p = in_array ? top_array(self, p, out_full) : top_value(self, p, out_full);
    }
    return p;
}

leat_code leat_json_decode(leat_format *format, const leat_raw *raw, size_t *offset, leat_decode_target *target)
{
    leat_json_format *self = (leat_json_format *)format;
    leat_batch *batch = target->batch;
    self->raw = raw;
    self->target = target;
    self->batch = batch;
    if (raw->flags & LEAT_RAW_AGAIN || *offset >= raw->payload.size) {
        *offset = raw->payload.size;
        return LEAT_OK;
    }
    if (raw->payload.size > LEAT_PAYLOAD_BYTES_MAX) {
        target->reject(target, LEAT_DROP_TOO_LARGE, raw->payload, 0, NULL, "longer than 256 KiB");
        *offset = raw->payload.size;
        return LEAT_OK;
    }
    if (self->topics.count)
        leat_topic_columns_load(&self->topics, format->setup->fields, raw->topic, &batch->arena);
    for (uint32_t i = 0; i < self->bound_count; i++)
        self->plans[self->bound[i]].values = batch->columns[self->bound[i]].values;
    bool full = false;
    for (bool first = true; !full && *offset < raw->payload.size; first = false) {
        uint32_t first_row = batch->count;
        begin_part(self, *offset);
        const char *end = decode_part(self, first, &full);
        end_part(self, first_row, end);
        *offset = leat_json_offset(self, end);
    }
    return LEAT_OK;
}
