#include "firmware-agent/checkpoint/coordinator.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "firmware-agent/platform/say.h"
#include "firmware-agent/platform/wait.h"

enum {
    PART_BYTES_MAX = 512 << 20,
    NAMES_MAX = LEAT_STORE_MANIFEST_MAX,
    RETRY_MS = 1000, // between two attempts without room: each wears the flash
};

// A change set on its way from a task to the store; kept for the next round.
typedef struct part {
    leat_change_set set; // first: its snapshot leads back here
    struct part *next;
} part;

struct leat_coordinator {
    leat_coordinator_setup setup;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t news; // for the thread
    pthread_cond_t done; // for leat_coordinator_final
    // -- under the lock
    bool stop, requested, cut_complete;
    uint64_t rounds_started, rounds_done, final_round;
    bool last_ok;
    uint64_t round_id;
    part *parts; // of this round, newest first
    part *spares;
    leat_coordinator_figures figures;
    // -- the thread's own
    part *unsaved; // of rounds that could not be committed, oldest first
    bool whole[LEAT_STORE_GROUPS];
    bool any_whole;
    bool marks_dropped; // parts of the last round that held nothing but marks
    bool news_unsaved;  // manifest or ledger differ from what the last commit holds
    leat_arena names_arena;
    leat_store_named *names;
    size_t name_count;
    int64_t last_start_ms; // boot time
};

// ---- parts

static part *new_part(leat_coordinator *coordinator)
{
    part *made = coordinator->spares;
    if (made) {
        coordinator->spares = made->next;
        leat_change_set_reset(&made->set);
        return made;
    }
    made = leat_env_calloc(coordinator->setup.env, sizeof *made);
    LEAT_ASSERT(made);
    leat_change_set_init(&made->set, coordinator->setup.env, PART_BYTES_MAX);
    return made;
}

leat_snapshot *leat_coordinator_part_begin(leat_coordinator *coordinator, uint64_t id, uint32_t node)
{
    (void)id;
    pthread_mutex_lock(&coordinator->lock);
    part *made = new_part(coordinator);
    made->next = coordinator->parts;
    coordinator->parts = made;
    pthread_mutex_unlock(&coordinator->lock);
    leat_change_set_operator(&made->set, coordinator->setup.operator_numbers[node]);
    leat_snapshot *snapshot = leat_change_set_snapshot(&made->set, coordinator->any_whole ? coordinator->whole : NULL);
    snapshot->marks_again = coordinator->marks_dropped;
    return snapshot;
}

void leat_coordinator_part_done(leat_coordinator *coordinator, leat_snapshot *snapshot)
{
    (void)coordinator;
    (void)snapshot; // complete; it lies in the round's list already
}

void leat_coordinator_cut_done(leat_coordinator *coordinator, uint64_t id)
{
    pthread_mutex_lock(&coordinator->lock);
    coordinator->cut_complete = id == coordinator->round_id;
    pthread_cond_signal(&coordinator->news);
    pthread_mutex_unlock(&coordinator->lock);
}

void leat_coordinator_name(leat_coordinator *coordinator, const char *name, leat_slice bytes)
{
    LEAT_ASSERT(coordinator->name_count < NAMES_MAX);
    leat_arena *arena = &coordinator->names_arena;
    coordinator->names[coordinator->name_count++] =
        (leat_store_named){leat_slice_text(leat_arena_copy(arena, name, strlen(name))),
                           leat_slice_of(leat_arena_copy(arena, bytes.data, bytes.size), bytes.size)};
}

// ---- a round, on the thread

static int64_t boot_ms(const leat_coordinator *coordinator) { return leat_boot_ms(coordinator->setup.env); }

static void give_back(leat_coordinator *coordinator, part *each)
{
    pthread_mutex_lock(&coordinator->lock);
    each->next = coordinator->spares;
    coordinator->spares = each;
    pthread_mutex_unlock(&coordinator->lock);
}

// The round's parts in the order in which they were made; empty ones are left out.
static part *take_round(leat_coordinator *coordinator)
{
    pthread_mutex_lock(&coordinator->lock);
    part *round = coordinator->parts, *ordered = NULL;
    coordinator->parts = NULL;
    pthread_mutex_unlock(&coordinator->lock);
    for (part *next; round; round = next) {
        next = round->next;
        if (round->set.count == 0) {
            give_back(coordinator, round);
            continue;
        }
        round->next = ordered;
        ordered = round;
    }
    return ordered;
}

// Moves the round's parts behind those that are not saved yet; returns whether one of them is a reason for a checkpoint.
static bool gather(leat_coordinator *coordinator)
{
    part **end = &coordinator->unsaved;
    while (*end)
        end = &(*end)->next;
    *end = take_round(coordinator);
    bool any = false;
    for (part *each = coordinator->unsaved; each; each = each->next)
        any |= each->set.reasons > 0;
    return any;
}

static void release_saved(leat_coordinator *coordinator)
{
    while (coordinator->unsaved) {
        part *each = coordinator->unsaved;
        coordinator->unsaved = each->next;
        give_back(coordinator, each);
    }
}

// What waits for a commit is kept in memory: no more of it than has to be.
static void drop_marks(leat_coordinator *coordinator)
{
    for (part **at = &coordinator->unsaved; *at;) {
        part *each = *at;
        if (each->set.reasons > 0) {
            at = &each->next;
            continue;
        }
        *at = each->next;
        give_back(coordinator, each);
    }
    coordinator->marks_dropped = true;
}

// Under an id of the store's own: after it fell back to an older checkpoint those of the damaged ones are not used again.
static leat_code commit(leat_coordinator *coordinator, leat_store_committed *out_committed, leat_error *out_error)
{
    size_t count = 0;
    for (part *each = coordinator->unsaved; each; each = each->next)
        count++;
    leat_arena *arena = &coordinator->names_arena;
    leat_change_set **sets = leat_arena_array(arena, leat_change_set *, count + 1);
    count = 0;
    for (part *each = coordinator->unsaved; each; each = each->next)
        sets[count++] = &each->set;
    leat_store_checkpoint checkpoint = {.floor_ms = coordinator->setup.hooks.now_ms(coordinator->setup.hooks.context),
                                        .manifest = coordinator->names,
                                        .manifest_count = coordinator->name_count,
                                        .sets = sets,
                                        .set_count = count,
                                        .whole = coordinator->any_whole ? coordinator->whole : NULL};
    return leat_store_commit(coordinator->setup.store, &checkpoint, out_committed, out_error);
}

// False: the thread was told to stop before the cut was complete.
static bool wait_for_cut(leat_coordinator *coordinator, uint64_t id)
{
    leat_coordinator_hooks *hooks = &coordinator->setup.hooks;
    int64_t start_ms = boot_ms(coordinator), looked_ms = start_ms;
    pthread_mutex_lock(&coordinator->lock);
    while (!coordinator->cut_complete && !coordinator->stop) {
        leat_wait(&coordinator->news, &coordinator->lock, hooks->waiting ? LEAT_COORDINATOR_LOOK_MS : -1);
        int64_t now_ms = boot_ms(coordinator);
        if (!hooks->waiting || coordinator->cut_complete || now_ms - looked_ms < LEAT_COORDINATOR_LOOK_MS)
            continue;
        looked_ms = now_ms;
        pthread_mutex_unlock(&coordinator->lock);
        hooks->waiting(hooks->context, id, now_ms - start_ms);
        pthread_mutex_lock(&coordinator->lock);
    }
    bool complete = coordinator->cut_complete;
    pthread_mutex_unlock(&coordinator->lock);
    return complete;
}

// reason: why there is none, beside a full disk.
static void tell_room(leat_coordinator *coordinator, bool full, const leat_error *reason)
{
    pthread_mutex_lock(&coordinator->lock);
    bool news = coordinator->figures.disk_full != full;
    coordinator->figures.disk_full = full;
    pthread_mutex_unlock(&coordinator->lock);
    if (news && reason)
        leat_say_error(LEAT_LEVEL_ERROR,
                       "no room for a checkpoint; intake and results wait, the last checkpoint is kept", reason);
    else if (news)
        leat_say(full ? LEAT_LEVEL_WARNING : LEAT_LEVEL_INFO,
                 full ? "no room for a checkpoint; results wait, nothing is lost" : "checkpoints have room again");
    if (news && coordinator->setup.hooks.full)
        coordinator->setup.hooks.full(coordinator->setup.hooks.context, full);
}

static void note_commit(leat_coordinator *coordinator, const leat_store_committed *committed, int64_t duration_us)
{
    pthread_mutex_lock(&coordinator->lock);
    leat_coordinator_figures *figures = &coordinator->figures;
    figures->id = committed->id;
    figures->committed_at_ms = coordinator->setup.hooks.now_ms(coordinator->setup.hooks.context);
    figures->duration_us = duration_us;
    figures->commit_us = committed->duration_us;
    figures->bytes = committed->page_bytes;
    figures->flash_bytes += committed->page_bytes;
    figures->count++;
    pthread_mutex_unlock(&coordinator->lock);
}

static void count_round(leat_coordinator *coordinator, bool skipped)
{
    pthread_mutex_lock(&coordinator->lock);
    coordinator->figures.skipped += skipped;
    coordinator->figures.failed += !skipped;
    pthread_mutex_unlock(&coordinator->lock);
}

static bool fail_round(leat_coordinator *coordinator, leat_code code, leat_error *error)
{
    count_round(coordinator, false);
    if (code == LEAT_E_NO_SPACE || code == LEAT_E_LIMIT) {
        drop_marks(coordinator);
        tell_room(coordinator, true, code == LEAT_E_LIMIT ? error : NULL);
        return false;
    }
    leat_error_prefix(error, "checkpoint");
    coordinator->setup.hooks.fault(coordinator->setup.hooks.context, error);
    return false;
}

static void begin_round(leat_coordinator *coordinator, uint64_t id)
{
    leat_arena_reset(&coordinator->names_arena);
    coordinator->names = leat_arena_array(&coordinator->names_arena, leat_store_named, NAMES_MAX);
    coordinator->name_count = 0;
    coordinator->any_whole = leat_store_plan_next(coordinator->setup.store, coordinator->whole) > 0;
    pthread_mutex_lock(&coordinator->lock);
    coordinator->round_id = id;
    coordinator->cut_complete = false;
    pthread_mutex_unlock(&coordinator->lock);
}

// True: the cut is durable.
static bool run_round(leat_coordinator *coordinator, uint64_t id)
{
    leat_coordinator_hooks *hooks = &coordinator->setup.hooks;
    int64_t start_ns = leat_boot_ns(coordinator->setup.env);
    leat_error error = {0};
    leat_store_committed committed = {0};
    begin_round(coordinator, id);
    hooks->barrier(hooks->context, id);
    if (!wait_for_cut(coordinator, id))
        return false;
    bool changed = gather(coordinator);
    leat_code code = hooks->sync(hooks->context, id, &error);
    if (code != LEAT_OK)
        return fail_round(coordinator, code, &error);
    coordinator->news_unsaved |= hooks->manifest(hooks->context, coordinator, id);
    coordinator->news_unsaved |= hooks->ledger(hooks->context, coordinator->setup.store);
    if (!changed && !coordinator->news_unsaved && !coordinator->any_whole && coordinator->figures.id > 0) {
        drop_marks(coordinator);
        count_round(coordinator, true);
        hooks->committed(hooks->context, id, false);
        return true;
    }
    code = commit(coordinator, &committed, &error);
    if (code != LEAT_OK)
        return fail_round(coordinator, code, &error);
    coordinator->news_unsaved = coordinator->marks_dropped = false;
    release_saved(coordinator);
    tell_room(coordinator, false, NULL);
    note_commit(coordinator, &committed, (leat_boot_ns(coordinator->setup.env) - start_ns) / 1000);
    hooks->committed(hooks->context, id, true);
    return true;
}

// ---- the thread

// Milliseconds until the next round is due; 0: now.
static int64_t until_due(const leat_coordinator *coordinator, bool requested)
{
    const leat_coordinator_setup *setup = &coordinator->setup;
    int64_t since = boot_ms(coordinator) - coordinator->last_start_ms;
    int64_t wanted = requested ? setup->gap_ms : setup->interval_ms;
    if (!requested && setup->min_pause_ms > wanted)
        wanted = setup->min_pause_ms;
    if (coordinator->figures.disk_full && wanted < RETRY_MS)
        wanted = RETRY_MS;
    return since >= wanted ? 0 : wanted - since;
}

// Under the lock. False: stop.
static bool wait_until_due(leat_coordinator *coordinator)
{
    for (;;) {
        bool final = coordinator->final_round > coordinator->rounds_done;
        if (coordinator->stop)
            return false;
        int64_t wait_ms = final ? 0 : until_due(coordinator, coordinator->requested);
        if (wait_ms == 0)
            return true;
        leat_wait(&coordinator->news, &coordinator->lock, wait_ms);
    }
}

static void *run(void *argument)
{
    leat_coordinator *coordinator = argument;
    leat_store_bind(coordinator->setup.store);
    uint64_t id = coordinator->setup.last_id;
    pthread_mutex_lock(&coordinator->lock);
    while (wait_until_due(coordinator)) {
        coordinator->requested = false;
        coordinator->last_start_ms = boot_ms(coordinator);
        uint64_t round = ++coordinator->rounds_started;
        pthread_mutex_unlock(&coordinator->lock);
        bool ok = run_round(coordinator, ++id);
        pthread_mutex_lock(&coordinator->lock);
        coordinator->rounds_done = round;
        coordinator->last_ok = ok;
        pthread_cond_broadcast(&coordinator->done);
    }
    pthread_mutex_unlock(&coordinator->lock);
    return NULL;
}

// ---- life

leat_code leat_coordinator_create(const leat_coordinator_setup *setup, leat_coordinator **out_coordinator,
                                  leat_error *out_error)
{
    leat_coordinator *coordinator = leat_env_calloc(setup->env, sizeof *coordinator);
    if (!coordinator)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for the coordinator");
    coordinator->setup = *setup;
    coordinator->figures.id = setup->last_id;
    coordinator->figures.committed_at_ms = INT64_MIN;
    leat_arena_init(&coordinator->names_arena, setup->env, 16384);
    pthread_mutex_init(&coordinator->lock, NULL);
    leat_wait_init(&coordinator->news);
    leat_wait_init(&coordinator->done);
    *out_coordinator = coordinator;
    return LEAT_OK;
}

leat_code leat_coordinator_start(leat_coordinator *coordinator, leat_error *out_error)
{
    coordinator->last_start_ms = boot_ms(coordinator);
    int failed = pthread_create(&coordinator->thread, NULL, run, coordinator);
    if (failed)
        return leat_error_errno(out_error, failed, "checkpoint thread");
    pthread_setname_np(coordinator->thread, "checkpoint");
    coordinator->running = true;
    return LEAT_OK;
}

void leat_coordinator_request(leat_coordinator *coordinator)
{
    pthread_mutex_lock(&coordinator->lock);
    if (!coordinator->requested) {
        coordinator->requested = true;
        pthread_cond_signal(&coordinator->news);
    }
    pthread_mutex_unlock(&coordinator->lock);
}

bool leat_coordinator_final(leat_coordinator *coordinator, int64_t timeout_ms)
{
    int64_t until_ms = boot_ms(coordinator) + timeout_ms, left_ms = timeout_ms;
    pthread_mutex_lock(&coordinator->lock);
    // The round that begins after this call: what runs now may have cut before.
    uint64_t wanted = coordinator->rounds_started + 1;
    coordinator->final_round = wanted;
    pthread_cond_signal(&coordinator->news);
    while (coordinator->rounds_done < wanted && left_ms > 0) {
        leat_wait(&coordinator->done, &coordinator->lock, left_ms);
        left_ms = until_ms - boot_ms(coordinator);
    }
    bool ok = coordinator->rounds_done >= wanted && coordinator->last_ok;
    pthread_mutex_unlock(&coordinator->lock);
    return ok;
}

void leat_coordinator_stop(leat_coordinator *coordinator)
{
    pthread_mutex_lock(&coordinator->lock);
    coordinator->stop = true;
    pthread_cond_broadcast(&coordinator->news);
    pthread_mutex_unlock(&coordinator->lock);
    if (coordinator->running) {
        pthread_join(coordinator->thread, NULL);
        leat_store_bind(coordinator->setup.store);
    }
    coordinator->running = false;
}

static void free_parts(leat_coordinator *coordinator, part *list)
{
    while (list) {
        part *next = list->next;
        leat_change_set_fini(&list->set);
        leat_env_free(coordinator->setup.env, list, sizeof *list);
        list = next;
    }
}

void leat_coordinator_destroy(leat_coordinator *coordinator)
{
    if (!coordinator)
        return;
    leat_coordinator_stop(coordinator);
    free_parts(coordinator, coordinator->parts);
    free_parts(coordinator, coordinator->spares);
    free_parts(coordinator, coordinator->unsaved);
    leat_env *env = coordinator->setup.env;
    leat_arena_fini(&coordinator->names_arena);
    pthread_cond_destroy(&coordinator->done);
    pthread_cond_destroy(&coordinator->news);
    pthread_mutex_destroy(&coordinator->lock);
    leat_env_free(env, coordinator, sizeof *coordinator);
}

void leat_coordinator_measure(const leat_coordinator *coordinator, leat_coordinator_figures *out_figures)
{
    leat_coordinator *own = (leat_coordinator *)coordinator;
    pthread_mutex_lock(&own->lock);
    *out_figures = own->figures;
    pthread_mutex_unlock(&own->lock);
}
