#include "firmware-agent/agent.h"

#include <stdio.h>
#include <string.h>

#include "firmware-agent/clock.h"
#include "firmware-agent/platform/env_posix.h"
#include "firmware-agent/platform/lock.h"
#include "firmware-agent/platform/say.h"
#include "firmware-agent/platform/wait.h"
#include "operators/base/hash.h"

enum {
    CURSOR_SAVE_MS = 10000, // acknowledgements alone do not wear the flash more often than this
    SYNC_WAIT_MS = 120000,  // a journal or outbox that takes longer to sync is a fault
    POSITION_MAX = 512,
    END_POLL_MS = 20, // while the last results are delivered
};

// A source's position at the barrier of the round.
typedef struct source_cut {
    uint8_t bytes[POSITION_MAX];
    uint32_t size;
    uint64_t journal_end;
} source_cut;

// Where logs have to reach back to for one retained checkpoint.
typedef struct retained_cut {
    uint64_t journal;
    uint64_t *outboxes;
} retained_cut;

// What the restored checkpoint says; filled before the parts are built.
typedef struct recovered {
    leat_slice *source_positions; // data NULL: none
    uint64_t *outbox_cuts;        // UINT64_MAX: none
    leat_cursor *cursors;
    uint64_t journal_end;
    bool any;
} recovered;

struct leat_agent {
    leat_flow_ports ports; // first: the flow gets it
    leat_env *env;
    const leat_plan *plan;
    leat_arena arena;
    leat_clock clock;
    leat_ledger ledger;
    leat_store *store;
    leat_store_opened opened;
    leat_store_restored restored;
    leat_log_writer *writer;
    leat_log *journal;
    leat_feed **feeds;
    leat_delivery_line **lines;
    leat_drops *rule_drops;
    leat_flow *flow;
    leat_coordinator *coordinator;
    uint32_t *operator_numbers; // per node
    uint32_t *node_of_number;
    uint32_t number_max;
    recovered recovered;
    bool built;
    bool begins_anew; // the last run had finished
    // -- the round; written by tasks before cut_done, read by the checkpoint thread after it
    source_cut *source_cuts;
    uint64_t *sink_cuts;
    uint64_t manifest_hash, cursor_hash;
    int64_t cursor_saved_ms;
    _Atomic bool ending;
    retained_cut *retained;
    uint32_t retained_count, retained_next;
    // -- life
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool stop, finished, failed;
    _Atomic bool running;
    leat_error error;
    int64_t started_ms;
};

static leat_agent *agent_of(leat_flow_ports *ports) { return (leat_agent *)ports; }

// ---- ports

static int64_t port_now_ms(leat_flow_ports *ports) { return leat_clock_now_ms(&agent_of(ports)->clock); }

static leat_code port_source_next(leat_flow_ports *ports, uint32_t source, leat_raw *out_raw, int64_t *out_wait_ms,
                                  leat_error *out_error)
{
    return leat_feed_next(agent_of(ports)->feeds[source], out_raw, out_wait_ms, out_error);
}

static leat_source *port_source_decoder(leat_flow_ports *ports, uint32_t source)
{
    return leat_feed_decoder(agent_of(ports)->feeds[source]);
}

static void port_source_cut(leat_flow_ports *ports, uint32_t source, uint64_t id)
{
    leat_agent *agent = agent_of(ports);
    source_cut *cut = &agent->source_cuts[source];
    (void)id;
    leat_slice position = leat_feed_position(agent->feeds[source], &cut->journal_end);
    LEAT_ASSERT(position.size <= POSITION_MAX);
    cut->size = (uint32_t)position.size;
    if (position.size > 0)
        memcpy(cut->bytes, position.data, position.size);
}

static leat_drops *port_source_drops(leat_flow_ports *ports, uint32_t source)
{
    return leat_feed_drops(agent_of(ports)->feeds[source]);
}

static leat_drops *port_rule_drops(leat_flow_ports *ports, uint32_t rule) { return &agent_of(ports)->rule_drops[rule]; }

static leat_code port_result(leat_flow_ports *ports, const leat_flow_result *result, leat_error *out_error)
{
    leat_agent *agent = agent_of(ports);
    leat_delivery_line *line = agent->lines[result->sink];
    leat_code code = leat_delivery_result(line, result, out_error);
    if (code == LEAT_OK &&
        (agent->plan->sinks[result->sink].commit == LEAT_COMMIT_NOW || leat_delivery_is_crowded(line)))
        leat_coordinator_request(agent->coordinator);
    return code;
}

static void port_sink_cut(leat_flow_ports *ports, uint32_t sink, uint64_t id)
{
    leat_agent *agent = agent_of(ports);
    (void)id;
    agent->sink_cuts[sink] = leat_delivery_end(agent->lines[sink]);
}

static leat_snapshot *port_part_begin(leat_flow_ports *ports, uint64_t id, uint32_t node, uint32_t instance)
{
    (void)instance;
    return leat_coordinator_part_begin(agent_of(ports)->coordinator, id, node);
}

static void port_part_done(leat_flow_ports *ports, uint64_t id, uint32_t node, uint32_t instance,
                           leat_snapshot *snapshot)
{
    (void)id;
    (void)node;
    (void)instance;
    leat_coordinator_part_done(agent_of(ports)->coordinator, snapshot);
}

static void port_cut_done(leat_flow_ports *ports, uint64_t id)
{
    leat_coordinator_cut_done(agent_of(ports)->coordinator, id);
}

static void fail(leat_agent *agent, const leat_error *error)
{
    pthread_mutex_lock(&agent->lock);
    if (!agent->failed)
        agent->error = *error;
    agent->failed = true;
    pthread_cond_broadcast(&agent->news);
    pthread_mutex_unlock(&agent->lock);
}

static void port_failed(leat_flow_ports *ports, const leat_error *error) { fail(agent_of(ports), error); }

static void port_finished(leat_flow_ports *ports)
{
    leat_agent *agent = agent_of(ports);
    pthread_mutex_lock(&agent->lock);
    agent->finished = true;
    pthread_cond_broadcast(&agent->news);
    pthread_mutex_unlock(&agent->lock);
}

static const leat_flow_ports port_functions = {.now_ms = port_now_ms,
                                               .source_next = port_source_next,
                                               .source_decoder = port_source_decoder,
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

// ---- hooks of the coordinator; on the checkpoint thread

static int64_t hook_now_ms(void *context) { return leat_clock_now_ms(&((leat_agent *)context)->clock); }

static void hook_barrier(void *context, uint64_t id) { leat_flow_barrier(((leat_agent *)context)->flow, id); }

static uint64_t journal_end_of_cut(const leat_agent *agent)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < agent->plan->source_count; i++)
        if (agent->source_cuts[i].journal_end > end)
            end = agent->source_cuts[i].journal_end;
    return end;
}

static leat_code hook_sync(void *context, uint64_t id, leat_error *out_error)
{
    leat_agent *agent = context;
    (void)id;
    uint64_t end = journal_end_of_cut(agent);
    leat_code code = LEAT_OK;
    if (agent->journal && end > leat_log_durable_end(agent->journal)) {
        leat_log_request_sync(agent->journal, end);
        code = leat_log_wait_durable(agent->journal, end, SYNC_WAIT_MS);
    }
    for (uint32_t i = 0; i < agent->plan->sink_count && code == LEAT_OK; i++)
        code = leat_delivery_sync(agent->lines[i], agent->sink_cuts[i], SYNC_WAIT_MS);
    return code == LEAT_OK ? LEAT_OK : leat_error_set(out_error, code, "journal or outbox cannot be synced");
}

static void name_value(leat_agent *agent, leat_coordinator *coordinator, const char *kind, const char *name,
                       const void *bytes, size_t size, uint64_t *hash)
{
    char full[LEAT_NAME_SIZE + 16];
    (void)agent;
    snprintf(full, sizeof full, "%s/%s", kind, name);
    leat_coordinator_name(coordinator, full, leat_slice_of(bytes, size));
    *hash = leat_hash_seeded(bytes, size, leat_hash_seeded(full, strlen(full), *hash));
}

static void name_cursors(leat_agent *agent, leat_coordinator *coordinator, uint64_t *hash)
{
    for (uint32_t i = 0; i < agent->plan->sink_count; i++) {
        leat_cursor cursor;
        leat_delivery_cursor(agent->lines[i], &cursor);
        name_value(agent, coordinator, "cursor", agent->plan->sinks[i].name, &cursor, sizeof cursor, hash);
    }
}

static bool hook_manifest(void *context, leat_coordinator *coordinator, uint64_t id)
{
    leat_agent *agent = context;
    const leat_plan *plan = agent->plan;
    uint64_t hash = 1, cursor_hash = 1, end = journal_end_of_cut(agent);
    (void)id;
    for (uint32_t i = 0; i < plan->source_count; i++)
        name_value(agent, coordinator, "source", plan->sources[i].name, agent->source_cuts[i].bytes,
                   agent->source_cuts[i].size, &hash);
    for (uint32_t i = 0; i < plan->sink_count; i++)
        name_value(agent, coordinator, "outbox", plan->sinks[i].name, &agent->sink_cuts[i], sizeof agent->sink_cuts[i],
                   &hash);
    name_cursors(agent, coordinator, &cursor_hash);
    leat_coordinator_name(coordinator, "journal", leat_slice_of((char *)&end, sizeof end));
    int64_t now_ms = leat_boot_ms(agent->env);
    bool cursors_due = atomic_load(&agent->ending) || now_ms - agent->cursor_saved_ms >= CURSOR_SAVE_MS;
    for (uint32_t i = 0; i < plan->sink_count; i++)
        cursors_due |= leat_delivery_needs_commit(agent->lines[i]);
    bool changed = hash != agent->manifest_hash || (cursors_due && cursor_hash != agent->cursor_hash);
    agent->manifest_hash = hash;
    if (changed) {
        agent->cursor_hash = cursor_hash;
        agent->cursor_saved_ms = now_ms;
    }
    return changed;
}

static bool hook_ledger(void *context, leat_store *store)
{
    leat_agent *agent = context;
    return leat_ledger_flush(&agent->ledger, store);
}

// The positions that this checkpoint needs join those of the retained ones.
static void remember_cut(leat_agent *agent)
{
    const leat_plan *plan = agent->plan;
    uint32_t keep = (uint32_t)plan->agent->checkpoint_retained;
    retained_cut *cut = &agent->retained[agent->retained_next];
    cut->journal = UINT64_MAX;
    for (uint32_t i = 0; i < plan->source_count; i++)
        if (leat_feed_is_push(agent->feeds[i]) && agent->source_cuts[i].journal_end < cut->journal)
            cut->journal = agent->source_cuts[i].journal_end;
    memcpy(cut->outboxes, agent->sink_cuts, plan->sink_count * sizeof *cut->outboxes);
    agent->retained_next = (agent->retained_next + 1) % keep;
    if (agent->retained_count < keep)
        agent->retained_count++;
}

static bool is_full(const leat_log *log)
{
    leat_log_state state = leat_log_state_get(log);
    return state == LEAT_LOG_FULL_DISK || state == LEAT_LOG_FULL_LIMIT;
}

// What is older than all retained checkpoints may go. A full journal reaches back to the last one only: better no other to fall back to than no intake.
static void trim_logs(leat_agent *agent)
{
    const leat_plan *plan = agent->plan;
    uint32_t keep = (uint32_t)plan->agent->checkpoint_retained;
    const retained_cut *oldest = agent->retained_count < keep ? NULL : &agent->retained[agent->retained_next];
    const retained_cut *newest =
        agent->retained_count > 0 ? &agent->retained[(agent->retained_next + keep - 1) % keep] : NULL;
    const retained_cut *journal = agent->journal && is_full(agent->journal) ? newest : oldest;
    if (agent->journal && journal && journal->journal != UINT64_MAX)
        leat_log_trim(agent->journal, journal->journal);
    for (uint32_t i = 0; oldest && i < plan->sink_count; i++)
        leat_delivery_trim(agent->lines[i], oldest->outboxes[i]);
}

static void hook_committed(void *context, uint64_t id, bool written)
{
    leat_agent *agent = context;
    (void)id;
    for (uint32_t i = 0; i < agent->plan->sink_count; i++)
        leat_delivery_commit(agent->lines[i], agent->sink_cuts[i], written);
    if (written)
        remember_cut(agent);
    trim_logs(agent);
}

static void hook_fault(void *context, const leat_error *error) { fail(context, error); }

// ---- callbacks of logs

static void journal_moved(void *context, leat_log *log)
{
    leat_agent *agent = context;
    (void)log;
    for (uint32_t i = 0; i < agent->plan->source_count; i++)
        if (agent->feeds[i] && leat_feed_is_push(agent->feeds[i]))
            leat_flow_wake_source(agent->flow, i);
}

static void journal_state(void *context, leat_log *log, leat_log_state state, const leat_error *reason)
{
    leat_agent *agent = context;
    (void)log;
    if (state == LEAT_LOG_POISONED) {
        leat_error error = *reason;
        leat_error_prefix(&error, "journal");
        fail(agent, &error);
    } else if (state == LEAT_LOG_ROOM) {
        leat_say(LEAT_LEVEL_INFO, "the journal has room again; intake goes on");
    } else {
        leat_say(LEAT_LEVEL_WARNING, "%s: intake is held back, what is acknowledged is kept",
                 state == LEAT_LOG_FULL_DISK ? "the disk is full" : "the journal has reached its bound");
    }
}

static void sink_checkpoint(void *context) { leat_coordinator_request(((leat_agent *)context)->coordinator); }

static void sink_room(void *context, uint32_t sink)
{
    leat_agent *agent = context;
    if (atomic_load(&agent->running))
        leat_flow_wake_sink(agent->flow, sink);
}

// ---- building the parts, once the checkpoint's manifest is known

// STATE/<prefix><name>
static char *state_path(leat_agent *agent, const char *prefix, const char *name)
{
    return leat_arena_format(&agent->arena, "%s/%s%s", agent->plan->agent->state, prefix, name);
}

static bool has_push_source(const leat_plan *plan)
{
    for (uint32_t i = 0; i < plan->source_count; i++)
        if (!plan->sources[i].driver->replayable)
            return true;
    return false;
}

static leat_code open_journal(leat_agent *agent, leat_error *out_error)
{
    const leat_agent_settings *settings = agent->plan->agent;
    leat_log_options options = {.directory = state_path(agent, "", "journal"),
                                .max_bytes = (uint64_t)settings->journal_max_bytes,
                                .sync_ms = settings->journal_sync_ms,
                                .position_min = agent->recovered.journal_end,
                                .generation_min = (uint32_t)agent->opened.generation,
                                .scan_from = agent->recovered.journal_end,
                                .on_state = journal_state,
                                .context = agent};
    if (!has_push_source(agent->plan))
        return LEAT_OK;
    leat_log_opened *opened = leat_arena_new(&agent->arena, leat_log_opened);
    leat_code code = leat_log_open(agent->writer, &options, &agent->journal, opened, out_error);
    for (unsigned i = 0; code == LEAT_OK && i < opened->gap_count; i++) {
        if (opened->gaps[i].to <= agent->recovered.journal_end)
            continue;
        leat_ledger_add(&agent->ledger, "journal", "damage", 1, leat_wall_ms(agent->env));
        leat_say(LEAT_LEVEL_WARNING, "journal: bytes %llu to %llu are damaged and left out",
                 (unsigned long long)opened->gaps[i].from, (unsigned long long)opened->gaps[i].to);
    }
    return code;
}

static leat_code make_feeds(leat_agent *agent, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (uint32_t i = 0; i < agent->plan->source_count && code == LEAT_OK; i++) {
        leat_feed_setup setup = {
            .env = agent->env, .plan = agent->plan, .source = i, .journal = agent->journal, .ledger = &agent->ledger};
        code = leat_feed_create(&setup, &agent->feeds[i], out_error);
        if (code == LEAT_OK)
            code = leat_feed_seek(agent->feeds[i], agent->recovered.source_positions[i], out_error);
    }
    return code;
}

static leat_code make_lines(leat_agent *agent, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (uint32_t i = 0; i < agent->plan->sink_count && code == LEAT_OK; i++) {
        leat_delivery_setup setup = {.env = agent->env,
                                     .plan = agent->plan,
                                     .sink = i,
                                     .directory = state_path(agent, "outbox-", agent->plan->sinks[i].name),
                                     .writer = agent->writer,
                                     .ledger = &agent->ledger,
                                     .generation = agent->opened.generation,
                                     .cut = agent->recovered.outbox_cuts[i],
                                     .cursor = agent->recovered.cursors[i],
                                     .context = agent,
                                     .room = sink_room,
                                     .checkpoint = sink_checkpoint,
                                     .fault = hook_fault};
        code = leat_delivery_create(&setup, &agent->lines[i], out_error);
    }
    return code;
}

static leat_code make_flow(leat_agent *agent, leat_error *out_error)
{
    leat_flow_setup setup = {.env = agent->env,
                             .plan = agent->plan,
                             .ports = &agent->ports,
                             .workers = (uint32_t)agent->plan->agent->workers};
    return leat_flow_create(&setup, &agent->flow, out_error);
}

static leat_code build(leat_agent *agent, leat_error *out_error)
{
    agent->built = true;
    leat_code code = open_journal(agent, out_error);
    if (code == LEAT_OK)
        code = make_feeds(agent, out_error);
    if (code == LEAT_OK)
        code = make_lines(agent, out_error);
    if (code == LEAT_OK)
        code = make_flow(agent, out_error);
    return code;
}

// ---- recovery

static int find_source(const leat_plan *plan, leat_slice name)
{
    for (uint32_t i = 0; i < plan->source_count; i++)
        if (leat_slice_is(name, plan->sources[i].name))
            return (int)i;
    return -1;
}

static int find_sink(const leat_plan *plan, leat_slice name)
{
    for (uint32_t i = 0; i < plan->sink_count; i++)
        if (leat_slice_is(name, plan->sinks[i].name))
            return (int)i;
    return -1;
}

static bool is_kind(leat_slice name, const char *kind, leat_slice *out_rest)
{
    size_t size = strlen(kind);
    if (name.size <= size + 1 || memcmp(name.data, kind, size) != 0 || name.data[size] != '/')
        return false;
    *out_rest = leat_slice_of(name.data + size + 1, name.size - size - 1);
    return true;
}

static leat_code restore_name(void *context, leat_slice name, leat_slice bytes, leat_error *out_error)
{
    leat_agent *agent = context;
    recovered *from = &agent->recovered;
    leat_slice rest;
    int index;
    (void)out_error;
    from->any = true;
    if (is_kind(name, "source", &rest) && (index = find_source(agent->plan, rest)) >= 0)
        from->source_positions[index] =
            leat_slice_of(leat_arena_copy(&agent->arena, bytes.data, bytes.size), bytes.size);
    else if (is_kind(name, "outbox", &rest) && (index = find_sink(agent->plan, rest)) >= 0 && bytes.size == 8)
        memcpy(&from->outbox_cuts[index], bytes.data, 8);
    else if (is_kind(name, "cursor", &rest) && (index = find_sink(agent->plan, rest)) >= 0 &&
             bytes.size == sizeof(leat_cursor))
        memcpy(&from->cursors[index], bytes.data, sizeof(leat_cursor));
    else if (leat_slice_is(name, "journal") && bytes.size == 8)
        memcpy(&from->journal_end, bytes.data, 8);
    return LEAT_OK;
}

static leat_code restore_entry(void *context, uint64_t uid_hash, uint32_t number, uint8_t table, uint32_t group,
                               leat_slice key, leat_slice value, leat_error *out_error)
{
    leat_agent *agent = context;
    (void)uid_hash;
    if (!agent->built) {
        leat_code code = build(agent, out_error);
        if (code != LEAT_OK)
            return code;
    }
    uint32_t node = number <= agent->number_max ? agent->node_of_number[number] : UINT32_MAX;
    if (node == UINT32_MAX)
        return LEAT_OK; // of a rule that is not there any more, or was changed
    return leat_flow_restore(agent->flow, node, table, group, key, value, out_error);
}

// A node's state belongs to its uid and to what the node computes: a changed rule starts empty instead of reading what it cannot read.
static uint64_t state_identity(const leat_plan_node *node)
{
    uint64_t hash = leat_hash(node->uid, strlen(node->uid));
    if (node->label && node->kind == LEAT_NODE_OPERATOR)
        hash = leat_hash_seeded(node->label, strlen(node->label), hash);
    for (uint32_t i = 0; node->kind == LEAT_NODE_OPERATOR && i < node->port_count; i++) {
        for (uint32_t k = 0; k < node->port_schemas[i]->count; k++) {
            char text[LEAT_TYPE_TEXT];
            const char *type = leat_type_print(node->port_schemas[i]->fields[k].type, text);
            hash = leat_hash_seeded(type, strlen(type), hash);
        }
    }
    return hash;
}

static void number_nodes(leat_agent *agent)
{
    const leat_plan *plan = agent->plan;
    agent->operator_numbers = leat_arena_array(&agent->arena, uint32_t, plan->node_count);
    for (uint32_t i = 0; i < plan->node_count; i++) {
        uint32_t number = leat_store_operator(agent->store, state_identity(&plan->nodes[i]));
        agent->operator_numbers[i] = number;
        agent->number_max = number > agent->number_max ? number : agent->number_max;
    }
    agent->node_of_number = leat_arena_array(&agent->arena, uint32_t, agent->number_max + 1);
    memset(agent->node_of_number, 0xff, (agent->number_max + 1) * sizeof *agent->node_of_number);
    for (uint32_t i = 0; i < plan->node_count; i++)
        agent->node_of_number[agent->operator_numbers[i]] = i;
}

static void tell_recovery(const leat_agent *agent)
{
    if (agent->opened.set_aside)
        leat_say_error(LEAT_LEVEL_WARNING, "the checkpoint file could not be read and was set aside",
                       &agent->opened.reason);
    if (agent->restored.damaged_count > 0)
        leat_say(LEAT_LEVEL_WARNING, "%u newer checkpoints were damaged; the state of checkpoint %llu is used",
                 agent->restored.damaged_count, (unsigned long long)agent->restored.id);
    if (agent->restored.id > 0)
        leat_say(LEAT_LEVEL_INFO, "restored checkpoint %llu: %llu entries in %lld ms",
                 (unsigned long long)agent->restored.id, (unsigned long long)agent->restored.entries,
                 (long long)agent->restored.duration_us / 1000);
}

static leat_code recover(leat_agent *agent, leat_error *out_error)
{
    leat_store_visitor visitor = {.context = agent, .manifest = restore_name, .entry = restore_entry};
    number_nodes(agent);
    leat_code code = leat_store_restore(agent->store, LEAT_STORE_LATEST, &visitor, &agent->restored, out_error);
    leat_ledger_load(&agent->ledger, agent->store);
    if (code == LEAT_OK && !agent->built)
        code = build(agent, out_error);
    if (code != LEAT_OK)
        return code;
    tell_recovery(agent);
    return leat_flow_ready(agent->flow, agent->restored.id > 0, false, out_error);
}

// ---- the state directory

typedef struct name_list {
    leat_arena *arena;
    const char *items[512];
    uint32_t count;
} name_list;

static bool collect_name(void *context, const char *name)
{
    name_list *list = context;
    if (list->count < sizeof list->items / sizeof *list->items)
        list->items[list->count++] = leat_arena_copy(list->arena, name, strlen(name));
    return true;
}

static leat_code list_names(leat_env *env, leat_arena *arena, const char *path, name_list **out_list,
                            leat_error *out_error)
{
    *out_list = leat_arena_new(arena, name_list);
    (*out_list)->arena = arena;
    return env->ops->list(env, path, collect_name, *out_list, out_error);
}

// A log's directory: files only.
static leat_code remove_log(leat_env *env, leat_arena *arena, const char *path, leat_error *out_error)
{
    name_list *list;
    leat_code code = list_names(env, arena, path, &list, out_error);
    for (uint32_t i = 0; i < list->count && code == LEAT_OK; i++)
        code = env->ops->unlink(env, leat_arena_format(arena, "%s/%s", path, list->items[i]), out_error);
    return code == LEAT_OK ? env->ops->remove_directory(env, path, out_error) : code;
}

// A run that ended by itself leaves nothing to go on from: the next begins anew.
static leat_code forget_finished_run(leat_agent *agent, leat_error *out_error)
{
    const char *state = agent->plan->agent->state;
    name_list *list;
    leat_code code = list_names(agent->env, &agent->arena, state, &list, out_error);
    for (uint32_t i = 0; i < list->count && code == LEAT_OK; i++) {
        const char *name = list->items[i];
        const char *path = leat_arena_format(&agent->arena, "%s/%s", state, name);
        if (strncmp(name, "outbox-", 7) == 0 || strcmp(name, "journal") == 0)
            code = remove_log(agent->env, &agent->arena, path, out_error);
        else if (strcmp(name, "state.mdb") == 0 || strcmp(name, "state.mdb-lock") == 0)
            code = agent->env->ops->unlink(agent->env, path, out_error);
    }
    return code;
}

static bool exists(leat_env *env, const char *path)
{
    leat_file_stat stat;
    leat_error error;
    return env->ops->path_stat(env, path, &stat, &error) == LEAT_OK;
}

// `running` lies in the directory from start to clean end: where it is found, the last run was cut off.
static leat_code mark_running(leat_agent *agent, bool *out_suspect, leat_error *out_error)
{
    leat_env *env = agent->env;
    const char *path = state_path(agent, "", "running");
    leat_file *file;
    *out_suspect = exists(env, path);
    leat_code code = env->ops->open(env, path, LEAT_OPEN_WRITE, &file, out_error);
    if (code == LEAT_OK)
        env->ops->close(env, file);
    return code;
}

static leat_code open_store(leat_agent *agent, bool suspect, leat_error *out_error)
{
    const leat_agent_settings *settings = agent->plan->agent;
    leat_store_options options = {.directory = settings->state,
                                  .agent = settings->name,
                                  .map_bytes = (uint64_t)settings->map_size_bytes,
                                  .retained = (unsigned)settings->checkpoint_retained,
                                  .suspect = suspect};
    leat_code code = leat_store_open(agent->env, &options, &agent->store, &agent->opened, out_error);
    if (code != LEAT_OK || !agent->opened.finished)
        return code;
    int64_t floor_ms = agent->opened.floor_ms;
    leat_ledger_carry(&agent->ledger, agent->store);
    leat_store_close(agent->store);
    agent->store = NULL;
    agent->begins_anew = true;
    code = forget_finished_run(agent, out_error);
    if (code == LEAT_OK)
        code = leat_store_open(agent->env, &options, &agent->store, &agent->opened, out_error);
    agent->opened.floor_ms = floor_ms;
    return code;
}

static bool has_logs(leat_agent *agent)
{
    bool any = exists(agent->env, state_path(agent, "", "journal"));
    for (uint32_t i = 0; i < agent->plan->sink_count && !any; i++)
        any = exists(agent->env, state_path(agent, "outbox-", agent->plan->sinks[i].name));
    return any;
}

static void tell_missing_store(leat_agent *agent)
{
    leat_ledger_add(&agent->ledger, "agent", "state-missing", 1, leat_wall_ms(agent->env));
    leat_say(LEAT_LEVEL_WARNING,
             "the checkpoint file is missing: every rule starts empty, every source at its beginning");
}

// ---- life

static void make_tables(leat_agent *agent)
{
    const leat_plan *plan = agent->plan;
    leat_arena *arena = &agent->arena;
    agent->feeds = leat_arena_array(arena, leat_feed *, plan->source_count + 1);
    agent->lines = leat_arena_array(arena, leat_delivery_line *, plan->sink_count + 1);
    agent->rule_drops = leat_arena_array(arena, leat_drops, plan->rule_count + 1);
    agent->source_cuts = leat_arena_array(arena, source_cut, plan->source_count + 1);
    agent->sink_cuts = leat_arena_array(arena, uint64_t, plan->sink_count + 1);
    agent->recovered.source_positions = leat_arena_array(arena, leat_slice, plan->source_count + 1);
    agent->recovered.outbox_cuts = leat_arena_array(arena, uint64_t, plan->sink_count + 1);
    agent->recovered.cursors = leat_arena_array(arena, leat_cursor, plan->sink_count + 1);
    memset(agent->recovered.outbox_cuts, 0xff, (plan->sink_count + 1) * sizeof *agent->recovered.outbox_cuts);
    agent->retained = leat_arena_array(arena, retained_cut, plan->agent->checkpoint_retained);
    for (int64_t i = 0; i < plan->agent->checkpoint_retained; i++)
        agent->retained[i].outboxes = leat_arena_array(arena, uint64_t, plan->sink_count + 1);
}

static leat_code make_coordinator(leat_agent *agent, leat_error *out_error)
{
    const leat_agent_settings *settings = agent->plan->agent;
    leat_coordinator_setup setup = {.env = agent->env,
                                    .store = agent->store,
                                    .hooks = {.context = agent,
                                              .now_ms = hook_now_ms,
                                              .barrier = hook_barrier,
                                              .sync = hook_sync,
                                              .manifest = hook_manifest,
                                              .ledger = hook_ledger,
                                              .committed = hook_committed,
                                              .fault = hook_fault},
                                    .interval_ms = settings->checkpoint_interval_ms,
                                    .min_pause_ms = settings->checkpoint_min_pause_ms,
                                    .gap_ms = settings->commit_gap_ms,
                                    .last_id = agent->restored.id,
                                    .node_count = agent->plan->node_count,
                                    .operator_numbers = agent->operator_numbers};
    return leat_coordinator_create(&setup, &agent->coordinator, out_error);
}

static leat_code open_agent(leat_agent *agent, leat_error *out_error)
{
    bool suspect = false;
    leat_env *env = agent->env;
    leat_code code = env->ops->make_directory(env, agent->plan->agent->state, 0750, out_error);
    if (code == LEAT_OK)
        code = leat_lock_take(state_path(agent, "", "lock"), out_error);
    if (code == LEAT_OK)
        code = mark_running(agent, &suspect, out_error);
    bool had_logs = has_logs(agent);
    if (code == LEAT_OK)
        code = open_store(agent, suspect, out_error);
    if (code != LEAT_OK)
        return code;
    if (had_logs && agent->opened.created && !agent->opened.set_aside && !agent->begins_anew)
        tell_missing_store(agent);
    leat_clock_init(&agent->clock, env, agent->opened.floor_ms);
    code = leat_log_writer_create(env, true, &agent->writer, out_error);
    if (code == LEAT_OK)
        code = recover(agent, out_error);
    return code == LEAT_OK ? make_coordinator(agent, out_error) : code;
}

leat_code leat_agent_create(leat_env *env, const leat_plan *plan, leat_agent **out_agent, leat_error *out_error)
{
    leat_agent *agent = leat_env_calloc(env, sizeof *agent);
    if (!agent)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for the agent");
    agent->ports = port_functions;
    agent->env = env;
    agent->plan = plan;
    leat_arena_init(&agent->arena, env, 16384);
    leat_ledger_init(&agent->ledger);
    pthread_mutex_init(&agent->lock, NULL);
    leat_wait_init(&agent->news);
    make_tables(agent);
    leat_code code = open_agent(agent, out_error);
    if (code != LEAT_OK) {
        leat_agent_destroy(agent);
        return code;
    }
    agent->started_ms = leat_clock_now_ms(&agent->clock);
    *out_agent = agent;
    return LEAT_OK;
}

static leat_code start_parts(leat_agent *agent, leat_error *out_error)
{
    leat_code code = leat_flow_start(agent->flow, out_error);
    if (code == LEAT_OK && agent->journal)
        leat_log_subscribe(agent->journal, journal_moved, agent);
    if (code == LEAT_OK)
        code = leat_coordinator_start(agent->coordinator, out_error);
    for (uint32_t i = 0; i < agent->plan->sink_count && code == LEAT_OK; i++)
        code = leat_delivery_start(agent->lines[i], out_error);
    for (uint32_t i = 0; i < agent->plan->source_count && code == LEAT_OK; i++)
        code = leat_feed_start(agent->feeds[i], out_error);
    return code;
}

static bool all_delivered(const leat_agent *agent)
{
    for (uint32_t i = 0; i < agent->plan->sink_count; i++)
        if (!leat_delivery_is_done(agent->lines[i]))
            return false;
    return true;
}

static uint64_t acknowledged(const leat_agent *agent)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < agent->plan->sink_count; i++) {
        leat_delivery_figures figures;
        leat_delivery_measure(agent->lines[i], &figures);
        sum += figures.sequence;
    }
    return sum;
}

static bool has_failed(leat_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    bool failed = agent->failed;
    pthread_mutex_unlock(&agent->lock);
    return failed;
}

// Delivers what is committed. With `progress` the time begins anew whenever a receiver acknowledges something.
static bool deliver_rest(leat_agent *agent, bool progress)
{
    int64_t timeout_ms = agent->plan->agent->stop_timeout_ms, since_ms = leat_boot_ms(agent->env);
    uint64_t seen = acknowledged(agent);
    while (!all_delivered(agent)) {
        if (leat_boot_ms(agent->env) - since_ms >= timeout_ms || has_failed(agent))
            return false;
        pthread_mutex_lock(&agent->lock);
        leat_wait(&agent->news, &agent->lock, END_POLL_MS);
        pthread_mutex_unlock(&agent->lock);
        uint64_t now = acknowledged(agent);
        if (progress && now != seen)
            since_ms = leat_boot_ms(agent->env);
        seen = now;
    }
    return true;
}

static leat_agent_end wait_for_end(leat_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    while (!agent->stop && !agent->finished && !agent->failed)
        leat_wait(&agent->news, &agent->lock, -1);
    leat_agent_end end = agent->failed ? LEAT_END_FAILED : agent->stop ? LEAT_END_STOPPED : LEAT_END_FINISHED;
    pthread_mutex_unlock(&agent->lock);
    return end;
}

static void stop_parts(leat_agent *agent)
{
    atomic_store(&agent->running, false);
    for (uint32_t i = 0; i < agent->plan->source_count; i++)
        leat_feed_stop(agent->feeds[i]);
    if (agent->journal)
        leat_log_subscribe(agent->journal, NULL, NULL);
    leat_coordinator_stop(agent->coordinator);
    leat_flow_stop(agent->flow);
    for (uint32_t i = 0; i < agent->plan->sink_count; i++)
        leat_delivery_stop(agent->lines[i]);
}

static void end_cleanly(leat_agent *agent, leat_agent_end end)
{
    leat_error error;
    if (end == LEAT_END_FINISHED)
        leat_store_set_finished(agent->store, true);
    leat_ledger_flush(&agent->ledger, agent->store);
    if (leat_store_flush(agent->store, &error) != LEAT_OK)
        leat_say_error(LEAT_LEVEL_WARNING, "checkpoint file", &error);
    else if (agent->env->ops->unlink(agent->env, state_path(agent, "", "running"), &error) != LEAT_OK)
        leat_say_error(LEAT_LEVEL_WARNING, "state directory", &error);
}

// Everything that was read is in a checkpoint, what could be delivered is, and its cursors are kept.
static leat_agent_end wind_down(leat_agent *agent, leat_agent_end end)
{
    int64_t timeout_ms = agent->plan->agent->stop_timeout_ms;
    for (uint32_t i = 0; i < agent->plan->source_count; i++)
        leat_feed_request_stop(agent->feeds[i]);
    // Nothing more is read, nothing is drained: what lies in journals and files is the next run's.
    leat_flow_end_sources(agent->flow, false);
    atomic_store(&agent->ending, true);
    bool saved = leat_coordinator_final(agent->coordinator, end == LEAT_END_FINISHED ? SYNC_WAIT_MS : timeout_ms);
    bool delivered = saved && deliver_rest(agent, end == LEAT_END_FINISHED);
    saved = saved && leat_coordinator_final(agent->coordinator, timeout_ms);
    if (!saved && !has_failed(agent))
        leat_say(LEAT_LEVEL_WARNING, "the last checkpoint could not be made in time");
    if (end == LEAT_END_FINISHED && !(saved && delivered))
        end = LEAT_END_UNDELIVERED;
    return has_failed(agent) ? LEAT_END_FAILED : end;
}

leat_agent_end leat_agent_run(leat_agent *agent, leat_error *out_error)
{
    leat_error error = {0};
    atomic_store(&agent->running, true);
    if (start_parts(agent, &error) != LEAT_OK)
        fail(agent, &error);
    leat_agent_end end = wait_for_end(agent);
    if (end != LEAT_END_FAILED)
        end = wind_down(agent, end);
    stop_parts(agent);
    if (end == LEAT_END_FAILED && out_error)
        *out_error = agent->error;
    if (end != LEAT_END_FAILED)
        end_cleanly(agent, end);
    return end;
}

void leat_agent_stop(leat_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    agent->stop = true;
    pthread_cond_broadcast(&agent->news);
    pthread_mutex_unlock(&agent->lock);
}

void leat_agent_destroy(leat_agent *agent)
{
    if (!agent)
        return;
    leat_error error;
    leat_coordinator_destroy(agent->coordinator);
    leat_flow_destroy(agent->flow);
    for (uint32_t i = 0; i < agent->plan->sink_count; i++)
        leat_delivery_destroy(agent->lines[i]);
    for (uint32_t i = 0; i < agent->plan->source_count; i++)
        leat_feed_destroy(agent->feeds[i]);
    if (agent->journal && leat_log_close(agent->journal, &error) != LEAT_OK)
        leat_say_error(LEAT_LEVEL_ERROR, "journal", &error);
    if (agent->writer)
        leat_log_writer_destroy(agent->writer);
    leat_store_close(agent->store);
    pthread_cond_destroy(&agent->news);
    pthread_mutex_destroy(&agent->lock);
    leat_env *env = agent->env;
    leat_arena_fini(&agent->arena);
    leat_env_free(env, agent, sizeof *agent);
}

// ---- for the control side

const leat_plan *leat_agent_plan(const leat_agent *agent) { return agent->plan; }

const leat_flow *leat_agent_flow(const leat_agent *agent) { return agent->flow; }

const leat_feed *leat_agent_feed(const leat_agent *agent, uint32_t source) { return agent->feeds[source]; }

const leat_delivery_line *leat_agent_line(const leat_agent *agent, uint32_t sink) { return agent->lines[sink]; }

const leat_drops *leat_agent_rule_drops(const leat_agent *agent, uint32_t rule) { return &agent->rule_drops[rule]; }

leat_ledger *leat_agent_ledger(leat_agent *agent) { return &agent->ledger; }

int64_t leat_agent_now_ms(const leat_agent *agent) { return leat_clock_now_ms(&agent->clock); }

void leat_agent_measure(const leat_agent *agent, leat_agent_figures *out_figures)
{
    *out_figures = (leat_agent_figures){.started_ms = agent->started_ms,
                                        .memory_bytes = leat_env_posix_memory(agent->env),
                                        .restored_id = agent->restored.id,
                                        .restored_entries = agent->restored.entries,
                                        .restored_us = agent->restored.duration_us,
                                        .running = atomic_load(&agent->running)};
    leat_coordinator_measure(agent->coordinator, &out_figures->checkpoint);
    if (!agent->journal)
        return;
    out_figures->has_journal = true;
    out_figures->journal = leat_log_stats_get(agent->journal);
    out_figures->journal_bytes = leat_log_append_end(agent->journal) - leat_log_oldest(agent->journal);
    out_figures->journal_full = is_full(agent->journal);
}
