#include "firmware-agent/control/run.h"

#include <pthread.h>
#include <stdio.h>
#include <sysexits.h>

#include "firmware-agent/agent.h"
#include "firmware-agent/control/drops.h"
#include "firmware-agent/control/json_writer.h"
#include "firmware-agent/control/socket.h"
#include "firmware-agent/platform/notify.h"
#include "firmware-agent/platform/say.h"
#include "firmware-agent/platform/signals.h"
#include "firmware-agent/platform/wait.h"

// ---- watchdog: systemd hears of us only while barriers pass through every task and checkpoints come through, or while a full outbox holds
// them back: a restart would not bring its receiver nearer

typedef struct watchdog {
    leat_agent *agent;
    int64_t interval_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool stop, running;
} watchdog;

static uint64_t rounds(const leat_agent *agent)
{
    leat_agent_figures figures;
    leat_agent_measure(agent, &figures);
    return figures.checkpoint.count + figures.checkpoint.skipped + figures.checkpoint.failed;
}

static bool is_held_back(const leat_agent *agent)
{
    for (uint32_t i = 0; i < leat_agent_plan(agent)->sink_count; i++) {
        leat_delivery_figures figures;
        leat_delivery_measure(leat_agent_line(agent, i), &figures);
        if (figures.full)
            return true;
    }
    return false;
}

static void *feed_watchdog(void *argument)
{
    watchdog *dog = argument;
    uint64_t seen = rounds(dog->agent);
    pthread_mutex_lock(&dog->lock);
    while (!dog->stop) {
        leat_wait(&dog->news, &dog->lock, dog->interval_ms);
        uint64_t now = rounds(dog->agent);
        if (now != seen || is_held_back(dog->agent))
            leat_notify("WATCHDOG=1");
        seen = now;
    }
    pthread_mutex_unlock(&dog->lock);
    return NULL;
}

static void start_watchdog(watchdog *dog, leat_agent *agent, const leat_plan *plan)
{
    int64_t wanted_ms = leat_notify_watchdog_ms();
    pthread_mutex_init(&dog->lock, NULL);
    leat_wait_init(&dog->news);
    dog->agent = agent;
    dog->interval_ms = wanted_ms / 2;
    if (wanted_ms <= 0)
        return;
    if (dog->interval_ms <= plan->agent->checkpoint_interval_ms)
        leat_say(LEAT_LEVEL_WARNING, "WatchdogSec= is too short for agent.checkpoint.interval; it is not fed");
    else
        dog->running = pthread_create(&dog->thread, NULL, feed_watchdog, dog) == 0;
}

static void stop_watchdog(watchdog *dog)
{
    pthread_mutex_lock(&dog->lock);
    dog->stop = true;
    pthread_cond_broadcast(&dog->news);
    pthread_mutex_unlock(&dog->lock);
    if (dog->running)
        pthread_join(dog->thread, NULL);
}

// ---- a run

// The agent of the moment: after a savepoint that could not be written another one takes the place of the first.
typedef struct present {
    pthread_mutex_t lock;
    leat_agent *agent; // NULL: between two
    bool stop;
} present;

static void stop_present(void *context)
{
    present *now = context;
    leat_say(LEAT_LEVEL_INFO, "stopping");
    leat_notify("STOPPING=1");
    pthread_mutex_lock(&now->lock);
    now->stop = true;
    if (now->agent)
        leat_agent_stop(now->agent);
    pthread_mutex_unlock(&now->lock);
}

static void set_present(present *now, leat_agent *agent)
{
    pthread_mutex_lock(&now->lock);
    now->agent = agent;
    if (agent && now->stop)
        leat_agent_stop(agent);
    pthread_mutex_unlock(&now->lock);
}

static int exit_code(leat_agent_end end, const leat_error *error)
{
    switch (end) {
    case LEAT_END_FINISHED:
        leat_say(LEAT_LEVEL_INFO, "finished: every source has ended, everything is delivered");
        return EX_OK;
    case LEAT_END_STOPPED:
        leat_say(LEAT_LEVEL_INFO, "stopped");
        return EX_OK;
    case LEAT_END_UNDELIVERED:
        leat_say(LEAT_LEVEL_WARNING,
                 "results wait in the outbox: a receiver could not be reached; the next run delivers them");
        return EX_TEMPFAIL;
    case LEAT_END_NOT_SAVED:
    case LEAT_END_FAILED:
        break;
    }
    leat_say_error(LEAT_LEVEL_ERROR, "failed, start again from the last checkpoint", error);
    return EX_TEMPFAIL;
}

static int create_failed(const leat_error *error, const leat_agent_start *start)
{
    leat_say_error(LEAT_LEVEL_ERROR, "cannot start", error);
    bool savepoint = error->code == LEAT_E_INVALID || error->code == LEAT_E_CORRUPT ||
                     error->code == LEAT_E_UNSUPPORTED || error->code == LEAT_E_NOT_FOUND ||
                     error->code == LEAT_E_EXISTS;
    if (start && start->savepoint && savepoint)
        return EX_DATAERR;
    if (error->code == LEAT_E_CONFLICT)
        return EX_UNAVAILABLE;
    bool directory = error->code == LEAT_E_IO || error->code == LEAT_E_PERMISSION || error->code == LEAT_E_NO_SPACE ||
                     error->code == LEAT_E_NOT_FOUND;
    return directory ? EX_CANTCREAT : EX_CONFIG;
}

// What those hear who asked for the stop.
static void answer_stop(leat_socket *server, const leat_agent *agent, leat_writer *out)
{
    leat_error why = {0};
    leat_json_writer json = {.out = out};
    const char *savepoint = leat_agent_savepoint(agent, &why);
    leat_json_open(&json, NULL, '{');
    if (why.code != LEAT_OK) {
        char text[sizeof why.place + sizeof why.message + 2];
        snprintf(text, sizeof text, "%s%s%s", why.place, why.place[0] ? ": " : "", why.message);
        leat_json_string(&json, "error", text);
    } else {
        leat_json_bool(&json, "stopped", true);
        if (savepoint)
            leat_json_string(&json, "savepoint", savepoint);
    }
    leat_json_close(&json, '}');
    leat_write_text(out, "\n");
    leat_socket_stop(server, leat_writer_slice(out));
}

static leat_agent_end run_agent(leat_gateway *gateway, leat_agent *agent, leat_error *out_error)
{
    leat_error error = {0};
    leat_arena arena;
    leat_socket *server = NULL;
    watchdog dog = {0};
    leat_arena_init(&arena, gateway->env, 4096);
    // Without its socket the agent still does its work.
    if (leat_socket_start(gateway->env, agent, leat_gateway_socket(gateway, &arena), &server, &error) != LEAT_OK)
        leat_say_error(LEAT_LEVEL_WARNING, "no status socket", &error);
    start_watchdog(&dog, agent, gateway->plan);
    leat_notify("READY=1");
    leat_say(LEAT_LEVEL_INFO, "%s runs: %u sources, %u rules, %u sinks", gateway->plan->agent->name,
             gateway->plan->source_count, gateway->plan->rule_count, gateway->plan->sink_count);
    leat_agent_end end = leat_agent_run(agent, out_error);
    stop_watchdog(&dog);
    if (end == LEAT_END_FINISHED || end == LEAT_END_UNDELIVERED)
        leat_drops_say(agent);
    leat_writer answer;
    leat_writer_init(&answer, gateway->env, 65536);
    answer_stop(server, agent, &answer);
    leat_writer_fini(&answer);
    leat_arena_fini(&arena);
    return end;
}

int leat_run(leat_gateway *gateway, const leat_agent_start *start)
{
    leat_error error = {0};
    static present now = {.lock = PTHREAD_MUTEX_INITIALIZER}; // the signals' thread outlives this call
    leat_say_level((leat_level)gateway->plan->agent->log_level);
    leat_signals_block();
    bool first = true;
    for (;;) {
        leat_agent *agent;
        if (leat_agent_create(gateway->env, gateway->plan, first ? start : NULL, &agent, &error) != LEAT_OK)
            return create_failed(&error, first ? start : NULL);
        set_present(&now, agent);
        if (first && leat_signals_start(stop_present, &now, &error) != LEAT_OK)
            leat_say_error(LEAT_LEVEL_WARNING, "signals", &error);
        first = false;
        leat_agent_end end = run_agent(gateway, agent, &error);
        set_present(&now, NULL);
        leat_agent_destroy(agent);
        if (end != LEAT_END_NOT_SAVED)
            return exit_code(end, &error);
        leat_say(LEAT_LEVEL_WARNING, "goes on without a savepoint");
    }
}
