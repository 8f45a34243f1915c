#include "operators/match_queue.h"

#include <string.h>

int pattern_run_compare(const pattern_run *a, const pattern_run *b)
{
    if (a->first_ms != b->first_ms)
        return a->first_ms < b->first_ms ? -1 : 1;
    return a->first_id < b->first_id ? -1 : a->first_id > b->first_id;
}

bool pattern_queue_grow(leat_budget *budget, pattern_queue *queue)
{
    uint32_t room = queue->room ? queue->room * 2 : 2;
    pattern_run *runs = leat_budget_grow(budget, queue->runs, queue->room * sizeof *runs, room * sizeof *runs);
    if (!runs)
        return false;
    queue->runs = runs;
    queue->room = room;
    return true;
}

bool pattern_queue_room(leat_budget *budget, pattern_queue *queue)
{
    return queue->count < queue->room || pattern_queue_grow(budget, queue);
}

bool pattern_queue_push(leat_budget *budget, pattern_queue *queue, pattern_run run)
{
    if (!pattern_queue_room(budget, queue))
        return false;
    uint32_t place = queue->count++;
    for (; place && pattern_run_compare(&run, &queue->runs[(place - 1) / 2]) < 0; place = (place - 1) / 2)
        queue->runs[place] = queue->runs[(place - 1) / 2];
    queue->runs[place] = run;
    return true;
}

static void sift_down(pattern_queue *queue, uint32_t place, pattern_run run)
{
    uint32_t half = queue->count / 2;
    while (place < half) {
        uint32_t child = 2 * place + 1;
        if (child + 1 < queue->count && pattern_run_compare(&queue->runs[child], &queue->runs[child + 1]) > 0)
            child++;
        if (pattern_run_compare(&run, &queue->runs[child]) <= 0)
            break;
        queue->runs[place] = queue->runs[child];
        place = child;
    }
    queue->runs[place] = run;
}

pattern_run pattern_queue_pop(pattern_queue *queue)
{
    pattern_run first = queue->runs[0], last = queue->runs[--queue->count];
    if (queue->count)
        sift_down(queue, 0, last);
    return first;
}

void pattern_queue_heapify(pattern_queue *queue)
{
    for (uint32_t i = queue->count / 2; i--;)
        sift_down(queue, i, queue->runs[i]);
}

void pattern_queue_free(leat_budget *budget, pattern_queue *queue)
{
    leat_budget_free(budget, queue->runs, queue->room * sizeof *queue->runs);
    *queue = (pattern_queue){0};
}

bool pattern_queue_move(leat_budget *budget, pattern_queue *to, pattern_queue *from)
{
    while (to->room < from->count)
        if (!pattern_queue_grow(budget, to))
            return false;
    if (from->count)
        memcpy(to->runs, from->runs, from->count * sizeof *from->runs);
    to->count = from->count;
    from->count = 0;
    return true;
}
