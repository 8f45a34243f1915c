// What follows a match: which partial matches it ends, and which complete ones wait for it.
#include "operators/match_nfa.h"

typedef struct skip_mark { // runs that began before it go
    bool none, failed, with_it;
    int64_t ms;
    uint32_t id;
} skip_mark;

static int compare_events(const pattern_event *a, const pattern_event *b)
{
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

// Nodes lie last first.
static const pattern_event *stage_row(const pattern_nfa *nfa, uint32_t count)
{
    const pattern_event *row = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const pattern_node *node = nfa->work.steps[i].node;
        if ((int32_t)node->stage != nfa->spec->skip_stage)
            continue;
        row = node->event;
        if (nfa->spec->skip == LEAT_MATCH_SKIP_TO_LAST)
            return row;
    }
    return row;
}

static const pattern_event *end_row(const pattern_nfa *nfa, uint32_t count, int order)
{
    const pattern_event *row = nfa->work.steps[0].node->event;
    for (uint32_t i = 1; i < count; i++)
        if (compare_events(nfa->work.steps[i].node->event, row) * order > 0)
            row = nfa->work.steps[i].node->event;
    return row;
}

static skip_mark skip_of(const pattern_nfa *nfa, uint32_t count)
{
    leat_match_skip skip = nfa->spec->skip;
    if (skip == LEAT_MATCH_NO_SKIP || !count)
        return (skip_mark){.none = true};
    const pattern_event *first = end_row(nfa, count, -1), *row = first;
    bool failed = false;
    if (skip == LEAT_MATCH_SKIP_PAST_LAST)
        row = end_row(nfa, count, 1);
    else if (skip != LEAT_MATCH_SKIP_TO_NEXT)
        row = stage_row(nfa, count);
    bool to_stage = skip == LEAT_MATCH_SKIP_TO_FIRST || skip == LEAT_MATCH_SKIP_TO_LAST;
    if (to_stage && nfa->spec->skip_strict && (!row || row == first)) {
        failed = true;
        to_stage = false;
        row = first;
    }
    if (!row)
        return (skip_mark){.none = true};
    return (skip_mark){.failed = failed, .with_it = !to_stage, .ms = row->time_ms, .id = row->id};
}

static bool is_skipped(const skip_mark *mark, const pattern_run *run)
{
    if (!run->entry)
        return false;
    if (run->first_ms != mark->ms)
        return run->first_ms < mark->ms;
    return run->first_id < mark->id || (mark->with_it && run->first_id == mark->id);
}

static bool prune(pattern_nfa *nfa, pattern_key *key, pattern_queue *queue, const skip_mark *mark)
{
    uint32_t kept = 0, count = queue->count;
    bool done = true;
    for (uint32_t i = 0; i < count; i++) {
        pattern_run run = queue->runs[i];
        if (is_skipped(mark, &run))
            done &= leat_pattern_give_up(nfa, key, &run);
        else
            queue->runs[kept++] = run;
    }
    queue->count = kept;
    if (kept < count)
        pattern_queue_heapify(queue);
    return done;
}

static bool give_match(pattern_nfa *nfa, pattern_key *key, pattern_queue *partial, pattern_run *run, int64_t time_ms)
{
    uint32_t count = leat_pattern_path(nfa, run);
    if (count == UINT32_MAX)
        return false;
    skip_mark mark = skip_of(nfa, count);
    if (mark.failed)
        nfa->skipped(nfa);
    else if (count)
        nfa->found(nfa, count, time_ms, run, false);
    return mark.none || (prune(nfa, key, partial, &mark) && prune(nfa, key, &key->done, &mark));
}

// A match that waits for nothing. True in *out_given when that is what there was.
static bool give_only_match(pattern_nfa *nfa, pattern_key *key, pattern_queue *partial, int64_t time_ms,
                            bool *out_given)
{
    pattern_run *run = nfa->complete.runs;
    bool only = nfa->complete.count == 1 && !key->done.count;
    bool waits =
        only && nfa->spec->skip != LEAT_MATCH_NO_SKIP && partial->count && pattern_run_compare(run, partial->runs) > 0;
    *out_given = only && !waits;
    if (!*out_given)
        return true;
    nfa->complete.count = 0;
    bool given = give_match(nfa, key, partial, run, time_ms);
    return leat_pattern_give_up(nfa, key, run) && given;
}

bool leat_pattern_give_matches(pattern_nfa *nfa, pattern_key *key, pattern_queue *partial, int64_t time_ms)
{
    bool only, given = give_only_match(nfa, key, partial, time_ms, &only);
    if (only)
        return given;
    for (uint32_t i = 0; i < nfa->complete.count; i++)
        given &= pattern_queue_push(nfa->budget, &key->done, nfa->complete.runs[i]) ||
                 (leat_pattern_drop(nfa, key, &nfa->complete.runs[i]), false);
    nfa->complete.count = 0;
    while (given && key->done.count) {
        bool earlier = nfa->spec->skip != LEAT_MATCH_NO_SKIP && partial->count;
        if (earlier && pattern_run_compare(&key->done.runs[0], &partial->runs[0]) > 0)
            break;
        pattern_run run = pattern_queue_pop(&key->done);
        given = give_match(nfa, key, partial, &run, time_ms);
        given &= leat_pattern_give_up(nfa, key, &run);
    }
    return given;
}
