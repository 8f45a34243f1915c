// A flow over a gateway file, with scripted sources, recording sinks and a checkpoint image in memory.
//
// Usage: flow_open(yaml, batch_rows) -> flow_row, flow_mark, flow_end -> flow_run -> look at flow_text -> flow_close. Sources have
// `driver: script`, sinks `driver: collect`. flow_checkpoint lets a barrier through and keeps what it cut; flow_recover throws the flow away
// and goes back to it: sources to their positions, results to those before the cut.
// Threads: the ports may be called from workers; everything else on the test's thread.
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/plan.h"
#include "firmware-agent/flow/flow.h"
#include "firmware-agent/functions.h"
#include "tests/support/env_test.h"

enum { FLOW_SOURCES = 8, FLOW_SINKS = 8 };

typedef struct flow_arrival {
    leat_raw raw;
    char *bytes;
} flow_arrival;

typedef struct flow_source {
    flow_arrival *items;
    uint32_t count, capacity;
    uint32_t next, cut; // next to hand over; the same at the last barrier
    uint64_t position;
    bool ended;
    int64_t wait_ms;
    uint32_t asked, ends; // calls of source_next; those that gave LEAT_END
    leat_drops drops;
} flow_source;

typedef struct flow_result {
    uint32_t sink;
    leat_row_kind kind;
    uint64_t id, sequence;
    int64_t event_ms;
    char *payload, *topic;
} flow_result;

typedef struct flow_entry {
    uint32_t node, group;
    uint8_t table;
    bool live;
    char *key, *value;
    size_t key_size, value_size;
} flow_entry;

typedef struct flow_part {
    leat_snapshot snapshot; // first
    struct flow_fixture *fixture;
    uint32_t node;
} flow_part;

typedef struct flow_fixture {
    leat_flow_ports ports; // first
    pthread_mutex_t lock;
    env_test *env;
    leat_functions functions;
    leat_plan *plan;
    leat_flow *flow;
    uint32_t batch_rows, workers;
    flow_source sources[FLOW_SOURCES];
    leat_drops rule_drops[FLOW_SOURCES];
    _Atomic int64_t now_ms;
    // -- sinks
    flow_result *results;
    uint32_t result_count, result_capacity;
    uint32_t cut_results[FLOW_SINKS]; // by sink, at its last cut
    int64_t room;                     // results that are taken before LEAT_AGAIN; -1: any number
    leat_code refuse;                 // what result answers instead, 0: nothing
    // -- checkpoints
    flow_entry *entries;
    uint32_t entry_count, parts_open, parts;
    bool whole, keep_marks;
    uint64_t barrier, cut_done, source_cuts;
    // -- life
    uint32_t failures, finishes;
    char failure[LEAT_ERROR_MESSAGE_SIZE];
    int64_t wait_ms;
    char *text;
} flow_fixture;

// ---- ports

static inline flow_fixture *flow_of(leat_flow_ports *ports) { return (flow_fixture *)ports; }

static inline int64_t flow_port_now(leat_flow_ports *ports) { return atomic_load(&flow_of(ports)->now_ms); }

static inline leat_code flow_port_next(leat_flow_ports *ports, uint32_t index, leat_raw *out_raw, int64_t *out_wait_ms,
                                       leat_error *out_error)
{
    flow_fixture *f = flow_of(ports);
    flow_source *source = &f->sources[index];
    leat_code code = LEAT_OK;
    (void)out_error;
    pthread_mutex_lock(&f->lock);
    source->asked++;
    *out_wait_ms = source->wait_ms;
    if (source->next < source->count)
        *out_raw = source->items[source->next++].raw;
    else
        code = source->ended ? LEAT_END : LEAT_AGAIN;
    source->ends += code == LEAT_END;
    pthread_mutex_unlock(&f->lock);
    return code;
}

static inline leat_source *flow_port_decoder(leat_flow_ports *ports, uint32_t source)
{
    (void)ports;
    (void)source;
    return NULL;
}

static inline void flow_port_source_cut(leat_flow_ports *ports, uint32_t source, uint64_t id)
{
    flow_fixture *f = flow_of(ports);
    (void)id;
    pthread_mutex_lock(&f->lock);
    f->sources[source].cut = f->sources[source].next;
    f->source_cuts++;
    pthread_mutex_unlock(&f->lock);
}

static inline leat_drops *flow_port_source_drops(leat_flow_ports *ports, uint32_t source)
{
    return &flow_of(ports)->sources[source].drops;
}

static inline leat_drops *flow_port_rule_drops(leat_flow_ports *ports, uint32_t rule)
{
    return &flow_of(ports)->rule_drops[rule];
}

static inline char *flow_copy(leat_slice bytes)
{
    char *copy = malloc(bytes.size + 1);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = 0;
    return copy;
}

static inline void flow_keep_result(flow_fixture *f, const leat_flow_result *result)
{
    if (f->result_count == f->result_capacity) {
        f->result_capacity = f->result_capacity ? f->result_capacity * 2 : 256;
        f->results = realloc(f->results, f->result_capacity * sizeof *f->results);
    }
    f->results[f->result_count++] = (flow_result){.sink = result->sink,
                                                  .kind = result->kind,
                                                  .id = result->id,
                                                  .sequence = result->sequence,
                                                  .event_ms = result->event_ms,
                                                  .payload = flow_copy(result->payload),
                                                  .topic = flow_copy(result->topic)};
}

static inline leat_code flow_port_result(leat_flow_ports *ports, const leat_flow_result *result, leat_error *out_error)
{
    flow_fixture *f = flow_of(ports);
    leat_code code = LEAT_OK;
    pthread_mutex_lock(&f->lock);
    if (f->refuse != LEAT_OK)
        code = leat_error_set(out_error, f->refuse, "the sink refuses");
    else if (f->room == 0)
        code = LEAT_AGAIN;
    else
        flow_keep_result(f, result);
    if (code == LEAT_OK && f->room > 0)
        f->room--;
    pthread_mutex_unlock(&f->lock);
    return code;
}

static inline void flow_port_sink_cut(leat_flow_ports *ports, uint32_t sink, uint64_t id)
{
    flow_fixture *f = flow_of(ports);
    uint32_t mine = 0;
    (void)id;
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->result_count; i++)
        mine += f->results[i].sink == sink;
    f->cut_results[sink] = mine;
    pthread_mutex_unlock(&f->lock);
}

static inline flow_entry *flow_find_entry(flow_fixture *f, uint32_t node, uint8_t table, uint32_t group, leat_slice key)
{
    for (uint32_t i = 0; i < f->entry_count; i++) {
        flow_entry *each = &f->entries[i];
        if (each->node == node && each->table == table && each->group == group && each->key_size == key.size &&
            memcmp(each->key, key.data, key.size) == 0)
            return each;
    }
    return NULL;
}

static inline void flow_put(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    flow_part *part = (flow_part *)snapshot;
    flow_fixture *f = part->fixture;
    pthread_mutex_lock(&f->lock);
    flow_entry *found = flow_find_entry(f, part->node, table, group, key);
    if (!found) {
        f->entries = realloc(f->entries, (f->entry_count + 1) * sizeof *f->entries);
        found = &f->entries[f->entry_count++];
        *found = (flow_entry){
            .node = part->node, .table = table, .group = group, .key = flow_copy(key), .key_size = key.size};
    }
    free(found->value);
    found->value = flow_copy(value);
    found->value_size = value.size;
    found->live = true;
    pthread_mutex_unlock(&f->lock);
}

static inline void flow_remove(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key)
{
    flow_part *part = (flow_part *)snapshot;
    pthread_mutex_lock(&part->fixture->lock);
    flow_entry *found = flow_find_entry(part->fixture, part->node, table, group, key);
    if (found)
        found->live = false;
    pthread_mutex_unlock(&part->fixture->lock);
}

static inline leat_snapshot *flow_port_part_begin(leat_flow_ports *ports, uint64_t id, uint32_t node, uint32_t instance)
{
    flow_fixture *f = flow_of(ports);
    flow_part *part = calloc(1, sizeof *part);
    (void)id;
    (void)instance;
    part->fixture = f;
    part->node = node;
    part->snapshot.put = flow_put;
    part->snapshot.remove = flow_remove;
    part->snapshot.keep_marks = f->keep_marks;
    part->snapshot.any_whole = part->snapshot.all_whole = f->whole;
    memset(part->snapshot.whole, f->whole, sizeof part->snapshot.whole);
    pthread_mutex_lock(&f->lock);
    f->parts_open++;
    f->parts++;
    pthread_mutex_unlock(&f->lock);
    return &part->snapshot;
}

static inline void flow_port_part_done(leat_flow_ports *ports, uint64_t id, uint32_t node, uint32_t instance,
                                       leat_snapshot *snapshot)
{
    flow_fixture *f = flow_of(ports);
    (void)id;
    (void)node;
    (void)instance;
    free(snapshot);
    pthread_mutex_lock(&f->lock);
    f->parts_open--;
    pthread_mutex_unlock(&f->lock);
}

static inline void flow_port_cut_done(leat_flow_ports *ports, uint64_t id)
{
    flow_fixture *f = flow_of(ports);
    pthread_mutex_lock(&f->lock);
    f->cut_done = id;
    pthread_mutex_unlock(&f->lock);
}

static inline void flow_port_failed(leat_flow_ports *ports, const leat_error *error)
{
    flow_fixture *f = flow_of(ports);
    pthread_mutex_lock(&f->lock);
    f->failures++;
    snprintf(f->failure, sizeof f->failure, "%s", error->message);
    pthread_mutex_unlock(&f->lock);
}

static inline void flow_port_finished(leat_flow_ports *ports)
{
    flow_fixture *f = flow_of(ports);
    pthread_mutex_lock(&f->lock);
    f->finishes++;
    pthread_mutex_unlock(&f->lock);
}

static const leat_flow_ports flow_ports = {.now_ms = flow_port_now,
                                           .source_next = flow_port_next,
                                           .source_decoder = flow_port_decoder,
                                           .source_cut = flow_port_source_cut,
                                           .source_drops = flow_port_source_drops,
                                           .rule_drops = flow_port_rule_drops,
                                           .result = flow_port_result,
                                           .sink_cut = flow_port_sink_cut,
                                           .part_begin = flow_port_part_begin,
                                           .part_done = flow_port_part_done,
                                           .cut_done = flow_port_cut_done,
                                           .failed = flow_port_failed,
                                           .finished = flow_port_finished};

// ---- life

static const leat_source_description flow_script = {.name = "script",
                                                    .summary = "rows from a test",
                                                    .replayable = true,
                                                    .implicit =
                                                        LEAT_IMPLICIT_SOURCE | LEAT_IMPLICIT_TS | LEAT_IMPLICIT_TOPIC};
static const leat_sink_description flow_collect = {.name = "collect",
                                                   .summary = "keeps what it is handed",
                                                   .takes_upsert = true,
                                                   .takes_retract = true,
                                                   .guarantee = 'N',
                                                   .guarantee_text = "none"};

static inline leat_plan *flow_compile(flow_fixture *f, const char *yaml)
{
    static const leat_source_description *const sources[] = {&flow_script, NULL};
    static const leat_sink_description *const sinks[] = {&flow_collect, NULL};
    leat_driver_catalog catalog = {sources, sinks, leat_driver_catalog_get()->formats};
    leat_compile_options options = {.env = &f->env->env, .drivers = &catalog, .functions = &f->functions.catalog};
    leat_diagnostics diagnostics;
    leat_error error = {0};
    leat_plan *plan = NULL;
    leat_diagnostics_init(&diagnostics, &f->env->env);
    if (leat_compile_text(&options, "gateway.yaml", leat_slice_text(yaml), &plan, &diagnostics, &error) != LEAT_OK)
        fail_msg("%s", diagnostics.count ? diagnostics.items[0].message : error.message);
    leat_diagnostics_fini(&diagnostics);
    return plan;
}

static inline void flow_make(flow_fixture *f)
{
    leat_error error = {0};
    leat_flow_setup setup = {
        .env = &f->env->env, .plan = f->plan, .ports = &f->ports, .workers = f->workers, .batch_rows = f->batch_rows};
    if (leat_flow_create(&setup, &f->flow, &error) != LEAT_OK)
        fail_msg("%s", error.message);
}

static inline flow_fixture *flow_open_not_ready(const char *yaml, uint32_t batch_rows)
{
    flow_fixture *f = calloc(1, sizeof *f);
    leat_error error = {0};
    f->ports = flow_ports;
    pthread_mutex_init(&f->lock, NULL);
    f->env = env_test_create();
    f->batch_rows = batch_rows;
    f->room = -1;
    f->now_ms = 1000000;
    for (uint32_t i = 0; i < FLOW_SOURCES; i++)
        f->sources[i].wait_ms = -1;
    assert_int_equal(leat_functions_init(&f->functions, &f->env->env, &error), LEAT_OK);
    f->plan = flow_compile(f, yaml);
    assert_true(f->plan->source_count <= FLOW_SOURCES && f->plan->sink_count <= FLOW_SINKS);
    flow_make(f);
    return f;
}

static inline flow_fixture *flow_open(const char *yaml, uint32_t batch_rows)
{
    leat_error error = {0};
    flow_fixture *f = flow_open_not_ready(yaml, batch_rows);
    assert_int_equal(leat_flow_ready(f->flow, false, false, &error), LEAT_OK);
    return f;
}

static inline void flow_forget_results(flow_fixture *f, uint32_t from)
{
    for (uint32_t i = from; i < f->result_count; i++) {
        free(f->results[i].payload);
        free(f->results[i].topic);
    }
    f->result_count = from;
}

static inline void flow_close(flow_fixture *f)
{
    leat_flow_destroy(f->flow);
    assert_int_equal(f->parts_open, 0);
    leat_plan_destroy(f->plan);
    env_test_destroy(f->env);
    flow_forget_results(f, 0);
    free(f->results);
    for (uint32_t s = 0; s < FLOW_SOURCES; s++) {
        for (uint32_t i = 0; i < f->sources[s].count; i++)
            free(f->sources[s].items[i].bytes);
        free(f->sources[s].items);
    }
    for (uint32_t i = 0; i < f->entry_count; i++) {
        free(f->entries[i].key);
        free(f->entries[i].value);
    }
    free(f->entries);
    free(f->text);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

// ---- sources

static inline uint32_t flow_source_index(const flow_fixture *f, const char *name)
{
    for (uint32_t i = 0; i < f->plan->source_count; i++)
        if (strcmp(f->plan->sources[i].name, name) == 0)
            return i;
    fail_msg("no source %s", name);
    return 0;
}

static inline void flow_arrive(flow_fixture *f, const char *name, uint8_t tag, uint8_t flags, const void *bytes,
                               size_t size)
{
    flow_source *source = &f->sources[flow_source_index(f, name)];
    pthread_mutex_lock(&f->lock);
    if (source->count == source->capacity) {
        source->capacity = source->capacity ? source->capacity * 2 : 64;
        source->items = realloc(source->items, source->capacity * sizeof *source->items);
    }
    flow_arrival *next = &source->items[source->count++];
    next->bytes = flow_copy(leat_slice_of(bytes, size));
    next->raw = (leat_raw){.arrival_ms = f->now_ms,
                           .tag = tag,
                           .flags = flags,
                           .topic = leat_slice_text("plant/a"),
                           .payload = leat_slice_of(next->bytes, size),
                           .position = source->position};
    source->position += size + 1;
    pthread_mutex_unlock(&f->lock);
}

static inline void flow_row(flow_fixture *f, const char *source, const char *json)
{
    flow_arrive(f, source, 0, 0, json, strlen(json));
}

// {"k": "a", "v": v, "t": t}
static inline void flow_kvt(flow_fixture *f, const char *source, const char *key, int64_t v, int64_t t)
{
    char json[160];
    snprintf(json, sizeof json, "{\"k\":\"%s\",\"v\":%lld,\"t\":%lld}", key, (long long)v, (long long)t);
    flow_row(f, source, json);
}

static inline void flow_watermark(flow_fixture *f, const char *source, int64_t ms)
{
    flow_arrive(f, source, 'W', LEAT_RAW_CONTROL, &ms, sizeof ms);
}

static inline void flow_status(flow_fixture *f, const char *source, char tag)
{
    flow_arrive(f, source, (uint8_t)tag, LEAT_RAW_CONTROL, "", 0);
}

static inline void flow_end(flow_fixture *f, const char *source)
{
    f->sources[flow_source_index(f, source)].ended = true;
}

// ---- running by hand

static inline leat_code flow_try(flow_fixture *f)
{
    leat_error error = {0};
    return leat_flow_step(f->flow, &f->wait_ms, &error);
}

static inline void flow_run(flow_fixture *f)
{
    leat_error error = {0};
    if (leat_flow_step(f->flow, &f->wait_ms, &error) != LEAT_OK)
        fail_msg("%s", error.message);
}

static inline void flow_clock(flow_fixture *f, int64_t ms)
{
    f->now_ms = ms;
    flow_run(f);
}

static inline void flow_checkpoint(flow_fixture *f)
{
    leat_flow_barrier(f->flow, ++f->barrier);
    flow_run(f);
    assert_int_equal(f->cut_done, f->barrier);
    assert_int_equal(f->parts_open, 0);
}

static inline void flow_back_to_cut(flow_fixture *f)
{
    uint32_t kept = 0, seen[FLOW_SINKS] = {0};
    for (uint32_t i = 0; i < f->plan->source_count; i++)
        f->sources[i].next = f->sources[i].cut;
    for (uint32_t i = 0; i < f->result_count; i++) {
        flow_result *each = &f->results[i];
        if (seen[each->sink]++ < f->cut_results[each->sink]) {
            f->results[kept++] = *each;
            continue;
        }
        free(each->payload);
        free(each->topic);
    }
    f->result_count = kept;
}

// The flow of `f->plan` from the image of the last checkpoint.
static inline void flow_restore(flow_fixture *f, bool savepoint)
{
    leat_error error = {0};
    flow_make(f);
    for (uint32_t i = 0; i < f->entry_count; i++) {
        const flow_entry *each = &f->entries[i];
        if (each->live)
            assert_int_equal(leat_flow_restore(f->flow, each->node, each->table, each->group,
                                               leat_slice_of(each->key, each->key_size),
                                               leat_slice_of(each->value, each->value_size), &error),
                             LEAT_OK);
    }
    assert_int_equal(leat_flow_ready(f->flow, true, savepoint, &error), LEAT_OK);
}

static inline void flow_recover(flow_fixture *f, bool savepoint)
{
    leat_flow_destroy(f->flow);
    flow_back_to_cut(f);
    flow_restore(f, savepoint);
}

// ---- looking

// "sink+I payload@event" a line, in the order of arrival; sequences are checked for gaps.
static inline const char *flow_text(flow_fixture *f)
{
    static const char *const kinds[] = {"+I", "-U", "+U", "-D"};
    uint64_t sequences[FLOW_SINKS] = {0};
    size_t size = 1;
    for (uint32_t i = 0; i < f->result_count; i++)
        size += strlen(f->results[i].payload) + 96;
    free(f->text);
    f->text = calloc(1, size);
    for (uint32_t i = 0; i < f->result_count; i++) {
        const flow_result *each = &f->results[i];
        char at[40] = "";
        assert_int_equal(each->sequence, ++sequences[each->sink]);
        if (each->event_ms != LEAT_TIME_NONE)
            snprintf(at, sizeof at, "@%lld", (long long)each->event_ms);
        snprintf(f->text + strlen(f->text), size - strlen(f->text), "%s%s %s%s\n", f->plan->sinks[each->sink].name,
                 kinds[each->kind], each->payload, at);
    }
    return f->text;
}

static inline void flow_expect(flow_fixture *f, const char *text) { assert_string_equal(flow_text(f), text); }

static inline int flow_compare_results(const void *a, const void *b)
{
    const flow_result *one = a, *two = b;
    int order = one->sink != two->sink ? (one->sink < two->sink ? -1 : 1) : strcmp(one->payload, two->payload);
    return order ? order : one->id < two->id ? -1 : one->id > two->id;
}

// The same rows with the same ids, in any order.
static inline void flow_expect_same(flow_fixture *a, flow_fixture *b)
{
    flow_text(a);
    flow_text(b);
    qsort(a->results, a->result_count, sizeof *a->results, flow_compare_results);
    qsort(b->results, b->result_count, sizeof *b->results, flow_compare_results);
    for (uint32_t i = 0; i < a->result_count && i < b->result_count; i++) {
        if (flow_compare_results(&a->results[i], &b->results[i]) != 0)
            fail_msg("result %u: %s (%016llx), %s (%016llx)", i, a->results[i].payload,
                     (unsigned long long)a->results[i].id, b->results[i].payload, (unsigned long long)b->results[i].id);
    }
    assert_int_equal(a->result_count, b->result_count);
}

static inline int64_t flow_sink_watermark(flow_fixture *f, const char *sink)
{
    for (uint32_t i = 0; i < f->plan->node_count; i++) {
        const leat_plan_node *node = &f->plan->nodes[i];
        if (node->kind != LEAT_NODE_SINK || strcmp(f->plan->sinks[node->index].name, sink) != 0)
            continue;
        leat_flow_figures figures;
        leat_flow_measure(f->flow, i, &figures);
        return figures.watermark_ms;
    }
    fail_msg("no sink %s", sink);
    return 0;
}
