// Evictors: which of the rows that a window holds go, before or after its result is made.
#include "operators/window_contents.h"

typedef bool (*keeps)(leat_window_store *store, const leat_window_row *row, int64_t limit);

static void remove_others(leat_window_store *store, leat_stream_window *window, keeps keep, int64_t limit)
{
    leat_window_row *before = NULL, *row = leat_window_contents_of(window)->first;
    while (row) {
        leat_window_row *next = row->next;
        if (keep(store, row, limit))
            before = row;
        else
            leat_window_row_remove(store, window, before);
        row = next;
    }
}

static void evict_by_count(leat_window_store *store, leat_stream_window *window)
{
    while ((int64_t)leat_window_contents_of(window)->row_count > store->spec->evictor_count)
        leat_window_row_remove(store, window, NULL);
}

// ---- by time: against the latest row, wherever it stands

static bool is_later(leat_window_store *store, const leat_window_row *row, int64_t limit)
{
    (void)store;
    return row->time_ms > limit;
}

static void evict_by_time(leat_window_store *store, leat_stream_window *window)
{
    const leat_window_row *first = leat_window_contents_of(window)->first;
    int64_t latest = INT64_MIN, keep_ms = store->spec->evictor_ms;
    if (!first || !first->has_time)
        return;
    for (const leat_window_row *row = first; row; row = row->next)
        latest = row->has_time && row->time_ms > latest ? row->time_ms : latest;
    remove_others(store, window, is_later, latest < INT64_MIN + keep_ms ? INT64_MIN : latest - keep_ms);
}

// ---- by delta: against the last row, as an expression over both

static bool is_near(leat_window_store *store, const leat_window_row *row, int64_t limit)
{
    (void)limit;
    leat_value delta;
    leat_eval_row_begin(&store->eval, store->frame->context->now_ms);
    leat_window_row_values(store, row, &store->eval.scratch, store->values);
    leat_row_view views[2] = {{store->values, row->time_ms, store->frame->watermark},
                              {store->last_values, row->time_ms, store->frame->watermark}};
    if (!leat_program_run_row(store->spec->evictor_delta, &store->eval, views, 2, &delta) || delta.is_null)
        return true;
    return !(delta.f64 >= store->spec->evictor_threshold);
}

static void evict_by_delta(leat_window_store *store, leat_stream_window *window)
{
    const leat_window_row *last = leat_window_contents_of(window)->last;
    if (!last)
        return;
    leat_arena scratch; // the evaluator's own is forgotten with every row
    leat_arena_init(&scratch, store->frame->context->env, 1024);
    leat_window_row_values(store, last, &scratch, store->last_values);
    const leat_schema *schema = store->frame->context->inputs[0];
    for (uint32_t i = 0; i < schema->count; i++) // the last row may go itself
        store->last_values[i] = leat_value_copy(schema->fields[i].type, &store->last_values[i], &scratch);
    remove_others(store, window, is_near, 0);
    for (uint32_t i = 0; i < schema->count; i++)
        store->last_values[i] = leat_value_null();
    leat_arena_fini(&scratch);
}

void leat_window_evict(leat_window_store *store, leat_stream_window *window)
{
    switch (store->spec->evictor) {
    case LEAT_EVICTOR_NONE:
        break;
    case LEAT_EVICTOR_COUNT:
        evict_by_count(store, window);
        break;
    case LEAT_EVICTOR_TIME:
        evict_by_time(store, window);
        break;
    case LEAT_EVICTOR_DELTA:
        evict_by_delta(store, window);
        break;
    }
}
