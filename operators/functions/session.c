// sessions: stretches of activity, apart from each other by more than a gap.
//
//   sessions(r => TABLE t PARTITION BY k, on_time => DESCRIPTOR(ts), value => v, gap => INTERVAL '30' SECOND)
//
// Output, when a session is closed: session_start and session_end (first and last reading), row_count, min_value, max_value, mean_value
// (of the readings that have a value). As with Flink's session windows readings that lie a gap apart or less belong together, in
// whatever order they come; a session is closed when the watermark reaches its last reading + gap - 1 ms; a reading that is too late
// to open a session and joins none is ignored.
//
// The newest session lies in values that are changed in place; older ones that are still open, which only disorder brings
// about, in a list.
#include "operators/functions/argument.h"
#include "operators/functions/builtin.h"

enum { PARAMETER_GAP = 3 };
enum { FIELD_START, FIELD_END, FIELD_ROWS, FIELD_VALUES, FIELD_MIN, FIELD_MAX, FIELD_SUM, FIELDS };
// The values are states 0 .. FIELDS - 1 in the order of the fields.
enum { STATE_OLDER = FIELDS };

typedef struct instance {
    int64_t gap_ms;
} instance;

typedef struct session {
    int64_t start, end, rows, values;
    double min, max, sum;
} session;

static const leat_parameter parameters[] = {
    LEAT_TABLE_PARAMETER,
    LEAT_ON_TIME_PARAMETER,
    {.size = sizeof(leat_parameter),
     .name = "value",
     .kind = LEAT_ARGUMENT_EXPRESSION,
     .flags = LEAT_PARAMETER_OPTIONAL,
     .text = "what minimum, maximum and mean are of, a number"},
    LEAT_INTERVAL_PARAMETER("gap", NULL, "a pause longer than this ends the session")};

static int declare_function(leat_declare *declare, const leat_declare_api *api)
{
    static const char *const names[FIELDS] = {"start", "end", "rows", "values", "min", "max", "sum"};
    leat_check_interval(declare, api, PARAMETER_GAP, 1);
    for (int i = 0; i < FIELDS; i++)
        api->state(declare, names[i], LEAT_STATE_VALUE, i < FIELD_MIN ? LEAT_API_BIGINT : LEAT_API_DOUBLE, 0);
    api->state(declare, "older", LEAT_STATE_LIST, LEAT_API_DOUBLE_ARRAY, 0);
    api->output_column(declare, 0, "session_start", LEAT_API_INSTANT);
    api->output_column(declare, 0, "session_end", LEAT_API_INSTANT);
    api->output_column(declare, 0, "row_count", LEAT_API_BIGINT);
    api->output_column(declare, 0, "min_value", LEAT_API_DOUBLE);
    api->output_column(declare, 0, "max_value", LEAT_API_DOUBLE);
    api->output_column(declare, 0, "mean_value", LEAT_API_DOUBLE);
    return 0;
}

static int open_function(leat_context *context)
{
    ((instance *)context->self)->gap_ms = context->api->scalar(context, PARAMETER_GAP).i64;
    return 0;
}

static int64_t gap_of(leat_context *context) { return ((const instance *)context->self)->gap_ms; }

// ---- sessions in state

static int load_newest(leat_context *context, session *out_session)
{
    const leat_context_api *api = context->api;
    if (!api->read(context, FIELD_ROWS)->set)
        return 0;
    *out_session = (session){api->read(context, FIELD_START)->i64, api->read(context, FIELD_END)->i64,
                             api->read(context, FIELD_ROWS)->i64,  api->read(context, FIELD_VALUES)->i64,
                             api->read(context, FIELD_MIN)->f64,   api->read(context, FIELD_MAX)->f64,
                             api->read(context, FIELD_SUM)->f64};
    return 1;
}

static void store_newest(leat_context *context, const session *s)
{
    const leat_context_api *api = context->api;
    leat_assign_i64(api->write(context, FIELD_START), s->start);
    leat_assign_i64(api->write(context, FIELD_END), s->end);
    leat_assign_i64(api->write(context, FIELD_ROWS), s->rows);
    leat_assign_i64(api->write(context, FIELD_VALUES), s->values);
    leat_assign_f64(api->write(context, FIELD_MIN), s->min);
    leat_assign_f64(api->write(context, FIELD_MAX), s->max);
    leat_assign_f64(api->write(context, FIELD_SUM), s->sum);
}

static void clear_newest(leat_context *context)
{
    for (uint32_t i = 0; i < FIELDS; i++)
        context->api->clear(context, i);
}

static session load_older(leat_context *context, uint32_t index)
{
    leat_cell cell = context->api->list_get(context, STATE_OLDER, index);
    const leat_cell *f = cell.items;
    return (session){(int64_t)f[FIELD_START].f64,
                     (int64_t)f[FIELD_END].f64,
                     (int64_t)f[FIELD_ROWS].f64,
                     (int64_t)f[FIELD_VALUES].f64,
                     f[FIELD_MIN].f64,
                     f[FIELD_MAX].f64,
                     f[FIELD_SUM].f64};
}

// Times and counts are exact as doubles up to 2^53.
static int add_older(leat_context *context, const session *s)
{
    leat_cell fields[FIELDS] = {leat_cell_f64((double)s->start),
                                leat_cell_f64((double)s->end),
                                leat_cell_f64((double)s->rows),
                                leat_cell_f64((double)s->values),
                                leat_cell_f64(s->min),
                                leat_cell_f64(s->max),
                                leat_cell_f64(s->sum)};
    leat_cell cell = {.set = 1, .type = LEAT_API_DOUBLE_ARRAY, .count = FIELDS, .items = fields};
    return context->api->list_add(context, STATE_OLDER, cell);
}

// ---- merging

static void merge(session *into, const session *other)
{
    if (other->values && (!into->values || other->min < into->min))
        into->min = other->min;
    if (other->values && (!into->values || other->max > into->max))
        into->max = other->max;
    if (other->start < into->start)
        into->start = other->start;
    if (other->end > into->end)
        into->end = other->end;
    into->rows += other->rows;
    into->values += other->values;
    into->sum += other->sum;
}

static int touches(const session *a, const session *b, int64_t gap)
{
    return a->start <= b->end + gap && b->start <= a->end + gap;
}

static int64_t due_at(leat_context *context, const session *s) { return s->end + gap_of(context) - 1; }

static void clear_timer(leat_context *context, const session *s)
{
    context->api->timer_clear(context, LEAT_EVENT_TIME, due_at(context, s), NULL);
}

// Takes the older sessions that touch `grown` out of the list and into it. Returns how many.
static int absorb_older(leat_context *context, session *grown)
{
    int merged = 0;
    for (uint32_t i = 0; i < context->api->list_size(context, STATE_OLDER);) {
        session older = load_older(context, i);
        if (!touches(&older, grown, gap_of(context))) {
            i++;
            continue;
        }
        merge(grown, &older);
        clear_timer(context, &older);
        context->api->list_remove(context, STATE_OLDER, i);
        merged++;
        i = 0; // what is longer now may touch one that was passed over
    }
    return merged;
}

static int place(leat_context *context, const session *grown, const session *newest)
{
    if (newest && newest->start > grown->start)
        return add_older(context, grown);
    if (newest && add_older(context, newest))
        return -1;
    store_newest(context, grown);
    return 0;
}

static int add(leat_context *context, const session *row)
{
    const leat_context_api *api = context->api;
    session grown = *row, newest;
    int has_newest = load_newest(context, &newest), merged = 0;
    if (has_newest && touches(&newest, &grown, gap_of(context))) {
        merge(&grown, &newest);
        if (grown.end != newest.end)
            clear_timer(context, &newest);
        has_newest = 0;
        merged = 1;
    }
    if (api->list_size(context, STATE_OLDER))
        merged += absorb_older(context, &grown);
    if (!merged && due_at(context, &grown) <= api->watermark(context))
        return 0;
    if (place(context, &grown, has_newest ? &newest : NULL))
        return -1;
    return api->timer_set(context, LEAT_EVENT_TIME, due_at(context, &grown), NULL);
}

static int process(leat_context *context, const leat_row *row)
{
    session s = {.start = row->time_ms, .end = row->time_ms, .rows = 1};
    if (!leat_value_missing(row, 0)) {
        s.values = 1;
        s.min = s.max = s.sum = leat_view_f64(&row->expressions[0], row->index);
    }
    return add(context, &s);
}

// ---- closing

static void emit_session(leat_context *context, const session *s)
{
    leat_cell cells[] = {leat_cell_i64(LEAT_API_INSTANT, s->start), leat_cell_i64(LEAT_API_INSTANT, s->end),
                         leat_cell_i64(LEAT_API_BIGINT, s->rows),   leat_cell_null(LEAT_API_DOUBLE),
                         leat_cell_null(LEAT_API_DOUBLE),           leat_cell_null(LEAT_API_DOUBLE)};
    if (s->values) {
        cells[3] = leat_cell_f64(s->min);
        cells[4] = leat_cell_f64(s->max);
        cells[5] = leat_cell_f64(s->sum / (double)s->values);
    }
    context->api->emit(context, 0, cells, 6);
}

static int on_timer(leat_context *context, const leat_timer *timer)
{
    const leat_context_api *api = context->api;
    session s;
    for (uint32_t i = 0; i < api->list_size(context, STATE_OLDER);) {
        s = load_older(context, i);
        if (due_at(context, &s) > timer->time_ms) {
            i++;
            continue;
        }
        emit_session(context, &s);
        api->list_remove(context, STATE_OLDER, i);
    }
    if (load_newest(context, &s) && due_at(context, &s) <= timer->time_ms) {
        emit_session(context, &s);
        clear_newest(context);
    }
    return 0;
}

const leat_process_function leat_function_session = {
    .size = sizeof(leat_process_function),
    .api = LEAT_API,
    .name = "sessions",
    .text = "Stretches of activity of a key, told when a pause longer than the gap has passed.",
    .parameters = parameters,
    .parameter_count = sizeof parameters / sizeof parameters[0],
    .instance_size = sizeof(instance),
    .declare = declare_function,
    .open = open_function,
    .process = process,
    .timer = on_timer,
};
