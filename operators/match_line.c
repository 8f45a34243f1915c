#include "operators/match_line.h"

#include "operators/match_queue.h"

#include <string.h>

enum { POOL_MAX = 4096, RUNS = 2 }; // POOL_MAX: of each sort that are kept for use again

bool leat_line_fits(const leat_match_spec *spec, const leat_type *types)
{
    bool fits = true;
    for (uint32_t i = 0; i < spec->stage_count; i++) {
        const leat_match_stage *stage = &spec->stages[i];
        bool follows = stage->contiguity == LEAT_MATCH_NEXT || stage->contiguity == LEAT_MATCH_FOLLOWED;
        fits &= follows && !stage->repeated && !stage->optional && !stage->span && !stage->within_ms;
    }
    for (uint32_t i = 0; i < spec->kept_count; i++)
        fits &= leat_type_physical(types[i]) != LEAT_PHYSICAL_NESTED;
    return fits;
}

static size_t event_size(const pattern_event *event)
{
    return sizeof *event + event->value_count * sizeof *event->values + event->size;
}

void leat_line_pool_fini(line_pool *pool)
{
    for (pattern_node *node = pool->nodes, *next; node; node = next) {
        next = node->next;
        leat_budget_free(pool->budget, node, sizeof *node);
    }
    for (pattern_event *event = pool->events, *next; event; event = next) {
        next = event->next;
        leat_budget_free(pool->budget, event, event_size(event));
    }
    for (line_room *room = pool->rooms, *next; room; room = next) {
        next = room->next;
        leat_budget_free(pool->budget, room, RUNS * sizeof(pattern_run));
    }
    *pool = (line_pool){0};
}

bool leat_line_room(line_pool *pool, pattern_run **out_runs, uint32_t *out_room)
{
    line_room *room = pool->rooms;
    *out_runs = room ? (void *)room : leat_budget_alloc(pool->budget, RUNS * sizeof(pattern_run));
    if (!*out_runs)
        return false;
    *out_room = RUNS;
    if (room) {
        pool->rooms = room->next;
        pool->room_count--;
    }
    return true;
}

bool leat_line_keep_room(line_pool *pool, pattern_run *runs, uint32_t room)
{
    line_room *kept = (void *)runs;
    if (room != RUNS || pool->room_count == POOL_MAX)
        return false;
    kept->next = pool->rooms;
    pool->rooms = kept;
    pool->room_count++;
    return true;
}

// ---- rows

static bool is_text(leat_type type) { return leat_type_physical(type) == LEAT_PHYSICAL_TEXT; }

static size_t text_size(const leat_type *types, const leat_value *values, uint32_t count)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += is_text(types[i]) && !values[i].is_null ? values[i].text.size : 0;
    return size;
}

static void copy_texts(pattern_event *event, const leat_type *types)
{
    char *bytes = (char *)(event->values + event->value_count);
    for (uint32_t i = 0; i < event->value_count; i++) {
        leat_value *value = &event->values[i];
        if (!is_text(types[i]) || value->is_null)
            continue;
        if (value->text.size)
            memcpy(bytes, value->text.data, value->text.size);
        value->text.data = bytes;
        bytes += value->text.size;
    }
}

// Rows with texts differ in size and are not kept.
static pattern_event *event_new(line_pool *pool, size_t texts)
{
    pattern_event *event = texts ? NULL : pool->events;
    if (!event)
        return leat_budget_alloc(pool->budget, sizeof *event + pool->value_count * sizeof *event->values + texts);
    pool->events = event->next;
    pool->event_count--;
    event->next = NULL;
    return event;
}

pattern_event *leat_line_event(line_pool *pool, const leat_type *types, const leat_value *values, int64_t time_ms,
                               uint32_t id, uint64_t cause)
{
    size_t texts = pool->has_texts ? text_size(types, values, pool->value_count) : 0;
    pattern_event *event = event_new(pool, texts);
    if (!event)
        return NULL;
    event->time_ms = time_ms;
    event->id = id;
    event->cause = cause;
    event->pins = 1;
    event->size = (uint32_t)texts;
    event->value_count = pool->value_count;
    for (uint32_t i = 0; i < pool->value_count; i++)
        event->values[i] = values[i];
    if (texts)
        copy_texts(event, types);
    return event;
}

void leat_line_unhold(line_pool *pool, pattern_event *event)
{
    if (--event->pins)
        return;
    if (event->size || pool->event_count == POOL_MAX) {
        leat_budget_free(pool->budget, event, event_size(event));
        return;
    }
    event->next = pool->events;
    pool->events = event;
    pool->event_count++;
}

// ---- nodes

pattern_node *leat_line_take(line_pool *pool, pattern_event *event, uint32_t stage, pattern_node *before)
{
    pattern_node *node = pool->nodes;
    if (node) {
        pool->nodes = node->next;
        pool->node_count--;
    } else {
        node = leat_budget_alloc(pool->budget, sizeof *node);
        if (!node)
            return NULL;
    }
    node->event = event;
    node->stage = stage;
    node->next = before;
    event->pins++;
    return node;
}

void leat_line_free(line_pool *pool, pattern_node *last)
{
    for (pattern_node *before; last; last = before) {
        before = last->next;
        leat_line_unhold(pool, last->event);
        if (pool->node_count == POOL_MAX) {
            leat_budget_free(pool->budget, last, sizeof *last);
            continue;
        }
        last->next = pool->nodes;
        pool->nodes = last;
        pool->node_count++;
    }
}

uint32_t leat_line_path(pattern_work *work, const pattern_node *last)
{
    uint32_t count = 0;
    for (; last; last = last->next) {
        if (!pattern_work_room(work, count))
            return UINT32_MAX;
        work->steps[count++].node = (pattern_node *)last;
    }
    return count;
}
