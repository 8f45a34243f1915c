// Savepoints at the agent's side: what is written when a run has come to rest, and how a state directory is made from one.
//
// What is journalled and not processed travels along, and so does what no receiver has acknowledged: a savepoint needs nothing of the directory
// that it was made in. A new journal begins behind the old one's positions, so that no id of a result is ever made twice.
#include <stdio.h>
#include <string.h>

#include "firmware-agent/agent_struct.h"
#include "firmware-agent/platform/say.h"
#include "operators/base/hash.h"

// ---- writing

typedef struct source_mark {
    uint64_t name_hash, position; // position: in the journal, of what was not processed
    bool push;
} source_mark;

typedef struct saving {
    leat_agent *agent;
    leat_savepoint_writer *writer;
    source_mark *marks;
    uint64_t journal_end;
} saving;

static leat_code save_name(void *context, leat_slice name, leat_slice bytes, leat_error *out_error)
{
    saving *self = context;
    const leat_plan *plan = self->agent->plan;
    (void)out_error;
    if (leat_slice_is(name, "journal") && bytes.size == 8)
        memcpy(&self->journal_end, bytes.data, 8);
    for (uint32_t i = 0; i < plan->source_count; i++) {
        char full[LEAT_NAME_SIZE + 16];
        snprintf(full, sizeof full, "source/%s", plan->sources[i].name);
        if (!leat_slice_is(name, full))
            continue;
        if (self->marks[i].push && bytes.size == 8)
            memcpy(&self->marks[i].position, bytes.data, 8);
        leat_savepoint_source(self->writer, i, self->marks[i].push ? (leat_slice){"", 0} : bytes);
    }
    return LEAT_OK;
}

static leat_code save_entry(void *context, uint64_t uid_hash, uint32_t number, uint8_t table, uint32_t group,
                            leat_slice key, leat_slice value, leat_error *out_error)
{
    saving *self = context;
    const leat_agent *agent = self->agent;
    (void)uid_hash, (void)out_error;
    uint32_t node = number <= agent->number_max ? agent->node_of_number[number] : UINT32_MAX;
    if (node != UINT32_MAX)
        leat_savepoint_entry(self->writer, node, table, group, key, value);
    return LEAT_OK;
}

static void save_arrival(saving *self, leat_slice record, uint64_t position, bool consumed)
{
    leat_raw raw;
    uint64_t name_hash;
    if (!leat_feed_read_record(record, &name_hash, &raw))
        return;
    for (uint32_t i = 0; i < self->agent->plan->source_count; i++) {
        const source_mark *mark = &self->marks[i];
        if (!mark->push || mark->name_hash != name_hash || (position < mark->position) != consumed)
            continue;
        // A processed message is only needed for its packet key.
        if (!consumed || raw.key != 0)
            leat_savepoint_arrival(self->writer, i, consumed, record);
    }
}

// What was processed comes first, so that one position parts it from the rest in the next journal.
static leat_code save_journal(saving *self, bool consumed, leat_error *out_error)
{
    leat_log *journal = self->agent->journal;
    leat_log_reader *reader;
    if (!journal)
        return LEAT_OK;
    leat_code code = leat_log_reader_open(journal, LEAT_LOG_OLDEST, &reader, out_error);
    if (code != LEAT_OK)
        return code;
    leat_slice record;
    uint64_t position;
    while ((code = leat_log_reader_next(reader, &record, &position, NULL, out_error)) == LEAT_OK ||
           code == LEAT_E_CORRUPT) // told and counted when it was opened or read
        if (code == LEAT_OK)
            save_arrival(self, record, position, consumed);
    leat_log_reader_close(reader);
    if (code == LEAT_AGAIN && leat_log_append_end(journal) > self->journal_end)
        self->journal_end = leat_log_append_end(journal);
    return code == LEAT_AGAIN ? LEAT_OK : code;
}

static leat_code save_outbox(saving *self, uint32_t sink, leat_error *out_error)
{
    leat_cursor cursor;
    leat_log_reader *reader;
    leat_log *outbox = leat_delivery_outbox(self->agent->lines[sink]);
    leat_delivery_cursor(self->agent->lines[sink], &cursor);
    leat_savepoint_sink(self->writer, sink, cursor.sequence,
                        leat_slice_of((const char *)cursor.token, cursor.token_size));
    leat_code code = leat_log_reader_open(outbox, cursor.position, &reader, out_error);
    if (code == LEAT_E_NOT_FOUND) // nothing was ever written
        code = leat_log_reader_open(outbox, LEAT_LOG_OLDEST, &reader, out_error);
    if (code != LEAT_OK)
        return code;
    leat_slice record;
    uint64_t position, count = 0;
    while ((code = leat_log_reader_next(reader, &record, &position, NULL, out_error)) == LEAT_OK ||
           code == LEAT_E_CORRUPT) {
        if (code == LEAT_OK && ++count)
            leat_savepoint_result(self->writer, sink, record);
    }
    leat_log_reader_close(reader);
    if (count > 0)
        leat_say(LEAT_LEVEL_INFO, "sink '%s': %llu results that are not delivered travel with the savepoint",
                 self->agent->plan->sinks[sink].name, (unsigned long long)count);
    return code == LEAT_AGAIN ? LEAT_OK : code;
}

leat_code leat_agent_save(leat_agent *agent, leat_error *out_error)
{
    const leat_plan *plan = agent->plan;
    saving self = {.agent = agent, .writer = agent->saving};
    self.marks = leat_arena_array(&agent->arena, source_mark, plan->source_count + 1);
    for (uint32_t i = 0; i < plan->source_count; i++)
        self.marks[i] = (source_mark){.name_hash = leat_hash(plan->sources[i].name, strlen(plan->sources[i].name)),
                                      .push = leat_feed_is_push(agent->feeds[i])};
    leat_store_visitor visitor = {.context = &self, .manifest = save_name, .entry = save_entry};
    leat_code code = leat_store_visit(agent->store, LEAT_STORE_LATEST, &visitor, out_error);
    if (code == LEAT_OK)
        code = save_journal(&self, true, out_error);
    if (code == LEAT_OK)
        code = save_journal(&self, false, out_error);
    for (uint32_t i = 0; i < plan->sink_count && code == LEAT_OK; i++)
        code = save_outbox(&self, i, out_error);
    leat_savepoint_cut cut = {.clock_ms = leat_clock_now_ms(&agent->clock),
                              .journal = self.journal_end,
                              .incarnation = agent->recovered.lineage.incarnation};
    const char *path;
    if (code == LEAT_OK)
        code = leat_savepoint_writer_commit(agent->saving, &cut, &path, out_error);
    if (code == LEAT_OK)
        agent->savepoint = leat_arena_copy(&agent->arena, path, strlen(path));
    return code;
}

// ---- what of it the plan takes

static uint32_t node_of(const leat_plan *plan, const char *uid)
{
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (strcmp(plan->nodes[i].uid, uid) == 0)
            return i;
    return UINT32_MAX;
}

// The node that takes the operator's state; UINT32_MAX: none does.
static uint32_t taker_of(const leat_plan *plan, const leat_savepoint_operator *state)
{
    uint32_t node = node_of(plan, state->uid);
    bool fits = node != UINT32_MAX && leat_savepoint_identity(&plan->nodes[node]) == state->identity;
    return fits ? node : UINT32_MAX;
}

static uint32_t source_of(const leat_plan *plan, const leat_savepoint_end *from)
{
    for (uint32_t i = 0; i < plan->source_count; i++)
        if (strcmp(plan->sources[i].name, from->name) == 0 && strcmp(plan->sources[i].driver->name, from->driver) == 0)
            return i;
    return UINT32_MAX;
}

static uint32_t sink_of(const leat_plan *plan, const leat_savepoint_end *from)
{
    for (uint32_t i = 0; i < plan->sink_count; i++)
        if (strcmp(plan->sinks[i].name, from->name) == 0 && strcmp(plan->sinks[i].driver->name, from->driver) == 0)
            return i;
    return UINT32_MAX;
}

static void name_operator(const leat_plan *plan, const leat_savepoint_operator *state, leat_writer *out)
{
    leat_write_format(out, "%srule '%s' (%s, uid %s, %llu entries): %s", out->size ? "; " : "", state->rule,
                      state->kind, state->uid, (unsigned long long)state->entries,
                      node_of(plan, state->uid) == UINT32_MAX ? "no rule has this uid" : "it computes something else");
}

static void name_end(const leat_savepoint_end *end, const char *kind, const char *records, leat_writer *out)
{
    leat_write_format(out, "%s%s '%s' (%s): there is none of this name and driver", out->size ? "; " : "", kind,
                      end->name, end->driver);
    if (end->records > 0)
        leat_write_format(out, ", and %llu %s", (unsigned long long)end->records, records);
}

// Names what nothing takes; empty when everything is taken.
static void name_misfits(const leat_plan *plan, const leat_savepoint_manifest *manifest, leat_writer *out)
{
    for (uint32_t i = 0; i < manifest->operator_count; i++) {
        const leat_savepoint_operator *each = &manifest->operators[i];
        if (each->entries > 0 && strcmp(each->kind, "sink") != 0 && taker_of(plan, each) == UINT32_MAX)
            name_operator(plan, each, out);
    }
    for (uint32_t i = 0; i < manifest->source_count; i++)
        if (source_of(plan, &manifest->sources[i]) == UINT32_MAX)
            name_end(&manifest->sources[i], "source", "arrivals wait for it", out);
    for (uint32_t i = 0; i < manifest->sink_count; i++)
        if (sink_of(plan, &manifest->sinks[i]) == UINT32_MAX)
            name_end(&manifest->sinks[i], "sink", "results are not delivered", out);
}

static leat_code check_fit(leat_agent *agent, const leat_savepoint_manifest *manifest, leat_error *out_error)
{
    const leat_plan *plan = agent->plan;
    const char *zone = plan->agent->time_zone ? plan->agent->time_zone : "UTC";
    if (strcmp(zone, manifest->time_zone) != 0)
        return leat_error_at(out_error, LEAT_E_INVALID, manifest->path,
                             "was made with agent.time_zone %s, the file has %s: days and hours would not fit",
                             manifest->time_zone, zone);
    leat_writer misfits;
    leat_code code = LEAT_OK;
    leat_writer_init(&misfits, agent->env, 1 << 20);
    name_misfits(plan, manifest, &misfits);
    if (misfits.size > 0 && agent->start.allow_non_restored_state) {
        leat_ledger_add(&agent->ledger, "savepoint", "state-dropped", 1, leat_wall_ms(agent->env));
        leat_say(LEAT_LEVEL_WARNING, "left behind in %s: %.*s", manifest->path, (int)misfits.size,
                 (char *)misfits.bytes);
    } else if (misfits.size > 0) {
        code = leat_error_at(out_error, LEAT_E_INVALID, manifest->path,
                             "nothing in the file takes the state of: %.*s (--allow-non-restored-state leaves it "
                             "behind)",
                             (int)misfits.size, (char *)misfits.bytes);
    }
    leat_writer_fini(&misfits);
    return code;
}

static void tell_empty(const leat_plan *plan, const leat_savepoint_manifest *manifest)
{
    for (uint32_t n = 0; n < plan->node_count; n++) {
        const leat_plan_node *node = &plan->nodes[n];
        bool found = false;
        for (uint32_t i = 0; i < manifest->operator_count && !found; i++)
            found = taker_of(plan, &manifest->operators[i]) == n;
        if (!found && node->kind == LEAT_NODE_OPERATOR && node->stateful)
            leat_say(LEAT_LEVEL_INFO, "rule '%s': the savepoint has no state for %s (uid %s); it starts empty",
                     plan->rules[node->rule].name, node->operator_name, node->uid);
    }
}

leat_code leat_agent_open_savepoint(leat_agent *agent, leat_savepoint **out_savepoint, leat_error *out_error)
{
    leat_savepoint *savepoint;
    leat_code code = leat_savepoint_open(agent->env, agent->start.savepoint, &savepoint, out_error);
    if (code != LEAT_OK)
        return code;
    const leat_savepoint_manifest *manifest = leat_savepoint_manifest_get(savepoint);
    code = check_fit(agent, manifest, out_error);
    if (code != LEAT_OK) {
        leat_savepoint_close(savepoint);
        return code;
    }
    if (strcmp(manifest->gateway, agent->plan->agent->name) != 0)
        leat_say(LEAT_LEVEL_WARNING, "the savepoint is gateway '%s's: the ids of results change with the name '%s'",
                 manifest->gateway, agent->plan->agent->name);
    tell_empty(agent->plan, manifest);
    *out_savepoint = savepoint;
    return LEAT_OK;
}

// ---- into a state directory

typedef struct loading {
    leat_agent *agent;
    const leat_savepoint_manifest *manifest;
    leat_arena arena;
    leat_log_writer *writer;
    leat_log *journal, **outboxes; // outboxes: per sink of the plan
    uint64_t *outbox_starts;
    uint64_t unprocessed; // journal position of what is still to be processed
    bool any_unprocessed;
    uint32_t *numbers; // store's number per place of an operator; 0: left behind
    leat_change_set set;
    leat_store_named *names;
    size_t name_count;
} loading;

static leat_code load_entry(void *context, uint32_t place, uint8_t table, uint32_t group, leat_slice key,
                            leat_slice value, leat_error *out_error)
{
    loading *self = context;
    if (self->numbers[place] == 0)
        return LEAT_OK;
    leat_change_set_operator(&self->set, self->numbers[place]);
    leat_change_set_put(&self->set, table, group, key, value);
    return self->set.entries.failed ? leat_error_set(out_error, LEAT_E_MEMORY, "no memory for the savepoint's state")
                                    : LEAT_OK;
}

static leat_code append(loading *self, leat_log *log, const char *what, leat_slice record, leat_error *out_error)
{
    leat_code code;
    while ((code = leat_log_append(log, &record, 1, NULL, NULL)) == LEAT_AGAIN)
        leat_log_writer_run(self->writer);
    if (code == LEAT_OK)
        return LEAT_OK;
    return leat_error_set(out_error, code, "%s: what travels with the savepoint does not fit (%s)", what,
                          leat_code_name(code));
}

static leat_code load_arrival(void *context, uint32_t place, bool consumed, leat_slice record, leat_error *out_error)
{
    loading *self = context;
    if (!self->journal || source_of(self->agent->plan, &self->manifest->sources[place]) == UINT32_MAX)
        return LEAT_OK;
    if (!consumed && !self->any_unprocessed) {
        self->any_unprocessed = true;
        self->unprocessed = leat_log_append_end(self->journal);
    }
    return append(self, self->journal, "journal", record, out_error);
}

static leat_code load_result(void *context, uint32_t place, leat_slice record, leat_error *out_error)
{
    loading *self = context;
    uint32_t sink = sink_of(self->agent->plan, &self->manifest->sinks[place]);
    if (sink == UINT32_MAX)
        return LEAT_OK;
    return append(self, self->outboxes[sink], self->agent->plan->sinks[sink].name, record, out_error);
}

static leat_code open_log(loading *self, const char *directory, uint64_t max_bytes, uint64_t position_min,
                          leat_log **out_log, leat_error *out_error)
{
    leat_log_options options = {.directory = directory, .max_bytes = max_bytes, .position_min = position_min};
    leat_log_opened *opened = leat_arena_new(&self->arena, leat_log_opened);
    return leat_log_open(self->writer, &options, out_log, opened, out_error);
}

static leat_code open_logs(loading *self, leat_error *out_error)
{
    leat_agent *agent = self->agent;
    const leat_plan *plan = agent->plan;
    leat_code code = leat_log_writer_create(agent->env, false, &self->writer, out_error);
    bool push = false;
    for (uint32_t i = 0; i < plan->source_count; i++)
        push |= !plan->sources[i].driver->replayable;
    if (code == LEAT_OK && push)
        code = open_log(self, leat_agent_path(agent, "", "journal"), (uint64_t)plan->agent->journal_max_bytes,
                        self->manifest->cut.journal, &self->journal, out_error);
    for (uint32_t i = 0; i < plan->sink_count && code == LEAT_OK; i++) {
        code = open_log(self, leat_agent_path(agent, "outbox-", plan->sinks[i].name),
                        (uint64_t)plan->sinks[i].outbox_max_bytes, 0, &self->outboxes[i], out_error);
        if (code == LEAT_OK)
            self->outbox_starts[i] = leat_log_append_end(self->outboxes[i]);
    }
    return code;
}

// Durable on return.
static leat_code close_logs(loading *self, leat_error *out_error)
{
    leat_code code = leat_log_close(self->journal, out_error), last;
    for (uint32_t i = 0; i < self->agent->plan->sink_count; i++) {
        last = leat_log_close(self->outboxes[i], out_error);
        code = code == LEAT_OK ? last : code;
    }
    if (self->writer)
        leat_log_writer_destroy(self->writer);
    return code;
}

// ---- its checkpoint

static void name(loading *self, const char *kind, const char *of, const void *bytes, size_t size)
{
    leat_arena *arena = &self->arena;
    self->names[self->name_count++] = (leat_store_named){leat_slice_text(leat_arena_format(arena, "%s%s", kind, of)),
                                                         leat_slice_of(leat_arena_copy(arena, bytes, size), size)};
}

// The life that has begun knows what it has from another: one more from the same savepoint shall not give its results the same ids.
static void name_lineage(loading *self)
{
    leat_flow_lineage *life = &self->agent->recovered.lineage;
    life->previous = self->manifest->cut.incarnation;
    life->from = self->journal ? leat_log_append_end(self->journal) : self->manifest->cut.journal;
    name(self, "lineage", "", life, sizeof *life);
}

static void name_positions(loading *self)
{
    const leat_plan *plan = self->agent->plan;
    const leat_savepoint_manifest *manifest = self->manifest;
    uint64_t start = self->journal ? leat_log_append_end(self->journal) : manifest->cut.journal;
    if (self->any_unprocessed)
        start = self->unprocessed;
    for (uint32_t i = 0; i < manifest->source_count; i++) {
        const leat_savepoint_end *from = &manifest->sources[i];
        uint32_t source = source_of(plan, from);
        bool push = source != UINT32_MAX && !plan->sources[source].driver->replayable;
        if (push)
            name(self, "source/", from->name, &start, sizeof start);
        else if (source != UINT32_MAX)
            name(self, "source/", from->name, from->position.data, from->position.size);
    }
    name(self, "journal", "", &start, sizeof start);
    name_lineage(self);
    name(self, "savepoint", "", manifest->path, strlen(manifest->path));
}

static void name_cursors(loading *self)
{
    const leat_plan *plan = self->agent->plan;
    for (uint32_t i = 0; i < self->manifest->sink_count; i++) {
        const leat_savepoint_end *from = &self->manifest->sinks[i];
        uint32_t sink = sink_of(plan, from);
        if (sink == UINT32_MAX)
            continue;
        uint64_t cut = leat_log_append_end(self->outboxes[sink]);
        leat_cursor cursor = {.sequence = from->sequence, .position = self->outbox_starts[sink]};
        cursor.token_size = from->position.size < LEAT_TOKEN_MAX ? (uint32_t)from->position.size : LEAT_TOKEN_MAX;
        memcpy(cursor.token, from->position.data, cursor.token_size);
        name(self, "outbox/", from->name, &cut, sizeof cut);
        name(self, "cursor/", from->name, &cursor, sizeof cursor);
    }
}

static leat_code commit(loading *self, leat_error *out_error)
{
    bool whole[LEAT_STORE_GROUPS];
    memset(whole, true, sizeof whole);
    leat_change_set *sets[1] = {&self->set};
    leat_store_checkpoint checkpoint = {.floor_ms = self->manifest->cut.clock_ms,
                                        .manifest = self->names,
                                        .manifest_count = self->name_count,
                                        .sets = sets,
                                        .set_count = 1,
                                        .whole = whole};
    return leat_store_commit(self->agent->store, &checkpoint, NULL, out_error);
}

static void number_operators(loading *self)
{
    const leat_plan *plan = self->agent->plan;
    for (uint32_t i = 0; i < self->manifest->operator_count; i++) {
        uint32_t node = taker_of(plan, &self->manifest->operators[i]);
        if (node != UINT32_MAX)
            self->numbers[i] = leat_store_operator(self->agent->store, leat_savepoint_identity(&plan->nodes[node]));
    }
}

leat_code leat_agent_load(leat_agent *agent, leat_savepoint *savepoint, leat_error *out_error)
{
    const leat_plan *plan = agent->plan;
    loading self = {.agent = agent, .manifest = leat_savepoint_manifest_get(savepoint)};
    leat_arena_init(&self.arena, agent->env, 65536);
    leat_change_set_init(&self.set, agent->env, SIZE_MAX / 4);
    self.outboxes = leat_arena_array(&self.arena, leat_log *, plan->sink_count + 1);
    self.outbox_starts = leat_arena_array(&self.arena, uint64_t, plan->sink_count + 1);
    self.numbers = leat_arena_array(&self.arena, uint32_t, self.manifest->operator_count + 1);
    self.names = leat_arena_array(&self.arena, leat_store_named,
                                  self.manifest->source_count + 2 * self.manifest->sink_count + 3);
    leat_savepoint_visitor visitor = {&self, load_entry, load_arrival, load_result};
    number_operators(&self);
    leat_code code = open_logs(&self, out_error);
    if (code == LEAT_OK)
        code = leat_savepoint_visit(savepoint, &visitor, out_error);
    if (code == LEAT_OK) {
        name_positions(&self);
        name_cursors(&self);
    }
    leat_error closing;
    leat_code closed = close_logs(&self, &closing);
    if (code == LEAT_OK && closed != LEAT_OK) {
        *out_error = closing;
        code = closed;
    }
    if (code == LEAT_OK)
        code = leat_agent_keep_life(agent, &agent->recovered.lineage, out_error);
    if (code == LEAT_OK)
        code = commit(&self, out_error);
    leat_change_set_fini(&self.set);
    leat_arena_fini(&self.arena);
    return code;
}
