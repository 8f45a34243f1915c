// Runs one gateway file on the real flow, stepped by a script: the engine of tests/conformance/run.
//
// usage: conformance_runner GATEWAY SCRIPT [ROWS_A_BATCH]
//        conformance_runner --kill DIRECTORY GATEWAY SCRIPT [ROWS_A_BATCH]
//        conformance_runner --list
//
// With --kill the script is played by many processes, one after the other. Each restores the newest checkpoint in the directory's store, plays one
// command, commits the next checkpoint and is killed by SIGKILL: at once; or after one more command that no checkpoint covers; or, some of them, by
// their parent at any moment. Results go to a file in the directory, which a life cuts to where its checkpoint saw it.
//
// With --list many cases are played by one process, each in a fork of its own. Standard input has, for each, a line
// `ROWS_A_BATCH GATEWAY_BYTES SCRIPT_BYTES` and that many bytes of text; what it prints is followed by a line `#end CODE BYTES` and that
// many bytes of what went to standard error. CODE is the exit code, or 128 and the signal, behind a newline then, since the last line may not be whole.
//
// The script has a command a line:
//   R SOURCE JSON   a row               W SOURCE MS   a watermark of that source     I SOURCE, A SOURCE   it goes idle, active
//   F               hand over the rows so far as one batch a source, and run         P MS   the processing-time clock
//   C               checkpoint, throw the flow away, recover                         S      the same as a savepoint
//   E SOURCE        end of that source's input                                       N MARK  prints {"mark":"MARK"}
//   T SOURCE        a table was read whole
//   D SEED          checkpoint; then a process of its own recovers from damaged entries and plays the rest of the script. It may refuse them, not crash
// Every command but R hands over first. Results are printed as they come, one JSON object a line: {"out":..,"op":..,"ts":..,"id":..,"row":{..}},
// {"watermark":MS}, {"savepoint":true}, {"damaged":SEED,"outcome":..,"operators":[..]}. D needs --list: there each process has its own script.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/plan.h"
#include "drivers/format.h"
#include "firmware-agent/flow/flow.h"
#include "firmware-agent/functions.h"
#include "firmware-agent/platform/env_posix.h"
#include "firmware-agent/savepoint.h"
#include "operators/base/hash.h"
#include "tests/support/damage.h"
#include "tests/support/life.h"
#include "tests/support/rescale.h"

enum {
    QUEUE_MAX = 65536,
    LINE_MAX_BYTES = 1 << 20,
    CASE_SECONDS_MAX = 10,
    PATH_BYTES = 512,
    DAMAGE_SECONDS_MAX = 5,
    DAMAGE_PIECE_MAX = 64 << 20,
    DAMAGE_RESULTS_MAX = 100000
};

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

typedef struct runner {
    leat_flow_ports ports;
    leat_env *env;
    leat_slice gateway; // its text; empty: it came from a file
    leat_plan *plan;
    leat_flow *flow;
    script_source *sources;
    leat_drops *rule_drops;
    int64_t now_ms;
    uint64_t barrier;
    bool cut_done;
    stored_entries stored;
    leat_snapshot snapshot;
    uint32_t snapshot_node;
    int64_t watermark_ms;
    uint32_t batch_rows;
    life *life;      // --kill
    uint64_t line;   // of the script, played so far
    bool saving;     // a savepoint is cut: its parts are whole and go to the entries
    bool begun_anew; // from a savepoint: the next checkpoint holds everything
    bool last;       // this command is the life's last one, and no checkpoint follows
    FILE *script;
    uint64_t damage_seed; // of the process that recovers from damaged entries; 0: this is none
    uint32_t damaged_results;
} runner;

static bool may_refuse; // what was restored is damaged

static _Noreturn void die(const char *what, const leat_error *error)
{
    if (may_refuse)
        _exit(DAMAGE_REFUSED);
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
    if (may_refuse && ++r->damaged_results > DAMAGE_RESULTS_MAX)
        _exit(0); // a count that became huge is a count
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

static runner *runner_of_snapshot(leat_snapshot *snapshot)
{
    return (runner *)((char *)snapshot - offsetof(runner, snapshot));
}

static void snapshot_put(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    runner *r = runner_of_snapshot(snapshot);
    stored_put(&r->stored, r->snapshot_node, table, group, key, value);
}

static void snapshot_remove(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key)
{
    runner *r = runner_of_snapshot(snapshot);
    stored_remove(&r->stored, r->snapshot_node, table, group, key);
}

static leat_snapshot *port_part_begin(leat_flow_ports *ports, uint64_t id, uint32_t node, uint32_t instance)
{
    runner *r = runner_of(ports);
    (void)id;
    (void)instance;
    if (r->life && !r->saving)
        return life_part(r->life, node);
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

static void restore_entries(runner *r)
{
    leat_error error = {0};
    for (size_t i = 0; i < r->stored.count; i++) {
        const stored_entry *each = &r->stored.items[i];
        if (each->live &&
            leat_flow_restore(r->flow, each->node, each->table, each->group, leat_slice_of(each->key, each->key_size),
                              leat_slice_of(each->value, each->value_size), &error) != LEAT_OK)
            die("restore", &error);
    }
}

// ---- savepoints: what a barrier cut becomes an image on disk, and the new instance knows that and nothing else

static void write_savepoint(runner *r, const char *directory, char out_path[256])
{
    leat_error error = {0};
    const char *path;
    leat_savepoint_writer *writer;
    leat_savepoint_cut cut = {.clock_ms = r->now_ms};
    if (leat_savepoint_writer_create(r->env, r->plan, directory, &writer, &error) != LEAT_OK)
        die("savepoint", &error);
    for (size_t i = 0; i < r->stored.count; i++) {
        const stored_entry *each = &r->stored.items[i];
        if (each->live)
            leat_savepoint_entry(writer, each->node, each->table, each->group, leat_slice_of(each->key, each->key_size),
                                 leat_slice_of(each->value, each->value_size));
    }
    if (leat_savepoint_writer_commit(writer, &cut, &path, &error) != LEAT_OK)
        die("savepoint", &error);
    snprintf(out_path, 256, "%s", path);
    leat_savepoint_writer_destroy(writer);
}

typedef struct taking {
    runner *r;
    const leat_savepoint_manifest *manifest;
} taking;

static leat_code take_entry(void *context, uint32_t place, uint8_t table, uint32_t group, leat_slice key,
                            leat_slice value, leat_error *out_error)
{
    const taking *self = context;
    const leat_plan *plan = self->r->plan;
    for (uint32_t i = 0; i < plan->node_count; i++) {
        if (strcmp(plan->nodes[i].uid, self->manifest->operators[place].uid) != 0)
            continue;
        // The next checkpoint adds to what the image holds.
        self->r->snapshot_node = i;
        snapshot_put(&self->r->snapshot, table, group, key, value);
        return leat_flow_restore(self->r->flow, i, table, group, key, value, out_error);
    }
    return leat_error_set(out_error, LEAT_E_NOT_FOUND, "no operator has the uid %s",
                          self->manifest->operators[place].uid);
}

static void remove_savepoint(const char *path, const char *directory)
{
    static const char *const files[] = {"MANIFEST", "state", "journal", "outbox"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char file[300];
        snprintf(file, sizeof file, "%s/%s", path, files[i]);
        unlink(file);
    }
    rmdir(path);
    rmdir(directory);
}

static void restore_savepoint(runner *r)
{
    char directory[] = "/tmp/conformance-XXXXXX", path[256];
    leat_error error = {0};
    leat_savepoint *savepoint;
    if (!mkdtemp(directory))
        die("mkdtemp", NULL);
    write_savepoint(r, directory, path);
    stored_forget(&r->stored);
    if (leat_savepoint_open(r->env, path, &savepoint, &error) != LEAT_OK)
        die("savepoint", &error);
    taking self = {r, leat_savepoint_manifest_get(savepoint)};
    leat_savepoint_visitor visitor = {.context = &self, .entry = take_entry};
    if (leat_savepoint_visit(savepoint, &visitor, &error) != LEAT_OK)
        die("savepoint", &error);
    leat_savepoint_close(savepoint);
    remove_savepoint(path, directory);
}

static void cut(runner *r)
{
    r->cut_done = false;
    leat_flow_barrier(r->flow, ++r->barrier);
    run(r);
    if (!r->cut_done)
        die("the barrier did not pass", NULL);
}

// Earlier lives left checkpoints, but no entries to add changes to.
static void cut_savepoint_of_life(runner *r)
{
    stored_forget(&r->stored);
    memset(r->snapshot.whole, true, sizeof r->snapshot.whole);
    r->snapshot.any_whole = r->snapshot.all_whole = true;
    r->saving = r->begun_anew = true;
    cut(r);
    r->saving = false;
}

static void compile(runner *r, const char *path, leat_slice text);
static const char *const text_path = "case";

// LEAT_RESCALE: each recovery is that of another number of workers, of a case in a list.
static void rescale(runner *r)
{
    static const unsigned workers[] = {1, 4, 2, 3};
    if (!r->gateway.size || !getenv("LEAT_RESCALE"))
        return;
    leat_plan_destroy(r->plan);
    compile(r, text_path, rescaled_text(r->gateway, workers[r->barrier % 4]));
}

static void recover(runner *r, bool savepoint)
{
    leat_error error = {0};
    if (r->life)
        cut_savepoint_of_life(r);
    else
        cut(r);
    leat_flow_destroy(r->flow);
    rescale(r);
    make_flow(r);
    if (savepoint)
        restore_savepoint(r);
    else
        restore_entries(r);
    if (leat_flow_ready(r->flow, true, savepoint, &error) != LEAT_OK)
        die("ready", &error);
    if (!savepoint)
        return;
    printf("{\"savepoint\":true}\n");
    r->watermark_ms = LEAT_TIME_NONE;
}

// ---- damage

static void run_script(runner *r);

static void play_damaged(void *context)
{
    runner *r = context;
    may_refuse = true;
    leat_error error = {0};
    damage_entries(&r->stored, r->damage_seed);
    leat_flow_destroy(r->flow);
    make_flow(r);
    damage_bound_memory(r->env, DAMAGE_PIECE_MAX);
    restore_entries(r);
    if (leat_flow_ready(r->flow, true, false, &error) != LEAT_OK)
        die("ready", &error);
    cut(r);
    run_script(r);
    cut(r);
    leat_flow_destroy(r->flow);
}

static void damage(runner *r, uint64_t seed)
{
    static const char *const outcomes[] = {"taken", "refused", "crashed"};
    if (r->damage_seed)
        return; // within one
    cut(r);
    r->damage_seed = seed ? seed : 1;
    damage_outcome outcome = damage_survived(play_damaged, r, DAMAGE_SECONDS_MAX);
    printf("{\"damaged\":%llu,\"outcome\":\"%s\",\"operators\":[", (unsigned long long)seed, outcomes[outcome]);
    const char *comma = "";
    for (size_t i = 0; i < r->stored.count; i++) {
        const leat_plan_node *node = &r->plan->nodes[r->stored.items[i].node];
        if (!r->stored.items[i].live || node->kind != LEAT_NODE_OPERATOR)
            continue;
        printf("%s\"%s/%u\"", comma, node->operator_name, r->stored.items[i].table);
        comma = ",";
    }
    printf("]}\n");
    r->damage_seed = 0;
}

// ---- commands of the script

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
    } else if (line[0] == 'I' || line[0] == 'A' || line[0] == LEAT_RAW_TABLE_END) {
        add_arrival(r, source_index(r, name), (uint8_t)line[0], LEAT_RAW_CONTROL, "", 0);
    } else if (line[0] == 'P') {
        r->now_ms = strtoll(name, NULL, 10);
    } else if (line[0] == 'C' || line[0] == 'S') {
        recover(r, line[0] == 'S');
        return;
    } else if (line[0] == 'D') {
        damage(r, strtoull(name, NULL, 10));
        return;
    } else if (line[0] == 'N') {
        printf("{\"mark\":\"%s\"}\n", name);
        return;
    } else if (line[0] == 'E') {
        r->sources[source_index(r, name)].ended = true;
    }
    if (line[0] != 'F')
        run(r);
}

// ---- lives: what a command leaves is committed, and the process killed

static void commit_life(runner *r)
{
    struct stat results;
    life_begin(r->life, r->begun_anew);
    cut(r);
    fflush(stdout);
    if (fstat(STDOUT_FILENO, &results) != 0)
        die("results", NULL);
    int64_t size = results.st_size;
    life_name(r->life, "line", &r->line, sizeof r->line);
    life_name(r->life, "results", &size, sizeof size);
    life_name(r->life, "watermark", &r->watermark_ms, sizeof r->watermark_ms);
    life_name(r->life, "clock", &r->now_ms, sizeof r->now_ms);
    for (uint32_t i = 0; i < r->plan->source_count; i++) {
        char name[64];
        uint64_t place[2] = {r->sources[i].position, r->sources[i].ended};
        snprintf(name, sizeof name, "source/%u", i);
        life_name(r->life, name, place, sizeof place);
    }
    life_commit(r->life, r->now_ms);
    r->begun_anew = false;
}

static void die_now(void)
{
    fflush(stdout);
    kill(getpid(), SIGKILL);
}

// Every third life goes on for a command whose results no checkpoint covers.
static void end_command(runner *r)
{
    if (!r->life)
        return;
    if (r->last)
        die_now();
    commit_life(r);
    if (leat_hash_combine(r->line, (uint64_t)getpid()) % 3 != 0)
        die_now();
    r->last = true;
}

static void restore_life(runner *r, const char *directory)
{
    char results[PATH_BYTES];
    int64_t size = 0;
    snprintf(results, sizeof results, "%s/results", directory);
    life_named(r->life, "line", &r->line, sizeof r->line);
    life_named(r->life, "results", &size, sizeof size);
    life_named(r->life, "watermark", &r->watermark_ms, sizeof r->watermark_ms);
    life_named(r->life, "clock", &r->now_ms, sizeof r->now_ms);
    for (uint32_t i = 0; i < r->plan->source_count; i++) {
        char name[64];
        uint64_t place[2] = {0};
        snprintf(name, sizeof name, "source/%u", i);
        life_named(r->life, name, place, sizeof place);
        r->sources[i].position = place[0];
        r->sources[i].ended = place[1] != 0;
    }
    if (!freopen(results, "a", stdout) || ftruncate(STDOUT_FILENO, size) != 0)
        die("results", NULL);
}

// ---- the script

static void run_script(runner *r)
{
    char *line = malloc(LINE_MAX_BYTES);
    uint64_t played = r->damage_seed ? 0 : r->line;
    r->line = 0;
    while (fgets(line, LINE_MAX_BYTES, r->script)) {
        line[strcspn(line, "\n")] = 0;
        if (++r->line <= played || !line[0])
            continue;
        command(r, line);
        if (line[0] != 'R')
            end_command(r);
    }
    run(r);
    free(line);
}

// ---- main

static leat_code compile_text_or_file(runner *r, const char *path, leat_slice text, leat_diagnostics *diagnostics,
                                      leat_error *error)
{
    static leat_functions functions;
    if (leat_functions_init(&functions, r->env, error) != LEAT_OK)
        die("functions", error);
    leat_compile_options options = {.env = r->env, .drivers = catalog(), .functions = &functions.catalog};
    if (path == text_path)
        return leat_compile_text(&options, path, text, &r->plan, diagnostics, error);
    return leat_compile_file(&options, path, &r->plan, diagnostics, error);
}

static void compile(runner *r, const char *path, leat_slice text)
{
    leat_error error = {0};
    leat_diagnostics diagnostics;
    leat_diagnostics_init(&diagnostics, r->env);
    if (compile_text_or_file(r, path, text, &diagnostics, &error) != LEAT_OK) {
        leat_writer written;
        leat_writer_init(&written, r->env, 1 << 20);
        leat_diagnostics_print(&diagnostics, &written);
        fprintf(stderr, "%.*s%s\n", (int)written.size, written.bytes ? (char *)written.bytes : "",
                diagnostics.count ? "" : error.message);
        exit(2);
    }
    leat_diagnostics_fini(&diagnostics);
}

// directory: of a life, NULL: all is played by this process.
static void play(const char *gateway_path, leat_slice gateway, FILE *script, uint32_t batch_rows, const char *directory)
{
    static runner r;
    leat_error error = {0};
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
    r.batch_rows = batch_rows;
    r.snapshot.put = snapshot_put;
    r.snapshot.remove = snapshot_remove;
    r.watermark_ms = LEAT_TIME_NONE;
    r.gateway = gateway;
    compile(&r, gateway_path, gateway);
    r.sources = calloc(r.plan->source_count + 1, sizeof *r.sources);
    r.rule_drops = calloc(r.plan->rule_count + 1, sizeof *r.rule_drops);
    for (uint32_t i = 0; i < r.plan->source_count; i++)
        r.sources[i].queue = calloc(QUEUE_MAX, sizeof *r.sources[i].queue);
    make_flow(&r);
    bool restored = false;
    if (directory) {
        r.life = life_open(r.env, r.plan, directory);
        restored = life_restore(r.life, r.flow);
        restore_life(&r, directory);
    }
    if (leat_flow_ready(r.flow, restored, false, &error) != LEAT_OK)
        die("ready", &error);
    r.script = script;
    run_script(&r);
    leat_flow_destroy(r.flow);
    leat_plan_destroy(r.plan);
}

// ---- many cases

static char *read_bytes(size_t size)
{
    char *bytes = malloc(size + 1);
    if (fread(bytes, 1, size, stdin) != size)
        die("list: the input ends within a case", NULL);
    bytes[size] = 0;
    return bytes;
}

static void report_end(int status, FILE *errors)
{
    static char text[1 << 16];
    long size = ftell(errors);
    rewind(errors);
    size = (long)fread(text, 1, size < (long)sizeof text ? (size_t)size : sizeof text, errors);
    const char *before = WIFEXITED(status) ? "" : "\n"; // it may have ended within a line
    printf("%s#end %d %ld\n%.*s", before, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), size,
           (int)size, text);
    fflush(stdout);
}

static void play_forked(leat_slice gateway, leat_slice script, uint32_t batch_rows)
{
    FILE *errors = tmpfile();
    int status = 0;
    pid_t child = errors ? fork() : -1;
    if (child < 0)
        die("list: no temporary file or no process", NULL);
    if (child == 0) {
        alarm(CASE_SECONDS_MAX);
        dup2(fileno(errors), STDERR_FILENO);
        FILE *lines = fmemopen((void *)(uintptr_t)script.data, script.size, "r");
        play(text_path, gateway, lines, batch_rows, NULL);
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, &status, 0);
    fseek(errors, 0, SEEK_END);
    report_end(status, errors);
    fclose(errors);
}

static void play_list(void)
{
    char line[128];
    while (fgets(line, sizeof line, stdin)) {
        char *rest = line;
        uint32_t batch_rows = (uint32_t)strtoul(rest, &rest, 10);
        size_t gateway_size = strtoul(rest, &rest, 10), script_size = strtoul(rest, &rest, 10);
        char *gateway = read_bytes(gateway_size), *script = read_bytes(script_size);
        play_forked(leat_slice_of(gateway, gateway_size), leat_slice_of(script, script_size), batch_rows);
        free(gateway);
        free(script);
    }
}

static int play_lives(char **arguments)
{
    char path[PATH_BYTES], bytes[4096];
    arguments[1] = "--life";
    int code = life_after_life(arguments, CASE_SECONDS_MAX);
    snprintf(path, sizeof path, "%s/results", arguments[2]);
    FILE *results = fopen(path, "r");
    for (size_t size; code == 0 && results && (size = fread(bytes, 1, sizeof bytes, results)) > 0;)
        fwrite(bytes, 1, size, stdout);
    if (results)
        fclose(results);
    return code;
}

static int usage(void)
{
    fprintf(stderr, "usage: conformance_runner [--kill DIRECTORY] GATEWAY SCRIPT [ROWS_A_BATCH]\n"
                    "       conformance_runner --list\n");
    return 2;
}

int main(int count, char **arguments)
{
    const char *directory = NULL;
    if (count == 2 && strcmp(arguments[1], "--list") == 0) {
        play_list();
        return 0;
    }
    if (count >= 5 && strcmp(arguments[1], "--kill") == 0)
        return play_lives(arguments);
    if (count >= 5 && strcmp(arguments[1], "--life") == 0) {
        directory = arguments[2];
        arguments += 2;
        count -= 2;
    }
    if (count < 3)
        return usage();
    FILE *script = fopen(arguments[2], "r");
    if (!script)
        die(arguments[2], NULL);
    play(arguments[1], leat_slice_of("", 0), script, count > 3 ? (uint32_t)atoi(arguments[3]) : 1, directory);
    fclose(script);
    return 0;
}
