// The state directory: one agent at a time in it, the mark of a run that was cut off, the checkpoint file, what a finished run leaves.
//
//   lock           held while the agent lives
//   running        from start to clean end: where it is found, the last run was cut off
//   state.mdb      the checkpoints (checkpoint/store.h)
//   life           which life of the directory this is (agent_life.c)
//   journal/       what sources that cannot be read again delivered (log/log.h)
//   outbox-NAME/   what is to be delivered to a sink
//   from-savepoint the path of a savepoint that is being loaded ("path", line end, 1 when state may be left behind): a start that finds it loads again
#include <string.h>

#include "firmware-agent/agent_struct.h"
#include "firmware-agent/platform/lock.h"
#include "firmware-agent/platform/say.h"

// STATE/<prefix><name>
char *leat_agent_path(leat_agent *agent, const char *prefix, const char *name)
{
    return leat_arena_format(&agent->arena, "%s/%s%s", agent->plan->agent->state, prefix, name);
}

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

static bool is_log(const char *name) { return strncmp(name, "outbox-", 7) == 0 || strcmp(name, "journal") == 0; }

static bool is_store(const char *name) { return strcmp(name, "state.mdb") == 0 || strcmp(name, "state.mdb-lock") == 0; }

// The store last: as long as it is there it tells the next start, if a crash ends this one, that all is to be forgotten.
static leat_code forget_run(leat_agent *agent, leat_error *out_error)
{
    const char *state = agent->plan->agent->state;
    name_list *list;
    leat_code code = list_names(agent->env, &agent->arena, state, &list, out_error);
    for (int stores = 0; stores < 2; stores++)
        for (uint32_t i = 0; i < list->count && code == LEAT_OK; i++) {
            const char *path = leat_arena_format(&agent->arena, "%s/%s", state, list->items[i]);
            if (!stores && is_log(list->items[i]))
                code = remove_log(agent->env, &agent->arena, path, out_error);
            else if (stores && is_store(list->items[i]))
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
    const char *path = leat_agent_path(agent, "", "running");
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
    return leat_store_open(agent->env, &options, &agent->store, &agent->opened, out_error);
}

// Processing time and the ledger go on; everything else begins with nothing.
static leat_code begin_anew(leat_agent *agent, leat_error *out_error)
{
    int64_t floor_ms = agent->opened.floor_ms;
    leat_ledger_carry(&agent->ledger, agent->store);
    leat_store_close(agent->store);
    agent->store = NULL;
    agent->begins_anew = true;
    leat_code code = leat_agent_begin_life(agent, out_error);
    if (code == LEAT_OK)
        code = forget_run(agent, out_error);
    if (code == LEAT_OK)
        code = open_store(agent, false, out_error);
    agent->opened.floor_ms = floor_ms;
    return code;
}

static bool has_logs(leat_agent *agent)
{
    bool any = exists(agent->env, leat_agent_path(agent, "", "journal"));
    for (uint32_t i = 0; i < agent->plan->sink_count && !any; i++)
        any = exists(agent->env, leat_agent_path(agent, "outbox-", agent->plan->sinks[i].name));
    return any;
}

static void tell_missing_store(leat_agent *agent)
{
    leat_ledger_add(&agent->ledger, "agent", "state-missing", 1, leat_wall_ms(agent->env));
    leat_say(LEAT_LEVEL_WARNING,
             "the checkpoint file is missing: every rule starts empty, every source at its beginning");
}

// ---- beginning from a savepoint

static leat_code mark_loading(leat_agent *agent, leat_error *out_error)
{
    leat_env *env = agent->env;
    leat_file *file;
    const char *text =
        leat_arena_format(&agent->arena, "%s\n%d\n", agent->start.savepoint, agent->start.allow_non_restored_state);
    leat_code code =
        env->ops->open(env, leat_agent_path(agent, "", "from-savepoint"), LEAT_OPEN_WRITE, &file, out_error);
    if (code != LEAT_OK)
        return code;
    code = env->ops->truncate(file, 0, out_error);
    if (code == LEAT_OK)
        code = env->ops->pwrite(file, text, strlen(text), 0, out_error);
    if (code == LEAT_OK)
        code = env->ops->sync(file, out_error);
    env->ops->close(env, file);
    return code == LEAT_OK ? env->ops->sync_directory(env, agent->plan->agent->state, out_error) : code;
}

// A start from a savepoint that a crash ended before the first checkpoint begins anew from that savepoint, whatever this start asks for.
static void find_loading(leat_agent *agent)
{
    enum { PATH_LIMIT = 8192 };
    char *text;
    size_t size;
    leat_error ignored;
    const char *path = leat_agent_path(agent, "", "from-savepoint");
    if (agent->start.savepoint ||
        leat_env_read_file(agent->env, path, &agent->arena, PATH_LIMIT, &text, &size, &ignored) != LEAT_OK)
        return;
    char *end = strchr(text, '\n');
    if (!end || (end[1] != '0' && end[1] != '1')) // written half: nothing had been touched
        return;
    *end = 0;
    agent->start = (leat_agent_start){.savepoint = text, .fresh = true, .allow_non_restored_state = end[1] == '1'};
    leat_say(LEAT_LEVEL_WARNING, "the start from %s was cut off and is made again", text);
}

static leat_code refuse_checkpoint(const leat_agent *agent, leat_error *out_error)
{
    return leat_error_at(out_error, LEAT_E_EXISTS, agent->plan->agent->state,
                         "the state directory already has a checkpoint; --fresh gives it up for the savepoint");
}

static leat_code load_into(leat_agent *agent, leat_savepoint *savepoint, leat_error *out_error)
{
    leat_store_restored nothing;
    leat_store_visitor none = {0};
    leat_code code = mark_loading(agent, out_error);
    if (code == LEAT_OK)
        code = begin_anew(agent, out_error);
    int64_t floor_ms = agent->opened.floor_ms;
    if (code == LEAT_OK)
        code = leat_store_restore(agent->store, LEAT_STORE_LATEST, &none, &nothing, out_error);
    if (code == LEAT_OK)
        code = leat_agent_load(agent, savepoint, out_error);
    if (code != LEAT_OK)
        return code;
    leat_store_close(agent->store);
    agent->store = NULL;
    code = agent->env->ops->unlink(agent->env, leat_agent_path(agent, "", "from-savepoint"), out_error);
    if (code == LEAT_OK)
        code = open_store(agent, false, out_error);
    if (floor_ms > agent->opened.floor_ms)
        agent->opened.floor_ms = floor_ms;
    return code;
}

static leat_code begin_from_savepoint(leat_agent *agent, leat_error *out_error)
{
    leat_savepoint *savepoint;
    bool used = !agent->opened.finished && leat_store_stats_get(agent->store).last_id > 0;
    if (used && !agent->start.fresh)
        return refuse_checkpoint(agent, out_error);
    leat_code code = leat_agent_open_savepoint(agent, &savepoint, out_error);
    if (code != LEAT_OK)
        return code;
    code = load_into(agent, savepoint, out_error);
    if (code == LEAT_OK)
        leat_say(LEAT_LEVEL_INFO, "begins from %s", leat_savepoint_manifest_get(savepoint)->path);
    leat_savepoint_close(savepoint);
    return code;
}

// ---- opening

leat_code leat_agent_unmark_running(leat_agent *agent, leat_error *out_error)
{
    return agent->env->ops->unlink(agent->env, leat_agent_path(agent, "", "running"), out_error);
}

static leat_code choose_begin(leat_agent *agent, bool had_logs, leat_error *out_error)
{
    find_loading(agent);
    if (agent->start.savepoint)
        return begin_from_savepoint(agent, out_error);
    // A run that ended by itself leaves nothing to go on from.
    if (agent->opened.finished)
        return begin_anew(agent, out_error);
    if (had_logs && agent->opened.created && !agent->opened.set_aside)
        tell_missing_store(agent);
    return LEAT_OK;
}

leat_code leat_agent_open_state(leat_agent *agent, leat_error *out_error)
{
    bool suspect = false;
    leat_code code = agent->env->ops->make_directory(agent->env, agent->plan->agent->state, 0750, out_error);
    if (code == LEAT_OK)
        code = leat_lock_take(leat_agent_path(agent, "", "lock"), out_error);
    if (code == LEAT_OK)
        code = mark_running(agent, &suspect, out_error);
    bool had_logs = has_logs(agent);
    if (code == LEAT_OK)
        code = open_store(agent, suspect, out_error);
    if (code == LEAT_OK)
        code = choose_begin(agent, had_logs, out_error);
    leat_error ignored; // what was refused was not cut off
    if (code != LEAT_OK && agent->store && !suspect)
        (void)!leat_agent_unmark_running(agent, &ignored);
    return code;
}
