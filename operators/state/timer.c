#include "operators/state/timer_struct.h"

#include <string.h>

#include "operators/base/hash.h"

#define FURTHER 0x80000000u
enum { HEAP_MIN = 16, RECORDS_MIN = 16, CHILDREN = 4, LEFTOVERS_MIN = 64, BUCKETS_MIN = 32 };

bool leat_timers_init(leat_timers *timers, leat_budget *budget, const leat_keys *keys)
{
    *timers = (leat_timers){.budget = budget, .keys = keys};
    leat_panes_init(&timers->panes, budget, sizeof(leat_timer_slot));
    timers->pane = leat_panes_open(&timers->panes, 0);
    return timers->pane != NULL;
}

void leat_timers_fini(leat_timers *timers)
{
    if (!timers->budget)
        return;
    for (uint32_t slot = 0; timers->pane; slot++) {
        leat_pane_entry *entry = leat_pane_next(&timers->panes, timers->pane, 0, &slot);
        if (!entry)
            break;
        for (uint32_t i = ((leat_timer_slot *)leat_pane_payload(entry))->first; i; i = timers->records[i - 1].next)
            leat_budget_free(timers->budget, timers->records[i - 1].name, timers->records[i - 1].name_size);
    }
    leat_panes_fini(&timers->panes);
    leat_budget_free(timers->budget, timers->heap, timers->heap_capacity * sizeof *timers->heap);
    leat_budget_free(timers->budget, timers->records, timers->record_capacity * sizeof *timers->records);
    leat_budget_free(timers->budget, timers->buckets, timers->bucket_count * sizeof *timers->buckets);
    leat_budget_free(timers->budget, timers->names, LEAT_TIMER_NAMES * (LEAT_TIMER_NAME_MAX + 1));
    *timers = (leat_timers){0};
}

static leat_timer_slot *slot_at(const leat_timers *timers, uint32_t slot)
{
    return leat_pane_payload(leat_pane_place(&timers->panes, timers->pane, slot));
}

// ---- names

static bool room_for_names(leat_timers *timers)
{
    if (!timers->names)
        timers->names = leat_budget_alloc(timers->budget, LEAT_TIMER_NAMES * (LEAT_TIMER_NAME_MAX + 1));
    return timers->names != NULL;
}

// The number of a name for timers in slots; LEAT_TIMER_NONE when it is not among the first ones.
static uint8_t kind_of(leat_timers *timers, const char *name, size_t size, bool add)
{
    if (!name)
        return LEAT_TIMER_UNNAMED;
    for (uint32_t i = 0; i < timers->name_count; i++)
        if (timers->name_sizes[i] == size && memcmp(leat_timers_name(timers, i), name, size) == 0)
            return (uint8_t)(LEAT_TIMER_NAMED + i);
    if (!add || timers->name_count == LEAT_TIMER_NAMES || !room_for_names(timers))
        return LEAT_TIMER_NONE;
    memcpy(leat_timers_name(timers, timers->name_count), name, size);
    timers->name_sizes[timers->name_count] = (uint8_t)size;
    return (uint8_t)(LEAT_TIMER_NAMED + timers->name_count++);
}

// ---- the heap: of four children each, so that they share a cache line
//
// A node of a slot is valid while its time is the slot's node_time. Setting a timer to an earlier time pushes another node and leaves the
// old one behind; when more than half are such leftovers they are swept out. Slots do not know where their nodes are, so that moving
// them touches nothing but the heap.

// The unnamed further timer of a key before its named ones, these by name.
static bool record_before(const leat_timer_record *a, const leat_timer_record *b)
{
    if (!a->name || !b->name)
        return !a->name && b->name;
    return leat_slice_compare(leat_slice_of(a->name, a->name_size - 1), leat_slice_of(b->name, b->name_size - 1)) < 0;
}

static uint32_t node_slot(const leat_timers *timers, const leat_timer_node *node)
{
    return node->ref & FURTHER ? timers->records[node->ref & ~FURTHER].slot : node->ref;
}

static bool tied_before(const leat_timers *timers, const leat_timer_node *a, const leat_timer_node *b)
{
    uint32_t slot_a = node_slot(timers, a), slot_b = node_slot(timers, b);
    if (slot_a != slot_b)
        return slot_a < slot_b; // different keys of one hash
    if (!(a->ref & b->ref & FURTHER))
        return !(a->ref & FURTHER) && (b->ref & FURTHER);
    return record_before(&timers->records[a->ref & ~FURTHER], &timers->records[b->ref & ~FURTHER]);
}

static inline bool before(const leat_timers *timers, const leat_timer_node *a, const leat_timer_node *b)
{
    if (a->time != b->time)
        return a->time < b->time;
    if (a->tie != b->tie)
        return a->tie < b->tie;
    return tied_before(timers, a, b);
}

static inline void put_node(leat_timers *timers, uint32_t place, leat_timer_node node)
{
    timers->heap[place] = node;
    if (node.ref & FURTHER)
        timers->records[node.ref & ~FURTHER].node = place + 1;
}

static uint32_t sift_up(leat_timers *timers, uint32_t place)
{
    leat_timer_node node = timers->heap[place];
    while (place) {
        uint32_t parent = (place - 1) / CHILDREN;
        if (!before(timers, &node, &timers->heap[parent]))
            break;
        put_node(timers, place, timers->heap[parent]);
        place = parent;
    }
    put_node(timers, place, node);
    return place;
}

static __attribute__((noinline)) uint32_t first_tied_child(const leat_timers *timers, uint32_t child, uint32_t end)
{
    uint32_t first = child;
    for (uint32_t i = child + 1; i < end; i++)
        if (before(timers, &timers->heap[i], &timers->heap[first]))
            first = i;
    return first;
}

static inline bool lower(const leat_timer_node *a, const leat_timer_node *b)
{
    return (a->time < b->time) | ((a->time == b->time) & (a->tie < b->tie));
}

static inline bool alike(const leat_timer_node *a, const leat_timer_node *b)
{
    return (a->time == b->time) & (a->tie == b->tie);
}

// Which child is first is anyone's guess, so it is found without branches; timers of one key at one time are looked at again.
static inline uint32_t first_child(const leat_timers *timers, uint32_t place)
{
    uint32_t child = place * CHILDREN + 1, end = child + CHILDREN;
    if (end > timers->heap_count)
        return first_tied_child(timers, child, timers->heap_count);
    const leat_timer_node *of = &timers->heap[child];
    uint32_t low = lower(&of[1], &of[0]), high = 2 + (uint32_t)lower(&of[3], &of[2]);
    uint32_t first = lower(&of[high], &of[low]) ? high : low;
    if (alike(&of[0], &of[first]) + alike(&of[1], &of[first]) + alike(&of[2], &of[first]) + alike(&of[3], &of[first]) >
        1)
        return first_tied_child(timers, child, end);
    return child + first;
}

static void sift_down(leat_timers *timers, uint32_t place)
{
    leat_timer_node node = timers->heap[place];
    while (place * CHILDREN + 1 < timers->heap_count) {
        uint32_t child = first_child(timers, place);
        if (!before(timers, &timers->heap[child], &node))
            break;
        put_node(timers, place, timers->heap[child]);
        place = child;
    }
    put_node(timers, place, node);
}

static void move_node(leat_timers *timers, uint32_t place, int64_t time)
{
    timers->heap[place].time = time;
    sift_down(timers, sift_up(timers, place));
}

// The slot's own timers, NULL for a node that was left behind.
static leat_timer_slot *valid_slot(const leat_timers *timers, const leat_timer_node *node)
{
    leat_pane_entry *entry = leat_timers_entry(timers, node->ref);
    leat_timer_slot *head = entry ? leat_pane_payload(entry) : NULL;
    return head && head->has_node && head->node_time == node->time && (uint32_t)entry->word == node->tie ? head : NULL;
}

// Of two nodes of a slot with the same time both would stay.
static void sweep_leftovers(leat_timers *timers)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < timers->heap_count; i++) {
        leat_timer_node node = timers->heap[i];
        if ((node.ref & FURTHER) || valid_slot(timers, &node))
            put_node(timers, kept++, node);
    }
    timers->heap_count = kept;
    timers->leftovers = 0;
    for (uint32_t i = kept / CHILDREN + 1; i-- > 0 && kept;)
        sift_down(timers, i);
}

static bool heap_room(leat_timers *timers)
{
    if (timers->leftovers > timers->heap_count / 2 + LEFTOVERS_MIN)
        sweep_leftovers(timers);
    if (timers->heap_count < timers->heap_capacity)
        return true;
    uint32_t capacity = timers->heap_capacity ? timers->heap_capacity * 2 : HEAP_MIN;
    void *heap = leat_budget_grow(timers->budget, timers->heap, timers->heap_capacity * sizeof *timers->heap,
                                  capacity * sizeof *timers->heap);
    if (!heap)
        return false;
    timers->heap = heap;
    timers->heap_capacity = capacity;
    return true;
}

static void push_node(leat_timers *timers, leat_timer_node node)
{
    timers->heap[timers->heap_count] = node;
    sift_up(timers, timers->heap_count++);
}

static void remove_node(leat_timers *timers, uint32_t place)
{
    leat_timer_node last = timers->heap[--timers->heap_count];
    if (place == timers->heap_count)
        return;
    put_node(timers, place, last);
    sift_down(timers, sift_up(timers, place));
}

// ---- further timers of a key

static uint64_t further_hash(uint32_t slot, int64_t time, const char *name, size_t size)
{
    return leat_hash_combine(name ? leat_hash(name, size) : leat_hash_mix((uint64_t)time), slot);
}

static uint32_t *bucket_of(const leat_timers *timers, const leat_timer_record *record)
{
    uint64_t hash = further_hash(record->slot, record->time, record->name, record->name_size);
    return &timers->buckets[hash & (timers->bucket_count - 1)];
}

static bool record_is(const leat_timer_record *record, uint32_t slot, int64_t time, const char *name, size_t size)
{
    if (record->slot != slot || !record->name != !name)
        return false;
    return name ? record->name_size == size + 1 && memcmp(record->name, name, size) == 0 : record->time == time;
}

static leat_timer_record *find_record(const leat_timers *timers, uint32_t slot, int64_t time, const char *name,
                                      size_t size)
{
    if (!timers->bucket_count)
        return NULL;
    uint64_t hash = further_hash(slot, time, name, size + 1);
    for (uint32_t i = timers->buckets[hash & (timers->bucket_count - 1)]; i; i = timers->records[i - 1].chain)
        if (record_is(&timers->records[i - 1], slot, time, name, size))
            return &timers->records[i - 1];
    return NULL;
}

static void link_bucket(leat_timers *timers, leat_timer_record *record)
{
    uint32_t *bucket = bucket_of(timers, record);
    record->chain = *bucket;
    *bucket = (uint32_t)(record - timers->records) + 1;
}

static void unlink_bucket(leat_timers *timers, leat_timer_record *record)
{
    uint32_t *link = bucket_of(timers, record), self = (uint32_t)(record - timers->records) + 1;
    while (*link != self)
        link = &timers->records[*link - 1].chain;
    *link = record->chain;
}

static void relink_all(leat_timers *timers)
{
    memset(timers->buckets, 0, timers->bucket_count * sizeof *timers->buckets);
    for (uint32_t i = 0; i < timers->heap_count; i++)
        if (timers->heap[i].ref & FURTHER)
            link_bucket(timers, &timers->records[timers->heap[i].ref & ~FURTHER]);
}

static bool bucket_room(leat_timers *timers)
{
    if (timers->record_count < timers->bucket_count)
        return true;
    uint32_t count = timers->bucket_count ? timers->bucket_count * 2 : BUCKETS_MIN;
    uint32_t *buckets = leat_budget_alloc(timers->budget, count * sizeof *buckets);
    if (!buckets)
        return false;
    leat_budget_free(timers->budget, timers->buckets, timers->bucket_count * sizeof *buckets);
    timers->buckets = buckets;
    timers->bucket_count = count;
    relink_all(timers);
    return true;
}

static void free_record(leat_timers *timers, uint32_t index)
{
    timers->records[index] = (leat_timer_record){.next = timers->record_free};
    timers->record_free = index + 1;
}

static bool record_room(leat_timers *timers)
{
    if (timers->record_free)
        return true;
    uint32_t capacity = timers->record_capacity ? timers->record_capacity * 2 : RECORDS_MIN;
    void *records = leat_budget_grow(timers->budget, timers->records, timers->record_capacity * sizeof *timers->records,
                                     capacity * sizeof *timers->records);
    if (!records)
        return false;
    timers->records = records;
    for (uint32_t i = capacity; i-- > timers->record_capacity;)
        free_record(timers, i);
    timers->record_capacity = capacity;
    return true;
}

static bool add_record(leat_timers *timers, leat_pane_entry *entry, uint32_t slot, int64_t time, const char *name,
                       size_t size)
{
    leat_timer_slot *head = leat_pane_payload(entry);
    char *copy = NULL;
    if (!bucket_room(timers) || !record_room(timers) || !heap_room(timers))
        return false;
    if (name && !(copy = leat_budget_alloc(timers->budget, size + 1)))
        return false;
    if (name)
        memcpy(copy, name, size);
    uint32_t index = timers->record_free - 1;
    leat_timer_record *record = &timers->records[index];
    timers->record_free = record->next;
    *record = (leat_timer_record){
        .time = time, .name = copy, .name_size = name ? (uint32_t)size + 1 : 0, .slot = slot, .next = head->first};
    if (head->first)
        timers->records[head->first - 1].previous = index + 1;
    head->first = index + 1;
    timers->record_count++;
    timers->text_memory += record->name_size;
    link_bucket(timers, record);
    push_node(timers, (leat_timer_node){time, (uint32_t)entry->word, FURTHER | index});
    return true;
}

static void remove_record(leat_timers *timers, leat_timer_record *record)
{
    leat_timer_slot *head = slot_at(timers, record->slot);
    unlink_bucket(timers, record);
    remove_node(timers, record->node - 1);
    if (record->previous)
        timers->records[record->previous - 1].next = record->next;
    else
        head->first = record->next;
    if (record->next)
        timers->records[record->next - 1].previous = record->previous;
    timers->record_count--;
    timers->text_memory -= record->name_size;
    leat_budget_free(timers->budget, record->name, record->name_size);
    free_record(timers, (uint32_t)(record - timers->records));
}

// ---- set, clear

static void mark(leat_timers *timers, uint32_t slot, leat_pane_entry *entry)
{
    leat_pane_mark(&timers->panes, timers->pane, slot, entry);
}

// Sees to it that the slot's node is not behind its timer. There is room in the heap.
static void place_slot(leat_timers *timers, uint32_t slot, leat_pane_entry *entry, int64_t time)
{
    leat_timer_slot *head = leat_pane_payload(entry);
    if (head->has_node && head->node_time <= time)
        return;
    timers->leftovers += head->has_node;
    head->has_node = true;
    head->node_time = time;
    push_node(timers, (leat_timer_node){time, (uint32_t)entry->word, slot});
}

static leat_pane_entry *make_entry(leat_timers *timers, uint32_t slot)
{
    leat_pane_entry *entry = leat_timers_entry(timers, slot);
    if (entry)
        return entry;
    bool is_new;
    entry = leat_pane_make(&timers->panes, timers->pane, slot, &is_new);
    if (entry)
        entry->word = leat_keys_hash(timers->keys, slot) >> 32;
    return entry;
}

static void set_slot(leat_timers *timers, uint32_t slot, leat_pane_entry *entry, uint8_t kind, int64_t time)
{
    leat_timer_slot *head = leat_pane_payload(entry);
    head->kind = kind;
    head->time = time;
    place_slot(timers, slot, entry, time);
}

// A named timer lies in the slot only while it is the key's only one.
static bool move_out(leat_timers *timers, uint32_t slot, leat_pane_entry *entry)
{
    leat_timer_slot *head = leat_pane_payload(entry);
    uint32_t name = (uint32_t)head->kind - LEAT_TIMER_NAMED;
    if (head->kind < LEAT_TIMER_NAMED)
        return true;
    if (!add_record(timers, entry, slot, head->time, leat_timers_name(timers, name), timers->name_sizes[name]))
        return false;
    head->kind = LEAT_TIMER_NONE;
    return true;
}

static bool set_timer(leat_timers *timers, uint32_t slot, leat_pane_entry *entry, int64_t time_ms, const char *name,
                      size_t size)
{
    leat_timer_slot *head = leat_pane_payload(entry);
    uint8_t kind = kind_of(timers, name, size, true);
    if (head->kind && head->kind == kind && (name || head->time == time_ms)) {
        set_slot(timers, slot, entry, kind, time_ms);
        return true;
    }
    leat_timer_record *record = head->first ? find_record(timers, slot, time_ms, name, size) : NULL;
    if (record) {
        if (record->time != time_ms)
            record->setter = 0;
        record->time = time_ms;
        move_node(timers, record->node - 1, time_ms);
        return true;
    }
    if (!head->kind && kind && (!name || !head->first)) {
        set_slot(timers, slot, entry, kind, time_ms);
        return true;
    }
    return move_out(timers, slot, entry) && add_record(timers, entry, slot, time_ms, name, size);
}

bool leat_timers_set(leat_timers *timers, uint32_t slot, int64_t time_ms, const char *name)
{
    leat_pane_entry *entry = leat_timers_entry(timers, slot);
    leat_timer_slot *head = entry ? leat_pane_payload(entry) : NULL;
    // Most often: the only timer of the key, and its node lies before it still.
    if (head && !name && !head->kind && !head->first && head->has_node && head->node_time <= time_ms) {
        head->kind = LEAT_TIMER_UNNAMED;
        head->time = time_ms;
        mark(timers, slot, entry);
        return true;
    }
    size_t size = name ? strlen(name) : 0;
    if (size > LEAT_TIMER_NAME_MAX || !heap_room(timers))
        return false;
    entry = make_entry(timers, slot);
    if (!entry || !set_timer(timers, slot, entry, time_ms, name, size))
        return false;
    mark(timers, slot, entry);
    return true;
}

// Whether the key has a timer of that time and name.
static bool is_set(leat_timers *timers, const leat_timer_slot *head, uint32_t slot, int64_t time_ms, const char *name,
                   size_t size)
{
    if (head->kind && head->kind == kind_of(timers, name, size, false) && head->time == time_ms)
        return true;
    const leat_timer_record *record = head->first ? find_record(timers, slot, time_ms, name, size) : NULL;
    return record && record->time == time_ms;
}

bool leat_timers_set_late(leat_timers *timers, uint32_t slot, int64_t time_ms, const char *name, uint64_t setter)
{
    size_t size = name ? strlen(name) : 0;
    leat_pane_entry *entry = size > LEAT_TIMER_NAME_MAX ? NULL : make_entry(timers, slot);
    if (!entry)
        return false;
    if (is_set(timers, leat_pane_payload(entry), slot, time_ms, name, size))
        return true;
    if (name)
        leat_timers_clear(timers, slot, time_ms, name);
    if (!move_out(timers, slot, entry) || !add_record(timers, entry, slot, time_ms, name, size))
        return false;
    leat_timer_slot *head = leat_pane_payload(entry);
    timers->records[head->first - 1].setter = setter;
    mark(timers, slot, entry);
    return true;
}

void leat_timers_clear(leat_timers *timers, uint32_t slot, int64_t time_ms, const char *name)
{
    leat_pane_entry *entry = leat_timers_entry(timers, slot);
    if (!entry)
        return;
    leat_timer_slot *head = leat_pane_payload(entry);
    if (!head->kind && !head->first)
        return;
    size_t size = name ? strlen(name) : 0;
    uint8_t kind = kind_of(timers, name, size, false);
    leat_timer_record *record;
    if (head->kind && head->kind == kind && (name || head->time == time_ms))
        head->kind = LEAT_TIMER_NONE;
    else if (head->first && (record = find_record(timers, slot, time_ms, name, size)))
        remove_record(timers, record);
    else
        return;
    mark(timers, slot, entry);
}

void leat_timers_clear_all(leat_timers *timers, uint32_t slot)
{
    leat_pane_entry *entry = leat_timers_entry(timers, slot);
    if (!entry)
        return;
    leat_timer_slot *head = leat_pane_payload(entry);
    if (!head->kind && !head->first)
        return;
    head->kind = LEAT_TIMER_NONE;
    while (head->first)
        remove_record(timers, &timers->records[head->first - 1]);
    mark(timers, slot, entry);
}

// ---- taking

// The first node of a slot is looked at: dropped when there is no timer behind it, moved when its timer is later.
static void settle_node(leat_timers *timers)
{
    leat_timer_node *first = &timers->heap[0];
    leat_timer_slot *head = valid_slot(timers, first);
    if (head && head->kind) {
        first->time = head->node_time = head->time;
        sift_down(timers, 0);
        return;
    }
    remove_node(timers, 0);
    if (!head) {
        timers->leftovers -= timers->leftovers > 0;
        return;
    }
    head->has_node = false; // the entry stays until the key is released
}

// The first node is a timer's afterwards, at its time, or beyond until_ms. Returns whether there is one within.
static bool settle_first(leat_timers *timers, int64_t until_ms)
{
    while (leat_timers_due(timers, until_ms)) {
        const leat_timer_node *first = &timers->heap[0];
        if (first->ref & FURTHER)
            return true;
        const leat_timer_slot *head = valid_slot(timers, first);
        if (head && head->kind && head->time == first->time)
            return true;
        settle_node(timers);
    }
    return false;
}

static const char *keep_name(leat_timers *timers, const char *name, size_t size)
{
    memcpy(timers->taken_name, name, size);
    timers->taken_name[size] = 0;
    return timers->taken_name;
}

// The node stays: with the next timer of the key it is of use again.
static void take_slot(leat_timers *timers, leat_pane_entry *entry, leat_timer_due *out_due)
{
    leat_timer_slot *head = leat_pane_payload(entry);
    uint32_t name = (uint32_t)head->kind - LEAT_TIMER_NAMED;
    if (head->kind >= LEAT_TIMER_NAMED)
        out_due->name = keep_name(timers, leat_timers_name(timers, name), timers->name_sizes[name]);
    head->kind = LEAT_TIMER_NONE;
}

static void take_record(leat_timers *timers, leat_timer_record *record, leat_timer_due *out_due)
{
    if (record->name)
        out_due->name = keep_name(timers, record->name, record->name_size - 1);
    out_due->setter = record->setter;
    remove_record(timers, record);
}

bool leat_timers_take(leat_timers *timers, int64_t until_ms, leat_timer_due *out_due)
{
    if (!settle_first(timers, until_ms))
        return false;
    leat_timer_node first = timers->heap[0];
    uint32_t slot = node_slot(timers, &first);
    leat_pane_entry *entry = leat_timers_entry(timers, slot);
    *out_due = (leat_timer_due){.slot = slot, .time_ms = first.time};
    if (first.ref & FURTHER)
        take_record(timers, &timers->records[first.ref & ~FURTHER], out_due);
    else
        take_slot(timers, entry, out_due);
    mark(timers, slot, entry);
    return true;
}

bool leat_timers_next(leat_timers *timers, int64_t *out_time_ms)
{
    if (!settle_first(timers, INT64_MAX))
        return false;
    *out_time_ms = timers->heap[0].time;
    return true;
}

bool leat_timers_any(const leat_timers *timers, uint32_t slot)
{
    leat_pane_entry *entry = leat_timers_entry(timers, slot);
    const leat_timer_slot *head = entry ? leat_pane_payload(entry) : NULL;
    return head && (head->kind || head->first);
}

int64_t leat_timers_only(const leat_timers *timers, uint32_t slot)
{
    leat_pane_entry *entry = leat_timers_entry(timers, slot);
    const leat_timer_slot *head = entry ? leat_pane_payload(entry) : NULL;
    if (!head || (!head->kind && !head->first))
        return INT64_MAX;
    LEAT_ASSERT(head->kind);
    return head->time;
}

bool leat_timers_release(leat_timers *timers, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_place(&timers->panes, timers->pane, slot);
    if (!entry || entry->state == LEAT_PANE_EMPTY)
        return true;
    if (entry->state == LEAT_PANE_GONE)
        return false;
    leat_timer_slot *head = leat_pane_payload(entry);
    if (head->kind || head->first)
        return false;
    timers->leftovers += head->has_node;
    head->has_node = false;
    return leat_pane_remove(&timers->panes, timers->pane, slot, entry);
}

static int64_t later(int64_t time, int64_t by)
{
    int64_t sum;
    return __builtin_add_overflow(time, by, &sum) ? INT64_MAX : sum;
}

void leat_timers_shift(leat_timers *timers, int64_t by_ms)
{
    leat_pane_entry *entry;
    for (uint32_t i = 0; i < timers->heap_count; i++) {
        timers->heap[i].time = later(timers->heap[i].time, by_ms);
        if (timers->heap[i].ref & FURTHER)
            timers->records[timers->heap[i].ref & ~FURTHER].time = timers->heap[i].time;
    }
    for (uint32_t slot = 0; (entry = leat_pane_next(&timers->panes, timers->pane, 0, &slot)); slot++) {
        leat_timer_slot *head = leat_pane_payload(entry);
        head->time = later(head->time, by_ms);
        head->node_time = later(head->node_time, by_ms);
        if (entry->state == LEAT_PANE_LIVE)
            mark(timers, slot, entry);
    }
    if (timers->bucket_count)
        relink_all(timers);
}

size_t leat_timers_memory(const leat_timers *timers)
{
    return leat_panes_memory(&timers->panes) + timers->heap_capacity * sizeof *timers->heap +
           timers->record_capacity * sizeof *timers->records + timers->bucket_count * sizeof *timers->buckets +
           (timers->names ? LEAT_TIMER_NAMES * (LEAT_TIMER_NAME_MAX + 1) : 0) + timers->text_memory;
}
