#include "operators/state/stream_window.h"

#include <string.h>

enum { SLAB_WINDOWS = 16, HEAP_MIN = 64 };

typedef struct leat_stream_slab {
    struct leat_stream_slab *next;
    uint64_t unused; // windows behind it are 16-aligned
} leat_stream_slab;

bool leat_stream_windows_init(leat_stream_windows *windows, leat_budget *budget, size_t payload_size)
{
    *windows = (leat_stream_windows){
        .budget = budget, .size = LEAT_STREAM_WINDOW_HEAD + ((payload_size + 15) & ~(size_t)15), .next_number = 1};
    leat_panes_init(&windows->tables, budget, sizeof(leat_stream_slot));
    windows->table = leat_panes_open(&windows->tables, 0);
    if (!windows->table)
        leat_panes_fini(&windows->tables);
    return windows->table != NULL;
}

static size_t slab_size(const leat_stream_windows *windows)
{
    return sizeof(leat_stream_slab) + windows->size * SLAB_WINDOWS;
}

void leat_stream_windows_fini(leat_stream_windows *windows)
{
    for (leat_stream_slab *slab = windows->slabs, *next; slab; slab = next) {
        next = slab->next;
        leat_budget_free(windows->budget, slab, slab_size(windows));
    }
    for (int clock = 0; clock < LEAT_WINDOW_CLOCKS; clock++)
        leat_budget_free(windows->budget, windows->heaps[clock].items,
                         windows->heaps[clock].room * sizeof *windows->heaps[clock].items);
    leat_panes_fini(&windows->tables);
}

size_t leat_stream_windows_memory(const leat_stream_windows *windows)
{
    return leat_panes_memory(&windows->tables) + windows->memory +
           (windows->heaps[0].room + windows->heaps[1].room) * sizeof *windows->heaps[0].items;
}

// ---- heaps

static bool before(const leat_stream_window *a, const leat_stream_window *b, int clock)
{
    if (a->dues_ms[clock] != b->dues_ms[clock])
        return a->dues_ms[clock] < b->dues_ms[clock];
    if (a->number != b->number) // in the order in which they began, which a restart keeps
        return a->number < b->number;
    return a->slot < b->slot;
}

static void place(leat_window_heap *heap, uint32_t index, leat_stream_window *window, int clock)
{
    heap->items[index] = window;
    window->places[clock] = index + 1;
}

static void rise(leat_window_heap *heap, uint32_t index, int clock)
{
    leat_stream_window *window = heap->items[index];
    for (; index; index = (index - 1) / 2) {
        leat_stream_window *above = heap->items[(index - 1) / 2];
        if (!before(window, above, clock))
            break;
        place(heap, index, above, clock);
    }
    place(heap, index, window, clock);
}

static void sink(leat_window_heap *heap, uint32_t index, int clock)
{
    leat_stream_window *window = heap->items[index];
    for (uint32_t child; (child = index * 2 + 1) < heap->count; index = child) {
        if (child + 1 < heap->count && before(heap->items[child + 1], heap->items[child], clock))
            child++;
        if (!before(heap->items[child], window, clock))
            break;
        place(heap, index, heap->items[child], clock);
    }
    place(heap, index, window, clock);
}

static void leave(leat_window_heap *heap, leat_stream_window *window, int clock)
{
    uint32_t index = window->places[clock] - 1;
    leat_stream_window *last = heap->items[--heap->count];
    window->places[clock] = 0;
    if (last == window)
        return;
    place(heap, index, last, clock);
    rise(heap, index, clock);
    sink(heap, last->places[clock] - 1, clock);
}

static bool earliest(const leat_stream_window *window, int clock, int64_t *out_due)
{
    const leat_window_timer *timers[] = {&window->at_end, &window->at_fire, &window->at_cleanup};
    bool any = false;
    for (int i = 0; i < 3; i++) {
        if (!timers[i]->set || timers[i]->clock != clock || (any && timers[i]->due_ms >= *out_due))
            continue;
        *out_due = timers[i]->due_ms;
        any = true;
    }
    return any;
}

void leat_stream_windows_timed(leat_stream_windows *windows, leat_stream_window *window)
{
    for (int clock = 0; clock < LEAT_WINDOW_CLOCKS; clock++) {
        leat_window_heap *heap = &windows->heaps[clock];
        int64_t due = 0;
        bool any = earliest(window, clock, &due);
        if (!any && window->places[clock])
            leave(heap, window, clock);
        if (!any || (window->places[clock] && window->dues_ms[clock] == due))
            continue;
        window->dues_ms[clock] = due;
        if (!window->places[clock])
            place(heap, heap->count++, window, clock); // leat_stream_windows_make has seen to the room
        rise(heap, window->places[clock] - 1, clock);
        sink(heap, window->places[clock] - 1, clock);
    }
}

// ---- windows

static bool refill(leat_stream_windows *windows)
{
    leat_stream_slab *slab = leat_budget_alloc(windows->budget, slab_size(windows));
    if (!slab)
        return false;
    slab->next = windows->slabs;
    windows->slabs = slab;
    windows->memory += slab_size(windows);
    for (uint32_t i = SLAB_WINDOWS; i-- > 0;) { // handed out in order of address
        leat_stream_window *window = (leat_stream_window *)((uint8_t *)(slab + 1) + i * windows->size);
        window->next = windows->free;
        windows->free = window;
    }
    return true;
}

// Room in both heaps for one window more, whether its timers are set now or later.
static bool heaps_have_room(leat_stream_windows *windows)
{
    for (int clock = 0; clock < LEAT_WINDOW_CLOCKS; clock++) {
        leat_window_heap *heap = &windows->heaps[clock];
        if (windows->count < heap->room)
            continue;
        uint32_t room = heap->room ? heap->room * 2 : HEAP_MIN;
        leat_stream_window **items =
            leat_budget_grow(windows->budget, heap->items, heap->room * sizeof *items, room * sizeof *items);
        if (!items)
            return false;
        heap->items = items;
        heap->room = room;
    }
    return true;
}

leat_stream_slot *leat_stream_windows_slot(leat_stream_windows *windows, uint32_t slot)
{
    bool is_new;
    leat_pane_entry *entry = leat_pane_make(&windows->tables, windows->table, slot, &is_new);
    return entry ? leat_pane_payload(entry) : NULL;
}

leat_stream_window *leat_stream_windows_find(const leat_stream_windows *windows, uint32_t slot, int64_t start,
                                             int64_t end)
{
    leat_stream_window *window = leat_stream_windows_first(windows, slot);
    while (window && (window->start != start || window->end != end))
        window = window->next;
    return window;
}

static void link_in(leat_stream_slot *state, leat_stream_window *window)
{
    leat_stream_window **at = &state->first;
    while (*at && ((*at)->start < window->start || ((*at)->start == window->start && (*at)->end < window->end)))
        at = &(*at)->next;
    window->next = *at;
    *at = window;
}

static void link_out(leat_stream_slot *state, leat_stream_window *window)
{
    leat_stream_window **at = &state->first;
    while (*at != window)
        at = &(*at)->next;
    *at = window->next;
}

leat_stream_window *leat_stream_windows_make(leat_stream_windows *windows, uint32_t slot, int64_t start, int64_t end)
{
    if ((!windows->free && !refill(windows)) || !heaps_have_room(windows))
        return NULL;
    leat_stream_slot *state = leat_stream_windows_slot(windows, slot);
    if (!state)
        return NULL;
    leat_stream_window *window = windows->free;
    windows->free = window->next;
    window->slot = slot;
    window->start = start;
    window->end = end;
    window->max_ms = end - 1;
    window->number = windows->next_number++;
    windows->count++;
    link_in(state, window);
    return window;
}

void leat_stream_windows_move(leat_stream_windows *windows, leat_stream_window *window, int64_t start, int64_t end)
{
    leat_pane_entry *entry = leat_pane_find(&windows->tables, windows->table, window->slot);
    leat_stream_slot *state = leat_pane_payload(entry);
    link_out(state, window);
    window->start = start;
    window->end = end;
    window->max_ms = end - 1;
    link_in(state, window);
}

void leat_stream_windows_mark(leat_stream_windows *windows, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_find(&windows->tables, windows->table, slot);
    if (entry)
        leat_pane_mark(&windows->tables, windows->table, slot, entry);
}

bool leat_stream_windows_remove(leat_stream_windows *windows, leat_stream_window *window)
{
    uint32_t slot = window->slot;
    leat_pane_entry *entry = leat_pane_find(&windows->tables, windows->table, slot);
    leat_stream_slot *state = leat_pane_payload(entry);
    link_out(state, window);
    for (int clock = 0; clock < LEAT_WINDOW_CLOCKS; clock++)
        if (window->places[clock])
            leave(&windows->heaps[clock], window, clock);
    memset(window, 0, windows->size);
    window->next = windows->free;
    windows->free = window;
    windows->count--;
    leat_pane_mark(&windows->tables, windows->table, slot, entry);
    if (state->first || state->rows)
        return false;
    return leat_pane_remove(&windows->tables, windows->table, slot, entry);
}
