#include "operators/match_nfa.h"

#include <string.h>

#include "operators/core/batch.h"

// ---- runs

uint32_t leat_pattern_path(pattern_nfa *nfa, const pattern_run *run)
{
    return nfa->is_line ? leat_line_path(&nfa->work, run->entry) : pattern_path(&nfa->work, run->entry, run->version);
}

void leat_pattern_drop(pattern_nfa *nfa, pattern_key *key, pattern_run *run)
{
    if (nfa->is_line) {
        leat_line_free(&nfa->pool, run->entry);
        return;
    }
    if (run->entry)
        pattern_unpin(nfa->budget, &key->buffer, run->entry);
    pattern_version_unref(nfa->budget, run->version);
}

// The run no longer needs its rows.
static bool release(pattern_nfa *nfa, pattern_key *key, const pattern_run *run)
{
    return nfa->is_line || !run->entry ||
           pattern_release(nfa->budget, &key->buffer, &nfa->work, run->entry, run->version);
}

bool leat_pattern_give_up(pattern_nfa *nfa, pattern_key *key, pattern_run *run)
{
    bool released = release(nfa, key, run);
    leat_pattern_drop(nfa, key, run);
    return released;
}

static void drop_all(pattern_nfa *nfa, pattern_key *key, pattern_queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++)
        leat_pattern_drop(nfa, key, &queue->runs[i]);
    queue->count = 0;
}

static bool is_start(const pattern_run *run) { return run->state->kind == PATTERN_START; }

static pattern_run start_run(const pattern_nfa *nfa, pattern_version *version)
{
    return (pattern_run){.state = nfa->graph.start,
                         .version = version,
                         .start_ms = -1,
                         .first_ms = LEAT_TIME_MAX,
                         .first_id = UINT32_MAX};
}

bool leat_pattern_begin_key(pattern_nfa *nfa, pattern_key *key)
{
    *key = (pattern_key){.last_ms = LEAT_TIME_NONE, .newest_ms = LEAT_TIME_NONE, .timer_ms = INT64_MAX};
    if (nfa->is_line)
        return leat_line_room(&nfa->pool, &key->runs.runs, &key->runs.room) &&
               pattern_queue_push(nfa->budget, &key->runs, start_run(nfa, NULL));
    pattern_version *version = pattern_version_new(nfa->budget, NULL, 1);
    if (!version)
        return false;
    if (pattern_queue_push(nfa->budget, &key->runs, start_run(nfa, version)))
        return true;
    pattern_version_unref(nfa->budget, version);
    return false;
}

static void free_runs(pattern_nfa *nfa, const pattern_queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++) {
        const pattern_run *run = &queue->runs[i];
        if (!nfa->is_line)
            pattern_version_unref(nfa->budget, run->version);
        else if (run->entry)
            leat_line_free(&nfa->pool, run->entry);
    }
}

static void clear_line(pattern_nfa *nfa, pattern_key *key)
{
    free_runs(nfa, &key->runs);
    if (!leat_line_keep_room(&nfa->pool, key->runs.runs, key->runs.room))
        pattern_queue_free(nfa->budget, &key->runs);
    if (!key->done.runs)
        return;
    free_runs(nfa, &key->done);
    pattern_queue_free(nfa->budget, &key->done);
}

static void clear_branching(pattern_nfa *nfa, pattern_key *key)
{
    free_runs(nfa, &key->runs);
    free_runs(nfa, &key->done);
    pattern_buffer_clear(nfa->budget, &key->buffer);
    pattern_queue_free(nfa->budget, &key->runs);
    pattern_queue_free(nfa->budget, &key->done);
}

void leat_pattern_clear(pattern_nfa *nfa, pattern_key *key)
{
    if (nfa->is_line)
        clear_line(nfa, key);
    else
        clear_branching(nfa, key);
    pattern_timers_free(nfa->budget, &key->timers);
    *key = (pattern_key){0};
}

// ---- which ways a row opens

static bool answer(pattern_nfa *nfa, uint32_t condition, const pattern_run *run)
{
    uint32_t stamp = nfa->spec->conditions[condition].simple ? nfa->row_stamp : nfa->stamp;
    if (nfa->stamps[condition] != stamp) {
        nfa->answers[condition] = nfa->test(nfa, condition, run);
        nfa->stamps[condition] = stamp;
    }
    return nfa->answers[condition];
}

static bool passes(pattern_nfa *nfa, const pattern_test *test, const pattern_run *run)
{
    switch (test->kind) {
    case PATTERN_TRUE:
        return true;
    case PATTERN_CONDITION:
        return answer(nfa, test->condition, run);
    case PATTERN_NOT:
        return !passes(nfa, test->left, run);
    case PATTERN_AND:
        return passes(nfa, test->left, run) && passes(nfa, test->right, run);
    }
    return false;
}

static bool push_state(pattern_nfa *nfa, uint32_t *inout_count, const pattern_state *state)
{
    if (*inout_count == nfa->stack_room) {
        uint32_t room = nfa->stack_room ? nfa->stack_room * 2 : 16;
        void *stack =
            leat_budget_grow(nfa->budget, nfa->stack, nfa->stack_room * sizeof *nfa->stack, room * sizeof *nfa->stack);
        if (!stack)
            return false;
        nfa->stack = stack;
        nfa->stack_room = room;
    }
    nfa->stack[(*inout_count)++] = state;
    return true;
}

static bool way_add(pattern_nfa *nfa, const pattern_state *source, const pattern_transition *transition,
                    const pattern_run *run)
{
    if (nfa->way_count == nfa->way_room) {
        uint32_t room = nfa->way_room ? nfa->way_room * 2 : 16;
        void *ways =
            leat_budget_grow(nfa->budget, nfa->ways, nfa->way_room * sizeof *nfa->ways, room * sizeof *nfa->ways);
        if (!ways)
            return false;
        nfa->ways = ways;
        nfa->way_room = room;
    }
    nfa->ways[nfa->way_count++] = (pattern_way){transition, source};
    nfa->takes += transition->action == PATTERN_TAKE;
    nfa->ignores += transition->action == PATTERN_IGNORE && transition->target != run->state;
    return true;
}

// From the run's state and through what it proceeds to; the last one pushed is looked at first.
static bool decide(pattern_nfa *nfa, const pattern_run *run)
{
    uint32_t count = 0;
    nfa->way_count = nfa->takes = nfa->ignores = 0;
    nfa->stamp++;
    if (!push_state(nfa, &count, run->state))
        return false;
    while (count) {
        const pattern_state *state = nfa->stack[--count];
        for (uint32_t i = 0; i < state->transition_count; i++) {
            const pattern_transition *transition = &state->transitions[i];
            if (!passes(nfa, transition->test, run))
                continue;
            bool noted = transition->action == PATTERN_PROCEED ? push_state(nfa, &count, transition->target)
                                                               : way_add(nfa, state, transition, run);
            if (!noted)
                return false;
        }
    }
    return true;
}

// The final state, when the row leads on to it without a further one. *out_state NULL: no.
static bool final_behind(pattern_nfa *nfa, const pattern_state *from, const pattern_run *run,
                         const pattern_state **out_state)
{
    uint32_t count = 0;
    *out_state = NULL;
    if (!push_state(nfa, &count, from))
        return false;
    while (count) {
        const pattern_state *state = nfa->stack[--count];
        for (uint32_t i = 0; i < state->transition_count; i++) {
            const pattern_transition *transition = &state->transitions[i];
            if (transition->action != PATTERN_PROCEED || !passes(nfa, transition->test, run))
                continue;
            if (transition->target->kind == PATTERN_FINAL) {
                *out_state = transition->target;
                return true;
            }
            if (!push_state(nfa, &count, transition->target))
                return false;
        }
    }
    return true;
}

// ---- what follows a run

static bool made_add(pattern_nfa *nfa, pattern_run run, const pattern_state *state, pattern_version *version)
{
    if (!version || !pattern_queue_room(nfa->budget, &nfa->made)) {
        pattern_version_unref(nfa->budget, version);
        return false;
    }
    run.state = state;
    run.version = version;
    pattern_lock(run.entry, version);
    run.entry->pins++;
    nfa->made.runs[nfa->made.count++] = run;
    return true;
}

static uint32_t own_raise(const pattern_nfa *nfa)
{
    return nfa->takes || nfa->ignores ? nfa->ignores + (nfa->takes > 1 ? nfa->takes : 1) : 0;
}

static bool ignore(pattern_nfa *nfa, const pattern_run *run, const pattern_state *target, uint32_t *inout_ignores)
{
    if (is_start(run))
        return true;
    if (target == run->state)
        return made_add(nfa, *run, target, pattern_version_raise(nfa->budget, run->version, own_raise(nfa)));
    uint32_t skip = (nfa->takes ? nfa->takes - 1 : 0) + (*inout_ignores)--;
    pattern_version *raised = pattern_version_raise(nfa->budget, run->version, skip);
    pattern_version *version = raised ? pattern_version_new(nfa->budget, raised, 0) : NULL;
    pattern_version_unref(nfa->budget, raised);
    return made_add(nfa, *run, target, version);
}

static void pass_id(const pattern_nfa *nfa, const pattern_event *event)
{
    if (event->time_ms == nfa->time_ms && event->id >= nfa->key->next_id)
        nfa->key->next_id = event->id + 1;
}

static void pass_ids_of(const pattern_nfa *nfa, const pattern_queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++)
        for (const pattern_node *node = queue->runs[i].entry; node; node = node->next)
            pass_id(nfa, node->event);
}

// Rows of a key come in order of time, except across a savepoint.
static uint32_t event_id(pattern_nfa *nfa)
{
    pattern_key *key = nfa->key;
    if (key->last_ms == nfa->time_ms)
        return key->next_id++;
    key->last_ms = nfa->time_ms;
    key->next_id = 0;
    if (nfa->time_ms > key->newest_ms) {
        key->newest_ms = nfa->time_ms;
        return key->next_id++;
    }
    for (const pattern_event *event = key->buffer.first; event; event = event->next)
        pass_id(nfa, event);
    if (nfa->is_line) {
        pass_ids_of(nfa, &key->runs);
        pass_ids_of(nfa, &nfa->next);
        pass_ids_of(nfa, &nfa->complete);
        pass_ids_of(nfa, &key->done);
    }
    return key->next_id++;
}

static pattern_event *event_of(pattern_nfa *nfa)
{
    if (!nfa->event && nfa->is_line)
        nfa->event = leat_line_event(&nfa->pool, nfa->types, nfa->values(nfa), nfa->time_ms, event_id(nfa), nfa->cause);
    else if (!nfa->event)
        nfa->event = pattern_event_new(nfa->budget, &nfa->key->buffer, nfa->types, nfa->spec->kept_count, nfa->row(nfa),
                                       nfa->time_ms, event_id(nfa), nfa->cause);
    return nfa->event;
}

static bool take_with(pattern_nfa *nfa, const pattern_run *run, const pattern_way *way, pattern_version *version)
{
    pattern_event *event = event_of(nfa);
    pattern_run taken = *run;
    const pattern_state *final;
    if (!event)
        return false;
    taken.entry = pattern_take(nfa->budget, event, (uint32_t)way->source->stage, run->entry, version);
    pattern_version *next = taken.entry ? pattern_version_new(nfa->budget, version, 0) : NULL;
    if (!next)
        return false;
    if (is_start(run)) {
        taken.start_ms = taken.first_ms = event->time_ms;
        taken.first_id = event->id;
    }
    bool made = made_add(nfa, taken, way->transition->target, pattern_version_ref(next)) &&
                final_behind(nfa, way->transition->target, run, &final) &&
                (!final || made_add(nfa, taken, final, pattern_version_ref(next)));
    pattern_version_unref(nfa->budget, next);
    return made;
}

static bool take(pattern_nfa *nfa, const pattern_run *run, const pattern_way *way, uint32_t raise)
{
    pattern_version *version = pattern_version_raise(nfa->budget, run->version, raise);
    bool taken = version && take_with(nfa, run, way, version);
    pattern_version_unref(nfa->budget, version);
    return taken;
}

static bool go_on_starting(pattern_nfa *nfa, const pattern_run *run)
{
    pattern_version *version = pattern_version_raise(nfa->budget, run->version, own_raise(nfa));
    if (!version || !pattern_queue_room(nfa->budget, &nfa->made)) {
        pattern_version_unref(nfa->budget, version);
        return false;
    }
    nfa->made.runs[nfa->made.count++] = start_run(nfa, version);
    return true;
}

static bool follow(pattern_nfa *nfa, const pattern_run *run)
{
    nfa->made.count = 0;
    if (!decide(nfa, run))
        return false;
    uint32_t takes = nfa->takes ? nfa->takes - 1 : 0, ignores = nfa->ignores;
    for (uint32_t i = 0; i < nfa->way_count; i++) {
        const pattern_way *way = &nfa->ways[i];
        bool gone = way->transition->action == PATTERN_IGNORE ? ignore(nfa, run, way->transition->target, &ignores)
                                                              : take(nfa, run, way, takes--);
        if (!gone)
            return false;
    }
    return (!is_start(run) || go_on_starting(nfa, run)) && release(nfa, nfa->key, run);
}

// ---- without branches

static bool take_line(pattern_nfa *nfa, pattern_run *run, const pattern_transition *way)
{
    pattern_event *event = event_of(nfa);
    pattern_run taken = *run;
    taken.entry = event ? leat_line_take(&nfa->pool, event, (uint32_t)run->state->stage, run->entry) : NULL;
    if (!taken.entry)
        return false;
    if (is_start(run)) {
        taken.start_ms = taken.first_ms = event->time_ms;
        taken.first_id = event->id;
    }
    taken.state = way->target;
    nfa->made.runs[nfa->made.count++] = taken;
    run->entry = NULL;
    return true;
}

// A state takes the row, or it ignores it and stays as it is, or the run ends. Its rows go over to what is made.
static bool follow_line(pattern_nfa *nfa, pattern_run *run)
{
    const pattern_state *state = run->state;
    bool begins = is_start(run);
    nfa->made.count = 0;
    nfa->stamp++;
    while (nfa->made.room < 2)
        if (!pattern_queue_grow(nfa->budget, &nfa->made))
            return false;
    if (passes(nfa, state->transitions[0].test, run)) {
        if (!take_line(nfa, run, &state->transitions[0]))
            return false;
    } else if (!begins && state->transition_count > 1) {
        nfa->made.runs[nfa->made.count++] = *run;
        run->entry = NULL;
    }
    if (begins)
        nfa->made.runs[nfa->made.count++] = start_run(nfa, NULL);
    return true;
}

// What follow_line and keep_made make of all runs, where they lie in order of their first rows and the row at hand is later than all of them: then
// those that go on stay in order, the one that begins comes behind them, and nothing has to be moved.

static bool lies_in_order(const pattern_nfa *nfa, const pattern_key *key)
{
    const pattern_queue *runs = &key->runs;
    if (nfa->time_ms < key->newest_ms || (nfa->time_ms == key->newest_ms && nfa->time_ms != key->last_ms))
        return false;
    for (uint32_t i = 2; i < runs->count; i++)
        if (pattern_run_compare(&runs->runs[i - 2], &runs->runs[i - 1]) > 0)
            return false;
    return runs->count && is_start(&runs->runs[runs->count - 1]);
}

// Asked once for each run.
static bool fits(pattern_nfa *nfa, const pattern_test *test, const pattern_run *run)
{
    if (test->kind != PATTERN_CONDITION)
        return passes(nfa, test, run);
    if (nfa->spec->conditions[test->condition].simple)
        return nfa->mask >> test->condition & 1;
    return nfa->test(nfa, test->condition, run);
}

// False in *out_kept: the run is complete and goes over to the others.
static bool take_in_place(pattern_nfa *nfa, pattern_run *run, bool *out_kept)
{
    const pattern_state *state = run->state, *target = state->transitions[0].target;
    pattern_event *event = event_of(nfa);
    pattern_node *node = event ? leat_line_take(&nfa->pool, event, (uint32_t)state->stage, run->entry) : NULL;
    if (!node)
        return false;
    run->entry = node;
    run->state = target;
    *out_kept = target->kind != PATTERN_FINAL;
    return *out_kept || pattern_queue_push(nfa->budget, &nfa->complete, *run);
}

static bool step_line(pattern_nfa *nfa, pattern_run *run, bool *out_kept)
{
    const pattern_state *state = run->state;
    if (fits(nfa, state->transitions[0].test, run))
        return take_in_place(nfa, run, out_kept);
    *out_kept = state->transition_count > 1;
    if (!*out_kept)
        leat_line_free(&nfa->pool, run->entry);
    return true;
}

// The start stays the last one.
static bool begin_line(pattern_nfa *nfa, pattern_queue *runs)
{
    pattern_run *start = &runs->runs[runs->count - 1], run = *start;
    bool kept;
    if (!fits(nfa, nfa->graph.start->transitions[0].test, start))
        return true;
    if (!event_of(nfa) || !pattern_queue_room(nfa->budget, runs))
        return false;
    run.start_ms = run.first_ms = nfa->time_ms;
    run.first_id = nfa->event->id;
    nfa->new_start |= run.start_ms > 0;
    if (!take_in_place(nfa, &run, &kept)) {
        leat_line_free(&nfa->pool, run.entry);
        return false;
    }
    if (!kept)
        return true;
    start = &runs->runs[runs->count - 1];
    runs->runs[runs->count++] = *start;
    *start = run;
    return true;
}

static bool follow_in_order(pattern_nfa *nfa, pattern_key *key)
{
    pattern_queue *runs = &key->runs;
    uint32_t kept = 0, i = 0;
    bool followed = true, goes_on;
    for (; followed && i + 1 < runs->count; i++) {
        followed = step_line(nfa, &runs->runs[i], &goes_on);
        if (!followed || !goes_on)
            continue;
        if (kept < i)
            runs->runs[kept] = runs->runs[i];
        kept++;
    }
    if (!followed)
        i--; // it has its rows still
    memmove(&runs->runs[kept], &runs->runs[i], (runs->count - i) * sizeof *runs->runs);
    runs->count -= i - kept;
    return followed && begin_line(nfa, runs);
}

// ---- all runs

// Stopped: none of what was made goes on.
static bool keep_made(pattern_nfa *nfa, bool from_start)
{
    bool stopped = false, kept = true;
    uint32_t count = nfa->made.count;
    nfa->made.count = 0;
    for (uint32_t i = 0; i < count; i++) {
        nfa->new_start |= from_start && nfa->made.runs[i].start_ms > 0;
        stopped |= nfa->made.runs[i].state->kind == PATTERN_STOP;
    }
    for (uint32_t i = 0; i < count; i++) {
        pattern_run *run = &nfa->made.runs[i];
        if (run->state->kind == PATTERN_FINAL)
            kept &=
                pattern_queue_push(nfa->budget, &nfa->complete, *run) || (leat_pattern_drop(nfa, nfa->key, run), false);
        else if (stopped)
            kept &= leat_pattern_give_up(nfa, nfa->key, run);
        else
            kept &= pattern_queue_push(nfa->budget, &nfa->next, *run) || (leat_pattern_drop(nfa, nfa->key, run), false);
    }
    return kept;
}

// ---- rows and time

static bool follow_all(pattern_nfa *nfa, pattern_key *key)
{
    bool followed = true;
    for (uint32_t i = 0; i < key->runs.count; i++) {
        pattern_run *run = &key->runs.runs[i];
        bool from_start = is_start(run);
        if (followed && (nfa->is_line ? follow_line(nfa, run) : follow(nfa, run)))
            followed = keep_made(nfa, from_start);
        else
            followed = false;
        if (!followed)
            drop_all(nfa, key, &nfa->made);
        leat_pattern_drop(nfa, key, run);
    }
    key->runs.count = 0;
    return followed;
}

// A key without partial matches may have been forgotten since its last row, which hangs on where batches end; versions are part of
// the causes of timeouts, so they begin again whether it was or not.
static bool renew_versions(pattern_nfa *nfa, pattern_key *key)
{
    pattern_run *start = key->runs.runs;
    if (nfa->is_line || !leat_pattern_is_idle(key) || !key->runs.count ||
        (start->version->first == 1 && start->version->length == 1))
        return true;
    pattern_version *version = pattern_version_new(nfa->budget, NULL, 1);
    if (!version)
        return false;
    pattern_version_unref(nfa->budget, start->version);
    start->version = version;
    return true;
}

static bool row_in_order(pattern_nfa *nfa, pattern_key *key, int64_t time_ms)
{
    bool done = follow_in_order(nfa, key);
    if (done && (nfa->complete.count || key->done.count))
        done = leat_pattern_give_matches(nfa, key, &key->runs, time_ms);
    if (!done)
        drop_all(nfa, key, &nfa->complete);
    if (nfa->event)
        leat_line_unhold(&nfa->pool, nfa->event);
    return done;
}

bool leat_pattern_row(pattern_nfa *nfa, pattern_key *key, int64_t time_ms, uint64_t cause)
{
    if (!renew_versions(nfa, key))
        return false;
    nfa->key = key;
    nfa->time_ms = time_ms;
    nfa->cause = cause;
    nfa->event = NULL;
    nfa->row_stamp = ++nfa->stamp;
    if (nfa->is_line && lies_in_order(nfa, key))
        return row_in_order(nfa, key, time_ms);
    bool done = follow_all(nfa, key) && leat_pattern_give_matches(nfa, key, &nfa->next, time_ms);
    if (done)
        done = pattern_queue_move(nfa->budget, &key->runs, &nfa->next);
    if (!done) {
        drop_all(nfa, key, &nfa->next);
        drop_all(nfa, key, &nfa->complete);
    }
    if (nfa->event && nfa->is_line)
        leat_line_unhold(&nfa->pool, nfa->event);
    else if (nfa->event)
        pattern_event_release(nfa->budget, &key->buffer, nfa->event);
    return done;
}

bool leat_pattern_begins(pattern_nfa *nfa, bool *out_begins)
{
    pattern_version first = {.references = 1, .length = 1, .first = 1, .digit = 1};
    pattern_run run = start_run(nfa, &first);
    nfa->row_stamp = ++nfa->stamp;
    bool decided = decide(nfa, &run);
    *out_begins = nfa->takes > 0;
    return decided;
}

uint64_t leat_pattern_begin_mask(const pattern_nfa *nfa)
{
    const pattern_state *start = nfa->graph.start;
    uint64_t mask = 0;
    for (uint32_t i = 0; i < start->transition_count; i++) {
        const pattern_transition *way = &start->transitions[i];
        const pattern_test *test = way->test;
        if (way->action == PATTERN_IGNORE)
            continue; // a match that has not begun ignores nothing
        if (way->action == PATTERN_PROCEED || test->kind != PATTERN_CONDITION ||
            !nfa->spec->conditions[test->condition].simple)
            return 0;
        mask |= 1ull << test->condition;
    }
    return mask;
}

static bool lasts(int64_t since_ms, int64_t time_ms, int64_t within_ms)
{
    return within_ms > 0 && (int64_t)((uint64_t)time_ms - (uint64_t)since_ms) >= within_ms;
}

static bool out_of_step(const pattern_run *run, int64_t time_ms)
{
    return run->state->within_ms && lasts(run->entry->event->time_ms, time_ms, run->state->within_ms);
}

static bool timed_out(const pattern_nfa *nfa, const pattern_run *run, int64_t time_ms)
{
    return !is_start(run) && (lasts(run->start_ms, time_ms, nfa->spec->within_ms) || out_of_step(run, time_ms));
}

static int64_t timeout_of(const pattern_nfa *nfa, const pattern_run *run, int64_t time_ms)
{
    bool step = out_of_step(run, time_ms);
    int64_t since_ms = step ? run->entry->event->time_ms : run->start_ms;
    return (int64_t)((uint64_t)since_ms + (uint64_t)(step ? run->state->within_ms : nfa->spec->within_ms));
}

static bool time_out(pattern_nfa *nfa, pattern_key *key, pattern_run *run, int64_t time_ms)
{
    bool told = true;
    if (nfa->spec->timeout_output) {
        uint32_t count = leat_pattern_path(nfa, run);
        told = count != UINT32_MAX;
        if (told)
            nfa->found(nfa, count, timeout_of(nfa, run, time_ms), run, true);
    }
    return leat_pattern_give_up(nfa, key, run) && told;
}

bool leat_pattern_advance(pattern_nfa *nfa, pattern_key *key, int64_t time_ms)
{
    bool done = true, any = false;
    if (nfa->spec->within_ms <= 0 && !nfa->graph.has_within)
        return true;
    for (uint32_t i = 0; i < key->runs.count && !any; i++)
        any = timed_out(nfa, &key->runs.runs[i], time_ms);
    if (!any)
        return true;
    for (uint32_t i = 0; i < key->runs.count; i++) {
        pattern_run *run = &key->runs.runs[i];
        bool late = timed_out(nfa, run, time_ms);
        if (late && run->state->kind != PATTERN_PENDING)
            done &= time_out(nfa, key, run, time_ms);
        else
            done &= pattern_queue_push(nfa->budget, late ? &nfa->complete : &nfa->next, *run) ||
                    (leat_pattern_drop(nfa, key, run), false);
    }
    key->runs.count = 0;
    done = done && leat_pattern_give_matches(nfa, key, &nfa->next, time_ms) &&
           pattern_queue_move(nfa->budget, &key->runs, &nfa->next);
    if (!done) {
        drop_all(nfa, key, &nfa->next);
        drop_all(nfa, key, &nfa->complete);
    }
    return done;
}

// ---- timers

// Runs that began at or before 1970 have none, as in Flink: they end with whatever next happens to the key.
static int64_t timer_after(const pattern_nfa *nfa, int64_t time_ms)
{
    return time_ms > INT64_MAX - nfa->spec->within_ms ? INT64_MAX : time_ms + nfa->spec->within_ms;
}

// By the clock: those of partial matches that live and of the millisecond before them; also for what yet begins at `time_ms` or behind it.
static void drop_useless_timers(const pattern_nfa *nfa, const pattern_key *key, int64_t time_ms)
{
    pattern_timers_want(key->timers, timer_after(nfa, time_ms));
    pattern_timers_want(key->timers, timer_after(nfa, time_ms - 1));
    for (uint32_t i = 0; i < key->runs.count; i++) {
        int64_t start_ms = key->runs.runs[i].start_ms;
        if (start_ms <= 0)
            continue;
        pattern_timers_want(key->timers, timer_after(nfa, start_ms));
        pattern_timers_want(key->timers, timer_after(nfa, start_ms - 1));
    }
    pattern_timers_drop_unwanted(key->timers);
}

bool leat_pattern_set_timer(pattern_nfa *nfa, pattern_key *key, int64_t time_ms)
{
    if (nfa->spec->within_ms <= 0 || !nfa->new_start)
        return true;
    int64_t timer = timer_after(nfa, time_ms);
    if (timer < key->timer_ms)
        key->timer_ms = timer;
    if (!nfa->has_timers)
        return true;
    if (!nfa->graph.has_within && pattern_timers_are_full(key->timers))
        drop_useless_timers(nfa, key, time_ms);
    return pattern_timers_add(nfa->budget, &key->timers, timer);
}

// By event time a timer finds nothing that the timers of living runs do not find.
static int64_t timer_of_runs(const pattern_nfa *nfa, const pattern_key *key)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; nfa->spec->within_ms > 0 && i < key->runs.count; i++) {
        const pattern_run *run = &key->runs.runs[i];
        if (run->start_ms > 0 && timer_after(nfa, run->start_ms) < least)
            least = timer_after(nfa, run->start_ms);
    }
    return least;
}

int64_t leat_pattern_timers_matter_until(const pattern_nfa *nfa, const pattern_key *key)
{
    int64_t last_ms = key->timers->due_ms[key->timers->count - 1];
    return nfa->graph.has_within || last_ms == INT64_MAX ? last_ms : last_ms - nfa->spec->within_ms + 1;
}

void leat_pattern_pass_timers(const pattern_nfa *nfa, pattern_key *key, int64_t until_ms)
{
    pattern_timers_pass(nfa->budget, &key->timers, until_ms);
    key->timer_ms = nfa->has_timers ? pattern_timers_first(key->timers) : timer_of_runs(nfa, key);
}

// ---- life

leat_code leat_pattern_init(pattern_nfa *nfa, const leat_match_spec *spec, const leat_type *types, leat_arena *arena,
                            leat_budget *budget, leat_error *out_error)
{
    nfa->budget = nfa->work.budget = budget;
    nfa->spec = spec;
    nfa->types = types;
    nfa->is_line = leat_line_fits(spec, types);
    nfa->pool = (line_pool){.budget = budget, .value_count = spec->kept_count};
    for (uint32_t i = 0; i < spec->kept_count; i++)
        nfa->pool.has_texts |= leat_type_physical(types[i]) == LEAT_PHYSICAL_TEXT;
    nfa->stamps = leat_arena_array(arena, uint32_t, spec->condition_count + 1);
    nfa->answers = leat_arena_array(arena, bool, spec->condition_count + 1);
    leat_code code = leat_pattern_compile(arena, spec, &nfa->graph, out_error);
    nfa->has_timers = nfa->graph.has_within || (spec->time_column < 0 && spec->within_ms > 0);
    return code;
}

void leat_pattern_fini(pattern_nfa *nfa)
{
    if (!nfa->budget)
        return;
    pattern_work_fini(&nfa->work);
    leat_line_pool_fini(&nfa->pool);
    pattern_queue_free(nfa->budget, &nfa->next);
    pattern_queue_free(nfa->budget, &nfa->complete);
    pattern_queue_free(nfa->budget, &nfa->made);
    leat_budget_free(nfa->budget, nfa->ways, nfa->way_room * sizeof *nfa->ways);
    leat_budget_free(nfa->budget, nfa->stack, nfa->stack_room * sizeof *nfa->stack);
}
