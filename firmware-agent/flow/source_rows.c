// Arrivals to rows: what each is, which it does not take, and where it lies.
#include <stdio.h>
#include <string.h>

#include "firmware-agent/flow/source_state.h"

enum { ROOM_GROWTH = 4 };

// ---- SOURCE.rejected

static void set_text(leat_column *column, uint32_t row, leat_batch *batch, const char *text, size_t size)
{
    column->text[row] = leat_slice_of(leat_arena_copy(&batch->arena, text, size), size);
}

// What can be read again lies where it lay in every life; positions of a journal are each life's own.
void leat_source_make_identity(leat_source_state *state, const leat_flow_lineage *lineage)
{
    uint64_t hash = leat_hash(state->plan->name, strlen(state->plan->name));
    bool journalled = state->plan->driver && !state->plan->driver->replayable;
    state->name_hash = journalled && lineage->incarnation ? leat_hash_combine(hash, lineage->incarnation) : hash;
    state->carried_hash = journalled && lineage->previous ? leat_hash_combine(hash, lineage->previous) : hash;
    state->carried_end = journalled ? lineage->from : 0;
}

uint64_t leat_source_identity(const leat_source_state *state)
{
    return state->raw.position < state->carried_end ? state->carried_hash : state->name_hash;
}

static void keep_rejected(leat_source_state *state, leat_drop_cause cause, leat_slice payload, uint32_t offset,
                          const char *column, const char *reason)
{
    leat_flow_node *node = state->node;
    if (!state->rejected)
        state->rejected = leat_batch_get_rows(node->task->pool, state->plan->rejected, LEAT_BATCH_ROWS);
    leat_batch *batch = state->rejected;
    if (!batch || batch->count == LEAT_BATCH_ROWS)
        return; // bounded: the counters know of the rest
    uint32_t row = batch->count++;
    batch->selected = batch->count;
    size_t kept = payload.size < LEAT_REJECTED_PAYLOAD ? payload.size : LEAT_REJECTED_PAYLOAD;
    set_text(&batch->columns[0], row, batch, payload.data, kept);
    set_text(&batch->columns[1], row, batch, reason, strlen(reason));
    set_text(&batch->columns[2], row, batch, column ? column : "", column ? strlen(column) : 0);
    batch->columns[2].nulls[row] = column == NULL;
    batch->columns[3].i64[row] = offset;
    const char *name = leat_drop_cause_name(cause);
    set_text(&batch->columns[4], row, batch, name, strlen(name));
    int64_t event_ms = state->raw.arrival_ms > state->rejected_ms ? state->raw.arrival_ms : state->rejected_ms + 1;
    batch->columns[5].i64[row] = batch->event_ms[row] = event_ms;
    // Several of one place follow each other, and the sink counts them: nothing here depends on where batches were cut.
    batch->cause[row] =
        leat_cause_derive(leat_cause_source(leat_source_identity(state), state->raw.position + offset, 0), 1);
}

void leat_source_reject(leat_decode_target *target, leat_drop_cause cause, leat_slice payload, uint32_t offset,
                        const char *column, const char *reason)
{
    leat_source_state *state = (leat_source_state *)target;
    leat_drops_add(state->drops, cause, 1);
    state->misfits++;
    if (state->rejected_used)
        keep_rejected(state, cause, payload, offset, column, reason);
}

void leat_source_send_rejected(leat_source_state *state)
{
    leat_batch *batch = state->rejected;
    if (!batch)
        return;
    state->rejected = NULL;
    leat_node_emit(state->node, 1, batch);
    leat_batch_unref(batch);
}

// ---- rows

static void set_implicit_text(leat_batch *batch, uint32_t column, uint32_t first, leat_slice text)
{
    for (uint32_t row = first; row < batch->count; row++)
        batch->columns[column].text[row] = text;
}

// The columns that come with each arrival: those that the decoder does not fill itself.
static void fill_implicit(leat_source_state *state, leat_batch *batch, uint32_t first)
{
    const leat_plan_source *plan = state->plan;
    uint32_t column = plan->field_count;
    if (plan->implicit & LEAT_IMPLICIT_SOURCE)
        set_implicit_text(batch, column++, first, leat_slice_text(plan->name)); // the plan outlives every batch
    if (plan->implicit & LEAT_IMPLICIT_TS) {
        for (uint32_t row = first; row < batch->count; row++)
            batch->columns[column].i64[row] = state->raw.arrival_ms;
        column++;
    }
    if (plan->implicit & LEAT_IMPLICIT_TOPIC && first < batch->count) {
        leat_slice topic = state->raw.topic;
        set_implicit_text(batch, column, first,
                          leat_slice_of(leat_arena_copy(&batch->arena, topic.data, topic.size), topic.size));
    }
}

// ---- row kinds: a field of the payload that nobody behind the source sees

enum { KIND_REJECTED = LEAT_DELETE + 1 };

static uint8_t kind_of(const leat_source_state *state, const leat_column *column, uint32_t row)
{
    static const char *const kinds[] = {"+I", "-U", "+U", "-D"};
    if (leat_column_is_null(column, row))
        return LEAT_INSERT;
    for (int kind = LEAT_INSERT; kind <= LEAT_DELETE; kind++)
        if (leat_slice_is(column->text[row], kinds[kind]))
            return kind == LEAT_UPDATE_BEFORE && state->plan->schema->changelog == LEAT_CHANGELOG_UPSERT
                       ? KIND_REJECTED
                       : (uint8_t)kind;
    return KIND_REJECTED;
}

static void read_kinds(leat_source_state *state, leat_batch *batch, uint32_t first)
{
    const leat_plan_source *plan = state->plan;
    const leat_column *column = &batch->columns[plan->kind_field];
    char name[LEAT_NAME_SIZE];
    for (uint32_t row = first; row < batch->count; row++) {
        batch->row_kind[row] = kind_of(state, column, row);
        if (batch->row_kind[row] != KIND_REJECTED)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)plan->fields[plan->kind_field].name.size,
                 plan->fields[plan->kind_field].name.data);
        leat_source_reject(&state->target, LEAT_DROP_MISFIT, state->raw.payload, state->row_offsets[row], name,
                           plan->schema->changelog == LEAT_CHANGELOG_UPSERT ? "expected a row kind: +I, +U or -D"
                                                                            : "expected a row kind: +I, -U, +U or -D");
    }
}

// The field of the row kind leaves the batch, and so do rows that have none.
void leat_source_take_kinds(leat_source_state *state, leat_batch *batch)
{
    uint32_t at = (uint32_t)state->plan->kind_field, kept = 0;
    uint16_t *selection = leat_arena_alloc(&batch->arena, batch->count * sizeof *selection + 1);
    memmove(batch->columns + at, batch->columns + at + 1, (batch->schema->count - at - 1) * sizeof *batch->columns);
    batch->schema = state->plan->schema;
    for (uint32_t row = 0; row < batch->count; row++)
        if (batch->row_kind[row] != KIND_REJECTED)
            selection[kept++] = (uint16_t)row;
    if (kept == batch->count)
        return;
    batch->selection = selection;
    batch->selected = kept;
}

static void finish_rows(leat_source_state *state, leat_batch *batch, uint32_t first)
{
    fill_implicit(state, batch, first);
    if (state->plan->kind_field >= 0)
        read_kinds(state, batch, first);
    uint64_t arrival = leat_source_identity(state);
    for (uint32_t row = first; row < batch->count; row++) {
        batch->cause[row] = leat_cause_source(arrival, state->raw.position + state->row_offsets[row], 0);
        batch->event_ms[row] = state->raw.arrival_ms;
        state->row_offsets[row] = 0;
    }
    if (batch->count < state->target.capacity)
        state->row_offsets[batch->count] = 0; // of a row that was begun and rejected
}

// ---- tables by key from a broker: an empty message takes the topic's row away

static bool takes_away(const leat_source_state *state)
{
    return !state->raw.payload.size && state->raw.topic.size && state->format &&
           state->plan->schema->changelog == LEAT_CHANGELOG_UPSERT;
}

static bool has_key(const leat_source_state *state, const leat_batch *batch, uint32_t row)
{
    const leat_schema *schema = state->plan->schema;
    for (uint32_t k = 0; k < schema->key_count; k++) {
        uint32_t field = schema->key_columns[k]; // of the key only fields stand before the row kind's
        field += state->plan->kind_field >= 0 && field >= (uint32_t)state->plan->kind_field;
        if (leat_column_is_null(&batch->columns[field], row))
            return false;
    }
    return true;
}

static leat_code take_away(leat_source_state *state, leat_batch *batch)
{
    const leat_plan_source *plan = state->plan;
    leat_value null = leat_value_null();
    uint32_t row = batch->count;
    for (uint32_t c = 0; c < batch->schema->count; c++)
        leat_column_put(&batch->columns[c], row, &null);
    leat_topic_columns_load(&state->topic, plan->fields, state->raw.topic, &batch->arena);
    if (leat_topic_columns_fill(&state->topic, batch, row) || !has_key(state, batch, row)) {
        leat_source_reject(&state->target, LEAT_DROP_MISFIT, state->raw.topic, 0, NULL,
                           "an empty message takes the row of its topic away: expected the primary key in the topic");
        return LEAT_OK;
    }
    leat_column *kind = &batch->columns[plan->kind_field];
    kind->nulls[row] = 0;
    kind->text[row] = leat_slice_of("-D", 2);
    if (plan->event_time >= 0 && leat_column_is_null(&batch->columns[plan->event_time], row)) {
        batch->columns[plan->event_time].nulls[row] = 0;
        batch->columns[plan->event_time].i64[row] = state->raw.arrival_ms;
    }
    batch->count++;
    return LEAT_OK;
}

static leat_code decode(leat_source_state *state, leat_batch *batch)
{
    if (state->decoder)
        return state->decoder->ops->decode(state->decoder, &state->raw, &state->offset, &state->target);
    if (takes_away(state))
        return take_away(state, batch);
    return state->format->ops->decode(state->format, &state->raw, &state->offset, &state->target);
}

static void decode_rows(leat_source_state *state, leat_batch *batch)
{
    uint32_t first = batch->count;
    size_t before = state->offset;
    leat_code code = decode(state, batch);
    finish_rows(state, batch, first);
    bool stuck = state->offset == before && batch->count < state->target.capacity;
    if (code != LEAT_OK || stuck || state->offset >= state->raw.payload.size) {
        state->has_raw = false;
        state->offset = 0;
    }
}

static bool begin_batch(leat_source_state *state)
{
    uint32_t most = state->node->task->flow->setup.batch_rows;
    most = most < state->room_max ? most : state->room_max;
    state->target.capacity = state->room < most ? state->room : most;
    state->target.row_offsets = state->row_offsets;
    state->target.batch = leat_batch_get_rows(state->node->task->pool, state->plan->decoded, state->target.capacity);
    if (state->target.batch && state->plan->kind_field >= 0)
        state->target.batch->row_kind = leat_arena_alloc(&state->target.batch->arena, state->target.capacity);
    return state->target.batch != NULL;
}

void leat_source_learn_room(leat_source_state *state, uint32_t count)
{
    if (count >= state->room && state->room < LEAT_BATCH_ROWS)
        state->room *= ROOM_GROWTH;
    else if (count < state->room / ROOM_GROWTH && state->room > LEAT_SOURCE_ROOM_MIN)
        state->room /= ROOM_GROWTH;
}

// Takes arrivals until the batch is full or nothing is there now. LEAT_E_LIMIT: no memory for a batch, the arrival is kept.
leat_code leat_source_collect(leat_source_state *state, int64_t *out_wait_ms, leat_error *out_error)
{
    leat_flow *flow = state->node->task->flow;
    leat_flow_ports *ports = flow->setup.ports;
    uint32_t most = atomic_load_explicit(&flow->batch_bytes, memory_order_relaxed);
    size_t bytes = 0;
    state->target.batch = NULL;
    while (!state->target.batch || state->target.batch->count < state->target.capacity) {
        if (!state->has_raw) {
            if (leat_task_barrier_waits(state->node->task))
                return LEAT_OK; // it enters between two arrivals
            if (most > 0 && bytes >= most)
                return LEAT_OK;
            leat_code code = ports->source_next(ports, state->node->plan->index, &state->raw, out_wait_ms, out_error);
            if (code != LEAT_OK)
                return code;
            state->has_raw = true;
            state->offset = 0;
            bytes += state->raw.payload.size;
        }
        if (state->raw.flags & LEAT_RAW_CONTROL)
            return LEAT_OK;
        if (!state->target.batch && !begin_batch(state))
            return LEAT_E_LIMIT;
        decode_rows(state, state->target.batch);
    }
    return LEAT_OK;
}
