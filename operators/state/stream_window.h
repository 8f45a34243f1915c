// Windows by slot id as DataStream programs know them: each with a trigger's state, timers of its own, and a payload of the caller.
//
// A window is [start, end) of its key; `max_ms` is its last instant (LEAT_TIME_MAX for a global one). Windows of a slot are kept by
// start, then end. A window has up to three timers (its end, the trigger's next firing, its cleanup), each in event time or
// in processing time; per kind of time one heap gives the window whose earliest timer comes first, at equal times the one that began first.
// Timers are fields of the window: changing them and calling leat_stream_windows_timed moves it within the heaps, nothing is allocated.
//
// Usage: init; find, make, remove; timed after every change of timers; next per kind of time; mark after every change, for snapshots;
// fini. Entries of `table` are LIVE while their slot has windows or a count of rows; walk it for snapshots.
// Ownership: memory from the budget; what hangs on payloads is the caller's to release before remove. Payloads are 16-aligned and cleared.
// Threads: the operator's. Failure: NULL when the budget refuses, nothing changed.
#pragma once

#include "operators/state/pane.h"

typedef enum leat_window_clock { LEAT_WINDOW_EVENT = 0, LEAT_WINDOW_PROCESSING, LEAT_WINDOW_CLOCKS } leat_window_clock;

typedef struct leat_window_timer {
    int64_t due_ms;
    bool set;
    uint8_t clock; // leat_window_clock
} leat_window_timer;

typedef struct leat_stream_window {
    struct leat_stream_window *next; // of the slot
    uint32_t slot;
    uint32_t places[LEAT_WINDOW_CLOCKS]; // index + 1 in the heap
    int64_t dues_ms[LEAT_WINDOW_CLOCKS]; // by which it lies there
    int64_t start, end, max_ms;
    uint64_t origin; // cause of the row that began it
    uint64_t firings;
    uint64_t number; // unique among the windows of a key
    // -- the trigger's state
    uint64_t count; // rows since the last firing
    int64_t fire_ms;
    bool has_fire; // fire_ms is known
    bool filled;   // it holds something: false after a purge
    leat_window_timer at_end, at_fire, at_cleanup;
} leat_stream_window;
enum { LEAT_STREAM_WINDOW_HEAD = 192 };
_Static_assert(sizeof(leat_stream_window) <= LEAT_STREAM_WINDOW_HEAD, "payloads follow the head");

typedef struct leat_stream_slot { // payload of an entry of `table`
    leat_stream_window *first;
    uint64_t rows; // seen so far, where windows are counted
} leat_stream_slot;

typedef struct leat_window_heap {
    leat_stream_window **items;
    uint32_t count, room;
} leat_window_heap;

typedef struct leat_stream_windows {
    leat_budget *budget;
    size_t size; // of a window with its payload
    leat_panes tables;
    leat_pane *table;
    leat_window_heap heaps[LEAT_WINDOW_CLOCKS];
    leat_stream_window *free;
    struct leat_stream_slab *slabs;
    uint64_t next_number;
    uint32_t count;
    size_t memory;
} leat_stream_windows;

LEAT_MUST_CHECK bool leat_stream_windows_init(leat_stream_windows *windows, leat_budget *budget, size_t payload_size);
void leat_stream_windows_fini(leat_stream_windows *windows); // also of zeroes
// Finds or makes the slot's entry, and marks it.
leat_stream_slot *leat_stream_windows_slot(leat_stream_windows *windows, uint32_t slot);
leat_stream_window *leat_stream_windows_find(const leat_stream_windows *windows, uint32_t slot, int64_t start,
                                             int64_t end);
// A new one without timers. Its number is new too.
leat_stream_window *leat_stream_windows_make(leat_stream_windows *windows, uint32_t slot, int64_t start, int64_t end);
// Moves a window to other bounds, within its slot's order.
void leat_stream_windows_move(leat_stream_windows *windows, leat_stream_window *window, int64_t start, int64_t end);
void leat_stream_windows_timed(leat_stream_windows *windows, leat_stream_window *window);
void leat_stream_windows_mark(leat_stream_windows *windows, uint32_t slot);
// Returns whether nothing of the slot is left, not even a removal that the next snapshot has to tell: its key may go.
bool leat_stream_windows_remove(leat_stream_windows *windows, leat_stream_window *window);
static inline leat_stream_window *leat_stream_windows_next(const leat_stream_windows *windows, leat_window_clock clock,
                                                           int64_t until_ms)
{
    const leat_window_heap *heap = &windows->heaps[clock];
    return heap->count && heap->items[0]->dues_ms[clock] <= until_ms ? heap->items[0] : NULL;
}
// LEAT_TIME_MAX also when there is none.
static inline int64_t leat_stream_windows_due(const leat_stream_windows *windows, leat_window_clock clock)
{
    const leat_window_heap *heap = &windows->heaps[clock];
    return heap->count ? heap->items[0]->dues_ms[clock] : LEAT_TIME_MAX;
}
static inline void *leat_stream_window_payload(leat_stream_window *window)
{
    return (uint8_t *)window + LEAT_STREAM_WINDOW_HEAD;
}
static inline leat_stream_window *leat_stream_windows_first(const leat_stream_windows *windows, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_find(&windows->tables, windows->table, slot);
    return entry ? ((leat_stream_slot *)leat_pane_payload(entry))->first : NULL;
}
size_t leat_stream_windows_memory(const leat_stream_windows *windows);
