// `agent:`: the table, and what the table cannot say.
#include <string.h>

#include "config/gateway.h"
#include "operators/base/calendar.h"
#include "operators/base/limits.h"

#define MEMBER(name) offsetof(leat_agent_settings, name)
static const char *const barrier_modes[] = {"exactly_once", "at_least_once", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

static const leat_setting table[] = {
    {"name", LEAT_SETTING_TEXT, MEMBER(name), false, NULL, 0, 0, NULL,
     "Name of the gateway, in topics, payloads and the ids of results; by default leat."},
    {"state", LEAT_SETTING_PATH, MEMBER(state), false, NULL, 0, 0, NULL,
     "Directory of checkpoints, journal and outbox; by default .leat beside the gateway file."},
    {"workers", LEAT_SETTING_INTEGER, MEMBER(workers), false, "1", 1, LEAT_WORKERS_MAX, NULL,
     "Threads that run the rules."},
    {"time_zone", LEAT_SETTING_TEXT, MEMBER(time_zone), false, "UTC", 0, 0, NULL,
     "Session time zone of SQL, a name such as Europe/Berlin; part of a savepoint."},
    {"stop_timeout", LEAT_SETTING_DURATION, MEMBER(stop_timeout_ms), false, "10s", 0, 3600000, NULL,
     "How long a stop waits for results to be delivered."},
    {"commit_gap", LEAT_SETTING_DURATION, MEMBER(commit_gap_ms), false, "20ms", 0, 60000, NULL,
     "Least time between two checkpoints that results of sinks with commit: now ask for."},
    {"barriers", LEAT_SETTING_CHOICE, MEMBER(barrier_mode), false, "exactly_once", 0, 0, barrier_modes,
     "Whether a task waits for the barriers of all its inputs; at_least_once does not, and counts some rows twice "
     "after a crash."},
    {"log", LEAT_SETTING_CHOICE, MEMBER(log_level), false, "info", 0, 0, log_levels, "What is logged."},
    {"socket", LEAT_SETTING_PATH, MEMBER(socket), false, NULL, 0, 0, NULL,
     "Unix socket of leat status, top and stop; by default leat.sock in the state directory."},
    {"memory", LEAT_SETTING_SIZE, MEMBER(memory_bytes), false, "0", 0, 0, NULL,
     "Bound of batches and keyed state together; 0 is none."},
    {"rule_memory", LEAT_SETTING_SIZE, MEMBER(rule_memory_bytes), false, "16MiB", 65536, -1, NULL,
     "Budget of a rule's state, unless the rule says memory."},
    {"map_size", LEAT_SETTING_SIZE, MEMBER(map_size_bytes), false, "0", 0, 0, NULL,
     "Most that the checkpoint store may grow to; 0 is what the address space holds: 2 GiB on 32-bit boards."},
    {"flash_budget", LEAT_SETTING_SIZE, MEMBER(flash_budget_bytes), false, "0", 0, 0, NULL,
     "Bytes a day that may be written to flash before leat warns; 0 only counts them."},
    {"checkpoint.interval", LEAT_SETTING_DURATION, MEMBER(checkpoint_interval_ms), false, "1s", 10, 86400000, NULL,
     "Time between two checkpoints."},
    {"checkpoint.retained", LEAT_SETTING_INTEGER, MEMBER(checkpoint_retained), false, "5", 1, 100, NULL,
     "How many checkpoints are kept to fall back to."},
    {"checkpoint.min_pause", LEAT_SETTING_DURATION, MEMBER(checkpoint_min_pause_ms), false, "0", 0, 86400000, NULL,
     "Least time between the end of a checkpoint and the next."},
    {"journal.sync", LEAT_SETTING_DURATION, MEMBER(journal_sync_ms), false, "1s", 0, 3600000, NULL,
     "How often what need not be durable at once (polled sources, QoS 0, ack: fast) is synced."},
    {"journal.keep", LEAT_SETTING_DURATION, MEMBER(journal_keep_ms), false, "0", 0, 0, NULL,
     "How long readings are kept after they were used, for leat replay; 0 is not."},
    {"journal.max", LEAT_SETTING_SIZE, MEMBER(journal_max_bytes), false, "256MiB", 16 << 20, -1, NULL,
     "Size at which the intake is held back."},
    {"outbox.max", LEAT_SETTING_SIZE, MEMBER(outbox_max_bytes), false, "256MiB", 16 << 20, -1, NULL,
     "Size of each sink's outbox, unless the sink says outbox.max."},
};
const leat_settings gateway_agent_settings = {table, sizeof table / sizeof *table, sizeof(leat_agent_settings)};

static void set_zone(gateway *g, const leat_agent_settings *agent, const leat_yaml_node *mapping)
{
    leat_zone *zone = NULL;
    leat_error error;
    const leat_yaml_node *node = leat_yaml_find(mapping, "time_zone");
    if (leat_zone_open(g->options->env, g->arena, agent->time_zone, &zone, &error) != LEAT_OK && node)
        leat_report_error(&g->report, node, "key 'time_zone': %s", error.message);
    g->plan->zone = zone;
}

static void set_paths(gateway *g, leat_agent_settings *agent)
{
    const char *state = g->options->default_state;
    if (!agent->state)
        agent->state = state ? gateway_copy(g, leat_slice_text(state))
                             : leat_settings_path(g->arena, g->reader.directory, leat_slice_text(".leat"));
    if (!agent->socket)
        agent->socket = leat_arena_format(g->arena, "%s/leat.sock", agent->state);
    if (!agent->name)
        agent->name = "leat";
}

void gateway_read_agent(gateway *g)
{
    leat_agent_settings *agent = leat_arena_new(g->arena, leat_agent_settings);
    const leat_yaml_node *mapping = gateway_section(g, "agent");
    const leat_settings *tables[] = {&gateway_agent_settings};
    leat_settings_known known = {tables, 1, NULL};
    leat_report_context(&g->report, "agent");
    leat_settings_read(&g->reader, &gateway_agent_settings, mapping, mapping, agent);
    leat_settings_unknown(&g->reader, mapping, &known);
    g->plan->agent = agent;
    set_zone(g, agent, mapping);
    set_paths(g, agent);
    leat_report_context(&g->report, "%s", "");
}
