// What the last checkpoint says, brought back: positions first, then the parts, then every entry to its operator.
#include <string.h>

#include "firmware-agent/agent_struct.h"
#include "firmware-agent/platform/say.h"

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
    agent_recovered *from = &agent->recovered;
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
    else if (leat_slice_is(name, "lineage") && bytes.size == sizeof from->lineage)
        memcpy(&from->lineage, bytes.data, sizeof from->lineage);
    else if (leat_slice_is(name, "savepoint"))
        from->from_savepoint = true;
    return LEAT_OK;
}

// ---- what the plan has no place for

static agent_lost_state *lost_of(leat_agent *agent, uint64_t identity, uint32_t number)
{
    agent_lost_state *lost = agent->lost;
    while (lost && lost->number != number)
        lost = lost->next;
    if (lost)
        return lost;
    lost = leat_arena_new(&agent->arena, agent_lost_state);
    *lost = (agent_lost_state){.next = agent->lost, .identity = identity, .number = number};
    return agent->lost = lost;
}

// Description: u8 version, then uid, name of the rule, kind, each with its size before it.
static void read_description(leat_agent *agent, agent_lost_state *lost, leat_slice value)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    leat_read_u8(&reader);
    const char **texts[] = {&lost->uid, &lost->rule, &lost->kind};
    for (int i = 0; i < 3; i++) {
        leat_slice text = leat_read_sized(&reader);
        *texts[i] = leat_arena_copy(&agent->arena, text.data, text.size);
    }
}

static leat_code note_lost(leat_agent *agent, uint64_t identity, uint32_t number, uint8_t table, leat_slice value)
{
    agent_lost_state *lost = lost_of(agent, identity, number);
    if (table == LEAT_AGENT_TABLE_NODE)
        read_description(agent, lost, value);
    lost->entries += table < LEAT_STATE_TABLES;
    return LEAT_OK;
}

static const leat_plan_node *node_of_uid(const leat_plan *plan, const char *uid)
{
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (strcmp(plan->nodes[i].uid, uid) == 0)
            return &plan->nodes[i];
    return NULL;
}

static void tell_lost(leat_agent *agent, const agent_lost_state *lost)
{
    const char *rule = lost->rule && *lost->rule ? lost->rule : "unknown";
    unsigned long long entries = lost->entries;
    leat_ledger_add(&agent->ledger, rule, "state-dropped", lost->entries, leat_wall_ms(agent->env));
    if (!lost->uid)
        leat_say(LEAT_LEVEL_WARNING, "%llu entries of state belong to no rule of the file and are dropped", entries);
    else if (node_of_uid(agent->plan, lost->uid))
        leat_say(
            LEAT_LEVEL_WARNING,
            "rule '%s' does not compute what it did: the %llu entries that its %s (uid %s) kept do not fit and are "
            "dropped; it starts empty. To keep a copy, stop with --savepoint before a rule is changed",
            rule, entries, lost->kind, lost->uid);
    else
        leat_say(
            LEAT_LEVEL_WARNING,
            "rule '%s' is gone: the %llu entries that its %s (uid %s) kept are dropped. If it has a new name, give "
            "it `uid: %.*s` before the first start",
            rule, entries, lost->kind, lost->uid, (int)strcspn(lost->uid, "/"), lost->uid);
}

// Told once: the next checkpoint knows nothing of it any more.
static void drop_lost(leat_agent *agent)
{
    for (agent_lost_state *lost = agent->lost; lost; lost = lost->next) {
        if (lost->entries == 0)
            continue; // a sink's sequence, say: it is there when the sink comes back
        tell_lost(agent, lost);
        leat_store_operator_forget(agent->store, lost->identity);
    }
}

// ---- entries

static leat_code restore_entry(void *context, uint64_t uid_hash, uint32_t number, uint8_t table, uint32_t group,
                               leat_slice key, leat_slice value, leat_error *out_error)
{
    leat_agent *agent = context;
    if (!agent->built) {
        leat_code code = leat_agent_build(agent, out_error);
        if (code != LEAT_OK)
            return code;
    }
    uint32_t node = number <= agent->number_max ? agent->node_of_number[number] : UINT32_MAX;
    if (node == UINT32_MAX)
        return note_lost(agent, uid_hash, number, table, value);
    if (table == LEAT_AGENT_TABLE_NODE) {
        agent->described[node] = true;
        return LEAT_OK;
    }
    return leat_flow_restore(agent->flow, node, table, group, key, value, out_error);
}

static void number_nodes(leat_agent *agent)
{
    const leat_plan *plan = agent->plan;
    agent->operator_numbers = leat_arena_array(&agent->arena, uint32_t, plan->node_count);
    for (uint32_t i = 0; i < plan->node_count; i++) {
        uint32_t number = leat_store_operator(agent->store, leat_savepoint_identity(&plan->nodes[i]));
        agent->operator_numbers[i] = number;
        agent->number_max = number > agent->number_max ? number : agent->number_max;
    }
    agent->described = leat_arena_array(&agent->arena, bool, plan->node_count + 1);
    agent->node_of_number = leat_arena_array(&agent->arena, uint32_t, agent->number_max + 1);
    memset(agent->node_of_number, 0xff, (agent->number_max + 1) * sizeof *agent->node_of_number);
    for (uint32_t i = 0; i < plan->node_count; i++)
        agent->node_of_number[agent->operator_numbers[i]] = i;
}

// What came after the checkpoint that is left is read again as far as the sources and the journal reach; what they do not have is a gap of theirs.
static void tell_damage(leat_agent *agent)
{
    const leat_store_restored *restored = &agent->restored;
    if (agent->opened.set_aside)
        leat_say_error(LEAT_LEVEL_WARNING,
                       "the checkpoint file could not be read and was set aside: every rule starts empty",
                       &agent->opened.reason);
    else if (restored->damaged_count > 0 && restored->id > 0)
        leat_say(LEAT_LEVEL_WARNING,
                 "checkpoints %llu to %llu are damaged or stand on what is: the state is that of checkpoint %llu, and "
                 "what came "
                 "later is read again where it is still there",
                 (unsigned long long)restored->damaged_from, (unsigned long long)restored->damaged_to,
                 (unsigned long long)restored->id);
    else if (restored->damaged_count > 0)
        leat_say(LEAT_LEVEL_WARNING, "checkpoint %llu is damaged, and so are all before it: every rule starts empty",
                 (unsigned long long)restored->damaged_to);
    if (agent->opened.set_aside || restored->damaged_count > 0)
        leat_ledger_add(&agent->ledger, "checkpoint", "damage", 1, leat_wall_ms(agent->env));
}

static void tell_recovery(const leat_agent *agent)
{
    if (agent->restored.id > 0)
        leat_say(LEAT_LEVEL_INFO, "restored checkpoint %llu: %llu entries in %lld ms",
                 (unsigned long long)agent->restored.id, (unsigned long long)agent->restored.entries,
                 (long long)agent->restored.duration_us / 1000);
}

leat_code leat_agent_recover(leat_agent *agent, leat_error *out_error)
{
    leat_store_visitor visitor = {.context = agent, .manifest = restore_name, .entry = restore_entry};
    number_nodes(agent);
    leat_code code = leat_store_restore(agent->store, LEAT_STORE_LATEST, &visitor, &agent->restored, out_error);
    leat_ledger_load(&agent->ledger, agent->store);
    if (code == LEAT_OK && !agent->built)
        code = leat_agent_build(agent, out_error);
    if (code != LEAT_OK)
        return code;
    tell_damage(agent);
    tell_recovery(agent);
    drop_lost(agent);
    return leat_flow_ready(agent->flow, agent->restored.id > 0, agent->recovered.from_savepoint, out_error);
}
