#include "operators/match_buffer.h"

#include <string.h>

// ---- versions

pattern_version *pattern_version_new(leat_budget *budget, pattern_version *parent, uint32_t digit)
{
    pattern_version *version = leat_budget_alloc(budget, sizeof *version);
    if (!version)
        return NULL;
    version->parent = parent ? pattern_version_ref(parent) : NULL;
    version->references = 1;
    version->length = parent ? parent->length + 1 : 1;
    version->first = parent ? parent->first : digit;
    version->digit = digit;
    return version;
}

pattern_version *pattern_version_ref(pattern_version *version)
{
    version->references++;
    return version;
}

void pattern_version_unref(leat_budget *budget, pattern_version *version)
{
    while (version && !--version->references) {
        pattern_version *parent = version->parent;
        leat_budget_free(budget, version, sizeof *version);
        version = parent;
    }
}

pattern_version *pattern_version_raise(leat_budget *budget, pattern_version *version, uint32_t times)
{
    return times ? pattern_version_new(budget, version->parent, version->digit + times) : pattern_version_ref(version);
}

// Of equal length. Versions of a key share their beginnings, mostly as the very same list.
static bool same(const pattern_version *a, const pattern_version *b)
{
    for (; a != b; a = a->parent, b = b->parent)
        if (!a || !b || a->digit != b->digit)
            return false;
    return true;
}

bool pattern_version_descends(const pattern_version *version, const pattern_version *other)
{
    // Mostly they are of different runs: a row has an edge for every run that took it.
    if (version->length < other->length || (version->first != other->first && version->length > 1))
        return false;
    if (version->length == other->length)
        return version->digit >= other->digit && same(version->parent, other->parent);
    while (version->length > other->length)
        version = version->parent;
    return same(version, other);
}

// ---- events

static size_t event_size(const pattern_event *event)
{
    return sizeof *event + event->value_count * sizeof *event->values + event->size;
}

static bool is_nested(leat_type type) { return leat_type_physical(type) == LEAT_PHYSICAL_NESTED; }

leat_slice pattern_event_row(const pattern_event *event)
{
    return leat_slice_of((const char *)(event->values + event->value_count), event->size);
}

// Nested values are stepped over with an arena that is of no further use.
static bool decode(pattern_event *event, const leat_type *types, leat_env *env)
{
    leat_reader reader;
    leat_arena arena;
    leat_slice row = pattern_event_row(event);
    bool decoded = true;
    leat_arena_init(&arena, env, 0);
    leat_reader_init(&reader, row.data, row.size);
    for (uint32_t i = 0; i < event->value_count && decoded; i++) {
        decoded = leat_value_decode(types[i], &reader, &arena, &event->values[i]);
        event->nested |= is_nested(types[i]);
    }
    leat_arena_fini(&arena);
    return decoded && !reader.failed;
}

pattern_event *pattern_event_new(leat_budget *budget, pattern_buffer *buffer, const leat_type *types, uint32_t count,
                                 leat_slice row, int64_t time_ms, uint32_t id, uint64_t cause)
{
    pattern_event *event = leat_budget_alloc(budget, sizeof *event + count * sizeof *event->values + row.size);
    if (!event)
        return NULL;
    event->time_ms = time_ms;
    event->id = id;
    event->cause = cause;
    event->locks = 1;
    event->size = (uint32_t)row.size;
    event->value_count = count;
    if (row.size)
        memcpy(event->values + count, row.data, row.size);
    if (!decode(event, types, budget->env)) {
        leat_budget_free(budget, event, event_size(event));
        return NULL;
    }
    event->before = buffer->last;
    *(buffer->last ? &buffer->last->next : &buffer->first) = event;
    buffer->last = event;
    return event;
}

leat_value pattern_event_value(const pattern_event *event, const leat_type *types, uint32_t column, leat_arena *arena)
{
    if (!event->nested || !is_nested(types[column]))
        return event->values[column];
    leat_reader reader;
    leat_value value = leat_value_null();
    leat_slice row = pattern_event_row(event);
    leat_reader_init(&reader, row.data, row.size);
    for (uint32_t i = 0; i <= column; i++)
        LEAT_ASSERT(leat_value_decode(types[i], &reader, arena, &value)); // it was decoded once before
    return value;
}

static void event_free_unused(leat_budget *budget, pattern_buffer *buffer, pattern_event *event)
{
    if (event->locks || event->pins)
        return;
    *(event->before ? &event->before->next : &buffer->first) = event->next;
    *(event->next ? &event->next->before : &buffer->last) = event->before;
    leat_budget_free(budget, event, event_size(event));
}

void pattern_event_release(leat_budget *budget, pattern_buffer *buffer, pattern_event *event)
{
    event->locks -= event->locks > 0;
    event_free_unused(budget, buffer, event);
}

// ---- nodes

static void node_free_unused(leat_budget *budget, pattern_buffer *buffer, pattern_node *node)
{
    if (node->present || node->pins)
        return;
    pattern_event *event = node->event;
    pattern_node **place = &event->nodes;
    while (*place != node)
        place = &(*place)->next;
    *place = node->next;
    leat_budget_free(budget, node->edges, node->edge_room * sizeof *node->edges);
    leat_budget_free(budget, node, sizeof *node);
    event->pins--;
    event_free_unused(budget, buffer, event);
}

void pattern_unpin(leat_budget *budget, pattern_buffer *buffer, pattern_node *node)
{
    node->pins--;
    node_free_unused(budget, buffer, node);
}

static pattern_node *node_of(leat_budget *budget, pattern_event *event, uint32_t stage)
{
    pattern_node *node = event->nodes;
    while (node && node->stage != stage)
        node = node->next;
    if (!node) {
        node = leat_budget_alloc(budget, sizeof *node);
        if (!node)
            return NULL;
        node->event = event;
        node->stage = stage;
        node->next = event->nodes;
        event->nodes = node;
        event->pins++;
    }
    if (!node->present) {
        node->present = true;
        node->locks = 0;
        event->locks++;
    }
    return node;
}

static bool edge_add(leat_budget *budget, pattern_node *node, pattern_node *target, pattern_version *version)
{
    if (node->edge_count == node->edge_room) {
        uint32_t room = node->edge_room ? node->edge_room * 2 : 1;
        pattern_edge *edges =
            leat_budget_grow(budget, node->edges, node->edge_room * sizeof *edges, room * sizeof *edges);
        if (!edges)
            return false;
        node->edges = edges;
        node->edge_room = room;
    }
    if (target)
        target->pins++;
    node->edges[node->edge_count++] = (pattern_edge){target, pattern_version_ref(version), 0};
    return true;
}

pattern_node *pattern_take(leat_budget *budget, pattern_event *event, uint32_t stage, pattern_node *before,
                           pattern_version *version)
{
    if (before)
        pattern_lock(before, version);
    pattern_node *node = node_of(budget, event, stage);
    return node && edge_add(budget, node, before, version) ? node : NULL;
}

void pattern_lock(pattern_node *node, const pattern_version *version)
{
    if (!node->present)
        return;
    node->locks++;
    for (uint32_t i = 0; i < node->edge_count; i++)
        if (pattern_version_descends(version, node->edges[i].version))
            node->edges[i].locks++;
}

// ---- releasing

void pattern_work_fini(pattern_work *work)
{
    if (work->budget)
        leat_budget_free(work->budget, work->steps, work->room * sizeof *work->steps);
    *work = (pattern_work){0};
}

bool pattern_work_room(pattern_work *work, uint32_t count)
{
    if (count < work->room)
        return true;
    uint32_t room = work->room ? work->room * 2 : 32;
    void *steps =
        leat_budget_grow(work->budget, work->steps, work->room * sizeof *work->steps, room * sizeof *work->steps);
    if (!steps)
        return false;
    work->steps = steps;
    work->room = room;
    return true;
}

static bool lost_last_lock(uint32_t *locks)
{
    *locks -= *locks > 0;
    return !*locks;
}

// Edges that this version alone held are taken out and put on the list, with their pins and references.
static bool release_edges(pattern_work *work, pattern_node *node, const pattern_version *version, uint32_t *inout_count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->edge_count; i++) {
        pattern_edge edge = node->edges[i];
        if (!pattern_version_descends(version, edge.version) || !lost_last_lock(&edge.locks)) {
            node->edges[kept++] = edge;
            continue;
        }
        if (!pattern_work_room(work, *inout_count))
            return false;
        work->steps[(*inout_count)++] = (struct pattern_step){edge.target, edge.version};
    }
    node->edge_count = kept;
    return true;
}

static void release_node(leat_budget *budget, pattern_buffer *buffer, pattern_node *node)
{
    if (!lost_last_lock(&node->locks))
        return;
    node->present = false;
    node->event->locks -= node->event->locks > 0;
    for (uint32_t i = 0; i < node->edge_count; i++) { // edges that nobody released: they lead nowhere now
        if (node->edges[i].target)
            pattern_unpin(budget, buffer, node->edges[i].target);
        pattern_version_unref(budget, node->edges[i].version);
    }
    node->edge_count = 0;
}

bool pattern_release(leat_budget *budget, pattern_buffer *buffer, pattern_work *work, pattern_node *node,
                     pattern_version *version)
{
    uint32_t count = 0;
    if (!pattern_work_room(work, count))
        return false;
    node->pins++;
    work->steps[count++] = (struct pattern_step){node, pattern_version_ref(version)};
    while (count) {
        struct pattern_step step = work->steps[--count];
        if (step.node && step.node->present) {
            if (!release_edges(work, step.node, step.version, &count))
                return false;
            release_node(budget, buffer, step.node);
        }
        if (step.node)
            pattern_unpin(budget, buffer, step.node);
        pattern_version_unref(budget, step.version);
    }
    return true;
}

// ---- reading

uint32_t pattern_path(pattern_work *work, const pattern_node *node, const pattern_version *version)
{
    uint32_t count = 0;
    while (node) {
        const pattern_edge *edge = NULL;
        if (!pattern_work_room(work, count))
            return UINT32_MAX;
        work->steps[count++].node = (pattern_node *)node;
        for (uint32_t i = 0; i < node->edge_count; i++)
            if (pattern_version_descends(version, node->edges[i].version))
                edge = &node->edges[i];
        if (!edge)
            return 0;
        node = edge->target;
        version = edge->version;
    }
    return count;
}

void pattern_buffer_clear(leat_budget *budget, pattern_buffer *buffer)
{
    for (pattern_event *event = buffer->first, *next; event; event = next) {
        next = event->next;
        for (pattern_node *node = event->nodes, *after; node; node = after) {
            after = node->next;
            for (uint32_t i = 0; i < node->edge_count; i++)
                pattern_version_unref(budget, node->edges[i].version);
            leat_budget_free(budget, node->edges, node->edge_room * sizeof *node->edges);
            leat_budget_free(budget, node, sizeof *node);
        }
        leat_budget_free(budget, event, event_size(event));
    }
    *buffer = (pattern_buffer){0};
}
