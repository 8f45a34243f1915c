// A source's task: arrivals to batches with event time, causes and watermarks.
#include <stdio.h>
#include <string.h>

#include "firmware-agent/flow/source_state.h"

enum {
    CLOCK_WATERMARK_MS = 100,     // how often the clock moves event time while nothing arrives: ten wake-ups a second
    REJECTED_WATERMARK_MS = 1000, // the same for SOURCE.rejected, when somebody reads it
    NO_MEMORY_RETRY_MS = 10,
};

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
    state->target.reject = leat_source_reject;
    state->row_offsets = leat_arena_array(&flow->arena, uint32_t, LEAT_BATCH_ROWS);
    leat_source_make_identity(state, &flow->setup.lineage);
    state->drops = flow->setup.ports->source_drops(flow->setup.ports, node->plan->index);
    state->rejected_used = output_read(node, 1);
    state->rejected_ms = LEAT_TIME_NONE;
    state->wake_ms = INT64_MAX;
    state->room = LEAT_SOURCE_ROOM_MIN;
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
    leat_source_learn_room(state, batch->count);
    if (batch->count == 0)
        return;
    set_idle(state, false);
    state->quiet = false;
    state->moved = true;
    if (state->plan->kind_field >= 0)
        leat_source_take_kinds(state, batch);
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
    batch->cause[0] = leat_cause_source(leat_source_identity(state), state->raw.position, 1);
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
        leat_error_set(&error, LEAT_E_INVALID, "source '%s': %llu row%s of the table %s not fit", state->plan->name,
                       misfits, misfits == 1 ? "" : "s", misfits == 1 ? "does" : "do");
        leat_task_fail(state->node->task, &error);
        return;
    }
    snprintf(text, sizeof text, "%llu row%s not fit; the table stays as it was", misfits,
             misfits == 1 ? " does" : "s do");
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
    leat_code code = leat_source_collect(state, &wait_ms, &error);
    if (state->target.batch)
        send_rows(state, state->target.batch);
    leat_batch_unref(state->target.batch);
    // What the batch was made into is far too much: fewer rows from now on.
    if (leat_batch_pool_used_bytes(node->task->pool) > 4 * LEAT_TASK_POOL_BYTES &&
        state->room_max > LEAT_SOURCE_ROOM_MIN)
        state->room_max /= 2;
    leat_source_send_rejected(state);
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
