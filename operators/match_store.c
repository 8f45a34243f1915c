#include "operators/match_store.h"

#include "operators/core/batch.h"

enum { VERSION = 1, VERSION_LINE = 2, VERSION_TIMERS = 3, VERSION_LINE_TIMERS = 4, VERSION_BYTES = 2, EDGE_BYTES = 3 };

// ---- numbering

typedef struct numbered {
    pattern_version **versions;
    uint32_t count, room;
    leat_arena *arena;
} numbered;

static void versions_add(numbered *all, pattern_version *version)
{
    if (all->count == all->room) {
        uint32_t room = all->room ? all->room * 2 : 32;
        pattern_version **versions = leat_arena_array(all->arena, pattern_version *, room);
        for (uint32_t i = 0; i < all->count; i++)
            versions[i] = all->versions[i];
        all->versions = versions;
        all->room = room;
    }
    all->versions[all->count++] = version;
    version->number = all->count;
}

// Parents first: the part of the list that has no number yet is turned round.
static void number_version(numbered *all, pattern_version *version)
{
    uint32_t missing = 0;
    for (pattern_version *at = version; at && !at->number; at = at->parent)
        missing++;
    pattern_version **turned = leat_arena_array(all->arena, pattern_version *, missing + 1);
    for (uint32_t i = missing; i; version = version->parent)
        turned[--i] = version;
    for (uint32_t i = 0; i < missing; i++)
        versions_add(all, turned[i]);
}

static void number_runs(numbered *all, const pattern_queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++)
        number_version(all, queue->runs[i].version);
}

static void number_all(numbered *all, const pattern_key *key)
{
    uint32_t nodes = 0;
    for (const pattern_event *event = key->buffer.first; event; event = event->next)
        for (pattern_node *node = event->nodes; node; node = node->next) {
            node->number = ++nodes;
            for (uint32_t i = 0; i < node->edge_count; i++)
                number_version(all, node->edges[i].version);
        }
    number_runs(all, &key->runs);
    number_runs(all, &key->done);
}

// ---- storing

static void store_node(const pattern_node *node, leat_writer *out)
{
    leat_write_varint(out, node->stage);
    leat_write_varint(out, node->locks);
    leat_write_u8(out, node->present);
    leat_write_varint(out, node->edge_count);
    for (uint32_t i = 0; i < node->edge_count; i++) {
        leat_write_varint(out, node->edges[i].target ? node->edges[i].target->number : 0);
        leat_write_varint(out, node->edges[i].version->number);
        leat_write_varint(out, node->edges[i].locks);
    }
}

static void store_event(const pattern_event *event, leat_writer *out)
{
    leat_slice row = pattern_event_row(event);
    leat_write_varint_signed(out, event->time_ms);
    leat_write_varint(out, event->id);
    leat_write_varint(out, event->locks);
    leat_write_u64(out, event->cause);
    leat_write_sized(out, row.data, row.size);
    leat_write_varint(out, event->pins);
    for (const pattern_node *node = event->nodes; node; node = node->next)
        store_node(node, out);
}

static void store_runs(const pattern_queue *queue, leat_writer *out)
{
    leat_write_varint(out, queue->count);
    for (uint32_t i = 0; i < queue->count; i++) {
        const pattern_run *run = &queue->runs[i];
        leat_write_varint(out, run->state->index);
        leat_write_varint(out, run->entry ? run->entry->number : 0);
        leat_write_varint(out, run->version->number);
        if (!run->entry)
            continue;
        leat_write_varint_signed(out, run->first_ms);
        leat_write_varint(out, run->first_id);
    }
}

static uint64_t event_count(const pattern_key *key)
{
    uint64_t count = 0;
    for (const pattern_event *event = key->buffer.first; event; event = event->next)
        count++;
    return count;
}

static uint8_t version_of(const pattern_nfa *nfa)
{
    if (nfa->is_line)
        return nfa->has_timers ? VERSION_LINE_TIMERS : VERSION_LINE;
    return nfa->has_timers ? VERSION_TIMERS : VERSION;
}

static void store_timers(const pattern_key *key, leat_writer *out)
{
    uint32_t count = key->timers ? key->timers->count : 0;
    leat_write_varint(out, count);
    for (uint32_t i = 0; i < count; i++)
        leat_write_varint_signed(out, key->timers->due_ms[i]);
}

static void store_timer(const pattern_key *key, leat_writer *out)
{
    leat_write_u8(out, key->timer_ms != INT64_MAX);
    if (key->timer_ms != INT64_MAX)
        leat_write_varint_signed(out, key->timer_ms);
}

static void store_head(const pattern_nfa *nfa, const pattern_key *key, leat_writer *out)
{
    leat_write_u8(out, version_of(nfa));
    leat_write_varint_signed(out, key->last_ms);
    leat_write_varint(out, key->next_id);
    if (nfa->has_timers)
        store_timers(key, out);
    else
        store_timer(key, out);
}

// ---- without branches; `locks` of a row, which has none, is its number meanwhile

static void list_events(const pattern_queue *queue, leat_arena *arena, pattern_event ***inout_events,
                        uint32_t *inout_count, uint32_t *inout_room)
{
    for (uint32_t i = 0; i < queue->count; i++)
        for (const pattern_node *node = queue->runs[i].entry; node; node = node->next) {
            if (node->event->locks)
                continue;
            if (*inout_count == *inout_room) {
                uint32_t room = *inout_room ? *inout_room * 2 : 16;
                pattern_event **events = leat_arena_array(arena, pattern_event *, room);
                for (uint32_t e = 0; e < *inout_count; e++)
                    events[e] = (*inout_events)[e];
                *inout_events = events;
                *inout_room = room;
            }
            (*inout_events)[(*inout_count)++] = node->event;
            node->event->locks = *inout_count;
        }
}

static void store_line_runs(const pattern_queue *queue, leat_writer *out)
{
    leat_write_varint(out, queue->count);
    for (uint32_t i = 0; i < queue->count; i++) {
        const pattern_run *run = &queue->runs[i];
        uint32_t count = 0;
        for (const pattern_node *node = run->entry; node; node = node->next)
            count++;
        leat_write_varint(out, run->state->index);
        leat_write_varint(out, count);
        for (const pattern_node *node = run->entry; node; node = node->next) {
            leat_write_varint(out, node->stage);
            leat_write_varint(out, node->event->locks);
        }
    }
}

static void store_line_event(const pattern_nfa *nfa, const pattern_event *event, leat_writer *out)
{
    leat_write_varint_signed(out, event->time_ms);
    leat_write_varint(out, event->id);
    leat_write_u64(out, event->cause);
    for (uint32_t i = 0; i < event->value_count; i++)
        leat_value_encode(nfa->types[i], &event->values[i], out);
}

static void store_line(const pattern_nfa *nfa, pattern_key *key, leat_arena *scratch, leat_writer *out)
{
    pattern_event **events = NULL;
    uint32_t count = 0, room = 0;
    list_events(&key->runs, scratch, &events, &count, &room);
    list_events(&key->done, scratch, &events, &count, &room);
    store_head(nfa, key, out);
    leat_write_varint(out, count);
    for (uint32_t i = 0; i < count; i++)
        store_line_event(nfa, events[i], out);
    store_line_runs(&key->runs, out);
    store_line_runs(&key->done, out);
    for (uint32_t i = 0; i < count; i++)
        events[i]->locks = 0;
}

void leat_pattern_store(pattern_nfa *nfa, pattern_key *key, leat_arena *scratch, leat_writer *out)
{
    if (nfa->is_line) {
        store_line(nfa, key, scratch, out);
        return;
    }
    numbered all = {.arena = scratch};
    number_all(&all, key);
    store_head(nfa, key, out);
    leat_write_varint(out, all.count);
    for (uint32_t i = 0; i < all.count; i++) {
        leat_write_varint(out, all.versions[i]->parent ? all.versions[i]->parent->number : 0);
        leat_write_varint(out, all.versions[i]->digit);
    }
    leat_write_varint(out, event_count(key));
    for (const pattern_event *event = key->buffer.first; event; event = event->next)
        store_event(event, out);
    store_runs(&key->runs, out);
    store_runs(&key->done, out);
    for (uint32_t i = 0; i < all.count; i++)
        all.versions[i]->number = 0;
}

// ---- restoring

typedef struct restoring {
    pattern_nfa *nfa;
    pattern_key *key;
    leat_arena *arena;
    leat_reader *in;
    pattern_version **versions; // [number - 1]
    pattern_node **nodes;
    uint64_t version_count, node_count, node_room;
    pattern_event **events; // without branches: by number - 1
    uint64_t event_count;
    bool no_memory;
} restoring;

// A count of what takes so many bytes at least, which those that are left could hold.
static bool read_count_of(restoring *r, size_t bytes, uint64_t *out_count)
{
    *out_count = leat_read_varint(r->in);
    return !r->in->failed && *out_count <= leat_reader_left(r->in) / bytes;
}

static bool read_count(restoring *r, uint64_t *out_count) { return read_count_of(r, 1, out_count); }

static bool restore_versions(restoring *r)
{
    uint64_t count;
    if (!read_count_of(r, VERSION_BYTES, &count))
        return false;
    r->versions = leat_arena_array(r->arena, pattern_version *, count + 1);
    for (; r->version_count < count; r->version_count++) {
        uint64_t parent = leat_read_varint(r->in), digit = leat_read_varint(r->in);
        if (r->in->failed || parent > r->version_count || digit > UINT32_MAX)
            return false;
        pattern_version *version =
            pattern_version_new(r->nfa->budget, parent ? r->versions[parent - 1] : NULL, (uint32_t)digit);
        r->no_memory = !version;
        if (!version)
            return false;
        r->versions[r->version_count] = version;
    }
    return true;
}

static bool read_version(restoring *r, pattern_version **out_version)
{
    uint64_t number = leat_read_varint(r->in);
    bool known = !r->in->failed && number && number <= r->version_count;
    *out_version = known ? r->versions[number - 1] : NULL;
    return known;
}

static bool read_node(restoring *r, pattern_node **out_node)
{
    uint64_t number = leat_read_varint(r->in);
    bool known = !r->in->failed && number <= r->node_count;
    *out_node = known && number ? r->nodes[number - 1] : NULL;
    return known;
}

static bool restore_edge(restoring *r, pattern_node *node)
{
    pattern_node *target;
    pattern_version *version;
    bool read = read_node(r, &target) && read_version(r, &version);
    uint64_t locks = leat_read_varint(r->in);
    if (!read || r->in->failed || locks > UINT32_MAX || node->edge_count == node->edge_room)
        return false;
    if (target)
        target->pins++;
    node->edges[node->edge_count++] = (pattern_edge){target, pattern_version_ref(version), (uint32_t)locks};
    return true;
}

static void nodes_add(restoring *r, pattern_node *node)
{
    if (r->node_count == r->node_room) {
        uint64_t room = r->node_room ? r->node_room * 2 : 32;
        pattern_node **nodes = leat_arena_array(r->arena, pattern_node *, room);
        for (uint64_t i = 0; i < r->node_count; i++)
            nodes[i] = r->nodes[i];
        r->nodes = nodes;
        r->node_room = room;
    }
    r->nodes[r->node_count++] = node;
}

static bool restore_edges(restoring *r, pattern_node *node)
{
    uint64_t count;
    if (!read_count_of(r, EDGE_BYTES, &count))
        return false;
    if (count) {
        node->edges = leat_budget_alloc(r->nfa->budget, count * sizeof *node->edges);
        r->no_memory = !node->edges;
        if (!node->edges)
            return false;
        node->edge_room = (uint32_t)count;
    }
    for (uint64_t i = 0; i < count; i++)
        if (!restore_edge(r, node))
            return false;
    return true;
}

static bool restore_node(restoring *r, pattern_event *event, pattern_node **inout_last)
{
    pattern_node *node = leat_budget_alloc(r->nfa->budget, sizeof *node);
    r->no_memory = !node;
    if (!node)
        return false;
    node->event = event;
    *(*inout_last ? &(*inout_last)->next : &event->nodes) = node;
    *inout_last = node;
    event->pins++;
    uint64_t stage = leat_read_varint(r->in), locks = leat_read_varint(r->in);
    node->stage = (uint32_t)stage;
    node->locks = (uint32_t)locks;
    node->present = leat_read_u8(r->in);
    if (r->in->failed || stage >= r->nfa->spec->stage_count || locks > UINT32_MAX || !restore_edges(r, node) ||
        (!node->present && node->edge_count))
        return false;
    nodes_add(r, node);
    return true;
}

// Whether these are the kept columns, and nothing behind them.
static bool is_row(restoring *r, leat_slice row)
{
    leat_reader reader;
    leat_value value;
    bool decoded = true;
    leat_reader_init(&reader, row.data, row.size);
    for (uint32_t i = 0; decoded && i < r->nfa->spec->kept_count; i++)
        decoded = leat_value_decode(r->nfa->types[i], &reader, r->arena, &value);
    return decoded && !reader.failed && !leat_reader_left(&reader);
}

static bool restore_event(restoring *r)
{
    int64_t time_ms = leat_read_varint_signed(r->in);
    uint64_t id = leat_read_varint(r->in), locks = leat_read_varint(r->in), cause = leat_read_u64(r->in), count;
    leat_slice row = leat_read_sized(r->in);
    if (r->in->failed || id > UINT32_MAX || locks > UINT32_MAX || !read_count(r, &count) || !is_row(r, row))
        return false;
    pattern_event *event = pattern_event_new(r->nfa->budget, &r->key->buffer, r->nfa->types, r->nfa->spec->kept_count,
                                             row, time_ms, (uint32_t)id, cause);
    r->no_memory = !event;
    if (!event)
        return false;
    event->locks = (uint32_t)locks;
    if (time_ms > r->key->newest_ms)
        r->key->newest_ms = time_ms;
    pattern_node *last = NULL;
    for (uint64_t i = 0; i < count; i++)
        if (!restore_node(r, event, &last))
            return false;
    return true;
}

static bool restore_run(restoring *r, pattern_queue *queue)
{
    uint64_t state = leat_read_varint(r->in);
    pattern_run run = {.start_ms = -1, .first_ms = LEAT_TIME_MAX, .first_id = UINT32_MAX};
    if (!read_node(r, &run.entry) || !read_version(r, &run.version) || state >= r->nfa->graph.state_count)
        return false;
    run.state = r->nfa->graph.states[state];
    if (run.entry) {
        run.start_ms = run.first_ms = leat_read_varint_signed(r->in);
        run.first_id = (uint32_t)leat_read_varint(r->in);
    }
    if (r->in->failed || !run.entry != (run.state->kind == PATTERN_START))
        return false;
    r->no_memory = !pattern_queue_push(r->nfa->budget, queue, run);
    if (r->no_memory)
        return false;
    pattern_version_ref(run.version);
    if (run.entry)
        run.entry->pins++;
    return true;
}

static bool restore_runs(restoring *r, pattern_queue *queue)
{
    uint64_t count;
    if (!read_count(r, &count))
        return false;
    for (uint64_t i = 0; i < count; i++)
        if (!restore_run(r, queue))
            return false;
    return true;
}

// ---- without branches

static bool restore_line_event(restoring *r)
{
    pattern_nfa *nfa = r->nfa;
    leat_value *values = leat_arena_array(r->arena, leat_value, nfa->spec->kept_count + 1);
    int64_t time_ms = leat_read_varint_signed(r->in);
    uint64_t id = leat_read_varint(r->in), cause = leat_read_u64(r->in);
    for (uint32_t i = 0; i < nfa->spec->kept_count; i++)
        if (!leat_value_decode(nfa->types[i], r->in, r->arena, &values[i]))
            return false;
    if (r->in->failed || id > UINT32_MAX)
        return false;
    pattern_event *event = leat_line_event(&nfa->pool, nfa->types, values, time_ms, (uint32_t)id, cause);
    r->no_memory = !event;
    if (!event)
        return false;
    r->events[r->event_count++] = event;
    if (time_ms > r->key->newest_ms)
        r->key->newest_ms = time_ms;
    return true;
}

// Nodes are stored last first, and made first to last.
static bool restore_line_rows(restoring *r, uint64_t count, pattern_run *run)
{
    uint32_t *numbers = leat_arena_array(r->arena, uint32_t, 2 * count + 1);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t stage = leat_read_varint(r->in), number = leat_read_varint(r->in);
        if (r->in->failed || stage >= r->nfa->spec->stage_count || !number || number > r->event_count)
            return false;
        numbers[2 * i] = (uint32_t)stage;
        numbers[2 * i + 1] = (uint32_t)number;
    }
    for (uint64_t i = count; i--;) {
        pattern_event *event = r->events[numbers[2 * i + 1] - 1];
        pattern_node *node = leat_line_take(&r->nfa->pool, event, numbers[2 * i], run->entry);
        r->no_memory = !node;
        if (!node)
            return false;
        if (!run->entry) {
            run->start_ms = run->first_ms = event->time_ms;
            run->first_id = event->id;
        }
        run->entry = node;
    }
    return true;
}

static bool restore_line_run(restoring *r, pattern_queue *queue)
{
    pattern_run run = {.start_ms = -1, .first_ms = LEAT_TIME_MAX, .first_id = UINT32_MAX};
    uint64_t state = leat_read_varint(r->in), count;
    bool known = state < r->nfa->graph.state_count && read_count(r, &count);
    if (known)
        run.state = r->nfa->graph.states[state];
    known = known && (run.state->kind == PATTERN_FINAL) == (queue == &r->key->done) &&
            !count == (run.state->kind == PATTERN_START) && restore_line_rows(r, count, &run);
    r->no_memory |= known && !pattern_queue_push(r->nfa->budget, queue, run);
    if (known && !r->no_memory)
        return true;
    leat_line_free(&r->nfa->pool, run.entry);
    return false;
}

static bool restore_line_runs(restoring *r, pattern_queue *queue)
{
    uint64_t count;
    bool restored = read_count(r, &count);
    for (uint64_t i = 0; restored && i < count; i++)
        restored = restore_line_run(r, queue);
    return restored;
}

static bool restore_line(restoring *r)
{
    uint64_t count;
    if (!read_count(r, &count))
        return false;
    r->events = leat_arena_array(r->arena, pattern_event *, count + 1);
    bool restored = true;
    for (uint64_t i = 0; restored && i < count; i++)
        restored = restore_line_event(r);
    restored = restored && restore_line_runs(r, &r->key->runs) && restore_line_runs(r, &r->key->done) &&
               r->key->runs.count && !leat_reader_left(r->in);
    for (uint64_t i = 0; i < r->event_count; i++)
        leat_line_unhold(&r->nfa->pool, r->events[i]);
    return restored;
}

// Rising.
static bool restore_timers(restoring *r)
{
    uint64_t count;
    if (!read_count(r, &count))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        int64_t due_ms = leat_read_varint_signed(r->in);
        if (r->in->failed || (i && due_ms <= r->key->timers->due_ms[i - 1]) ||
            (r->nfa->spec->time_column < 0 && due_ms <= 0))
            return false;
        r->no_memory = !pattern_timers_add(r->nfa->budget, &r->key->timers, due_ms);
        if (r->no_memory)
            return false;
    }
    r->key->timer_ms = pattern_timers_first(r->key->timers);
    return true;
}

static bool restore_head(restoring *r)
{
    bool known = leat_read_u8(r->in) == version_of(r->nfa);
    r->key->newest_ms = r->key->last_ms = leat_read_varint_signed(r->in);
    r->key->next_id = (uint32_t)leat_read_varint(r->in);
    if (!known || r->nfa->has_timers)
        return known && restore_timers(r);
    r->key->timer_ms = leat_read_u8(r->in) ? leat_read_varint_signed(r->in) : INT64_MAX;
    return true;
}

static bool restore_key(restoring *r)
{
    uint64_t events;
    if (!restore_head(r))
        return false;
    if (r->nfa->is_line)
        return restore_line(r);
    if (!restore_versions(r) || !read_count(r, &events))
        return false;
    for (uint64_t i = 0; i < events; i++)
        if (!restore_event(r))
            return false;
    return restore_runs(r, &r->key->runs) && restore_runs(r, &r->key->done) && r->key->runs.count &&
           !leat_reader_left(r->in);
}

leat_code leat_pattern_restore(pattern_nfa *nfa, pattern_key *key, leat_slice value, leat_arena *scratch,
                               leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    restoring r = {.nfa = nfa, .key = key, .arena = scratch, .in = &reader};
    bool restored = restore_key(&r);
    for (uint64_t i = 0; i < r.version_count; i++)
        pattern_version_unref(nfa->budget, r.versions[i]);
    if (restored)
        return LEAT_OK;
    if (r.no_memory)
        return leat_error_set(out_error, LEAT_E_LIMIT,
                              "a pattern: the memory budget of %zu bytes does not hold the stored partial matches",
                              nfa->budget->limit);
    return leat_error_set(out_error, LEAT_E_CORRUPT, "stored partial matches of %zu bytes are damaged", value.size);
}
