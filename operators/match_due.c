// What is due: rows that the watermark has passed and partial matches whose time is over, key by key.
#include <stdlib.h>

#include "operators/match.h"

enum {
    DUE_MIN = 64,
    AHEAD = 3,
    FURTHEST = 4 * AHEAD,
    KEYS_NEAR = 1 << 12
}; // KEYS_NEAR: what is kept of so many keys lies in the cache

typedef struct due_key { // of one slot
    uint32_t first;      // in the list
    int64_t time_ms;
    uint64_t tie;
    bool by_alarm;
} due_key;

// ---- one key

// Behind a row of that time only a stage's time can be over: of a partial match that the row has passed on to the stage without being taken.
static bool looks_again(const leat_match *m, int64_t row_ms, int64_t until_ms)
{
    return row_ms != until_ms || m->nfa.graph.has_within;
}

// Rows in order, then the time up to which they were due. Between rows of one time no partial match can end, as in Flink.
static bool run_key(leat_match *m, uint32_t first, int64_t until_ms)
{
    m->slot = m->due.items[first].row.slot;
    leat_match_key *key = leat_match_key_find(m, m->slot);
    const match_row *before = NULL;
    bool done = true;
    for (uint32_t i = first + 1; i && done; i = m->due.items[i - 1].next) {
        const leat_match_due *due = &m->due.items[i - 1];
        if (due->is_alarm)
            continue;
        bool later = !before || before->time_ms != due->row.time_ms;
        done =
            (!later || leat_match_advance_key(m, key, due->row.time_ms)) && leat_match_handle_row(m, &key, &due->row);
        before = &due->row;
    }
    bool until = !before || looks_again(m, before->time_ms, until_ms);
    return done && (!until || leat_match_advance_key(m, key, until_ms)) &&
           leat_match_end_key(m, key, m->slot, until_ms);
}

// A key of which one row is due, and nothing else.
static bool run_row(leat_match *m, const match_row *row, int64_t until_ms)
{
    m->slot = row->slot;
    leat_match_key *key = leat_match_key_find(m, m->slot);
    return leat_match_advance_key(m, key, row->time_ms) && leat_match_handle_row(m, &key, row) &&
           (!looks_again(m, row->time_ms, until_ms) || leat_match_advance_key(m, key, until_ms)) &&
           leat_match_end_key(m, key, m->slot, until_ms);
}

// ---- what is due

static int compare_numbers(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

static int compare_order(const leat_match_due *a, const leat_match_due *b)
{
    const leat_match *m = a->m;
    for (uint32_t i = 0; i < m->spec->order_count; i++) {
        int order = leat_value_compare(m->types[m->spec->order[i]], &a->order[i], &b->order[i]);
        if (order)
            return m->spec->order_descending[i] ? -order : order;
    }
    return 0;
}

// By key, rows before alarms.
static int compare_due(const void *left, const void *right)
{
    const leat_match_due *a = left, *b = right;
    if (a->row.slot != b->row.slot)
        return a->row.slot < b->row.slot ? -1 : 1;
    if (a->is_alarm != b->is_alarm)
        return a->is_alarm ? 1 : -1;
    if (a->row.time_ms != b->row.time_ms)
        return a->row.time_ms < b->row.time_ms ? -1 : 1;
    int order = a->is_alarm ? 0 : compare_order(a, b);
    return order ? order : compare_numbers(a->row.sequence, b->row.sequence);
}

static int compare_keys(const void *left, const void *right)
{
    const due_key *a = left, *b = right;
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    if (a->by_alarm != b->by_alarm)
        return a->by_alarm ? 1 : -1;
    return compare_numbers(a->tie, b->tie);
}

static const leat_value *order_values(leat_match *m, const match_row *row)
{
    leat_value *values = leat_arena_array(&m->scratch, leat_value, m->kept.count + m->spec->order_count + 1);
    leat_reader reader;
    leat_reader_init(&reader, row->bytes.data, row->bytes.size);
    for (uint32_t i = 0; !row->columns && i < m->kept.count; i++)
        LEAT_ASSERT(leat_value_decode(m->types[i], &reader, &m->scratch, &values[i]));
    for (uint32_t i = 0; i < m->spec->order_count; i++) {
        uint32_t column = m->spec->order[i];
        values[m->kept.count + i] = row->columns ? leat_column_value(&row->columns[column], row->at) : values[column];
    }
    return values + m->kept.count;
}

static int64_t really_due(void *context, const leat_alarm *alarm)
{
    leat_match *m = context;
    const leat_match_key *key = leat_match_key_find(m, alarm->slot);
    int64_t due_ms = key ? leat_match_alarm_of(m, key) : INT64_MAX;
    m->alarm_ms[alarm->slot] = due_ms; // it moves on to there
    return due_ms == INT64_MAX ? LEAT_TIME_NONE : due_ms;
}

static leat_match_due *due_room(leat_match *m)
{
    leat_match_list *list = &m->due;
    if (list->count == list->room) {
        uint32_t room = list->room ? list->room * 2 : DUE_MIN;
        void *items = leat_budget_grow(m->base.context->budget, list->items, list->room * sizeof *list->items,
                                       room * sizeof *list->items);
        if (!items)
            return NULL;
        list->items = items;
        list->room = room;
    }
    return &list->items[list->count];
}

// Its row is filled in.
static void add_row_due(leat_match *m, leat_match_due *due, leat_held_row *held)
{
    due->held = held;
    due->is_alarm = false;
    due->next = 0;
    due->order = m->spec->order_count ? order_values(m, &due->row) : NULL;
    uint32_t *mark = &m->marks[due->row.slot], last = *mark & ~MATCH_MARK_LIVE;
    m->due.count++;
    m->due.repeats |= last;
    if (last)
        m->due.items[last - 1].next = m->due.count;
    *mark = (*mark & MATCH_MARK_LIVE) | m->due.count;
}

// Nothing comes of a row that begins no match when its key has no partial match and no row before it.
static bool is_idle_row(const leat_match *m, const match_row *row)
{
    return m->begin_mask && !(row->mask & m->begin_mask) && !m->marks[row->slot];
}

static match_row row_of(const leat_held_row *held)
{
    leat_reader reader;
    match_row row = {.time_ms = held->time_ms, .sequence = held->sequence, .cause = held->cause, .slot = held->slot};
    leat_reader_init(&reader, held->bytes, held->size);
    row.mask = leat_read_u64(&reader);
    row.bytes = leat_read_bytes(&reader, leat_reader_left(&reader));
    return row;
}

static bool held_is_first(const leat_match *m)
{
    const leat_held_row *held = m->held.heap[0];
    return held->time_ms < m->rows.front_ms ||
           (held->time_ms == m->rows.front_ms && held->sequence < leat_match_rows_front_sequence(&m->rows));
}

static bool take_held(leat_match *m)
{
    leat_held_row *held = leat_held_take(&m->held, INT64_MAX);
    leat_match_due *due = due_room(m);
    if (!due) {
        leat_held_free(&m->held, held);
        return false;
    }
    due->row = row_of(held);
    if (is_idle_row(m, &due->row))
        leat_held_free(&m->held, held);
    else
        add_row_due(m, due, held);
    return true;
}

static bool take_row(leat_match *m)
{
    leat_match_due *due = due_room(m);
    if (!due)
        return false;
    leat_match_rows_take(&m->rows, &due->row);
    if (!is_idle_row(m, &due->row))
        add_row_due(m, due, NULL);
    return true;
}

// Rows in order of time and arrival.
static bool take_rows(leat_match *m, int64_t until_ms)
{
    bool taken = true;
    while (taken) {
        if (m->begin_mask && !m->held.count)
            leat_match_rows_pass(&m->rows, until_ms, m->begin_mask, m->marks);
        bool held = leat_held_due(&m->held, until_ms), waiting = m->rows.front_ms <= until_ms && m->rows.waiting;
        if (!held && !waiting)
            return true;
        taken = held && (!waiting || held_is_first(m)) ? take_held(m) : take_row(m);
    }
    return false;
}

static bool take_alarms(leat_match *m, int64_t until_ms)
{
    leat_alarm alarm;
    while (leat_alarms_take(&m->alarms, until_ms, really_due, m, &alarm)) {
        leat_match_due *due = due_room(m);
        if (!due)
            return false;
        m->due.count++;
        *due = (leat_match_due){
            .row = {.slot = alarm.slot, .time_ms = alarm.due_ms, .sequence = leat_keys_hash(m->keys, alarm.slot)},
            .is_alarm = true};
        m->alarm_ms[alarm.slot] = INT64_MAX;
        m->due.alarms++;
    }
    return true;
}

static due_key key_of(const leat_match_due *items, uint32_t first, uint32_t end)
{
    due_key key = {first, items[first].row.time_ms, items[first].row.sequence, items[first].is_alarm};
    for (uint32_t i = first + 1; i < end; i++)
        if (items[i].row.time_ms < key.time_ms)
            key = (due_key){first, items[i].row.time_ms, items[i].row.sequence, items[i].is_alarm};
    return key;
}

// Puts them in order, key by key, and the keys in theirs.
static bool run_sorted(leat_match *m, int64_t until_ms)
{
    leat_match_due *items = m->due.items;
    if (!m->spec->order_count)
        leat_arena_reset(&m->scratch);
    due_key *keys = leat_arena_array(&m->scratch, due_key, m->due.count + 1);
    uint32_t count = 0;
    bool done = true;
    for (uint32_t i = 0; i < m->due.count; i++)
        items[i].m = m;
    qsort(items, m->due.count, sizeof *items, compare_due);
    for (uint32_t first = 0, end; first < m->due.count; first = end) {
        for (end = first + 1; end < m->due.count && items[end].row.slot == items[first].row.slot; end++)
            items[end - 1].next = end + 1;
        items[end - 1].next = 0;
        keys[count++] = key_of(items, first, end);
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    for (uint32_t i = 0; i < count && done; i++)
        done = run_key(m, keys[i].first, until_ms);
    return done;
}

static leat_match_key *key_of_due(const leat_match *m, uint32_t i)
{
    return i < m->due.count ? leat_match_key_find(m, m->due.items[i].row.slot) : NULL;
}

// Of many keys each step to the last row of a partial match leaves the cache: they are taken ahead, one by one. `i` is that which is furthest ahead; what
// would be before the first one wraps round to beyond the last.
static void prefetch(const leat_match *m, uint32_t i)
{
    const leat_match_key *key;
    if (i < m->due.count) {
        uint32_t slot = m->due.items[i].row.slot;
        const char *entry = (const char *)leat_pane_place(&m->panes, m->pane, slot);
        __builtin_prefetch(entry, 1);
        __builtin_prefetch(entry ? entry + m->panes.stride - 1 : NULL, 1);
        __builtin_prefetch(&m->alarm_ms[slot]);
    }
    if ((key = key_of_due(m, i - AHEAD)))
        __builtin_prefetch(key->pattern.runs.runs, 1);
    if ((key = key_of_due(m, i - 2 * AHEAD)))
        __builtin_prefetch(key->pattern.runs.runs->entry, 1);
    if ((key = key_of_due(m, i - 3 * AHEAD)) && key->pattern.runs.runs->entry)
        __builtin_prefetch(key->pattern.runs.runs->entry->event, 1);
}

static void prefetch_first(const leat_match *m, bool far)
{
    for (uint32_t i = 0; far && i < FURTHEST; i++)
        prefetch(m, i);
}

static bool is_far(const leat_match *m) { return leat_keys_capacity(m->keys) > KEYS_NEAR; }

// Each is the only one of its key.
static bool run_rows(leat_match *m, int64_t until_ms)
{
    bool done = true, far = is_far(m);
    prefetch_first(m, far);
    for (uint32_t i = 0; i < m->due.count && done; i++) {
        const match_row *row = &m->due.items[i].row;
        m->marks[row->slot] &= MATCH_MARK_LIVE;
        if (far)
            prefetch(m, i + FURTHEST);
        done = run_row(m, row, until_ms);
    }
    return done;
}

// They lie in order of time and arrival, so that the first rows of keys do too.
static bool run_in_order(leat_match *m, int64_t until_ms)
{
    bool done = true, far = is_far(m);
    prefetch_first(m, far);
    for (uint32_t i = 0; i < m->due.count && done; i++) {
        uint32_t slot = m->due.items[i].row.slot;
        bool first = m->marks[slot] & ~MATCH_MARK_LIVE;
        m->marks[slot] &= MATCH_MARK_LIVE;
        if (far)
            prefetch(m, i + FURTHEST);
        if (first)
            done = run_key(m, i, until_ms);
    }
    return done;
}

static bool run_list(leat_match *m, int64_t until_ms)
{
    if (!m->due.count)
        return true;
    if (!m->due.alarms && !m->spec->order_count)
        return m->due.repeats ? run_in_order(m, until_ms) : run_rows(m, until_ms);
    for (uint32_t i = 0; i < m->due.count; i++)
        m->marks[m->due.items[i].row.slot] &= MATCH_MARK_LIVE;
    return run_sorted(m, until_ms);
}

// ---- all of it

void leat_match_forward(leat_match *m, int64_t watermark_ms)
{
    for (uint32_t i = 0; i < m->base.context->output_count; i++)
        leat_emitter_watermark(&m->emitters[i], watermark_ms);
}

static bool run_only_row(leat_match *m, int64_t until_ms, int64_t watermark_before_ms)
{
    match_row row;
    leat_match_rows_take(&m->rows, &row);
    if (is_idle_row(m, &row))
        return true;
    leat_match_forward(m, watermark_before_ms);
    return run_row(m, &row, until_ms);
}

// Results come under the watermark before, as their rows did.
leat_code leat_match_run_due(leat_match *m, int64_t until_ms, int64_t watermark_before_ms, leat_error *out_error)
{
    leat_match_list *list = &m->due;
    list->count = list->alarms = 0;
    list->repeats = false;
    if (m->spec->order_count)
        leat_arena_reset(&m->scratch);
    bool done = leat_alarms_least(&m->alarms) > until_ms || take_alarms(m, until_ms);
    if (done && !list->count && !leat_held_due(&m->held, until_ms) && m->rows.waiting && m->rows.front_ms <= until_ms &&
        leat_match_rows_only_one(&m->rows, until_ms)) {
        done = run_only_row(m, until_ms, watermark_before_ms);
        leat_match_rows_release_taken(&m->rows);
        return done ? LEAT_OK : leat_match_no_budget(m, out_error);
    }
    done = done && take_rows(m, leat_match_sorts(m) ? until_ms - 1 : until_ms);
    if (list->count)
        leat_match_forward(m, watermark_before_ms);
    done = done && run_list(m, until_ms);
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].held)
            leat_held_free(&m->held, list->items[i].held);
    leat_match_rows_release_taken(&m->rows);
    return done ? LEAT_OK : leat_match_no_budget(m, out_error);
}
