// A source's task: arrivals to batches with event time, causes and watermarks.
#include <stdio.h>
#include <string.h>

#include "drivers/format.h"
#include "drivers/format/topic.h"
#include "firmware-agent/flow/source_ids.h"
#include "firmware-agent/flow/task.h"
#include "operators/core/cause.h"

enum {
    CLOCK_WATERMARK_MS = 100,     // how often the clock moves event time while nothing arrives: ten wake-ups a second
    REJECTED_WATERMARK_MS = 1000, // the same for SOURCE.rejected, when somebody reads it
    NO_MEMORY_RETRY_MS = 10,
    // A batch has room for few rows at first and four times as many after one that was full: under light load a row does not pay for
    // clearing the columns of a full batch.
    ROOM_MIN = 16,
    ROOM_GROWTH = 4,
};

struct leat_source_state {
    leat_decode_target target; // first: reject gets it back
    leat_flow_node *node;
    const leat_plan_source *plan;
    leat_generator generator;
    leat_source *decoder; // NULL: format
    leat_format *format;
    leat_format_setup format_setup;
    leat_eval eval; // of the watermark's expression
    leat_source_ids ids;
    leat_drops *drops;
    uint64_t name_hash, carried_hash; // of arrivals of this life; of those that came with the savepoint it began from
    uint64_t carried_end;
    leat_raw raw; // being decoded
    bool has_raw;
    size_t offset;         // into its payload
    uint32_t *row_offsets; // all 0 between two batches
    uint32_t room;         // rows that the next batch has place for
    uint32_t room_max;     // falls when many rules make too much of a full batch
    leat_batch *rejected;  // rows for SOURCE.rejected; NULL: nobody reads it or none yet
    bool rejected_used;
    int64_t rejected_ms;          // watermark of SOURCE.rejected, which follows arrival
    _Atomic bool idle;            // written by the task, read by anyone
    _Atomic uint64_t future_rows; // the same
    bool quiet;
    bool ending, to_the_end; // no further arrivals; what is left is to say so
    bool announce;           // restored: says once more where it stands
    bool moved;              // something came since the last snapshot
    bool unkept;             // see leat_snapshot_mark_due
    uint64_t misfits;        // rows of a table that did not fit, since its reading began
    leat_topic_columns topic;
    bool waits; // its watermark stays back at first: see leat_plan_watermark
    int64_t waits_until_ms;
    int64_t quiet_since_ms; // processing time since which nothing came
    int64_t wake_ms;
};

// ---- SOURCE.rejected

static void set_text(leat_column *column, uint32_t row, leat_batch *batch, const char *text, size_t size)
{
    column->text[row] = leat_slice_of(leat_arena_copy(&batch->arena, text, size), size);
}

// What can be read again lies where it lay in every life; positions of a journal are each life's own.
static void make_identity(leat_source_state *state, const leat_flow_lineage *lineage)
{
    uint64_t hash = leat_hash(state->plan->name, strlen(state->plan->name));
    bool journalled = !state->plan->driver->replayable;
    state->name_hash = journalled && lineage->incarnation ? leat_hash_combine(hash, lineage->incarnation) : hash;
    state->carried_hash = journalled && lineage->previous ? leat_hash_combine(hash, lineage->previous) : hash;
    state->carried_end = journalled ? lineage->from : 0;
}

static uint64_t identity(const leat_source_state *state)
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
    batch->cause[row] = leat_cause_derive(leat_cause_source(identity(state), state->raw.position + offset, 0), 1);
}

static void reject(leat_decode_target *target, leat_drop_cause cause, leat_slice payload, uint32_t offset,
                   const char *column, const char *reason)
{
    leat_source_state *state = (leat_source_state *)target;
    leat_drops_add(state->drops, cause, 1);
    state->misfits++;
    if (state->rejected_used)
        keep_rejected(state, cause, payload, offset, column, reason);
}

static void send_rejected(leat_source_state *state)
{
    leat_batch *batch = state->rejected;
    if (!batch)
        return;
    state->rejected = NULL;
    leat_node_emit(state->node, 1, batch);
    leat_batch_unref(batch);
}

// ---- life

static bool output_read(const leat_flow_node *node, unsigned output)
{
    for (uint32_t i = 0; i < node->target_count; i++)
        if (node->targets[i].output == output)
            return true;
    return false;
}

static leat_code open_format(leat_source_state *state, leat_error *out_error)
{
    leat_flow *flow = state->node->task->flow;
    const leat_format_ops *ops = leat_format_find(state->plan->format->name);
    if (!ops)
        return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "source '%s': format '%s' is not built in",
                              state->plan->name, state->plan->format->name);
    state->format_setup = (leat_format_setup){.env = flow->setup.env,
                                              .arena = &flow->arena,
                                              .settings = state->plan->format_settings,
                                              .fields = state->plan->fields,
                                              .field_count = state->plan->field_count,
                                              .schema = state->plan->decoded};
    state->format = leat_arena_calloc(&flow->arena, ops->instance_size);
    state->format->ops = ops;
    state->format->setup = &state->format_setup;
    leat_topic_columns_init(&state->topic, &state->format_setup);
    leat_code code = ops->open(state->format, &state->format_setup, out_error);
    if (code != LEAT_OK)
        state->format = NULL; // close is for what was opened
    return code;
}

leat_code leat_source_state_create(leat_flow_node *node, leat_error *out_error)
{
    leat_flow *flow = node->task->flow;
    leat_source_state *state = leat_arena_new(&flow->arena, leat_source_state);
    node->source = state;
    state->node = node;
    state->plan = &flow->setup.plan->sources[node->plan->index];
    state->target.reject = reject;
    state->row_offsets = leat_arena_array(&flow->arena, uint32_t, LEAT_BATCH_ROWS);
    make_identity(state, &flow->setup.lineage);
    state->drops = flow->setup.ports->source_drops(flow->setup.ports, node->plan->index);
    state->rejected_used = output_read(node, 1);
    state->rejected_ms = LEAT_TIME_NONE;
    state->wake_ms = INT64_MAX;
    state->room = ROOM_MIN;
    state->room_max = LEAT_BATCH_ROWS;
    leat_generator_init(&state->generator, &state->plan->watermark);
    leat_eval_init(&state->eval, flow->setup.env);
    leat_source_ids_init(&state->ids, flow->setup.env, flow->setup.plan,
                         (uint32_t)(node->plan - flow->setup.plan->nodes));
    state->decoder = flow->setup.ports->source_decoder(flow->setup.ports, node->plan->index);
    return state->decoder ? LEAT_OK : open_format(state, out_error);
}

void leat_source_state_destroy(leat_flow_node *node)
{
    leat_source_state *state = node->source;
    if (!state)
        return;
    if (state->format && state->format->ops->close)
        state->format->ops->close(state->format);
    leat_batch_unref(state->rejected);
    leat_eval_fini(&state->eval);
    leat_source_ids_fini(&state->ids);
}

bool leat_source_mid_arrival(const leat_flow_node *node) { return node->source->has_raw; }

bool leat_source_is_idle(const leat_flow_node *node)
{
    return atomic_load_explicit(&node->source->idle, memory_order_relaxed);
}

uint64_t leat_source_future_rows(const leat_flow_node *node)
{
    return atomic_load_explicit(&node->source->future_rows, memory_order_relaxed);
}

int64_t leat_source_wake_ms(const leat_flow_node *node) { return node->source->wake_ms; }

// ---- generator in checkpoints: version, idle, maximum, watermark

void leat_source_snapshot(leat_flow_node *node, leat_snapshot *snapshot)
{
    leat_source_state *state = node->source;
    uint8_t bytes[18] = {1, state->idle};
    memcpy(bytes + 2, &state->generator.maximum_ms, 8);
    memcpy(bytes + 10, &state->generator.watermark_ms, 8);
    if (leat_snapshot_mark_due(snapshot, state->moved, &state->unkept) || snapshot->whole[LEAT_GROUP_OPERATOR])
        leat_snapshot_put_mark(snapshot, LEAT_FLOW_TABLE_GENERATOR, LEAT_GROUP_OPERATOR, leat_slice_of("g", 1),
                               leat_slice_of((char *)bytes, sizeof bytes));
    if (!snapshot->keep_marks)
        state->moved = false;
}

void leat_source_restore(leat_flow_node *node, leat_slice value)
{
    leat_source_state *state = node->source;
    if (value.size < 18 || value.data[0] != 1)
        return;
    state->idle = value.data[1];
    memcpy(&state->generator.maximum_ms, value.data + 2, 8);
    memcpy(&state->generator.watermark_ms, value.data + 10, 8);
    state->announce = true;
    node->context.watermark_ms = state->generator.watermark_ms;
    atomic_store_explicit(&node->watermark_ms, state->generator.watermark_ms, memory_order_relaxed);
}

void leat_source_forget(leat_flow_node *node)
{
    leat_generator_init(&node->source->generator, &node->source->plan->watermark);
    node->source->idle = node->source->announce = false;
    node->source->moved = true; // what an older checkpoint holds is to be overwritten
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
        reject(&state->target, LEAT_DROP_MISFIT, state->raw.payload, state->row_offsets[row], name,
               plan->schema->changelog == LEAT_CHANGELOG_UPSERT ? "expected a row kind: +I, +U or -D"
                                                                : "expected a row kind: +I, -U, +U or -D");
    }
}

// The field of the row kind leaves the batch, and so do rows that have none.
static void take_kinds(leat_source_state *state, leat_batch *batch)
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
    uint64_t arrival = identity(state);
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
        reject(&state->target, LEAT_DROP_MISFIT, state->raw.topic, 0, NULL,
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

static void learn_room(leat_source_state *state, uint32_t count)
{
    if (count >= state->room && state->room < LEAT_BATCH_ROWS)
        state->room *= ROOM_GROWTH;
    else if (count < state->room / ROOM_GROWTH && state->room > ROOM_MIN)
        state->room /= ROOM_GROWTH;
}

// Takes arrivals until the batch is full or nothing is there now. LEAT_E_LIMIT: no memory for a batch, the arrival is kept.
static leat_code collect(leat_source_state *state, int64_t *out_wait_ms, leat_error *out_error)
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

// ---- event time and watermarks

// Rows without event time leave; the others keep their order.
static void drop_timeless(leat_source_state *state, leat_batch *batch, const leat_column *column)
{
    uint32_t kept = 0;
    uint16_t *selection = leat_arena_alloc(&batch->arena, batch->count * sizeof *selection);
    for (uint32_t i = 0; i < batch->selected; i++)
        if (!leat_column_is_null(column, leat_batch_row(batch, i)))
            selection[kept++] = (uint16_t)leat_batch_row(batch, i);
    if (kept == batch->selected)
        return;
    leat_drops_add(state->drops, LEAT_DROP_NULL_TIME, batch->selected - kept);
    batch->selection = selection;
    batch->selected = kept;
}

// Arrival time is event time: it never falls behind the watermark that the clock has moved.
static void arrival_times(leat_source_state *state, leat_batch *batch)
{
    const leat_plan_source *plan = state->plan;
    int64_t least =
        state->generator.watermark_ms == LEAT_TIME_NONE ? LEAT_TIME_NONE : state->generator.watermark_ms + 1;
    for (uint32_t row = 0; row < batch->count; row++) {
        least = batch->event_ms[row] > least ? batch->event_ms[row] : least;
        batch->event_ms[row] = least;
        if (plan->schema->rowtime >= 0)
            batch->columns[plan->schema->rowtime].i64[row] = least;
    }
}

static const int64_t *watermark_values(leat_source_state *state, leat_batch *batch, leat_column *out_column)
{
    if (state->plan->watermark.mode != LEAT_WATERMARK_EXPRESSION)
        return batch->event_ms;
    leat_eval_begin(&state->eval, batch, state->node->context.now_ms);
    leat_program_run(state->plan->watermark.expression, &state->eval, batch, &batch->arena, out_column);
    for (uint32_t i = 0; i < batch->selected; i++) {
        uint32_t row = leat_batch_row(batch, i);
        if (leat_column_is_null(out_column, row) || state->eval.bad[row])
            return NULL;
    }
    return out_column->i64;
}

static int64_t value_of(const leat_source_state *state, const leat_column *column, const int64_t *values, uint32_t row)
{
    if (values)
        return values[row];
    bool none = leat_column_is_null(column, row) || state->eval.bad[row];
    return none ? LEAT_TIME_NONE : column->i64[row];
}

static void assign_watermarks(leat_source_state *state, leat_batch *batch)
{
    leat_generator *generator = &state->generator;
    int64_t before = generator->watermark_ms, now_ms = state->node->context.now_ms;
    leat_column column = {0};
    const int64_t *values = watermark_values(state, batch, &column);
    int64_t *watermark = leat_arena_alloc(&batch->arena, batch->count * sizeof *watermark);
    int64_t current = before;
    uint32_t next = 0;
    for (uint32_t i = 0; i < batch->selected; i++) {
        uint32_t row = leat_batch_row(batch, i);
        while (next <= row)
            watermark[next++] = current;
        current = leat_generator_row(generator, value_of(state, &column, values, row), now_ms);
    }
    while (next < batch->count)
        watermark[next++] = current;
    atomic_store_explicit(&state->future_rows, generator->from_future, memory_order_relaxed);
    if (current == before || state->waits)
        return;
    batch->watermark = watermark;
    batch->watermark_after = current;
}

static void assign_times(leat_source_state *state, leat_batch *batch)
{
    const leat_plan_source *plan = state->plan;
    if (plan->event_time < 0) {
        arrival_times(state, batch);
    } else {
        const leat_column *column = &batch->columns[plan->event_time];
        memcpy(batch->event_ms, column->i64, batch->count * sizeof *batch->event_ms);
        drop_timeless(state, batch, column);
    }
    assign_watermarks(state, batch);
}

static void set_idle(leat_source_state *state, bool idle)
{
    if (atomic_load_explicit(&state->idle, memory_order_relaxed) == idle)
        return;
    atomic_store_explicit(&state->idle, idle, memory_order_relaxed);
    state->moved = true;
    leat_task_mark(state->node->task, idle ? LEAT_ELEMENT_IDLE : LEAT_ELEMENT_ACTIVE, 0);
}

static void send_rows(leat_source_state *state, leat_batch *batch)
{
    leat_flow_node *node = state->node;
    batch->selected = batch->count;
    learn_room(state, batch->count);
    if (batch->count == 0)
        return;
    set_idle(state, false);
    state->quiet = false;
    state->moved = true;
    if (state->plan->kind_field >= 0)
        take_kinds(state, batch);
    int32_t clock = state->plan->schema->proctime;
    for (uint32_t row = 0; clock >= 0 && row < batch->count; row++)
        batch->columns[clock].i64[row] = node->context.now_ms;
    assign_times(state, batch);
    leat_source_ids_give(&state->ids, batch);
    if (!state->waits)
        node->context.watermark_ms = state->generator.watermark_ms;
    atomic_store_explicit(&node->watermark_ms, node->context.watermark_ms, memory_order_relaxed);
    atomic_fetch_add_explicit(&node->rows_in, batch->count, memory_order_relaxed);
    atomic_fetch_add_explicit(&node->batches, 1, memory_order_relaxed);
    if (batch->selected > 0 || batch->watermark_after != LEAT_TIME_NONE)
        leat_node_emit(node, 0, batch);
}

static void send_bare(leat_source_state *state, unsigned output, int64_t watermark_ms)
{
    leat_flow_node *node = state->node;
    leat_batch *batch = leat_batch_get_mark(node->task->pool, LEAT_ELEMENT_ROWS);
    batch->watermark_after = watermark_ms;
    leat_node_emit(node, output, batch);
    leat_batch_unref(batch);
}

static void send_watermark(leat_source_state *state, int64_t watermark_ms)
{
    leat_flow_node *node = state->node;
    node->context.watermark_ms = watermark_ms;
    atomic_store_explicit(&node->watermark_ms, watermark_ms, memory_order_relaxed);
    send_bare(state, 0, watermark_ms);
}

static void send_rejected_watermark(leat_source_state *state, int64_t watermark_ms)
{
    if (!state->rejected_used || watermark_ms <= state->rejected_ms)
        return;
    state->rejected_ms = watermark_ms;
    send_bare(state, 1, watermark_ms);
}

// ---- quiet

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

// Nothing is there: the clock may move event time, and after a while the source counts as idle. asked_ms was read before
// the source was asked, so that what arrives from now on is not older.
static void follow_clock(leat_source_state *state, int64_t asked_ms)
{
    const leat_plan_watermark *spec = &state->plan->watermark;
    bool clock = spec->mode == LEAT_WATERMARK_CLOCK;
    int64_t before = state->generator.watermark_ms;
    if (state->waits) {
        state->wake_ms = earlier(state->wake_ms, state->waits_until_ms);
        return;
    }
    if ((clock || spec->interval_ms > 0) && !state->idle &&
        leat_generator_clock(&state->generator, asked_ms) > before) {
        state->moved = true;
        send_watermark(state, state->generator.watermark_ms);
    }
    if (clock)
        state->wake_ms = earlier(state->wake_ms, asked_ms + CLOCK_WATERMARK_MS);
    if (!state->rejected_used)
        return;
    if (state->rejected_ms == LEAT_TIME_NONE || asked_ms - state->rejected_ms >= REJECTED_WATERMARK_MS)
        send_rejected_watermark(state, asked_ms - 1);
    state->wake_ms = earlier(state->wake_ms, asked_ms + REJECTED_WATERMARK_MS);
}

static void be_quiet(leat_source_state *state, int64_t asked_ms, int64_t wait_ms)
{
    const leat_plan_watermark *spec = &state->plan->watermark;
    if (!state->quiet)
        state->quiet_since_ms = asked_ms;
    state->quiet = true;
    state->wake_ms = wait_ms >= 0 ? asked_ms + wait_ms : INT64_MAX;
    follow_clock(state, asked_ms);
    // Whose watermark follows the clock holds nobody back.
    if (spec->idle_ms <= 0 || spec->mode == LEAT_WATERMARK_CLOCK || state->idle)
        return;
    if (asked_ms - state->quiet_since_ms < spec->idle_ms)
        state->wake_ms = earlier(state->wake_ms, state->quiet_since_ms + spec->idle_ms);
    else
        set_idle(state, true);
}

// In two steps, because what the last watermark fires may find no room: END comes after all of it is through.
static leat_step end_source(leat_source_state *state)
{
    leat_flow_node *node = state->node;
    state->wake_ms = INT64_MAX;
    if (state->to_the_end && node->context.watermark_ms != LEAT_TIME_MAX) {
        set_idle(state, false); // nobody listens to the watermark of an idle channel
        state->generator.watermark_ms = LEAT_TIME_MAX;
        state->moved = true;
        send_watermark(state, LEAT_TIME_MAX);
        send_rejected_watermark(state, LEAT_TIME_MAX);
    }
    if (node->task->blocked_output)
        return LEAT_STEP_MORE;
    leat_task_end(node->task);
    return LEAT_STEP_IDLE;
}

// ---- whole tables

// Behind the rows of a reading: a row without values, that says whether the reading counts (operators/table.c).
static void send_table_end(leat_source_state *state, bool good)
{
    const leat_plan_source *plan = state->plan;
    leat_value null = leat_value_null();
    leat_batch *batch = leat_batch_get_rows(state->node->task->pool, plan->schema, 1);
    if (!batch) {
        state->has_raw = true; // once more when there is memory
        return;
    }
    for (uint32_t c = 0; c < plan->schema->count; c++)
        leat_column_put(&batch->columns[c], 0, &null);
    batch->count = batch->selected = 1;
    batch->row_kind = leat_arena_alloc(&batch->arena, 1);
    batch->row_kind[0] = good ? LEAT_DELETE : LEAT_UPDATE_BEFORE;
    batch->event_ms[0] = state->raw.arrival_ms;
    batch->cause[0] = leat_cause_source(identity(state), state->raw.position, 1);
    leat_source_ids_give(&state->ids, batch);
    state->moved = true;
    state->misfits = 0;
    leat_node_emit(state->node, 0, batch);
    leat_batch_unref(batch);
}

static void end_table(leat_source_state *state)
{
    leat_flow_ports *ports = state->node->task->flow->setup.ports;
    unsigned long long misfits = state->misfits;
    leat_error error;
    char text[128];
    if (misfits && state->plan->bounded) {
        leat_error_set(&error, LEAT_E_INVALID, "source '%s': %llu rows of the table do not fit", state->plan->name,
                       misfits);
        leat_task_fail(state->node->task, &error);
        return;
    }
    snprintf(text, sizeof text, "%llu rows do not fit; the table stays as it was", misfits);
    if (misfits && ports->source_note)
        ports->source_note(ports, state->node->plan->index, false, text);
    send_table_end(state, !misfits);
}

// What a scripted source says itself: 'W' a watermark (8 bytes), 'I' and 'A' its status.
static void handle_control(leat_source_state *state)
{
    state->has_raw = false;
    int64_t watermark_ms;
    if (state->raw.tag == 'W' && state->raw.payload.size == sizeof watermark_ms) {
        memcpy(&watermark_ms, state->raw.payload.data, sizeof watermark_ms);
        if (watermark_ms <= state->generator.watermark_ms || state->idle)
            return;
        state->generator.watermark_ms = watermark_ms;
        state->moved = true;
        send_watermark(state, watermark_ms);
    } else if (state->raw.tag == 'I' || state->raw.tag == 'A') {
        set_idle(state, state->raw.tag == 'I');
    } else if (state->raw.tag == LEAT_RAW_TABLE_END && state->plan->driver && state->plan->driver->table) {
        end_table(state);
    }
}

// After a restore: channels that the checkpoint did not know (another parallelism) learn where the source stands; to the others it is
// nothing new.
static void announce(leat_source_state *state)
{
    state->announce = false;
    if (state->generator.watermark_ms != LEAT_TIME_NONE)
        send_watermark(state, state->generator.watermark_ms);
    if (state->idle)
        leat_task_mark(state->node->task, LEAT_ELEMENT_IDLE, 0);
}

// Held back: not quiet, as something may well be there. An arrival that was begun is finished, or no barrier could pass.
static bool is_held(const leat_source_state *state)
{
    return !state->has_raw && atomic_load(&state->node->task->flow->held);
}

static leat_step take_arrivals(leat_source_state *state)
{
    leat_flow_node *node = state->node;
    int64_t wait_ms = -1;
    leat_error error = {0};
    state->wake_ms = INT64_MAX;
    leat_code code = collect(state, &wait_ms, &error);
    if (state->target.batch)
        send_rows(state, state->target.batch);
    leat_batch_unref(state->target.batch);
    // What the batch was made into is far too much: fewer rows from now on.
    if (leat_batch_pool_used_bytes(node->task->pool) > 4 * LEAT_TASK_POOL_BYTES && state->room_max > ROOM_MIN)
        state->room_max /= 2;
    send_rejected(state);
    if (state->has_raw && state->raw.flags & LEAT_RAW_CONTROL)
        handle_control(state);
    switch (code) {
    case LEAT_OK:
        return LEAT_STEP_MORE;
    case LEAT_AGAIN:
        be_quiet(state, node->context.now_ms, wait_ms);
        return LEAT_STEP_IDLE;
    case LEAT_END:
        state->ending = state->to_the_end = true;
        return LEAT_STEP_MORE;
    case LEAT_E_LIMIT:
        if (state->has_raw) {
            state->wake_ms = node->context.now_ms + NO_MEMORY_RETRY_MS;
            return LEAT_STEP_IDLE;
        }
        break;
    default:
        break;
    }
    leat_task_fail(node->task, &error);
    return LEAT_STEP_IDLE;
}

// `wait`: from the first step on, unless the source had gone on before.
static void wait_for_contents(leat_source_state *state)
{
    int64_t now_ms = state->node->context.now_ms;
    if (!state->waits_until_ms) {
        state->waits_until_ms = now_ms + state->plan->watermark.wait_ms;
        state->waits = state->generator.watermark_ms == LEAT_TIME_NONE;
    }
    if (!state->waits || now_ms < state->waits_until_ms)
        return;
    state->waits = false;
    if (state->generator.watermark_ms != LEAT_TIME_NONE)
        send_watermark(state, state->generator.watermark_ms);
}

leat_step leat_source_step(leat_flow_node *node)
{
    leat_source_state *state = node->source;
    leat_flow *flow = node->task->flow;
    if (state->announce)
        announce(state);
    if (state->plan->watermark.wait_ms)
        wait_for_contents(state);
    if (!state->ending && !state->has_raw && atomic_load(&flow->end_sources)) {
        state->ending = true;
        state->to_the_end = atomic_load(&flow->drain);
    }
    if (!state->ending && (is_held(state) || leat_task_starves(node->task))) {
        state->wake_ms = INT64_MAX;
        return LEAT_STEP_IDLE;
    }
    return state->ending ? end_source(state) : take_arrivals(state);
}
