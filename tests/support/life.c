#include "tests/support/life.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firmware-agent/checkpoint/store.h"
#include "firmware-agent/savepoint.h"
#include "operators/base/hash.h"

enum { LOG_BYTES_MIN = 4096, NAMES_MAX = 256, CHANGES_MAX = 64 << 20, LIFE_NS = 20000000 };

typedef struct named {
    char *name, *bytes;
    size_t size;
} named;

struct life {
    const leat_plan *plan;
    leat_store *store;
    uint32_t *numbers; // of nodes
    leat_flow *flow;   // while it is restored
    leat_change_set changes;
    bool whole[LEAT_STORE_GROUPS], any_whole;
    named restored[NAMES_MAX], next[NAMES_MAX];
    size_t restored_count, next_count;
};

static void check(leat_code code, const char *what, const leat_error *error)
{
    if (code == LEAT_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, leat_code_name(code), error->message);
    exit(1);
}

static named copy_named(leat_slice name, leat_slice bytes)
{
    named copy = {strndup(name.data, name.size), malloc(bytes.size + 1), bytes.size};
    if (!copy.name || !copy.bytes)
        abort();
    memcpy(copy.bytes, bytes.data, bytes.size);
    return copy;
}

life *life_open(leat_env *env, const leat_plan *plan, const char *directory)
{
    life *self = calloc(1, sizeof *self);
    leat_error error = {0};
    leat_store_opened opened;
    leat_store_options options = {
        .directory = directory, .agent = "life", .map_start = 1 << 20, .log_min_bytes = LOG_BYTES_MIN};
    check(leat_store_open(env, &options, &self->store, &opened, &error), "store", &error);
    if (opened.set_aside) {
        fprintf(stderr, "store: set aside: %s\n", opened.reason.message);
        exit(1);
    }
    self->plan = plan;
    self->numbers = calloc(plan->node_count + 1, sizeof *self->numbers);
    for (uint32_t i = 0; i < plan->node_count; i++)
        self->numbers[i] = leat_store_operator(self->store, leat_savepoint_identity(&plan->nodes[i]));
    leat_change_set_init(&self->changes, env, CHANGES_MAX);
    return self;
}

// ---- restoring

static leat_code take_name(void *context, leat_slice name, leat_slice bytes, leat_error *out_error)
{
    life *self = context;
    (void)out_error;
    if (self->restored_count < NAMES_MAX)
        self->restored[self->restored_count++] = copy_named(name, bytes);
    return LEAT_OK;
}

static leat_code take_entry(void *context, uint64_t identity, uint32_t number, uint8_t table, uint32_t group,
                            leat_slice key, leat_slice value, leat_error *out_error)
{
    life *self = context;
    (void)identity;
    for (uint32_t i = 0; i < self->plan->node_count; i++)
        if (self->numbers[i] == number)
            return leat_flow_restore(self->flow, i, table, group, key, value, out_error);
    return leat_error_set(out_error, LEAT_E_NOT_FOUND, "no node has the number %u", number);
}

bool life_restore(life *self, leat_flow *flow)
{
    leat_error error = {0};
    leat_store_restored restored;
    leat_store_visitor visitor = {.context = self, .manifest = take_name, .entry = take_entry};
    self->flow = flow;
    check(leat_store_restore(self->store, LEAT_STORE_LATEST, &visitor, &restored, &error), "restore", &error);
    if (restored.damaged_count > 0) {
        fprintf(stderr, "restore: %u checkpoints are damaged\n", restored.damaged_count);
        exit(1);
    }
    return restored.id > 0;
}

bool life_named(const life *self, const char *name, void *bytes, size_t size)
{
    for (size_t i = 0; i < self->restored_count; i++) {
        if (strcmp(self->restored[i].name, name) != 0 || self->restored[i].size != size)
            continue;
        memcpy(bytes, self->restored[i].bytes, size);
        return true;
    }
    return false;
}

// ---- a checkpoint

void life_begin(life *self, bool whole)
{
    self->any_whole = leat_store_plan_next(self->store, self->whole) > 0 || whole;
    for (size_t i = 0; whole && i < LEAT_STORE_GROUPS; i++)
        self->whole[i] = true;
    leat_change_set_reset(&self->changes);
    for (size_t i = 0; i < self->next_count; i++) {
        free(self->next[i].name);
        free(self->next[i].bytes);
    }
    self->next_count = 0;
}

leat_snapshot *life_part(life *self, uint32_t node)
{
    leat_change_set_operator(&self->changes, self->numbers[node]);
    return leat_change_set_snapshot(&self->changes, self->any_whole ? self->whole : NULL);
}

void life_name(life *self, const char *name, const void *bytes, size_t size)
{
    if (self->next_count == NAMES_MAX)
        abort();
    self->next[self->next_count++] = copy_named(leat_slice_text(name), leat_slice_of(bytes, size));
}

void life_commit(life *self, int64_t now_ms)
{
    leat_store_named names[NAMES_MAX];
    leat_change_set *sets[] = {&self->changes};
    leat_store_committed committed;
    leat_error error = {0};
    for (size_t i = 0; i < self->next_count; i++)
        names[i] = (leat_store_named){leat_slice_text(self->next[i].name),
                                      leat_slice_of(self->next[i].bytes, self->next[i].size)};
    leat_store_checkpoint checkpoint = {.floor_ms = now_ms,
                                        .manifest = names,
                                        .manifest_count = self->next_count,
                                        .sets = sets,
                                        .set_count = 1,
                                        .whole = self->any_whole ? self->whole : NULL};
    check(leat_store_commit(self->store, &checkpoint, &committed, &error), "commit", &error);
}

// ---- a life after the other

static pid_t start_life(char **arguments, unsigned seconds_max)
{
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(1);
    }
    if (child > 0)
        return child;
    alarm(seconds_max);
    execv("/proc/self/exe", arguments);
    _exit(127);
}

static int wait_for_life(pid_t child, bool at_random, uint64_t random)
{
    int status;
    sigset_t ends;
    struct timespec wait = {.tv_nsec = (long)(random % LIFE_NS)};
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    if (at_random && sigtimedwait(&ends, NULL, &wait) < 0)
        kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return status;
}

int life_after_life(char **arguments, unsigned seconds_max)
{
    sigset_t ends;
    uint64_t random = (uint64_t)getpid();
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    for (uint64_t lives = 1;; lives++) {
        random = leat_hash_combine(random, lives);
        int status = wait_for_life(start_life(arguments, seconds_max), random % 4 == 0, random >> 8);
        if (WIFEXITED(status))
            return WEXITSTATUS(status);
        if (WTERMSIG(status) == SIGKILL)
            continue;
        fprintf(stderr, "life %llu was ended by signal %d\n", (unsigned long long)lives, WTERMSIG(status));
        return 1;
    }
}
