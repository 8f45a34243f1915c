// Runs one gateway file on the real flow, stepped by a script: the engine of tests/conformance/run.
//
// usage: conformance_runner GATEWAY SCRIPT [ROWS_A_BATCH]
//
// The script has a command a line:
//   R SOURCE JSON   a row               W SOURCE MS   a watermark of that source     I SOURCE, A SOURCE   it goes idle, active
//   F               hand over the rows so far as one batch a source, and run         P MS   the processing-time clock
//   C               checkpoint, throw the flow away, recover                         S      the same as a savepoint
//   E SOURCE        end of that source's input
// Every command but R hands over first. Results are printed as they come, one JSON object a line: {"out":..,"op":..,"ts":..,"id":..,"row":{..}},
// {"watermark":MS}, {"savepoint":true}.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/plan.h"
#include "drivers/format.h"
#include "firmware-agent/flow/flow.h"
#include "firmware-agent/functions.h"
#include "firmware-agent/platform/env_posix.h"

enum { QUEUE_MAX = 65536, LINE_MAX_BYTES = 1 << 20 };

typedef struct arrival {
    leat_raw raw;
    char *bytes;
    bool end;
} arrival;

typedef struct script_source {
    arrival *queue;
    uint32_t first, count;
    uint64_t position;
    bool ended;
    leat_drops drops;
} script_source;

// One entry of the image that recovery reads.
typedef struct entry {
    uint32_t node, group;
    uint8_t table;
    bool live;
    char *key, *value;
    size_t key_size, value_size;
} entry;

typedef struct runner {
    leat_flow_ports ports;
    leat_env *env;
    leat_plan *plan;
    leat_flow *flow;
    script_source *sources;
    leat_drops *rule_drops;
    int64_t now_ms;
    uint64_t barrier;
    bool cut_done;
    entry *entries;
    size_t entry_count;
    leat_snapshot snapshot;
    uint32_t snapshot_node;
    int64_t watermark_ms;
    uint32_t batch_rows;
} runner;

static _Noreturn void die(const char *what, const leat_error *error)
{
    fprintf(stderr, "%s: %s%s%s\n", what, error ? error->place : "", error && error->place[0] ? ": " : "",
            error ? error->message : "");
    exit(1);
}

static runner *runner_of(leat_flow_ports *ports) { return (runner *)ports; }

// ---- the scripted drivers, beside the real ones in the catalog

static const leat_source_description script_description = {
    .name = "script", .summary = "rows from a script", .replayable = true};
static const leat_sink_description collect_description = {.name = "collect",
                                                          .summary = "prints what it is handed",
                                                          .takes_upsert = true,
                                                          .takes_retract = true,
                                                          .guarantee = 'N',
                                                          .guarantee_text = "none"};
static const leat_driver_catalog *catalog(void)
{
    static const leat_source_description *sources[64];
    static const leat_sink_description *sinks[64];
    static leat_driver_catalog extended;
    const leat_driver_catalog *real = leat_driver_catalog_get();
    uint32_t count = 0;
    sources[count++] = &script_description;
    for (uint32_t i = 0; real->sources[i] && count < 63; i++)
        sources[count++] = real->sources[i];
    count = 0;
    sinks[count++] = &collect_description;
    for (uint32_t i = 0; real->sinks[i] && count < 63; i++)
        sinks[count++] = real->sinks[i];
    extended = (leat_driver_catalog){sources, sinks, real->formats};
    return &extended;
}

// ---- ports

static int64_t port_now(leat_flow_ports *ports) { return runner_of(ports)->now_ms; }

static leat_code port_next(leat_flow_ports *ports, uint32_t source, leat_raw *out_raw, int64_t *out_wait_ms,
                           leat_error *out_error)
{
    script_source *from = &runner_of(ports)->sources[source];
    (void)out_error;
    *out_wait_ms = -1;
    if (from->count == 0)
        return from->ended ? LEAT_END : LEAT_AGAIN;
    arrival *next = &from->queue[from->first];
    from->first++;
    from->count--;
    *out_raw = next->raw;
    return LEAT_OK;
}

static leat_source *port_decoder(leat_flow_ports *ports, uint32_t source)
{
    (void)ports;
    (void)source;
    return NULL;
}

static void port_source_cut(leat_flow_ports *ports, uint32_t source, uint64_t id)
{
    (void)ports;
    (void)source;
    (void)id;
}

static leat_drops *port_source_drops(leat_flow_ports *ports, uint32_t source)
{
    return &runner_of(ports)->sources[source].drops;
}

static leat_drops *port_rule_drops(leat_flow_ports *ports, uint32_t rule)
{
    return &runner_of(ports)->rule_drops[rule];
}

static leat_code port_result(leat_flow_ports *ports, const leat_flow_result *result, leat_error *out_error)
{
    static const char *const kinds[] = {"+I", "-U", "+U", "-D"};
    runner *r = runner_of(ports);
    (void)out_error;
    printf("{\"out\":\"%s\",\"op\":\"%s\",\"ts\":%lld,\"id\":\"%016llx\",\"row\":%.*s}\n",
           r->plan->sinks[result->sink].name, kinds[result->kind], (long long)result->event_ms,
           (unsigned long long)result->id, (int)result->payload.size, result->payload.data);
    return LEAT_OK;
}

static void port_sink_cut(leat_flow_ports *ports, uint32_t sink, uint64_t id)
{
    (void)ports;
    (void)sink;
    (void)id;
}

static char *copy_bytes(leat_slice bytes)
{
    char *copy = malloc(bytes.size + 1);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return copy;
}

static entry *find_entry(runner *r, uint8_t table, uint32_t group, leat_slice key)
{
    for (size_t i = 0; i < r->entry_count; i++) {
        entry *each = &r->entries[i];
        if (each->node == r->snapshot_node && each->table == table && each->group == group &&
            each->key_size == key.size && memcmp(each->key, key.data, key.size) == 0)
            return each;
    }
    return NULL;
}

static void snapshot_put(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    runner *r = (runner *)((char *)snapshot - offsetof(runner, snapshot));
    entry *found = find_entry(r, table, group, key);
    if (!found) {
        r->entries = realloc(r->entries, (r->entry_count + 1) * sizeof *r->entries);
        found = &r->entries[r->entry_count++];
        *found = (entry){
            .node = r->snapshot_node, .table = table, .group = group, .key = copy_bytes(key), .key_size = key.size};
    }
    free(found->value);
    found->value = copy_bytes(value);
    found->value_size = value.size;
    found->live = true;
}

static void snapshot_remove(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key)
{
    runner *r = (runner *)((char *)snapshot - offsetof(runner, snapshot));
    entry *found = find_entry(r, table, group, key);
    if (found)
        found->live = false;
}

static leat_snapshot *port_part_begin(leat_flow_ports *ports, uint64_t id, uint32_t node, uint32_t instance)
{
    runner *r = runner_of(ports);
    (void)id;
    (void)instance;
    r->snapshot_node = node;
    return &r->snapshot;
}

static void port_part_done(leat_flow_ports *ports, uint64_t id, uint32_t node, uint32_t instance,
                           leat_snapshot *snapshot)
{
    (void)ports;
    (void)id;
    (void)node;
    (void)instance;
    (void)snapshot;
}

static void port_cut_done(leat_flow_ports *ports, uint64_t id)
{
    (void)id;
    runner_of(ports)->cut_done = true;
}

static void port_failed(leat_flow_ports *ports, const leat_error *error)
{
    (void)ports;
    die("rule failed", error);
}

static void port_finished(leat_flow_ports *ports) { (void)ports; }

// ---- flow

static void make_flow(runner *r)
{
    leat_error error = {0};
    leat_flow_setup setup = {
        .env = r->env, .plan = r->plan, .ports = &r->ports, .workers = 0, .batch_rows = r->batch_rows};
    if (leat_flow_create(&setup, &r->flow, &error) != LEAT_OK)
        die("flow", &error);
}

// The watermark that has reached the sink of the main stream is listed when it rises.
static void print_watermark(runner *r)
{
    for (uint32_t i = 0; i < r->plan->node_count; i++) {
        const leat_plan_node *node = &r->plan->nodes[i];
        if (node->kind != LEAT_NODE_SINK || strcmp(r->plan->sinks[node->index].name, "main") != 0)
            continue;
        leat_flow_figures figures;
        leat_flow_measure(r->flow, i, &figures);
        if (figures.watermark_ms > r->watermark_ms)
            printf("{\"watermark\":%lld}\n", (long long)figures.watermark_ms);
        if (figures.watermark_ms > r->watermark_ms)
            r->watermark_ms = figures.watermark_ms;
    }
}

static void run(runner *r)
{
    leat_error error = {0};
    int64_t wait_ms;
    for (uint32_t i = 0; i < r->plan->source_count; i++)
        leat_flow_wake_source(r->flow, i);
    if (leat_flow_step(r->flow, &wait_ms, &error) != LEAT_OK)
        die("step", &error);
    for (uint32_t i = 0; i < r->plan->source_count; i++) {
        script_source *source = &r->sources[i];
        if (source->count == 0) {
            for (uint32_t k = 0; k < source->first; k++)
                free(source->queue[k].bytes);
            source->first = 0;
        }
    }
    print_watermark(r);
}

static void recover(runner *r, bool savepoint)
{
    leat_error error = {0};
    r->cut_done = false;
    leat_flow_barrier(r->flow, ++r->barrier);
    run(r);
    if (!r->cut_done)
        die("the barrier did not pass", NULL);
    leat_flow_destroy(r->flow);
    make_flow(r);
    for (size_t i = 0; i < r->entry_count; i++) {
        const entry *each = &r->entries[i];
        if (each->live &&
            leat_flow_restore(r->flow, each->node, each->table, each->group, leat_slice_of(each->key, each->key_size),
                              leat_slice_of(each->value, each->value_size), &error) != LEAT_OK)
            die("restore", &error);
    }
    if (leat_flow_ready(r->flow, true, savepoint, &error) != LEAT_OK)
        die("ready", &error);
    if (savepoint) {
        printf("{\"savepoint\":true}\n");
        r->watermark_ms = LEAT_TIME_NONE;
    }
}

// ---- the script

static uint32_t source_index(const runner *r, const char *name)
{
    for (uint32_t i = 0; i < r->plan->source_count; i++)
        if (strcmp(r->plan->sources[i].name, name) == 0)
            return i;
    fprintf(stderr, "script: no source %s\n", name);
    exit(1);
}

static void add_arrival(runner *r, uint32_t source, uint8_t tag, uint8_t flags, const void *bytes, size_t size)
{
    script_source *to = &r->sources[source];
    if (to->first + to->count == QUEUE_MAX)
        die("script: too many rows in one batch", NULL);
    arrival *next = &to->queue[to->first + to->count++];
    next->bytes = malloc(size + 1);
    memcpy(next->bytes, bytes, size);
    next->raw = (leat_raw){.arrival_ms = r->now_ms,
                           .tag = tag,
                           .flags = flags,
                           .payload = leat_slice_of(next->bytes, size),
                           .position = to->position};
    to->position += size + 1;
}

static void command(runner *r, char *line)
{
    char *name = line + 1 + strspn(line + 1, " "), *rest = name + strcspn(name, " ");
    if (*rest)
        *rest++ = 0;
    if (line[0] == 'R') {
        add_arrival(r, source_index(r, name), 0, 0, rest, strlen(rest));
        return;
    }
    run(r);
    if (line[0] == 'W') {
        int64_t ms = strtoll(rest, NULL, 10);
        add_arrival(r, source_index(r, name), 'W', LEAT_RAW_CONTROL, &ms, sizeof ms);
    } else if (line[0] == 'I' || line[0] == 'A') {
        add_arrival(r, source_index(r, name), (uint8_t)line[0], LEAT_RAW_CONTROL, "", 0);
    } else if (line[0] == 'P') {
        r->now_ms = strtoll(name, NULL, 10);
    } else if (line[0] == 'C' || line[0] == 'S') {
        recover(r, line[0] == 'S');
        return;
    } else if (line[0] == 'E') {
        r->sources[source_index(r, name)].ended = true;
    }
    if (line[0] != 'F')
        run(r);
}

static void run_script(runner *r, const char *path)
{
    FILE *script = fopen(path, "r");
    char *line = malloc(LINE_MAX_BYTES);
    if (!script)
        die(path, NULL);
    while (fgets(line, LINE_MAX_BYTES, script)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0])
            command(r, line);
    }
    run(r);
    free(line);
    fclose(script);
}

// ---- main

static void compile(runner *r, const char *path)
{
    static leat_functions functions;
    leat_error error = {0};
    leat_diagnostics diagnostics;
    if (leat_functions_init(&functions, r->env, &error) != LEAT_OK)
        die("functions", &error);
    leat_compile_options options = {.env = r->env, .drivers = catalog(), .functions = &functions.catalog};
    leat_diagnostics_init(&diagnostics, r->env);
    if (leat_compile_file(&options, path, &r->plan, &diagnostics, &error) != LEAT_OK) {
        leat_writer text;
        leat_writer_init(&text, r->env, 1 << 20);
        leat_diagnostics_print(&diagnostics, &text);
        fprintf(stderr, "%.*s%s\n", (int)text.size, text.bytes ? (char *)text.bytes : "",
                diagnostics.count ? "" : error.message);
        exit(2);
    }
    leat_diagnostics_fini(&diagnostics);
}

int main(int count, char **arguments)
{
    static runner r;
    leat_error error = {0};
    if (count < 3) {
        fprintf(stderr, "usage: conformance_runner GATEWAY SCRIPT [ROWS_A_BATCH]\n");
        return 2;
    }
    r.ports = (leat_flow_ports){.now_ms = port_now,
                                .source_next = port_next,
                                .source_decoder = port_decoder,
                                .source_cut = port_source_cut,
                                .source_drops = port_source_drops,
                                .rule_drops = port_rule_drops,
                                .result = port_result,
                                .sink_cut = port_sink_cut,
                                .part_begin = port_part_begin,
                                .part_done = port_part_done,
                                .cut_done = port_cut_done,
                                .failed = port_failed,
                                .finished = port_finished};
    r.env = leat_env_posix(0);
    r.batch_rows = count > 3 ? (uint32_t)atoi(arguments[3]) : 1;
    r.snapshot.put = snapshot_put;
    r.snapshot.remove = snapshot_remove;
    r.watermark_ms = LEAT_TIME_NONE;
    compile(&r, arguments[1]);
    r.sources = calloc(r.plan->source_count + 1, sizeof *r.sources);
    r.rule_drops = calloc(r.plan->rule_count + 1, sizeof *r.rule_drops);
    for (uint32_t i = 0; i < r.plan->source_count; i++)
        r.sources[i].queue = calloc(QUEUE_MAX, sizeof *r.sources[i].queue);
    make_flow(&r);
    if (leat_flow_ready(r.flow, false, false, &error) != LEAT_OK)
        die("ready", &error);
    run_script(&r, arguments[2]);
    leat_flow_destroy(r.flow);
    leat_plan_destroy(r.plan);
    return 0;
}
